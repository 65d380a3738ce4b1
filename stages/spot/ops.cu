/**
 * ops.cu - the ops of spot on CUDA.
 */
#include "../infer/infer_cuda.h"

HF_CUDA_MODULE("spot.cuda", INFER_CUDA_OPS("spot"))
