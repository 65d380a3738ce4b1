/**
 * ops.h - the op of mix: "mix.fill" sets all of out[0] (u8 or f32) to a value.
 */
#ifndef HF_STAGES_MIX_OPS_H
#define HF_STAGES_MIX_OPS_H

#include <hepaflow/device.h>

struct fill_params {
    float value;
};

extern const struct hf_op mix_fill_cpu;

#endif
