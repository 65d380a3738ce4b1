/**
 * ops_cpu.c - "pair.difference" on the CPU.
 */
#include "ops.h"

static enum hf_status difference(const struct hf_op_call *call, void *scratch, void *stream,
                                 struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const float *image = HF_DATA(float, call->in[0]), *with = HF_DATA(float, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = image[i] - with[i];
    return HF_OK;
}

const struct hf_op pair_difference_cpu = {"pair.difference", HF_KIND_CPU, difference, NULL};
