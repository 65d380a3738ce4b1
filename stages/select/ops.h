/**
 * ops.h - the op of select, by the kind of device that runs it; elem.h has its operands.
 */
#ifndef HF_SELECT_OPS_H
#define HF_SELECT_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op select_count_cpu;

#endif
