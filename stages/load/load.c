/**
 * load.c - the stage `load`: cases from a manifest, each as one sample on its image's canonical
 * grid, with labels brought there by world position.
 */
#include "cases.h"
#include "check.h"
#include "slices.h"

#include <errno.h>
#include <fnmatch.h>
#include <hepaflow/plugin.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PATH_BYTES 4096

enum split_choice {
    SPLIT_TRAIN,
    SPLIT_TEST,
    SPLIT_ALL
};

struct options {
    const char *dataset;
    int32_t split;
    struct hf_names cases;
    struct hf_names require;
    struct hf_names fields;
    int32_t nonfinite;
    double background;
};

/** A chosen case, and the files that its paths stand for. */
struct item {
    const struct hf_case *c;
    char *header[HF_CASE_FILES];
    char *image[HF_CASE_FILES]; /* the voxels of a pair; NULL: a single file */
    struct hf_slices slices;    /* none: the manifest's line has the annotation */
};

struct state {
    struct hf_cases cases;
    struct item *item;
    int64_t items;
};

static int has_name(const struct hf_names *names, const char *name) {
    for (int32_t i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return 1;
    return 0;
}

/** What `require` may name: the files, and the annotation. */
enum {
    NEED_SEGMENTS = HF_CASE_FILES,
    NEEDS
};

static const char *need_name(int need) {
    return need == NEED_SEGMENTS ? "segments" : hf_case_file_name((enum hf_case_file)need);
}

static int wants(const struct options *o, enum hf_case_file f) {
    return f == HF_CASE_IMAGE || has_name(&o->fields, hf_case_file_name(f)) ||
           has_name(&o->require, hf_case_file_name(f));
}

/* ---- declare ---- */

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    (void)e;
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, NULL);
    for (int f = HF_CASE_LIVER; f < HF_CASE_FILES; f++)
        if (wants(o, (enum hf_case_file)f))
            io->write(io, hf_case_file_name((enum hf_case_file)f), HF_U8, HF_ON_GRID, 1, NULL);
    if (wants(o, HF_CASE_TUMOR))
        io->write(io, "truth", HF_U8, HF_ON_CANONICAL, 1, NULL);
    io->write(io, "annotation", HF_U8, HF_ON_HOST, 1, NULL);
    return HF_OK;
}

/* ---- start: the manifest ---- */

static enum hf_status check_there(const struct options *o, const struct hf_case *c,
                                  enum hf_case_file f, struct hf_error *e) {
    struct stat s;
    const char *what = NULL;
    if (stat(c->path[f], &s) != 0)
        what = errno == ENOENT ? "is not there" : strerror(errno);
    else if (S_ISDIR(s.st_mode))
        what = "is a folder; expected a NIfTI file";
    else if (s.st_size == 0)
        what = "is empty; expected a NIfTI file";
    if (!what)
        return HF_OK;
    return hf_fail(e, HF_NOT_FOUND, "%s:%d:%d: %s of case '%s': %s %s", o->dataset, (int)c->line,
                   (int)c->column[f], hf_case_file_name(f), c->name, c->path[f], what);
}

static enum hf_status item_fill(const struct options *o, const struct hf_case *c, struct item *it,
                                struct hf_error *e) {
    it->c = c;
    for (int f = 0; f < HF_CASE_FILES; f++) {
        if (!c->path[f] || !wants(o, (enum hf_case_file)f))
            continue;
        char header[PATH_BYTES], image[PATH_BYTES];
        enum hf_status st = check_there(o, c, (enum hf_case_file)f, e);
        if (st == HF_OK)
            st = hf_nifti_paths(c->path[f], header, image, sizeof header, e);
        if (st != HF_OK)
            return st;
        it->header[f] = strdup(header);
        it->image[f] = image[0] ? strdup(image) : NULL;
        if (!it->header[f] || (image[0] && !it->image[f]))
            return hf_fail(e, HF_NO_MEMORY, "no memory for the cases' paths");
    }
    return HF_OK;
}

/** The table of slices of a case that has one: read now, so that a mistake shows before the work.
 */
static enum hf_status item_slices(const struct hf_stage *s, struct item *it, struct hf_error *e) {
    const struct options *o = s->options;
    const struct hf_case *c = it->c;
    struct stat info;
    const char *what = NULL;
    if (!c->slices)
        return HF_OK;
    if (stat(c->slices, &info) != 0)
        what = errno == ENOENT ? "is not there" : strerror(errno);
    else if (!S_ISREG(info.st_mode))
        what = "is no file; expected a table of slices";
    else if (info.st_size == 0)
        what = "is empty; expected a table of slices";
    if (what)
        return hf_fail(e, HF_NOT_FOUND, "%s:%d:%d: segments of case '%s': %s %s", o->dataset,
                       (int)c->line, (int)c->slices_column, c->name, c->slices, what);
    void *text = NULL;
    size_t size = 0;
    enum hf_status st = s->host->file_take(s->host, c->slices, &text, &size, e);
    if (st != HF_OK)
        return st;
    st = hf_slices_parse(text, size, c->slices, &it->slices, e);
    s->host->file_free(s->host, text);
    return st;
}

static int is_named(const struct options *o, const struct hf_case *c) {
    if (o->cases.count == 0)
        return 1;
    for (int32_t i = 0; i < o->cases.count; i++)
        if (fnmatch(o->cases.name[i], c->name, 0) == 0)
            return 1;
    return 0;
}

/** 1 if the manifest has all that is required of the case; adds up what it lacks. */
static int is_complete(const struct options *o, const struct hf_case *c, int64_t lacks[NEEDS]) {
    int whole = 1;
    for (int need = 0; need < NEEDS; need++) {
        int there = need == NEED_SEGMENTS ? c->annotated : c->path[need] != NULL;
        if (!there && has_name(&o->require, need_name(need))) {
            whole = 0;
            lacks[need]++;
        }
    }
    return whole;
}

/** A list of names as text: "liver, couinaud". */
static const char *list(const struct hf_names *names, char *buffer, size_t size) {
    size_t used = 0;
    buffer[0] = '\0';
    for (int32_t i = 0; i < names->count && used < size; i++) {
        int n = snprintf(buffer + used, size - used, "%s%s", i ? ", " : "", names->name[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return buffer;
}

/** Says how many cases `require` has left out, and how many of them want for what. */
static void log_left_out(const struct hf_stage *s, int64_t left_out, int64_t of,
                         const int64_t lacks[NEEDS]) {
    const struct options *o = s->options;
    char line[PATH_BYTES + 256];
    int used = snprintf(line, sizeof line, "%s: %lld of %lld cases left out:", o->dataset,
                        (long long)left_out, (long long)of);
    const char *comma = "";
    for (int need = 0; need < NEEDS; need++) {
        if (lacks[need] == 0 || used < 0 || (size_t)used >= sizeof line)
            continue;
        used += snprintf(line + used, sizeof line - (size_t)used, "%s %lld without %s", comma,
                         (long long)lacks[need], need_name(need));
        comma = ",";
    }
    s->host->log(s, HF_LOG_INFO, line);
}

/** No case has all that is required: for want of a column, or of entries in it. */
static enum hf_status fail_incomplete(const struct options *o, const struct hf_cases *cases,
                                      int64_t named, const char *split, struct hf_error *e) {
    char names[512];
    for (int need = 0; need < NEEDS; need++) {
        if (cases->has[need] || !has_name(&o->require, need_name(need)))
            continue;
        const char *unknown = cases->unknown;
        return hf_fail(e, HF_INVALID,
                       "%s:%d:1: no column '%s' in the header%s%s%s; it is required of each case",
                       o->dataset, (int)cases->header_line, need_name(need),
                       *unknown ? ", but an unknown one '" : "", unknown, *unknown ? "'" : "");
    }
    return hf_fail(e, HF_INVALID, "%s: none of %lld cases in %s has all that is required: %s",
                   o->dataset, (long long)named, split, list(&o->require, names, sizeof names));
}

static enum hf_status choose(const struct hf_stage *s, struct hf_error *e) {
    const struct options *o = s->options;
    struct state *st = s->state;
    static const char *const split_names[] = {"split train", "split test", "any split"};
    int64_t in_split = 0, named = 0, lacks[NEEDS] = {0};
    st->item = calloc((size_t)st->cases.count, sizeof *st->item);
    if (!st->item)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for its cases", o->dataset);
    for (int32_t i = 0; i < st->cases.count; i++) {
        const struct hf_case *c = &st->cases.item[i];
        if (o->split != SPLIT_ALL && (int)c->split != o->split)
            continue;
        in_split++;
        if (!is_named(o, c))
            continue;
        named++;
        if (!is_complete(o, c, lacks))
            continue;
        struct item *it = &st->item[st->items++];
        enum hf_status status = item_fill(o, c, it, e);
        if (status == HF_OK)
            status = item_slices(s, it, e);
        if (status != HF_OK)
            return status;
    }
    char names[512];
    if (st->items > 0) {
        if (st->items < named)
            log_left_out(s, named - st->items, named, lacks);
        return HF_OK;
    }
    if (in_split == 0)
        return hf_fail(e, HF_INVALID, "%s: none of its %d cases is in %s", o->dataset,
                       (int)st->cases.count, split_names[o->split]);
    if (named == 0)
        return hf_fail(e, HF_INVALID, "%s: none of the %lld cases in %s is called %s", o->dataset,
                       (long long)in_split, split_names[o->split],
                       list(&o->cases, names, sizeof names));
    return fail_incomplete(o, &st->cases, named, split_names[o->split], e);
}

static enum hf_status start(struct hf_stage *s, struct hf_error *e) {
    const struct options *o = s->options;
    struct state *state = s->state;
    struct stat info;
    if (stat(o->dataset, &info) != 0)
        return hf_fail(e, HF_NOT_FOUND, "%s: %s; expected a manifest (cases.csv)", o->dataset,
                       errno == ENOENT ? "not there" : strerror(errno));
    if (S_ISDIR(info.st_mode))
        return hf_fail(e, HF_INVALID, "%s: a folder; expected a manifest, such as cases.csv in it",
                       o->dataset);
    void *text = NULL;
    size_t size = 0;
    if (info.st_size == 0)
        return hf_fail(e, HF_INVALID, "%s: the file is empty; expected a manifest of cases",
                       o->dataset);
    enum hf_status st = s->host->file_take(s->host, o->dataset, &text, &size, e);
    if (st != HF_OK)
        return st;
    st = hf_cases_parse(text, size, o->dataset, &state->cases, e);
    s->host->file_free(s->host, text);
    return st == HF_OK ? choose(s, e) : st;
}

static void stop(struct hf_stage *s) {
    struct state *state = s->state;
    for (int64_t i = 0; i < state->items; i++) {
        for (int f = 0; f < HF_CASE_FILES; f++) {
            free(state->item[i].header[f]);
            free(state->item[i].image[f]);
        }
        hf_slices_free(&state->item[i].slices);
    }
    free(state->item);
    state->item = NULL;
    state->items = 0;
    hf_cases_free(&state->cases);
}

static enum hf_status count(struct hf_stage *s, int64_t *ret_count, struct hf_error *e) {
    (void)e;
    *ret_count = ((const struct state *)s->state)->items;
    return HF_OK;
}

/** 1 if one file stands in both columns: 1 is liver, 2 is tumor. */
static int is_lits(const struct item *it) {
    const char *liver = it->c->path[HF_CASE_LIVER], *tumor = it->c->path[HF_CASE_TUMOR];
    return liver && tumor && strcmp(liver, tumor) == 0;
}

/** 1 if one file is read once for both fields. */
static int is_shared(const struct item *it) {
    return is_lits(it) && it->header[HF_CASE_LIVER] && it->header[HF_CASE_TUMOR];
}

static int32_t files(struct hf_stage *s, int64_t i, const char **paths, int32_t max) {
    const struct item *it = &((const struct state *)s->state)->item[i];
    int32_t n = 0;
    for (int f = 0; f < HF_CASE_FILES; f++) {
        if (f == HF_CASE_TUMOR && is_shared(it))
            continue;
        if (it->header[f] && n < max)
            paths[n++] = it->header[f];
        if (it->image[f] && n < max)
            paths[n++] = it->image[f];
    }
    return n;
}

/* ---- open: a case ---- */

/** An open file and the bytes under it. */
struct source {
    const struct hf_host *host;
    void *header, *image;
    struct hf_nifti nifti;
};

static void source_close(struct source *src) {
    hf_nifti_close(&src->nifti);
    if (src->header)
        src->host->file_free(src->host, src->header);
    if (src->image)
        src->host->file_free(src->host, src->image);
    src->header = src->image = NULL;
}

static enum hf_status source_open(const struct hf_stage *s, const struct item *it,
                                  enum hf_case_file f, struct source *src, struct hf_error *e) {
    size_t header_size = 0, image_size = 0;
    memset(src, 0, sizeof *src);
    src->host = s->host;
    enum hf_status st = s->host->file_take(s->host, it->header[f], &src->header, &header_size, e);
    if (st == HF_OK && it->image[f])
        st = s->host->file_take(s->host, it->image[f], &src->image, &image_size, e);
    if (st == HF_OK)
        st = hf_nifti_open(src->header, header_size, src->image, image_size, it->header[f],
                           &src->nifti, e);
    if (st != HF_OK) {
        source_close(src);
        return st;
    }
    if (src->nifti.owned) {
        /* What was inflated needs its file no more: give a CT's worth of memory back early. */
        s->host->file_free(s->host, src->header);
        src->header = NULL;
    }
    return HF_OK;
}

/** Logs notes on a file, or on the case where `path` is NULL, a line each. */
static void log_notes(const struct hf_stage *s, const struct item *it, const char *path,
                      const struct hf_notes *notes) {
    const char *at = notes->text;
    while (*at) {
        size_t n = strcspn(at, "\n");
        char line[1600];
        (void)snprintf(line, sizeof line, "case '%s': %s%s%.*s", it->c->name, path ? path : "",
                       path ? ": " : "", (int)n, at);
        s->host->log(s, HF_LOG_WARNING, line);
        at += n + (at[n] == '\n');
    }
}

/** A host tensor [1,D,H,W] of a grid. */
static enum hf_status grid_tensor(const struct hf_stage *s, const struct hf_grid *g,
                                  enum hf_dtype dtype, struct hf_tensor **ret, struct hf_error *e) {
    const int64_t shape[4] = {1, g->size[0], g->size[1], g->size[2]};
    return hf_tensor_new_host(s, dtype, 4, shape, ret, e);
}

static enum hf_status load_image(const struct hf_stage *s, const struct item *it,
                                 struct source *src, struct hf_tensor **ret, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *t = NULL;
    enum hf_status st = grid_tensor(s, &src->nifti.canonical, HF_F32, &t, e);
    if (st != HF_OK)
        return st;
    st = hf_nifti_read_f32(&src->nifti, (enum hf_nonfinite)o->nonfinite, (float)o->background,
                           HF_DATA(float, t), e);
    if (st != HF_OK) {
        s->host->tensor_unref(t);
        return st;
    }
    hf_check_image(&src->nifti, &src->nifti.notes);
    log_notes(s, it, src->nifti.name, &src->nifti.notes);
    *ret = t;
    return HF_OK;
}

/** Labels up to `max` on the image's grid: as they are, or brought there from their own. */
static enum hf_status load_labels(const struct hf_stage *s, const struct item *it,
                                  enum hf_case_file f, const struct hf_nifti *image, int32_t max,
                                  struct hf_tensor **ret, struct hf_error *e) {
    struct source src;
    struct hf_tensor *t = NULL;
    uint8_t *own = NULL;
    enum hf_status st = source_open(s, it, f, &src, e);
    if (st != HF_OK)
        return st;
    struct hf_nifti *n = &src.nifti;
    st = hf_check_label_grid(image, n, e);
    if (st == HF_OK)
        st = grid_tensor(s, &image->canonical, HF_U8, &t, e);
    if (st == HF_OK && hf_grid_same(&image->canonical, &n->canonical)) {
        st = hf_nifti_read_u8(n, max, HF_DATA(uint8_t, t), e);
    } else if (st == HF_OK) {
        own = malloc((size_t)hf_grid_count(&n->canonical));
        st = own ? hf_nifti_read_u8(n, max, own, e)
                 : hf_fail(e, HF_NO_MEMORY, "%s: no memory for its voxels", n->name);
        if (st == HF_OK)
            hf_grid_resample_u8(&n->canonical, own, &image->canonical, HF_DATA(uint8_t, t));
        free(own);
    }
    if (st == HF_OK)
        log_notes(s, it, n->name, &n->notes);
    source_close(&src);
    if (st == HF_OK)
        *ret = t;
    else if (t)
        s->host->tensor_unref(t);
    return st;
}

/** A second tensor with the same labels. */
static enum hf_status copy_labels(const struct hf_stage *s, const struct hf_grid *g,
                                  const struct hf_tensor *from, struct hf_tensor **ret,
                                  struct hf_error *e) {
    enum hf_status st = grid_tensor(s, g, HF_U8, ret, e);
    if (st == HF_OK)
        memcpy((*ret)->dl.data, from->dl.data, from->bytes);
    return st;
}

/** Values of the labels of a kind; an empty liver or map is an error, an empty tumor is health. */
static enum hf_status check_labels(const struct item *it, enum hf_case_file f,
                                   const struct hf_grid *g, struct hf_tensor *t,
                                   struct hf_error *e) {
    int64_t n = hf_grid_count(g), set = 0;
    uint8_t *v = HF_DATA(uint8_t, t);
    enum hf_status st = HF_OK;
    if (f == HF_CASE_COUINAUD) {
        for (int64_t i = 0; i < n; i++)
            set += v[i] != 0;
    } else {
        int lits = f == HF_CASE_LIVER || is_lits(it);
        st = hf_check_mask(v, n, lits, f == HF_CASE_TUMOR && is_lits(it), it->header[f], &set, e);
    }
    if (st == HF_OK && set == 0 && f != HF_CASE_TUMOR)
        st = hf_fail(e, HF_INVALID, "%s: no voxel of it is set on the image's grid; expected %s",
                     it->header[f], f == HF_CASE_LIVER ? "a liver" : "Couinaud segments 1 to 8");
    return st;
}

/** The labels of a case, in the order of the columns; those not there stay NULL. */
static enum hf_status load_all_labels(const struct hf_stage *s, const struct item *it,
                                      const struct hf_nifti *image,
                                      struct hf_tensor *t[HF_CASE_FILES], struct hf_error *e) {
    enum hf_status st = HF_OK;
    if (is_shared(it)) {
        st = load_labels(s, it, HF_CASE_LIVER, image, 255, &t[HF_CASE_LIVER], e);
        if (st == HF_OK)
            st = copy_labels(s, &image->canonical, t[HF_CASE_LIVER], &t[HF_CASE_TUMOR], e);
    }
    for (int f = HF_CASE_LIVER; f < HF_CASE_FILES && st == HF_OK; f++) {
        if (!it->header[f])
            continue;
        if (!t[f])
            st = load_labels(s, it, (enum hf_case_file)f, image, f == HF_CASE_COUINAUD ? 8 : 255,
                             &t[f], e);
        if (st == HF_OK)
            st = check_labels(it, (enum hf_case_file)f, &image->canonical, t[f], e);
        if (st != HF_OK)
            (void)hf_fail_in(e, "case '%s', field '%s'", it->c->name,
                             hf_case_file_name((enum hf_case_file)f));
    }
    return st;
}

/** The annotation: a row for the volume, or for each of its canonical slices. */
static enum hf_status load_annotation(const struct hf_stage *s, const struct item *it,
                                      const struct hf_nifti *image, struct hf_tensor **ret,
                                      struct hf_error *e) {
    int per_slice = it->c->slices != NULL;
    const int64_t shape[2] = {per_slice ? hf_grid_extent(&image->header.grid, 2) : 1, 9};
    struct hf_tensor *t = NULL;
    enum hf_status st = hf_tensor_new_host(s, HF_U8, 2, shape, &t, e);
    if (st != HF_OK)
        return st;
    if (per_slice)
        st = hf_slices_turn(&it->slices, it->c->slices, &image->header.grid, &image->turn,
                            HF_DATA(uint8_t, t), e);
    else
        memcpy(t->dl.data, it->c->segment, 9);
    if (st != HF_OK) {
        s->host->tensor_unref(t);
        return hf_fail_in(e, "case '%s', field 'annotation'", it->c->name);
    }
    *ret = t;
    return HF_OK;
}

/** Sets the fields; sample_set consumes each tensor, also when it fails. */
static enum hf_status set_fields(const struct hf_stage *s, struct hf_sample *sample,
                                 struct hf_tensor *t[HF_CASE_FILES], struct hf_tensor *annotation,
                                 struct hf_error *e) {
    enum hf_status st = HF_OK;
    const struct hf_host *h = s->host;
    struct hf_tensor *truth = t[HF_CASE_TUMOR];
    if (truth)
        h->tensor_ref(truth);
    for (int f = 0; f < HF_CASE_FILES; f++) {
        if (!t[f])
            continue;
        if (st == HF_OK)
            st = hf_sample_set(s, sample, hf_case_file_name((enum hf_case_file)f), t[f], e);
        else
            h->tensor_unref(t[f]);
        t[f] = NULL;
    }
    if (truth && st == HF_OK)
        st = h->sample_set(sample, "truth", HF_ON_CANONICAL, truth, e);
    else if (truth)
        h->tensor_unref(truth);
    if (st == HF_OK)
        st = h->sample_set(sample, "annotation", HF_ON_HOST, annotation, e);
    else
        h->tensor_unref(annotation);
    return st;
}

static enum hf_status open_case(struct hf_stage *s, int64_t i, struct hf_error *e) {
    const struct item *it = &((const struct state *)s->state)->item[i];
    struct hf_tensor *t[HF_CASE_FILES] = {NULL}, *annotation = NULL;
    struct hf_sample *sample = NULL;
    struct hf_notes notes = {0, ""};
    struct source src;
    enum hf_status st = source_open(s, it, HF_CASE_IMAGE, &src, e);
    if (st == HF_OK) {
        st = load_image(s, it, &src, &t[HF_CASE_IMAGE], e);
        /* The stored voxels are not needed any more; the grids are. */
        source_close(&src);
    }
    if (st != HF_OK)
        return hf_fail_in(e, "case '%s', field 'image'", it->c->name);
    const struct hf_nifti *image = &src.nifti;
    st = load_all_labels(s, it, image, t, e);
    if (st != HF_OK)
        goto fail;
    if (t[HF_CASE_LIVER]) {
        const uint8_t *liver = HF_DATA(uint8_t, t[HF_CASE_LIVER]);
        hf_check_side(&image->canonical, HF_DATA(float, t[HF_CASE_IMAGE]), liver, &notes);
        if (t[HF_CASE_COUINAUD])
            hf_check_agreement(&image->canonical, liver, HF_DATA(uint8_t, t[HF_CASE_COUINAUD]),
                               &notes);
    }
    st = load_annotation(s, it, image, &annotation, e);
    if (st != HF_OK)
        goto fail;
    if (t[HF_CASE_COUINAUD])
        hf_check_annotation(&image->canonical, HF_DATA(uint8_t, t[HF_CASE_COUINAUD]),
                            HF_DATA(uint8_t, annotation), annotation->shape[0], &notes);
    log_notes(s, it, NULL, &notes);
    st = s->host->sample_new(s->host, it->c->name, it->c->name, it->c->patient, &sample, e);
    if (st != HF_OK)
        goto fail;
    sample->grid = sample->canonical = image->canonical;
    sample->file = image->header.grid;
    st = set_fields(s, sample, t, annotation, e);
    if (st != HF_OK) {
        s->host->sample_unref(sample);
        return st;
    }
    return hf_emit(s, sample, e);
fail:
    for (int f = 0; f < HF_CASE_FILES; f++)
        s->host->tensor_unref(t[f]);
    s->host->tensor_unref(annotation);
    return st;
}

/* ---- the datasheet ---- */

#define OPTION(member, kind, text)                                                                 \
    .name = #member, .type = HF_OPTION_##kind, .offset = offsetof(struct options, member),         \
    .initial = (text)

/* clang-format off */
static const struct hf_option options[] = {
    {OPTION(dataset, PATH, NULL),
     .help = "The manifest of cases: a CSV file with a header line; its paths are relative to it."},
    {OPTION(split, ENUM, "all"), .choices = "train|test|all",
     .help = "The cases of which split; one patient in five is in `test` where none is given."},
    {OPTION(cases, NAMES, "[]"),
     .help = "Only cases of these names; `*` and `?` stand for anything. Empty: all."},
    {OPTION(require, NAMES, "[]"), .choices = "liver|couinaud|tumor|segments",
     .help = "Only cases for which the manifest has these; others are left out."},
    {OPTION(fields, NAMES, "[liver, couinaud, tumor]"), .choices = "liver|couinaud|tumor",
     .help = "The labels to read where a case has them."},
    {OPTION(nonfinite, ENUM, "refuse"), .choices = "refuse|clear",
     .help = "NaN or infinite voxels: refuse the image, or set them to `background`."},
    {OPTION(background, REAL, "-1024"), .unit = "HU", .min = -32768, .max = 32767,
     .help = "The value that cleared voxels get."},
    {.name = NULL},
};
/* clang-format on */

static const struct hf_stage_class load = {
    .name = "load",
    .help = "Reads the cases of a manifest: NIfTI images and labels, brought to one orientation "
            "and one grid.",
    .kind = HF_SOURCE,
    .options_size = sizeof(struct options),
    .options = options,
    .state_size = sizeof(struct state),
    .declare = declare,
    .start = start,
    .stop = stop,
    .count = count,
    .open = open_case,
    .files = files,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "load",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&load, NULL},
};
