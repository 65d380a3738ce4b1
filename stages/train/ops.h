/**
 * ops.h - the ops of `train`: volumes to slices to batches, without leaving the device.
 */
#ifndef TRAIN_OPS_H
#define TRAIN_OPS_H

#include <hepaflow/device.h>

/**
 * "train.take": a patch of each in[] (u8 or f32 [C,D,H,W]), one after the other, into the channels
 * from `channel` on of out[0] (f32 [K,D,H,W], whose size is the patch's; a slice has D = 1). What
 * of the patch is outside the volume repeats its border, but in in[weight] it is 0. With `classes`
 * > 0, in[labels] is a label map [1,D,H,W] and becomes that many one-hot channels.
 */
struct train_take_params {
    int64_t start[3]; /* D, H, W of the patch's first voxel; may be outside */
    int32_t channel;
    int32_t classes;
    int32_t labels, weight; /* indices into in[]; none has them: no such input */
};

/** "train.put": channels `first`.. of each in[] (f32 [K,D,H,W]) into the rows from `n` on of out[0]
 *  [N,C,D,H,W]. */
struct train_put_params {
    int64_t n;
    int32_t first;
};

/** "train.profile": out[0] f32 [D]: how many voxels of each slice of in[0] exceed one half. */

#define TRAIN_MAX_PATCHES 64

/**
 * "train.pick": out[0] i32 [N], N <= TRAIN_MAX_PATCHES: of those voxels of slice `d` of in[0] (u8
 * or f32 [C,D,H,W], its first channel) that exceed one half, where in the slice (row * W + column)
 * number `rank` stands, counted from 0 along the rows; -1: there are not as many.
 */
struct train_pick_params {
    struct train_pick {
        int32_t d, rank;
    } draw[TRAIN_MAX_PATCHES];
};

#endif
