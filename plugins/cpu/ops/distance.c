/**
 * distance.c - "distance": the exact Euclidean distance to the nearest voxel of a mask.
 *
 * Separable: first along rows by two scans, then along H and D by lower envelopes. Lines across
 * the rows are worked on in blocks of neighbours, so that memory is read in whole cache lines.
 */
#include "check.h"
#include "distance_elem.h"
#include "ops.h"

#define BLOCK 16

struct room {
    double *line; /* BLOCK lines */
    double *from, *height;
    int32_t *site;
};

static size_t layout(const struct hf_op_call *call, struct room *r, void *scratch) {
    struct pieces mem = {scratch, 0};
    const int64_t *shape = call->in[0]->shape;
    size_t n = (size_t)(shape[1] > shape[2] ? shape[1] : shape[2]);
    r->line = piece(&mem, BLOCK * n * sizeof *r->line);
    r->from = piece(&mem, n * sizeof *r->from);
    r->height = piece(&mem, n * sizeof *r->height);
    r->site = piece(&mem, n * sizeof *r->site);
    return mem.used;
}

/** Squared distance within a row. */
static void along_row(const uint8_t *mask, float *out, int64_t n, double step) {
    int64_t last = -1;
    for (int64_t i = 0; i < n; i++) {
        last = mask[i] ? i : last;
        out[i] = last < 0 ? INFINITY : (float)(i - last);
    }
    last = -1;
    for (int64_t i = n - 1; i >= 0; i--) {
        last = mask[i] ? i : last;
        double steps =
            last >= 0 && (float)(last - i) < out[i] ? (double)(last - i) : (double)out[i];
        out[i] = (float)(steps * step * steps * step);
    }
}

/** Lines of n voxels, `stride` apart, one beginning at each of `width` neighbours. */
static void across_rows(const struct room *r, float *data, int64_t n, int64_t stride, int64_t width,
                        double step) {
    for (int64_t first = 0; first < width; first += BLOCK) {
        int64_t lines = width - first < BLOCK ? width - first : BLOCK;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < lines; k++)
                r->line[k * n + i] = (double)data[i * stride + first + k];
        for (int64_t k = 0; k < lines; k++)
            distance_line(r->line + k * n, n, step, r->site, r->from, r->height);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < lines; k++)
                data[i * stride + first + k] = (float)r->line[k * n + i];
    }
}

static enum hf_status check(const struct hf_op_call *call, struct hf_error *e) {
    const struct hf_distance_params *params = call->params;
    enum hf_status st = check_call("distance", call, 1, 1, 1, sizeof *params, e);
    if (st == HF_OK)
        st = check_volume("distance", "mask", call->in[0], 1u << HF_U8, e);
    if (st == HF_OK)
        st = check_volume("distance", "output", call->out[0], 1u << HF_F32, e);
    if (st != HF_OK)
        return st;
    if (call->in[0]->shape[0] != 1 || !same_shape(call->in[0], call->out[0]))
        return hf_fail(e, HF_INVALID, "op 'distance': mask and output must be [1,D,H,W] alike");
    for (int a = 0; a < 3; a++)
        if (!(params->spacing[a] > 0 && params->spacing[a] < 1e12))
            return hf_fail(e, HF_INVALID, "op 'distance': a spacing of %g mm", params->spacing[a]);
    return HF_OK;
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    struct room r;
    return check(call, NULL) == HF_OK ? layout(call, &r, NULL) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)stream;
    enum hf_status st = check(call, e);
    if (st != HF_OK)
        return st;
    const struct hf_distance_params *params = call->params;
    struct room r;
    layout(call, &r, scratch);
    const uint8_t *mask = HF_DATA(uint8_t, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    int64_t depth = shape[1], height = shape[2], width = shape[3];
    for (int64_t i = 0; i < depth * height; i++)
        along_row(mask + i * width, out + i * width, width, params->spacing[2]);
    for (int64_t d = 0; d < depth; d++)
        across_rows(&r, out + d * height * width, height, width, width, params->spacing[1]);
    for (int64_t h = 0; h < height; h++)
        across_rows(&r, out + h * width, depth, height * width, width, params->spacing[0]);
    for (int64_t i = 0; i < depth * height * width; i++)
        out[i] = sqrtf(out[i]);
    return HF_OK;
}

const struct hf_op cpu_op_distance = {"distance", HF_KIND_CPU, launch, scratch_bytes};
