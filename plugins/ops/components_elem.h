/**
 * components_elem.h - the neighbours that come before a voxel in scan order.
 */
#ifndef HF_COMPONENTS_ELEM_H
#define HF_COMPONENTS_ELEM_H

#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/** Neighbour k of 13 as steps along D, H, W; 1 if the connectivity (6, 18, 26) counts it. */
HF_DEVICE static inline int components_neighbour(int k, int32_t connectivity, int32_t ret[3]) {
    ret[0] = k / 9 - 1;
    ret[1] = k / 3 % 3 - 1;
    ret[2] = k % 3 - 1;
    int32_t axes = (ret[0] != 0) + (ret[1] != 0) + (ret[2] != 0);
    return axes <= (connectivity == 6 ? 1 : connectivity == 18 ? 2 : 3);
}

#endif
