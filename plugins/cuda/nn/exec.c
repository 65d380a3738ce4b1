/**
 * exec.c - executables of the CUDA device: compiling, and what the caller's tensors have to do with
 * the steps.
 */
#include "nn.h"
#include "net.h"

#include <stdlib.h>
#include <string.h>

/* ---- in the order of the queue ---- */

/** A tensor must be the device's own: its address goes to kernels. */
static enum hf_status check_place(const struct cuda_net *n, const char *what,
                                  const struct hf_tensor *t, struct hf_error *e) {
    return !t || t->device == n->device
               ? HF_OK
               : hf_fail(e, HF_INVALID, "network: the %s is not on the GPU that the network is on",
                         what);
}

/** What is enqueued next waits for the queue and for the tensors. */
static enum hf_status begin(struct cuda_net *n, const struct hf_tensor *const *in, int count,
                            struct hf_error *e) {
    enum hf_status st = HF_OK;
    for (int i = 0; i < count && st == HF_OK; i++)
        if (in[i] && in[i]->ready)
            st = n->device->methods->wait(n->device, n->queue, in[i]->ready, e);
    if (st == HF_OK)
        st = cuda_check(cudaEventRecord(n->begin, cuda_queue_stream(n->queue)),
                        "marking a network's beginning", e);
    if (st == HF_OK)
        st = cuda_check(cudaStreamWaitEvent(n->work, n->begin, 0),
                        "waiting for a network's operands", e);
    return st;
}

/** The queue waits for what was enqueued, and `out` gets an event of the queue. */
static enum hf_status end(struct cuda_net *n, struct hf_tensor *out, struct hf_error *e) {
    const struct hf_device_methods *m = n->device->methods;
    struct hf_event *ev = NULL;
    enum hf_status st = cuda_check(cudaEventRecord(n->end, n->work), "marking a network's end", e);
    if (st == HF_OK)
        st = cuda_check(cudaStreamWaitEvent(cuda_queue_stream(n->queue), n->end, 0),
                        "waiting for a network", e);
    cuda_queue_used(n->queue);
    if (st == HF_OK)
        st = m->record(n->device, n->queue, &ev, e);
    if (st != HF_OK)
        return st;
    if (out->ready)
        m->event_unref(n->device, out->ready);
    out->ready = ev;
    return HF_OK;
}

/* ---- the verbs ---- */

struct call {
    enum verb verb;
    const struct hf_tensor *in[3]; /* input, target, weight */
    struct hf_tensor *out;
    float rate;
};

static enum hf_status copy(struct cuda_net *n, void *to, const void *from, size_t bytes,
                           struct hf_error *e) {
    return cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, n->work),
                      "copying a network's operand", e);
}

static enum hf_status enqueue(struct cuda_net *n, const struct call *c, struct hf_error *e) {
    const struct store *s = &n->store;
    struct ck_layout layout = s->args[0].layout;
    layout.first = HF_DATA(float, c->in[0]);
    enum hf_status st = ck_to_last(&layout, n->work, e);
    if (st == HF_OK && c->in[1])
        st = copy(n, s->target, c->in[1]->dl.data, c->in[1]->bytes, e);
    if (st == HF_OK && c->in[2])
        st = copy(n, s->weight, c->in[2]->dl.data, c->in[2]->bytes, e);
    if (st == HF_OK && c->verb == VERB_STEP)
        st = ck_set(s->rate, c->rate, n->work, e);
    if (st == HF_OK)
        st = net_run(n, c->verb, c->in[2] != NULL, e);
    if (st != HF_OK || c->verb != VERB_FORWARD)
        return st == HF_OK ? copy(n, c->out->dl.data, s->loss, c->out->bytes, e) : st;
    layout = s->args[n->graph.forward_end].layout;
    layout.first = HF_DATA(float, c->out);
    return ck_to_first(&layout, n->work, e);
}

static enum hf_status submit(struct cuda_net *n, const struct call *c, struct hf_error *e) {
    static const char *const what[] = {"input", "target", "weight"};
    enum hf_status st = check_place(n, c->verb == VERB_FORWARD ? "output" : "loss", c->out, e);
    for (int i = 0; i < 3 && st == HF_OK; i++)
        st = check_place(n, what[i], c->in[i], e);
    if (st != HF_OK)
        return st;
    int was = cuda_enter(n->device);
    st = begin(n, c->in, 3, e);
    if (st == HF_OK)
        st = enqueue(n, c, e);
    struct hf_error late = {0};
    enum hf_status ended = end(n, c->out, &late); /* also after a failure: some of it may run */
    cuda_leave(n->device, was);
    if (st == HF_OK && ended != HF_OK && e)
        *e = late;
    return st == HF_OK ? ended : st;
}

static enum hf_status net_forward(struct hf_executable *x, const struct hf_tensor *input,
                                  struct hf_tensor *output, struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    enum hf_status st = graph_check_tensor("forward", "input", input, n->graph.spec.shape, e);
    if (st == HF_OK)
        st = graph_check_tensor("forward", "output", output, graph_output(&n->graph), e);
    struct call c = {.verb = VERB_FORWARD, .in = {input}, .out = output};
    return st == HF_OK ? submit(n, &c, e) : st;
}

static enum hf_status net_step(struct hf_executable *x, const struct hf_tensor *input,
                               const struct hf_tensor *target, const struct hf_tensor *weight,
                               float rate, struct hf_tensor *loss, struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    enum hf_status st = graph_check_train(&n->graph, "step", input, target, weight, loss, e);
    struct call c = {.verb = VERB_STEP, .in = {input, target, weight}, .out = loss, .rate = rate};
    return st == HF_OK ? submit(n, &c, e) : st;
}

static enum hf_status net_evaluate(struct hf_executable *x, const struct hf_tensor *input,
                                   const struct hf_tensor *target, const struct hf_tensor *weight,
                                   struct hf_tensor *loss, struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    enum hf_status st = graph_check_train(&n->graph, "evaluate", input, target, weight, loss, e);
    struct call c = {.verb = VERB_EVALUATE, .in = {input, target, weight}, .out = loss};
    return st == HF_OK ? submit(n, &c, e) : st;
}

/* ---- parameters ---- */

static enum hf_status net_set_params(struct hf_executable *x, const float *params,
                                     struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    int was = cuda_enter(n->device);
    enum hf_status st = net_put(n, params, e);
    cuda_leave(n->device, was);
    return st;
}

static enum hf_status fetch(struct cuda_net *n, const float *from, float *to, struct hf_error *e) {
    int was = cuda_enter(n->device);
    enum hf_status st = net_get(n, from, to, e);
    cuda_leave(n->device, was);
    return st;
}

static enum hf_status net_get_params(struct hf_executable *x, float *params, struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    return fetch(n, n->store.param, params, e);
}

static enum hf_status net_get_gradients(struct hf_executable *x, float *grads, struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    if (n->graph.spec.mode != HF_EXEC_TRAIN)
        return hf_fail(e, HF_INVALID, "network: compiled for forward only, it has no gradients");
    return fetch(n, n->store.gradient, grads, e);
}

static enum hf_status net_get_average(struct hf_executable *x, float *params, struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    if (!n->store.average)
        return hf_fail(e, HF_INVALID, "network: compiled without an average of its parameters");
    return fetch(n, n->store.average, params, e);
}

static enum hf_status clear(struct cuda_net *n, void *at, size_t bytes, struct hf_error *e) {
    return at ? cuda_check(cudaMemsetAsync(at, 0, bytes, n->work), "clearing an optimiser", e)
              : HF_OK;
}

static enum hf_status net_reset(struct hf_executable *x, struct hf_error *e) {
    struct cuda_net *n = (struct cuda_net *)x;
    const struct store *s = &n->store;
    size_t bytes = (size_t)s->floats * sizeof *s->moment;
    if (n->graph.spec.mode != HF_EXEC_TRAIN)
        return hf_fail(e, HF_INVALID, "network: compiled for forward only, it has no optimiser");
    int was = cuda_enter(n->device);
    enum hf_status st = clear(n, s->moment, bytes, e);
    if (st == HF_OK)
        st = clear(n, s->variance, bytes, e);
    if (st == HF_OK)
        st = clear(n, &s->done->steps, sizeof s->done->steps, e);
    cuda_leave(n->device, was);
    return st;
}

static void net_memory(const struct hf_executable *x, size_t *ret_arena, size_t *ret_total) {
    const struct cuda_net *n = (const struct cuda_net *)x;
    *ret_arena = n->store.arena_bytes;
    *ret_total = n->store.block_bytes;
}

/* ---- life ---- */

static void net_destroy(struct hf_executable *x) {
    if (!x)
        return;
    struct cuda_net *n = (struct cuda_net *)x;
    int was = cuda_enter(n->device);
    if (n->work)
        (void)cudaStreamSynchronize(n->work);
    net_forget(n);
    net_unbuild(n);
    cv_context_free(n->cudnn);
    if (n->begin)
        (void)cudaEventDestroy(n->begin);
    if (n->end)
        (void)cudaEventDestroy(n->end);
    if (n->work)
        (void)cudaStreamDestroy(n->work);
    cuda_leave(n->device, was);
    free(n);
}

static const struct hf_executable_methods methods = {
    .size = sizeof methods,
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

static enum hf_status make_streams(struct cuda_net *n, struct hf_error *e) {
    static const char what[] = "making a network's stream";
    enum hf_status st =
        cuda_check(cudaStreamCreateWithFlags(&n->work, cudaStreamNonBlocking), what, e);
    if (st == HF_OK)
        st = cuda_check(cudaEventCreateWithFlags(&n->begin, cudaEventDisableTiming), what, e);
    if (st == HF_OK)
        st = cuda_check(cudaEventCreateWithFlags(&n->end, cudaEventDisableTiming), what, e);
    return st;
}

static enum capture capture_asked(void) {
    const char *asked = getenv("HEPAFLOW_CUDA_GRAPHS");
    if (!asked || !*asked)
        return CAPTURE_ON;
    return strcmp(asked, "0") == 0 ? CAPTURE_OFF : CAPTURE_REQUIRED;
}

enum hf_status cuda_nn_compile(struct hf_device *d, struct hf_queue *q, const struct hf_host *host,
                               const struct hf_net *net, const struct hf_exec_spec *spec,
                               struct hf_executable **ret, struct hf_error *e) {
    struct hf_exec_spec own = *spec;
    if (own.precision == HF_PRECISION_AUTO) /* which every GPU has that the device opens */
        own.precision = HF_PRECISION_BF16;
    struct cuda_net *n = calloc(1, sizeof *n);
    if (!n)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    n->head.methods = &methods;
    n->device = d;
    n->queue = q;
    n->type = own.precision == HF_PRECISION_BF16 ? CK_BF16 : CK_F32;
    n->capture = capture_asked();
    int was = cuda_enter(d);
    struct cv_choices *choices = NULL;
    enum hf_status st = make_streams(n, e);
    if (st == HF_OK)
        st = cuda_choices(d, &choices, e);
    if (st == HF_OK)
        st = cv_context_new(choices, n->work, &n->cudnn, e);
    if (st == HF_OK)
        st = net_build(n, host, net, &own, e);
    cuda_leave(d, was);
    if (st != HF_OK) {
        net_destroy(&n->head);
        return st;
    }
    *ret = &n->head;
    return HF_OK;
}
