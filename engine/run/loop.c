/*
 * loop.c - the loop that owns control while jobs run: signals, progress, reading ahead, and what
 * other threads have to say.
 */
#include "exec.h"

#include <signal.h>
#include <stdlib.h>

#include <uv.h>

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
            run_job_ended(run, n->ended);
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
            run_job_ended(run, run->live[j]);
    }
}

static void on_async(uv_async_t *async) {
    struct control *c = async->data;
    struct run *run = c->run;
    deliver_notes(run);
    run_start_jobs(run);
    for (int j = 0; j < run->plan->jobs; j++)
        if (run->live[j])
            job_read_ahead(run->live[j]);
    if (run->jobs_live == 0 && (run->jobs_done == run->plan->jobs || run_is_stopping(run))) {
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
    run_heed_cancel(run);
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
    if (run->bottleneck[0] && !run_is_stopping(run))
        run_tell(run, (struct hf_run_event){.kind = HF_EVENT_LOG,
                                            .level = HF_LOG_INFO,
                                            .job = "",
                                            .text = run->bottleneck});
}

enum hf_status run_loop(struct run *run, struct hf_error *e) {
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
