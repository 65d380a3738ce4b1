/*
 * ops.cu - the ops of `train` on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

#include "../geometry/cuda_rows.h"
#include "elem.h"

/* ---- take ---- */

/* The fields that a slice is taken from; by value in a kernel's arguments. */
struct fields {
    const void *data[HF_OP_MAX_TENSORS];
    int32_t first[HF_OP_MAX_TENSORS]; /* channel of the slice, after p.channel */
    uint32_t f32;                     /* a bit each: f32, else u8 */
    int32_t count, channels;
};

static __global__ void take(const __grid_constant__ struct fields in, int64_t slices,
                            int64_t voxels, struct train_take_params p, float *out) {
    CUDA_ROWS_EACH(row, in.channels) {
        int32_t k = in.count - 1;
        while (row < in.first[k])
            k--;
        int32_t classes = k == p.labels ? p.classes : 0, c = (int32_t)row - in.first[k];
        int64_t from = ((classes ? 0 : c) * slices + p.d) * voxels;
        const float *f32 = in.f32 >> k & 1 ? (const float *)in.data[k] + from : NULL;
        const uint8_t *u8 = (const uint8_t *)in.data[k] + from;
        float *to = out + (p.channel + row) * voxels;
        HF_CUDA_EACH(i, voxels) {
            to[i] = train_target(f32 ? f32[i] : (float)u8[i], classes, c);
        }
    }
}

static enum hf_status launch_take(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    struct train_take_params p = *(const struct train_take_params *)call->params;
    const int64_t *shape = call->in[0]->shape;
    float *out = HF_DATA(float, call->out[0]);
    int64_t slices = shape[1], voxels = shape[2] * shape[3];
    struct fields in = {};
    for (int32_t k = 0; k < call->inputs; k++) {
        const struct hf_tensor *t = call->in[k];
        in.data[k] = t->dl.data;
        in.first[k] = in.channels;
        in.f32 |= (uint32_t)(t->dtype == HF_F32) << k;
        in.channels += k == p.labels && p.classes ? p.classes : (int32_t)t->shape[0];
    }
    in.count = call->inputs;
    HF_CUDA_LAUNCH(take, cuda_rows_grid(in.channels, voxels), HF_CUDA_THREADS, stream, in, slices,
                   voxels, p, out);
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
    int64_t voxels = shape[3] * shape[4], n = shape[1] * voxels;
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

HF_CUDA_MODULE("train.cuda", {"train.take", HF_KIND_CUDA, launch_take, NULL},
               {"train.put", HF_KIND_CUDA, launch_put, NULL},
               {"train.profile", HF_KIND_CUDA, launch_profile, NULL})
