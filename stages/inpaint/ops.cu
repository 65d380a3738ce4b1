/**
 * ops.cu - the ops of inpaint on CUDA.
 */
#include <hepaflow/cuda.h>

#include "../infer/infer_cuda.h"
#include "ops.h"

static __global__ void blank(const float *image, const uint8_t *region, int64_t n, float value,
                             float *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = blank_voxel(image[i], region[i], value);
    }
}

static enum hf_status launch_blank(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    float value = ((const struct blank_params *)call->params)->blank;
    const float *image = HF_DATA(const float, call->in[0]);
    const uint8_t *region = HF_DATA(const uint8_t, call->in[1]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(blank, hf_cuda_grid(n), HF_CUDA_THREADS, stream, image, region, n, value, out);
    return hf_cuda_launched("inpaint.blank", e);
}

static __global__ void merge(const float *image, const uint8_t *region, const float *filling,
                             int64_t n, float *inpainted, float *difference) {
    HF_CUDA_EACH(i, n) {
        float merged = merge_voxel(image[i], region[i], filling[i]);
        inpainted[i] = merged;
        difference[i] = image[i] - merged;
    }
}

static enum hf_status launch_merge(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    const float *image = HF_DATA(const float, call->in[0]);
    const uint8_t *region = HF_DATA(const uint8_t, call->in[1]);
    const float *filling = HF_DATA(const float, call->in[2]);
    float *inpainted = HF_DATA(float, call->out[0]), *difference = HF_DATA(float, call->out[1]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(merge, hf_cuda_grid(n), HF_CUDA_THREADS, stream, image, region, filling, n,
                   inpainted, difference);
    return hf_cuda_launched("inpaint.merge", e);
}

static __global__ void turn(const uint8_t *parts, const uint8_t *region, int64_t n, int32_t which,
                            uint8_t *out) {
    HF_CUDA_EACH(i, n) {
        out[i] = turn_voxel(parts[i], region[i], which);
    }
}

static enum hf_status launch_turn(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    int32_t which = ((const struct turn_params *)call->params)->turn;
    const uint8_t *parts = HF_DATA(const uint8_t, call->in[0]);
    const uint8_t *region = HF_DATA(const uint8_t, call->in[1]);
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(turn, hf_cuda_grid(n), HF_CUDA_THREADS, stream, parts, region, n, which, out);
    return hf_cuda_launched("inpaint.turn", e);
}

static __global__ void everywhere(uint8_t *out, int64_t n) {
    HF_CUDA_EACH(i, n) {
        out[i] = 1;
    }
}

static enum hf_status launch_everywhere(const struct hf_op_call *call, void *, void *stream,
                                        struct hf_error *e) {
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(everywhere, hf_cuda_grid(n), HF_CUDA_THREADS, stream, out, n);
    return hf_cuda_launched("inpaint.everywhere", e);
}

HF_CUDA_MODULE("inpaint.cuda", {"inpaint.blank", HF_KIND_CUDA, launch_blank, NULL},
               {"inpaint.merge", HF_KIND_CUDA, launch_merge, NULL},
               {"inpaint.turn", HF_KIND_CUDA, launch_turn, NULL},
               {"inpaint.everywhere", HF_KIND_CUDA, launch_everywhere, NULL},
               INFER_CUDA_OPS("inpaint"))
