/**
 * mix.c - the stage `mix`: one stream of several, in a fixed order.
 *
 * The engine takes from the inputs by their `weights`. What is done here is to give all samples the
 * same fields: a healthy case gets an empty pseudo mask.
 */
#include <hepaflow/plugin.h>

#include "ops.h"

struct options {
    struct hf_weights fill;
    int32_t as;
};

static enum hf_dtype fill_dtype(const struct options *o) {
    return o->as ? HF_F32 : HF_U8;
}

static enum hf_status make_field(struct hf_stage *s, const struct hf_sample *in, float value,
                                 struct hf_tensor **ret, struct hf_error *e) {
    const struct options *o = s->options;
    int64_t shape[4] = {1, in->grid.size[0], in->grid.size[1], in->grid.size[2]};
    struct fill_params params = {value};
    struct hf_tensor *t = NULL;
    enum hf_status st = hf_tensor_new(s, fill_dtype(o), 4, shape, &t, e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {
        .out = {t}, .outputs = 1, .params = &params, .params_size = sizeof params};
    st = hf_launch(s, "mix.fill", &call, e);
    if (st == HF_OK)
        *ret = t;
    else
        s->host->tensor_unref(t);
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_sample *out = NULL;
    enum hf_status st = s->host->sample_derive(s->host, in, in->id, &out, e);
    for (int32_t i = 0; i < o->fill.count && st == HF_OK; i++) {
        const char *name = o->fill.name[i];
        struct hf_tensor *t = hf_sample_get(in, name);
        if (t && (t->dtype != fill_dtype(o) || t->shape[0] != 1)) {
            st = hf_fail(e, HF_INVALID,
                         "field '%s' is %s with %lld channels, but what is "
                         "filled in is %s with 1; see the option 'as'",
                         name, hf_dtype_name(t->dtype), (long long)t->shape[0],
                         hf_dtype_name(fill_dtype(o)));
        } else if (!t) {
            st = make_field(s, in, (float)o->fill.value[i], &t, e);
            if (st == HF_OK)
                st = hf_sample_set(s, out, name, t, e);
        }
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    for (int32_t i = 0; i < o->fill.count; i++) {
        double v = o->fill.value[i];
        const char *name = o->fill.name[i];
        if (!name)
            return hf_fail(e, HF_INVALID, "option 'fill' needs names, as in {pseudo: 0}");
        if (fill_dtype(o) == HF_U8 && !(v >= 0 && v <= 255 && v == (int)v))
            return hf_fail(e, HF_INVALID,
                           "option 'fill': %s: %g is no u8; expected a whole number 0 to 255, or "
                           "`as: f32`",
                           name, v);
        io->read(io, name, HF_DTYPES, HF_ON_GRID, HF_READ_OPTIONAL);
        io->write(io, name, fill_dtype(o), HF_ON_GRID, 1, name);
    }
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "fill",
     .type = HF_OPTION_WEIGHTS,
     .offset = OFFSET(fill),
     .initial = "{}",
     .min = -1e6,
     .max = 1e6,
     .help = "Fields that samples without them get, and their value everywhere: {pseudo: 0}."},
    {.name = "as",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(as),
     .initial = "u8",
     .choices = "u8|f32",
     .help = "Type of the fields of `fill`."},
    {.name = NULL}};

static const char *const ops_used[] = {"mix.fill", NULL};

static const struct hf_stage_class mix = {
    .name = "mix",
    .help = "One stream of several, by weights; fills in fields that some of them lack.",
    .kind = HF_MIX,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&mix, NULL};
static const struct hf_op *const ops[] = {&mix_fill_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "mix",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
