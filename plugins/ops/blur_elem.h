/**
 * blur_elem.h - the Gaussian kernel's radius and entries.
 */
#ifndef HF_BLUR_ELEM_H
#define HF_BLUR_ELEM_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

HF_DEVICE static inline int64_t blur_radius(float sigma) {
    return sigma > 0 ? (int64_t)ceilf(3 * sigma) : 0;
}

/** Entry at distance k, not normalised: the borders normalise by what they hold. */
HF_DEVICE static inline float blur_entry(float sigma, int64_t k) {
    float x = sigma > 0 ? (float)k / sigma : 0;
    return expf(-0.5f * x * x);
}

/** The part of the kernel that lies inside around voxel i of n. */
HF_DEVICE static inline float blur_inside(const float *kernel, int64_t radius, int64_t i,
                                          int64_t n) {
    int64_t low = i < radius ? i : radius, high = n - 1 - i < radius ? n - 1 - i : radius;
    float sum = kernel[0];
    for (int64_t k = 1; k <= low; k++)
        sum += kernel[k];
    for (int64_t k = 1; k <= high; k++)
        sum += kernel[k];
    return sum;
}

#endif
