/**
 * cuda.h - what a .cu file of a plugin includes: launching kernels, walking over elements, sums of
 * a block, and the descriptor of a module of CUDA ops.
 *
 * A stage's CUDA ops stand in a module of their own, named `<stage>.cuda`, which the engine opens
 * only where a CUDA device runs. Arithmetic on one element is shared with the CPU: small inline
 * functions marked HF_DEVICE. Compile with `--fmad=false` where the bits should be the CPU's.
 *
 *     static __global__ void invert(const float *in, float *out, int64_t n) {
 *         HF_CUDA_EACH(i, n) out[i] = 1.0f - in[i];
 *     }
 *     static enum hf_status launch(const struct hf_op_call *c, void *scratch, void *stream,
 *                                  struct hf_error *e) {
 *         int64_t n = hf_tensor_count(c->in[0]);
 *         HF_CUDA_LAUNCH(invert, hf_cuda_grid(n), HF_CUDA_THREADS, stream,
 *                        HF_DATA(const float, c->in[0]), HF_DATA(float, c->out[0]), n);
 *         return hf_cuda_launched("invert", e);
 *     }
 *     HF_CUDA_MODULE("invert.cuda", {"invert.voxels", HF_KIND_CUDA, launch, NULL})
 *
 * A launch function enqueues on `stream` and returns: it neither waits, nor copies to or from the
 * host, nor allocates. Kernel arguments are copied by value, so `params` may be handed on as they
 * are (at most 4 KiB). Sums run in an order that depends on the sizes alone: no atomics on floats.
 */
#ifndef HEPAFLOW_CUDA_H
#define HEPAFLOW_CUDA_H

#include <cuda_runtime.h>

#ifndef HF_DEVICE
#define HF_DEVICE __host__ __device__
#endif

#include <hepaflow/plugin.h>

/** Threads of a block, where a kernel has no reason for another number. */
#define HF_CUDA_THREADS 256

#ifndef HF_CUDA_LAUNCH
/** Enqueues `kernel` with blocks `grid` and threads `block` (numbers or dim3) on a stream. */
#define HF_CUDA_LAUNCH(kernel, grid, block, stream, ...)                                           \
    kernel<<<(grid), (block), 0, (cudaStream_t)(stream)>>>(__VA_ARGS__)
#endif

/** In a kernel: walks over 0..n-1 with the whole one-dimensional grid. */
#define HF_CUDA_EACH(i, n)                                                                         \
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x,                               \
                 i##_step_ = (int64_t)gridDim.x * blockDim.x;                                      \
         i < (n); i += i##_step_)

/** Blocks for HF_CUDA_EACH over n elements: enough for any GPU, never too many for the grid. */
static inline unsigned hf_cuda_grid(int64_t n) {
    int64_t blocks = (n + HF_CUDA_THREADS - 1) / HF_CUDA_THREADS;
    return (unsigned)(blocks < 1 ? 1 : blocks > 16384 ? 16384 : blocks);
}

/** The outcome of the launches so far, as a status. `op` names them in the message. */
static inline enum hf_status hf_cuda_launched(const char *op, struct hf_error *e) {
    cudaError_t c = cudaGetLastError();
    return c == cudaSuccess ? HF_OK
                            : hf_fail(e, HF_IO, "op '%s': the kernel was not launched: %s", op,
                                      cudaGetErrorString(c));
}

/**
 * The sum over the threads of a block, in every thread; all of them must call it. A tree of fixed
 * shape: the same values give the same bits. THREADS is the size of the block, a power of two.
 */
template <int THREADS, typename T> static inline __device__ T hf_cuda_block_sum(T value) {
    __shared__ T part[THREADS];
    int t = (int)(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
    __syncthreads(); /* `part` may still be read from the call before */
    part[t] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (t < half)
            part[t] += part[t + half];
        __syncthreads();
    }
    return part[0];
}

/** The descriptor of a module that brings CUDA ops: a name, then each op in braces. */
#define HF_CUDA_MODULE(module_name, ...)                                                           \
    static const struct hf_op hf_cuda_op_[] = {__VA_ARGS__, {NULL, HF_KIND_CUDA, NULL, NULL}};     \
    template <int N> struct hf_cuda_list_ {                                                        \
        const struct hf_op *op[N];                                                                 \
        constexpr hf_cuda_list_() : op() {                                                         \
            for (int i = 0; i + 1 < N; i++)                                                        \
                op[i] = &hf_cuda_op_[i];                                                           \
        }                                                                                          \
    };                                                                                             \
    static constexpr hf_cuda_list_<(int)(sizeof hf_cuda_op_ / sizeof hf_cuda_op_[0])>              \
        hf_cuda_ops_;                                                                              \
    extern "C" HF_EXPORT const struct hf_plugin hf_plugin = {                                      \
        HF_ABI_VERSION, sizeof(struct hf_plugin), module_name, "1", NULL,                          \
        NULL,           hf_cuda_ops_.op,          NULL};

#endif
