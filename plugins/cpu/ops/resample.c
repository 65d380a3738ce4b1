/**
 * resample.c - "resample": a volume onto another grid.
 *
 * Grids whose axes run alike (all that `load` and `prepare` make) take the separable way: slices
 * are averaged along D, then H, then W, so that the long loops run along contiguous rows. Oblique
 * ones are sampled voxel by voxel.
 */

#include "../../ops/check.h"
#include "../../ops/pieces.h"
#include "../../ops/resample_elem.h"
#include "ops.h"

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

/** Lays the plan out in scratch; returns the bytes. */
static size_t plan_layout(const struct hf_op_call *call, struct plan *p, void *scratch) {
    const struct hf_resample_params *params = call->params;
    struct pieces mem = {scratch, 0};
    for (int a = 0; a < 3; a++) {
        struct taps *t = &p->axis[a];
        t->in = call->in[0]->shape[1 + a];
        t->out = call->out[0]->shape[1 + a];
        t->most = resample_taps_most(params->matrix[2 - a][2 - a], params->mode);
        t->first = piece(&mem, (size_t)t->out * sizeof *t->first);
        t->count = piece(&mem, (size_t)t->out * sizeof *t->count);
        t->share = piece(&mem, (size_t)(t->out * t->most) * sizeof *t->share);
    }
    p->slice = piece(&mem, (size_t)(p->axis[1].in * p->axis[2].in) * sizeof *p->slice);
    p->row = piece(&mem, (size_t)p->axis[2].in * sizeof *p->row);
    return mem.used;
}

static void taps_fill(struct taps *t, double scale, double offset, enum hf_resample_mode mode) {
    t->low = t->in;
    t->high = -1;
    for (int64_t j = 0; j < t->out; j++) {
        t->count[j] =
            resample_taps(scale, offset, j, t->in, mode, &t->first[j], t->share + j * t->most);
        if (t->count[j] > 0 && t->first[j] < t->low)
            t->low = t->first[j];
        if (t->count[j] > 0 && t->first[j] + t->count[j] - 1 > t->high)
            t->high = t->first[j] + t->count[j] - 1;
    }
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

static void separable(const struct plan *p, const struct hf_tensor *in, struct hf_tensor *out,
                      int64_t channel, float outside) {
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

/** Labels of a straight grid: each output voxel by itself. */
static void labels(const struct plan *p, const struct hf_tensor *in, struct hf_tensor *out,
                   int64_t channel, float outside) {
    const struct taps *td = &p->axis[0], *th = &p->axis[1], *tw = &p->axis[2];
    const uint8_t *from = HF_DATA(uint8_t, in) + channel * td->in * th->in * tw->in;
    uint8_t *to = HF_DATA(uint8_t, out) + channel * td->out * th->out * tw->out;
    for (int64_t d = 0; d < td->out; d++)
        for (int64_t h = 0; h < th->out; h++)
            for (int64_t w = 0; w < tw->out; w++) {
                struct resample_box box = {
                    {td->first[d], th->first[h], tw->first[w]},
                    {td->count[d], th->count[h], tw->count[w]},
                    {td->share + d * td->most, th->share + h * th->most, tw->share + w * tw->most}};
                int there = box.count[0] > 0 && box.count[1] > 0 && box.count[2] > 0;
                *to++ = there ? resample_box_label(from, th->in, tw->in, &box)
                              : resample_round_u8(outside);
            }
}

static void oblique(const struct hf_resample_params *params, const struct hf_tensor *in,
                    struct hf_tensor *out, int64_t channel) {
    int64_t points[3], size = in->shape[1] * in->shape[2] * in->shape[3];
    resample_lattice(params, points);
    struct resample_volume from = {(const char *)in->dl.data +
                                       (size_t)(channel * size) * hf_dtype_size(in->dtype),
                                   {in->shape[1], in->shape[2], in->shape[3]},
                                   in->dtype == HF_F32};
    int64_t depth = out->shape[1], height = out->shape[2], width = out->shape[3];
    for (int64_t d = 0; d < depth; d++)
        for (int64_t h = 0; h < height; h++)
            for (int64_t w = 0; w < width; w++) {
                int64_t voxel[3] = {w, h, d};
                store(out, ((channel * depth + d) * height + h) * width + w,
                      resample_oblique(params, &from, voxel, points));
            }
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    struct plan p;
    return resample_check(call, NULL) == HF_OK ? plan_layout(call, &p, NULL) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)stream;
    enum hf_status st = resample_check(call, e);
    if (st != HF_OK || hf_tensor_count(call->out[0]) == 0)
        return st;
    const struct hf_resample_params *params = call->params;
    int straight = resample_separable(params, call->out[0]);
    struct plan p = {0};
    if (straight) {
        plan_layout(call, &p, scratch);
        for (int a = 0; a < 3; a++)
            taps_fill(&p.axis[a], params->matrix[2 - a][2 - a], params->matrix[2 - a][3],
                      params->mode);
    }
    for (int64_t channel = 0; channel < call->out[0]->shape[0]; channel++) {
        if (straight && params->mode == HF_RESAMPLE_LABELS)
            labels(&p, call->in[0], call->out[0], channel, params->fill);
        else if (straight)
            separable(&p, call->in[0], call->out[0], channel, params->fill);
        else
            oblique(params, call->in[0], call->out[0], channel);
    }
    return HF_OK;
}

const struct hf_op cpu_op_resample = {"resample", HF_KIND_CPU, launch, scratch_bytes};
