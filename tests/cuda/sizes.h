/*
 * sizes.h - the shapes [C,D,H,W] that the tests of the stages' CUDA ops go through: odd sizes, axes
 * of one voxel, rows longer than a block of threads.
 */
#ifndef TESTS_CUDA_SIZES_H
#define TESTS_CUDA_SIZES_H

#include "kit.h"

static const int64_t sizes[][4] = {{1, 1, 1, 1},  {1, 1, 1, 700}, {1, 3, 1, 5},  {1, 5, 17, 33},
                                   {1, 1, 31, 7}, {3, 2, 9, 13},  {2, 7, 20, 30}};

#define EACH_SIZE(size)                                                                            \
    for (const int64_t *size = sizes[0]; size < sizes[0] + sizeof sizes / sizeof **sizes; size += 4)

static inline struct hf_tensor *sized(enum hf_dtype dtype, int64_t channels, const int64_t *size) {
    return kit_volume(dtype, channels, size[1], size[2], size[3]);
}

/* A random volume. */
static inline struct hf_tensor *sized_random(enum hf_dtype dtype, int64_t channels,
                                             const int64_t *size, double low, double high,
                                             uint64_t seed) {
    struct hf_tensor *t = sized(dtype, channels, size);
    kit_random(t, low, high, seed);
    return t;
}

/* A mask of about the given share of voxels, some with values above 1. */
static inline struct hf_tensor *sized_mask(const int64_t *size, double share, uint64_t seed) {
    struct hf_tensor *t = sized(HF_U8, 1, size);
    struct hf_rng draws = hf_rng_init(seed, "test", "mask", 0);
    uint8_t *mask = HF_DATA(uint8_t, t);
    for (int64_t i = 0; i < hf_tensor_count(t); i++) {
        uint8_t value = (uint8_t)(1 + 8 * hf_rng_below(&draws, 2));
        mask[i] = (double)hf_rng_uniform(&draws) < share ? value : 0;
    }
    return t;
}

static inline void free_all(struct hf_tensor *const *t, int n) {
    for (int i = 0; i < n; i++)
        kit_free(t[i]);
}

static const struct kit_limits exact = {0};

#endif
