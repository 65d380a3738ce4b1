/**
 * ops_cpu.c - the ops of absdiff on the CPU.
 */
#include "ops.h"

static enum hf_status difference(const struct hf_op_call *call, void *scratch, void *stream,
                                 struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const float *image = HF_DATA(float, call->in[0]), *inpainted = HF_DATA(float, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = image[i] - inpainted[i];
    return HF_OK;
}

static enum hf_status score(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct score_params *p = call->params;
    const float *in = HF_DATA(float, call->in[0]);
    const uint8_t *within = HF_DATA(uint8_t, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = score_voxel(in[i], within[i], p->half, p->tumors);
    return HF_OK;
}

const struct hf_op absdiff_difference_cpu = {"absdiff.difference", HF_KIND_CPU, difference, NULL};
const struct hf_op absdiff_score_cpu = {"absdiff.score", HF_KIND_CPU, score, NULL};
