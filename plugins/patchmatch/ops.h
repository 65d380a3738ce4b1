/**
 * ops.h - the op of patchmatch on the CPU; elem.h says what it does.
 */
#ifndef HF_PLUGINS_PATCHMATCH_OPS_H
#define HF_PLUGINS_PATCHMATCH_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op patchmatch_fill_cpu;

/** Bytes of scratch for slices of that size: whole lines of 64. */
size_t patchmatch_bytes(int64_t h, int64_t w, int32_t levels);

#endif
