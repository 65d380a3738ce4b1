/*
 * checkpoint - yields a model that was trained before, from the file that `train` left.
 *
 * The file is read whole when the graph is checked, so that a model that does not fit its place, or
 * a file that is damaged, is told before anything runs.
 */
#include <hepaflow/plugin.h>

struct options {
    const char *file;
};

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    if (io->model_info(io, o->file, io->yields, e) != HF_OK)
        return hf_fail_in(e, "option 'file'");
    return HF_OK;
}

static enum hf_status run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_model *model = NULL;
    (void)in;
    enum hf_status st = s->host->model_load(o->file, &model, e);
    if (st == HF_OK)
        st = s->host->publish(s, model, e);
    s->host->model_unref(model);
    return st;
}

static const struct hf_option options[] = {
    {.name = "file",
     .type = HF_OPTION_PATH,
     .offset = offsetof(struct options, file),
     .initial = NULL,
     .help = "A `model.safetensors` that a `train` stage wrote."},
    {.name = NULL},
};

static const struct hf_stage_class checkpoint = {
    .name = "checkpoint",
    .help = "Yields a model that was trained before, from its file.",
    .kind = HF_MODEL,
    .flags = HF_STAGE_YIELDS_MODEL,
    .options_size = sizeof(struct options),
    .options = options,
    .declare = declare,
    .run = run,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "checkpoint",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&checkpoint, NULL},
};
