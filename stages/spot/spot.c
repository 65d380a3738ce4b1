/**
 * spot.c - the stage `spot`: a trained network's probability that a voxel belongs to a
 * tumor, from the image and its inpainted counterpart.
 */
#include <hepaflow/plugin.h>

#include "../infer/apply.h"

static const char *const ops_used[] = {"spot.survey", "spot.gather", "spot.scatter", NULL};

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    return apply_process(s, in, ops_used, e);
}

#define OFFSET(member) offsetof(struct apply_options, member)

static const struct hf_option option_table[] = {
    {.name = "within",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(within),
     .initial = "liver",
     .flags = HF_OPTION_FIELD,
     .help = "Mask outside which the probability is 0; slices without it are skipped."},
    {.name = "output",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(output),
     .initial = "score",
     .help = "Name of the field that is written."},
    {.name = "batch",
     .type = HF_OPTION_INT,
     .offset = OFFSET(batch),
     .initial = "8",
     .min = 1,
     .max = INFER_MAX_BATCH,
     .help = "Slices that the network sees at once."},
    INFER_PRECISION(OFFSET(precision)),
    {.name = NULL}};

static const struct hf_stage_class spot = {
    .name = "spot",
    .help = "Finds what differs between the image and its inpainted counterpart as a tumor would.",
    .kind = HF_MAP,
    .flags = HF_STAGE_TAKES_MODEL,
    .options_size = sizeof(struct apply_options),
    .options = option_table,
    .state_size = sizeof(struct apply_state),
    .ops = ops_used,
    .declare = apply_declare,
    .stop = apply_stop,
    .process = process,
};

INFER_OPS("spot");

static const struct hf_stage_class *const stages[] = {&spot, NULL};
static const struct hf_op *const ops[] = {&survey, &gather, &scatter, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "spot",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
