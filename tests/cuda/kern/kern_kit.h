/*
 * kern_kit.h - operands of the CUDA device's network kernels, for tests against float64.
 *
 * An operand is a view into memory of exactly its size, with rubbish in the channels beside it that
 * must stay; its values are known in float64 as they stand there, rounded to the operand's type. A
 * case (kk_every) runs in every order of threads and blocks that the emulation has: each must be as
 * exact as it says, and give the same bits. Built with the real CUDA, the same program tests the
 * kernels on a GPU, each case as often; without one it is skipped (exit status 77).
 */
#ifndef TESTS_CUDA_KERN_KIT_H
#define TESTS_CUDA_KERN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../plugins/cuda/nn/kern.h"

/* How an operand lies: kernels take vectors of 16 bytes of the first two, if channels allow. */
enum kk_lie {
    KK_DENSE,
    KK_SLICE,   /* of wider rows, at 16 bytes */
    KK_CROOKED, /* of wider rows of an odd length */
    KK_LIES
};

struct kk_operand {
    struct ck_view view;
    enum ck_type type;
    int64_t rows, c;
    double *value; /* [rows][c]: what was put there */
    unsigned char *memory, *before;
    size_t bytes;
};

/* What a case may ask for: the settings of one run, counted through by kk_every. */
struct kk_setting {
    enum ck_type type;
    enum kk_lie lie;
    int32_t accumulate;
};

/* Calls `run` for each type and lie, without and (if `accumulates`) with accumulation, in every
 * order. `run` makes operands from the start, runs, compares, and frees. */
void kk_every(void (*run)(const struct kk_setting *k, const void *arg), const void *arg,
              int accumulates);

/* Random values, normal, in rows of c channels; freed by kk_every when the run ends. */
struct kk_operand *kk_make(enum ck_type type, enum kk_lie lie, int64_t rows, int64_t c);
/* As often as they ask the same: small numbers of which many are equal. */
struct kk_operand *kk_make_ties(enum ck_type type, enum kk_lie lie, int64_t rows, int64_t c);
/* Of one channel: above 0 in about that share of the rows, else 0. */
struct kk_operand *kk_make_map(enum ck_type type, enum kk_lie lie, int64_t rows, double share);
/* Dense memory of a run: random floats (normal; scaled, then shifted), zeros, rubbish. */
float *kk_floats(int64_t count, double scale, double shift);
void *kk_zeros(size_t bytes);
void *kk_scratch(size_t bytes);
double *kk_doubles(int64_t count);
double kk_normal(void);
double kk_uniform(void);

/* Waits for the kernels; what was enqueued must have gone well. */
void *kk_stream(void);
void kk_finish(enum hf_status status);

/* What stands in an operand now. */
double kk_get(const struct kk_operand *o, int64_t row, int64_t c);
/* Relative difference in the L2 norm from [rows][c] in float64: within `limit` for f32, within
 * rounding for bf16; nothing beside the operand has changed. Its bits join those of the run. */
void kk_expect(const struct kk_operand *o, const double *expected, double limit);
void kk_expect_floats(const float *got, const double *expected, int64_t count, double limit);
/* The same bytes in every order. */
void kk_same(const void *data, size_t bytes);
/* An operand that was only read. */
void kk_untouched(const struct kk_operand *o);

/* 1 where a real GPU runs the kernels. */
int kk_gpu(void);
/* 1 where larger cases are worth while: see kit_large in ../kit.h. */
static inline int kk_large(void) {
    return kk_gpu() && !getenv("HEPAFLOW_SMALL");
}
/* Whether there is a GPU, if it takes one. */
int kk_ready(void);
#define KK_RUN(tests) (kk_ready() ? cmocka_run_group_tests(tests, NULL, NULL) : 77)

#endif
