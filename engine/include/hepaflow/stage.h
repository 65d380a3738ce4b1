/**
 * stage.h - what a stage is: its options, the fields that it reads and writes, and its work.
 *
 * A stage file reads from the bottom as a datasheet: descriptor, option table, declare, then the
 * work. In YAML a stage is a recipe; the engine makes instances (replicas) of it for each job.
 *
 * Kinds
 *   SOURCE  `count`, then `open(i)` emits the samples of item i (usually one).
 *   MAP     `process(in)` emits 0 to n samples; `end_of_epoch` may emit the rest.
 *   MIX     several inputs; the engine interleaves them (see `weights`), `process` as a map.
 *   SINK    `run(stream)` pulls on a thread of its own, and asks for epochs.
 *   MODEL   yields a model without samples (a checkpoint file); `run(NULL)`.
 * A SINK with HF_STAGE_YIELDS_MODEL (train) publishes a model.
 * Every class has `declare` and the methods named here, but `end_of_epoch`; a module with a class
 * that lacks one is refused.
 *
 * Threads: one instance is called from one thread at a time. `declare` is pure and may be called
 * at any time with any checked options.
 */
#ifndef HEPAFLOW_STAGE_H
#define HEPAFLOW_STAGE_H

#include <hepaflow/device.h>
#include <hepaflow/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- options ---- */

enum hf_option_type {
    HF_OPTION_BOOL,    /* int32_t */
    HF_OPTION_INT,     /* int64_t */
    HF_OPTION_REAL,    /* double; YAML may carry the unit: `20 mm3` */
    HF_OPTION_ENUM,    /* int32_t: index into `choices` */
    HF_OPTION_STRING,  /* const char * (NULL when the default is "~") */
    HF_OPTION_PATH,    /* const char *; relative paths are relative to the working folder */
    HF_OPTION_REALS,   /* struct hf_reals: `[-200, 250]`, a lone number is a list of one */
    HF_OPTION_NAMES,   /* struct hf_names: `[masked, hole]`, a lone word is a list of one */
    HF_OPTION_WEIGHTS, /* struct hf_weights: `l1` or `{ce: 1, dice: 0.5}` or `[2, 1]` */
    HF_OPTION_NETWORK  /* struct hf_network_choice: `unet` or `{unet: {width: 16}}` */
};

#define HF_OPTION_ITEMS 16

struct hf_reals {
    int32_t count;
    double value[HF_OPTION_ITEMS];
};

struct hf_names {
    int32_t count;
    const char *name[HF_OPTION_ITEMS];
};

/** Named weights; from a plain list the names are NULL, from a lone word its weight is 1. */
struct hf_weights {
    int32_t count;
    const char *name[HF_OPTION_ITEMS];
    double value[HF_OPTION_ITEMS];
};

struct hf_network_class;

struct hf_network_choice {
    const struct hf_network_class *network;
    const void *options;
};

enum hf_option_flags {
    HF_OPTION_NO_EFFECT = 1, /* changes no result: not part of the key */
    HF_OPTION_FIELD = 2,     /* STRING, NAMES: names of fields, checked against the edge */
    HF_OPTION_PRECISION = 4 /* ENUM in the order of enum hf_precision, checked against the device */
};

/** One option. A table ends with `name` NULL. */
struct hf_option {
    const char *name;
    enum hf_option_type type;
    size_t offset;                /* into the options struct */
    const char *initial;          /* the default, as YAML text; NULL: the option is required */
    const char *unit;             /* "mm3", "px", "HU", ...; NULL: none */
    double min, max;              /* of numbers, each item alike; min == max: any */
    const char *choices;          /* ENUM, NAMES, WEIGHTS: "a|b|c"; NULL: any word */
    int32_t items_min, items_max; /* lists; 0, 0: any number up to HF_OPTION_ITEMS */
    uint32_t flags;
    const char *help; /* one sentence */
};

/* ---- declaring fields ---- */

/** What is known of a model when the graph is checked, and what a checkpoint records. */
struct hf_model_info {
    char stage[64];   /* the `train` stage that made it */
    char network[64]; /* name of the network plugin's network */
    struct hf_names inputs;
    int32_t input_channels; /* in all */
    char target[HF_FIELD_NAME];
    char weight[HF_FIELD_NAME]; /* "" = none */
    int32_t output_channels;    /* of the answer, without what is rebuilt */
    char activation[16];        /* what makes the output a value: "none", "sigmoid", "softmax" */
    int32_t dims;               /* 2: a network over slices, 3: over patches; 0: not known */
    int64_t patch[3]; /* D, H, W that it was trained on, 1, H, W of slices; 0: not known yet */
    char rebuilds[HF_FIELD_NAME]; /* what the last channels rebuild, behind the answer; "" = nothing
                                   */
    int32_t rebuilt_channels;
    char blanked[HF_FIELD_NAME]; /* the input that was blanked; "" = none, or not known */
    double blank;                /* what its blanked voxels held */
};

enum hf_read_flags {
    HF_READ_OPTIONAL = 1 /* used when there */
};

/** What `read` takes for all fields on the grid, whatever they are. */
#define HF_EVERY_FIELD "*"

/** Sizes that declare does not know are -1. */
struct hf_io {
    /**
     * Says that the stage reads a field; any dtype if dtype == HF_DTYPES. What is read ON_GRID lies
     * on the stage's device when it runs. Other fields ON_GRID, which may lie on another device,
     * are not in the samples that it gets: there hf_sample_get answers NULL. A sample that it
     * derives has them again, to be handed on; their data it must not touch. A sample that lacks
     * what is read ON_GRID, and is not HF_READ_OPTIONAL, never reaches `process`: it fails before,
     * by `on_error`. A SINK looks for itself.
     */
    void (*read)(struct hf_io *io, const char *field, enum hf_dtype dtype, enum hf_place place,
                 uint32_t flags);
    /**
     * Says that the stage writes (or replaces) a field with that many channels. `from` names the
     * read fields that it is made of, space-separated (NULL: all of them); "~x" says that x enters
     * only as an image-level annotation. `plan` prints these lineages.
     */
    void (*write)(struct hf_io *io, const char *field, enum hf_dtype dtype, enum hf_place place,
                  int64_t channels, const char *from);
    /** Says that a field is gone after this stage. */
    void (*drop)(struct hf_io *io, const char *field);
    /** Says that the stage moves samples onto a new grid: every ON_GRID field that is not written
     *  is gone. `option` is the stage's that fixes the sizes, for errors about them (NULL: none).
     */
    void (*regrid)(struct hf_io *io, int64_t d, int64_t h, int64_t w, const char *option);
    /** 1 if the field is on the (first) incoming edge; *ret_channels may be NULL. */
    int (*has)(struct hf_io *io, const char *field, int64_t *ret_channels);
    const struct hf_model_info *model; /* of `model:`, or NULL */
    struct hf_model_info *yields;      /* to fill in by a stage that yields a model */
    void *engine;
    /** What a checkpoint says of its model, whose network it is then that `fits` asks; the names in
     *  it live until the next such call or the end of declare. */
    enum hf_status (*model_info)(struct hf_io *io, const char *path, struct hf_model_info *ret,
                                 struct hf_error *e);
    int64_t grid[3]; /* D, H, W of the ON_GRID fields that enter */
    /** Builds the network for so many channels, for `fits`, and for the stages that take the model
     *  which is yielded. An error is shown at the network's option that it names, as above. */
    enum hf_status (*build)(struct hf_io *io, const struct hf_network_choice *network,
                            int32_t input_channels, int32_t output_channels, struct hf_error *e);
    /**
     * Whether the network that `build` made, or else that of `model`, takes volumes of D, H, W.
     * What is not known, sizes or network, fits. `option` is that of the stage which says the
     * sizes; NULL: they are those of `grid`. An error names the sizes that fit, and is shown there.
     */
    enum hf_status (*fits)(struct hf_io *io, const int64_t size[3], const char *option,
                           struct hf_error *e);
    /** Says of a field that was said to be written that it is an image of which some voxels are
     *  blanked: those hold this value. It is known of the field until that is written anew. */
    void (*blank)(struct hf_io *io, const char *field, double value);
    /** 1 if the field is on the (first) incoming edge and known to be blanked, with *ret. */
    int (*blanked)(struct hf_io *io, const char *field, double *ret);
};

/* ---- a stage instance ---- */

struct hf_host;
struct hf_model;
struct hf_stream;

/** What an instance knows of itself; all of it is the engine's, and lives until `stop` returns. */
struct hf_stage {
    const struct hf_host *host;
    const void *options;                /* the parsed options struct */
    void *state;                        /* state_size bytes, zeroed before `start` */
    const char *name;                   /* in the graph */
    struct hf_device *device;           /* where it runs */
    struct hf_queue *queue;             /* of that device, this instance's own */
    const struct hf_model *model;       /* of `model:`, or NULL */
    const struct hf_model_info *yields; /* what declare said of the model that it yields */
    uint64_t seed;                      /* of the run */
    uint64_t epoch;                     /* the pass that is running */
    int32_t replica;                    /* from 0 */
    int32_t input;                      /* MIX: index of the input that the sample came from */
    const char *module_dir;             /* folder of the module: data files lie beside it */
    const char *out_dir;                /* the run's results folder */
    void *engine;
    /** SOURCE: 1 if `on_error` tries again or leaves out. What is wrong with one item alone is then
     *  told by its `open`; else as soon as `start`, so that nothing runs in vain. */
    int32_t items_may_fail;
    /** SOURCE: the state of an instance of the same stage that has been started before and is
     *  stopped later, or NULL. It may be at work on another thread: what its `start` has made and
     *  nothing changes any more may be used in place of one's own. */
    const void *peer;
};

enum hf_stage_kind {
    HF_SOURCE,
    HF_MAP,
    HF_MIX,
    HF_SINK,
    HF_MODEL
};

enum hf_stage_flags {
    HF_STAGE_RANDOM = 1,       /* draws random numbers: a new epoch gives new samples */
    HF_STAGE_TAKES_MODEL = 2,  /* needs `model:` */
    HF_STAGE_YIELDS_MODEL = 4, /* train */
    HF_STAGE_SERIAL = 8        /* never more than one replica */
};

/** What `memory` is told; shapes are those of the largest sample that may come. */
struct hf_memory_query {
    const struct hf_sample
        *largest;            /* of its tensors dtype, shape and bytes alone; NULL: no input */
    int64_t samples, slices; /* of a pass; of `slices` those that the field of that name marks; -1:
                                not known */
    int32_t compile; /* 1: networks may be compiled, and asked; 0: there is no device to do so */
};

/** Bytes on the stage's device. */
struct hf_memory {
    int64_t work; /* that a call of `process` has at most, its output included, its input not */
    int64_t
        held; /* that an instance keeps between calls; of a SINK: all, but the sample it is at */
};

struct hf_stage_class {
    const char *name;
    const char *help; /* one sentence */
    enum hf_stage_kind kind;
    uint32_t flags;
    size_t options_size;
    const struct hf_option *options;
    size_t state_size;
    /** Names of the ops that it launches, NULL-terminated (NULL: none); where the run's device
     *  lacks one the stage runs on the CPU and the plan says so. */
    const char *const *ops;
    /** Says what it reads and writes with these options. An error whose first word in quotes
     *  is an option's name is shown at that option. */
    enum hf_status (*declare)(const void *options, struct hf_io *io, struct hf_error *e);
    /** Makes an instance ready; `stop` undoes it, also after a failed start. Both may be NULL. */
    enum hf_status (*start)(struct hf_stage *s, struct hf_error *e);
    void (*stop)(struct hf_stage *s);
    /** SOURCE: how many items there are, the same in every instance and epoch; 0 is possible. */
    enum hf_status (*count)(struct hf_stage *s, int64_t *ret_count, struct hf_error *e);
    /** SOURCE: emits the samples of item 0 to count - 1; items come in any order, and several at
     *  once in as many instances. The same item, seed and epoch must give the same bits. */
    enum hf_status (*open)(struct hf_stage *s, int64_t item, struct hf_error *e);
    /** MAP, MIX: emits what comes of the sample, which is lent for the call (sample_ref holds it
     *  longer). What leaves follows the order of what came in, whichever replica was faster. When
     *  it fails what it emitted is dropped, and `on_error` may call it again for the sample. */
    enum hf_status (*process)(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e);
    /** MAP, MIX, may be NULL: emits what is left when the last sample of a pass has been processed,
     *  and puts the state back for another pass. A class that has it never has two replicas. */
    enum hf_status (*end_of_epoch)(struct hf_stage *s, struct hf_error *e);
    /** SINK, MODEL: pulls (next, rewind) on a thread of its own until it has done its work, and
     *  returns soon when `canceled` says so or `next` fails; `in` is NULL for a MODEL. */
    enum hf_status (*run)(struct hf_stage *s, struct hf_stream *in, struct hf_error *e);
    /** SOURCE: the files that item reads, for read-ahead: fills up to `max` paths (owned by the
     *  stage), returns how many; NULL: none. */
    int32_t (*files)(struct hf_stage *s, int64_t item, const char **paths, int32_t max);
    /** SOURCE: the case of an item (owned by the stage), for the ledger when `open` fails; NULL:
     * not known. */
    const char *(*case_of)(struct hf_stage *s, int64_t item);
    /** For `plan`, may be NULL: at most how much memory an instance takes; a guess from the fields
     *  stands for it then. Called in place of `process` or `run`, after no `start`; `s->queue` is
     *  there where networks may be compiled, `s->model` where its stage has published one. A stage
     *  that yields a model publishes it, with any parameters, for the stages that take it. */
    enum hf_status (*memory)(struct hf_stage *s, const struct hf_memory_query *q,
                             struct hf_memory *ret, struct hf_error *e);
    /** SOURCE, for `plan`, may be NULL: the grid of an item's image, from its header alone. */
    enum hf_status (*grid_of)(struct hf_stage *s, int64_t item, struct hf_grid *ret,
                              struct hf_error *e);
    /** For `plan`, of a stage that calls `regrid`, may be NULL: the largest grid that it makes of a
     *  sample on this one. */
    void (*regrid)(const void *options, const struct hf_grid *from, struct hf_grid *ret);
};

#ifdef __cplusplus
}
#endif
#endif
