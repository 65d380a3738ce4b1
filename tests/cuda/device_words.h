/**
 * device_words.h - the CUDA device that test_device.c tests: its methods in short words that fail
 * the running test, and ops that show what happens when, of which one copies through its scratch.
 */
#ifndef TESTS_CUDA_DEVICE_WORDS_H
#define TESTS_CUDA_DEVICE_WORDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define MIB   ((size_t)1 << 20)
#define LARGE (3 * MIB + MIB / 2 + 12345) /* several pieces, the last one short */

static struct {
    void *module;
    const struct hf_device_class *cls;
    struct harness *harness;
    struct hf_device *device;
    const struct hf_device_methods *m;
    /* CUDA's functions, as the module has them; error codes are ints here */
    int (*memset_async)(void *data, int value, size_t bytes, void *stream);
    int (*memcpy_async)(void *to, const void *from, size_t bytes, int kind, void *stream);
    int (*memory)(size_t *free_bytes, size_t *total);
    int (*set_device)(int device);
    int (*get_device)(int *device);
    /* NULL on a GPU */
    const char *(*fault)(void);
    void (*limit)(size_t bytes);
    size_t (*used)(void);
    size_t (*most_used)(void);
    void (*fail_on)(void *stream);
} cu;

static void must(enum hf_status st, const struct hf_error *e) {
    if (st != HF_OK)
        fail_msg("status %d: %s", (int)st, e->text);
}

/* ---- ops of these tests ---- */

#define DEVICE_TO_DEVICE 3

static enum hf_status fill_launch(const struct hf_op_call *c, void *scratch, void *stream,
                                  struct hf_error *e) {
    (void)scratch;
    int error =
        cu.memset_async(c->out[0]->dl.data, *(const int *)c->params, c->out[0]->bytes, stream);
    return error ? hf_fail(e, HF_IO, "fill: error %d", error) : HF_OK;
}

/* Through the scratch. */
static enum hf_status copy_launch(const struct hf_op_call *c, void *scratch, void *stream,
                                  struct hf_error *e) {
    size_t n = c->out[0]->bytes;
    if ((uintptr_t)scratch % 64 != 0)
        return hf_fail(e, HF_INVALID, "scratch is not aligned");
    int error = cu.memcpy_async(scratch, c->in[0]->dl.data, n, DEVICE_TO_DEVICE, stream);
    if (!error)
        error = cu.memcpy_async(c->out[0]->dl.data, scratch, n, DEVICE_TO_DEVICE, stream);
    return error ? hf_fail(e, HF_IO, "copy: error %d", error) : HF_OK;
}

static size_t copy_scratch(const struct hf_op_call *c) {
    return c->out[0]->bytes;
}

static enum hf_status refuse_launch(const struct hf_op_call *c, void *scratch, void *stream,
                                    struct hf_error *e) {
    (void)c;
    (void)scratch;
    (void)stream;
    return hf_fail(e, HF_INVALID, "refused");
}

static enum hf_status broken_launch(const struct hf_op_call *c, void *scratch, void *stream,
                                    struct hf_error *e) {
    (void)c;
    (void)scratch;
    (void)e;
    cu.fail_on(stream);
    return HF_OK;
}

static const struct hf_op fill = {"fill", HF_KIND_CUDA, fill_launch, NULL};
static const struct hf_op copy = {"copy", HF_KIND_CUDA, copy_launch, copy_scratch};
static const struct hf_op refuse = {"refuse", HF_KIND_CUDA, refuse_launch, copy_scratch};
static const struct hf_op broken = {"broken", HF_KIND_CUDA, broken_launch, NULL};

/* ---- short words for the methods ---- */

static struct hf_queue *queue(void) {
    struct hf_error e;
    struct hf_queue *q = NULL;
    must(cu.m->queue_new(cu.device, &q, &e), &e);
    return q;
}

static void queue_free(struct hf_queue *q) {
    cu.m->queue_free(cu.device, q);
}

static void *take(struct hf_queue *q, size_t bytes) {
    struct hf_error e;
    void *p = NULL;
    must(cu.m->alloc(cu.device, q, bytes, &p, &e), &e);
    assert_int_equal((uintptr_t)p % 64, 0);
    return p;
}

static void give(void *p, size_t bytes) {
    cu.m->free(cu.device, p, bytes, NULL);
}

static void move(struct hf_queue *q, void *dst, const void *src, size_t bytes) {
    struct hf_error e;
    must(cu.m->copy(cu.device, q, dst, src, bytes, &e), &e);
}

static enum hf_status launch(struct hf_queue *q, const struct hf_op *op, void *out, const void *in,
                             size_t bytes, int value, struct hf_error *e) {
    struct hf_tensor o = {.dl = {.data = out}, .bytes = bytes};
    struct hf_tensor i = {.dl = {.data = (void *)(uintptr_t)in}, .bytes = bytes};
    struct hf_op_call call = {.in = {&i},
                              .out = {&o},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &value,
                              .params_size = sizeof value};
    return cu.m->launch(cu.device, q, op, &call, e);
}

static void set(struct hf_queue *q, void *out, size_t bytes, int value) {
    struct hf_error e;
    must(launch(q, &fill, out, NULL, bytes, value, &e), &e);
}

static void pass(struct hf_queue *q, void *out, const void *in, size_t bytes) {
    struct hf_error e;
    must(launch(q, &copy, out, in, bytes, 0, &e), &e);
}

static struct hf_event *record(struct hf_queue *q) {
    struct hf_error e;
    struct hf_event *ev = NULL;
    must(cu.m->record(cu.device, q, &ev, &e), &e);
    return ev;
}

static void wait_for(struct hf_queue *q, struct hf_event *ev) {
    struct hf_error e;
    must(cu.m->wait(cu.device, q, ev, &e), &e);
}

static void sync_event(struct hf_event *ev) {
    struct hf_error e;
    must(cu.m->sync(cu.device, ev, &e), &e);
}

static void drain(struct hf_queue *q) {
    struct hf_event *ev = record(q);
    if (!ev)
        return;
    sync_event(ev);
    cu.m->event_unref(cu.device, ev);
}

static unsigned char *noise(size_t bytes, uint32_t seed) {
    unsigned char *p = malloc(bytes);
    assert_non_null(p);
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (unsigned char)(seed >> 24);
    }
    return p;
}

#endif
