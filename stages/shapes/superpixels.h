/**
 * superpixels.h - a slice's voxels in clusters by place and intensity (SLIC), for the stages that
 * cut a region into pieces. Arithmetic for the CPU and for CUDA alike.
 */
#ifndef HF_STAGES_SUPERPIXELS_H
#define HF_STAGES_SUPERPIXELS_H

#include "shapes.h"

#define MAX_SUPERPIXELS 256
#define ROUNDS          5 /* of the superpixels' clustering */

/** Squared distance of a voxel to a superpixel's centre: space in units of the superpixels' pitch,
 *  intensity in units of the compactness. */
HF_DEVICE static inline float superpixel_distance2(float dx, float dy, float pitch, float di,
                                                   float compactness) {
    float s = 1.0f / (pitch * pitch), c = 1.0f / (compactness * compactness);
    return (dx * dx + dy * dy) * s + di * di * c;
}

/** Where a superpixel is: mm along W and H, and the image's value. */
struct centre {
    float x, y, value;
};

/** Sums over the voxels of a superpixel, exact in any order: indices along W and H, and the image's
 *  values (shapes_fixed). */
struct superpixel {
    int64_t n, x, y, value;
    int64_t xx, xy, yy;
};

HF_DEVICE static inline float superpixel_pitch(const float spacing[2], int32_t voxels, int32_t n) {
    return sqrtf((float)voxels * spacing[1] * spacing[0] / (float)n);
}

HF_DEVICE static inline void add_voxel(struct superpixel *s, int32_t x, int32_t y, float value) {
    s->n += 1;
    s->x += x;
    s->y += y;
    s->value += shapes_fixed(value);
    s->xx += (int64_t)x * x;
    s->xy += (int64_t)x * y;
    s->yy += (int64_t)y * y;
}

/** Moves a centre to the middle of its superpixel, if that has voxels. */
HF_DEVICE static inline void move_centre(const float spacing[2], const struct superpixel *s,
                                         struct centre *c) {
    if (s->n == 0)
        return;
    c->x = (float)((double)s->x / (double)s->n) * spacing[1];
    c->y = (float)((double)s->y / (double)s->n) * spacing[0];
    c->value = shapes_mean(s->value, s->n);
}

#endif
