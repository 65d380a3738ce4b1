/*
 * engine.h - the engine's own structures: modules, the checked plan, and what a run keeps.
 *
 * graph/ makes a plan from YAML and owns nothing that moves; run/ executes it. Both see this file.
 */
#ifndef HEPAFLOW_ENGINE_H
#define HEPAFLOW_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <hepaflow/graph.h>

#include "nn/net.h"

/* ---- modules (engine/modules.c) ---- */

struct module {
    char *name; /* of the file, without .so */
    char *path;
    char *dir;
    const char *device; /* of a companion: the end of `name`, behind the dot; else NULL */
    bool tried;         /* opened, or refused */
    struct stat loaded; /* the file as it was before it was opened */
    void *handle;       /* of dlopen; NULL: refused */
    const struct hf_plugin *plugin; /* NULL: refused */
    char *refusal;                  /* why, one line */
};

struct hf_engine {
    struct module *module; /* by name */
    int modules;
    pthread_mutex_t *lock;      /* of what a module's opening changes */
    const struct hf_host *host; /* the services (run/host.c) */
    struct run *run;            /* the run in progress, or NULL */
    char *warning;              /* about where modules were looked for, or NULL */
    bool no_device;             /* the last run ended before it began, for want of its device */
};

/* What the modules bring, opened as needed (more in modules.h); NULL: not there. */
const struct hf_stage_class *engine_stage(const struct hf_engine *en, const char *name,
                                          const struct module **ret_module);
const struct hf_network_class *engine_network(const struct hf_engine *en, const char *name);
const struct hf_device_class *engine_device(const struct hf_engine *en, const char *name);
/* The op `name` for devices that run ops of `kind`, or NULL. */
const struct hf_op *engine_op(const struct hf_engine *en, const char *name,
                              enum hf_device_kind kind);

/* ---- the checked plan (engine/graph/) ---- */

struct checker;

struct location {
    const char *file; /* owned by the plan */
    int line, column; /* from 1 */
};

/* How a field came to be: a node of a graph that ends at what the sources read. */
struct lineage {
    const char *field;
    int stage; /* that wrote it: an index into the plan's stages */
    int model; /* the stage whose model had a part in it, or -1 */
    int parents;
    const struct lineage **parent;
    bool *annotation; /* per parent: it enters only as an image-level annotation */
};

/* A field on an edge; sizes -1 = not known before the run. */
struct plan_field {
    char name[HF_FIELD_NAME];
    enum hf_dtype dtype;
    enum hf_place place;
    int64_t shape[4];
    const struct lineage *lineage;
    bool written; /* by the stage that the edge leaves */
    unsigned at;  /* where it is: bits of graph/devices.c */
    bool blanked; /* some of its voxels are, with this */
    double blank;
};

/* The fields on the grid that a stage reads. */
struct reads {
    bool all;
    int count;
    char name[HF_MAX_FIELDS][HF_FIELD_NAME];
    bool needed[HF_MAX_FIELDS]; /* which of them every sample must have */
};
bool reads_field(const struct reads *r, const char *field);

#define PLAN_MAX_INPUTS 8

/* What becomes of a sample when the stage that has it fails. */
struct on_error {
    int retries; /* that it is tried again, at most */
    bool skip;   /* after that it is left out; else the run fails */
};

struct plan_stage {
    char *name;
    struct location where;
    const struct hf_stage_class *cls;
    const struct module *module;
    void *options; /* parsed; strings inside are owned by the plan */
    int inputs;
    int input[PLAN_MAX_INPUTS];         /* indices of plan stages */
    int model;                          /* index of the stage whose model this takes, or -1 */
    double mix_weight[PLAN_MAX_INPUTS]; /* MIX: 0 = one pass over each input, no ratio */
    int replicas;                       /* 0 = as many as workers */
    int depth;                          /* items that each outgoing edge may hold */
    int64_t hold;                       /* bytes of the cache that its output may use; 0 = none */
    bool cache;                         /* its output is kept in the store */
    struct on_error on_error;
    int left_out_count;     /* keys given for a class that another `use` replaced, */
    const char **left_out;  /* which only that one takes */
    bool draws_once;        /* every pass draws what the first one drew */
    bool random;            /* this stage or one upstream draws random numbers */
    bool on_device;         /* runs on the run's device; else on the CPU */
    const char *missing_op; /* that keeps it from the device, or NULL */
    struct reads reads;
    uint32_t copied[PLAN_MAX_INPUTS]; /* per input: its fields that are copied, by index */
    struct hf_model_info yields;      /* stages that yield a model */
    struct hf_net *net;               /* of that model, owned; NULL: not known */
    int fields;
    struct plan_field field[HF_MAX_FIELDS]; /* on the edge that leaves it */
    /* Stages that yield a model: what they read; first inputs, target, weight. */
    int learned;
    const struct lineage *learns[HF_MAX_FIELDS];
};

/* Whether only one instance of a class may work in a job: of sources, mixes and sinks, and of maps
 * that see samples in order. */
static inline bool stage_is_single(const struct hf_stage_class *cls) {
    return cls->kind != HF_MAP || (cls->flags & HF_STAGE_SERIAL) || cls->end_of_epoch;
}

/* One train, one model file, or all single-pass sinks that share an upstream stage. */
struct plan_job {
    char *name;
    int sinks;
    int *sink; /* plan stages */
    int after; /* jobs that must be done first: indices in `after_job` */
    int *after_job;
};

struct hf_plan {
    struct hf_engine *engine;
    char *name;
    char *path;
    const char **set; /* the settings that it was made with */
    int sets;
    uint64_t seed;
    char *device;        /* "auto", "cpu", ... */
    const char *runs_on; /* the device class that this comes to */
    char *not_taken;     /* why `auto` took no better one, or NULL */
    int64_t hold;        /* bytes of memory for held samples, in all */
    int64_t nn_threads;  /* 0 = all cores */
    int jobs_at_once;
    bool no_store; /* its results are not kept, nor those of other runs reused */
    int stages;
    struct plan_stage *stage; /* a stage stands behind its inputs and its model */
    int jobs;
    struct plan_job *job;          /* a job stands behind those that it waits for */
    bool *stored;                  /* per stage at an end: its result is in the store; or NULL */
    struct memory *memory;         /* what a run takes, once somebody has asked; see run/memory.h */
    struct arena *arena;           /* owns the strings and options */
    const struct checker *checked; /* what it was made from; NULL: by hand */
};

/* How a field (of any stage, by name) takes part in what a stage's model is trained on. */
enum plan_reach {
    REACH_NONE,
    REACH_ANNOTATION, /* only as an image-level annotation */
    REACH_DIRECT
};
enum plan_reach plan_supervision(const struct hf_plan *plan, const char *stage, const char *field);

#endif
