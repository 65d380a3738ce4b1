/**
 * check.h - what the shared ops ask of their operands before they touch them, on every device.
 */
#ifndef HF_OPS_CHECK_H
#define HF_OPS_CHECK_H

#include <math.h>

#include <hepaflow/ops.h>

#define BLUR_SIGMA_MAX 1000.0f

/** A volume [C,D,H,W] of one of the dtypes in the bit set `dtypes`. It may be empty. */
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
        if (t->shape[i] < 0 || t->shape[i] > INT32_MAX)
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

static inline enum hf_status resample_check(const struct hf_op_call *call, struct hf_error *e) {
    uint32_t dtypes = 1u << HF_U8 | 1u << HF_F32;
    const struct hf_resample_params *params = (const struct hf_resample_params *)call->params;
    const struct hf_tensor *in = call->in[0], *out = call->out[0];
    enum hf_status st = check_call("resample", call, 1, 1, 1, sizeof *params, e);
    if (st == HF_OK)
        st = check_volume("resample", "input", in, dtypes, e);
    if (st == HF_OK)
        st = check_volume("resample", "output", out, dtypes, e);
    if (st != HF_OK)
        return st;
    if (in->dtype != out->dtype || in->shape[0] != out->shape[0])
        return hf_fail(e, HF_INVALID,
                       "op 'resample': %s with %lld channels cannot become %s with %lld",
                       hf_dtype_name(in->dtype), (long long)in->shape[0], hf_dtype_name(out->dtype),
                       (long long)out->shape[0]);
    if (params->mode == HF_RESAMPLE_LABELS && in->dtype != HF_U8)
        return hf_fail(e, HF_INVALID, "op 'resample': labels may not be %s",
                       hf_dtype_name(in->dtype));
    if (hf_tensor_count(in) == 0 && hf_tensor_count(out) > 0)
        return hf_fail(e, HF_INVALID, "op 'resample': the input has no voxels");
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            if (!isfinite(params->matrix[r][c]) || (c < 3 && fabs(params->matrix[r][c]) > 1e4))
                return hf_fail(e, HF_INVALID, "op 'resample': the matrix has an entry of %g",
                               params->matrix[r][c]);
    return HF_OK;
}

static inline enum hf_status blur_check(const struct hf_op_call *call, struct hf_error *e) {
    const struct hf_blur_params *params = (const struct hf_blur_params *)call->params;
    enum hf_status st = check_call("blur", call, 1, 2, 1, sizeof *params, e);
    if (st == HF_OK)
        st = check_volume("blur", "input", call->in[0], 1u << HF_F32, e);
    if (st == HF_OK)
        st = check_volume("blur", "output", call->out[0], 1u << HF_F32, e);
    if (st == HF_OK && call->inputs > 1)
        st = check_volume("blur", "mask", call->in[1], 1u << HF_U8, e);
    if (st != HF_OK)
        return st;
    if (!same_shape(call->in[0], call->out[0]))
        return hf_fail(e, HF_INVALID, "op 'blur': input and output differ in shape");
    if (call->inputs > 1)
        for (int i = 0; i < 4; i++)
            if (call->in[1]->shape[i] != (i == 0 ? 1 : call->in[0]->shape[i]))
                return hf_fail(e, HF_INVALID, "op 'blur': the mask is not on the image's grid");
    for (int a = 0; a < 3; a++)
        if (!(params->sigma[a] >= 0 && params->sigma[a] <= BLUR_SIGMA_MAX))
            return hf_fail(e, HF_INVALID, "op 'blur': sigma is %g, expected 0 to %g voxels",
                           (double)params->sigma[a], (double)BLUR_SIGMA_MAX);
    return HF_OK;
}

static inline enum hf_status components_check(const struct hf_op_call *call, struct hf_error *e) {
    const struct hf_components_params *params = (const struct hf_components_params *)call->params;
    const struct hf_tensor *mask = call->in[0], *count = call->out[1];
    enum hf_status st = check_call("components", call, 1, 1, 2, sizeof *params, e);
    if (st == HF_OK)
        st = check_volume("components", "mask", mask, 1u << HF_U8, e);
    if (st == HF_OK)
        st = check_volume("components", "output", call->out[0], 1u << HF_I32, e);
    if (st != HF_OK)
        return st;
    if (mask->shape[0] != 1 || !same_shape(mask, call->out[0]))
        return hf_fail(e, HF_INVALID, "op 'components': mask and labels must be [1,D,H,W] alike");
    if (!count || count->dtype != HF_I32 || hf_tensor_count(count) != 1)
        return hf_fail(e, HF_INVALID, "op 'components': the count must be i32 [1]");
    if (params->connectivity != 6 && params->connectivity != 18 && params->connectivity != 26)
        return hf_fail(e, HF_INVALID, "op 'components': connectivity %d, expected 6, 18 or 26",
                       (int)params->connectivity);
    if (hf_tensor_count(mask) >= INT32_MAX)
        return hf_fail(e, HF_INVALID, "op 'components': %lld voxels, at most %d can be numbered",
                       (long long)hf_tensor_count(mask), INT32_MAX - 1);
    return HF_OK;
}

static inline enum hf_status distance_check(const struct hf_op_call *call, struct hf_error *e) {
    const struct hf_distance_params *params = (const struct hf_distance_params *)call->params;
    enum hf_status st = check_call("distance", call, 1, 1, 1, sizeof *params, e);
    if (st == HF_OK)
        st = check_volume("distance", "mask", call->in[0], 1u << HF_U8, e);
    if (st == HF_OK)
        st = check_volume("distance", "output", call->out[0], 1u << HF_F32, e);
    if (st != HF_OK)
        return st;
    if (call->in[0]->shape[0] != 1 || !same_shape(call->in[0], call->out[0]))
        return hf_fail(e, HF_INVALID, "op 'distance': mask and output must be [1,D,H,W] alike");
    for (int a = 0; a < 3; a++)
        if (!(params->spacing[a] > 0 && params->spacing[a] < 1e12))
            return hf_fail(e, HF_INVALID, "op 'distance': a spacing of %g mm", params->spacing[a]);
    return HF_OK;
}

#endif
