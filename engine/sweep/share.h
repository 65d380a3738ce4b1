/*
 * share.h - what the runs of a sweep have in common, so that runs at once do not make the same
 * result twice: a run that needs one which another is making waits until that is in the store.
 */
#ifndef HEPAFLOW_SWEEP_SHARE_H
#define HEPAFLOW_SWEEP_SHARE_H

#include "engine.h"
#include "sweep/sweep.h"

struct share;

enum hf_status share_new(const struct sweep *sw, struct share **ret, struct hf_error *e);
void share_free(struct share *s);
/* Takes down the results of an arm's plan, each with the job that makes it. */
enum hf_status share_add(struct share *s, int arm, struct hf_engine *engine,
                         const struct hf_plan *plan, struct hf_error *e);

/* Whether the run needs a result that one of those that are at work has yet to make. */
bool share_must_wait(const struct share *s, const struct sweep_run *run);
void share_begins(struct share *s, const struct sweep_run *run);
/* A job of the run is done, and its results are in the store. */
void share_made(struct share *s, const struct sweep_run *run, const char *job);
/* What the run has not made, nobody makes any more. */
void share_ends(struct share *s, const struct sweep_run *run);

#endif
