/* end.c - a stage that hands its samples on, fails on them, or ends the process without a word. */
#include <signal.h>

#include <hepaflow/plugin.h>

enum {
    END_PASS,
    END_FAIL,
    END_CRASH
};

struct options {
    int32_t how;
};

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_sample *out = NULL;
    if (o->how == END_FAIL)
        return hf_fail(e, HF_INVALID, "it was told to fail");
    if (o->how == END_CRASH)
        (void)raise(SIGKILL);
    enum hf_status st = s->host->sample_derive(s->host, in, in->id, &out, e);
    return st == HF_OK ? hf_emit(s, out, e) : st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    (void)options;
    (void)e;
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    return HF_OK;
}

static const struct hf_option option_table[] = {{.name = "how",
                                                 .type = HF_OPTION_ENUM,
                                                 .offset = offsetof(struct options, how),
                                                 .initial = "pass",
                                                 .choices = "pass|fail|crash",
                                                 .help = "What becomes of a sample."},
                                                {.name = NULL}};

static const struct hf_stage_class end = {
    .name = "end",
    .help = "Hands samples on, fails on them, or ends the process.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&end, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "end",
    .version = "1",
    .stages = stages,
};
