/*
 * test_kern_space.c - the CUDA device's kernels that move between voxels, against plain loops in
 * float64; backward kernels are the transposes of the forward ones: <f(x), dy> = <x, f'(dy)>.
 */
#include "kern_kit.h"

struct shape {
    int64_t n, c, small[3];
    int32_t stride[3]; /* of pooling, upsampling and taps */
    int64_t low[3], high[3];
};

static int64_t product(const int64_t size[3]) {
    return size[0] * size[1] * size[2];
}

static int64_t row_of(int64_t n, int64_t d, int64_t h, int64_t w, const int64_t size[3]) {
    return ((n * size[0] + d) * size[1] + h) * size[2] + w;
}

/* `large` is what windows of the stride cut into `small`. */
static struct ck_space space_of(const struct kk_setting *k, const struct shape *p, int grows,
                                int64_t large[3]) {
    struct ck_space a = {.type = k->type, .n = p->n, .c = p->c, .accumulate = k->accumulate};
    for (int i = 0; i < 3; i++) {
        large[i] = p->small[i] * p->stride[i];
        a.stride[i] = p->stride[i];
        a.in[i] = grows ? p->small[i] : large[i];
        a.out[i] = grows ? large[i] : p->small[i];
    }
    return a;
}

/* Rows of the small and the large tensor, and the number in the window, of large voxel `v`. */
struct pair {
    int64_t small, large;
    int32_t k;
};

static struct pair pair_of(const struct shape *p, const int64_t large[3], int64_t v) {
    int64_t w = v % large[2], h = v / large[2] % large[1];
    int64_t d = v / (large[2] * large[1]) % large[0], n = v / product(large);
    const int32_t *s = p->stride;
    return (struct pair){row_of(n, d / s[0], h / s[1], w / s[2], p->small), v,
                         (int32_t)((d % s[0] * s[1] + h % s[1]) * s[2] + w % s[2])};
}

static double *begin(const struct kk_setting *k, const struct kk_operand *o) {
    double *d = kk_doubles(o->rows * o->c);
    if (k->accumulate)
        memcpy(d, o->value, (size_t)(o->rows * o->c) * sizeof *d);
    return d;
}

/* ---- pooling: the first of the largest ---- */

static void pool(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    int64_t large[3];
    struct ck_space a = space_of(k, p, 0, large);
    int64_t few = p->n * product(p->small), many = p->n * product(large);
    struct kk_operand *x = kk_make_ties(k->type, k->lie, many, p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, few, p->c);
    struct kk_operand *dy = kk_make(k->type, k->lie, few, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, many, p->c);
    double *best = kk_doubles(few * p->c), *back = begin(k, dx);
    uint16_t *index = kk_scratch((size_t)(few * p->c) * sizeof *index);
    uint16_t *which = kk_zeros((size_t)(few * p->c) * sizeof *which);
    for (int32_t turn = 0; turn < p->stride[0] * p->stride[1] * p->stride[2]; turn++)
        for (int64_t v = 0; v < many; v++) {
            struct pair t = pair_of(p, large, v);
            for (int64_t c = 0; c < p->c && t.k == turn; c++) {
                double *b = best + t.small * p->c + c, value = x->value[v * p->c + c];
                if (turn == 0 || value > *b) {
                    *b = value;
                    which[t.small * p->c + c] = (uint16_t)turn;
                }
            }
        }
    for (int64_t v = 0; v < many; v++) {
        struct pair t = pair_of(p, large, v);
        for (int64_t c = 0; c < p->c; c++)
            if (which[t.small * p->c + c] == t.k)
                back[v * p->c + c] += dy->value[t.small * p->c + c];
    }
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_pool_forward(&a, kk_stream(), &e)); /* without an index */
    kk_expect(y, best, 0);
    a.index = index;
    kk_finish(ck_pool_forward(&a, kk_stream(), &e));
    kk_expect(y, best, 0);
    assert_memory_equal(index, which, (size_t)(few * p->c) * sizeof *index);
    a.dy = dy->view;
    a.dx = dx->view;
    kk_finish(ck_pool_backward(&a, kk_stream(), &e));
    kk_expect(dx, back, 1e-7);
    kk_untouched(x);
    kk_untouched(dy);
}

/* ---- nearest-neighbour upsampling ---- */

static void up(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    int64_t large[3];
    struct ck_space a = space_of(k, p, 1, large);
    int64_t few = p->n * product(p->small), many = p->n * product(large);
    struct kk_operand *x = kk_make(k->type, k->lie, few, p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, many, p->c);
    struct kk_operand *dy = kk_make(k->type, k->lie, many, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, few, p->c);
    double *spread = kk_doubles(many * p->c), *back = begin(k, dx);
    for (int64_t v = 0; v < many; v++) {
        struct pair t = pair_of(p, large, v);
        for (int64_t c = 0; c < p->c; c++) {
            spread[v * p->c + c] = x->value[t.small * p->c + c];
            back[t.small * p->c + c] += dy->value[v * p->c + c];
        }
    }
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_up_forward(&a, kk_stream(), &e));
    kk_expect(y, spread, 0);
    a.dy = dy->view;
    a.dx = dx->view;
    kk_finish(ck_up_backward(&a, kk_stream(), &e));
    kk_expect(dx, back, 1e-6);
    kk_untouched(x);
    kk_untouched(dy);
}

/* ---- taps ---- */

static void taps(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    int64_t large[3], window = p->stride[0] * p->stride[1] * p->stride[2];
    struct ck_space a = space_of(k, p, 1, large);
    int64_t few = p->n * product(p->small), many = p->n * product(large);
    struct kk_operand *x = kk_make(k->type, k->lie, few, window * p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, many, p->c);
    struct kk_operand *dy = kk_make(k->type, k->lie, many, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, few, window * p->c);
    float *bias = kk_floats(p->c, 1, 0);
    double *plain = kk_doubles(many * p->c), *shifted = kk_doubles(many * p->c);
    double *back = kk_doubles(few * window * p->c);
    for (int64_t v = 0; v < many; v++) {
        struct pair t = pair_of(p, large, v);
        for (int64_t c = 0; c < p->c; c++) {
            int64_t tap = (t.small * window + t.k) * p->c + c;
            plain[v * p->c + c] = x->value[tap];
            shifted[v * p->c + c] = x->value[tap] + (double)bias[c];
            back[tap] = dy->value[v * p->c + c];
        }
    }
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_taps_to_voxels(&a, kk_stream(), &e));
    kk_expect(y, plain, 0);
    a.bias = bias;
    kk_finish(ck_taps_to_voxels(&a, kk_stream(), &e));
    kk_expect(y, shifted, 1e-7);
    a.dy = dy->view;
    a.dx = dx->view;
    kk_finish(ck_voxels_to_taps(&a, kk_stream(), &e));
    kk_expect(dx, back, 0);
    kk_untouched(x);
    kk_untouched(dy);
}

/* ---- reflected borders ---- */

/* Walks back and forth along the axis. */
static int64_t mirror(int64_t p, int64_t low, int64_t size) {
    int64_t i = 0, step = 1;
    for (int64_t k = low; k > 0; k--) /* from voxel 0 to the left is as to the right */
        i++;
    step = -1;
    for (int64_t k = 0; k < p; k++) {
        if (i + step < 0 || i + step >= size)
            step = -step;
        i += step;
    }
    return i;
}

static void reflect(const struct kk_setting *k, const void *arg) {
    const struct shape *p = arg;
    struct ck_space a = {.type = k->type, .n = p->n, .c = p->c, .accumulate = k->accumulate};
    for (int i = 0; i < 3; i++) {
        a.in[i] = p->small[i];
        a.low[i] = p->low[i];
        a.out[i] = p->small[i] + p->low[i] + p->high[i];
    }
    int64_t few = p->n * product(a.in), many = p->n * product(a.out);
    struct kk_operand *x = kk_make(k->type, k->lie, few, p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, many, p->c);
    struct kk_operand *dy = kk_make(k->type, k->lie, many, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, few, p->c);
    double *padded = kk_doubles(many * p->c), *back = begin(k, dx);
    for (int64_t v = 0; v < many; v++) {
        int64_t w = v % a.out[2], h = v / a.out[2] % a.out[1];
        int64_t d = v / (a.out[2] * a.out[1]) % a.out[0], n = v / product(a.out);
        int64_t from = row_of(n, mirror(d, a.low[0], a.in[0]), mirror(h, a.low[1], a.in[1]),
                              mirror(w, a.low[2], a.in[2]), a.in);
        for (int64_t c = 0; c < p->c; c++) {
            padded[v * p->c + c] = x->value[from * p->c + c];
            back[from * p->c + c] += dy->value[v * p->c + c];
        }
    }
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_reflect_forward(&a, kk_stream(), &e));
    kk_expect(y, padded, 0);
    a.dy = dy->view;
    a.dx = dx->view;
    kk_finish(ck_reflect_backward(&a, kk_stream(), &e));
    kk_expect(dx, back, 1e-6);
    kk_untouched(x);
    kk_untouched(dy);
}

static const struct shape shapes[] = {
    {2, 1, {1, 5, 7}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}},
    {1, 2, {2, 3, 4}, {2, 2, 2}, {1, 2, 1}, {0, 2, 3}},
    {1, 3, {3, 4, 3}, {1, 3, 2}, {2, 1, 2}, {2, 0, 1}},
    {2, 8, {1, 6, 5}, {1, 2, 2}, {0, 3, 2}, {0, 4, 4}},
    {1, 32, {2, 2, 3}, {2, 2, 2}, {0, 1, 2}, {1, 0, 2}},
    {1, 264, {1, 2, 2}, {1, 2, 1}, {0, 1, 0}, {0, 1, 1}},
};

#define TEST(name, body, accumulates)                                                              \
    static void name(void **state) {                                                               \
        (void)state;                                                                               \
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)                                \
            kk_every(body, &shapes[i], accumulates);                                               \
    }

TEST(pooling_keeps_the_first_of_the_largest, pool, 1)
TEST(upsampling_repeats, up, 1)
TEST(taps_spread_over_voxels, taps, 0)
TEST(borders_mirror, reflect, 1)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pooling_keeps_the_first_of_the_largest),
        cmocka_unit_test(upsampling_repeats),
        cmocka_unit_test(taps_spread_over_voxels),
        cmocka_unit_test(borders_mirror),
    };
    return KK_RUN(tests);
}
