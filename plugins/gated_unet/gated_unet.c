/*
 * gated_unet - an inpainting network of gated convolutions (Yu et al., ICCV 2019).
 *
 * A gated convolution yields twice the channels; one half gates the other, so that the network
 * learns which voxels are known: y = act(norm(f * sigmoid(g))). The shape is an encoder of stride
 * 4, a dilated bottleneck whose receptive field covers a 256-pixel crop, and an upsampling decoder;
 * no norm on the first and the last layer. The layer table below is the whole network.
 */
#include <hepaflow/plugin.h>

enum output {
    OUTPUT_SIGMOID,
    OUTPUT_NONE
};

struct options {
    int64_t width;
    int32_t norm, reflect, output;
    double slope;
};

/* One row a gated convolution: channels in units of `width`, 0 = the network's output channels. */
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

static enum hf_status add(const struct hf_host *host, struct hf_net *net, struct hf_layer l,
                          const char *row, const char *what, int32_t *x, struct hf_error *e) {
    l.inputs = 1;
    l.input[0] = *x;
    (void)snprintf(l.name, sizeof l.name, "%s.%s", row, what);
    return host->net_add(net, &l, x, e);
}

static enum hf_status add_row(const struct hf_host *host, const struct options *o,
                              const struct row *r, int32_t channels, struct hf_net *net, int32_t *x,
                              struct hf_error *e) {
    enum hf_status st = HF_OK;
    if (r->up)
        st = add(host, net, (struct hf_layer){.kind = HF_LAYER_UP, .stride = {1, 2, 2}}, r->name,
                 "upsample", x, e);
    if (st == HF_OK)
        st = add(host, net,
                 (struct hf_layer){.kind = HF_LAYER_CONV,
                                   .channels = 2 * channels,
                                   .kernel = {1, r->kernel, r->kernel},
                                   .stride = {1, r->stride, r->stride},
                                   .dilation = {1, r->dilation, r->dilation},
                                   .pad = o->reflect ? HF_PAD_REFLECT : HF_PAD_ZERO,
                                   .bias = 1},
                 r->name, "conv", x, e);
    if (st == HF_OK)
        st = add(host, net, (struct hf_layer){.kind = HF_LAYER_GATE}, r->name, "gate", x, e);
    if (st == HF_OK && r->norm && o->norm)
        st = add(host, net, (struct hf_layer){.kind = HF_LAYER_NORM, .epsilon = 1e-5f, .bias = 1},
                 r->name, "norm", x, e);
    if (st == HF_OK && r->act)
        st = add(
            host, net,
            (struct hf_layer){.kind = HF_LAYER_ACT, .act = HF_ACT_LEAKY, .slope = (float)o->slope},
            r->name, "act", x, e);
    return st;
}

static enum hf_status build(const struct hf_host *host, const void *options, int32_t in_channels,
                            int32_t out_channels, struct hf_net **ret, struct hf_error *e) {
    const struct options *o = options;
    struct hf_net *net = NULL;
    int32_t x = 0;
    enum hf_status st = host->net_new(2, in_channels, &net, e);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && st == HF_OK; i++) {
        int32_t channels = rows[i].widths ? rows[i].widths * (int32_t)o->width : out_channels;
        st = add_row(host, o, &rows[i], channels, net, &x, e);
    }
    if (st == HF_OK && o->output == OUTPUT_SIGMOID)
        st = add(host, net, (struct hf_layer){.kind = HF_LAYER_ACT, .act = HF_ACT_SIGMOID}, "head",
                 "sigmoid", &x, e);
    if (st == HF_OK)
        *ret = net;
    else if (net)
        host->net_free(net);
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
    .help = "Gated convolutions with a dilated bottleneck, for inpainting; sizes divide by 4.",
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
