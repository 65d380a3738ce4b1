/**
 * device.h - a device is a queue.
 *
 * A device owns memory, queues on which operations run in order, events that mark a point in a
 * queue, ops (named operations), and compiles networks. Everything that takes a queue may return
 * before the work is done; the event says when it is. The CPU device runs ops in the calling thread
 * (its events are ready at once) and networks on one executor thread that owns the OpenMP team;
 * CUDA has a stream per queue; the tests' mock device delays everything.
 *
 * Threads: device methods may be called from any thread; one queue is used by one thread at a time.
 */
#ifndef HEPAFLOW_DEVICE_H
#define HEPAFLOW_DEVICE_H

#include <hepaflow/network.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf_queue;
struct hf_host;

#define HF_OP_MAX_TENSORS 12

/** The operands of an op. Which tensor stands where, and the type of `params`, is the op's word. */
struct hf_op_call {
    const struct hf_tensor *in[HF_OP_MAX_TENSORS];
    struct hf_tensor *out[HF_OP_MAX_TENSORS];
    int32_t inputs, outputs;
    const void *params; /* a plain struct; copied by the device before it returns */
    size_t params_size;
};

/**
 * An op: (name, device kind, launch). `launch` is called with the call's operands on the device of
 * that kind. On the CPU it does the work; on CUDA it enqueues kernels on `stream`. It must not
 * block, allocate on the device, or keep the pointers. `scratch` asks for temporary device memory
 * (may be NULL: none); the device hands `scratch_bytes` of it, 64-byte aligned, uninitialised.
 */
struct hf_op {
    const char *name; /* "blur" for shared ops, "<stage>.<verb>" for a stage's own */
    enum hf_device_kind kind;
    enum hf_status (*launch)(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *err);
    size_t (*scratch)(const struct hf_op_call *call);
};

struct hf_device_options {
    int32_t device_id;
    int32_t nn_threads; /* CPU: threads of the OpenMP team; 0 = all cores */
    const struct hf_host *host;
};

/** Every method but `destroy` and `unref` may fail and then leaves a message. What fails only when
 *  its turn comes is told by `sync`, or by a later call: a GPU that has failed once fails always.
 */
struct hf_device_methods {
    uint32_t size; /* of this table */
    /** After all queues, executables and memory have been given back. */
    void (*destroy)(struct hf_device *d);
    /** Pooled memory, 64-byte aligned, uninitialised. Work on `q` may use it, and work behind an
     *  event recorded on `q` since; with `q` NULL any work that is enqueued from now on. */
    enum hf_status (*alloc)(struct hf_device *d, struct hf_queue *q, size_t bytes, void **ret,
                            struct hf_error *e);
    /** Gives memory back: it is used again only when `after` (may be NULL; no reference is taken)
     *  and every op and copy that is on any queue of the device by now have happened. */
    void (*free)(struct hf_device *d, void *data, size_t bytes, struct hf_event *after);
    enum hf_status (*queue_new)(struct hf_device *d, struct hf_queue **ret, struct hf_error *e);
    /** What is on the queue still happens, and events of it stay good. */
    void (*queue_free)(struct hf_device *d, struct hf_queue *q);
    /** Runs `op` after everything before it on the queue. */
    enum hf_status (*launch)(struct hf_device *d, struct hf_queue *q, const struct hf_op *op,
                             const struct hf_op_call *call, struct hf_error *e);
    /** Copies `bytes` between this device and host memory (either direction), in queue order. The
     *  caller keeps both until an event recorded behind it has happened; after an error nothing
     *  touches the host's side any more. */
    enum hf_status (*copy)(struct hf_device *d, struct hf_queue *q, void *dst, const void *src,
                           size_t bytes, struct hf_error *e);
    /** An event for the queue's present end, with one reference; *ret = NULL if all is done. */
    enum hf_status (*record)(struct hf_device *d, struct hf_queue *q, struct hf_event **ret,
                             struct hf_error *e);
    /** Makes the queue wait for the event, without blocking the caller. */
    enum hf_status (*wait)(struct hf_device *d, struct hf_queue *q, struct hf_event *ev,
                           struct hf_error *e);
    /** Blocks the caller until the event has happened. */
    enum hf_status (*sync)(struct hf_device *d, struct hf_event *ev, struct hf_error *e);
    void (*event_ref)(struct hf_device *d, struct hf_event *ev);
    void (*event_unref)(struct hf_device *d, struct hf_event *ev);
    /** Compiles a network; `q` is where the executable runs. HF_UNSUPPORTED if it cannot. */
    enum hf_status (*compile)(struct hf_device *d, struct hf_queue *q, const struct hf_net *net,
                              const struct hf_exec_spec *spec, struct hf_executable **ret,
                              struct hf_error *e);
    /** One line for `hepaflow version` and the checkpoint: instruction set, library versions. */
    const char *(*describe)(struct hf_device *d);
    /** Bytes that are handed out by `alloc`, as scratch of ops and in executables: now, and at most
     *  since the last call with `anew`. */
    void (*memory)(struct hf_device *d, int32_t anew, size_t *ret_now, size_t *ret_peak);
};

/** A device. The engine reads this head; the rest is the device's own. */
struct hf_device {
    const struct hf_device_methods *methods;
    enum hf_device_kind kind;
    int32_t id;
    int32_t host_memory;         /* 1 if its memory can be read by the host (CPU) */
    enum hf_device_kind op_kind; /* the ops that it runs (the mock device runs the CPU's) */
};

/** What a module brings to make devices of a kind. */
struct hf_device_class {
    const char *name; /* "cpu", "cuda", "mock": what --device takes */
    const char *help;
    enum hf_device_kind kind;
    enum hf_device_kind op_kind; /* the ops that its devices run, so that `plan` can tell */
    int32_t priority; /* `auto` opens the highest that opens; negative: never by `auto` */
    /** A bit 1u << HF_PRECISION_... for each that its networks are compiled for; AUTO is one. */
    uint32_t precisions;
    enum hf_status (*open)(const struct hf_device_options *options, struct hf_device **ret,
                           struct hf_error *e);
    /** Whether `open` would find hardware and driver, told without opening anything, so that `plan`
     *  knows what `auto` comes to; the message is one line without the device's name. NULL: yes. */
    enum hf_status (*probe)(struct hf_error *e);
};

#ifdef __cplusplus
}
#endif
#endif
