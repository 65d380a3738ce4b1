/**
 * elem.h - the operands of select's op.
 *
 * "select.count": in[0] u8 [1,D,H,W] to out[0] i32 [D]: nonzero voxels of each slice.
 */
#ifndef HF_SELECT_ELEM_H
#define HF_SELECT_ELEM_H

#include <hepaflow/rng.h>

HF_DEVICE static inline int32_t select_counts(uint8_t voxel) {
    return voxel != 0;
}

#endif
