/*
 * tree.h - what is read of YAML before anybody knows what it means: sources, trees of nodes with
 * their places, and the messages about them.
 */
#ifndef HEPAFLOW_GRAPH_TREE_H
#define HEPAFLOW_GRAPH_TREE_H

#include <stdbool.h>

#include "engine.h"
#include "graph/arena.h"

/* ---- sources: the files and `--set` arguments that messages point into ---- */

struct source {
    const char *name; /* a location's `file` is this very pointer */
    const char *text;
    size_t size;
    bool is_file;          /* or that should be one: where it cannot be read, it has no text */
    struct location asked; /* where the `include` stands that led to it; file NULL: nowhere */
    struct source *older;
};

/* ---- messages (errors.c) ---- */

/* How a value came from where it is written to where it counts: a list, the first step first. */
enum origin_kind {
    ORIGIN_ALIAS,  /* `*name` */
    ORIGIN_MERGE,  /* `<<: *name` */
    ORIGIN_VAR,    /* `${name}`, which is all of the value */
    ORIGIN_INSIDE, /* `${name}` within a longer text; `where` is that of the var's value */
    ORIGIN_LIKE    /* `like: name` */
};

struct origin {
    enum origin_kind kind;
    struct location where;
    const char *name; /* "" where what is merged has none */
    struct origin *further;
};

struct node;

struct graph_message {
    struct location where; /* file NULL: none */
    const struct origin *origin;
    bool warning;
    int order; /* in which it came */
    const char *text;
    struct graph_message *older;
};

struct messages {
    struct arena *arena;
    struct source *sources;
    struct graph_message *newest;
    int errors, warnings;
};

HF_PRINTF(3, 4)
void message_error(struct messages *m, struct location where, const char *format, ...);
/* The same about a node, also saying how it came to where it counts. */
HF_PRINTF(3, 4)
void message_about(struct messages *m, const struct node *n, const char *format, ...);
HF_PRINTF(3, 4)
void message_warning(struct messages *m, struct location where, const char *format, ...);
/* True if there is an error at this very place. */
bool message_stands_at(const struct messages *m, struct location where);
/* "file:line:column", or of a setting "--set " and the whole of it. */
void message_place(FILE *out, const struct messages *m, struct location where);
/* All messages by file, line and column, in malloc'd memory; NULL: there are none, or no memory. */
char *messages_print(const struct messages *m);

/* Words among which the nearest spelling is looked for. */
struct words {
    const char *wanted, *nearest;
    int distance;
};
void words_begin(struct words *w, const char *wanted);
void words_try(struct words *w, const char *candidate);
/* "; did you mean 'x'?", or "" when nothing is near. */
const char *words_hint(const struct words *w, struct arena *a);

/* ---- nodes (yaml.c) ---- */

enum node_kind {
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAP
};

struct node {
    enum node_kind kind;
    struct location where;
    const char *text;   /* SCALAR */
    bool plain;         /* SCALAR without quotes */
    int count;          /* LIST, MAP */
    struct node **key;  /* MAP: scalars */
    struct node **item; /* LIST: items, MAP: values */
    int capacity;
    bool broken;           /* its var is unknown, which was said already */
    struct node *filled;   /* this node with its vars filled in, once that is done */
    struct origin *origin; /* how it came here, with all below it; NULL: as it is written */
    const char *given_for; /* key of a stage: the `use` that it was given for, if another one has
                              replaced that since; NULL: the stage's own */
};

#define NODE_MAX_DEPTH 64

/*
 * Reads a source's text from `offset` on. Returns NULL after an error, which is in `m`. Merge keys
 * are merged; aliases share nodes, so a node is not changed once it is read.
 */
struct node *yaml_parse(struct messages *m, const struct source *source, size_t offset);
/* Reads a file into a source; NULL after an error. `asked` is where its name stands. */
const struct source *yaml_open(struct messages *m, const char *path, struct location asked);
const struct source *source_new(struct messages *m, const char *name, const char *text,
                                size_t size);

struct node *node_new(struct arena *a, enum node_kind kind, struct location where);
void node_append(struct arena *a, struct node *n, struct node *key, struct node *item);
/* Sets a key of a map, replacing what it had. */
void node_set(struct arena *a, struct node *map, struct node *key, struct node *item);
/* The node as it came by one more step; what lies below is shared with `n`. */
struct node *node_through(struct arena *a, const struct node *n, enum origin_kind kind,
                          struct location where, const char *name);
/* The same by several more steps, or (`then` NULL) by none. */
struct node *node_with(struct arena *a, const struct node *n, const struct origin *then);
/* The node, whose keys and items know of the steps by which it came itself. */
struct node *node_spread(struct arena *a, struct node *n);
/* The value of a key, or NULL. */
struct node *node_get(const struct node *map, const char *key);
int node_find(const struct node *map, const char *key);
/* The key of a stage, which knows that it was given for that `use` (swap.c). */
struct node *node_given_for(struct arena *a, struct node *key, const struct node *use);
/* The map of a stage under one that has `use` (NULL: none): its keys know what they were given for
 * if that is another one. */
struct node *node_under_use(struct arena *a, struct node *under, const struct node *use);
bool node_null(const struct node *n);
/* "a map", "a list", "nothing" or "'text'": what is there, for messages. */
const char *node_shown(const struct node *n, struct arena *a);

/* ---- one tree of a graph (load.c) ---- */

/*
 * The graph as one map: included files below, `sets` on top, vars filled in, `like` left to do.
 * It is read from the file `path`, or from `text` unless that is NULL. NULL if a file could not be
 * read as YAML.
 */
struct node *graph_load(struct messages *m, const char *path, const char *text,
                        const char *const *sets, int count);

/* ---- a plan (check.c) ---- */

/* hf_plan_load of a graph that is no file: messages call it `path`. */
enum hf_status plan_load_text(struct hf_engine *engine, const char *path, const char *text,
                              const char *const *sets, int count, struct hf_plan **ret,
                              char **ret_messages);

#endif
