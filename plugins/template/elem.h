/**
 * elem.h - what `noise` does to one voxel, for the C compiler and for nvcc alike, and the operands
 * of its op.
 *
 * "noise.add": in[0] f32 [C,D,H,W]; out[0] f32, the same shape. Each voxel draws by its own number,
 * so the order in which voxels are visited does not matter.
 */
#ifndef NOISE_ELEM_H
#define NOISE_ELEM_H

#include <math.h>

#include <hepaflow/rng.h>

struct noise_params {
    struct hf_rng rng; /* of the sample */
    float deviation;
};

HF_DEVICE static inline float noise_value(const struct noise_params *p, float x, uint64_t voxel) {
    uint32_t counter[4] = {(uint32_t)voxel, (uint32_t)(voxel >> 32), (uint32_t)p->rng.stream,
                           (uint32_t)(p->rng.stream >> 32)};
    uint32_t words[4];
    hf_philox(counter, p->rng.key, words);
    float u = (float)(words[0] >> 8) * 0x1p-24f, v = (float)(words[1] >> 8) * 0x1p-24f;
    float normal = sqrtf(-2.0f * logf(1.0f - u)) * cosf(6.28318530718f * v);
    return x + p->deviation * normal;
}

#endif
