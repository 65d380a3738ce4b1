/**
 * net.c - network descriptions: building, checking and parameters.
 *
 * Every layer is checked against the ones before it when it is added; hf_net_check repeats the
 * same checks over a description that came from outside.
 */
#include "net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sizes beyond these are mistakes. */
#define MAX_KERNEL 63
#define MAX_STRIDE 64
#define MAX_COUNT  ((int64_t)1 << 40)

static const char *const kind_names[HF_LAYER_KINDS] = {"input", "conv",   "deconv", "norm",   "act",
                                                       "gate",  "pool",   "up",     "concat", "add",
                                                       "mask",  "window", "scale",  "take"};
static const char *const act_names[HF_ACTS] = {"none", "relu", "leaky", "sigmoid", "tanh"};

const char *hf_layer_kind_name(enum hf_layer_kind kind) {
    return (unsigned)kind < HF_LAYER_KINDS ? kind_names[kind] : "?";
}

const char *hf_act_name(enum hf_act act) {
    return (unsigned)act < HF_ACTS ? act_names[act] : "?";
}

/* ---- checks ---- */

static enum hf_status check_name(const struct hf_net *net, const struct hf_layer *l, int32_t index,
                                 struct hf_error *e) {
    const char *end = memchr(l->name, 0, HF_NET_NAME);
    size_t n = end ? (size_t)(end - l->name) : 0;
    if (n == 0)
        return hf_fail(e, HF_INVALID, "network layer %d: its name must have 1 to %d characters",
                       (int)index, HF_NET_NAME - 1);
    for (size_t i = 0; i < n; i++) {
        char c = l->name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return hf_fail(e, HF_INVALID,
                           "network layer %d: its name may hold letters, digits, '_', '-' and '.' "
                           "only",
                           (int)index);
    }
    for (int32_t i = 0; i < index; i++)
        if (strcmp(net->layer[i].name, l->name) == 0)
            return hf_fail(e, HF_INVALID, "network layer %d: the name \"%s\" is already layer %d",
                           (int)index, l->name, (int)i);
    return HF_OK;
}

static enum hf_status check_triple(const struct hf_net *net, const struct hf_layer *l,
                                   const char *what, const int32_t v[3], int32_t max,
                                   struct hf_error *e) {
    for (int a = 0; a < 3; a++)
        if (v[a] < 1 || v[a] > max)
            return hf_fail(e, HF_INVALID, "network layer \"%s\": %s is %d; expected 1 to %d",
                           l->name, what, (int)v[a], (int)max);
    if (net->dims == 2 && v[0] != 1)
        return hf_fail(e, HF_INVALID, "network layer \"%s\": %s over D is %d; a 2D network needs 1",
                       l->name, what, (int)v[0]);
    return HF_OK;
}

static enum hf_status check_inputs(const struct hf_layer *l, int32_t index, struct hf_error *e) {
    int32_t low = 1, high = 1;
    if (l->kind == HF_LAYER_INPUT)
        low = high = 0;
    else if (l->kind == HF_LAYER_ADD || l->kind == HF_LAYER_SCALE)
        low = high = 2;
    else if (l->kind == HF_LAYER_CONCAT)
        high = HF_NET_MAX_INPUTS;
    if (l->inputs < low || l->inputs > high)
        return hf_fail(e, HF_INVALID, "network layer \"%s\" (%s) has %d inputs; expected %d to %d",
                       l->name, hf_layer_kind_name(l->kind), (int)l->inputs, (int)low, (int)high);
    for (int32_t i = 0; i < l->inputs; i++)
        if (l->input[i] < 0 || l->input[i] >= index)
            return hf_fail(e, HF_INVALID,
                           "network layer \"%s\": input %d is layer %d; expected an earlier one, "
                           "0 to %d",
                           l->name, (int)i, (int)l->input[i], (int)index - 1);
    return HF_OK;
}

/** Channels that the inputs imply, 0 if the layer chooses them itself, -1 if they cannot be. */
static int64_t implied_channels(const struct hf_net *net, const struct hf_layer *l) {
    int64_t first = l->inputs > 0 ? net->layer[l->input[0]].channels : 0;
    int64_t sum = 0;
    switch (l->kind) {
    case HF_LAYER_INPUT:
    case HF_LAYER_CONV:
    case HF_LAYER_DECONV:
    case HF_LAYER_TAKE:
        return 0;
    case HF_LAYER_GATE:
        return first % 2 ? -1 : first / 2;
    case HF_LAYER_CONCAT:
        for (int32_t i = 0; i < l->inputs; i++)
            sum += net->layer[l->input[i]].channels;
        return sum;
    case HF_LAYER_ADD:
        return first == net->layer[l->input[1]].channels ? first : -1;
    case HF_LAYER_MASK:
        return l->channel >= 0 && l->channel < first ? 1 : -1;
    case HF_LAYER_WINDOW:
        return first == 1 ? 1 : -1;
    default:
        return first;
    }
}

/** Whether a layer yields a map of one channel that no gradient passes: of MASK or WINDOW. */
static int is_map(const struct hf_net *net, int32_t index) {
    const struct hf_layer *l = &net->layer[index];
    while (l->kind == HF_LAYER_POOL || l->kind == HF_LAYER_UP)
        l = &net->layer[l->input[0]];
    return l->kind == HF_LAYER_MASK || l->kind == HF_LAYER_WINDOW;
}

static enum hf_status check_maps(const struct hf_net *net, const struct hf_layer *l,
                                 struct hf_error *e) {
    int32_t have = l->inputs > 0 ? net->layer[l->input[0]].channels : 0;
    if (l->kind == HF_LAYER_MASK && (l->channel < 0 || l->channel >= have))
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": a mask of channel %d; its input \"%s\" has channels "
                       "0 to %d",
                       l->name, (int)l->channel, net->layer[l->input[0]].name, (int)have - 1);
    if (l->kind == HF_LAYER_TAKE &&
        (l->input[0] != 0 || l->channel < 0 || l->channels < 1 || l->channel > have - l->channels))
        return hf_fail(
            e, HF_INVALID,
            "network layer \"%s\": takes %d channels of \"%s\" from channel %d; expected "
            "some of the input's %d",
            l->name, (int)l->channels, net->layer[l->input[0]].name, (int)l->channel,
            (int)net->layer[0].channels);
    if (l->kind == HF_LAYER_WINDOW && have != 1)
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": a window counts in one channel; its input \"%s\" has "
                       "%d",
                       l->name, net->layer[l->input[0]].name, (int)have);
    if (l->kind == HF_LAYER_SCALE && !is_map(net, l->input[1]))
        return hf_fail(
            e, HF_INVALID,
            "network layer \"%s\" scales by \"%s\"; expected a mask, a window, or a pool "
            "or up of such",
            l->name, net->layer[l->input[1]].name);
    return HF_OK;
}

static enum hf_status check_channels(const struct hf_net *net, const struct hf_layer *l,
                                     struct hf_error *e) {
    int64_t implied = implied_channels(net, l);
    enum hf_status s = check_maps(net, l, e);
    if (s != HF_OK)
        return s;
    if (implied < 0 && l->kind == HF_LAYER_GATE)
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": a gate halves its channels, but its input \"%s\" has "
                       "%d",
                       l->name, net->layer[l->input[0]].name,
                       (int)net->layer[l->input[0]].channels);
    if (implied < 0)
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\" adds \"%s\" of %d channels and \"%s\" of %d; expected "
                       "the same number",
                       l->name, net->layer[l->input[0]].name, (int)net->layer[l->input[0]].channels,
                       net->layer[l->input[1]].name, (int)net->layer[l->input[1]].channels);
    if (implied > 0 && l->channels != implied)
        return hf_fail(e, HF_INVALID, "network layer \"%s\" has %d channels; its inputs give %lld",
                       l->name, (int)l->channels, (long long)implied);
    if (l->channels < 1 || l->channels > HF_NET_MAX_CHANNELS)
        return hf_fail(e, HF_INVALID, "network layer \"%s\" has %d channels; expected 1 to %d",
                       l->name, (int)l->channels, HF_NET_MAX_CHANNELS);
    return HF_OK;
}

static enum hf_status check_layer(const struct hf_net *net, const struct hf_layer *l, int32_t index,
                                  struct hf_error *e) {
    if ((unsigned)l->kind >= HF_LAYER_KINDS)
        return hf_fail(e, HF_INVALID, "network layer %d: kind %d is unknown", (int)index,
                       (int)l->kind);
    enum hf_status s;
    if ((s = check_name(net, l, index, e)) != HF_OK || (s = check_inputs(l, index, e)) != HF_OK ||
        (s = check_triple(net, l, "kernel", l->kernel, MAX_KERNEL, e)) != HF_OK ||
        (s = check_triple(net, l, "stride", l->stride, MAX_STRIDE, e)) != HF_OK ||
        (s = check_triple(net, l, "dilation", l->dilation, MAX_KERNEL, e)) != HF_OK)
        return s;
    if ((l->kind == HF_LAYER_INPUT) != (index == 0))
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": the first layer, and no other, must be an input",
                       l->name);
    if (l->kind == HF_LAYER_DECONV)
        for (int a = 0; a < 3; a++)
            if (l->kernel[a] != l->stride[a] || l->dilation[a] != 1)
                return hf_fail(e, HF_INVALID,
                               "network layer \"%s\": a deconv needs kernel = stride and dilation "
                               "1; found kernel %d, stride %d, dilation %d",
                               l->name, (int)l->kernel[a], (int)l->stride[a], (int)l->dilation[a]);
    if ((unsigned)l->pad >= HF_PADS || (unsigned)l->act >= HF_ACTS)
        return hf_fail(e, HF_INVALID, "network layer \"%s\": unknown pad %d or activation %d",
                       l->name, (int)l->pad, (int)l->act);
    if (l->kind == HF_LAYER_NORM && !(l->epsilon > 0 && l->epsilon <= 1))
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": epsilon is %g; expected above 0, at most 1", l->name,
                       (double)l->epsilon);
    if (l->kind == HF_LAYER_ACT && l->act == HF_ACT_LEAKY && !(l->slope >= 0 && l->slope <= 1))
        return hf_fail(e, HF_INVALID, "network layer \"%s\": slope is %g; expected 0 to 1", l->name,
                       (double)l->slope);
    if (!(l->supervise >= 0 && isfinite(l->supervise)) ||
        (l->supervise > 0 && l->kind == HF_LAYER_INPUT))
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": supervise is %g; expected finite and not negative, 0 "
                       "for the input",
                       l->name, (double)l->supervise);
    return check_channels(net, l, e);
}

/** Layers that the losses look at beside the output: as many channels, and not the output. */
static enum hf_status check_heads(const struct hf_net *net, struct hf_error *e) {
    const struct hf_layer *out = &net->layer[net->layers - 1];
    if (out->supervise > 0)
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\" is the output, whose losses count once; its supervise "
                       "must be 0",
                       out->name);
    for (int32_t i = 0; i < net->layers; i++) {
        const struct hf_layer *l = &net->layer[i];
        if (l->supervise > 0 && l->channels != out->channels)
            return hf_fail(e, HF_INVALID,
                           "network layer \"%s\" is supervised and has %d channels; expected %d, "
                           "as the output \"%s\"",
                           l->name, (int)l->channels, (int)out->channels, out->name);
    }
    return HF_OK;
}

enum hf_status hf_net_check(const struct hf_net *net, struct hf_error *e) {
    if (net->dims != 2 && net->dims != 3)
        return hf_fail(e, HF_INVALID, "network: dims is %d; expected 2 or 3", (int)net->dims);
    if (net->layers < 2 || net->layers > HF_NET_MAX_LAYERS)
        return hf_fail(e, HF_INVALID, "network: %d layers; expected 2 to %d", (int)net->layers,
                       HF_NET_MAX_LAYERS);
    for (int32_t i = 0; i < net->layers; i++) {
        enum hf_status s = check_layer(net, &net->layer[i], i, e);
        if (s != HF_OK)
            return s;
    }
    return check_heads(net, e);
}

/* ---- building ---- */

static enum hf_status append(struct hf_net *net, const struct hf_layer *l, struct hf_error *e) {
    if (net->layers >= HF_NET_MAX_LAYERS)
        return hf_fail(e, HF_INVALID, "network: more than %d layers", HF_NET_MAX_LAYERS);
    if (net->layers == net->capacity) {
        int32_t capacity = net->capacity ? 2 * net->capacity : 16;
        struct hf_layer *p = realloc(net->layer, (size_t)capacity * sizeof *p);
        if (!p)
            return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
        net->layer = p;
        net->capacity = capacity;
    }
    net->layer[net->layers++] = *l;
    return HF_OK;
}

/** A blank layer of one input, with every triple at 1. */
static struct hf_layer blank(enum hf_layer_kind kind, const char *name, int32_t from) {
    struct hf_layer l = {.kind = kind, .inputs = 1, .input = {from}};
    (void)snprintf(l.name, sizeof l.name, "%s", name);
    for (int a = 0; a < 3; a++)
        l.kernel[a] = l.stride[a] = l.dilation[a] = 1;
    return l;
}

/** Sets a triple to `v` on the spatial axes that the network has. */
static void set_axes(const struct hf_net *net, int32_t triple[3], int32_t v) {
    triple[0] = net->dims == 3 ? v : 1;
    triple[1] = triple[2] = v;
}

enum hf_status hf_net_init(struct hf_net *net, int32_t dims, int32_t channels, struct hf_error *e) {
    if (dims != 2 && dims != 3)
        return hf_fail(e, HF_INVALID, "network: dims is %d; expected 2 or 3", (int)dims);
    *net = (struct hf_net){.dims = dims};
    struct hf_layer l = blank(HF_LAYER_INPUT, "input", 0);
    l.inputs = 0;
    l.channels = channels;
    return hf_net_add(net, &l, NULL, e);
}

void hf_net_clear(struct hf_net *net) {
    free(net->layer);
    *net = (struct hf_net){0};
}

enum hf_status hf_net_copy(struct hf_net *ret, const struct hf_net *net, struct hf_error *e) {
    struct hf_net copy = {.dims = net->dims, .layers = net->layers, .capacity = net->layers};
    copy.layer = malloc((size_t)net->layers * sizeof *copy.layer);
    if (!copy.layer)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    memcpy(copy.layer, net->layer, (size_t)net->layers * sizeof *copy.layer);
    *ret = copy;
    return HF_OK;
}

enum hf_status hf_net_add(struct hf_net *net, const struct hf_layer *layer, int32_t *ret_index,
                          struct hf_error *e) {
    struct hf_layer l = *layer;
    for (int a = 0; a < 3; a++) {
        l.kernel[a] = l.kernel[a] ? l.kernel[a] : 1;
        l.stride[a] = l.stride[a] ? l.stride[a] : 1;
        l.dilation[a] = l.dilation[a] ? l.dilation[a] : 1;
    }
    if ((unsigned)l.kind < HF_LAYER_KINDS && l.channels == 0) {
        enum hf_status s = check_inputs(&l, net->layers, e);
        if (s != HF_OK)
            return s;
        int64_t implied = implied_channels(net, &l);
        if (implied > 0 && implied <= HF_NET_MAX_CHANNELS)
            l.channels = (int32_t)implied;
    }
    enum hf_status s = check_layer(net, &l, net->layers, e);
    if (s == HF_OK)
        s = append(net, &l, e);
    if (s == HF_OK && ret_index)
        *ret_index = net->layers - 1;
    return s;
}

enum hf_status hf_net_conv(struct hf_net *net, const char *name, int32_t from, int32_t channels,
                           int32_t kernel, int32_t stride, int32_t dilation, int32_t *ret_index,
                           struct hf_error *e) {
    struct hf_layer l = blank(HF_LAYER_CONV, name, from);
    l.channels = channels;
    l.bias = 1;
    set_axes(net, l.kernel, kernel);
    set_axes(net, l.stride, stride);
    set_axes(net, l.dilation, dilation);
    return hf_net_add(net, &l, ret_index, e);
}

enum hf_status hf_net_deconv(struct hf_net *net, const char *name, int32_t from, int32_t channels,
                             int32_t stride, int32_t bias, int32_t *ret_index, struct hf_error *e) {
    struct hf_layer l = blank(HF_LAYER_DECONV, name, from);
    l.channels = channels;
    l.bias = bias;
    set_axes(net, l.kernel, stride);
    set_axes(net, l.stride, stride);
    return hf_net_add(net, &l, ret_index, e);
}

enum hf_status hf_net_norm(struct hf_net *net, const char *name, int32_t from, float epsilon,
                           int32_t *ret_index, struct hf_error *e) {
    struct hf_layer l = blank(HF_LAYER_NORM, name, from);
    l.epsilon = epsilon;
    l.bias = 1;
    return hf_net_add(net, &l, ret_index, e);
}

enum hf_status hf_net_act(struct hf_net *net, const char *name, int32_t from, enum hf_act act,
                          float slope, int32_t *ret_index, struct hf_error *e) {
    struct hf_layer l = blank(HF_LAYER_ACT, name, from);
    l.act = act;
    l.slope = slope;
    return hf_net_add(net, &l, ret_index, e);
}

enum hf_status hf_net_simple(struct hf_net *net, enum hf_layer_kind kind, const char *name,
                             int32_t from, int32_t stride, int32_t *ret_index, struct hf_error *e) {
    struct hf_layer l = blank(kind, name, from);
    set_axes(net, l.stride, stride);
    return hf_net_add(net, &l, ret_index, e);
}

enum hf_status hf_net_join(struct hf_net *net, enum hf_layer_kind kind, const char *name, int32_t a,
                           int32_t b, int32_t *ret_index, struct hf_error *e) {
    struct hf_layer l = blank(kind, name, a);
    l.inputs = 2;
    l.input[1] = b;
    return hf_net_add(net, &l, ret_index, e);
}

/* ---- parameters ---- */

static void put_param(struct hf_param *p, const struct hf_layer *l, int32_t index, const char *what,
                      int32_t ndim, const int64_t *shape, int64_t *offset) {
    *p = (struct hf_param){.layer = index, .ndim = ndim, .count = 1, .offset = *offset};
    (void)snprintf(p->name, sizeof p->name, "%s.%s", l->name, what);
    for (int32_t i = 0; i < ndim; i++) {
        p->shape[i] = shape[i];
        p->count *= shape[i];
    }
    *offset += p->count;
}

enum hf_status hf_net_params(const struct hf_net *net, struct hf_param **ret, int32_t *ret_count,
                             int64_t *ret_total, struct hf_error *e) {
    struct hf_param *p = calloc((size_t)net->layers * 2, sizeof *p);
    if (!p)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    int32_t n = 0;
    int64_t offset = 0;
    for (int32_t i = 0; i < net->layers && offset <= MAX_COUNT; i++) {
        const struct hf_layer *l = &net->layer[i];
        int64_t channels = l->channels;
        if (l->kind == HF_LAYER_CONV || l->kind == HF_LAYER_DECONV) {
            int64_t in = net->layer[l->input[0]].channels, shape[5];
            shape[0] = l->kind == HF_LAYER_CONV ? channels : in;
            shape[1] = l->kind == HF_LAYER_CONV ? in : channels;
            for (int a = 0; a < net->dims; a++)
                shape[2 + a] = l->kernel[3 - net->dims + a];
            put_param(&p[n++], l, i, "weight", 2 + net->dims, shape, &offset);
            if (l->bias)
                put_param(&p[n++], l, i, "bias", 1, &channels, &offset);
        } else if (l->kind == HF_LAYER_NORM && l->bias) {
            put_param(&p[n++], l, i, "scale", 1, &channels, &offset);
            put_param(&p[n++], l, i, "shift", 1, &channels, &offset);
        } else if (l->kind == HF_LAYER_SCALE && l->bias) {
            put_param(&p[n++], l, i, "bias", 1, &channels, &offset);
        }
    }
    if (offset > MAX_COUNT) {
        free(p);
        return hf_fail(e, HF_INVALID, "network: more than 2^40 parameters");
    }
    *ret = p;
    *ret_count = n;
    *ret_total = offset;
    return HF_OK;
}

/* ---- what it is compiled for ---- */

static enum hf_status check_optimizer(const struct hf_optimizer *o, struct hf_error *e) {
    if ((unsigned)o->kind >= HF_OPTS)
        return hf_fail(e, HF_INVALID, "optimizer: kind %d is unknown", (int)o->kind);
    if (o->kind != HF_OPT_SGD && !(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1 &&
                                   o->epsilon > 0 && o->epsilon <= 1))
        return hf_fail(e, HF_INVALID,
                       "optimizer %s: beta1 %g, beta2 %g, epsilon %g; expected betas in [0, 1) "
                       "and epsilon in (0, 1]",
                       o->kind == HF_OPT_ADAM ? "adam" : "adamw", (double)o->beta1,
                       (double)o->beta2, (double)o->epsilon);
    if (o->kind == HF_OPT_SGD && !(o->momentum >= 0 && o->momentum < 1))
        return hf_fail(e, HF_INVALID, "optimizer sgd: momentum is %g; expected [0, 1)",
                       (double)o->momentum);
    if (!(o->weight_decay >= 0 && isfinite(o->weight_decay)) ||
        !(o->clip >= 0 && isfinite(o->clip)))
        return hf_fail(e, HF_INVALID,
                       "optimizer: weight decay %g, clip %g; expected finite and not negative",
                       (double)o->weight_decay, (double)o->clip);
    if (!(o->average >= 0 && o->average < 1))
        return hf_fail(e, HF_INVALID, "optimizer: the average's decay is %g; expected [0, 1)",
                       (double)o->average);
    return HF_OK;
}

static enum hf_status check_term(const struct hf_loss_term *t, int32_t number, int32_t channels,
                                 struct hf_error *e) {
    if ((unsigned)t->kind >= HF_LOSS_KINDS || !isfinite(t->factor))
        return hf_fail(
            e, HF_INVALID,
            "loss term %d: kind %d, factor %g; expected a known kind and a finite factor",
            (int)number, (int)t->kind, (double)t->factor);
    if ((t->kind == HF_LOSS_BCE || t->kind == HF_LOSS_FOCAL) &&
        !(t->pos_weight > 0 && isfinite(t->pos_weight)))
        return hf_fail(e, HF_INVALID, "loss term %d: pos_weight is %g; expected above 0",
                       (int)number, (double)t->pos_weight);
    if (t->kind == HF_LOSS_FOCAL && !(t->gamma >= 0 && isfinite(t->gamma)))
        return hf_fail(e, HF_INVALID, "loss term %d: gamma is %g; expected 0 or more", (int)number,
                       (double)t->gamma);
    if (t->kind == HF_LOSS_TVERSKY &&
        !(t->alpha >= 0 && t->beta >= 0 && t->alpha + t->beta > 0 && isfinite(t->alpha + t->beta)))
        return hf_fail(e, HF_INVALID,
                       "loss term %d: alpha is %g, beta %g; expected 0 or more, and not both 0",
                       (int)number, (double)t->alpha, (double)t->beta);
    if (t->first < 0 || t->first >= channels || t->channels < 0 ||
        t->channels > channels - t->first)
        return hf_fail(e, HF_INVALID,
                       "loss term %d: looks at %d channels from channel %d on; the output has "
                       "channels 0 to %d",
                       (int)number, (int)t->channels, (int)t->first, (int)channels - 1);
    return HF_OK;
}

static enum hf_status check_trained(const struct hf_net *net, const char *prefix,
                                    struct hf_error *e) {
    if (!memchr(prefix, 0, HF_NET_NAME))
        return hf_fail(e, HF_INVALID, "trained: longer than %d characters", HF_NET_NAME - 1);
    struct hf_param *param = NULL;
    int32_t params = 0, found = !*prefix;
    int64_t total;
    enum hf_status s = found ? HF_OK : hf_net_params(net, &param, &params, &total, e);
    for (int32_t p = 0; p < params && !found; p++)
        found = strncmp(net->layer[param[p].layer].name, prefix, strlen(prefix)) == 0;
    free(param);
    if (s != HF_OK || found)
        return s;
    return hf_fail(e, HF_INVALID,
                   "trained: no layer with parameters has a name that begins with \"%s\"", prefix);
}

static enum hf_status check_training(const struct hf_net *net, const struct hf_exec_spec *spec,
                                     struct hf_error *e) {
    if (spec->loss_terms < 1 || spec->loss_terms > HF_MAX_LOSS_TERMS)
        return hf_fail(e, HF_INVALID, "loss: %d terms; expected 1 to %d", (int)spec->loss_terms,
                       HF_MAX_LOSS_TERMS);
    enum hf_status s = HF_OK;
    for (int32_t i = 0; i < spec->loss_terms && s == HF_OK; i++)
        s = check_term(&spec->loss[i], i + 1, net->layer[net->layers - 1].channels, e);
    if (s == HF_OK)
        s = check_optimizer(&spec->optimizer, e);
    return s == HF_OK ? check_trained(net, spec->trained, e) : s;
}

enum hf_status hf_exec_spec_check(const struct hf_net *net, const struct hf_exec_spec *spec,
                                  struct hf_error *e) {
    if (spec->mode != HF_EXEC_FORWARD && spec->mode != HF_EXEC_TRAIN)
        return hf_fail(e, HF_INVALID, "network: mode %d is unknown", (int)spec->mode);
    if ((unsigned)spec->precision >= HF_PRECISIONS)
        return hf_fail(e, HF_INVALID, "network: precision %d is unknown", (int)spec->precision);
    int64_t(*shape)[5] = malloc((size_t)net->layers * sizeof *shape);
    if (!shape)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    enum hf_status s = hf_net_shapes(net, spec->shape, shape, e);
    free(shape);
    if (s == HF_OK && spec->mode == HF_EXEC_TRAIN)
        s = hf_net_fit(net, spec->mode, spec->shape + 2, e);
    return s == HF_OK && spec->mode == HF_EXEC_TRAIN ? check_training(net, spec, e) : s;
}
