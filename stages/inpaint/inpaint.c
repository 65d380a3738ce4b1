/**
 * inpaint.c - the stage `inpaint`: fills a region of the image with what a trained network holds
 * for healthy.
 *
 * All of the region is blanked at once. The network may take, besides fields of the sample,
 * `masked` (the image with the region blanked) and `hole` (the region), which are made here.
 */
#include <hepaflow/plugin.h>

#include "../infer/infer.h"
#include "ops.h"

struct options {
    const char *region;
    double blank;
    struct infer_options infer;
};

struct state {
    struct infer infer;
};

static const char *const own[] = {"masked", "hole", NULL};

static struct hf_tensor *find_region(const struct options *o, const struct hf_sample *in) {
    if (o->region)
        return hf_sample_get(in, o->region);
    struct hf_tensor *hole = hf_sample_get(in, "hole");
    return hole ? hole : hf_sample_get(in, "segments");
}

/* The network's filling of the region, as a new tensor. */
static enum hf_status fill(struct hf_stage *s, const struct hf_sample *in, struct hf_tensor *region,
                           struct hf_tensor **ret, struct hf_error *e) {
    struct state *state = s->state;
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *masked = NULL;
    struct blank_params params = {(float)o->blank};
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

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    static const char *const writes[] = {"inpainted", "difference"};
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *region = find_region(o, in);
    struct hf_tensor *filling = NULL, *made[2] = {NULL, NULL};
    struct hf_sample *out = NULL;
    if (!region)
        return hf_fail(e, HF_INVALID, "no field '%s' to fill", o->region ? o->region : "hole");
    enum hf_status st = fill(s, in, region, &filling, e);
    for (int i = 0; i < 2 && st == HF_OK; i++)
        st = hf_tensor_new(s, HF_F32, 4, image->shape, &made[i], e);
    if (st == HF_OK) {
        struct hf_op_call call = {
            .in = {image, region, filling}, .out = {made[0], made[1]}, .inputs = 3, .outputs = 2};
        st = hf_launch(s, "inpaint.merge", &call, e);
    }
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    for (int i = 0; i < 2 && st == HF_OK; i++) {
        struct hf_tensor *t = made[i];
        made[i] = NULL;
        st = hf_sample_set(s, out, writes[i], t, e);
    }
    for (int i = 0; i < 2; i++)
        s->host->tensor_unref(made[i]);
    s->host->tensor_unref(filling);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static void stop(struct hf_stage *s) {
    struct state *state = s->state;
    infer_close(&state->infer);
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    const char *region = o->region;
    if (!region)
        region = io->has(io, "hole", NULL) ? "hole" : "segments";
    enum hf_status st = infer_declare(&o->infer, io, own, e);
    if (st != HF_OK)
        return st;
    if (infer_channels(io->model) != 1)
        return hf_fail(e, HF_INVALID,
                       "the model of '%s' yields %d channels; an inpainted image has 1",
                       io->model->stage, infer_channels(io->model));
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, region, HF_U8, HF_ON_GRID, 0);
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
    {.name = "blank",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(blank),
     .initial = "0.5",
     .min = -1e3,
     .max = 1e3,
     .help = "Value of blanked voxels; as in the stage `holes` that the model was trained with."},
    INFER_OPTION_TABLE(OFFSET(infer)),
    {.name = NULL}};

static const char *const ops_used[] = {"inpaint.blank", "inpaint.merge", INFER_OP_NAMES("inpaint"),
                                       NULL};

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
};

INFER_OPS("inpaint");

static const struct hf_stage_class *const stages[] = {&inpaint, NULL};
static const struct hf_op *const ops[] = {
    &inpaint_blank_cpu, &inpaint_merge_cpu, &survey, &gather, &add, &finish, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "inpaint",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
