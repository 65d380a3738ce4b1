/*
 * nn_run.c - one compiled network with its tensors, as the tests use it.
 */
#include "nn_run.h"

#include <hepaflow/rng.h>

#include <math.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void nn_assert_ok(enum hf_status s, const struct hf_error *e, const char *file, int line) {
    if (s != HF_OK)
        fail_msg("%s:%d: %s", file, line, e->text);
}

void *nn_alloc(size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    assert_non_null(p);
    return p;
}

void nn_fill(float *data, int64_t count, uint64_t seed, float low, float high) {
    struct hf_rng rng = hf_rng_init(seed, "test", "", 0);
    for (int64_t i = 0; i < count; i++)
        data[i] = low + (high - low) * hf_rng_uniform(&rng);
}

int64_t nn_count(const struct hf_tensor *t) {
    return hf_tensor_count(t);
}

static enum hf_status net_copy(const struct hf_net *net, struct hf_net **ret, struct hf_error *e) {
    struct hf_net *copy = nn_alloc(sizeof *copy);
    enum hf_status s = hf_net_copy(copy, net, e);
    if (s == HF_OK)
        *ret = copy;
    else
        free(copy);
    return s;
}

static void net_free(struct hf_net *net) {
    if (net)
        hf_net_clear(net);
    free(net);
}

static atomic_int asked, stop_after;

static int stopping(const struct hf_host *h) {
    (void)h;
    int limit = atomic_load(&stop_after);
    return limit > 0 && atomic_fetch_add(&asked, 1) >= limit;
}

void nn_stop_after(int layers) {
    atomic_store(&asked, 0);
    atomic_store(&stop_after, layers);
}

const struct hf_host *nn_host(void) {
    static const struct hf_host host = {.abi = HF_ABI_VERSION,
                                        .size = sizeof host,
                                        .net_free = net_free,
                                        .net_shapes = hf_net_shapes,
                                        .net_params = hf_net_params,
                                        .free_ = free,
                                        .net_check = hf_net_check,
                                        .spec_check = hf_exec_spec_check,
                                        .net_copy = net_copy,
                                        .stopping = stopping};
    return &host;
}

static struct hf_tensor tensor(const int64_t *shape, int32_t ndim) {
    struct hf_tensor t = {.dtype = HF_F32};
    t.dl.ndim = ndim;
    memcpy(t.shape, shape, (size_t)ndim * sizeof *shape);
    t.bytes = (size_t)hf_tensor_count(&t) * sizeof(float);
    t.dl.data = nn_alloc(t.bytes);
    return t;
}

void nn_open(struct nn_run *r, struct cpu_executor *ex, enum kn_isa isa, const struct hf_net *net,
             const struct hf_exec_spec *spec) {
    struct hf_error err = {0};
    *r = (struct nn_run){.executor = ex};
    NN_OK(cpu_nn_compile_for(ex, isa, nn_host(), net, spec, &r->x, &err));
    int64_t(*shape)[5] = nn_alloc((size_t)net->layers * sizeof *shape);
    NN_OK(hf_net_shapes(net, spec->shape, shape, &err));
    const int64_t *out = shape[net->layers - 1];
    int64_t weight[5] = {out[0], 1, out[2], out[3], out[4]}, losses = 1 + spec->loss_terms;
    r->input = tensor(spec->shape, 5);
    r->output = tensor(out, 5);
    r->target = tensor(out, 5);
    r->weight = tensor(weight, 5);
    r->loss = tensor(&losses, 1);
    free(shape);
    for (int64_t i = 0; i < nn_count(&r->weight); i++)
        HF_DATA(float, &r->weight)[i] = 1.0f;
    struct hf_param *param;
    int32_t params;
    NN_OK(hf_net_params(net, &param, &params, &r->params, &err));
    free(param);
}

void nn_close(struct nn_run *r) {
    struct hf_tensor *t[] = {&r->input, &r->output, &r->target, &r->weight, &r->loss};
    r->x->methods->destroy(r->x);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        cpu_event_unref(t[i]->ready);
        free(t[i]->dl.data);
    }
}

void nn_forward(struct nn_run *r) {
    struct hf_error err = {0};
    NN_OK(r->x->methods->forward(r->x, &r->input, &r->output, &err));
    NN_OK(cpu_event_sync(r->output.ready, &err));
}

void nn_step(struct nn_run *r, int weighted, float rate) {
    struct hf_error err = {0};
    NN_OK(r->x->methods->step(r->x, &r->input, &r->target, weighted ? &r->weight : NULL, rate,
                              &r->loss, &err));
    NN_OK(cpu_event_sync(r->loss.ready, &err));
}

void nn_evaluate(struct nn_run *r, int weighted) {
    struct hf_error err = {0};
    NN_OK(r->x->methods->evaluate(r->x, &r->input, &r->target, weighted ? &r->weight : NULL,
                                  &r->loss, &err));
    NN_OK(cpu_event_sync(r->loss.ready, &err));
}

void nn_set_params(struct nn_run *r, const float *params) {
    struct hf_error err = {0};
    NN_OK(r->x->methods->set_params(r->x, params, &err));
}

void nn_get_params(struct nn_run *r, float *params) {
    struct hf_error err = {0};
    NN_OK(r->x->methods->get_params(r->x, params, &err));
}

void nn_get_gradients(struct nn_run *r, float *gradients) {
    struct hf_error err = {0};
    NN_OK(r->x->methods->get_gradients(r->x, gradients, &err));
}

void nn_get_average(struct nn_run *r, float *params) {
    struct hf_error err = {0};
    NN_OK(r->x->methods->get_average(r->x, params, &err));
}

double nn_distance(const float *a, const float *b, int64_t count) {
    double d = 0, n = 0;
    for (int64_t i = 0; i < count; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        n += (double)b[i] * (double)b[i];
    }
    return n > 0 ? sqrt(d / n) : sqrt(d);
}

void nn_assert_near(const char *name, const char *what, double distance, double limit) {
    if (!(distance <= limit))
        fail_msg("%s: %s differs by %.3g; at most %.3g is allowed", name, what, distance, limit);
}

int nn_isas(enum kn_isa ret[KN_ISAS]) {
    int count = 0;
    for (int i = KN_SCALAR; i < KN_ISAS; i++)
        if (kn_select((enum kn_isa)i))
            ret[count++] = (enum kn_isa)i;
    return count;
}
