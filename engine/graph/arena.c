/* arena.c - blocks of zeroed memory, handed out front to back. */
#include "graph/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *older;
    alignas(max_align_t) char bytes[];
};

struct arena *arena_new(void) {
    return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a) {
    if (!a)
        return;
    for (struct arena_block *b = a->blocks, *older; b; b = older) {
        older = b->older;
        free(b);
    }
    free(a);
}

_Noreturn void arena_give_up(struct arena *a) {
    if (!a->out_of_memory)
        abort(); /* an engine bug: nobody may allocate without a place to fail to */
    longjmp(*a->out_of_memory, 1);
}

bool arena_try(struct arena *a, void (*work)(void *arg), void *arg) {
    jmp_buf here, *outer = a->out_of_memory;
    if (setjmp(here) != 0) {
        a->out_of_memory = outer;
        return false;
    }
    a->out_of_memory = &here;
    work(arg);
    a->out_of_memory = outer;
    return true;
}

void *arena_alloc(struct arena *a, size_t size) {
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        arena_give_up(a);
    size = size == 0 ? align : (size + align - 1) / align * align;
    if (size > a->left) {
        size_t capacity = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        struct arena_block *b = calloc(1, sizeof *b + capacity);
        if (!b)
            arena_give_up(a);
        b->older = a->blocks;
        a->blocks = b;
        a->next = b->bytes;
        a->left = capacity;
    }
    void *ret = a->next;
    a->next += size;
    a->left -= size;
    return ret;
}

void *arena_array(struct arena *a, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / 2 / size)
        arena_give_up(a);
    return arena_alloc(a, count * size);
}

char *arena_strndup(struct arena *a, const char *text, size_t size) {
    char *ret = arena_alloc(a, size + 1);
    memcpy(ret, text, size);
    return ret;
}

char *arena_strdup(struct arena *a, const char *text) {
    return arena_strndup(a, text, strlen(text));
}

char *arena_vprintf(struct arena *a, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size < 0)
        arena_give_up(a);
    char *ret = arena_alloc(a, (size_t)size + 1);
    (void)vsnprintf(ret, (size_t)size + 1, format, args);
    return ret;
}

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *ret = arena_vprintf(a, format, args);
    va_end(args);
    return ret;
}

void text_add(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *more = arena_vprintf(t->arena, format, args);
    va_end(args);
    size_t size = strlen(more);
    if (t->size + size + 1 > t->capacity) {
        size_t capacity = 2 * (t->size + size + 1);
        char *bytes = arena_alloc(t->arena, capacity);
        if (t->size > 0)
            memcpy(bytes, t->bytes, t->size);
        t->bytes = bytes;
        t->capacity = capacity;
    }
    memcpy(t->bytes + t->size, more, size + 1);
    t->size += size;
}
