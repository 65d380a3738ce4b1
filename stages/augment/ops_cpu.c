/*
 * ops_cpu.c - the op of `augment` on the CPU.
 */
#include "ops.h"

#include "elem.h"

static enum hf_status intensity(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct augment_intensity_params *p = call->params;
    const float *in = HF_DATA(float, call->in[0]);
    const uint8_t *mask = HF_DATA(uint8_t, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = hf_tensor_count(call->in[1]), n = hf_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] =
            mask[i % voxels] ? augment_value(in[i], p->middle, p->contrast, p->brightness) : in[i];
    return HF_OK;
}

const struct hf_op augment_intensity_cpu = {"augment.intensity", HF_KIND_CPU, intensity, NULL};
