/*
 * edge.c - edges: rings of samples between nodes. How full one may get is its reader's and
 * writer's matter (executor.c); a ring grows when one task emits more than is usual.
 */
#include "exec.h"

#include <stdlib.h>

static bool grow(struct edge *ed) {
    int n = ed->capacity ? 2 * ed->capacity : 8;
    const struct hf_sample **ring = malloc((size_t)n * sizeof(*ring));
    if (!ring)
        return false;
    for (int i = 0; i < ed->count; i++)
        ring[i] = ed->item[(ed->first + i) % ed->capacity];
    free(ed->item);
    ed->item = ring;
    ed->first = 0;
    ed->capacity = n;
    return true;
}

const struct plan_stage *edge_taker(const struct edge *ed) {
    int stage = ed->to ? ed->to->link[0] : ed->sink->instance.index;
    return &ed->from->job->run->plan->stage[stage];
}

bool edge_push(struct edge *ed, const struct hf_sample *s, struct sample **retired) {
    if (ed->closed) {
        sample_retire(s, retired);
        return true;
    }
    if (ed->count == ed->capacity && !grow(ed)) {
        sample_retire(s, retired);
        return false;
    }
    ed->item[(ed->first + ed->count++) % ed->capacity] = s;
    ed->bytes += sample_bytes(s);
    return true;
}

const struct hf_sample *edge_pop(struct edge *ed) {
    const struct hf_sample *s = ed->item[ed->first];
    ed->first = (ed->first + 1) % ed->capacity;
    ed->count--;
    ed->bytes -= sample_bytes(s);
    return s;
}

void edge_clear(struct edge *ed, struct sample **retired) {
    while (ed->count > 0)
        sample_retire(edge_pop(ed), retired);
    ed->ended = false;
}

void edge_close(struct edge *ed, struct sample **retired) {
    edge_clear(ed, retired);
    ed->closed = true;
    struct node *n = ed->from;
    bool needed = false;
    for (int i = 0; n && i < n->outs; i++)
        needed = needed || !n->out[i]->closed;
    for (int i = 0; n && !needed && i < n->inputs; i++)
        edge_close(n->in[i], retired);
}
