/*
 * gated_unet - an inpainting network of gated convolutions (Yu et al., ICCV 2019).
 *
 * A gated convolution yields twice the channels; one half gates the other, so that the network
 * learns which voxels are known: y = act(norm(f * sigmoid(g))). A partial convolution (Liu et al.,
 * ECCV 2018) is told: it sees known voxels only, and its mask grows from layer to layer; see
 * HF_LAYER_SCALE in network.h. A plain one is neither. The shape is an encoder of stride
 * 4, a dilated bottleneck whose receptive field covers a 256-pixel crop, and an upsampling decoder;
 * no norm on the first and the last layer. The layer table below is the whole network.
 */
#include <hepaflow/plugin.h>

enum conv {
    CONV_GATED,
    CONV_PARTIAL,
    CONV_PLAIN
};

enum output {
    OUTPUT_SIGMOID,
    OUTPUT_NONE
};

struct options {
    int64_t width, hole_channel;
    int32_t conv, norm, reflect, output;
    double slope;
};

/* One row a convolution: channels in units of `width`, 0 = the network's output channels. */
static const struct row {
    const char *name;
    int8_t up; /* nearest-neighbour upsampling by 2 first */
    int8_t widths, kernel, stride, dilation;
    int8_t norm, act;
} rows[] = {
    {"down0", 0, 1, 7, 1, 1, 0, 1},   {"down1", 0, 2, 4, 2, 1, 1, 1},
    {"down2", 0, 4, 3, 1, 1, 1, 1},   {"down3", 0, 4, 4, 2, 1, 1, 1},
    {"middle0", 0, 4, 3, 1, 1, 1, 1}, {"middle1", 0, 4, 3, 1, 1, 1, 1},
    {"middle2", 0, 4, 3, 1, 2, 1, 1}, {"middle3", 0, 4, 3, 1, 4, 1, 1},
    {"middle4", 0, 4, 3, 1, 8, 1, 1}, {"middle5", 0, 4, 3, 1, 16, 1, 1},
    {"middle6", 0, 4, 3, 1, 1, 1, 1}, {"middle7", 0, 4, 3, 1, 1, 1, 1},
    {"up0", 1, 2, 3, 1, 1, 1, 1},     {"up1", 0, 2, 3, 1, 1, 1, 1},
    {"up2", 1, 1, 3, 1, 1, 1, 1},     {"head", 0, 0, 7, 1, 1, 0, 0},
};

struct builder {
    const struct hf_host *host;
    const struct options *o;
    struct hf_net *net;
    int32_t x, mask; /* layers: the last one, and the mask of what is known there */
    struct hf_error *err;
};

/* Adds a layer over `from` and, where it has two inputs, `other`. */
static enum hf_status add(struct builder *b, struct hf_layer l, int32_t from, int32_t other,
                          const char *row, const char *what, int32_t *ret) {
    l.inputs = other < 0 ? 1 : 2;
    l.input[0] = from;
    l.input[1] = other < 0 ? 0 : other;
    (void)snprintf(l.name, sizeof l.name, "%s.%s", row, what);
    return b->host->net_add(b->net, &l, ret, b->err);
}

/* Adds a layer behind the last one. */
static enum hf_status follow(struct builder *b, struct hf_layer l, const char *row,
                             const char *what) {
    return add(b, l, b->x, -1, row, what, &b->x);
}

static enum hf_status add_upsample(struct builder *b, const char *row) {
    const struct hf_layer up = {.kind = HF_LAYER_UP, .stride = {1, 2, 2}};
    enum hf_status st = follow(b, up, row, "upsample");
    if (st == HF_OK && b->o->conv == CONV_PARTIAL)
        st = add(b, up, b->mask, -1, row, "known_upsample", &b->mask);
    return st;
}

/* y = conv(mask x) window / known + bias where the window has known voxels; then the next mask. */
static enum hf_status add_partial(struct builder *b, struct hf_layer conv, const char *row) {
    const struct hf_layer scale = {.kind = HF_LAYER_SCALE};
    struct hf_layer window = conv, biased = scale;
    int32_t by = 0;
    window.kind = HF_LAYER_WINDOW;
    window.channels = window.bias = conv.bias = 0;
    biased.bias = 1;
    enum hf_status st = add(b, scale, b->x, b->mask, row, "known", &b->x);
    if (st == HF_OK)
        st = follow(b, conv, row, "conv");
    if (st == HF_OK)
        st = add(b, window, b->mask, -1, row, "window", &by);
    if (st == HF_OK)
        st = add(b, biased, b->x, by, row, "partial", &b->x);
    if (st == HF_OK)
        st = add(b, (struct hf_layer){.kind = HF_LAYER_MASK}, by, -1, row, "mask", &b->mask);
    return st;
}

static enum hf_status add_conv(struct builder *b, const struct row *r, int32_t channels) {
    const struct options *o = b->o;
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .channels = o->conv == CONV_GATED ? 2 * channels : channels,
                            .kernel = {1, r->kernel, r->kernel},
                            .stride = {1, r->stride, r->stride},
                            .dilation = {1, r->dilation, r->dilation},
                            .pad = o->reflect ? HF_PAD_REFLECT : HF_PAD_ZERO,
                            .bias = 1};
    if (o->conv == CONV_PARTIAL)
        return add_partial(b, conv, r->name);
    enum hf_status st = follow(b, conv, r->name, "conv");
    if (st == HF_OK && o->conv == CONV_GATED)
        st = follow(b, (struct hf_layer){.kind = HF_LAYER_GATE}, r->name, "gate");
    return st;
}

static enum hf_status add_row(struct builder *b, const struct row *r, int32_t channels) {
    const struct options *o = b->o;
    enum hf_status st = r->up ? add_upsample(b, r->name) : HF_OK;
    if (st == HF_OK)
        st = add_conv(b, r, channels);
    if (st == HF_OK && r->norm && o->norm)
        st = follow(b, (struct hf_layer){.kind = HF_LAYER_NORM, .epsilon = 1e-5f, .bias = 1},
                    r->name, "norm");
    if (st == HF_OK && r->act)
        st = follow(
            b,
            (struct hf_layer){.kind = HF_LAYER_ACT, .act = HF_ACT_LEAKY, .slope = (float)o->slope},
            r->name, "act");
    return st;
}

static enum hf_status add_first_mask(struct builder *b, int32_t in_channels) {
    int32_t hole = (int32_t)b->o->hole_channel;
    if (hole >= in_channels)
        return hf_fail(b->err, HF_INVALID,
                       "option 'hole_channel' is %d, of %d input channels; expected 0 to %d, that "
                       "of the hole, which `conv: partial` needs",
                       (int)hole, (int)in_channels, (int)in_channels - 1);
    return add(b, (struct hf_layer){.kind = HF_LAYER_MASK, .channel = hole, .invert = 1}, 0, -1,
               "known", "mask", &b->mask);
}

static enum hf_status build(const struct hf_host *host, const void *options, int32_t in_channels,
                            int32_t out_channels, struct hf_net **ret, struct hf_error *e) {
    const struct options *o = options;
    struct builder b = {.host = host, .o = o, .err = e};
    enum hf_status st = host->net_new(2, in_channels, &b.net, e);
    if (st == HF_OK && o->conv == CONV_PARTIAL)
        st = add_first_mask(&b, in_channels);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && st == HF_OK; i++) {
        int32_t channels = rows[i].widths ? rows[i].widths * (int32_t)o->width : out_channels;
        st = add_row(&b, &rows[i], channels);
    }
    if (st == HF_OK && o->output == OUTPUT_SIGMOID)
        st = follow(&b, (struct hf_layer){.kind = HF_LAYER_ACT, .act = HF_ACT_SIGMOID}, "head",
                    "sigmoid");
    if (st == HF_OK)
        *ret = b.net;
    else if (b.net)
        host->net_free(b.net);
    return st;
}

#define AT(field) offsetof(struct options, field)

static const struct hf_option options[] = {
    {.name = "width",
     .type = HF_OPTION_INT,
     .offset = AT(width),
     .initial = "32",
     .min = 1,
     .max = 256,
     .help = "Channels of the first layer; the bottleneck has four times as many."},
    {.name = "conv",
     .type = HF_OPTION_ENUM,
     .offset = AT(conv),
     .initial = "gated",
     .choices = "gated|partial|plain",
     .help = "Convolutions: with a learnt gate, of known voxels only, or plain."},
    {.name = "hole_channel",
     .type = HF_OPTION_INT,
     .offset = AT(hole_channel),
     .initial = "1",
     .min = 0,
     .max = 64,
     .help = "For conv partial: which input channel, from 0, is above 0 where nothing is known."},
    {.name = "norm",
     .type = HF_OPTION_BOOL,
     .offset = AT(norm),
     .initial = "yes",
     .help = "Instance normalisation on all layers but the first and the last."},
    {.name = "reflect",
     .type = HF_OPTION_BOOL,
     .offset = AT(reflect),
     .initial = "yes",
     .help = "Mirror the image at its border instead of padding with zeros."},
    {.name = "output",
     .type = HF_OPTION_ENUM,
     .offset = AT(output),
     .initial = "sigmoid",
     .choices = "sigmoid|none",
     .help = "What makes the last layer an image: sigmoid for a window of [0, 1], or nothing."},
    {.name = "slope",
     .type = HF_OPTION_REAL,
     .offset = AT(slope),
     .initial = "0.2",
     .min = 0,
     .max = 1,
     .help = "Slope of the leaky activation below zero."},
    {.name = NULL},
};

static const struct hf_network_class gated_unet = {
    .name = "gated_unet",
    .help = "Gated (or partial or plain) convolutions with a dilated bottleneck, for inpainting; "
            "sizes divide by 4.",
    .options_size = sizeof(struct options),
    .options = options,
    .build = build,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "gated_unet",
    .version = "0.1.0",
    .networks = (const struct hf_network_class *const[]){&gated_unet, NULL},
};
