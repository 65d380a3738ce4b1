/**
 * shapes.h - what holes and synthetic lesions share: a random stream of each slice, noise that is
 * addressed by its voxel, random sizes, and ellipses.
 *
 * Everything here is arithmetic on one element, for the C compiler and for nvcc alike. Nothing
 * depends on the order in which slices or voxels are visited.
 */
#ifndef HF_STAGES_SHAPES_H
#define HF_STAGES_SHAPES_H

#include <math.h>

#include <hepaflow/rng.h>

/** Couinaud segments are 1..8; arrays are indexed by the segment. */
#define SHAPES_SEGMENTS 9

/** A closed range of numbers. */
struct range {
    float low, high;
};

struct ellipse {
    float x, y;     /* centre, mm from the plane's first voxel along W and H */
    float a, b;     /* half axes, mm */
    float cos, sin; /* of the angle between the first axis and W */
};

/** The stream of a slice: its own key, so that slices can be drawn in any order. */
HF_DEVICE static inline struct hf_rng shapes_stream(const struct hf_rng *sample, uint32_t slice) {
    uint32_t counter[4] = {slice, 0x51CE5u, (uint32_t)(sample->stream >> 32), 0xFFFFFFFFu};
    uint32_t words[4];
    hf_philox(counter, sample->key, words);
    struct hf_rng r = {{words[0], words[1]}, sample->stream, 0, {0}, 0};
    return r;
}

/** Four uniform numbers in [0,1) that belong to a voxel of a plane of noise. */
HF_DEVICE static inline void shapes_noise(const struct hf_rng *slice, uint32_t plane,
                                          uint32_t voxel, float ret[4]) {
    /* The highest counter bit keeps these apart from the stream's own draws. */
    uint32_t counter[4] = {voxel, 0x80000000u | plane, (uint32_t)slice->stream,
                           (uint32_t)(slice->stream >> 32)};
    uint32_t words[4];
    hf_philox(counter, slice->key, words);
    for (int i = 0; i < 4; i++)
        ret[i] = (float)(words[i] >> 8) * 0x1p-24f;
}

/** Standard normal from two uniform numbers. */
HF_DEVICE static inline float shapes_normal(float u, float v) {
    return sqrtf(-2.0f * logf(1.0f - u)) * cosf(6.28318530718f * v);
}

HF_DEVICE static inline float draw_range(struct hf_rng *r, struct range range) {
    return range.low + (range.high - range.low) * hf_rng_uniform(r);
}

/** Whole numbers, both ends included. */
HF_DEVICE static inline int draw_whole(struct hf_rng *r, struct range range) {
    int low = (int)(range.low + 0.5f), high = (int)(range.high + 0.5f);
    return low + (int)hf_rng_below(r, (uint32_t)(high - low + 1));
}

/** What hf_rng_below makes of a word, for a number `n` that is known only later. */
HF_DEVICE static inline int32_t shapes_below(uint32_t word, int32_t n) {
    return (int32_t)(((uint64_t)word * (uint32_t)n) >> 32);
}

/** What is added up as a whole number has the same sum in any order: multiples of 2^-24, up to 2^15
 *  either way. */
HF_DEVICE static inline int64_t shapes_fixed(float v) {
    return (int64_t)(fminf(fmaxf(v, -0x1p15f), 0x1p15f) * 0x1p24f);
}

/** The mean of `n` numbers that shapes_fixed made. */
HF_DEVICE static inline float shapes_mean(int64_t sum, int64_t n) {
    return (float)((double)sum * 0x1p-24 / (double)n);
}

/** Log-uniform: every octave is as likely. */
HF_DEVICE static inline float draw_log(struct hf_rng *r, struct range range) {
    return range.low * powf(range.high / range.low, hf_rng_uniform(r));
}

/** Gamma with shape `k` and scale 1 (Marsaglia and Tsang, ACM TOMS 2000). */
HF_DEVICE static inline float draw_gamma(struct hf_rng *r, float k) {
    float boost = 1.0f;
    if (k < 1.0f) {
        boost = powf(1.0f - hf_rng_uniform(r), 1.0f / k);
        k += 1.0f;
    }
    float d = k - 1.0f / 3.0f, c = 1.0f / sqrtf(9.0f * d);
    for (;;) {
        float x = hf_rng_normal(r);
        float v = 1.0f + c * x;
        if (v <= 0.0f)
            continue;
        v = v * v * v;
        if (logf(1.0f - hf_rng_uniform(r)) < 0.5f * x * x + d - d * v + d * logf(v))
            return boost * d * v;
    }
}

HF_DEVICE static inline float draw_beta(struct hf_rng *r, float a, float b) {
    float x = draw_gamma(r, a);
    float y = draw_gamma(r, b);
    return x / (x + y);
}

HF_DEVICE static inline struct ellipse draw_ellipse(struct hf_rng *r, float x, float y,
                                                    struct range radius) {
    float a = draw_log(r, radius);
    float b = a * (0.6f + 0.4f * hf_rng_uniform(r));
    float angle = 3.14159265359f * hf_rng_uniform(r);
    struct ellipse e = {x, y, a, b, cosf(angle), sinf(angle)};
    return e;
}

/** Distance in mm from a point to the ellipse's edge, positive inside; exact on circles. */
HF_DEVICE static inline float ellipse_depth(const struct ellipse *e, float x, float y) {
    float dx = x - e->x, dy = y - e->y;
    float u = (dx * e->cos + dy * e->sin) / e->a, v = (dy * e->cos - dx * e->sin) / e->b;
    float rho = sqrtf(u * u + v * v);
    float slope = sqrtf(u * u / (e->a * e->a) + v * v / (e->b * e->b));
    return slope > 0.0f ? (1.0f - rho) * rho / slope : fminf(e->a, e->b);
}

/** Squared distance from a point to a line segment. */
HF_DEVICE static inline float line_distance2(float x, float y, float x0, float y0, float x1,
                                             float y1) {
    float dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
    float t = length2 > 0.0f ? ((x - x0) * dx + (y - y0) * dy) / length2 : 0.0f;
    t = fminf(fmaxf(t, 0.0f), 1.0f);
    float ex = x - x0 - t * dx, ey = y - y0 - t * dy;
    return ex * ex + ey * ey;
}

/** Where a voxel counts: values that are no segment count as none. */
HF_DEVICE static inline int segment_of(uint8_t couinaud) {
    return couinaud < SHAPES_SEGMENTS ? couinaud : 0;
}

/** Draws one of the segments whose count reaches `least`, other than those of the set `taken` (a
 *  bit each); 0 when there is none. */
HF_DEVICE static inline int draw_segment(struct hf_rng *r, const int32_t count[SHAPES_SEGMENTS],
                                         int32_t least, uint32_t taken) {
    int n = 0, candidate[SHAPES_SEGMENTS];
    for (int k = 1; k < SHAPES_SEGMENTS; k++)
        if (count[k] >= least && !(taken >> k & 1))
            candidate[n++] = k;
    return n > 0 ? candidate[hf_rng_below(r, (uint32_t)n)] : 0;
}

/** The segments that the inpainter will fill: those that lesions touch (`taken`, a bit each) and
 *  some others, or any when there is none. */
HF_DEVICE static inline uint32_t draw_hidden(struct hf_rng *r, struct range others,
                                             const int32_t count[SHAPES_SEGMENTS], uint32_t taken) {
    int extra = draw_whole(r, others);
    if (!taken && extra == 0)
        extra = 1;
    for (; extra > 0; extra--) {
        int k = draw_segment(r, count, 1, taken);
        if (k)
            taken |= 1u << k;
    }
    return taken;
}

/** 1 if the inpainter fills the voxel: liver that is not in the region, or in one of the segments
 *  `taken`. */
HF_DEVICE static inline uint8_t is_hidden(uint8_t liver, uint8_t region, int segment,
                                          uint32_t taken) {
    return liver && (!region || (taken >> segment & 1));
}

#endif
