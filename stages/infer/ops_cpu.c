/**
 * ops_cpu.c - survey, gather and scatter on the CPU: between volumes and batches of slices.
 */
#include <string.h>

#include "infer.h"

enum hf_status infer_survey_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const int64_t *shape = call->in[0]->shape;
    size_t plane = (size_t)(shape[2] * shape[3]);
    for (int64_t d = 0; d < shape[1]; d++) {
        const uint8_t *mask = HF_DATA(uint8_t, call->in[0]) + (size_t)d * plane;
        uint8_t any = 0;
        for (size_t i = 0; i < plane; i++)
            any |= mask[i];
        HF_DATA(uint8_t, call->out[0])[d] = any != 0;
    }
    memset(call->out[1]->dl.data, 0, call->out[1]->bytes);
    return HF_OK;
}

enum hf_status infer_gather_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct infer_gather_params *p = call->params;
    const int64_t *shape = call->out[0]->shape;
    size_t plane = (size_t)(shape[3] * shape[4]);
    float *out = HF_DATA(float, call->out[0]);
    for (int64_t n = 0; n < shape[0]; n++) {
        for (int32_t k = 0; k < call->inputs; k++) {
            const struct hf_tensor *t = call->in[k];
            for (int64_t c = 0; c < t->shape[0]; c++, out += plane) {
                if (p->slice[n] < 0) {
                    memset(out, 0, plane * sizeof *out);
                    continue;
                }
                size_t from = (size_t)(c * t->shape[1] + p->slice[n]) * plane;
                if (t->dtype == HF_F32)
                    memcpy(out, HF_DATA(float, t) + from, plane * sizeof *out);
                else
                    for (size_t i = 0; i < plane; i++)
                        out[i] = (float)HF_DATA(uint8_t, t)[from + i];
            }
        }
    }
    return HF_OK;
}

enum hf_status infer_scatter_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                 struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct infer_scatter_params *p = call->params;
    const int64_t *shape = call->in[0]->shape, *volume = call->out[0]->shape;
    int64_t plane = shape[3] * shape[4];
    int32_t channels = (int32_t)shape[1];
    for (int64_t n = 0; n < shape[0]; n++) {
        if (p->slice[n] < 0)
            continue;
        const float *z = HF_DATA(float, call->in[0]) + n * channels * plane;
        const uint8_t *gate =
            call->inputs > 1 ? HF_DATA(uint8_t, call->in[1]) + p->slice[n] * plane : NULL;
        for (int64_t c = 0; c < volume[0]; c++) {
            float *out = HF_DATA(float, call->out[0]) + (c * volume[1] + p->slice[n]) * plane;
            for (int64_t i = 0; i < plane; i++)
                out[i] = gate && !gate[i]
                             ? 0
                             : infer_value(z + i, plane, channels, (int32_t)c, p->activation);
        }
    }
    return HF_OK;
}
