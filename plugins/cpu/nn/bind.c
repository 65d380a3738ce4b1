/**
 * bind.c - the memory of a compiled network, and its steps bound to addresses.
 */
#include "bind.h"

#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* ---- memory ---- */

#define HUGE_PAGE ((size_t)2 << 20)

/** Large buffers ask for huge pages: an arena of 4 KiB pages spends its time in TLB misses. */
static void *allocate(size_t bytes) {
    size_t align = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : AR_ALIGN;
    bytes = (bytes + align) / align * align;
    void *p = NULL;
    if (posix_memalign(&p, align, bytes) != 0)
        return NULL;
#ifdef __linux__
    if (align == HUGE_PAGE)
        (void)madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}

static float *zeros(size_t count) {
    float *p = allocate(count * sizeof *p);
    if (p)
        memset(p, 0, count * sizeof *p);
    return p;
}

static enum hf_status store_allocate(struct store *s, const struct graph *g, struct hf_error *e) {
    size_t n = (size_t)g->param_floats, update = kn_update_scratch(g->param_floats);
    int train = g->spec.mode == HF_EXEC_TRAIN;
    s->args = calloc((size_t)g->steps + 1, sizeof *s->args);
    s->arena = allocate(s->arena_bytes);
    s->param = zeros(n);
    s->total_bytes = s->arena_bytes + n * sizeof *s->param;
    if (train) {
        s->gradient = zeros(n);
        s->moment = zeros(n);
        s->variance = zeros(n);
        s->update = allocate(update);
        s->range = calloc((size_t)g->params + 1, sizeof *s->range);
        s->total_bytes += 3 * n * sizeof *s->param + update;
    }
    int averages = train && g->spec.optimizer.average > 0;
    if (averages) {
        s->average = zeros(n);
        s->total_bytes += n * sizeof *s->average;
    }
    for (int32_t i = 0; i < g->net->layers; i++)
        s->total_bytes += g->conv[i] ? dn_conv_bytes(g->conv[i]) : 0;
    if (!s->args || !s->arena || !s->param ||
        (train && (!s->gradient || !s->moment || !s->variance || !s->update || !s->range)) ||
        (averages && !s->average))
        return hf_fail(e, HF_NO_MEMORY,
                       "network: out of memory; it needs %zu MiB for a batch of %lld x %lld x %lld "
                       "x %lld x %lld: try a smaller batch",
                       s->total_bytes >> 20, (long long)g->spec.shape[0],
                       (long long)g->spec.shape[1], (long long)g->spec.shape[2],
                       (long long)g->spec.shape[3], (long long)g->spec.shape[4]);
    return HF_OK;
}

void store_clear(struct store *s) {
    free(s->args);
    free(s->arena);
    free(s->param);
    free(s->gradient);
    free(s->moment);
    free(s->variance);
    free(s->average);
    free(s->range);
    free(s->update);
}

/** Neighbours that are updated make one range. */
static void find_ranges(struct store *s, const struct graph *g) {
    for (int32_t p = 0; p < g->params; p++) {
        const struct hf_param *param = &g->param[p];
        struct up_range *last = s->ranges ? &s->range[s->ranges - 1] : NULL;
        if (!g->value[param->layer].trains)
            continue;
        if (last && last->first + last->count == param->offset)
            last->count += param->count;
        else
            s->range[s->ranges++] = (struct up_range){param->offset, param->count};
    }
}

/* ---- addresses ---- */

struct binder {
    struct store *store;
    struct graph *graph;
};

static void *address(const struct binder *b, const struct slot *s) {
    return s->block < 0 ? NULL : b->store->arena + graph_offset(b->graph, s);
}

static struct kn_view view(const struct binder *b, const struct slot *s) {
    return (struct kn_view){address(b, s), s->step};
}

/** Parameter `k` of a layer in one of the flat vectors; NULL if the layer has none such. */
static float *param(const struct binder *b, float *flat, int32_t layer, int32_t k) {
    const struct hf_param *p = graph_param(b->graph, layer, k);
    return flat && p ? flat + p->offset : NULL;
}

/* ---- steps ---- */

static void bind_norm(const struct binder *b, const struct step *s, struct kn_norm *a) {
    const struct hf_net *net = b->graph->net;
    const struct value *v = &b->graph->value[s->layer];
    float *gradient = v->trains ? b->store->gradient : NULL;
    *a = (struct kn_norm){.n = v->shape[0],
                          .s = v->voxels,
                          .c = v->shape[1],
                          .x = view(b, &s->x),
                          .y = view(b, &s->y),
                          .dy = view(b, &s->dy),
                          .dx = view(b, &s->dx),
                          .scale = param(b, b->store->param, s->layer, 0),
                          .shift = param(b, b->store->param, s->layer, 1),
                          .dscale = param(b, gradient, s->layer, 0),
                          .dshift = param(b, gradient, s->layer, 1),
                          .epsilon = net->layer[s->layer].epsilon,
                          .slope = 1.0f,
                          .stat = address(b, &s->aux),
                          .scratch = address(b, &s->scratch),
                          .accumulate = s->accumulate};
    if (v->fused >= 0) {
        const struct hf_layer *act = &net->layer[v->fused];
        a->slope = act->act == HF_ACT_LEAKY ? act->slope : 0.0f;
    }
}

static void bind_point(const struct binder *b, const struct step *s, struct kn_point *a) {
    const struct hf_layer *l = &b->graph->net->layer[s->layer];
    *a = (struct kn_point){.rows = s->rows,
                           .c = s->channels,
                           .x = view(b, &s->x),
                           .y = view(b, &s->y),
                           .dy = view(b, &s->dy),
                           .dx = view(b, &s->dx),
                           .other = address(b, &s->aux),
                           .other_step = s->aux.step,
                           .act = l->act,
                           .slope = l->slope,
                           .accumulate = s->accumulate,
                           .invert = l->invert,
                           .bias = param(b, b->store->param, s->layer, 0),
                           .dbias = param(b, b->store->gradient, s->layer, 0),
                           .scratch = address(b, &s->scratch)};
}

static void bind_space(const struct binder *b, const struct step *s, struct kn_space *a) {
    const struct graph *g = b->graph;
    const struct hf_layer *l = &g->net->layer[s->layer];
    const struct value *in = &g->value[l->input[0]], *out = &g->value[s->layer];
    *a = (struct kn_space){.n = in->shape[0],
                           .c = in->shape[1],
                           .x = view(b, &s->x),
                           .y = view(b, &s->y),
                           .dy = view(b, &s->dy),
                           .dx = view(b, &s->dx),
                           .index = address(b, &s->aux),
                           .accumulate = s->accumulate};
    for (int i = 0; i < 3; i++) {
        a->in[i] = in->shape[2 + i];
        a->out[i] = out->shape[2 + i];
        a->stride[i] = l->stride[i];
    }
    if (l->kind == HF_LAYER_DECONV)
        a->c = out->shape[1];
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

static void bind_boundary(const struct binder *b, const struct step *s, struct kn_layout *a) {
    const struct value *v = &b->graph->value[s->layer];
    *a = (struct kn_layout){.n = v->shape[0],
                            .s = v->voxels,
                            .c = v->shape[1],
                            .from = address(b, &s->x),
                            .to = address(b, &s->y)};
}

/** `target` and `weight` stay NULL where they are the caller's. */
static void bind_loss(const struct binder *b, const struct step *s, struct kn_loss *a) {
    const struct graph *g = b->graph;
    const struct value *v = &g->value[s->layer];
    const float *targets = address(b, &s->aux);
    int head = graph_is_head(g, s->layer);
    *a =
        (struct kn_loss){.n = v->shape[0],
                         .s = v->voxels,
                         .c = v->shape[1],
                         .z = view(b, &s->x),
                         .dz = view(b, &s->dx),
                         .target = targets,
                         .weight = targets ? targets + v->shape[0] * v->shape[1] * v->voxels : NULL,
                         .group = g->group[s->group],
                         .scale = head ? g->net->layer[s->layer].supervise : 1.0f,
                         .accumulate = s->accumulate,
                         .adds = s != &g->step[g->loss_at],
                         .tells = !head,
                         .scratch = address(b, &s->scratch)};
}

/** Of the target; the weight has one channel and stands behind it. */
static void bind_shrink(const struct binder *b, const struct step *s, struct kn_shrink *a) {
    const struct value *v = &b->graph->value[s->layer];
    const int64_t *in = graph_output(b->graph);
    *a = (struct kn_shrink){.n = v->shape[0] * v->shape[1], .to = address(b, &s->aux)};
    for (int i = 0; i < 3; i++) {
        a->in[i] = in[2 + i];
        a->out[i] = v->shape[2 + i];
    }
}

static enum hf_status bind_conv(const struct binder *b, const struct step *s, struct hf_error *e) {
    enum nn_pass pass = s->op == OP_CONV        ? NN_FORWARD
                        : s->op == OP_CONV_DATA ? NN_BACKWARD_DATA
                                                : NN_BACKWARD_WEIGHTS;
    float *flat = pass == NN_BACKWARD_WEIGHTS ? b->store->gradient : b->store->param;
    const struct slot *src = pass == NN_BACKWARD_DATA ? &s->dy : &s->x;
    const struct slot *dst[NN_PASSES] = {&s->y, &s->dx, &s->dy};
    struct dn_buffers buffers = {.src = address(b, src),
                                 .dst = address(b, dst[pass]),
                                 .weight = param(b, flat, s->layer, 0),
                                 .bias = param(b, flat, s->layer, 1),
                                 .scratch = address(b, &s->scratch)};
    return dn_conv_bind(s->conv, pass, &buffers, e);
}

static enum hf_status bind_step(const struct binder *b, const struct step *s, union step_args *args,
                                struct hf_error *e) {
    switch (s->op) {
    case OP_CONV:
    case OP_CONV_DATA:
    case OP_CONV_WEIGHT:
        return bind_conv(b, s, e);
    case OP_INPUT:
    case OP_OUTPUT:
        bind_boundary(b, s, &args->layout);
        return HF_OK;
    case OP_LOSS:
        bind_loss(b, s, &args->loss);
        return HF_OK;
    case OP_SHRINK:
        bind_shrink(b, s, &args->shrink);
        return HF_OK;
    case OP_NORM:
    case OP_NORM_BACK:
        bind_norm(b, s, &args->norm);
        return HF_OK;
    case OP_POOL:
    case OP_POOL_BACK:
    case OP_UP:
    case OP_UP_BACK:
    case OP_SPREAD:
    case OP_SPREAD_BACK:
    case OP_REFLECT:
    case OP_REFLECT_BACK:
    case OP_WINDOW:
        bind_space(b, s, &args->space);
        return HF_OK;
    default:
        bind_point(b, s, &args->point);
        return HF_OK;
    }
}

enum hf_status store_make(struct store *s, struct graph *g, struct hf_error *e) {
    enum hf_status status = ar_plan(g->block, g->blocks, &s->arena_bytes, e);
    if (status == HF_OK)
        status = store_allocate(s, g, e);
    if (status == HF_OK && s->range)
        find_ranges(s, g);
    struct binder b = {s, g};
    for (int32_t i = 0; i < g->steps && status == HF_OK; i++)
        status = bind_step(&b, &g->step[i], &s->args[i], e);
    return status;
}
