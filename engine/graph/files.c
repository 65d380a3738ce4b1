/*
 * files.c - the files that a graph is made of, as its text alone tells them: a graph with errors
 * has files as well.
 */
#include "graph/files.h"

#include <string.h>
#include <sys/stat.h>

#include "graph/tree.h"

struct teller {
    const char *path;
    const char *const *sets;
    int count;
    struct arena *arena;
    bool whole; /* no error was found */
    void (*tell)(void *arg, const char *file);
    void *arg;
};

/* Whether a value may be the path of a file, one that is not there among them. */
static bool may_name(const char *text) {
    struct stat info;
    return stat(text, &info) == 0 ? S_ISREG(info.st_mode) : strpbrk(text, "/.") != NULL;
}

/* Options of type `path` are relative to the working folder, as they are here. */
static void tell_named(const struct teller *t, const struct node *n) {
    if (n->kind == NODE_SCALAR && may_name(n->text))
        t->tell(t->arg, n->text);
    for (int i = 0; i < n->count; i++)
        tell_named(t, n->item[i]);
}

static void tell_files(void *arg) {
    struct teller *t = arg;
    struct messages *m = arena_alloc(t->arena, sizeof *m);
    m->arena = t->arena;
    const struct node *root = graph_load(m, t->path, NULL, t->sets, t->count);
    for (const struct source *s = m->sources; s; s = s->older)
        if (s->is_file)
            t->tell(t->arg, s->name);
    const struct node *stages = root && root->kind == NODE_MAP ? node_get(root, "stages") : NULL;
    if (stages)
        tell_named(t, stages);
    t->whole = m->errors == 0;
}

bool graph_files(const char *path, const char *const *sets, int count,
                 void (*tell)(void *arg, const char *file), void *arg) {
    struct teller t = {
        .path = path, .sets = sets, .count = count, .tell = tell, .arg = arg, .arena = arena_new()};
    bool done = t.arena && arena_try(t.arena, tell_files, &t);
    arena_free(t.arena);
    return done && t.whole;
}
