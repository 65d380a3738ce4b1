/**
 * distance.c - "distance": the exact Euclidean distance to the nearest voxel of a mask.
 *
 * Separable: first along rows by two scans, then along H and D by lower envelopes. Lines across
 * the rows are worked on in blocks of neighbours, so that memory is read in whole cache lines.
 */
#include "../../ops/check.h"
#include "../../ops/distance_elem.h"
#include "../../ops/pieces.h"
#include "ops.h"

#define BLOCK 16

struct room {
    float *line; /* BLOCK lines */
    struct distance_room envelope;
};

static size_t layout(const struct hf_op_call *call, struct room *r, void *scratch) {
    struct pieces mem = {scratch, 0};
    const int64_t *shape = call->in[0]->shape;
    size_t n = (size_t)(shape[1] > shape[2] ? shape[1] : shape[2]);
    r->line = piece(&mem, BLOCK * n * sizeof *r->line);
    r->envelope.from = piece(&mem, n * sizeof *r->envelope.from);
    r->envelope.height = piece(&mem, n * sizeof *r->envelope.height);
    r->envelope.site = piece(&mem, n * sizeof *r->envelope.site);
    r->envelope.stride = 1;
    return mem.used;
}

/** Squared distance within a row. */
static void along_row(const uint8_t *mask, float *out, int64_t n, double step) {
    int64_t last = -1;
    for (int64_t i = 0; i < n; i++) {
        last = mask[i] ? i : last;
        out[i] = distance_before(i, last);
    }
    last = -1;
    for (int64_t i = n - 1; i >= 0; i--) {
        last = mask[i] ? i : last;
        out[i] = distance_in_row(out[i], i, last, step);
    }
}

/** Lines of n voxels, `stride` apart, one beginning at each of `width` neighbours. */
static void across_rows(const struct room *r, float *data, int64_t n, int64_t stride, int64_t width,
                        double step) {
    for (int64_t first = 0; first < width; first += BLOCK) {
        int64_t lines = width - first < BLOCK ? width - first : BLOCK;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < lines; k++)
                r->line[k * n + i] = data[i * stride + first + k];
        for (int64_t k = 0; k < lines; k++)
            distance_line(r->line + k * n, n, 1, step, r->envelope);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < lines; k++)
                data[i * stride + first + k] = r->line[k * n + i];
    }
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    struct room r;
    return distance_check(call, NULL) == HF_OK ? layout(call, &r, NULL) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)stream;
    enum hf_status st = distance_check(call, e);
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
