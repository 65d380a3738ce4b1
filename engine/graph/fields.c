/*
 * fields.c - what is on each edge: asks a stage's class what it reads and writes, checks the first
 * against what enters, and works out from the second what leaves.
 */
#include "graph/flow.h"

#include <string.h>

const struct plan_field *edge_find(const struct edge *e, const char *name) {
    for (int i = 0; i < e->fields; i++)
        if (strcmp(e->field[i].name, name) == 0)
            return &e->field[i];
    return NULL;
}

void edge_of(const struct checker *c, int stage, struct edge *ret) {
    const struct plan_stage *p = &c->plan->stage[stage];
    ret->fields = p->fields;
    memcpy(ret->field, p->field, sizeof ret->field);
    for (int i = 0; i < ret->fields; i++)
        ret->field[i].written = false;
    const struct draft *d = &c->draft[c->order[stage]];
    memcpy(ret->grid, d->grid, sizeof ret->grid);
    ret->made = d->made;
    ret->made_by = d->made_by;
}

/* What is given for the option that is the first word in quotes; NULL: it is none, or has its
 * default. */
static const struct node *option_named(const struct node *given, const char *text) {
    const char *word = strchr(text, '\'');
    for (int i = 0; word && i < given->count; i++) {
        size_t size = strlen(given->key[i]->text);
        if (strncmp(word + 1, given->key[i]->text, size) == 0 && word[1 + size] == '\'')
            return given->item[i];
    }
    return NULL;
}

/* What a message is about: what `build` and `fits` said, `model`, or the option that it begins with
 * in quotes. That of a network begins with its name. */
static const struct node *blamed(struct flow *f, const char *text) {
    const struct node *n = f->blamed, *found = NULL;
    if (n && n->kind == NODE_MAP && n->count == 1 && strncmp(text, "network '", 9) == 0) {
        const struct node *options = node_spread(f->c->arena, n->item[0]);
        const char *message = strchr(text, ':');
        if (options->kind == NODE_MAP && message)
            found = option_named(options, message);
    }
    if (found || n)
        return found ? found : n;
    if (strncmp(text, "'model'", 7) == 0 && f->draft->model)
        return f->draft->model;
    n = option_named(f->draft->given, text);
    return n ? n : f->draft->key;
}

static void declare(struct flow *f) {
    struct hf_io *io = &f->decl.io;
    const struct hf_stage_class *cls = f->stage->cls;
    struct edge first = {0};
    if (f->stage->inputs > 0)
        edge_of(f->c, f->stage->input[0], &first);
    declared_begin(f, &first);
    if (f->stage->model >= 0) {
        io->model = &f->c->plan->stage[f->stage->model].yields;
        f->net = f->c->plan->stage[f->stage->model].net;
    }
    bool yields = cls->kind == HF_MODEL || (cls->flags & HF_STAGE_YIELDS_MODEL);
    if (yields)
        io->yields = &f->stage->yields;
    struct hf_error err = {0};
    enum hf_status st = cls->declare(f->stage->options, io, &err);
    reads_check(f);
    /* After a missing field, what else `declare` found is most likely its consequence. */
    if (st != HF_OK && f->c->m->errors == f->errors_before)
        message_about(f->c->m, blamed(f, err.text), "stage '%s' (%s): %s", f->stage->name,
                      cls->name, err.text);
    if (st == HF_OK)
        reads_check_options(f);
    if (f->decl.overflow)
        message_about(f->c->m, f->draft->key,
                      "the module of stage '%s' (%s) is faulty: it declares more than %d things",
                      f->stage->name, cls->name, MAX_ENTRIES);
    if (f->c->m->errors != f->errors_before)
        return;
    reads_keep(f);
    leave(f);
    if (yields)
        model_keep(f);
}

void fields_flow(struct checker *c, int at) {
    struct draft *d = &c->draft[c->order[at]];
    struct plan_stage *p = &c->plan->stage[at];
    bool ready = p->cls && !d->bad && d->given;
    for (int k = 0; k < p->inputs; k++)
        ready = ready && p->input[k] >= 0 && c->draft[c->order[p->input[k]]].fields_known;
    if (p->model >= 0)
        ready = ready && c->draft[c->order[p->model]].fields_known;
    if (!ready)
        return;
    if (!c->flow)
        c->flow = arena_alloc(c->arena, sizeof *c->flow);
    struct flow *f = c->flow;
    memset(f, 0, sizeof *f);
    f->c = c;
    f->draft = d;
    f->stage = p;
    f->at = at;
    f->errors_before = c->m->errors;
    for (int s = 0; s < 3; s++)
        f->in.grid[s] = -1;
    if (p->cls->kind == HF_MIX)
        enter_mix(f);
    else if (p->inputs > 0)
        edge_of(c, p->input[0], &f->in);
    declare(f);
    d->fields_known = c->m->errors == f->errors_before;
    if (p->cls->kind == HF_SINK || p->cls->kind == HF_MODEL)
        return;
    p->fields = f->out.fields;
    memcpy(p->field, f->out.field, sizeof p->field);
    memcpy(d->grid, f->out.grid, sizeof d->grid);
    d->made = f->out.made;
    d->made_by = f->out.made_by;
}
