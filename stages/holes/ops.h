/**
 * ops.h - the ops of holes, by the kind of device that runs them.
 */
#ifndef HF_STAGES_HOLES_OPS_H
#define HF_STAGES_HOLES_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op holes_draw_cpu;

#endif
