/*
 * liver.h - what the stages that draw shapes are tested on: a round liver of eight segments in each
 * slice, and where may be drawn, which leaves the fifth segment out.
 */
#ifndef TESTS_CUDA_LIVER_H
#define TESTS_CUDA_LIVER_H

#include "kit.h"

/* Fills three masks of one size [1,D,H,W]. Of each six slices one (2) has no liver, one (3) nothing
 * that may be drawn in, one (4) a liver that is too small. */
static inline void liver_fill(struct hf_tensor *liver, struct hf_tensor *allowed,
                              struct hf_tensor *couinaud) {
    int64_t d = liver->shape[1], h = liver->shape[2], w = liver->shape[3];
    for (int64_t i = 0; i < d * h * w; i++) {
        int64_t slice = i / (h * w), y = i / w % h - h / 2, x = i % w - w / 2, r = h < w ? h : w;
        int64_t kind = slice % 6, r2 = 4 * (y * y + x * x);
        int in = kind == 2 ? 0 : kind == 4 ? r2 < 16 : r2 < (r - 2) * (r - 2);
        int segment = in ? 1 + (int)(4 * (y > 0) + 2 * (x > 0) + (y * y > x * x)) : 0;
        HF_DATA(uint8_t, liver)[i] = (uint8_t)in;
        /* A map may hold what is no segment. */
        HF_DATA(uint8_t, couinaud)[i] = (uint8_t)(i % 97 == 0 ? 200 : segment);
        HF_DATA(uint8_t, allowed)[i] = kind != 3 && segment != 5;
    }
}

#endif
