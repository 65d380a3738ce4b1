/**
 * trainer.h - the state of a training, and its parts: set-up, volumes to slices, slices to batches,
 * steps, validation, results.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include <stdbool.h>

#include "curve.h"
#include "pace.h"
#include "slices.h"
#include "train.h"

enum {
    POSITIVE,
    OTHER,
    POOLS
};

enum {
    TRAIN_FIELDS = HF_OPTION_ITEMS + 2 /* inputs, target, weight */
};

/* A batch that the device may still be reading. */
struct flight {
    struct hf_tensor *input, *target, *weight, *loss;
    int64_t step; /* 0: nothing in flight */
    double rate;
};

struct trainer {
    struct hf_stage *s;
    const struct hf_host *host;
    const struct train_options *o;
    struct hf_error *err;

    /* known from the first sample on */
    struct hf_net *net;
    struct hf_executable *x;
    struct hf_queue *side; /* for what the host asks about volumes */
    int64_t param_count;
    int32_t inputs, targets; /* channels */
    int64_t height, width;

    struct pool pool[POOLS];
    struct hf_tensor **validation;
    int64_t validation_count;
    int64_t arrived; /* slices since the last step, where pools are drawn from again and again */
    int64_t steps, most_steps;
    int64_t planned; /* steps in all, for schedule and progress; 0: not known in the first epoch */

    struct flight flight;
    struct curve curve;
    struct pace pace;
    float *best;
    double best_loss;
    int64_t best_step;
};

/* ---- setup.c: when the first sample tells the sizes ---- */

enum hf_status train_check_fields(const struct trainer *t, const struct hf_sample *sample);
/** Builds and compiles the network for samples like this one. */
enum hf_status train_begin(struct trainer *t, const struct hf_sample *first);
/** What the first sample settled holds for all: slices are copied into places of that size. */
enum hf_status train_check_sizes(const struct trainer *t, const struct hf_sample *sample);

/* ---- volumes.c: volumes to slices ---- */

/** Channels of a slice: inputs, target, weight. */
int32_t train_slice_channels(const struct trainer *t);
/** Takes the slices of a volume, and steps whenever there are enough of them. */
enum hf_status train_take_volume(struct trainer *t, const struct hf_sample *sample);

/* ---- batches.c: slices to batches ---- */

/** `o->batch` slices as the tensors of a batch, and a place for its loss. */
enum hf_status train_put_batch(struct trainer *t, struct hf_tensor *const *slices,
                               struct flight *ret);
enum hf_status train_read_loss(struct trainer *t, struct hf_tensor *loss, double *ret);
/** The device reads a batch until its loss is there, also where an error or a cancel comes first:
 *  waits for that. */
void train_flight_clear(const struct hf_host *host, struct flight *f);

/* ---- steps.c: batches to steps ---- */

/** Waits for the step in flight and takes down its loss. */
enum hf_status train_land(struct trainer *t);
/** Steps for as long as there are slices for it; `ending`: with what is left. */
enum hf_status train_steps(struct trainer *t, bool ending);

/* ---- validation.c ---- */

/** Runs over whole batches only, so that each loss has the same weight. */
enum hf_status train_validate(struct trainer *t);

/* ---- results.c ---- */

/** Writes the checkpoint and the curve, and publishes the model. */
enum hf_status train_finish(struct trainer *t);

#endif
