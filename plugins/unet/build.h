/**
 * build.h - the layers of a U-Net and their options, for the networks that are made of U-Nets.
 */
#ifndef HF_PLUGINS_UNET_BUILD_H
#define HF_PLUGINS_UNET_BUILD_H

#include <hepaflow/plugin.h>

enum unet_norm {
    UNET_NORM_NONE,
    UNET_NORM_INSTANCE
};

enum unet_activation {
    UNET_ACTIVATION_RELU,
    UNET_ACTIVATION_LEAKY
};

enum unet_down {
    UNET_DOWN_POOL,
    UNET_DOWN_CONV
};

enum unet_up {
    UNET_UP_DECONV,
    UNET_UP_NEAREST
};

struct unet_options {
    int64_t dims, width, max_width, levels, convs, flat, supervise;
    int32_t norm, activation, down, up;
    double slope;
};

/**
 * Adds a U-Net behind layer *x with names that begin with `prefix`; *x becomes its head, of
 * `out_channels`, without an activation.
 */
enum hf_status unet_add(const struct hf_host *host, const struct unet_options *o,
                        const char *prefix, int32_t out_channels, struct hf_net *net, int32_t *x,
                        struct hf_error *e);

#define UNET_AT(at, member) (at) + offsetof(struct unet_options, member)

/** The entries of an option table for a struct unet_options at offset `at`, but for `supervise`. */
#define UNET_OPTION_TABLE(at)                                                                      \
    {.name = "dims",                                                                               \
     .type = HF_OPTION_INT,                                                                        \
     .offset = UNET_AT(at, dims),                                                                  \
     .initial = "2",                                                                               \
     .min = 2,                                                                                     \
     .max = 3,                                                                                     \
     .help = "Spatial axes of the convolutions: 2 runs over slices, 3 over volumes."},             \
        {.name = "width",                                                                          \
         .type = HF_OPTION_INT,                                                                    \
         .offset = UNET_AT(at, width),                                                             \
         .initial = "32",                                                                          \
         .min = 1,                                                                                 \
         .max = 512,                                                                               \
         .help = "Channels of the first level; doubled at each level below."},                     \
        {.name = "max_width",                                                                      \
         .type = HF_OPTION_INT,                                                                    \
         .offset = UNET_AT(at, max_width),                                                         \
         .initial = "512",                                                                         \
         .min = 1,                                                                                 \
         .max = 4096,                                                                              \
         .help = "No level has more channels than this."},                                         \
        {.name = "levels",                                                                         \
         .type = HF_OPTION_INT,                                                                    \
         .offset = UNET_AT(at, levels),                                                            \
         .initial = "5",                                                                           \
         .min = 1,                                                                                 \
         .max = 8,                                                                                 \
         .help = "Resolution levels; sizes must divide by 2^(levels - 1) (D of a 3D network by "   \
                 "2^(levels - 1 - flat))."},                                                       \
        {.name = "convs",                                                                          \
         .type = HF_OPTION_INT,                                                                    \
         .offset = UNET_AT(at, convs),                                                             \
         .initial = "2",                                                                           \
         .min = 1,                                                                                 \
         .max = 8,                                                                                 \
         .help = "Convolutions at each level."},                                                   \
        {.name = "norm",                                                                           \
         .type = HF_OPTION_ENUM,                                                                   \
         .offset = UNET_AT(at, norm),                                                              \
         .initial = "instance",                                                                    \
         .choices = "none|instance",                                                               \
         .help = "Normalisation after each convolution."},                                         \
        {.name = "activation",                                                                     \
         .type = HF_OPTION_ENUM,                                                                   \
         .offset = UNET_AT(at, activation),                                                        \
         .initial = "leaky",                                                                       \
         .choices = "relu|leaky",                                                                  \
         .help = "Activation after each convolution."},                                            \
        {.name = "slope",                                                                          \
         .type = HF_OPTION_REAL,                                                                   \
         .offset = UNET_AT(at, slope),                                                             \
         .initial = "0.01",                                                                        \
         .min = 0,                                                                                 \
         .max = 1,                                                                                 \
         .help = "Slope of the leaky activation below zero."},                                     \
        {.name = "down",                                                                           \
         .type = HF_OPTION_ENUM,                                                                   \
         .offset = UNET_AT(at, down),                                                              \
         .initial = "pool",                                                                        \
         .choices = "pool|conv",                                                                   \
         .help = "How a level gets to half the size: max pooling, or a stride of 2 in the first "  \
                 "convolution below."},                                                            \
        {.name = "up",                                                                             \
         .type = HF_OPTION_ENUM,                                                                   \
         .offset = UNET_AT(at, up),                                                                \
         .initial = "deconv",                                                                      \
         .choices = "deconv|nearest",                                                              \
         .help = "How a level is brought to the size of the one above."},                          \
    {                                                                                              \
        .name = "flat", .type = HF_OPTION_INT, .offset = UNET_AT(at, flat), .initial = "0",        \
        .min = 0, .max = 7,                                                                        \
        .help =                                                                                    \
            "3D: so many levels, from the first, have 1x3x3 convolutions and are halved in H and " \
            "W alone, for slices far apart."                                                       \
    }

#endif
