/**
 * open.c - a case of `load`, as one sample: the image in its canonical orientation, and labels
 * brought onto its grid by world position.
 */
#include "check.h"
#include "load.h"

#include <stdlib.h>

/** 1 if one file stands in both columns: 1 is liver, 2 is tumor. */
static int is_lits(const struct load_item *it) {
    const char *liver = it->c->path[HF_CASE_LIVER], *tumor = it->c->path[HF_CASE_TUMOR];
    return liver && tumor && strcmp(liver, tumor) == 0;
}

int load_shared(const struct load_item *it) {
    return is_lits(it) && it->reads[HF_CASE_LIVER] && it->reads[HF_CASE_TUMOR];
}

/** The image of the case that is being opened. */
struct image {
    const struct hf_nifti *nifti; /* closed: its grids only */
    struct hf_grid stored;        /* as its header has it */
    struct hf_notes *doubts;      /* what cannot be right about the case's geometry */
};

/** An open file and the bytes under it. What is inflated is a tensor: memory of the device's pool
 *  takes what others have just let go. */
struct source {
    const struct hf_stage *stage;
    struct load_paths paths;
    void *header, *image;
    struct hf_tensor *content;
    struct hf_nifti_memory memory;
    struct hf_nifti nifti;
};

static void *content_take(void *arg, size_t size) {
    struct source *src = arg;
    const int64_t shape[1] = {(int64_t)size};
    if (hf_tensor_new_host(src->stage, HF_U8, 1, shape, &src->content, NULL) != HF_OK)
        return NULL;
    return src->content->dl.data;
}

static void content_give(void *arg, void *data) {
    struct source *src = arg;
    (void)data;
    src->stage->host->tensor_unref(src->content);
    src->content = NULL;
}

static void source_close(struct source *src) {
    const struct hf_host *host = src->stage->host;
    hf_nifti_close(&src->nifti);
    if (src->header)
        host->file_free(host, src->header);
    if (src->image)
        host->file_free(host, src->image);
    src->header = src->image = NULL;
}

static enum hf_status source_open(const struct hf_stage *s, const struct load_item *it,
                                  enum hf_case_file f, struct source *src, struct hf_error *e) {
    size_t header_size = 0, image_size = 0;
    memset(src, 0, sizeof *src);
    src->stage = s;
    src->memory = (struct hf_nifti_memory){content_take, content_give, src};
    const struct load_paths *paths = &src->paths;
    enum hf_status st = load_paths_of(s->options, it->c, f, &src->paths, e);
    if (st == HF_OK)
        st = s->host->file_take(s->host, paths->header, &src->header, &header_size, e);
    if (st == HF_OK && paths->image[0])
        st = s->host->file_take(s->host, paths->image, &src->image, &image_size, e);
    if (st == HF_OK)
        st = hf_nifti_open_into(&src->memory, src->header, header_size, src->image, image_size,
                                paths->header, &src->nifti, e);
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
static void log_notes(const struct hf_stage *s, const struct load_item *it, const char *path,
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

static enum hf_status load_image(const struct hf_stage *s, const struct load_item *it,
                                 struct source *src, struct hf_tensor **ret, struct hf_error *e) {
    const struct load_options *o = s->options;
    struct hf_tensor *t = NULL;
    enum hf_status st = grid_tensor(s, &src->nifti.canonical, HF_F32, &t, e);
    if (st != HF_OK)
        return st;
    st = hf_nifti_read_f32(&src->nifti, (enum hf_nonfinite)o->nonfinite, (float)o->fill,
                           HF_DATA(float, t), e);
    if (st != HF_OK) {
        s->host->tensor_unref(t);
        return st;
    }
    log_notes(s, it, src->nifti.name, &src->nifti.notes);
    *ret = t;
    return HF_OK;
}

enum hf_status load_grid_of(struct hf_stage *s, int64_t i, struct hf_grid *ret,
                            struct hf_error *e) {
    const struct load_item *it = &((const struct load_state *)s->state)->item[i];
    const struct hf_override *given = &it->c->geometry[HF_CASE_IMAGE];
    struct hf_nifti n;
    struct load_paths paths;
    enum hf_status st = load_paths_of(s->options, it->c, HF_CASE_IMAGE, &paths, e);
    if (st == HF_OK)
        st = hf_nifti_peek(paths.header, &n, e);
    if (st == HF_OK && hf_override_given(given)) {
        struct hf_grid grid = n.header.grid;
        hf_override_apply(given, &grid);
        hf_nifti_regrid(&n, &grid);
    }
    if (st == HF_OK)
        *ret = n.canonical;
    return st;
}

/** Overrides the geometry of a file as the case asks for it, and says so. */
static void override(const struct hf_stage *s, const struct load_item *it, enum hf_case_file f,
                     const struct image *image, struct hf_nifti *n) {
    const struct hf_override *own = &it->c->geometry[f];
    const struct hf_override *all = &it->c->geometry[HF_CASE_IMAGE];
    struct hf_grid grid = n->header.grid;
    char text[128], line[LOAD_PATH_BYTES + 256];
    if (f != HF_CASE_IMAGE && hf_override_given(own))
        hf_override_apply_label(own, &image->nifti->header.grid, &grid);
    else if (hf_override_given(all) &&
             (f == HF_CASE_IMAGE || hf_grid_same(&image->stored, &n->header.grid)))
        hf_override_apply(own = all, &grid);
    else
        return;
    hf_nifti_regrid(n, &grid);
    hf_override_text(own, text, sizeof text);
    (void)snprintf(line, sizeof line, "case '%s': %s: geometry overridden: %s", it->c->name,
                   n->name, text);
    s->host->log(s, HF_LOG_INFO, line);
}

/** Labels up to `max` on the image's grid: as they are, or brought there from their own. */
static enum hf_status load_labels(const struct hf_stage *s, const struct load_item *it,
                                  enum hf_case_file f, const struct image *on, int32_t max,
                                  struct hf_tensor **ret, struct hf_error *e) {
    const struct hf_nifti *image = on->nifti;
    struct source src;
    struct hf_tensor *t = NULL;
    uint8_t *own = NULL;
    enum hf_status st = source_open(s, it, f, &src, e);
    if (st != HF_OK)
        return st;
    struct hf_nifti *n = &src.nifti;
    override(s, it, f, on, n);
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
        if (st == HF_OK && f != HF_CASE_TUMOR)
            hf_check_inside(&n->canonical, own, &image->canonical, HF_DATA(uint8_t, t), n->name,
                            on->doubts);
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
static enum hf_status check_labels(const struct hf_stage *s, const struct load_item *it,
                                   enum hf_case_file f, const struct hf_grid *g,
                                   struct hf_tensor *t, struct hf_error *e) {
    const struct hf_values *values = &((const struct load_state *)s->state)->cases.values[f];
    int64_t n = hf_grid_count(g), set = 0;
    uint8_t *v = HF_DATA(uint8_t, t);
    enum hf_status st = HF_OK;
    if (values->given) {
        st = hf_check_values(v, n, values, it->c->path[f], &set, e);
    } else if (f == HF_CASE_COUINAUD) {
        for (int64_t i = 0; i < n; i++)
            set += v[i] != 0;
    } else {
        int lits = f == HF_CASE_LIVER || is_lits(it);
        st = hf_check_mask(v, n, lits, f == HF_CASE_TUMOR && is_lits(it), it->c->path[f], &set, e);
    }
    if (st == HF_OK && set == 0 && f != HF_CASE_TUMOR)
        st = hf_fail(e, HF_INVALID, "%s: no voxel of it is set on the image's grid; expected %s",
                     it->c->path[f], f == HF_CASE_LIVER ? "a liver" : "Couinaud segments 1 to 8");
    return st;
}

/** The labels of a case, in the order of the columns; those not there stay NULL. */
static enum hf_status load_all_labels(const struct hf_stage *s, const struct load_item *it,
                                      const struct image *image, struct hf_tensor *t[HF_CASE_FILES],
                                      struct hf_error *e) {
    const struct hf_values *values = ((const struct load_state *)s->state)->cases.values;
    const struct hf_grid *grid = &image->nifti->canonical;
    enum hf_status st = HF_OK;
    if (load_shared(it)) {
        st = load_labels(s, it, HF_CASE_LIVER, image, 255, &t[HF_CASE_LIVER], e);
        if (st == HF_OK)
            st = copy_labels(s, grid, t[HF_CASE_LIVER], &t[HF_CASE_TUMOR], e);
    }
    for (int f = HF_CASE_LIVER; f < HF_CASE_FILES && st == HF_OK; f++) {
        if (!it->reads[f])
            continue;
        if (!t[f])
            st = load_labels(s, it, (enum hf_case_file)f, image,
                             f == HF_CASE_COUINAUD && !values[f].given ? 8 : 255, &t[f], e);
        if (st == HF_OK)
            st = check_labels(s, it, (enum hf_case_file)f, grid, t[f], e);
        if (st != HF_OK)
            (void)hf_fail_in(e, "case '%s', field '%s'", it->c->name,
                             hf_case_file_name((enum hf_case_file)f));
    }
    return st;
}

/** The annotation: a row for the volume, or for each of its canonical slices. */
static enum hf_status load_annotation(const struct hf_stage *s, const struct load_item *it,
                                      const struct hf_nifti *image, struct hf_tensor **ret,
                                      struct hf_error *e) {
    int per_slice = it->c->slices != NULL;
    const int64_t shape[2] = {per_slice ? hf_grid_extent(&image->header.grid, 2) : 1, 9};
    struct hf_tensor *t = NULL;
    enum hf_status st = hf_tensor_new_host(s, HF_U8, 2, shape, &t, e);
    if (st != HF_OK)
        return st;
    struct hf_slices slices = {0, NULL};
    if (per_slice)
        st = load_slices_of(s, it->c, &slices, e);
    if (per_slice && st == HF_OK)
        st = hf_slices_turn(&slices, it->c->slices, &image->header.grid, &image->turn,
                            HF_DATA(uint8_t, t), e);
    else if (!per_slice)
        memcpy(t->dl.data, it->c->segment, 9);
    hf_slices_free(&slices);
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

/** Doubts about the geometry, from what lies where; they end the case if the options say so. */
static enum hf_status check_case(const struct hf_stage *s, const struct load_item *it,
                                 const struct hf_grid *grid,
                                 struct hf_tensor *const t[HF_CASE_FILES], struct hf_notes *doubts,
                                 struct hf_error *e) {
    const struct load_options *o = s->options;
    const float *image = HF_DATA(float, t[HF_CASE_IMAGE]);
    const uint8_t *liver = t[HF_CASE_LIVER] ? HF_DATA(uint8_t, t[HF_CASE_LIVER]) : NULL;
    const uint8_t *couinaud = t[HF_CASE_COUINAUD] ? HF_DATA(uint8_t, t[HF_CASE_COUINAUD]) : NULL;
    if (liver) {
        hf_check_side(grid, image, liver, doubts);
        hf_check_tissue(grid, image, liver, doubts);
    }
    if (couinaud)
        hf_check_order(grid, couinaud, doubts);
    if (liver && couinaud)
        hf_check_agreement(grid, liver, couinaud, doubts);
    if (o->geometry == GEOMETRY_REFUSE && doubts->used > 0)
        return hf_fail(e, HF_INVALID,
                       "case '%s': %.*s (geometry: warn lets it pass; `overrides` corrects it)",
                       it->c->name, (int)strcspn(doubts->text, "\n"), doubts->text);
    log_notes(s, it, NULL, doubts);
    return HF_OK;
}

enum hf_status load_open(struct hf_stage *s, int64_t i, struct hf_error *e) {
    const struct load_item *it = &((const struct load_state *)s->state)->item[i];
    struct hf_tensor *t[HF_CASE_FILES] = {NULL}, *annotation = NULL;
    struct hf_sample *sample = NULL;
    struct hf_notes notes = {0, ""}, doubts = {0, ""};
    struct image on = {.doubts = &doubts};
    struct source src;
    enum hf_status st = source_open(s, it, HF_CASE_IMAGE, &src, e);
    if (st == HF_OK) {
        on.stored = src.nifti.header.grid;
        on.nifti = &src.nifti;
        override(s, it, HF_CASE_IMAGE, &on, &src.nifti);
        hf_check_image(&src.nifti, &doubts);
        st = load_image(s, it, &src, &t[HF_CASE_IMAGE], e);
        /* The stored voxels are not needed any more; the grids are. */
        source_close(&src);
    }
    if (st != HF_OK)
        return hf_fail_in(e, "case '%s', field 'image'", it->c->name);
    const struct hf_nifti *image = &src.nifti;
    st = load_all_labels(s, it, &on, t, e);
    if (st == HF_OK)
        st = check_case(s, it, &image->canonical, t, &doubts, e);
    if (st == HF_OK)
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
