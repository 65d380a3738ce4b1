/**
 * ops.cu - the op of select on CUDA.
 */
#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "ops.h"

struct counted {
    static __device__ int of(uint8_t voxel) {
        return select_counts(voxel);
    }
    static __device__ int32_t result(int32_t count) {
        return count;
    }
};

static enum hf_status launch_count(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[0]);
    int32_t *out = HF_DATA(int32_t, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    int64_t slices = shape[1], voxels = shape[2] * shape[3];
    HF_CUDA_LAUNCH(cuda_count_rows<counted>, cuda_count_grid(slices), CUDA_COUNT_THREADS, stream,
                   mask, slices, voxels, out);
    return hf_cuda_launched("select.count", e);
}

HF_CUDA_MODULE("select.cuda", {"select.count", HF_KIND_CUDA, launch_count, NULL})
