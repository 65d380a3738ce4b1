/*
 * build.c - the layers of a U-Net: per level `convs` times convolution, normalisation, activation;
 * max pooling or a stride of the level's first convolution down, a transposed convolution or
 * nearest-neighbour upsampling up, skips by concatenation, a 1x1 head. Widths double per level up
 * to `max_width`.
 */
#include "build.h"

struct builder {
    const struct hf_host *host;
    const struct unet_options *o;
    struct hf_net *net;
    struct hf_error *err;
    const char *prefix;
    int32_t out_channels;
};

static int32_t width_of(const struct unet_options *o, int64_t level) {
    int64_t w = o->width << level;
    return (int32_t)(w < o->max_width ? w : o->max_width);
}

static struct hf_layer layer(enum hf_layer_kind kind, int32_t from, int32_t channels) {
    return (struct hf_layer){.kind = kind, .inputs = 1, .input = {from}, .channels = channels};
}

/* `value` on every axis that the network works along at that level, 1 on the others. */
static void set_axes(const struct unet_options *o, int64_t level, int32_t value, int32_t axes[3]) {
    for (int i = 0; i < 3; i++)
        axes[i] = i > 0 || (o->dims == 3 && level >= o->flat) ? value : 1;
}

/* Adds a layer named "<prefix><where><level>.<what>"; *x becomes its index. */
static enum hf_status add(struct builder *b, struct hf_layer *l, int32_t *x, const char *where,
                          int64_t level, const char *what, int64_t i) {
    (void)snprintf(l->name, sizeof l->name, "%s%s%d.%s%d", b->prefix, where, (int)level, what,
                   (int)i);
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
        conv.bias = b->o->norm == UNET_NORM_NONE; /* the norm's shift does the same */
        st = add(b, &conv, x, where, level, "conv", i);
        if (st == HF_OK && b->o->norm == UNET_NORM_INSTANCE) {
            struct hf_layer norm = layer(HF_LAYER_NORM, *x, 0);
            norm.epsilon = 1e-5f;
            norm.bias = 1;
            st = add(b, &norm, x, where, level, "norm", i);
        }
        if (st == HF_OK) {
            struct hf_layer act = layer(HF_LAYER_ACT, *x, 0);
            act.act = b->o->activation == UNET_ACTIVATION_RELU ? HF_ACT_RELU : HF_ACT_LEAKY;
            act.slope = (float)b->o->slope;
            st = add(b, &act, x, where, level, "act", i);
        }
    }
    return st;
}

static enum hf_status add_up(struct builder *b, int64_t level, int32_t *x) {
    if (b->o->up == UNET_UP_DECONV) {
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

/* All of them behind layer *x, which becomes the head. */
static enum hf_status add_layers(struct builder *b, int32_t *x) {
    enum {
        MAX_LEVELS = 8
    };
    int32_t skip[MAX_LEVELS];
    int64_t deepest = b->o->levels - 1;
    enum hf_status st = HF_OK;
    for (int64_t level = 0; level < b->o->levels && st == HF_OK; level++) {
        st = add_block(b, "down", level, level > 0 && b->o->down == UNET_DOWN_CONV, x);
        skip[level] = *x;
        if (st == HF_OK && level < deepest && b->o->down == UNET_DOWN_POOL) {
            struct hf_layer pool = layer(HF_LAYER_POOL, *x, 0);
            set_axes(b->o, level, 2, pool.stride);
            st = add(b, &pool, x, "down", level, "pool", 0);
        }
    }
    for (int64_t level = deepest - 1; level >= 0 && st == HF_OK; level--) {
        st = add_up(b, level, x);
        if (st != HF_OK)
            break;
        struct hf_layer concat = {.kind = HF_LAYER_CONCAT, .inputs = 2, .input = {skip[level], *x}};
        st = add(b, &concat, x, "up", level, "concat", 0);
        if (st == HF_OK)
            st = add_block(b, "up", level, 0, x);
        int32_t head = *x;
        if (st == HF_OK && level > 0 && level <= b->o->supervise)
            st = add_head(b, level, &head);
    }
    return st == HF_OK ? add_head(b, 0, x) : st;
}

enum hf_status unet_add(const struct hf_host *host, const struct unet_options *o,
                        const char *prefix, int32_t out_channels, struct hf_net *net, int32_t *x,
                        struct hf_error *e) {
    struct builder b = {
        .host = host, .o = o, .net = net, .err = e, .prefix = prefix, .out_channels = out_channels};
    return add_layers(&b, x);
}
