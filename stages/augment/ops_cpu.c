/**
 * ops_cpu.c - the ops of `augment` on the CPU.
 */
#include "ops.h"

/* Voxels whose sum is taken at once, so that large volumes lose no digits. */
#define CHUNK 4096

static int64_t voxels_of(const struct hf_tensor *t) {
    return t->shape[1] * t->shape[2] * t->shape[3];
}

static const struct augment_stats *stats_of(const struct hf_op_call *call, int32_t k) {
    return HF_DATA(struct augment_stats, call->in[k]);
}

/* The sum over the mask of (x - from) to the power of 1 or 2. */
static double moment(const float *x, const uint8_t *mask, int64_t n, double from, int power) {
    double sum = 0;
    for (int64_t begin = 0; begin < n; begin += CHUNK) {
        double part = 0;
        for (int64_t i = begin; i < n && i < begin + CHUNK; i++) {
            double v = mask && !mask[i] ? 0 : (double)x[i] - from;
            part += power == 2 ? v * v : v;
        }
        sum += part;
    }
    return sum;
}

static enum hf_status stats(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const uint8_t *mask = call->inputs > 1 ? HF_DATA(uint8_t, call->in[1]) : NULL;
    int64_t n = voxels_of(call->in[0]);
    for (int64_t c = 0; c < call->in[0]->shape[0]; c++) {
        const float *x = HF_DATA(float, call->in[0]) + c * n;
        struct augment_stats *out = HF_DATA(struct augment_stats, call->out[0]) + c;
        float low = INFINITY, high = -INFINITY;
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) {
            if (mask && !mask[i])
                continue;
            count++;
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
        *out = (struct augment_stats){0, 0, 0, 0};
        if (count == 0)
            continue;
        double mean = moment(x, mask, n, 0, 1) / (double)count;
        double variance = moment(x, mask, n, mean, 2) / (double)count;
        *out = (struct augment_stats){(float)mean, (float)sqrt(variance), low, high};
    }
    return HF_OK;
}

static enum hf_status shade(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct augment_shade_params *p = call->params;
    const float *in = HF_DATA(float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = voxels_of(call->in[0]), n = hf_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++) {
        struct augment_stats s = {0, 0, 0, 0};
        if (call->inputs > 1)
            s = stats_of(call, 1)[i / voxels];
        out[i] = augment_shade(in[i], s, *p);
    }
    return HF_OK;
}

static enum hf_status noise(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct augment_noise_params *p = call->params;
    const float *in = HF_DATA(float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = voxels_of(call->in[0]), n = hf_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] =
            in[i] + augment_noise(&p->stream, i) * (p->share * stats_of(call, 1)[i / voxels].sd);
    return HF_OK;
}

static enum hf_status gamma_power(const struct hf_op_call *call, void *scratch, void *stream,
                                  struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct augment_gamma_params *p = call->params;
    const float *in = HF_DATA(float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = voxels_of(call->in[0]), n = hf_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = augment_gamma(in[i], stats_of(call, 1)[i / voxels], p->gamma, p->inverted);
    return HF_OK;
}

static enum hf_status restore(const struct hf_op_call *call, void *scratch, void *stream,
                              struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const float *in = HF_DATA(float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = voxels_of(call->in[0]), n = hf_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] =
            augment_restore(in[i], stats_of(call, 1)[i / voxels], stats_of(call, 2)[i / voxels]);
    return HF_OK;
}

static enum hf_status merge(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct augment_merge_params *p = call->params;
    const float *before = HF_DATA(float, call->in[0]), *after = HF_DATA(float, call->in[1]);
    const uint8_t *mask = call->inputs > 2 ? HF_DATA(uint8_t, call->in[2]) : NULL;
    float *out = HF_DATA(float, call->out[0]);
    int64_t voxels = voxels_of(call->in[0]), n = hf_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = mask && !mask[i % voxels] ? before[i] : augment_clip(after[i], p->low, p->high);
    return HF_OK;
}

static enum hf_status warp(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct augment_warp_params *p = call->params;
    const struct hf_tensor *in = call->in[0];
    struct hf_tensor *out = call->out[0];
    const int64_t size[3] = {in->shape[3], in->shape[2], in->shape[1]};
    int64_t voxels = voxels_of(in);
    for (int64_t i = 0; i < voxels; i++) {
        const int64_t voxel[3] = {i % size[0], i / size[0] % size[1], i / size[0] / size[1]};
        double at[3];
        augment_place(p, HF_DATA(float, call->in[1]), voxel, at);
        int outside = augment_outside(at, size);
        for (int64_t c = 0; c < in->shape[0]; c++) {
            if (in->dtype == HF_F32) {
                const float *from = HF_DATA(float, in) + c * voxels;
                float *to = HF_DATA(float, out) + c * voxels;
                to[i] = outside ? p->fill : augment_linear(from, at, size);
            } else {
                const uint8_t *from = HF_DATA(uint8_t, in) + c * voxels;
                uint8_t *to = HF_DATA(uint8_t, out) + c * voxels;
                to[i] = outside ? (uint8_t)p->fill : from[augment_nearest(at, size)];
            }
        }
    }
    return HF_OK;
}

const struct hf_op augment_stats_cpu = {"augment.stats", HF_KIND_CPU, stats, NULL};
const struct hf_op augment_shade_cpu = {"augment.shade", HF_KIND_CPU, shade, NULL};
const struct hf_op augment_noise_cpu = {"augment.noise", HF_KIND_CPU, noise, NULL};
const struct hf_op augment_gamma_cpu = {"augment.gamma", HF_KIND_CPU, gamma_power, NULL};
const struct hf_op augment_restore_cpu = {"augment.restore", HF_KIND_CPU, restore, NULL};
const struct hf_op augment_merge_cpu = {"augment.merge", HF_KIND_CPU, merge, NULL};
const struct hf_op augment_warp_cpu = {"augment.warp", HF_KIND_CPU, warp, NULL};
