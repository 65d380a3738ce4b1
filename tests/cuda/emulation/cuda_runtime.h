/**
 * cuda_runtime.h - stands in for CUDA's own header of that name where kernels are tested on a CPU.
 *
 * The same .cu files are compiled by the C++ compiler: the words of the language are empty macros,
 * threads of a block are fibers, blocks run one after another. `emulation_order` changes the order
 * of threads and blocks: what depends on it is a race. A barrier that not all threads reach, or at
 * different places, is a fault: it ends the kernel, and cudaGetLastError tells.
 *
 * A stream is a list of work that runs as late as CUDA allows: when somebody waits for it, in the
 * waiting thread. So a wait that is missing reads what was there before, which is poison: memory
 * is filled with 0xA5 when its allocation's turn comes and with 0xDB when its release's does. Host
 * memory of a copy is read when the copy runs. Memory of the GPU, as long as it is little, can be
 * touched by running work only; anybody else gets a segmentation fault. What CUDA forbids or leaves
 * undefined is a fault that emulation_fault tells: memory used after it was given back or written
 * beyond its end, the default stream, an event of a capture used outside of it (or the other way
 * round), a stream whose device is not current, a call from a host function.
 *
 * HEPAFLOW_EMULATED_GPUS (1), _CAPABILITY (90), _DRIVER (13000; 0: none) and _CAPTURE (1; 0: a
 * capture ends in an error) in the environment say what there is.
 *
 * With HEPAFLOW_EMULATION_STRICT=1 a fault, any work on the default stream among them, ends the
 * program with a line: for programs that do not ask.
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

/* ---- the runtime's functions that hepaflow uses; CUDA's own manual says what they do ---- */

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchFailure = 719,
    cudaErrorNotPermitted = 800,
    cudaErrorNotSupported = 801,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureMerge = 902,
    cudaErrorStreamCaptureUnmatched = 903,
    cudaErrorStreamCaptureUnjoined = 904,
    cudaErrorStreamCaptureIsolation = 905,
    cudaErrorCapturedEvent = 907,
    cudaErrorStreamCaptureWrongThread = 908
} cudaError_t;

typedef struct emulation_stream *cudaStream_t;
typedef struct emulation_event *cudaEvent_t;
typedef struct emulation_pool *cudaMemPool_t;
typedef struct emulation_graph *cudaGraph_t;
typedef struct emulation_graph_exec *cudaGraphExec_t;
typedef void (*cudaHostFn_t)(void *arg);

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor, multiProcessorCount;
};

enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrL2CacheSize = 38,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMemoryPoolsSupported = 115
};

enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};

enum cudaMemoryType {
    cudaMemoryTypeUnregistered,
    cudaMemoryTypeHost,
    cudaMemoryTypeDevice
};

struct cudaPointerAttributes {
    enum cudaMemoryType type;
    int device;
    void *devicePointer, *hostPointer;
};

enum cudaMemAllocationType {
    cudaMemAllocationTypePinned = 1
};
enum cudaMemLocationType {
    cudaMemLocationTypeDevice = 1
};
enum cudaMemAllocationHandleType {
    cudaMemHandleTypeNone = 0
};

struct cudaMemPoolProps {
    enum cudaMemAllocationType allocType;
    enum cudaMemAllocationHandleType handleTypes;
    struct {
        enum cudaMemLocationType type;
        int id;
    } location;
    size_t maxSize;
};

enum cudaMemPoolAttr {
    cudaMemPoolReuseFollowEventDependencies = 1,
    cudaMemPoolReuseAllowOpportunistic,
    cudaMemPoolReuseAllowInternalDependencies,
    cudaMemPoolAttrReleaseThreshold,
    cudaMemPoolAttrReservedMemCurrent,
    cudaMemPoolAttrReservedMemHigh,
    cudaMemPoolAttrUsedMemCurrent,
    cudaMemPoolAttrUsedMemHigh
};

enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal,
    cudaStreamCaptureModeThreadLocal,
    cudaStreamCaptureModeRelaxed
};

enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone,
    cudaStreamCaptureStatusActive
};

#define cudaStreamNonBlocking  0x01u
#define cudaEventDefault       0x00u
#define cudaEventBlockingSync  0x01u
#define cudaEventDisableTiming 0x02u
#define cudaHostAllocDefault   0x00u
#define cudaHostAllocPortable  0x01u

cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);

cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device);
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total);

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const struct cudaMemPoolProps *props);
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attr, void *value);
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attr, void *value);
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep);
cudaError_t cudaMalloc(void **data, size_t bytes);
cudaError_t cudaFree(void *data);
cudaError_t cudaMallocFromPoolAsync(void **data, size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t stream);
cudaError_t cudaFreeAsync(void *data, cudaStream_t stream);
cudaError_t cudaHostAlloc(void **data, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void *data);
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *data);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *data, int value, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *arg);

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

/* ---- what tests set and ask ---- */

/** 0: threads and blocks in order, 1: backwards, 2: shuffled. */
void emulation_order(int order);
/** What was done wrong first since the last call, or NULL; forgets it. Valid in this thread until
 *  its next call. */
const char *emulation_fault(void);
/** Kernels on the default stream run at once (1, so that an op can be tested alone) or are a fault
 *  (0). Anything else on the default stream is always a fault. */
void emulation_default_stream(int allowed);
/** Work on the stream that goes wrong, as a kernel that touches foreign memory does. */
void emulation_break(cudaStream_t stream);
/** How much memory the GPU has. */
void emulation_memory(size_t bytes);
/** Bytes that are handed out, and the most there have been since the last emulation_memory. */
size_t emulation_used(void);
size_t emulation_most_used(void);

#ifdef __cplusplus
}

/* ---- the language ---- */

#include <functional>

#include <math.h>
#include <string.h>

#define __global__
#define __grid_constant__
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
template <typename K, typename... A>
static inline void launch_with(dim3 grid, dim3 block, cudaStream_t stream, K kernel,
                               A... argument) {
    launch(grid, block, stream, [=] { kernel(argument...); });
}
/** Work of a library that is emulated whole: runs once, in its turn, as kernels do. */
void enqueue(cudaStream_t stream, std::function<void()> work);
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

static inline unsigned ballot(unsigned mask, int set, const char *file, int line) {
    unsigned bits = 0;
    unsigned char mine = set != 0;
    lane_put(&mine, sizeof mine);
    barrier(true, mask, file, line);
    for (int l = 0; l < warpSize; l++) {
        unsigned char theirs = 0;
        if (mask >> l & 1)
            lane_get(l, &theirs, sizeof theirs);
        bits |= (unsigned)theirs << l;
    }
    barrier(true, mask, file, -line);
    return bits;
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

#define __ballot_sync(mask, set) emulation::ballot(mask, set, __FILE__, __LINE__)

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

/* The arguments are evaluated now and copied, as CUDA does; the kernel runs later. */
#define HF_CUDA_LAUNCH(kernel, grid, block, stream, ...)                                           \
    emulation::launch_with((grid), (block), (cudaStream_t)(stream),                                \
                           [=](auto... argument_) { (kernel)(argument_...); }, __VA_ARGS__)

#endif /* __cplusplus */
#endif
