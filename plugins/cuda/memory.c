/*
 * memory.c - the GPU's memory: allocations from one pool in a queue's order, and its release once
 * every queue has passed the point where it was given back.
 *
 * What is given back is collected. Now and then one stream, on which nothing runs but releases, is
 * made to wait for every queue that has had work since, and then releases it all; nobody waits on
 * the host. The pool takes a block again only when its release has happened (no dependency between
 * streams is added behind our back), so a block that it hands out is free on every queue.
 */
#include "state.h"

enum hf_status cuda_memory_open(struct cuda *c, struct hf_error *e) {
    const struct cudaMemPoolProps props = {
        .allocType = cudaMemAllocationTypePinned,
        .handleTypes = cudaMemHandleTypeNone,
        .location = {.type = cudaMemLocationTypeDevice, .id = c->id},
    };
    uint64_t keep_all = UINT64_MAX;
    int no = 0;
    enum hf_status st =
        cuda_check(cudaMemPoolCreate(&c->pool, &props), "making a pool of memory", e);
    if (st == HF_OK)
        st =
            cuda_check(cudaMemPoolSetAttribute(c->pool, cudaMemPoolAttrReleaseThreshold, &keep_all),
                       "setting up the pool of memory", e);
    if (st == HF_OK)
        st = cuda_check(
            cudaMemPoolSetAttribute(c->pool, cudaMemPoolReuseAllowInternalDependencies, &no),
            "setting up the pool of memory", e);
    if (st == HF_OK)
        st = cuda_check(cudaStreamCreateWithFlags(&c->release, cudaStreamNonBlocking),
                        "making a stream", e);
    if (st == HF_OK)
        st = cuda_check(cudaStreamCreateWithFlags(&c->plain, cudaStreamNonBlocking),
                        "making a stream", e);
    return st;
}

void cuda_memory_close(struct cuda *c) {
    if (c->release) {
        pthread_mutex_lock(&c->lock);
        cuda_release_all(c);
        pthread_mutex_unlock(&c->lock);
        (void)cudaStreamSynchronize(c->release);
        (void)cudaStreamDestroy(c->release);
    }
    if (c->plain)
        (void)cudaStreamDestroy(c->plain);
    if (c->pool)
        (void)cudaMemPoolDestroy(c->pool);
}

void cuda_release_all(struct cuda *c) {
    if (c->given_backs == 0)
        return;
    for (struct hf_queue *q = c->queues; q; q = q->following) {
        uint64_t work = atomic_load_explicit(&q->work, memory_order_acquire);
        if (work == q->released)
            continue;
        if (cudaEventRecord(q->passed, q->stream) == cudaSuccess &&
            cudaStreamWaitEvent(c->release, q->passed, 0) == cudaSuccess)
            q->released = work;
    }
    for (int i = 0; i < c->given_backs; i++)
        (void)cudaFreeAsync(c->given_back[i].data, c->release);
    c->given_backs = 0;
    c->given_back_bytes = 0;
    (void)cudaGetLastError(); /* a GPU that has failed says so to those who wait for it */
}

/* Waits for everything that would give memory back, and for the pool to give up what it keeps. */
static void reclaim(struct cuda *c) {
    pthread_mutex_lock(&c->lock);
    cuda_release_all(c);
    for (struct hf_queue *q = c->queues; q; q = q->following)
        (void)cudaStreamSynchronize(q->stream);
    (void)cudaStreamSynchronize(c->release);
    pthread_mutex_unlock(&c->lock);
    (void)cudaMemPoolTrimTo(c->pool, 0);
    (void)cudaGetLastError();
}

static enum hf_status out_of_memory(struct cuda *c, size_t bytes, struct hf_error *e) {
    size_t free_bytes = 0, total = 0;
    (void)cudaMemGetInfo(&free_bytes, &total);
    (void)cudaGetLastError();
    return hf_fail(e, HF_NO_MEMORY,
                   "cuda: no memory on GPU %d for %zu bytes more: %zu of %zu are free; use smaller "
                   "batches, or a GPU that nobody else uses",
                   c->id, bytes, free_bytes, total);
}

enum hf_status cuda_alloc(struct hf_device *d, struct hf_queue *q, size_t bytes, void **ret,
                          struct hf_error *e) {
    struct cuda *c = cuda_of(d);
    int was = cuda_enter(d);
    cudaStream_t stream = q ? q->stream : c->plain;
    void *data = NULL;
    cudaError_t error = cudaMallocFromPoolAsync(&data, bytes ? bytes : 1, c->pool, stream);
    if (error == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        reclaim(c);
        error = cudaMallocFromPoolAsync(&data, bytes ? bytes : 1, c->pool, stream);
    }
    if (error == cudaSuccess && !q)
        error = cudaStreamSynchronize(stream);
    enum hf_status st;
    if (error == cudaErrorMemoryAllocation)
        st = out_of_memory(c, bytes, e);
    else
        st = cuda_check(error, "allocating memory", e);
    if (st == HF_OK) {
        meter_add(&c->meter, bytes);
        *ret = data;
    }
    if (q)
        cuda_queue_used(q);
    cuda_leave(d, was);
    return st;
}

/* `after` was recorded on a queue, or is waited for by one: it needs no look of its own. */
void cuda_free(struct hf_device *d, void *data, size_t bytes, struct hf_event *after) {
    struct cuda *c = cuda_of(d);
    (void)after;
    meter_take(&c->meter, bytes);
    int was = cuda_enter(d);
    pthread_mutex_lock(&c->lock);
    c->given_back[c->given_backs].data = data;
    c->given_back[c->given_backs].bytes = bytes;
    c->given_backs++;
    c->given_back_bytes += bytes;
    if (c->given_backs == CUDA_RELEASE_BLOCKS || c->given_back_bytes >= CUDA_RELEASE_BYTES)
        cuda_release_all(c);
    pthread_mutex_unlock(&c->lock);
    cuda_leave(d, was);
}

void cuda_memory(struct hf_device *d, int32_t anew, size_t *ret_now, size_t *ret_peak) {
    meter_read(&cuda_of(d)->meter, anew, ret_now, ret_peak);
}
