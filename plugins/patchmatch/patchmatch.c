/**
 * patchmatch.c - the stage `patchmatch`, in place of `inpaint`: fills a region with texture copied
 * from known tissue, without a network.
 *
 * Each slice is filled so that every patch which touches the region looks like some patch of the
 * tissue outside of it. Patches are looked for at random, by draws of the run's seed, the stage and
 * the sample, but not of the epoch: a sample that comes again is filled alike, so the class is not
 * HF_STAGE_RANDOM and what it makes may be held.
 */
#include "../fill/fill.h"
#include "ops.h"

struct options {
    struct fill_options fill;
    int64_t patch, levels, rounds, sweeps;
};

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    const struct patchmatch_params params = {
        .rng = hf_rng_init(s->seed, s->name, in->id, 0), /* in any epoch */
        .radius = (int32_t)(o->patch / 2),
        .levels = (int32_t)o->levels,
        .rounds = (int32_t)o->rounds,
        .sweeps = (int32_t)o->sweeps,
        .unknown = (float)o->fill.unknown};
    struct hf_op_call call;
    enum hf_status st = fill_inputs(&o->fill, 2, in, &call, e);
    if (st != HF_OK)
        return st;
    call.params = &params;
    call.params_size = sizeof params;
    return fill_run(s, in, "patchmatch.fill", &call, e);
}

static enum hf_status memory(struct hf_stage *s, const struct hf_memory_query *q,
                             struct hf_memory *ret, struct hf_error *e) {
    const struct options *o = s->options;
    const int64_t *size = q->largest->grid.size;
    enum hf_status st = fill_check_size(size, 2, e);
    if (st != HF_OK)
        return st;
    ret->work = 2 * size[0] * size[1] * size[2] * (int64_t)sizeof(float) +
                (int64_t)patchmatch_bytes(size[1], size[2], (int32_t)o->levels) +
                size[0] * (int64_t)sizeof(int32_t);
    ret->held = 0;
    return HF_OK;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    if (o->patch % 2 == 0)
        return hf_fail(e, HF_INVALID, "option 'patch' is %lld; a patch has a middle: 3, 5, 7, ...",
                       (long long)o->patch);
    return fill_declare(&o->fill, io, e);
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    FILL_OPTION_TABLE(OFFSET(fill)),
    {.name = "patch",
     .type = HF_OPTION_INT,
     .offset = OFFSET(patch),
     .initial = "7",
     .unit = "px",
     .min = 3,
     .max = 15,
     .help = "Pixels on each side of a patch, an odd number."},
    {.name = "levels",
     .type = HF_OPTION_INT,
     .offset = OFFSET(levels),
     .initial = "6",
     .min = 1,
     .max = PATCH_LEVELS,
     .help = "Levels of the pyramid, each half as fine, at most; there are as many as the region "
             "is deep."},
    {.name = "rounds",
     .type = HF_OPTION_INT,
     .offset = OFFSET(rounds),
     .initial = "4",
     .min = 1,
     .max = 100,
     .help = "How often patches are looked for and the region is made of them, on each level."},
    {.name = "sweeps",
     .type = HF_OPTION_INT,
     .offset = OFFSET(sweeps),
     .initial = "2",
     .min = 1,
     .max = 100,
     .help = "Passes of each search, in turn from the first pixel and from the last."},
    {.name = NULL}};

static const char *const ops_used[] = {"patchmatch.fill", NULL};

static const struct hf_stage_class patchmatch = {
    .name = "patchmatch",
    .help = "Fills a region with texture of the tissue around it, in place of `inpaint`.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
    .memory = memory,
};

static const struct hf_stage_class *const stages[] = {&patchmatch, NULL};
static const struct hf_op *const ops[] = {&patchmatch_fill_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "patchmatch",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
