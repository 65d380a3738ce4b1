/*
 * test_nn_reference.c - networks against vectors that PyTorch computed in float64.
 *
 * reference/make_reference.py writes the cases: every layer and every loss alone, the optimisers,
 * two U-Nets and a gated one. Output, losses, gradient and the parameters after three steps must
 * agree for every instruction set that this machine runs.
 */
#include "cases.h"
#include "nn_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 1e-5

static void check(const struct reference *c, struct nn_run *r) {
    float *found = nn_alloc((size_t)c->params * sizeof *found);
    memcpy(r->input.dl.data, c->input, r->input.bytes);
    memcpy(r->target.dl.data, c->target, r->target.bytes);
    if (c->weighted)
        memcpy(r->weight.dl.data, c->weight, r->weight.bytes);
    nn_set_params(r, c->before);
    nn_forward(r);
    nn_assert_near(c->name, "output",
                   nn_distance(r->output.dl.data, c->output, nn_count(&r->output)), LIMIT);
    for (int i = 0; i < REFERENCE_STEPS; i++) {
        nn_step(r, c->weighted, c->rate);
        nn_assert_near(c->name, "loss",
                       nn_distance(r->loss.dl.data, c->loss + i * c->losses, c->losses), LIMIT);
        if (i > 0)
            continue;
        nn_get_gradients(r, found);
        nn_assert_near(c->name, "gradient", nn_distance(found, c->gradient, c->params), LIMIT);
    }
    nn_get_params(r, found);
    nn_assert_near(c->name, "parameters", nn_distance(found, c->after, c->params), LIMIT);
    if (c->average) {
        nn_get_average(r, found);
        nn_assert_near(c->name, "average", nn_distance(found, c->average, c->params), LIMIT);
    }
    free(found);
}

static void check_all(enum kn_isa isa) {
    struct reference_file file;
    struct cpu_executor *ex;
    struct hf_error err;
    NN_OK(cpu_executor_open(NN_THREADS, &ex, &err));
    reference_open(&file);
    struct reference c;
    int cases = 0;
    for (; reference_next(&file, &c); cases++) {
        struct nn_run r;
        nn_open(&r, ex, isa, &c.net, &c.spec);
        assert_int_equal(r.params, c.params);
        check(&c, &r);
        nn_close(&r);
        reference_clear(&c);
    }
    assert_true(cases > 60);
    cpu_executor_close(ex);
    reference_close(&file);
}

static void test_scalar(void **state) {
    (void)state;
    check_all(KN_SCALAR);
}

static void test_avx2(void **state) {
    (void)state;
    if (!kn_select(KN_AVX2))
        skip();
    check_all(KN_AVX2);
}

static void test_avx512(void **state) {
    (void)state;
    if (!kn_select(KN_AVX512))
        skip();
    check_all(KN_AVX512);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalar),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx512),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
