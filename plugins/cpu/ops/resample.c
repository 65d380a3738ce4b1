/**
 * resample.c - "resample": a volume onto another grid.
 *
 * Grids whose axes run alike (all that `load` and `prepare` make) take the separable way: slices
 * are averaged along D, then H, then W, so that the long loops run along contiguous rows. Oblique
 * ones are sampled voxel by voxel.
 */
#include <stdlib.h>

#include "check.h"
#include "ops.h"
#include "resample_elem.h"

/** For each output index along an axis: its first voxel, how many, and their shares. */
struct taps {
    int64_t in, out;
    int64_t most;
    int32_t *first, *count;
    float *share;      /* `most` for each output index */
    int64_t low, high; /* first and last voxel that any output uses; low > high: none */
};

struct plan {
    struct taps axis[3]; /* D, H, W */
    float *slice;        /* [H][W] after the D pass */
    float *row;          /* [W] after the H pass */
};

static int64_t taps_most(double scale, enum hf_resample_mode mode) {
    return mode == HF_RESAMPLE_NEAREST ? 1 : (int64_t)ceil(resample_width(scale, mode)) + 2;
}

/** Lays the plan out in scratch; returns the bytes. */
static size_t plan_layout(const struct hf_op_call *call, struct plan *p, void *scratch) {
    const struct hf_resample_params *params = call->params;
    struct pieces mem = {scratch, 0};
    for (int a = 0; a < 3; a++) {
        struct taps *t = &p->axis[a];
        t->in = call->in[0]->shape[1 + a];
        t->out = call->out[0]->shape[1 + a];
        t->most = taps_most(params->matrix[2 - a][2 - a], params->mode);
        t->first = piece(&mem, (size_t)t->out * sizeof *t->first);
        t->count = piece(&mem, (size_t)t->out * sizeof *t->count);
        t->share = piece(&mem, (size_t)(t->out * t->most) * sizeof *t->share);
    }
    p->slice = piece(&mem, (size_t)(p->axis[1].in * p->axis[2].in) * sizeof *p->slice);
    p->row = piece(&mem, (size_t)p->axis[2].in * sizeof *p->row);
    return mem.used;
}

static void taps_fill(struct taps *t, double scale, double offset, enum hf_resample_mode mode) {
    double width = resample_width(scale, mode);
    t->low = t->in;
    t->high = -1;
    for (int64_t j = 0; j < t->out; j++) {
        double at = scale * (double)j + offset;
        int64_t first = 0;
        int32_t count = resample_span(at, width, t->in, mode, &first);
        double sum = 0;
        for (int32_t k = 0; k < count; k++)
            sum += resample_share(at, width, first + k);
        for (int32_t k = 0; k < count; k++)
            t->share[j * t->most + k] =
                count == 1 ? 1.0f : (float)(resample_share(at, width, first + k) / sum);
        t->first[j] = (int32_t)first;
        t->count[j] = count;
        if (count > 0 && first < t->low)
            t->low = first;
        if (count > 0 && first + count - 1 > t->high)
            t->high = first + count - 1;
    }
}

/** The axes run alike: no output voxel moves by more than a thousandth through the other terms. */
static int is_separable(const struct hf_resample_params *params, const struct hf_tensor *out) {
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            if (r != c && fabs(params->matrix[r][c]) * (double)out->shape[3 - c] > 1e-3)
                return 0;
    return 1;
}

/* to = share * from, or to += share * from */
static void row_add(float *restrict to, const void *from, enum hf_dtype dtype, int64_t at,
                    int64_t n, float share, int begin) {
    if (dtype == HF_F32) {
        const float *restrict src = (const float *)from + at;
        if (begin)
            for (int64_t i = 0; i < n; i++)
                to[i] = share * src[i];
        else
            for (int64_t i = 0; i < n; i++)
                to[i] += share * src[i];
    } else {
        const uint8_t *restrict src = (const uint8_t *)from + at;
        if (begin)
            for (int64_t i = 0; i < n; i++)
                to[i] = share * (float)src[i];
        else
            for (int64_t i = 0; i < n; i++)
                to[i] += share * (float)src[i];
    }
}

static void store(struct hf_tensor *out, int64_t at, float v) {
    if (out->dtype == HF_F32)
        HF_DATA(float, out)[at] = v;
    else
        HF_DATA(uint8_t, out)[at] = resample_round_u8(v);
}

static void fill(struct hf_tensor *out, int64_t at, int64_t n, float v) {
    for (int64_t i = 0; i < n; i++)
        store(out, at + i, v);
}

static void row_finish(const struct plan *p, struct hf_tensor *out, int64_t at, float outside) {
    const struct taps *t = &p->axis[2];
    for (int64_t j = 0; j < t->out; j++) {
        const float *src = p->row + t->first[j], *share = t->share + j * t->most;
        float sum = 0;
        for (int32_t k = 0; k < t->count[j]; k++)
            sum += share[k] * src[k];
        store(out, at + j, t->count[j] > 0 ? sum : outside);
    }
}

static void resample_separable(const struct plan *p, const struct hf_tensor *in,
                               struct hf_tensor *out, int64_t channel, float outside) {
    const struct taps *td = &p->axis[0], *th = &p->axis[1], *tw = &p->axis[2];
    int64_t width = tw->in, used = tw->high - tw->low + 1;
    for (int64_t d = 0; d < td->out; d++) {
        int64_t at = (channel * td->out + d) * th->out * tw->out;
        if (td->count[d] == 0 || used <= 0) {
            fill(out, at, th->out * tw->out, outside);
            continue;
        }
        for (int64_t h = th->low; h <= th->high; h++)
            for (int32_t k = 0; k < td->count[d]; k++)
                row_add(p->slice + h * width + tw->low, in->dl.data, in->dtype,
                        ((channel * td->in + td->first[d] + k) * th->in + h) * width + tw->low,
                        used, td->share[d * td->most + k], k == 0);
        for (int64_t j = 0; j < th->out; j++) {
            if (th->count[j] == 0) {
                fill(out, at + j * tw->out, tw->out, outside);
                continue;
            }
            for (int32_t k = 0; k < th->count[j]; k++)
                row_add(p->row + tw->low, p->slice, HF_F32, (th->first[j] + k) * width + tw->low,
                        used, th->share[j * th->most + k], k == 0);
            row_finish(p, out, at + j * tw->out, outside);
        }
    }
}

static float load(const struct hf_tensor *in, int64_t channel, int64_t d, int64_t h, int64_t w) {
    int64_t at = ((channel * in->shape[1] + d) * in->shape[2] + h) * in->shape[3] + w;
    return in->dtype == HF_F32 ? HF_DATA(float, in)[at] : (float)HF_DATA(uint8_t, in)[at];
}

/** Linear interpolation at the index (w, h, d) = `at`, clamped to the volume. */
static float sample_linear(const struct hf_tensor *in, int64_t channel, const double at[3]) {
    int64_t low[3], high[3];
    float weight[3];
    for (int a = 0; a < 3; a++) {
        int64_t n = in->shape[3 - a];
        double v = fmin(fmax(at[a], 0.0), (double)(n - 1));
        low[a] = (int64_t)v;
        high[a] = low[a] + 1 < n ? low[a] + 1 : low[a];
        weight[a] = (float)(v - (double)low[a]);
    }
    float sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        float share = 1;
        int64_t index[3];
        for (int a = 0; a < 3; a++) {
            share *= corner >> a & 1 ? weight[a] : 1 - weight[a];
            index[a] = corner >> a & 1 ? high[a] : low[a];
        }
        if (share > 0)
            sum += share * load(in, channel, index[2], index[1], index[0]);
    }
    return sum;
}

static void transform(const double m[3][4], const double v[3], double ret[3]) {
    for (int r = 0; r < 3; r++)
        ret[r] = m[r][0] * v[0] + m[r][1] * v[1] + m[r][2] * v[2] + m[r][3];
}

/** One output voxel of an oblique grid: AREA is the mean of a lattice of points inside it. */
static float sample_oblique(const struct hf_resample_params *params, const struct hf_tensor *in,
                            int64_t channel, const int64_t voxel[3], const int64_t points[3]) {
    double centre[3] = {(double)voxel[0], (double)voxel[1], (double)voxel[2]}, at[3];
    transform(params->matrix, centre, at);
    for (int a = 0; a < 3; a++)
        if (resample_outside(at[a], in->shape[3 - a]))
            return params->fill;
    if (params->mode == HF_RESAMPLE_NEAREST)
        return load(in, channel, resample_clamp(floor(at[2] + 0.5), in->shape[1]),
                    resample_clamp(floor(at[1] + 0.5), in->shape[2]),
                    resample_clamp(floor(at[0] + 0.5), in->shape[3]));
    float sum = 0;
    int64_t n = points[0] * points[1] * points[2];
    for (int64_t i = 0; i < n; i++) {
        int64_t step[3] = {i % points[0], i / points[0] % points[1], i / points[0] / points[1]};
        double inside[3];
        for (int a = 0; a < 3; a++)
            inside[a] = centre[a] + ((double)step[a] + 0.5) / (double)points[a] - 0.5;
        transform(params->matrix, inside, at);
        sum += sample_linear(in, channel, at);
    }
    return sum / (float)n;
}

static void resample_oblique(const struct hf_resample_params *params, const struct hf_tensor *in,
                             struct hf_tensor *out, int64_t channel) {
    int64_t points[3] = {1, 1, 1};
    for (int c = 0; c < 3 && params->mode == HF_RESAMPLE_AREA; c++) {
        double length = 0;
        for (int r = 0; r < 3; r++)
            length += params->matrix[r][c] * params->matrix[r][c];
        points[c] = (int64_t)fmax(1.0, ceil(sqrt(length) - 1e-6));
    }
    int64_t depth = out->shape[1], height = out->shape[2], width = out->shape[3];
    for (int64_t d = 0; d < depth; d++)
        for (int64_t h = 0; h < height; h++)
            for (int64_t w = 0; w < width; w++) {
                int64_t voxel[3] = {w, h, d};
                store(out, ((channel * depth + d) * height + h) * width + w,
                      sample_oblique(params, in, channel, voxel, points));
            }
}

static enum hf_status check(const struct hf_op_call *call, struct hf_error *e) {
    uint32_t dtypes = 1u << HF_U8 | 1u << HF_F32;
    const struct hf_resample_params *params = call->params;
    enum hf_status st = check_call("resample", call, 1, 1, 1, sizeof *params, e);
    if (st == HF_OK)
        st = check_volume("resample", "input", call->in[0], dtypes, e);
    if (st == HF_OK)
        st = check_volume("resample", "output", call->out[0], dtypes, e);
    if (st != HF_OK)
        return st;
    if (call->in[0]->dtype != call->out[0]->dtype ||
        call->in[0]->shape[0] != call->out[0]->shape[0])
        return hf_fail(e, HF_INVALID,
                       "op 'resample': %s with %lld channels cannot become %s with %lld",
                       hf_dtype_name(call->in[0]->dtype), (long long)call->in[0]->shape[0],
                       hf_dtype_name(call->out[0]->dtype), (long long)call->out[0]->shape[0]);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            if (!isfinite(params->matrix[r][c]) || (c < 3 && fabs(params->matrix[r][c]) > 1e4))
                return hf_fail(e, HF_INVALID, "op 'resample': the matrix has an entry of %g",
                               params->matrix[r][c]);
    return HF_OK;
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    struct plan p;
    return check(call, NULL) == HF_OK ? plan_layout(call, &p, NULL) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)stream;
    enum hf_status st = check(call, e);
    if (st != HF_OK)
        return st;
    const struct hf_resample_params *params = call->params;
    int separable = is_separable(params, call->out[0]);
    struct plan p = {0};
    if (separable) {
        plan_layout(call, &p, scratch);
        for (int a = 0; a < 3; a++)
            taps_fill(&p.axis[a], params->matrix[2 - a][2 - a], params->matrix[2 - a][3],
                      params->mode);
    }
    for (int64_t channel = 0; channel < call->out[0]->shape[0]; channel++) {
        if (separable)
            resample_separable(&p, call->in[0], call->out[0], channel, params->fill);
        else
            resample_oblique(params, call->in[0], call->out[0], channel);
    }
    return HF_OK;
}

const struct hf_op cpu_op_resample = {"resample", HF_KIND_CPU, launch, scratch_bytes};
