/**
 * light.c - what `augment` does to the image's values, in nnU-Net's order: noise, blur, brightness,
 * contrast, low resolution, inverted gamma, gamma.
 *
 * nnU-Net sees values that are normalised by mean and deviation of the foreground. So noise is in
 * units of the deviation inside the liver, and brightness multiplies what a value is above the mean
 * inside the liver; the others do not depend on the scale.
 */
#include <math.h>

#include "augment.h"
#include "ops.h"

struct light {
    struct hf_stage *s;
    struct augment_draw *d;
    struct hf_tensor *image, *within, *liver; /* image: owned */
    struct hf_error *e;
};

/* The image becomes what an op makes of it and of one or two more. */
static enum hf_status apply(struct light *l, const char *op, struct hf_tensor *second,
                            struct hf_tensor *third, const void *params, size_t size) {
    struct hf_tensor *out = NULL, *const inputs[] = {l->image, second, third, NULL};
    enum hf_status st = augment_step(l->s, op, l->image, inputs, params, size, &out, l->e);
    if (st != HF_OK)
        return st;
    l->s->host->tensor_unref(l->image);
    l->image = out;
    return HF_OK;
}

static enum hf_status measure(const struct light *l, struct hf_tensor *mask,
                              struct hf_tensor **ret) {
    const int64_t shape[2] = {l->image->shape[0], 4};
    enum hf_status st = hf_tensor_new(l->s, HF_F32, 2, shape, ret, l->e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {
        .in = {l->image, mask}, .out = {*ret}, .inputs = mask ? 2 : 1, .outputs = 1};
    st = hf_launch(l->s, "augment.stats", &call, l->e);
    if (st != HF_OK) {
        l->s->host->tensor_unref(*ret);
        *ret = NULL;
    }
    return st;
}

/* An effect that needs the image's statistics inside a mask. */
static enum hf_status apply_by_stats(struct light *l, const char *op, struct hf_tensor *mask,
                                     const void *params, size_t size) {
    struct hf_tensor *stats = NULL;
    enum hf_status st = measure(l, mask, &stats);
    if (st == HF_OK)
        st = apply(l, op, stats, NULL, params, size);
    l->s->host->tensor_unref(stats);
    return st;
}

static enum hf_status noise(struct light *l, struct hf_rng *rng, const struct augment_options *o) {
    double variance = augment_uniform(rng, &o->noise);
    struct hf_rng voxels =
        *rng; /* the voxels' draws are blocks that the effect itself never draws */
    voxels.stream ^= UINT64_C(1) << 63;
    struct augment_noise_params p = {voxels, (float)sqrt(variance)};
    return apply_by_stats(l, "augment.noise", l->liver, &p, sizeof p);
}

static enum hf_status blur(struct light *l, struct hf_rng *rng, const struct augment_options *o) {
    struct hf_blur_params p = {{0, 0, 0}};
    for (int a = 2; a >= 3 - (int)o->dims; a--)
        p.sigma[a] = (float)augment_uniform(rng, &o->blur);
    return apply(l, "blur", l->within, NULL, &p, sizeof p);
}

static enum hf_status brightness(struct light *l, struct hf_rng *rng,
                                 const struct augment_options *o) {
    struct augment_shade_params p = {.factor = (float)augment_uniform(rng, &o->brightness),
                                     .about_mean = 1};
    return apply_by_stats(l, "augment.shade", l->liver, &p, sizeof p);
}

static enum hf_status contrast(struct light *l, const struct augment_options *o) {
    int about_mean = o->contrast_about == AUGMENT_ABOUT_MEAN;
    struct augment_shade_params p = {.middle = 0.5f,
                                     .factor = (float)l->d->contrast,
                                     .about_mean = about_mean,
                                     .keep_range = about_mean};
    return about_mean ? apply_by_stats(l, "augment.shade", l->within, &p, sizeof p)
                      : apply(l, "augment.shade", NULL, NULL, &p, sizeof p);
}

static enum hf_status shift(struct light *l) {
    struct augment_shade_params p = {.factor = 1, .shift = (float)l->d->shift};
    return apply(l, "augment.shade", NULL, NULL, &p, sizeof p);
}

/* The image at fewer voxels, nearest ones, and linearly back. */
static enum hf_status low_resolution(struct light *l, struct hf_rng *rng,
                                     const struct augment_options *o) {
    double zoom = augment_uniform(rng, &o->low_resolution);
    struct hf_resample_params down = {.mode = HF_RESAMPLE_NEAREST},
                              up = {.mode = HF_RESAMPLE_LINEAR};
    int64_t shape[4];
    memcpy(shape, l->image->shape, sizeof shape);
    for (int a = 0; a < 3; a++) { /* W, H, D */
        int64_t *n = &shape[3 - a], whole = *n;
        if (a < o->dims)
            *n = (int64_t)fmax(1, floor((double)whole * zoom + 0.5));
        down.matrix[a][a] = (double)whole / (double)*n;
        down.matrix[a][3] = 0.5 * down.matrix[a][a] - 0.5;
        up.matrix[a][a] = (double)*n / (double)whole;
        up.matrix[a][3] = 0.5 * up.matrix[a][a] - 0.5;
    }
    struct hf_tensor *small = NULL;
    enum hf_status st = hf_tensor_new(l->s, HF_F32, 4, shape, &small, l->e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {l->image},
                              .out = {small},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &down,
                              .params_size = sizeof down};
    st = hf_launch(l->s, "resample", &call, l->e);
    if (st == HF_OK) {
        struct hf_tensor *out = NULL;
        st = augment_step(l->s, "resample", l->image, (struct hf_tensor *const[]){small, NULL}, &up,
                          sizeof up, &out, l->e);
        if (st == HF_OK) {
            l->s->host->tensor_unref(l->image);
            l->image = out;
        }
    }
    l->s->host->tensor_unref(small);
    return st;
}

/* As nnU-Net draws it: below 1 as often as above. */
static double draw_gamma(struct hf_rng *rng, const struct hf_reals *range) {
    double low = range->value[0], high = range->value[range->count - 1];
    if (low < 1 && high > 1)
        *(hf_rng_uniform(rng) < 0.5f ? &high : &low) = 1;
    return low + (high - low) * (double)hf_rng_uniform(rng);
}

/* Mean and deviation stay. */
static enum hf_status gamma_power(struct light *l, struct hf_rng *rng,
                                  const struct augment_options *o, int32_t inverted) {
    struct augment_gamma_params p = {(float)draw_gamma(rng, &o->gamma), inverted};
    struct hf_tensor *before = NULL, *after = NULL;
    enum hf_status st = measure(l, l->within, &before);
    if (st == HF_OK)
        st = apply(l, "augment.gamma", before, NULL, &p, sizeof p);
    if (st == HF_OK)
        st = measure(l, l->within, &after);
    if (st == HF_OK)
        st = apply(l, "augment.restore", after, before, NULL, 0);
    l->s->host->tensor_unref(before);
    l->s->host->tensor_unref(after);
    return st;
}

static enum hf_status one_effect(struct light *l, enum augment_effect which) {
    const struct augment_options *o = l->s->options;
    struct hf_rng *rng = &l->d->stream[which];
    switch (which) {
    case AUGMENT_NOISE:
        return noise(l, rng, o);
    case AUGMENT_BLUR:
        return blur(l, rng, o);
    case AUGMENT_BRIGHTNESS:
        return brightness(l, rng, o);
    case AUGMENT_CONTRAST:
        return contrast(l, o);
    case AUGMENT_SHIFT:
        return shift(l);
    case AUGMENT_LOW_RESOLUTION:
        return low_resolution(l, rng, o);
    default:
        return gamma_power(l, rng, o, which == AUGMENT_INVERTED_GAMMA);
    }
}

enum hf_status augment_light(struct hf_stage *s, struct augment_draw *d, struct hf_sample *sample,
                             struct hf_error *e) {
    const struct augment_options *o = s->options;
    struct hf_tensor *before = hf_sample_get(sample, "image");
    struct light l = {s,
                      d,
                      before,
                      o->within.count > 0 ? hf_sample_get(sample, o->within.name[0]) : NULL,
                      hf_sample_get(sample, "liver"),
                      e};
    struct augment_merge_params bounds = {-INFINITY, INFINITY};
    enum hf_status st = HF_OK;
    if (!augment_any(d, AUGMENT_NOISE, AUGMENT_GAMMA))
        return HF_OK;
    s->host->tensor_ref(l.image);
    for (int k = AUGMENT_NOISE; st == HF_OK && k <= AUGMENT_GAMMA; k++)
        if (d->on[k])
            st = one_effect(&l, (enum augment_effect)k);
    if (o->clip.count == 2)
        bounds = (struct augment_merge_params){(float)o->clip.value[0], (float)o->clip.value[1]};
    struct hf_tensor *out = NULL;
    if (st == HF_OK)
        st = augment_step(s, "augment.merge", before,
                          (struct hf_tensor *const[]){before, l.image, l.within, NULL}, &bounds,
                          sizeof bounds, &out, e);
    s->host->tensor_unref(l.image);
    return st == HF_OK ? hf_sample_set(s, sample, "image", out, e) : st;
}
