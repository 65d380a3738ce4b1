/**
 * elem.h - the arithmetic of scoring a difference on one voxel, and the operands of the ops.
 *
 * "absdiff.difference": in[0] image f32, in[1] inpainted f32; out[0] f32: what the image has more.
 * "absdiff.score": in[0] difference f32, in[1] mask u8; out[0] f32. All [1,D,H,W].
 */
#ifndef HF_PLUGINS_ABSDIFF_ELEM_H
#define HF_PLUGINS_ABSDIFF_ELEM_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

enum absdiff_tumors {
    TUMORS_EITHER,
    TUMORS_HYPODENSE,
    TUMORS_HYPERDENSE
};

struct score_params {
    float half;     /* the difference that scores 0.5, in the image's units */
    int32_t tumors; /* enum absdiff_tumors */
};

/** 0 where there is no difference or one to the wrong side, 0.5 at `half`, 1 from twice that on.
 *  The quotient is 1 or more exactly where the difference is `half` or more. */
HF_DEVICE static inline float score_voxel(float difference, uint8_t within, float half,
                                          int32_t tumors) {
    float d = tumors == TUMORS_EITHER      ? fabsf(difference)
              : tumors == TUMORS_HYPODENSE ? -difference
                                           : difference;
    if (!within || !(d > 0.0f))
        return 0.0f;
    return fminf(0.5f * (d / half), 1.0f);
}

#endif
