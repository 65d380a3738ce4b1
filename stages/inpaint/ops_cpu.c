/**
 * ops_cpu.c - the ops of inpaint on the CPU.
 */
#include <string.h>

#include "ops.h"

static enum hf_status blank(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct blank_params *p = call->params;
    const float *image = HF_DATA(float, call->in[0]);
    const uint8_t *region = HF_DATA(uint8_t, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = blank_voxel(image[i], region[i], p->blank);
    return HF_OK;
}

static enum hf_status merge(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const float *image = HF_DATA(float, call->in[0]);
    const uint8_t *region = HF_DATA(uint8_t, call->in[1]);
    const float *filling = HF_DATA(float, call->in[2]);
    float *inpainted = HF_DATA(float, call->out[0]), *difference = HF_DATA(float, call->out[1]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++) {
        inpainted[i] = merge_voxel(image[i], region[i], filling[i]);
        difference[i] = image[i] - inpainted[i];
    }
    return HF_OK;
}

static enum hf_status turn(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct turn_params *p = call->params;
    const uint8_t *parts = HF_DATA(uint8_t, call->in[0]), *region = HF_DATA(uint8_t, call->in[1]);
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = turn_voxel(parts[i], region[i], p->turn);
    return HF_OK;
}

static enum hf_status everywhere(const struct hf_op_call *call, void *scratch, void *stream,
                                 struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    memset(call->out[0]->dl.data, 1, call->out[0]->bytes);
    return HF_OK;
}

const struct hf_op inpaint_turn_cpu = {"inpaint.turn", HF_KIND_CPU, turn, NULL};
const struct hf_op inpaint_everywhere_cpu = {"inpaint.everywhere", HF_KIND_CPU, everywhere, NULL};
const struct hf_op inpaint_blank_cpu = {"inpaint.blank", HF_KIND_CPU, blank, NULL};
const struct hf_op inpaint_merge_cpu = {"inpaint.merge", HF_KIND_CPU, merge, NULL};
