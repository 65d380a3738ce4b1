/**
 * train.h - the options of `train`, shared by its datasheet (train.c) and its work (trainer.c).
 */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include <hepaflow/plugin.h>

enum train_schedule {
    SCHEDULE_CONSTANT,
    SCHEDULE_COSINE,
    SCHEDULE_POLY,
    SCHEDULE_STEP
};

enum train_keep {
    KEEP_BEST,
    KEEP_LAST
};

struct train_options {
    struct hf_network_choice network;
    struct hf_names inputs;
    const char *target, *rebuild, *weight;
    double rebuild_factor;
    struct hf_weights loss;
    double pos_weight, focal_gamma, tversky_alpha, tversky_beta;
    int64_t classes;
    int32_t optimizer;
    double rate, beta1, beta2, momentum, weight_decay, clip, average;
    int32_t nesterov, schedule;
    double final_rate, poly_power, step_factor;
    int64_t warmup, step_every;
    int64_t batch, epochs, steps, shuffle;
    double positive;
    struct hf_reals patch;
    int64_t patches;
    double foreground;
    double validate;
    int64_t validation_slices, patience;
    int32_t keep;
    int32_t precision; /* enum hf_precision */
};

/** Channels of the network's answer: one a class, or those of the target. */
int32_t train_output_channels(const struct train_options *o, int64_t target_channels);

/** Channels that the network rebuilds behind those; 0: it rebuilds nothing. */
int32_t train_rebuilt_channels(const struct train_options *o);

/** Slices, or patches, that the shuffle pool holds. */
int64_t train_pool_size(const struct train_options *o);

/** What is known of the model that stage `name` yields. */
struct hf_model_info train_describe(const struct train_options *o, const char *name,
                                    int32_t input_channels, int32_t output_channels);

/** The stage's `run`: pulls epochs from `in`, trains, and publishes the model. */
enum hf_status train_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e);

/** The stage's `memory`. */
enum hf_status train_memory(struct hf_stage *s, const struct hf_memory_query *q,
                            struct hf_memory *ret, struct hf_error *e);

#endif
