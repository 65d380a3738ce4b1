/**
 * resample_elem.h - which input voxels an output voxel is made of, and in what shares.
 *
 * Along an axis an output voxel averages the input over a box around its centre: as wide as the
 * output voxel for AREA, one input voxel wide for LINEAR (the average of voxels over a box of one
 * voxel is linear interpolation), never narrower than one. Voxels beyond the border have no share.
 *
 * Grids whose axes run alike are averaged axis by axis, D first, then H, then W: sums in that order
 * on every device. Oblique ones are sampled voxel by voxel.
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

/** At most so many input voxels are in the box of an output voxel along an axis. */
static inline int64_t resample_taps_most(double scale, enum hf_resample_mode mode) {
    return mode == HF_RESAMPLE_NEAREST ? 1 : (int64_t)ceil(resample_width(scale, mode)) + 2;
}

/** The voxels that output voxel j of an axis is made of: the first, their shares, how many. */
HF_DEVICE static inline int32_t resample_taps(double scale, double offset, int64_t j, int64_t n,
                                              enum hf_resample_mode mode, int32_t *ret_first,
                                              float *ret_share) {
    double at = scale * (double)j + offset, width = resample_width(scale, mode), sum = 0;
    int64_t first = 0;
    int32_t count = resample_span(at, width, n, mode, &first);
    for (int32_t k = 0; k < count; k++)
        sum += resample_share(at, width, first + k);
    for (int32_t k = 0; k < count; k++)
        ret_share[k] = count == 1 ? 1.0f : (float)(resample_share(at, width, first + k) / sum);
    *ret_first = (int32_t)first;
    return count;
}

/** The axes run alike: no output voxel moves by more than a thousandth through the other terms. */
static inline int resample_separable(const struct hf_resample_params *params,
                                     const struct hf_tensor *out) {
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            if (r != c && fabs(params->matrix[r][c]) * (double)out->shape[3 - c] > 1e-3)
                return 0;
    return 1;
}

/** A mean of labels as a label: for a binary mask the majority, a tie counts as set. */
HF_DEVICE static inline uint8_t resample_round_u8(float v) {
    float r = floorf(v + 0.5f + 1e-5f);
    return r <= 0 ? 0 : r >= 255 ? 255 : (uint8_t)r;
}

/** One channel of a volume; its data are u8 or f32. */
struct resample_volume {
    const void *data;
    int64_t size[3]; /* D, H, W */
    int32_t is_f32;
};

HF_DEVICE static inline float resample_load(const struct resample_volume *v, int64_t at) {
    return v->is_f32 ? ((const float *)v->data)[at] : (float)((const uint8_t *)v->data)[at];
}

/** The index (w, h, d) in the input of a point (w, h, d) of the output. */
HF_DEVICE static inline void resample_place(const struct hf_resample_params *params,
                                            const double v[3], double ret[3]) {
    for (int r = 0; r < 3; r++)
        ret[r] = params->matrix[r][0] * v[0] + params->matrix[r][1] * v[1] +
                 params->matrix[r][2] * v[2] + params->matrix[r][3];
}

/** Linear interpolation at the index (w, h, d) = `at`, clamped to the volume. */
HF_DEVICE static inline float resample_linear(const struct resample_volume *in,
                                              const double at[3]) {
    int64_t low[3], high[3];
    float weight[3];
    for (int a = 0; a < 3; a++) {
        int64_t n = in->size[2 - a];
        double v = fmin(fmax(at[a], 0.0), (double)(n - 1));
        low[a] = (int64_t)v;
        high[a] = low[a] + 1 < n ? low[a] + 1 : low[a];
        weight[a] = (float)(v - (double)low[a]);
    }
    float sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        float share = 1;
        int64_t index[3];
        for (int a = 0; a < 3; a++) {
            share *= corner >> a & 1 ? weight[a] : 1 - weight[a];
            index[a] = corner >> a & 1 ? high[a] : low[a];
        }
        if (share > 0)
            sum += share *
                   resample_load(in, (index[2] * in->size[1] + index[1]) * in->size[2] + index[0]);
    }
    return sum;
}

/** Points of the lattice over which one oblique output voxel is averaged, along W, H, D. */
static inline void resample_lattice(const struct hf_resample_params *params, int64_t ret[3]) {
    for (int c = 0; c < 3; c++) {
        double length = 0;
        for (int r = 0; r < 3; r++)
            length += params->matrix[r][c] * params->matrix[r][c];
        ret[c] =
            params->mode == HF_RESAMPLE_AREA ? (int64_t)fmax(1.0, ceil(sqrt(length) - 1e-6)) : 1;
    }
}

/** Output voxel (w, h, d) of an oblique grid: AREA is the mean of a lattice of points inside it. */
HF_DEVICE static inline float resample_oblique(const struct hf_resample_params *params,
                                               const struct resample_volume *in,
                                               const int64_t voxel[3], const int64_t points[3]) {
    double centre[3] = {(double)voxel[0], (double)voxel[1], (double)voxel[2]}, at[3];
    resample_place(params, centre, at);
    for (int a = 0; a < 3; a++)
        if (resample_outside(at[a], in->size[2 - a]))
            return params->fill;
    if (params->mode == HF_RESAMPLE_NEAREST) {
        int64_t d = resample_clamp(floor(at[2] + 0.5), in->size[0]);
        int64_t h = resample_clamp(floor(at[1] + 0.5), in->size[1]);
        int64_t w = resample_clamp(floor(at[0] + 0.5), in->size[2]);
        return resample_load(in, (d * in->size[1] + h) * in->size[2] + w);
    }
    float sum = 0;
    int64_t n = points[0] * points[1] * points[2];
    for (int64_t i = 0; i < n; i++) {
        int64_t step[3] = {i % points[0], i / points[0] % points[1], i / points[0] / points[1]};
        double inside[3];
        for (int a = 0; a < 3; a++)
            inside[a] = centre[a] + ((double)step[a] + 0.5) / (double)points[a] - 0.5;
        resample_place(params, inside, at);
        sum += resample_linear(in, at);
    }
    return sum / (float)n;
}

#endif
