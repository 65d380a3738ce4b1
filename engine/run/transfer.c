/*
 * transfer.c - what copies between host and device need besides the device: queues for those who
 * read from it, so that none waits behind another; sources that a copy may still be reading; and
 * the locks under which a field gets one copy for all.
 */
#include "run.h"

#include <stdlib.h>

#define LOCKS        32
#define LINGER       256
#define LINGER_BYTES ((size_t)512 << 20)

struct waiting {
    struct hf_tensor *source;
    struct hf_device *device;
    struct hf_event *event;
};

struct spare {
    struct spare *following;
    struct hf_queue *queue;
};

struct transfer {
    pthread_mutex_t lock; /* of all below but `tensor`; a leaf */
    struct hf_device *device;
    struct spare *free, *unused; /* queues nobody uses; entries without a queue */
    struct waiting list[LINGER]; /* ring */
    int first, count;
    size_t bytes;
    pthread_mutex_t tensor[LOCKS];
};

struct transfer *transfer_new(void) {
    struct transfer *tr = calloc(1, sizeof *tr);
    if (!tr)
        return NULL;
    pthread_mutex_init(&tr->lock, NULL);
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&tr->tensor[i], NULL);
    return tr;
}

static pthread_mutex_t *lock_of(struct transfer *tr, const struct tensor *t) {
    return &tr->tensor[((uintptr_t)t >> 6) * 2654435761u / 65536 % LOCKS];
}

void transfer_lock(struct transfer *tr, const struct tensor *t) {
    pthread_mutex_lock(lock_of(tr, t));
}

void transfer_unlock(struct transfer *tr, const struct tensor *t) {
    pthread_mutex_unlock(lock_of(tr, t));
}

/* ---- queues ---- */

static void push(struct spare **list, struct spare *one) {
    one->following = *list;
    *list = one;
}

static struct spare *pop(struct spare **list) {
    struct spare *one = *list;
    if (one)
        *list = one->following;
    return one;
}

enum hf_status transfer_take_queue(struct transfer *tr, struct hf_device *d, struct hf_queue **ret,
                                   struct hf_error *e) {
    enum hf_status st = HF_OK;
    pthread_mutex_lock(&tr->lock);
    if (tr->device && tr->device != d)
        st = hf_fail(e, HF_UNSUPPORTED, "a run copies from one device only");
    struct spare *one = st == HF_OK ? pop(&tr->free) : NULL;
    if (one) {
        *ret = one->queue;
        push(&tr->unused, one);
    } else if (st == HF_OK) {
        /* Its place in the list is made now, so that to give it back cannot fail. */
        one = calloc(1, sizeof *one);
        st = one ? d->methods->queue_new(d, ret, e) : hf_fail(e, HF_NO_MEMORY, "no memory to copy");
        if (st == HF_OK) {
            tr->device = d;
            push(&tr->unused, one);
        } else {
            free(one);
        }
    }
    pthread_mutex_unlock(&tr->lock);
    return st;
}

void transfer_give_queue(struct transfer *tr, struct hf_queue *q) {
    pthread_mutex_lock(&tr->lock);
    struct spare *one = pop(&tr->unused);
    one->queue = q;
    push(&tr->free, one);
    pthread_mutex_unlock(&tr->lock);
}

/* ---- sources ---- */

static void let_go(struct waiting w) {
    (void)w.device->methods->sync(w.device, w.event, NULL);
    w.device->methods->event_unref(w.device, w.event);
    tensor_unref(w.source);
}

/* Takes the oldest from the list; the lock is held. */
static struct waiting take_oldest(struct transfer *tr) {
    struct waiting w = tr->list[tr->first];
    tr->first = (tr->first + 1) % LINGER;
    tr->count--;
    tr->bytes -= w.source->bytes;
    return w;
}

void transfer_linger(struct transfer *tr, struct hf_tensor *source, struct hf_device *d,
                     struct hf_event *ev) {
    d->methods->event_ref(d, ev);
    struct waiting last = {source, d, ev};
    bool more = true;
    while (more) {
        struct waiting old = {0};
        pthread_mutex_lock(&tr->lock);
        more = tr->count == LINGER || (tr->count > 0 && tr->bytes + source->bytes > LINGER_BYTES);
        if (more) {
            old = take_oldest(tr);
        } else {
            tr->list[(tr->first + tr->count++) % LINGER] = last;
            tr->bytes += source->bytes;
        }
        pthread_mutex_unlock(&tr->lock);
        if (more)
            let_go(old);
    }
}

/* ---- the end ---- */

void transfer_release(struct transfer *tr) {
    struct spare *one;
    while (tr->count > 0)
        let_go(take_oldest(tr));
    while ((one = pop(&tr->free))) {
        tr->device->methods->queue_free(tr->device, one->queue);
        free(one);
    }
    while ((one = pop(&tr->unused)))
        free(one);
    tr->device = NULL;
}

void transfer_free(struct transfer *tr) {
    transfer_release(tr);
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&tr->tensor[i]);
    pthread_mutex_destroy(&tr->lock);
    free(tr);
}
