/**
 * cuda_runtime.h - stands in for CUDA's own header of that name where kernels are tested on a CPU.
 *
 * The same .cu files are compiled by the C++ compiler: the words of the language are empty macros,
 * threads of a block are fibers, blocks run one after another. `emulation_order` changes the order
 * of threads and blocks: what depends on it is a race. A barrier that not all threads reach, or at
 * different places, is a fault: it ends the kernel, and cudaGetLastError tells.
 *
 * Not covered: races between warps within one statement, alignment, limits of a real device, speed.
 */
#ifndef EMULATION_CUDA_RUNTIME_H
#define EMULATION_CUDA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the runtime's functions that hepaflow uses ---- */

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorNoDevice = 100,
    cudaErrorNotReady = 600,
    cudaErrorLaunchFailure = 719
} cudaError_t;

typedef struct emulation_stream *cudaStream_t;

cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t error);

/* ---- what tests set and ask ---- */

/** 0: threads and blocks in order, 1: backwards, 2: shuffled. */
void emulation_order(int order);

#ifdef __cplusplus
}

/* ---- the language ---- */

#include <functional>

#include <math.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __constant__    static
#define __shared__      static
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {
    }
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;
static constexpr int warpSize = 32;

namespace emulation {

void launch(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> body);
/** Waits for the block (`warp` 0) or for the lanes of `mask` of the own warp. */
void barrier(bool warp, unsigned mask, const char *file, int line);
/** Leaves a value of up to 8 bytes for the other lanes, and reads one that `lane` left. */
void lane_put(const void *value, size_t size);
void lane_get(int lane, void *value, size_t size);
int lane(void);

template <typename T>
static inline T shuffle(unsigned mask, T value, int from, const char *file, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves up to 8 bytes");
    T got = value;
    lane_put(&value, sizeof value);
    barrier(true, mask, file, line);
    if (from >= 0 && from < warpSize)
        lane_get(from, &got, sizeof got);
    barrier(true, mask, file, -line);
    return got;
}

template <typename T> static inline T fetch_add(T *p, T v) {
    T old = *p;
    *p = old + v;
    return old;
}

} // namespace emulation

#define __syncthreads()            emulation::barrier(false, 0, __FILE__, __LINE__)
#define __syncwarp(...)            emulation::barrier(true, 0xFFFFFFFFu, __FILE__, __LINE__)
#define __threadfence()            ((void)0)
#define __threadfence_block()      ((void)0)
#define __shfl_sync(mask, v, from) emulation::shuffle(mask, v, (from), __FILE__, __LINE__)
#define __shfl_down_sync(mask, v, d)                                                               \
    emulation::shuffle(mask, v, emulation::lane() + (int)(d), __FILE__, __LINE__)
#define __shfl_up_sync(mask, v, d)                                                                 \
    emulation::shuffle(mask, v, emulation::lane() - (int)(d), __FILE__, __LINE__)
#define __shfl_xor_sync(mask, v, d)                                                                \
    emulation::shuffle(mask, v, emulation::lane() ^ (int)(d), __FILE__, __LINE__)

static inline unsigned __ballot_sync(unsigned mask, int set) {
    unsigned bits = set ? 1u << emulation::lane() : 0u;
    for (int d = 16; d > 0; d /= 2)
        bits |= emulation::shuffle(mask, bits, emulation::lane() ^ d, __FILE__, __LINE__);
    return bits;
}

template <typename T> static inline T __ldg(const T *p) {
    return *p;
}
template <typename T> static inline T atomicAdd(T *p, T v) {
    return emulation::fetch_add(p, v);
}
template <typename T> static inline T atomicMin(T *p, T v) {
    T old = *p;
    *p = v < old ? v : old;
    return old;
}
template <typename T> static inline T atomicMax(T *p, T v) {
    T old = *p;
    *p = v > old ? v : old;
    return old;
}
template <typename T> static inline T atomicOr(T *p, T v) {
    T old = *p;
    *p = old | v;
    return old;
}
template <typename T> static inline T atomicCAS(T *p, T expected, T v) {
    T old = *p;
    if (old == expected)
        *p = v;
    return old;
}
static inline int __clz(int v) {
    return v ? __builtin_clz((unsigned)v) : 32;
}
static inline int __popc(unsigned v) {
    return __builtin_popcount(v);
}
static inline int __ffs(int v) {
    return __builtin_ffs(v);
}

#define HF_CUDA_LAUNCH(kernel, grid, block, stream, ...)                                           \
    emulation::launch((grid), (block), (cudaStream_t)(stream), [=] { (kernel)(__VA_ARGS__); })

#endif /* __cplusplus */
#endif
