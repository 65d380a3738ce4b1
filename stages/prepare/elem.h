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

#endif
