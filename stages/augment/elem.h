/**
 * elem.h - what `augment` does to the value of one voxel, and where a warped voxel comes from.
 */
#ifndef AUGMENT_ELEM_H
#define AUGMENT_ELEM_H

#include <math.h>
#include <stdint.h>

#include <hepaflow/rng.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/* ---- intensity ---- */

/** Of one channel. */
struct augment_stats {
    float mean, sd, low, high;
};

HF_DEVICE static inline float augment_clip(float x, float low, float high) {
    return x < low ? low : x > high ? high : x;
}

struct augment_shade_params {
    float middle; /* unless about_mean */
    float factor, shift;
    int32_t about_mean; /* 1: about the statistics' mean */
    int32_t keep_range; /* 1: results stay within the statistics' range */
};

/** Contrast about the middle, then brightness. */
HF_DEVICE static inline float augment_shade(float x, struct augment_stats s,
                                            struct augment_shade_params p) {
    float middle = p.about_mean ? s.mean : p.middle;
    float y = (x - middle) * p.factor + middle + p.shift;
    return p.keep_range ? augment_clip(y, s.low, s.high) : y;
}

/** Voxel i's draw of standard normal noise: a block of the stream each. */
HF_DEVICE static inline float augment_noise(const struct hf_rng *stream, int64_t i) {
    struct hf_rng r = *stream;
    r.draw = (uint64_t)i;
    r.left = 0;
    return hf_rng_normal(&r);
}

/** The power of what the value is between low and high; inverted: of what it lacks to high. */
HF_DEVICE static inline float augment_gamma(float x, struct augment_stats s, float gamma,
                                            int32_t inverted) {
    float range = s.high - s.low;
    if (!(range > 0.0f))
        return x;
    float t = (inverted ? s.high - x : x - s.low) / range;
    float y = powf(t > 0.0f ? t : 0.0f, gamma) * range;
    return inverted ? s.high - y : s.low + y;
}

/** From one mean and deviation to another. */
HF_DEVICE static inline float augment_restore(float x, struct augment_stats from,
                                              struct augment_stats to) {
    return (x - from.mean) * (to.sd / fmaxf(from.sd, 1e-7f)) + to.mean;
}

/* ---- space ---- */

struct augment_warp_params {
    double matrix[3][4]; /* from the output's index (w, h, d, 1) to the input's */
    double step[3];      /* output voxels between control points: W, H, D */
    int64_t count[3];    /* control points along W, H, D; 1: no change along it */
    float fill;          /* beyond the volume */
};

/** The weights of the four control points around a place between the second and the third. */
HF_DEVICE static inline void augment_spline(double t, double ret[4]) {
    ret[0] = (1 - t) * (1 - t) * (1 - t) / 6;
    ret[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
    ret[2] = (-3 * t * t * t + 3 * t * t + 3 * t + 1) / 6;
    ret[3] = t * t * t / 6;
}

/** The index (w, h, d) of the input that voxel (w, h, d) of the output shows: the matrix, and a
 * cubic B-spline of the control points' displacements [3][D][H][W], in voxels of the input. */
HF_DEVICE static inline void augment_place(const struct augment_warp_params *p,
                                           const float *control, const int64_t voxel[3],
                                           double ret[3]) {
    double weight[3][4];
    int64_t first[3], taps[3], points = p->count[0] * p->count[1] * p->count[2];
    for (int a = 0; a < 3; a++) {
        double at = (double)voxel[a] / p->step[a];
        taps[a] = p->count[a] > 1 ? 4 : 1;
        first[a] = p->count[a] > 1 ? (int64_t)at : 0;
        weight[a][0] = 1;
        if (p->count[a] > 1)
            augment_spline(at - (double)first[a], weight[a]);
    }
    for (int r = 0; r < 3; r++) {
        double moved = 0;
        for (int64_t d = 0; d < taps[2]; d++)
            for (int64_t h = 0; h < taps[1]; h++)
                for (int64_t w = 0; w < taps[0]; w++)
                    moved +=
                        weight[2][d] * weight[1][h] * weight[0][w] *
                        (double)
                            control[r * points +
                                    ((first[2] + d) * p->count[1] + first[1] + h) * p->count[0] +
                                    first[0] + w];
        ret[r] = p->matrix[r][0] * (double)voxel[0] + p->matrix[r][1] * (double)voxel[1] +
                 p->matrix[r][2] * (double)voxel[2] + p->matrix[r][3] + moved;
    }
}

/** Beyond the outermost voxels' faces. `size` is W, H, D. */
HF_DEVICE static inline int augment_outside(const double at[3], const int64_t size[3]) {
    for (int a = 0; a < 3; a++)
        if (!(at[a] >= -0.5 && at[a] <= (double)size[a] - 0.5))
            return 1;
    return 0;
}

HF_DEVICE static inline int64_t augment_clamp(double at, int64_t n) {
    return at < 0 ? 0 : at > (double)(n - 1) ? n - 1 : (int64_t)at;
}

/** Which voxel is nearest. */
HF_DEVICE static inline int64_t augment_nearest(const double at[3], const int64_t size[3]) {
    int64_t i[3];
    for (int a = 0; a < 3; a++)
        i[a] = augment_clamp(floor(at[a] + 0.5), size[a]);
    return (i[2] * size[1] + i[1]) * size[0] + i[0];
}

/** Linear interpolation. */
HF_DEVICE static inline float augment_linear(const float *in, const double at[3],
                                             const int64_t size[3]) {
    int64_t low[3], high[3];
    float t[3], sum = 0;
    for (int a = 0; a < 3; a++) {
        low[a] = augment_clamp(floor(at[a]), size[a]);
        high[a] = augment_clamp(floor(at[a]) + 1, size[a]);
        t[a] = (float)(at[a] - floor(at[a]));
    }
    for (int k = 0; k < 8; k++) {
        int64_t i = ((k & 4 ? high[2] : low[2]) * size[1] + (k & 2 ? high[1] : low[1])) * size[0] +
                    (k & 1 ? high[0] : low[0]);
        sum += (k & 4 ? t[2] : 1 - t[2]) * (k & 2 ? t[1] : 1 - t[1]) * (k & 1 ? t[0] : 1 - t[0]) *
               in[i];
    }
    return sum;
}

#endif
