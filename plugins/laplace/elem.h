/**
 * elem.h - what a voxel is to a harmonic filling, and the operands of the ops.
 *
 * "laplace.count": in[0] region u8 [1,D,H,W]; out[0] i32 [D]: its voxels in each slice.
 * "laplace.fill": in[0] image f32, in[1] region u8, in[2] tissue u8 (or absent); out[0] inpainted
 * f32, out[1] f32 what the image has more. All [1,D,H,W].
 */
#ifndef HF_PLUGINS_LAPLACE_ELEM_H
#define HF_PLUGINS_LAPLACE_ELEM_H

#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

struct laplace_params {
    float spacing[3]; /* mm, D, H, W */
    int32_t dims;     /* 2: slice by slice; 3: through the volume */
    int32_t most;     /* voxels of the region in a slice, or in the volume: "laplace.count" */
    int32_t rounds;   /* of the solver, at most */
    float tolerance;  /* in the image's units */
    float unknown;    /* what fills a region in a volume without known tissue */
};

/** Its value is given: the boundary, where it touches the region. */
HF_DEVICE static inline int is_known(uint8_t region, uint8_t tissue) {
    return !region && tissue;
}

/** How much a neighbour along an axis counts; the nearest axis counts 1. */
HF_DEVICE static inline double neighbour_weight(const struct laplace_params *p, int axis) {
    float least = p->spacing[2];
    for (int a = p->dims == 2 ? 1 : 0; a < 2; a++)
        least = p->spacing[a] < least ? p->spacing[a] : least;
    double ratio = (double)least / (double)p->spacing[axis];
    return ratio * ratio;
}

#endif
