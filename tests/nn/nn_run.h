/*
 * nn_run.h - one compiled network with its tensors, as the tests use it.
 */
#ifndef TESTS_NN_RUN_H
#define TESTS_NN_RUN_H

#include "../../engine/nn/net.h"
#include "../../plugins/cpu/nn/nn.h"

/* The thread sanitizer does not see libgomp's barriers: one thread then, and skip what needs more.
 */
#ifdef __SANITIZE_THREAD__
#define NN_THREADS 1
#else
#define NN_THREADS 2
#endif
#define NN_MAX_LOSSES (1 + HF_MAX_LOSS_TERMS)

struct nn_run {
    struct cpu_executor *executor;
    struct hf_executable *x;
    int64_t params; /* floats */
    struct hf_tensor input, output, target, weight, loss;
};

/* The services that a device asks for when it compiles. */
const struct hf_host *nn_host(void);
/* That the run is being stopped, once a device has asked so often; 0: never. */
void nn_stop_after(int layers);

/* Compiles; fails the running test if that fails. Tensors are zeroed, weights are 1. */
void nn_open(struct nn_run *r, struct cpu_executor *ex, enum kn_isa isa, const struct hf_net *net,
             const struct hf_exec_spec *spec);
void nn_close(struct nn_run *r);

/* Each waits for its end and fails the test on an error. */
void nn_forward(struct nn_run *r);
void nn_step(struct nn_run *r, int weighted, float rate);
void nn_evaluate(struct nn_run *r, int weighted);
void nn_set_params(struct nn_run *r, const float *params);
void nn_get_params(struct nn_run *r, float *params);
void nn_get_gradients(struct nn_run *r, float *gradients);
void nn_get_average(struct nn_run *r, float *params);

/* Uniform in [low, high), the same for one seed everywhere. */
void nn_fill(float *data, int64_t count, uint64_t seed, float low, float high);
void *nn_alloc(size_t bytes);
int64_t nn_count(const struct hf_tensor *t);
/* |a - b| / |b|, Euclidean; |a - b| where b is 0. */
double nn_distance(const float *a, const float *b, int64_t count);
/* assert_true that says what it found. */
void nn_assert_near(const char *name, const char *what, double distance, double limit);
void nn_assert_ok(enum hf_status s, const struct hf_error *e, const char *file, int line);
#define NN_OK(call) nn_assert_ok(call, &err, __FILE__, __LINE__)

/* Instruction sets that this machine runs; at least KN_SCALAR. */
int nn_isas(enum kn_isa ret[KN_ISAS]);

#endif
