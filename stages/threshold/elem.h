/**
 * elem.h - the arithmetic of thresholding on one voxel, and the operands of the ops.
 *
 * "threshold.cut": in[0] f32 [1,D,H,W], in[1..] gates u8; out[0] u8.
 * "threshold.keep": in[0] i32 labels, in[1] i32 [1] their number; out[0] u8 without the components
 * that have fewer voxels than wanted.
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
