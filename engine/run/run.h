/*
 * run.h - what the files of engine/run share: the host's services, tensors and samples with their
 * private parts, stage instances, and the helpers of an executor.
 *
 * A `services` is the host of one engine (or of one stage test). It knows no graph: where ops are
 * found, where messages go and where streams come from is told to it, so that the test harness
 * and the executor share all of it.
 */
#ifndef HEPAFLOW_RUN_H
#define HEPAFLOW_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <hepaflow/dlpack.h>
#include <hepaflow/plugin.h>

struct readahead;
struct reads;
struct transfer;

/* What a stage says while it works; the texts are lent for the call. */
enum message_kind {
    MESSAGE_LOG,
    MESSAGE_PROGRESS,
    MESSAGE_RESULT, /* text: JSON */
    MESSAGE_REPORT, /* title, text: JSON */
    MESSAGE_MODEL
};

struct message {
    enum message_kind kind;
    enum hf_log_level level;
    const char *title, *text;
    double done, total, loss;
    const struct hf_model *model;
};

struct services {
    struct hf_host host; /* what plugins see; host.engine points back here */
    struct hf_device *host_device;
    const struct hf_op *(*find_op)(void *arg, const char *name, enum hf_device_kind kind);
    enum hf_status (*post)(void *arg, const struct hf_stage *s, const struct message *m,
                           struct hf_error *e);
    void *arg;
    struct readahead *readahead;               /* NULL: none */
    void (*took)(void *arg, const char *path); /* told of what file_take is asked for; or NULL */
    void *took_arg;
    atomic_int canceled;
    atomic_llong tensors, samples; /* alive */
    struct transfer *transfer;     /* what copies between host and device need (transfer.c) */
};

/* The services, with everything but the devices and the callbacks in place. */
enum hf_status services_new(struct services **ret, struct hf_error *e);
void services_free(struct services *sv);
/* Lets go of what copies still hold of the device; before it is destroyed. */
void services_release_device(struct services *sv);

static inline struct services *services_of(const struct hf_host *h) {
    return h->engine;
}

/* ---- tensors (tensor.c) ---- */

struct tensor {
    struct hf_tensor pub;
    atomic_int refs;
    struct services *services;
    struct hf_tensor *source; /* that this is a copy of, or NULL */
    struct hf_event *arrival; /* of a copy to the host: an event of the source's device, or NULL */
    atomic_bool arrived;
    bool shared;         /* a copy of a field, which never changes: either stands for the other */
    struct tensor *copy; /* the shared one of this, while it lives; under its transfer lock */
    int held;            /* entries of the hold that it is in; under the hold's lock */
};

enum hf_status tensor_new(const struct hf_host *h, struct hf_device *d, struct hf_queue *q,
                          enum hf_dtype dtype, int32_t ndim, const int64_t *shape,
                          struct hf_tensor **ret, struct hf_error *e);
void tensor_ref(struct hf_tensor *t);
void tensor_unref(struct hf_tensor *t);
enum hf_status tensor_wait(const struct hf_tensor *t, struct hf_error *e);
enum hf_status tensor_to(const struct hf_host *h, struct hf_tensor *t, struct hf_device *d,
                         struct hf_queue *q, struct hf_tensor **ret, struct hf_error *e);
/*
 * The same for a field of a sample: everybody who asks while the copy lives gets the same one, and
 * a copy is brought back by its source. `q` is a queue of the device, whichever way it goes. A copy
 * to the host is begun; tensor_wait ends it.
 */
enum hf_status tensor_share(const struct hf_host *h, struct hf_tensor *t, struct hf_device *d,
                            struct hf_queue *q, struct hf_tensor **ret, struct hf_error *e);
enum hf_status op_launch(const struct hf_host *h, struct hf_device *d, struct hf_queue *q,
                         const struct hf_op *op, const struct hf_op_call *call, struct hf_error *e);

/* ---- between host and device (transfer.c) ---- */

struct transfer *transfer_new(void);
void transfer_free(struct transfer *tr);
/* A queue of `d` that nobody else uses until it is given back. */
enum hf_status transfer_take_queue(struct transfer *tr, struct hf_device *d, struct hf_queue **ret,
                                   struct hf_error *e);
void transfer_give_queue(struct transfer *tr, struct hf_queue *q);
/* Takes over a reference to `source`, which is let go when the event has happened; of the event a
 * reference is taken. Waits only where much is kept that way. */
void transfer_linger(struct transfer *tr, struct hf_tensor *source, struct hf_device *d,
                     struct hf_event *ev);
/* Guards what a tensor knows of its shared copy. */
void transfer_lock(struct transfer *tr, const struct tensor *t);
void transfer_unlock(struct transfer *tr, const struct tensor *t);
void transfer_release(struct transfer *tr);

/* ---- samples (sample.c) ---- */

enum hf_status sample_new(const struct hf_host *h, const char *id, const char *case_id,
                          const char *patient, struct hf_sample **ret, struct hf_error *e);
enum hf_status sample_derive(const struct hf_host *h, const struct hf_sample *from, const char *id,
                             struct hf_sample **ret, struct hf_error *e);
void sample_ref(const struct hf_sample *s);
void sample_unref(const struct hf_sample *s);
enum hf_status sample_set(struct hf_sample *s, const char *field, enum hf_place place,
                          struct hf_tensor *t, struct hf_error *e);
void sample_drop(struct hf_sample *s, const char *field);
/* Ends the building: checks that every field lies on its grid. From here on it is immutable. */
enum hf_status sample_seal(struct hf_sample *s, struct hf_error *e);
/* Whether all of these fields are on `d`. */
bool sample_lies_on(const struct hf_sample *s, const struct reads *reads,
                    const struct hf_device *d);
/* A derived sample with these fields on `d`, or on their way there. `q` is a queue of the device
 * that is not the host. */
enum hf_status sample_to(const struct hf_host *h, const struct hf_sample *s,
                         const struct reads *reads, struct hf_device *d, struct hf_queue *q,
                         const struct hf_sample **ret, struct hf_error *e);
/* Waits until those of these fields that come to the host are there. */
enum hf_status sample_arrive(const struct hf_sample *s, const struct reads *reads,
                             struct hf_error *e);
/* The sample as a stage sees it that declared these reads; takes the reference to `s` over, also on
 * failure. */
enum hf_status sample_view(const struct hf_sample *s, const struct reads *reads,
                           const struct hf_sample **ret, struct hf_error *e);
/* The sample that a view is of; else the sample. No reference is taken. */
const struct hf_sample *sample_whole(const struct hf_sample *s);
/* The i-th field on the other side of host and device, where it was copied; else NULL. */
struct hf_tensor *sample_twin(const struct hf_sample *s, int32_t i);
int64_t sample_bytes(const struct hf_sample *s); /* on both sides */
/* Drops a reference under a lock: releasing a tensor may wait for its device, so what nobody refers
 * to any more is put on the list, for sample_free_retired without the lock. */
struct sample;
void sample_retire(const struct hf_sample *s, struct sample **list);
void sample_free_retired(struct sample *list);

/* ---- stage instances ---- */

/* A list of references to samples. */
struct samples {
    const struct hf_sample **item;
    int count, capacity;
};

/* Takes over the caller's reference, also on failure. */
enum hf_status samples_push(struct samples *list, const struct hf_sample *s, struct hf_error *e);
void samples_clear(struct samples *list); /* drops the references and the memory */
void samples_retire(struct samples *list, struct sample **retired); /* the same under a lock */

struct job;
struct sink;

/* The engine's side of a stage instance: `stage.engine` points at it. */
struct instance {
    struct hf_stage stage;
    struct samples out;          /* what `emit` has collected in the present call */
    struct hf_queue *copies;     /* of the run's device, for what the stage reads; NULL: none yet */
    struct job *job;             /* NULL in stage tests */
    const struct instance *peer; /* of a source: its node's first; NULL: it is that itself */
    struct sink *sink;           /* NULL: runs on the workers */
    int index;                   /* of the plan's stage */
    int track;                   /* in the trace; 0: none yet */
    int64_t busy;                /* ns that it was at work */
    bool began;                  /* `start` has been called */
    bool spoke;                  /* wrote or reported, in the present item */
    bool silent;                 /* what it logs, another instance of the stage does */
};

/* A stream is whatever implements these two. */
struct hf_stream {
    enum hf_status (*next)(struct hf_stream *in, const struct hf_sample **ret, struct hf_error *e);
    enum hf_status (*rewind)(struct hf_stream *in, uint64_t epoch, struct hf_error *e);
};

/* ---- files ---- */

enum hf_status file_read(const char *path, void **ret, size_t *ret_size, struct hf_error *e);
enum hf_status file_write(const char *path, const void *bytes, size_t size, struct hf_error *e);
/* The parts of it: bytes to an open file, which errors call `path`; and what errno says. */
enum hf_status file_put(int fd, const char *path, const void *bytes, size_t size,
                        struct hf_error *e);
enum hf_status file_failed(struct hf_error *e, const char *path, const char *what);
/* Removes a file, which need not be there. */
enum hf_status file_remove(const char *path, struct hf_error *e);
/* Makes a folder and the ones above it. */
enum hf_status folder_make(const char *path, struct hf_error *e);
/* Whether a part of the path is "..". */
bool path_goes_up(const char *path);

#endif
