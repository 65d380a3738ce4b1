/**
 * ops.cu - the ops of prepare on CUDA.
 */
#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "ops.h"

static __global__ void window(const float *in, int64_t n, struct prepare_window_params p,
                              float *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = prepare_window(in[i], p.low, p.high);
    }
}

static enum hf_status launch_window(const struct hf_op_call *call, void *, void *stream,
                                    struct hf_error *e) {
    struct prepare_window_params p = *(const struct prepare_window_params *)call->params;
    const float *in = HF_DATA(const float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(window, hf_cuda_grid(n), HF_CUDA_THREADS, stream, in, n, p, out);
    return hf_cuda_launched("prepare.window", e);
}

template <typename T>
static __global__ void inside(const T *in, const uint8_t *mask, int64_t n, T *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = mask[i] ? in[i] : T(0);
    }
}

static enum hf_status launch_inside(const struct hf_op_call *call, void *, void *stream,
                                    struct hf_error *e) {
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[1]);
    int64_t n = hf_tensor_count(call->out[0]);
    if (call->out[0]->dtype == HF_F32) {
        const float *in = HF_DATA(const float, call->in[0]);
        float *out = HF_DATA(float, call->out[0]);
        HF_CUDA_LAUNCH(inside<float>, hf_cuda_grid(n), HF_CUDA_THREADS, stream, in, mask, n, out);
    } else {
        const uint8_t *in = HF_DATA(const uint8_t, call->in[0]);
        uint8_t *out = HF_DATA(uint8_t, call->out[0]);
        HF_CUDA_LAUNCH(inside<uint8_t>, hf_cuda_grid(n), HF_CUDA_THREADS, stream, in, mask, n, out);
    }
    return hf_cuda_launched("prepare.inside", e);
}

/* ---- box ---- */

#define BOX_BLOCKS 1024

/* While it grows: the least index along D, H, W, then the largest, in the op's output. */
static __global__ void box_begin(int32_t *box) {
    if (threadIdx.x < 6)
        box[threadIdx.x] = threadIdx.x < 3 ? INT32_MAX : -1;
}

/* Blocks take the rows along W by turns. The least and the largest do not depend on the order. */
static __global__ void box_grow(const uint8_t *mask, int64_t rows, int32_t height, int32_t width,
                                int32_t *box) {
    __shared__ int32_t part[6];
    if (threadIdx.x < 6)
        part[threadIdx.x] = threadIdx.x < 3 ? INT32_MAX : -1;
    __syncthreads();
    int32_t low[3] = {INT32_MAX, INT32_MAX, INT32_MAX}, high[3] = {-1, -1, -1};
    for (int64_t r = blockIdx.x; r < rows; r += gridDim.x)
        for (int32_t w = (int32_t)threadIdx.x; w < width; w += (int32_t)blockDim.x)
            if (mask[r * width + w]) {
                int32_t at[3] = {(int32_t)(r / height), (int32_t)(r % height), w};
                for (int a = 0; a < 3; a++) {
                    low[a] = at[a] < low[a] ? at[a] : low[a];
                    high[a] = at[a] > high[a] ? at[a] : high[a];
                }
            }
    for (int a = 0; a < 3 && high[0] >= 0; a++) {
        atomicMin(&part[a], low[a]);
        atomicMax(&part[3 + a], high[a]);
    }
    __syncthreads();
    if (threadIdx.x < 3)
        atomicMin(&box[threadIdx.x], part[threadIdx.x]);
    else if (threadIdx.x < 6)
        atomicMax(&box[threadIdx.x], part[threadIdx.x]);
}

static __global__ void box_end(int32_t *box) {
    if (threadIdx.x < 3 && box[3] < 0)
        box[threadIdx.x] = 0;
}

static enum hf_status launch_box(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[0]);
    const int64_t *shape = call->in[0]->shape;
    int32_t height = (int32_t)shape[2], width = (int32_t)shape[3];
    int32_t *box = HF_DATA(int32_t, call->out[0]);
    int64_t rows = shape[1] * shape[2];
    unsigned blocks = (unsigned)(rows < 1 ? 1 : rows > BOX_BLOCKS ? BOX_BLOCKS : rows);
    HF_CUDA_LAUNCH(box_begin, 1, 32, stream, box);
    HF_CUDA_LAUNCH(box_grow, blocks, HF_CUDA_THREADS, stream, mask, rows, height, width, box);
    HF_CUDA_LAUNCH(box_end, 1, 32, stream, box);
    return hf_cuda_launched("prepare.box", e);
}

/* ---- histogram ---- */

static __global__ void histogram_clear(int32_t *bins) {
    HF_CUDA_EACH(i, PREPARE_BINS) {
        bins[i] = 0;
    }
}

static __global__ void histogram_add(const float *image, const uint8_t *mask, int64_t n,
                                     int32_t *bins) {
    HF_CUDA_EACH(i, n) {
        if (mask[i])
            atomicAdd(&bins[prepare_bin(image[i])], 1);
    }
}

static enum hf_status launch_histogram(const struct hf_op_call *call, void *, void *stream,
                                       struct hf_error *e) {
    const float *image = HF_DATA(const float, call->in[0]);
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[1]);
    int32_t *bins = HF_DATA(int32_t, call->out[0]);
    int64_t n = hf_tensor_count(call->in[1]);
    HF_CUDA_LAUNCH(histogram_clear, hf_cuda_grid(PREPARE_BINS), HF_CUDA_THREADS, stream, bins);
    HF_CUDA_LAUNCH(histogram_add, hf_cuda_grid(n), HF_CUDA_THREADS, stream, image, mask, n, bins);
    return hf_cuda_launched("prepare.histogram", e);
}

HF_CUDA_MODULE("prepare.cuda", {"prepare.window", HF_KIND_CUDA, launch_window, NULL},
               {"prepare.inside", HF_KIND_CUDA, launch_inside, NULL},
               {"prepare.box", HF_KIND_CUDA, launch_box, NULL},
               {"prepare.histogram", HF_KIND_CUDA, launch_histogram, NULL})
