/*
 * unet - the U-Net of Ronneberger et al. (MICCAI 2015) with zero padding.
 *
 * Per level `convs` times convolution, normalisation, activation; max pooling or a stride of the
 * level's first convolution down, a transposed convolution or nearest-neighbour upsampling up,
 * skips by concatenation, a 1x1 head. Widths double per level up to `max_width`.
 *
 * The plain 3D U-Net of nnU-Net (Isensee et al., Nature Methods 2021) is
 * `{dims: 3, max_width: 320, down: conv, supervise: levels - 3}`, with `flat` as the patch asks
 * for.
 */
#include <hepaflow/plugin.h>

enum norm {
    NORM_NONE,
    NORM_INSTANCE
};

enum activation {
    ACTIVATION_RELU,
    ACTIVATION_LEAKY
};

enum down {
    DOWN_POOL,
    DOWN_CONV
};

enum up {
    UP_DECONV,
    UP_NEAREST
};

struct options {
    int64_t dims, width, max_width, levels, convs, flat, supervise;
    int32_t norm, activation, down, up;
    double slope;
};

struct builder {
    const struct hf_host *host;
    const struct options *o;
    struct hf_net *net;
    struct hf_error *err;
    int32_t out_channels;
};

static int32_t width_of(const struct options *o, int64_t level) {
    int64_t w = o->width << level;
    return (int32_t)(w < o->max_width ? w : o->max_width);
}

static struct hf_layer layer(enum hf_layer_kind kind, int32_t from, int32_t channels) {
    return (struct hf_layer){.kind = kind, .inputs = 1, .input = {from}, .channels = channels};
}

/* `value` on every axis that the network works along at that level, 1 on the others. */
static void set_axes(const struct options *o, int64_t level, int32_t value, int32_t axes[3]) {
    for (int i = 0; i < 3; i++)
        axes[i] = i > 0 || (o->dims == 3 && level >= o->flat) ? value : 1;
}

/* Adds a layer named "<where><level>.<what>"; *x becomes its index. */
static enum hf_status add(struct builder *b, struct hf_layer *l, int32_t *x, const char *where,
                          int64_t level, const char *what, int64_t i) {
    (void)snprintf(l->name, sizeof l->name, "%s%d.%s%d", where, (int)level, what, (int)i);
    return b->host->net_add(b->net, l, x, b->err);
}

/* `convs` times convolution, norm, activation, to half the size if `halve`; *x is the layer before
 * and after. */
static enum hf_status add_block(struct builder *b, const char *where, int64_t level, int halve,
                                int32_t *x) {
    enum hf_status st = HF_OK;
    for (int64_t i = 0; i < b->o->convs && st == HF_OK; i++) {
        struct hf_layer conv = layer(HF_LAYER_CONV, *x, width_of(b->o, level));
        set_axes(b->o, level, 3, conv.kernel);
        if (i == 0 && halve)
            set_axes(b->o, level - 1, 2, conv.stride);
        conv.bias = b->o->norm == NORM_NONE; /* the norm's shift does the same */
        st = add(b, &conv, x, where, level, "conv", i);
        if (st == HF_OK && b->o->norm == NORM_INSTANCE) {
            struct hf_layer norm = layer(HF_LAYER_NORM, *x, 0);
            norm.epsilon = 1e-5f;
            norm.bias = 1;
            st = add(b, &norm, x, where, level, "norm", i);
        }
        if (st == HF_OK) {
            struct hf_layer act = layer(HF_LAYER_ACT, *x, 0);
            act.act = b->o->activation == ACTIVATION_RELU ? HF_ACT_RELU : HF_ACT_LEAKY;
            act.slope = (float)b->o->slope;
            st = add(b, &act, x, where, level, "act", i);
        }
    }
    return st;
}

static enum hf_status add_up(struct builder *b, int64_t level, int32_t *x) {
    if (b->o->up == UP_DECONV) {
        struct hf_layer up = layer(HF_LAYER_DECONV, *x, width_of(b->o, level));
        set_axes(b->o, level, 2, up.kernel);
        set_axes(b->o, level, 2, up.stride);
        up.bias = 1;
        return add(b, &up, x, "up", level, "up", 0);
    }
    struct hf_layer up = layer(HF_LAYER_UP, *x, 0);
    set_axes(b->o, level, 2, up.stride);
    return add(b, &up, x, "up", level, "up", 0);
}

/* The output, or at a level below it, half as large each, one that only the training asks for. */
static enum hf_status add_head(struct builder *b, int64_t level, int32_t *x) {
    struct hf_layer head = layer(HF_LAYER_CONV, *x, b->out_channels);
    head.bias = 1;
    head.supervise = level > 0 ? 1.0f / (float)(1 << level) : 0;
    return add(b, &head, x, "head", level, "conv", 0);
}

static enum hf_status add_layers(struct builder *b) {
    enum {
        MAX_LEVELS = 8
    };
    int32_t skip[MAX_LEVELS], x = 0;
    int64_t deepest = b->o->levels - 1;
    enum hf_status st = HF_OK;
    for (int64_t level = 0; level < b->o->levels && st == HF_OK; level++) {
        st = add_block(b, "down", level, level > 0 && b->o->down == DOWN_CONV, &x);
        skip[level] = x;
        if (st == HF_OK && level < deepest && b->o->down == DOWN_POOL) {
            struct hf_layer pool = layer(HF_LAYER_POOL, x, 0);
            set_axes(b->o, level, 2, pool.stride);
            st = add(b, &pool, &x, "down", level, "pool", 0);
        }
    }
    for (int64_t level = deepest - 1; level >= 0 && st == HF_OK; level--) {
        st = add_up(b, level, &x);
        if (st != HF_OK)
            break;
        struct hf_layer concat = {.kind = HF_LAYER_CONCAT, .inputs = 2, .input = {skip[level], x}};
        st = add(b, &concat, &x, "up", level, "concat", 0);
        if (st == HF_OK)
            st = add_block(b, "up", level, 0, &x);
        int32_t head = x;
        if (st == HF_OK && level > 0 && level <= b->o->supervise)
            st = add_head(b, level, &head);
    }
    return st == HF_OK ? add_head(b, 0, &x) : st;
}

static enum hf_status build(const struct hf_host *host, const void *options, int32_t in_channels,
                            int32_t out_channels, struct hf_net **ret, struct hf_error *e) {
    const struct options *o = options;
    struct builder b = {.host = host, .o = o, .err = e, .out_channels = out_channels};
    int64_t most = o->levels > 2 ? o->levels - 2 : 0;
    if (o->supervise > most)
        return hf_fail(e, HF_INVALID,
                       "supervise is %lld; with %lld levels there are %lld between the output and "
                       "the deepest",
                       (long long)o->supervise, (long long)o->levels, (long long)most);
    enum hf_status st = host->net_new((int32_t)o->dims, in_channels, &b.net, e);
    if (st == HF_OK)
        st = add_layers(&b);
    if (st == HF_OK)
        *ret = b.net;
    else if (b.net)
        host->net_free(b.net);
    return st;
}

static int32_t dims(const void *options) {
    return (int32_t)((const struct options *)options)->dims;
}

#define AT(field) offsetof(struct options, field)

static const struct hf_option options[] = {
    {.name = "dims",
     .type = HF_OPTION_INT,
     .offset = AT(dims),
     .initial = "2",
     .min = 2,
     .max = 3,
     .help = "Spatial axes of the convolutions: 2 runs over slices, 3 over volumes."},
    {.name = "width",
     .type = HF_OPTION_INT,
     .offset = AT(width),
     .initial = "32",
     .min = 1,
     .max = 512,
     .help = "Channels of the first level; doubled at each level below."},
    {.name = "max_width",
     .type = HF_OPTION_INT,
     .offset = AT(max_width),
     .initial = "512",
     .min = 1,
     .max = 4096,
     .help = "No level has more channels than this."},
    {.name = "levels",
     .type = HF_OPTION_INT,
     .offset = AT(levels),
     .initial = "5",
     .min = 1,
     .max = 8,
     .help = "Resolution levels; sizes must divide by 2^(levels - 1) (D of a 3D network by "
             "2^(levels - 1 - flat))."},
    {.name = "convs",
     .type = HF_OPTION_INT,
     .offset = AT(convs),
     .initial = "2",
     .min = 1,
     .max = 8,
     .help = "Convolutions at each level."},
    {.name = "norm",
     .type = HF_OPTION_ENUM,
     .offset = AT(norm),
     .initial = "instance",
     .choices = "none|instance",
     .help = "Normalisation after each convolution."},
    {.name = "activation",
     .type = HF_OPTION_ENUM,
     .offset = AT(activation),
     .initial = "leaky",
     .choices = "relu|leaky",
     .help = "Activation after each convolution."},
    {.name = "slope",
     .type = HF_OPTION_REAL,
     .offset = AT(slope),
     .initial = "0.01",
     .min = 0,
     .max = 1,
     .help = "Slope of the leaky activation below zero."},
    {.name = "down",
     .type = HF_OPTION_ENUM,
     .offset = AT(down),
     .initial = "pool",
     .choices = "pool|conv",
     .help = "How a level gets to half the size: max pooling, or a stride of 2 in the first "
             "convolution below."},
    {.name = "up",
     .type = HF_OPTION_ENUM,
     .offset = AT(up),
     .initial = "deconv",
     .choices = "deconv|nearest",
     .help = "How a level is brought to the size of the one above."},
    {.name = "flat",
     .type = HF_OPTION_INT,
     .offset = AT(flat),
     .initial = "0",
     .min = 0,
     .max = 7,
     .help = "3D: so many levels, from the first, have 1x3x3 convolutions and are halved in H and "
             "W alone, for slices far apart."},
    {.name = "supervise",
     .type = HF_OPTION_INT,
     .offset = AT(supervise),
     .initial = "0",
     .min = 0,
     .max = 6,
     .help = "Deep supervision: so many levels below the output have a head in training, each "
             "with half the weight of the one above; all weights sum to 1. levels - 3 is "
             "nnU-Net's."},
    {.name = NULL},
};

static const struct hf_network_class unet = {
    .name = "unet",
    .help = "U-Net: two convolutions a level, skips, a transposed convolution or nearest up.",
    .options_size = sizeof(struct options),
    .options = options,
    .build = build,
    .dims = dims,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "unet",
    .version = "0.1.0",
    .networks = (const struct hf_network_class *const[]){&unet, NULL},
};
