/**
 * op_call.h - tensors in plain memory, and an op's launch with scratch, for the tests of ops.
 */
#ifndef TESTS_OP_CALL_H
#define TESTS_OP_CALL_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hepaflow/hepaflow.h>

/** A [1,D,H,W] tensor in memory of its own; free its `dl.data`. */
static inline struct hf_tensor *op_tensor(enum hf_dtype dtype, int64_t c, int64_t d, int64_t h,
                                          int64_t w) {
    struct hf_tensor *t = calloc(1, sizeof *t);
    assert_non_null(t);
    int64_t shape[4] = {c, d, h, w};
    memcpy(t->shape, shape, sizeof shape);
    t->dtype = dtype;
    t->dl.ndim = 4;
    t->dl.shape = t->shape;
    t->bytes = (size_t)(c * d * h * w) * hf_dtype_size(dtype);
    t->dl.data = malloc(t->bytes);
    assert_non_null(t->dl.data);
    memset(t->dl.data, 0xa5, t->bytes);
    return t;
}

static inline void op_tensor_free(struct hf_tensor *t) {
    free(t->dl.data);
    free(t);
}

/** Launches with exactly as much scratch as the op asks for, filled with rubbish. */
static inline enum hf_status op_launch(const struct hf_op *op, const struct hf_op_call *call,
                                       struct hf_error *e) {
    size_t bytes = op->scratch ? op->scratch(call) : 0;
    void *scratch = NULL;
    if (bytes > 0) {
        scratch = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
        assert_non_null(scratch);
        memset(scratch, 0xff, bytes);
    }
    enum hf_status st = op->launch(call, scratch, NULL, e);
    free(scratch);
    return st;
}

/** The same, and the op must succeed. */
static inline void op_run(const struct hf_op *op, const struct hf_op_call *call) {
    struct hf_error e = {0};
    if (op_launch(op, call, &e) != HF_OK)
        fail_msg("%s", e.text);
}

#endif
