/**
 * ops.h - the ops of couinaud_mask, by the kind of device that runs them; elem.h has their
 * operands.
 */
#ifndef HF_COUINAUD_MASK_OPS_H
#define HF_COUINAUD_MASK_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op couinaud_mask_mark_cpu;
extern const struct hf_op couinaud_mask_grow_cpu;
extern const struct hf_op couinaud_mask_count_cpu;
extern const struct hf_op couinaud_mask_map_cpu;

#endif
