/**
 * executor.c - the CPU device's executor thread and its events.
 */
#include "executor.h"
#include "meter.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct hf_event {
    atomic_int refs;
    pthread_mutex_t lock;
    pthread_cond_t happened;
    int done; /* under `lock`, as what follows */
    enum hf_status status;
    struct hf_error *error; /* NULL: no failure, or no memory for its message */
};

struct job {
    struct job *next;
    enum hf_status (*fn)(void *arg, struct hf_error *e);
    void *arg;
    struct hf_event *event;
};

struct cpu_executor {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job *head, *tail; /* under `lock`, as what follows */
    int closing;
    struct hf_event *last; /* of the newest closure, one reference */
    int32_t threads;
    struct meter meter;
};

/* ---- events ---- */

static struct hf_event *event_new(int refs) {
    struct hf_event *ev = calloc(1, sizeof *ev);
    if (!ev)
        return NULL;
    atomic_init(&ev->refs, refs);
    if (pthread_mutex_init(&ev->lock, NULL) != 0) {
        free(ev);
        return NULL;
    }
    if (pthread_cond_init(&ev->happened, NULL) != 0) {
        pthread_mutex_destroy(&ev->lock);
        free(ev);
        return NULL;
    }
    return ev;
}

void cpu_event_ref(struct hf_event *ev) {
    atomic_fetch_add_explicit(&ev->refs, 1, memory_order_relaxed);
}

void cpu_event_unref(struct hf_event *ev) {
    if (!ev || atomic_fetch_sub_explicit(&ev->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_cond_destroy(&ev->happened);
    pthread_mutex_destroy(&ev->lock);
    free(ev->error);
    free(ev);
}

static void event_complete(struct hf_event *ev, enum hf_status status, const struct hf_error *e) {
    struct hf_error *copy = NULL;
    if (status != HF_OK) {
        copy = malloc(sizeof *copy);
        if (copy)
            *copy = *e;
    }
    pthread_mutex_lock(&ev->lock);
    ev->status = status;
    ev->error = copy;
    ev->done = 1;
    pthread_cond_broadcast(&ev->happened);
    pthread_mutex_unlock(&ev->lock);
}

enum hf_status cpu_event_sync(struct hf_event *ev, struct hf_error *e) {
    if (!ev)
        return HF_OK;
    pthread_mutex_lock(&ev->lock);
    while (!ev->done)
        pthread_cond_wait(&ev->happened, &ev->lock);
    enum hf_status status = ev->status;
    if (status != HF_OK && ev->error && e)
        *e = *ev->error;
    else if (status != HF_OK)
        (void)hf_fail(e, status, "the CPU executor ran out of memory");
    pthread_mutex_unlock(&ev->lock);
    return status;
}

int cpu_event_is_done(struct hf_event *ev) {
    if (!ev)
        return 1;
    pthread_mutex_lock(&ev->lock);
    int done = ev->done;
    pthread_mutex_unlock(&ev->lock);
    return done;
}

/* ---- the thread ---- */

static struct job *take(struct cpu_executor *ex) {
    pthread_mutex_lock(&ex->lock);
    while (!ex->head && !ex->closing)
        pthread_cond_wait(&ex->work, &ex->lock);
    struct job *j = ex->head;
    if (j) {
        ex->head = j->next;
        if (!ex->head)
            ex->tail = NULL;
    }
    pthread_mutex_unlock(&ex->lock);
    return j;
}

static void *run(void *arg) {
    struct cpu_executor *ex = arg;
    omp_set_dynamic(0);
    omp_set_num_threads(ex->threads);
    struct job *j;
    while ((j = take(ex)) != NULL) {
        struct hf_error e = {0};
        enum hf_status status = j->fn(j->arg, &e);
        event_complete(j->event, status, &e);
        cpu_event_unref(j->event);
        free(j);
    }
    return NULL;
}

enum hf_status cpu_executor_open(int32_t threads, struct cpu_executor **ret, struct hf_error *e) {
    if (threads < 0 || threads > 4096)
        return hf_fail(e, HF_INVALID, "nn_threads is %d; expected 0 (all cores) to 4096",
                       (int)threads);
    struct cpu_executor *ex = calloc(1, sizeof *ex);
    if (!ex)
        return hf_fail(e, HF_NO_MEMORY, "CPU executor: out of memory");
    ex->threads = threads ? threads : omp_get_num_procs();
    if (pthread_mutex_init(&ex->lock, NULL) != 0)
        goto no_lock;
    if (pthread_cond_init(&ex->work, NULL) != 0)
        goto no_cond;
    if (pthread_create(&ex->thread, NULL, run, ex) != 0)
        goto no_thread;
    *ret = ex;
    return HF_OK;
no_thread:
    pthread_cond_destroy(&ex->work);
no_cond:
    pthread_mutex_destroy(&ex->lock);
no_lock:
    free(ex);
    return hf_fail(e, HF_NO_MEMORY, "CPU executor: cannot start its thread");
}

void cpu_executor_close(struct cpu_executor *ex) {
    if (!ex)
        return;
    pthread_mutex_lock(&ex->lock);
    ex->closing = 1;
    pthread_cond_signal(&ex->work);
    pthread_mutex_unlock(&ex->lock);
    pthread_join(ex->thread, NULL);
    cpu_event_unref(ex->last);
    pthread_cond_destroy(&ex->work);
    pthread_mutex_destroy(&ex->lock);
    free(ex);
}

int32_t cpu_executor_threads(const struct cpu_executor *ex) {
    return ex->threads;
}

struct meter *cpu_executor_meter(struct cpu_executor *ex) {
    return &ex->meter;
}

enum hf_status cpu_executor_submit(struct cpu_executor *ex,
                                   enum hf_status (*fn)(void *arg, struct hf_error *e), void *arg,
                                   struct hf_event **ret_event, struct hf_error *e) {
    struct job *j = malloc(sizeof *j);
    struct hf_event *ev = event_new(ret_event ? 3 : 2); /* the job's, `last`'s and the caller's */
    if (!j || !ev) {
        free(j);
        if (ev) {
            atomic_store(&ev->refs, 1);
            cpu_event_unref(ev);
        }
        return hf_fail(e, HF_NO_MEMORY, "CPU executor: out of memory");
    }
    *j = (struct job){.fn = fn, .arg = arg, .event = ev};
    pthread_mutex_lock(&ex->lock);
    struct hf_event *before = ex->last;
    ex->last = ev;
    if (ex->tail)
        ex->tail->next = j;
    else
        ex->head = j;
    ex->tail = j;
    pthread_cond_signal(&ex->work);
    pthread_mutex_unlock(&ex->lock);
    cpu_event_unref(before);
    if (ret_event)
        *ret_event = ev;
    return HF_OK;
}

enum hf_status cpu_executor_call(struct cpu_executor *ex,
                                 enum hf_status (*fn)(void *arg, struct hf_error *e), void *arg,
                                 struct hf_error *e) {
    struct hf_event *ev;
    enum hf_status s = cpu_executor_submit(ex, fn, arg, &ev, e);
    if (s != HF_OK)
        return s;
    s = cpu_event_sync(ev, e);
    cpu_event_unref(ev);
    return s;
}

struct hf_event *cpu_executor_record(struct cpu_executor *ex) {
    pthread_mutex_lock(&ex->lock);
    struct hf_event *ev = ex->last;
    if (ev)
        cpu_event_ref(ev);
    pthread_mutex_unlock(&ex->lock);
    if (cpu_event_is_done(ev) && cpu_event_sync(ev, NULL) == HF_OK) {
        cpu_event_unref(ev);
        return NULL;
    }
    return ev;
}
