/*
 * copy.c - copies between host and GPU through page-locked blocks, in a queue's order.
 *
 * To the GPU: each piece is put into a block at once and the GPU fetches it in its turn. To the
 * host: one block serves the copy piece by piece, filled by the GPU and emptied by a host function,
 * all in the stream's order. A block is taken again when its event has happened. There are only so
 * many; whoever finds none waits for the oldest, which depends on nothing that is yet to come.
 */
#include "state.h"

#include <stdlib.h>
#include <string.h>

void cuda_staging_open(struct cuda *c) {
    (void)pthread_mutex_init(&c->staging.lock, NULL);
    (void)pthread_cond_init(&c->staging.returned, NULL);
}

void cuda_staging_close(struct cuda *c) {
    struct staging *s = &c->staging;
    for (int i = 0; i < s->made; i++) {
        (void)cudaEventSynchronize(s->block[i].free);
        (void)cudaEventDestroy(s->block[i].free);
        (void)cudaFreeHost(s->block[i].data);
    }
    (void)pthread_cond_destroy(&s->returned);
    (void)pthread_mutex_destroy(&s->lock);
}

static enum hf_status block_make(struct staging_block *b, struct hf_error *e) {
    enum hf_status st =
        cuda_check(cudaHostAlloc(&b->data, CUDA_STAGING_BYTES, cudaHostAllocDefault),
                   "locking host memory for copies", e);
    if (st != HF_OK)
        return st;
    st = cuda_check(
        cudaEventCreateWithFlags(&b->free, cudaEventDisableTiming | cudaEventBlockingSync),
        "making an event", e);
    if (st != HF_OK)
        (void)cudaFreeHost(b->data);
    return st;
}

/* Moves the blocks whose work is done to the idle ones. */
static void collect(struct staging *s) {
    int kept = 0;
    for (int i = 0; i < s->flights; i++)
        if (cudaEventQuery(s->block[s->flight[i]].free) == cudaSuccess)
            s->idle[s->idles++] = s->flight[i];
        else
            s->flight[kept++] = s->flight[i];
    s->flights = kept;
    (void)cudaGetLastError();
}

static void block_put(struct staging *s, int i) {
    pthread_mutex_lock(&s->lock);
    s->flight[s->flights++] = i;
    (void)pthread_cond_signal(&s->returned);
    pthread_mutex_unlock(&s->lock);
}

static enum hf_status block_take(struct staging *s, int *ret, struct hf_error *e) {
    enum hf_status st = HF_OK;
    int oldest = -1;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (s->idles == 0)
            collect(s);
        if (s->idles > 0) {
            *ret = s->idle[--s->idles];
            break;
        }
        if (s->made < CUDA_STAGING_BLOCKS) {
            st = block_make(&s->block[s->made], e);
            if (st == HF_OK)
                *ret = s->made++;
            break;
        }
        if (s->flights > 0) {
            *ret = oldest = s->flight[0];
            memmove(s->flight, s->flight + 1, (size_t)--s->flights * sizeof *s->flight);
            break;
        }
        (void)pthread_cond_wait(&s->returned, &s->lock); /* other threads hold them all */
    }
    pthread_mutex_unlock(&s->lock);
    if (oldest >= 0)
        st = cuda_check(cudaEventSynchronize(s->block[oldest].free), "a copy enqueued before", e);
    if (oldest >= 0 && st != HF_OK)
        block_put(s, oldest);
    return st;
}

/* The block is free when what is on the stream now is done. */
static enum hf_status block_return(struct staging *s, int i, cudaStream_t stream,
                                   struct hf_error *e) {
    enum hf_status st = cuda_check(cudaEventRecord(s->block[i].free, stream), "a copy", e);
    block_put(s, i);
    return st;
}

static enum hf_status copy_in(struct cuda *c, cudaStream_t stream, char *dst, const char *src,
                              size_t bytes, struct hf_error *e) {
    struct staging *s = &c->staging;
    enum hf_status st = HF_OK;
    while (st == HF_OK && bytes > 0) {
        size_t n = bytes < CUDA_STAGING_BYTES ? bytes : CUDA_STAGING_BYTES;
        int i = -1;
        st = block_take(s, &i, e);
        if (st != HF_OK)
            return st;
        memcpy(s->block[i].data, src, n);
        st = cuda_check(cudaMemcpyAsync(dst, s->block[i].data, n, cudaMemcpyHostToDevice, stream),
                        "copying to the GPU", e);
        enum hf_status back = block_return(s, i, stream, st == HF_OK ? e : NULL);
        st = st == HF_OK ? back : st;
        dst += n;
        src += n;
        bytes -= n;
    }
    return st;
}

/* On one of CUDA's threads, between two pieces of a copy. */
static void unload(void *arg) {
    struct staging_block *b = arg;
    size_t n = b->left < CUDA_STAGING_BYTES ? b->left : CUDA_STAGING_BYTES;
    memcpy(b->to, b->data, n);
    b->to += n;
    b->left -= n;
}

static enum hf_status copy_out(struct cuda *c, cudaStream_t stream, char *dst, const char *src,
                               size_t bytes, struct hf_error *e) {
    struct staging *s = &c->staging;
    int i = -1;
    enum hf_status st = block_take(s, &i, e);
    if (st != HF_OK)
        return st;
    struct staging_block *b = &s->block[i];
    b->to = dst;
    b->left = bytes;
    while (st == HF_OK && bytes > 0) {
        size_t n = bytes < CUDA_STAGING_BYTES ? bytes : CUDA_STAGING_BYTES;
        st = cuda_check(cudaMemcpyAsync(b->data, src, n, cudaMemcpyDeviceToHost, stream),
                        "copying from the GPU", e);
        if (st == HF_OK)
            st = cuda_check(cudaLaunchHostFunc(stream, unload, b), "copying from the GPU", e);
        src += n;
        bytes -= n;
    }
    enum hf_status back = block_return(s, i, stream, st == HF_OK ? e : NULL);
    st = st == HF_OK ? back : st;
    if (st != HF_OK)
        (void)cudaStreamSynchronize(stream); /* no piece may reach the host after this */
    return st;
}

static enum hf_status memory_type(const void *p, enum cudaMemoryType *ret, struct hf_error *e) {
    struct cudaPointerAttributes at;
    enum hf_status st = cuda_check(cudaPointerGetAttributes(&at, p), "looking up an address", e);
    if (st == HF_OK)
        *ret = at.type;
    return st;
}

enum hf_status cuda_copy(struct hf_device *d, struct hf_queue *q, void *dst, const void *src,
                         size_t bytes, struct hf_error *e) {
    struct cuda *c = cuda_of(d);
    enum cudaMemoryType to = cudaMemoryTypeUnregistered, from = cudaMemoryTypeUnregistered;
    if (bytes == 0)
        return HF_OK;
    int was = cuda_enter(d);
    enum hf_status st = memory_type(dst, &to, e);
    if (st == HF_OK)
        st = memory_type(src, &from, e);
    if (st == HF_OK) {
        if (to == cudaMemoryTypeUnregistered && from == cudaMemoryTypeDevice)
            st = copy_out(c, q->stream, dst, src, bytes, e);
        else if (to == cudaMemoryTypeDevice && from == cudaMemoryTypeUnregistered)
            st = copy_in(c, q->stream, dst, src, bytes, e);
        else
            st = cuda_check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, q->stream),
                            "copying", e);
        cuda_queue_used(q);
    }
    cuda_leave(d, was);
    return st;
}
