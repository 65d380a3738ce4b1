/**
 * ops_cpu.c - the ops of couinaud_mask on the CPU.
 */
#include <string.h>

#include "ops.h"

static enum hf_status mark(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const uint8_t *couinaud = HF_DATA(uint8_t, call->in[0]), *liver = HF_DATA(uint8_t, call->in[1]);
    const uint8_t *table = HF_DATA(uint8_t, call->in[2]);
    uint8_t *segments = HF_DATA(uint8_t, call->out[0]), *clean = HF_DATA(uint8_t, call->out[1]);
    uint8_t *known = HF_DATA(uint8_t, call->out[2]);
    const int64_t *shape = call->in[0]->shape;
    int64_t slice = shape[2] * shape[3];
    for (int64_t d = 0; d < shape[1]; d++)
        for (int64_t i = d * slice; i < (d + 1) * slice; i++) {
            segments[i] = mark_segments(couinaud[i], liver[i], table + d * MARKS);
            clean[i] = mark_clean(couinaud[i], liver[i], table + d * MARKS);
            known[i] = mark_known(segments[i], liver[i], table + d * MARKS);
        }
    return HF_OK;
}

static enum hf_status grow(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct grow_params *p = call->params;
    const float *distance = HF_DATA(float, call->in[0]);
    const uint8_t *liver = HF_DATA(uint8_t, call->in[1]), *safe = HF_DATA(uint8_t, call->in[2]);
    const uint8_t *before = HF_DATA(uint8_t, call->in[3]);
    uint8_t *segments = HF_DATA(uint8_t, call->out[0]), *clean = HF_DATA(uint8_t, call->out[1]);
    uint8_t *known = HF_DATA(uint8_t, call->out[2]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++) {
        segments[i] = grow_segments(distance[i], liver[i], p->reach);
        clean[i] = grow_clean(safe[i], segments[i]);
        known[i] = grow_known(before[i], segments[i]);
    }
    return HF_OK;
}

static enum hf_status count(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const uint8_t *tumor = HF_DATA(uint8_t, call->in[0]), *couinaud = HF_DATA(uint8_t, call->in[1]);
    int32_t *out = HF_DATA(int32_t, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    int64_t slice = shape[2] * shape[3];
    memset(out, 0, call->out[0]->bytes);
    for (int64_t d = 0; d < shape[1]; d++)
        for (int64_t i = d * slice; i < (d + 1) * slice; i++) {
            int entry = count_entry(tumor[i], couinaud[i]);
            if (entry >= 0)
                out[d * COUNT_ENTRIES + entry]++;
        }
    return HF_OK;
}

static enum hf_status map(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const uint8_t *couinaud = HF_DATA(uint8_t, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->in[0]), channels = call->out[0]->shape[0];
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < n; i++)
            out[c * n + i] = map_value(couinaud[i], c, channels);
    return HF_OK;
}

const struct hf_op couinaud_mask_mark_cpu = {"couinaud_mask.mark", HF_KIND_CPU, mark, NULL};
const struct hf_op couinaud_mask_grow_cpu = {"couinaud_mask.grow", HF_KIND_CPU, grow, NULL};
const struct hf_op couinaud_mask_count_cpu = {"couinaud_mask.count", HF_KIND_CPU, count, NULL};
const struct hf_op couinaud_mask_map_cpu = {"couinaud_mask.map", HF_KIND_CPU, map, NULL};
