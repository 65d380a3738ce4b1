/**
 * ops.h - the ops of `train`: volumes to slices to batches, without leaving the device.
 */
#ifndef TRAIN_OPS_H
#define TRAIN_OPS_H

#include <hepaflow/device.h>

/**
 * "train.take": slice `d` of each in[] (u8 or f32 [C,D,H,W]), one after the other, into the
 * channels from `channel` on of out[0] (f32 [K,H,W]). With `classes` > 0, in[labels] is a label map
 * [1,D,H,W] and becomes that many one-hot channels.
 */
struct train_take_params {
    int64_t d;
    int32_t channel;
    int32_t classes;
    int32_t labels;
};

/** "train.put": channels `first`.. of each in[] (f32 [K,H,W]) into the rows from `n` on of out[0]
 *  [N,C,1,H,W]. */
struct train_put_params {
    int64_t n;
    int32_t first;
};

/** "train.profile": out[0] f32 [D]: how many voxels of each slice of in[0] exceed one half. */

#endif
