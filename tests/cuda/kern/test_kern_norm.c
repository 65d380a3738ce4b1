/*
 * test_kern_norm.c - the CUDA device's instance normalisation and the gradient of a bias, against
 * float64 and, for the backward pass, numeric differences of the forward one.
 */
#include "kern_kit.h"

#include <math.h>

struct shape {
    int64_t n, s, c;
    int32_t affine;
    float slope;
};

/* In float64: y of one sample and channel. */
struct channel {
    double mean, inverse;
};

static struct channel statistics(const double *x, int64_t s, int64_t c) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < s; i++)
        sum += x[i * c];
    for (int64_t i = 0; i < s; i++)
        square += (x[i * c] - sum / (double)s) * (x[i * c] - sum / (double)s);
    return (struct channel){sum / (double)s, 1 / sqrt(square / (double)s + 1e-5)};
}

struct fixture {
    struct ck_norm a;
    struct kk_operand *x;
};

static struct fixture start(const struct kk_setting *k, const struct shape *p) {
    struct fixture f;
    f.x = kk_make(k->type, k->lie, p->n * p->s, p->c);
    f.a = (struct ck_norm){.type = k->type,
                           .n = p->n,
                           .s = p->s,
                           .c = p->c,
                           .x = f.x->view,
                           .epsilon = 1e-5f,
                           .slope = p->slope,
                           .accumulate = k->accumulate};
    if (p->affine) {
        f.a.scale = kk_floats(p->c, 0.5, 1);
        f.a.shift = kk_floats(p->c, 0.5, 0);
        f.a.dscale = kk_scratch((size_t)p->c * sizeof(float));
        f.a.dshift = kk_scratch((size_t)p->c * sizeof(float));
    }
    f.a.stat = kk_scratch((size_t)(p->n * 2 * p->c) * sizeof(float));
    f.a.scratch = kk_scratch(ck_norm_scratch(p->n, p->s, p->c));
    return f;
}

/* y, pre: [n * s][c]; either may be NULL. */
static void reference(const struct fixture *f, const double *x, double *y, double *pre,
                      double *stat) {
    const struct ck_norm *a = &f->a;
    for (int64_t t = 0; t < a->n * a->c; t++) {
        int64_t n = t / a->c, c = t % a->c, first = n * a->s * a->c + c;
        struct channel k = statistics(x + first, a->s, a->c);
        if (stat) {
            stat[n * 2 * a->c + c] = k.mean;
            stat[(n * 2 + 1) * a->c + c] = k.inverse;
        }
        for (int64_t i = first; i < first + a->s * a->c; i += a->c) {
            double v = (x[i] - k.mean) * k.inverse;
            v = a->scale ? v * (double)a->scale[c] + (double)a->shift[c] : v;
            if (pre)
                pre[i] = v;
            if (y)
                y[i] = v > 0 ? v : v * (double)a->slope;
        }
    }
}

static void forward(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct fixture f = start(k, p);
    struct hf_error e;
    double *y = kk_doubles(p->n * p->s * p->c), *stat = kk_doubles(p->n * 2 * p->c);
    reference(&f, f.x->value, y, NULL, stat);
    struct kk_operand *out = kk_make(k->type, k->lie, p->n * p->s, p->c);
    f.a.y = out->view;
    kk_finish(ck_norm_forward(&f.a, kk_stream(), &e));
    kk_expect(out, y, 1e-6);
    kk_untouched(f.x);
    kk_expect_floats(f.a.stat, stat, p->n * 2 * p->c, 1e-6);
    if (k->lie != KK_DENSE)
        return;
    f.a.y = f.x->view; /* in place */
    kk_finish(ck_norm_forward(&f.a, kk_stream(), &e));
    kk_expect(f.x, y, 1e-6);
}

/* The gradient of sum dy y, by the chain rule; leaves the statistics that the kernel reads. */
static void gradient(const struct fixture *f, const double *dy, double *dx, double *dscale,
                     double *dshift) {
    const struct ck_norm *a = &f->a;
    int64_t count = a->n * a->s * a->c;
    double *pre = kk_doubles(count), *stat = kk_doubles(a->n * 2 * a->c);
    reference(f, f->x->value, NULL, pre, stat);
    for (int64_t i = 0; i < a->n * 2 * a->c; i++)
        a->stat[i] = (float)stat[i];
    for (int64_t t = 0; t < a->n * a->c; t++) {
        int64_t n = t / a->c, c = t % a->c, first = n * a->s * a->c + c;
        double mean = stat[n * 2 * a->c + c], inverse = stat[(n * 2 + 1) * a->c + c];
        double sum = 0, product = 0, scale = a->scale ? (double)a->scale[c] : 1;
        for (int64_t i = first; i < first + a->s * a->c; i += a->c) {
            double g = pre[i] > 0 ? dy[i] : dy[i] * (double)a->slope;
            sum += g;
            product += g * (f->x->value[i] - mean) * inverse;
        }
        for (int64_t i = first; i < first + a->s * a->c; i += a->c) {
            double g = pre[i] > 0 ? dy[i] : dy[i] * (double)a->slope;
            double h = (f->x->value[i] - mean) * inverse;
            dx[i] += scale * inverse * (g - sum / (double)a->s - h * product / (double)a->s);
        }
        dscale[c] += product;
        dshift[c] += sum;
    }
}

static void backward(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct fixture f = start(k, p);
    struct hf_error e;
    int64_t rows = p->n * p->s;
    struct kk_operand *dy = kk_make(k->type, k->lie, rows, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, rows, p->c);
    double *expected = kk_doubles(rows * p->c), *scale = kk_doubles(p->c);
    double *shift = kk_doubles(p->c);
    if (k->accumulate)
        memcpy(expected, dx->value, (size_t)(rows * p->c) * sizeof *expected);
    gradient(&f, dy->value, expected, scale, shift);
    f.a.dy = dy->view;
    f.a.dx = dx->view;
    kk_finish(ck_norm_backward(&f.a, kk_stream(), &e));
    kk_expect(dx, expected, 2e-6);
    kk_untouched(f.x);
    kk_untouched(dy);
    if (p->affine) {
        kk_expect_floats(f.a.dscale, scale, p->c, 2e-6);
        kk_expect_floats(f.a.dshift, shift, p->c, 2e-6);
    }
    if (k->accumulate || k->lie != KK_DENSE)
        return;
    f.a.dx = dy->view; /* in place */
    kk_finish(ck_norm_backward(&f.a, kk_stream(), &e));
    kk_expect(dy, expected, 2e-6);
}

/* The reference gradient itself, by differences of sum dy y. */
static void differences(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct fixture f = start(k, p);
    int64_t count = p->n * p->s * p->c;
    struct kk_operand *dy = kk_make(k->type, k->lie, p->n * p->s, p->c);
    double *dx = kk_doubles(count), *y = kk_doubles(count), *x = kk_doubles(count);
    gradient(&f, dy->value, dx, kk_doubles(p->c), kk_doubles(p->c));
    memcpy(x, f.x->value, (size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i += 7) {
        double loss[2] = {0, 0};
        for (int side = 0; side < 2; side++) {
            x[i] = f.x->value[i] + (side ? 1e-5 : -1e-5);
            reference(&f, x, y, NULL, NULL);
            for (int64_t j = 0; j < count; j++)
                loss[side] += dy->value[j] * y[j];
        }
        x[i] = f.x->value[i];
        assert_true(fabs((loss[1] - loss[0]) / 2e-5 - dx[i]) < 1e-4);
    }
}

/* Around the widths of vectors, of a block's lanes and of its rows; more than one block of each. */
static const struct shape shapes[] = {
    {1, 37, 1, 1, 0.01f}, {2, 67, 3, 0, 0.2f},   {3, 1100, 8, 1, 0},
    {2, 263, 32, 1, 1},   {1, 130, 70, 1, 0.1f}, {1, 40, 264, 1, 0.01f},
};

static const struct shape large = {2, 10007, 32, 1, 0.01f};

static void norms_are_the_reference(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        kk_every(forward, &shapes[i], 0);
    if (kk_large())
        kk_every(forward, &large, 0);
}

static void gradients_are_the_reference(void **state) {
    (void)state;
    struct shape small = {2, 9, 3, 1, 0.2f};
    kk_every(differences, &small, 0);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        kk_every(backward, &shapes[i], shapes[i].c < 64);
    if (kk_large())
        kk_every(backward, &large, 1);
}

/* A mean of hundreds of deviations: sums of squares around zero would leave nothing of it. */
static void far_values(const struct kk_setting *k, const void *arg) {
    enum {
        S = 1000,
        C = 4
    };
    (void)arg;
    float *x = kk_zeros(S * C * sizeof *x), *stat = kk_scratch(2 * C * sizeof *stat);
    for (int i = 0; i < S * C; i++)
        x[i] = 1000.0f + (float)(i / C % 10);
    struct ck_norm a = {.type = CK_F32, .n = 1, .s = S, .c = C, .slope = 1, .stat = stat};
    struct hf_error e;
    a.x = a.y = (struct ck_view){x, C};
    a.scratch = kk_scratch(ck_norm_scratch(1, S, C));
    if (k->type != CK_F32 || k->lie != KK_DENSE)
        return;
    kk_finish(ck_norm_forward(&a, kk_stream(), &e));
    for (int c = 0; c < C; c++) {
        assert_float_equal(stat[c], 1004.5f, 1e-4f);
        assert_float_equal(stat[C + c], 1 / sqrtf(8.25f), 1e-6f);
    }
}

static void far_values_keep_their_digits(void **state) {
    (void)state;
    kk_every(far_values, NULL, 0);
}

/* ---- the gradient of a bias ---- */

static void bias_gradient(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct kk_operand *dy = kk_make(k->type, k->lie, p->n * p->s, p->c);
    struct hf_error e;
    struct ck_bias a = {.type = k->type, .rows = dy->rows, .c = p->c, .dy = dy->view};
    a.dbias = kk_scratch((size_t)p->c * sizeof(float));
    a.scratch = kk_scratch(ck_bias_scratch(a.rows, a.c));
    double *expected = kk_doubles(p->c);
    for (int64_t i = 0; i < dy->rows * p->c; i++)
        expected[i % p->c] += dy->value[i];
    kk_finish(ck_bias_gradient(&a, kk_stream(), &e));
    kk_expect_floats(a.dbias, expected, p->c, 1e-6);
    kk_untouched(dy);
}

static void bias_gradients_are_sums(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        kk_every(bias_gradient, &shapes[i], 0);
    if (kk_large())
        kk_every(bias_gradient, &large, 0);
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    struct hf_error e;
    struct ck_norm a = {.n = 1, .s = (int64_t)1 << 31, .c = 1};
    assert_int_equal(ck_norm_forward(&a, kk_stream(), &e), HF_UNSUPPORTED);
    assert_non_null(strstr(e.text, "2147483648 voxels"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_are_the_reference),
        cmocka_unit_test(gradients_are_the_reference),
        cmocka_unit_test(far_values_keep_their_digits),
        cmocka_unit_test(bias_gradients_are_sums),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return KK_RUN(tests);
}
