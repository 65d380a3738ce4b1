/**
 * ops.h - the op of parts.
 *
 * "parts.cut": in[0] image f32, in[1] region u8; out[0] u8: 0 outside the region, and within it the
 * turn, 1..PARTS_TURNS, of the part that a voxel is in. All [1,D,H,W].
 */
#ifndef HF_STAGES_PARTS_OPS_H
#define HF_STAGES_PARTS_OPS_H

#include <hepaflow/device.h>

#include "turns.h"

struct cut_params {
    float spacing[2]; /* mm along H, W */
    float size;       /* mm */
    float compactness;
};

extern const struct hf_op parts_cut_cpu;

#endif
