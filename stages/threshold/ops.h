/**
 * ops.h - the ops of threshold, by the kind of device that runs them.
 */
#ifndef HF_STAGES_THRESHOLD_OPS_H
#define HF_STAGES_THRESHOLD_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op threshold_cut_cpu;
extern const struct hf_op threshold_otsu_cpu;
extern const struct hf_op threshold_keep_cpu;
extern const struct hf_op threshold_best_cpu;

#endif
