/*
 * ops.cu - the op of `augment` on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

#include "elem.h"

static __global__ void intensity(const float *in, const uint8_t *mask, int64_t voxels,
                                 int32_t channels, struct augment_intensity_params p, float *out) {
    HF_CUDA_EACH(i, voxels) {
        uint8_t inside = mask[i];
        for (int64_t at = i; at < channels * voxels; at += voxels)
            out[at] = inside ? augment_value(in[at], p.middle, p.contrast, p.brightness) : in[at];
    }
}

static enum hf_status launch_intensity(const struct hf_op_call *call, void *, void *stream,
                                       struct hf_error *e) {
    struct augment_intensity_params p = *(const struct augment_intensity_params *)call->params;
    const float *in = HF_DATA(const float, call->in[0]);
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = hf_tensor_count(call->in[1]);
    int32_t channels = (int32_t)call->in[0]->shape[0];
    HF_CUDA_LAUNCH(intensity, hf_cuda_grid(voxels), HF_CUDA_THREADS, stream, in, mask, voxels,
                   channels, p, out);
    return hf_cuda_launched("augment.intensity", e);
}

HF_CUDA_MODULE("augment.cuda", {"augment.intensity", HF_KIND_CUDA, launch_intensity, NULL})
