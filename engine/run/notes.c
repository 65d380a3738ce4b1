/*
 * notes.c - what other threads have for the loop: that the run failed, what stages say, and events
 * for the caller.
 */
#include "exec.h"

#include <stdlib.h>

#include <uv.h>

#include "nn/model.h"

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

bool run_is_stopping(struct run *run) {
    pthread_mutex_lock(&run->lock);
    bool stopping = run->stopping;
    pthread_mutex_unlock(&run->lock);
    return stopping;
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

enum hf_status run_message(void *engine, const struct hf_stage *s, const struct message *m,
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
