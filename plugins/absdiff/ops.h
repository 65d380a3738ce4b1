/**
 * ops.h - the ops of absdiff on the CPU; elem.h says what they do.
 */
#ifndef HF_PLUGINS_ABSDIFF_OPS_H
#define HF_PLUGINS_ABSDIFF_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op absdiff_difference_cpu;
extern const struct hf_op absdiff_score_cpu;

#endif
