/**
 * absdiff.c - the stage `absdiff`, in place of `spot`: the difference between the image and its
 * inpainted counterpart as a score from 0 to 1, without a network.
 *
 * The difference is smoothed first, while noise still cancels out, and its sign is taken off
 * afterwards. `half` HU score 0.5, twice as many score 1: a `threshold` at v cuts at 2 v `half` HU.
 */
#include <hepaflow/ops.h>
#include <hepaflow/plugin.h>

#include "../../stages/geometry/window.h"
#include "ops.h"

struct options {
    const char *within, *output;
    int32_t tumors;
    double half;
    struct hf_reals smooth;
};

/* `half` in the image's units, which `prepare` made of HU. */
static enum hf_status scaled_half(const struct hf_stage *s, const struct hf_sample *in, float *ret,
                                  struct hf_error *e) {
    const struct options *o = s->options;
    float hu[2];
    enum hf_status st = window_read(s, in, hu, e);
    if (st == HF_OK)
        *ret = (float)o->half / (hu[1] - hu[0]);
    return st;
}

/* What the image has more than its counterpart, smoothed: a new tensor. */
static enum hf_status difference(const struct hf_stage *s, const struct hf_sample *in,
                                 struct hf_tensor **ret, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *made = NULL, *smoothed = NULL;
    struct hf_tensor *inpainted = hf_sample_get(in, "inpainted");
    struct hf_blur_params by;
    int any = 0;
    for (int a = 0; a < 3; a++) {
        by.sigma[a] = (float)o->smooth.value[o->smooth.count == 1 ? 0 : a];
        any = any || by.sigma[a] > 0;
    }
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, image->shape, &made, e);
    if (st == HF_OK) {
        struct hf_op_call call = {
            .in = {image, inpainted}, .out = {made}, .inputs = 2, .outputs = 1};
        st = hf_launch(s, "absdiff.difference", &call, e);
    }
    if (st == HF_OK && any) {
        st = hf_tensor_new(s, HF_F32, 4, image->shape, &smoothed, e);
        struct hf_op_call call = {.in = {made},
                                  .out = {smoothed},
                                  .inputs = 1,
                                  .outputs = 1,
                                  .params = &by,
                                  .params_size = sizeof by};
        if (st == HF_OK)
            st = hf_launch(s, "blur", &call, e);
    }
    if (st == HF_OK) {
        *ret = any ? smoothed : made;
        s->host->tensor_ref(*ret);
    }
    s->host->tensor_unref(made);
    s->host->tensor_unref(smoothed);
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *inpainted = NULL;
    struct hf_tensor *more = NULL, *score = NULL;
    struct hf_sample *out = NULL;
    struct score_params params = {0, o->tumors};
    inpainted = hf_sample_get(in, "inpainted");
    if (image->shape[0] != 1 || inpainted->shape[0] != 1)
        return hf_fail(e, HF_INVALID,
                       "'image' and 'inpainted' have %lld and %lld channels; expected 1 each",
                       (long long)image->shape[0], (long long)inpainted->shape[0]);
    enum hf_status st = scaled_half(s, in, &params.half, e);
    if (st == HF_OK)
        st = difference(s, in, &more, e);
    if (st == HF_OK)
        st = hf_tensor_new(s, HF_F32, 4, image->shape, &score, e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {more, hf_sample_get(in, o->within)},
                                  .out = {score},
                                  .inputs = 2,
                                  .outputs = 1,
                                  .params = &params,
                                  .params_size = sizeof params};
        st = hf_launch(s, "absdiff.score", &call, e);
    }
    s->host->tensor_unref(more);
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    if (st != HF_OK) {
        s->host->tensor_unref(score);
        return st;
    }
    st = hf_sample_set(s, out, o->output, score, e);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

/* The difference and the score, or what is smoothed, its scratch ("blur": at most one more volume,
 * and kernels) and the result. */
static enum hf_status memory(struct hf_stage *s, const struct hf_memory_query *q,
                             struct hf_memory *ret, struct hf_error *e) {
    const struct options *o = s->options;
    const int64_t *size = q->largest->grid.size;
    int64_t volume = size[0] * size[1] * size[2] * (int64_t)sizeof(float), kernels = 0;
    (void)e;
    for (int a = 0; a < 3; a++) {
        double sigma = o->smooth.value[o->smooth.count == 1 ? 0 : a];
        if (sigma > 0)
            kernels += (int64_t)(3 * sigma + 2 + (double)size[a]) * (int64_t)sizeof(float) + 128;
    }
    ret->work = kernels > 0 ? 3 * volume + kernels + 128 : 2 * volume;
    ret->held = 0;
    return HF_OK;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    char from[3 * HF_FIELD_NAME];
    if (o->smooth.count != 1 && o->smooth.count != 3)
        return hf_fail(
            e, HF_INVALID,
            "option 'smooth' has %d numbers; expected one for all axes or three: D, H, W",
            o->smooth.count);
    (void)snprintf(from, sizeof from, "image inpainted %.*s", HF_FIELD_NAME - 1, o->within);
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "inpainted", HF_F32, HF_ON_GRID, 0);
    io->read(io, o->within, HF_U8, HF_ON_GRID, 0);
    io->read(io, "window", HF_F32, HF_ON_HOST, 0);
    io->write(io, o->output, HF_F32, HF_ON_GRID, 1, from);
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "within",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(within),
     .initial = "liver",
     .flags = HF_OPTION_FIELD,
     .help = "Mask outside which the score is 0."},
    {.name = "output",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(output),
     .initial = "score",
     .help = "Name of the field that is written."},
    {.name = "tumors",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(tumors),
     .initial = "either",
     .choices = "either|hypodense|hyperdense",
     .help = "Which differences score: the image is darker than its counterpart, brighter, or "
             "either."},
    {.name = "half",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(half),
     .initial = "20 HU",
     .unit = "HU",
     .min = 0.01,
     .max = 1e4,
     .help = "Difference that scores 0.5; twice it and more scores 1."},
    {.name = "smooth",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(smooth),
     .initial = "0",
     .unit = "voxels",
     .max = 50,
     .items_min = 1,
     .items_max = 3,
     .help = "Gaussian sigma along D, H, W that the difference is smoothed by; one number for all, "
             "0 for none."},
    {.name = NULL}};

static const char *const ops_used[] = {"blur", "absdiff.difference", "absdiff.score", NULL};

static const struct hf_stage_class absdiff = {
    .name = "absdiff",
    .help = "Scores the difference between the image and its inpainted counterpart, in place of "
            "`spot`.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
    .memory = memory,
};

static const struct hf_stage_class *const stages[] = {&absdiff, NULL};
static const struct hf_op *const ops[] = {&absdiff_difference_cpu, &absdiff_score_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "absdiff",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
