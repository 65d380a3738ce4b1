/**
 * exec.c - executables of the CPU device: compiling, running, parameters.
 *
 * Methods check their tensors on the caller's thread and hand a job to the executor; everything
 * that touches the arena runs there, in order.
 */
#include "nn.h"
#include "bind.h"
#include "meter.h"

#include <stdlib.h>
#include <string.h>

struct cpu_net {
    struct hf_executable head;
    struct cpu_executor *executor;
    const struct hf_host *host;
    const struct kn_table *kernels;
    struct dn_context *dnnl;
    struct graph graph;
    struct store store;
    struct up_done done;
    int stale; /* oneDNN's copies of the weights lag behind the parameters */
};

enum verb {
    VERB_FORWARD,
    VERB_STEP,
    VERB_EVALUATE
};

struct job {
    struct cpu_net *net;
    enum verb verb;
    const float *input, *target, *weight;
    float *output, *loss;
    float rate;
};

/* ---- running, on the executor's thread ---- */

static void run_loss(const struct kn_table *k, const struct kn_loss *args, const struct job *j) {
    struct kn_loss loss = *args;
    loss.target = args->target ? args->target : j->target;
    loss.weight = args->weight && j->weight ? args->weight : j->weight;
    loss.out = j->loss;
    if (j->verb == VERB_EVALUATE)
        loss.dz.data = NULL;
    k->loss(&loss);
}

static void run_shrink(const struct kn_table *k, const struct kn_shrink *args,
                       const int64_t shape[5], const struct job *j) {
    struct kn_shrink shrink = *args;
    shrink.from = j->target;
    k->shrink(&shrink);
    if (!j->weight)
        return;
    shrink.to += args->n * args->out[0] * args->out[1] * args->out[2];
    shrink.n = shape[0];
    shrink.from = j->weight;
    k->shrink(&shrink);
}

static enum hf_status run_step(struct cpu_net *n, int32_t at, const struct job *j,
                               struct hf_error *e) {
    const struct kn_table *k = n->kernels;
    const struct step *s = &n->graph.step[at];
    const union step_args *args = &n->store.args[at];
    struct kn_layout layout;
    switch (s->op) {
    case OP_INPUT:
        layout = args->layout;
        layout.from = j->input;
        k->to_last(&layout);
        return HF_OK;
    case OP_OUTPUT:
        layout = args->layout;
        layout.to = j->output;
        k->to_first(&layout);
        return HF_OK;
    case OP_LOSS:
        run_loss(k, &args->loss, j);
        return HF_OK;
    case OP_SHRINK:
        run_shrink(k, &args->shrink, n->graph.value[s->layer].shape, j);
        return HF_OK;
    case OP_CONV:
        return dn_conv_run(s->conv, NN_FORWARD, e);
    case OP_CONV_DATA:
        return dn_conv_run(s->conv, NN_BACKWARD_DATA, e);
    case OP_CONV_WEIGHT:
        return dn_conv_run(s->conv, NN_BACKWARD_WEIGHTS, e);
    case OP_NORM:
        k->norm_forward(&args->norm);
        return HF_OK;
    case OP_NORM_BACK:
        k->norm_backward(&args->norm);
        return HF_OK;
    case OP_ACT:
        k->act_forward(&args->point);
        return HF_OK;
    case OP_ACT_BACK:
        k->act_backward(&args->point);
        return HF_OK;
    case OP_GATE:
        k->gate_forward(&args->point);
        return HF_OK;
    case OP_GATE_BACK:
        k->gate_backward(&args->point);
        return HF_OK;
    case OP_COPY:
        k->copy(&args->point);
        return HF_OK;
    case OP_ADD:
        k->add(&args->point);
        return HF_OK;
    case OP_POOL:
        k->pool_forward(&args->space);
        return HF_OK;
    case OP_POOL_BACK:
        k->pool_backward(&args->space);
        return HF_OK;
    case OP_UP:
        k->up_forward(&args->space);
        return HF_OK;
    case OP_UP_BACK:
        k->up_backward(&args->space);
        return HF_OK;
    case OP_SPREAD:
        k->taps_to_voxels(&args->space);
        return HF_OK;
    case OP_SPREAD_BACK:
        k->voxels_to_taps(&args->space);
        return HF_OK;
    case OP_REFLECT:
        k->reflect_forward(&args->space);
        return HF_OK;
    case OP_REFLECT_BACK:
        k->reflect_backward(&args->space);
        return HF_OK;
    case OP_MASK:
        k->mask(&args->point);
        return HF_OK;
    case OP_WINDOW:
        k->window(&args->space);
        return HF_OK;
    case OP_SCALE:
        k->scale(&args->point);
        return HF_OK;
    case OP_SCALE_BACK:
        k->scale_backward(&args->point);
        return HF_OK;
    case OP_SCALE_BIAS:
        k->scale_bias(&args->point);
        return HF_OK;
    }
    return HF_OK;
}

static enum hf_status run_steps(struct cpu_net *n, int32_t first, int32_t end, const struct job *j,
                                struct hf_error *e) {
    enum hf_status s = HF_OK;
    for (int32_t i = first; i < end && s == HF_OK; i++)
        s = n->host->stopping(n->host) ? hf_fail(e, HF_CANCELED, "canceled") : run_step(n, i, j, e);
    return s;
}

static enum hf_status refresh(struct cpu_net *n, struct hf_error *e) {
    enum hf_status s = HF_OK;
    for (int32_t i = 0; n->stale && i < n->graph.net->layers && s == HF_OK; i++)
        if (n->graph.conv[i])
            s = dn_conv_refresh(n->graph.conv[i], e);
    if (s == HF_OK)
        n->stale = 0;
    return s;
}

static void update(struct cpu_net *n, float rate) {
    n->done.steps++;
    n->done.averaged++;
    struct kn_update u = {.count = n->graph.param_floats,
                          .param = n->store.param,
                          .grad = n->store.gradient,
                          .m = n->store.moment,
                          .v = n->store.variance,
                          .average = n->store.average,
                          .range = n->store.range,
                          .ranges = n->store.ranges,
                          .optimizer = &n->graph.spec.optimizer,
                          .done = n->done,
                          .rate = rate,
                          .scratch = n->store.update};
    n->kernels->update(&u);
    n->stale = 1;
}

static enum hf_status run_job(void *arg, struct hf_error *e) {
    struct job j = *(struct job *)arg;
    free(arg);
    struct cpu_net *n = j.net;
    const struct graph *g = &n->graph;
    enum hf_status s = refresh(n, e);
    if (s == HF_OK)
        s = run_steps(n, 0, g->forward_end, &j, e);
    if (s == HF_OK && j.verb == VERB_FORWARD)
        return run_steps(n, g->forward_end, g->forward_end + 1, &j, e);
    if (s == HF_OK)
        s = run_steps(n, g->loss_at, j.verb == VERB_STEP ? g->steps : g->loss_end, &j, e);
    if (s == HF_OK && j.verb == VERB_STEP)
        update(n, j.rate);
    return s;
}

/* ---- checking, on the caller's thread ---- */

/** Enqueues a job and marks `out` with its event. */
static enum hf_status submit(struct cpu_net *n, const struct job *j, struct hf_tensor *out,
                             struct hf_error *e) {
    struct job *copy = malloc(sizeof *copy);
    if (!copy)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    *copy = *j;
    struct hf_event *ev;
    enum hf_status s = cpu_executor_submit(n->executor, run_job, copy, &ev, e);
    if (s != HF_OK) {
        free(copy);
        return s;
    }
    cpu_event_unref(out->ready);
    out->ready = ev;
    return HF_OK;
}

static enum hf_status net_forward(struct hf_executable *x, const struct hf_tensor *input,
                                  struct hf_tensor *output, struct hf_error *e) {
    struct cpu_net *n = (struct cpu_net *)x;
    enum hf_status s = graph_check_tensor("forward", "input", input, n->graph.spec.shape, e);
    if (s == HF_OK)
        s = graph_check_tensor("forward", "output", output, graph_output(&n->graph), e);
    if (s != HF_OK)
        return s;
    struct job j = {.net = n,
                    .verb = VERB_FORWARD,
                    .input = HF_DATA(const float, input),
                    .output = HF_DATA(float, output)};
    return submit(n, &j, output, e);
}

static enum hf_status train(struct cpu_net *n, enum verb verb, const struct hf_tensor *input,
                            const struct hf_tensor *target, const struct hf_tensor *weight,
                            float rate, struct hf_tensor *loss, struct hf_error *e) {
    const char *word = verb == VERB_STEP ? "step" : "evaluate";
    enum hf_status s = graph_check_train(&n->graph, word, input, target, weight, loss, e);
    if (s != HF_OK)
        return s;
    struct job j = {.net = n,
                    .verb = verb,
                    .input = HF_DATA(const float, input),
                    .target = HF_DATA(const float, target),
                    .weight = weight ? HF_DATA(const float, weight) : NULL,
                    .loss = HF_DATA(float, loss),
                    .rate = rate};
    return submit(n, &j, loss, e);
}

static enum hf_status net_step(struct hf_executable *x, const struct hf_tensor *input,
                               const struct hf_tensor *target, const struct hf_tensor *weight,
                               float rate, struct hf_tensor *loss, struct hf_error *e) {
    return train((struct cpu_net *)x, VERB_STEP, input, target, weight, rate, loss, e);
}

static enum hf_status net_evaluate(struct hf_executable *x, const struct hf_tensor *input,
                                   const struct hf_tensor *target, const struct hf_tensor *weight,
                                   struct hf_tensor *loss, struct hf_error *e) {
    return train((struct cpu_net *)x, VERB_EVALUATE, input, target, weight, 0.0f, loss, e);
}

/* ---- parameters ---- */

struct transfer {
    struct cpu_net *net;
    const float *from;
    float *to;
};

static enum hf_status run_transfer(void *arg, struct hf_error *e) {
    (void)e;
    const struct transfer *t = arg;
    struct store *s = &t->net->store;
    size_t bytes = (size_t)t->net->graph.param_floats * sizeof *t->to;
    memcpy(t->to, t->from, bytes);
    if (t->to != s->param)
        return HF_OK;
    t->net->stale = 1;
    t->net->done.averaged = 0;
    if (s->average)
        memcpy(s->average, t->from, bytes);
    return HF_OK;
}

static enum hf_status net_set_params(struct hf_executable *x, const float *params,
                                     struct hf_error *e) {
    struct cpu_net *n = (struct cpu_net *)x;
    struct transfer t = {n, params, n->store.param};
    return cpu_executor_call(n->executor, run_transfer, &t, e);
}

static enum hf_status net_get_params(struct hf_executable *x, float *params, struct hf_error *e) {
    struct cpu_net *n = (struct cpu_net *)x;
    struct transfer t = {n, n->store.param, params};
    return cpu_executor_call(n->executor, run_transfer, &t, e);
}

static enum hf_status net_get_gradients(struct hf_executable *x, float *grads, struct hf_error *e) {
    struct cpu_net *n = (struct cpu_net *)x;
    if (n->graph.spec.mode != HF_EXEC_TRAIN)
        return hf_fail(e, HF_INVALID, "network: compiled for forward only, it has no gradients");
    struct transfer t = {n, n->store.gradient, grads};
    return cpu_executor_call(n->executor, run_transfer, &t, e);
}

static enum hf_status net_get_average(struct hf_executable *x, float *params, struct hf_error *e) {
    struct cpu_net *n = (struct cpu_net *)x;
    if (!n->store.average)
        return hf_fail(e, HF_INVALID, "network: compiled without an average of its parameters");
    struct transfer t = {n, n->store.average, params};
    return cpu_executor_call(n->executor, run_transfer, &t, e);
}

static enum hf_status run_reset(void *arg, struct hf_error *e) {
    (void)e;
    struct cpu_net *n = arg;
    size_t bytes = (size_t)n->graph.param_floats * sizeof *n->store.moment;
    memset(n->store.moment, 0, bytes);
    memset(n->store.variance, 0, bytes);
    n->done.steps = 0;
    return HF_OK;
}

static enum hf_status net_reset(struct hf_executable *x, struct hf_error *e) {
    struct cpu_net *n = (struct cpu_net *)x;
    if (n->graph.spec.mode != HF_EXEC_TRAIN)
        return hf_fail(e, HF_INVALID, "network: compiled for forward only, it has no optimiser");
    return cpu_executor_call(n->executor, run_reset, n, e);
}

static void net_memory(const struct hf_executable *x, size_t *ret_arena, size_t *ret_total) {
    const struct cpu_net *n = (const struct cpu_net *)x;
    *ret_arena = n->store.arena_bytes;
    *ret_total = n->store.total_bytes;
}

/* ---- life ---- */

static void net_free(struct cpu_net *n) {
    graph_clear(&n->graph);
    dn_context_free(n->dnnl);
    store_clear(&n->store);
    free(n);
}

static void net_destroy(struct hf_executable *x) {
    if (!x)
        return;
    struct cpu_net *n = (struct cpu_net *)x;
    struct hf_event *ev = cpu_executor_record(n->executor);
    (void)cpu_event_sync(ev, NULL);
    cpu_event_unref(ev);
    meter_take(cpu_executor_meter(n->executor), n->store.total_bytes);
    net_free(n);
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

struct compile {
    struct cpu_net *net;
    const struct hf_host *host;
    const struct hf_net *description;
    const struct hf_exec_spec *spec;
};

static enum hf_status conv_new(void *context, const struct nn_conv_spec *spec, void **ret,
                               struct hf_error *e) {
    struct dn_conv *conv = NULL;
    enum hf_status s = dn_conv_new(context, spec, &conv, e);
    *ret = conv;
    return s;
}

static void conv_free(void *conv) {
    dn_conv_free(conv);
}

static size_t conv_scratch(const void *conv, enum nn_pass pass) {
    return dn_conv_scratch(conv, pass);
}

static enum hf_status run_compile(void *arg, struct hf_error *e) {
    struct compile *c = arg;
    struct cpu_net *n = c->net;
    enum hf_status s = dn_context_new(&n->dnnl, e);
    struct nn_target target = {.context = n->dnnl,
                               .element = sizeof(float),
                               .align = 1,
                               .conv_new = conv_new,
                               .conv_free = conv_free,
                               .conv_scratch = conv_scratch,
                               .norm_scratch = kn_norm_scratch,
                               .bias_scratch = kn_bias_scratch,
                               .loss_scratch = kn_loss_scratch};
    if (s == HF_OK)
        s = graph_lower(&n->graph, &target, c->host, c->description, c->spec, e);
    return s == HF_OK ? store_make(&n->store, &n->graph, e) : s;
}

enum hf_status cpu_nn_compile_for(struct cpu_executor *ex, enum kn_isa isa,
                                  const struct hf_host *host, const struct hf_net *net,
                                  const struct hf_exec_spec *spec, struct hf_executable **ret,
                                  struct hf_error *e) {
    const struct kn_table *kernels = kn_select(isa);
    if (!kernels)
        return hf_fail(e, HF_UNSUPPORTED, "network: this machine lacks instruction set %d",
                       (int)isa);
    if (spec->precision == HF_PRECISION_TF32 || spec->precision == HF_PRECISION_BF16)
        return hf_fail(e, HF_UNSUPPORTED,
                       "network: the CPU has no precision %s; expected auto or f32",
                       hf_precision_name(spec->precision));
    struct cpu_net *n = calloc(1, sizeof *n);
    if (!n)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    n->head.methods = &methods;
    n->executor = ex;
    n->host = host;
    n->kernels = kernels;
    n->stale = 1;
    struct compile c = {n, host, net, spec};
    enum hf_status s = cpu_executor_call(ex, run_compile, &c, e);
    if (s != HF_OK) {
        net_free(n);
        return s;
    }
    meter_add(cpu_executor_meter(ex), n->store.total_bytes);
    *ret = &n->head;
    return HF_OK;
}

enum hf_status cpu_nn_compile(struct cpu_executor *ex, const struct hf_host *host,
                              const struct hf_net *net, const struct hf_exec_spec *spec,
                              struct hf_executable **ret, struct hf_error *e) {
    return cpu_nn_compile_for(ex, KN_AUTO, host, net, spec, ret, e);
}

const char *cpu_nn_describe(char *text, size_t size) {
    char dnnl[96];
    (void)snprintf(text, size, "kernels %s, %s", kn_select(KN_AUTO)->name,
                   dn_describe(dnnl, sizeof dnnl));
    return text;
}
