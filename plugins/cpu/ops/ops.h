/**
 * ops.h - the ops that stages share, for the CPU: one op a file; hepaflow/ops.h says what each
 * does.
 */
#ifndef HF_CPU_OPS_H
#define HF_CPU_OPS_H

#include <hepaflow/ops.h>

extern const struct hf_op cpu_op_resample;
extern const struct hf_op cpu_op_blur;
extern const struct hf_op cpu_op_components;
extern const struct hf_op cpu_op_distance;

/** All of them, NULL-terminated: what the module lists. */
extern const struct hf_op *const cpu_ops[];

#endif
