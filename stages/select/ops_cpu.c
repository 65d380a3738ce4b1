/**
 * ops_cpu.c - the op of select on the CPU.
 */
#include "ops.h"

static enum hf_status count(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const uint8_t *mask = HF_DATA(uint8_t, call->in[0]);
    int32_t *out = HF_DATA(int32_t, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    int64_t slice = shape[2] * shape[3];
    for (int64_t d = 0; d < shape[1]; d++) {
        int32_t n = 0;
        for (int64_t i = 0; i < slice; i++)
            n += select_counts(mask[d * slice + i]);
        out[d] = n;
    }
    return HF_OK;
}

const struct hf_op select_count_cpu = {"select.count", HF_KIND_CPU, count, NULL};
