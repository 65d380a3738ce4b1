/*
 * noise - a stage from outside the tree: adds Gaussian noise to the image, anew in each epoch.
 *
 * Copy this folder, rename, and change from the bottom up: the descriptor, the class, the options,
 * the fields that it reads and writes, the work.
 */
#include <stddef.h>

#include <hepaflow/plugin.h>

#include "elem.h"

struct options {
    struct hf_reals deviation;
};

/* Draws once a sample on the host, then enqueues the op and hands the sample on: nothing waits. */
static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *image = hf_sample_get(in, "image"), *noisy = NULL;
    struct hf_sample *out = NULL;
    struct noise_params p = {.rng = hf_stage_rng(s, in->id)};
    double low = o->deviation.value[0], high = o->deviation.value[o->deviation.count - 1];
    struct hf_rng draws = p.rng;
    p.deviation = (float)(low + (high - low) * (double)hf_rng_uniform(&draws));
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, image->shape, &noisy, e);
    struct hf_op_call call = {.in = {image},
                              .out = {noisy},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &p,
                              .params_size = sizeof p};
    if (st == HF_OK)
        st = hf_launch(s, "noise.add", &call, e);
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    if (st == HF_OK) {
        st = hf_sample_set(s, out, "image", noisy, e);
        noisy = NULL; /* consumed */
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->tensor_unref(noisy);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    int64_t channels = 1;
    if (o->deviation.value[0] > o->deviation.value[o->deviation.count - 1])
        return hf_fail(e, HF_INVALID, "option 'deviation' is [%g, %g]: expected [low, high]",
                       o->deviation.value[0], o->deviation.value[1]);
    (void)io->has(io, "image", &channels);
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->write(io, "image", HF_F32, HF_ON_GRID, channels, "image");
    return HF_OK;
}

static const struct hf_option option_table[] = {
    {.name = "deviation",
     .type = HF_OPTION_REALS,
     .offset = offsetof(struct options, deviation),
     .initial = "[0, 20]",
     .max = 1e4,
     .items_min = 1,
     .items_max = 2,
     .help = "Standard deviation of the noise: a number, or a range to draw from."},
    {.name = NULL},
};

static const struct hf_stage_class noise = {
    .name = "noise",
    .help = "Adds Gaussian noise to the image, anew in each epoch.",
    .kind = HF_MAP,
    .flags = HF_STAGE_RANDOM,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = (const char *const[]){"noise.add", NULL},
    .declare = declare,
    .process = process,
};

extern const struct hf_op noise_add_cpu;

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "noise",
    .version = "1",
    .stages = (const struct hf_stage_class *const[]){&noise, NULL},
    .ops = (const struct hf_op *const[]){&noise_add_cpu, NULL},
};
