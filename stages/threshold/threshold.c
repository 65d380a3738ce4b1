/**
 * threshold.c - the stage `threshold`: from a field of probabilities, or of differences in
 * intensity, to a mask.
 *
 * In order: smooth, cut (at a value; at Otsu's threshold of the gated voxels; with hysteresis),
 * gate by masks, drop small components, and where an annotated Couinaud segment came out empty keep
 * its likeliest component, since a tumor is known to be there.
 */
#include <hepaflow/ops.h>
#include <hepaflow/plugin.h>

#include "../geometry/geometry.h"
#include "../geometry/window.h"
#include "ops.h"

enum method {
    METHOD_FIXED,
    METHOD_OTSU,
    METHOD_HYSTERESIS
};

enum scale {
    SCALE_PLAIN,
    SCALE_HU,
    SCALE_HU_DIFFERENCE
};

struct options {
    const char *field, *output;
    int32_t method;
    double value, low, high;
    int64_t bins;
    int32_t scale, side;
    struct hf_names gate;
    struct hf_reals smooth;
    double min_volume;
    int32_t keep_best;
};

/* What one sample needs on its way; the tensors are owned. */
struct work {
    struct hf_stage *s;
    const struct hf_sample *in;
    const struct options *o;
    struct hf_tensor *field, *mask, *strong; /* strong: NULL unless a component needs such voxels */
    struct hf_error *e;
};

/* Image-level labels may decide only where they gate: a test case may carry them as well. */
static int keeps_best(const struct options *o) {
    for (int32_t i = 0; i < o->gate.count; i++)
        if (strcmp(o->gate.name[i], "segments") == 0)
            return o->keep_best;
    return 0;
}

static struct hf_tensor *replace(const struct work *w, struct hf_tensor **held,
                                 struct hf_tensor *with) {
    if (*held)
        w->s->host->tensor_unref(*held);
    *held = with;
    return with;
}

static void add_gates(const struct work *w, struct hf_op_call *call) {
    for (int32_t i = 0; i < w->o->gate.count; i++)
        call->in[call->inputs++] = hf_sample_get(w->in, w->o->gate.name[i]);
}

static enum hf_status smooth(struct work *w) {
    const struct hf_reals *r = &w->o->smooth;
    struct hf_blur_params params;
    float most = 0;
    for (int i = 0; i < 3; i++) {
        params.sigma[i] = (float)r->value[r->count == 1 ? 0 : i];
        most = params.sigma[i] > most ? params.sigma[i] : most;
    }
    if (most <= 0)
        return HF_OK;
    struct hf_tensor *out = NULL;
    enum hf_status st = hf_tensor_new(w->s, HF_F32, 4, w->field->shape, &out, w->e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {w->field},
                              .out = {out},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    st = hf_launch(w->s, "blur", &call, w->e);
    replace(w, &w->field, out);
    return st;
}

/* An option's value in the units of the field. */
static enum hf_status scaled_value(const struct work *w, double value, float *ret) {
    float hu[2];
    *ret = (float)value;
    if (w->o->scale == SCALE_PLAIN)
        return HF_OK;
    enum hf_status st = window_read(w->s, w->in, hu, w->e);
    if (st == HF_OK)
        *ret = ((float)value - (w->o->scale == SCALE_HU ? hu[0] : 0)) / (hu[1] - hu[0]);
    return st;
}

/* Otsu's threshold of what the gates let through. */
static enum hf_status otsu_value(const struct work *w, float *ret) {
    struct otsu_params params = {(int32_t)w->o->bins, w->o->side};
    struct hf_tensor *level = NULL, *read = NULL;
    const int64_t one = 1;
    enum hf_status st = hf_tensor_new(w->s, HF_F32, 1, &one, &level, w->e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {w->field},
                              .out = {level},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    add_gates(w, &call);
    st = hf_launch(w->s, "threshold.otsu", &call, w->e);
    if (st == HF_OK)
        st = hf_tensor_read(w->s, level, &read, w->e);
    w->s->host->tensor_unref(level);
    if (st != HF_OK)
        return st;
    *ret = HF_DATA(float, read)[0];
    /* No threshold: one that nothing reaches. */
    if (w->o->side == CUT_BELOW && isinf(*ret))
        *ret = -INFINITY;
    w->s->host->tensor_unref(read);
    return HF_OK;
}

static enum hf_status cut_at(struct work *w, float value, struct hf_tensor **ret) {
    struct cut_params params = {value, w->o->side};
    enum hf_status st = hf_tensor_new(w->s, HF_U8, 4, w->field->shape, ret, w->e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {w->field},
                              .out = {*ret},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    add_gates(w, &call);
    return hf_launch(w->s, "threshold.cut", &call, w->e);
}

static enum hf_status cut(struct work *w) {
    const struct options *o = w->o;
    float value = 0, high = 0;
    enum hf_status st =
        o->method == METHOD_OTSU
            ? otsu_value(w, &value)
            : scaled_value(w, o->method == METHOD_FIXED ? o->value : o->low, &value);
    if (st == HF_OK)
        st = cut_at(w, value, &w->mask);
    if (st != HF_OK || o->method != METHOD_HYSTERESIS)
        return st;
    st = scaled_value(w, o->high, &high);
    return st == HF_OK ? cut_at(w, high, &w->strong) : st;
}

/* Voxels that make up the minimum volume, rounded up. */
static int64_t least_voxels(const struct work *w) {
    double volume = 1000 * geometry_volume(&w->in->grid); /* mm3 */
    /* A hair less, so that rounding of the affine asks for no voxel more. */
    return (int64_t)ceil(w->o->min_volume / volume - 1e-6);
}

/* Drops components that are small or hold no strong voxel. */
static enum hf_status drop_components(struct work *w) {
    struct hf_components_params by = {26};
    struct keep_params keep = {least_voxels(w)};
    struct hf_tensor *labels = NULL, *count = NULL, *kept = NULL;
    const int64_t one = 1;
    if (keep.least <= 1 && !w->strong)
        return HF_OK;
    enum hf_status st = hf_tensor_new(w->s, HF_I32, 4, w->mask->shape, &labels, w->e);
    if (st == HF_OK)
        st = hf_tensor_new(w->s, HF_I32, 1, &one, &count, w->e);
    if (st == HF_OK)
        st = hf_tensor_new(w->s, HF_U8, 4, w->mask->shape, &kept, w->e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {w->mask},
                                  .out = {labels, count},
                                  .inputs = 1,
                                  .outputs = 2,
                                  .params = &by,
                                  .params_size = sizeof by};
        st = hf_launch(w->s, "components", &call, w->e);
    }
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {labels, count},
                                  .out = {kept},
                                  .inputs = 2,
                                  .outputs = 1,
                                  .params = &keep,
                                  .params_size = sizeof keep};
        if (w->strong)
            call.in[call.inputs++] = w->strong;
        st = hf_launch(w->s, "threshold.keep", &call, w->e);
    }
    w->s->host->tensor_unref(labels);
    w->s->host->tensor_unref(count);
    if (kept)
        replace(w, &w->mask, kept);
    return st;
}

/* The segments that the annotation names in any of its rows, a bit each. */
static enum hf_status annotated(const struct work *w, uint32_t *ret) {
    struct hf_tensor *t = hf_sample_get(w->in, "annotation"), *rows = NULL;
    *ret = 0;
    if (!t)
        return HF_OK;
    enum hf_status st = hf_tensor_read(w->s, t, &rows, w->e);
    if (st != HF_OK)
        return st;
    for (int64_t r = 0; r < rows->shape[0]; r++)
        for (int64_t k = 1; k < rows->shape[1]; k++)
            if (HF_DATA(uint8_t, rows)[r * rows->shape[1]] &&
                HF_DATA(uint8_t, rows)[r * rows->shape[1] + k])
                *ret |= 1u << k;
    w->s->host->tensor_unref(rows);
    return HF_OK;
}

static enum hf_status keep_best(struct work *w) {
    struct best_params params = {0, w->o->side};
    struct hf_tensor *couinaud = hf_sample_get(w->in, "couinaud"), *out = NULL;
    enum hf_status st = annotated(w, &params.segments);
    if (st != HF_OK || !couinaud || params.segments == 0)
        return st;
    st = hf_tensor_new(w->s, HF_U8, 4, w->mask->shape, &out, w->e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {w->field, w->mask, couinaud},
                              .out = {out},
                              .inputs = 3,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    add_gates(w, &call);
    st = hf_launch(w->s, "threshold.best", &call, w->e);
    replace(w, &w->mask, out);
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct work w = {s, in, o, hf_sample_get(in, o->field), NULL, NULL, e};
    struct hf_sample *out = NULL;
    if (w.field->shape[0] != 1)
        return hf_fail(e, HF_INVALID, "field '%s' has %lld channels, a mask comes from 1", o->field,
                       (long long)w.field->shape[0]);
    s->host->tensor_ref(w.field);
    enum hf_status st = smooth(&w);
    if (st == HF_OK)
        st = cut(&w);
    if (st == HF_OK)
        st = drop_components(&w);
    if (st == HF_OK && keeps_best(o))
        st = keep_best(&w);
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    if (st == HF_OK) {
        struct hf_tensor *mask = w.mask;
        w.mask = NULL;
        st = hf_sample_set(s, out, o->output, mask, e);
    }
    replace(&w, &w.field, NULL);
    replace(&w, &w.mask, NULL);
    replace(&w, &w.strong, NULL);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    char from[(HF_OPTION_ITEMS + 2) * HF_FIELD_NAME];
    int64_t channels = 1;
    if (o->smooth.count != 1 && o->smooth.count != 3)
        return hf_fail(
            e, HF_INVALID,
            "option 'smooth' has %d numbers; expected one for all axes or three: D, H, W",
            o->smooth.count);
    if (o->method == METHOD_HYSTERESIS &&
        cut_measure((float)o->high, o->side) < cut_measure((float)o->low, o->side))
        return hf_fail(e, HF_INVALID,
                       "option 'high' is %g, which is easier to reach than 'low', %g, with side %s",
                       o->high, o->low, o->side == CUT_BELOW ? "below" : "above");
    if (o->gate.count > HF_OP_MAX_TENSORS - 3)
        return hf_fail(e, HF_INVALID, "option 'gate' names %d fields, at most %d are possible",
                       o->gate.count, HF_OP_MAX_TENSORS - 3);
    if (io->has(io, o->field, &channels) && channels > 1)
        return hf_fail(e, HF_INVALID, "field '%s' has %lld channels; a mask comes from 1", o->field,
                       (long long)channels);
    io->read(io, o->field, HF_F32, HF_ON_GRID, 0);
    int at = snprintf(from, sizeof from, "%.*s", HF_FIELD_NAME - 1, o->field);
    for (int32_t i = 0; i < o->gate.count; i++) {
        io->read(io, o->gate.name[i], HF_U8, HF_ON_GRID, 0);
        at += snprintf(from + at, sizeof from - (size_t)at, " %.*s", HF_FIELD_NAME - 2,
                       o->gate.name[i]);
    }
    if (o->scale != SCALE_PLAIN && o->method != METHOD_OTSU)
        io->read(io, "window", HF_F32, HF_ON_HOST, 0);
    if (keeps_best(o)) {
        io->read(io, "couinaud", HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
        io->read(io, "annotation", HF_U8, HF_ON_HOST, HF_READ_OPTIONAL);
        (void)snprintf(from + at, sizeof from - (size_t)at, " couinaud annotation");
    }
    io->write(io, o->output, HF_U8, HF_ON_GRID, 1, from);
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "field",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(field),
     .initial = "score",
     .flags = HF_OPTION_FIELD,
     .help = "What is cut."},
    {.name = "output",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(output),
     .initial = "pseudo",
     .help = "Name of the mask that is written."},
    {.name = "method",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(method),
     .initial = "fixed",
     .choices = "fixed|otsu|hysteresis",
     .help = "How it is cut: at `value`; at Otsu's threshold of the volume's voxels within the "
             "gates; at `low`, keeping the components (26 neighbours) that reach `high`."},
    {.name = "value",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(value),
     .initial = "0.5",
     .min = -1e5,
     .max = 1e5,
     .help = "Where `fixed` cuts."},
    {.name = "low",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(low),
     .initial = "0.3",
     .min = -1e5,
     .max = 1e5,
     .help = "What every voxel reaches, with `hysteresis`."},
    {.name = "high",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(high),
     .initial = "0.7",
     .min = -1e5,
     .max = 1e5,
     .help = "What a voxel of each component reaches, with `hysteresis`."},
    {.name = "bins",
     .type = HF_OPTION_INT,
     .offset = OFFSET(bins),
     .initial = "256",
     .min = 2,
     .max = OTSU_MAX_BINS,
     .help = "Bins of Otsu's histogram, from the least to the greatest value within the gates."},
    {.name = "scale",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(scale),
     .initial = "plain",
     .choices = "plain|HU|HU_difference",
     .help = "What `value`, `low` and `high` are: in the field's own units, in HU of an image, in "
             "HU of a difference "
             "of two."},
    {.name = "side",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(side),
     .initial = "above",
     .choices = "above|below|either",
     .help =
         "Which voxels are set: at the value or above, at it or below, or at it or farther from "
         "0 on either side."},
    {.name = "gate",
     .type = HF_OPTION_NAMES,
     .offset = OFFSET(gate),
     .initial = "[liver, segments]",
     .flags = HF_OPTION_FIELD,
     .help = "Masks outside which nothing is set."},
    {.name = "smooth",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(smooth),
     .initial = "0",
     .unit = "voxels",
     .max = 50,
     .items_min = 1,
     .items_max = 3,
     .help = "Gaussian sigma along D, H, W before the cut; one number for all, 0 for none."},
    {.name = "min_volume",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(min_volume),
     .initial = "20 mm3",
     .unit = "mm3",
     .max = 1e9,
     .help = "Components (26 neighbours) smaller than this are dropped."},
    {.name = "keep_best",
     .type = HF_OPTION_BOOL,
     .offset = OFFSET(keep_best),
     .initial = "yes",
     .help = "Where an annotated Couinaud segment comes out empty, keep its likeliest component, "
             "of whatever size; only with `segments` among the gates."},
    {.name = NULL}};

static const char *const ops_used[] = {
    "blur",           "components", "threshold.cut", "threshold.otsu", "threshold.keep",
    "threshold.best", NULL};

static const struct hf_stage_class threshold = {
    .name = "threshold",
    .help = "Cuts a field to a mask: smoothing, gates, minimum volume, the best per segment.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&threshold, NULL};
static const struct hf_op *const ops[] = {&threshold_cut_cpu, &threshold_otsu_cpu,
                                          &threshold_keep_cpu, &threshold_best_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "threshold",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
