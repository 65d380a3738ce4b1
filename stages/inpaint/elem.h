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

/** What the network sees. */
HF_DEVICE static inline float blank_voxel(float image, uint8_t region, float blank) {
    return region ? blank : image;
}

/** The image outside the region, the network's filling inside. */
HF_DEVICE static inline float merge_voxel(float image, uint8_t region, float filling) {
    return region ? filling : image;
}

#endif
