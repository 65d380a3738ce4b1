/**
 * ops_cpu.c - the ops of couinaud_geometry on the CPU.
 */
#include "ops.h"

static enum hf_status cut(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const uint8_t *liver = HF_DATA(uint8_t, call->in[0]);
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    for (int64_t d = 0; d < shape[1]; d++)
        for (int64_t h = 0; h < shape[2]; h++)
            for (int64_t w = 0; w < shape[3]; w++, liver++, out++)
                *out = *liver ? cut_segment(call->params, w, h, d) : 0;
    return HF_OK;
}

static enum hf_status pick(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct segment_params *p = call->params;
    const uint8_t *label = HF_DATA(uint8_t, call->in[0]);
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = pick_segment(label[i], p->segment);
    return HF_OK;
}

static enum hf_status nearer(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct segment_params *p = call->params;
    const uint8_t *liver = HF_DATA(uint8_t, call->in[0]);
    const float *distance = HF_DATA(float, call->in[1]);
    float *least = HF_DATA(float, call->out[0]);
    uint8_t *couinaud = HF_DATA(uint8_t, call->out[1]);
    int64_t n = hf_tensor_count(call->out[1]);
    for (int64_t i = 0; i < n; i++)
        nearer_segment(liver[i], distance[i], p->segment, &least[i], &couinaud[i]);
    return HF_OK;
}

const struct hf_op couinaud_geometry_cut_cpu = {"couinaud_geometry.cut", HF_KIND_CPU, cut, NULL};
const struct hf_op couinaud_geometry_pick_cpu = {"couinaud_geometry.pick", HF_KIND_CPU, pick, NULL};
const struct hf_op couinaud_geometry_nearer_cpu = {"couinaud_geometry.nearer", HF_KIND_CPU, nearer,
                                                   NULL};
