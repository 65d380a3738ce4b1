/**
 * exec.c - executables of the CPU device: compiling, running, parameters.
 *
 * Methods check their tensors on the caller's thread and hand a job to the executor; everything
 * that touches the arena runs there, in order.
 */
#include "nn.h"
#include "bind.h"

#include <stdlib.h>
#include <string.h>

struct cpu_net {
    struct hf_executable head;
    struct cpu_executor *executor;
    const struct kn_table *kernels;
    struct graph graph;
    struct store store;
    int64_t updates;
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

static enum hf_status run_step(struct cpu_net *n, const struct step *s, const struct job *j,
                               struct hf_error *e) {
    const struct kn_table *k = n->kernels;
    struct kn_layout layout;
    struct kn_loss loss;
    switch (s->op) {
    case OP_INPUT:
        layout = s->args.layout;
        layout.from = j->input;
        k->to_last(&layout);
        return HF_OK;
    case OP_OUTPUT:
        layout = s->args.layout;
        layout.to = j->output;
        k->to_first(&layout);
        return HF_OK;
    case OP_LOSS:
        loss = s->args.loss;
        loss.target = j->target;
        loss.weight = j->weight;
        loss.out = j->loss;
        if (j->verb == VERB_EVALUATE)
            loss.dz = NULL;
        k->loss(&loss);
        return HF_OK;
    case OP_CONV:
        return dn_conv_run(s->conv, DN_FORWARD, e);
    case OP_CONV_DATA:
        return dn_conv_run(s->conv, DN_BACKWARD_DATA, e);
    case OP_CONV_WEIGHT:
        return dn_conv_run(s->conv, DN_BACKWARD_WEIGHTS, e);
    case OP_NORM:
        k->norm_forward(&s->args.norm);
        return HF_OK;
    case OP_NORM_BACK:
        k->norm_backward(&s->args.norm);
        return HF_OK;
    case OP_ACT:
        k->act_forward(&s->args.point);
        return HF_OK;
    case OP_ACT_BACK:
        k->act_backward(&s->args.point);
        return HF_OK;
    case OP_GATE:
        k->gate_forward(&s->args.point);
        return HF_OK;
    case OP_GATE_BACK:
        k->gate_backward(&s->args.point);
        return HF_OK;
    case OP_COPY:
        k->copy(&s->args.point);
        return HF_OK;
    case OP_ADD:
        k->add(&s->args.point);
        return HF_OK;
    case OP_POOL:
        k->pool_forward(&s->args.space);
        return HF_OK;
    case OP_POOL_BACK:
        k->pool_backward(&s->args.space);
        return HF_OK;
    case OP_UP:
        k->up_forward(&s->args.space);
        return HF_OK;
    case OP_UP_BACK:
        k->up_backward(&s->args.space);
        return HF_OK;
    case OP_SPREAD:
        k->taps_to_voxels(&s->args.space);
        return HF_OK;
    case OP_SPREAD_BACK:
        k->voxels_to_taps(&s->args.space);
        return HF_OK;
    case OP_REFLECT:
        k->reflect_forward(&s->args.space);
        return HF_OK;
    case OP_REFLECT_BACK:
        k->reflect_backward(&s->args.space);
        return HF_OK;
    }
    return HF_OK;
}

static enum hf_status run_steps(struct cpu_net *n, int32_t first, int32_t end, const struct job *j,
                                struct hf_error *e) {
    enum hf_status s = HF_OK;
    for (int32_t i = first; i < end && s == HF_OK; i++)
        s = run_step(n, &n->graph.step[i], j, e);
    return s;
}

static enum hf_status refresh(struct cpu_net *n, struct hf_error *e) {
    enum hf_status s = HF_OK;
    for (int32_t i = 0; n->stale && i < n->graph.net.layers && s == HF_OK; i++)
        if (n->graph.conv[i])
            s = dn_conv_refresh(n->graph.conv[i], e);
    if (s == HF_OK)
        n->stale = 0;
    return s;
}

static void update(struct cpu_net *n, float rate) {
    struct kn_update u = {.count = n->graph.param_floats,
                          .param = n->store.param,
                          .grad = n->store.gradient,
                          .m = n->store.moment,
                          .v = n->store.variance,
                          .optimizer = &n->graph.spec.optimizer,
                          .step = ++n->updates,
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
        s = run_steps(n, g->loss_at, j.verb == VERB_STEP ? g->steps : g->loss_at + 1, &j, e);
    if (s == HF_OK && j.verb == VERB_STEP)
        update(n, j.rate);
    return s;
}

/* ---- checking, on the caller's thread ---- */

static enum hf_status check_tensor(const char *verb, const char *what, const struct hf_tensor *t,
                                   const int64_t shape[5], struct hf_error *e) {
    if (!t)
        return hf_fail(e, HF_INVALID, "network %s: no %s tensor", verb, what);
    if (t->dtype != HF_F32)
        return hf_fail(e, HF_INVALID, "network %s: the %s is %s; expected f32", verb, what,
                       hf_dtype_name(t->dtype));
    if (t->dl.ndim == 5 && memcmp(t->shape, shape, 5 * sizeof *shape) == 0)
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "network %s: the %s has %d axes and begins [%lld,%lld,...]; expected "
                   "[%lld,%lld,%lld,%lld,%lld], which the network was compiled for",
                   verb, what, (int)t->dl.ndim, (long long)t->shape[0], (long long)t->shape[1],
                   (long long)shape[0], (long long)shape[1], (long long)shape[2],
                   (long long)shape[3], (long long)shape[4]);
}

static const int64_t *output_shape(const struct cpu_net *n) {
    return n->graph.value[n->graph.net.layers - 1].shape;
}

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
    enum hf_status s = check_tensor("forward", "input", input, n->graph.spec.shape, e);
    if (s == HF_OK)
        s = check_tensor("forward", "output", output, output_shape(n), e);
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
    if (n->graph.spec.mode != HF_EXEC_TRAIN)
        return hf_fail(e, HF_INVALID, "network %s: it was compiled for forward only", word);
    const int64_t *out = output_shape(n);
    int64_t weights[5] = {out[0], 1, out[2], out[3], out[4]};
    enum hf_status s = check_tensor(word, "input", input, n->graph.spec.shape, e);
    if (s == HF_OK)
        s = check_tensor(word, "target", target, out, e);
    if (s == HF_OK && weight)
        s = check_tensor(word, "weight", weight, weights, e);
    if (s != HF_OK)
        return s;
    if (!loss || loss->dtype != HF_F32 || hf_tensor_count(loss) != 1 + n->graph.spec.loss_terms)
        return hf_fail(e, HF_INVALID, "network %s: the loss tensor must be f32 [%d]", word,
                       1 + (int)n->graph.spec.loss_terms);
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
    memcpy(t->to, t->from, (size_t)t->net->graph.param_floats * sizeof *t->to);
    if (t->to == t->net->store.param)
        t->net->stale = 1;
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

static void net_memory(const struct hf_executable *x, size_t *ret_arena, size_t *ret_total) {
    const struct cpu_net *n = (const struct cpu_net *)x;
    *ret_arena = n->store.arena_bytes;
    *ret_total = n->store.total_bytes;
}

/* ---- life ---- */

static void net_free(struct cpu_net *n) {
    graph_clear(&n->graph);
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
};

struct compile {
    struct cpu_net *net;
    const struct hf_net *description;
    const struct hf_exec_spec *spec;
};

static enum hf_status run_compile(void *arg, struct hf_error *e) {
    struct compile *c = arg;
    enum hf_status s = graph_lower(&c->net->graph, c->description, c->spec, e);
    return s == HF_OK ? store_make(&c->net->store, &c->net->graph, e) : s;
}

enum hf_status cpu_nn_compile_for(struct cpu_executor *ex, enum kn_isa isa,
                                  const struct hf_net *net, const struct hf_exec_spec *spec,
                                  struct hf_executable **ret, struct hf_error *e) {
    const struct kn_table *kernels = kn_select(isa);
    if (!kernels)
        return hf_fail(e, HF_UNSUPPORTED, "network: this machine lacks instruction set %d",
                       (int)isa);
    struct cpu_net *n = calloc(1, sizeof *n);
    if (!n)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    n->head.methods = &methods;
    n->executor = ex;
    n->kernels = kernels;
    n->stale = 1;
    struct compile c = {n, net, spec};
    enum hf_status s = cpu_executor_call(ex, run_compile, &c, e);
    if (s != HF_OK) {
        net_free(n);
        return s;
    }
    *ret = &n->head;
    return HF_OK;
}

enum hf_status cpu_nn_compile(struct cpu_executor *ex, const struct hf_net *net,
                              const struct hf_exec_spec *spec, struct hf_executable **ret,
                              struct hf_error *e) {
    return cpu_nn_compile_for(ex, KN_AUTO, net, spec, ret, e);
}

const char *cpu_nn_describe(char *text, size_t size) {
    char dnnl[96];
    (void)snprintf(text, size, "kernels %s, %s", kn_select(KN_AUTO)->name,
                   dn_describe(dnnl, sizeof dnnl));
    return text;
}
