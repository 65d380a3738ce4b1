/*
 * fields.c - what is on each edge: asks a stage's class what it reads and writes, checks the first
 * against what enters, and works out from the second what leaves, and what it was made of.
 */
#include "graph/check.h"

#include <stdlib.h>
#include <string.h>

#include "nn/model.h"
#include "run/run.h"

#define MAX_ENTRIES 128
#define LONG_NAME   64

struct edge {
    int fields;
    struct plan_field field[HF_MAX_FIELDS];
    int64_t grid[3];
};

enum entry_kind {
    ENTRY_READ,
    ENTRY_WRITE,
    ENTRY_DROP,
    ENTRY_REGRID
};

/* One call that a class's `declare` made. */
struct entry {
    enum entry_kind kind;
    char field[LONG_NAME];
    enum hf_dtype dtype;
    enum hf_place place;
    uint32_t flags;
    int64_t channels, grid[3];
    bool from_all;
    char from[256];
};

struct declaration {
    struct hf_io io;
    const struct edge *first;                   /* the first incoming edge */
    char input[HF_OPTION_ITEMS][HF_FIELD_NAME]; /* names that io_model_info gave out */
    int entries;
    bool overflow;
    struct entry entry[MAX_ENTRIES];
};

/* Everything about one stage while its fields are worked out. */
struct flow {
    struct checker *c;
    struct draft *draft;
    struct plan_stage *stage;
    int at;
    struct edge in; /* what enters: of a mix, what all inputs have */
    struct edge out;
    struct declaration decl;
    int errors_before;
};

static const struct plan_field *edge_find(const struct edge *e, const char *name) {
    for (int i = 0; i < e->fields; i++)
        if (strcmp(e->field[i].name, name) == 0)
            return &e->field[i];
    return NULL;
}

/* ---- the io that `declare` sees: it only takes notes, and never allocates ---- */

static struct entry *note(struct hf_io *io, enum entry_kind kind, const char *field) {
    struct declaration *d = io->engine;
    if (d->entries == MAX_ENTRIES) {
        d->overflow = true;
        return NULL;
    }
    struct entry *n = &d->entry[d->entries++];
    n->kind = kind;
    (void)snprintf(n->field, sizeof n->field, "%s", field ? field : "");
    return n;
}

static void io_read(struct hf_io *io, const char *field, enum hf_dtype dtype, enum hf_place place,
                    uint32_t flags) {
    struct entry *n = field ? note(io, ENTRY_READ, field) : NULL;
    if (n) {
        n->dtype = dtype;
        n->place = place;
        n->flags = flags;
    }
}

static void io_write(struct hf_io *io, const char *field, enum hf_dtype dtype, enum hf_place place,
                     int64_t channels, const char *from) {
    struct entry *n = field ? note(io, ENTRY_WRITE, field) : NULL;
    if (n) {
        n->dtype = dtype;
        n->place = place;
        n->channels = channels;
        n->from_all = !from;
        (void)snprintf(n->from, sizeof n->from, "%s", from ? from : "");
    }
}

static void io_drop(struct hf_io *io, const char *field) {
    (void)note(io, ENTRY_DROP, field);
}

static void io_regrid(struct hf_io *io, int64_t d, int64_t h, int64_t w) {
    struct entry *n = note(io, ENTRY_REGRID, NULL);
    if (n) {
        n->grid[0] = d;
        n->grid[1] = h;
        n->grid[2] = w;
    }
}

static int io_has(struct hf_io *io, const char *field, int64_t *ret_channels) {
    const struct declaration *d = io->engine;
    const struct plan_field *f = field ? edge_find(d->first, field) : NULL;
    if (f && ret_channels)
        *ret_channels = f->shape[0];
    return f != NULL;
}

static enum hf_status io_model_info(struct hf_io *io, const char *path, struct hf_model_info *ret,
                                    struct hf_error *e) {
    struct declaration *d = io->engine;
    struct hf_model *m = NULL;
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st = file_read(path, &bytes, &size, e);
    if (st == HF_OK)
        st = hf_model_read(bytes, size, path, &m, e);
    free(bytes);
    if (st != HF_OK)
        return st;
    *ret = m->info;
    for (int i = 0; st == HF_OK && i < ret->inputs.count; i++) {
        if (strlen(ret->inputs.name[i]) >= sizeof d->input[i])
            st = hf_fail(e, HF_INVALID, "%s: '%s' is too long for the name of a field", path,
                         ret->inputs.name[i]);
        (void)snprintf(d->input[i], sizeof d->input[i], "%s", ret->inputs.name[i]);
        ret->inputs.name[i] = d->input[i];
    }
    hf_model_unref(m);
    return st;
}

/* ---- what enters ---- */

static void edge_of(const struct checker *c, int stage, struct edge *ret) {
    const struct plan_stage *p = &c->plan->stage[stage];
    ret->fields = p->fields;
    memcpy(ret->field, p->field, sizeof ret->field);
    for (int i = 0; i < ret->fields; i++)
        ret->field[i].written = false;
    memcpy(ret->grid, c->draft[c->order[stage]].grid, sizeof ret->grid);
}

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

static void add_parent(struct lineage *l, const struct lineage *parent, bool annotation) {
    l->annotation[l->parents] = annotation;
    l->parent[l->parents++] = parent;
}

/* Of several inputs, the fields that all have; sizes that differ are unknown. */
static void enter_mix(struct flow *f) {
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

/* ---- checking what is read ---- */

static const char *place_shown(enum hf_place place) {
    static const char *const shown[] = {"on the grid", "on the canonical grid", "in a host table"};
    return shown[place];
}

/* The node of an option that names this field, for the caret; NULL: a default, or none does. */
static const struct node *naming_node(const struct flow *f, const char *field) {
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

static bool declared(const struct flow *f, const char *field) {
    for (int i = 0; i < f->decl.entries; i++)
        if (f->decl.entry[i].kind != ENTRY_REGRID && strcmp(f->decl.entry[i].field, field) == 0)
            return true;
    return false;
}

/* Options that name fields which `declare` said nothing of: they must at least be there. */
static void check_named(struct flow *f, const char *field) {
    if (field && *field && !declared(f, field) && !edge_find(&f->in, field) &&
        naming_node(f, field))
        field_missing(f, field);
}

static void check_field_options(struct flow *f) {
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
    struct plan_field field = {.dtype = n->dtype, .place = n->place, .written = true};
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

static void leave(struct flow *f) {
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

/* ---- what is read ---- */

static void keep_read(struct reads *r, const char *field) {
    if (!field || reads_field(r, field) || strlen(field) >= HF_FIELD_NAME)
        return;
    if (r->count == HF_MAX_FIELDS)
        r->all = true;
    else
        memcpy(r->name[r->count++], field, strlen(field) + 1);
}

/* What is read on the grid, so that it can be brought to where the stage runs: what the class says,
 * and what an option names that it said nothing of. */
static void keep_reads(struct flow *f) {
    struct reads *r = &f->stage->reads;
    for (int i = 0; i < f->decl.entries; i++) {
        const struct entry *n = &f->decl.entry[i];
        if (n->kind != ENTRY_READ || n->place != HF_ON_GRID)
            continue;
        if (strcmp(n->field, HF_EVERY_FIELD) == 0)
            r->all = true;
        else
            keep_read(r, n->field);
    }
    for (const struct hf_option *o = f->stage->cls->options; o && o->name; o++) {
        const char *at = (const char *)f->stage->options + o->offset;
        const struct hf_names *names = (const void *)at;
        const char *one = NULL;
        if (!(o->flags & HF_OPTION_FIELD))
            continue;
        if (o->type == HF_OPTION_STRING && (one = *(const char *const *)(const void *)at) &&
            !declared(f, one))
            keep_read(r, one);
        for (int i = 0; o->type == HF_OPTION_NAMES && i < names->count; i++)
            if (!declared(f, names->name[i]))
                keep_read(r, names->name[i]);
    }
}

/* ---- models ---- */

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

static void keep_model(struct flow *f) {
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

/* ---- one stage ---- */

/* A message that begins with an option's name in quotes is about that option. */
static const struct node *blamed(const struct flow *f, const char *text) {
    const struct node *given = f->draft->given;
    for (int i = 0; i < given->count; i++) {
        const char *key = given->key[i]->text, *at = strchr(text, '\'');
        if (at && strncmp(at + 1, key, strlen(key)) == 0 && at[1 + strlen(key)] == '\'')
            return given->item[i];
    }
    return f->draft->key;
}

static void declare(struct flow *f) {
    struct hf_io *io = &f->decl.io;
    const struct hf_stage_class *cls = f->stage->cls;
    struct edge first = {0};
    if (f->stage->inputs > 0)
        edge_of(f->c, f->stage->input[0], &first);
    f->decl.first = &first;
    *io = (struct hf_io){.read = io_read,
                         .write = io_write,
                         .drop = io_drop,
                         .regrid = io_regrid,
                         .has = io_has,
                         .model_info = io_model_info,
                         .engine = &f->decl};
    if (f->stage->model >= 0)
        io->model = &f->c->plan->stage[f->stage->model].yields;
    bool yields = cls->kind == HF_MODEL || (cls->flags & HF_STAGE_YIELDS_MODEL);
    if (yields)
        io->yields = &f->stage->yields;
    struct hf_error err = {0};
    enum hf_status st = cls->declare(f->stage->options, io, &err);
    for (int i = 0; i < f->decl.entries; i++)
        if (f->decl.entry[i].kind == ENTRY_READ)
            check_read(f, &f->decl.entry[i]);
    /* After a missing field, what else `declare` found is most likely its consequence. */
    if (st != HF_OK && f->c->m->errors == f->errors_before)
        message_about(f->c->m, blamed(f, err.text), "stage '%s' (%s): %s", f->stage->name,
                      cls->name, err.text);
    if (st == HF_OK)
        check_field_options(f);
    if (f->decl.overflow)
        message_about(f->c->m, f->draft->key,
                      "the module of stage '%s' (%s) is faulty: it declares more than %d things",
                      f->stage->name, cls->name, MAX_ENTRIES);
    if (f->c->m->errors != f->errors_before)
        return;
    keep_reads(f);
    leave(f);
    if (yields)
        keep_model(f);
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
}
