/**
 * ops.h - the ops of prepare, by the kind of device that runs them; elem.h has their operands.
 */
#ifndef HF_PREPARE_OPS_H
#define HF_PREPARE_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op prepare_window_cpu;
extern const struct hf_op prepare_inside_cpu;
extern const struct hf_op prepare_box_cpu;
extern const struct hf_op prepare_histogram_cpu;

#endif
