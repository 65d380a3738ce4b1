/**
 * plugin.h - the one symbol that a module exports, and the services that the host injects.
 *
 * A module is a shared object with one exported symbol, `hf_plugin`, a constant descriptor. It is
 * loaded with RTLD_NOW | RTLD_LOCAL. A module links nothing of the host: everything it needs comes
 * through `struct hf_host`, whose inline wrappers stand at the end of this file.
 */
#ifndef HEPAFLOW_PLUGIN_H
#define HEPAFLOW_PLUGIN_H

#include <hepaflow/rng.h>
#include <hepaflow/stage.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HF_EXPORT __attribute__((visibility("default")))
#else
#define HF_EXPORT
#endif

/** A network: makes its description (host->net_new, then net_add) for so many channels in and out.
 *  `build` is pure; what it returns belongs to the caller, who gives it to net_free. */
struct hf_network_class {
    const char *name; /* what `network:` takes */
    const char *help; /* one sentence */
    size_t options_size;
    const struct hf_option *options; /* ends with `name` NULL */
    enum hf_status (*build)(const struct hf_host *host, const void *options, int32_t in_channels,
                            int32_t out_channels, struct hf_net **ret, struct hf_error *e);
    /** Axes of the network that `build` makes of these options, 2 or 3, for the check of a graph;
     *  NULL: always 2. */
    int32_t (*dims)(const void *options);
    /** Channels at the end of the output that rebuild an input, without seeing it, from what the
     *  others say, so that these can go on learning where no target is known: of the layers that
     *  make these the names begin with HF_NET_ANSWER, of no others. NULL: none. */
    int32_t (*rebuilt)(const void *options);
};

#define HF_NET_ANSWER "answer."

/** What a module brings. Lists end with NULL; a list that is NULL is empty. */
struct hf_plugin {
    uint32_t abi;  /* HF_ABI_VERSION: first, so that it can be read before anything else */
    uint32_t size; /* sizeof(struct hf_plugin) */
    const char *name;
    const char *version;
    const struct hf_stage_class *const *stages;
    const struct hf_network_class *const *networks;
    const struct hf_op *const *ops;
    const struct hf_device_class *const *devices;
};

enum hf_log_level {
    HF_LOG_DEBUG,
    HF_LOG_INFO,
    HF_LOG_WARNING
};

/**
 * A trained model: immutable, reference-counted, in host memory. Inference stages compile `net`
 * on their device and set `params`.
 */
struct hf_model {
    struct hf_model_info info;
    const struct hf_net *net;
    const float *params; /* flat, in the order of net_params */
    int64_t param_count;
};

/** The services of the host. Members are only ever added at the end; `size` says how many are
 * there. */
struct hf_host {
    uint32_t abi;
    uint32_t size;
    void *engine;

    /* tensors; every unref, here and below, takes NULL for nothing */
    /** Uninitialised memory of `d`, C-contiguous, `ndim` 1 to HF_MAX_DIMS, every size at least 0;
     *  one reference. `q`: the queue whose work will write it first (NULL: the host does). */
    enum hf_status (*tensor_new)(const struct hf_host *h, struct hf_device *d, struct hf_queue *q,
                                 enum hf_dtype dtype, int32_t ndim, const int64_t *shape,
                                 struct hf_tensor **ret, struct hf_error *e);
    /** References are counted atomically: any thread may take and drop one. */
    void (*tensor_ref)(struct hf_tensor *t);
    void (*tensor_unref)(struct hf_tensor *t);
    /** Blocks until the data are there; the error is that of the work that should make them. */
    enum hf_status (*tensor_wait)(const struct hf_tensor *t, struct hf_error *e);
    /** The data on `d`: a reference to `t` where they are there already, else a copy, which is
     * begun on `q` (a queue of the side that is not the host); tensor_wait ends it. */
    enum hf_status (*tensor_to)(const struct hf_host *h, struct hf_tensor *t, struct hf_device *d,
                                struct hf_queue *q, struct hf_tensor **ret, struct hf_error *e);
    /** The CPU device, which every run has. */
    struct hf_device *(*host_device)(const struct hf_host *h);

    /* samples */
    /** An empty one, to be built by one thread and emitted; the texts are copied. `case_id` and
     *  `patient` may be "". */
    enum hf_status (*sample_new)(const struct hf_host *h, const char *id, const char *case_id,
                                 const char *patient, struct hf_sample **ret, struct hf_error *e);
    /** One with all that `from` has, sharing its tensors; `id` NULL: the same id. Of several
     * samples made of one each needs an id of its own, such as "case/2". */
    enum hf_status (*sample_derive)(const struct hf_host *h, const struct hf_sample *from,
                                    const char *id, struct hf_sample **ret, struct hf_error *e);
    void (*sample_ref)(const struct hf_sample *s);
    void (*sample_unref)(const struct hf_sample *s);
    /** Sets or replaces a field; takes the reference to `t` over, also on failure. */
    enum hf_status (*sample_set)(struct hf_sample *s, const char *field, enum hf_place place,
                                 struct hf_tensor *t, struct hf_error *e);
    /** Takes a field off a sample that is being built; one that is not there is nothing. */
    void (*sample_drop)(struct hf_sample *s, const char *field);

    /* work */
    /** The op of that name for the device, or NULL; good until the engine closes. */
    const struct hf_op *(*op_find)(const struct hf_host *h, const struct hf_device *d,
                                   const char *name);
    /** Enqueues the op behind what its inputs wait for, and leaves its outputs' events in them. */
    enum hf_status (*launch)(const struct hf_host *h, struct hf_device *d, struct hf_queue *q,
                             const struct hf_op *op, const struct hf_op_call *call,
                             struct hf_error *e);
    /** From `open`, `process` and `end_of_epoch`: hands the sample on; takes the reference over,
     * also on failure. From then on it is immutable. ON_GRID fields must lie on its grid. */
    enum hf_status (*emit)(struct hf_stage *s, struct hf_sample *sample, struct hf_error *e);
    /** The next sample, lent until the next call of `next` or `rewind` (sample_ref keeps it
     * longer); HF_END at the end of the epoch. */
    enum hf_status (*next)(struct hf_stream *in, const struct hf_sample **ret, struct hf_error *e);
    /** Starts the stream over as that epoch, at any point. A stream begins in epoch 0. A sink that
     *  shares its upstream with another sink sees one pass only. */
    enum hf_status (*rewind)(struct hf_stream *in, uint64_t epoch, struct hf_error *e);
    /** 1 once the run is being stopped: what takes long asks now and then, and returns CANCELED. */
    int (*canceled)(const struct hf_stage *s);
    /** One line without its end; copied. From any thread, as are `canceled` and `progress`. */
    void (*log)(const struct hf_stage *s, enum hf_log_level level, const char *text);
    /** Of a SINK or MODEL: how far it is, in units of its own (total 0: not known); loss NaN: none.
     */
    void (*progress)(const struct hf_stage *s, double done, double total, double loss);

    /* input read ahead of its use: the bytes of a file, from the read-ahead or read now */
    /** *ret_bytes is the caller's until file_free; an empty file has size 0. */
    enum hf_status (*file_take)(const struct hf_host *h, const char *path, void **ret_bytes,
                                size_t *ret_size, struct hf_error *e);
    void (*file_free)(const struct hf_host *h, void *bytes);

    /* results (the texts are copied) */
    /** A JSON object kept in scores.json under its "name", else under the stage's. */
    enum hf_status (*result)(const struct hf_stage *s, const char *json, struct hf_error *e);
    /** A section of the report: a JSON object whose "kind" says what is in it and how it is shown
     *  (text, table, curves, slices or pictures: docs/report.md). No text in it is taken for HTML;
     *  pictures are PNG files in the stage's folder. */
    enum hf_status (*report)(const struct hf_stage *s, const char *title, const char *json,
                             struct hf_error *e);
    /** Makes the folder `<out_dir>/<name>` and writes its path. */
    enum hf_status (*folder)(const struct hf_stage *s, const char *name, char *ret_path,
                             size_t size, struct hf_error *e);
    /** Writes a file whole or not at all: aside, fsync, rename. What a stage writes into the run's
     *  results folder with this or model_save, on the thread on which the engine called it, is
     *  kept in the store with its result, and is there again when that is reused. */
    enum hf_status (*write_file)(const char *path, const void *bytes, size_t size,
                                 struct hf_error *e);

    /* networks and models */
    /** Appends a layer after checking it against what is there; its index, which later layers name
     *  as input (ret_index may be NULL). The layer and its texts are copied. */
    enum hf_status (*net_add)(struct hf_net *net, const struct hf_layer *layer, int32_t *ret_index,
                              struct hf_error *e);
    /** A network of 2 or 3 axes that holds its INPUT layer (index 0); freed with net_free. */
    enum hf_status (*net_new)(int32_t dims, int32_t channels, struct hf_net **ret,
                              struct hf_error *e);
    void (*net_free)(struct hf_net *net);
    /** The shape [N,C,D,H,W] that leaves each layer (out: net->layers rows of 5). */
    enum hf_status (*net_shapes)(const struct hf_net *net, const int64_t input[5],
                                 int64_t (*ret_shapes)[5], struct hf_error *e);
    /** All parameters, in order; *ret is freed with `free_`. */
    enum hf_status (*net_params)(const struct hf_net *net, struct hf_param **ret,
                                 int32_t *ret_count, int64_t *ret_floats, struct hf_error *e);
    void (*free_)(void *p);
    /** Kaiming-normal (fan-in, the slope of the following activation); bias 0, scale 1, shift 0. */
    enum hf_status (*net_init)(const struct hf_net *net, struct hf_rng rng, float *ret_params,
                               struct hf_error *e);
    /** A model of a copy of the net and the parameters. */
    enum hf_status (*model_new)(const struct hf_model_info *info, const struct hf_net *net,
                                const float *params, struct hf_model **ret, struct hf_error *e);
    void (*model_ref)(const struct hf_model *m);
    void (*model_unref)(const struct hf_model *m);
    /** Safetensors with the description in its metadata; `notes` is a JSON object of extras. */
    enum hf_status (*model_save)(const struct hf_model *m, const char *notes, const char *path,
                                 struct hf_error *e);
    /** One reference, for model_unref; a file that is damaged or of another kind is refused. */
    enum hf_status (*model_load)(const char *path, struct hf_model **ret, struct hf_error *e);
    /** Hands the job's model on to the stages that wait for it; takes a reference of its own. */
    enum hf_status (*publish)(struct hf_stage *s, struct hf_model *m, struct hf_error *e);

    /* what a device asks before it compiles */
    /** Checks a whole description, wherever it came from. */
    enum hf_status (*net_check)(const struct hf_net *net, struct hf_error *e);
    /** Checks shape, precision, loss and optimiser against a network that passed net_check. */
    enum hf_status (*spec_check)(const struct hf_net *net, const struct hf_exec_spec *spec,
                                 struct hf_error *e);
    /** A copy that owns its layers; freed with net_free. */
    enum hf_status (*net_copy)(const struct hf_net *net, struct hf_net **ret, struct hf_error *e);
    /** Bytes that the network compiled for `spec` takes on any device: an estimate from above,
     *  without a device; what it takes is told by the executable's `memory`. */
    enum hf_status (*net_memory)(const struct hf_net *net, const struct hf_exec_spec *spec,
                                 size_t *ret_bytes, struct hf_error *e);
    /** As `canceled`, for a device, which asks between the layers of a network. */
    int (*stopping)(const struct hf_host *h);
};

/* ---- wrappers ---- */

/** A new uninitialised tensor on the stage's device, ordered by its queue. */
static inline enum hf_status hf_tensor_new(const struct hf_stage *s, enum hf_dtype dtype,
                                           int32_t ndim, const int64_t *shape,
                                           struct hf_tensor **ret, struct hf_error *e) {
    return s->host->tensor_new(s->host, s->device, s->queue, dtype, ndim, shape, ret, e);
}

/** A new uninitialised tensor in host memory. */
static inline enum hf_status hf_tensor_new_host(const struct hf_stage *s, enum hf_dtype dtype,
                                                int32_t ndim, const int64_t *shape,
                                                struct hf_tensor **ret, struct hf_error *e) {
    return s->host->tensor_new(s->host, s->host->host_device(s->host), NULL, dtype, ndim, shape,
                               ret, e);
}

/** A reference to `t` that the host can read now: `t` itself, or a copy; waits for the data. */
static inline enum hf_status hf_tensor_read(const struct hf_stage *s, struct hf_tensor *t,
                                            struct hf_tensor **ret, struct hf_error *e) {
    struct hf_tensor *mine = NULL;
    enum hf_status st =
        s->host->tensor_to(s->host, t, s->host->host_device(s->host), s->queue, &mine, e);
    if (st == HF_OK) {
        st = s->host->tensor_wait(mine, e);
        if (st == HF_OK)
            *ret = mine;
        else
            s->host->tensor_unref(mine);
    }
    return st;
}

/** Runs an op by name on the stage's device: waits for inputs on the device, marks the outputs. */
static inline enum hf_status hf_launch(const struct hf_stage *s, const char *op,
                                       const struct hf_op_call *call, struct hf_error *e) {
    const struct hf_op *found = s->host->op_find(s->host, s->device, op);
    if (!found)
        return hf_fail(e, HF_NOT_FOUND, "stage '%s': the device has no op '%s'", s->name, op);
    return s->host->launch(s->host, s->device, s->queue, found, call, e);
}

/** Compiles a network on the stage's device and checks that all methods are there. */
static inline enum hf_status hf_compile(const struct hf_stage *s, const struct hf_net *net,
                                        const struct hf_exec_spec *spec, struct hf_executable **ret,
                                        struct hf_error *e) {
    struct hf_executable *x = NULL;
    enum hf_status st = s->device->methods->compile(s->device, s->queue, net, spec, &x, e);
    if (st != HF_OK)
        return st;
    if (x->methods->size < sizeof *x->methods) {
        st = hf_fail(e, HF_ABI,
                     "stage '%s': the device's networks have a table of methods of %u bytes, not "
                     "%zu: rebuild the device's module",
                     s->name, x->methods->size, sizeof *x->methods);
        x->methods->destroy(x);
        return st;
    }
    *ret = x;
    return HF_OK;
}

/** For a class's `memory`: the bytes of a network compiled for `spec`, or at most so many. */
static inline enum hf_status
hf_net_memory(const struct hf_stage *s, const struct hf_memory_query *q, const struct hf_net *net,
              const struct hf_exec_spec *spec, int64_t *ret_bytes, struct hf_error *e) {
    struct hf_executable *x = NULL;
    size_t arena = 0, total = 0;
    enum hf_status st = HF_OK;
    if (q->compile)
        st = hf_compile(s, net, spec, &x, e);
    else
        st = s->host->net_memory(net, spec, &total, e);
    if (x) {
        x->methods->memory(x, &arena, &total);
        x->methods->destroy(x);
    }
    *ret_bytes = (int64_t)total;
    return st;
}

/** Sets an ON_GRID field; consumes the reference to `t` on success and on failure. */
static inline enum hf_status hf_sample_set(const struct hf_stage *s, struct hf_sample *sample,
                                           const char *field, struct hf_tensor *t,
                                           struct hf_error *e) {
    return s->host->sample_set(sample, field, HF_ON_GRID, t, e);
}

/** Sends a sample down the edge; consumes the reference on success and on failure. */
static inline enum hf_status hf_emit(struct hf_stage *s, struct hf_sample *sample,
                                     struct hf_error *e) {
    return s->host->emit(s, sample, e);
}

/** The random stream of this stage, for this sample, in this epoch. */
static inline struct hf_rng hf_stage_rng(const struct hf_stage *s, const char *sample_id) {
    return hf_rng_init(s->seed, s->name, sample_id, s->epoch);
}

#ifdef __cplusplus
}
#endif
#endif
