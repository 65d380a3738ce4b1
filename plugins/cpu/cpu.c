/*
 * cpu - the CPU as a device: pooled host memory, ops inline in the calling thread, networks on the
 * executor's thread (nn/).
 *
 * A queue orders nothing by itself, since ops have run when `launch` returns; `wait` blocks the
 * caller until a network's event has happened. What a network leaves pending carries its own event.
 */
#include <hepaflow/plugin.h>

#include <pthread.h>
#include <stdlib.h>

#include "meter.h"
#include "nn.h"
#include "ops.h"

/* ---- pooled memory ---- */

#define ALIGNMENT 64
/* Eight sizes to an octave, so that at most an eighth of a block is waste. */
#define STEPS       8
#define CLASSES     (64 * STEPS)
#define CACHE_LIMIT ((size_t)256 << 20)

/* The address sanitizer finds a use after free only in memory that is really freed. */
#if defined(__SANITIZE_ADDRESS__)
#define POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLED 0
#endif
#endif
#ifndef POOLED
#define POOLED 1
#endif

struct block {
    struct block *following;
};

struct pool {
    pthread_mutex_t lock;
    struct block *unused[CLASSES];
    size_t cached, lent;
    size_t most; /* lent at once; what is kept unused may not lead beyond it */
};

/* The class of a request, and its size: the next step of its octave. */
static int class_of(size_t bytes, size_t *ret_size) {
    size_t n = bytes < ALIGNMENT * STEPS ? ALIGNMENT * STEPS : bytes;
    int octave = 63 - __builtin_clzll((unsigned long long)n);
    size_t step = ((size_t)1 << octave) / STEPS;
    size_t steps = (n + step - 1) / step; /* STEPS to 2 STEPS */
    if (bytes < n) {                      /* small ones: whole multiples of the alignment */
        steps = (bytes + ALIGNMENT - 1) / ALIGNMENT;
        *ret_size = steps * ALIGNMENT;
        return (int)steps;
    }
    *ret_size = steps * step;
    return octave * STEPS + (int)(steps - STEPS);
}

static size_t size_of(int class) {
    size_t step = ((size_t)1 << class / STEPS) / STEPS;
    return class <= STEPS ? (size_t) class * ALIGNMENT : (size_t)(STEPS + class % STEPS) * step;
}

/* Takes unused blocks out, the largest first, until `size` more bytes lead no higher than what was
 * lent at once before: cases of ever other sizes must not fill the cache with blocks that nobody
 * comes back for. The lock is held; the list is for free_list without it. */
static struct block *make_room(struct pool *p, size_t size) {
    struct block *list = NULL;
    for (int i = CLASSES - 1; i >= 0 && p->cached > 0 && p->lent + p->cached + size > p->most; i--)
        while (p->unused[i] && p->lent + p->cached + size > p->most) {
            struct block *b = p->unused[i];
            p->unused[i] = b->following;
            p->cached -= size_of(i);
            b->following = list;
            list = b;
        }
    return list;
}

static void free_list(struct block *list) {
    while (list) {
        struct block *b = list;
        list = b->following;
        free(b);
    }
}

static void *pool_take(struct pool *p, size_t bytes) {
    struct block *unused = NULL;
    size_t size;
    int class = class_of(bytes, &size);
    if (!POOLED)
        return aligned_alloc(ALIGNMENT, size);
    pthread_mutex_lock(&p->lock);
    struct block *b = p->unused[class];
    if (b) {
        p->unused[class] = b->following;
        p->cached -= size;
    } else {
        unused = make_room(p, size);
    }
    p->lent += size;
    p->most = p->lent > p->most ? p->lent : p->most;
    pthread_mutex_unlock(&p->lock);
    free_list(unused);
    if (b)
        return b;
    b = aligned_alloc(ALIGNMENT, size);
    if (!b) {
        pthread_mutex_lock(&p->lock);
        p->lent -= size;
        pthread_mutex_unlock(&p->lock);
    }
    return b;
}

static void pool_give(struct pool *p, void *data, size_t bytes) {
    size_t size;
    int class = class_of(bytes, &size);
    struct block *b = data;
    if (POOLED) {
        pthread_mutex_lock(&p->lock);
        p->lent -= size;
        if (p->cached + size <= CACHE_LIMIT) {
            b->following = p->unused[class];
            p->unused[class] = b;
            p->cached += size;
            b = NULL;
        }
        pthread_mutex_unlock(&p->lock);
    }
    free(b);
}

static void pool_clear(struct pool *p) {
    for (int i = 0; i < CLASSES; i++)
        free_list(p->unused[i]);
}

/* ---- the device ---- */

struct cpu {
    struct hf_device pub;
    struct pool pool;
    struct cpu_executor *executor;
    const struct hf_host *host;
    char description[160];
};

static struct cpu *cpu_of(struct hf_device *d) {
    return (struct cpu *)d;
}

static enum hf_status cpu_alloc(struct hf_device *d, struct hf_queue *q, size_t bytes, void **ret,
                                struct hf_error *e) {
    (void)q;
    if (bytes > (size_t)1 << 46) /* beyond any machine, and class_of's sums stay small */
        return hf_fail(e, HF_NO_MEMORY, "no memory for %zu bytes", bytes);
    void *data = pool_take(&cpu_of(d)->pool, bytes);
    if (!data)
        return hf_fail(e, HF_NO_MEMORY, "no memory for %zu bytes", bytes);
    meter_add(cpu_executor_meter(cpu_of(d)->executor), bytes);
    *ret = data;
    return HF_OK;
}

static void cpu_free(struct hf_device *d, void *data, size_t bytes, struct hf_event *after) {
    if (after)
        (void)cpu_event_sync(after, NULL);
    meter_take(cpu_executor_meter(cpu_of(d)->executor), bytes);
    pool_give(&cpu_of(d)->pool, data, bytes);
}

/* A queue has nothing to keep, but is something to point at. */
static enum hf_status cpu_queue_new(struct hf_device *d, struct hf_queue **ret,
                                    struct hf_error *e) {
    (void)d;
    void *q = malloc(1);
    if (!q)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a queue");
    *ret = q;
    return HF_OK;
}

static void cpu_queue_free(struct hf_device *d, struct hf_queue *q) {
    (void)d;
    free(q);
}

static enum hf_status cpu_launch(struct hf_device *d, struct hf_queue *q, const struct hf_op *op,
                                 const struct hf_op_call *call, struct hf_error *e) {
    size_t bytes = op->scratch ? op->scratch(call) : 0;
    void *scratch = NULL;
    enum hf_status st = bytes ? cpu_alloc(d, q, bytes, &scratch, e) : HF_OK;
    if (st == HF_OK)
        st = op->launch(call, scratch, NULL, e);
    if (scratch)
        cpu_free(d, scratch, bytes, NULL);
    return st;
}

static enum hf_status cpu_copy(struct hf_device *d, struct hf_queue *q, void *dst, const void *src,
                               size_t bytes, struct hf_error *e) {
    (void)d;
    (void)q;
    (void)e;
    memcpy(dst, src, bytes);
    return HF_OK;
}

static enum hf_status cpu_record(struct hf_device *d, struct hf_queue *q, struct hf_event **ret,
                                 struct hf_error *e) {
    (void)d;
    (void)q;
    (void)e;
    *ret = NULL;
    return HF_OK;
}

static enum hf_status cpu_sync(struct hf_device *d, struct hf_event *ev, struct hf_error *e) {
    (void)d;
    return cpu_event_sync(ev, e);
}

static enum hf_status cpu_wait(struct hf_device *d, struct hf_queue *q, struct hf_event *ev,
                               struct hf_error *e) {
    (void)q;
    return cpu_sync(d, ev, e);
}

static void cpu_event_keep(struct hf_device *d, struct hf_event *ev) {
    (void)d;
    cpu_event_ref(ev);
}

static void cpu_event_drop(struct hf_device *d, struct hf_event *ev) {
    (void)d;
    cpu_event_unref(ev);
}

static enum hf_status cpu_compile(struct hf_device *d, struct hf_queue *q, const struct hf_net *net,
                                  const struct hf_exec_spec *spec, struct hf_executable **ret,
                                  struct hf_error *e) {
    (void)q;
    return cpu_nn_compile(cpu_of(d)->executor, cpu_of(d)->host, net, spec, ret, e);
}

static const char *cpu_describe(struct hf_device *d) {
    return cpu_of(d)->description;
}

static void cpu_memory(struct hf_device *d, int32_t anew, size_t *ret_now, size_t *ret_peak) {
    meter_read(cpu_executor_meter(cpu_of(d)->executor), anew, ret_now, ret_peak);
}

static void cpu_destroy(struct hf_device *d) {
    struct cpu *c = cpu_of(d);
    cpu_executor_close(c->executor);
    pool_clear(&c->pool);
    pthread_mutex_destroy(&c->pool.lock);
    free(c);
}

static const struct hf_device_methods methods = {
    .size = sizeof(struct hf_device_methods),
    .destroy = cpu_destroy,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .queue_new = cpu_queue_new,
    .queue_free = cpu_queue_free,
    .launch = cpu_launch,
    .copy = cpu_copy,
    .record = cpu_record,
    .wait = cpu_wait,
    .sync = cpu_sync,
    .event_ref = cpu_event_keep,
    .event_unref = cpu_event_drop,
    .compile = cpu_compile,
    .describe = cpu_describe,
    .memory = cpu_memory,
};

static enum hf_status cpu_open(const struct hf_device_options *options, struct hf_device **ret,
                               struct hf_error *e) {
    struct cpu *c = calloc(1, sizeof *c);
    if (!c)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the CPU device");
    c->pub = (struct hf_device){&methods, HF_KIND_CPU, 0, 1, HF_KIND_CPU};
    c->host = options->host;
    enum hf_status st = cpu_executor_open(options->nn_threads, &c->executor, e);
    if (st != HF_OK) {
        free(c);
        return st;
    }
    pthread_mutex_init(&c->pool.lock, NULL);
    char nn[112];
    (void)snprintf(c->description, sizeof c->description, "cpu: %s, %d threads",
                   cpu_nn_describe(nn, sizeof nn), (int)cpu_executor_threads(c->executor));
    *ret = &c->pub;
    return HF_OK;
}

static const struct hf_device_class cpu_class = {
    .name = "cpu",
    .help = "This machine's processors: ops inline, networks through oneDNN.",
    .kind = HF_KIND_CPU,
    .op_kind = HF_KIND_CPU,
    .priority = 0,
    .precisions = 1u << HF_PRECISION_AUTO | 1u << HF_PRECISION_F32,
    .open = cpu_open,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "cpu",
    .version = "0.1.0",
    .ops = cpu_ops,
    .devices = (const struct hf_device_class *const[]){&cpu_class, NULL},
};
