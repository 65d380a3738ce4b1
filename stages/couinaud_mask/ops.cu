/**
 * ops.cu - the ops of couinaud_mask on CUDA.
 */
#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "ops.h"

static __global__ void mark(const uint8_t *couinaud, const uint8_t *liver, const uint8_t *table,
                            int64_t slices, int64_t voxels, uint8_t *segments, uint8_t *clean,
                            uint8_t *known) {
    CUDA_ROWS_EACH(d, slices) {
        HF_CUDA_EACH(v, voxels) {
            int64_t i = d * voxels + v;
            segments[i] = mark_segments(couinaud[i], liver[i], table + d * MARKS);
            clean[i] = mark_clean(couinaud[i], liver[i], table + d * MARKS);
            known[i] = mark_known(segments[i], liver[i], table + d * MARKS);
        }
    }
}

static enum hf_status launch_mark(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    const uint8_t *couinaud = HF_DATA(const uint8_t, call->in[0]);
    const uint8_t *liver = HF_DATA(const uint8_t, call->in[1]);
    const uint8_t *table = HF_DATA(const uint8_t, call->in[2]);
    uint8_t *segments = HF_DATA(uint8_t, call->out[0]), *clean = HF_DATA(uint8_t, call->out[1]);
    uint8_t *known = HF_DATA(uint8_t, call->out[2]);
    const int64_t *shape = call->in[0]->shape;
    int64_t slices = shape[1], voxels = shape[2] * shape[3];
    HF_CUDA_LAUNCH(mark, cuda_rows_grid(slices, voxels), HF_CUDA_THREADS, stream, couinaud, liver,
                   table, slices, voxels, segments, clean, known);
    return hf_cuda_launched("couinaud_mask.mark", e);
}

static __global__ void grow(const float *distance, const uint8_t *liver, const uint8_t *safe,
                            const uint8_t *before, int64_t n, float reach, uint8_t *segments,
                            uint8_t *clean, uint8_t *known) {
    HF_CUDA_EACH(i, n) {
        uint8_t grown = grow_segments(distance[i], liver[i], reach);
        segments[i] = grown;
        clean[i] = grow_clean(safe[i], grown);
        known[i] = grow_known(before[i], grown);
    }
}

static enum hf_status launch_grow(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    float reach = ((const struct grow_params *)call->params)->reach;
    const float *distance = HF_DATA(const float, call->in[0]);
    const uint8_t *liver = HF_DATA(const uint8_t, call->in[1]);
    const uint8_t *safe = HF_DATA(const uint8_t, call->in[2]);
    const uint8_t *before = HF_DATA(const uint8_t, call->in[3]);
    uint8_t *segments = HF_DATA(uint8_t, call->out[0]), *clean = HF_DATA(uint8_t, call->out[1]);
    uint8_t *known = HF_DATA(uint8_t, call->out[2]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(grow, hf_cuda_grid(n), HF_CUDA_THREADS, stream, distance, liver, safe, before, n,
                   reach, segments, clean, known);
    return hf_cuda_launched("couinaud_mask.grow", e);
}

/* A slice with each block. */
static __global__ void count(const uint8_t *tumor, const uint8_t *couinaud, int64_t slices,
                             int64_t voxels, int32_t *out) {
    __shared__ int32_t part[COUNT_ENTRIES];
    for (int64_t d = blockIdx.x; d < slices; d += gridDim.x) {
        if (threadIdx.x < COUNT_ENTRIES)
            part[threadIdx.x] = 0;
        __syncthreads();
        for (int64_t i = threadIdx.x; i < voxels; i += blockDim.x) {
            int entry = count_entry(tumor[d * voxels + i], couinaud[d * voxels + i]);
            if (entry >= 0)
                atomicAdd(&part[entry], 1);
        }
        __syncthreads();
        if (threadIdx.x < COUNT_ENTRIES)
            out[d * COUNT_ENTRIES + threadIdx.x] = part[threadIdx.x];
        __syncthreads();
    }
}

static enum hf_status launch_count(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    const uint8_t *tumor = HF_DATA(const uint8_t, call->in[0]);
    const uint8_t *couinaud = HF_DATA(const uint8_t, call->in[1]);
    int32_t *out = HF_DATA(int32_t, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    int64_t slices = shape[1], voxels = shape[2] * shape[3];
    HF_CUDA_LAUNCH(count, cuda_count_grid(slices), CUDA_COUNT_THREADS, stream, tumor, couinaud,
                   slices, voxels, out);
    return hf_cuda_launched("couinaud_mask.count", e);
}

static __global__ void map(const uint8_t *couinaud, int64_t n, int64_t channels, float *out) {
    CUDA_ROWS_EACH(c, channels) {
        HF_CUDA_EACH(i, n)
            out[c * n + i] = map_value(couinaud[i], c, channels);
    }
}

static enum hf_status launch_map(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    const uint8_t *couinaud = HF_DATA(const uint8_t, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->in[0]), channels = call->out[0]->shape[0];
    HF_CUDA_LAUNCH(map, cuda_rows_grid(channels, n), HF_CUDA_THREADS, stream, couinaud, n, channels,
                   out);
    return hf_cuda_launched("couinaud_mask.map", e);
}

HF_CUDA_MODULE("couinaud_mask.cuda", {"couinaud_mask.mark", HF_KIND_CUDA, launch_mark, NULL},
               {"couinaud_mask.grow", HF_KIND_CUDA, launch_grow, NULL},
               {"couinaud_mask.count", HF_KIND_CUDA, launch_count, NULL},
               {"couinaud_mask.map", HF_KIND_CUDA, launch_map, NULL})
