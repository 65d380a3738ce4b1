/*
 * tensor.c - tensors: allocation, references, readiness, copies between devices, ops, and DLPack.
 *
 * A tensor owns one reference on its `ready` event. A copy keeps its source: the one to a device
 * runs behind the caller's back and may still read it, and a field that comes back is there still.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

static struct tensor *tensor_of(const struct hf_tensor *t) {
    return (struct tensor *)(uintptr_t)t;
}

static struct hf_dl_dtype dl_dtype(enum hf_dtype t) {
    static const uint8_t code[HF_DTYPES] = {1, 0, 0, 0, 2, 2};
    return (struct hf_dl_dtype){code[t], (uint8_t)(8 * hf_dtype_size(t)), 1};
}

enum hf_status tensor_new(const struct hf_host *h, struct hf_device *d, struct hf_queue *q,
                          enum hf_dtype dtype, int32_t ndim, const int64_t *shape,
                          struct hf_tensor **ret, struct hf_error *e) {
    if ((unsigned)dtype >= HF_DTYPES || ndim < 1 || ndim > HF_MAX_DIMS)
        return hf_fail(e, HF_INVALID, "a tensor of dtype %d with %d dimensions; expected 1 to %d",
                       (int)dtype, (int)ndim, HF_MAX_DIMS);
    size_t bytes = hf_dtype_size(dtype);
    for (int32_t i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(bytes, (size_t)shape[i], &bytes) ||
            bytes > (size_t)PTRDIFF_MAX)
            return hf_fail(e, HF_INVALID, "a tensor cannot have size %lld in dimension %d",
                           (long long)shape[i], (int)i);
    struct tensor *t = calloc(1, sizeof *t);
    if (!t)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a tensor");
    enum hf_status st = d->methods->alloc(d, q, bytes ? bytes : 1, &t->pub.dl.data, e);
    if (st != HF_OK) {
        free(t);
        return st;
    }
    for (int32_t i = 0; i < ndim; i++)
        t->pub.shape[i] = shape[i];
    t->pub.dl.shape = t->pub.shape;
    t->pub.dl.ndim = ndim;
    t->pub.dl.dtype = dl_dtype(dtype);
    t->pub.dl.device = (struct hf_dl_device){(int32_t)d->kind, d->id};
    t->pub.dtype = dtype;
    t->pub.bytes = bytes;
    t->pub.device = d;
    t->services = services_of(h);
    atomic_init(&t->refs, 1);
    atomic_fetch_add(&t->services->tensors, 1);
    *ret = &t->pub;
    return HF_OK;
}

void tensor_ref(struct hf_tensor *t) {
    atomic_fetch_add_explicit(&tensor_of(t)->refs, 1, memory_order_relaxed);
}

/* A reference, unless the last one is gone already. */
static bool try_ref(struct tensor *t) {
    int refs = atomic_load_explicit(&t->refs, memory_order_relaxed);
    while (refs > 0)
        if (atomic_compare_exchange_weak_explicit(&t->refs, &refs, refs + 1, memory_order_acq_rel,
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* Lets go of what the tensor is a copy of. */
static void leave_source(struct tensor *t) {
    struct transfer *tr = t->services->transfer;
    struct tensor *source = tensor_of(t->source);
    if (t->shared) {
        transfer_lock(tr, source);
        if (source->copy == t)
            source->copy = NULL;
        transfer_unlock(tr, source);
    }
    if (t->arrival) {
        (void)tensor_wait(&t->pub, NULL); /* the copy may still write here */
        t->source->device->methods->event_unref(t->source->device, t->arrival);
    }
    if (t->pub.ready) /* the copy may still read the source */
        transfer_linger(tr, t->source, t->pub.device, t->pub.ready);
    else
        tensor_unref(t->source);
}

void tensor_unref(struct hf_tensor *pub) {
    struct tensor *t = tensor_of(pub);
    if (!pub || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct hf_device *d = pub->device;
    if (t->source)
        leave_source(t);
    d->methods->free(d, pub->dl.data, pub->bytes ? pub->bytes : 1, pub->ready);
    if (pub->ready)
        d->methods->event_unref(d, pub->ready);
    atomic_fetch_sub(&t->services->tensors, 1);
    free(t);
}

enum hf_status tensor_wait(const struct hf_tensor *pub, struct hf_error *e) {
    struct tensor *t = tensor_of(pub);
    if (t->arrival && !atomic_load_explicit(&t->arrived, memory_order_acquire)) {
        struct hf_device *from = t->source->device;
        enum hf_status st = from->methods->sync(from, t->arrival, e);
        if (st != HF_OK)
            return st;
        atomic_store_explicit(&t->arrived, true, memory_order_release);
    }
    return pub->ready ? pub->device->methods->sync(pub->device, pub->ready, e) : HF_OK;
}

/* The queue's present end becomes the tensor's event. */
static enum hf_status mark_ready(struct hf_tensor *t, struct hf_device *d, struct hf_queue *q,
                                 struct hf_error *e) {
    struct hf_event *ev = NULL;
    enum hf_status st = d->methods->record(d, q, &ev, e);
    if (st != HF_OK)
        return st;
    if (t->ready)
        d->methods->event_unref(d, t->ready);
    t->ready = ev;
    return HF_OK;
}

static enum hf_status copy_to_device(struct hf_tensor *from, struct hf_device *d,
                                     struct hf_queue *q, struct hf_tensor *to, struct hf_error *e) {
    enum hf_status st = tensor_wait(from, e);
    if (st == HF_OK)
        st = d->methods->copy(d, q, to->dl.data, from->dl.data, from->bytes, e);
    if (st == HF_OK) {
        tensor_ref(from);
        tensor_of(to)->source = from;
        st = mark_ready(to, d, q, e);
    }
    return st;
}

/* Begins the copy; `q` is a queue of the device that it comes from. */
static enum hf_status copy_to_host(struct hf_tensor *from, struct hf_queue *q, struct hf_tensor *to,
                                   struct hf_error *e) {
    struct hf_device *d = from->device;
    struct hf_event *ev = NULL;
    enum hf_status st = from->ready ? d->methods->wait(d, q, from->ready, e) : HF_OK;
    if (st == HF_OK)
        st = d->methods->copy(d, q, to->dl.data, from->dl.data, from->bytes, e);
    if (st == HF_OK)
        st = d->methods->record(d, q, &ev, e);
    if (st == HF_OK && ev) {
        tensor_of(to)->arrival = ev;
        tensor_of(to)->source = from;
        tensor_ref(from);
    }
    return st;
}

/* A new copy on `d`; `q` is a queue of the device that is not the host. */
static enum hf_status copy_new(const struct hf_host *h, struct hf_tensor *t, struct hf_device *d,
                               struct hf_queue *q, struct hf_tensor **ret, struct hf_error *e) {
    if (!t->device->host_memory && !d->host_memory)
        return hf_fail(e, HF_UNSUPPORTED, "a tensor cannot go from one device to another");
    struct hf_tensor *to = NULL;
    enum hf_status st =
        tensor_new(h, d, d->host_memory ? NULL : q, t->dtype, t->dl.ndim, t->shape, &to, e);
    if (st != HF_OK)
        return st;
    st = d->host_memory ? copy_to_host(t, q, to, e) : copy_to_device(t, d, q, to, e);
    if (st == HF_OK)
        *ret = to;
    else
        tensor_unref(to);
    return st;
}

/* The tensor itself, or what stands for it, where that is on `d` already; a reference, or NULL. */
static struct hf_tensor *find_copy(struct tensor *t, const struct hf_device *d) {
    struct hf_tensor *found = NULL;
    if (t->pub.device == d)
        found = &t->pub;
    else if (t->shared && t->source->device == d)
        found = t->source;
    if (found)
        tensor_ref(found);
    else if (t->copy && t->copy->pub.device == d && try_ref(t->copy))
        found = &t->copy->pub;
    return found;
}

enum hf_status tensor_share(const struct hf_host *h, struct hf_tensor *pub, struct hf_device *d,
                            struct hf_queue *q, struct hf_tensor **ret, struct hf_error *e) {
    struct transfer *tr = services_of(h)->transfer;
    struct tensor *t = tensor_of(pub);
    enum hf_status st = HF_OK;
    transfer_lock(tr, t);
    *ret = find_copy(t, d);
    if (!*ret)
        st = copy_new(h, pub, d, q, ret, e);
    if (st == HF_OK && tensor_of(*ret)->source == pub && !tensor_of(*ret)->shared) {
        tensor_of(*ret)->shared = true;
        t->copy = tensor_of(*ret);
    }
    transfer_unlock(tr, t);
    return st;
}

/* A copy that has arrived and is nobody's twin stands alone. */
static void forget_source(struct tensor *t) {
    if (!t->source)
        return;
    t->source->device->methods->event_unref(t->source->device, t->arrival);
    tensor_unref(t->source);
    t->arrival = NULL;
    t->source = NULL;
}

/* `q` is a queue of `d` when the tensor goes to a device, and does not matter otherwise. */
enum hf_status tensor_to(const struct hf_host *h, struct hf_tensor *pub, struct hf_device *d,
                         struct hf_queue *q, struct hf_tensor **ret, struct hf_error *e) {
    struct transfer *tr = services_of(h)->transfer;
    struct tensor *t = tensor_of(pub);
    struct hf_queue *own = NULL;
    transfer_lock(tr, t);
    struct hf_tensor *to = find_copy(t, d);
    transfer_unlock(tr, t);
    enum hf_status st = HF_OK;
    if (!to && d->host_memory) /* one of its own: behind the tensor, but not behind later work */
        st = transfer_take_queue(tr, pub->device, &own, e);
    if (!to && st == HF_OK)
        st = copy_new(h, pub, d, own ? own : q, &to, e);
    if (st == HF_OK && d->host_memory)
        st = tensor_wait(to, e);
    if (own)
        transfer_give_queue(tr, own);
    if (st == HF_OK && own)
        forget_source(tensor_of(to));
    if (st == HF_OK)
        *ret = to;
    else
        tensor_unref(to);
    return st;
}

static enum hf_status wait_on_queue(struct hf_device *d, struct hf_queue *q, const struct hf_op *op,
                                    const struct hf_tensor *t, const char *what, int32_t i,
                                    struct hf_error *e) {
    if (!t)
        return HF_OK; /* an operand that the op does without */
    if (t->device != d)
        return hf_fail(e, HF_INVALID,
                       "op '%s': %s %d lies on another device; what a stage's `declare` says that "
                       "it reads is brought to it",
                       op->name, what, (int)i);
    if (d->host_memory && tensor_of(t)->arrival) /* begun for another stage */
        return tensor_wait(t, e);
    return t->ready ? d->methods->wait(d, q, t->ready, e) : HF_OK;
}

enum hf_status op_launch(const struct hf_host *h, struct hf_device *d, struct hf_queue *q,
                         const struct hf_op *op, const struct hf_op_call *call,
                         struct hf_error *e) {
    (void)h;
    if (call->inputs < 0 || call->inputs > HF_OP_MAX_TENSORS || call->outputs < 0 ||
        call->outputs > HF_OP_MAX_TENSORS)
        return hf_fail(e, HF_INVALID, "op '%s': %d inputs and %d outputs; expected up to %d",
                       op->name, (int)call->inputs, (int)call->outputs, HF_OP_MAX_TENSORS);
    enum hf_status st = HF_OK;
    for (int32_t i = 0; st == HF_OK && i < call->inputs; i++)
        st = wait_on_queue(d, q, op, call->in[i], "input", i, e);
    for (int32_t i = 0; st == HF_OK && i < call->outputs; i++)
        st = wait_on_queue(d, q, op, call->out[i], "output", i, e);
    if (st == HF_OK)
        st = d->methods->launch(d, q, op, call, e);
    for (int32_t i = 0; st == HF_OK && i < call->outputs; i++)
        if (call->out[i])
            st = mark_ready(call->out[i], d, q, e);
    return st;
}

/* ---- DLPack ---- */

struct lent {
    struct hf_dl_managed pub;
    int64_t shape[HF_MAX_DIMS], strides[HF_MAX_DIMS];
};

static void lent_delete(struct hf_dl_managed *self) {
    tensor_unref(self->manager_ctx);
    free(self);
}

enum hf_status hf_tensor_to_dlpack(struct hf_tensor *t, struct hf_dl_managed **ret,
                                   struct hf_error *e) {
    enum hf_status st = tensor_wait(t, e);
    if (st != HF_OK)
        return st;
    struct lent *l = calloc(1, sizeof *l);
    if (!l)
        return hf_fail(e, HF_NO_MEMORY, "no memory to lend a tensor");
    int64_t stride = 1;
    for (int32_t i = t->dl.ndim - 1; i >= 0; i--) {
        l->shape[i] = t->shape[i];
        l->strides[i] = stride;
        stride *= t->shape[i];
    }
    l->pub.version.major = HF_DLPACK_MAJOR;
    l->pub.version.minor = HF_DLPACK_MINOR;
    l->pub.manager_ctx = t;
    l->pub.deleter = lent_delete;
    l->pub.flags = HF_DLPACK_READ_ONLY;
    l->pub.tensor = t->dl;
    l->pub.tensor.shape = l->shape;
    l->pub.tensor.strides = l->strides; /* not every reader takes NULL for contiguous */
    tensor_ref(t);
    *ret = &l->pub;
    return HF_OK;
}
