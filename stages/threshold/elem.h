/**
 * elem.h - the arithmetic of thresholding on one voxel, and the operands of the ops.
 *
 * "threshold.cut": in[0] f32 [1,D,H,W], in[1..] gates u8; out[0] u8.
 * "threshold.otsu": in[0] f32 [1,D,H,W], in[1..] gates u8; out[0] f32 [1]: Otsu's threshold of the
 * finite voxels within the gates; infinity where they are none or all alike.
 * "threshold.keep": in[0] i32 labels, in[1] i32 [1] their number, in[2] u8 (if given: strong
 * voxels); out[0] u8 without the components that have fewer voxels than wanted, or no strong one.
 * "threshold.best": in[0] f32, in[1] mask u8, in[2] couinaud u8, in[3..] gates u8; out[0] the mask
 * with the likeliest component of each wanted segment in which it had nothing.
 */
#ifndef HF_STAGES_THRESHOLD_ELEM_H
#define HF_STAGES_THRESHOLD_ELEM_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

enum cut_side {
    CUT_ABOVE,
    CUT_BELOW,
    CUT_EITHER
};

struct cut_params {
    float value;
    int32_t side; /* enum cut_side */
};

struct otsu_params {
    int32_t bins; /* 2 to OTSU_MAX_BINS */
    int32_t side; /* enum cut_side */
};

struct keep_params {
    int64_t least; /* voxels */
};

struct best_params {
    uint32_t segments; /* wanted ones, a bit each */
    int32_t side;
};

/** The larger, the more of a tumor the voxel is. */
HF_DEVICE static inline float cut_measure(float v, int32_t side) {
    if (side == CUT_EITHER)
        return fabsf(v);
    return side == CUT_BELOW ? -v : v;
}

HF_DEVICE static inline uint8_t cut_voxel(float v, float value, int32_t side) {
    return cut_measure(v, side) >= (side == CUT_BELOW ? -value : value);
}

/* ---- Otsu ---- */

enum {
    OTSU_MAX_BINS = 4096
};

/** What the histogram is of. */
HF_DEVICE static inline float otsu_measure(float v, int32_t side) {
    return side == CUT_EITHER ? fabsf(v) : v;
}

/** Infinite or NaN: no part of the histogram. */
HF_DEVICE static inline int otsu_counts(float v) {
    return v - v == 0;
}

/** The bin of a value between `low` and `high`, low < high. */
HF_DEVICE static inline int32_t otsu_bin(float v, float low, float high, int32_t bins) {
    int32_t k = (int32_t)(((double)v - low) / ((double)high - low) * bins);
    return k < bins ? k : bins - 1;
}

/**
 * The threshold that separates the two classes' means most (Otsu, IEEE Trans. SMC 1979): the bins
 * from it on are the upper class. Where a run of empty bins makes several alike: their middle.
 */
HF_DEVICE static inline float otsu_level(const int32_t *count, int32_t bins, float low,
                                         float high) {
    double all = 0, sum = 0, below = 0, below_sum = 0, most = -1;
    int32_t first = 0, last = 0;
    for (int32_t k = 0; k < bins; k++) {
        all += count[k];
        sum += (double)count[k] * k;
    }
    for (int32_t k = 0; k + 1 < bins; k++) {
        below += count[k];
        below_sum += (double)count[k] * k;
        if (below == 0 || below == all)
            continue;
        double apart = below_sum / below - (sum - below_sum) / (all - below);
        double between = below * (all - below) * apart * apart;
        if (between > most) {
            most = between;
            first = k;
        }
        if (between == most)
            last = k;
    }
    return (float)(low + ((double)high - low) * (0.5 * (first + last) + 1) / bins);
}

/* ---- the best of a segment ---- */

/* Couinaud's segments are 1..8; arrays are indexed by the segment. */
enum {
    BEST_SEGMENTS = 9
};

/** The segment that a voxel of the map belongs to; 0: none. */
HF_DEVICE static inline int best_segment(uint8_t couinaud) {
    return couinaud < BEST_SEGMENTS ? couinaud : 0;
}

/** Whether a segment is wanted and had nothing. */
HF_DEVICE static inline int best_misses(const struct best_params *p, int segment, uint32_t found) {
    return (p->segments & ~found) >> segment & 1;
}

/** Whether a component is grown from a segment's likeliest voxel: a measure of nothing at all names
 *  no voxel. */
HF_DEVICE static inline int best_grows(float most, int32_t side) {
    return side == CUT_BELOW || most > 0;
}

/** Down to where it is grown. */
HF_DEVICE static inline float best_level(float most) {
    return most - 0.5f * fabsf(most);
}

HF_DEVICE static inline int best_joins(float measure, float level) {
    return !(measure < level);
}

#endif
