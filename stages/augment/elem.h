/**
 * elem.h - what `augment` does to the value of one voxel.
 */
#ifndef AUGMENT_ELEM_H
#define AUGMENT_ELEM_H

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/** Contrast about `middle`, then brightness, kept within [0, 1]. */
HF_DEVICE static inline float augment_value(float x, float middle, float contrast,
                                            float brightness) {
    float y = (x - middle) * contrast + middle + brightness;
    return y < 0.0f ? 0.0f : y > 1.0f ? 1.0f : y;
}

#endif
