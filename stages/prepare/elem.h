/**
 * elem.h - what prepare does to one voxel, and the parameters of its ops.
 */
#ifndef HF_PREPARE_ELEM_H
#define HF_PREPARE_ELEM_H

#include <hepaflow/rng.h>

/** Of "prepare.window": in[0] f32 HU to out[0] f32, 0 at `low`, 1 at `high`, clipped. */
struct prepare_window_params {
    float low, high;
};

HF_DEVICE static inline float prepare_window(float hu, float low, float high) {
    float v = (hu - low) / (high - low);
    return v > 0 ? v < 1 ? v : 1 : 0;
}

/* "prepare.inside": in[0] u8 or f32 to out[0] alike, 0 where in[1] u8 (a mask) is 0. */

/* "prepare.box": in[0] u8 [1,D,H,W]; out[0] i32 [6]: the first and the last D, H, W of its nonzero
 * voxels; without any the last are -1. */

/** "prepare.histogram": in[0] f32 HU, in[1] u8 (a mask); out[0] i32 [PREPARE_BINS]: the voxels of
 *  the mask by their HU, in eighths from AIR on; what lies beyond is in the outermost bins. */
#define PREPARE_AIR   (-1024.0f)
#define PREPARE_STEPS 8
#define PREPARE_BINS  (4096 * PREPARE_STEPS)

HF_DEVICE static inline int32_t prepare_bin(float hu) {
    float at = (hu - PREPARE_AIR) * PREPARE_STEPS;
    return at > 0 ? at < PREPARE_BINS - 1 ? (int32_t)at : PREPARE_BINS - 1 : 0;
}

/** The HU that a bin stands for. */
HF_DEVICE static inline float prepare_bin_middle(int32_t bin) {
    return PREPARE_AIR + ((float)bin + 0.5f) / PREPARE_STEPS;
}

#endif
