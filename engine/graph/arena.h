/* arena.h - memory that a plan frees all at once. */
#ifndef HEPAFLOW_GRAPH_ARENA_H
#define HEPAFLOW_GRAPH_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <hepaflow/base.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t left; /* in the newest block */
    char *next;
    jmp_buf *out_of_memory; /* of the innermost arena_try */
};

/* An empty arena, or NULL. */
struct arena *arena_new(void);
void arena_free(struct arena *a);
/*
 * Does the work, within which alone memory is taken. False: there was none left, and the work was
 * left where it stood; no frame of a plugin may stand in between. Everything allocated before stays
 * valid, and what `arg` points to is as the work left it.
 */
bool arena_try(struct arena *a, void (*work)(void *arg), void *arg);
/* Leaves the innermost arena_try. */
_Noreturn void arena_give_up(struct arena *a);
/* Zeroed memory for any type. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t size);
HF_PRINTF(2, 3) char *arena_printf(struct arena *a, const char *format, ...);
HF_PRINTF(2, 0) char *arena_vprintf(struct arena *a, const char *format, va_list args);

/* A text that grows in an arena. */
struct text {
    struct arena *arena;
    char *bytes;
    size_t size, capacity;
};

HF_PRINTF(2, 3) void text_add(struct text *t, const char *format, ...);

#endif
