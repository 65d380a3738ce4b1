/*
 * run.c - hf_run: a run from its devices and its store to what is written down of it.
 */
#include "exec.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "memory.h"
#include "nn/model.h"
#include "record.h"
#include "trace.h"

double run_seconds(const struct run *run) {
    return (double)(uv_hrtime() - run->began) * 1e-9;
}

void run_tell(struct run *run, struct hf_run_event event) {
    event.seconds = run_seconds(run);
    event.jobs_done = run->jobs_done;
    event.jobs_total = run->plan->jobs;
    if (run->options->on_event)
        run->options->on_event(run->options->arg, &event);
}

static int cores(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

static enum hf_status run_open(struct run *run, struct hf_error *e) {
    const struct hf_plan *plan = run->plan;
    size_t stages = (size_t)plan->stages + 1, jobs = (size_t)plan->jobs + 1;
    run->workers = run->options->workers > 0 ? run->options->workers : cores();
    run->seed = run->options->seed >= 0 ? (uint64_t)run->options->seed : plan->seed;
    run->out_dir = run->options->out_dir ? run->options->out_dir : ".";
    run->last_note = &run->first_note;
    run->began = uv_hrtime();
    run->started = time(NULL);
    pthread_mutex_init(&run->lock, NULL);
    pthread_mutex_init(&run->notes_lock, NULL);
    pthread_cond_init(&run->work, NULL);
    run->model = calloc(stages, sizeof *run->model);
    run->active = calloc(jobs, sizeof *run->active);
    run->live = calloc(jobs, sizeof *run->live);
    run->state = calloc(jobs, sizeof *run->state);
    run->times = calloc(jobs, sizeof *run->times);
    run->worker = calloc((size_t)run->workers, sizeof *run->worker);
    if (!run->model || !run->active || !run->live || !run->state || !run->times || !run->worker)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the run");
    enum hf_status st = results_init(&run->results, plan->stages, e);
    for (int i = 0; st == HF_OK && i < plan->stages; i++)
        run->results.stage[i].name = plan->stage[i].name;
    if (st == HF_OK) {
        st = devices_open(run, e);
        run->engine->no_device = st != HF_OK;
    }
    if (st == HF_OK)
        st = folder_make(run->out_dir, e);
    if (st == HF_OK && run->options->trace)
        st = trace_open(run->options->trace, &run->trace, e);
    return st;
}

/* Gives back the memory that only jobs need. */
static void leave_work(struct run *run) {
    for (int i = 0; run->model && i < run->plan->stages; i++) {
        if (run->model[i])
            hf_model_unref(run->model[i]);
        run->model[i] = NULL;
    }
    hold_free(run->hold);
    cache_free(run->cache);
    run->hold = NULL;
    run->cache = NULL;
    devices_close(run);
}

static void run_close(struct run *run) {
    run->engine->run = NULL;
    run->services->post = NULL;
    leave_work(run);
    reuse_free(run->reuse);
    results_clear(&run->results);
    pthread_cond_destroy(&run->work);
    pthread_mutex_destroy(&run->notes_lock);
    pthread_mutex_destroy(&run->lock);
    free(run->model);
    free(run->active);
    free(run->live);
    free(run->state);
    free(run->times);
    free(run->worker);
    free(run);
}

/* What stands in the way of the store does not stand in that of the run. */
static void go_without_store(struct run *run, const struct hf_error *e) {
    char line[sizeof e->text + 64];
    bool wanted = run->options->store && !run->plan->no_store;
    (void)snprintf(line, sizeof line, "%s: %s",
                   wanted ? "this run goes without the store"
                          : "what this run is made of goes unrecorded",
                   e->text);
    run_tell(run, (struct hf_run_event){
                      .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = "", .text = line});
    reuse_free(run->reuse);
    run->reuse = NULL;
}

static void source_keys(struct run *run, struct instance *in, int64_t items) {
    struct hf_error e;
    if (reuse_source(run->reuse, in, items, &e) != HF_OK)
        go_without_store(run, &e);
}

/*
 * Opens every source once and counts its items: a data set that cannot work is told before the
 * first training, not when a later job comes to it. Nobody listens yet; the jobs' own instances say
 * again what there is to say.
 */
static enum hf_status check_sources(struct run *run, struct hf_error *e) {
    struct job none = {.run = run};
    enum hf_status st = HF_OK;
    for (int i = 0; st == HF_OK && i < run->plan->stages; i++) {
        const struct plan_stage *ps = &run->plan->stage[i];
        if (ps->cls->kind != HF_SOURCE)
            continue;
        struct instance in;
        int64_t items;
        instance_init(&in, &none, i, 0);
        if (run->reuse)
            reuse_watch(run->reuse, i);
        st = instance_start(&in, e);
        if (run->reuse)
            reuse_watch(run->reuse, -1);
        if (st == HF_OK)
            st = ps->cls->count(&in.stage, &items, e);
        if (st == HF_OK && run->reuse)
            source_keys(run, &in, items);
        instance_stop(&in);
        if (st != HF_OK)
            st = hf_fail_in(e, "stage '%s'", ps->name);
    }
    return st;
}

static void tell_ledger(struct run *run) {
    char sum[160], line[512];
    ledger_sum(&run->results.ledger, sum, sizeof sum);
    (void)snprintf(line, sizeof line, "%s: see %.300s/ledger.csv", sum, run->out_dir);
    if (sum[0])
        run_tell(run, (struct hf_run_event){
                          .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = "", .text = line});
}

/* What came of the run so far, with what came last: the first error stays. */
static enum hf_status with_late(enum hf_status st, struct hf_error *e, enum hf_status late_st,
                                const struct hf_error *late) {
    if (st != HF_OK || late_st == HF_OK)
        return st;
    *e = *late;
    return late_st;
}

/* Scores, ledger, trace, report and summary; what was found out stands, even if something failed
 * later. The last two say how the run ended, so all else is written before. */
static enum hf_status write_down(struct run *run, enum hf_status st, struct hf_error *e) {
    struct results *results = &run->results;
    struct hf_error late;
    ledger_sort(&results->ledger);
    tell_ledger(run);
    enum hf_status now = results_write(results, run->out_dir, st == HF_OK, &late);
    st = with_late(st, e, now, &late);
    now = ledger_write(&results->ledger, run->seed, run->out_dir, st == HF_OK, &late);
    st = with_late(st, e, now, &late);
    now = trace_close(run->trace, &late);
    st = with_late(st, e, now, &late);
    now = record_write(run, st, e, &late);
    st = with_late(st, e, now, &late);
    now = summary_write(run, st, e, &late);
    return with_late(st, e, now, &late);
}

static enum hf_status run_new(struct hf_engine *engine, struct hf_plan *plan,
                              const struct hf_run_options *options, struct run **ret,
                              struct hf_error *e) {
    if (engine->run)
        return hf_fail(e, HF_INVALID, "this engine is running a graph already");
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the run");
    run->engine = engine;
    run->whole = run->plan = plan;
    run->options = options;
    run->services = services_of(engine->host);
    engine->run = run;
    *ret = run;
    return HF_OK;
}

enum hf_status run_look(struct hf_plan *plan, const char *store,
                        enum hf_status (*look)(struct run *run, void *arg, struct hf_error *e),
                        void *arg, struct hf_error *e) {
    const struct hf_run_options options = {
        .out_dir = ".", .workers = 1, .seed = -1, .store = store};
    struct run *run = NULL;
    enum hf_status st = run_new(plan->engine, plan, &options, &run, e);
    if (st != HF_OK)
        return st;
    st = run_open(run, e);
    if (st == HF_OK)
        st = reuse_begin(run, &run->reuse, e);
    if (st == HF_OK)
        st = check_sources(run, e);
    if (st == HF_OK && !run->reuse)
        st = hf_fail(e, HF_IO, "the files that the graph names cannot be read");
    if (st == HF_OK)
        st = reuse_keys(run->reuse, e);
    if (st == HF_OK)
        st = look(run, arg, e);
    run_close(run);
    return st;
}

enum hf_status run_plan(struct hf_engine *engine, struct hf_plan *plan,
                        const struct hf_run_options *options, struct scan *scan,
                        struct hf_error *e) {
    struct run *run = NULL;
    enum hf_status st = run_new(engine, plan, options, &run, e);
    if (st != HF_OK)
        return st;
    run->scan = scan;
    st = run_open(run, e);
    run->opened = st == HF_OK;
    /* Without a store too: what it is made of stands in its record. */
    if (st == HF_OK && (plan->checked || options->store) && !scan &&
        reuse_begin(run, &run->reuse, e) != HF_OK)
        go_without_store(run, e);
    if (st == HF_OK)
        st = check_sources(run, e);
    run->services->post = run_message;
    if (st == HF_OK)
        devices_tell(run);
    if (st == HF_OK && run->reuse)
        st = reuse_find(run, e);
    if (st == HF_OK)
        st = hold_new(run->plan, &run->hold, e);
    if (st == HF_OK && !scan)
        st = cache_new(run, &run->cache, e);
    if (st == HF_OK && run->jobs_done < plan->jobs)
        st = run_loop(run, e);
    if (st == HF_OK && run->stopping) {
        *e = run->error;
        st = run->error.status;
    }
    if (scan) {
        st = st == HF_OK ? scan_finish(run, e) : st;
    } else {
        leave_work(run); /* the record of many cases does not come on top of it */
        st = write_down(run, st, e);
    }
    run_close(run);
    /* Not when it begins: a cancel that comes just before it is heeded. */
    atomic_store(&services_of(engine->host)->canceled, 0);
    return st;
}

enum hf_status hf_run(struct hf_engine *engine, struct hf_plan *plan,
                      const struct hf_run_options *options, struct hf_error *e) {
    struct hf_error mine;
    return run_plan(engine, plan, options, NULL, e ? e : &mine);
}

void hf_cancel(struct hf_engine *engine) {
    atomic_store(&services_of(engine->host)->canceled, 1);
}
