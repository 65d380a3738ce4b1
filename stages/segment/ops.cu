/**
 * ops.cu - the ops of segment on CUDA.
 */
#include "../infer/infer_cuda.h"

HF_CUDA_MODULE("segment.cuda", INFER_CUDA_OPS("segment"))
