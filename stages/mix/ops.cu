/**
 * ops.cu - "mix.fill" on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

template <typename T> static __global__ void fill(T *out, int64_t n, T value) {
    HF_CUDA_EACH(i, n) {
        out[i] = value;
    }
}

static enum hf_status launch_fill(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    float value = ((const struct fill_params *)call->params)->value;
    struct hf_tensor *out = call->out[0];
    int64_t n = hf_tensor_count(out);
    if (out->dtype == HF_F32) {
        float *data = HF_DATA(float, out);
        HF_CUDA_LAUNCH(fill<float>, hf_cuda_grid(n), HF_CUDA_THREADS, stream, data, n, value);
    } else {
        uint8_t *data = HF_DATA(uint8_t, out), byte = (uint8_t)value;
        HF_CUDA_LAUNCH(fill<uint8_t>, hf_cuda_grid(n), HF_CUDA_THREADS, stream, data, n, byte);
    }
    return hf_cuda_launched("mix.fill", e);
}

HF_CUDA_MODULE("mix.cuda", {"mix.fill", HF_KIND_CUDA, launch_fill, NULL})
