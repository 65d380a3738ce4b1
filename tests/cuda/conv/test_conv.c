/*
 * test_conv.c - convolutions of conv.h against float64: forward by the definition, gradients as
 * what every element of x and w adds to the output, weighed by dy (a convolution is linear in
 * both). Compiled over the emulation, and over cuDNN; the latter is skipped without a GPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime.h>

#include "../../../plugins/cuda/nn/conv.h"
#include "../../harness.h"

struct sizes {
    const char *name;
    int32_t dims, bias;
    int64_t n, ci, co, in[3];
    int32_t kernel[3], stride[3], dilation[3];
};

static const struct sizes cases[] = {
    {"plain", 2, 1, 2, 3, 4, {1, 7, 6}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}},
    {"aligned", 2, 1, 1, 8, 16, {1, 6, 8}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}},
    {"pad after only", 2, 0, 1, 2, 3, {1, 5, 6}, {1, 2, 2}, {1, 1, 1}, {1, 1, 1}},
    {"stride 2", 2, 1, 2, 2, 3, {1, 8, 7}, {1, 4, 3}, {1, 2, 2}, {1, 1, 1}},
    {"stride beyond kernel", 2, 0, 1, 2, 2, {1, 8, 9}, {1, 1, 2}, {1, 2, 3}, {1, 1, 1}},
    {"dilated", 2, 1, 1, 2, 2, {1, 9, 8}, {1, 3, 3}, {1, 1, 1}, {1, 3, 2}},
    {"one channel", 2, 1, 2, 1, 1, {1, 9, 9}, {1, 7, 7}, {1, 1, 1}, {1, 1, 1}},
    {"pointwise", 2, 1, 2, 5, 1, {1, 4, 4}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
    {"volume", 3, 1, 1, 2, 3, {4, 5, 4}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}},
    {"mixed axes", 3, 0, 2, 1, 2, {4, 6, 5}, {1, 3, 2}, {1, 2, 2}, {1, 1, 1}},
};

enum operand {
    X,
    W,
    Y,
    BIAS,
    OPERANDS
};

struct fixture {
    struct harness *h;
    struct cv_choices *choices;
    struct cv_context *ctx;
    cudaStream_t stream;
};

struct problem {
    struct cv_spec spec;
    int64_t count[OPERANDS];
    double *value[OPERANDS]; /* y: the gradient of it */
};

/* ---- the reference ---- */

static struct cv_spec spec_of(const struct sizes *s, enum hf_precision precision) {
    struct hf_layer l = {.inputs = 1};
    struct cv_spec r = {.name = s->name,
                        .precision = precision,
                        .dims = s->dims,
                        .bias = s->bias,
                        .passes = 7,
                        .n = s->n,
                        .ci = s->ci,
                        .co = s->co};
    for (int a = 0; a < 3; a++) {
        l.kernel[a] = r.kernel[a] = s->kernel[a];
        l.stride[a] = r.stride[a] = s->stride[a];
        l.dilation[a] = r.dilation[a] = s->dilation[a];
        r.in[a] = s->in[a];
        r.out[a] = hf_layer_conv_size(&l, a, s->in[a]);
        hf_layer_conv_pad(&l, a, s->in[a], &r.pad_low[a], &r.pad_high[a]);
    }
    return r;
}

/* One element of the output: what the definition says. */
static double output_at(const struct cv_spec *s, const double *x, const double *w, int64_t n,
                        int64_t d, int64_t h, int64_t v, int64_t o) {
    double sum = 0;
    for (int32_t a = 0; a < s->kernel[0]; a++)
        for (int32_t b = 0; b < s->kernel[1]; b++)
            for (int32_t c = 0; c < s->kernel[2]; c++) {
                int64_t i = d * s->stride[0] - s->pad_low[0] + a * s->dilation[0];
                int64_t j = h * s->stride[1] - s->pad_low[1] + b * s->dilation[1];
                int64_t k = v * s->stride[2] - s->pad_low[2] + c * s->dilation[2];
                if (i < 0 || j < 0 || k < 0 || i >= s->in[0] || j >= s->in[1] || k >= s->in[2])
                    continue;
                const double *px = x + (((n * s->in[0] + i) * s->in[1] + j) * s->in[2] + k) * s->ci;
                const double *pw =
                    w + (((o * s->kernel[0] + a) * s->kernel[1] + b) * s->kernel[2] + c) * s->ci;
                for (int64_t q = 0; q < s->ci; q++)
                    sum += px[q] * pw[q];
            }
    return sum;
}

static void forward(const struct cv_spec *s, const double *x, const double *w, double *y) {
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t d = 0; d < s->out[0]; d++)
            for (int64_t h = 0; h < s->out[1]; h++)
                for (int64_t v = 0; v < s->out[2]; v++)
                    for (int64_t o = 0; o < s->co; o++)
                        *y++ = output_at(s, x, w, n, d, h, v, o);
}

/* The gradient of sum(dy * y) with respect to x or w, element by element. */
static void gradient(const struct problem *p, enum operand of, double *ret) {
    double *unit = calloc((size_t)p->count[of], sizeof *unit);
    double *y = calloc((size_t)p->count[Y], sizeof *y);
    assert_true(unit && y);
    for (int64_t i = 0; i < p->count[of]; i++) {
        unit[i] = 1;
        forward(&p->spec, of == X ? unit : p->value[X], of == W ? unit : p->value[W], y);
        unit[i] = ret[i] = 0;
        for (int64_t k = 0; k < p->count[Y]; k++)
            ret[i] += y[k] * p->value[Y][k];
    }
    free(unit);
    free(y);
}

/* ---- elements ---- */

static uint16_t to_bf16(double value) {
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static double from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static size_t element_size(const struct cv_spec *s) {
    return s->precision == HF_PRECISION_BF16 ? 2 : 4;
}

/* Values that the type can hold, so that only the arithmetic rounds. */
static struct problem problem_new(const struct sizes *sizes, enum hf_precision precision) {
    struct problem p = {.spec = spec_of(sizes, precision)};
    const struct cv_spec *s = &p.spec;
    p.count[X] = s->n * s->ci * s->in[0] * s->in[1] * s->in[2];
    p.count[W] = s->co * s->ci * s->kernel[0] * s->kernel[1] * s->kernel[2];
    p.count[Y] = s->n * s->co * s->out[0] * s->out[1] * s->out[2];
    p.count[BIAS] = s->co;
    struct hf_rng rng = hf_rng_init(66, sizes->name, "conv", 0);
    for (int o = 0; o < OPERANDS; o++) {
        p.value[o] = calloc((size_t)p.count[o], sizeof *p.value[o]);
        assert_non_null(p.value[o]);
        for (int64_t i = 0; i < p.count[o]; i++) {
            double v = (float)(2 * hf_rng_uniform(&rng) - 1);
            p.value[o][i] = precision == HF_PRECISION_BF16 ? from_bf16(to_bf16(v)) : v;
        }
    }
    return p;
}

static void problem_free(struct problem *p) {
    for (int o = 0; o < OPERANDS; o++)
        free(p->value[o]);
}

/* ---- the device's side ---- */

static void *device_new(size_t bytes) {
    void *data = NULL;
    assert_int_equal(cudaMalloc(&data, bytes), cudaSuccess);
    return data;
}

static void upload(struct fixture *f, const struct problem *p, enum operand o, void *to) {
    size_t bytes = (size_t)p->count[o] * element_size(&p->spec);
    void *data = malloc(bytes);
    assert_non_null(data);
    for (int64_t i = 0; i < p->count[o]; i++)
        if (p->spec.precision == HF_PRECISION_BF16)
            ((uint16_t *)data)[i] = to_bf16(p->value[o][i]);
        else
            ((float *)data)[i] = (float)p->value[o][i];
    assert_int_equal(cudaMemcpyAsync(to, data, bytes, cudaMemcpyHostToDevice, f->stream),
                     cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(f->stream), cudaSuccess);
    free(data);
}

static void *download(struct fixture *f, const void *from, size_t bytes) {
    void *data = malloc(bytes);
    assert_non_null(data);
    assert_int_equal(cudaMemcpyAsync(data, from, bytes, cudaMemcpyDeviceToHost, f->stream),
                     cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(f->stream), cudaSuccess);
    return data;
}

/* Runs a pass twice, the first result spoilt in between; the same bits must come. */
static void *run_twice(struct fixture *f, struct cv_conv *c, enum cv_pass pass,
                       const struct cv_buffers *b, void *made, size_t bytes) {
    struct hf_error e = {0};
    void *result[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cudaMemsetAsync(made, 0xFF, bytes, f->stream), cudaSuccess);
        if (cv_conv_run(c, pass, b, &e) != HF_OK)
            fail_msg("%s", e.text);
        result[i] = download(f, made, bytes);
    }
    assert_memory_equal(result[0], result[1], bytes);
    free(result[1]);
    return result[0];
}

static void check_pass(struct fixture *f, const struct problem *p, struct cv_conv *c,
                       enum cv_pass pass) {
    static const double limits[] = {
        [HF_PRECISION_F32] = 2e-6, [HF_PRECISION_TF32] = 2e-3, [HF_PRECISION_BF16] = 5e-3};
    enum operand made = pass == CV_FORWARD ? Y : pass == CV_DATA ? X : W;
    void *data[OPERANDS];
    for (int o = 0; o < OPERANDS; o++) {
        data[o] = device_new((size_t)p->count[o] * element_size(&p->spec));
        upload(f, p, (enum operand)o, data[o]);
    }
    struct cv_buffers b = {data[X], data[W], data[Y], data[BIAS],
                           device_new(cv_workspace(c, pass) + 16)};
    void *found =
        run_twice(f, c, pass, &b, data[made], (size_t)p->count[made] * element_size(&p->spec));
    double *expected = calloc((size_t)p->count[made], sizeof *expected), error = 0, norm = 0;
    assert_non_null(expected);
    if (pass == CV_FORWARD)
        forward(&p->spec, p->value[X], p->value[W], expected);
    else
        gradient(p, made, expected);
    for (int64_t i = 0; i < p->count[made]; i++) {
        if (pass == CV_FORWARD && cv_adds_bias(c))
            expected[i] += p->value[BIAS][i % p->spec.co];
        double got = p->spec.precision == HF_PRECISION_BF16 ? from_bf16(((uint16_t *)found)[i])
                                                            : ((float *)found)[i];
        error += (got - expected[i]) * (got - expected[i]);
        norm += expected[i] * expected[i];
    }
    error = sqrt(error / norm);
    if (!(error <= limits[p->spec.precision]))
        fail_msg("\"%s\", precision %d, pass %d, by %s: off by %g", p->spec.name, p->spec.precision,
                 pass, cv_engine(c, pass), error);
    free(expected);
    free(found);
    for (int o = 0; o < OPERANDS; o++)
        (void)cudaFree(data[o]);
    (void)cudaFree(b.workspace);
}

static void check(struct fixture *f, enum hf_precision precision) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_error e = {0};
        struct problem p = problem_new(&cases[i], precision);
        struct cv_conv *c = NULL;
        if (cv_conv_new(f->ctx, &p.spec, &c, &e) != HF_OK)
            fail_msg("%s", e.text);
        for (int pass = 0; pass < CV_PASSES; pass++) {
            assert_true(cv_engine(c, (enum cv_pass)pass)[0]);
            check_pass(f, &p, c, (enum cv_pass)pass);
        }
        cv_conv_free(c);
        problem_free(&p);
    }
}

static void f32_is_the_definition(void **state) {
    check(*state, HF_PRECISION_F32);
}

static void tf32_is_the_definition(void **state) {
    check(*state, HF_PRECISION_TF32);
}

static void bf16_is_the_definition(void **state) {
    check(*state, HF_PRECISION_BF16);
}

/* By hand: 1 2 3 with weights 10 20 30 and zeros around it, and the bias 5. */
static void known_values_come_out(void **state) {
    struct fixture *f = *state;
    static const struct sizes sizes = {"known", 2,         1,         1,         1,
                                       1,       {1, 1, 3}, {1, 1, 3}, {1, 1, 1}, {1, 1, 1}};
    struct problem p = problem_new(&sizes, HF_PRECISION_F32);
    const double x[] = {1, 2, 3}, w[] = {10, 20, 30}, y[] = {80, 140, 80}, bias = 5;
    memcpy(p.value[X], x, sizeof x);
    memcpy(p.value[W], w, sizeof w);
    p.value[BIAS][0] = bias;
    struct hf_error e = {0};
    struct cv_conv *c = NULL;
    if (cv_conv_new(f->ctx, &p.spec, &c, &e) != HF_OK)
        fail_msg("%s", e.text);
    void *data[OPERANDS];
    for (int o = 0; o < OPERANDS; o++) {
        data[o] = device_new(64);
        upload(f, &p, (enum operand)o, data[o]);
    }
    struct cv_buffers b = {data[X], data[W], data[Y], data[BIAS],
                           device_new(cv_workspace(c, CV_FORWARD) + 16)};
    float *found = run_twice(f, c, CV_FORWARD, &b, data[Y], 3 * sizeof *found);
    for (int i = 0; i < 3; i++)
        assert_true(found[i] == (float)(y[i] + (cv_adds_bias(c) ? bias : 0)));
    free(found);
    for (int o = 0; o < OPERANDS; o++)
        (void)cudaFree(data[o]);
    (void)cudaFree(b.workspace);
    cv_conv_free(c);
    problem_free(&p);
}

static void what_was_not_planned_does_not_run(void **state) {
    struct fixture *f = *state;
    struct cv_spec spec = spec_of(&cases[0], HF_PRECISION_F32);
    spec.passes = 1u << CV_FORWARD;
    struct hf_error e = {0};
    struct cv_conv *c = NULL;
    assert_int_equal(cv_conv_new(f->ctx, &spec, &c, &e), HF_OK);
    assert_string_equal(cv_engine(c, CV_DATA), "");
    assert_int_equal(cv_workspace(c, CV_DATA), 0);
    assert_int_equal(cv_conv_run(c, CV_DATA, &(struct cv_buffers){.x = NULL}, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "plain"));
    cv_conv_free(c);
}

static void sizes_that_do_not_agree_are_refused(void **state) {
    struct fixture *f = *state;
    struct cv_spec spec = spec_of(&cases[0], HF_PRECISION_F32);
    spec.out[1]++;
    struct hf_error e = {0};
    struct cv_conv *c = NULL;
    assert_int_equal(cv_conv_new(f->ctx, &spec, &c, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "plain"));
}

/* ---- */

static int open_all(void **state) {
    static struct fixture f;
    struct hf_error e = {0};
    f.h = harness_open();
    if (setenv("XDG_CACHE_HOME", harness_folder(f.h), 1) != 0 ||
        cudaStreamCreateWithFlags(&f.stream, cudaStreamNonBlocking) != cudaSuccess)
        return 1;
    if (cv_choices_new(harness_host(f.h), &f.choices, &e) != HF_OK ||
        cv_context_new(f.choices, f.stream, &f.ctx, &e) != HF_OK) {
        print_error("%s\n", e.text);
        return 1;
    }
    *state = &f;
    return 0;
}

static int close_all(void **state) {
    struct fixture *f = *state;
    cv_context_free(f->ctx);
    cv_choices_free(f->choices);
    (void)cudaStreamDestroy(f->stream);
    harness_close(f->h);
    return 0;
}

int main(void) {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        print_message("no GPU: skipped\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_come_out),
        cmocka_unit_test(f32_is_the_definition),
        cmocka_unit_test(tf32_is_the_definition),
        cmocka_unit_test(bf16_is_the_definition),
        cmocka_unit_test(what_was_not_planned_does_not_run),
        cmocka_unit_test(sizes_that_do_not_agree_are_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
