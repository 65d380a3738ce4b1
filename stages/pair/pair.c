/**
 * pair.c - the stage `pair`: puts a field beside the image as what it would be without a tumor.
 *
 * The spotting network learns from pairs: the image, and `inpainted`. The stage `inpaint` makes the
 * second with a network. Here it is a field that the sample has, such as the healthy image that
 * `tumor_synthesis` put lesions into. A `mix` of both streams gives both kinds of pairs.
 */
#include <hepaflow/plugin.h>

#include "ops.h"

struct options {
    const char *with;
};

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *with = hf_sample_get(in, o->with);
    struct hf_tensor *difference = NULL;
    struct hf_sample *out = NULL;
    if (with->shape[0] != image->shape[0])
        return hf_fail(e, HF_INVALID, "the field '%s' has %lld channels, the image %lld", o->with,
                       (long long)with->shape[0], (long long)image->shape[0]);
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, image->shape, &difference, e);
    if (st == HF_OK) {
        struct hf_op_call call = {
            .in = {image, with}, .out = {difference}, .inputs = 2, .outputs = 1};
        st = hf_launch(s, "pair.difference", &call, e);
    }
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    if (st != HF_OK) {
        s->host->tensor_unref(difference);
        return st;
    }
    st = hf_sample_set(s, out, "difference", difference, e);
    if (st == HF_OK) {
        s->host->tensor_ref(with);
        st = hf_sample_set(s, out, "inpainted", with, e);
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    char both[128];
    (void)e;
    (void)snprintf(both, sizeof both, "image %s", o->with);
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, o->with, HF_F32, HF_ON_GRID, 0);
    io->write(io, "inpainted", HF_F32, HF_ON_GRID, 1, o->with);
    io->write(io, "difference", HF_F32, HF_ON_GRID, 1, both);
    return HF_OK;
}

static const struct hf_option option_table[] = {{.name = "with",
                                                 .type = HF_OPTION_STRING,
                                                 .offset = offsetof(struct options, with),
                                                 .initial = "healthy",
                                                 .flags = HF_OPTION_FIELD,
                                                 .help = "The field that becomes `inpainted`."},
                                                {.name = NULL}};

static const char *const ops_used[] = {"pair.difference", NULL};

static const struct hf_stage_class pair = {
    .name = "pair",
    .help = "Pairs the image with a field, as `inpaint` does with what a network fills in.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&pair, NULL};
static const struct hf_op *const ops[] = {&pair_difference_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "pair",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
