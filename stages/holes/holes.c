/**
 * holes.c - the stage `holes`: blanks a random region of each slice for an inpainter to fill.
 *
 * A hole is cut from the segments that nobody annotated, so that what it covers is known to be
 * healthy. The annotated segments are blanked as well, as they are when the inpainter is used, but
 * carry no weight: nobody knows how they would look without tumors.
 */
#include <hepaflow/plugin.h>

#include "../geometry/geometry.h"
#include "../shapes/drawing.h"
#include "ops.h"

struct options {
    struct hf_weights mix;
    struct hf_reals segments, dilate, radius, strokes, vertices, length, width;
    double min_area, blank;
};

enum {
    HOLE,
    WEIGHT,
    MASKED,
    DRAWN,
    OUTPUTS
};

static void fill_params(const struct hf_stage *s, const struct hf_sample *in,
                        struct holes_params *p) {
    static const char *const kinds[HOLE_KINDS] = {"segment", "ellipse", "strokes", "liver"};
    const struct options *o = s->options;
    double spacing[3];
    double sum = 0;

    memset(p, 0, sizeof *p);
    for (int32_t i = 0; i < o->mix.count; i++)
        sum += o->mix.value[i];
    for (int32_t i = 0; i < o->mix.count; i++)
        for (int kind = 0; kind < HOLE_KINDS; kind++)
            if (strcmp(o->mix.name[i], kinds[kind]) == 0)
                p->mix[kind] += (float)(o->mix.value[i] / sum);
    geometry_spacing(&in->grid, spacing);
    p->rng = hf_stage_rng(s, in->id);
    p->spacing[0] = (float)spacing[1];
    p->spacing[1] = (float)spacing[2];
    p->segments = range_of(&o->segments);
    p->dilate = range_of(&o->dilate);
    p->radius = range_of(&o->radius);
    p->strokes = range_of(&o->strokes);
    p->vertices = range_of(&o->vertices);
    p->length = range_of(&o->length);
    p->width = range_of(&o->width);
    p->min_area = (float)o->min_area;
    p->blank = (float)o->blank;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    static const char *const reads[] = {"image", "liver", "clean", "couinaud"};
    static const char *const writes[] = {"hole", "hole_weight", "masked"};
    static const enum hf_dtype dtypes[OUTPUTS] = {HF_U8, HF_U8, HF_F32, HF_U8};
    struct holes_params params;
    fill_params(s, in, &params);
    struct hf_op_call call = {.params = &params, .params_size = sizeof params};
    struct hf_sample *out = NULL;

    for (int i = 0; i < 4; i++)
        call.in[call.inputs++] = hf_sample_get(in, reads[i]);
    enum hf_status st = outputs_new(s, dtypes, OUTPUTS, &call, e);
    if (st == HF_OK)
        st = hf_launch(s, "holes.draw", &call, e);
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    for (int i = 0; i < DRAWN && st == HF_OK; i++) {
        struct hf_tensor *t = call.out[i];
        call.out[i] = NULL;
        st = hf_sample_set(s, out, writes[i], t, e);
    }
    if (st == HF_OK)
        st = slices_set(s, in, "holes.allow", call.out[DRAWN], out, e);
    for (int i = 0; i < OUTPUTS; i++)
        s->host->tensor_unref(call.out[i]);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    double sum = 0;
    for (int32_t i = 0; i < o->mix.count; i++) {
        if (!o->mix.name[i])
            return hf_fail(e, HF_INVALID,
                           "option 'mix' needs names, as in {segment: 1, ellipse: 1}");
        sum += o->mix.value[i];
    }
    if (!(sum > 0))
        return hf_fail(e, HF_INVALID, "option 'mix' needs a share above 0");
    const struct named_range ranges[] = {{"segments", &o->segments}, {"dilate", &o->dilate},
                                         {"radius", &o->radius},     {"strokes", &o->strokes},
                                         {"vertices", &o->vertices}, {"length", &o->length},
                                         {"width", &o->width}};
    enum hf_status st = ranges_check(ranges, sizeof ranges / sizeof *ranges, e);
    if (st != HF_OK)
        return st;
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    io->read(io, "clean", HF_U8, HF_ON_GRID, 0);
    io->read(io, "couinaud", HF_U8, HF_ON_GRID, 0);
    io->read(io, "slices", HF_U8, HF_ON_HOST, HF_READ_OPTIONAL);
    io->write(io, "hole", HF_U8, HF_ON_GRID, 1, "liver clean couinaud");
    io->write(io, "hole_weight", HF_U8, HF_ON_GRID, 1, "liver clean couinaud");
    io->write(io, "masked", HF_F32, HF_ON_GRID, 1, "image liver clean couinaud");
    io->blank(io, "masked", o->blank);
    io->write(io, "slices", HF_U8, HF_ON_HOST, 1, "liver clean couinaud");
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)
#define RANGE(member, standard, unit, least, most, text)                                           \
    RANGE_OPTION(#member, OFFSET(member), standard, unit, least, most, text)

static const struct hf_option option_table[] = {
    {.name = "mix",
     .type = HF_OPTION_WEIGHTS,
     .offset = OFFSET(mix),
     .initial = "{segment: 0.5, ellipse: 0.25, strokes: 0.25}",
     .max = 1e6,
     .choices = "segment|ellipse|strokes|liver",
     .items_min = 1,
     .items_max = HOLE_KINDS,
     .help =
         "Shares of the kinds of holes: whole Couinaud segments, an ellipse in one, free strokes, "
         "all of the clean liver."},
    RANGE(segments, "[1, 2]", NULL, 1, 8, "How many segments a hole of that kind takes."),
    RANGE(dilate, "[0, 5]", "px", 0, 64,
          "Grows the hole within the liver, so that a wrong segment border gives nothing away."),
    RANGE(radius, "[4, 30]", "mm", 0.1, 500, "Longer half axis of an ellipse, log-uniform."),
    RANGE(strokes, "[1, 14]", NULL, 1, 100, "How many strokes a hole of that kind has."),
    RANGE(vertices, "[1, 5]", NULL, 1, 100, "How many straight parts a stroke has."),
    RANGE(length, "[7, 36]", "mm", 0.1, 500, "Length of a straight part."),
    RANGE(width, "[4, 10]", "mm", 0.1, 500, "Width of a stroke."),
    {.name = "min_area",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(min_area),
     .initial = "100 mm2",
     .unit = "mm2",
     .max = 1e9,
     .help = "Clean segments with less than this in a slice are not drawn from."},
    {.name = "blank",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(blank),
     .initial = "0.5",
     .min = -1e3,
     .max = 1e3,
     .help = "Value of blanked voxels, which `inpaint` takes from the model."},
    {.name = NULL}};

static const char *const ops_used[] = {"holes.draw", "holes.allow", NULL};

static const struct hf_stage_class holes = {
    .name = "holes",
    .help = "Blanks a random region of the healthy liver in each slice, for an inpainter to fill.",
    .kind = HF_MAP,
    .flags = HF_STAGE_RANDOM,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&holes, NULL};

static const struct hf_op allow = {"holes.allow", HF_KIND_CPU, allow_cpu, NULL};
static const struct hf_op *const ops[] = {&holes_draw_cpu, &allow, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "holes",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
