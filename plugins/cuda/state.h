/**
 * state.h - the CUDA device's own: its queues, events, pools, and the methods by file.
 */
#ifndef HEPAFLOW_CUDA_STATE_H
#define HEPAFLOW_CUDA_STATE_H

#include "device.h"
#include "meter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define CUDA_STAGING_BYTES  ((size_t)1 << 20) /* of a block; a larger copy goes in pieces */
#define CUDA_STAGING_BLOCKS 64
#define CUDA_RELEASE_BLOCKS 64 /* given back until they are released together */
#define CUDA_RELEASE_BYTES  ((size_t)64 << 20)

struct hf_event {
    struct hf_event *following; /* in the pool of those that are not used */
    atomic_int refs;
    cudaEvent_t cuda;
    uint64_t queue; /* serial number of the queue it was recorded on */
};

struct hf_queue {
    struct hf_queue *following;
    struct cuda *cuda;
    cudaStream_t stream;
    uint64_t serial;
    atomic_uint_fast64_t work; /* counts what was enqueued; may skip numbers */
    /* Under the device's lock: */
    uint64_t released;  /* the work that the release stream waits for */
    cudaEvent_t passed; /* for the release stream */
    /* Of the thread that uses the queue: */
    uint64_t marked; /* the work before `mark` */
    struct hf_event *mark;
};

/* Page-locked memory that a piece of a copy goes through. */
struct staging_block {
    void *data;
    cudaEvent_t free; /* when it has happened nothing uses the block */
    /* Of a copy to the host, which one block serves piece by piece: */
    char *to;
    size_t left;
};

struct staging {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    int made;
    struct staging_block block[CUDA_STAGING_BLOCKS];
    int idle[CUDA_STAGING_BLOCKS], idles;
    int flight[CUDA_STAGING_BLOCKS], flights; /* the oldest first */
};

struct cuda {
    struct hf_device pub;
    const struct hf_host *host;
    int id;
    char description[512];
    cudaMemPool_t pool;
    cudaStream_t release; /* waits for all queues, then gives memory back */
    cudaStream_t plain;   /* allocations that no queue orders */
    struct meter meter;
    struct staging staging;
    struct cv_choices *choices;

    pthread_mutex_t lock; /* of what follows; host functions never take it */
    uint64_t serials;
    struct hf_queue *queues;
    struct hf_event *events; /* not used now */
    struct {
        void *data;
        size_t bytes;
    } given_back[CUDA_RELEASE_BLOCKS];
    int given_backs;
    size_t given_back_bytes;
};

static inline struct cuda *cuda_of(struct hf_device *d) {
    return (struct cuda *)d;
}

/* memory.c */
enum hf_status cuda_memory_open(struct cuda *c, struct hf_error *e);
void cuda_memory_close(struct cuda *c);
enum hf_status cuda_alloc(struct hf_device *d, struct hf_queue *q, size_t bytes, void **ret,
                          struct hf_error *e);
void cuda_free(struct hf_device *d, void *data, size_t bytes, struct hf_event *after);
void cuda_memory(struct hf_device *d, int32_t anew, size_t *ret_now, size_t *ret_peak);
/** Hands what was given back to the release stream. Under the device's lock. */
void cuda_release_all(struct cuda *c);

/* queue.c */
enum hf_status cuda_queue_new(struct hf_device *d, struct hf_queue **ret, struct hf_error *e);
void cuda_queue_free(struct hf_device *d, struct hf_queue *q);
enum hf_status cuda_launch(struct hf_device *d, struct hf_queue *q, const struct hf_op *op,
                           const struct hf_op_call *call, struct hf_error *e);
enum hf_status cuda_record(struct hf_device *d, struct hf_queue *q, struct hf_event **ret,
                           struct hf_error *e);
enum hf_status cuda_wait(struct hf_device *d, struct hf_queue *q, struct hf_event *ev,
                         struct hf_error *e);
enum hf_status cuda_sync(struct hf_device *d, struct hf_event *ev, struct hf_error *e);
void cuda_event_ref(struct hf_device *d, struct hf_event *ev);
void cuda_event_unref(struct hf_device *d, struct hf_event *ev);
void cuda_events_close(struct cuda *c);

/* copy.c */
void cuda_staging_open(struct cuda *c);
void cuda_staging_close(struct cuda *c);
enum hf_status cuda_copy(struct hf_device *d, struct hf_queue *q, void *dst, const void *src,
                         size_t bytes, struct hf_error *e);

#endif
