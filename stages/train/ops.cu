/*
 * ops.cu - the ops of `train` on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

#include "../geometry/cuda_rows.h"
#include "elem.h"

/* ---- take ---- */

template <typename T>
static __global__ void take(const T *in, int64_t slices, int64_t voxels, int32_t channels,
                            struct train_take_params p, float *out) {
    CUDA_ROWS_EACH(c, channels) {
        const T *from = in + ((p.classes ? 0 : c) * slices + p.d) * voxels;
        float *to = out + (p.channel + c) * voxels;
        HF_CUDA_EACH(i, voxels) {
            to[i] = train_target((float)from[i], p.classes, (int32_t)c);
        }
    }
}

static enum hf_status launch_take(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    struct train_take_params p = *(const struct train_take_params *)call->params;
    const struct hf_tensor *in = call->in[0];
    float *out = HF_DATA(float, call->out[0]);
    int64_t slices = in->shape[1], voxels = in->shape[2] * in->shape[3];
    int32_t channels = p.classes ? p.classes : (int32_t)in->shape[0];
    dim3 grid = cuda_rows_grid(channels, voxels);
    if (in->dtype == HF_U8) {
        const uint8_t *from = HF_DATA(const uint8_t, in);
        HF_CUDA_LAUNCH(take<uint8_t>, grid, HF_CUDA_THREADS, stream, from, slices, voxels, channels,
                       p, out);
    } else {
        const float *from = HF_DATA(const float, in);
        HF_CUDA_LAUNCH(take<float>, grid, HF_CUDA_THREADS, stream, from, slices, voxels, channels,
                       p, out);
    }
    return hf_cuda_launched("train.take", e);
}

/* ---- put ---- */

static __global__ void put(const float *in, int64_t n, float *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = in[i];
    }
}

static enum hf_status launch_put(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    const struct train_put_params *p = (const struct train_put_params *)call->params;
    const int64_t *shape = call->out[0]->shape;
    int64_t voxels = shape[3] * shape[4], n = shape[1] * voxels;
    const float *in = HF_DATA(const float, call->in[0]) + p->first * voxels;
    float *out = HF_DATA(float, call->out[0]) + p->n * n;
    HF_CUDA_LAUNCH(put, hf_cuda_grid(n), HF_CUDA_THREADS, stream, in, n, out);
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
