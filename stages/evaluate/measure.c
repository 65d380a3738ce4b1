/**
 * measure.c - one case: brings the prediction onto the truth's grid and measures it there.
 */
#include <math.h>
#include <stdlib.h>

#include "../geometry/geometry.h"
#include "evaluate.h"

/* A range of voxels along D, H, W. */
struct box {
    int64_t low[3], high[3];
};

static const struct box nothing = {{INT64_MAX, INT64_MAX, INT64_MAX}, {-1, -1, -1}};

static void box_join(struct box *b, const int64_t low[3], const int64_t high[3]) {
    for (int a = 0; a < 3; a++) {
        b->low[a] = low[a] < b->low[a] ? low[a] : b->low[a];
        b->high[a] = high[a] > b->high[a] ? high[a] : b->high[a];
    }
}

static int64_t box_count(const struct box *b) {
    int64_t n = 1;
    for (int a = 0; a < 3; a++)
        n *= b->high[a] < b->low[a] ? 0 : b->high[a] - b->low[a] + 1;
    return n;
}

/** Joins the box of the nonzero voxels. */
static void box_join_mask(struct box *b, const uint8_t *mask, const int64_t size[3]) {
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0; h < size[1]; h++) {
            const uint8_t *row = mask + (d * size[1] + h) * size[2];
            int64_t first = 0, last = size[2] - 1;
            while (first < size[2] && !row[first])
                first++;
            if (first == size[2])
                continue;
            while (!row[last])
                last--;
            box_join(b, (int64_t[3]){d, h, first}, (int64_t[3]){d, h, last});
        }
}

/** Joins what the voxels of another grid cover. */
static void box_join_grid(struct box *b, const struct hf_grid *of, const struct hf_grid *g) {
    double map[3][4];
    geometry_map(g, of, map);
    int64_t low[3], high[3];
    for (int a = 0; a < 3; a++) {
        double least = INFINITY, most = -INFINITY, end = (double)(of->size[a] - 1);
        for (int corner = 0; corner < 8; corner++) {
            double at = map[2 - a][3];
            for (int c = 0; c < 3; c++)
                at += map[2 - a][c] * (corner >> c & 1 ? (double)g->size[2 - c] - 0.5 : -0.5);
            least = fmin(least, at);
            most = fmax(most, at);
        }
        low[a] = (int64_t)fmin(fmax(floor(least), 0), end);
        high[a] = (int64_t)fmin(fmax(ceil(most), 0), end);
    }
    box_join(b, low, high);
}

static enum hf_status host_mask(const struct hf_stage *s, const int64_t size[3],
                                struct hf_tensor **ret, struct hf_error *e) {
    const int64_t shape[4] = {1, size[0], size[1], size[2]};
    return hf_tensor_new_host(s, HF_U8, 4, shape, ret, e);
}

/** The part of a mask that lies in a box, as zeros and ones. */
static enum hf_status crop(const struct hf_stage *s, const uint8_t *mask, const int64_t size[3],
                           const struct box *b, struct hf_tensor **ret, struct hf_error *e) {
    int64_t part[3], i = 0;
    for (int a = 0; a < 3; a++)
        part[a] = b->high[a] - b->low[a] + 1;
    enum hf_status st = host_mask(s, part, ret, e);
    if (st != HF_OK)
        return st;
    uint8_t *to = HF_DATA(uint8_t, *ret);
    for (int64_t d = b->low[0]; d <= b->high[0]; d++)
        for (int64_t h = b->low[1]; h <= b->high[1]; h++)
            for (int64_t w = b->low[2]; w <= b->high[2]; w++)
                to[i++] = mask[(d * size[1] + h) * size[2] + w] != 0;
    return HF_OK;
}

/** Puts such a part back. */
static void paste(const uint8_t *part, const struct box *b, const int64_t size[3], uint8_t *ret) {
    for (int64_t d = b->low[0]; d <= b->high[0]; d++)
        for (int64_t h = b->low[1]; h <= b->high[1]; h++)
            for (int64_t w = b->low[2]; w <= b->high[2]; w++)
                ret[(d * size[1] + h) * size[2] + w] = *part++;
}

/* ---- onto the truth's grid ---- */

/** A field of the sample's grid on another grid, in host memory. */
static enum hf_status bring(const struct hf_stage *s, const struct hf_sample *in, const char *field,
                            const struct hf_grid *to, struct hf_tensor **ret, struct hf_error *e) {
    struct hf_tensor *from = hf_sample_get(in, field), *there = NULL;
    if (!from)
        return hf_fail(e, HF_INVALID, "there is no '%s'", field);
    if ((from->dtype != HF_U8 && from->dtype != HF_F32) || from->dl.ndim != 4 ||
        from->shape[0] != 1)
        return hf_fail(e, HF_INVALID, "field '%s' must be u8 or f32 [1,D,H,W] to be evaluated",
                       field);
    struct hf_resample_params params = {.mode = HF_RESAMPLE_LINEAR,
                                        .fill = from->dtype == HF_F32 ? NAN : 0};
    geometry_map(to, &in->grid, params.matrix);
    const int64_t shape[4] = {1, to->size[0], to->size[1], to->size[2]};
    enum hf_status st = hf_tensor_new(s, from->dtype, 4, shape, &there, e);
    struct hf_op_call call = {.in = {from},
                              .out = {there},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    if (st == HF_OK)
        st = hf_launch(s, "resample", &call, e);
    if (st == HF_OK)
        st = hf_tensor_read(s, there, ret, e);
    s->host->tensor_unref(there);
    return st;
}

/** Clears what a mask field of the sample leaves out; *mask is made, all set, where it is NULL. */
static enum hf_status narrow(const struct hf_stage *s, const struct hf_sample *in,
                             const char *field, const struct hf_grid *to, uint8_t **mask,
                             struct hf_error *e) {
    struct hf_tensor *t = NULL;
    enum hf_status st = bring(s, in, field, to, &t, e);
    if (st != HF_OK)
        return st;
    int64_t n = hf_tensor_count(t);
    if (t->dtype != HF_U8) {
        s->host->tensor_unref(t);
        return hf_fail(e, HF_INVALID, "field '%s' is no u8 mask", field);
    }
    if (!*mask) {
        *mask = malloc((size_t)n);
        if (*mask)
            memset(*mask, 1, (size_t)n);
    }
    for (int64_t i = 0; *mask && i < n; i++)
        (*mask)[i] = (*mask)[i] && HF_DATA(uint8_t, t)[i];
    s->host->tensor_unref(t);
    return *mask ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory for a mask of '%s'", in->id);
}

enum hf_status view_open(const struct hf_stage *s, const struct hf_sample *in, struct view *ret,
                         struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    const struct hf_field *f = hf_sample_find(in, o->truth);
    const struct hf_grid *g = f->place == HF_ON_CANONICAL ? &in->canonical : &in->grid;
    struct view v = {.truth = NULL};
    struct hf_tensor *truth = NULL;
    struct box b = nothing;
    enum hf_status st = hf_tensor_read(s, f->tensor, &truth, e);
    if (st != HF_OK)
        return st;
    box_join_mask(&b, HF_DATA(uint8_t, truth), g->size);
    box_join_grid(&b, g, &in->grid);
    double low[3], step[3] = {1, 1, 1};
    int64_t size[3];
    for (int a = 0; a < 3; a++) {
        low[a] = (double)b.low[2 - a];
        size[a] = b.high[a] - b.low[a] + 1;
    }
    geometry_regrid(g, low, step, size, &v.grid);
    st = crop(s, HF_DATA(uint8_t, truth), g->size, &b, &v.truth, e);
    s->host->tensor_unref(truth);
    if (st == HF_OK)
        st = bring(s, in, o->field, &v.grid, &v.values, e);
    for (int32_t k = 0; st == HF_OK && k < o->gate.count; k++)
        st = narrow(s, in, o->gate.name[k], &v.grid, &v.gate, e);
    if (st == HF_OK && o->liver && hf_sample_get(in, o->liver))
        st = narrow(s, in, o->liver, &v.grid, &v.liver, e);
    if (st == HF_OK)
        *ret = v;
    else
        view_close(s, &v);
    return st;
}

void view_close(const struct hf_stage *s, struct view *v) {
    s->host->tensor_unref(v->truth);
    s->host->tensor_unref(v->values);
    free(v->gate);
    free(v->liver);
    *v = (struct view){.truth = NULL};
}

/* ---- ops on host masks ---- */

/** Runs an op from a host mask to a volume of a dtype, and to a count where the op makes one. */
static enum hf_status volume_op(const struct hf_stage *s, const char *op, struct hf_tensor *mask,
                                enum hf_dtype dtype, const void *params, size_t params_size,
                                struct hf_tensor **ret, struct hf_tensor **ret_count,
                                struct hf_error *e) {
    const struct hf_host *h = s->host;
    struct hf_tensor *there = NULL, *out[2] = {NULL, NULL};
    const int64_t one[1] = {1};
    enum hf_status st = h->tensor_to(h, mask, s->device, s->queue, &there, e);
    if (st == HF_OK)
        st = hf_tensor_new(s, dtype, 4, mask->shape, &out[0], e);
    if (st == HF_OK && ret_count)
        st = hf_tensor_new(s, HF_I32, 1, one, &out[1], e);
    struct hf_op_call call = {.in = {there},
                              .out = {out[0], out[1]},
                              .inputs = 1,
                              .outputs = ret_count ? 2 : 1,
                              .params = params,
                              .params_size = params_size};
    if (st == HF_OK)
        st = hf_launch(s, op, &call, e);
    if (st == HF_OK)
        st = hf_tensor_read(s, out[0], ret, e);
    if (st == HF_OK && ret_count) {
        st = hf_tensor_read(s, out[1], ret_count, e);
        if (st != HF_OK)
            h->tensor_unref(*ret);
    }
    struct hf_tensor *const mine[3] = {there, out[0], out[1]};
    for (int i = 0; i < 3; i++)
        h->tensor_unref(mine[i]);
    return st;
}

enum hf_status view_components(const struct hf_stage *s, struct hf_tensor *mask,
                               struct hf_tensor **ret_labels, int32_t *ret_count,
                               struct hf_error *e) {
    struct hf_components_params params = {6};
    struct hf_tensor *count = NULL;
    enum hf_status st =
        volume_op(s, "components", mask, HF_I32, &params, sizeof params, ret_labels, &count, e);
    if (st == HF_OK) {
        *ret_count = HF_DATA(int32_t, count)[0];
        s->host->tensor_unref(count);
    }
    return st;
}

/** The surface of a mask and the distance to it: new references, also to what a failure leaves. */
static enum hf_status surface(const struct hf_stage *s, const struct hf_tensor *mask,
                              const double spacing[3], struct hf_tensor *ret[2],
                              struct hf_error *e) {
    struct hf_distance_params params = {{spacing[0], spacing[1], spacing[2]}};
    enum hf_status st = host_mask(s, mask->shape + 1, &ret[0], e);
    if (st != HF_OK)
        return st;
    metrics_surface(HF_DATA(uint8_t, mask), mask->shape + 1, HF_DATA(uint8_t, ret[0]));
    return volume_op(s, "distance", ret[0], HF_F32, &params, sizeof params, &ret[1], NULL, e);
}

/* ---- measuring ---- */

/** The predicted mask on the view's grid. */
static uint8_t *predicted_new(const struct hf_stage *s, const struct view *v) {
    const struct evaluate_options *o = s->options;
    int64_t n = hf_tensor_count(v->truth);
    uint8_t *mask = malloc((size_t)n);
    if (!mask)
        return NULL;
    if (v->values->dtype == HF_F32)
        for (int64_t i = 0; i < n; i++)
            mask[i] = HF_DATA(float, v->values)[i] >= (float)o->threshold;
    else
        for (int64_t i = 0; i < n; i++)
            mask[i] = HF_DATA(uint8_t, v->values)[i] != 0;
    for (int64_t i = 0; v->gate && i < n; i++)
        mask[i] = mask[i] && v->gate[i];
    return mask;
}

/** Clears components below the minimum volume; *ret_changed says whether there were any. */
static enum hf_status clear_small(const struct hf_stage *s, struct hf_tensor *mask,
                                  const struct hf_tensor *labels, int32_t count, double voxel,
                                  int *ret_changed, struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    int64_t n = hf_tensor_count(mask), *size = calloc((size_t)count + 1, sizeof *size);
    const int32_t *label = HF_DATA(int32_t, labels);
    if (!size)
        return hf_fail(e, HF_NO_MEMORY, "no memory for %d components", (int)count);
    for (int64_t i = 0; i < n; i++)
        size[label[i]]++;
    *ret_changed = 0;
    for (int64_t i = 0; i < n; i++)
        if (label[i] && (double)size[label[i]] * voxel * 1000 < o->min_volume) {
            HF_DATA(uint8_t, mask)[i] = 0;
            *ret_changed = 1;
        }
    free(size);
    return HF_OK;
}

/** Distances between the surfaces of two masks of one size. */
static enum hf_status measure_surfaces(const struct hf_stage *s, const double spacing[3],
                                       const struct hf_tensor *truth,
                                       const struct hf_tensor *predicted,
                                       struct metrics_surfaces *ret, struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    struct hf_tensor *t[2] = {NULL, NULL}, *p[2] = {NULL, NULL};
    enum hf_status st = surface(s, truth, spacing, t, e);
    if (st == HF_OK)
        st = surface(s, predicted, spacing, p, e);
    if (st == HF_OK)
        st = metrics_distances(HF_DATA(uint8_t, t[0]), HF_DATA(float, t[1]), HF_DATA(uint8_t, p[0]),
                               HF_DATA(float, p[1]), hf_tensor_count(truth), o->tolerance, ret, e);
    struct hf_tensor *const mine[4] = {t[0], t[1], p[0], p[1]};
    for (int i = 0; i < 4; i++)
        s->host->tensor_unref(mine[i]);
    return st;
}

/* ---- lesion by lesion ---- */

/* The components of a mask, and the matching pair that each is in (0: none). */
struct parts {
    struct hf_tensor *labels;
    int32_t count;
    int32_t *pair; /* [count + 1] */
};

static void parts_free(const struct hf_stage *s, struct parts *p) {
    s->host->tensor_unref(p->labels);
    free(p->pair);
}

static enum hf_status parts_find(const struct hf_stage *s, struct hf_tensor *mask,
                                 struct parts *ret, struct hf_error *e) {
    struct parts p = {NULL, 0, NULL};
    enum hf_status st = view_components(s, mask, &p.labels, &p.count, e);
    if (st != HF_OK)
        return st;
    p.pair = calloc((size_t)p.count + 1, sizeof *p.pair);
    *ret = p;
    return p.pair ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory for %d components", (int)p.count);
}

/** The voxels of a pair inside a box. */
static enum hf_status pair_mask(const struct hf_stage *s, const struct parts *p, int32_t pair,
                                const struct box *b, struct hf_tensor **ret, struct hf_error *e) {
    const int64_t *size = p->labels->shape + 1;
    const int32_t *label = HF_DATA(int32_t, p->labels);
    int64_t part[3], i = 0;
    for (int a = 0; a < 3; a++)
        part[a] = b->high[a] - b->low[a] + 1;
    enum hf_status st = host_mask(s, part, ret, e);
    if (st != HF_OK)
        return st;
    uint8_t *to = HF_DATA(uint8_t, *ret);
    for (int64_t d = b->low[0]; d <= b->high[0]; d++)
        for (int64_t h = b->low[1]; h <= b->high[1]; h++)
            for (int64_t w = b->low[2]; w <= b->high[2]; w++)
                to[i++] = p->pair[label[(d * size[1] + h) * size[2] + w]] == pair;
    return HF_OK;
}

static enum hf_status measure_pair(const struct hf_stage *s, const struct parts *truth,
                                   const struct parts *predicted, int32_t pair, const struct box *b,
                                   const double spacing[3], struct lesion_score *ret,
                                   struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    struct hf_tensor *t = NULL, *p = NULL;
    struct lesion_score score = {.surfaces = metrics_no_surfaces()};
    for (int32_t i = 1; i <= truth->count; i++)
        score.truth += truth->pair[i] == pair;
    for (int32_t i = 1; i <= predicted->count; i++)
        score.predicted += predicted->pair[i] == pair;
    enum hf_status st = pair_mask(s, truth, pair, b, &t, e);
    if (st == HF_OK)
        st = pair_mask(s, predicted, pair, b, &p, e);
    if (st == HF_OK)
        score.overlap = metrics_count(HF_DATA(uint8_t, t), HF_DATA(uint8_t, p), hf_tensor_count(t));
    if (st == HF_OK && o->surfaces)
        st = measure_surfaces(s, spacing, t, p, &score.surfaces, e);
    s->host->tensor_unref(t);
    s->host->tensor_unref(p);
    *ret = score;
    return st;
}

/** The boxes of all pairs: of pair t at t. */
static void pair_boxes(const struct parts *p, struct box *box) {
    const int64_t *size = p->labels->shape + 1;
    const int32_t *label = HF_DATA(int32_t, p->labels);
    int64_t at[3];
    for (at[0] = 0; at[0] < size[0]; at[0]++)
        for (at[1] = 0; at[1] < size[1]; at[1]++)
            for (at[2] = 0; at[2] < size[2]; at[2]++) {
                int32_t pair = p->pair[*label++];
                if (pair)
                    box_join(&box[pair], at, at);
            }
}

static enum hf_status measure_pairs(const struct hf_stage *s, const struct parts *truth,
                                    const struct parts *predicted, const double spacing[3],
                                    struct score *ret, struct hf_error *e) {
    size_t room = (size_t)truth->count + 1;
    struct box *box = malloc(room * sizeof *box);
    ret->lesion = calloc(room, sizeof *ret->lesion);
    if (!box || !ret->lesion) {
        free(box);
        return hf_fail(e, HF_NO_MEMORY, "no memory for %d lesions", (int)truth->count);
    }
    for (size_t i = 0; i < room; i++)
        box[i] = nothing;
    pair_boxes(truth, box);
    pair_boxes(predicted, box);
    enum hf_status st = HF_OK;
    for (int32_t t = 1; st == HF_OK && t <= truth->count; t++)
        if (truth->pair[t] == t)
            st = measure_pair(s, truth, predicted, t, &box[t], spacing,
                              &ret->lesion[ret->lesion_count++], e);
    free(box);
    return st;
}

static enum hf_status measure_lesions(const struct hf_stage *s, struct hf_tensor *truth,
                                      struct hf_tensor *predicted, const double spacing[3],
                                      struct score *ret, struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    struct parts t = {NULL, 0, NULL}, p = {NULL, 0, NULL};
    int again = 0;
    enum hf_status st = parts_find(s, truth, &t, e);
    if (st == HF_OK)
        st = parts_find(s, predicted, &p, e);
    if (st == HF_OK && o->min_volume > 0)
        st = clear_small(s, predicted, p.labels, p.count, ret->voxel, &again, e);
    if (st == HF_OK && again) {
        parts_free(s, &p);
        p = (struct parts){NULL, 0, NULL};
        st = parts_find(s, predicted, &p, e);
    }
    if (st == HF_OK)
        st = metrics_match(HF_DATA(int32_t, t.labels), t.count, HF_DATA(int32_t, p.labels), p.count,
                           hf_tensor_count(truth), &ret->lesions, t.pair, p.pair, e);
    if (st == HF_OK)
        st = measure_pairs(s, &t, &p, spacing, ret, e);
    parts_free(s, &t);
    parts_free(s, &p);
    return st;
}

/* ---- one case ---- */

/** Tumor by liver, with the liver mask and all tumor taken for liver; NaN without any. */
static double burden(const uint8_t *liver, const uint8_t *tumor, int64_t n) {
    int64_t all = 0, part = 0;
    for (int64_t i = 0; i < n; i++) {
        all += liver[i] || tumor[i];
        part += tumor[i] != 0;
    }
    return all > 0 ? (double)part / (double)all : NAN;
}

/** What is measured in the box that holds any tumor; clears small predictions. */
static enum hf_status measure_box(const struct hf_stage *s, const struct view *v,
                                  const struct box *b, uint8_t *mask, struct score *ret,
                                  struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    struct hf_tensor *truth = NULL, *predicted = NULL;
    double spacing[3];
    geometry_spacing(&v->grid, spacing);
    enum hf_status st = crop(s, HF_DATA(uint8_t, v->truth), v->grid.size, b, &truth, e);
    if (st == HF_OK)
        st = crop(s, mask, v->grid.size, b, &predicted, e);
    if (st == HF_OK)
        st = measure_lesions(s, truth, predicted, spacing, ret, e);
    if (st == HF_OK) {
        ret->overlap = metrics_count(HF_DATA(uint8_t, truth), HF_DATA(uint8_t, predicted),
                                     hf_tensor_count(truth));
        paste(HF_DATA(uint8_t, predicted), b, v->grid.size, mask);
    }
    if (st == HF_OK && o->surfaces)
        st = measure_surfaces(s, spacing, truth, predicted, &ret->surfaces, e);
    s->host->tensor_unref(truth);
    s->host->tensor_unref(predicted);
    return st;
}

enum hf_status measure(const struct hf_stage *s, const struct view *v, struct score *ret,
                       struct hf_error *e) {
    struct box b = nothing;
    int64_t n = hf_tensor_count(v->truth);
    enum hf_status st = HF_OK;
    ret->voxel = geometry_volume(&v->grid);
    uint8_t *mask = predicted_new(s, v);
    if (!mask)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the predicted mask");
    /* All but the liver happens in the small box that holds any tumor. */
    box_join_mask(&b, HF_DATA(uint8_t, v->truth), v->grid.size);
    box_join_mask(&b, mask, v->grid.size);
    if (box_count(&b) > 0)
        st = measure_box(s, v, &b, mask, ret, e);
    if (st == HF_OK && v->liver) {
        ret->burden_truth = burden(v->liver, HF_DATA(uint8_t, v->truth), n);
        ret->burden_predicted = burden(v->liver, mask, n);
    }
    free(mask);
    return st;
}
