/**
 * ops.c - the list of the shared ops that this module brings.
 */
#include "ops.h"

const struct hf_op *const cuda_ops[] = {
    &cuda_op_resample, &cuda_op_blur, &cuda_op_components, &cuda_op_distance, NULL,
};
