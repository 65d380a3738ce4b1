/**
 * ops.cu - the ops of couinaud_geometry on CUDA.
 */
#include <hepaflow/cuda.h>

#include "ops.h"

static __global__ void cut(const uint8_t *liver, int64_t n, int64_t rows, int64_t columns,
                           cut_params p, uint8_t *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = liver[i] ? cut_segment(&p, i % columns, i / columns % rows, i / (rows * columns))
                          : (uint8_t)0;
    }
}

static enum hf_status launch_cut(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    const uint8_t *liver = HF_DATA(const uint8_t, call->in[0]);
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    HF_CUDA_LAUNCH(cut, hf_cuda_grid(n), HF_CUDA_THREADS, stream, liver, n, shape[2], shape[3],
                   *(const struct cut_params *)call->params, out);
    return hf_cuda_launched("couinaud_geometry.cut", e);
}

static __global__ void pick(const uint8_t *label, int64_t n, int32_t segment, uint8_t *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = pick_segment(label[i], segment);
    }
}

static enum hf_status launch_pick(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    const uint8_t *label = HF_DATA(const uint8_t, call->in[0]);
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    int32_t segment = ((const struct segment_params *)call->params)->segment;
    HF_CUDA_LAUNCH(pick, hf_cuda_grid(n), HF_CUDA_THREADS, stream, label, n, segment, out);
    return hf_cuda_launched("couinaud_geometry.pick", e);
}

static __global__ void nearer(const uint8_t *liver, const float *distance, int64_t n,
                              int32_t segment, float *least, uint8_t *couinaud) {
    HF_CUDA_EACH(i, n) {
        nearer_segment(liver[i], distance[i], segment, &least[i], &couinaud[i]);
    }
}

static enum hf_status launch_nearer(const struct hf_op_call *call, void *, void *stream,
                                    struct hf_error *e) {
    const uint8_t *liver = HF_DATA(const uint8_t, call->in[0]);
    const float *distance = HF_DATA(const float, call->in[1]);
    float *least = HF_DATA(float, call->out[0]);
    uint8_t *couinaud = HF_DATA(uint8_t, call->out[1]);
    int64_t n = hf_tensor_count(call->out[1]);
    int32_t segment = ((const struct segment_params *)call->params)->segment;
    HF_CUDA_LAUNCH(nearer, hf_cuda_grid(n), HF_CUDA_THREADS, stream, liver, distance, n, segment,
                   least, couinaud);
    return hf_cuda_launched("couinaud_geometry.nearer", e);
}

HF_CUDA_MODULE("couinaud_geometry.cuda", {"couinaud_geometry.cut", HF_KIND_CUDA, launch_cut, NULL},
               {"couinaud_geometry.pick", HF_KIND_CUDA, launch_pick, NULL},
               {"couinaud_geometry.nearer", HF_KIND_CUDA, launch_nearer, NULL})
