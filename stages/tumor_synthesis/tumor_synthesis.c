/**
 * tumor_synthesis.c - the stage `tumor_synthesis`: adds synthetic lesions to healthy liver.
 *
 * Lesions are drawn anew for each epoch, only where nobody annotated a tumor: by the method
 * `ellipsoid` through the volume (see ellipsoid.h), by the others in each slice for itself. `hole`
 * holds the whole Couinaud segments that they touch, so that after `inpaint` a pair looks as it
 * will when annotated segments are filled. Sizes are in mm and intensities in HU, so that they mean
 * the same on every grid. Superpixels, deformation and the range and shape of the contrast restate
 * what later code of the method's authors has in pixels (taken as 0.75 mm) and in grey values of a
 * window of 450 HU. That code draws one lesion a slice, about a third of them bright, with white
 * noise inside, and smooths the image afterwards; several lesions, their share of bright ones,
 * coarser texture in place of the smoothing and fading vessels are choices made here.
 */
#include <hepaflow/plugin.h>

#include "../geometry/geometry.h"
#include "../shapes/lesions.h"
#include "ellipsoid_options.h"
#include "ops.h"

struct options {
    int32_t method, contrast;
    const char *region;
    double share;
    struct hf_reals lesions, superpixels;
    double compactness;
    struct hf_reals radius, elastic_size, elastic_shift, edge;
    struct hf_reals beta_range, beta_shape, hypodense_contrast, hyperdense_contrast, normal;
    double hyperdense, faintest;
    struct hf_reals texture, texture_size;
    double damp, damp_size;
    struct hf_reals extra_segments;
    double min_area, smooth;
    struct ellipsoid_options ellipsoid;
};

enum {
    IMAGE,
    LESION,
    HOLE,
    DRAWN,
    OUTPUTS
};

static void fill_params(const struct hf_stage *s, const struct hf_sample *in, float unit,
                        struct synthesis_params *p) {
    const struct options *o = s->options;
    double spacing[3];

    memset(p, 0, sizeof *p);
    geometry_spacing(&in->grid, spacing);
    p->rng = hf_stage_rng(s, in->id);
    p->method = o->method;
    p->contrast = o->contrast;
    p->spacing[0] = (float)spacing[1];
    p->spacing[1] = (float)spacing[2];
    p->unit = unit;
    p->share = (float)o->share;
    p->lesions = range_of(&o->lesions);
    p->superpixels = range_of(&o->superpixels);
    p->compactness = (float)o->compactness;
    p->radius = range_of(&o->radius);
    p->elastic_size = range_of(&o->elastic_size);
    p->elastic_shift = range_of(&o->elastic_shift);
    p->edge = range_of(&o->edge);
    p->beta_range = range_of(&o->beta_range);
    p->beta_shape[0] = (float)o->beta_shape.value[0];
    p->beta_shape[1] = (float)o->beta_shape.value[1];
    p->hypodense_contrast = range_of(&o->hypodense_contrast);
    p->hyperdense_contrast = range_of(&o->hyperdense_contrast);
    p->normal_mean = (float)o->normal.value[0];
    p->normal_sd = (float)o->normal.value[1];
    p->hyperdense = (float)o->hyperdense;
    p->faintest = (float)o->faintest;
    p->texture = range_of(&o->texture);
    p->texture_size = range_of(&o->texture_size);
    p->damp = (float)o->damp;
    p->damp_size = (float)o->damp_size;
    p->extra_segments = range_of(&o->extra_segments);
    p->min_area = (float)o->min_area;
}

static void fill_ellipsoid(const struct hf_stage *s, const struct hf_sample *in, float unit,
                           struct ellipsoid_params *p) {
    const struct options *o = s->options;
    double spacing[3];
    memset(p, 0, sizeof *p);
    geometry_spacing(&in->grid, spacing);
    fill_params(s, in, unit, &p->base);
    ellipsoid_fill(&o->ellipsoid, spacing[0], p);
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    static const enum hf_dtype dtypes[OUTPUTS] = {HF_F32, HF_F32, HF_U8, HF_U8};
    const struct options *o = s->options;
    struct synthesis_params params;
    struct ellipsoid_params grown;
    int ellipsoid = o->method == METHOD_ELLIPSOID;
    struct hf_op_call call = {.params = ellipsoid ? (void *)&grown : &params,
                              .params_size = ellipsoid ? sizeof grown : sizeof params};
    float unit = 0;
    enum hf_status st = window_unit(s, in, &unit, e);
    if (st != HF_OK)
        return st;

    if (ellipsoid)
        fill_ellipsoid(s, in, unit, &grown);
    else
        fill_params(s, in, unit, &params);
    lesions_inputs(in, o->region, &call);
    st = outputs_new(s, dtypes, OUTPUTS, &call, e);
    if (st == HF_OK)
        st = hf_launch(s, ellipsoid ? "tumor_synthesis.ellipsoid" : "tumor_synthesis.draw", &call,
                       e);
    if (st == HF_OK)
        st = lesions_smooth(s, in, o->smooth, &call.out[IMAGE], e);
    if (st == HF_OK) {
        const struct lesions_made made = {call.out[IMAGE], call.out[LESION], call.out[HOLE],
                                          call.out[DRAWN]};
        st = lesions_emit(s, in, &made, "tumor_synthesis.allow", e);
    }
    for (int i = 0; i < OUTPUTS; i++)
        s->host->tensor_unref(call.out[i]);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    const struct named_range ranges[] = {{"lesions", &o->lesions},
                                         {"superpixels", &o->superpixels},
                                         {"radius", &o->radius},
                                         {"elastic_size", &o->elastic_size},
                                         {"elastic_shift", &o->elastic_shift},
                                         {"edge", &o->edge},
                                         {"beta_range", &o->beta_range},
                                         {"hypodense_contrast", &o->hypodense_contrast},
                                         {"hyperdense_contrast", &o->hyperdense_contrast},
                                         {"texture", &o->texture},
                                         {"texture_size", &o->texture_size},
                                         {"extra_segments", &o->extra_segments}};
    enum hf_status st = ranges_check(ranges, sizeof ranges / sizeof *ranges, e);
    if (st != HF_OK)
        return st;
    if (o->method == METHOD_ELLIPSOID) {
        st = ellipsoid_check(&o->ellipsoid, e);
        if (st != HF_OK)
            return st;
    }
    if (!(o->beta_shape.value[0] > 0 && o->beta_shape.value[1] > 0))
        return hf_fail(e, HF_INVALID, "option 'beta_shape' needs two numbers above 0");
    if (!(o->normal.value[1] >= 0))
        return hf_fail(e, HF_INVALID, "option 'normal' is [mean, sd]: the sd must not be negative");

    char hole[128];
    (void)snprintf(hole, sizeof hole, "liver couinaud %s", o->region);
    lesions_declare(io, o->region, hole);
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)
#define RANGE(member, standard, unit, least, most, text)                                           \
    RANGE_OPTION(#member, OFFSET(member), standard, unit, least, most, text)

static const struct hf_option option_table[] = {
    {.name = "method",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(method),
     .initial = "superpixel",
     .choices = "superpixel|ellipse|ellipsoid",
     .help = "Where a lesion's outline comes from: an ellipse fitted to a random superpixel of the "
             "region, or one of random size, in each slice; or a deformed ellipsoid."},
    {.name = "region",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(region),
     .initial = "clean",
     .flags = HF_OPTION_FIELD,
     .help = "Mask that lesions may lie in."},
    {.name = "share",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(share),
     .initial = "0.88",
     .max = 1,
     .help = "Share of slices (of volumes where lesions go through them) that get a lesion; the "
             "others show the healthy side."},
    RANGE(lesions, "[1, 3]", NULL, 1, 32, "How many lesions such a slice gets."),
    RANGE(superpixels, "[2, 44]", NULL, 1, 256,
          "superpixel: into how many the region of a slice is cut; a lesion is as large as one."),
    {.name = "compactness",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(compactness),
     .initial = "10",
     .min = 0.001,
     .max = 1e6,
     .help = "superpixel: weight of place against intensity."},
    RANGE(radius, "[3.6, 28]", "mm", 0.1, 500, "ellipse: longer half axis, log-uniform."),
    RANGE(elastic_size, "[3, 6.8]", "mm", 0.1, 100,
          "Smoothness (Gaussian sigma) of the elastic deformation."),
    RANGE(elastic_shift, "[0.3, 5]", "mm", 0, 100,
          "Strength (standard deviation of the shift along an axis) of the elastic deformation."),
    RANGE(edge, "[0.5, 2]", "mm", 0, 50, "Blur (Gaussian sigma) of a lesion's edge."),
    {.name = "contrast",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(contrast),
     .initial = "beta",
     .choices = "beta|ranges|normal",
     .help = "Distribution of a lesion's contrast to the liver around it."},
    RANGE(beta_range, "[-176, 88]", "HU", -2000, 2000, "contrast beta: its ends."),
    {.name = "beta_shape",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(beta_shape),
     .initial = "[6, 4]",
     .max = 1000,
     .items_min = 2,
     .items_max = 2,
     .help = "contrast beta: its two shape parameters."},
    RANGE(hypodense_contrast, "[-75, -20]", "HU", -2000, 0,
          "contrast ranges: of hypodense lesions, darker than the liver."),
    RANGE(hyperdense_contrast, "[20, 60]", "HU", 0, 2000,
          "contrast ranges: of hyperdense lesions, brighter than the liver."),
    {.name = "normal",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(normal),
     .initial = "[-45, 20]",
     .unit = "HU",
     .min = -2000,
     .max = 2000,
     .items_min = 2,
     .items_max = 2,
     .help = "contrast normal: mean and standard deviation."},
    {.name = "hyperdense",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(hyperdense),
     .initial = "0.2",
     .max = 1,
     .help = "Share of lesions that are hyperdense, brighter than the liver, by any `contrast` and "
             "of `method: ellipsoid`; the others are hypodense."},
    {.name = "faintest",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(faintest),
     .initial = "10 HU",
     .unit = "HU",
     .max = 500,
     .help = "No lesion has less contrast than this, either way."},
    RANGE(texture, "[3, 12]", "HU", 0, 500, "Standard deviation of the texture inside a lesion."),
    RANGE(texture_size, "[1.5, 5]", "mm", 0, 100,
          "Grain (Gaussian sigma) of the texture; 0: each voxel for itself."),
    {.name = "damp",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(damp),
     .initial = "0.7",
     .max = 1,
     .help = "How much of the vessels' contrast a lesion takes away."},
    {.name = "damp_size",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(damp_size),
     .initial = "3 mm",
     .unit = "mm",
     .max = 100,
     .help = "What is larger than this (Gaussian sigma) is damped, what is smaller is noise and "
             "stays."},
    RANGE(extra_segments, "[0, 2]", NULL, 0, 8,
          "How many segments without a lesion are in the hole as well."),
    {.name = "min_area",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(min_area),
     .initial = "110 mm2",
     .unit = "mm2",
     .max = 1e9,
     .help = "Slices with less of the region than this get no lesion and are not drawn from."},
    {.name = "smooth",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(smooth),
     .initial = "0",
     .unit = "px",
     .max = 64,
     .help = "Sigma of a Gaussian within each slice of the liver, in voxels, once lesions are in."},
    ELLIPSOID_OPTIONS(OFFSET(ellipsoid)),
    {.name = NULL}};

static const char *const ops_used[] = {"tumor_synthesis.draw", "tumor_synthesis.ellipsoid",
                                       "tumor_synthesis.allow", "blur", NULL};

static const struct hf_stage_class tumor_synthesis = {
    .name = "tumor_synthesis",
    .help = "Adds synthetic lesions to healthy liver, and the region that hides them.",
    .kind = HF_MAP,
    .flags = HF_STAGE_RANDOM,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&tumor_synthesis, NULL};

static const struct hf_op allow = {"tumor_synthesis.allow", HF_KIND_CPU, allow_cpu, NULL};
static const struct hf_op *const ops[] = {&tumor_synthesis_draw_cpu, &tumor_synthesis_ellipsoid_cpu,
                                          &allow, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "tumor_synthesis",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
