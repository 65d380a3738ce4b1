/**
 * elem.h - patches: how far one is from another, what it says of the pixels that it covers, and the
 * operands of the op.
 *
 * "patchmatch.fill": in[0] image f32, in[1] region u8, in[2] tissue u8 (or absent); out[0]
 * inpainted f32, out[1] f32 what the image has more. All [1,D,H,W].
 */
#ifndef HF_PLUGINS_PATCHMATCH_ELEM_H
#define HF_PLUGINS_PATCHMATCH_ELEM_H

#include "../../stages/shapes/shapes.h"

#define PATCH_LEVELS 10

/* What a pixel is. */
enum pixel {
    PIXEL_OUTSIDE, /* no tissue: plays no part */
    PIXEL_KNOWN,
    PIXEL_HOLE
};

struct patchmatch_params {
    struct hf_rng rng;
    int32_t radius; /* a patch has 2 * radius + 1 pixels a side */
    int32_t levels; /* of the pyramid, at most */
    int32_t rounds; /* of searching and voting, on each level */
    int32_t sweeps; /* of a search */
    float unknown;  /* what fills a region in a volume without known tissue */
};

/** A slice, or what is left of it on a coarser level of its pyramid. */
struct plane {
    int32_t h, w;
    const uint8_t *pixel; /* enum pixel */
    const float *value;
};

/** Coarser by two: a hole if any of the four pixels is, else known if any is. */
HF_DEVICE static inline uint8_t coarse_pixel(const struct plane *p, int32_t y, int32_t x,
                                             float *ret_value) {
    uint8_t kind = PIXEL_OUTSIDE;
    float sum = 0, n = 0;
    for (int32_t k = 0; k < 4; k++) {
        int32_t y2 = 2 * y + k / 2, x2 = 2 * x + k % 2, i = y2 * p->w + x2;
        if (y2 >= p->h || x2 >= p->w)
            continue;
        kind = p->pixel[i] > kind ? p->pixel[i] : kind;
        if (p->pixel[i] == PIXEL_KNOWN) {
            sum += p->value[i];
            n += 1;
        }
    }
    *ret_value = n > 0 ? sum / n : 0.0f;
    return kind;
}

/** Whether all of the patch around a pixel is known: such patches are copied from. */
HF_DEVICE static inline int is_source(const struct plane *p, int32_t radius, int32_t y, int32_t x) {
    if (y < radius || x < radius || y + radius >= p->h || x + radius >= p->w)
        return 0;
    for (int32_t dy = -radius; dy <= radius; dy++)
        for (int32_t dx = -radius; dx <= radius; dx++)
            if (p->pixel[(y + dy) * p->w + x + dx] != PIXEL_KNOWN)
                return 0;
    return 1;
}

/** The mean squared difference of the patch around (y, x) of `to` and that around (v, u) of `from`,
 *  over what of the first is tissue; `enough` once it cannot be below that. */
HF_DEVICE static inline float patch_distance(const struct plane *to, int32_t y, int32_t x,
                                             const struct plane *from, int32_t v, int32_t u,
                                             int32_t radius, int32_t pixels, float enough) {
    float sum = 0, most = enough * (float)pixels;
    for (int32_t dy = -radius; dy <= radius; dy++) {
        if (y + dy < 0 || y + dy >= to->h)
            continue;
        for (int32_t dx = -radius; dx <= radius; dx++) {
            int32_t i = (y + dy) * to->w + x + dx;
            if (x + dx < 0 || x + dx >= to->w || to->pixel[i] == PIXEL_OUTSIDE)
                continue;
            float d = to->value[i] - from->value[(v + dy) * from->w + u + dx];
            sum += d * d;
        }
        if (!(sum < most))
            return enough;
    }
    return sum / (float)pixels;
}

/** How much a patch counts that is so far from the one it stands for, and `inside` steps from what
 *  is known; `spread` is the mean distance of all. */
HF_DEVICE static inline float vote_weight(float distance, float spread, int32_t inside) {
    return expf(-0.5f * distance / (spread + 1e-12f)) * powf(1.3f, -(float)inside);
}

#endif
