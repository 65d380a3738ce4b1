/**
 * op_call.h - tensors in plain memory and an op's launch, for the tests of ops. op_cpu.c launches
 * the CPU's ops; the same tests run with CUDA's.
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

/** One launch of the op, with exactly as much scratch as it asks for, filled with rubbish. */
enum hf_status op_try(const char *op, const struct hf_op_call *call, struct hf_error *e);
/** The op, which must succeed. */
void op_run(const char *op, const struct hf_op_call *call);

/** Runs the tests; the program's exit status. */
#define OP_TESTS(tests) (op_open() ? op_close(cmocka_run_group_tests(tests, NULL, NULL)) : OP_SKIP)
#define OP_SKIP         77
int op_open(void);
int op_close(int failed);

#endif
