/*
 * kern_set.cu - brings one number to device memory, in the order of a stream.
 */
#include <hepaflow/cuda.h>

#include "kern.h"

static __global__ void set_float(float *to, float value) {
    *to = value;
}

enum hf_status ck_set(float *to, float value, void *stream, struct hf_error *e) {
    HF_CUDA_LAUNCH(set_float, 1, 1, stream, to, value);
    return hf_cuda_launched("network's learning rate", e);
}
