/**
 * infer.h - runs a trained network over a volume, tile by tile; shared by inpaint, spot and
 * segment.
 *
 * A 2D network sees slices, or tiles of them; a 3D network sees boxes, by default of the size that
 * it was trained on. Tiles lie in even distances and overlap (see lattice.h); where several cover a
 * voxel, or the network sees a tile mirrored as well, its plain outputs (logits) are averaged, and
 * the activation makes a value of the mean, as nnU-Net does. Beyond the volume the network sees 0.
 * Tiles without a voxel of the region of interest are skipped; voxels outside of it are 0.
 *
 * The network is compiled once for a fixed batch of tiles, again only if the size of a tile
 * changes. The last batch is filled up with zeros; networks treat each tile of a batch for itself.
 * The sum over tiles is one f32 volume a channel; nothing else grows with their number.
 *
 * Each stage that links this brings four ops under its own name (see ops.h).
 */
#ifndef HF_STAGES_INFER_INFER_H
#define HF_STAGES_INFER_INFER_H

#include <hepaflow/plugin.h>

#include "lattice.h"
#include "ops.h"

/** How a network runs: part of a stage's options. */
struct infer_options {
    int64_t batch;          /* 0: see infer_option_batch */
    struct hf_reals tile;   /* D, H, W; H, W for a 2D network; one for all; none: its own size */
    double overlap;         /* share of a tile */
    int32_t weights;        /* enum infer_weighting */
    struct hf_names mirror; /* axes */
    int32_t precision;      /* enum hf_precision */
};

#define INFER_OPTION_AT(at, member) (at) + offsetof(struct infer_options, member)

/** The entries of an option table for a struct infer_options at offset `at`. */
#define INFER_OPTION_TABLE(at)                                                                     \
    {.name = "batch",                                                                              \
     .type = HF_OPTION_INT,                                                                        \
     .offset = INFER_OPTION_AT(at, batch),                                                         \
     .initial = "0",                                                                               \
     .max = INFER_MAX_BATCH,                                                                       \
     .help = "Slices or tiles that the network sees at once; 0: 8, or 1 of a 3D network."},        \
        {.name = "tile",                                                                           \
         .type = HF_OPTION_REALS,                                                                  \
         .offset = INFER_OPTION_AT(at, tile),                                                      \
         .initial = "~",                                                                           \
         .unit = "voxels",                                                                         \
         .min = 1,                                                                                 \
         .max = 4096,                                                                              \
         .items_max = 3,                                                                           \
         .help = "Size of the tiles, H, W of a 2D network and D, H, W of a 3D one, or one number " \
                 "for all; by default whole slices, or the size that a 3D network was trained "    \
                 "on."},                                                                           \
        {.name = "overlap",                                                                        \
         .type = HF_OPTION_REAL,                                                                   \
         .offset = INFER_OPTION_AT(at, overlap),                                                   \
         .initial = "0.5",                                                                         \
         .min = 0,                                                                                 \
         .max = 0.9,                                                                               \
         .help = "Share of a tile by which the next one overlaps it, at least."},                  \
        {.name = "weights",                                                                        \
         .type = HF_OPTION_ENUM,                                                                   \
         .offset = INFER_OPTION_AT(at, weights),                                                   \
         .initial = "gaussian",                                                                    \
         .choices = "gaussian|uniform",                                                            \
         .help = "What a voxel of a tile counts for where tiles overlap; the Gaussian's sigma is " \
                 "an eighth of the tile."},                                                        \
        {.name = "mirror",                                                                         \
         .type = HF_OPTION_NAMES,                                                                  \
         .offset = INFER_OPTION_AT(at, mirror),                                                    \
         .initial = "~",                                                                           \
         .choices = "w|h|d",                                                                       \
         .items_max = 3,                                                                           \
         .help = "Axes along which each tile is also seen mirrored, in every combination; the "    \
                 "network's plain outputs are averaged."},                                         \
    {                                                                                              \
        .name = "precision", .type = HF_OPTION_ENUM, .offset = INFER_OPTION_AT(at, precision),     \
        .initial = "auto", .choices = "auto|f32|tf32|bf16", .flags = HF_OPTION_PRECISION,          \
        .help =                                                                                    \
            "Arithmetic of the network: `auto` is bf16 on a GPU and f32 on the CPU, which has "    \
            "no other."                                                                            \
    }

enum infer_adapt_each {
    INFER_ADAPT_SLICE,
    INFER_ADAPT_CASE
};

/** How a network goes on learning from what it is run over: see adapt.h. */
struct infer_adapt {
    int64_t steps; /* 0: it does not */
    double rate;
    int32_t each; /* enum infer_adapt_each */
};

static inline int infer_adapts(const struct infer_adapt *a) {
    return a && a->steps > 0;
}

/** The entries of an option table for a struct infer_adapt at offset `at`. */
#define INFER_ADAPT_TABLE(at)                                                                      \
    {.name = "adapt",                                                                              \
     .type = HF_OPTION_INT,                                                                        \
     .offset = (at) + offsetof(struct infer_adapt, steps),                                         \
     .initial = "0",                                                                               \
     .max = 1000,                                                                                  \
     .unit = "steps",                                                                              \
     .help =                                                                                       \
         "Test-time training, of a model that rebuilds the image (`rebuild` of `train`): so "      \
         "many steps on how well it rebuilds what it is run over, before it answers; 0: none."},   \
        {.name = "adapt_rate",                                                                     \
         .type = HF_OPTION_REAL,                                                                   \
         .offset = (at) + offsetof(struct infer_adapt, rate),                                      \
         .initial = "1e-5",                                                                        \
         .min = 1e-12,                                                                             \
         .max = 1,                                                                                 \
         .help = "Learning rate of these steps, by Adam."},                                        \
    {                                                                                              \
        .name = "adapt_each", .type = HF_OPTION_ENUM,                                              \
        .offset = (at) + offsetof(struct infer_adapt, each), .initial = "slice",                   \
        .choices = "slice|case",                                                                   \
        .help = "Begins from the trained model at every slice (or tile, or mirrored one), or at "  \
                "every case, whose slices it then passes `adapt` times before it answers."         \
    }

/** A stage's compiled network; zeroed at first. */
struct infer {
    struct hf_executable *exec;
    int64_t shape[5], channels; /* that it was compiled for, and that leave it */
    struct hf_device *device;
    struct hf_queue *side; /* for what the host asks, so that it does not wait for networks */
};

/** An input that the stage makes itself instead of taking it from the sample. */
struct infer_given {
    const char *name;
    struct hf_tensor *tensor;
};

struct infer_job {
    const char *survey, *gather, *add, *finish; /* names of the ops */
    const struct infer_options *options;
    const struct infer_adapt *adapt; /* NULL or no steps: the model as it is */
    const struct hf_sample *sample;
    struct infer_given given[2]; /* name NULL: none */
    struct hf_tensor *within;    /* u8 [1,D,H,W]: the region of interest */
};

/** Checks options and model against each other, and reads the fields that the model of `model:`
 * takes, but for those named in `own` (NULL-terminated), which the stage makes. */
enum hf_status infer_declare(const struct infer_options *o, struct hf_io *io,
                             const char *const *own, struct hf_error *e);

enum infer_activation infer_activation_of(const struct hf_model_info *model);

/** Channels that infer_volume yields for the model. */
int32_t infer_channels(const struct hf_model_info *model);

/** Runs the stage's model over the volume: *ret is a new f32 tensor [C',D,H,W]. */
enum hf_status infer_volume(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                            struct hf_tensor **ret, struct hf_error *e);

void infer_close(struct infer *x);

/** For a stage's `memory`: the network, and infer_volume of a volume of that size; `adapt` may be
 *  NULL, as that of a job. */
enum hf_status infer_memory(struct hf_stage *s, const struct hf_memory_query *q,
                            const struct infer_options *o, const struct infer_adapt *adapt,
                            const int64_t size[3], struct hf_memory *ret, struct hf_error *e);

#endif
