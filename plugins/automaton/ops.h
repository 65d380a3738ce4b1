/**
 * ops.h - the ops of automaton on the CPU; elem.h says what they do.
 */
#ifndef HF_PLUGINS_AUTOMATON_OPS_H
#define HF_PLUGINS_AUTOMATON_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

extern const struct hf_op automaton_grow_cpu;
extern const struct hf_op automaton_noise_cpu;
extern const struct hf_op automaton_paint_cpu;

#endif
