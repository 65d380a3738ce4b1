/* devices.h - where each stage of a plan runs, and what is copied between host and device. */
#ifndef HEPAFLOW_GRAPH_DEVICES_H
#define HEPAFLOW_GRAPH_DEVICES_H

#include "engine.h"

struct checker;
struct node;

/* Tries a device; on failure the message says why it is not taken. */
typedef enum hf_status (*device_try)(void *arg, const struct hf_device_class *cls,
                                     struct hf_error *e);

/* The class that `auto` comes to: of the highest priority whose attempt succeeds; NULL: none.
 * `reasons` holds why others of a higher one were not taken, or "". */
const struct hf_device_class *plan_device_auto(const struct hf_engine *en, device_try attempt,
                                               void *arg, char *reasons, size_t size);
/* Asks the class alone, and opens nothing. */
enum hf_status plan_device_probe(void *arg, const struct hf_device_class *cls, struct hf_error *e);

/* Settles where the plan's stages run, with that device (NULL: the host's), and the copies. */
void plan_place(struct hf_plan *p, const struct hf_device_class *device);
/* Works out the copies alone, from where the stages run. */
void plan_copies(struct hf_plan *p);

/* What `auto` came to, where that is not plainly the CPU: "device cpu (cuda: no GPU was found)";
 * malloc'd, NULL: nothing to say, or no memory. */
char *plan_device_line(const struct hf_plan *p);

/* Where fields of the stage's input `k` are copied to on that edge; NULL: nothing is. */
const char *plan_copied_to(const struct hf_plan *p, const struct plan_stage *s, int k);
/* The i-th of them; NULL past the last. */
const struct plan_field *plan_copied_field(const struct hf_plan *p, const struct plan_stage *s,
                                           int k, int i);
/* Their bytes in a sample, or (*ret_slice) in each of its slices; -1: not known. */
int64_t plan_copied_bytes(const struct hf_plan *p, const struct plan_stage *s, int k,
                          bool *ret_slice);

/* While a graph is checked: its key `device`, then the placing. */
void devices_check_key(struct checker *c, const struct node *n);
void devices_choose(struct checker *c);

#endif
