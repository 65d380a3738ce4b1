/**
 * infer_cuda.h - survey, gather, add and finish on CUDA, for the modules of inpaint, spot and
 * segment.
 */
#ifndef HF_STAGES_INFER_INFER_CUDA_H
#define HF_STAGES_INFER_INFER_CUDA_H

#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "ops.h"

/* ---- survey ---- */

/* A block a tile. */
static __global__ void infer_survey_tiles(const uint8_t *mask, struct infer_lattice l,
                                          int64_t tiles, uint8_t *occupied) {
    int64_t voxels = l.tile[0] * l.tile[1] * l.tile[2];
    for (int64_t k = blockIdx.x; k < tiles; k += gridDim.x) {
        int64_t place[3], start[3];
        int32_t mine = 0;
        infer_places(&l, k, place);
        for (int a = 0; a < 3; a++)
            start[a] = infer_start(&l, a, place[a]);
        for (int64_t i = threadIdx.x; i < voxels; i += HF_CUDA_THREADS) {
            int64_t w = start[2] + i % l.tile[2], h = start[1] + i / l.tile[2] % l.tile[1];
            int64_t d = start[0] + i / l.tile[2] / l.tile[1];
            if (infer_inside(d, l.size[0]) && infer_inside(h, l.size[1]) &&
                infer_inside(w, l.size[2]))
                mine |= mask[(d * l.size[1] + h) * l.size[2] + w] != 0;
        }
        int32_t any = hf_cuda_block_sum<HF_CUDA_THREADS>(mine);
        if (threadIdx.x == 0)
            occupied[k] = any != 0;
    }
}

static __global__ void infer_clear(float *out, int64_t n) {
    HF_CUDA_EACH(i, n) {
        out[i] = 0.0f;
    }
}

static inline enum hf_status infer_survey_cuda(const struct hf_op_call *call, void *, void *stream,
                                               struct hf_error *e) {
    struct infer_lattice l = *(const struct infer_lattice *)call->params;
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[0]);
    uint8_t *occupied = HF_DATA(uint8_t, call->out[0]);
    float *volume = HF_DATA(float, call->out[1]);
    int64_t tiles = hf_tensor_count(call->out[0]), n = hf_tensor_count(call->out[1]);
    HF_CUDA_LAUNCH(infer_survey_tiles, cuda_count_grid(tiles), HF_CUDA_THREADS, stream, mask, l,
                   tiles, occupied);
    HF_CUDA_LAUNCH(infer_clear, hf_cuda_grid(n), HF_CUDA_THREADS, stream, volume, n);
    return hf_cuda_launched("survey", e);
}

/* ---- gather ---- */

/* Where the tiles of one input go to in the batch. */
struct infer_stack {
    int64_t batch;
    int32_t channels;     /* of this input */
    int32_t all_channels; /* of the batch */
};

/* A row is a plane of a tile. */
template <typename T>
static __global__ void infer_gather_input(const T *in, struct infer_stack at,
                                          const __grid_constant__ struct infer_batch b,
                                          float *out) {
    const struct infer_lattice &l = b.lattice;
    int64_t depth = l.tile[0], plane = l.tile[1] * l.tile[2];
    CUDA_ROWS_EACH(row, at.batch * at.channels * depth) {
        int64_t z = row % depth, c = row / depth % at.channels, n = row / depth / at.channels;
        const struct infer_piece &p = b.piece[n];
        float *to = out + ((n * at.all_channels + c) * depth + z) * plane;
        int64_t d = infer_start(&l, 0, p.place[0]) + infer_mirrored(p.flip, 0, depth, z);
        int64_t y0 = infer_start(&l, 1, p.place[1]), x0 = infer_start(&l, 2, p.place[2]);
        const T *from = in + (c * l.size[0] + infer_clamp(d, l.size[0])) * l.size[1] * l.size[2];
        HF_CUDA_EACH(i, plane) {
            int64_t h = y0 + infer_mirrored(p.flip, 1, l.tile[1], i / l.tile[2]);
            int64_t w = x0 + infer_mirrored(p.flip, 2, l.tile[2], i % l.tile[2]);
            int inside = infer_inside(d, l.size[0]) && infer_inside(h, l.size[1]) &&
                         infer_inside(w, l.size[2]);
            int64_t at = infer_clamp(h, l.size[1]) * l.size[2] + infer_clamp(w, l.size[2]);
            to[i] = p.place[0] >= 0 && (inside || !b.ends) ? (float)from[at] : 0.0f;
        }
    }
}

static inline enum hf_status infer_gather_cuda(const struct hf_op_call *call, void *, void *stream,
                                               struct hf_error *e) {
    struct infer_batch b = *(const struct infer_batch *)call->params;
    const int64_t *shape = call->out[0]->shape;
    float *out = HF_DATA(float, call->out[0]);
    int64_t plane = shape[3] * shape[4];
    struct infer_stack at = {shape[0], 0, (int32_t)shape[1]};
    for (int32_t k = 0; k < call->inputs; k++) {
        const struct hf_tensor *t = call->in[k];
        at.channels = (int32_t)t->shape[0];
        dim3 grid = cuda_rows_grid(at.batch * at.channels * shape[2], plane);
        if (t->dtype == HF_F32) {
            const float *in = HF_DATA(const float, t);
            HF_CUDA_LAUNCH(infer_gather_input<float>, grid, HF_CUDA_THREADS, stream, in, at, b,
                           out);
        } else {
            const uint8_t *in = HF_DATA(const uint8_t, t);
            HF_CUDA_LAUNCH(infer_gather_input<uint8_t>, grid, HF_CUDA_THREADS, stream, in, at, b,
                           out);
        }
        out += at.channels * shape[2] * plane;
    }
    return hf_cuda_launched("gather", e);
}

/* ---- add ---- */

/* Tile n of the batch; a row is a plane of a tile. */
static __global__ void infer_add_tile(const float *in, const float *weights, int64_t n,
                                      int32_t channels, int32_t kept,
                                      const __grid_constant__ struct infer_batch b, float *out) {
    const struct infer_lattice &l = b.lattice;
    const struct infer_piece &p = b.piece[n];
    int64_t depth = l.tile[0], plane = l.tile[1] * l.tile[2], start[3];
    const float *weight[3];
    for (int a = 0; a < 3; a++) {
        start[a] = infer_start(&l, a, p.place[a]);
        weight[a] = weights + p.place[a] * l.tile[a];
        weights += l.count[a] * l.tile[a];
    }
    CUDA_ROWS_EACH(row, kept * depth) {
        int64_t z = row % depth, c = row / depth, d = start[0] + z;
        if (d < 0 || d >= l.size[0])
            continue;
        const float *from =
            in + ((n * channels + c) * depth + infer_mirrored(p.flip, 0, depth, z)) * plane;
        float *to = out + (c * l.size[0] + d) * l.size[1] * l.size[2];
        HF_CUDA_EACH(i, plane) {
            int64_t y = i / l.tile[2], x = i % l.tile[2], h = start[1] + y, w = start[2] + x;
            if (h < 0 || h >= l.size[1] || w < 0 || w >= l.size[2])
                continue;
            float at = weight[0][z] * weight[1][y] * b.share;
            to[h * l.size[2] + w] += from[infer_mirrored(p.flip, 1, l.tile[1], y) * l.tile[2] +
                                          infer_mirrored(p.flip, 2, l.tile[2], x)] *
                                     (at * weight[2][x]);
        }
    }
}

/* Tiles overlap: one after the other. */
static inline enum hf_status infer_add_cuda(const struct hf_op_call *call, void *, void *stream,
                                            struct hf_error *e) {
    struct infer_batch b = *(const struct infer_batch *)call->params;
    const int64_t *shape = call->in[0]->shape;
    const float *in = HF_DATA(const float, call->in[0]);
    const float *weights = HF_DATA(const float, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int32_t channels = (int32_t)shape[1], kept = (int32_t)call->out[0]->shape[0];
    dim3 grid = cuda_rows_grid(kept * shape[2], shape[3] * shape[4]);
    for (int64_t n = 0; n < shape[0]; n++)
        if (b.piece[n].place[0] >= 0)
            HF_CUDA_LAUNCH(infer_add_tile, grid, HF_CUDA_THREADS, stream, in, weights, n, channels,
                           kept, b, out);
    return hf_cuda_launched("add", e);
}

/* ---- finish ---- */

static __global__ void infer_finish_values(const float *in, const uint8_t *within, int64_t voxels,
                                           int32_t channels, int32_t kept, int32_t activation,
                                           float *out) {
    CUDA_ROWS_EACH(c, kept) {
        HF_CUDA_EACH(i, voxels) {
            out[c * voxels + i] =
                within[i] ? infer_value(in + i, voxels, channels, (int32_t)c, activation) : 0.0f;
        }
    }
}

static inline enum hf_status infer_finish_cuda(const struct hf_op_call *call, void *, void *stream,
                                               struct hf_error *e) {
    int32_t activation = ((const struct infer_finish_params *)call->params)->activation;
    const float *in = HF_DATA(const float, call->in[0]);
    const uint8_t *within = HF_DATA(const uint8_t, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = hf_tensor_count(call->in[1]);
    int32_t channels = (int32_t)call->in[0]->shape[0], kept = (int32_t)call->out[0]->shape[0];
    HF_CUDA_LAUNCH(infer_finish_values, cuda_rows_grid(kept, voxels), HF_CUDA_THREADS, stream, in,
                   within, voxels, channels, kept, activation, out);
    return hf_cuda_launched("finish", e);
}

/** A stage's four ops, within HF_CUDA_MODULE. */
#define INFER_CUDA_OPS(stage)                                                                      \
    {stage ".survey", HF_KIND_CUDA, infer_survey_cuda, NULL},                                      \
        {stage ".gather", HF_KIND_CUDA, infer_gather_cuda, NULL},                                  \
        {stage ".add", HF_KIND_CUDA, infer_add_cuda, NULL}, {                                      \
        stage ".finish", HF_KIND_CUDA, infer_finish_cuda, NULL                                     \
    }

#endif
