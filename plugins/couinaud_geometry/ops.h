/**
 * ops.h - the ops of couinaud_geometry on the CPU; elem.h has their operands.
 */
#ifndef HF_COUINAUD_GEOMETRY_OPS_H
#define HF_COUINAUD_GEOMETRY_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op couinaud_geometry_cut_cpu;
extern const struct hf_op couinaud_geometry_pick_cpu;
extern const struct hf_op couinaud_geometry_nearer_cpu;

#endif
