/**
 * ops.cu - the ops of absdiff on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

static __global__ void subtract(const float *image, const float *inpainted, int64_t n, float *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = image[i] - inpainted[i];
    }
}

static enum hf_status launch_difference(const struct hf_op_call *call, void *, void *stream,
                                        struct hf_error *e) {
    const float *image = HF_DATA(const float, call->in[0]);
    const float *inpainted = HF_DATA(const float, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(subtract, hf_cuda_grid(n), HF_CUDA_THREADS, stream, image, inpainted, n, out);
    return hf_cuda_launched("absdiff.difference", e);
}

static __global__ void score(const float *in, const uint8_t *within, int64_t n,
                             struct score_params p, float *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = score_voxel(in[i], within[i], p.half, p.tumors);
    }
}

static enum hf_status launch_score(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    struct score_params p = *(const struct score_params *)call->params;
    const float *in = HF_DATA(const float, call->in[0]);
    const uint8_t *within = HF_DATA(const uint8_t, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(score, hf_cuda_grid(n), HF_CUDA_THREADS, stream, in, within, n, p, out);
    return hf_cuda_launched("absdiff.score", e);
}

HF_CUDA_MODULE("absdiff.cuda", {"absdiff.difference", HF_KIND_CUDA, launch_difference, NULL},
               {"absdiff.score", HF_KIND_CUDA, launch_score, NULL})
