/*
 * ops_cpu.c - "noise.add" on the CPU.
 */
#include <hepaflow/device.h>

#include "elem.h"

static enum hf_status add(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const float *in = HF_DATA(const float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = noise_value(call->params, in[i], (uint64_t)i);
    return HF_OK;
}

const struct hf_op noise_add_cpu = {"noise.add", HF_KIND_CPU, add, NULL};
