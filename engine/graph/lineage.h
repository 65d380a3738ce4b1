/* lineage.h - walks over what a stage's model learns from. */
#ifndef HEPAFLOW_GRAPH_LINEAGE_H
#define HEPAFLOW_GRAPH_LINEAGE_H

#include "engine.h"

/*
 * Visits everything that took part in what the training of the model of `stage` reads (inputs,
 * target, weight, `slices`), and in that of the models that had a part in it. `how`: directly, or
 * only as an image-level annotation; a node may come once for each. False: no memory.
 */
bool lineage_walk(const struct hf_plan *plan, int stage,
                  void (*visit)(void *arg, const struct lineage *l, enum plan_reach how),
                  void *arg);

#endif
