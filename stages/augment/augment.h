/**
 * augment.h - the parts of `augment`: which effects a volume gets, what they do in space, and what
 * they do to the image's values.
 */
#ifndef AUGMENT_H
#define AUGMENT_H

#include <hepaflow/ops.h>
#include <hepaflow/plugin.h>

/** In the order of the words in AUGMENT_EFFECTS. */
enum augment_effect {
    AUGMENT_ROTATE,
    AUGMENT_SCALE,
    AUGMENT_MIRROR_W,
    AUGMENT_MIRROR_H,
    AUGMENT_MIRROR_D,
    AUGMENT_ELASTIC,
    AUGMENT_NOISE,
    AUGMENT_BLUR,
    AUGMENT_BRIGHTNESS,
    AUGMENT_CONTRAST,
    AUGMENT_SHIFT,
    AUGMENT_LOW_RESOLUTION,
    AUGMENT_INVERTED_GAMMA,
    AUGMENT_GAMMA,
    AUGMENT_EFFECT_COUNT
};

#define AUGMENT_EFFECTS                                                                            \
    "rotate|scale|mirror_w|mirror_h|mirror_d|elastic|noise|blur|brightness|contrast|shift|"        \
    "low_resolution|inverted_gamma|gamma"

enum augment_about {
    AUGMENT_ABOUT_MEAN,
    AUGMENT_ABOUT_MIDDLE
};

struct augment_options {
    struct hf_weights effects; /* the share of the volumes that get each */
    int64_t dims;
    struct hf_reals rotate, scale, elastic, noise, blur, brightness, contrast, shift,
        low_resolution, gamma;
    double elastic_spacing; /* mm */
    int32_t contrast_about; /* enum augment_about */
    struct hf_names fields; /* that are moved in space; none: all */
    struct hf_names within; /* mask outside which values stay as they are; none: everywhere */
    struct hf_reals clip;
};

/**
 * What one volume gets. The values of the stage's oldest effects come, always, from one stream in
 * this order; each effect's chance, and the values of all others, from a stream of its own. So no
 * effect's draws depend on which others there are.
 */
struct augment_draw {
    int on[AUGMENT_EFFECT_COUNT];
    struct hf_rng stream[AUGMENT_EFFECT_COUNT]; /* what is left of the effect's own */
    double angle;                               /* in plane, degrees */
    double scale, contrast, shift;
};

/** Uniform between the two values of a range. */
double augment_uniform(struct hf_rng *rng, const struct hf_reals *range);

/** The range of rotations: `rotate`, or what it is by default. */
const struct hf_reals *augment_turns(const struct augment_options *o);

struct augment_draw augment_draw(const struct hf_stage *s, const char *id);

/** 1 if any of the effects from `first` to `last` is on. */
int augment_any(const struct augment_draw *d, enum augment_effect first, enum augment_effect last);

/** A tensor as `like`, made by an op of `inputs` (NULL-terminated): one step of a chain. */
enum hf_status augment_step(struct hf_stage *s, const char *op, const struct hf_tensor *like,
                            struct hf_tensor *const *inputs, const void *params, size_t params_size,
                            struct hf_tensor **ret, struct hf_error *e);

/** Turns, scales, mirrors and warps fields of `in` on the grid into `out`, and the affine with all.
 */
enum hf_status augment_space(struct hf_stage *s, const struct hf_sample *in, struct augment_draw *d,
                             struct hf_sample *out, struct hf_error *e);

/** The effects on the values of `image`. */
enum hf_status augment_light(struct hf_stage *s, struct augment_draw *d, struct hf_sample *sample,
                             struct hf_error *e);

#endif
