/*
 * leaves.c - what is on the edge behind a stage, and how each field came to be: its lineage.
 */
#include "graph/flow.h"

#include <string.h>

/* ---- what enters ---- */

static struct lineage *lineage_new(struct flow *f, const char *field, int parents) {
    struct arena *a = f->c->arena;
    struct lineage *l = arena_alloc(a, sizeof *l);
    l->field = arena_strdup(a, field);
    l->stage = f->at;
    l->model = f->stage->model;
    l->parent = arena_array(a, (size_t)parents + 1, sizeof *l->parent);
    l->annotation = arena_array(a, (size_t)parents + 1, sizeof *l->annotation);
    return l;
}

/* One that is named twice, as by two options, counts once. */
static void add_parent(struct lineage *l, const struct lineage *parent, bool annotation) {
    for (int i = 0; i < l->parents; i++)
        if (l->parent[i] == parent && l->annotation[i] == annotation)
            return;
    l->annotation[l->parents] = annotation;
    l->parent[l->parents++] = parent;
}

/* Of several inputs, the fields that all have; sizes and blanks that differ are unknown. */
void enter_mix(struct flow *f) {
    edge_of(f->c, f->stage->input[0], &f->in);
    struct edge all[PLAN_MAX_INPUTS];
    for (int k = 0; k < f->stage->inputs; k++)
        edge_of(f->c, f->stage->input[k], &all[k]);
    int kept = 0;
    for (int i = 0; i < f->in.fields; i++) {
        struct plan_field field = f->in.field[i];
        struct lineage *l = lineage_new(f, field.name, f->stage->inputs);
        bool common = true;
        for (int k = 0; k < f->stage->inputs && common; k++) {
            const struct plan_field *other = edge_find(&all[k], field.name);
            common = other && other->dtype == field.dtype && other->place == field.place;
            for (int s = 0; common && s < 4; s++)
                if (other->shape[s] != field.shape[s])
                    field.shape[s] = -1;
            if (common && (!other->blanked || other->blank != field.blank))
                field.blanked = false;
            if (common)
                add_parent(l, other->lineage, false);
        }
        if (!common)
            continue;
        field.lineage = l;
        f->in.field[kept++] = field;
    }
    f->in.fields = kept;
    for (int k = 1; k < f->stage->inputs; k++)
        for (int s = 0; s < 3; s++)
            if (all[k].grid[s] != f->in.grid[s])
                f->in.grid[s] = -1;
}

/* ---- what leaves ---- */

/* The parents of a written field by one of its `from` words; false: there is no such field. */
static bool add_named_parents(struct flow *f, struct lineage *l, const char *word) {
    bool annotation = *word == '~';
    const char *field = annotation ? word + 1 : word;
    const struct plan_field *on = edge_find(&f->in, field);
    if (on) {
        add_parent(l, on->lineage, annotation);
        return true;
    }
    bool found = false;
    for (int k = 0; k < f->stage->inputs && f->stage->cls->kind == HF_MIX; k++) {
        const struct plan_stage *in = &f->c->plan->stage[f->stage->input[k]];
        for (int i = 0; i < in->fields; i++)
            if (strcmp(in->field[i].name, field) == 0) {
                add_parent(l, in->field[i].lineage, annotation);
                found = true;
            }
    }
    if (found)
        return true;
    on = edge_find(&f->out, field);
    if (on && on->lineage->stage == f->at) {
        add_parent(l, on->lineage, annotation);
        return true;
    }
    /* Optional reads that are not there, or what was just said to be missing. */
    return declared(f, field);
}

static const struct lineage *written_lineage(struct flow *f, const struct entry *n) {
    /* At most as many as there are reads, or words in `from`, each on every input of a mix. */
    int edges = f->stage->cls->kind == HF_MIX ? f->stage->inputs : 1;
    struct lineage *l = lineage_new(f, n->field, (MAX_ENTRIES + 1) * edges);
    if (n->from_all)
        for (int i = 0; i < f->decl.entries; i++)
            if (f->decl.entry[i].kind == ENTRY_READ)
                (void)add_named_parents(f, l, f->decl.entry[i].field);
    char words[sizeof n->from];
    memcpy(words, n->from, sizeof words);
    char *rest = NULL;
    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        if (!add_named_parents(f, l, w))
            message_about(
                f->c->m, f->draft->key,
                "the module of stage '%s' (%s) is faulty: '%s' is made of '%s', which it does "
                "not read",
                f->stage->name, f->stage->cls->name, n->field, w + (*w == '~'));
    if (f->stage->cls->kind == HF_MIX && l->parents == 0)
        (void)add_named_parents(f, l, n->field);
    return l;
}

static void put_field(struct flow *f, const struct plan_field *field) {
    struct edge *out = &f->out;
    for (int i = 0; i < out->fields; i++)
        if (strcmp(out->field[i].name, field->name) == 0) {
            out->field[i] = *field;
            return;
        }
    if (out->fields == HF_MAX_FIELDS) {
        message_about(f->c->m, f->draft->key, "more than %d fields leave stage '%s'", HF_MAX_FIELDS,
                      f->stage->name);
        return;
    }
    out->field[out->fields++] = *field;
}

static void drop_field(struct edge *out, const char *name) {
    int kept = 0;
    for (int i = 0; i < out->fields; i++)
        if (strcmp(out->field[i].name, name) != 0)
            out->field[kept++] = out->field[i];
    out->fields = kept;
}

/* A new grid: what lay on the old one is gone, unless it is written. */
static void leave_grid(struct flow *f) {
    const struct entry *last = NULL;
    for (int i = 0; i < f->decl.entries; i++)
        if (f->decl.entry[i].kind == ENTRY_REGRID)
            last = &f->decl.entry[i];
    if (!last)
        return;
    memcpy(f->out.grid, last->grid, sizeof f->out.grid);
    f->out.made = last->option ? f->draft : NULL;
    f->out.made_by = last->option;
    int kept = 0;
    for (int i = 0; i < f->out.fields; i++)
        if (f->out.field[i].place != HF_ON_GRID)
            f->out.field[kept++] = f->out.field[i];
    f->out.fields = kept;
}

/* What a mix fills in must be what it is on the edges that have it. */
static void check_filled(struct flow *f, const struct entry *n) {
    for (int k = 0; k < f->stage->inputs; k++) {
        const struct plan_stage *in = &f->c->plan->stage[f->stage->input[k]];
        for (int i = 0; i < in->fields; i++)
            if (strcmp(in->field[i].name, n->field) == 0 &&
                (in->field[i].dtype != n->dtype || in->field[i].place != n->place))
                message_about(f->c->m, f->draft->key,
                              "stage '%s' (%s) writes '%s' as %s %s; on the edge from '%s' it is "
                              "%s %s",
                              f->stage->name, f->stage->cls->name, n->field,
                              hf_dtype_name(n->dtype), place_shown(n->place), in->name,
                              hf_dtype_name(in->field[i].dtype), place_shown(in->field[i].place));
    }
}

static void write_field(struct flow *f, const struct entry *n) {
    struct plan_field field = {.dtype = n->dtype,
                               .place = n->place,
                               .written = true,
                               .blanked = n->blanked,
                               .blank = n->blank};
    if (strlen(n->field) >= HF_FIELD_NAME || !n->field[0] || n->dtype >= HF_DTYPES) {
        const struct node *named = naming_node(f, n->field);
        message_about(f->c->m, named ? named : f->draft->key,
                      "stage '%s' (%s) writes '%s', which is no field: a name has 1 to %d letters",
                      f->stage->name, f->stage->cls->name, n->field, HF_FIELD_NAME - 1);
        return;
    }
    if (f->stage->cls->kind == HF_MIX)
        check_filled(f, n);
    memcpy(field.name, n->field, strlen(n->field));
    field.shape[0] = n->channels;
    for (int s = 0; s < 3; s++)
        field.shape[s + 1] = n->place == HF_ON_GRID ? f->out.grid[s] : -1;
    field.lineage = written_lineage(f, n);
    put_field(f, &field);
}

void leave(struct flow *f) {
    f->out = f->in;
    leave_grid(f);
    for (int i = 0; i < f->decl.entries; i++) {
        const struct entry *n = &f->decl.entry[i];
        if (n->kind == ENTRY_WRITE)
            write_field(f, n);
        else if (n->kind == ENTRY_DROP)
            drop_field(&f->out, n->field);
    }
}
