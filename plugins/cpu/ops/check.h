/**
 * check.h - what every shared op asks of its operands before it touches them.
 */
#ifndef HF_CPU_OPS_CHECK_H
#define HF_CPU_OPS_CHECK_H

#include <hepaflow/device.h>

/** A volume [C,D,H,W] of one of the dtypes in the bit set `dtypes`. */
static inline enum hf_status check_volume(const char *op, const char *what,
                                          const struct hf_tensor *t, uint32_t dtypes,
                                          struct hf_error *e) {
    if (!t)
        return hf_fail(e, HF_INVALID, "op '%s': the %s is missing", op, what);
    if (t->dl.ndim != 4)
        return hf_fail(e, HF_INVALID, "op '%s': the %s has %d dimensions, expected [C,D,H,W]", op,
                       what, (int)t->dl.ndim);
    if (!(dtypes >> t->dtype & 1))
        return hf_fail(e, HF_INVALID, "op '%s': the %s may not be %s", op, what,
                       hf_dtype_name(t->dtype));
    for (int i = 0; i < 4; i++)
        if (t->shape[i] < 1 || t->shape[i] > INT32_MAX)
            return hf_fail(e, HF_INVALID, "op '%s': the %s has an axis of %lld voxels", op, what,
                           (long long)t->shape[i]);
    return HF_OK;
}

/** The operands of an op with so many inputs and outputs and a parameter struct. */
static inline enum hf_status check_call(const char *op, const struct hf_op_call *call,
                                        int32_t inputs_min, int32_t inputs_max, int32_t outputs,
                                        size_t params_size, struct hf_error *e) {
    if (call->inputs < inputs_min || call->inputs > inputs_max || call->outputs != outputs)
        return hf_fail(e, HF_INVALID, "op '%s': %d inputs and %d outputs, expected %d and %d", op,
                       (int)call->inputs, (int)call->outputs, (int)inputs_min, (int)outputs);
    if (!call->params || call->params_size != params_size)
        return hf_fail(e, HF_INVALID, "op '%s': parameters of %zu bytes, expected %zu", op,
                       call->params_size, params_size);
    return HF_OK;
}

static inline int same_shape(const struct hf_tensor *a, const struct hf_tensor *b) {
    if (a->dl.ndim != b->dl.ndim)
        return 0;
    for (int32_t i = 0; i < a->dl.ndim; i++)
        if (a->shape[i] != b->shape[i])
            return 0;
    return 1;
}

/** Hands out 64-byte aligned pieces of an op's scratch; with base NULL it only counts. */
struct pieces {
    char *base;
    size_t used;
};

static inline void *piece(struct pieces *p, size_t bytes) {
    void *at = p->base ? p->base + p->used : NULL;
    p->used += (bytes + 63) & ~(size_t)63;
    return at;
}

#endif
