/**
 * bind.c - the memory of a network compiled for a GPU, and its steps bound to addresses.
 */
#include "net.h"

#include <stdlib.h>
#include <string.h>

static size_t aligned(size_t bytes) {
    return (bytes + NET_ALIGN - 1) / NET_ALIGN * NET_ALIGN;
}

/* ---- convolutions, as the lowering asks for them ---- */

static enum hf_status conv_new(void *context, const struct nn_conv_spec *s, void **ret,
                               struct hf_error *e) {
    const struct cuda_net *n = context;
    struct net_conv *c = calloc(1, sizeof *c);
    if (!c)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    *ret = c;
    struct cv_spec spec = cv_spec_of(s, n->graph.spec.precision);
    c->rows = s->n * s->taps * s->out[0] * s->out[1] * s->out[2];
    c->co = s->co;
    enum hf_status st = cv_conv_new(n->cudnn, &spec, &c->cv, e);
    if (st != HF_OK)
        return st;
    c->scratch[NN_FORWARD] = cv_workspace(c->cv, CV_FORWARD);
    c->scratch[NN_BACKWARD_DATA] = s->data_gradient ? cv_workspace(c->cv, CV_DATA) : 0;
    if (s->train) {
        c->dbias = aligned(cv_workspace(c->cv, CV_WEIGHTS));
        c->scratch[NN_BACKWARD_WEIGHTS] =
            c->dbias + (s->bias ? ck_bias_scratch(c->rows, c->co) : 0);
    }
    return HF_OK;
}

static void conv_free(void *conv) {
    struct net_conv *c = conv;
    if (c)
        cv_conv_free(c->cv);
    free(c);
}

static size_t conv_scratch(const void *conv, enum nn_pass pass) {
    const struct net_conv *c = conv;
    return c->scratch[pass];
}

/* ---- memory ---- */

/** Whether a parameter is the weights of a convolution. */
static int is_weight(const struct graph *g, const struct hf_param *p) {
    enum hf_layer_kind kind = g->net->layer[p->layer].kind;
    return p->ndim > 1 && (kind == HF_LAYER_CONV || kind == HF_LAYER_DECONV);
}

/** Neighbours that are updated make one range, with the gaps behind them. */
static void add_range(struct store *s, int64_t first, int64_t count) {
    struct up_range *last = s->ranges ? &s->range[s->ranges - 1] : NULL;
    if (last && last->first + last->count == first)
        last->count += count;
    else
        s->range[s->ranges++] = (struct up_range){first, count};
}

static enum hf_status place_params(struct store *s, const struct graph *g, struct hf_error *e) {
    s->args = calloc((size_t)g->steps + 1, sizeof *s->args);
    s->place = calloc((size_t)g->params + 1, sizeof *s->place);
    s->range = calloc((size_t)g->params + 1, sizeof *s->range);
    if (!s->args || !s->place || !s->range)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    for (int rest = 0; rest < 2; rest++) {
        for (int32_t p = 0; p < g->params; p++) {
            if (is_weight(g, &g->param[p]) == rest)
                continue;
            size_t bytes = aligned((size_t)g->param[p].count * sizeof(float));
            s->place[p] = s->floats;
            s->floats += (int64_t)(bytes / sizeof(float));
            if (g->value[g->param[p].layer].trains)
                add_range(s, s->place[p], (int64_t)(bytes / sizeof(float)));
        }
        s->weights = rest ? s->weights : s->floats;
    }
    s->floats = s->floats ? s->floats : NET_ALIGN;
    return HF_OK;
}

/** What the block is made of; zeroed before the first step: up to ARENA. */
enum piece {
    PARAM,
    GRADIENT,
    MOMENT,
    VARIANCE,
    AVERAGE,
    COPY,
    DWEIGHT,
    DONE,
    RATE,
    LOSS,
    ARENA,
    UPDATE,
    TARGET,
    WEIGHT,
    PIECES
};

static void sizes(const struct cuda_net *n, size_t bytes[PIECES]) {
    const struct store *s = &n->store;
    const int64_t *out = graph_output(&n->graph);
    size_t vector = (size_t)s->floats * sizeof(float);
    size_t voxels = (size_t)(out[0] * out[2] * out[3] * out[4]);
    const struct hf_optimizer *o = &n->graph.spec.optimizer;
    memset(bytes, 0, PIECES * sizeof *bytes);
    bytes[PARAM] = vector;
    bytes[ARENA] = s->arena_bytes;
    if (n->type == CK_BF16)
        bytes[COPY] = (size_t)s->floats * ck_type_size(n->type);
    if (n->graph.spec.mode != HF_EXEC_TRAIN)
        return;
    bytes[GRADIENT] = bytes[MOMENT] = vector;
    bytes[VARIANCE] = o->kind == HF_OPT_SGD ? 0 : vector;
    bytes[AVERAGE] = o->average > 0 ? vector : 0;
    if (n->type == CK_BF16)
        bytes[DWEIGHT] = (size_t)s->weights * ck_type_size(n->type);
    bytes[DONE] = sizeof *s->done;
    bytes[RATE] = sizeof *s->rate;
    bytes[LOSS] = (1 + HF_MAX_LOSS_TERMS) * sizeof *s->loss;
    bytes[UPDATE] = ck_update_scratch(s->floats);
    bytes[TARGET] = voxels * (size_t)out[1] * sizeof *s->target;
    bytes[WEIGHT] = voxels * sizeof *s->weight;
}

static enum hf_status store_allocate(struct cuda_net *n, struct hf_error *e) {
    struct store *s = &n->store;
    size_t bytes[PIECES], from[PIECES + 1] = {0};
    sizes(n, bytes);
    for (int i = 0; i < PIECES; i++)
        from[i + 1] = from[i] + aligned(bytes[i]);
    s->block_bytes = from[PIECES] + NET_ALIGN; /* the device's memory may be aligned to less */
    struct hf_error why = {0};
    if (n->device->methods->alloc(n->device, n->queue, s->block_bytes, &s->block, &why) != HF_OK) {
        const int64_t *in = n->graph.spec.shape;
        s->block = NULL;
        return hf_fail(e, HF_NO_MEMORY,
                       "network: the GPU is out of memory; it needs %zu MiB for a batch of %lld x "
                       "%lld x %lld x %lld x %lld: try a smaller batch",
                       s->block_bytes >> 20, (long long)in[0], (long long)in[1], (long long)in[2],
                       (long long)in[3], (long long)in[4]);
    }
    char *base = (char *)aligned((size_t)s->block);
    char *at[PIECES];
    for (int i = 0; i < PIECES; i++)
        at[i] = bytes[i] ? base + from[i] : NULL;
    s->param = (float *)at[PARAM];
    s->gradient = (float *)at[GRADIENT];
    s->moment = (float *)at[MOMENT];
    s->variance = (float *)at[VARIANCE];
    s->average = (float *)at[AVERAGE];
    s->copy = at[COPY];
    s->dweight = at[DWEIGHT];
    s->done = (struct up_done *)at[DONE];
    s->rate = (float *)at[RATE];
    s->loss = (float *)at[LOSS];
    s->arena = at[ARENA];
    s->update = at[UPDATE];
    s->target = (float *)at[TARGET];
    s->weight = (float *)at[WEIGHT];
    cudaStream_t stream = cuda_queue_stream(n->queue);
    enum hf_status st =
        cuda_check(cudaMemsetAsync(base, 0, from[ARENA], stream), "clearing memory", e);
    if (st == HF_OK)
        st = cuda_check(cudaEventRecord(n->begin, stream), "recording an event", e);
    if (st == HF_OK)
        st = cuda_check(cudaStreamWaitEvent(n->work, n->begin, 0), "waiting for an event", e);
    cuda_queue_used(n->queue);
    return st;
}

/* ---- addresses ---- */

static void *address(const struct cuda_net *n, const struct slot *s) {
    return s->block < 0 ? NULL : n->store.arena + graph_offset(&n->graph, s);
}

static struct ck_view view(const struct cuda_net *n, const struct slot *s) {
    return (struct ck_view){address(n, s), s->step};
}

/** Parameter `k` of a layer in one of the vectors; NULL if the layer has none such. */
static float *param(const struct cuda_net *n, float *vector, int32_t layer, int32_t k) {
    const struct hf_param *p = graph_param(&n->graph, layer, k);
    return vector && p ? vector + n->store.place[p - n->graph.param] : NULL;
}

/** The place of a parameter, by its place among the master copies, in bfloat16 ones. */
static void *in_bf16(const struct cuda_net *n, void *vector, const float *p) {
    return (char *)vector + (size_t)(p - n->store.param) * ck_type_size(CK_BF16);
}

/** A parameter as an operand of a convolution. */
static void *operand(const struct cuda_net *n, int32_t layer, int32_t k) {
    float *p = param(n, n->store.param, layer, k);
    return p && n->store.copy ? in_bf16(n, n->store.copy, p) : (void *)p;
}

/* ---- steps ---- */

static void bind_norm(const struct cuda_net *n, const struct step *s, struct ck_norm *a) {
    const struct hf_net *net = n->graph.net;
    const struct value *v = &n->graph.value[s->layer];
    float *gradient = v->trains ? n->store.gradient : NULL;
    *a = (struct ck_norm){.type = n->type,
                          .n = v->shape[0],
                          .s = v->voxels,
                          .c = v->shape[1],
                          .x = view(n, &s->x),
                          .y = view(n, &s->y),
                          .dy = view(n, &s->dy),
                          .dx = view(n, &s->dx),
                          .scale = param(n, n->store.param, s->layer, 0),
                          .shift = param(n, n->store.param, s->layer, 1),
                          .dscale = param(n, gradient, s->layer, 0),
                          .dshift = param(n, gradient, s->layer, 1),
                          .epsilon = net->layer[s->layer].epsilon,
                          .slope = 1.0f,
                          .stat = address(n, &s->aux),
                          .scratch = address(n, &s->scratch),
                          .accumulate = s->accumulate};
    if (v->fused >= 0) {
        const struct hf_layer *act = &net->layer[v->fused];
        a->slope = act->act == HF_ACT_LEAKY ? act->slope : 0.0f;
    }
}

static void bind_point(const struct cuda_net *n, const struct step *s, struct ck_point *a) {
    const struct hf_layer *l = &n->graph.net->layer[s->layer];
    *a = (struct ck_point){.type = n->type,
                           .rows = s->rows,
                           .c = s->channels,
                           .x = view(n, &s->x),
                           .y = view(n, &s->y),
                           .dy = view(n, &s->dy),
                           .dx = view(n, &s->dx),
                           .other = view(n, &s->aux),
                           .act = l->act,
                           .slope = l->slope,
                           .accumulate = s->accumulate,
                           .invert = l->invert,
                           .bias = param(n, n->store.param, s->layer, 0)};
}

static void bind_bias(const struct cuda_net *n, const struct step *s, struct ck_bias *a) {
    *a = (struct ck_bias){.type = n->type,
                          .rows = s->rows,
                          .c = s->channels,
                          .dy = view(n, &s->dy),
                          .map = view(n, &s->aux),
                          .dbias = param(n, n->store.gradient, s->layer, 0),
                          .scratch = address(n, &s->scratch)};
}

static void bind_space(const struct cuda_net *n, const struct step *s, struct ck_space *a) {
    const struct graph *g = &n->graph;
    const struct hf_layer *l = &g->net->layer[s->layer];
    const struct value *in = &g->value[l->input[0]], *out = &g->value[s->layer];
    *a = (struct ck_space){.type = n->type,
                           .n = in->shape[0],
                           .c = in->shape[1],
                           .x = view(n, &s->x),
                           .y = view(n, &s->y),
                           .dy = view(n, &s->dy),
                           .dx = view(n, &s->dx),
                           .index = address(n, &s->aux),
                           .accumulate = s->accumulate};
    for (int i = 0; i < 3; i++) {
        a->in[i] = in->shape[2 + i];
        a->out[i] = out->shape[2 + i];
        a->stride[i] = l->stride[i];
    }
    if (l->kind == HF_LAYER_DECONV) {
        a->c = out->shape[1];
        a->bias = s->op == OP_SPREAD ? param(n, n->store.param, s->layer, 1) : NULL;
    }
    if (l->kind == HF_LAYER_CONV)
        graph_padded(g, s->layer, a->out, a->low);
    for (int i = 0; i < 3 && l->kind == HF_LAYER_WINDOW; i++) {
        int64_t high;
        hf_layer_conv_pad(l, i, a->in[i], &a->low[i], &high);
        a->kernel[i] = l->kernel[i];
        a->dilation[i] = l->dilation[i];
        a->mirrored = l->pad == HF_PAD_REFLECT;
    }
}

static void bind_boundary(const struct cuda_net *n, const struct step *s, struct ck_layout *a) {
    const struct value *v = &n->graph.value[s->layer];
    const struct slot *last = s->op == OP_INPUT ? &s->y : &s->x;
    *a = (struct ck_layout){
        .type = n->type, .n = v->shape[0], .s = v->voxels, .c = v->shape[1], .last = view(n, last)};
}

static void bind_loss(const struct cuda_net *n, const struct step *s, struct ck_loss *a) {
    const struct graph *g = &n->graph;
    const struct value *v = &g->value[s->layer];
    const float *targets = address(n, &s->aux);
    int head = graph_is_head(g, s->layer);
    int64_t weights = v->shape[0] * v->shape[1] * v->voxels; /* behind the targets */
    *a = (struct ck_loss){.type = n->type,
                          .n = v->shape[0],
                          .s = v->voxels,
                          .c = v->shape[1],
                          .z = view(n, &s->x),
                          .dz = view(n, &s->dx),
                          .target = targets ? targets : n->store.target,
                          .weight = targets ? targets + weights : n->store.weight,
                          .group = g->group[s->group],
                          .scale = head ? g->net->layer[s->layer].supervise : 1.0f,
                          .accumulate = s->accumulate,
                          .adds = s != &g->step[g->loss_at],
                          .tells = !head,
                          .out = n->store.loss,
                          .scratch = address(n, &s->scratch)};
}

/** Of the target; the weight has one channel and stands behind it. */
static void bind_shrink(const struct cuda_net *n, const struct step *s, struct ck_shrink *a) {
    const struct value *v = &n->graph.value[s->layer];
    const int64_t *in = graph_output(&n->graph);
    *a = (struct ck_shrink){
        .n = v->shape[0] * v->shape[1], .from = n->store.target, .to = address(n, &s->aux)};
    for (int i = 0; i < 3; i++) {
        a->in[i] = in[2 + i];
        a->out[i] = v->shape[2 + i];
    }
}

static void bind_conv(const struct cuda_net *n, const struct step *s, struct conv_args *a) {
    const struct net_conv *c = s->conv;
    const struct store *st = &n->store;
    int spreads = n->graph.net->layer[s->layer].kind == HF_LAYER_DECONV;
    char *scratch = address(n, &s->scratch);
    *a = (struct conv_args){.buffers.workspace = scratch};
    a->buffers.w = operand(n, s->layer, 0);
    a->buffers.x = address(n, s->op == OP_CONV_DATA ? &s->dx : &s->x);
    a->buffers.y = address(n, s->op == OP_CONV ? &s->y : &s->dy);
    a->bias = (struct ck_bias){.type = n->type, .rows = c->rows};
    const float *bias = param(n, st->param, s->layer, 1);
    if (s->op == OP_CONV && bias && !spreads) {
        a->buffers.bias = cv_adds_bias(c->cv) ? operand(n, s->layer, 1) : NULL;
        a->bias.x = a->bias.y = (struct ck_view){a->buffers.y, c->co};
        a->bias.bias = bias;
        a->bias.c = a->buffers.bias ? 0 : c->co;
    }
    if (s->op != OP_CONV_WEIGHT)
        return;
    a->buffers.w = param(n, st->gradient, s->layer, 0);
    if (st->dweight)
        a->buffers.w = in_bf16(n, st->dweight, param(n, st->param, s->layer, 0));
    a->bias.dy = (struct ck_view){a->buffers.y, c->co};
    a->bias.dbias = param(n, st->gradient, s->layer, 1);
    a->bias.scratch = scratch + c->dbias;
    a->bias.c = a->bias.dbias ? c->co : 0;
}

static void bind_step(const struct cuda_net *n, const struct step *s, union step_args *args) {
    switch (s->op) {
    case OP_CONV:
    case OP_CONV_DATA:
    case OP_CONV_WEIGHT:
        bind_conv(n, s, &args->conv);
        return;
    case OP_INPUT:
    case OP_OUTPUT:
        bind_boundary(n, s, &args->layout);
        return;
    case OP_LOSS:
        bind_loss(n, s, &args->loss);
        return;
    case OP_SHRINK:
        bind_shrink(n, s, &args->shrink);
        return;
    case OP_NORM:
    case OP_NORM_BACK:
        bind_norm(n, s, &args->norm);
        return;
    case OP_POOL:
    case OP_POOL_BACK:
    case OP_UP:
    case OP_UP_BACK:
    case OP_SPREAD:
    case OP_SPREAD_BACK:
    case OP_REFLECT:
    case OP_REFLECT_BACK:
    case OP_WINDOW:
        bind_space(n, s, &args->space);
        return;
    case OP_SCALE_BIAS:
        bind_bias(n, s, &args->bias);
        return;
    default:
        bind_point(n, s, &args->point);
        return;
    }
}

/* ---- the whole ---- */

enum hf_status net_build(struct cuda_net *n, const struct hf_host *host, const struct hf_net *net,
                         const struct hf_exec_spec *spec, struct hf_error *e) {
    struct nn_target target = {.context = n,
                               .element = ck_type_size(n->type),
                               .align = NET_ALIGN,
                               .conv_new = conv_new,
                               .conv_free = conv_free,
                               .conv_scratch = conv_scratch,
                               .norm_scratch = ck_norm_scratch,
                               .bias_scratch = ck_bias_scratch,
                               .loss_scratch = ck_loss_scratch};
    struct graph *g = &n->graph;
    struct store *s = &n->store;
    enum hf_status st = graph_lower(g, &target, host, net, spec, e);
    if (st == HF_OK)
        st = ar_plan(g->block, g->blocks, &s->arena_bytes, e);
    if (st == HF_OK)
        st = place_params(s, g, e);
    if (st == HF_OK)
        st = store_allocate(n, e);
    for (int32_t i = 0; i < g->steps && st == HF_OK; i++)
        bind_step(n, &g->step[i], &s->args[i]);
    return st;
}

void net_unbuild(struct cuda_net *n) {
    struct store *s = &n->store;
    if (s->block)
        n->device->methods->free(n->device, s->block, s->block_bytes, NULL);
    free(s->args);
    free(s->place);
    free(s->range);
    graph_clear(&n->graph);
}
