/*
 * run.c - hf_run: the loop that owns control (signals, progress, reading ahead, what threads have
 * to say), the run's devices, and the order of jobs.
 */
#include "exec.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "memory.h"
#include "nn/model.h"
#include "record.h"
#include "trace.h"

#define READ_AHEAD_BYTES ((int64_t)256 << 20)
#define TICK_MS          100
#define AGAIN_NS         UINT64_C(300000000)

struct control {
    struct run *run;
    uv_loop_t loop;
    uv_async_t async;
    uv_timer_t timer;
    uv_signal_t signal[2];
    uint64_t signaled; /* when the first signal came; ns, 0: none */
};

/* ---- from any thread ---- */

void run_wake_loop(struct run *run) {
    (void)uv_async_send(run->async);
}

void run_fail(struct run *run, const struct hf_error *e) {
    pthread_mutex_lock(&run->lock);
    if (!run->stopping) {
        run->error = *e;
        run->stopping = true;
        atomic_store(&run->services->canceled, 1);
        pthread_cond_broadcast(&run->work);
        for (int j = 0; j < run->plan->jobs; j++)
            for (int i = 0; run->active[j] && i < run->active[j]->sinks; i++)
                pthread_cond_broadcast(&run->active[j]->sink[i].arrived);
    }
    pthread_mutex_unlock(&run->lock);
    run_wake_loop(run);
}

void run_note(struct run *run, const struct hf_run_event *event, struct job *ended) {
    size_t size = event->text ? strlen(event->text) + 1 : 1;
    struct note *n = calloc(1, sizeof *n + size);
    if (n) {
        n->event = *event;
        n->ended = ended;
        if (event->text)
            n->event.text = memcpy(n->text, event->text, size);
    }
    pthread_mutex_lock(&run->notes_lock);
    if (n) {
        *run->last_note = n;
        run->last_note = &n->following;
    } else if (ended) {
        ended->put_away = true; /* the loop looks for this as well */
    }
    pthread_mutex_unlock(&run->notes_lock);
    run_wake_loop(run);
}

static enum hf_status keep_model(struct job *job, int stage, const struct hf_model *m) {
    hf_model_ref(m);
    pthread_mutex_lock(&job->run->lock);
    const struct hf_model *old = job->model;
    job->model = m;
    job->model_stage = stage;
    pthread_mutex_unlock(&job->run->lock);
    if (old)
        hf_model_unref(old);
    return HF_OK;
}

static enum hf_status log_line(struct run *run, const struct instance *in,
                               const struct message *m) {
    char line[1024];
    (void)snprintf(line, sizeof line, "%s: %s", in->stage.name, m->text);
    run_note(run,
             &(struct hf_run_event){
                 .kind = HF_EVENT_LOG, .level = m->level, .job = in->job->plan->name, .text = line},
             NULL);
    return HF_OK;
}

static enum hf_status on_message(void *engine, const struct hf_stage *s, const struct message *m,
                                 struct hf_error *e) {
    const struct instance *in = s->engine;
    struct run *run = in->job->run;
    enum hf_status st = HF_OK;
    (void)engine;
    switch (m->kind) {
    case MESSAGE_LOG:
        return in->silent ? HF_OK : log_line(run, in, m);
    case MESSAGE_MODEL:
        return keep_model(in->job, in->index, m->model);
    case MESSAGE_PROGRESS:
        pthread_mutex_lock(&run->notes_lock);
        if (in->sink) {
            in->sink->done = m->done;
            in->sink->total = m->total;
            in->sink->loss = m->loss;
        }
        pthread_mutex_unlock(&run->notes_lock);
        return HF_OK;
    case MESSAGE_REPORT:
        pthread_mutex_lock(&run->notes_lock);
        st = results_add(&run->results, in->index, m->title, m->text, e);
        if (st == HF_OK)
            made_said(in, m->title, m->text);
        pthread_mutex_unlock(&run->notes_lock);
        return st;
    case MESSAGE_RESULT:
        pthread_mutex_lock(&run->notes_lock);
        st = results_set(&run->results, in->index, m->text, e);
        if (st == HF_OK)
            made_said(in, NULL, m->text);
        pthread_mutex_unlock(&run->notes_lock);
        if (st == HF_OK)
            run_note(run,
                     &(struct hf_run_event){
                         .kind = HF_EVENT_RESULT, .job = in->stage.name, .text = m->text},
                     NULL);
        return st;
    }
    return HF_OK;
}

/* ---- jobs, on the loop's thread ---- */

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

static bool is_stopping(struct run *run) {
    pthread_mutex_lock(&run->lock);
    bool stopping = run->stopping;
    pthread_mutex_unlock(&run->lock);
    return stopping;
}

static bool stage_needs(const struct hf_plan *plan, int stage, int model) {
    const struct plan_stage *ps = &plan->stage[stage];
    if (ps->model == model)
        return true;
    for (int i = 0; i < ps->inputs; i++)
        if (stage_needs(plan, ps->input[i], model))
            return true;
    return false;
}

/* A model goes when the last job that takes it is done. */
static void drop_models(struct run *run) {
    for (int m = 0; m < run->plan->stages; m++) {
        bool needed = false;
        for (int j = 0; run->model[m] && j < run->plan->jobs; j++)
            for (int i = 0; run->state[j] != JOB_DONE && i < run->plan->job[j].sinks; i++)
                needed = needed || stage_needs(run->plan, run->plan->job[j].sink[i], m);
        if (run->model[m] && !needed) {
            hf_model_unref(run->model[m]);
            run->model[m] = NULL;
        }
    }
}

/* hf_cancel may come from a signal handler, so it only leaves a mark. */
static void heed_cancel(struct run *run) {
    struct hf_error e;
    if (atomic_load(&run->services->canceled) && !is_stopping(run)) {
        (void)hf_fail(&e, HF_CANCELED, "canceled");
        run_fail(run, &e);
    }
}

/* What the devices have handed out at most since the last look is the doing of all live jobs. */
static void look_at_memory(struct run *run) {
    struct hf_device *const device[] = {run->services->host_device, run->device};
    for (int d = 0; d < 2; d++) {
        size_t now, peak;
        if (d > 0 && device[d] == device[0])
            continue;
        device[d]->methods->memory(device[d], 1, &now, &peak);
        for (int j = 0; j < run->plan->jobs; j++)
            if (run->live[j] && run->live[j]->peak[d] < (int64_t)peak)
                run->live[j]->peak[d] = (int64_t)peak;
    }
}

static void tell_memory(struct run *run, const struct job *job) {
    char line[256];
    bool both = run->device != run->services->host_device;
    (void)snprintf(line, sizeof line, "'%.100s' had %.3g MB at most in use on the cpu",
                   job->plan->name, (double)job->peak[0] * 1e-6);
    size_t n = strlen(line);
    if (both)
        (void)snprintf(line + n, sizeof line - n, ", %.3g MB on %.32s", (double)job->peak[1] * 1e-6,
                       run->plan->runs_on);
    run_tell(run, (struct hf_run_event){.kind = HF_EVENT_LOG,
                                        .level = HF_LOG_DEBUG,
                                        .job = job->plan->name,
                                        .text = line});
}

static void job_ended(struct run *run, struct job *job) {
    int index = job->index;
    look_at_memory(run);
    tell_memory(run, job);
    struct hf_run_event done = {.kind = HF_EVENT_JOB_DONE,
                                .job = run->plan->job[index].name,
                                .memory = {(double)job->peak[0], (double)job->peak[1]}};
    heed_cancel(run); /* before a job that gave up early is taken for done */
    record_job_end(run, job, !is_stopping(run));
    if (job->model) {
        run->model[job->model_stage] = job->model;
        job->model = NULL;
    }
    job_free(job);
    run->live[index] = NULL;
    run->jobs_live--;
    run->jobs_done++;
    run->state[index] = JOB_DONE;
    if (run->scan)
        scan_job_done(run, index);
    if (run->hold)
        hold_job_done(run->hold, index);
    drop_models(run);
    if (!is_stopping(run))
        run_tell(run, done);
}

static bool may_start(const struct run *run, int index) {
    const struct plan_job *job = &run->plan->job[index];
    int at_once = run->plan->jobs_at_once > 0 ? run->plan->jobs_at_once : 1;
    if (run->state[index] != JOB_WAITING || run->jobs_live >= at_once)
        return false;
    for (int i = 0; i < job->after; i++)
        if (run->state[job->after_job[i]] != JOB_DONE)
            return false;
    return true;
}

static void start_jobs(struct run *run) {
    for (int j = 0; j < run->plan->jobs && !is_stopping(run); j++) {
        struct job *job = NULL;
        struct hf_error e;
        if (!may_start(run, j))
            continue;
        if (job_new(run, j, &job, &e) != HF_OK) {
            run_fail(run, &e);
            return;
        }
        look_at_memory(run);
        run->state[j] = JOB_ACTIVE;
        record_job_start(run, j);
        run->live[j] = job;
        run->jobs_live++;
        run_tell(run, (struct hf_run_event){.kind = HF_EVENT_JOB_START, .job = job->plan->name});
        job_start(job);
    }
}

/* ---- the loop ---- */

static void stop_workers(struct run *run) {
    pthread_mutex_lock(&run->lock);
    run->quit = true;
    pthread_cond_broadcast(&run->work);
    pthread_mutex_unlock(&run->lock);
    for (int i = 0; i < run->worker_threads; i++)
        (void)pthread_join(run->worker[i], NULL);
    run->worker_threads = 0;
}

static void close_handles(struct control *c) {
    uv_handle_t *const all[] = {(uv_handle_t *)&c->async, (uv_handle_t *)&c->timer,
                                (uv_handle_t *)&c->signal[0], (uv_handle_t *)&c->signal[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]->data && !uv_is_closing(all[i]))
            uv_close(all[i], NULL);
}

static void deliver_notes(struct run *run) {
    pthread_mutex_lock(&run->notes_lock);
    struct note *n = run->first_note;
    run->first_note = NULL;
    run->last_note = &run->first_note;
    pthread_mutex_unlock(&run->notes_lock);
    while (n) {
        struct note *following = n->following;
        if (n->ended)
            job_ended(run, n->ended);
        else
            run_tell(run, n->event);
        free(n);
        n = following;
    }
    for (int j = 0; j < run->plan->jobs; j++) {
        pthread_mutex_lock(&run->notes_lock);
        bool ended = run->live[j] && run->live[j]->put_away;
        pthread_mutex_unlock(&run->notes_lock);
        if (ended)
            job_ended(run, run->live[j]);
    }
}

static void on_async(uv_async_t *async) {
    struct control *c = async->data;
    struct run *run = c->run;
    deliver_notes(run);
    start_jobs(run);
    for (int j = 0; j < run->plan->jobs; j++)
        if (run->live[j])
            job_read_ahead(run->live[j]);
    if (run->jobs_live == 0 && (run->jobs_done == run->plan->jobs || is_stopping(run))) {
        stop_workers(run);
        close_handles(c);
    }
}

/* A job is as far as that of its sinks which is farthest behind. */
static void tell_progress(struct run *run, int index) {
    const struct job *job = run->live[index];
    struct hf_run_event event = {.kind = HF_EVENT_PROGRESS, .job = run->plan->job[index].name};
    double least = 2;
    pthread_mutex_lock(&run->notes_lock);
    for (int i = 0; i < job->sinks; i++) {
        const struct sink *k = &job->sink[i];
        double part = k->total > 0 ? k->done / k->total : 0;
        if (part >= least)
            continue;
        least = part;
        event.done = k->done;
        event.total = k->total;
        event.loss = k->loss;
        event.samples = k->samples;
    }
    pthread_mutex_unlock(&run->notes_lock);
    run_tell(run, event);
}

static void on_timer(uv_timer_t *timer) {
    struct control *c = timer->data;
    struct run *run = c->run;
    for (int j = 0; j < run->plan->jobs; j++)
        if (run->live[j])
            tell_progress(run, j);
    heed_cancel(run);
}

static void tell_stopping(struct run *run, int number) {
    char line[128];
    (void)snprintf(line, sizeof line,
                   "stopping: what is at work comes to its end; %s leaves at once",
                   number == SIGINT ? "Ctrl-C again" : "another SIGTERM");
    run_tell(run, (struct hf_run_event){
                      .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = "", .text = line});
}

/* The second one ends the program, by the signal itself: unfinished files have no names, but for
 * the trace's. What sends signals to a program and to its group, as timeout(1), sends two at once:
 * they count as one. */
static void on_signal(uv_signal_t *handle, int number) {
    struct control *c = handle->data;
    struct hf_error e;
    if (c->signaled == 0) {
        c->signaled = uv_hrtime();
        (void)hf_fail(&e, HF_CANCELED, "canceled by %s", number == SIGINT ? "SIGINT" : "SIGTERM");
        run_fail(c->run, &e);
        tell_stopping(c->run, number);
    } else if (uv_hrtime() - c->signaled > AGAIN_NS) {
        trace_abandon(c->run->trace);
        (void)uv_signal_stop(handle);
        (void)raise(number);
    }
}

static enum hf_status uv_failed(int code, const char *what, struct hf_error *e) {
    return hf_fail(e, HF_IO, "%s: %s", what, uv_strerror(code));
}

static enum hf_status open_loop(struct control *c, struct hf_error *e) {
    int code = uv_async_init(&c->loop, &c->async, on_async);
    if (code != 0)
        return uv_failed(code, "the run's loop cannot be made", e);
    c->async.data = c;
    c->run->async = &c->async;
    (void)uv_timer_init(&c->loop, &c->timer);
    c->timer.data = c;
    code = uv_timer_start(&c->timer, on_timer, TICK_MS, TICK_MS);
    for (int i = 0; i < 2 && code == 0; i++) {
        code = uv_signal_init(&c->loop, &c->signal[i]);
        if (code == 0) {
            c->signal[i].data = c;
            code = uv_signal_start(&c->signal[i], on_signal, i == 0 ? SIGINT : SIGTERM);
        }
    }
    return code == 0 ? HF_OK : uv_failed(code, "the run's loop cannot be made", e);
}

/* What the caches did, for those who look into a run. */
static void tell_counts(struct run *run) {
    char line[160];
    struct hold_counts held = run->hold ? hold_counts(run->hold) : (struct hold_counts){0};
    (void)snprintf(line, sizeof line,
                   "read ahead %lld bytes; held %lld bytes at most, %lld hits, %lld misses",
                   (long long)readahead_taken(run->services->readahead), (long long)held.peak_bytes,
                   (long long)held.hits, (long long)held.misses);
    run_tell(run, (struct hf_run_event){
                      .kind = HF_EVENT_LOG, .level = HF_LOG_DEBUG, .job = "", .text = line});
}

static void tell_bottleneck(struct run *run) {
    pthread_mutex_lock(&run->lock);
    bool stopped = run->stopping;
    pthread_mutex_unlock(&run->lock);
    if (run->bottleneck[0] && !stopped)
        run_tell(run, (struct hf_run_event){.kind = HF_EVENT_LOG,
                                            .level = HF_LOG_INFO,
                                            .job = "",
                                            .text = run->bottleneck});
}

static void tell_ledger(struct run *run) {
    char sum[160], line[512];
    ledger_sum(&run->results.ledger, sum, sizeof sum);
    (void)snprintf(line, sizeof line, "%s: see %.300s/ledger.csv", sum, run->out_dir);
    if (sum[0])
        run_tell(run, (struct hf_run_event){
                          .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = "", .text = line});
}

/* Runs the jobs until all are done or one has failed. */
static enum hf_status run_loop(struct run *run, struct hf_error *e) {
    struct control *c = calloc(1, sizeof *c);
    if (!c)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the run");
    c->run = run;
    int code = uv_loop_init(&c->loop);
    if (code != 0) {
        free(c);
        return uv_failed(code, "the run's loop cannot be made", e);
    }
    enum hf_status st = open_loop(c, e);
    if (st == HF_OK)
        st = readahead_new(&c->loop, READ_AHEAD_BYTES, &run->services->readahead, e);
    for (int i = 0; st == HF_OK && i < run->workers; i++) {
        if (pthread_create(&run->worker[i], NULL, worker_main, run) != 0)
            st = hf_fail(e, HF_NO_MEMORY, "worker %d of %d cannot be started", i + 1, run->workers);
        else
            run->worker_threads++;
    }
    if (st == HF_OK) {
        run_wake_loop(run);
    } else {
        stop_workers(run);
        close_handles(c);
    }
    (void)uv_run(&c->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&c->loop);
    if (st == HF_OK) {
        tell_counts(run);
        cache_tell(run->cache);
        tell_bottleneck(run);
    }
    readahead_free(run->services->readahead);
    run->services->readahead = NULL;
    free(c);
    return st;
}

/* ---- the run ---- */

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
    enum hf_status now = results_write(results, run->out_dir, &late);
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
    run->services->post = on_message;
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
