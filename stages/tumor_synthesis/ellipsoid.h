/**
 * ellipsoid.h - lesions as deformed ellipsoids with a cloudy texture: what is random of one, its
 * outline, its texture. Arithmetic for the CPU and for CUDA alike.
 *
 * Sizes, deformation, texture and blending follow a published generator of liver tumors that works
 * on voxels of 1 mm; here all of it is in mm. Three things are computed another way. The shifts of
 * the three passes are put one behind the other instead of rounding to voxels between them. A
 * blurred random field is summed from a lattice as coarse as its grain, which changes its variance
 * by less than a thousandth. And its extremes and its mean are those that are expected in the
 * generator's block of texture, not those that happened to be drawn.
 *
 * "tumor_synthesis.ellipsoid": operands as of "tumor_synthesis.draw".
 */
#ifndef HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_H
#define HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_H

#include "lesion.h"

#define GROWN_TYPES   5
#define GROWN_SIZES   4 /* tiny, small, medium, large; the fifth type is a mix of them */
#define GROWN_MIX     GROWN_SIZES
#define GROWN_GRAINS  8
#define LATTICE_HALF  9                          /* at most, see lattice_half */
#define LATTICE_TAPS  (2 * LATTICE_HALF + 2)     /* of a voxel to each axis */
#define VOLUME_STREAM 0x40000000u                /* beside those of the slices */
#define BLOCK_VOLUME  (420.0f * 300.0f * 320.0f) /* mm3 of texture in the generator */
#define CLOUD_FLOOR   0.12f                      /* above it the texture's mean counts */

enum hide {
    HIDE_SLICE, /* a slice's hole is the segments that lesions touch in it */
    HIDE_VOLUME /* ... anywhere in the volume */
};

struct ellipsoid_params {
    struct synthesis_params base; /* rng, spacing of H and W, unit, share, lesions, edge, ... */
    int32_t dims;                 /* 3: through the volume; 2: each slice for itself */
    int32_t hide;                 /* enum hide */
    int32_t soft;                 /* 1: `lesion` has blurred edges */
    float spacing_d;              /* mm */
    float type[GROWN_TYPES];      /* shares, of sum 1 */
    struct range count[GROWN_SIZES], mix[GROWN_SIZES];
    struct range radius[GROWN_SIZES]; /* mm */
    struct range shift[GROWN_SIZES];  /* mm */
    struct range extent;              /* of the liver's slices, where lesions begin */
    float inset;                      /* mm from the liver's edge in the slice */
    int32_t coarse_grains, fine_grains;
    float coarse_grain[GROWN_GRAINS], fine_grain[GROWN_GRAINS]; /* mm */
    struct range cloud_low, cloud_span, cloud_mean;
    struct range hypodense_peak, hyperdense_peak; /* HU */
    float rim;                                    /* share of lesions with one */
    struct range rim_width;                       /* mm */
    struct range rim_contrast;                    /* HU */
};

/** All that is drawn for a lesion. Axes are D, H, W. */
struct grown {
    int32_t slice;     /* of its middle */
    uint32_t pick;     /* which voxel there */
    float radius[3];   /* mm */
    float warp[3][18]; /* passes D-H, H-W, D-W: coefficients of the shifts along both axes */
    float edge;        /* mm */
    float contrast;    /* in the image's units, where the texture is 1 */
    float rim_width, rim_contrast; /* mm; in the image's units; width 0: no rim */
    float coarse, fine;            /* mm */
    float low, span, extreme;      /* of the probability, see cloud_share */
    float scale;                   /* of the texture */
};

/* ---- what is drawn ---- */

/** The slices that a lesion may begin in: of `first`..`last`, which have liver. */
HF_DEVICE static inline int in_extent(const struct ellipsoid_params *p, int32_t slice,
                                      int32_t first, int32_t last) {
    float at = (float)(slice - first), length = (float)(last - first);
    return at >= p->extent.low * length - 0.5f && at <= p->extent.high * length + 0.5f;
}

HF_DEVICE static inline int draw_type(struct hf_rng *r, const float *share, int types) {
    float u = hf_rng_uniform(r);
    int last = 0;
    for (int k = 0; k < types; k++) {
        if (share[k] <= 0)
            continue;
        last = k;
        if (u < share[k])
            return k;
        u -= share[k];
    }
    return last;
}

/** How many lesions of each size come into a volume, or a slice where dims is 2. Returns all. */
HF_DEVICE static inline int draw_sizes(struct hf_rng *r, const struct ellipsoid_params *p,
                                       int32_t count[GROWN_SIZES]) {
    int all = 0;
    for (int k = 0; k < GROWN_SIZES; k++)
        count[k] = 0;
    if (hf_rng_uniform(r) >= p->base.share)
        return 0;
    if (p->dims == 2) {
        for (all = draw_whole(r, p->base.lesions); all > 0; all--) {
            int type = draw_type(r, p->type, GROWN_TYPES);
            count[type == GROWN_MIX ? (int)hf_rng_below(r, GROWN_SIZES) : type]++;
        }
    } else {
        int type = draw_type(r, p->type, GROWN_TYPES);
        for (int k = 0; k < GROWN_SIZES; k++)
            if (type == GROWN_MIX)
                count[k] = draw_whole(r, p->mix[k]);
            else if (type == k)
                count[k] = draw_whole(r, p->count[k]);
    }
    for (int k = 0; k < GROWN_SIZES; k++)
        all += count[k];
    return all;
}

/** No volume, or slice where dims is 2, gets more. */
HF_DEVICE static inline int most_lesions(const struct ellipsoid_params *p) {
    float most = 1, mix = 0;
    if (p->dims == 2)
        return (int)(p->base.lesions.high + 0.5f);
    for (int k = 0; k < GROWN_SIZES; k++) {
        most = fmaxf(most, p->count[k].high);
        mix += p->mix[k].high;
    }
    return (int)(fmaxf(most, mix) + 0.5f);
}

/** Which size the lesion of that number has. */
HF_DEVICE static inline int size_of(const int32_t count[GROWN_SIZES], int number) {
    int k = 0;
    while (k + 1 < GROWN_SIZES && number >= count[k])
        number -= count[k++];
    return k;
}

/** Replaces three values at -1, 0, 1 by what stands before 1, the even and the odd part: see
 *  warp_even and warp_odd. */
HF_DEVICE static inline void warp_parts(float *v, int step) {
    float below = v[0], middle = v[step], above = v[2 * step];
    v[0] = middle;
    v[step] = 0.5f * (above + below) - middle;
    v[2 * step] = 0.5f * (above - below);
}

/** The shifts of one pass: 3 x 3 control points to each of its two axes, normal. */
HF_DEVICE static inline void draw_warp(struct hf_rng *r, float sigma, float warp[18]) {
    for (int i = 0; i < 18; i++)
        warp[i] = sigma * hf_rng_normal(r);
    for (int axis = 0; axis < 2; axis++)
        for (int k = 0; k < 3; k++)
            warp_parts(warp + 9 * axis + 3 * k, 1);
    for (int axis = 0; axis < 2; axis++)
        for (int k = 0; k < 3; k++)
            warp_parts(warp + 9 * axis + k, 3);
}

/** The largest value, in standard deviations, that a Gaussian field of that grain is expected to
 *  have in the block of texture (from the expected Euler characteristic of what is above it). */
HF_DEVICE static inline float expected_extreme(float grain) {
    float scale = sqrtf(0.5f) / grain, u2 = 9;
    float blobs = BLOCK_VOLUME * scale * scale * scale / (39.4784176f * 0.56f);
    for (int i = 0; i < 6; i++)
        u2 = fmaxf(2 * logf(fmaxf(blobs * (u2 - 1), 2)), 2.25f);
    return sqrtf(u2);
}

/** The mean of those values of a normal distribution that are above `floor`. */
HF_DEVICE static inline float mean_above(float mean, float sd, float floor) {
    float a = (floor - mean) / sd;
    float above = fmaxf(0.5f * erfcf(a * 0.70710678f), 1e-6f);
    return mean + sd * 0.39894228f * expf(-0.5f * a * a) / above;
}

/** What is cloudy about a lesion: a probability that varies coarsely, single draws with it, and
 *  the blur of these, which is the texture. */
HF_DEVICE static inline void draw_cloud(struct hf_rng *r, const struct ellipsoid_params *p,
                                        struct grown *l) {
    l->coarse = p->coarse_grain[hf_rng_below(r, (uint32_t)p->coarse_grains)];
    l->fine = p->fine_grain[hf_rng_below(r, (uint32_t)p->fine_grains)];
    l->span = draw_range(r, p->cloud_span);
    l->low = draw_range(r, p->cloud_low);
    l->extreme = expected_extreme(l->coarse);
    float mean = l->low + 0.5f * l->span;
    float a2 = l->coarse * l->coarse, ratio = a2 / (a2 + l->fine * l->fine);
    float sway = 0.5f * l->span / l->extreme, single = 3.5449077f * l->fine;
    float variance =
        sway * sway * ratio * sqrtf(ratio) + mean * (1 - mean) / fmaxf(single * single * single, 1);
    l->scale = draw_range(r, p->cloud_mean) / mean_above(mean, sqrtf(variance), CLOUD_FLOOR);
}

/** Draws a lesion of that size that begins in that slice. */
HF_DEVICE static inline struct grown draw_grown(struct hf_rng *r, const struct ellipsoid_params *p,
                                                int size, int32_t slice) {
    struct grown l;
    l.slice = slice;
    l.pick = hf_rng_u32(r);
    for (int a = 0; a < 3; a++)
        l.radius[a] = draw_range(r, p->radius[size]);
    float sigma = draw_range(r, p->shift[size]);
    for (int pass = 0; pass < 3; pass++) {
        if (p->dims == 3 || pass == 1)
            draw_warp(r, sigma, l.warp[pass]);
        else
            for (int i = 0; i < 18; i++)
                l.warp[pass][i] = 0;
    }
    draw_cloud(r, p, &l);
    l.edge = draw_range(r, p->base.edge);
    int bright = hf_rng_uniform(r) < p->base.hyperdense;
    l.contrast = (bright ? draw_range(r, p->hyperdense_peak) : -draw_range(r, p->hypodense_peak)) *
                 p->base.unit;
    int rimmed = hf_rng_uniform(r) < p->rim;
    l.rim_width = rimmed ? draw_range(r, p->rim_width) : 0;
    l.rim_contrast = rimmed ? draw_range(r, p->rim_contrast) * p->base.unit : 0;
    return l;
}

/** `v`, but no less than `low` and no more than `high`. */
HF_DEVICE static inline float between(float v, float low, float high) {
    v = v < low ? low : v;
    return v > high ? high : v;
}

/* ---- the outline ---- */

/* A cubic spline through values at -1, 0 and 1 that is level at its ends is
 * middle + even part * warp_even + odd part * warp_odd. Beyond the ends it stays. */
HF_DEVICE static inline float warp_clamp(float t) {
    /* As a sum, for a choice keeps gcc to one voxel at a time. */
    return 0.5f * (fabsf(t + 1) - fabsf(t - 1));
}

HF_DEVICE static inline float warp_even(float t) {
    return t * t * (3 - 2 * fabsf(t));
}

HF_DEVICE static inline float warp_odd(float t) {
    return t * (1.5f - 0.5f * t * t);
}

/** What of the outline depends on a voxel's place along D and W alone: where the pass D-W brings
 *  it, and the other passes' coefficients there. */
struct grown_column {
    float d, w;             /* mm from the middle */
    float even, odd;        /* of W in the pass H-W */
    float on_d[3], on_h[3]; /* of the pass D-H, for H's parts */
};

/** The coefficients of the pass D-W at a place along D. */
struct grown_plane {
    float d;
    float on_d[3], on_w[3];
};

/** sum over the first axis: out[j] = c[j] + even * c[3 + j] + odd * c[6 + j] */
HF_DEVICE static inline void warp_contract(const float c[9], float even, float odd, float out[3]) {
    for (int j = 0; j < 3; j++)
        out[j] = c[j] + even * c[3 + j] + odd * c[6 + j];
}

HF_DEVICE static inline struct grown_plane grown_plane_at(const struct grown *l, float d) {
    struct grown_plane p;
    float t = warp_clamp(0.5f * d / l->radius[0]), even = warp_even(t), odd = warp_odd(t);
    p.d = d;
    warp_contract(l->warp[2], even, odd, p.on_d);
    warp_contract(l->warp[2] + 9, even, odd, p.on_w);
    return p;
}

HF_DEVICE static inline struct grown_column grown_column_at(const struct grown *l,
                                                            const struct grown_plane *p, float w) {
    struct grown_column c;
    float t = warp_clamp(0.5f * w / l->radius[2]), even = warp_even(t), odd = warp_odd(t);
    c.d = p->d + (p->on_d[0] + even * p->on_d[1] + odd * p->on_d[2]);
    c.w = w + (p->on_w[0] + even * p->on_w[1] + odd * p->on_w[2]);
    t = warp_clamp(0.5f * c.w / l->radius[2]);
    c.even = warp_even(t);
    c.odd = warp_odd(t);
    t = warp_clamp(0.5f * c.d / l->radius[0]);
    warp_contract(l->warp[0], warp_even(t), warp_odd(t), c.on_d);
    warp_contract(l->warp[0] + 9, warp_even(t), warp_odd(t), c.on_h);
    return c;
}

/** The coefficients of the pass H-W at a place along H. */
struct grown_row {
    float h;
    float on_h[3], on_w[3];
};

HF_DEVICE static inline struct grown_row grown_row_at(const struct grown *l, float h) {
    struct grown_row r;
    float t = warp_clamp(0.5f * h / l->radius[1]), even = warp_even(t), odd = warp_odd(t);
    r.h = h;
    warp_contract(l->warp[1], even, odd, r.on_h);
    warp_contract(l->warp[1] + 9, even, odd, r.on_w);
    return r;
}

/** The squared distance to the middle where the outline is at 1. */
HF_DEVICE static inline float grown_level(const struct grown_row *r, const struct grown_column *c,
                                          float half_over_h, const float inverse[3]) {
    float h = r->h + (r->on_h[0] + c->even * r->on_h[1] + c->odd * r->on_h[2]);
    float w = c->w + (r->on_w[0] + c->even * r->on_w[1] + c->odd * r->on_w[2]);
    float t = warp_clamp(half_over_h * h), even = warp_even(t), odd = warp_odd(t);
    float d = c->d + (c->on_d[0] + even * c->on_d[1] + odd * c->on_d[2]);
    h += c->on_h[0] + even * c->on_h[1] + odd * c->on_h[2];
    d *= inverse[0];
    h *= inverse[1];
    w *= inverse[2];
    return d * d + h * h + w * w;
}

/** Above which level the lesion's rim is; 2 where it has none. */
HF_DEVICE static inline float rim_level(const struct grown *l, int32_t dims) {
    if (l->rim_width <= 0)
        return 2;
    float mean = dims == 3 ? (l->radius[0] + l->radius[1] + l->radius[2]) / 3
                           : (l->radius[1] + l->radius[2]) / 2;
    float inner = fmaxf(1 - l->rim_width / mean, 0);
    return inner * inner;
}

/* ---- boxes ---- */

/** Part of the volume, along D, H, W: low..high - 1. */
struct grown_box {
    int32_t low[3], high[3];
};

HF_DEVICE static inline float grown_spacing(const struct ellipsoid_params *p, int axis) {
    return axis == 0 ? p->spacing_d : p->base.spacing[axis - 1];
}

/** Voxels that an edge's blur reaches along an axis. */
HF_DEVICE static inline int32_t grown_pad(const struct ellipsoid_params *p, float edge, int axis) {
    return axis == 0 && p->dims == 2 ? 0 : blur_radius(edge / grown_spacing(p, axis));
}

/** Where the outline may be: twice the radius to each side, within `within`. */
HF_DEVICE static inline struct grown_box grown_reach(const struct ellipsoid_params *p,
                                                     const struct grown *l, const int32_t at[3],
                                                     const struct grown_box *within) {
    struct grown_box b;
    for (int a = 0; a < 3; a++) {
        int32_t half = (int32_t)floorf(2 * l->radius[a] / grown_spacing(p, a));
        if (a == 0 && p->dims == 2)
            half = 0;
        b.low[a] = at[a] - half > within->low[a] ? at[a] - half : within->low[a];
        b.high[a] = at[a] + half + 1 < within->high[a] ? at[a] + half + 1 : within->high[a];
    }
    return b;
}

HF_DEVICE static inline float largest_radius(const struct ellipsoid_params *p) {
    float most = 0;
    for (int k = 0; k < GROWN_SIZES; k++)
        most = fmaxf(most, p->radius[k].high);
    return most;
}

/** Voxels of the largest box along an axis of `size` voxels, with what blur reaches. */
HF_DEVICE static inline int32_t most_voxels(const struct ellipsoid_params *p, int axis,
                                            int32_t size) {
    if (axis == 0 && p->dims == 2)
        return 1;
    int32_t half = (int32_t)floorf(2 * largest_radius(p) / grown_spacing(p, axis));
    int32_t whole = 2 * half + 1;
    return (whole < size ? whole : size) + 2 * grown_pad(p, p->base.edge.high, axis);
}

/* ---- the texture: a random field as a sum of Gaussians on the points of a lattice ---- */

/** mm between the points that the single draws are gathered at: as fine as the probability
 *  varies, but no finer than the blur behind it can tell. */
HF_DEVICE static inline float lattice_pitch(float coarse, float fine) {
    return fmaxf(fminf(coarse, fine), fine / 3);
}

/** Points to each side of a place that a Gaussian of that size reaches. */
HF_DEVICE static inline int32_t lattice_half(float grain, float pitch) {
    return (int32_t)fminf(ceilf(2.999f * grain / pitch), LATTICE_HALF);
}

/** Of what a place is made: points first, first + 1, ... */
HF_DEVICE static inline int32_t lattice_first(float at, float pitch, int32_t half) {
    return (int32_t)floorf(at / pitch) - half;
}

/** Points of the two lattices along the axes, at most, for a box of so many voxels. */
HF_DEVICE static inline void most_points(const struct ellipsoid_params *p, const int64_t box[3],
                                         int64_t coarse[3], int64_t fine[3]) {
    for (int a = 0; a < 3; a++)
        coarse[a] = fine[a] = 0;
    for (int i = 0; i < p->coarse_grains * p->fine_grains; i++) {
        float c = p->coarse_grain[i % p->coarse_grains], f = p->fine_grain[i / p->coarse_grains];
        float pitch = lattice_pitch(c, f);
        for (int a = 0; a < 3; a++) {
            float length = (float)(box[a] - 1) * grown_spacing(p, a);
            int64_t n = (int64_t)(length / pitch) + 2 * lattice_half(f, pitch) + 4;
            int64_t m = (int64_t)((float)(n - 1) * pitch / c) + 2 * lattice_half(c, c) + 4;
            fine[a] = n > fine[a] ? n : fine[a];
            coarse[a] = m > coarse[a] ? m : coarse[a];
        }
    }
}

/** The weights of the 2 * half + 2 points: their sum is 1, or that of their squares, so that the
 *  field has the same variance everywhere. */
HF_DEVICE static inline void lattice_taps(float at, float grain, float pitch, int32_t half,
                                          int unit_variance, float *tap) {
    int32_t first = lattice_first(at, pitch, half), taps = 2 * half + 2;
    float sum = 0;
    for (int32_t k = 0; k < taps; k++) {
        float x = ((float)(first + k) * pitch - at) / grain;
        tap[k] = expf(-0.5f * x * x);
        sum += unit_variance ? tap[k] * tap[k] : tap[k];
    }
    float factor = 1 / (unit_variance ? sqrtf(sum) : sum);
    for (int32_t k = 0; k < taps; k++)
        tap[k] *= factor;
}

/** The planes of noise of a lesion. */
HF_DEVICE static inline uint32_t coarse_noise(int32_t number) {
    return 2 * (uint32_t)number;
}

HF_DEVICE static inline uint32_t fine_noise(int32_t number) {
    return 2 * (uint32_t)number + 1;
}

/** A uniform number of that point, in -1..1. Far beyond any lesion they repeat. */
HF_DEVICE static inline float lattice_noise(const struct hf_rng *rng, uint32_t plane, int32_t d,
                                            int32_t h, int32_t w) {
    float f[4];
    uint32_t at = ((uint32_t)(d + 512) & 1023u) << 20 | ((uint32_t)(h + 512) & 1023u) << 10 |
                  ((uint32_t)(w + 512) & 1023u);
    shapes_noise(rng, plane, at, f);
    return 2 * f[0] - 1;
}

/** The probability where the coarse field, of unit variance, has that value. */
HF_DEVICE static inline float cloud_share(const struct grown *l, float field) {
    float share = l->low + l->span * (0.5f + 0.5f * field / l->extreme);
    return between(share, 0, 1);
}

/** The share of single draws, one a mm3, that hit in a cell of the lattice: its mean, and noise of
 *  its variance from a number in -1..1. */
HF_DEVICE static inline float cloud_hits(float share, float pitch, float noise) {
    float draws = fmaxf(pitch * pitch * pitch, 1);
    return share + sqrtf(share * (1 - share) / draws) * 1.7320508f * noise;
}

HF_DEVICE static inline float cloud_voxel(const struct grown *l, float hits) {
    return between(l->scale * hits, 0, 1);
}

/* ---- into the image ---- */

/** A mask whose edge is blurred; rounding may have brought it beyond 1. */
HF_DEVICE static inline float grown_mask(float blurred) {
    return between(blurred, 0, 1);
}

/** A voxel of the image under a lesion: where lesions overlap, the last covers what the others did
 *  to the healthy image. `rim` is the part of the mask that is rim. */
HF_DEVICE static inline float grown_voxel(const struct grown *l, float image, float healthy,
                                          float mask, float rim, float texture) {
    float x = image - mask * (image - healthy) + (mask - rim) * (l->contrast * texture) +
              rim * l->rim_contrast;
    return between(x, 0, 1);
}

/** 1 if the voxel beside the liver's edge is too near to it for a lesion's middle: the box of the
 *  slice's voxels around it, `reach` to each side, is not all liver. */
HF_DEVICE static inline int near_edge(const uint8_t *liver, int32_t h, int32_t w, int32_t y,
                                      int32_t x, const int32_t reach[2]) {
    if (y < reach[0] || x < reach[1] || y + reach[0] >= h || x + reach[1] >= w)
        return 1;
    for (int32_t j = y - reach[0]; j <= y + reach[0]; j++)
        for (int32_t i = x - reach[1]; i <= x + reach[1]; i++)
            if (!liver[(int64_t)j * w + i])
                return 1;
    return 0;
}

HF_DEVICE static inline void inset_reach(const struct ellipsoid_params *p, int32_t reach[2]) {
    for (int a = 0; a < 2; a++)
        reach[a] = (int32_t)floorf(p->inset / p->base.spacing[a] + 0.5f);
}

#endif
