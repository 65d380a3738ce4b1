/**
 * augment.c - the stage `augment`: changes volumes at random, anew in each epoch, so that a network
 * trained on them does not learn what should not matter.
 *
 * Space first: one transform a volume, applied to every field on the grid (linear for f32, nearest
 * for u8, so that labels stay labels) and to the affine, so that world coordinates stay true but
 * for what `elastic` moves. Labels stay with what they label: a liver that is mirrored left to
 * right has segment 2 on its right. Then the values of `image`.
 *
 * Effects, their chances and their ranges are nnU-Net's by default, in its order; each volume draws
 * which it gets. nnU-Net has no elastic deformation, and draws for patches and changes all of their
 * values, where here by default those of the liver change: outside of it an image may be blank. It
 * leaves every second channel out of blur and low resolution, so that an image of one channel gets
 * them half as often; and in space it mirrors all three axes: name `mirror_d` for that.
 */
#include "augment.h"

#include "ops.h"

double augment_uniform(struct hf_rng *rng, const struct hf_reals *range) {
    return range->value[0] +
           (range->value[range->count - 1] - range->value[0]) * (double)hf_rng_uniform(rng);
}

const struct hf_reals *augment_turns(const struct augment_options *o) {
    static const struct hf_reals in_plane = {2, {-180, 180}}, in_space = {2, {-30, 30}};
    if (o->rotate.count > 0)
        return &o->rotate;
    return o->dims == 2 ? &in_plane : &in_space;
}

int augment_any(const struct augment_draw *d, enum augment_effect first, enum augment_effect last) {
    for (int k = (int)first; k <= (int)last; k++)
        if (d->on[k])
            return 1;
    return 0;
}

static const char *const effect_names[AUGMENT_EFFECT_COUNT] = {
    "rotate", "scale",      "mirror_w", "mirror_h", "mirror_d",       "elastic",        "noise",
    "blur",   "brightness", "contrast", "shift",    "low_resolution", "inverted_gamma", "gamma"};

/* The share of the volumes that get an effect. */
static double share_of(const struct augment_options *o, int effect) {
    double share = 0;
    for (int32_t i = 0; i < o->effects.count; i++)
        if (strcmp(o->effects.name[i], effect_names[effect]) == 0)
            share = o->effects.value[i];
    return share;
}

struct augment_draw augment_draw(const struct hf_stage *s, const char *id) {
    const struct augment_options *o = s->options;
    struct hf_rng rng = hf_stage_rng(s, id);
    struct augment_draw d;
    d.angle = augment_uniform(&rng, augment_turns(o));
    d.scale = augment_uniform(&rng, &o->scale);
    double mirror = (double)hf_rng_uniform(&rng);
    d.contrast = augment_uniform(&rng, &o->contrast);
    d.shift = augment_uniform(&rng, &o->shift);
    for (int k = 0; k < AUGMENT_EFFECT_COUNT; k++) {
        char name[256];
        (void)snprintf(name, sizeof name, "%.200s/%s", s->name, effect_names[k]);
        d.stream[k] = hf_rng_init(s->seed, name, id, s->epoch);
        double chance = (double)hf_rng_uniform(&d.stream[k]);
        d.on[k] = (k == AUGMENT_MIRROR_W ? mirror : chance) < share_of(o, k);
    }
    return d;
}

enum hf_status augment_step(struct hf_stage *s, const char *op, const struct hf_tensor *like,
                            struct hf_tensor *const *inputs, const void *params, size_t params_size,
                            struct hf_tensor **ret, struct hf_error *e) {
    enum hf_status st = hf_tensor_new(s, like->dtype, 4, like->shape, ret, e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {
        .out = {*ret}, .outputs = 1, .params = params, .params_size = params_size};
    for (; *inputs; inputs++)
        call.in[call.inputs++] = *inputs;
    st = hf_launch(s, op, &call, e);
    if (st != HF_OK) {
        s->host->tensor_unref(*ret);
        *ret = NULL;
    }
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    struct augment_draw d = augment_draw(s, in->id);
    struct hf_sample *sample = NULL;
    enum hf_status st = s->host->sample_derive(s->host, in, NULL, &sample, e);
    if (st == HF_OK)
        st = augment_space(s, in, &d, sample, e);
    if (st == HF_OK)
        st = augment_light(s, &d, sample, e);
    if (st == HF_OK)
        return hf_emit(s, sample, e);
    s->host->sample_unref(sample);
    return st;
}

static enum hf_status check_ranges(const struct augment_options *o, struct hf_error *e) {
    const struct {
        const char *name;
        const struct hf_reals *value;
    } ranges[] = {
        {"rotate", &o->rotate},     {"scale", &o->scale}, {"elastic", &o->elastic},
        {"noise", &o->noise},       {"blur", &o->blur},   {"brightness", &o->brightness},
        {"contrast", &o->contrast}, {"shift", &o->shift}, {"low_resolution", &o->low_resolution},
        {"gamma", &o->gamma}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const struct hf_reals *r = ranges[i].value;
        if (r->count == 2 && r->value[0] > r->value[1])
            return hf_fail(e, HF_INVALID,
                           "option '%s' is [%g, %g]; expected the lower end first: "
                           "[%g, %g]",
                           ranges[i].name, r->value[0], r->value[1], r->value[1], r->value[0]);
    }
    return HF_OK;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct augment_options *o = options;
    int64_t channels = 1;
    for (int32_t i = 0; i < o->effects.count; i++)
        if (!o->effects.name[i])
            return hf_fail(e, HF_INVALID,
                           "option 'effects' must name each effect: {rotate: 0.2, noise: 0.1}");
    if (o->dims == 2 && share_of(o, AUGMENT_MIRROR_D) > 0)
        return hf_fail(e, HF_INVALID,
                       "option 'effects' names mirror_d, which needs `dims: 3`: in 2 dimensions "
                       "slices stay where they are");
    if (o->clip.count > 0 && !(o->clip.count == 2 && o->clip.value[0] < o->clip.value[1]))
        return hf_fail(e, HF_INVALID, "option 'clip' must be two rising numbers, or [] for none");
    enum hf_status st = check_ranges(o, e);
    if (st != HF_OK)
        return st;
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    if (o->within.count > 0)
        io->read(io, o->within.name[0], HF_U8, HF_ON_GRID, 0);
    for (int32_t i = 0; i < o->fields.count; i++)
        io->read(io, o->fields.name[i], HF_DTYPES, HF_ON_GRID, 0);
    io->read(io, HF_EVERY_FIELD, HF_DTYPES, HF_ON_GRID, 0);
    (void)io->has(io, "image", &channels);
    char from[128];
    (void)snprintf(from, sizeof from, "image liver %s",
                   o->within.count > 0 ? o->within.name[0] : "");
    io->write(io, "image", HF_F32, HF_ON_GRID, channels, from);
    return HF_OK;
}

#define AT(field) offsetof(struct augment_options, field)

/* A range of values, drawn uniformly. */
#define RANGE(option, first, in, least, most, text)                                                \
    {                                                                                              \
        .name = #option, .type = HF_OPTION_REALS, .offset = AT(option), .initial = (first),        \
        .unit = (in), .min = (least), .max = (most), .items_min = 1, .items_max = 2,               \
        .help = (text)                                                                             \
    }

static const struct hf_option option_table[] = {
    {.name = "effects",
     .type = HF_OPTION_WEIGHTS,
     .offset = AT(effects),
     .initial = "{rotate: 0.2, scale: 0.2, mirror_w: 0.5, mirror_h: 0.5, noise: 0.1, blur: 0.2, "
                "brightness: 0.15, contrast: 0.15, low_resolution: 0.25, inverted_gamma: 0.1, "
                "gamma: 0.3}",
     .min = 0,
     .max = 1,
     .choices = AUGMENT_EFFECTS,
     .help = "Which effects there are, and the share of the volumes that get each; those that are "
             "not named: none."},
    {.name = "dims",
     .type = HF_OPTION_INT,
     .offset = AT(dims),
     .initial = "2",
     .min = 2,
     .max = 3,
     .help = "2: all slices alike, each in its plane, for networks over slices; 3: the volume in "
             "space."},
    {.name = "rotate",
     .type = HF_OPTION_REALS,
     .offset = AT(rotate),
     .initial = "~",
     .unit = "deg",
     .min = -180,
     .max = 180,
     .items_max = 2,
     .help = "Range of the rotation, in 3 dimensions of that about each axis; by default "
             "[-180, 180] in 2 and [-30, 30] in 3 dimensions."},
    RANGE(scale, "[0.7, 1.4]", NULL, 0.25, 4, "Range of the magnification."),
    RANGE(
        elastic, "[0 mm, 6 mm]", "mm", 0, 100,
        "Range of the standard deviation by which control points move; their splines move what is "
        "between them. No point moves by more than 0.4 of their distance."),
    {.name = "elastic_spacing",
     .type = HF_OPTION_REAL,
     .offset = AT(elastic_spacing),
     .initial = "40 mm",
     .unit = "mm",
     .min = 1,
     .max = 1000,
     .help = "Distance of the control points."},
    RANGE(noise, "[0, 0.1]", NULL, 0, 100,
          "Range of the noise's variance, in units of the image's variance inside the liver."),
    RANGE(blur, "[0.5, 1]", "voxels", 0, 20, "Range of the Gaussian's sigma, drawn for each axis."),
    RANGE(brightness, "[0.75, 1.25]", NULL, 0, 10,
          "Range of what multiplies the values, counted from their mean inside the liver."),
    RANGE(contrast, "[0.75, 1.25]", NULL, 0, 10, "Range of the contrast."),
    {.name = "contrast_about",
     .type = HF_OPTION_ENUM,
     .offset = AT(contrast_about),
     .initial = "mean",
     .choices = "mean|middle",
     .help = "What keeps its value: the mean, and then no value leaves the range that there was, "
             "or the middle of the window, 0.5."},
    RANGE(shift, "[-0.03, 0.03]", NULL, -1, 1,
          "Range of what is added to the image; 1 is the whole window."),
    RANGE(
        low_resolution, "[0.5, 1]", NULL, 0.05, 1,
        "Range of the share of the voxels along an axis that low resolution leaves: nearest ones, "
        "linear in between."),
    RANGE(
        gamma, "[0.7, 1.5]", NULL, 0.05, 20,
        "Range of gamma, drawn as often below 1 as above; mean and deviation stay. Inverted gamma "
        "acts on the negative."),
    {.name = "fields",
     .type = HF_OPTION_NAMES,
     .offset = AT(fields),
     .initial = "[]",
     .flags = HF_OPTION_FIELD,
     .help =
         "Fields that alone are moved in space, against all others, as a map that is not exact; "
         "none: all."},
    {.name = "within",
     .type = HF_OPTION_NAMES,
     .offset = AT(within),
     .initial = "liver",
     .items_max = 1,
     .flags = HF_OPTION_FIELD,
     .help =
         "Mask inside which alone values change, and of which means, deviations and ranges are; "
         "[]: the whole volume. What happens in space happens everywhere."},
    {.name = "clip",
     .type = HF_OPTION_REALS,
     .offset = AT(clip),
     .initial = "[0, 1]",
     .min = -1e5,
     .max = 1e5,
     .items_max = 2,
     .help = "Bounds that values are kept within where they change; [] for none."},
    {.name = NULL},
};

static const struct hf_stage_class augment = {
    .name = "augment",
    .help = "Turns, scales, mirrors, warps, blurs and re-lights volumes at random, anew in each "
            "epoch.",
    .kind = HF_MAP,
    .flags = HF_STAGE_RANDOM,
    .options_size = sizeof(struct augment_options),
    .options = option_table,
    .ops = (const char *const[]){"resample", "blur", "augment.stats", "augment.shade",
                                 "augment.noise", "augment.gamma", "augment.restore",
                                 "augment.merge", "augment.warp", NULL},
    .declare = declare,
    .process = process,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "augment",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&augment, NULL},
    .ops = (const struct hf_op *const[]){&augment_stats_cpu, &augment_shade_cpu, &augment_noise_cpu,
                                         &augment_gamma_cpu, &augment_restore_cpu,
                                         &augment_merge_cpu, &augment_warp_cpu, NULL},
};
