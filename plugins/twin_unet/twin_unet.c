/*
 * twin_unet - a spotter that can go on learning where nobody tells it the truth: two U-Nets, of
 * which the second rebuilds what the first one saw.
 *
 * The spotter sees all channels. The rebuilder, a U-Net of the same form, sees those from channel
 * `known_from` on, which are not to hold the image that it rebuilds, and the sigmoid of the
 * spotter's output: what it needs to know of the image beyond them, the spotter has to tell. The
 * output is the spotter's, then what is rebuilt. Layers are named "answer.*" and "rebuild.*".
 */
#include "../unet/build.h"

struct options {
    struct unet_options unet;
    int64_t rebuilt, known_from;
};

/* What the rebuilder sees behind the spotter's head: *ret_seen. */
static enum hf_status add_view(const struct hf_host *host, const struct options *o, int32_t head,
                               struct hf_net *net, int32_t *ret_seen, struct hf_error *e) {
    int32_t known = 0, told = 0, from = (int32_t)o->known_from;
    struct hf_layer take = {.kind = HF_LAYER_TAKE,
                            .name = "rebuild.known",
                            .inputs = 1,
                            .channel = from,
                            .channels = net->layer[0].channels - from};
    struct hf_layer sigmoid = {.kind = HF_LAYER_ACT,
                               .name = "rebuild.told",
                               .inputs = 1,
                               .input = {head},
                               .act = HF_ACT_SIGMOID};
    enum hf_status st = host->net_add(net, &take, &known, e);
    if (st == HF_OK)
        st = host->net_add(net, &sigmoid, &told, e);
    struct hf_layer both = {
        .kind = HF_LAYER_CONCAT, .name = "rebuild.seen", .inputs = 2, .input = {known, told}};
    return st == HF_OK ? host->net_add(net, &both, ret_seen, e) : st;
}

static enum hf_status add_layers(const struct hf_host *host, const struct options *o,
                                 int32_t out_channels, struct hf_net *net, struct hf_error *e) {
    int32_t head = 0, rebuilt = 0, channels = (int32_t)o->rebuilt;
    enum hf_status st =
        unet_add(host, &o->unet, HF_NET_ANSWER, out_channels - channels, net, &head, e);
    if (st == HF_OK)
        st = add_view(host, o, head, net, &rebuilt, e);
    if (st == HF_OK)
        st = unet_add(host, &o->unet, "rebuild.", channels, net, &rebuilt, e);
    struct hf_layer output = {
        .kind = HF_LAYER_CONCAT, .name = "output", .inputs = 2, .input = {head, rebuilt}};
    return st == HF_OK ? host->net_add(net, &output, NULL, e) : st;
}

static enum hf_status build(const struct hf_host *host, const void *options, int32_t in_channels,
                            int32_t out_channels, struct hf_net **ret, struct hf_error *e) {
    const struct options *o = options;
    struct hf_net *net = NULL;
    if (o->known_from >= in_channels)
        return hf_fail(
            e, HF_INVALID,
            "option 'known_from' is %lld; of %d input channels, 0 to %d, the rebuilder needs one",
            (long long)o->known_from, in_channels, in_channels - 1);
    if (o->rebuilt >= out_channels)
        return hf_fail(e, HF_INVALID,
                       "option 'rebuilt' is %lld; of %d output channels one at least is the answer",
                       (long long)o->rebuilt, out_channels);
    enum hf_status st = host->net_new((int32_t)o->unet.dims, in_channels, &net, e);
    if (st == HF_OK)
        st = add_layers(host, o, out_channels, net, e);
    if (st == HF_OK)
        *ret = net;
    else if (net)
        host->net_free(net);
    return st;
}

static int32_t dims(const void *options) {
    return (int32_t)((const struct options *)options)->unet.dims;
}

static int32_t rebuilt(const void *options) {
    return (int32_t)((const struct options *)options)->rebuilt;
}

static const struct hf_option options[] = {
    UNET_OPTION_TABLE(offsetof(struct options, unet)),
    {.name = "rebuilt",
     .type = HF_OPTION_INT,
     .offset = offsetof(struct options, rebuilt),
     .initial = "1",
     .min = 1,
     .max = 16,
     .help = "Channels at the end of the output that rebuild the field that `rebuild` of `train` "
             "names."},
    {.name = "known_from",
     .type = HF_OPTION_INT,
     .offset = offsetof(struct options, known_from),
     .initial = "1",
     .min = 1,
     .max = 64,
     .help = "First input channel that the rebuilder sees, with all behind it; the image comes "
             "before, which it is to rebuild."},
    {.name = NULL},
};

static const struct hf_network_class twin_unet = {
    .name = "twin_unet",
    .help = "Two U-Nets: one spots, the other rebuilds the image from what the first one says.",
    .options_size = sizeof(struct options),
    .options = options,
    .build = build,
    .dims = dims,
    .rebuilt = rebuilt,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "twin_unet",
    .version = "0.1.0",
    .networks = (const struct hf_network_class *const[]){&twin_unet, NULL},
};
