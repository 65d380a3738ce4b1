/* lineage.h - walks over what a stage's model learns from. */
#ifndef HEPAFLOW_GRAPH_LINEAGE_H
#define HEPAFLOW_GRAPH_LINEAGE_H

#include "engine.h"

/*
 * Visits everything that took part in the inputs, target and weight that the model of `stage` is
 * trained on, and in those of the models that had a part in them. `how`: directly, or only
 * as an image-level annotation; a node may come once for each. False: no memory.
 */
bool lineage_walk(const struct hf_plan *plan, int stage,
                  void (*visit)(void *arg, const struct lineage *l, enum plan_reach how),
                  void *arg);

#endif
