/* made_of.h - what a run of a plan would be made of, as its record would tell (summary.c). */
#ifndef HEPAFLOW_RUN_MADE_OF_H
#define HEPAFLOW_RUN_MADE_OF_H

#include <hepaflow/graph.h>

struct cJSON;

/* Versions, seed, device, plugins and inputs; `store` NULL: digests are not remembered. */
enum hf_status run_made_of(struct hf_plan *plan, const char *store, struct cJSON **ret,
                           struct hf_error *e);

#endif
