/**
 * apply.h - what spot and segment are: a model over a volume, its output as a probability field.
 */
#ifndef HF_STAGES_INFER_APPLY_H
#define HF_STAGES_INFER_APPLY_H

#include "infer.h"

struct apply_options {
    const char *within; /* mask outside which the probability is 0 */
    const char *output; /* field */
    struct infer_options infer;
    struct infer_adapt adapt;
};

struct apply_state {
    struct infer infer;
};

enum hf_status apply_declare(const void *options, struct hf_io *io, struct hf_error *e);

/** `ops` are the names of the stage's survey, gather, add and finish. */
enum hf_status apply_process(struct hf_stage *s, const struct hf_sample *in,
                             const char *const ops[4], struct hf_error *e);

void apply_stop(struct hf_stage *s);

enum hf_status apply_memory(struct hf_stage *s, const struct hf_memory_query *q,
                            struct hf_memory *ret, struct hf_error *e);

/** A module with the stage `stage_name`, which writes `written` unless told otherwise; behind
 * those, options of its own. */
#define APPLY_PLUGIN(stage_name, written, stage_help, ...)                                         \
    static const char *const ops_used[] = {INFER_OP_NAMES(stage_name), NULL};                      \
    static enum hf_status process(struct hf_stage *s, const struct hf_sample *in,                  \
                                  struct hf_error *e) {                                            \
        return apply_process(s, in, ops_used, e);                                                  \
    }                                                                                              \
    static const struct hf_option option_table[] = {                                               \
        {.name = "within",                                                                         \
         .type = HF_OPTION_STRING,                                                                 \
         .offset = offsetof(struct apply_options, within),                                         \
         .initial = "liver",                                                                       \
         .flags = HF_OPTION_FIELD,                                                                 \
         .help = "Mask outside which the probability is 0; slices and tiles without it are "       \
                 "skipped."},                                                                      \
        {.name = "output",                                                                         \
         .type = HF_OPTION_STRING,                                                                 \
         .offset = offsetof(struct apply_options, output),                                         \
         .initial = written,                                                                       \
         .help = "Name of the field that is written."},                                            \
        INFER_OPTION_TABLE(offsetof(struct apply_options, infer)),                                 \
        __VA_ARGS__{.name = NULL}};                                                                \
    static const struct hf_stage_class stage_class = {                                             \
        .name = stage_name,                                                                        \
        .help = stage_help,                                                                        \
        .kind = HF_MAP,                                                                            \
        .flags = HF_STAGE_TAKES_MODEL,                                                             \
        .options_size = sizeof(struct apply_options),                                              \
        .options = option_table,                                                                   \
        .state_size = sizeof(struct apply_state),                                                  \
        .ops = ops_used,                                                                           \
        .declare = apply_declare,                                                                  \
        .stop = apply_stop,                                                                        \
        .process = process,                                                                        \
        .memory = apply_memory,                                                                    \
    };                                                                                             \
    INFER_OPS(stage_name);                                                                         \
    HF_EXPORT const struct hf_plugin hf_plugin = {                                                 \
        .abi = HF_ABI_VERSION,                                                                     \
        .size = sizeof(struct hf_plugin),                                                          \
        .name = stage_name,                                                                        \
        .version = "0.1.0",                                                                        \
        .stages = (const struct hf_stage_class *const[]){&stage_class, NULL},                      \
        .ops = (const struct hf_op *const[]){&survey, &gather, &add, &finish, NULL},               \
    }

#endif
