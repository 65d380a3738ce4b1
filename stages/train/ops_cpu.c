/*
 * ops_cpu.c - the ops of `train` on the CPU.
 */
#include "ops.h"

#include <string.h>

#include "elem.h"

static float load(const struct hf_tensor *t, int64_t i) {
    return t->dtype == HF_U8 ? (float)HF_DATA(uint8_t, t)[i] : HF_DATA(float, t)[i];
}

static enum hf_status take(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct train_take_params *p = call->params;
    int64_t plane = call->in[0]->shape[2] * call->in[0]->shape[3];
    float *to = HF_DATA(float, call->out[0]) + p->channel * plane;
    for (int32_t k = 0; k < call->inputs; k++) {
        const struct hf_tensor *in = call->in[k];
        int32_t classes = k == p->labels ? p->classes : 0;
        int32_t channels = classes ? classes : (int32_t)in->shape[0];
        for (int32_t c = 0; c < channels; c++, to += plane) {
            int64_t from = ((classes ? 0 : c) * in->shape[1] + p->d) * plane;
            for (int64_t i = 0; i < plane; i++)
                to[i] = train_target(load(in, from + i), classes, c);
        }
    }
    return HF_OK;
}

static enum hf_status put(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct hf_tensor *out = call->out[0];
    const struct train_put_params *p = call->params;
    int64_t plane = out->shape[3] * out->shape[4], row = out->shape[1] * plane;
    for (int32_t k = 0; k < call->inputs; k++)
        memcpy(HF_DATA(float, out) + (p->n + k) * row,
               HF_DATA(float, call->in[k]) + p->first * plane, (size_t)row * sizeof(float));
    return HF_OK;
}

static enum hf_status profile(const struct hf_op_call *call, void *scratch, void *stream,
                              struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct hf_tensor *in = call->in[0];
    int64_t plane = in->shape[2] * in->shape[3];
    for (int64_t d = 0; d < in->shape[1]; d++) {
        int64_t n = 0;
        for (int64_t i = 0; i < plane; i++)
            n += train_positive(load(in, d * plane + i));
        HF_DATA(float, call->out[0])[d] = (float)n;
    }
    return HF_OK;
}

const struct hf_op train_take_cpu = {"train.take", HF_KIND_CPU, take, NULL};
const struct hf_op train_put_cpu = {"train.put", HF_KIND_CPU, put, NULL};
const struct hf_op train_profile_cpu = {"train.profile", HF_KIND_CPU, profile, NULL};
