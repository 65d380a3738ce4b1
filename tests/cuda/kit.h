/*
 * kit.h - a CUDA op beside the CPU's op of the same name, on the same operands.
 *
 *     struct hf_tensor *in = kit_volume(HF_F32, 1, 4, 8, 8), *out = kit_volume(HF_F32, 1, 4, 8, 8);
 *     ... fill in ...
 *     struct hf_op_call call = KIT_CALL(in, out, params);
 *     kit_compare("invert.voxels", &call, &(struct kit_limits){.max = 1e-6, .l2 = 1e-7});
 *     kit_free(in); kit_free(out);
 *     ...
 *     int main(void) { ... return KIT_RUN("invert", tests); }
 *
 * The CUDA modules are the emulated ones of this build, or, where HEPAFLOW_CUDA_MODULES lists
 * folders (with ':' between) that hold the real cuda.so and <stage>.cuda.so, those on a real GPU;
 * the program is then skipped (exit status 77) on a machine without one. Tensors are in host memory
 * either way. Outputs begin as rubbish and lie, as does scratch, between guards; inputs must stay
 * as they were. Everything but what returns a status fails the running cmocka test by itself.
 */
#ifndef TESTS_CUDA_KIT_H
#define TESTS_CUDA_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hepaflow/hepaflow.h>

/* How far the CUDA op's floats may be from the CPU's; all zero: the same values. Infinities and
 * NaNs must stand in the same places. Integers are the same in the emulation. */
struct kit_limits {
    double max;    /* of the largest difference, relative to the largest value of the CPU */
    double l2;     /* of the differences' L2 norm, relative to that of the CPU's values */
    int64_t flips; /* integers that a real GPU may give otherwise: thresholds behind its libm */
    uint32_t keep; /* outputs, a bit each, that begin as given: ops that write parts of them */
};

struct hf_tensor *kit_tensor(enum hf_dtype dtype, int32_t ndim, const int64_t *shape);
/* [C,D,H,W] */
struct hf_tensor *kit_volume(enum hf_dtype dtype, int64_t c, int64_t d, int64_t h, int64_t w);
void kit_free(struct hf_tensor *t);
/* Floats in [low, high); integers from low to high - 1; the same in every program. */
void kit_random(struct hf_tensor *t, double low, double high, uint64_t seed);

/* A call with one input, one output and a struct of parameters; add to it as needed. */
#define KIT_CALL(input, output, parameters)                                                        \
    {                                                                                              \
        .in = {input}, .out = {output}, .inputs = 1, .outputs = 1, .params = &(parameters),        \
        .params_size = sizeof(parameters)                                                          \
    }

/* Both, and the comparison; the CUDA op's results end in the outputs. An output that is also an
 * input (the same tensor) is worked on in place, and ends there too. */
void kit_compare(const char *op, const struct hf_op_call *call, const struct kit_limits *limits);
/* One side alone. CUDA: several times, in every order of blocks and threads that the emulation has,
 * which must give the same bits. */
void kit_cuda(const char *op, const struct hf_op_call *call, uint32_t keep);
void kit_cpu(const char *op, const struct hf_op_call *call, uint32_t keep);
/* One launch of the CUDA op, its outputs forgotten: for calls that it must refuse. */
enum hf_status kit_cuda_status(const char *op, const struct hf_op_call *call, struct hf_error *e);
/* 1 where a real GPU runs the ops. */
int kit_gpu(void);
/* 1 where larger cases are worth while: on a GPU, but not under a tool that slows it down a hundred
 * times. */
static inline int kit_large(void) {
    return kit_gpu() && !getenv("HEPAFLOW_SMALL");
}
/* The CUDA device, real or emulated, and the host's services; NULL where there is no device. */
struct hf_device *kit_device(void);
const struct hf_host *kit_host(void);

/* Loads both modules of one more stage. */
void kit_load(const char *stage);

#define KIT_SKIP 77

/* Opens the modules of a stage (NULL: the shared ops alone), runs the tests, closes. */
#define KIT_RUN(stage, tests)                                                                      \
    (kit_open(stage) ? kit_close(cmocka_run_group_tests(tests, NULL, NULL)) : KIT_SKIP)
int kit_open(const char *stage);
int kit_close(int failed);

#endif
