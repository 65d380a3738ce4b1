/**
 * resample_elem.h - which input voxels an output voxel is made of, and in what shares.
 *
 * Along an axis an output voxel averages the input over a box around its centre: as wide as the
 * output voxel for AREA, one input voxel wide for LINEAR (the average of voxels over a box of one
 * voxel is linear interpolation), never narrower than one. Voxels beyond the border have no share.
 */
#ifndef HF_RESAMPLE_ELEM_H
#define HF_RESAMPLE_ELEM_H

#include <math.h>
#include <stdint.h>

#include <hepaflow/ops.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/** Beyond the outermost voxels' faces by more than rounding. */
HF_DEVICE static inline int resample_outside(double at, int64_t n) {
    return !(at >= -0.5 - 1e-6 && at <= (double)n - 0.5 + 1e-6);
}

HF_DEVICE static inline int64_t resample_clamp(double at, int64_t n) {
    return at < 0 ? 0 : at > (double)(n - 1) ? n - 1 : (int64_t)at;
}

HF_DEVICE static inline double resample_width(double scale, enum hf_resample_mode mode) {
    double width = fabs(scale);
    return mode == HF_RESAMPLE_AREA && width > 1 ? width : 1;
}

/** The range of voxels that have a share in the box around `at`; 0 voxels when it lies outside. */
HF_DEVICE static inline int32_t resample_span(double at, double width, int64_t n,
                                              enum hf_resample_mode mode, int64_t *ret_first) {
    if (resample_outside(at, n))
        return 0;
    if (mode == HF_RESAMPLE_NEAREST) {
        *ret_first = resample_clamp(floor(at + 0.5), n);
        return 1;
    }
    int64_t first = resample_clamp(floor(at - 0.5 * width + 0.5 + 1e-9), n);
    int64_t last = resample_clamp(ceil(at + 0.5 * width - 0.5 - 1e-9), n);
    *ret_first = first;
    return (int32_t)(last - first + 1);
}

/** The share of voxel i in the box around `at`, before the shares are made to sum to one. */
HF_DEVICE static inline double resample_share(double at, double width, int64_t i) {
    double low = fmax(at - 0.5 * width, (double)i - 0.5);
    double high = fmin(at + 0.5 * width, (double)i + 0.5);
    return high > low ? high - low : 0;
}

/** A mean of labels as a label: for a binary mask the majority, a tie counts as set. */
HF_DEVICE static inline uint8_t resample_round_u8(float v) {
    float r = floorf(v + 0.5f + 1e-5f);
    return r <= 0 ? 0 : r >= 255 ? 255 : (uint8_t)r;
}

#endif
