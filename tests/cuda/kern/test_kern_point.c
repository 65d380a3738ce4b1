/*
 * test_kern_point.c - the CUDA device's pointwise kernels, layouts and casts, against float64.
 */
#include "kern_kit.h"

#include <math.h>

struct shape {
    int64_t rows, c;
    enum hf_act act;
};

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static struct ck_point point_of(const struct kk_setting *k, const struct shape *p) {
    return (struct ck_point){.type = k->type,
                             .rows = p->rows,
                             .c = p->c,
                             .act = p->act,
                             .slope = 0.2f,
                             .accumulate = k->accumulate};
}

/* What stands in the destination before it is written, if that counts. */
static double *begin(const struct kk_setting *k, const struct kk_operand *o) {
    double *d = kk_doubles(o->rows * o->c);
    if (k->accumulate)
        memcpy(d, o->value, (size_t)(o->rows * o->c) * sizeof *d);
    return d;
}

static double act(enum hf_act kind, double x) {
    return kind == HF_ACT_SIGMOID ? sigmoid(x)
           : kind == HF_ACT_TANH  ? tanh(x)
           : kind == HF_ACT_NONE  ? x
           : x > 0                ? x
           : kind == HF_ACT_LEAKY ? x * (double)0.2f
                                  : 0;
}

/* The slope where the activation is y. */
static double slope(enum hf_act kind, double y) {
    return kind == HF_ACT_SIGMOID ? y * (1 - y)
           : kind == HF_ACT_TANH  ? 1 - y * y
           : kind == HF_ACT_NONE  ? 1
           : y > 0                ? 1
           : kind == HF_ACT_LEAKY ? (double)0.2f
                                  : 0;
}

static void act_forward(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct kk_operand *x = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, p->rows, p->c);
    double *expected = kk_doubles(p->rows * p->c);
    for (int64_t i = 0; i < p->rows * p->c; i++)
        expected[i] = act(p->act, x->value[i]);
    struct ck_point a = point_of(k, p);
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_act_forward(&a, kk_stream(), &e));
    kk_expect(y, expected, 1e-6);
    kk_untouched(x);
    a.y = x->view;
    kk_finish(ck_act_forward(&a, kk_stream(), &e));
    kk_expect(x, expected, 1e-6);
}

static void act_backward(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct kk_operand *y = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *dy = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, p->rows, p->c);
    double *expected = begin(k, dx);
    for (int64_t i = 0; i < p->rows * p->c; i++)
        expected[i] += dy->value[i] * slope(p->act, y->value[i]);
    struct ck_point a = point_of(k, p);
    struct hf_error e;
    a.y = y->view;
    a.dy = dy->view;
    a.dx = dx->view;
    kk_finish(ck_act_backward(&a, kk_stream(), &e));
    kk_expect(dx, expected, 1e-6);
    kk_untouched(y);
    kk_untouched(dy);
}

static void gate_forward(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct kk_operand *x = kk_make(k->type, k->lie, p->rows, 2 * p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, p->rows, p->c);
    double *expected = kk_doubles(p->rows * p->c);
    for (int64_t i = 0; i < p->rows * p->c; i++) {
        const double *row = x->value + i / p->c * 2 * p->c;
        expected[i] = row[i % p->c] * sigmoid(row[p->c + i % p->c]);
    }
    struct ck_point a = point_of(k, p);
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_gate_forward(&a, kk_stream(), &e));
    kk_expect(y, expected, 1e-6);
    kk_untouched(x);
}

static void gate_backward(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct kk_operand *x = kk_make(k->type, k->lie, p->rows, 2 * p->c);
    struct kk_operand *dy = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, p->rows, 2 * p->c);
    double *expected = begin(k, dx);
    for (int64_t i = 0; i < p->rows * p->c; i++) {
        int64_t feature = i / p->c * 2 * p->c + i % p->c, gate = feature + p->c;
        double q = sigmoid(x->value[gate]);
        expected[feature] += dy->value[i] * q;
        expected[gate] += dy->value[i] * x->value[feature] * q * (1 - q);
    }
    struct ck_point a = point_of(k, p);
    struct hf_error e;
    a.x = x->view;
    a.dy = dy->view;
    a.dx = dx->view;
    kk_finish(ck_gate_backward(&a, kk_stream(), &e));
    kk_expect(dx, expected, 1e-6);
    kk_untouched(x);
    kk_untouched(dy);
}

static void copy_and_add(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct kk_operand *x = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *other = kk_make(k->type, KK_DENSE, p->rows, p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, p->rows, p->c);
    double *copied = begin(k, y), *added = kk_doubles(p->rows * p->c);
    for (int64_t i = 0; i < p->rows * p->c; i++) {
        copied[i] += x->value[i];
        added[i] = x->value[i] + other->value[i];
    }
    struct ck_point a = point_of(k, p);
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_copy(&a, kk_stream(), &e));
    kk_expect(y, copied, 1e-7);
    a.other = other->view;
    kk_finish(ck_add(&a, kk_stream(), &e));
    kk_expect(y, added, 1e-7);
    kk_untouched(x);
    kk_untouched(other);
}

static void bias_add(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct kk_operand *x = kk_make(k->type, k->lie, p->rows, p->c);
    struct ck_bias a = {.type = k->type, .rows = p->rows, .c = p->c, .x = x->view, .y = x->view};
    float *bias = kk_floats(p->c, 1, 0);
    double *expected = kk_doubles(p->rows * p->c);
    for (int64_t i = 0; i < p->rows * p->c; i++)
        expected[i] = x->value[i] + (double)bias[i % p->c];
    struct hf_error e;
    a.bias = bias;
    kk_finish(ck_bias_add(&a, kk_stream(), &e));
    kk_expect(x, expected, 1e-7);
}

static const struct shape shapes[] = {
    {1, 1, HF_ACT_RELU},   {6, 1, HF_ACT_LEAKY},    {301, 2, HF_ACT_SIGMOID}, {67, 3, HF_ACT_TANH},
    {130, 8, HF_ACT_NONE}, {263, 32, HF_ACT_LEAKY}, {5, 70, HF_ACT_SIGMOID},  {3, 520, HF_ACT_TANH},
};

#define EVERY_SHAPE(body, accumulates)                                                             \
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)                                    \
    kk_every(body, &shapes[i], accumulates)

static void activations(void **state) {
    (void)state;
    EVERY_SHAPE(act_forward, 0);
    EVERY_SHAPE(act_backward, 1);
}

static void gates(void **state) {
    (void)state;
    EVERY_SHAPE(gate_forward, 0);
    EVERY_SHAPE(gate_backward, 1);
}

static void copies_sums_and_biases(void **state) {
    (void)state;
    EVERY_SHAPE(copy_and_add, 1);
    EVERY_SHAPE(bias_add, 0);
}

/* ---- layouts ---- */

struct block {
    int64_t n, s, c;
};

static void layout(const struct kk_setting *k, const void *arg) {
    const struct block *p = arg;
    int64_t count = p->n * p->s * p->c, fill = p->c + 5;
    struct kk_operand *last = kk_make(k->type, k->lie, p->n * p->s, fill);
    struct ck_layout a = {.type = k->type, .n = p->n, .s = p->s, .c = p->c, .fill = fill};
    float *first = kk_floats(count, 1, 0), *back = kk_scratch((size_t)count * sizeof *back);
    double *expected = kk_doubles(p->n * p->s * fill), *rounded = kk_doubles(count);
    for (int64_t i = 0; i < count; i++) {
        int64_t n = i / (p->c * p->s), c = i / p->s % p->c, s = i % p->s;
        expected[(n * p->s + s) * fill + c] = (double)first[i];
    }
    struct hf_error e;
    a.first = first;
    a.last = last->view;
    kk_finish(ck_to_last(&a, kk_stream(), &e));
    kk_expect(last, expected, 0);
    for (int64_t i = 0; i < count; i++) {
        int64_t n = i / (p->c * p->s), c = i / p->s % p->c, s = i % p->s;
        rounded[i] = kk_get(last, n * p->s + s, c);
    }
    a.first = back;
    kk_finish(ck_to_first(&a, kk_stream(), &e));
    kk_expect_floats(back, rounded, count, 0);
}

static void layouts(void **state) {
    (void)state;
    static const struct block blocks[] = {{1, 1, 1},   {2, 1500, 1}, {3, 700, 2}, {2, 401, 3},
                                          {1, 40, 33}, {5, 9, 70},   {2, 65, 32}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        kk_every(layout, &blocks[i], 0);
}

/* ---- casts ---- */

static void cast(const struct kk_setting *k, const void *arg) {
    int64_t count = *(const int64_t *)arg, start = k->lie == KK_CROOKED;
    float *from = kk_floats(count + 1, 1, 0), *back = kk_scratch((size_t)(count + 1) * 4);
    uint16_t *half = kk_scratch((size_t)(count + 1) * sizeof *half);
    double *expected = kk_doubles(count), *rounded = kk_doubles(count);
    struct hf_error e;
    kk_finish(ck_cast_to_bf16(from + start, half + start, count, kk_stream(), &e));
    kk_finish(ck_cast_to_f32(half + start, back + start, count, kk_stream(), &e));
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)half[start + i] << 16;
        float f;
        memcpy(&f, &bits, sizeof f);
        rounded[i] = (double)f;
        expected[i] = (double)from[start + i];
        assert_true(fabs(expected[i] - rounded[i]) <= fabs(expected[i]) * 0x1p-8);
    }
    kk_expect_floats(back + start, rounded, count, 0);
    /* Halves round to the even neighbour. */
    static const float ties[4] = {1 + 0x1p-8f, 1 + 3 * 0x1p-8f, -1 - 0x1p-8f,
                                  1 + 0x1p-8f + 0x1p-23f};
    static const uint16_t nearest[4] = {0x3F80, 0x3F82, 0xBF80, 0x3F81};
    memcpy(from, ties, count < 4 ? 0 : sizeof ties);
    kk_finish(ck_cast_to_bf16(from, half, count, kk_stream(), &e));
    assert_memory_equal(half, nearest, count < 4 ? 0 : sizeof nearest);
}

static void casts(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 8, 13, 4099};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        kk_every(cast, &counts[i], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations),
        cmocka_unit_test(gates),
        cmocka_unit_test(copies_sums_and_biases),
        cmocka_unit_test(layouts),
        cmocka_unit_test(casts),
    };
    return KK_RUN(tests);
}
