/**
 * inpaint.c - the stage `inpaint`: fills a region of the image with what a trained network holds
 * for healthy.
 *
 * All of the region is blanked at once, or part by part, each filled from what is around it. The
 * network may take, besides fields of the sample, `masked` (the image with the region blanked) and
 * `hole` (the region), which are made here. One that takes neither is blind: it has learned which
 * of what it sees is healthy, and only where its output counts is left to say.
 */
#include <hepaflow/plugin.h>

#include "../infer/infer.h"
#include "../parts/turns.h"
#include "ops.h"

struct options {
    const char *region, *parts;
    struct hf_reals blank;
    int32_t everywhere;
    struct infer_options infer;
};

struct state {
    struct infer infer;
};

#define UNTOLD_BLANK 0.5f /* of `holes` by default */

static const char *const own[] = {"masked", "hole", NULL};

/* A reference to the mask of what is filled. */
static enum hf_status find_region(const struct hf_stage *s, const struct hf_sample *in,
                                  struct hf_tensor **ret, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *region = NULL;
    if (o->everywhere) {
        struct hf_tensor *all = NULL;
        enum hf_status st = hf_tensor_new(s, HF_U8, 4, hf_sample_get(in, "image")->shape, &all, e);
        struct hf_op_call call = {.out = {all}, .outputs = 1};
        if (st == HF_OK)
            st = hf_launch(s, "inpaint.everywhere", &call, e);
        if (st == HF_OK)
            *ret = all;
        else
            s->host->tensor_unref(all);
        return st;
    }
    if (o->region)
        region = hf_sample_get(in, o->region);
    else
        region =
            hf_sample_get(in, "hole") ? hf_sample_get(in, "hole") : hf_sample_get(in, "segments");
    if (!region)
        return hf_fail(e, HF_INVALID, "no field '%s' to fill", o->region ? o->region : "hole");
    s->host->tensor_ref(region);
    *ret = region;
    return HF_OK;
}

/* Whether the model tells with what value its `masked` is blanked. */
static int tells_blank(const struct hf_model_info *m) {
    return strcmp(m->blanked, own[0]) == 0;
}

static float blank_of(const struct options *o, const struct hf_model_info *m) {
    if (o->blank.count > 0)
        return (float)o->blank.value[0];
    return tells_blank(m) ? (float)m->blank : UNTOLD_BLANK;
}

/* The network's filling of the region, as a new tensor. */
static enum hf_status fill(struct hf_stage *s, const struct hf_sample *in, struct hf_tensor *region,
                           struct hf_tensor **ret, struct hf_error *e) {
    struct state *state = s->state;
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *masked = NULL;
    struct blank_params params = {blank_of(o, &s->model->info)};
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, image->shape, &masked, e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {image, region},
                                  .out = {masked},
                                  .inputs = 2,
                                  .outputs = 1,
                                  .params = &params,
                                  .params_size = sizeof params};
        st = hf_launch(s, "inpaint.blank", &call, e);
    }
    if (st == HF_OK) {
        struct infer_job job = {.survey = "inpaint.survey",
                                .gather = "inpaint.gather",
                                .add = "inpaint.add",
                                .finish = "inpaint.finish",
                                .options = &o->infer,
                                .sample = in,
                                .given = {{"masked", masked}, {"hole", region}},
                                .within = region};
        st = infer_volume(s, &state->infer, &job, ret, e);
    }
    s->host->tensor_unref(masked);
    return st;
}

/* Puts the network's filling of `region` into `before`: two new tensors, the inpainted image and
 * what `before` has more than it. */
static enum hf_status fill_in(struct hf_stage *s, const struct hf_sample *in,
                              struct hf_tensor *before, struct hf_tensor *region,
                              struct hf_tensor *filling, struct hf_tensor *ret[2],
                              struct hf_error *e) {
    struct hf_tensor *own_filling = NULL;
    enum hf_status st = HF_OK;
    if (!filling) {
        st = fill(s, in, region, &own_filling, e);
        filling = own_filling;
    }
    for (int i = 0; i < 2 && st == HF_OK; i++)
        st = hf_tensor_new(s, HF_F32, 4, before->shape, &ret[i], e);
    if (st == HF_OK) {
        struct hf_op_call call = {
            .in = {before, region, filling}, .out = {ret[0], ret[1]}, .inputs = 3, .outputs = 2};
        st = hf_launch(s, "inpaint.merge", &call, e);
    }
    s->host->tensor_unref(own_filling);
    return st;
}

/* The parts of one turn within the region, as a new tensor. */
static enum hf_status find_turn(struct hf_stage *s, struct hf_tensor *parts,
                                struct hf_tensor *region, int turn, struct hf_tensor **ret,
                                struct hf_error *e) {
    struct turn_params params = {turn};
    enum hf_status st = hf_tensor_new(s, HF_U8, 4, region->shape, ret, e);
    struct hf_op_call call = {.in = {parts, region},
                              .out = {*ret},
                              .inputs = 2,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    return st == HF_OK ? hf_launch(s, "inpaint.turn", &call, e) : st;
}

/* As fill_in, part by part: each is filled from the image as it came. */
static enum hf_status fill_parts(struct hf_stage *s, const struct hf_sample *in,
                                 struct hf_tensor *parts, struct hf_tensor *region,
                                 struct hf_tensor *ret[2], struct hf_error *e) {
    const struct hf_host *h = s->host;
    struct hf_tensor *image = hf_sample_get(in, "image"), *whole = image;
    enum hf_status st = HF_OK;
    h->tensor_ref(whole);
    for (int turn = 1; turn <= PARTS_TURNS && st == HF_OK; turn++) {
        struct hf_tensor *mask = NULL, *merged[2] = {NULL, NULL};
        st = find_turn(s, parts, region, turn, &mask, e);
        if (st == HF_OK)
            st = fill_in(s, in, whole, mask, NULL, merged, e);
        if (st == HF_OK) {
            h->tensor_unref(whole);
            whole = merged[0];
            merged[0] = NULL;
        }
        h->tensor_unref(mask);
        h->tensor_unref(merged[0]);
        h->tensor_unref(merged[1]);
    }
    if (st == HF_OK)
        st = fill_in(s, in, image, region, whole, ret, e);
    h->tensor_unref(whole);
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    static const char *const writes[] = {"inpainted", "difference"};
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *region = NULL;
    struct hf_tensor *made[2] = {NULL, NULL};
    struct hf_sample *out = NULL;
    enum hf_status st = find_region(s, in, &region, e);
    if (st == HF_OK)
        st = o->parts ? fill_parts(s, in, hf_sample_get(in, o->parts), region, made, e)
                      : fill_in(s, in, image, region, NULL, made, e);
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    for (int i = 0; i < 2 && st == HF_OK; i++) {
        struct hf_tensor *t = made[i];
        made[i] = NULL;
        st = hf_sample_set(s, out, writes[i], t, e);
    }
    for (int i = 0; i < 2; i++)
        s->host->tensor_unref(made[i]);
    s->host->tensor_unref(region);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

/* What is blanked and what the network does, or its filling and the two merged volumes. */
static enum hf_status memory(struct hf_stage *s, const struct hf_memory_query *q,
                             struct hf_memory *ret, struct hf_error *e) {
    const struct options *o = s->options;
    const int64_t *size = q->largest->grid.size;
    int64_t mask = size[0] * size[1] * size[2], volume = mask * (int64_t)sizeof(float);
    enum hf_status st = infer_memory(s, q, &o->infer, NULL, size, ret, e);
    ret->work = ret->work > 2 * volume ? ret->work + volume : 3 * volume;
    ret->work += (o->parts ? mask + volume : 0) + (o->everywhere ? mask : 0);
    return st;
}

static void stop(struct hf_stage *s) {
    struct state *state = s->state;
    infer_close(&state->infer);
}

static enum hf_status check_blank(const struct options *o, const struct hf_model_info *m,
                                  struct hf_error *e) {
    if (o->blank.count == 0 || !tells_blank(m) || (float)o->blank.value[0] == (float)m->blank)
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "option 'blank' is %g, but the model of '%s' was trained on images blanked with "
                   "%g: leave the option out, which takes that",
                   o->blank.value[0], m->stage, m->blank);
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    const char *region = o->region;
    if (!region)
        region = io->has(io, "hole", NULL) ? "hole" : "segments";
    enum hf_status st = infer_declare(&o->infer, io, own, e);
    if (st == HF_OK)
        st = check_blank(o, io->model, e);
    if (st != HF_OK)
        return st;
    if (infer_channels(io->model) != 1)
        return hf_fail(e, HF_INVALID,
                       "the model of '%s' yields %d channels; an inpainted image has 1",
                       io->model->stage, infer_channels(io->model));
    if (o->everywhere && o->region)
        return hf_fail(e, HF_INVALID, "option 'everywhere' leaves no use for 'region: %s'",
                       o->region);
    for (int32_t i = 0; i < io->model->inputs.count && o->everywhere; i++)
        if (strcmp(io->model->inputs.name[i], own[0]) == 0 ||
            strcmp(io->model->inputs.name[i], own[1]) == 0)
            return hf_fail(
                e, HF_INVALID,
                "option 'everywhere' is for models that are blind; that of '%s' takes '%s'",
                io->model->stage, io->model->inputs.name[i]);
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    if (!o->everywhere)
        io->read(io, region, HF_U8, HF_ON_GRID, 0);
    if (o->parts)
        io->read(io, o->parts, HF_U8, HF_ON_GRID, 0);
    io->write(io, "inpainted", HF_F32, HF_ON_GRID, 1, NULL);
    io->write(io, "difference", HF_F32, HF_ON_GRID, 1, NULL);
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "region",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(region),
     .initial = "~",
     .flags = HF_OPTION_FIELD,
     .help = "Mask of what is filled; by default 'hole' if the sample has it, else 'segments'."},
    {.name = "everywhere",
     .type = HF_OPTION_BOOL,
     .offset = OFFSET(everywhere),
     .initial = "false",
     .help =
         "The whole image is replaced, without a region: for a blind model, which takes neither "
         "`masked` nor `hole`."},
    {.name = "parts",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(parts),
     .initial = "~",
     .flags = HF_OPTION_FIELD,
     .help =
         "Field of the stage `parts`: what it numbers alike is filled at once, each number from "
         "the image as it is everywhere else; by default all of the region is one hole."},
    {.name = "blank",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(blank),
     .initial = "[]",
     .min = -1e3,
     .max = 1e3,
     .items_max = 1,
     .help = "Value of blanked voxels. None: the one that the model was trained with, or 0.5 where "
             "it does not tell."},
    INFER_OPTION_TABLE(OFFSET(infer)),
    {.name = NULL}};

static const char *const ops_used[] = {
    "inpaint.blank",      "inpaint.merge",           "inpaint.turn",
    "inpaint.everywhere", INFER_OP_NAMES("inpaint"), NULL};

static const struct hf_stage_class inpaint = {
    .name = "inpaint",
    .help = "Fills a region of the image with what a trained network holds for healthy.",
    .kind = HF_MAP,
    .flags = HF_STAGE_TAKES_MODEL,
    .options_size = sizeof(struct options),
    .options = option_table,
    .state_size = sizeof(struct state),
    .ops = ops_used,
    .declare = declare,
    .stop = stop,
    .process = process,
    .memory = memory,
};

INFER_OPS("inpaint");

static const struct hf_stage_class *const stages[] = {&inpaint, NULL};
static const struct hf_op *const ops[] = {&inpaint_blank_cpu,
                                          &inpaint_merge_cpu,
                                          &inpaint_turn_cpu,
                                          &inpaint_everywhere_cpu,
                                          &survey,
                                          &gather,
                                          &add,
                                          &finish,
                                          NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "inpaint",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
