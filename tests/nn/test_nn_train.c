/*
 * test_nn_train.c - what training promises: frozen layers stay, averages follow, supervised layers
 * count in training alone, and the same bits for any number of threads.
 */
#include "nn_run.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hf_error err;

/* "enc.conv", "enc.norm" and "enc.act", a head of half the size, and "dec.conv" on what is above
 * both: 3 channels leave each. */
static void build(struct hf_net *net, float supervise) {
    int32_t x, high, low;
    NN_OK(hf_net_init(net, 2, 2, &err));
    NN_OK(hf_net_conv(net, "enc.conv", 0, 6, 3, 1, 1, &x, &err));
    NN_OK(hf_net_norm(net, "enc.norm", x, 1e-5f, &x, &err));
    NN_OK(hf_net_act(net, "enc.act", x, HF_ACT_LEAKY, 0.1f, &high, &err));
    NN_OK(hf_net_simple(net, HF_LAYER_POOL, "pool", high, 2, &low, &err));
    NN_OK(hf_net_conv(net, "head.deep", low, 40, 3, 1, 1, &x, &err));
    NN_OK(hf_net_conv(net, "head", x, 3, 1, 1, 1, &x, &err));
    net->layer[x].supervise = supervise;
    NN_OK(hf_net_conv(net, "dec.conv", high, 3, 3, 1, 1, NULL, &err));
}

static const struct hf_exec_spec spec_train = {
    .mode = HF_EXEC_TRAIN,
    .shape = {2, 2, 1, 12, 10},
    .loss_terms = 3,
    .loss = {{.kind = HF_LOSS_CE, .factor = 1},
             {.kind = HF_LOSS_TVERSKY, .factor = 0.5f, .alpha = 0.3f, .beta = 0.7f, .first = 1},
             {.kind = HF_LOSS_FOCAL, .factor = 2, .pos_weight = 3, .gamma = 2, .first = 2}},
    .optimizer = {.kind = HF_OPT_ADAMW,
                  .beta1 = 0.9f,
                  .beta2 = 0.99f,
                  .epsilon = 1e-6f,
                  .weight_decay = 0.1f}};

struct setting {
    struct cpu_executor *executor;
    struct hf_net net;
    struct nn_run run;
    float *params, *found;
};

static void open_net(struct setting *s, float supervise, const struct hf_exec_spec *spec) {
    NN_OK(cpu_executor_open(NN_THREADS, &s->executor, &err));
    build(&s->net, supervise);
    nn_open(&s->run, s->executor, KN_AUTO, &s->net, spec);
    s->params = nn_alloc((size_t)s->run.params * sizeof *s->params);
    s->found = nn_alloc((size_t)s->run.params * sizeof *s->found);
    nn_fill(s->params, s->run.params, 1, -0.4f, 0.6f);
    nn_set_params(&s->run, s->params);
    nn_fill(s->run.input.dl.data, nn_count(&s->run.input), 2, -1, 1);
    nn_fill(s->run.target.dl.data, nn_count(&s->run.target), 3, 0, 1);
    nn_fill(s->run.weight.dl.data, nn_count(&s->run.weight), 4, 0, 2);
}

static void close_net(struct setting *s) {
    nn_close(&s->run);
    cpu_executor_close(s->executor);
    hf_net_clear(&s->net);
    free(s->params);
    free(s->found);
}

/* Calls `check` with the floats of every parameter, and whether its layer's name begins so. */
static void each_param(const struct setting *s, const char *prefix,
                       void (*check)(const struct setting *s, int64_t first, int64_t count,
                                     int begins)) {
    struct hf_param *param;
    int32_t params;
    int64_t total;
    NN_OK(hf_net_params(&s->net, &param, &params, &total, &err));
    for (int32_t p = 0; p < params; p++)
        check(s, param[p].offset, param[p].count,
              strncmp(param[p].name, prefix, strlen(prefix)) == 0);
    free(param);
}

static void moved(const struct setting *s, int64_t first, int64_t count, int begins) {
    const float *a = s->found + first, *b = s->params + first;
    if (begins)
        for (int64_t i = 0; i < count; i++)
            assert_true(a[i] != b[i]);
    else
        assert_memory_equal(a, b, (size_t)count * sizeof *a);
}

static void has_gradient(const struct setting *s, int64_t first, int64_t count, int begins) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += fabs((double)s->found[first + i]);
    if (begins)
        assert_true(sum > 0);
    else
        assert_true(sum == 0);
}

/* Decay, momentum and all leave frozen parameters as they are; the losses are those of before. */
static void test_frozen(void **state) {
    (void)state;
    static const char *const prefix[] = {"enc", "enc.norm", "head", "dec.conv"};
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++) {
        struct setting s, all;
        struct hf_exec_spec spec = spec_train;
        open_net(&all, 0.5f, &spec);
        (void)snprintf(spec.trained, sizeof spec.trained, "%s", prefix[i]);
        open_net(&s, 0.5f, &spec);
        nn_step(&all.run, 1, 1e-2f);
        nn_step(&s.run, 1, 1e-2f);
        assert_memory_equal(s.run.loss.dl.data, all.run.loss.dl.data, s.run.loss.bytes);
        nn_get_gradients(&s.run, s.found);
        each_param(&s, prefix[i], has_gradient);
        nn_get_gradients(&all.run, all.found);
        for (int64_t k = 0; k < s.run.params; k++) /* what is computed is the same */
            if (s.found[k] != 0)
                assert_true(fabsf(s.found[k] - all.found[k]) <=
                            1e-5f * fabsf(all.found[k]) + 1e-7f);
        for (int step = 0; step < 3; step++)
            nn_step(&s.run, 1, 1e-2f);
        nn_get_params(&s.run, s.found);
        each_param(&s, prefix[i], moved);
        close_net(&s);
        close_net(&all);
    }
}

/* a = d a + (1 - d) x after each step, from what set_params sets, whenever it does, with a smaller
 * d in the first steps from there. */
static void test_average(void **state) {
    (void)state;
    struct setting s;
    struct hf_exec_spec spec = spec_train;
    spec.optimizer.average = 0.25f; /* from the third step on; 3 / 12 in the second */
    open_net(&s, 0.5f, &spec);
    double *expected = nn_alloc((size_t)s.run.params * sizeof *expected);
    float *average = nn_alloc((size_t)s.run.params * sizeof *average);
    for (int round = 0; round < 2; round++) {
        nn_set_params(&s.run, s.params);
        nn_get_average(&s.run, average);
        assert_memory_equal(average, s.params, (size_t)s.run.params * sizeof *average);
        for (int64_t i = 0; i < s.run.params; i++)
            expected[i] = (double)s.params[i];
        for (int step = 0; step < 4; step++) {
            nn_evaluate(&s.run, 1);
            nn_step(&s.run, 1, 1e-1f);
            nn_get_params(&s.run, s.found);
            double decay = step == 0 ? 2.0 / 11 : 0.25;
            for (int64_t i = 0; i < s.run.params; i++)
                expected[i] = decay * expected[i] + (1 - decay) * (double)s.found[i];
            nn_get_average(&s.run, average);
            for (int64_t i = 0; i < s.run.params; i++)
                assert_true(fabs(expected[i] - (double)average[i]) < 1e-6);
        }
    }
    assert_true(nn_distance(average, s.found, s.run.params) > 1e-3);
    free(average);
    free(expected);
    close_net(&s);
    open_net(&s, 0.5f, &spec_train);
    assert_int_equal(s.run.x->methods->get_average(s.run.x, s.found, &err), HF_INVALID);
    assert_non_null(strstr(err.text, "without an average"));
    close_net(&s);
}

/* With the same parameters again, the same steps bring the same bits only if no moment and no count
 * of steps is left. */
static void test_reset(void **state) {
    (void)state;
    struct setting s;
    struct hf_exec_spec spec = spec_train;
    for (int kind = 0; kind < HF_OPTS; kind++) {
        spec.optimizer.kind = (enum hf_optimizer_kind)kind;
        spec.optimizer.momentum = 0.9f;
        open_net(&s, 0.5f, &spec);
        size_t bytes = (size_t)s.run.params * sizeof *s.found;
        float *first = nn_alloc(bytes);
        for (int round = 0; round < 3; round++) {
            if (round == 2)
                assert_int_equal(s.run.x->methods->reset(s.run.x, &err), HF_OK);
            nn_set_params(&s.run, s.params);
            for (int step = 0; step < 3; step++)
                nn_step(&s.run, 1, 1e-2f);
            nn_get_params(&s.run, round == 0 ? first : s.found);
            if (round > 0)
                assert_int_equal(memcmp(first, s.found, bytes) == 0, round == 2);
        }
        free(first);
        close_net(&s);
    }
    spec = spec_train;
    spec.mode = HF_EXEC_FORWARD;
    open_net(&s, 0, &spec);
    assert_int_equal(s.run.x->methods->reset(s.run.x, &err), HF_INVALID);
    close_net(&s);
}

/* Total and terms as the interface says, by an evaluation and by a step. */
static void test_heads_count_in_the_total(void **state) {
    (void)state;
    struct setting with, without;
    open_net(&with, 0.5f, &spec_train);
    open_net(&without, 0, &spec_train);
    float loss[NN_MAX_LOSSES];
    nn_evaluate(&with.run, 1);
    nn_evaluate(&without.run, 1);
    memcpy(loss, with.run.loss.dl.data, with.run.loss.bytes);
    const float *plain = without.run.loss.dl.data;
    assert_true(loss[0] > plain[0] + 0.1f);
    assert_memory_equal(loss + 1, plain + 1, 3 * sizeof *loss);
    assert_true(fabsf(plain[0] - (plain[1] + 0.5f * plain[2] + 2 * plain[3])) < 1e-5f);
    nn_step(&with.run, 1, 1e-2f);
    assert_memory_equal(with.run.loss.dl.data, loss, with.run.loss.bytes);
    close_net(&with);
    close_net(&without);
}

/* A forward executable neither computes heads that nothing needs nor asks for their size. */
static void test_heads_are_left_out_of_forward(void **state) {
    (void)state;
    struct setting with, without;
    struct hf_exec_spec spec = spec_train;
    spec.mode = HF_EXEC_FORWARD;
    size_t arena[2], total[2];
    open_net(&with, 0.5f, &spec);
    open_net(&without, 0, &spec);
    with.run.x->methods->memory(with.run.x, &arena[0], &total[0]);
    without.run.x->methods->memory(without.run.x, &arena[1], &total[1]);
    assert_int_equal(arena[0], arena[1]);
    nn_forward(&with.run);
    nn_forward(&without.run);
    assert_memory_equal(with.run.output.dl.data, without.run.output.dl.data, with.run.output.bytes);
    close_net(&with);
    close_net(&without);
    spec.mode = HF_EXEC_TRAIN;
    open_net(&with, 0.5f, &spec); /* in training it computes the same output, and more */
    nn_forward(&with.run);
    with.run.x->methods->memory(with.run.x, &arena[0], &total[0]);
    assert_true(arena[0] > arena[1]);
    close_net(&with);
}

/* ---- any number of threads ---- */

enum {
    N = 2,
    S = 5000,
    C = 5,
    PARAMS = 30000
};

static void run_losses(const struct kn_table *k, const float *z, const float *target, float *dz,
                       float *out) {
    struct loss_group group[HF_MAX_LOSS_TERMS];
    int32_t groups = loss_groups_of(spec_train.loss, spec_train.loss_terms, C, group);
    assert_int_equal(groups, 3);
    for (int32_t i = 0; i < groups; i++) {
        float *at = nn_alloc((size_t)(N * S * C) * sizeof *at);
        memcpy(at, z, (size_t)(N * S * C) * sizeof *at);
        struct kn_loss a = {.n = N,
                            .s = S,
                            .c = C,
                            .z = {at, C},
                            .dz = {dz, C},
                            .target = target,
                            .group = group[i],
                            .scale = 0.5f,
                            .accumulate = i > 0,
                            .adds = i > 0,
                            .tells = 1,
                            .out = out,
                            .scratch = nn_alloc(kn_loss_scratch(N, S, group[i].channels))};
        k->loss(&a);
        free(a.scratch);
        free(at);
    }
}

static void run_update(const struct kn_table *k, const float *grad, float *vector) {
    static const struct up_range range[2] = {{3, 12000}, {12345, PARAMS - 12345}};
    struct hf_optimizer o = spec_train.optimizer;
    o.clip = 1;
    o.average = 0.9f;
    struct kn_update u = {.count = PARAMS,
                          .param = vector,
                          .m = vector + PARAMS,
                          .v = vector + 2 * PARAMS,
                          .average = vector + 3 * PARAMS,
                          .grad = grad,
                          .range = range,
                          .ranges = 2,
                          .optimizer = &o,
                          .done = {1, 1},
                          .rate = 0.1f,
                          .scratch = nn_alloc(kn_update_scratch(PARAMS))};
    k->update(&u);
    free(u.scratch);
}

static void test_threads_give_same_bits(void **state) {
    (void)state;
    const struct kn_table *k = kn_select(KN_AUTO);
    int before = omp_get_max_threads();
    int64_t count = N * S * C;
    float *z = nn_alloc((size_t)count * sizeof *z), *t = nn_alloc((size_t)count * sizeof *t);
    float *dz[2], *vector[2], out[2][NN_MAX_LOSSES] = {{0}};
    nn_fill(z, count, 1, -3, 3);
    nn_fill(t, count, 2, 0, 1);
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i ? 2 * NN_THREADS - 1 : 1);
        dz[i] = nn_alloc((size_t)count * sizeof *z);
        vector[i] = nn_alloc(4 * PARAMS * sizeof *vector[i]);
        nn_fill(vector[i], PARAMS, 3, -1, 1);
        run_losses(k, z, t, dz[i], out[i]);
        run_update(k, z, vector[i]);
    }
    omp_set_num_threads(before);
    assert_memory_equal(dz[0], dz[1], (size_t)count * sizeof *z);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    assert_memory_equal(vector[0], vector[1], 4 * PARAMS * sizeof *vector[0]);
    assert_true(out[0][0] > 0 && out[0][3] > 0);
    for (int i = 0; i < 2; i++) {
        free(dz[i]);
        free(vector[i]);
    }
    free(z);
    free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_heads_count_in_the_total),
        cmocka_unit_test(test_heads_are_left_out_of_forward),
        cmocka_unit_test(test_threads_give_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
