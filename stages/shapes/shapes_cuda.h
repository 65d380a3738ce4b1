/**
 * shapes_cuda.h - what the CUDA ops of stages that draw shapes share: sets of a slice's voxels, in
 * which the n-th voxel is found as fast as a block can, and counts of segments.
 */
#ifndef HF_STAGES_SHAPES_CUDA_H
#define HF_STAGES_SHAPES_CUDA_H

#include <hepaflow/cuda.h>

#include "../../plugins/ops/pieces.h"
#include "shapes.h"

/** Threads of the blocks that look at a whole slice. */
#define SHAPES_THREADS 1024

/** Some voxels of a plane, in scan order. */
struct voxel_set {
    uint32_t *word;  /* a bit for each voxel of the plane */
    int32_t *before; /* how many voxels of the set are in the words before this one */
    int32_t words;
};

/** Scratch: `count` elements of a type at the next line. With `base` NULL only
 *  *offset moves, which is how much scratch there has to be. */
template <typename T> static inline T *shapes_take(void *base, size_t *offset, int64_t count) {
    struct pieces memory = {(char *)base, *offset};
    T *ret = (T *)piece(&memory, (size_t)count * sizeof(T));
    *offset = memory.used;
    return ret;
}

HF_DEVICE static inline int32_t voxel_set_words(int64_t plane) {
    return (int32_t)((plane + 31) / 32);
}

/** The sum of `value` over the threads before this one, and in *ret_total over all of a block of
 *  SHAPES_THREADS; all of them must call it. */
static inline __device__ int32_t block_prefix(int32_t value, int32_t *ret_total) {
    __shared__ int32_t sum[2][SHAPES_THREADS];
    int t = (int)threadIdx.x, from = 0;
    __syncthreads(); /* `sum` may still be read from the call before */
    sum[0][t] = value;
    __syncthreads();
    for (int step = 1; step < SHAPES_THREADS; step *= 2) {
        sum[1 - from][t] = sum[from][t] + (t >= step ? sum[from][t - step] : 0);
        from = 1 - from;
        __syncthreads();
    }
    *ret_total = sum[from][SHAPES_THREADS - 1];
    return sum[from][t] - value;
}

/** Puts the voxels for which `has(voxel)` is true in the set; returns how many. By a whole block of
 *  SHAPES_THREADS. */
template <typename Has>
static inline __device__ int32_t voxel_set_fill(const struct voxel_set *set, int32_t plane,
                                                Has has) {
    const int ahead = 4; /* words that a warp asks memory for at once */
    int lane = (int)threadIdx.x % 32;
    for (int first = (int)threadIdx.x / 32 * ahead; first < set->words;
         first += SHAPES_THREADS / 32 * ahead) {
        bool in[ahead];
        for (int k = 0; k < ahead; k++) {
            int32_t i = (first + k) * 32 + lane;
            in[k] = i < plane && has(i);
        }
        for (int k = 0; k < ahead; k++) {
            uint32_t bits = __ballot_sync(0xFFFFFFFFu, in[k]);
            if (lane == 0 && first + k < set->words)
                set->word[first + k] = bits;
        }
    }
    __syncthreads();
    int32_t each = (set->words + SHAPES_THREADS - 1) / SHAPES_THREADS, mine = 0, total;
    int32_t from = (int32_t)threadIdx.x * each,
            to = from + each < set->words ? from + each : set->words;
    for (int32_t k = from; k < to; k++)
        mine += __popc(set->word[k]);
    mine = block_prefix(mine, &total);
    for (int32_t k = from; k < to; k++) {
        set->before[k] = mine;
        mine += __popc(set->word[k]);
    }
    __syncthreads();
    return total;
}

/** The voxel of that rank, which must be in the set. */
static inline __device__ int32_t voxel_set_at(const struct voxel_set *set, int32_t rank) {
    int32_t low = 0, high = set->words; /* the last word with no more than `rank` before it */
    while (high - low > 1) {
        int32_t middle = (low + high) / 2;
        if (set->before[middle] <= rank)
            low = middle;
        else
            high = middle;
    }
    uint32_t bits = set->word[low];
    for (int32_t skip = rank - set->before[low]; skip > 0; skip--)
        bits &= bits - 1;
    return low * 32 + __ffs((int)bits) - 1;
}

/** Counts a plane's voxels by segment: `segment(voxel)` is -1 for those that do not count. By a
 *  whole block of SHAPES_THREADS; `ret` is in shared memory. */
template <typename Segment>
static inline __device__ void count_segments(int32_t plane, Segment segment,
                                             int32_t ret[SHAPES_SEGMENTS]) {
    __shared__ int32_t part[SHAPES_SEGMENTS][32]; /* a column for each lane: no two collide */
    int32_t mine[SHAPES_SEGMENTS] = {0};
    int t = (int)threadIdx.x;
    for (int i = t; i < SHAPES_SEGMENTS * 32; i += SHAPES_THREADS)
        part[i / 32][i % 32] = 0;
    __syncthreads();
    for (int32_t i = t; i < plane; i += SHAPES_THREADS) {
        int k = segment(i);
        for (int s = 0; s < SHAPES_SEGMENTS; s++)
            mine[s] += k == s;
    }
    for (int s = 0; s < SHAPES_SEGMENTS; s++)
        atomicAdd(&part[s][t % 32], mine[s]);
    __syncthreads();
    if (t < SHAPES_SEGMENTS) {
        int32_t sum = 0;
        for (int lane = 0; lane < 32; lane++)
            sum += part[t][lane];
        ret[t] = sum;
    }
    __syncthreads();
}

#endif
