/**
 * elem.h - the arithmetic of synthetic lesions on one voxel, and the operands of their op.
 *
 * "tumor_synthesis.draw": in[0] image f32, in[1] liver u8, in[2] the region that lesions may lie in
 * u8, in[3] couinaud u8 (or absent), all [1,D,H,W]; out[0] image f32, out[1] lesion f32, out[2]
 * hole u8 (empty in slices that are not drawn from), out[3] u8 [D]: 1 where the slice has enough of
 * the region.
 */
#ifndef HF_STAGES_TUMOR_SYNTHESIS_ELEM_H
#define HF_STAGES_TUMOR_SYNTHESIS_ELEM_H

#include "../shapes/shapes.h"

enum synthesis_method {
    METHOD_SUPERPIXEL,
    METHOD_ELLIPSE,
    METHOD_ELLIPSOID
};

enum contrast_kind {
    CONTRAST_BETA,
    CONTRAST_RANGES,
    CONTRAST_NORMAL
};

struct synthesis_params {
    struct hf_rng rng; /* of the sample */
    int32_t method;    /* enum synthesis_method */
    int32_t contrast;  /* enum contrast_kind */
    float spacing[2];  /* mm along H, W */
    float unit;        /* what 1 HU is in the image's units */
    float share;       /* of slices that get a lesion */
    struct range lesions;
    struct range superpixels;
    float compactness;
    struct range radius;        /* mm */
    struct range elastic_size;  /* mm */
    struct range elastic_shift; /* mm */
    struct range edge;          /* mm */
    struct range beta_range;    /* HU */
    float beta_shape[2];
    struct range hypodense_contrast, hyperdense_contrast; /* HU */
    float normal_mean, normal_sd;                         /* HU */
    float hyperdense;          /* share of lesions brighter than the liver */
    float faintest;            /* HU */
    struct range texture;      /* HU */
    struct range texture_size; /* mm */
    float damp;                /* share of the vessels' contrast that a lesion takes away */
    float damp_size;           /* mm */
    struct range extra_segments;
    float min_area; /* mm2 */
};

/** Where a lesion's soft mask counts as touching a Couinaud segment. */
#define LESION_TOUCHES 0.05f

HF_DEVICE static inline float draw_contrast_once(struct hf_rng *r, const struct synthesis_params *p,
                                                 int bright) {
    if (p->contrast == CONTRAST_RANGES)
        return draw_range(r, bright ? p->hyperdense_contrast : p->hypodense_contrast);
    if (p->contrast == CONTRAST_NORMAL)
        return p->normal_mean + p->normal_sd * hf_rng_normal(r);
    float share = draw_beta(r, p->beta_shape[0], p->beta_shape[1]);
    return p->beta_range.low + (p->beta_range.high - p->beta_range.low) * share;
}

/** A lesion's contrast to the liver in HU: of the distribution's part with the drawn sign, and not
 *  too faint. Where the distribution has hardly such a part, its mirror image stands in. */
HF_DEVICE static inline float draw_contrast(struct hf_rng *r, const struct synthesis_params *p) {
    int bright = hf_rng_uniform(r) < p->hyperdense;
    float c = 0.0f;
    for (int i = 0; i < 64; i++) {
        c = draw_contrast_once(r, p, bright);
        if (fabsf(c) >= p->faintest && (c > 0.0f) == bright)
            return c;
    }
    c = fmaxf(fabsf(c), p->faintest);
    return bright ? c : -c;
}

/** How much of a voxel lies in a shape whose edge is `depth` mm away; voxels are `size` mm. */
HF_DEVICE static inline float coverage(float depth, float size) {
    return fminf(fmaxf(0.5f + depth / size, 0.0f), 1.0f);
}

/** A voxel under a lesion: vessels (how the smoothed image `low` differs from its mean there) fade,
 *  contrast and texture come on top, the image's own noise stays. */
HF_DEVICE static inline float lesion_voxel(float image, float mask, float contrast, float texture,
                                           float low, float mean, float damp) {
    float x = image + mask * (contrast + texture - damp * (low - mean));
    return fminf(fmaxf(x, 0.0f), 1.0f);
}

#endif
