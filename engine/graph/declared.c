/*
 * declared.c - the io that a class's `declare` sees: it only takes notes, and never allocates from
 * the arena.
 */
#include "graph/flow.h"

#include <stdlib.h>
#include <string.h>

#include "nn/model.h"
#include "run/run.h"

static struct declaration *declaration_of(const struct hf_io *io) {
    return &((struct flow *)io->engine)->decl;
}

static struct entry *note(struct hf_io *io, enum entry_kind kind, const char *field) {
    struct declaration *d = declaration_of(io);
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

static void io_regrid(struct hf_io *io, int64_t d, int64_t h, int64_t w, const char *option) {
    struct entry *n = note(io, ENTRY_REGRID, NULL);
    if (n) {
        n->grid[0] = d;
        n->grid[1] = h;
        n->grid[2] = w;
        n->option = option;
    }
}

static int io_has(struct hf_io *io, const char *field, int64_t *ret_channels) {
    const struct declaration *d = declaration_of(io);
    const struct plan_field *f = field ? edge_find(d->first, field) : NULL;
    if (f && ret_channels)
        *ret_channels = f->shape[0];
    return f != NULL;
}

static void io_blank(struct hf_io *io, const char *field, double value) {
    struct declaration *d = declaration_of(io);
    for (int i = 0; field && i < d->entries; i++)
        if (d->entry[i].kind == ENTRY_WRITE && strcmp(d->entry[i].field, field) == 0) {
            d->entry[i].blanked = true;
            d->entry[i].blank = value;
        }
}

static int io_blanked(struct hf_io *io, const char *field, double *ret) {
    const struct plan_field *f = field ? edge_find(declaration_of(io)->first, field) : NULL;
    if (!f || !f->blanked)
        return 0;
    *ret = f->blank;
    return 1;
}

static enum hf_status io_model_info(struct hf_io *io, const char *path, struct hf_model_info *ret,
                                    struct hf_error *e) {
    struct flow *f = io->engine;
    struct declaration *d = &f->decl;
    struct hf_model *m = NULL;
    struct hf_net *net = NULL;
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st = file_read(path, &bytes, &size, e);
    if (st == HF_OK)
        st = hf_model_read(bytes, size, path, &m, e);
    free(bytes);
    if (st != HF_OK)
        return st;
    *ret = m->info;
    ret->dims = m->net->dims; /* which files of earlier versions do not tell */
    for (int i = 0; st == HF_OK && i < ret->inputs.count; i++) {
        if (strlen(ret->inputs.name[i]) >= sizeof d->input[i])
            st = hf_fail(e, HF_INVALID, "%s: '%s' is too long for the name of a field", path,
                         ret->inputs.name[i]);
        (void)snprintf(d->input[i], sizeof d->input[i], "%s", ret->inputs.name[i]);
        ret->inputs.name[i] = d->input[i];
    }
    if (st == HF_OK)
        st = f->c->engine->host->net_copy(m->net, &net, e);
    if (st == HF_OK)
        keep_net(f, net);
    hf_model_unref(m);
    return st;
}

bool declared(const struct flow *f, const char *field) {
    for (int i = 0; i < f->decl.entries; i++)
        if (f->decl.entry[i].kind != ENTRY_REGRID && strcmp(f->decl.entry[i].field, field) == 0)
            return true;
    return false;
}

void declared_begin(struct flow *f, const struct edge *first) {
    f->decl.first = first;
    f->decl.io = (struct hf_io){.read = io_read,
                                .write = io_write,
                                .drop = io_drop,
                                .regrid = io_regrid,
                                .has = io_has,
                                .engine = f,
                                .model_info = io_model_info,
                                .build = io_build,
                                .fits = io_fits,
                                .blank = io_blank,
                                .blanked = io_blanked};
    memcpy(f->decl.io.grid, f->in.grid, sizeof f->in.grid);
}
