/**
 * run.c - runs the steps of a network on its stream: plainly, or as a captured CUDA graph.
 */
#include "net.h"

static enum hf_status run_conv(const struct cuda_net *n, const struct step *s,
                               const struct conv_args *a, struct hf_error *e) {
    static const enum cv_pass pass[] = {
        [OP_CONV] = CV_FORWARD, [OP_CONV_DATA] = CV_DATA, [OP_CONV_WEIGHT] = CV_WEIGHTS};
    const struct net_conv *c = s->conv;
    enum hf_status st = cv_conv_run(c->cv, pass[s->op], &a->buffers, e);
    if (st != HF_OK || a->bias.c == 0)
        return st;
    return s->op == OP_CONV ? ck_bias_add(&a->bias, n->work, e)
                            : ck_bias_gradient(&a->bias, n->work, e);
}

static enum hf_status run_loss(const struct cuda_net *n, const struct ck_loss *args, enum verb verb,
                               int weighted, struct hf_error *e) {
    struct ck_loss loss = *args;
    if (!weighted)
        loss.weight = NULL;
    if (verb == VERB_EVALUATE)
        loss.dz.data = NULL;
    return ck_loss(&loss, n->work, e);
}

static enum hf_status run_shrink(const struct cuda_net *n, const struct ck_shrink *args,
                                 const int64_t shape[5], int weighted, struct hf_error *e) {
    struct ck_shrink weight = *args;
    enum hf_status st = ck_shrink(args, n->work, e);
    if (st != HF_OK || !weighted)
        return st;
    weight.from = n->store.weight;
    weight.to += args->n * args->out[0] * args->out[1] * args->out[2];
    weight.n = shape[0];
    return ck_shrink(&weight, n->work, e);
}

static enum hf_status run_step(const struct cuda_net *n, int32_t at, enum verb verb, int weighted,
                               struct hf_error *e) {
    const struct step *s = &n->graph.step[at];
    const union step_args *args = &n->store.args[at];
    switch (s->op) {
    case OP_INPUT:
    case OP_OUTPUT: /* read and write the caller's tensors: exec.c */
        return HF_OK;
    case OP_LOSS:
        return run_loss(n, &args->loss, verb, weighted, e);
    case OP_SHRINK:
        return run_shrink(n, &args->shrink, n->graph.value[s->layer].shape, weighted, e);
    case OP_CONV:
    case OP_CONV_DATA:
    case OP_CONV_WEIGHT:
        return run_conv(n, s, &args->conv, e);
    case OP_NORM:
        return ck_norm_forward(&args->norm, n->work, e);
    case OP_NORM_BACK:
        return ck_norm_backward(&args->norm, n->work, e);
    case OP_ACT:
        return ck_act_forward(&args->point, n->work, e);
    case OP_ACT_BACK:
        return ck_act_backward(&args->point, n->work, e);
    case OP_GATE:
        return ck_gate_forward(&args->point, n->work, e);
    case OP_GATE_BACK:
        return ck_gate_backward(&args->point, n->work, e);
    case OP_COPY:
        return ck_copy(&args->point, n->work, e);
    case OP_ADD:
        return ck_add(&args->point, n->work, e);
    case OP_POOL:
        return ck_pool_forward(&args->space, n->work, e);
    case OP_POOL_BACK:
        return ck_pool_backward(&args->space, n->work, e);
    case OP_UP:
        return ck_up_forward(&args->space, n->work, e);
    case OP_UP_BACK:
        return ck_up_backward(&args->space, n->work, e);
    case OP_SPREAD:
        return ck_taps_to_voxels(&args->space, n->work, e);
    case OP_SPREAD_BACK:
        return ck_voxels_to_taps(&args->space, n->work, e);
    case OP_REFLECT:
        return ck_reflect_forward(&args->space, n->work, e);
    case OP_REFLECT_BACK:
        return ck_reflect_backward(&args->space, n->work, e);
    case OP_MASK:
        return ck_mask(&args->point, n->work, e);
    case OP_WINDOW:
        return ck_window(&args->space, n->work, e);
    case OP_SCALE:
        return ck_scale(&args->point, n->work, e);
    case OP_SCALE_BACK:
        return ck_scale_backward(&args->point, n->work, e);
    case OP_SCALE_BIAS:
        return ck_bias_gradient(&args->bias, n->work, e);
    }
    return HF_OK;
}

static enum hf_status run_steps(const struct cuda_net *n, int32_t first, int32_t end,
                                enum verb verb, int weighted, struct hf_error *e) {
    enum hf_status st = HF_OK;
    for (int32_t i = first; i < end && st == HF_OK; i++)
        st = run_step(n, i, verb, weighted, e);
    return st;
}

static enum hf_status update(const struct cuda_net *n, struct hf_error *e) {
    const struct store *s = &n->store;
    enum hf_status st = HF_OK;
    if (s->dweight && s->weights)
        st = ck_cast_to_f32(s->dweight, s->gradient, s->weights, n->work, e);
    struct ck_update u = {.count = s->floats,
                          .param = s->param,
                          .m = s->moment,
                          .v = s->variance,
                          .average = s->average,
                          .range = s->range,
                          .ranges = s->ranges,
                          .grad = s->gradient,
                          .copy = s->copy,
                          .optimizer = n->graph.spec.optimizer,
                          .done = s->done,
                          .rate = s->rate,
                          .scratch = s->update};
    return st == HF_OK ? ck_update(&u, n->work, e) : st;
}

static enum hf_status run_plainly(const struct cuda_net *n, enum verb verb, int weighted,
                                  struct hf_error *e) {
    const struct graph *g = &n->graph;
    enum hf_status st = run_steps(n, 0, g->forward_end, verb, weighted, e);
    if (st != HF_OK || verb == VERB_FORWARD)
        return st;
    st = run_steps(n, g->loss_at, verb == VERB_STEP ? g->steps : g->loss_end, verb, weighted, e);
    return st == HF_OK && verb == VERB_STEP ? update(n, e) : st;
}

/** Captures a verb's steps, which does not run them. */
static enum hf_status capture(struct cuda_net *n, enum verb verb, int weighted,
                              struct hf_error *e) {
    cudaGraph_t graph = NULL;
    enum hf_status st =
        cuda_check(cudaStreamBeginCapture(n->work, cudaStreamCaptureModeThreadLocal),
                   "beginning to capture a network's steps", e);
    if (st != HF_OK)
        return st;
    st = run_plainly(n, verb, weighted, e);
    cudaError_t ended = cudaStreamEndCapture(n->work, &graph); /* also after a failure */
    if (st == HF_OK)
        st = cuda_check(ended, "capturing a network's steps", e);
    if (st == HF_OK)
        st = cuda_check(cudaGraphInstantiate(&n->replay[verb][weighted].exec, graph, 0),
                        "making a graph of a network's steps", e);
    if (st != HF_OK)
        n->replay[verb][weighted].exec = NULL;
    if (graph)
        (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    return st;
}

enum hf_status net_run(struct cuda_net *n, enum verb verb, int weighted, struct hf_error *e) {
    struct replay *r = &n->replay[verb][weighted];
    if (n->capture != CAPTURE_OFF && r->ran && !r->exec) {
        enum hf_status st = capture(n, verb, weighted, e);
        if (st != HF_OK && n->capture == CAPTURE_REQUIRED)
            return st;
        if (st != HF_OK)
            n->capture = CAPTURE_OFF;
    }
    if (r->exec)
        return cuda_check(cudaGraphLaunch(r->exec, n->work), "launching a network's steps", e);
    r->ran = 1;
    return run_plainly(n, verb, weighted, e);
}

void net_forget(struct cuda_net *n) {
    for (int verb = 0; verb < VERBS; verb++)
        for (int weighted = 0; weighted < 2; weighted++)
            if (n->replay[verb][weighted].exec)
                (void)cudaGraphExecDestroy(n->replay[verb][weighted].exec);
}
