/**
 * parts.c - the stage `parts`: cuts a region into superpixels that `inpaint` fills one after the
 * other, each from what is around it.
 *
 * Smaller holes keep more of what the region looks like, vessels among it, and more of a tumor that
 * is larger than a part. The field `parts` holds the turn of each part: parts with the same turn do
 * not touch, so that they can be filled at once.
 */
#include <hepaflow/plugin.h>

#include "../geometry/geometry.h"
#include "ops.h"

struct options {
    const char *region;
    double size, compactness;
};

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *turns = NULL;
    struct hf_sample *out = NULL;
    double spacing[3];
    geometry_spacing(&in->grid, spacing);
    struct cut_params params = {
        {(float)spacing[1], (float)spacing[2]}, (float)o->size, (float)o->compactness};
    enum hf_status st = hf_tensor_new(s, HF_U8, 4, image->shape, &turns, e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {image, hf_sample_get(in, o->region)},
                                  .out = {turns},
                                  .inputs = 2,
                                  .outputs = 1,
                                  .params = &params,
                                  .params_size = sizeof params};
        st = hf_launch(s, "parts.cut", &call, e);
    }
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    if (st != HF_OK) {
        s->host->tensor_unref(turns);
        return st;
    }
    st = hf_sample_set(s, out, "parts", turns, e);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    (void)e;
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, o->region, HF_U8, HF_ON_GRID, 0);
    io->write(io, "parts", HF_U8, HF_ON_GRID, 1, NULL);
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "region",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(region),
     .initial = "segments",
     .flags = HF_OPTION_FIELD,
     .help = "Mask of what is cut."},
    {.name = "size",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(size),
     .initial = "20 mm",
     .unit = "mm",
     .min = 1,
     .max = 500,
     .help = "About how far parts reach; a slice has 256 at most."},
    {.name = "compactness",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(compactness),
     .initial = "1",
     .min = 0.001,
     .max = 1e6,
     .help = "Weight of place against intensity."},
    {.name = NULL}};

static const char *const ops_used[] = {"parts.cut", NULL};

static const struct hf_stage_class parts = {
    .name = "parts",
    .help = "Cuts a region into superpixels, for `inpaint` to fill each from what is around it.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&parts, NULL};
static const struct hf_op *const ops[] = {&parts_cut_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "parts",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
