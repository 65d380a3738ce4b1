/**
 * ops.c - the list of the shared ops that this module brings.
 */
#include "ops.h"

const struct hf_op *const cpu_ops[] = {
    &cpu_op_resample, &cpu_op_blur, &cpu_op_components, &cpu_op_distance, NULL,
};
