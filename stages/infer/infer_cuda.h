/**
 * infer_cuda.h - survey, gather and scatter on CUDA, for the modules of inpaint, spot and segment.
 */
#ifndef HF_STAGES_INFER_INFER_CUDA_H
#define HF_STAGES_INFER_INFER_CUDA_H

#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "infer.h"

/* ---- survey ---- */

struct infer_occupied {
    static __device__ int of(uint8_t voxel) {
        return voxel != 0;
    }
    static __device__ uint8_t result(int32_t count) {
        return count != 0;
    }
};

static __global__ void infer_clear(float *out, int64_t n) {
    HF_CUDA_EACH(i, n) {
        out[i] = 0.0f;
    }
}

static inline enum hf_status infer_survey_cuda(const struct hf_op_call *call, void *, void *stream,
                                               struct hf_error *e) {
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[0]);
    uint8_t *occupied = HF_DATA(uint8_t, call->out[0]);
    float *volume = HF_DATA(float, call->out[1]);
    const int64_t *shape = call->in[0]->shape;
    int64_t slices = shape[1], voxels = shape[2] * shape[3];
    int64_t n = hf_tensor_count(call->out[1]);
    HF_CUDA_LAUNCH(cuda_count_rows<infer_occupied>, cuda_count_grid(slices), CUDA_COUNT_THREADS,
                   stream, mask, slices, voxels, occupied);
    HF_CUDA_LAUNCH(infer_clear, hf_cuda_grid(n), HF_CUDA_THREADS, stream, volume, n);
    return hf_cuda_launched("survey", e);
}

/* ---- gather ---- */

/* Where the slices of one input go to in the batch. */
struct infer_place {
    int64_t batch, slices, voxels;
    int32_t channels;     /* of this input */
    int32_t all_channels; /* of the batch */
};

template <typename T>
static __global__ void infer_gather_input(const T *in, struct infer_place at,
                                          struct infer_gather_params p, float *out) {
    CUDA_ROWS_EACH(row, at.batch * at.channels) {
        int64_t n = row / at.channels, c = row % at.channels;
        int64_t d = p.slice[n], from = (c * at.slices + d) * at.voxels;
        float *to = out + (n * at.all_channels + c) * at.voxels;
        HF_CUDA_EACH(i, at.voxels) {
            to[i] = d < 0 ? 0.0f : (float)in[from + i];
        }
    }
}

static inline enum hf_status infer_gather_cuda(const struct hf_op_call *call, void *, void *stream,
                                               struct hf_error *e) {
    struct infer_gather_params p = *(const struct infer_gather_params *)call->params;
    const int64_t *shape = call->out[0]->shape;
    float *out = HF_DATA(float, call->out[0]);
    struct infer_place at = {shape[0], 0, shape[3] * shape[4], 0, (int32_t)shape[1]};
    for (int32_t k = 0; k < call->inputs; k++) {
        const struct hf_tensor *t = call->in[k];
        at.channels = (int32_t)t->shape[0];
        at.slices = t->shape[1];
        dim3 grid = cuda_rows_grid(at.batch * at.channels, at.voxels);
        if (t->dtype == HF_F32) {
            const float *in = HF_DATA(const float, t);
            HF_CUDA_LAUNCH(infer_gather_input<float>, grid, HF_CUDA_THREADS, stream, in, at, p,
                           out);
        } else {
            const uint8_t *in = HF_DATA(const uint8_t, t);
            HF_CUDA_LAUNCH(infer_gather_input<uint8_t>, grid, HF_CUDA_THREADS, stream, in, at, p,
                           out);
        }
        out += at.channels * at.voxels;
    }
    return hf_cuda_launched("gather", e);
}

/* ---- scatter ---- */

static __global__ void infer_scatter_batch(const float *in, const uint8_t *gate, int64_t batch,
                                           int32_t channels, int32_t kept, int64_t slices,
                                           int64_t voxels, struct infer_scatter_params p,
                                           float *out) {
    CUDA_ROWS_EACH(row, batch * kept) {
        int64_t n = row / kept, d = p.slice[n];
        int32_t c = (int32_t)(row % kept);
        if (d < 0)
            continue;
        const float *z = in + n * channels * voxels;
        float *to = out + (c * slices + d) * voxels;
        HF_CUDA_EACH(i, voxels) {
            to[i] = gate && !gate[d * voxels + i]
                        ? 0.0f
                        : infer_value(z + i, voxels, channels, c, p.activation);
        }
    }
}

static inline enum hf_status infer_scatter_cuda(const struct hf_op_call *call, void *, void *stream,
                                                struct hf_error *e) {
    struct infer_scatter_params p = *(const struct infer_scatter_params *)call->params;
    const int64_t *shape = call->in[0]->shape, *volume = call->out[0]->shape;
    const float *in = HF_DATA(const float, call->in[0]);
    const uint8_t *gate = call->inputs > 1 ? HF_DATA(const uint8_t, call->in[1]) : NULL;
    float *out = HF_DATA(float, call->out[0]);
    int64_t batch = shape[0], slices = volume[1], voxels = shape[3] * shape[4];
    int32_t channels = (int32_t)shape[1], kept = (int32_t)volume[0];
    HF_CUDA_LAUNCH(infer_scatter_batch, cuda_rows_grid(batch * kept, voxels), HF_CUDA_THREADS,
                   stream, in, gate, batch, channels, kept, slices, voxels, p, out);
    return hf_cuda_launched("scatter", e);
}

/** A stage's three ops, within HF_CUDA_MODULE. */
#define INFER_CUDA_OPS(stage)                                                                      \
    {stage ".survey", HF_KIND_CUDA, infer_survey_cuda, NULL},                                      \
        {stage ".gather", HF_KIND_CUDA, infer_gather_cuda, NULL}, {                                \
        stage ".scatter", HF_KIND_CUDA, infer_scatter_cuda, NULL                                   \
    }

#endif
