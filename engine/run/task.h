/*
 * task.h - what a worker does at a time: it calls the stages of a node for one ticket, or for what
 * a pass begins and ends with.
 */
#ifndef HEPAFLOW_RUN_TASK_H
#define HEPAFLOW_RUN_TASK_H

#include "exec.h"

enum task_kind {
    TASK_COUNT,
    TASK_ITEM,
    TASK_SAMPLE,
    TASK_END,
    TASK_NONE_LEFT /* every sample of the pass was skipped: says so */
};

struct task {
    enum task_kind kind;
    struct node *node;
    struct replica *replica;
    int64_t ticket;
    uint64_t epoch;
    int input;
    struct edge *from;              /* that `sample` was taken from */
    const struct hf_sample *sample; /* a reference */
    struct samples out;
    int64_t items; /* COUNT */
    int skipped;   /* samples that `on_error` left out */
    enum hf_status status;
    struct hf_error error;
};

/* Does it, without any lock: its status and what came out. */
void task_run(struct task *t);

#endif
