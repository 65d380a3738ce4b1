/**
 * lower_back.c - lowers a network description to steps: loss and backward half.
 *
 * Layers are taken last to first. The first contribution to a gradient writes it and later ones
 * add to it; pointwise layers hand their gradient on in place, and a concatenation hands out
 * slices of its own.
 */
#include "graph.h"

#include <string.h>

/** Whether the backward step of a layer wants its dy dense, as convolutions do. */
static int wants_dense(const struct graph *g, int32_t layer) {
    return g->net->layer[layer].kind == HF_LAYER_CONV;
}

/** Where a contribution to the gradient of `layer` goes, and whether it is to be added. */
static enum hf_status target(struct graph *g, int32_t layer, struct slot *ret, int32_t *accumulate,
                             struct hf_error *e) {
    struct value *v = &g->value[layer];
    enum hf_status s = HF_OK;
    if (v->gradient.block < 0)
        s = graph_slot(g, graph_rows(g, layer), graph_channels(g, layer), &v->gradient, e);
    *ret = v->gradient;
    *accumulate = v->gradient_written;
    v->gradient_written = 1;
    return s;
}

/** Like `target` for a pointwise layer, in place of `dy`, which nothing reads afterwards. */
static enum hf_status target_in_place(struct graph *g, int32_t layer, const struct slot *dy,
                                      struct slot *ret, int32_t *accumulate, struct hf_error *e) {
    struct value *v = &g->value[layer];
    int dense = dy->step == graph_channels(g, layer);
    if (v->gradient.block < 0 && (dense || !wants_dense(g, layer)))
        v->gradient = *dy;
    return target(g, layer, ret, accumulate, e);
}

static enum hf_status back_conv_data(struct graph *g, int32_t i, const struct slot *dy,
                                     struct hf_error *e) {
    int32_t from = g->net->layer[i].input[0];
    struct step data = graph_step(OP_CONV_DATA, i), after = graph_step(OP_COPY, i);
    data.conv = g->conv[i];
    data.dy = *dy;
    enum hf_status s = target(g, from, &after.y, &after.accumulate, e);
    int reflected = graph_is_reflected(g, i);
    int direct = !reflected && !after.accumulate && after.y.step == graph_channels(g, from);
    int64_t voxels = graph_rows(g, from);
    if (reflected) {
        int64_t size[3], low[3];
        graph_padded(g, i, size, low);
        voxels = g->value[i].shape[0] * size[0] * size[1] * size[2];
    }
    data.dx = after.y;
    if (s == HF_OK && !direct)
        s = graph_slot(g, voxels, graph_channels(g, from), &data.dx, e);
    if (s == HF_OK)
        s = graph_scratch(g, g->target.conv_scratch(g->conv[i], NN_BACKWARD_DATA), &data.scratch,
                          e);
    if (s == HF_OK)
        s = graph_push(g, &data, e);
    if (s != HF_OK || direct)
        return s;
    if (reflected) {
        struct step fold = graph_step(OP_REFLECT_BACK, i);
        fold.dy = data.dx;
        fold.dx = after.y;
        fold.accumulate = after.accumulate;
        return graph_push(g, &fold, e);
    }
    after.x = data.dx;
    after.rows = voxels;
    after.channels = graph_channels(g, from);
    return graph_push(g, &after, e);
}

/** The convolution's input as its forward step saw it, with any reflected border. */
static struct slot conv_input(const struct graph *g, int32_t i) {
    for (int32_t k = 0; k < g->forward_end; k++)
        if (g->step[k].op == OP_CONV && g->step[k].layer == i)
            return g->step[k].x;
    return (struct slot){.block = -1};
}

/** Statistics or indices that the forward step of a layer left. */
static struct slot kept(const struct graph *g, int32_t i, enum op op) {
    for (int32_t k = 0; k < g->forward_end; k++)
        if (g->step[k].op == op && g->step[k].layer == i)
            return g->step[k].aux;
    return (struct slot){.block = -1};
}

/** The normalisation whose output only convolution `i` reads, as it is; -1: there is none. */
static int32_t norm_before(const struct graph *g, int32_t i) {
    int32_t from = g->net->layer[i].input[0];
    const struct value *v = &g->value[from];
    int32_t norm = g->net->layer[from].kind == HF_LAYER_NORM ? from : v->fused;
    return norm >= 0 && norm <= from && v->uses == 1 && v->concat < 0 && !graph_is_reflected(g, i)
               ? norm
               : -1;
}

/** Normalises once more rather than keep the output until now: memory for a little time. */
static enum hf_status normalise_again(struct graph *g, int32_t norm, struct slot *ret,
                                      struct hf_error *e) {
    const struct value *v = &g->value[norm];
    struct step n = graph_step(OP_NORM, norm);
    n.x = g->value[g->net->layer[norm].input[0]].slot;
    n.aux = kept(g, norm, OP_NORM);
    enum hf_status s = graph_slot(g, graph_rows(g, norm), v->shape[1], &n.y, e);
    if (s == HF_OK)
        s = graph_scratch(g, g->target.norm_scratch(v->shape[0], v->voxels, v->shape[1]),
                          &n.scratch, e);
    *ret = n.y;
    return s == HF_OK ? graph_push(g, &n, e) : s;
}

static enum hf_status back_conv(struct graph *g, int32_t i, const struct slot *dy,
                                struct hf_error *e) {
    struct step w = graph_step(OP_CONV_WEIGHT, i);
    int32_t norm = g->value[i].trains ? norm_before(g, i) : -1;
    w.conv = g->conv[i];
    w.x = conv_input(g, i);
    w.dy = *dy;
    enum hf_status s = norm >= 0 ? normalise_again(g, norm, &w.x, e) : HF_OK;
    if (s == HF_OK && g->value[i].trains)
        s = graph_scratch(g, g->target.conv_scratch(w.conv, NN_BACKWARD_WEIGHTS), &w.scratch, e);
    if (s == HF_OK && g->value[i].trains)
        s = graph_push(g, &w, e);
    if (s != HF_OK || !g->value[g->net->layer[i].input[0]].needs_gradient)
        return s;
    return back_conv_data(g, i, dy, e);
}

static enum hf_status back_deconv(struct graph *g, int32_t i, const struct slot *dy,
                                  struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    struct step gather = graph_step(OP_SPREAD_BACK, i);
    gather.dy = *dy;
    enum hf_status s = graph_slot(g, graph_rows(g, l->input[0]),
                                  l->stride[0] * l->stride[1] * l->stride[2] * graph_channels(g, i),
                                  &gather.dx, e);
    if (s == HF_OK)
        s = graph_push(g, &gather, e);
    return s == HF_OK ? back_conv(g, i, &gather.dx, e) : s;
}

static enum hf_status back_norm(struct graph *g, int32_t i, const struct slot *dy,
                                struct hf_error *e) {
    int32_t from = g->net->layer[i].input[0];
    const struct value *v = &g->value[i];
    struct step n = graph_step(OP_NORM_BACK, i);
    n.x = g->value[from].slot;
    n.dy = *dy;
    n.aux = kept(g, i, OP_NORM);
    enum hf_status s = target_in_place(g, from, dy, &n.dx, &n.accumulate, e);
    if (s == HF_OK)
        s = graph_scratch(g, g->target.norm_scratch(v->shape[0], v->voxels, v->shape[1]),
                          &n.scratch, e);
    return s == HF_OK ? graph_push(g, &n, e) : s;
}

/** Kernels that read dy and, some, the layer's input, output or indices. */
static enum hf_status back_simple(struct graph *g, int32_t i, enum op op, const struct slot *dy,
                                  struct hf_error *e) {
    int32_t from = g->net->layer[i].input[0];
    struct step b = graph_step(op, i);
    b.rows = graph_rows(g, i);
    b.channels = graph_channels(g, i);
    b.dy = *dy;
    enum hf_status s;
    if (op == OP_ACT_BACK) {
        b.y = g->value[i].slot;
        s = target_in_place(g, from, dy, &b.dx, &b.accumulate, e);
    } else {
        if (op == OP_GATE_BACK)
            b.x = g->value[from].slot;
        if (op == OP_POOL_BACK)
            b.aux = kept(g, i, OP_POOL);
        s = target(g, from, &b.dx, &b.accumulate, e);
    }
    return s == HF_OK ? graph_push(g, &b, e) : s;
}

/** The bias first: dx may take the place of dy. */
static enum hf_status back_scale(struct graph *g, int32_t i, const struct slot *dy,
                                 struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    struct step bias = graph_step(OP_SCALE_BIAS, i);
    bias.rows = graph_rows(g, i);
    bias.channels = graph_channels(g, i);
    bias.dy = *dy;
    bias.aux = g->value[l->input[1]].slot;
    struct step scale = bias;
    scale.op = OP_SCALE_BACK;
    enum hf_status s = HF_OK;
    if (g->value[i].trains) {
        s = graph_scratch(g, g->target.bias_scratch(bias.rows, bias.channels), &bias.scratch, e);
        if (s == HF_OK)
            s = graph_push(g, &bias, e);
    }
    if (s != HF_OK || !g->value[l->input[0]].needs_gradient)
        return s;
    s = target_in_place(g, l->input[0], dy, &scale.dx, &scale.accumulate, e);
    return s == HF_OK ? graph_push(g, &scale, e) : s;
}

/** Inputs of CONCAT and ADD receive a copy of (their channels of) dy, or a slice of it. */
static enum hf_status back_join(struct graph *g, int32_t i, const struct slot *dy,
                                struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    int concat = l->kind == HF_LAYER_CONCAT;
    struct slot part = *dy;
    enum hf_status s = HF_OK;
    for (int32_t k = 0; k < l->inputs && s == HF_OK; k++) {
        int32_t from = l->input[k];
        struct value *v = &g->value[from];
        struct step c = graph_step(OP_COPY, i);
        c.rows = graph_rows(g, i);
        c.channels = graph_channels(g, from);
        c.x = part;
        part.offset += concat ? c.channels : 0;
        if (!v->needs_gradient)
            continue;
        if (concat && v->gradient.block < 0 && !wants_dense(g, from)) {
            v->gradient = c.x;
            v->gradient_written = 1;
            continue;
        }
        s = target(g, from, &c.y, &c.accumulate, e);
        if (s == HF_OK)
            s = graph_push(g, &c, e);
    }
    return s;
}

static enum hf_status back_layer(struct graph *g, int32_t i, struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    const struct value *v = &g->value[i];
    const struct slot *dy = &v->gradient;
    struct slot copy;
    if (v->fused > i) /* NORM: its gradient is that of the fused ACT */
        dy = &g->value[v->fused].gradient;
    copy = *dy;
    int32_t from = l->inputs ? l->input[0] : i;
    switch (l->kind) {
    case HF_LAYER_CONV:
        return back_conv(g, i, &copy, e);
    case HF_LAYER_DECONV:
        return back_deconv(g, i, &copy, e);
    case HF_LAYER_NORM:
        return v->trains || g->value[from].needs_gradient ? back_norm(g, i, &copy, e) : HF_OK;
    case HF_LAYER_CONCAT:
    case HF_LAYER_ADD:
        return back_join(g, i, &copy, e);
    case HF_LAYER_ACT:
        return v->fused >= 0 ? HF_OK : back_simple(g, i, OP_ACT_BACK, &copy, e);
    case HF_LAYER_GATE:
        return back_simple(g, i, OP_GATE_BACK, &copy, e);
    case HF_LAYER_POOL:
        return back_simple(g, i, OP_POOL_BACK, &copy, e);
    case HF_LAYER_UP:
        return back_simple(g, i, OP_UP_BACK, &copy, e);
    case HF_LAYER_SCALE:
        return back_scale(g, i, &copy, e);
    default:
        return HF_OK;
    }
}

/* ---- losses ---- */

/** Target and weight at the size of a supervised layer; none where that is the output's. */
static enum hf_status shrink(struct graph *g, int32_t layer, struct slot *ret, struct hf_error *e) {
    const struct value *v = &g->value[layer];
    struct step s = graph_step(OP_SHRINK, layer);
    *ret = s.aux;
    if (memcmp(v->shape + 2, graph_output(g) + 2, 3 * sizeof *v->shape) == 0)
        return HF_OK;
    enum hf_status st = graph_scratch(
        g, (size_t)(graph_rows(g, layer) * (v->shape[1] + 1)) * sizeof(float), &s.aux, e);
    *ret = s.aux;
    return st == HF_OK ? graph_push(g, &s, e) : st;
}

/** The losses of the output or of a supervised layer, group by group. */
static enum hf_status lower_losses(struct graph *g, int32_t layer, struct hf_error *e) {
    const struct value *v = &g->value[layer];
    struct slot targets;
    enum hf_status s = shrink(g, layer, &targets, e);
    for (int32_t k = 0; k < g->groups && s == HF_OK; k++) {
        struct step loss = graph_step(OP_LOSS, layer);
        loss.group = k;
        loss.x = v->slot;
        loss.aux = targets;
        s = graph_scratch(g, g->target.loss_scratch(v->shape[0], v->voxels, g->group[k].channels),
                          &loss.scratch, e);
        if (s == HF_OK && v->needs_gradient)
            s = target(g, layer, &loss.dx, &loss.accumulate, e);
        if (s == HF_OK)
            s = graph_push(g, &loss, e);
    }
    return s;
}

enum hf_status graph_lower_back(struct graph *g, struct hf_error *e) {
    int32_t last = g->net->layers - 1;
    g->groups = loss_groups_of(g->spec.loss, g->spec.loss_terms, graph_channels(g, last), g->group);
    g->loss_at = g->steps;
    enum hf_status s = lower_losses(g, last, e);
    for (int32_t i = last - 1; i > 0 && s == HF_OK; i--)
        if (graph_is_head(g, i))
            s = lower_losses(g, i, e);
    g->loss_end = g->steps;
    for (int32_t i = last; i > 0 && s == HF_OK; i--)
        if (g->value[i].live && g->value[i].needs_gradient)
            s = back_layer(g, i, e);
    return s;
}
