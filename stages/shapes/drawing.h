/**
 * drawing.h - what stages that draw shapes share beside the shapes: ranges from options, what a
 * HU is, and the field `slices` that says from which slices a training may draw.
 */
#ifndef HF_STAGES_DRAWING_H
#define HF_STAGES_DRAWING_H

#include <hepaflow/plugin.h>

#include "../geometry/window.h"
#include "allow.h"
#include "shapes.h"

/** A checked option `[low, high]` as a range. */
static inline struct range range_of(const struct hf_reals *r) {
    struct range range = {(float)r->value[0], (float)r->value[1]};
    return range;
}

/** An option that is a range, at `at` of the options. */
#define RANGE_OPTION(option, at, standard, of_unit, least, most, text)                             \
    {                                                                                              \
        .name = (option), .type = HF_OPTION_REALS, .offset = (at), .initial = (standard),          \
        .unit = (of_unit), .min = (least), .max = (most), .items_min = 2, .items_max = 2,          \
        .help = text                                                                               \
    }

struct named_range {
    const char *option;
    const struct hf_reals *value;
};

static inline enum hf_status ranges_check(const struct named_range *range, size_t count,
                                          struct hf_error *e) {
    for (size_t i = 0; i < count; i++) {
        const double *v = range[i].value->value;
        if (!(v[0] <= v[1]))
            return hf_fail(e, HF_INVALID,
                           "option '%s' is [%g, %g]: the first number must not exceed the second",
                           range[i].option, v[0], v[1]);
    }
    return HF_OK;
}

/** Makes the outputs of an op that draws into a volume: [1,D,H,W] all but the last, which is [D],
 *  a mark for each slice that was drawn. Those that were made stay in the call if one fails. */
static inline enum hf_status outputs_new(const struct hf_stage *s, const enum hf_dtype *dtypes,
                                         int32_t count, struct hf_op_call *call,
                                         struct hf_error *e) {
    const int64_t *shape = call->in[0]->shape;
    enum hf_status st = HF_OK;
    for (int32_t i = 0; i < count && st == HF_OK; i++)
        st = i + 1 == count ? hf_tensor_new(s, dtypes[i], 1, shape + 1, &call->out[i], e)
                            : hf_tensor_new(s, dtypes[i], 4, shape, &call->out[i], e);
    call->outputs = count;
    return st;
}

/** What 1 HU is in the units that `prepare` left. */
static inline enum hf_status window_unit(const struct hf_stage *s, const struct hf_sample *in,
                                         float *ret_unit, struct hf_error *e) {
    float hu[2];
    enum hf_status st = window_read(s, in, hu, e);
    if (st == HF_OK)
        *ret_unit = 1 / (hu[1] - hu[0]);
    return st;
}

/** "<stage>.allow" on the CPU. */
static inline enum hf_status allow_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                       struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const uint8_t *drawn = HF_DATA(uint8_t, call->in[0]), *allowed = HF_DATA(uint8_t, call->in[1]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t d = 0; d < n; d++)
        HF_DATA(uint8_t, call->out[0])[d] = allow_slice(drawn[d], allowed[d]);
    return HF_OK;
}

/**
 * Sets `slices` of `out`: 1 where `drawn` (u8 [D] of 0 and 1, on the stage's device) is 1 and the
 * sample that came in allows the slice. It stays on the device, so that nobody waits for it before
 * he needs it; `op` is the stage's "<stage>.allow".
 */
static inline enum hf_status slices_set(const struct hf_stage *s, const struct hf_sample *in,
                                        const char *op, struct hf_tensor *drawn,
                                        struct hf_sample *out, struct hf_error *e) {
    struct hf_tensor *earlier = hf_sample_get(in, "slices"), *allowed = NULL, *slices = NULL;
    if (!earlier) {
        s->host->tensor_ref(drawn);
        return s->host->sample_set(out, "slices", HF_ON_HOST, drawn, e);
    }
    if (hf_tensor_count(earlier) != drawn->shape[0])
        return hf_fail(e, HF_INVALID, "'slices' has %lld entries for %lld slices",
                       (long long)hf_tensor_count(earlier), (long long)drawn->shape[0]);
    enum hf_status st = s->host->tensor_to(s->host, earlier, s->device, s->queue, &allowed, e);
    if (st == HF_OK)
        st = hf_tensor_new(s, HF_U8, 1, drawn->shape, &slices, e);
    struct hf_op_call call = {.in = {drawn, allowed}, .out = {slices}, .inputs = 2, .outputs = 1};
    if (st == HF_OK)
        st = hf_launch(s, op, &call, e);
    s->host->tensor_unref(allowed);
    if (st == HF_OK)
        return s->host->sample_set(out, "slices", HF_ON_HOST, slices, e);
    s->host->tensor_unref(slices);
    return st;
}

#endif
