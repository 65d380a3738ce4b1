/* reads.c - what a stage reads: checked against what enters it, and kept for the plan. */
#include "graph/flow.h"

#include <string.h>

const char *place_shown(enum hf_place place) {
    static const char *const shown[] = {"on the grid", "on the canonical grid", "in a host table"};
    return shown[place];
}

const struct node *naming_node(const struct flow *f, const char *field) {
    for (const struct hf_option *o = f->stage->cls->options; o && o->name; o++) {
        const struct node *n = node_spread(f->c->arena, node_get(f->draft->given, o->name));
        if (!(o->flags & HF_OPTION_FIELD) || !n)
            continue;
        if (n->kind == NODE_SCALAR && strcmp(n->text, field) == 0)
            return n;
        for (int i = 0; n->kind == NODE_LIST && i < n->count; i++)
            if (n->item[i]->kind == NODE_SCALAR && strcmp(n->item[i]->text, field) == 0)
                return n->item[i];
    }
    return NULL;
}

/* " (it was last on the edge from 'x')", if it was on any edge upstream. */
static const char *last_seen(const struct flow *f, const char *field) {
    const struct hf_plan *p = f->c->plan;
    for (int at = f->stage->input[0]; p->stage[at].inputs > 0;) {
        at = p->stage[at].input[0];
        for (int i = 0; i < p->stage[at].fields; i++)
            if (strcmp(p->stage[at].field[i].name, field) == 0)
                return arena_printf(f->c->arena, " (it was last on the edge from '%s')",
                                    p->stage[at].name);
    }
    return "";
}

static const char *carried(const struct flow *f) {
    struct text t = {.arena = f->c->arena};
    text_add(&t, "%s", "");
    for (int i = 0; i < f->in.fields; i++)
        text_add(&t, "%s%s", i == 0 ? "" : ", ", f->in.field[i].name);
    return t.bytes;
}

static const char *edge_shown(const struct flow *f) {
    struct text t = {.arena = f->c->arena};
    text_add(&t, "%s", f->stage->inputs > 1 ? "every edge from " : "the edge from ");
    for (int k = 0; k < f->stage->inputs; k++)
        text_add(&t, "%s'%s'", k == 0 ? "" : ", ", f->c->plan->stage[f->stage->input[k]].name);
    return t.bytes;
}

static bool trained_on(const struct hf_model_info *model, const char *field) {
    for (int i = 0; model && i < model->inputs.count; i++)
        if (strcmp(model->inputs.name[i], field) == 0)
            return true;
    return false;
}

static void field_missing(struct flow *f, const char *field) {
    struct checker *c = f->c;
    const struct node *n = naming_node(f, field);
    const struct node *at = n ? n : f->draft->key;
    if (f->stage->inputs == 0) {
        message_about(c->m, at, "stage '%s' (%s) reads '%s', but nothing enters it", f->stage->name,
                      f->stage->cls->name, field);
        return;
    }
    struct words words;
    words_begin(&words, field);
    for (int i = 0; i < f->in.fields; i++)
        words_try(&words, f->in.field[i].name);
    const struct hf_model_info *model = f->decl.io.model;
    if (!n && trained_on(model, field)) {
        struct text t = {.arena = c->arena};
        for (int i = 0; i < model->inputs.count; i++)
            text_add(&t, "%s%s", i == 0 ? "" : ", ", model->inputs.name[i]);
        message_about(c->m, f->draft->model,
                      "model '%s' was trained on [%s]; '%s' is not on %s (which carries %s)%s",
                      c->plan->stage[f->stage->model].name, t.bytes, field, edge_shown(f),
                      carried(f), words_hint(&words, c->arena));
        return;
    }
    message_about(c->m, at, "stage '%s' (%s) reads '%s', which is not on %s%s; it carries %s%s",
                  f->stage->name, f->stage->cls->name, field, edge_shown(f), last_seen(f, field),
                  f->in.fields > 0 ? carried(f) : "nothing", words_hint(&words, c->arena));
}

static void check_read(struct flow *f, const struct entry *n) {
    const struct plan_field *on = edge_find(&f->in, n->field);
    if (strcmp(n->field, HF_EVERY_FIELD) == 0)
        return;
    if (!on) {
        /* A mix may find it on one of its edges, and fill it in on the others. */
        if (!(n->flags & HF_READ_OPTIONAL))
            field_missing(f, n->field);
        return;
    }
    bool wrong_type = n->dtype != HF_DTYPES && n->dtype != on->dtype;
    if (!wrong_type && n->place == on->place)
        return;
    const struct node *named = naming_node(f, n->field);
    const struct node *at = named ? named : f->draft->key;
    if (wrong_type)
        message_about(f->c->m, at, "stage '%s' (%s) reads '%s' as %s; on %s it is %s",
                      f->stage->name, f->stage->cls->name, n->field, hf_dtype_name(n->dtype),
                      edge_shown(f), hf_dtype_name(on->dtype));
    else
        message_about(f->c->m, at, "stage '%s' (%s) reads '%s' %s; on %s it is %s", f->stage->name,
                      f->stage->cls->name, n->field, place_shown(n->place), edge_shown(f),
                      place_shown(on->place));
}

static void check_named(struct flow *f, const char *field) {
    if (field && *field && !declared(f, field) && !edge_find(&f->in, field) &&
        naming_node(f, field))
        field_missing(f, field);
}

void reads_check_options(struct flow *f) {
    for (const struct hf_option *o = f->stage->cls->options; o && o->name; o++) {
        const char *at = (const char *)f->stage->options + o->offset;
        if (!(o->flags & HF_OPTION_FIELD))
            continue;
        if (o->type == HF_OPTION_STRING) {
            check_named(f, *(const char *const *)(const void *)at);
        } else if (o->type == HF_OPTION_NAMES) {
            const struct hf_names *names = (const void *)at;
            for (int i = 0; i < names->count; i++)
                check_named(f, names->name[i]);
        }
    }
}

void reads_check(struct flow *f) {
    for (int i = 0; i < f->decl.entries; i++)
        if (f->decl.entry[i].kind == ENTRY_READ)
            check_read(f, &f->decl.entry[i]);
}

/* ---- what the plan keeps ---- */

static void keep_read(struct reads *r, const char *field, bool needed) {
    if (!field || strlen(field) >= HF_FIELD_NAME)
        return;
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->name[i], field) == 0) {
            r->needed[i] = r->needed[i] || needed;
            return;
        }
    if (r->count == HF_MAX_FIELDS) {
        r->all = true;
        return;
    }
    r->needed[r->count] = needed;
    memcpy(r->name[r->count++], field, strlen(field) + 1);
}

/* What is read on the grid, so that it can be brought to where the stage runs: what the class says,
 * and what an option names that it said nothing of. */
void reads_keep(struct flow *f) {
    struct reads *r = &f->stage->reads;
    for (int i = 0; i < f->decl.entries; i++) {
        const struct entry *n = &f->decl.entry[i];
        if (n->kind != ENTRY_READ || n->place != HF_ON_GRID)
            continue;
        if (strcmp(n->field, HF_EVERY_FIELD) == 0)
            r->all = true;
        else
            keep_read(r, n->field, !(n->flags & HF_READ_OPTIONAL));
    }
    for (const struct hf_option *o = f->stage->cls->options; o && o->name; o++) {
        const char *at = (const char *)f->stage->options + o->offset;
        const struct hf_names *names = (const void *)at;
        const char *one = NULL;
        if (!(o->flags & HF_OPTION_FIELD))
            continue;
        if (o->type == HF_OPTION_STRING && (one = *(const char *const *)(const void *)at) &&
            !declared(f, one))
            keep_read(r, one, false);
        for (int i = 0; o->type == HF_OPTION_NAMES && i < names->count; i++)
            if (!declared(f, names->name[i]))
                keep_read(r, names->name[i], false);
    }
}
