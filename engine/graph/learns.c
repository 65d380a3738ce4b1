/* learns.c - what a stage's model learns from: the lineage of all that its training reads. */
#include "graph/flow.h"

#include <string.h>

static void learn(struct flow *f, const struct lineage *l) {
    struct plan_stage *s = f->stage;
    for (int i = 0; i < s->learned; i++)
        if (s->learns[i] == l)
            return;
    if (s->learned == HF_MAX_FIELDS)
        message_about(f->c->m, f->draft->key, "stage '%s' (%s) learns from more than %d fields",
                      s->name, s->cls->name, HF_MAX_FIELDS);
    else
        s->learns[s->learned++] = l;
}

/* A field that only some inputs of a mix upstream carry is on no edge behind it, but in samples. */
static void learn_mixed(struct flow *f, int at, const char *field, bool *visited) {
    const struct plan_stage *s = &f->c->plan->stage[at];
    if (visited[at])
        return;
    visited[at] = true;
    for (int k = 0; k < s->inputs; k++) {
        const struct plan_stage *in = &f->c->plan->stage[s->input[k]];
        const struct lineage *on = NULL;
        for (int i = 0; i < in->fields; i++)
            if (strcmp(in->field[i].name, field) == 0)
                on = in->field[i].lineage;
        if (!on)
            learn_mixed(f, s->input[k], field, visited);
        else if (s->cls->kind == HF_MIX)
            learn(f, on);
    }
}

static void learn_field(struct flow *f, const char *field) {
    const struct plan_field *on = edge_find(&f->in, field);
    if (on)
        learn(f, on->lineage);
    else
        learn_mixed(f, f->at, field,
                    arena_array(f->c->arena, (size_t)f->c->plan->stages, sizeof(bool)));
}

void model_keep(struct flow *f) {
    struct hf_model_info *y = &f->stage->yields;
    if (!y->stage[0])
        (void)snprintf(y->stage, sizeof y->stage, "%s", f->stage->name);
    for (int i = 0; i < y->inputs.count; i++) {
        y->inputs.name[i] = arena_strdup(f->c->arena, y->inputs.name[i]);
        learn_field(f, y->inputs.name[i]);
    }
    learn_field(f, y->target);
    if (y->weight[0])
        learn_field(f, y->weight);
    /* Whatever else it reads, as `slices`, may decide what it is trained on. */
    for (int i = 0; i < f->decl.entries; i++)
        if (f->decl.entry[i].kind == ENTRY_READ)
            learn_field(f, f->decl.entry[i].field);
}
