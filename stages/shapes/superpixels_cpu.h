/**
 * superpixels_cpu.h - superpixels on the CPU.
 */
#ifndef HF_STAGES_SUPERPIXELS_CPU_H
#define HF_STAGES_SUPERPIXELS_CPU_H

#include <string.h>

#include "superpixels.h"

#define LANES 64 /* voxels that look for their superpixel side by side */

/* What is clustered: some voxels of a slice. */
struct clusters {
    const float *image;   /* the slice */
    const int32_t *voxel; /* their indices in it */
    int32_t voxels, w;    /* how many; voxels of the slice's rows */
    float spacing[2];     /* mm along H, W */
    float compactness;
    uint8_t *label; /* which superpixel each of the voxels is in, or NULL */
};

/* Voxels that look for their superpixel side by side. */
struct lanes {
    int32_t x[LANES], y[LANES];
    float along_w[LANES], along_h[LANES], value[LANES]; /* mm, and of the image */
    float best[LANES];
    int32_t near[LANES];
};

static inline void find_nearest(struct lanes *v, const struct centre *centre, int n, float pitch,
                                float compactness) {
    for (int l = 0; l < LANES; l++)
        v->best[l] = INFINITY;
    memset(v->near, 0, sizeof v->near);
    for (int k = 0; k < n; k++) {
        const struct centre c = centre[k];
        for (int l = 0; l < LANES; l++) {
            float d = superpixel_distance2(v->along_w[l] - c.x, v->along_h[l] - c.y, pitch,
                                           v->value[l] - c.value, compactness);
            /* As a mask, for gcc 12 keeps to one voxel at a time where a choice of integers hangs
             * on floats. */
            int32_t nearer = -(d < v->best[l]);
            v->near[l] = (k & nearer) | (v->near[l] & ~nearer);
            v->best[l] = d < v->best[l] ? d : v->best[l];
        }
    }
}

/* Adds the region's voxels to the superpixels whose centres are the nearest. */
static inline void assign(const struct clusters *s, const struct centre *centre,
                          struct superpixel *sum, int n, float pitch) {
    struct lanes v;
    memset(&v, 0, sizeof v);
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int32_t j = 0; j < s->voxels; j += LANES) {
        int count = s->voxels - j < LANES ? s->voxels - j : LANES;
        for (int l = 0; l < count; l++) {
            int32_t i = s->voxel[j + l];
            v.x[l] = i % s->w;
            v.y[l] = i / s->w;
            v.along_w[l] = (float)v.x[l] * s->spacing[1];
            v.along_h[l] = (float)v.y[l] * s->spacing[0];
            v.value[l] = s->image[i];
        }
        find_nearest(&v, centre, n, pitch, s->compactness);
        for (int l = 0; l < count && s->label; l++)
            s->label[j + l] = (uint8_t)v.near[l];
        for (int l = 0; l < count; l++)
            add_voxel(&sum[v.near[l]], v.x[l], v.y[l], v.value[l]);
    }
}

/* Clusters the region's voxels by place and intensity around `n` centres. */
static inline void clusters_make(const struct clusters *s, const int32_t *seed,
                                 struct superpixel *sum, int n) {
    struct centre centre[MAX_SUPERPIXELS];
    float pitch = superpixel_pitch(s->spacing, s->voxels, n);
    for (int k = 0; k < n; k++) {
        int32_t i = s->voxel[seed[k]];
        centre[k] = (struct centre){(float)(i % s->w) * s->spacing[1],
                                    (float)(i / s->w) * s->spacing[0], s->image[i]};
    }
    for (int round = 0; round < ROUNDS; round++) {
        if (round > 0)
            for (int k = 0; k < n; k++)
                move_centre(s->spacing, &sum[k], &centre[k]);
        assign(s, centre, sum, n, pitch);
    }
}

#endif
