/*
 * ops.cu - the ops of `train` on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

#include "../geometry/cuda_rows.h"
#include "elem.h"

/* ---- take ---- */

/* The fields that a patch is taken from; by value in a kernel's arguments. */
struct fields {
    const void *data[HF_OP_MAX_TENSORS];
    int32_t first[HF_OP_MAX_TENSORS]; /* channel of the patch, after p.channel */
    uint32_t f32;                     /* a bit each: f32, else u8 */
    int32_t count, channels;
    int64_t size[3], patch[3];
};

/* A row of the grid is a slice of a channel of the patch. */
static __global__ void take(const __grid_constant__ struct fields in, struct train_take_params p,
                            float *out) {
    int64_t plane = in.patch[1] * in.patch[2], voxels = in.size[1] * in.size[2];
    int32_t width = (int32_t)in.patch[2];
    CUDA_ROWS_EACH(row, in.channels * in.patch[0]) {
        int32_t channel = (int32_t)(row / in.patch[0]), k = in.count - 1;
        while (channel < in.first[k])
            k--;
        int32_t classes = k == p.labels ? p.classes : 0, c = channel - in.first[k];
        int64_t z = p.start[0] + row % in.patch[0];
        int64_t from = ((classes ? 0 : c) * in.size[0] + train_clamp(z, in.size[0])) * voxels;
        const float *f32 = in.f32 >> k & 1 ? (const float *)in.data[k] + from : NULL;
        const uint8_t *u8 = (const uint8_t *)in.data[k] + from;
        float *to = out + p.channel * in.patch[0] * plane + row * plane;
        HF_CUDA_EACH(i, plane) {
            int32_t line = (int32_t)i / width;
            int64_t y = p.start[1] + line, x = p.start[2] + ((int32_t)i - line * width);
            int64_t at = train_clamp(y, in.size[1]) * in.size[2] + train_clamp(x, in.size[2]);
            float value = train_target(f32 ? f32[at] : (float)u8[at], classes, c);
            int lost =
                k == p.weight && !(train_inside(z, in.size[0]) && train_inside(y, in.size[1]) &&
                                   train_inside(x, in.size[2]));
            to[i] = lost ? 0.0f : value;
        }
    }
}

static enum hf_status launch_take(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    struct train_take_params p = *(const struct train_take_params *)call->params;
    float *out = HF_DATA(float, call->out[0]);
    struct fields in = {};
    for (int32_t k = 0; k < call->inputs; k++) {
        const struct hf_tensor *t = call->in[k];
        in.data[k] = t->dl.data;
        in.first[k] = in.channels;
        in.f32 |= (uint32_t)(t->dtype == HF_F32) << k;
        in.channels += k == p.labels && p.classes ? p.classes : (int32_t)t->shape[0];
    }
    in.count = call->inputs;
    for (int axis = 0; axis < 3; axis++) {
        in.size[axis] = call->in[0]->shape[1 + axis];
        in.patch[axis] = call->out[0]->shape[1 + axis];
    }
    dim3 grid = cuda_rows_grid(in.channels * in.patch[0], in.patch[1] * in.patch[2]);
    HF_CUDA_LAUNCH(take, grid, HF_CUDA_THREADS, stream, in, p, out);
    return hf_cuda_launched("train.take", e);
}

/* ---- put ---- */

struct rows {
    const float *data[HF_OP_MAX_TENSORS];
};

static __global__ void put(const __grid_constant__ struct rows in, int32_t count, int64_t n,
                           float *out) {
    CUDA_ROWS_EACH(k, count) {
        HF_CUDA_EACH(i, n) {
            out[k * n + i] = in.data[k][i];
        }
    }
}

static enum hf_status launch_put(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    const struct train_put_params *p = (const struct train_put_params *)call->params;
    const int64_t *shape = call->out[0]->shape;
    int64_t voxels = shape[2] * shape[3] * shape[4], n = shape[1] * voxels;
    float *out = HF_DATA(float, call->out[0]) + p->n * n;
    int32_t count = call->inputs;
    struct rows in = {};
    for (int32_t k = 0; k < count; k++)
        in.data[k] = HF_DATA(const float, call->in[k]) + p->first * voxels;
    HF_CUDA_LAUNCH(put, cuda_rows_grid(count, n), HF_CUDA_THREADS, stream, in, count, n, out);
    return hf_cuda_launched("train.put", e);
}

/* ---- profile ---- */

struct positive {
    template <typename T> static __device__ int of(T value) {
        return train_positive((float)value);
    }
    static __device__ float result(int32_t count) {
        return (float)count;
    }
};

static enum hf_status launch_profile(const struct hf_op_call *call, void *, void *stream,
                                     struct hf_error *e) {
    const struct hf_tensor *in = call->in[0];
    float *out = HF_DATA(float, call->out[0]);
    int64_t slices = in->shape[1], voxels = in->shape[2] * in->shape[3];
    if (in->dtype == HF_U8) {
        const uint8_t *from = HF_DATA(const uint8_t, in);
        HF_CUDA_LAUNCH(cuda_count_rows<positive>, cuda_count_grid(slices), CUDA_COUNT_THREADS,
                       stream, from, slices, voxels, out);
    } else {
        const float *from = HF_DATA(const float, in);
        HF_CUDA_LAUNCH(cuda_count_rows<positive>, cuda_count_grid(slices), CUDA_COUNT_THREADS,
                       stream, from, slices, voxels, out);
    }
    return hf_cuda_launched("train.profile", e);
}

/* ---- pick ---- */

/* A block for each draw: counts chunk by chunk up to the one that holds the voxel. */
template <typename T>
static __global__ void pick(const T *in, int64_t voxels, struct train_pick_params p, int32_t count,
                            int32_t *out) {
    for (int32_t n = (int32_t)blockIdx.x; n < count; n += (int32_t)gridDim.x) {
        const T *slice = in + p.draw[n].d * voxels;
        int32_t left = p.draw[n].rank;
        int64_t chunk = 0;
        for (; chunk < voxels; chunk += CUDA_COUNT_THREADS) {
            int64_t i = chunk + threadIdx.x;
            int32_t mine = i < voxels && train_positive((float)slice[i]) ? 1 : 0;
            int32_t all = hf_cuda_block_sum<CUDA_COUNT_THREADS>(mine);
            if (left < all)
                break;
            left -= all;
        }
        if (threadIdx.x != 0)
            continue;
        while (chunk < voxels && (!train_positive((float)slice[chunk]) || left-- > 0))
            chunk++;
        out[n] = chunk < voxels ? (int32_t)chunk : -1;
    }
}

static enum hf_status launch_pick(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    const struct train_pick_params p = *(const struct train_pick_params *)call->params;
    const struct hf_tensor *in = call->in[0];
    int32_t *out = HF_DATA(int32_t, call->out[0]), count = (int32_t)call->out[0]->shape[0];
    int64_t voxels = in->shape[2] * in->shape[3];
    if (in->dtype == HF_U8)
        HF_CUDA_LAUNCH(pick, (unsigned)count, CUDA_COUNT_THREADS, stream,
                       HF_DATA(const uint8_t, in), voxels, p, count, out);
    else
        HF_CUDA_LAUNCH(pick, (unsigned)count, CUDA_COUNT_THREADS, stream, HF_DATA(const float, in),
                       voxels, p, count, out);
    return hf_cuda_launched("train.pick", e);
}

HF_CUDA_MODULE("train.cuda", {"train.take", HF_KIND_CUDA, launch_take, NULL},
               {"train.put", HF_KIND_CUDA, launch_put, NULL},
               {"train.profile", HF_KIND_CUDA, launch_profile, NULL},
               {"train.pick", HF_KIND_CUDA, launch_pick, NULL})
