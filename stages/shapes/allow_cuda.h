/**
 * allow_cuda.h - "<stage>.allow" on CUDA.
 */
#ifndef HF_STAGES_ALLOW_CUDA_H
#define HF_STAGES_ALLOW_CUDA_H

#include <hepaflow/cuda.h>

#include "allow.h"

static __global__ void allow_slices(const uint8_t *drawn, const uint8_t *allowed, int64_t n,
                                    uint8_t *out) {
    HF_CUDA_EACH(d, n) {
        out[d] = allow_slice(drawn[d], allowed[d]);
    }
}

static inline enum hf_status allow_cuda(const struct hf_op_call *call, void *, void *stream,
                                        struct hf_error *e) {
    const uint8_t *drawn = HF_DATA(const uint8_t, call->in[0]);
    const uint8_t *allowed = HF_DATA(const uint8_t, call->in[1]);
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(allow_slices, hf_cuda_grid(n), HF_CUDA_THREADS, stream, drawn, allowed, n, out);
    return hf_cuda_launched("allow", e);
}

/** A stage's op, within HF_CUDA_MODULE. */
#define ALLOW_CUDA_OP(stage)                                                                       \
    { stage ".allow", HF_KIND_CUDA, allow_cuda, NULL }

#endif
