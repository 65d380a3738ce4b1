/**
 * ops.h - the ops of laplace on the CPU; elem.h says what they do.
 */
#ifndef HF_PLUGINS_LAPLACE_OPS_H
#define HF_PLUGINS_LAPLACE_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op laplace_count_cpu;
extern const struct hf_op laplace_fill_cpu;

#endif
