/**
 * ops.h - the op of pair: "pair.difference" sets out[0] to in[0] - in[1], all f32 of one shape.
 */
#ifndef HF_STAGES_PAIR_OPS_H
#define HF_STAGES_PAIR_OPS_H

#include <hepaflow/device.h>

extern const struct hf_op pair_difference_cpu;

#endif
