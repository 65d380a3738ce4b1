/**
 * ops.h - the ops of tumor_synthesis, by the kind of device that runs them.
 */
#ifndef HF_STAGES_TUMOR_SYNTHESIS_OPS_H
#define HF_STAGES_TUMOR_SYNTHESIS_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op tumor_synthesis_draw_cpu;
extern const struct hf_op tumor_synthesis_ellipsoid_cpu;

#endif
