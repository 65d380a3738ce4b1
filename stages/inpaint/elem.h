/**
 * elem.h - the arithmetic of inpainting on one voxel.
 */
#ifndef HF_STAGES_INPAINT_ELEM_H
#define HF_STAGES_INPAINT_ELEM_H

#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

struct blank_params {
    float blank; /* what a blanked voxel holds */
};

struct turn_params {
    int32_t turn;
};

/** 1 if the voxel is filled in that turn. */
HF_DEVICE static inline uint8_t turn_voxel(uint8_t part, uint8_t region, int32_t turn) {
    return region && part == turn;
}

/** What the network sees. */
HF_DEVICE static inline float blank_voxel(float image, uint8_t region, float blank) {
    return region ? blank : image;
}

/** The image outside the region, the network's filling inside. */
HF_DEVICE static inline float merge_voxel(float image, uint8_t region, float filling) {
    return region ? filling : image;
}

#endif
