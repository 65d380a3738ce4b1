/**
 * lower.c - lowers a network description to steps: the forward half.
 *
 * What leads neither to the output nor to a loss is left out. A leaky ReLU joins the normalisation
 * before it, pointwise layers work in place where nothing else reads their input, and kernels of
 * its own write straight into the concatenation that reads them.
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

/* ---- steps and blocks ---- */

enum hf_status graph_block(struct graph *g, size_t bytes, int32_t *ret, struct hf_error *e) {
    if (g->blocks == g->block_capacity) {
        int32_t capacity = g->block_capacity ? 2 * g->block_capacity : 64;
        struct ar_block *p = realloc(g->block, (size_t)capacity * sizeof *p);
        if (!p)
            return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
        g->block = p;
        g->block_capacity = capacity;
    }
    size_t align = g->target.align;
    bytes = (bytes + align - 1) / align * align;
    g->block[g->blocks] = (struct ar_block){.size = bytes, .first = INT32_MAX, .last = -1};
    *ret = g->blocks++;
    return HF_OK;
}

enum hf_status graph_slot(struct graph *g, int64_t voxels, int64_t channels, struct slot *ret,
                          struct hf_error *e) {
    *ret = (struct slot){.step = channels};
    return graph_block(g, (size_t)(voxels * channels) * g->target.element, &ret->block, e);
}

enum hf_status graph_scratch(struct graph *g, size_t bytes, struct slot *ret, struct hf_error *e) {
    *ret = (struct slot){.block = -1};
    return bytes ? graph_block(g, bytes, &ret->block, e) : HF_OK;
}

struct step graph_step(enum op op, int32_t layer) {
    struct slot none = {.block = -1};
    return (struct step){.op = op,
                         .layer = layer,
                         .x = none,
                         .y = none,
                         .dy = none,
                         .dx = none,
                         .aux = none,
                         .scratch = none};
}

static void touch(struct graph *g, const struct slot *s) {
    if (s->block < 0)
        return;
    struct ar_block *b = &g->block[s->block];
    b->first = g->steps < b->first ? g->steps : b->first;
    b->last = g->steps > b->last ? g->steps : b->last;
}

enum hf_status graph_push(struct graph *g, const struct step *s, struct hf_error *e) {
    if (g->steps == g->step_capacity) {
        int32_t capacity = g->step_capacity ? 2 * g->step_capacity : 64;
        struct step *p = realloc(g->step, (size_t)capacity * sizeof *p);
        if (!p)
            return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
        g->step = p;
        g->step_capacity = capacity;
    }
    const struct slot *slots[] = {&s->x, &s->y, &s->dy, &s->dx, &s->aux, &s->scratch};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        touch(g, slots[i]);
    g->step[g->steps++] = *s;
    return HF_OK;
}

int64_t graph_channels(const struct graph *g, int32_t layer) {
    return g->value[layer].shape[1];
}

int64_t graph_rows(const struct graph *g, int32_t layer) {
    return g->value[layer].shape[0] * g->value[layer].voxels;
}

int graph_is_reflected(const struct graph *g, int32_t layer) {
    const struct hf_layer *l = &g->net->layer[layer];
    if (l->kind != HF_LAYER_CONV || l->pad != HF_PAD_REFLECT)
        return 0;
    const int64_t *in = g->value[l->input[0]].shape + 2;
    for (int a = 0; a < 3; a++) {
        int64_t low, high;
        hf_layer_conv_pad(l, a, in[a], &low, &high);
        if (low != 0 || high != 0)
            return 1;
    }
    return 0;
}

void graph_padded(const struct graph *g, int32_t layer, int64_t ret[3], int64_t ret_low[3]) {
    const struct hf_layer *l = &g->net->layer[layer];
    const int64_t *in = g->value[l->input[0]].shape + 2;
    for (int a = 0; a < 3; a++) {
        int64_t high;
        hf_layer_conv_pad(l, a, in[a], &ret_low[a], &high);
        ret[a] = in[a] + ret_low[a] + high;
    }
}

/* ---- analysis ---- */

static void mark_live(struct graph *g) {
    g->value[g->net->layers - 1].live = 1;
    g->value[g->net->layers - 1].uses = 1;
    g->value[0].live = 1;
    for (int32_t i = 0; i < g->net->layers; i++)
        if (graph_is_head(g, i)) {
            g->value[i].live = 1;
            g->value[i].uses++;
        }
    for (int32_t i = g->net->layers - 1; i >= 0; i--) {
        const struct hf_layer *l = &g->net->layer[i];
        for (int32_t k = 0; g->value[i].live && k < l->inputs; k++) {
            g->value[l->input[k]].live = 1;
            g->value[l->input[k]].uses++;
        }
    }
    for (int32_t i = 0; i < g->net->layers; i++) {
        const struct hf_layer *l = &g->net->layer[i];
        struct value *v = &g->value[i];
        v->needs_gradient = v->trains;
        for (int32_t k = 0; k < l->inputs; k++)
            v->needs_gradient |= g->value[l->input[k]].needs_gradient;
        if (l->kind == HF_LAYER_MASK || l->kind == HF_LAYER_WINDOW)
            v->needs_gradient = 0;
    }
}

static void fuse(struct graph *g) {
    for (int32_t i = 0; i < g->net->layers; i++) {
        const struct hf_layer *l = &g->net->layer[i];
        if (!g->value[i].live || l->kind != HF_LAYER_ACT ||
            (l->act != HF_ACT_RELU && l->act != HF_ACT_LEAKY))
            continue;
        int32_t from = l->input[0];
        if (g->net->layer[from].kind == HF_LAYER_NORM && g->value[from].uses == 1) {
            g->value[i].fused = from;
            g->value[from].fused = i;
        }
    }
}

/** Whether the step that computes a layer can write a slice, by a kernel of the device. */
static int writes_slices(enum hf_layer_kind kind) {
    return kind != HF_LAYER_INPUT && kind != HF_LAYER_CONV && kind != HF_LAYER_CONCAT;
}

/** Whether every live reader of a value takes a slice; convolutions do not. */
static int read_as_slice(const struct graph *g, int32_t value) {
    for (int32_t i = value + 1; i < g->net->layers; i++) {
        const struct hf_layer *l = &g->net->layer[i];
        int dense =
            (l->kind == HF_LAYER_CONV && !graph_is_reflected(g, i)) || l->kind == HF_LAYER_DECONV;
        for (int32_t k = 0; g->value[i].live && dense && k < l->inputs; k++)
            if (l->input[k] == value)
                return 0;
    }
    return 1;
}

static void place_in_concats(struct graph *g) {
    for (int32_t i = 0; i < g->net->layers; i++) {
        const struct hf_layer *l = &g->net->layer[i];
        for (int32_t k = 0; g->value[i].live && l->kind == HF_LAYER_CONCAT && k < l->inputs; k++) {
            struct value *v = &g->value[l->input[k]];
            if (v->concat < 0 && writes_slices(g->net->layer[l->input[k]].kind) &&
                read_as_slice(g, l->input[k]))
                v->concat = i;
        }
    }
}

/** Whether layer `i`, pointwise, may overwrite its input. */
static int in_place(const struct graph *g, int32_t i) {
    const struct hf_layer *l = &g->net->layer[i];
    int32_t from = l->input[0];
    enum hf_layer_kind maker = g->net->layer[from].kind;
    const struct value *out = &g->value[g->value[i].fused > i ? g->value[i].fused : i];
    if (g->value[from].uses != 1 || g->value[from].concat >= 0 || out->concat >= 0 ||
        maker == HF_LAYER_CONCAT)
        return 0;
    if (l->kind == HF_LAYER_NORM) /* its backward pass reads its input */
        return g->spec.mode == HF_EXEC_FORWARD;
    /* The backward pass of an activation reads its output, that of the maker must not. */
    return g->spec.mode == HF_EXEC_FORWARD || (maker != HF_LAYER_ACT && maker != HF_LAYER_NORM);
}

/* ---- layers ---- */

/** The slot of layer `i`'s output: its own block, or its place in a concatenation. */
static enum hf_status output_slot(struct graph *g, int32_t i, struct slot *ret,
                                  struct hf_error *e) {
    struct value *v = &g->value[i];
    if (v->slot.block >= 0) {
        *ret = v->slot;
        return HF_OK;
    }
    enum hf_status s = HF_OK;
    if (v->concat < 0) {
        s = graph_slot(g, graph_rows(g, i), graph_channels(g, i), &v->slot, e);
    } else {
        const struct hf_layer *l = &g->net->layer[v->concat];
        struct slot whole;
        s = output_slot(g, v->concat, &whole, e);
        v->slot = whole;
        for (int32_t k = 0; k < l->inputs && l->input[k] != i; k++)
            v->slot.offset += graph_channels(g, l->input[k]);
    }
    *ret = v->slot;
    return s;
}

/** A convolution; `taps` above 1 makes it the 1x1 convolution of a transposed one. */
static enum hf_status make_conv(struct graph *g, int32_t i, int32_t taps, struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    const struct value *in = &g->value[l->input[0]], *out = &g->value[i];
    struct nn_conv_spec c = {.name = l->name,
                             .dims = g->net->dims,
                             .taps = taps,
                             .bias = l->bias != 0,
                             .train = g->spec.mode == HF_EXEC_TRAIN && out->trains,
                             .n = in->shape[0],
                             .ci = in->shape[1],
                             .co = out->shape[1]};
    int deconv = l->kind == HF_LAYER_DECONV;
    c.data_gradient = g->spec.mode == HF_EXEC_TRAIN && in->needs_gradient;
    for (int a = 0; a < 3; a++) {
        c.in[a] = in->shape[2 + a];
        c.out[a] = deconv ? c.in[a] : out->shape[2 + a];
        c.kernel[a] = deconv ? 1 : l->kernel[a];
        c.stride[a] = deconv ? 1 : l->stride[a];
        c.dilation[a] = l->dilation[a];
        if (!deconv)
            hf_layer_conv_pad(l, a, c.in[a], &c.pad_low[a], &c.pad_high[a]);
    }
    if (graph_is_reflected(g, i)) {
        graph_padded(g, i, c.in, c.pad_low);
        for (int a = 0; a < 3; a++)
            c.pad_low[a] = c.pad_high[a] = 0;
    }
    return g->target.conv_new(g->target.context, &c, &g->conv[i], e);
}

static enum hf_status lower_conv(struct graph *g, int32_t i, struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    enum hf_status s = make_conv(g, i, 1, e);
    struct step conv = graph_step(OP_CONV, i);
    conv.conv = g->conv[i];
    conv.x = g->value[l->input[0]].slot;
    if (s == HF_OK && graph_is_reflected(g, i)) {
        struct step pad = graph_step(OP_REFLECT, i);
        int64_t size[3], low[3];
        graph_padded(g, i, size, low);
        pad.x = conv.x;
        s = graph_slot(g, g->value[i].shape[0] * size[0] * size[1] * size[2],
                       graph_channels(g, l->input[0]), &pad.y, e);
        conv.x = pad.y;
        if (s == HF_OK)
            s = graph_push(g, &pad, e);
    }
    if (s == HF_OK)
        s = output_slot(g, i, &conv.y, e);
    if (s == HF_OK)
        s = graph_scratch(g, g->target.conv_scratch(conv.conv, NN_FORWARD), &conv.scratch, e);
    return s == HF_OK ? graph_push(g, &conv, e) : s;
}

static enum hf_status lower_deconv(struct graph *g, int32_t i, struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    int32_t taps = l->stride[0] * l->stride[1] * l->stride[2];
    enum hf_status s = make_conv(g, i, taps, e);
    struct step conv = graph_step(OP_CONV, i), spread = graph_step(OP_SPREAD, i);
    conv.conv = g->conv[i];
    conv.x = g->value[l->input[0]].slot;
    if (s == HF_OK)
        s = graph_slot(g, graph_rows(g, l->input[0]), taps * graph_channels(g, i), &conv.y, e);
    if (s == HF_OK)
        s = graph_scratch(g, g->target.conv_scratch(conv.conv, NN_FORWARD), &conv.scratch, e);
    if (s == HF_OK)
        s = graph_push(g, &conv, e);
    spread.x = conv.y;
    if (s == HF_OK)
        s = output_slot(g, i, &spread.y, e);
    return s == HF_OK ? graph_push(g, &spread, e) : s;
}

static enum hf_status lower_norm(struct graph *g, int32_t i, struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    const struct value *v = &g->value[i];
    int32_t out = v->fused >= 0 ? v->fused : i;
    struct step n = graph_step(OP_NORM, i);
    n.x = g->value[l->input[0]].slot;
    if (in_place(g, i))
        g->value[out].slot = n.x;
    enum hf_status s = output_slot(g, out, &n.y, e);
    n.aux.step = v->shape[1];
    if (s == HF_OK)
        s = graph_block(g, (size_t)(v->shape[0] * 2 * v->shape[1]) * sizeof(float), &n.aux.block,
                        e);
    if (s == HF_OK)
        s = graph_scratch(g, g->target.norm_scratch(v->shape[0], v->voxels, v->shape[1]),
                          &n.scratch, e);
    return s == HF_OK ? graph_push(g, &n, e) : s;
}

/** Layers of one kernel without memory of its own but the pooling's indices. */
static enum hf_status lower_simple(struct graph *g, int32_t i, enum op op, struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    const struct value *v = &g->value[i];
    struct step p = graph_step(op, i);
    p.x = g->value[l->input[0]].slot;
    p.rows = graph_rows(g, i);
    p.channels = graph_channels(g, i);
    if ((op == OP_ACT || op == OP_SCALE) && in_place(g, i))
        g->value[i].slot = p.x;
    if (op == OP_ADD || op == OP_SCALE)
        p.aux = g->value[l->input[1]].slot;
    if (op == OP_MASK || op == OP_COPY)
        p.x.offset += l->channel;
    enum hf_status s = output_slot(g, i, &p.y, e);
    if (s == HF_OK && op == OP_POOL && g->spec.mode == HF_EXEC_TRAIN && v->needs_gradient) {
        if ((int64_t)l->stride[0] * l->stride[1] * l->stride[2] > UINT16_MAX)
            return hf_fail(e, HF_UNSUPPORTED,
                           "network layer \"%s\": pools more than %d voxels into one", l->name,
                           UINT16_MAX);
        p.aux.step = v->shape[1];
        s = graph_block(g, (size_t)(p.rows * v->shape[1]) * sizeof(uint16_t), &p.aux.block, e);
    }
    return s == HF_OK ? graph_push(g, &p, e) : s;
}

static enum hf_status lower_concat(struct graph *g, int32_t i, struct hf_error *e) {
    const struct hf_layer *l = &g->net->layer[i];
    struct slot to;
    enum hf_status s = output_slot(g, i, &to, e);
    for (int32_t k = 0; k < l->inputs && s == HF_OK; k++) {
        const struct slot *from = &g->value[l->input[k]].slot;
        struct step c = graph_step(OP_COPY, i);
        c.x = *from;
        c.y = to;
        c.rows = graph_rows(g, i);
        c.channels = graph_channels(g, l->input[k]);
        to.offset += c.channels;
        if (from->block != c.y.block || from->offset != c.y.offset)
            s = graph_push(g, &c, e);
    }
    return s;
}

static enum hf_status lower_layer(struct graph *g, int32_t i, struct hf_error *e) {
    struct step input = graph_step(OP_INPUT, i);
    enum hf_status s;
    switch (g->net->layer[i].kind) {
    case HF_LAYER_INPUT:
        s = output_slot(g, i, &input.y, e);
        return s == HF_OK ? graph_push(g, &input, e) : s;
    case HF_LAYER_CONV:
        return lower_conv(g, i, e);
    case HF_LAYER_DECONV:
        return lower_deconv(g, i, e);
    case HF_LAYER_NORM:
        return lower_norm(g, i, e);
    case HF_LAYER_ACT:
        return g->value[i].fused >= 0 ? HF_OK : lower_simple(g, i, OP_ACT, e);
    case HF_LAYER_GATE:
        return lower_simple(g, i, OP_GATE, e);
    case HF_LAYER_POOL:
        return lower_simple(g, i, OP_POOL, e);
    case HF_LAYER_UP:
        return lower_simple(g, i, OP_UP, e);
    case HF_LAYER_CONCAT:
        return lower_concat(g, i, e);
    case HF_LAYER_MASK:
        return lower_simple(g, i, OP_MASK, e);
    case HF_LAYER_WINDOW:
        return lower_simple(g, i, OP_WINDOW, e);
    case HF_LAYER_SCALE:
        return lower_simple(g, i, OP_SCALE, e);
    case HF_LAYER_TAKE:
        return lower_simple(g, i, OP_COPY, e);
    default:
        return lower_simple(g, i, OP_ADD, e);
    }
}

/* ---- the whole ---- */

static enum hf_status prepare(struct graph *g, const struct hf_net *net,
                              const struct hf_exec_spec *spec, struct hf_error *e) {
    const struct hf_host *h = g->host;
    enum hf_status s = h->net_check(net, e);
    if (s == HF_OK)
        s = h->spec_check(net, spec, e);
    if (s == HF_OK)
        s = h->net_copy(net, &g->net, e);
    if (s == HF_OK)
        s = h->net_params(net, &g->param, &g->params, &g->param_floats, e);
    if (s != HF_OK)
        return s;
    g->spec = *spec;
    size_t layers = (size_t)net->layers;
    int64_t(*shape)[5] = malloc(layers * sizeof *shape);
    g->value = calloc(layers, sizeof *g->value);
    g->conv = calloc(layers, sizeof *g->conv);
    g->first_param = malloc(layers * sizeof *g->first_param);
    s = shape && g->value && g->conv && g->first_param
            ? h->net_shapes(net, spec->shape, shape, e)
            : hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    for (int32_t i = 0; i < net->layers && s == HF_OK; i++) {
        struct value *v = &g->value[i];
        memcpy(v->shape, shape[i], sizeof v->shape);
        v->voxels = v->shape[2] * v->shape[3] * v->shape[4];
        v->fused = v->concat = -1;
        v->slot.block = v->gradient.block = -1;
        g->first_param[i] = -1;
    }
    const char *prefix = spec->mode == HF_EXEC_TRAIN ? spec->trained : "";
    for (int32_t p = g->params - 1; p >= 0 && s == HF_OK; p--) {
        int32_t i = g->param[p].layer;
        g->first_param[i] = p;
        g->value[i].trains = strncmp(net->layer[i].name, prefix, strlen(prefix)) == 0;
    }
    free(shape);
    return s;
}

enum hf_status graph_lower(struct graph *g, const struct nn_target *target,
                           const struct hf_host *host, const struct hf_net *net,
                           const struct hf_exec_spec *spec, struct hf_error *e) {
    g->target = *target;
    g->host = host;
    enum hf_status s = prepare(g, net, spec, e);
    if (s != HF_OK)
        return s;
    mark_live(g);
    fuse(g);
    place_in_concats(g);
    for (int32_t i = 0; i < net->layers && s == HF_OK; i++)
        if (g->value[i].live)
            s = lower_layer(g, i, e);
    g->forward_end = g->steps;
    struct step output = graph_step(OP_OUTPUT, net->layers - 1);
    output.x = g->value[net->layers - 1].slot;
    if (s == HF_OK)
        s = graph_push(g, &output, e);
    if (s == HF_OK && spec->mode == HF_EXEC_TRAIN)
        s = graph_lower_back(g, e);
    return s;
}

void graph_clear(struct graph *g) {
    for (int32_t i = 0; g->conv && i < g->net->layers; i++)
        g->target.conv_free(g->conv[i]);
    free(g->conv);
    free(g->value);
    free(g->first_param);
    free(g->step);
    free(g->block);
    if (g->host) {
        g->host->free_(g->param);
        g->host->net_free(g->net);
    }
}
