/*
 * memory.h - how much memory the jobs of a plan take at most: what is known of each stage, from
 * headers or from a scan, and the bound that follows from how the executor hands tasks out.
 *
 * All bytes are what devices hand out: tensors, scratch of ops, compiled networks. They are counted
 * on two sides, that of the host and that of the run's device; where that is the host there is one.
 */
#ifndef HEPAFLOW_RUN_MEMORY_H
#define HEPAFLOW_RUN_MEMORY_H

#include <stdio.h>

#include "engine.h"

enum side {
    SIDE_HOST,
    SIDE_DEVICE,
    SIDES
};

/* All of a sample, or what is not held. */
enum share {
    SHARE_ALL,
    SHARE_OWN,
    SHARES
};

/* A sample of which only the shapes are there: the largest of each field. */
struct extent {
    struct hf_sample sample;
    struct hf_tensor tensor[HF_MAX_FIELDS];
};

/* Bytes by what they are counted for. */
struct bytes {
    int64_t of[SHARES][SIDES];
};

/* What is known of a stage, or of a chain by the stage at its end. */
struct node;

struct use {
    bool known;
    char unknown[160];          /* why not */
    int64_t items;              /* SOURCE; -1: not known */
    int64_t samples;            /* that leave it in a pass; -1: not known */
    int64_t slices;             /* of these */
    struct bytes ticket;        /* that come of one task, at most */
    struct bytes work;          /* that one task has at most, with its input and what comes of it */
    int64_t least, most;        /* of a task, both sides together */
    int64_t held[SIDES];        /* that an instance keeps */
    const struct node *counted; /* whose first pass `samples` is of, */
    int counted_job;            /* and its job: nodes of jobs to come may lie at its address */
    struct extent extent;
};

struct job_memory {
    bool known;
    char unknown[224];
    int64_t samples[SIDES];  /* between stages, and at the sinks */
    int64_t work[SIDES];     /* what tasks have in hand */
    int64_t networks[SIDES]; /* of maps */
    int64_t sinks[SIDES];
    int64_t hold[SIDES];
};

struct memory {
    int workers;
    bool scanned, device; /* device: the run's is not the host's */
    int stages, jobs;
    struct use *stage, *chain;
    struct job_memory *job;
};

/* What `plan` tells of it (graph/print_memory.c). */
void memory_print(FILE *out, const struct hf_plan *plan);

int64_t job_memory_total(const struct job_memory *j, enum side side);

enum hf_status memory_new(const struct hf_plan *plan, int workers, struct memory **ret,
                          struct hf_error *e);
void memory_free(struct memory *m);

struct run;

/* Adds a field to an extent, or makes it as large as this one. */
void extent_take(struct extent *x, const char *name, enum hf_place place, enum hf_dtype dtype,
                 int32_t ndim, const int64_t *shape);
/* What the classes say of the stages whose memory no scan has measured: those with a model, and
 * sinks. Without a scan all others too, from the headers of what sources read. */
enum hf_status memory_ask(struct run *run, struct memory *m, struct hf_error *e);
/* The bounds of all jobs, for the run's workers. `held`: bytes of held samples when a job was done,
 * as far as a scan has seen, and whether all that could be held fitted in; NULL: no scan. */
enum hf_status memory_bound(struct run *run, struct memory *m, const int64_t *held, bool fitted,
                            struct hf_error *e);

/* ---- scan.c: a pass over the streams, by one worker, without sinks and models ---- */

struct scan;
struct sink;
struct instance;
struct samples;

/* Around a task of the worker, what it emitted still there. */
struct scan_mark {
    size_t before[SIDES];
    struct bytes input;
};
void scan_begin(struct run *run, const struct hf_sample *input, struct scan_mark *ret);
void scan_end(struct run *run, const struct node *n, const struct scan_mark *mark);
/* What left a stage of the node, in the hold already where it is kept there. */
void scan_note(const struct node *n, int link, const struct samples *out);
/* In place of a stage that takes a model: what it would emit, empty. */
enum hf_status scan_pretend(struct instance *in, const struct hf_sample *s, struct hf_error *e);
/* In place of a sink's `run`: one pass. */
enum hf_status scan_drain(struct sink *k, struct hf_error *e);
/* A job is done, before the hold lets go of what only it came for. */
void scan_job_done(struct run *run, int job);

/* Does what hf_run does up to the jobs, and `scan` in place of them. */
enum hf_status run_plan(struct hf_engine *engine, struct hf_plan *plan,
                        const struct hf_run_options *options, struct scan *scan,
                        struct hf_error *e);
/* All jobs have been scanned; the devices are still open. */
enum hf_status scan_finish(struct run *run, struct hf_error *e);

#endif
