/**
 * automaton.c - the stage `automaton`, in place of `tumor_synthesis`: lesions grown by a cellular
 * automaton, whose shape comes of the tissue that they grow in.
 *
 * A lesion begins in one cell and spreads cell by cell: fast through soft tissue, slower through
 * what is denser, into vessels only under pressure, and never out of the liver or the region. The
 * steps are those of a published automaton; here each lesion grows for itself, tissue is measured
 * from the region's mean, lengths are in mm, and chances are smaller, which makes lesions round
 * instead of square. Cells draw by their place and the step, so the same seed gives the same
 * lesion.
 */
#include <hepaflow/plugin.h>

#include "../../stages/geometry/geometry.h"
#include "../../stages/shapes/lesions.h"
#include "ops.h"

struct options {
    const char *region;
    int32_t dims; /* 0: 2, 1: 3 */
    double share;
    struct hf_reals lesions, radius, satellites;
    double satellite;
    struct hf_reals spread, denser;
    int64_t pressure;
    double hyperdense;
    struct hf_reals hypodense_contrast, hyperdense_contrast;
    double necrosis, necrosis_radius;
    struct hf_reals necrosis_contrast, texture, texture_size, edge;
    int32_t mask; /* 0: hard, 1: soft */
    struct hf_reals extra_segments;
    double min_area, smooth;
};

enum {
    CONTRAST,
    GROWTH,
    HOLE,
    DRAWN,
    GROWN /* how many there are of these */
};

/* What a sample is on its way to: all tensors are owned. */
struct work {
    struct hf_stage *s;
    const struct hf_sample *in;
    struct automaton_params params;
    float edge, texture, texture_size;                /* mm, HU, mm */
    struct hf_tensor *grown[GROWN], *contrast, *soft; /* the last two: with the lesions' edges */
    struct hf_tensor *noise, *image, *lesion;
    struct hf_error *e;
};

static void fill_params(struct work *w) {
    const struct options *o = w->s->options;
    struct automaton_params *p = &w->params;
    double spacing[3];
    geometry_spacing(&w->in->grid, spacing);
    p->rng = hf_stage_rng(w->s, w->in->id);
    p->dims = o->dims + 2;
    for (int a = 0; a < 3; a++) {
        p->spacing[a] = (float)spacing[a];
        p->spread[a] = (float)o->spread.value[a];
        p->denser[a] = (float)o->denser.value[a];
    }
    p->share = (float)o->share;
    p->lesions = range_of(&o->lesions);
    p->radius = range_of(&o->radius);
    p->satellite = (float)o->satellite;
    p->satellites = range_of(&o->satellites);
    p->pressure = (int32_t)o->pressure;
    p->hyperdense = (float)o->hyperdense;
    p->hypodense_contrast = range_of(&o->hypodense_contrast);
    p->hyperdense_contrast = range_of(&o->hyperdense_contrast);
    p->necrosis = (float)o->necrosis;
    p->necrosis_radius = (float)o->necrosis_radius;
    p->necrosis_contrast = range_of(&o->necrosis_contrast);
    p->extra_segments = range_of(&o->extra_segments);
    p->min_area = (float)o->min_area;
    struct hf_rng r = p->rng;
    w->edge = draw_range(&r, range_of(&o->edge));
    w->texture = draw_range(&r, range_of(&o->texture));
    w->texture_size = draw_range(&r, range_of(&o->texture_size));
}

static enum hf_status grow(struct work *w) {
    static const enum hf_dtype dtypes[GROWN] = {HF_F32, HF_F32, HF_U8, HF_U8};
    const struct options *o = w->s->options;
    struct hf_op_call call = {.params = &w->params, .params_size = sizeof w->params};
    lesions_inputs(w->in, o->region, &call);
    enum hf_status st = outputs_new(w->s, dtypes, GROWN, &call, w->e);
    for (int i = 0; i < GROWN; i++)
        w->grown[i] = call.out[i];
    return st == HF_OK ? hf_launch(w->s, "automaton.grow", &call, w->e) : st;
}

/* A blur by `mm` into *ret, through the volume or in each slice. Of no width it is `t` itself. */
static enum hf_status blur(const struct work *w, struct hf_tensor *t, float mm,
                           struct hf_tensor **ret) {
    const float *spacing = w->params.spacing;
    struct hf_blur_params by = {
        {w->params.dims == 3 ? mm / spacing[0] : 0, mm / spacing[1], mm / spacing[2]}};
    struct hf_tensor *out = NULL;
    if (mm <= 0) {
        w->s->host->tensor_ref(t);
        *ret = t;
        return HF_OK;
    }
    enum hf_status st = hf_tensor_new(w->s, HF_F32, 4, t->shape, &out, w->e);
    struct hf_op_call call = {.in = {t},
                              .out = {out},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &by,
                              .params_size = sizeof by};
    if (st == HF_OK)
        st = hf_launch(w->s, "blur", &call, w->e);
    if (st == HF_OK)
        *ret = out;
    else
        w->s->host->tensor_unref(out);
    return st;
}

/* By how much such a blur lowers the standard deviation of white noise. */
static float blur_gain(const struct work *w, float mm) {
    double gain = 1;
    for (int a = w->params.dims == 3 ? 0 : 1; a < 3 && mm > 0; a++) {
        double sigma = (double)(mm / w->params.spacing[a]), sum = 0, energy = 0;
        for (int k = -(int)ceil(3 * sigma); k <= (int)ceil(3 * sigma); k++) {
            double tap = exp(-0.5 * k * k / (sigma * sigma));
            sum += tap;
            energy += tap * tap;
        }
        gain *= sqrt(energy) / sum;
    }
    return (float)gain;
}

static enum hf_status make_noise(struct work *w) {
    struct hf_tensor *white = NULL;
    struct hf_op_call call = {.outputs = 1, .params = &w->params, .params_size = sizeof w->params};
    enum hf_status st = hf_tensor_new(w->s, HF_F32, 4, w->grown[GROWTH]->shape, &white, w->e);
    call.out[0] = white;
    if (st == HF_OK)
        st = hf_launch(w->s, "automaton.noise", &call, w->e);
    if (st == HF_OK)
        st = blur(w, white, w->texture_size, &w->noise);
    w->s->host->tensor_unref(white);
    return st;
}

static enum hf_status paint(struct work *w) {
    const struct options *o = w->s->options;
    const struct paint_params params = {w->texture * w->params.unit / blur_gain(w, w->texture_size),
                                        o->mask};
    struct hf_tensor *image = hf_sample_get(w->in, "image"), *liver = hf_sample_get(w->in, "liver");
    struct hf_op_call call = {.in = {image, w->contrast, w->soft, w->grown[GROWTH], w->noise, liver,
                                     hf_sample_get(w->in, o->region)},
                              .inputs = 7,
                              .outputs = 2,
                              .params = &params,
                              .params_size = sizeof params};
    enum hf_status st = hf_tensor_new(w->s, HF_F32, 4, image->shape, &w->image, w->e);
    if (st == HF_OK)
        st = hf_tensor_new(w->s, HF_F32, 4, image->shape, &w->lesion, w->e);
    call.out[0] = w->image;
    call.out[1] = w->lesion;
    if (st == HF_OK)
        st = hf_launch(w->s, "automaton.paint", &call, w->e);
    return st == HF_OK ? lesions_smooth(w->s, w->in, o->smooth, &w->image, w->e) : st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    struct work w = {.s = s, .in = in, .e = e};
    enum hf_status st = window_unit(s, in, &w.params.unit, e);
    if (st != HF_OK)
        return st;
    fill_params(&w);
    st = grow(&w);
    if (st == HF_OK)
        st = blur(&w, w.grown[CONTRAST], w.edge, &w.contrast);
    if (st == HF_OK)
        st = blur(&w, w.grown[GROWTH], w.edge, &w.soft);
    if (st == HF_OK)
        st = make_noise(&w);
    if (st == HF_OK)
        st = paint(&w);
    if (st == HF_OK) {
        const struct lesions_made made = {w.image, w.lesion, w.grown[HOLE], w.grown[DRAWN]};
        st = lesions_emit(s, in, &made, "automaton.allow", e);
    }
    struct hf_tensor *const held[] = {w.contrast, w.soft, w.noise, w.image, w.lesion};
    for (int i = 0; i < GROWN; i++)
        s->host->tensor_unref(w.grown[i]);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        s->host->tensor_unref(held[i]);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    const struct named_range ranges[] = {{"lesions", &o->lesions},
                                         {"radius", &o->radius},
                                         {"satellites", &o->satellites},
                                         {"hypodense_contrast", &o->hypodense_contrast},
                                         {"hyperdense_contrast", &o->hyperdense_contrast},
                                         {"necrosis_contrast", &o->necrosis_contrast},
                                         {"texture", &o->texture},
                                         {"texture_size", &o->texture_size},
                                         {"edge", &o->edge},
                                         {"extra_segments", &o->extra_segments}};
    enum hf_status st = ranges_check(ranges, sizeof ranges / sizeof *ranges, e);
    if (st != HF_OK)
        return st;
    for (int k = 0; k < 2; k++)
        if (o->denser.value[k] > o->denser.value[k + 1])
            return hf_fail(e, HF_INVALID,
                           "option 'denser' must rise from medium tissue to vessels");

    char hole[128];
    (void)snprintf(hole, sizeof hole, "liver couinaud image %s", o->region);
    lesions_declare(io, o->region, hole);
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)
#define RANGE(member, standard, unit, least, most, text)                                           \
    RANGE_OPTION(#member, OFFSET(member), standard, unit, least, most, text)

static const struct hf_option option_table[] = {
    {.name = "region",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(region),
     .initial = "clean",
     .flags = HF_OPTION_FIELD,
     .help = "Mask that lesions may lie in."},
    {.name = "dims",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(dims),
     .initial = "3",
     .choices = "2|3",
     .help = "3: lesions grow through the volume; 2: in each slice for itself."},
    {.name = "share",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(share),
     .initial = "0.9",
     .max = 1,
     .help = "Share of volumes (of slices with dims 2) that get lesions; the others show the "
             "healthy side."},
    RANGE(lesions, "[1, 5]", NULL, 1, 64, "How many lesions such a volume, or slice, gets."),
    RANGE(radius, "[3, 24]", "mm", 0.5, 200,
          "How far a lesion grows in soft tissue, log-uniform; less in denser one."),
    {.name = "satellite",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(satellite),
     .initial = "0.2",
     .max = 1,
     .help = "Share of lesions with smaller ones around them."},
    RANGE(satellites, "[3, 9]", NULL, 1, 64, "How many these are; fewer where they do not fit."),
    {.name = "spread",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(spread),
     .initial = "[0.05, 0.015, 0.005]",
     .max = 1,
     .items_min = 3,
     .items_max = 3,
     .help = "Chance a step that a cell takes the nearest neighbour, in soft, medium and hard "
             "tissue; farther ones in proportion."},
    {.name = "denser",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(denser),
     .initial = "[10, 25, 45]",
     .unit = "HU",
     .min = -2000,
     .max = 2000,
     .items_min = 3,
     .items_max = 3,
     .help = "From so much above the region's mean on, tissue is medium, hard, a vessel."},
    {.name = "pressure",
     .type = HF_OPTION_INT,
     .offset = OFFSET(pressure),
     .initial = "2",
     .max = 254,
     .unit = "steps",
     .help = "A vessel beside grown cells for longer than this becomes hard tissue."},
    {.name = "hyperdense",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(hyperdense),
     .initial = "0.2",
     .max = 1,
     .help = "Share of lesions that are hyperdense, brighter than the liver."},
    RANGE(hypodense_contrast, "[-75, -20]", "HU", -2000, 0,
          "Contrast of hypodense lesions, where they are grown."),
    RANGE(hyperdense_contrast, "[20, 60]", "HU", 0, 2000,
          "Contrast of hyperdense lesions, where they are grown."),
    {.name = "necrosis",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(necrosis),
     .initial = "0.5",
     .max = 1,
     .help = "Share of large lesions with a dead core: cells grown for half the lesion's life."},
    {.name = "necrosis_radius",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(necrosis_radius),
     .initial = "10 mm",
     .unit = "mm",
     .max = 200,
     .help = "A lesion is large whose `radius` is at least this."},
    RANGE(necrosis_contrast, "[-50, -20]", "HU", -2000, 2000,
          "Contrast of a dead core, beside the lesion's."),
    RANGE(texture, "[3, 12]", "HU", 0, 500, "Standard deviation of the texture inside a lesion."),
    RANGE(texture_size, "[1.5, 5]", "mm", 0, 100,
          "Grain (Gaussian sigma) of the texture; 0: each voxel for itself."),
    RANGE(edge, "[0.5, 2]", "mm", 0, 50, "Blur (Gaussian sigma) of the lesions' edges."),
    {.name = "mask",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(mask),
     .initial = "hard",
     .choices = "hard|soft",
     .help = "The field `lesion`: cells at least half grown, or all as far as they are grown, with "
             "the edge that the image has."},
    RANGE(extra_segments, "[0, 2]", NULL, 0, 8,
          "How many segments without a lesion are in the hole as well."),
    {.name = "min_area",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(min_area),
     .initial = "110 mm2",
     .unit = "mm2",
     .max = 1e9,
     .help = "In slices with less of the region than this no lesion begins, and they are not drawn "
             "from."},
    {.name = "smooth",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(smooth),
     .initial = "0",
     .unit = "px",
     .max = 64,
     .help = "Sigma of a Gaussian within each slice of the liver, in voxels, once lesions are in."},
    {.name = NULL}};

static const char *const ops_used[] = {
    "automaton.grow", "automaton.noise", "automaton.paint", "automaton.allow", "blur", NULL};

static const struct hf_stage_class automaton = {
    .name = "automaton",
    .help = "Grows lesions in healthy liver by a cellular automaton, in place of "
            "`tumor_synthesis`.",
    .kind = HF_MAP,
    .flags = HF_STAGE_RANDOM,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&automaton, NULL};

static const struct hf_op allow = {"automaton.allow", HF_KIND_CPU, allow_cpu, NULL};
static const struct hf_op *const ops[] = {&automaton_grow_cpu, &automaton_noise_cpu,
                                          &automaton_paint_cpu, &allow, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "automaton",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
