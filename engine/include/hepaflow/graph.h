/**
 * graph.h - for programs that embed hepaflow: load the plugins, check a graph, run its plan.
 *
 *     struct hf_engine *engine;   hf_engine_open(&engine, &err);
 *     struct hf_plan *plan;       hf_plan_load(engine, "graph.yaml", sets, n, &plan, &errors);
 *     hf_run(engine, plan, &options, &err);
 *
 * Threads: an engine and its plans belong to one thread; hf_run blocks it. hf_cancel may be called
 * from any thread or signal handler.
 */
#ifndef HEPAFLOW_GRAPH_H
#define HEPAFLOW_GRAPH_H

#include <hepaflow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf_engine;
struct hf_plan;

/** Scans for modules: the build tree or the installed folder, then HEPAFLOW_PLUGIN_PATH (a later
 *  one replaces an earlier name). A module of another ABI is refused, with its path in the error
 *  of the graph that needs it. */
HF_EXPORT enum hf_status hf_engine_open(struct hf_engine **ret, struct hf_error *e);
/** After all of its plans have been freed. */
HF_EXPORT void hf_engine_close(struct hf_engine *engine);

/**
 * Reads a graph and checks it as a whole. `sets` are `stage.option=value`, `vars.name=value` or
 * `key=value` of the graph's own keys (seed, device, ...). On failure *ret_messages holds all
 * errors, each as "file:line:column: text", the source line and a caret; on success the warnings,
 * or NULL. Free it with hf_free.
 */
HF_EXPORT enum hf_status hf_plan_load(struct hf_engine *engine, const char *path,
                                      const char *const *sets, int32_t set_count,
                                      struct hf_plan **ret, char **ret_messages);
HF_EXPORT void hf_plan_free(struct hf_plan *plan);

/**
 * Works out how much memory each job takes at most with so many workers (0: as many as cores), for
 * hf_plan_print to tell: from the headers of what the sources read, or with `scan` from one pass
 * over every stream, which also counts samples. Nothing is trained or written. A job of which
 * something is not known says so; an error is one of the scan.
 */
HF_EXPORT enum hf_status hf_plan_measure(struct hf_plan *plan, int32_t workers, int32_t scan,
                                         struct hf_error *e);

/** Looks up which results of the plan are in the store of that folder, for hf_plan_print to mark;
 *  a graph that was never run with that store has none. */
HF_EXPORT enum hf_status hf_plan_stored(struct hf_plan *plan, const char *store,
                                        struct hf_error *e);
/** Whether a run would make again what comes of a stage, what has changed since the last run of
 *  the graph, and which results of it are there; free with hf_free. */
HF_EXPORT enum hf_status hf_plan_why(struct hf_plan *plan, const char *store, const char *stage,
                                     char **ret_text, struct hf_error *e);

enum hf_plan_format {
    HF_PLAN_TEXT,
    HF_PLAN_DOT,
    HF_PLAN_JSON,
    HF_PLAN_YAML /* the graph with everything worked out, and where each value comes from */
};
/** The plan for people or programs; free with hf_free. */
HF_EXPORT enum hf_status hf_plan_print(const struct hf_plan *plan, enum hf_plan_format format,
                                       char **ret_text, struct hf_error *e);
HF_EXPORT void hf_free(void *p);

enum hf_event_kind {
    HF_EVENT_JOB_START,
    HF_EVENT_JOB_DONE,
    HF_EVENT_PROGRESS,
    HF_EVENT_LOG,
    HF_EVENT_RESULT
};

/** How a job came to its results. */
enum hf_job_state {
    HF_JOB_RUN,
    HF_JOB_REUSED,  /* they were in the store */
    HF_JOB_LEFT_OUT /* they were not, but those of all jobs that take its model were */
};

/** What a run tells its caller, on the thread that called hf_run; the texts are lent for the call.
 */
struct hf_run_event {
    enum hf_event_kind kind;
    enum hf_log_level level; /* LOG */
    const char *job;         /* name of the job's sink */
    const char *text;        /* LOG: the line; RESULT: the JSON */
    double done, total;      /* PROGRESS: of this job, 0 = unknown */
    double loss;             /* NaN = none */
    double samples;          /* that reached the sink so far */
    double seconds;          /* since the run began */
    int32_t jobs_done, jobs_total;
    enum hf_job_state state; /* JOB_DONE; only a job that is run has a JOB_START */
    double memory[2]; /* JOB_DONE: bytes that the CPU's and the run's device had handed out at most
                         while it ran, those of other jobs that ran then included */
};

struct hf_run_options {
    const char *out_dir; /* made if missing */
    const char *device;  /* NULL: the graph's word */
    int32_t workers;     /* 0: as many as cores */
    int64_t seed;        /* -1: the graph's */
    const char *store;   /* folder of the store, made if missing; NULL: nothing is kept or reused */
    int32_t fresh;       /* 1: reuses nothing; what is made is kept all the same */
    const char *trace;   /* a file for what was done when, to open in Perfetto; NULL: none */
    void (*on_event)(void *arg, const struct hf_run_event *event);
    void *arg;
    const char *only_case; /* of which jobs that train nothing want samples; NULL: of all. Sources
                              pass over other cases where no stage looks at several samples */
    /** Told once, before the first job, all that the results depend on: a line a term, as beside
     *  each result in the store (docs/store.md). Not where that cannot be found out. NULL: nobody.
     */
    void (*on_terms)(void *arg, const char *terms);
    void *terms_arg;
};

/** Runs all jobs of the plan, one run of an engine at a time. On failure `e` tells the first error;
 *  results, ledger and models that were written stand. The plan may be run again. */
HF_EXPORT enum hf_status hf_run(struct hf_engine *engine, struct hf_plan *plan,
                                const struct hf_run_options *options, struct hf_error *e);
/** Makes the report of a run or of a sweep again from its folder: one HTML file that needs no
 * other. `path` NULL: report.html in the folder. */
HF_EXPORT enum hf_status hf_report(const char *folder, const char *path, struct hf_error *e);
/** Asks the hf_run that runs, or the next one, to stop: it returns HF_CANCELED when all is put
 * away.
 */
HF_EXPORT void hf_cancel(struct hf_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
