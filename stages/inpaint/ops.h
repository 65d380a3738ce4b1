/**
 * ops.h - the ops of inpaint, by the kind of device that runs them.
 *
 * "inpaint.blank": in[0] image f32, in[1] region u8; out[0] f32 with the region blanked.
 * "inpaint.merge": in[0] image f32, in[1] region u8, in[2] filling f32; out[0] inpainted f32,
 * out[1] image - inpainted f32.
 * "inpaint.turn": in[0] turns u8, in[1] region u8; out[0] u8: the part of the region with that
 * turn. "inpaint.everywhere": out[0] u8: 1. All [1,D,H,W].
 */
#ifndef HF_STAGES_INPAINT_OPS_H
#define HF_STAGES_INPAINT_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op inpaint_blank_cpu;
extern const struct hf_op inpaint_merge_cpu;
extern const struct hf_op inpaint_turn_cpu;
extern const struct hf_op inpaint_everywhere_cpu;

#endif
