/*
 * test_nn_winograd.c - convolutions that pay by Winograd's algorithm, beside plain sums in float64.
 *
 * Where oneDNN has no such algorithm, or the machine no AVX-512, the same sums check what runs
 * instead.
 */
#include "nn_run.h"
#include "../../plugins/cpu/nn/dnnl.h"
#include "../../plugins/cpu/nn/winograd.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PROBES 1500
#define LIMIT  1e-5 /* Euclidean; it finds 6e-7 to 8e-7, 3e-7 to 4e-7 with direct sums */

static struct hf_error err;

static struct nn_conv_spec spec(int64_t n, int64_t ci, int64_t co, int64_t h, int64_t w, int pad,
                                int bias) {
    struct nn_conv_spec c = {.name = "conv",
                             .dims = 2,
                             .taps = 1,
                             .bias = bias,
                             .train = 1,
                             .data_gradient = 1,
                             .n = n,
                             .ci = ci,
                             .co = co,
                             .in = {1, h, w},
                             .out = {1, h + 2 * pad - 2, w + 2 * pad - 2},
                             .kernel = {1, 3, 3},
                             .stride = {1, 1, 1},
                             .dilation = {1, 1, 1},
                             .pad_low = {0, pad, pad},
                             .pad_high = {0, pad, pad}};
    return c;
}

/* Everything that the three passes read and write. */
struct data {
    struct nn_conv_spec c;
    int64_t in, out, weights; /* elements */
    float *x, *y, *dx, *dy, *w, *dw, *bias, *dbias;
};

static float *values(int64_t n, uint64_t seed) {
    float *p = nn_alloc((size_t)n * sizeof *p);
    nn_fill(p, n, seed, -1, 1);
    return p;
}

static void data_make(struct data *d, const struct nn_conv_spec *c) {
    *d = (struct data){.c = *c,
                       .in = c->n * c->ci * c->in[1] * c->in[2],
                       .out = c->n * c->co * c->out[1] * c->out[2],
                       .weights = c->co * c->ci * 9};
    d->x = values(d->in, 1);
    d->dy = values(d->out, 2);
    d->w = values(d->weights, 3);
    d->bias = values(c->co, 4);
    d->y = values(d->out, 5); /* to be overwritten, as the others below */
    d->dx = values(d->in, 6);
    d->dw = values(d->weights, 7);
    d->dbias = values(c->co, 8);
}

static void data_free(struct data *d) {
    float *all[8] = {d->x, d->y, d->dx, d->dy, d->w, d->dw, d->bias, d->dbias};
    for (int i = 0; i < 8; i++)
        free(all[i]);
}

/* Runs all passes; the number of them that Winograd's algorithm computed. */
static int run(struct data *d) {
    struct dn_context *ctx;
    struct dn_conv *conv;
    int found = 0;
    NN_OK(dn_context_new(&ctx, &err));
    NN_OK(dn_conv_new(ctx, &d->c, &conv, &err));
    const struct dn_buffers buffers[NN_PASSES] = {
        {.src = d->x, .dst = d->y, .weight = d->w, .bias = d->bias},
        {.src = d->dy, .dst = d->dx, .weight = d->w},
        {.src = d->x, .dst = d->dy, .weight = d->dw, .bias = d->dbias}};
    size_t size = 64;
    for (int pass = 0; pass < NN_PASSES; pass++) {
        size_t own = dn_conv_scratch(conv, (enum nn_pass)pass);
        size = own > size ? own : size;
    }
    char *scratch = aligned_alloc(64, size);
    assert_non_null(scratch);
    memset(scratch, 0xff, size); /* NaN: nothing may be read before it is written */
    for (int pass = 0; pass < NN_PASSES; pass++) {
        struct dn_buffers b = buffers[pass];
        b.scratch = scratch;
        NN_OK(dn_conv_bind(conv, (enum nn_pass)pass, &b, &err));
        found += strstr(dn_conv_impl(conv, (enum nn_pass)pass), "wino") != NULL;
    }
    NN_OK(dn_conv_refresh(conv, &err));
    for (int pass = 0; pass < NN_PASSES; pass++) {
        memset(scratch, 0xff, size);
        NN_OK(dn_conv_run(conv, (enum nn_pass)pass, &err));
    }
    free(scratch);
    dn_conv_free(conv);
    dn_context_free(ctx);
    return found;
}

/* ---- plain sums ---- */

static int64_t in_at(const struct data *d, int64_t n, int64_t h, int64_t w, int64_t c) {
    return ((n * d->c.in[1] + h) * d->c.in[2] + w) * d->c.ci + c;
}

static int64_t out_at(const struct data *d, int64_t n, int64_t h, int64_t w, int64_t c) {
    return ((n * d->c.out[1] + h) * d->c.out[2] + w) * d->c.co + c;
}

static double output(const struct data *d, int64_t at) {
    const struct nn_conv_spec *c = &d->c;
    int64_t o = at % c->co, w = at / c->co % c->out[2], h = at / c->co / c->out[2] % c->out[1];
    int64_t n = at / c->co / c->out[2] / c->out[1];
    double sum = c->bias ? (double)d->bias[o] : 0;
    for (int64_t k = 0; k < 9; k++) {
        int64_t y = h + k / 3 - c->pad_low[1], x = w + k % 3 - c->pad_low[2];
        for (int64_t i = 0; y >= 0 && y < c->in[1] && x >= 0 && x < c->in[2] && i < c->ci; i++)
            sum += (double)d->w[(o * c->ci + i) * 9 + k] * (double)d->x[in_at(d, n, y, x, i)];
    }
    return sum;
}

static double data_gradient(const struct data *d, int64_t at) {
    const struct nn_conv_spec *c = &d->c;
    int64_t i = at % c->ci, w = at / c->ci % c->in[2], h = at / c->ci / c->in[2] % c->in[1];
    int64_t n = at / c->ci / c->in[2] / c->in[1];
    double sum = 0;
    for (int64_t k = 0; k < 9; k++) {
        int64_t y = h - k / 3 + c->pad_low[1], x = w - k % 3 + c->pad_low[2];
        for (int64_t o = 0; y >= 0 && y < c->out[1] && x >= 0 && x < c->out[2] && o < c->co; o++)
            sum += (double)d->w[(o * c->ci + i) * 9 + k] * (double)d->dy[out_at(d, n, y, x, o)];
    }
    return sum;
}

static double weight_gradient(const struct data *d, int64_t at) {
    const struct nn_conv_spec *c = &d->c;
    int64_t k = at % 9, i = at / 9 % c->ci, o = at / 9 / c->ci;
    double sum = 0;
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t h = 0; h < c->out[1]; h++)
            for (int64_t w = 0; w < c->out[2]; w++) {
                int64_t y = h + k / 3 - c->pad_low[1], x = w + k % 3 - c->pad_low[2];
                if (y >= 0 && y < c->in[1] && x >= 0 && x < c->in[2])
                    sum +=
                        (double)d->x[in_at(d, n, y, x, i)] * (double)d->dy[out_at(d, n, h, w, o)];
            }
    return sum;
}

static double bias_gradient(const struct data *d, int64_t at) {
    double sum = 0;
    for (int64_t k = at; k < d->out; k += d->c.co)
        sum += (double)d->dy[k];
    return sum;
}

/* At `probes` places that are spread over all, the distance of the whole of them. */
static void compare(const struct data *d, const char *what, const float *got, int64_t count,
                    int64_t probes, double (*expected)(const struct data *, int64_t)) {
    double off = 0, norm = 0;
    for (int64_t p = 0; p < probes; p++) {
        int64_t at = (p * 2654435761 + 17) % count;
        double e = expected(d, at), difference = (double)got[at] - e;
        off += difference * difference;
        norm += e * e;
    }
    char name[96];
    (void)snprintf(name, sizeof name, "%dx%d->%d %dx%d", (int)d->c.n, (int)d->c.ci, (int)d->c.co,
                   (int)d->c.in[1], (int)d->c.in[2]);
    nn_assert_near(name, what, sqrt(off / norm), LIMIT);
}

static void check(const struct data *d) {
    compare(d, "output", d->y, d->out, PROBES, output);
    compare(d, "data gradient", d->dx, d->in, PROBES, data_gradient);
    compare(d, "weight gradient", d->dw, d->weights, 60, weight_gradient);
    if (d->c.bias)
        compare(d, "bias gradient", d->dbias, d->c.co, d->c.co, bias_gradient);
}

/* ---- tests ---- */

/* Whether this oneDNN on this machine has the algorithm at all. */
static int available(void) {
    struct data d;
    struct nn_conv_spec c = spec(2, 64, 64, 32, 32, 1, 0);
    data_make(&d, &c);
    int found = run(&d);
    data_free(&d);
    assert_true(found == 0 || found == NN_PASSES);
    return found != 0;
}

static void sums_are_right(void **state) {
    (void)state;
    const struct nn_conv_spec cases[] = {
        spec(2, 64, 64, 32, 32, 1, 0),   /* the batch at once */
        spec(2, 32, 48, 33, 47, 1, 1),   /* sides that tiles do not divide */
        spec(3, 64, 32, 30, 41, 0, 0),   /* no border */
        spec(6, 32, 32, 99, 128, 1, 0),  /* three parts */
        spec(3, 32, 32, 128, 128, 1, 1), /* parts forward, but one for the bias */
    };
    const int64_t parts[] = {1, 1, 1, 3, 3};
    int expected = available() ? NN_PASSES : 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data d;
        assert_true(winograd_pays(&cases[i]));
        assert_int_equal(winograd_parts(&cases[i], NN_FORWARD), parts[i]);
        data_make(&d, &cases[i]);
        assert_int_equal(run(&d), expected);
        check(&d);
        data_free(&d);
    }
    assert_int_equal(winograd_parts(&cases[4], NN_BACKWARD_WEIGHTS), 1);
}

static void bits_are_the_same(void **state) {
    (void)state;
    struct nn_conv_spec c = spec(6, 32, 32, 99, 128, 1, 0);
    struct data a, b;
    data_make(&a, &c);
    data_make(&b, &c);
    run(&a);
    for (int i = 0; i < 3; i++) {
        run(&b);
        assert_memory_equal(a.y, b.y, (size_t)a.out * sizeof(float));
        assert_memory_equal(a.dx, b.dx, (size_t)a.in * sizeof(float));
        assert_memory_equal(a.dw, b.dw, (size_t)a.weights * sizeof(float));
    }
    data_free(&a);
    data_free(&b);
}

static void environment_turns_it_off(void **state) {
    (void)state;
    struct nn_conv_spec c = spec(2, 64, 64, 32, 32, 1, 0);
    struct data d;
    char text[160];
    data_make(&d, &c);
    assert_null(strstr(dn_describe(text, sizeof text), "no Winograd"));
    assert_int_equal(setenv("HEPAFLOW_WINOGRAD", "0", 1), 0);
    assert_int_equal(run(&d), 0);
    check(&d);
    assert_non_null(strstr(dn_describe(text, sizeof text), "no Winograd"));
    assert_int_equal(unsetenv("HEPAFLOW_WINOGRAD"), 0);
    data_free(&d);
}

static void other_shapes_are_direct(void **state) {
    (void)state;
    struct nn_conv_spec wide = spec(1, 64, 64, 64, 64, 1, 0), c;
    assert_true(winograd_pays(&wide));
    c = wide, c.ci = 16; /* too few channels for the copies */
    assert_false(winograd_pays(&c));
    c = wide, c.co = 40;
    assert_false(winograd_pays(&c));
    c = wide, c.out[1] = c.out[2] = 16; /* too few tiles */
    assert_false(winograd_pays(&c));
    c = wide, c.stride[1] = 2;
    assert_false(winograd_pays(&c));
    c = wide, c.dilation[2] = 2;
    assert_false(winograd_pays(&c));
    c = wide, c.kernel[2] = 1;
    assert_false(winograd_pays(&c));
    c = wide, c.pad_high[1] = 2;
    assert_false(winograd_pays(&c));
    c = wide, c.dims = 3;
    assert_false(winograd_pays(&c));
    c = wide, c.taps = 4;
    assert_false(winograd_pays(&c));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_right), cmocka_unit_test(bits_are_the_same),
        cmocka_unit_test(environment_turns_it_off), cmocka_unit_test(other_shapes_are_direct)};
    (void)unsetenv("HEPAFLOW_WINOGRAD");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
