/*
 * reuse_of.h - what the files of reuse.h share.
 */
#ifndef HEPAFLOW_RUN_REUSE_OF_H
#define HEPAFLOW_RUN_REUSE_OF_H

#include "exec.h"

enum finding {
    FOUND_NOTHING,
    DAMAGED,      /* and dropped */
    FOUND_RESULT, /* and it is in its place */
    LEFT_OUT
};

struct reuse {
    struct run *run;
    struct store *store;
    struct inputs *inputs;
    struct keys *keys;
    bool keyed;                  /* the keys are there */
    int watched;                 /* source that starts, or -1 */
    int files;                   /* that it has read so far */
    enum hf_status watch_status; /* of their digests */
    struct hf_error watch_error;
    enum finding *found; /* per stage */
    struct entry *entry; /* per stage: of FOUND_RESULT, until it has been told */
    bool *doubted;       /* per stage; under notes_lock */
    struct hf_plan rest; /* the plan without what was found */
};

bool reuse_yields_model(const struct plan_stage *ps);
/* Whether the stage sees only some of its samples in this run. */
bool reuse_is_partial(const struct run *run, int stage);

#endif
