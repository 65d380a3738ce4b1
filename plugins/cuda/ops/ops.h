/**
 * ops.h - the ops that stages share, for CUDA: one op a file; hepaflow/ops.h says what each does.
 */
#ifndef HF_CUDA_OPS_H
#define HF_CUDA_OPS_H

#include <hepaflow/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const struct hf_op cuda_op_resample;
extern const struct hf_op cuda_op_blur;
extern const struct hf_op cuda_op_components;
extern const struct hf_op cuda_op_distance;

/** All of them, NULL-terminated: what the module lists. */
extern const struct hf_op *const cuda_ops[];

#ifdef __cplusplus
}
#endif

#endif
