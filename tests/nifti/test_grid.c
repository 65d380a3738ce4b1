/**
 * test_grid.c - affines and resampling against plain arithmetic: every voxel of a target grid is
 * computed a second time here, from world positions.
 */
#include "grid.h"
#include "geometry/geometry.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

/** A tilted, sheared grid of its own origin. */
static struct hf_grid tilted(int64_t x, int64_t y, int64_t z, double scale, double turn) {
    struct hf_grid g = {{z, y, x}, {{0}}};
    double c = cos(turn), s = sin(turn);
    const double a[3][4] = {{scale * c, -scale * s, 0.1, 3},
                            {scale * s, scale * c, 0.2, -2},
                            {0.05, 0, 1.7 * scale, 1}};
    memcpy(g.affine, a, sizeof a);
    return g;
}

static void test_inverse(void **state) {
    (void)state;
    struct hf_grid g = tilted(5, 4, 3, 0.8, 0.3);
    double inverse[3][4], one[3][4];
    geometry_invert(g.affine, inverse);
    geometry_multiply(inverse, g.affine, one);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            assert_float_equal(one[r][c], r == c, 1e-12);
}

static void test_usable(void **state) {
    (void)state;
    struct hf_grid g = tilted(5, 4, 3, 0.8, 0.3);
    assert_true(hf_affine_usable(g.affine));
    struct hf_grid bad = g;
    bad.affine[1][2] = NAN;
    assert_false(hf_affine_usable(bad.affine));
    bad = g;
    for (int r = 0; r < 3; r++)
        bad.affine[r][1] = 2 * bad.affine[r][0];
    assert_false(hf_affine_usable(bad.affine));
    bad = g;
    for (int r = 0; r < 3; r++)
        bad.affine[r][2] = 0;
    assert_false(hf_affine_usable(bad.affine));
}

static void test_same(void **state) {
    (void)state;
    struct hf_grid a = tilted(50, 40, 30, 0.8, 0.3), b = a;
    assert_true(hf_grid_same(&a, &b));
    b.affine[0][3] += 0.04;
    assert_true(hf_grid_same(&a, &b));
    b.affine[0][3] += 0.08;
    assert_false(hf_grid_same(&a, &b));
    b = a;
    b.affine[2][2] += 0.01; /* 0.3 mm at the far end */
    assert_false(hf_grid_same(&a, &b));
    b = a;
    b.size[0]++;
    assert_false(hf_grid_same(&a, &b));
    a.size[0] = b.size[0] = 1; /* a slice: the step along its axis still counts */
    b = a;
    b.affine[2][2] *= 2;
    assert_false(hf_grid_same(&a, &b));
}

static void test_overlap(void **state) {
    (void)state;
    struct hf_grid a = {{10, 10, 10}, {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}}, b = a;
    assert_float_equal(hf_grid_overlap(&a, &b), 1, 1e-9);
    b.affine[0][3] = 5;
    assert_float_equal(hf_grid_overlap(&a, &b), 0.5, 1e-9);
    b.affine[1][3] = 100;
    assert_float_equal(hf_grid_overlap(&a, &b), 0, 1e-9);
    b = a; /* a box within the other: all of the smaller one */
    b.size[0] = b.size[1] = b.size[2] = 3;
    b.affine[2][3] = 4;
    assert_float_equal(hf_grid_overlap(&a, &b), 1, 1e-9);
}

static void test_labels(void **state) {
    (void)state;
    struct hf_grid from = tilted(9, 7, 6, 1.1, 0.2), to = tilted(14, 12, 11, 0.7, -0.3);
    uint8_t in[9 * 7 * 6], out[14 * 12 * 11];
    for (int i = 0; i < 9 * 7 * 6; i++)
        in[i] = (uint8_t)(1 + i * 37 % 200);
    hf_grid_resample_u8(&from, in, &to, out);
    double inverse[3][4];
    geometry_invert(from.affine, inverse);
    int inside = 0;
    for (int z = 0; z < 11; z++)
        for (int y = 0; y < 12; y++)
            for (int x = 0; x < 14; x++) {
                const double at[3] = {x, y, z};
                double w[3];
                int f[3];
                hf_grid_world(&to, at, w);
                for (int r = 0; r < 3; r++)
                    f[r] = (int)floor(inverse[r][0] * w[0] + inverse[r][1] * w[1] +
                                      inverse[r][2] * w[2] + inverse[r][3] + 0.5);
                int in_box =
                    f[0] >= 0 && f[0] < 9 && f[1] >= 0 && f[1] < 7 && f[2] >= 0 && f[2] < 6;
                int expected = in_box ? in[(f[2] * 7 + f[1]) * 9 + f[0]] : 0;
                assert_int_equal(out[(z * 12 + y) * 14 + x], expected);
                inside += in_box;
            }
    assert_true(inside > 100 && inside < 14 * 12 * 11 - 100);
}

static void test_soft(void **state) {
    (void)state;
    /* A function that is linear in the world is kept by linear interpolation. */
    struct hf_grid from = tilted(9, 7, 6, 1.1, 0.2), to = tilted(14, 12, 11, 0.7, -0.3);
    float in[9 * 7 * 6], out[14 * 12 * 11];
    double inverse[3][4], w[3];
    for (int i = 0; i < 9 * 7 * 6; i++) {
        const double at[3] = {i % 9, i / 9 % 7, i / 63};
        hf_grid_world(&from, at, w);
        in[i] = (float)(3 * w[0] - 2 * w[1] + 0.5 * w[2] + 7);
    }
    hf_grid_resample_f32(&from, in, &to, -99, out);
    geometry_invert(from.affine, inverse);
    int inner = 0, outer = 0;
    for (int i = 0; i < 14 * 12 * 11; i++) {
        const double at[3] = {i % 14, i / 14 % 12, i / 168};
        const double size[3] = {9, 7, 6};
        double f, margin = INFINITY;
        hf_grid_world(&to, at, w);
        for (int r = 0; r < 3; r++) {
            f = inverse[r][0] * w[0] + inverse[r][1] * w[1] + inverse[r][2] * w[2] + inverse[r][3];
            margin = fmin(margin, fmin(f, size[r] - 1 - f));
        }
        if (margin > 0) {
            inner++;
            assert_float_equal(out[i], 3 * w[0] - 2 * w[1] + 0.5 * w[2] + 7, 1e-4);
        } else if (margin < -0.501) {
            outer++;
            assert_true(out[i] == -99.0f);
        }
    }
    assert_true(inner > 100 && outer > 100);
}

/** To the same grid, turned: exactly the same numbers. */
static void test_exact(void **state) {
    (void)state;
    struct hf_grid from = tilted(9, 7, 6, 0.37, 0.2), to = from;
    for (int r = 0; r < 3; r++) {
        to.affine[r][3] += to.affine[r][0] * 8;
        to.affine[r][0] = -to.affine[r][0];
    }
    float in[9 * 7 * 6], out[9 * 7 * 6];
    for (int i = 0; i < 9 * 7 * 6; i++)
        in[i] = i % 5 ? (float)i * 0.1f : 0.0f;
    hf_grid_resample_f32(&from, in, &to, -1, out);
    for (int i = 0; i < 9 * 7 * 6; i++)
        assert_true(out[i] == in[i - i % 9 + 8 - i % 9]);
}

/** Voxels are mm apart as the header says, but a tilted gantry makes them less than their product.
 */
static void test_sheared_volume(void **state) {
    (void)state;
    const struct hf_grid g = {{2, 2, 2}, {{0, 0.5, 0, 9}, {0, 0, 3, 9}, {-2, 0, 4, 9}}};
    double spacing[3];
    geometry_spacing(&g, spacing);
    assert_true(fabs(spacing[0] - 5) < 1e-12 && fabs(spacing[1] - 0.5) < 1e-12 &&
                fabs(spacing[2] - 2) < 1e-12);
    /* 2 x 0.5 in the slice, slices 3 apart */
    assert_true(fabs(geometry_volume(&g) - 0.003) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inverse), cmocka_unit_test(test_usable),
        cmocka_unit_test(test_same),    cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_labels),  cmocka_unit_test(test_soft),
        cmocka_unit_test(test_exact),   cmocka_unit_test(test_sheared_volume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
