/**
 * test_resample.c - the resample op against interpolation and box averages computed another way.
 */
#include <math.h>

#include "op_call.h"

static struct hf_rng draws;

static struct hf_tensor *noise(int64_t c, int64_t d, int64_t h, int64_t w) {
    struct hf_tensor *t = op_tensor(HF_F32, c, d, h, w);
    for (int64_t i = 0; i < hf_tensor_count(t); i++)
        HF_DATA(float, t)[i] = 200 * hf_rng_uniform(&draws) - 100;
    return t;
}

static struct hf_tensor *resampled(const struct hf_tensor *in, const double matrix[3][4],
                                   enum hf_resample_mode mode, int64_t d, int64_t h, int64_t w) {
    struct hf_tensor *out = op_tensor(in->dtype, in->shape[0], d, h, w);
    struct hf_resample_params params = {.mode = mode, .fill = -7};
    memcpy(params.matrix, matrix, sizeof params.matrix);
    struct hf_op_call call = {.in = {in},
                              .out = {out},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    op_run("resample", &call);
    return out;
}

static double voxel(const struct hf_tensor *t, int64_t c, int64_t d, int64_t h, int64_t w) {
    int64_t at = ((c * t->shape[1] + d) * t->shape[2] + h) * t->shape[3] + w;
    return t->dtype == HF_F32 ? (double)HF_DATA(float, t)[at] : HF_DATA(uint8_t, t)[at];
}

/* Trilinear in doubles, straight from the definition. */
static double linear(const struct hf_tensor *t, int64_t c, const double at[3]) {
    double sum = 0;
    for (int64_t d = 0; d < t->shape[1]; d++)
        for (int64_t h = 0; h < t->shape[2]; h++)
            for (int64_t w = 0; w < t->shape[3]; w++) {
                double index[3] = {(double)w, (double)h, (double)d}, share = 1;
                for (int a = 0; a < 3; a++) {
                    double v = fmin(fmax(at[a], 0), (double)t->shape[3 - a] - 1);
                    share *= fmax(0, 1 - fabs(v - index[a]));
                }
                sum += share * voxel(t, c, d, h, w);
            }
    return sum;
}

static void apply(const double m[3][4], int64_t w, int64_t h, int64_t d, double ret[3]) {
    for (int r = 0; r < 3; r++)
        ret[r] = m[r][0] * (double)w + m[r][1] * (double)h + m[r][2] * (double)d + m[r][3];
}

static void check_linear(const double matrix[3][4]) {
    struct hf_tensor *in = noise(2, 7, 6, 9), *out = NULL;
    out = resampled(in, matrix, HF_RESAMPLE_LINEAR, 8, 9, 10);
    int inside = 0;
    for (int64_t c = 0; c < 2; c++)
        for (int64_t d = 0; d < 8; d++)
            for (int64_t h = 0; h < 9; h++)
                for (int64_t w = 0; w < 10; w++) {
                    double at[3], want = -7;
                    apply(matrix, w, h, d, at);
                    int in_box = 1;
                    for (int a = 0; a < 3; a++)
                        in_box &= at[a] >= -0.5 && at[a] <= (double)in->shape[3 - a] - 0.5;
                    if (in_box)
                        want = linear(in, c, at);
                    inside += in_box;
                    assert_true(fabs(voxel(out, c, d, h, w) - want) < 1e-3);
                }
    assert_true(inside > 200);
    op_tensor_free(in);
    op_tensor_free(out);
}

static void linear_matches_definition(void **state) {
    (void)state;
    const double straight[3][4] = {{0.81, 0, 0, 0.37}, {0, 0.7, 0, -0.9}, {0, 0, 0.65, 0.11}};
    const double flipped[3][4] = {{-0.81, 0, 0, 7.9}, {0, 0.7, 0, -0.4}, {0, 0, -0.65, 5.8}};
    const double oblique[3][4] = {{0.8, 0.15, 0, 0.2}, {-0.1, 0.6, 0.05, 0.3}, {0.02, 0, 0.7, 0.4}};
    const double turned[3][4] = {{0, 0.9, 0, 0.2}, {0.6, 0, 0, 0}, {0, 0, 0.8, 0.1}};
    check_linear(straight);
    check_linear(flipped);
    check_linear(oblique);
    check_linear(turned);
}

/* Averages the voxels' own boxes over the output's box by fine sampling along each axis. */
static double box_mean(const struct hf_tensor *t, const double at[3], const double width[3]) {
    const int points = 560; /* voxel borders fall between points */
    double sum = 0, total = 0;
    for (int64_t d = 0; d < t->shape[1]; d++)
        for (int64_t h = 0; h < t->shape[2]; h++)
            for (int64_t w = 0; w < t->shape[3]; w++) {
                double index[3] = {(double)w, (double)h, (double)d}, share = 1;
                for (int a = 0; a < 3; a++) {
                    int hits = 0;
                    for (int i = 0; i < points; i++) {
                        double x = at[a] + width[a] * ((i + 0.5) / points - 0.5);
                        hits += x > index[a] - 0.5 && x < index[a] + 0.5;
                    }
                    share *= hits;
                }
                sum += share * voxel(t, 0, d, h, w);
                total += share;
            }
    return sum / total;
}

static void area_averages_the_box(void **state) {
    (void)state;
    const double matrix[3][4] = {{3.5, 0, 0, 1.25}, {0, 2, 0, 0.5}, {0, 0, 2.5, 0.75}};
    struct hf_tensor *in = noise(1, 8, 8, 14);
    struct hf_tensor *out = resampled(in, matrix, HF_RESAMPLE_AREA, 3, 4, 4);
    const double width[3] = {3.5, 2, 2.5};
    for (int64_t d = 0; d < 3; d++)
        for (int64_t h = 0; h < 4; h++)
            for (int64_t w = 0; w < 4; w++) {
                double at[3];
                apply(matrix, w, h, d, at);
                assert_true(fabs(voxel(out, 0, d, h, w) - box_mean(in, at, width)) < 1e-3);
            }
    /* An even reduction is exactly the mean of the voxels. */
    const double half[3][4] = {{2, 0, 0, 0.5}, {0, 2, 0, 0.5}, {0, 0, 2, 0.5}};
    struct hf_tensor *small = resampled(in, half, HF_RESAMPLE_AREA, 4, 4, 7);
    for (int64_t i = 0; i < 4 * 4 * 7; i++) {
        double sum = 0;
        for (int k = 0; k < 8; k++)
            sum += voxel(in, 0, i / 28 * 2 + k / 4, i / 7 % 4 * 2 + k / 2 % 2, i % 7 * 2 + k % 2);
        assert_true(fabs(HF_DATA(float, small)[i] - sum / 8) < 1e-4);
    }
    op_tensor_free(small);
    op_tensor_free(in);
    op_tensor_free(out);
}

/* Keys' cubic convolution of 1981 with a = -1/2, from the printed formula. */
static double keys(double s) {
    const double a = -0.5;
    s = fabs(s);
    if (s < 1)
        return (a + 2) * s * s * s - (a + 3) * s * s + 1;
    return s < 2 ? a * s * s * s - 5 * a * s * s + 8 * a * s - 4 * a : 0;
}

/* The kernel as wide as the output voxel, over all voxels that there are. */
static double cubic(const struct hf_tensor *t, const double at[3], const double width[3]) {
    double sum = 0, total = 0;
    for (int64_t d = 0; d < t->shape[1]; d++)
        for (int64_t h = 0; h < t->shape[2]; h++)
            for (int64_t w = 0; w < t->shape[3]; w++) {
                double share = keys((at[0] - (double)w) / width[0]) *
                               keys((at[1] - (double)h) / width[1]) *
                               keys((at[2] - (double)d) / width[2]);
                sum += share * voxel(t, 0, d, h, w);
                total += share;
            }
    return sum / total;
}

static void cubic_matches_definition(void **state) {
    (void)state;
    const double matrices[3][3][4] = {
        {{0.81, 0, 0, 0.37}, {0, 0.7, 0, -0.4}, {0, 0, 0.65, 0.11}},
        {{2.3, 0, 0, 0.6}, {0, 0.5, 0, -0.25}, {0, 0, 1.7, 0.2}},
        {{-1.1, 0, 0, 9}, {0, 3.1, 0, 1.2}, {0, 0, -0.4, 5.1}},
    };
    struct hf_tensor *in = noise(1, 7, 8, 11);
    for (int m = 0; m < 3; m++) {
        struct hf_tensor *out = resampled(in, matrices[m], HF_RESAMPLE_CUBIC, 3, 3, 5);
        double width[3];
        for (int a = 0; a < 3; a++)
            width[a] = fmax(1, fabs(matrices[m][a][a]));
        for (int64_t i = 0; i < 3 * 3 * 5; i++) {
            double at[3];
            apply(matrices[m], i % 5, i / 5 % 3, i / 15, at);
            assert_true(fabs(HF_DATA(float, out)[i] - cubic(in, at, width)) < 1e-3);
        }
        op_tensor_free(out);
    }
    op_tensor_free(in);
}

/* What linear interpolation cannot: a parabola is kept, on straight and on oblique grids. */
static void cubic_keeps_parabolas(void **state) {
    (void)state;
    const double matrices[2][3][4] = {
        {{0.6, 0, 0, 3}, {0, 0.7, 0, 3}, {0, 0, 0.8, 3}},
        {{0.6, 0.1, 0, 3}, {-0.1, 0.7, 0, 4}, {0, 0.05, 0.8, 3}},
    };
    struct hf_tensor *in = op_tensor(HF_F32, 1, 12, 12, 12);
    for (int64_t i = 0; i < 1728; i++) {
        double x = (double)(i % 12) - 5, y = (double)(i / 12 % 12) - 5, z = (double)(i / 144) - 5;
        HF_DATA(float, in)[i] = (float)(x * x - 2 * y * y + z * z + x);
    }
    for (int m = 0; m < 2; m++) {
        struct hf_tensor *out = resampled(in, matrices[m], HF_RESAMPLE_CUBIC, 6, 6, 6);
        double worst = 0, linear_worst = 0;
        for (int64_t i = 0; i < 216; i++) {
            double at[3];
            apply(matrices[m], i % 6, i / 6 % 6, i / 36, at);
            double x = at[0] - 5, y = at[1] - 5, z = at[2] - 5;
            double want = x * x - 2 * y * y + z * z + x;
            worst = fmax(worst, fabs(HF_DATA(float, out)[i] - want));
            linear_worst = fmax(linear_worst, fabs(linear(in, 0, at) - want));
        }
        assert_true(worst < 1e-4);
        assert_true(linear_worst > 0.2);
        op_tensor_free(out);
    }
    op_tensor_free(in);
}

/* Each label as a mask of its own, resampled in doubles; the label with the largest one wins. */
static void labels_take_the_largest_share(void **state) {
    (void)state;
    const double matrices[4][3][4] = {
        {{0.43, 0, 0, -0.3}, {0, 0.61, 0, 0.2}, {0, 0, 0.7, 0.1}},
        {{2.5, 0, 0, 0.75}, {0, 2, 0, 0.5}, {0, 0, 0.7, 0.1}},
        {{0.43, 0.1, 0, 0.3}, {-0.1, 0.61, 0, 0.5}, {0, 0, 0.7, 0.1}},
        {{-2, 0, 0, 7}, {0, 1, 0, 0}, {0, 0, 2, 0.5}},
    };
    struct hf_tensor *in = op_tensor(HF_U8, 1, 4, 6, 9), *mask = op_tensor(HF_F32, 1, 4, 6, 9);
    static const uint8_t values[5] = {0, 3, 64, 8, 255};
    for (int64_t i = 0; i < 216; i++)
        HF_DATA(uint8_t, in)[i] = values[hf_rng_below(&draws, i % 2 ? 5 : 2)];
    int unlike_nearest = 0, checked = 0;
    for (int m = 0; m < 4; m++) {
        struct hf_tensor *out = resampled(in, matrices[m], HF_RESAMPLE_LABELS, 2, 3, 4);
        struct hf_tensor *near = resampled(in, matrices[m], HF_RESAMPLE_NEAREST, 2, 3, 4);
        for (int64_t i = 0; i < 24; i++) {
            double at[3], width[3], best = 0, second = 0;
            int label = -1;
            apply(matrices[m], i % 4, i / 4 % 3, i / 12, at);
            for (int a = 0; a < 3; a++)
                width[a] = fmax(1, fabs(matrices[m][a][a]));
            int outside = 0;
            for (int a = 0; a < 3; a++)
                outside |= at[a] < -0.5 || at[a] > (double)in->shape[3 - a] - 0.5;
            for (int k = 0; k < 5 && !outside; k++) {
                for (int64_t v = 0; v < 216; v++)
                    HF_DATA(float, mask)[v] = HF_DATA(uint8_t, in)[v] == values[k];
                double share = m == 2 ? linear(mask, 0, at) : box_mean(mask, at, width);
                second = fmax(second, fmin(best, share));
                if (share > best) {
                    best = share;
                    label = values[k];
                }
            }
            if (outside)
                label = 0; /* the fill, -7, as a label */
            else if (best - second < 1e-2)
                continue; /* a tie, within what the sampled boxes can tell */
            checked++;
            assert_int_equal(HF_DATA(uint8_t, out)[i], label);
            unlike_nearest += label != HF_DATA(uint8_t, near)[i];
        }
        op_tensor_free(out);
        op_tensor_free(near);
    }
    assert_true(checked > 60 && unlike_nearest > 5);
    /* Of equal shares the larger label wins, as it does in a mask. */
    const double half[3][4] = {{2, 0, 0, 0.5}, {0, 1, 0, 0}, {0, 0, 1, 0}};
    struct hf_tensor *pair = op_tensor(HF_U8, 1, 1, 1, 2);
    HF_DATA(uint8_t, pair)[0] = 6;
    HF_DATA(uint8_t, pair)[1] = 5;
    struct hf_tensor *out = resampled(pair, half, HF_RESAMPLE_LABELS, 1, 1, 1);
    assert_int_equal(HF_DATA(uint8_t, out)[0], 6);
    op_tensor_free(out);
    op_tensor_free(pair);
    op_tensor_free(mask);
    op_tensor_free(in);
}

/* An oblique reduction of a linear ramp gives the ramp at the voxel's centre. */
static void oblique_area_keeps_ramps(void **state) {
    (void)state;
    const double matrix[3][4] = {{2, 0.3, 0, 4}, {-0.3, 2, 0, 5}, {0, 0, 2, 4}};
    struct hf_tensor *in = op_tensor(HF_F32, 1, 20, 20, 20);
    for (int64_t i = 0; i < 8000; i++)
        HF_DATA(float, in)[i] = (float)(3 * (i % 20) - 2 * (i / 20 % 20) + (i / 400));
    struct hf_tensor *out = resampled(in, matrix, HF_RESAMPLE_AREA, 5, 5, 5);
    for (int64_t i = 0; i < 125; i++) {
        double at[3];
        apply(matrix, i % 5, i / 5 % 5, i / 25, at);
        assert_true(fabs(HF_DATA(float, out)[i] - (3 * at[0] - 2 * at[1] + at[2])) < 1e-3);
    }
    op_tensor_free(in);
    op_tensor_free(out);
}

static void masks_take_the_majority(void **state) {
    (void)state;
    struct hf_tensor *in = op_tensor(HF_U8, 1, 2, 2, 4);
    const uint8_t mask[16] = {1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0};
    memcpy(in->dl.data, mask, sizeof mask);
    const double half[3][4] = {{2, 0, 0, 0.5}, {0, 2, 0, 0.5}, {0, 0, 2, 0.5}};
    struct hf_tensor *out = resampled(in, half, HF_RESAMPLE_AREA, 1, 1, 2);
    assert_int_equal(HF_DATA(uint8_t, out)[0], 1); /* 4 of 8 */
    assert_int_equal(HF_DATA(uint8_t, out)[1], 0); /* 2 of 8 */
    op_tensor_free(in);
    op_tensor_free(out);
}

static void nearest_keeps_labels(void **state) {
    (void)state;
    struct hf_tensor *in = op_tensor(HF_U8, 1, 3, 5, 6);
    for (int64_t i = 0; i < 90; i++)
        HF_DATA(uint8_t, in)[i] = (uint8_t)(hf_rng_below(&draws, 8) + 1);
    const double matrices[2][3][4] = {
        {{1.7, 0, 0, -0.3}, {0, 0.4, 0, 0.2}, {0, 0, 1.3, 0}},
        {{1.7, 0.2, 0, -0.3}, {0, 0.4, 0.1, 0.2}, {0, 0, 1.3, 0}},
    };
    for (int m = 0; m < 2; m++) {
        struct hf_tensor *out = resampled(in, matrices[m], HF_RESAMPLE_NEAREST, 3, 12, 4);
        for (int64_t i = 0; i < 3 * 12 * 4; i++) {
            double at[3], want = 0;
            apply(matrices[m], i % 4, i / 4 % 12, i / 48, at);
            int64_t w = (int64_t)floor(at[0] + 0.5), h = (int64_t)floor(at[1] + 0.5);
            int64_t d = (int64_t)floor(at[2] + 0.5);
            if (w >= 0 && w < 6 && h >= 0 && h < 5 && d >= 0 && d < 3)
                want = voxel(in, 0, d, h, w);
            assert_true(HF_DATA(uint8_t, out)[i] == want);
        }
        op_tensor_free(out);
    }
    op_tensor_free(in);
}

static void identity_is_exact(void **state) {
    (void)state;
    const double same[3][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}};
    const double moved[3][4] = {{1, 0, 0, 2}, {0, 1, 0, -1}, {0, 0, 1, 1}};
    struct hf_tensor *in = noise(1, 3, 4, 5);
    for (int mode = HF_RESAMPLE_NEAREST; mode <= HF_RESAMPLE_CUBIC; mode++) {
        struct hf_tensor *out = resampled(in, same, mode, 3, 4, 5);
        assert_memory_equal(out->dl.data, in->dl.data, in->bytes);
        op_tensor_free(out);
        out = resampled(in, moved, mode, 3, 4, 5);
        for (int64_t d = 0; d < 3; d++)
            for (int64_t h = 0; h < 4; h++)
                for (int64_t w = 0; w < 5; w++)
                    assert_true(voxel(out, 0, d, h, w) ==
                                (w < 3 && h > 0 && d < 2 ? voxel(in, 0, d + 1, h - 1, w + 2) : -7));
        op_tensor_free(out);
    }
    op_tensor_free(in);
}

static void refuses_other_operands(void **state) {
    (void)state;
    struct hf_tensor *in = op_tensor(HF_F32, 1, 2, 2, 2), *out = op_tensor(HF_U8, 1, 2, 2, 2);
    struct hf_resample_params params = {.matrix = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
    struct hf_op_call call = {.in = {in},
                              .out = {out},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    struct hf_error e = {0};
    assert_int_equal(op_try("resample", &call, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "f32"));
    call.out[0] = in;
    params.mode = HF_RESAMPLE_LABELS;
    assert_int_equal(op_try("resample", &call, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "labels may not be f32"));
    params.mode = HF_RESAMPLE_NEAREST;
    params.matrix[1][1] = NAN;
    assert_int_equal(op_try("resample", &call, &e), HF_INVALID);
    call.params_size = 1;
    assert_int_equal(op_try("resample", &call, &e), HF_INVALID);
    op_tensor_free(in);
    op_tensor_free(out);
}

int main(void) {
    draws = hf_rng_init(1, "test", "resample", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_matches_definition),
        cmocka_unit_test(area_averages_the_box),
        cmocka_unit_test(oblique_area_keeps_ramps),
        cmocka_unit_test(masks_take_the_majority),
        cmocka_unit_test(nearest_keeps_labels),
        cmocka_unit_test(identity_is_exact),
        cmocka_unit_test(refuses_other_operands),
        cmocka_unit_test(cubic_matches_definition),
        cmocka_unit_test(cubic_keeps_parabolas),
        cmocka_unit_test(labels_take_the_largest_share),
    };
    return OP_TESTS(tests);
}
