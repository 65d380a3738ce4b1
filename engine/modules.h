/*
 * modules.h - the plugin host: which modules there are, and what they bring. A module is opened
 * when something is asked for that it may have: the one of that name first, then the others by
 * name. A companion, `<module>.<device>`, is opened only for an op of a device of that name.
 *
 * Threads: any; one lock guards the list.
 */
#ifndef HEPAFLOW_MODULES_H
#define HEPAFLOW_MODULES_H

#include "engine.h"

/* Opens every module that is not open yet, but for companions, which wait for their device. */
void engine_open_all(const struct hf_engine *en);
/* Opens the companion of that name, if there is one. */
void engine_open_companion(const struct hf_engine *en, const char *name);
/* The i-th stage, network or device of all modules, by module; NULL past the last. */
const char *engine_stage_name(const struct hf_engine *en, int i);
const char *engine_network_name(const struct hf_engine *en, int i);
const char *engine_device_name(const struct hf_engine *en, int i);
/* The i-th device that `auto` tries: by priority, the highest first; NULL past the last. */
const struct hf_device_class *engine_device_ranked(const struct hf_engine *en, int i);
/* The i-th refused module that should bring a device, as its companions show; NULL past the last.
 */
const char *engine_lost_device(const struct hf_engine *en, int i, const char **ret_why);
/* The name of the devices of that kind, or NULL where no module brings them. */
const char *engine_kind_name(const struct hf_engine *en, enum hf_device_kind kind);
/* A device of the class, whose table of methods is whole. */
enum hf_status engine_device_open(const struct hf_device_class *cls,
                                  const struct hf_device_options *options, struct hf_device **ret,
                                  struct hf_error *e);
/* The first of the class's ops that devices of this kind of ops lack, or NULL. */
const char *engine_missing_op(const struct hf_engine *en, const struct hf_stage_class *cls,
                              enum hf_device_kind op_kind);
/* The module that brings a network, a device, or the op for devices that run ops of `kind`; NULL:
 * none does. */
/* Whether its file is still the one that it was opened from. */
bool module_is_loaded_one(const struct module *m);
const struct module *engine_network_module(const struct hf_engine *en, const char *name);
const struct module *engine_device_module(const struct hf_engine *en, const char *name);
const struct module *engine_op_module(const struct hf_engine *en, const char *name,
                                      enum hf_device_kind kind);
/* One line about the refused module of that name, or NULL. */
const char *engine_refusal(const struct hf_engine *en, const char *name);
/* One line about the refused companion that should bring the op for the device, or NULL. */
const char *engine_op_refusal(const struct hf_engine *en, const char *op, const char *device);

#endif
