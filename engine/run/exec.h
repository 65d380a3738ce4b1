/*
 * exec.h - the executor's structures: a run, its jobs, and the nodes and edges of each.
 *
 * A job is a tree that is pulled from its sinks. A node runs a chain of stages, usually one, on up
 * to `replicas` instances; the chain of a held stage reaches up to the source and runs in one
 * piece, so that a sample that is held skips all of it. Nodes meet at edges, which are
 * bounded. Sinks of one job share what they have in common, and each gets every sample. The inputs
 * of a mix share nothing: each pulls its own passes from its own sources. So there is no
 * cycle of bounded edges in which a full one could wait for an empty one.
 */
#ifndef HEPAFLOW_RUN_EXEC_H
#define HEPAFLOW_RUN_EXEC_H

#include "engine.h"
#include "readahead.h"
#include "results.h"
#include "reuse.h"
#include "run.h"

#define EDGE_BYTES ((int64_t)256 << 20)

struct uv_async_s;
struct hold;
struct cache;

/* Samples on their way from a node to the next one or to a sink. */
struct edge {
    struct node *from;
    const struct hf_sample **item; /* ring */
    int first, count, capacity;
    int64_t bytes;
    int at_work; /* taken from it by tasks that are not done: they keep their places */
    bool ended;  /* the epoch's last sample is in it, or has been taken */
    bool closed; /* nobody takes any more: what arrives is dropped */
    struct node *to;
    struct sink *sink; /* if `to` is NULL */
};

/* A place in a node's reorder window: what one ticket emitted. */
struct slot {
    bool done;
    struct samples out;
    int64_t bytes;
};

struct replica {
    bool busy;
    struct instance *link; /* one for each stage of the node's chain */
};

/* How far a mix has come in this epoch. */
struct mix {
    double credit[PLAN_MAX_INPUTS];
    bool ended[PLAN_MAX_INPUTS];    /* has ended at least once */
    int64_t taken[PLAN_MAX_INPUTS]; /* in the present pass */
    uint64_t pass[PLAN_MAX_INPUTS];
    int turn;
};

struct node {
    struct job *job;
    int links;
    int *link;   /* plan stages, the source first */
    int context; /* 0, or the mix input that it belongs to */
    int inputs;
    struct edge *in[PLAN_MAX_INPUTS];
    int outs;
    struct edge **out;
    int replicas;
    struct replica *replica;
    int window; /* tickets at work or waiting, and places on an edge, at most */
    struct slot *slot;
    uint64_t epoch;
    int64_t items;            /* of a source; -1: not counted yet */
    int64_t next_ticket;      /* of a source: the next item */
    int64_t released;         /* tickets that have left */
    int64_t lost;             /* tickets of which nothing is left, for what was skipped */
    int64_t waiting_bytes;    /* in the window */
    int64_t largest;          /* bytes that one ticket emitted; before the first: unknown */
    int running;              /* tasks at work */
    bool counting, finishing; /* that task has been handed out */
    bool ended;
    bool stopped; /* hands out no task */
    bool passed;  /* its first pass has ended */
    struct mix mix;
    struct instance *probe; /* of the loop's thread: says which files come next */
    int64_t wanted;         /* items whose files have been asked for */
};

/* What a sink has waited for (stall.c). */
struct stall {
    int64_t since;       /* ns, when it was last put down; 0: it does not wait */
    int cause;           /* that it waits for now */
    bool all_at_work;    /* all replicas of that node are: one more would have had work */
    int64_t *blamed;     /* ns: for the workers, then for each node of the job */
    int64_t *replica_ns; /* the part of it with all replicas at work */
};

struct sink {
    struct hf_stream stream; /* first */
    struct job *job;
    struct edge edge;
    struct instance instance;
    const struct hf_sample *current;
    pthread_cond_t arrived;
    pthread_t thread;
    bool started; /* the thread */
    uint64_t epoch;
    int64_t taken; /* in this epoch */
    struct stall stall;
    int64_t handed; /* ns, when `next` last returned; for the trace */
    struct made made;
    double samples; /* in all; this and the next three under the run's notes_lock */
    double done, total, loss;
};

struct job {
    struct run *run;
    const struct plan_job *plan;
    int index;
    int nodes;
    struct node **node; /* sources first */
    int contexts;
    int sinks;
    struct sink *sink;
    const char *only_case; /* all that its sources need open; NULL: every case */
    int sinks_left;
    bool ready;                   /* its sinks' threads are there: its nodes may work */
    bool closing;                 /* its last sink is putting it away */
    bool asking;                  /* the loop's thread is at its nodes, for reading ahead */
    int64_t began;                /* ns */
    pthread_cond_t idle;          /* a node has no task left, or the loop has left the nodes */
    const struct hf_model *model; /* published */
    int model_stage;
    int64_t peak[2]; /* bytes that the host's and the run's device have handed out at most */
    bool put_away;   /* and no memory was left to say so; under notes_lock */
};

enum job_state {
    JOB_WAITING,
    JOB_ACTIVE,
    JOB_DONE
};

/* When a job ran; ACTIVE in the end: it was stopped. */
struct job_times {
    enum job_state state;
    double start, end; /* seconds since the run began */
    int64_t peak[2];   /* as in struct job */
};

/* What worker and sink threads tell the loop. */
struct note {
    struct note *following;
    struct hf_run_event event;
    struct job *ended; /* not NULL: this job's threads are done */
    char text[];
};

struct run {
    struct hf_engine *engine;
    struct hf_plan *plan;        /* what is to be run */
    const struct hf_plan *whole; /* with what need not be, since the store has it */
    const struct hf_run_options *options;
    struct services *services;
    uint64_t seed;
    const char *out_dir;
    struct hf_device *device;      /* of stages with on_device; the host's, or another one */
    char device_line[256];         /* its name and description */
    char not_taken[1024];          /* why `auto` took no better one; "": there is none */
    const struct hf_model **model; /* per stage: published, and somebody still needs it */
    struct hold *hold;             /* NULL: nothing is held */
    struct cache *cache;           /* NULL: no samples are kept in the store */

    pthread_mutex_t lock; /* of everything in jobs, nodes and edges; see executor.c */
    pthread_cond_t work;
    int workers, idle_workers;
    pthread_t *worker;
    int worker_threads; /* started */
    bool quit;          /* the workers may go */
    bool stopping;      /* an error or a cancel: no more tasks */
    struct hf_error error;
    struct job **active;    /* per job of the plan, NULL once it is being put away */
    int turn;               /* the job that was served last */
    struct sample *retired; /* by the workers, who release them without the lock */

    struct uv_async_s *async;
    pthread_mutex_t notes_lock; /* of notes, results and the sinks' progress; a leaf */
    struct note *first_note, **last_note;
    struct results results;
    char bottleneck[512]; /* of the job whose sink waited longest; under notes_lock */
    int64_t bottleneck_ns;
    struct trace *trace; /* NULL: none */
    struct reuse *reuse; /* NULL: nothing is kept or reused */
    struct scan *scan;   /* NULL: it is a run; else only what `plan --scan` looks at (scan.c) */

    /* of the loop's thread */
    enum job_state *state;
    struct job **live; /* per job of the plan, until its threads are joined */
    int jobs_live, jobs_done;
    struct job_times *times; /* per job of the plan */
    uint64_t began;          /* ns */
    time_t started;
    bool opened; /* its devices and its results folder are there */
};

/* ---- run.c ---- */

/* Looks at a plan with the keys of all its stages known, and runs nothing. */
enum hf_status run_look(struct hf_plan *plan, const char *store,
                        enum hf_status (*look)(struct run *run, void *arg, struct hf_error *e),
                        void *arg, struct hf_error *e);
double run_seconds(const struct run *run); /* since it began */
/* On the thread of hf_run: tells the caller. */
void run_tell(struct run *run, struct hf_run_event event);

/* ---- notes.c: for any thread ---- */

/* Stops the run for its first error. Takes run->lock. */
void run_fail(struct run *run, const struct hf_error *e);
bool run_is_stopping(struct run *run); /* Takes run->lock. */
void run_wake_loop(struct run *run);
/* Hands a note to the loop; the texts are copied. Without memory it is lost. */
void run_note(struct run *run, const struct hf_run_event *event, struct job *ended);
/* What stages say, of struct services. */
enum hf_status run_message(void *engine, const struct hf_stage *s, const struct message *m,
                           struct hf_error *e);

/* ---- loop.c ---- */

/* Runs the jobs until all are done or one has failed. */
enum hf_status run_loop(struct run *run, struct hf_error *e);

/* ---- order.c: on the loop's thread ---- */

/* Starts the jobs whose turn it is. */
void run_start_jobs(struct run *run);
/* Puts away a job whose threads are done. */
void run_job_ended(struct run *run, struct job *job);
/* hf_cancel may come from a signal handler, so it only leaves a mark. */
void run_heed_cancel(struct run *run);

/* ---- summary.c ---- */

/* Writes run.json, the record of the run, and resolved.yaml, its graph; `why`: of a failure. */
enum hf_status summary_write(const struct run *run, enum hf_status st, const struct hf_error *why,
                             struct hf_error *e);

/* ---- devices.c ---- */

/* Opens the host's device and the one that is asked for. */
enum hf_status devices_open(struct run *run, struct hf_error *e);
void devices_close(struct run *run);
/* Tells which device it is, unless that goes without saying. */
void devices_tell(struct run *run);

/* ---- job.c ---- */

/* Whether a source need not open an item: nobody wants its case. */
bool job_passes_over(const struct job *job, struct hf_stage *source,
                     const struct hf_stage_class *cls, int64_t item);
enum hf_status job_new(struct run *run, int index, struct job **ret, struct hf_error *e);
void job_start(struct job *job);
/* Joins the sinks' threads; all the rest was put away by the last of them. */
void job_free(struct job *job);
/* Frees a job that was never started. */
void job_discard(struct job *job);
/* The loop's thread: asks for the files of the items that come next. */
void job_read_ahead(struct job *job);

/* ---- instance.c ---- */

const struct hf_stage_class *instance_class(const struct instance *in);
void instance_init(struct instance *in, struct job *job, int stage, int replica);
/* Makes it ready where that has not been done. */
enum hf_status instance_start(struct instance *in, struct hf_error *e);
void instance_stop(struct instance *in);
/* The sample with the fields that the stage reads where it runs. */
enum hf_status instance_bring(struct instance *in, const struct hf_sample *s,
                              const struct hf_sample **ret, struct hf_error *e);

/* ---- executor.c ---- */

void *worker_main(void *run);
/* Under run->lock: wakes workers for what has become possible. */
void workers_wake(struct run *run);
/* Under run->lock: stops the tree above `edge`; true once none of its tasks runs. */
bool tree_is_quiet(struct edge *edge);
/* Under run->lock: stops the tree above `edge` and waits for its tasks. */
void tree_stop(struct edge *edge);
/* Under run->lock: empties the tree above `edge`, whose tasks have ended, for another pass. */
void tree_reset(struct edge *edge, uint64_t epoch, struct sample **retired);

/* ---- stall.c: under run->lock, but stall_open, _close and _free, which one thread calls ---- */

enum hf_status stall_open(struct job *job, struct hf_error *e);
/* The sink begins, and ends, to wait for its edge. */
void stall_begin(struct sink *k);
void stall_end(struct sink *k);
/* A task of the job has begun or ended. */
void stall_look(struct job *job);
/* The job is done: leaves its sentence with the run if it is the worst. */
void stall_close(struct job *job);
void stall_free(struct job *job);

/* ---- fault.c ---- */

/* A call of a stage's `process`, or without a sample of its `open`. */
struct call {
    struct instance *in;
    const struct hf_sample *sample;
    int64_t ticket; /* of a source: the item */
    uint64_t epoch;
};

/* Calls, and does what the stage's `on_error` says; *ret_skipped: it failed, nothing was emitted,
 * and the run goes on. */
enum hf_status fault_call(const struct call *c, bool *ret_skipped, struct hf_error *e);
/* The error of a pass of which nothing is left; `count` tickets came to nothing. */
enum hf_status fault_all_skipped(const struct instance *in, int64_t count, struct hf_error *e);
/* Puts the stage, and the case if one is known, before the message. */
enum hf_status instance_blame(const struct instance *in, const struct hf_sample *s,
                              enum hf_status st, struct hf_error *e);

/* ---- edge.c: under run->lock; what they drop is `retired` (run.h) ---- */

/* The stage that takes what leaves on the edge; needs no lock. */
const struct plan_stage *edge_taker(const struct edge *ed);
/* Takes the reference over; a full ring grows, and without memory the sample is lost: false. */
bool edge_push(struct edge *ed, const struct hf_sample *s, struct sample **retired);
const struct hf_sample *edge_pop(struct edge *ed);
void edge_clear(struct edge *ed, struct sample **retired);
/* Nobody will take from it: what only leads there need not run. */
void edge_close(struct edge *ed, struct sample **retired);

/* ---- mix.c: under run->lock ---- */

enum mix_choice {
    MIX_TAKE,  /* from *ret_input */
    MIX_WAIT,  /* the input whose turn it is has nothing yet */
    MIX_AGAIN, /* *ret_input must start another pass, epoch *ret_epoch */
    MIX_FINISHED
};

void mix_reset(struct node *n);
/* The epoch of a mix's input in its first pass. */
uint64_t mix_epoch(const struct plan_stage *ps, uint64_t epoch);
enum mix_choice mix_choose(struct node *n, int *ret_input, uint64_t *ret_epoch);

/* ---- hold.c ---- */

/* Chooses the stages whose output is kept: the deepest one in each branch of a sink that makes
 * several passes, and where the graph says so. *ret = NULL if the plan gives no memory for it. */
enum hf_status hold_new(const struct hf_plan *plan, struct hold **ret, struct hf_error *e);
void hold_free(struct hold *hold);
bool hold_is_held(const struct hold *hold, int stage);
/* Whether some job runs everything up to `stage` in one piece, for it is held or has a cache. */
bool hold_cuts(const struct hold *hold, int stage);
/* Whether the job runs everything from the source to `stage` in one piece. `own`: the stage is
 * upstream of a mix, and its instances are shared with nothing. */
bool hold_heads_chain(const struct hold *hold, const struct plan_job *job, int stage, bool own);
bool hold_has(struct hold *hold, int stage, int64_t item);
/* References to what the stage made of the item, appended to `list`; false: not there. */
bool hold_get(struct hold *hold, int stage, int64_t item, struct samples *list);
/* Keeps references if somebody will come for them and they fit. */
void hold_put(struct hold *hold, int stage, int64_t item, const struct samples *list);
/* A job is done: what no other one will come for goes. */
void hold_job_done(struct hold *hold, int job);
struct hold_counts {
    int64_t hits, misses, bytes, peak_bytes;
    int64_t put, refused; /* bytes ever kept; samples that did not fit */
};
struct hold_counts hold_counts(struct hold *hold);

/* ---- cache.c: samples in the store ---- */

/* After hold_new, with the keys known. *ret = NULL if no stage has one, or there is no store. */
enum hf_status cache_new(struct run *run, struct cache **ret, struct hf_error *e);
void cache_free(struct cache *c);
bool cache_has(const struct cache *c, int stage, int64_t item);
/* What the stage made of the item, appended to the empty `list`; false: not there. */
bool cache_get(struct cache *c, int stage, int64_t item, struct samples *list);
/* Keeps what the instance has made of the item. */
void cache_put(struct cache *c, struct instance *in, int64_t item, const struct samples *list);
/* On the thread of hf_run: what came of it. */
void cache_tell(const struct cache *c);

#endif
