/**
 * infer.h - runs a trained 2D network over the slices of a volume; shared by inpaint, spot and
 * segment.
 *
 * The network is compiled once for a fixed batch of slices, again only if the size of a slice
 * changes. Slices where the region of interest is empty are skipped and stay 0. The last batch is
 * filled up with zeros; networks treat each slice of a batch for itself.
 *
 * Each stage that links this brings three ops under its own name: "<stage>.survey",
 * "<stage>.gather" and "<stage>.scatter" (see INFER_OPS).
 */
#ifndef HF_STAGES_INFER_INFER_H
#define HF_STAGES_INFER_INFER_H

#include <hepaflow/plugin.h>

#include "elem.h"

#define INFER_MAX_BATCH 64

/** The option `precision` of a stage, an int32_t. */
#define INFER_PRECISION(at)                                                                        \
    {                                                                                              \
        .name = "precision", .type = HF_OPTION_ENUM, .offset = (at), .initial = "auto",            \
        .choices = "auto|f32|tf32|bf16", .flags = HF_OPTION_PRECISION,                             \
        .help =                                                                                    \
            "Arithmetic of the network: `auto` is bf16 on a GPU and f32 on the CPU, which has "    \
            "no other."                                                                            \
    }

/** "survey": in[0] u8 [1,D,H,W]; out[0] u8 [D]: 1 where a slice has a nonzero voxel; out[1] f32
 *  [C,D,H,W] is set to 0. */
enum hf_status infer_survey_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e);

/** "gather": in[] f32 or u8 [C,D,H,W]; out[0] f32 [B,sum of C,1,H,W]. */
enum hf_status infer_gather_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e);

struct infer_gather_params {
    int32_t slice[INFER_MAX_BATCH]; /* slice of each place of the batch; -1: zeros */
};

/** "scatter": in[0] f32 [B,C,1,H,W], in[1] u8 [1,D,H,W] (if given: 0 outside); out[0] f32
 *  [C',D,H,W], C' = C, or C - 1 with softmax: its first channel is the background. */
enum hf_status infer_scatter_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                 struct hf_error *e);

struct infer_scatter_params {
    int32_t slice[INFER_MAX_BATCH]; /* -1: dropped */
    int32_t activation;             /* enum infer_activation */
};

/** The CPU ops of a stage, as constants named `survey`, `gather` and `scatter`. */
#define INFER_OPS(stage)                                                                           \
    static const struct hf_op survey = {stage ".survey", HF_KIND_CPU, infer_survey_cpu, NULL};     \
    static const struct hf_op gather = {stage ".gather", HF_KIND_CPU, infer_gather_cpu, NULL};     \
    static const struct hf_op scatter = {stage ".scatter", HF_KIND_CPU, infer_scatter_cpu, NULL}

/** A stage's compiled network; zeroed at first. */
struct infer {
    struct hf_executable *exec;
    int64_t shape[5]; /* that it was compiled for */
    struct hf_device *device;
    struct hf_queue *side; /* for what the host asks, so that it does not wait for networks */
};

/** An input that the stage makes itself instead of taking it from the sample. */
struct infer_given {
    const char *name;
    struct hf_tensor *tensor;
};

struct infer_job {
    const char *survey, *gather, *scatter; /* names of the ops */
    const struct hf_sample *sample;
    struct infer_given given[2]; /* name NULL: none */
    struct hf_tensor *within;    /* u8 [1,D,H,W]: slices where it is empty are skipped */
    int gated;                   /* 1: voxels outside `within` are 0 */
    int64_t batch;
    int32_t precision; /* enum hf_precision */
};

/** Reads the fields that the model of `model:` takes, but for those named in `own`
 * (NULL-terminated), which the stage makes. */
enum hf_status infer_declare(struct hf_io *io, const char *const *own, struct hf_error *e);

enum infer_activation infer_activation_of(const struct hf_model_info *model);

/** Channels that infer_volume yields for the model. */
int32_t infer_channels(const struct hf_model_info *model);

/** Runs the stage's model over the volume: *ret is a new f32 tensor [C',D,H,W]. */
enum hf_status infer_volume(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                            struct hf_tensor **ret, struct hf_error *e);

void infer_close(struct infer *x);

#endif
