/*
 * queue.c - queues and events: a stream each, and CUDA's events from a pool, counted.
 */
#include "state.h"

#include <stdlib.h>

/* ---- events ---- */

static enum hf_status event_new(struct cuda *c, struct hf_event **ret, struct hf_error *e) {
    pthread_mutex_lock(&c->lock);
    struct hf_event *ev = c->events;
    if (ev)
        c->events = ev->following;
    pthread_mutex_unlock(&c->lock);
    if (!ev) {
        ev = calloc(1, sizeof *ev);
        if (!ev)
            return hf_fail(e, HF_NO_MEMORY, "cuda: no memory for an event");
        enum hf_status st = cuda_check(
            cudaEventCreateWithFlags(&ev->cuda, cudaEventDisableTiming | cudaEventBlockingSync),
            "making an event", e);
        if (st != HF_OK) {
            free(ev);
            return st;
        }
    }
    atomic_init(&ev->refs, 1);
    *ret = ev;
    return HF_OK;
}

void cuda_event_ref(struct hf_device *d, struct hf_event *ev) {
    (void)d;
    (void)atomic_fetch_add_explicit(&ev->refs, 1, memory_order_relaxed);
}

/* Who waits on the GPU waits for the recording that there was; recording again changes nothing. */
void cuda_event_unref(struct hf_device *d, struct hf_event *ev) {
    struct cuda *c = cuda_of(d);
    if (!ev || atomic_fetch_sub_explicit(&ev->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_lock(&c->lock);
    ev->following = c->events;
    c->events = ev;
    pthread_mutex_unlock(&c->lock);
}

void cuda_events_close(struct cuda *c) {
    while (c->events) {
        struct hf_event *ev = c->events;
        c->events = ev->following;
        (void)cudaEventDestroy(ev->cuda);
        free(ev);
    }
}

enum hf_status cuda_sync(struct hf_device *d, struct hf_event *ev, struct hf_error *e) {
    int was = cuda_enter(d);
    cudaError_t error = cudaEventSynchronize(ev->cuda);
    enum hf_status st = HF_OK;
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        st = hf_fail(e, HF_IO,
                     "cuda: something that the GPU was given earlier failed: %s; with "
                     "CUDA_LAUNCH_BLOCKING=1 in the environment the message names it",
                     cudaGetErrorString(error));
    }
    cuda_leave(d, was);
    return st;
}

/* ---- queues ---- */

cudaStream_t cuda_queue_stream(struct hf_queue *q) {
    return q->stream;
}

void cuda_queue_used(struct hf_queue *q) {
    (void)atomic_fetch_add_explicit(&q->work, 1, memory_order_release);
}

static void queue_end(struct hf_queue *q) {
    if (q->mark)
        cuda_event_unref(&q->cuda->pub, q->mark);
    if (q->passed)
        (void)cudaEventDestroy(q->passed);
    if (q->stream)
        (void)cudaStreamDestroy(q->stream);
    free(q);
}

enum hf_status cuda_queue_new(struct hf_device *d, struct hf_queue **ret, struct hf_error *e) {
    struct cuda *c = cuda_of(d);
    struct hf_queue *q = calloc(1, sizeof *q);
    if (!q)
        return hf_fail(e, HF_NO_MEMORY, "cuda: no memory for a queue");
    q->cuda = c;
    atomic_init(&q->work, 0);
    int was = cuda_enter(d);
    enum hf_status st = cuda_check(cudaStreamCreateWithFlags(&q->stream, cudaStreamNonBlocking),
                                   "making a stream", e);
    if (st == HF_OK)
        st = cuda_check(cudaEventCreateWithFlags(&q->passed, cudaEventDisableTiming),
                        "making an event", e);
    if (st == HF_OK) {
        pthread_mutex_lock(&c->lock);
        q->serial = ++c->serials;
        q->following = c->queues;
        c->queues = q;
        pthread_mutex_unlock(&c->lock);
        *ret = q;
    } else {
        queue_end(q);
    }
    cuda_leave(d, was);
    return st;
}

/* Its work goes on: what is given back from now on waits for it all the same. */
void cuda_queue_free(struct hf_device *d, struct hf_queue *q) {
    struct cuda *c = cuda_of(d);
    if (!q)
        return;
    int was = cuda_enter(d);
    pthread_mutex_lock(&c->lock);
    struct hf_queue **at = &c->queues;
    while (*at != q)
        at = &(*at)->following;
    *at = q->following;
    if (cudaEventRecord(q->passed, q->stream) == cudaSuccess)
        (void)cudaStreamWaitEvent(c->release, q->passed, 0);
    (void)cudaGetLastError();
    pthread_mutex_unlock(&c->lock);
    queue_end(q);
    cuda_leave(d, was);
}

/* Scratch is taken and given back in the stream's order: no other queue sees it. */
enum hf_status cuda_launch(struct hf_device *d, struct hf_queue *q, const struct hf_op *op,
                           const struct hf_op_call *call, struct hf_error *e) {
    size_t bytes = op->scratch ? op->scratch(call) : 0;
    void *scratch = NULL;
    if (bytes > 0) {
        enum hf_status st = cuda_alloc(d, q, bytes, &scratch, e);
        if (st != HF_OK)
            return st;
    }
    int was = cuda_enter(d);
    (void)cudaGetLastError(); /* what others left in this thread is not the op's fault */
    enum hf_status st = op->launch(call, scratch, q->stream, e);
    if (scratch) {
        cudaError_t error = cudaFreeAsync(scratch, q->stream);
        meter_take(&q->cuda->meter, bytes);
        if (st == HF_OK)
            st = cuda_check(error, "releasing an op's scratch", e);
    }
    cuda_queue_used(q);
    cuda_leave(d, was);
    return st;
}

/* Nothing new: the last event says it, or that all is done. */
static bool same_as_before(struct hf_queue *q, uint64_t work, struct hf_event **ret) {
    if (work == 0) {
        *ret = NULL;
        return true;
    }
    if (!q->mark || q->marked != work)
        return false;
    if (cudaEventQuery(q->mark->cuda) == cudaSuccess) {
        *ret = NULL;
        return true;
    }
    (void)cudaGetLastError();
    cuda_event_ref(NULL, q->mark);
    *ret = q->mark;
    return true;
}

enum hf_status cuda_record(struct hf_device *d, struct hf_queue *q, struct hf_event **ret,
                           struct hf_error *e) {
    struct cuda *c = cuda_of(d);
    uint64_t work = atomic_load_explicit(&q->work, memory_order_relaxed);
    struct hf_event *ev = NULL;
    enum hf_status st = HF_OK;
    int was = cuda_enter(d);
    if (!same_as_before(q, work, ret)) {
        st = event_new(c, &ev, e);
        if (st == HF_OK)
            st = cuda_check(cudaEventRecord(ev->cuda, q->stream), "recording an event", e);
        if (st == HF_OK) {
            if (q->mark)
                cuda_event_unref(d, q->mark);
            ev->queue = q->serial;
            q->mark = ev;
            q->marked = work;
            cuda_event_ref(d, ev);
            *ret = ev;
        } else {
            cuda_event_unref(d, ev);
        }
    }
    cuda_leave(d, was);
    return st;
}

enum hf_status cuda_wait(struct hf_device *d, struct hf_queue *q, struct hf_event *ev,
                         struct hf_error *e) {
    if (ev->queue == q->serial)
        return HF_OK; /* what comes later in the queue comes later */
    int was = cuda_enter(d);
    enum hf_status st =
        cuda_check(cudaStreamWaitEvent(q->stream, ev->cuda, 0), "waiting for an event", e);
    cuda_queue_used(q);
    cuda_leave(d, was);
    return st;
}
