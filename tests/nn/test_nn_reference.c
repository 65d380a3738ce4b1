/*
 * test_nn_reference.c - networks against vectors that PyTorch computed in float64.
 *
 * reference/make_reference.py writes the cases: every layer and every loss alone, the optimisers,
 * two U-Nets and a gated one. Output, losses, gradient and the parameters after three steps must
 * agree for every instruction set that this machine runs.
 */
#include "nn_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 3
#define LIMIT 1e-5

struct reference {
    char name[64];
    struct hf_net net;
    struct hf_exec_spec spec;
    int weighted;
    float rate;
};

static int index_of(const char *word, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    fail_msg("unknown word \"%s\"", word);
    return -1;
}

static FILE *open_file(const char *name) {
    const char *source = getenv("HEPAFLOW_SOURCE");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/tests/nn/reference/%s", source ? source : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    return f;
}

static void read_layer(FILE *f, struct hf_net *net) {
    static const char *const kinds[] = {"input", "conv", "deconv", "norm",   "act",
                                        "gate",  "pool", "up",     "concat", "add"};
    struct hf_layer l = {0};
    struct hf_error err;
    char kind[32];
    int pad, act;
    assert_int_equal(fscanf(f, "%31s %47s %d", kind, l.name, &l.inputs), 3);
    for (int i = 0; i < l.inputs; i++)
        assert_int_equal(fscanf(f, "%d", &l.input[i]), 1);
    assert_int_equal(fscanf(f, "%d", &l.channels), 1);
    int32_t *triples[] = {l.kernel, l.stride, l.dilation};
    for (int i = 0; i < 9; i++)
        assert_int_equal(fscanf(f, "%d", &triples[i / 3][i % 3]), 1);
    assert_int_equal(fscanf(f, "%d %d %f %f %d", &pad, &act, &l.slope, &l.epsilon, &l.bias), 5);
    l.kind = (enum hf_layer_kind)index_of(kind, kinds, HF_LAYER_KINDS);
    l.pad = (enum hf_pad)pad;
    l.act = (enum hf_act)act;
    if (l.kind == HF_LAYER_INPUT)
        NN_OK(hf_net_init(net, net->dims, l.channels, &err));
    else
        NN_OK(hf_net_add(net, &l, NULL, &err));
}

/* The next case of the file; 0 at its end. */
static int read_case(FILE *f, struct reference *r) {
    static const char *const losses[] = {"l1", "bce", "ce", "dice"};
    static const char *const optimizers[] = {"adam", "sgd"};
    *r = (struct reference){.spec = {.mode = HF_EXEC_TRAIN}};
    int layers;
    char word[32];
    if (fscanf(f, " case %63s %d %d", r->name, &layers, &r->spec.loss_terms) != 3)
        return 0;
    int64_t *s = r->spec.shape;
    struct hf_optimizer *o = &r->spec.optimizer;
    assert_int_equal(fscanf(f, " net %d %ld %ld %ld %ld %ld %d", &r->net.dims, &s[0], &s[1], &s[2],
                            &s[3], &s[4], &r->weighted),
                     7);
    assert_int_equal(fscanf(f, " optimizer %31s %f %f %f %f %f %d %f %f", word, &r->rate, &o->beta1,
                            &o->beta2, &o->epsilon, &o->momentum, &o->nesterov, &o->weight_decay,
                            &o->clip),
                     9);
    o->kind = (enum hf_optimizer_kind)index_of(word, optimizers, HF_OPTS);
    for (int i = 0; i < r->spec.loss_terms; i++) {
        struct hf_loss_term *t = &r->spec.loss[i];
        assert_int_equal(fscanf(f, " loss %31s %f %f", word, &t->factor, &t->pos_weight), 3);
        t->kind = (enum hf_loss_kind)index_of(word, losses, HF_LOSS_KINDS);
    }
    for (int i = 0; i < layers; i++)
        read_layer(f, &r->net);
    return 1;
}

static void read_floats(FILE *f, float *to, int64_t count) {
    assert_int_equal(fread(to, sizeof *to, (size_t)count, f), count);
}

static float *read_new(FILE *f, int64_t count) {
    float *p = nn_alloc((size_t)count * sizeof *p);
    read_floats(f, p, count);
    return p;
}

static void check(const struct reference *c, struct nn_run *r, FILE *f) {
    read_floats(f, r->input.dl.data, nn_count(&r->input));
    read_floats(f, r->target.dl.data, nn_count(&r->target));
    if (c->weighted)
        read_floats(f, r->weight.dl.data, nn_count(&r->weight));
    int losses = 1 + c->spec.loss_terms;
    float *params = read_new(f, r->params), *output = read_new(f, nn_count(&r->output));
    float *loss = read_new(f, STEPS * losses), *gradient = read_new(f, r->params);
    float *after = read_new(f, r->params), *found = nn_alloc((size_t)r->params * sizeof *found);
    nn_set_params(r, params);
    nn_forward(r);
    nn_assert_near(c->name, "output", nn_distance(r->output.dl.data, output, nn_count(&r->output)),
                   LIMIT);
    for (int i = 0; i < STEPS; i++) {
        nn_step(r, c->weighted, c->rate);
        nn_assert_near(c->name, "loss", nn_distance(r->loss.dl.data, loss + i * losses, losses),
                       LIMIT);
        if (i > 0)
            continue;
        nn_get_gradients(r, found);
        nn_assert_near(c->name, "gradient", nn_distance(found, gradient, r->params), LIMIT);
    }
    nn_get_params(r, found);
    nn_assert_near(c->name, "parameters", nn_distance(found, after, r->params), LIMIT);
    free(params);
    free(output);
    free(loss);
    free(gradient);
    free(after);
    free(found);
}

static void check_all(enum kn_isa isa) {
    FILE *text = open_file("reference.net"), *data = open_file("reference.f32");
    struct cpu_executor *ex;
    struct hf_error err;
    NN_OK(cpu_executor_open(NN_THREADS, &ex, &err));
    struct reference c;
    int cases = 0;
    for (; read_case(text, &c); cases++) {
        struct nn_run r;
        nn_open(&r, ex, isa, &c.net, &c.spec);
        check(&c, &r, data);
        nn_close(&r);
        hf_net_clear(&c.net);
    }
    assert_true(cases > 40);
    assert_int_equal(fgetc(data), EOF);
    cpu_executor_close(ex);
    fclose(text);
    fclose(data);
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
