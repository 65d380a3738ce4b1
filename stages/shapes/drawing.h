/**
 * drawing.h - what stages that draw shapes share on the host: ranges from options, and the field
 * `slices` that says from which slices a training may draw.
 */
#ifndef HF_STAGES_DRAWING_H
#define HF_STAGES_DRAWING_H

#include <hepaflow/plugin.h>

#include "shapes.h"

/** A checked option `[low, high]` as a range. */
static inline struct range range_of(const struct hf_reals *r) {
    struct range range = {(float)r->value[0], (float)r->value[1]};
    return range;
}

static inline enum hf_status range_check(const char *option, const struct hf_reals *r,
                                         struct hf_error *e) {
    if (r->value[0] <= r->value[1])
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "option '%s' is [%g, %g]: the first number must not exceed the second", option,
                   r->value[0], r->value[1]);
}

/**
 * Sets `slices` of `out`: 1 where `drawn` (u8 [D], on the stage's device) is 1 and the sample that
 * came in allows the slice.
 */
static inline enum hf_status slices_set(const struct hf_stage *s, const struct hf_sample *in,
                                        struct hf_tensor *drawn, struct hf_sample *out,
                                        struct hf_error *e) {
    struct hf_tensor *host = NULL, *allowed = NULL, *slices = NULL;
    enum hf_status st = hf_tensor_read(s, drawn, &host, e);
    if (st == HF_OK && hf_sample_get(in, "slices"))
        st = hf_tensor_read(s, hf_sample_get(in, "slices"), &allowed, e);
    if (st == HF_OK && allowed && allowed->shape[0] != host->shape[0])
        st = hf_fail(e, HF_INVALID, "case '%s': 'slices' has %lld entries for %lld slices",
                     in->case_id, (long long)allowed->shape[0], (long long)host->shape[0]);
    if (st == HF_OK)
        st = hf_tensor_new_host(s, HF_U8, 1, host->shape, &slices, e);
    if (st == HF_OK) {
        uint8_t *to = HF_DATA(uint8_t, slices);
        for (int64_t d = 0; d < host->shape[0]; d++)
            to[d] = HF_DATA(uint8_t, host)[d] && (!allowed || HF_DATA(uint8_t, allowed)[d]);
        st = s->host->sample_set(out, "slices", HF_ON_HOST, slices, e);
    }
    s->host->tensor_unref(host);
    s->host->tensor_unref(allowed);
    return st;
}

#endif
