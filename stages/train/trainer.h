/**
 * trainer.h - the state of a training, and its parts: set-up, volumes to slices, slices to batches,
 * steps, validation, results. A patch goes wherever a slice does, which is a patch of depth 1.
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

/* Pools of patches: one whose patches are to hold a voxel of the target, and the others. */
enum {
    FOREGROUND = POSITIVE
};

enum {
    TRAIN_FIELDS = HF_OPTION_ITEMS + 3 /* inputs, target, rebuild, weight */
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
    struct hf_executable *averaged; /* validates the average; NULL: none is asked for, or not yet */
    struct hf_queue *side;          /* for what the host asks about volumes */
    int64_t param_count;
    int32_t inputs, targets; /* channels */
    int32_t rebuilt;         /* channels; 0: none */
    int64_t size[3];         /* of a patch; a slice has depth 1 */

    struct pool pool[POOLS];
    struct hf_tensor **validation;
    int64_t validation_count;
    int64_t drawn[2]; /* patches so far: to train on, to validate with */
    int64_t arrived;  /* slices since the last step, where pools are drawn from again and again */
    int64_t steps, most_steps;
    int64_t planned; /* steps in all, for schedule and progress; 0: not known in the first epoch */

    struct flight flight;
    struct curve curve;
    struct pace pace;
    float *best, *latest; /* parameters; `latest`: an average to validate with */
    double best_loss;
    int64_t best_step; /* 0: `best` holds no result yet */
    int64_t best_seen; /* the step of the best validation */
    int64_t stale;     /* validations since that one */
};

/* ---- setup.c: when the first sample tells the sizes ---- */

enum hf_status train_check_fields(const struct trainer *t, const struct hf_sample *sample);
bool train_on_patches(const struct trainer *t);
/** The sizes of patches and the channels, for samples like this one. */
void train_settle(struct trainer *t, const struct hf_sample *first);
/** Builds the network for them, and counts its parameters. */
enum hf_status train_build(struct trainer *t);
/** What it is compiled for. */
struct hf_exec_spec train_spec(const struct trainer *t);
/** Says of an error what size the network was to be compiled for, and what sets it. */
enum hf_status train_fail_on_size(const struct trainer *t);
/** Compiles the network for the same batches and loss once more. */
enum hf_status train_compile(struct trainer *t, struct hf_executable **ret);
/** Builds and compiles the network for samples like this one. */
enum hf_status train_begin(struct trainer *t, const struct hf_sample *first);
/** What the first sample settled holds for all: slices are copied into places of that size. */
enum hf_status train_check_sizes(const struct trainer *t, const struct hf_sample *sample);

/* ---- patches.c: where the patches of a volume lie ---- */

/** Of the patches of the sample's volume, `o->patches` unless `wanted` names no slice at all, the
 *  first voxels (D, H, W), and whether each has its turn to hold a voxel of the target.
 *  `validation`: they are not trained on. */
enum hf_status train_draw_patches(struct trainer *t, const struct hf_sample *sample,
                                  const uint8_t *wanted, bool validation, int64_t ret_start[][3],
                                  bool ret_foreground[], int64_t *ret_count);
/** How many of a batch are to hold one. */
int64_t train_foreground_share(const struct trainer *t);

/* ---- volumes.c: volumes to slices ---- */

/** Channels of a slice: inputs, target, what is rebuilt, weight. */
int32_t train_slice_channels(const struct trainer *t);
/** Takes the slices of a volume, and steps whenever there are enough of them. */
enum hf_status train_take_volume(struct trainer *t, const struct hf_sample *sample);

/** Voxels of the target above one half in each slice, on the host. */
enum hf_status train_read_profile(struct trainer *t, const struct hf_sample *sample,
                                  struct hf_tensor **ret);
/** Runs an op on the queue for what the host asks about volumes, and reads its output. */
enum hf_status train_ask(struct trainer *t, const char *op, const struct hf_op_call *call,
                         enum hf_dtype dtype, int64_t count, struct hf_tensor **ret);

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

/** The parameters that the training has come to: the average, where one is asked for. */
enum hf_status train_get_params(struct trainer *t, float *ret);
/** Runs over whole batches only, so that each loss has the same weight. */
enum hf_status train_validate(struct trainer *t);

/* ---- results.c ---- */

/** A model with the parameters in `best`. */
enum hf_status train_make_model(struct trainer *t, struct hf_model **ret);
/** Writes the checkpoint and the curve, and publishes the model. */
enum hf_status train_finish(struct trainer *t);

#endif
