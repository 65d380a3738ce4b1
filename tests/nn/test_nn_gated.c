/*
 * test_nn_gated.c - `gated_unet` with gated, partial and plain convolutions, as its plugin
 * describes it, against the float64 computation: output, loss, and gradients by numeric
 * differences. What a hole holds is no matter to partial ones alone.
 */
#include "nn_run.h"
#include "ref64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../plugins/gated_unet/gated_unet.c"

#define LIMIT      1e-5
#define PROBES     12 /* parameters whose gradient is found by differences */
#define DIFFERENCE 1e-6

static enum hf_status net_new(int32_t dims, int32_t channels, struct hf_net **ret,
                              struct hf_error *e) {
    *ret = nn_alloc(sizeof **ret);
    return hf_net_init(*ret, dims, channels, e);
}

static struct hf_net *describe(const struct options *o) {
    const struct hf_host host = {.net_new = net_new, .net_add = hf_net_add};
    struct hf_error err = {0};
    struct hf_net *net = NULL;
    NN_OK(build(&host, o, 2, 1, &net, &err));
    return net;
}

static double *widen(const struct hf_tensor *t) {
    double *to = nn_alloc((size_t)nn_count(t) * sizeof *to);
    for (int64_t i = 0; i < nn_count(t); i++)
        to[i] = (double)HF_DATA(float, t)[i];
    return to;
}

/* What is known of a network in float64: for its parameters at `probes`, the gradient. */
struct expected {
    const struct hf_net *net;
    const struct hf_exec_spec *spec;
    double *params, *input, *target, *weight;
    float *output, loss[2], gradient[PROBES];
};

static int64_t probe(const struct nn_run *r, int i) {
    return i * r->params / PROBES;
}

static double loss_of(const struct expected *x, double *terms) {
    return ref64_total(x->net, x->spec, x->params, x->input, x->target, x->weight, terms);
}

static void solve(struct expected *x, const struct nn_run *r, const float *params) {
    int64_t shape[5];
    double term = 0;
    x->params = nn_alloc((size_t)r->params * sizeof *x->params);
    for (int64_t i = 0; i < r->params; i++)
        x->params[i] = (double)params[i];
    x->input = widen(&r->input);
    x->target = widen(&r->target);
    x->weight = widen(&r->weight);
    double *z = ref64_forward(x->net, x->spec->shape, x->params, x->input, shape);
    assert_memory_equal(shape, r->output.shape, sizeof shape);
    x->output = nn_alloc((size_t)nn_count(&r->output) * sizeof *x->output);
    for (int64_t i = 0; i < nn_count(&r->output); i++)
        x->output[i] = (float)z[i];
    free(z);
    x->loss[0] = (float)loss_of(x, &term);
    x->loss[1] = (float)term;
    for (int i = 0; i < PROBES; i++) {
        double *k = &x->params[probe(r, i)], keep = *k, at[2];
        for (int side = 0; side < 2; side++) {
            *k = keep + (side ? DIFFERENCE : -DIFFERENCE);
            at[side] = loss_of(x, NULL);
        }
        *k = keep;
        x->gradient[i] = (float)((at[1] - at[0]) / (2 * DIFFERENCE));
    }
}

/* The image, and a hole of some blocks. */
static void fill(struct nn_run *r) {
    int64_t w = r->input.shape[4], plane = r->input.shape[3] * w;
    float *data = r->input.dl.data;
    nn_fill(data, nn_count(&r->input), 2, -1, 1);
    for (int64_t i = 0; i < plane; i++)
        data[plane + i] = i % w / 5 % 3 == 1 && i / w / 6 % 2 == 0;
    nn_fill(r->target.dl.data, nn_count(&r->target), 3, 0, 1);
    nn_fill(r->weight.dl.data, nn_count(&r->weight), 4, 0, 2);
}

static void compare(const char *name, struct nn_run *r, const struct expected *x,
                    const float *params) {
    nn_set_params(r, params);
    nn_forward(r);
    nn_assert_near(name, "output", nn_distance(r->output.dl.data, x->output, nn_count(&r->output)),
                   LIMIT);
    nn_step(r, 1, 0.0f);
    nn_assert_near(name, "loss", nn_distance(r->loss.dl.data, x->loss, 2), LIMIT);
    float *all = nn_alloc((size_t)r->params * sizeof *all), found[PROBES];
    nn_get_gradients(r, all);
    for (int i = 0; i < PROBES; i++)
        found[i] = all[probe(r, i)];
    nn_assert_near(name, "gradient", nn_distance(found, x->gradient, PROBES), 10 * LIMIT);
    free(all);
}

/* Whether other values in the hole change the output. */
static int sees_the_hole(struct nn_run *r) {
    int64_t count = nn_count(&r->output), plane = r->input.shape[3] * r->input.shape[4];
    float *data = r->input.dl.data, *before = nn_alloc((size_t)count * sizeof *before);
    memcpy(before, r->output.dl.data, (size_t)count * sizeof *before);
    for (int64_t i = 0; i < plane; i++)
        data[i] += data[plane + i] > 0 ? 0.5f : 0;
    nn_forward(r);
    int changed = memcmp(before, r->output.dl.data, (size_t)count * sizeof *before) != 0;
    free(before);
    return changed;
}

/* Without the kinks of activations, over which rounding tips some voxels. */
static void check(const char *name, int32_t kind, int32_t reflect, int64_t h, int64_t w) {
    const struct options o = {.width = 2,
                              .hole_channel = 1,
                              .conv = kind,
                              .norm = 1,
                              .reflect = reflect,
                              .output = OUTPUT_NONE,
                              .slope = 1};
    struct hf_net *net = describe(&o);
    const struct hf_exec_spec spec = {.mode = HF_EXEC_TRAIN,
                                      .shape = {1, 2, 1, h, w},
                                      .loss_terms = 1,
                                      .loss = {{.kind = HF_LOSS_BCE, .factor = 1, .pos_weight = 1}},
                                      .optimizer = {.kind = HF_OPT_SGD}};
    struct hf_error err = {0};
    struct cpu_executor *ex;
    enum kn_isa isa[KN_ISAS];
    struct expected x = {.net = net, .spec = &spec};
    float *params = NULL;
    NN_OK(cpu_executor_open(NN_THREADS, &ex, &err));
    int count = nn_isas(isa);
    for (int i = 0; i < count; i++) {
        struct nn_run r;
        nn_open(&r, ex, isa[i], net, &spec);
        fill(&r);
        if (i == 0) {
            params = nn_alloc((size_t)r.params * sizeof *params);
            nn_fill(params, r.params, 1, -0.4f, 0.6f);
            solve(&x, &r, params);
        }
        compare(name, &r, &x, params);
        assert_int_equal(sees_the_hole(&r), kind != CONV_PARTIAL);
        nn_close(&r);
    }
    free(params);
    free(x.params);
    free(x.input);
    free(x.target);
    free(x.weight);
    free(x.output);
    cpu_executor_close(ex);
    hf_net_clear(net);
    free(net);
}

static void gated(void **state) {
    (void)state;
    check("gated", CONV_GATED, 0, 24, 20);
    check("gated, mirrored", CONV_GATED, 1, 68, 72);
}

static void partial(void **state) {
    (void)state;
    check("partial", CONV_PARTIAL, 0, 24, 20);
    check("partial, mirrored", CONV_PARTIAL, 1, 68, 72);
}

static void plain(void **state) {
    (void)state;
    check("plain", CONV_PLAIN, 0, 24, 20);
    check("plain, mirrored", CONV_PLAIN, 1, 68, 72);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gated),
        cmocka_unit_test(partial),
        cmocka_unit_test(plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
