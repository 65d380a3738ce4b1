/*
 * test_kern_partial.c - the CUDA device's kernels of partial convolutions, masks, windows and
 * scales, against plain loops in float64: also where nothing is known, and where everything is.
 */
#include "kern_kit.h"

/* ---- masks ---- */

static void mask(const struct kk_setting *k, const void *arg) {
    int64_t rows = *(const int64_t *)arg;
    struct kk_operand *x = kk_make_ties(k->type, k->lie, rows, 1); /* many are 0 exactly */
    struct kk_operand *y = kk_make(k->type, k->lie, rows, 1);
    double *above = kk_doubles(rows), *others = kk_doubles(rows);
    struct hf_error e;
    struct ck_point a = {.type = k->type, .rows = rows, .c = 1, .x = x->view, .y = y->view};
    for (int64_t i = 0; i < rows; i++) {
        above[i] = x->value[i] > 0;
        others[i] = 1 - above[i];
    }
    kk_finish(ck_mask(&a, kk_stream(), &e));
    kk_expect(y, above, 0);
    a.invert = 1;
    kk_finish(ck_mask(&a, kk_stream(), &e));
    kk_expect(y, others, 0);
    kk_untouched(x);
}

static void masks_tell_what_is_above_0(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 7, 64, 1033};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        kk_every(mask, &rows[i], 0);
}

/* ---- windows ---- */

struct windows {
    int64_t n, in[3];
    int32_t kernel[3], stride[3], dilation[3];
    int64_t low[3], high[3];
    double share; /* of the map that is above 0 */
    int32_t mirrored;
};

/* The voxel of an axis at position `p` from the first, walked to step by step; -1: there is none.
 */
static int64_t walk(int64_t p, int64_t size, int mirrored) {
    int64_t i = 0, step = p < 0 && !mirrored ? -1 : 1;
    for (int64_t left = p < 0 ? -p : p; left > 0; left--) { /* to the left is as to the right */
        if (mirrored && (i + step < 0 || i + step >= size))
            step = -step;
        i += step;
    }
    return i >= 0 && i < size ? i : -1;
}

/* Voxels above 0 of the window at d, h, w. */
static int64_t count_known(const struct windows *p, const struct kk_operand *x, int64_t n,
                           const int64_t at[3]) {
    int64_t known = 0;
    for (int32_t tap = 0; tap < p->kernel[0] * p->kernel[1] * p->kernel[2]; tap++) {
        const int32_t in_kernel[3] = {tap / (p->kernel[1] * p->kernel[2]),
                                      tap / p->kernel[2] % p->kernel[1], tap % p->kernel[2]};
        int64_t from[3], row = n;
        int inside = 1;
        for (int i = 0; i < 3; i++) {
            int64_t position = at[i] * p->stride[i] + in_kernel[i] * p->dilation[i] - p->low[i];
            from[i] = walk(position, p->in[i], p->mirrored);
            inside &= from[i] >= 0;
            row = row * p->in[i] + from[i];
        }
        known += inside && x->value[row] > 0;
    }
    return known;
}

static void window(const struct kk_setting *k, const void *arg) {
    const struct windows *p = arg;
    struct ck_space a = {.type = k->type, .n = p->n, .c = 1, .mirrored = p->mirrored};
    int64_t few = p->n, many = p->n;
    for (int i = 0; i < 3; i++) {
        a.in[i] = p->in[i];
        a.kernel[i] = p->kernel[i];
        a.stride[i] = p->stride[i];
        a.dilation[i] = p->dilation[i];
        a.low[i] = p->low[i];
        a.out[i] = (p->in[i] + p->low[i] + p->high[i] - (p->kernel[i] - 1) * p->dilation[i] - 1) /
                       p->stride[i] +
                   1;
        many *= a.in[i];
        few *= a.out[i];
    }
    struct kk_operand *x = kk_make_map(k->type, k->lie, many, p->share);
    struct kk_operand *y = kk_make(k->type, k->lie, few, 1);
    double *expected = kk_doubles(few), all = p->kernel[0] * p->kernel[1] * p->kernel[2];
    for (int64_t v = 0; v < few; v++) {
        const int64_t at[3] = {v / (a.out[2] * a.out[1]) % a.out[0], v / a.out[2] % a.out[1],
                               v % a.out[2]};
        int64_t known = count_known(p, x, v / (a.out[0] * a.out[1] * a.out[2]), at);
        expected[v] = known > 0 ? all / (double)known : 0;
    }
    struct hf_error e;
    a.x = x->view;
    a.y = y->view;
    kk_finish(ck_window(&a, kk_stream(), &e));
    kk_expect(y, expected, 1e-7);
    kk_untouched(x);
}

static void windows_weigh_what_is_known(void **state) {
    (void)state;
    static const struct windows shapes[] = {
        {2, {1, 7, 9}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}, 0, 0},
        {2, {1, 8, 6}, {1, 4, 4}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}, 0, 0},
        {1, {1, 11, 13}, {1, 3, 3}, {1, 1, 1}, {1, 4, 4}, {0, 4, 4}, {0, 4, 4}, 0, 0},
        {1, {5, 4, 6}, {3, 1, 2}, {2, 1, 1}, {1, 1, 1}, {1, 0, 0}, {1, 0, 1}, 0, 0},
        {3, {2, 5, 33}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, 0, 0},
    };
    static const struct windows wider = {1,         {1, 2, 1}, {1, 7, 7}, {1, 1, 1}, {1, 1, 1},
                                         {0, 3, 3}, {0, 3, 3}, 0.5,       0};
    static const double shares[] = {0, 0.2, 1};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t s = 0; s < sizeof shares / sizeof *shares; s++)
            for (int32_t mirrored = 0; mirrored < 2; mirrored++) {
                struct windows w = shapes[i];
                w.share = shares[s];
                w.mirrored = mirrored;
                kk_every(window, &w, 0);
            }
    kk_every(window, &wider, 0); /* than the map */
}

/* ---- scales ---- */

struct block {
    int64_t rows, c;
    double share;
};

static void scale(const struct kk_setting *k, const void *arg) {
    const struct block *p = arg;
    int64_t count = p->rows * p->c;
    struct kk_operand *x = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *y = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *dy = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *dx = kk_make(k->type, k->lie, p->rows, p->c);
    struct kk_operand *map = kk_make_map(k->type, k->lie, p->rows, p->share);
    float *bias = kk_floats(p->c, 1, 0);
    double *plain = kk_doubles(count), *biased = kk_doubles(count), *back = kk_doubles(count);
    double *dbias = kk_doubles(p->c);
    for (int64_t i = 0; i < count; i++) {
        double by = map->value[i / p->c], b = (double)bias[i % p->c];
        plain[i] = x->value[i] * by;
        biased[i] = by > 0 ? plain[i] + b : 0;
        back[i] = dy->value[i] * by + (k->accumulate ? dx->value[i] : 0);
        dbias[i % p->c] += by > 0 ? dy->value[i] : 0;
    }
    struct hf_error e;
    struct ck_point a = {.type = k->type,
                         .rows = p->rows,
                         .c = p->c,
                         .x = x->view,
                         .y = y->view,
                         .dy = dy->view,
                         .dx = dx->view,
                         .other = map->view,
                         .accumulate = k->accumulate};
    struct ck_bias g = {
        .type = k->type, .rows = p->rows, .c = p->c, .dy = dy->view, .map = map->view};
    g.dbias = kk_scratch((size_t)p->c * sizeof(float));
    g.scratch = kk_scratch(ck_bias_scratch(p->rows, p->c));
    kk_finish(ck_scale(&a, kk_stream(), &e));
    kk_expect(y, plain, 1e-6);
    a.bias = bias;
    kk_finish(ck_scale(&a, kk_stream(), &e));
    kk_expect(y, biased, 1e-6);
    kk_untouched(x);
    a.y = x->view; /* in place */
    kk_finish(ck_scale(&a, kk_stream(), &e));
    kk_expect(x, biased, 1e-6);
    kk_finish(ck_scale_backward(&a, kk_stream(), &e));
    kk_expect(dx, back, 1e-6);
    kk_finish(ck_bias_gradient(&g, kk_stream(), &e));
    kk_expect_floats(g.dbias, dbias, p->c, 1e-5);
    kk_untouched(dy);
    kk_untouched(map);
    if (k->accumulate)
        return;
    a.dx = dy->view;
    kk_finish(ck_scale_backward(&a, kk_stream(), &e));
    kk_expect(dy, back, 1e-6);
}

static void scales_add_their_bias_where_something_is_known(void **state) {
    (void)state;
    static const struct block blocks[] = {{1, 1, 0.5},   {1, 1, 0},     {33, 3, 0.7},
                                          {129, 8, 0.3}, {40, 32, 0},   {40, 32, 1},
                                          {257, 7, 0.5}, {9, 264, 0.5}, {1030, 1, 0.1}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        kk_every(scale, &blocks[i], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_tell_what_is_above_0),
        cmocka_unit_test(windows_weigh_what_is_known),
        cmocka_unit_test(scales_add_their_bias_where_something_is_known),
    };
    return KK_RUN(tests);
}
