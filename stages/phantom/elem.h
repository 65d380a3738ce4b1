/**
 * elem.h - what happens to one voxel of a phantom: coverages, smooth weights, tissue mixtures.
 */
#ifndef HF_PHANTOM_ELEM_H
#define HF_PHANTOM_ELEM_H

#include <math.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

HF_DEVICE static inline float phantom_clamp(float x, float lo, float hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

HF_DEVICE static inline float phantom_mix(float a, float b, float share) {
    return a + (b - a) * share;
}

/** Share of a voxel `width` mm wide that lies inside, its centre `depth` mm inside the surface. */
HF_DEVICE static inline float phantom_cover(float depth, float width) {
    return phantom_clamp(0.5f + depth / width, 0.0f, 1.0f);
}

/** 0 below `lo`, 1 above `hi`, smooth between. */
HF_DEVICE static inline float phantom_smoothstep(float lo, float hi, float x) {
    float t = phantom_clamp((x - lo) / (hi - lo), 0.0f, 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

/** The larger of two depths, rounded over `k` mm where they meet: the depth in a union. */
HF_DEVICE static inline float phantom_union(float a, float b, float k) {
    float h = phantom_clamp(0.5f + 0.5f * (a - b) / k, 0.0f, 1.0f);
    return phantom_mix(b, a, h) + k * h * (1.0f - h);
}

/** Weights of the four control points around a position `t` in [0, 1) between the middle two. */
HF_DEVICE static inline void phantom_spline(float t, float w[4]) {
    float u = 1.0f - t;
    w[0] = u * u * u * (1.0f / 6.0f);
    w[1] = (4.0f - 6.0f * t * t + 3.0f * t * t * t) * (1.0f / 6.0f);
    w[2] = (4.0f - 6.0f * u * u + 3.0f * u * u * u) * (1.0f / 6.0f);
    w[3] = t * t * t * (1.0f / 6.0f);
}

/** About how many mm a point lies inside an ellipsoid; (x, y, z) from its centre, radii r. */
HF_DEVICE static inline float phantom_ellipsoid(float x, float y, float z, float rx, float ry,
                                                float rz) {
    float least = rx < ry ? rx : ry;
    least = least < rz ? least : rz;
    return (1.0f - sqrtf(x * x / (rx * rx) + y * y / (ry * ry) + z * z / (rz * rz))) * least;
}

/** About how many mm a point lies inside a body's outline, an ellipse with flattened sides:
 * |x / rx|^3 + |y / ry|^3 = 1. */
HF_DEVICE static inline float phantom_outline(float x, float y, float rx, float ry) {
    float u = fabsf(x) / rx, v = fabsf(y) / ry;
    return (1.0f - cbrtf(u * u * u + v * v * v)) * (rx < ry ? rx : ry);
}

/** HU on file: whole numbers within what CT scanners write. */
HF_DEVICE static inline int phantom_hu(float x) {
    return (int)lrintf(phantom_clamp(x, -1024.0f, 3071.0f));
}

#endif
