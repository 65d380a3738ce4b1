/**
 * resample_elem.h - which input voxels an output voxel is made of, and in what shares.
 *
 * Along an axis an output voxel averages the input over a box around its centre: as wide as the
 * output voxel for AREA, one input voxel wide for LINEAR (the average of voxels over a box of one
 * voxel is linear interpolation), never narrower than one. Voxels beyond the border have no share.
 * CUBIC takes the shares from Catmull and Rom's kernel, four times as wide, in place of the box.
 * LABELS adds up AREA's shares label by label.
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
    return mode != HF_RESAMPLE_LINEAR && width > 1 ? width : 1;
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
    double reach = mode == HF_RESAMPLE_CUBIC ? 2 * width - 0.5 : 0.5 * width;
    int64_t first = resample_clamp(floor(at - reach + 0.5 + 1e-9), n);
    int64_t last = resample_clamp(ceil(at + reach - 0.5 - 1e-9), n);
    *ret_first = first;
    return (int32_t)(last - first + 1);
}

/** The share of voxel i in the box around `at`, before the shares are made to sum to one. */
HF_DEVICE static inline double resample_share(double at, double width, int64_t i) {
    double low = fmax(at - 0.5 * width, (double)i - 0.5);
    double high = fmin(at + 0.5 * width, (double)i + 0.5);
    return high > low ? high - low : 0;
}

/** Catmull and Rom's kernel: 1 at 0, 0 at every other whole number. */
HF_DEVICE static inline double resample_cubic(double x) {
    x = fabs(x);
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

HF_DEVICE static inline double resample_weight(double at, double width, int64_t i,
                                               enum hf_resample_mode mode) {
    return mode == HF_RESAMPLE_CUBIC ? resample_cubic((at - (double)i) / width)
                                     : resample_share(at, width, i);
}

/** At most so many input voxels are in the box of an output voxel along an axis. */
static inline int64_t resample_taps_most(double scale, enum hf_resample_mode mode) {
    double width = resample_width(scale, mode);
    return mode == HF_RESAMPLE_NEAREST
               ? 1
               : (int64_t)ceil(mode == HF_RESAMPLE_CUBIC ? 4 * width : width) + 2;
}

/** The voxels that output voxel j of an axis is made of: the first, their shares, how many. */
HF_DEVICE static inline int32_t resample_taps(double scale, double offset, int64_t j, int64_t n,
                                              enum hf_resample_mode mode, int32_t *ret_first,
                                              float *ret_share) {
    double at = scale * (double)j + offset, width = resample_width(scale, mode), sum = 0;
    int64_t first = 0;
    int32_t count = resample_span(at, width, n, mode, &first);
    for (int32_t k = 0; k < count; k++)
        sum += resample_weight(at, width, first + k, mode);
    for (int32_t k = 0; k < count; k++)
        ret_share[k] =
            count == 1 ? 1.0f : (float)(resample_weight(at, width, first + k, mode) / sum);
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

/** The eight voxels around a point. */
struct resample_corners {
    int64_t low[3], high[3]; /* along W, H, D */
    float weight[3];         /* of the high ones */
};

/** The voxels around the index (w, h, d) = `at`, clamped to the volume. */
HF_DEVICE static inline void resample_around(const struct resample_volume *in, const double at[3],
                                             struct resample_corners *ret) {
    for (int a = 0; a < 3; a++) {
        int64_t n = in->size[2 - a];
        double v = fmin(fmax(at[a], 0.0), (double)(n - 1));
        ret->low[a] = (int64_t)v;
        ret->high[a] = ret->low[a] + 1 < n ? ret->low[a] + 1 : ret->low[a];
        ret->weight[a] = (float)(v - (double)ret->low[a]);
    }
}

/** The share of one of them, and its place in the volume. */
HF_DEVICE static inline float resample_corner(const struct resample_volume *in,
                                              const struct resample_corners *c, int corner,
                                              int64_t *ret_place) {
    float share = 1;
    int64_t index[3];
    for (int a = 0; a < 3; a++) {
        share *= corner >> a & 1 ? c->weight[a] : 1 - c->weight[a];
        index[a] = corner >> a & 1 ? c->high[a] : c->low[a];
    }
    *ret_place = (index[2] * in->size[1] + index[1]) * in->size[2] + index[0];
    return share;
}

/** Linear interpolation at the index (w, h, d) = `at`, clamped to the volume. */
HF_DEVICE static inline float resample_linear(const struct resample_volume *in,
                                              const double at[3]) {
    struct resample_corners c;
    float sum = 0;
    resample_around(in, at, &c);
    for (int corner = 0; corner < 8; corner++) {
        int64_t place = 0;
        float share = resample_corner(in, &c, corner, &place);
        if (share > 0)
            sum += share * resample_load(in, place);
    }
    return sum;
}

/** Cubic interpolation at the index (w, h, d) = `at`, clamped to the volume. */
HF_DEVICE static inline float resample_tricubic(const struct resample_volume *in,
                                                const double at[3]) {
    float share[3][6], sum = 0;
    int32_t first[3], count[3];
    for (int a = 0; a < 3; a++) {
        double v = fmin(fmax(at[a], 0.0), (double)(in->size[2 - a] - 1));
        count[a] = resample_taps(1, v, 0, in->size[2 - a], HF_RESAMPLE_CUBIC, &first[a], share[a]);
    }
    for (int32_t d = 0; d < count[2]; d++)
        for (int32_t h = 0; h < count[1]; h++) {
            int64_t row = ((first[2] + d) * in->size[1] + first[1] + h) * in->size[2] + first[0];
            float line = 0;
            for (int32_t w = 0; w < count[0]; w++)
                line += share[0][w] * resample_load(in, row + w);
            sum += share[2][d] * share[1][h] * line;
        }
    return sum;
}

/** The labels that are among some voxels, and the one of the largest share so far. */
struct resample_labels {
    uint64_t seen[4];
    float share;
    int32_t label; /* -1: none yet */
};

HF_DEVICE static inline void resample_see(struct resample_labels *l, uint8_t label) {
    l->seen[label >> 6] |= (uint64_t)1 << (label & 63);
}

/** Takes the next label that was seen, from the largest down; -1: no more. */
HF_DEVICE static inline int32_t resample_next_label(struct resample_labels *l) {
    for (int32_t label = 255; label >= 0; label--) {
        uint64_t bit = (uint64_t)1 << (label & 63);
        if (l->seen[label >> 6] == 0) {
            label &= ~63;
            continue;
        }
        if (l->seen[label >> 6] & bit) {
            l->seen[label >> 6] &= ~bit;
            return label;
        }
    }
    return -1;
}

HF_DEVICE static inline void resample_weigh(struct resample_labels *l, int32_t label, float share) {
    if (l->label < 0 || share > l->share) {
        l->share = share;
        l->label = label;
    }
}

/** The input voxels of an output voxel along each axis (D, H, W), of a straight grid. */
struct resample_box {
    int32_t first[3], count[3];
    const float *share[3];
};

/** The label of the largest share in a box with a voxel. */
HF_DEVICE static inline uint8_t resample_box_label(const uint8_t *in, int64_t height, int64_t width,
                                                   const struct resample_box *b) {
    const uint8_t *begin = in + ((int64_t)b->first[0] * height + b->first[1]) * width + b->first[2];
    struct resample_labels l = {{0, 0, 0, 0}, 0, -1};
    int alike = 1;
    for (int32_t d = 0; d < b->count[0]; d++)
        for (int32_t h = 0; h < b->count[1]; h++)
            for (int32_t w = 0; w < b->count[2]; w++) {
                uint8_t v = begin[(d * height + h) * width + w];
                resample_see(&l, v);
                alike &= v == begin[0];
            }
    if (alike)
        return begin[0];
    for (int32_t label; (label = resample_next_label(&l)) >= 0;) {
        float sum = 0;
        for (int32_t d = 0; d < b->count[0]; d++)
            for (int32_t h = 0; h < b->count[1]; h++) {
                float line = 0;
                for (int32_t w = 0; w < b->count[2]; w++)
                    if (begin[(d * height + h) * width + w] == label)
                        line += b->share[2][w];
                sum += b->share[0][d] * b->share[1][h] * line;
            }
        resample_weigh(&l, label, sum);
    }
    return (uint8_t)l.label;
}

/** Points of the lattice over which one oblique output voxel is averaged, along W, H, D. */
static inline void resample_lattice(const struct hf_resample_params *params, int64_t ret[3]) {
    for (int c = 0; c < 3; c++) {
        double length = 0;
        for (int r = 0; r < 3; r++)
            length += params->matrix[r][c] * params->matrix[r][c];
        int many = params->mode != HF_RESAMPLE_NEAREST && params->mode != HF_RESAMPLE_LINEAR;
        ret[c] = many ? (int64_t)fmax(1.0, ceil(sqrt(length) - 1e-6)) : 1;
    }
}

/** The index in the input of point i of the lattice in an output voxel of an oblique grid. */
HF_DEVICE static inline void resample_point(const struct hf_resample_params *params,
                                            const double centre[3], const int64_t points[3],
                                            int64_t i, double ret[3]) {
    int64_t step[3] = {i % points[0], i / points[0] % points[1], i / points[0] / points[1]};
    double inside[3];
    for (int a = 0; a < 3; a++)
        inside[a] = centre[a] + ((double)step[a] + 0.5) / (double)points[a] - 0.5;
    resample_place(params, inside, ret);
}

/** The share of a label among a lattice of points, each interpolated linearly; label -1: sees all
 *  labels instead. */
HF_DEVICE static inline float resample_lattice_share(const struct hf_resample_params *params,
                                                     const struct resample_volume *in,
                                                     const double centre[3],
                                                     const int64_t points[3], int32_t label,
                                                     struct resample_labels *l) {
    const uint8_t *data = (const uint8_t *)in->data;
    int64_t n = points[0] * points[1] * points[2];
    float sum = 0;
    for (int64_t i = 0; i < n; i++) {
        struct resample_corners c;
        double at[3];
        resample_point(params, centre, points, i, at);
        resample_around(in, at, &c);
        for (int corner = 0; corner < 8; corner++) {
            int64_t place = 0;
            float share = resample_corner(in, &c, corner, &place);
            if (share > 0 && label < 0)
                resample_see(l, data[place]);
            else if (share > 0 && data[place] == label)
                sum += share;
        }
    }
    return sum;
}

HF_DEVICE static inline float resample_oblique_label(const struct hf_resample_params *params,
                                                     const struct resample_volume *in,
                                                     const double centre[3],
                                                     const int64_t points[3]) {
    struct resample_labels l = {{0, 0, 0, 0}, 0, -1};
    (void)resample_lattice_share(params, in, centre, points, -1, &l);
    for (int32_t label; (label = resample_next_label(&l)) >= 0;)
        resample_weigh(&l, label, resample_lattice_share(params, in, centre, points, label, &l));
    return (float)l.label;
}

/**
 * Output voxel (w, h, d) of an oblique grid: AREA, CUBIC and LABELS take a lattice of points inside
 * it, AREA and CUBIC their mean.
 */
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
    if (params->mode == HF_RESAMPLE_LABELS)
        return resample_oblique_label(params, in, centre, points);
    float sum = 0;
    int64_t n = points[0] * points[1] * points[2];
    for (int64_t i = 0; i < n; i++) {
        resample_point(params, centre, points, i, at);
        sum +=
            params->mode == HF_RESAMPLE_CUBIC ? resample_tricubic(in, at) : resample_linear(in, at);
    }
    return sum / (float)n;
}

#endif
