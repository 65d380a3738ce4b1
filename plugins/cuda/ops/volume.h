/**
 * volume.h - walks over volumes: threads along the rows, so that a warp's accesses are contiguous.
 */
#ifndef HF_CUDA_OPS_VOLUME_H
#define HF_CUDA_OPS_VOLUME_H

#include <hepaflow/cuda.h>

#define VOLUME_WIDE 32
#define VOLUME_HIGH 8

static inline dim3 volume_block(void) {
    return dim3(VOLUME_WIDE, VOLUME_HIGH);
}

/** Blocks for VOLUME_EACH over so many planes, rows and columns, none of them 0. */
static inline dim3 volume_grid(int64_t planes, int64_t height, int64_t width) {
    const int64_t most = 65535;
    int64_t x = (width + VOLUME_WIDE - 1) / VOLUME_WIDE;
    int64_t y = (height + VOLUME_HIGH - 1) / VOLUME_HIGH;
    return dim3((unsigned)x, (unsigned)(y < most ? y : most),
                (unsigned)(planes < most ? planes : most));
}

/** In a kernel: walks over all (p, h, w); the grid may be smaller than the volume. */
#define VOLUME_EACH(p, h, w, planes, height, width)                                                \
    for (int64_t p = blockIdx.z; p < (planes); p += gridDim.z)                                     \
        for (int64_t h = (int64_t)blockIdx.y * VOLUME_HIGH + threadIdx.y; h < (height);            \
             h += (int64_t)gridDim.y * VOLUME_HIGH)                                                \
            for (int64_t w = (int64_t)blockIdx.x * VOLUME_WIDE + threadIdx.x; w < (width);         \
                 w += (int64_t)gridDim.x * VOLUME_WIDE)

#endif
