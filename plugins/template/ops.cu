/*
 * ops.cu - "noise.add" on CUDA: the same arithmetic as on the CPU, a thread a voxel.
 */
#include <hepaflow/cuda.h>

#include "elem.h"

static __global__ void add_voxels(struct noise_params p, const float *in, float *out, int64_t n) {
    HF_CUDA_EACH(i, n)
        out[i] = noise_value(&p, in[i], (uint64_t)i);
}

static enum hf_status add(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch;
    const struct noise_params *p = static_cast<const struct noise_params *>(call->params);
    int64_t n = hf_tensor_count(call->in[0]);
    HF_CUDA_LAUNCH(add_voxels, hf_cuda_grid(n), HF_CUDA_THREADS, stream, *p,
                   HF_DATA(const float, call->in[0]), HF_DATA(float, call->out[0]), n);
    return hf_cuda_launched("noise.add", e);
}

HF_CUDA_MODULE("noise.cuda", {"noise.add", HF_KIND_CUDA, add, NULL})
