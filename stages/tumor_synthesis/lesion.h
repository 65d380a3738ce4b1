/**
 * lesion.h - one lesion: what is random of it but its noise, the superpixels that it may take its
 * outline from, and what is around it. Arithmetic for the CPU and for CUDA alike; see elem.h.
 */
#ifndef HF_STAGES_TUMOR_SYNTHESIS_LESION_H
#define HF_STAGES_TUMOR_SYNTHESIS_LESION_H

#include "../shapes/superpixels.h"
#include "elem.h"

#define MAX_RADIUS     192 /* voxels of a blur's kernel to each side */
#define MAX_TAPS       (2 * MAX_RADIUS + 1)
#define MIN_SUPERPIXEL 6 /* voxels that an ellipse can be fitted to */

enum noise_plane {
    NOISE_SHIFT,
    NOISE_TEXTURE,
    NOISE_PLANES
};

/** 1 if there is enough of the region in a slice to draw from it. */
HF_DEVICE static inline int is_enough(const struct synthesis_params *p, int32_t voxels) {
    return voxels > 0 && (float)voxels * p->spacing[0] * p->spacing[1] >= p->min_area;
}

/** How many lesions a slice gets. */
HF_DEVICE static inline int draw_lesions(struct hf_rng *r, const struct synthesis_params *p) {
    return hf_rng_uniform(r) < p->share ? draw_whole(r, p->lesions) : 0;
}

/** All that a slice's stream gives for a lesion. */
struct lesion {
    int32_t superpixels;    /* into how many the region is cut; below 2: it is one */
    uint32_t pick;          /* which of them, see shapes_below */
    int32_t at;             /* METHOD_ELLIPSE: rank of its middle among the region's voxels */
    struct ellipse ellipse; /* METHOD_ELLIPSE: around 0, 0 */
    float elastic_size, elastic_shift, edge; /* mm */
    float contrast, texture;                 /* in the image's units */
    float texture_size;                      /* mm */
};

/** Draws a lesion for a region of `voxels`. `seed` takes MAX_SUPERPIXELS: the ranks of the voxels
 *  that the superpixels begin at. */
HF_DEVICE static inline struct lesion
draw_lesion(struct hf_rng *r, const struct synthesis_params *p, int32_t voxels, int32_t *seed) {
    struct lesion l = {0, 0, 0, {0, 0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0};
    if (p->method == METHOD_SUPERPIXEL) {
        /* With so many voxels each on average, at least one superpixel has enough. */
        int most = voxels / (2 * MIN_SUPERPIXEL), n = draw_whole(r, p->superpixels);
        n = n < most ? n : most;
        n = n < MAX_SUPERPIXELS ? n : MAX_SUPERPIXELS;
        l.superpixels = n < 2 ? 0 : n;
        for (int k = 0; k < l.superpixels; k++)
            seed[k] = (int32_t)hf_rng_below(r, (uint32_t)voxels);
        if (l.superpixels > 0)
            l.pick = hf_rng_u32(r);
    } else {
        l.at = (int32_t)hf_rng_below(r, (uint32_t)voxels);
        l.ellipse = draw_ellipse(r, 0, 0, p->radius);
    }
    l.elastic_size = draw_range(r, p->elastic_size);
    l.elastic_shift = draw_range(r, p->elastic_shift);
    l.edge = draw_range(r, p->edge);
    l.contrast = draw_contrast(r, p) * p->unit;
    l.texture = draw_range(r, p->texture) * p->unit;
    l.texture_size = draw_range(r, p->texture_size);
    return l;
}

/** The segments that the inpainter will fill: see draw_hidden. */
HF_DEVICE static inline uint32_t draw_segments(struct hf_rng *r, const struct synthesis_params *p,
                                               const int32_t count[SHAPES_SEGMENTS],
                                               uint32_t taken) {
    return draw_hidden(r, p->extra_segments, count, taken);
}

/** Which superpixel the lesion takes its outline from. Those of a few voxels are left out; never
 *  all of them are, see draw_lesion. */
HF_DEVICE static inline int32_t pick_superpixel(const struct lesion *l,
                                                const struct superpixel *s) {
    int32_t large = 0, k = 0;
    for (int32_t i = 0; i < l->superpixels; i++)
        large += s[i].n >= MIN_SUPERPIXEL;
    for (int32_t left = shapes_below(l->pick, large); k < l->superpixels; k++)
        if (s[k].n >= MIN_SUPERPIXEL && left-- == 0)
            return k;
    return 0;
}

/** The ellipse with the second moments of a superpixel. */
HF_DEVICE static inline struct ellipse fit_ellipse(const struct synthesis_params *p,
                                                   const struct superpixel *s) {
    double dy = (double)p->spacing[0], dx = (double)p->spacing[1], n = (double)s->n;
    double mx = (double)s->x / n, my = (double)s->y / n;
    /* A voxel has an extent of its own: dx^2 / 12 along W. */
    double xx = ((double)s->xx / n - mx * mx + 1.0 / 12) * dx * dx;
    double yy = ((double)s->yy / n - my * my + 1.0 / 12) * dy * dy;
    double xy = ((double)s->xy / n - mx * my) * dx * dy;
    double middle = (xx + yy) / 2, spread = hypot((xx - yy) / 2, xy);
    double angle = 0.5 * atan2(2 * xy, xx - yy);
    double shorter = middle - spread, least = dx * dy / 12;
    struct ellipse e = {(float)(mx * dx),
                        (float)(my * dy),
                        (float)(2 * sqrt(middle + spread)),
                        (float)(2 * sqrt(shorter > least ? shorter : least)),
                        (float)cos(angle),
                        (float)sin(angle)};
    return e;
}

/** Part of the plane: rows y0..y1-1, columns x0..x1-1. */
struct box {
    int32_t x0, y0, x1, y1;
};

/** Where a lesion with that outline may be seen. */
HF_DEVICE static inline struct box box_around(const struct synthesis_params *p, int32_t h,
                                              int32_t w, const struct ellipse *e) {
    float reach = fmaxf(e->a, e->b) + 3 * p->elastic_shift.high + 3 * p->edge.high;
    float dy = p->spacing[0], dx = p->spacing[1];
    struct box b = {(int32_t)fmaxf(0, floorf((e->x - reach) / dx)),
                    (int32_t)fmaxf(0, floorf((e->y - reach) / dy)),
                    (int32_t)fminf((float)w, ceilf((e->x + reach) / dx) + 1),
                    (int32_t)fminf((float)h, ceilf((e->y + reach) / dy) + 1)};
    return b;
}

/** Taps of a Gaussian to each side; `sigma` in voxels. */
HF_DEVICE static inline int32_t blur_radius(float sigma) {
    return (int32_t)fminf(ceilf(3 * sigma), MAX_RADIUS);
}

/** Makes the 2 * blur_radius + 1 taps of a Gaussian, of sum 1. Returns the factor by which they
 *  lower the standard deviation of white noise. */
HF_DEVICE static inline float blur_taps(float sigma, float *tap) {
    int32_t radius = blur_radius(sigma);
    float sum = 0, energy = 0;
    for (int32_t i = -radius; i <= radius; i++) {
        tap[i + radius] = sigma > 0 ? expf(-0.5f * (float)(i * i) / (sigma * sigma)) : 1;
        sum += tap[i + radius];
    }
    for (int32_t i = 0; i <= 2 * radius; i++) {
        tap[i] /= sum;
        energy += tap[i] * tap[i];
    }
    return sqrtf(energy);
}

/** How far the outline moves for each unit of the blurred noise, which is uniform in -1..1 with a
 *  standard deviation of 0.577 before it is blurred with that gain. */
HF_DEVICE static inline float elastic_scale(float shift, float gain) {
    return shift / (0.57735f * gain);
}

/** A voxel of a lesion's mask before its edge is blurred: the ellipse, moved by the noise. */
HF_DEVICE static inline float mask_voxel(const struct synthesis_params *p, const struct ellipse *e,
                                         int32_t x, int32_t y, float scale, float along_w,
                                         float along_h) {
    float depth = ellipse_depth(e, (float)x * p->spacing[1] + scale * along_w,
                                (float)y * p->spacing[0] + scale * along_h);
    return coverage(depth, sqrtf(p->spacing[0] * p->spacing[1]));
}

/** 1 if a mask of that sum (shapes_fixed) makes a lesion: it covers a voxel or more. */
HF_DEVICE static inline int is_visible(int64_t mask_sum) {
    return mask_sum >= shapes_fixed(1);
}

/** The mean of an image under a mask, of the sums of their product and of the mask. */
HF_DEVICE static inline float mean_under(int64_t sum, int64_t mask_sum) {
    return (float)((double)sum / (double)mask_sum);
}

#endif
