/*
 * unet - the U-Net of Ronneberger et al. (MICCAI 2015) with zero padding.
 *
 * The plain 3D U-Net of nnU-Net (Isensee et al., Nature Methods 2021) is
 * `{dims: 3, max_width: 320, down: conv, supervise: levels - 3}`, with `flat` as the patch asks
 * for.
 */
#include "build.h"

static enum hf_status build(const struct hf_host *host, const void *options, int32_t in_channels,
                            int32_t out_channels, struct hf_net **ret, struct hf_error *e) {
    const struct unet_options *o = options;
    struct hf_net *net = NULL;
    int32_t x = 0;
    int64_t most = o->levels > 2 ? o->levels - 2 : 0;
    if (o->supervise > most)
        return hf_fail(
            e, HF_INVALID,
            "option 'supervise' is %lld; with %lld levels there are %lld between the output and "
            "the deepest",
            (long long)o->supervise, (long long)o->levels, (long long)most);
    enum hf_status st = host->net_new((int32_t)o->dims, in_channels, &net, e);
    if (st == HF_OK)
        st = unet_add(host, o, "", out_channels, net, &x, e);
    if (st == HF_OK)
        *ret = net;
    else if (net)
        host->net_free(net);
    return st;
}

static int32_t dims(const void *options) {
    return (int32_t)((const struct unet_options *)options)->dims;
}

static const struct hf_option options[] = {
    UNET_OPTION_TABLE(0),
    {.name = "supervise",
     .type = HF_OPTION_INT,
     .offset = offsetof(struct unet_options, supervise),
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
    .options_size = sizeof(struct unet_options),
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
