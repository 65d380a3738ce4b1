/**
 * blur.c - "blur": a separable Gaussian, optionally over the voxels of a mask alone.
 *
 * Each axis is a pass in place over bundles of rows: the bundle's rows are copied aside, then every
 * row becomes a weighted sum of its neighbours. Without a mask a pass divides by the part of the
 * kernel that lies inside; with one, image times mask and mask are blurred alike and divided at the
 * end.
 */
#include <string.h>

#include "../../ops/blur_elem.h"
#include "../../ops/check.h"
#include "../../ops/pieces.h"
#include "ops.h"

struct work {
    int64_t size[3]; /* D, H, W */
    float *share;    /* blurred mask, a volume; NULL without a mask */
    float *rows;     /* a bundle: max(D, H) rows of W, or one row padded */
    float *kernel;   /* entries 0..radius */
};

static size_t layout(const struct hf_op_call *call, struct work *w, void *scratch) {
    const struct hf_blur_params *params = call->params;
    struct pieces mem = {scratch, 0};
    int64_t radius = 0;
    for (int a = 0; a < 3; a++) {
        w->size[a] = call->in[0]->shape[1 + a];
        if (blur_radius(params->sigma[a]) > radius)
            radius = blur_radius(params->sigma[a]);
    }
    int64_t longest = w->size[0] > w->size[1] ? w->size[0] : w->size[1];
    int64_t volume = w->size[0] * w->size[1] * w->size[2];
    w->share = call->inputs > 1 ? piece(&mem, (size_t)volume * sizeof(float)) : NULL;
    w->rows = piece(&mem, (size_t)(longest * w->size[2]) * sizeof(float));
    w->kernel = piece(&mem, (size_t)(radius + 1) * sizeof(float));
    return mem.used;
}

static void row_add(float *restrict to, const float *restrict from, int64_t n, float weight) {
    for (int64_t i = 0; i < n; i++)
        to[i] += weight * from[i];
}

static void row_scale(float *row, int64_t n, float factor) {
    for (int64_t i = 0; i < n; i++)
        row[i] *= factor;
}

/** n rows of `width` voxels, `step` apart: each becomes the weighted sum of its neighbours. */
static void pass_rows(const struct work *w, float *data, int64_t n, int64_t step, int64_t width,
                      int64_t radius, int normalise) {
    for (int64_t i = 0; i < n; i++)
        memcpy(w->rows + i * width, data + i * step, (size_t)width * sizeof *data);
    for (int64_t i = 0; i < n; i++) {
        float *row = data + i * step;
        memset(row, 0, (size_t)width * sizeof *row);
        for (int64_t k = i < radius ? -i : -radius; k <= radius && i + k < n; k++)
            row_add(row, w->rows + (i + k) * width, width, w->kernel[k < 0 ? -k : k]);
        if (normalise)
            row_scale(row, width, 1.0f / blur_inside(w->kernel, radius, i, n));
    }
}

/** The same along one row: the row is shifted against itself. */
static void pass_along(const struct work *w, float *row, int64_t n, int64_t radius, int normalise) {
    memcpy(w->rows, row, (size_t)n * sizeof *row);
    memset(row, 0, (size_t)n * sizeof *row);
    int64_t reach = radius < n ? radius : n - 1;
    for (int64_t k = -reach; k <= reach; k++) {
        int64_t first = k < 0 ? -k : 0, last = k > 0 ? n - k : n;
        row_add(row + first, w->rows + first + k, last - first, w->kernel[k < 0 ? -k : k]);
    }
    for (int64_t i = 0; normalise && i < n; i++)
        row[i] *= 1.0f / blur_inside(w->kernel, radius, i, n);
}

static void blur_volume(const struct work *w, float *v, const float sigma[3], int normalise) {
    int64_t depth = w->size[0], height = w->size[1], width = w->size[2];
    for (int axis = 2; axis >= 0; axis--) {
        int64_t radius = blur_radius(sigma[axis]);
        if (radius == 0)
            continue;
        for (int64_t k = 0; k <= radius; k++)
            w->kernel[k] = blur_entry(sigma[axis], k);
        if (axis == 2)
            for (int64_t i = 0; i < depth * height; i++)
                pass_along(w, v + i * width, width, radius, normalise);
        else if (axis == 1)
            for (int64_t d = 0; d < depth; d++)
                pass_rows(w, v + d * height * width, height, width, width, radius, normalise);
        else
            for (int64_t h = 0; h < height; h++)
                pass_rows(w, v + h * width, depth, height * width, width, radius, normalise);
    }
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    struct work w;
    return blur_check(call, NULL) == HF_OK ? layout(call, &w, NULL) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)stream;
    enum hf_status st = blur_check(call, e);
    if (st != HF_OK)
        return st;
    const struct hf_blur_params *params = call->params;
    struct work w;
    layout(call, &w, scratch);
    const uint8_t *mask = call->inputs > 1 ? HF_DATA(uint8_t, call->in[1]) : NULL;
    int64_t n = w.size[0] * w.size[1] * w.size[2];
    for (int64_t i = 0; mask && i < n; i++)
        w.share[i] = mask[i] ? 1.0f : 0.0f;
    if (mask)
        blur_volume(&w, w.share, params->sigma, 0);
    for (int64_t c = 0; c < call->in[0]->shape[0]; c++) {
        const float *in = HF_DATA(float, call->in[0]) + c * n;
        float *out = HF_DATA(float, call->out[0]) + c * n;
        for (int64_t i = 0; i < n; i++)
            out[i] = !mask || mask[i] ? in[i] : 0.0f;
        blur_volume(&w, out, params->sigma, !mask);
        for (int64_t i = 0; mask && i < n; i++)
            out[i] = mask[i] ? out[i] / w.share[i] : in[i];
    }
    return HF_OK;
}

const struct hf_op cpu_op_blur = {"blur", HF_KIND_CPU, launch, scratch_bytes};
