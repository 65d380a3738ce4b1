/**
 * ops_cpu.c - survey, gather, add and finish on the CPU.
 */
#include <string.h>

#include "ops.h"

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The voxels low..high - 1 of a tile along an axis that lie in the volume; *ret_start is the tile's
 * first voxel. */
static void overlap(const struct infer_lattice *l, int axis, int64_t place, int64_t *ret_start,
                    int64_t *ret_low, int64_t *ret_high) {
    *ret_start = infer_start(l, axis, place);
    *ret_low = most(0, -*ret_start);
    *ret_high = least(l->tile[axis], l->size[axis] - *ret_start);
}

static uint8_t occupied(const uint8_t *mask, const struct infer_lattice *l, int64_t tile) {
    int64_t place[3], start[3], low[3], high[3];
    infer_places(l, tile, place);
    for (int a = 0; a < 3; a++)
        overlap(l, a, place[a], &start[a], &low[a], &high[a]);
    for (int64_t d = low[0]; d < high[0]; d++) {
        for (int64_t h = low[1]; h < high[1]; h++) {
            const uint8_t *row =
                mask + ((start[0] + d) * l->size[1] + start[1] + h) * l->size[2] + start[2];
            uint8_t any = 0;
            for (int64_t w = low[2]; w < high[2]; w++)
                any |= row[w];
            if (any)
                return 1;
        }
    }
    return 0;
}

enum hf_status infer_survey_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct infer_lattice *l = call->params;
    int64_t tiles = hf_tensor_count(call->out[0]);
    for (int64_t k = 0; k < tiles; k++)
        HF_DATA(uint8_t, call->out[0])[k] = occupied(HF_DATA(uint8_t, call->in[0]), l, k);
    memset(call->out[1]->dl.data, 0, call->out[1]->bytes);
    return HF_OK;
}

static void fill(float *out, int64_t first, int64_t end, float value) {
    for (int64_t i = first; i < end; i++)
        out[i] = value;
}

static void reverse(float *out, int64_t n) {
    for (int64_t i = 0; i < n / 2; i++) {
        float t = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = t;
    }
}

/* Row (d, h) of a tile of channel c of a field, as it stands in the batch. */
static void gather_row(const struct hf_tensor *t, int64_t c, const struct infer_batch *b,
                       const struct infer_piece *p, int64_t d, int64_t h, float *out) {
    const struct infer_lattice *l = &b->lattice;
    int64_t start, low, high, n = l->tile[2];
    int64_t z = infer_start(l, 0, p->place[0]) + d, y = infer_start(l, 1, p->place[1]) + h;
    if (b->ends && !(infer_inside(z, l->size[0]) && infer_inside(y, l->size[1]))) {
        fill(out, 0, n, 0.0f);
        return;
    }
    overlap(l, 2, p->place[2], &start, &low, &high);
    int64_t row = (c * l->size[0] + infer_clamp(z, l->size[0])) * l->size[1];
    int64_t from = (row + infer_clamp(y, l->size[1])) * l->size[2] + start;
    if (t->dtype == HF_F32)
        memcpy(out + low, HF_DATA(float, t) + from + low, (size_t)(high - low) * sizeof *out);
    for (int64_t w = low; t->dtype != HF_F32 && w < high; w++)
        out[w] = (float)HF_DATA(uint8_t, t)[from + w];
    fill(out, 0, low, b->ends ? 0.0f : out[low]);
    fill(out, high, n, b->ends ? 0.0f : out[high - 1]);
    if (infer_flips(p->flip, 2))
        reverse(out, n);
}

enum hf_status infer_gather_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct infer_batch *b = call->params;
    const struct infer_lattice *l = &b->lattice;
    size_t voxels = (size_t)(l->tile[0] * l->tile[1] * l->tile[2]);
    float *out = HF_DATA(float, call->out[0]);
    for (int64_t n = 0; n < call->out[0]->shape[0]; n++) {
        const struct infer_piece *p = &b->piece[n];
        for (int32_t k = 0; k < call->inputs; k++) {
            for (int64_t c = 0; c < call->in[k]->shape[0]; c++, out += voxels) {
                if (p->place[0] < 0) {
                    memset(out, 0, voxels * sizeof *out);
                    continue;
                }
                for (int64_t d = 0; d < l->tile[0]; d++)
                    for (int64_t h = 0; h < l->tile[1]; h++)
                        gather_row(call->in[k], c, b, p, infer_mirrored(p->flip, 0, l->tile[0], d),
                                   infer_mirrored(p->flip, 1, l->tile[1], h),
                                   out + (d * l->tile[1] + h) * l->tile[2]);
            }
        }
    }
    return HF_OK;
}

/* One channel of a tile. */
static void add_tile(const float *in, const float *weights, const struct infer_batch *b,
                     const struct infer_piece *p, float *out) {
    const struct infer_lattice *l = &b->lattice;
    const float *weight[3];
    int64_t start[3], low[3], high[3];
    for (int a = 0; a < 3; a++) {
        overlap(l, a, p->place[a], &start[a], &low[a], &high[a]);
        weight[a] = weights + p->place[a] * l->tile[a];
        weights += l->count[a] * l->tile[a];
    }
    for (int64_t d = low[0]; d < high[0]; d++) {
        for (int64_t h = low[1]; h < high[1]; h++) {
            const float *row = in + (infer_mirrored(p->flip, 0, l->tile[0], d) * l->tile[1] +
                                     infer_mirrored(p->flip, 1, l->tile[1], h)) *
                                        l->tile[2];
            float *to = out + ((start[0] + d) * l->size[1] + start[1] + h) * l->size[2] + start[2];
            float at = weight[0][d] * weight[1][h] * b->share;
            for (int64_t w = low[2]; w < high[2]; w++)
                to[w] += row[infer_mirrored(p->flip, 2, l->tile[2], w)] * (at * weight[2][w]);
        }
    }
}

enum hf_status infer_add_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct infer_batch *b = call->params;
    const int64_t *shape = call->in[0]->shape, *volume = call->out[0]->shape;
    int64_t voxels = shape[2] * shape[3] * shape[4];
    for (int64_t n = 0; n < shape[0]; n++)
        for (int64_t c = 0; c < volume[0] && b->piece[n].place[0] >= 0; c++)
            add_tile(HF_DATA(float, call->in[0]) + (n * shape[1] + c) * voxels,
                     HF_DATA(float, call->in[1]), b, &b->piece[n],
                     HF_DATA(float, call->out[0]) + c * volume[1] * volume[2] * volume[3]);
    return HF_OK;
}

enum hf_status infer_finish_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct infer_finish_params *p = call->params;
    const float *z = HF_DATA(float, call->in[0]);
    const uint8_t *within = HF_DATA(uint8_t, call->in[1]);
    int64_t voxels = hf_tensor_count(call->in[1]);
    int32_t channels = (int32_t)call->in[0]->shape[0], kept = (int32_t)call->out[0]->shape[0];
    for (int32_t c = 0; c < kept; c++) {
        float *out = HF_DATA(float, call->out[0]) + c * voxels;
        for (int64_t i = 0; i < voxels; i++)
            out[i] = within[i] ? infer_value(z + i, voxels, channels, c, p->activation) : 0;
    }
    return HF_OK;
}
