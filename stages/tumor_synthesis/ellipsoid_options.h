/**
 * ellipsoid_options.h - the options of the method `ellipsoid`, and what becomes of them.
 *
 * Sizes, counts, deformation, texture and contrast have the defaults of a published generator; it
 * adds lesions that are darker than the liver alone (`hyperdense: 0`), blurs their edges by 1 to 2
 * mm, and draws contrast, blur and texture once a volume where here each lesion has its own. Rims
 * are a choice made here.
 */
#ifndef HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_OPTIONS_H
#define HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_OPTIONS_H

#include <hepaflow/plugin.h>

#include "../shapes/drawing.h"
#include "ellipsoid.h"

enum hide_option {
    HIDE_AUTO,
    HIDE_OF_SLICE,
    HIDE_OF_VOLUME
};

struct ellipsoid_options {
    int64_t dims;
    struct hf_weights types;
    struct hf_reals count[GROWN_SIZES], mix_counts;
    struct hf_reals radius[GROWN_SIZES], shift[GROWN_SIZES];
    struct hf_reals extent;
    double inset;
    struct hf_reals coarse_grain, fine_grain;
    struct hf_reals cloud_low, cloud_span, cloud_mean;
    struct hf_reals hypodense_peak, hyperdense_peak;
    double rim;
    struct hf_reals rim_width, rim_contrast;
    int32_t mask; /* 1: soft */
    int32_t hide; /* enum hide_option */
};

/** What no option says alone. */
enum hf_status ellipsoid_check(const struct ellipsoid_options *o, struct hf_error *e);

/** Fills all of `p` but its base. */
void ellipsoid_fill(const struct ellipsoid_options *o, double spacing_d,
                    struct ellipsoid_params *p);

#define ELLIPSOID_RANGE(option, at, standard, dimension, least, most, text)                        \
    RANGE_OPTION(option, at, standard, dimension, least, most, "ellipsoid: " text)

#define ELLIPSOID_SIZE(size, k, at, counts, radii, shifts)                                         \
    ELLIPSOID_RANGE(size "_count", (at) + ELLIPSOID_AT(count[k]), counts, NULL, 0, 32,             \
                    "how many lesions a volume of the type " size " gets."),                       \
        ELLIPSOID_RANGE(size "_radius", (at) + ELLIPSOID_AT(radius[k]), radii, "mm", 0.5, 100,     \
                        "half axes of a " size " lesion, each drawn for itself."),                 \
        ELLIPSOID_RANGE(size "_shift", (at) + ELLIPSOID_AT(shift[k]), shifts, "mm", 0, 100,        \
                        "standard deviation of the shifts that deform a " size " lesion.")

#define ELLIPSOID_AT(member) offsetof(struct ellipsoid_options, member)

/** The rows of the stage's table; `at` is where the struct is in the stage's options. */
#define ELLIPSOID_OPTIONS(at)                                                                      \
    {.name = "dims",                                                                               \
     .type = HF_OPTION_INT,                                                                        \
     .offset = (at) + ELLIPSOID_AT(dims),                                                          \
     .initial = "3",                                                                               \
     .min = 2,                                                                                     \
     .max = 3,                                                                                     \
     .help =                                                                                       \
         "ellipsoid: 3: through the volume, `share` is of volumes and a type says how many; 2: "   \
         "each slice for itself, `lesions` says how many and each has a type."},                   \
        {.name = "types",                                                                          \
         .type = HF_OPTION_WEIGHTS,                                                                \
         .offset = (at) + ELLIPSOID_AT(types),                                                     \
         .initial = "{tiny: 1, small: 1, medium: 1, large: 1, mix: 1}",                            \
         .max = 1e6,                                                                               \
         .choices = "tiny|small|medium|large|mix",                                                 \
         .items_min = 1,                                                                           \
         .items_max = GROWN_TYPES,                                                                 \
         .help = "ellipsoid: shares of the types; a mix has lesions of all four sizes."},          \
        ELLIPSOID_SIZE("tiny", 0, at, "[3, 10]", "[3, 5]", "[0.5, 1]"),                            \
        ELLIPSOID_SIZE("small", 1, at, "[3, 10]", "[6, 10]", "[1, 2]"),                            \
        ELLIPSOID_SIZE("medium", 2, at, "[2, 5]", "[12, 20]", "[3, 6]"),                           \
        ELLIPSOID_SIZE("large", 3, at, "[1, 3]", "[24, 40]", "[5, 10]"),                           \
        {.name = "mix_counts",                                                                     \
         .type = HF_OPTION_REALS,                                                                  \
         .offset = (at) + ELLIPSOID_AT(mix_counts),                                                \
         .initial = "[3, 10, 5, 10, 2, 5, 1, 3]",                                                  \
         .max = 32,                                                                                \
         .items_min = 2 * GROWN_SIZES,                                                             \
         .items_max = 2 * GROWN_SIZES,                                                             \
         .help = "ellipsoid: how many tiny, small, medium and large lesions a mix has: four "      \
                 "ranges."},                                                                       \
        ELLIPSOID_RANGE("extent", (at) + ELLIPSOID_AT(extent), "[0.3, 0.7]", NULL, 0, 1,           \
                        "where along the liver's slices the middle of a lesion may lie, dims 3."), \
        {.name = "inset",                                                                          \
         .type = HF_OPTION_REAL,                                                                   \
         .offset = (at) + ELLIPSOID_AT(inset),                                                     \
         .initial = "2 mm",                                                                        \
         .unit = "mm",                                                                             \
         .max = 50,                                                                                \
         .help = "ellipsoid: a lesion's middle is at least so far inside the liver's slice."},     \
        {.name = "coarse_grain",                                                                   \
         .type = HF_OPTION_REALS,                                                                  \
         .offset = (at) + ELLIPSOID_AT(coarse_grain),                                              \
         .initial = "[3, 6, 9, 12, 15]",                                                           \
         .unit = "mm",                                                                             \
         .min = 1,                                                                                 \
         .max = 100,                                                                               \
         .items_min = 1,                                                                           \
         .items_max = GROWN_GRAINS,                                                                \
         .help = "ellipsoid: grain (Gaussian sigma) of the texture's clouds; a lesion has one of " \
                 "the list."},                                                                     \
        {.name = "fine_grain",                                                                     \
         .type = HF_OPTION_REALS,                                                                  \
         .offset = (at) + ELLIPSOID_AT(fine_grain),                                                \
         .initial = "[4, 7]",                                                                      \
         .unit = "mm",                                                                             \
         .min = 1,                                                                                 \
         .max = 100,                                                                               \
         .items_min = 1,                                                                           \
         .items_max = GROWN_GRAINS,                                                                \
         .help = "ellipsoid: blur (Gaussian sigma) of the single draws that the clouds are made "  \
                 "of; a lesion has one of the list."},                                             \
        ELLIPSOID_RANGE("cloud_low", (at) + ELLIPSOID_AT(cloud_low), "[0.04, 0.06]", NULL, 0, 1,   \
                        "probability of a draw where the clouds are thinnest."),                   \
        ELLIPSOID_RANGE("cloud_span", (at) + ELLIPSOID_AT(cloud_span), "[0.19, 0.21]", NULL, 0, 1, \
                        "by how much it is larger where they are thickest."),                      \
        ELLIPSOID_RANGE("cloud_mean", (at) + ELLIPSOID_AT(cloud_mean), "[0.5, 0.55]", NULL, 0, 1,  \
                        "mean of the texture, as a share of the contrast."),                       \
        ELLIPSOID_RANGE("hypodense_peak", (at) + ELLIPSOID_AT(hypodense_peak), "[65, 145]", "HU",  \
                        0, 2000, "contrast of a hypodense lesion where its texture is 1."),        \
        ELLIPSOID_RANGE("hyperdense_peak", (at) + ELLIPSOID_AT(hyperdense_peak), "[65, 145]",      \
                        "HU", 0, 2000, "contrast of a hyperdense lesion where its texture is 1."), \
        {.name = "rim",                                                                            \
         .type = HF_OPTION_REAL,                                                                   \
         .offset = (at) + ELLIPSOID_AT(rim),                                                       \
         .initial = "0",                                                                           \
         .max = 1,                                                                                 \
         .help = "ellipsoid: share of lesions with a rim of its own contrast."},                   \
        ELLIPSOID_RANGE("rim_width", (at) + ELLIPSOID_AT(rim_width), "[1, 3]", "mm", 0.1, 50,      \
                        "how wide a rim is."),                                                     \
        ELLIPSOID_RANGE("rim_contrast", (at) + ELLIPSOID_AT(rim_contrast), "[20, 60]", "HU",       \
                        -2000, 2000, "of a rim to the liver; below 0 it is dark."),                \
        {.name = "mask",                                                                           \
         .type = HF_OPTION_ENUM,                                                                   \
         .offset = (at) + ELLIPSOID_AT(mask),                                                      \
         .initial = "hard",                                                                        \
         .choices = "hard|soft",                                                                   \
         .help = "ellipsoid: the field `lesion` as drawn, or with the edge that the image has."},  \
    {                                                                                              \
        .name = "hide", .type = HF_OPTION_ENUM, .offset = (at) + ELLIPSOID_AT(hide),               \
        .initial = "auto", .choices = "auto|slice|volume",                                         \
        .help = "ellipsoid: the hole is made of the segments that lesions touch in the slice, or " \
                "in the volume (auto: slice for dims 2, volume for dims 3)."                       \
    }

#endif
