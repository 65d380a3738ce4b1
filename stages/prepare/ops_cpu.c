/**
 * ops_cpu.c - the ops of prepare on the CPU.
 */
#include <string.h>

#include "canvas.h"
#include "ops.h"

static enum hf_status window(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct prepare_window_params *p = call->params;
    const float *in = HF_DATA(float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = prepare_window(in[i], p->low, p->high);
    return HF_OK;
}

static enum hf_status inside(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const uint8_t *mask = HF_DATA(uint8_t, call->in[1]);
    int64_t n = hf_tensor_count(call->out[0]);
    if (call->out[0]->dtype == HF_F32) {
        const float *in = HF_DATA(float, call->in[0]);
        float *out = HF_DATA(float, call->out[0]);
        for (int64_t i = 0; i < n; i++)
            out[i] = mask[i] ? in[i] : 0;
    } else {
        const uint8_t *in = HF_DATA(uint8_t, call->in[0]);
        uint8_t *out = HF_DATA(uint8_t, call->out[0]);
        for (int64_t i = 0; i < n; i++)
            out[i] = mask[i] ? in[i] : 0;
    }
    return HF_OK;
}

static enum hf_status box(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct hf_tensor *mask = call->in[0];
    struct canvas_box b = {{0, 0, 0}, {-1, -1, -1}};
    (void)canvas_find(HF_DATA(uint8_t, mask), mask->shape + 1, &b);
    for (int a = 0; a < 3; a++) {
        HF_DATA(int32_t, call->out[0])[a] = (int32_t)b.low[a];
        HF_DATA(int32_t, call->out[0])[3 + a] = (int32_t)b.high[a];
    }
    return HF_OK;
}

static enum hf_status histogram(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const float *image = HF_DATA(float, call->in[0]);
    const uint8_t *mask = HF_DATA(uint8_t, call->in[1]);
    int32_t *bins = HF_DATA(int32_t, call->out[0]);
    int64_t n = hf_tensor_count(call->in[1]);
    memset(bins, 0, call->out[0]->bytes);
    for (int64_t i = 0; i < n; i++)
        if (mask[i])
            bins[prepare_bin(image[i])]++;
    return HF_OK;
}

const struct hf_op prepare_window_cpu = {"prepare.window", HF_KIND_CPU, window, NULL};
const struct hf_op prepare_inside_cpu = {"prepare.inside", HF_KIND_CPU, inside, NULL};
const struct hf_op prepare_box_cpu = {"prepare.box", HF_KIND_CPU, box, NULL};
const struct hf_op prepare_histogram_cpu = {"prepare.histogram", HF_KIND_CPU, histogram, NULL};
