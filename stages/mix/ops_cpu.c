/**
 * ops_cpu.c - "mix.fill" on the CPU.
 */
#include <string.h>

#include "ops.h"

static enum hf_status fill(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct fill_params *p = call->params;
    struct hf_tensor *out = call->out[0];
    int64_t n = hf_tensor_count(out);
    if (out->dtype == HF_F32)
        for (int64_t i = 0; i < n; i++)
            HF_DATA(float, out)[i] = p->value;
    else
        memset(out->dl.data, (uint8_t)p->value, (size_t)n);
    return HF_OK;
}

const struct hf_op mix_fill_cpu = {"mix.fill", HF_KIND_CPU, fill, NULL};
