/**
 * ops.cu - "pair.difference" on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

static __global__ void subtract(const float *image, const float *with, int64_t n, float *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = image[i] - with[i];
    }
}

static enum hf_status difference(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    const float *image = HF_DATA(const float, call->in[0]);
    const float *with = HF_DATA(const float, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(subtract, hf_cuda_grid(n), HF_CUDA_THREADS, stream, image, with, n, out);
    return hf_cuda_launched("pair.difference", e);
}

HF_CUDA_MODULE("pair.cuda", {"pair.difference", HF_KIND_CUDA, difference, NULL})
