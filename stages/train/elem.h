/**
 * elem.h - what `train` does to one voxel: fields to network channels.
 */
#ifndef TRAIN_ELEM_H
#define TRAIN_ELEM_H

#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/** Entry `channel` of the one-hot vector of a label; `classes` 0 leaves the value as it is. */
HF_DEVICE static inline float train_target(float value, int32_t classes, int32_t channel) {
    if (classes == 0)
        return value;
    return (int32_t)(value + 0.5f) == channel ? 1.0f : 0.0f;
}

/** The voxel of an axis that stands for one outside it: the nearest. */
HF_DEVICE static inline int64_t train_clamp(int64_t i, int64_t size) {
    return i < 0 ? 0 : i < size ? i : size - 1;
}

HF_DEVICE static inline int train_inside(int64_t i, int64_t size) {
    return i >= 0 && i < size;
}

/** Whether a voxel of the target counts as positive. */
HF_DEVICE static inline int train_positive(float value) {
    return value > 0.5f;
}

#endif
