/*
 * mock - a device for tests that makes every missing wait visible.
 *
 * Its memory is the host's, but the engine may not know (host_memory = 0). Each queue is a thread
 * that works through its list in order, with a pause before every operation. Memory is filled with
 * 0xA5 when it is handed out and when it is given back, so whoever reads before the event, or
 * after the end, reads poison. Ops are the CPU's; networks run on the host's CPU device.
 */
#include "mock.h"

#include "../../plugins/nn/meter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define POISON     0xA5
#define QUARANTINE 64 /* blocks that stay readable, and poisoned, after they were given back */
#define PAUSE_NS   4000000
#define OWNED      1024

struct hf_event {
    atomic_int refs;
    pthread_mutex_t lock;
    pthread_cond_t happened;
    bool done;
    int serial;
    struct hf_error error; /* of the operation that failed before it; text "" if none did */
};

struct work {
    struct work *following;
    enum hf_status (*run)(struct work *w, struct hf_error *e);
    bool pause;
    struct hf_event *event; /* WAIT, RECORD */
    void *dst;
    const void *src;
    size_t bytes;
    const struct hf_op *op;
    struct hf_op_call call;
    struct hf_tensor tensor[2 * HF_OP_MAX_TENSORS]; /* copies: the caller's may be gone by then */
    struct network *network;
    float rate;
    int step; /* 0 forward, 1 step, 2 evaluate */
    struct block *block;
    char params[];
};

struct hf_queue {
    struct hf_queue *following;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct work *first, **last;
    bool quit;
    struct hf_error error; /* the first failure: what comes after it fails alike */
};

/* Memory that was given back and waits for every queue to pass this point. */
struct block {
    struct mock *mock;
    atomic_int queues;
    void *data;
    size_t bytes;
};

struct mock {
    struct hf_device pub;
    const struct hf_host *host;
    struct meter meter;
    pthread_mutex_t lock;
    struct hf_queue *queues;
    struct {
        unsigned char *data;
        size_t bytes;
    } old[QUARANTINE];
    int oldest;
    const void *owned[OWNED];
};

struct network {
    struct hf_executable pub;
    struct mock *mock;
    struct hf_queue *queue;
    struct hf_executable *cpu;
};

/* What the tests look at; on purpose the one thing besides the descriptor that is exported. */
extern HF_EXPORT struct mock_trace mock_trace;
struct mock_trace mock_trace;

static void trace(enum mock_what what, const struct hf_queue *q, const struct hf_event *ev,
                  const char *op, size_t bytes) {
    int i = atomic_fetch_add(&mock_trace.count, 1);
    if (i < MOCK_TRACE)
        mock_trace.entry[i] = (struct mock_entry){what, q, ev ? ev->serial : 0, op, bytes};
}

static struct mock *mock_of(struct hf_device *d) {
    return (struct mock *)d;
}

static struct hf_device *cpu_of(const struct mock *m) {
    return m->host->host_device(m->host);
}

/* ---- events ---- */

static struct hf_event *event_new(int refs) {
    struct hf_event *ev = calloc(1, sizeof *ev);
    if (ev) {
        atomic_init(&ev->refs, refs);
        ev->serial = atomic_fetch_add(&mock_trace.events, 1) + 1;
        pthread_mutex_init(&ev->lock, NULL);
        pthread_cond_init(&ev->happened, NULL);
    }
    return ev;
}

static void mock_event_ref(struct hf_device *d, struct hf_event *ev) {
    (void)d;
    (void)atomic_fetch_add(&ev->refs, 1);
}

static void mock_event_unref(struct hf_device *d, struct hf_event *ev) {
    (void)d;
    if (atomic_fetch_sub(&ev->refs, 1) != 1)
        return;
    pthread_cond_destroy(&ev->happened);
    pthread_mutex_destroy(&ev->lock);
    free(ev);
}

static enum hf_status wait_for(struct hf_event *ev, struct hf_error *e) {
    pthread_mutex_lock(&ev->lock);
    while (!ev->done)
        pthread_cond_wait(&ev->happened, &ev->lock);
    enum hf_status st = HF_OK;
    if (ev->error.text[0])
        st = hf_fail(e, ev->error.status, "%s", ev->error.text);
    pthread_mutex_unlock(&ev->lock);
    return st;
}

static enum hf_status mock_sync(struct hf_device *d, struct hf_event *ev, struct hf_error *e) {
    (void)d;
    trace(MOCK_SYNC, NULL, ev, NULL, 0);
    return wait_for(ev, e);
}

/* ---- memory ---- */

/* Which blocks are out, so that the way of a copy can be told. */
static void own(struct mock *m, const void *data) {
    pthread_mutex_lock(&m->lock);
    for (int i = 0; i < OWNED; i++)
        if (!m->owned[i]) {
            m->owned[i] = data;
            break;
        }
    pthread_mutex_unlock(&m->lock);
}

static void disown(struct mock *m, const void *data) {
    pthread_mutex_lock(&m->lock);
    for (int i = 0; i < OWNED; i++)
        if (m->owned[i] == data)
            m->owned[i] = NULL;
    pthread_mutex_unlock(&m->lock);
}

static bool owns(struct mock *m, const void *data) {
    bool found = false;
    pthread_mutex_lock(&m->lock);
    for (int i = 0; i < OWNED; i++)
        found = found || m->owned[i] == data;
    pthread_mutex_unlock(&m->lock);
    return found;
}

static enum hf_status mock_alloc(struct hf_device *d, struct hf_queue *q, size_t bytes, void **ret,
                                 struct hf_error *e) {
    (void)q;
    void *data = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (!data)
        return hf_fail(e, HF_NO_MEMORY, "no memory for %zu bytes", bytes);
    memset(data, POISON, bytes);
    own(mock_of(d), data);
    meter_add(&mock_of(d)->meter, bytes);
    *ret = data;
    return HF_OK;
}

static void bury(struct block *b) {
    struct mock *m = b->mock;
    memset(b->data, POISON, b->bytes);
    pthread_mutex_lock(&m->lock);
    free(m->old[m->oldest].data);
    m->old[m->oldest].data = b->data;
    m->old[m->oldest].bytes = b->bytes;
    m->oldest = (m->oldest + 1) % QUARANTINE;
    pthread_mutex_unlock(&m->lock);
    free(b);
}

static enum hf_status pass_block(struct work *w, struct hf_error *e) {
    (void)e;
    if (atomic_fetch_sub(&w->block->queues, 1) == 1)
        bury(w->block);
    return HF_OK;
}

/* ---- queues ---- */

static void push(struct hf_queue *q, struct work *w) {
    pthread_mutex_lock(&q->lock);
    *q->last = w;
    q->last = &w->following;
    pthread_cond_signal(&q->more);
    pthread_mutex_unlock(&q->lock);
}

static void pause_a_while(void) {
    struct timespec t = {0, PAUSE_NS};
    (void)nanosleep(&t, NULL);
}

static void *queue_main(void *arg) {
    struct hf_queue *q = arg;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (!q->first && !q->quit)
            pthread_cond_wait(&q->more, &q->lock);
        struct work *w = q->first;
        if (!w)
            break;
        q->first = w->following;
        if (!q->first)
            q->last = &q->first;
        pthread_mutex_unlock(&q->lock);
        if (w->pause)
            pause_a_while();
        struct hf_error e = q->error;
        enum hf_status st = w->run(w, &e);
        if (st != HF_OK && !q->error.text[0])
            q->error = e;
        free(w);
        pthread_mutex_lock(&q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static enum hf_status mock_queue_new(struct hf_device *d, struct hf_queue **ret,
                                     struct hf_error *e) {
    struct mock *m = mock_of(d);
    struct hf_queue *q = calloc(1, sizeof *q);
    if (!q)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a queue");
    q->last = &q->first;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->more, NULL);
    if (pthread_create(&q->thread, NULL, queue_main, q) != 0) {
        free(q);
        return hf_fail(e, HF_NO_MEMORY, "no thread for a queue");
    }
    pthread_mutex_lock(&m->lock);
    q->following = m->queues;
    m->queues = q;
    pthread_mutex_unlock(&m->lock);
    *ret = q;
    return HF_OK;
}

static void mock_queue_free(struct hf_device *d, struct hf_queue *q) {
    struct mock *m = mock_of(d);
    pthread_mutex_lock(&m->lock);
    struct hf_queue **at = &m->queues;
    while (*at != q)
        at = &(*at)->following;
    *at = q->following;
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_lock(&q->lock);
    q->quit = true;
    pthread_cond_signal(&q->more);
    pthread_mutex_unlock(&q->lock);
    (void)pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->more);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static struct work *work_new(enum hf_status (*run)(struct work *, struct hf_error *), size_t params,
                             struct hf_error *e) {
    struct work *w = calloc(1, sizeof *w + params);
    if (w)
        w->run = run;
    else
        (void)hf_fail(e, HF_NO_MEMORY, "no memory for an operation");
    return w;
}

static void mock_free(struct hf_device *d, void *data, size_t bytes, struct hf_event *after) {
    struct mock *m = mock_of(d);
    struct block *b = calloc(1, sizeof *b);
    disown(m, data);
    meter_take(&m->meter, bytes);
    if (!b)
        return; /* a leak, in a test without memory */
    if (after)
        (void)wait_for(after, NULL);
    *b = (struct block){.mock = m, .data = data, .bytes = bytes};
    atomic_init(&b->queues, 1);
    pthread_mutex_lock(&m->lock);
    for (struct hf_queue *q = m->queues; q; q = q->following) {
        struct work *w = work_new(pass_block, 0, NULL);
        if (!w)
            continue;
        w->block = b;
        (void)atomic_fetch_add(&b->queues, 1);
        push(q, w);
    }
    pthread_mutex_unlock(&m->lock);
    if (atomic_fetch_sub(&b->queues, 1) == 1)
        bury(b);
}

static enum hf_status run_op(struct work *w, struct hf_error *e) {
    size_t bytes = w->op->scratch ? w->op->scratch(&w->call) : 0;
    void *scratch = bytes ? aligned_alloc(64, (bytes + 63) & ~(size_t)63) : NULL;
    if (bytes && !scratch)
        return hf_fail(e, HF_NO_MEMORY, "no memory for op '%s'", w->op->name);
    if (scratch)
        memset(scratch, POISON, bytes);
    enum hf_status st = w->op->launch(&w->call, scratch, NULL, e);
    free(scratch);
    return st;
}

/* A copy of the tensor that lives as long as the work. */
static struct hf_tensor *copy_of(struct work *w, int i, const struct hf_tensor *t) {
    if (!t)
        return NULL;
    w->tensor[i] = *t;
    w->tensor[i].dl.shape = w->tensor[i].shape;
    w->tensor[i].ready = NULL;
    return &w->tensor[i];
}

static enum hf_status mock_launch(struct hf_device *d, struct hf_queue *q, const struct hf_op *op,
                                  const struct hf_op_call *call, struct hf_error *e) {
    (void)d;
    struct work *w = work_new(run_op, call->params_size, e);
    if (!w)
        return HF_NO_MEMORY;
    w->pause = true;
    w->op = op;
    w->call = *call;
    if (call->params_size)
        w->call.params = memcpy(w->params, call->params, call->params_size);
    for (int32_t i = 0; i < call->inputs; i++)
        w->call.in[i] = copy_of(w, i, call->in[i]);
    for (int32_t i = 0; i < call->outputs; i++)
        w->call.out[i] = copy_of(w, HF_OP_MAX_TENSORS + i, call->out[i]);
    trace(MOCK_LAUNCH, q, NULL, op->name, 0);
    push(q, w);
    return HF_OK;
}

static enum hf_status run_copy(struct work *w, struct hf_error *e) {
    (void)e;
    memcpy(w->dst, w->src, w->bytes);
    return HF_OK;
}

static enum hf_status mock_copy(struct hf_device *d, struct hf_queue *q, void *dst, const void *src,
                                size_t bytes, struct hf_error *e) {
    struct work *w = work_new(run_copy, 0, e);
    if (!w)
        return HF_NO_MEMORY;
    trace(owns(mock_of(d), dst) ? MOCK_COPY_IN : MOCK_COPY_OUT, q, NULL, NULL, bytes);
    w->pause = true;
    w->dst = dst;
    w->src = src;
    w->bytes = bytes;
    push(q, w);
    return HF_OK;
}

static enum hf_status run_record(struct work *w, struct hf_error *e) {
    pthread_mutex_lock(&w->event->lock);
    w->event->error = *e; /* of the queue so far */
    w->event->done = true;
    pthread_cond_broadcast(&w->event->happened);
    pthread_mutex_unlock(&w->event->lock);
    mock_event_unref(NULL, w->event);
    return HF_OK;
}

static enum hf_status mock_record(struct hf_device *d, struct hf_queue *q, struct hf_event **ret,
                                  struct hf_error *e) {
    (void)d;
    struct work *w = work_new(run_record, 0, e);
    struct hf_event *ev = w ? event_new(2) : NULL;
    if (!ev) {
        free(w);
        return hf_fail(e, HF_NO_MEMORY, "no memory for an event");
    }
    w->event = ev;
    trace(MOCK_RECORD, q, ev, NULL, 0);
    push(q, w);
    *ret = ev;
    return HF_OK;
}

static enum hf_status run_wait(struct work *w, struct hf_error *e) {
    enum hf_status st = wait_for(w->event, e);
    mock_event_unref(NULL, w->event);
    return st;
}

static enum hf_status mock_wait(struct hf_device *d, struct hf_queue *q, struct hf_event *ev,
                                struct hf_error *e) {
    struct work *w = work_new(run_wait, 0, e);
    if (!w)
        return HF_NO_MEMORY;
    mock_event_ref(d, ev);
    w->event = ev;
    trace(MOCK_WAIT, q, ev, NULL, 0);
    push(q, w);
    return HF_OK;
}

/* ---- networks ---- */

static enum hf_status run_network(struct work *w, struct hf_error *e) {
    struct network *n = w->network;
    const struct hf_executable_methods *x = n->cpu->methods;
    struct hf_tensor *in = &w->tensor[0], *target = &w->tensor[1], *out = &w->tensor[3];
    const struct hf_tensor *weight = w->tensor[2].dl.data ? &w->tensor[2] : NULL;
    enum hf_status st;
    if (w->step == 0)
        st = x->forward(n->cpu, in, out, e);
    else if (w->step == 1)
        st = x->step(n->cpu, in, target, weight, w->rate, out, e);
    else
        st = x->evaluate(n->cpu, in, target, weight, out, e);
    if (st == HF_OK && out->ready) {
        st = cpu_of(n->mock)->methods->sync(cpu_of(n->mock), out->ready, e);
        cpu_of(n->mock)->methods->event_unref(cpu_of(n->mock), out->ready);
    }
    return st;
}

static enum hf_status enqueue(struct hf_executable *x, int step, const struct hf_tensor *in,
                              const struct hf_tensor *target, const struct hf_tensor *weight,
                              float rate, struct hf_tensor *out, struct hf_error *e) {
    struct network *n = (struct network *)x;
    struct hf_device *d = &n->mock->pub;
    const struct hf_tensor *all[4] = {in, target, weight, out};
    for (int i = 0; i < 4; i++)
        if (all[i] && all[i]->ready) {
            enum hf_status st = mock_wait(d, n->queue, all[i]->ready, e);
            if (st != HF_OK)
                return st;
        }
    struct work *w = work_new(run_network, 0, e);
    if (!w)
        return HF_NO_MEMORY;
    w->pause = true;
    w->network = n;
    w->step = step;
    w->rate = rate;
    for (int i = 0; i < 4; i++)
        (void)copy_of(w, i, all[i]);
    trace(MOCK_NETWORK, n->queue, NULL, step == 0 ? "forward" : step == 1 ? "step" : "evaluate", 0);
    push(n->queue, w);
    struct hf_event *ev = NULL;
    enum hf_status st = mock_record(d, n->queue, &ev, e);
    if (st == HF_OK) {
        if (out->ready)
            mock_event_unref(d, out->ready);
        out->ready = ev;
    }
    return st;
}

static enum hf_status net_forward(struct hf_executable *x, const struct hf_tensor *in,
                                  struct hf_tensor *out, struct hf_error *e) {
    return enqueue(x, 0, in, NULL, NULL, 0, out, e);
}

static enum hf_status net_step(struct hf_executable *x, const struct hf_tensor *in,
                               const struct hf_tensor *target, const struct hf_tensor *weight,
                               float rate, struct hf_tensor *loss, struct hf_error *e) {
    return enqueue(x, 1, in, target, weight, rate, loss, e);
}

static enum hf_status net_evaluate(struct hf_executable *x, const struct hf_tensor *in,
                                   const struct hf_tensor *target, const struct hf_tensor *weight,
                                   struct hf_tensor *loss, struct hf_error *e) {
    return enqueue(x, 2, in, target, weight, 0, loss, e);
}

/* What goes through host memory waits for the queue. */
static enum hf_status drain(struct network *n, struct hf_error *e) {
    struct hf_event *ev = NULL;
    enum hf_status st = mock_record(&n->mock->pub, n->queue, &ev, e);
    if (st == HF_OK) {
        st = mock_sync(&n->mock->pub, ev, e);
        mock_event_unref(&n->mock->pub, ev);
    }
    return st;
}

static enum hf_status net_set_params(struct hf_executable *x, const float *p, struct hf_error *e) {
    struct network *n = (struct network *)x;
    enum hf_status st = drain(n, e);
    return st == HF_OK ? n->cpu->methods->set_params(n->cpu, p, e) : st;
}

static enum hf_status net_get_params(struct hf_executable *x, float *p, struct hf_error *e) {
    struct network *n = (struct network *)x;
    enum hf_status st = drain(n, e);
    return st == HF_OK ? n->cpu->methods->get_params(n->cpu, p, e) : st;
}

static enum hf_status net_get_gradients(struct hf_executable *x, float *g, struct hf_error *e) {
    struct network *n = (struct network *)x;
    enum hf_status st = drain(n, e);
    return st == HF_OK ? n->cpu->methods->get_gradients(n->cpu, g, e) : st;
}

static enum hf_status net_get_average(struct hf_executable *x, float *p, struct hf_error *e) {
    struct network *n = (struct network *)x;
    enum hf_status st = drain(n, e);
    return st == HF_OK ? n->cpu->methods->get_average(n->cpu, p, e) : st;
}

static enum hf_status net_reset(struct hf_executable *x, struct hf_error *e) {
    struct network *n = (struct network *)x;
    enum hf_status st = drain(n, e);
    return st == HF_OK ? n->cpu->methods->reset(n->cpu, e) : st;
}

static void net_memory(const struct hf_executable *x, size_t *ret_arena, size_t *ret_total) {
    const struct network *n = (const struct network *)x;
    n->cpu->methods->memory(n->cpu, ret_arena, ret_total);
}

static void net_destroy(struct hf_executable *x) {
    struct network *n = (struct network *)x;
    (void)drain(n, NULL);
    n->cpu->methods->destroy(n->cpu);
    free(n);
}

static const struct hf_executable_methods net_methods = {
    .size = sizeof(struct hf_executable_methods),
    .destroy = net_destroy,
    .set_params = net_set_params,
    .get_params = net_get_params,
    .forward = net_forward,
    .step = net_step,
    .evaluate = net_evaluate,
    .get_gradients = net_get_gradients,
    .memory = net_memory,
    .get_average = net_get_average,
    .reset = net_reset,
};

static enum hf_status mock_compile(struct hf_device *d, struct hf_queue *q,
                                   const struct hf_net *net, const struct hf_exec_spec *spec,
                                   struct hf_executable **ret, struct hf_error *e) {
    struct mock *m = mock_of(d);
    struct network *n = calloc(1, sizeof *n);
    if (!n)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a network");
    *n = (struct network){{&net_methods}, m, q, NULL};
    enum hf_status st = cpu_of(m)->methods->compile(cpu_of(m), NULL, net, spec, &n->cpu, e);
    if (st != HF_OK) {
        free(n);
        return st;
    }
    *ret = &n->pub;
    return HF_OK;
}

/* ---- the device ---- */

static const char *mock_describe(struct hf_device *d) {
    (void)d;
    return "mock";
}

static void mock_memory(struct hf_device *d, int32_t anew, size_t *ret_now, size_t *ret_peak) {
    meter_read(&mock_of(d)->meter, anew, ret_now, ret_peak);
}

static void mock_destroy(struct hf_device *d) {
    struct mock *m = mock_of(d);
    for (int i = 0; i < QUARANTINE; i++)
        free(m->old[i].data);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct hf_device_methods methods = {
    .size = sizeof(struct hf_device_methods),
    .destroy = mock_destroy,
    .alloc = mock_alloc,
    .free = mock_free,
    .queue_new = mock_queue_new,
    .queue_free = mock_queue_free,
    .launch = mock_launch,
    .copy = mock_copy,
    .record = mock_record,
    .wait = mock_wait,
    .sync = mock_sync,
    .event_ref = mock_event_ref,
    .event_unref = mock_event_unref,
    .compile = mock_compile,
    .describe = mock_describe,
    .memory = mock_memory,
};

static enum hf_status mock_open(const struct hf_device_options *options, struct hf_device **ret,
                                struct hf_error *e) {
    struct mock *m = calloc(1, sizeof *m);
    if (!m)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the mock device");
    m->pub = (struct hf_device){&methods, HF_KIND_MOCK, 0, 0, HF_KIND_CPU};
    m->host = options->host;
    pthread_mutex_init(&m->lock, NULL);
    *ret = &m->pub;
    return HF_OK;
}

static const struct hf_device_class mock_class = {
    .name = "mock",
    .help = "Delays every operation and poisons memory, for tests.",
    .kind = HF_KIND_MOCK,
    .op_kind = HF_KIND_CPU,
    .priority = -1,
    .precisions = 1u << HF_PRECISION_AUTO | 1u << HF_PRECISION_F32,
    .open = mock_open,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "mock",
    .version = "0.1.0",
    .devices = (const struct hf_device_class *const[]){&mock_class, NULL},
};
