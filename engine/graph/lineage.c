/* lineage.c - what a stage's model learns from, followed back to the sources. */
#include "graph/lineage.h"

#include <stdlib.h>
#include <string.h>

/* A node that was seen, and in what way. */
struct seen {
    const struct lineage *node;
    enum plan_reach how;
};

struct walk {
    const struct hf_plan *plan;
    struct seen *seen; /* open hash table, a power of two */
    size_t size, used;
    bool *model_seen; /* [2 * stages]: by how */
    void (*visit)(void *arg, const struct lineage *l, enum plan_reach how);
    void *arg;
    bool failed;
};

static size_t slot_of(const struct walk *w, const struct lineage *l) {
    size_t at = ((uintptr_t)l >> 4) * 2654435761u & (w->size - 1);
    while (w->seen[at].node && w->seen[at].node != l)
        at = (at + 1) & (w->size - 1);
    return at;
}

static bool grow(struct walk *w) {
    struct walk bigger = *w;
    bigger.size = w->size == 0 ? 256 : 2 * w->size;
    bigger.seen = calloc(bigger.size, sizeof *bigger.seen);
    if (!bigger.seen)
        return false;
    for (size_t i = 0; i < w->size; i++)
        if (w->seen[i].node)
            bigger.seen[slot_of(&bigger, w->seen[i].node)] = w->seen[i];
    free(w->seen);
    *w = bigger;
    return true;
}

static void walk_model(struct walk *w, int stage, enum plan_reach how);

static void walk_node(struct walk *w, const struct lineage *l, enum plan_reach how) {
    if (w->failed || (2 * w->used >= w->size && !grow(w))) {
        w->failed = true;
        return;
    }
    struct seen *s = &w->seen[slot_of(w, l)];
    if (s->how >= how)
        return;
    if (!s->node)
        w->used++;
    s->node = l;
    s->how = how;
    w->visit(w->arg, l, how);
    for (int i = 0; i < l->parents; i++)
        walk_node(w, l->parent[i], l->annotation[i] ? REACH_ANNOTATION : how);
    if (l->model >= 0)
        walk_model(w, l->model, how);
}

static void walk_model(struct walk *w, int stage, enum plan_reach how) {
    bool *seen = &w->model_seen[2 * stage + (how == REACH_DIRECT)];
    if (*seen)
        return;
    *seen = true;
    const struct plan_stage *p = &w->plan->stage[stage];
    for (int i = 0; i < p->learned; i++)
        walk_node(w, p->learns[i], how);
}

bool lineage_walk(const struct hf_plan *plan, int stage,
                  void (*visit)(void *arg, const struct lineage *l, enum plan_reach how),
                  void *arg) {
    struct walk w = {.plan = plan, .visit = visit, .arg = arg};
    w.model_seen = calloc(2 * (size_t)plan->stages + 2, sizeof *w.model_seen);
    if (w.model_seen)
        walk_model(&w, stage, REACH_DIRECT);
    bool good = w.model_seen && !w.failed;
    free(w.model_seen);
    free(w.seen);
    return good;
}

struct wanted {
    const char *field;
    enum plan_reach reach;
};

static void look(void *arg, const struct lineage *l, enum plan_reach how) {
    struct wanted *w = arg;
    if (strcmp(l->field, w->field) == 0 && how > w->reach)
        w->reach = how;
}

enum plan_reach plan_supervision(const struct hf_plan *plan, const char *stage, const char *field) {
    struct wanted w = {field, REACH_NONE};
    for (int i = 0; i < plan->stages; i++)
        if (strcmp(plan->stage[i].name, stage) == 0 && !lineage_walk(plan, i, look, &w))
            return REACH_DIRECT; /* no memory: better to be told of a leak that is none */
    return w.reach;
}
