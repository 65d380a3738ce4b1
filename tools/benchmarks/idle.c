/*
 * idle.c - stages without work, and a sink that times what comes: with them `tools/bench engine`
 * measures the engine itself.
 */
#include <hepaflow/plugin.h>

#include <time.h>

struct options {
    int64_t count;
};

struct sink_options {
    int64_t pause;
};

#define UNUSED __attribute__((unused))

/* ---- samples out of nothing, handed on ---- */

static enum hf_status source_count(struct hf_stage *s, int64_t *ret, struct hf_error *e UNUSED) {
    *ret = ((const struct options *)s->options)->count;
    return HF_OK;
}

static enum hf_status source_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    char id[32];
    (void)snprintf(id, sizeof id, "%lld", (long long)item);
    struct hf_sample *out = NULL;
    enum hf_status st = s->host->sample_new(s->host, id, id, id, &out, e);
    return st == HF_OK ? hf_emit(s, out, e) : st;
}

static enum hf_status pass_process(struct hf_stage *s, const struct hf_sample *in,
                                   struct hf_error *e) {
    struct hf_sample *out = NULL;
    enum hf_status st = s->host->sample_derive(s->host, in, in->id, &out, e);
    return st == HF_OK ? hf_emit(s, out, e) : st;
}

static enum hf_status declare_nothing(const void *options UNUSED, struct hf_io *io UNUSED,
                                      struct hf_error *e UNUSED) {
    return HF_OK;
}

/* ---- the sink ---- */

static double seconds(void) {
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static enum hf_status sink_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct hf_sample *sample;
    enum hf_status st;
    int64_t count = 0;
    double began = seconds();
    while ((st = s->host->next(in, &sample, e)) == HF_OK) {
        const struct timespec pause = {.tv_nsec = ((const struct sink_options *)s->options)->pause *
                                                  1000000};
        if (pause.tv_nsec > 0)
            (void)nanosleep(&pause, NULL);
        count++;
    }
    char text[128];
    (void)snprintf(text, sizeof text, "{\"samples\": %lld, \"seconds\": %.9f}", (long long)count,
                   seconds() - began);
    return st == HF_END ? s->host->result(s, text, e) : st;
}

/* ---- the module ---- */

static const struct hf_option source_options[] = {{.name = "count",
                                                   .type = HF_OPTION_INT,
                                                   .offset = offsetof(struct options, count),
                                                   .min = 0,
                                                   .max = 1e9,
                                                   .help = "Samples."},
                                                  {.name = NULL}};
static const struct hf_option sink_options[] = {
    {.name = "pause",
     .type = HF_OPTION_INT,
     .offset = offsetof(struct sink_options, pause),
     .initial = "0",
     .unit = "ms",
     .max = 999,
     .help = "Sleeps so long over each sample, as a sink that works does."},
    {.name = NULL}};
static const struct hf_option no_options[] = {{.name = NULL}};

static const struct hf_stage_class source = {.name = "idle_source",
                                             .help = "Samples without fields.",
                                             .kind = HF_SOURCE,
                                             .options_size = sizeof(struct options),
                                             .options = source_options,
                                             .declare = declare_nothing,
                                             .count = source_count,
                                             .open = source_open};
static const struct hf_stage_class pass = {.name = "idle_pass",
                                           .help = "Hands each sample on as a new one.",
                                           .kind = HF_MAP,
                                           .options = no_options,
                                           .declare = declare_nothing,
                                           .process = pass_process};
static const struct hf_stage_class sink = {.name = "idle_sink",
                                           .help = "Takes samples, and tells how long it took.",
                                           .kind = HF_SINK,
                                           .options_size = sizeof(struct sink_options),
                                           .options = sink_options,
                                           .declare = declare_nothing,
                                           .run = sink_run};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "idle",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&source, &pass, &sink, NULL},
};
