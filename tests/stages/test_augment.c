/**
 * test_augment.c - augment: what is turned stays where it is in the world, and comes anew each
 * epoch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../stages/augment/augment.c"
#include "harness.h"

#define D 2
#define H 24
#define W 30
#define N (D * H * W)

/* The effects of space, in every volume, at values that change nothing. */
static const struct augment_options still = {
    .effects = {2, {"rotate", "scale"}, {1, 1}},
    .dims = 2,
    .rotate = {2, {0, 0}},
    .scale = {2, {1, 1}},
    .contrast = {2, {1, 1}},
    .shift = {2, {0, 0}},
};

struct test {
    struct harness *h;
    struct hf_sample *in;
    struct hf_stage *stage;
    const struct hf_sample *out;
};

/* A number that rises linearly in the world. */
static double ramp(const struct hf_grid *g, int64_t i) {
    const double at[3] = {(double)(i % W), (double)(i / W % H), (double)(i / (H * W))};
    const double slope[3] = {0.004, 0.006, 0.01};
    double v = 0.4;
    for (int r = 0; r < 3; r++)
        v += slope[r] * (g->affine[r][0] * at[0] + g->affine[r][1] * at[1] +
                         g->affine[r][2] * at[2] + g->affine[r][3]);
    return v;
}

static struct test run_on(const struct augment_options *o, uint64_t epoch,
                          const struct hf_grid *grid) {
    static float image[N];
    static uint8_t liver[N], couinaud[N];
    struct test t = {.h = harness_open()};
    struct hf_error e = {0};
    harness_add(t.h, &hf_plugin);
    t.in = harness_sample(t.h, "c1", D, H, W, 1.0);
    t.in->grid = *grid;
    t.in->canonical = t.in->grid;
    for (int64_t i = 0; i < N; i++) {
        image[i] = (float)ramp(&t.in->grid, i);
        liver[i] = i / W % H >= 4 && i / W % H < 20 && i % W >= 5 && i % W < 25;
        couinaud[i] = (uint8_t)(1 + i % W / 4);
    }
    harness_set_f32(t.h, t.in, "image", 1, image);
    harness_set_u8(t.h, t.in, "liver", 1, liver);
    harness_set_u8(t.h, t.in, "couinaud", 1, couinaud);
    t.stage = harness_stage(t.h, &augment, o, "varied");
    t.stage->epoch = epoch;
    if (harness_process(t.stage, t.in, &e) != HF_OK)
        fail_msg("%s", e.text);
    assert_int_equal(harness_outs(t.stage), 1);
    t.out = harness_out(t.stage, 0);
    return t;
}

static struct test run(const struct augment_options *o, uint64_t epoch) {
    static const struct hf_grid grid = {{D, H, W}, {{1, 0, 0, -14}, {0, 1, 0, -10}, {0, 0, 3, 2}}};
    return run_on(o, epoch, &grid);
}

static void done(struct test *t) {
    harness_stage_free(t->stage);
    harness_free_sample(t->h, t->in);
    harness_close(t->h);
}

/* Index along W and H, in the grid that came in, of the place of voxel i of `out`. */
static void index_before(const struct test *t, int64_t i, double ret[2]) {
    const struct hf_grid *from = &t->in->grid, *to = &t->out->grid;
    for (int r = 0; r < 2; r++)
        ret[r] = (to->affine[r][0] * (double)(i % W) + to->affine[r][1] * (double)(i / W % H) +
                  to->affine[r][3] - from->affine[r][3]) /
                 from->affine[r][r];
}

/* Every voxel shows what lies at its place in the world, by the affine that goes with it. */
static void check_world(const struct test *t) {
    const float *image = harness_f32(t->out, "image");
    const uint8_t *couinaud = harness_u8(t->out, "couinaud");
    int64_t inside = 0;
    for (int64_t i = 0; i < N; i++) {
        double at[2];
        index_before(t, i, at);
        if (at[0] < 0 || at[0] > W - 1 || at[1] < 0 || at[1] > H - 1)
            continue;
        inside++;
        assert_true(fabs(image[i] - ramp(&t->out->grid, i)) < 1e-4);
        double label = at[0] / 4 + 0.125; /* of nearest voxels; not where two are as near */
        if (fabs(label - floor(label + 0.5)) > 1e-3)
            assert_int_equal(couinaud[i], 1 + (int)floor(at[0] + 0.5) / 4);
    }
    assert_true(inside > N / 2);
    for (int c = 0; c < 4; c++)
        assert_true(t->out->grid.affine[2][c] == t->in->grid.affine[2][c]);
    assert_memory_equal(&t->out->canonical, &t->in->canonical, sizeof t->in->canonical);
}

static double determinant(const struct hf_grid *g) {
    return g->affine[0][0] * g->affine[1][1] - g->affine[0][1] * g->affine[1][0];
}

static void nothing_drawn_changes_nothing(void **state) {
    (void)state;
    struct test t = run(&still, 0);
    assert_memory_equal(harness_u8(t.out, "liver"), harness_u8(t.in, "liver"), N);
    for (int64_t i = 0; i < N; i++)
        assert_true(fabsf(harness_f32(t.out, "image")[i] - harness_f32(t.in, "image")[i]) < 1e-6f);
    check_world(&t);
    done(&t);
}

static void turned_and_scaled_about_the_centre(void **state) {
    (void)state;
    struct augment_options o = still;
    o.rotate = (struct hf_reals){2, {17, 17}};
    o.scale = (struct hf_reals){2, {1.25, 1.25}};
    struct test t = run(&o, 0);
    /* Magnified: a voxel covers less. */
    assert_true(fabs(determinant(&t.out->grid) - 1 / (1.25 * 1.25)) < 1e-9);
    double centre[2] = {0, 0}, corner[4][2];
    const int64_t corners[4] = {0, W - 1, (H - 1) * W, H * W - 1};
    for (int k = 0; k < 4; k++) {
        index_before(&t, corners[k], corner[k]);
        centre[0] += corner[k][0] / 4;
        centre[1] += corner[k][1] / 4;
    }
    assert_true(fabs(centre[0] - 14.5) < 1e-9 && fabs(centre[1] - 11.5) < 1e-9);
    assert_true(fabs(atan2(corner[1][1] - corner[0][1], corner[1][0] - corner[0][0]) -
                     17 * 3.14159265358979 / 180) < 1e-9);
    check_world(&t);
    done(&t);
}

static void mirrored_left_to_right(void **state) {
    (void)state;
    struct augment_options o = still;
    o.effects = (struct hf_weights){1, {"mirror_w"}, {1}};
    struct test t = run(&o, 0);
    assert_true(determinant(&t.out->grid) < 0);
    const uint8_t *before = harness_u8(t.in, "couinaud"), *after = harness_u8(t.out, "couinaud");
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(after[i], before[i - i % W + W - 1 - i % W]);
    check_world(&t);
    done(&t);
}

/* Sides of a voxel that differ: right angles stay right angles in the world. */
static void turned_in_mm(void **state) {
    (void)state;
    static const struct hf_grid grid = {{D, H, W},
                                        {{1.6, 0, 0, -14}, {0, 0.8, 0, -10}, {0, 0, 3, 2}}};
    struct augment_options o = still;
    o.rotate = (struct hf_reals){2, {25, 25}};
    struct test t = run_on(&o, 0, &grid);
    const struct hf_grid *g = &t.out->grid;
    double dot = 0, side[2] = {0, 0};
    for (int r = 0; r < 2; r++) {
        dot += g->affine[r][0] * g->affine[r][1];
        side[0] += g->affine[r][0] * g->affine[r][0];
        side[1] += g->affine[r][1] * g->affine[r][1];
    }
    assert_true(fabs(dot) < 1e-9);
    assert_true(fabs(sqrt(side[0]) - 1.6) < 1e-9 && fabs(sqrt(side[1]) - 0.8) < 1e-9);
    assert_true(fabs(atan2(g->affine[1][0], g->affine[0][0]) - 25 * 3.14159265358979 / 180) < 1e-9);
    check_world(&t);
    done(&t);
}

/* In space: no plane is left as it was, sides and angles are, and a mirrored axis turns around. */
static void turned_in_space(void **state) {
    (void)state;
    static const struct hf_grid grid = {{D, H, W},
                                        {{1.6, 0, 0, -14}, {0, 0.8, 0, -10}, {0, 0, 3, 2}}};
    struct augment_options o = still;
    o.dims = 3;
    o.rotate = (struct hf_reals){2, {-30, 30}};
    o.scale = (struct hf_reals){1, {0.8}};
    o.effects = (struct hf_weights){4, {"rotate", "scale", "mirror_h", "mirror_d"}, {1, 1, 1, 1}};
    struct test t = run_on(&o, 0, &grid);
    const double(*m)[4] = t.out->grid.affine, sides[3] = {1.6 / 0.8, 0.8 / 0.8, 3 / 0.8};
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            double dot = m[0][a] * m[0][b] + m[1][a] * m[1][b] + m[2][a] * m[2][b];
            assert_true(fabs(dot - (a == b ? sides[a] * sides[a] : 0)) < 1e-9);
            assert_true(a == b || fabs(m[a][b]) > 1e-3);
        }
    }
    assert_true(m[0][0] > 0 && m[1][1] < 0 && m[2][2] < 0);
    /* The middle stays. */
    for (int r = 0; r < 3; r++) {
        const double middle[3] = {(W - 1) / 2.0, (H - 1) / 2.0, (D - 1) / 2.0};
        double before = grid.affine[r][3], after = m[r][3];
        for (int a = 0; a < 3; a++) {
            before += grid.affine[r][a] * middle[a];
            after += m[r][a] * middle[a];
        }
        assert_true(fabs(before - after) < 1e-9);
    }
    /* The ramp is a function of the world, wherever it is seen. */
    const float *image = harness_f32(t.out, "image");
    int64_t seen = 0;
    for (int64_t i = 0; i < N; i++) {
        double world[3], at[3];
        for (int r = 0; r < 3; r++) {
            world[r] = m[r][0] * (double)(i % W) + m[r][1] * (double)(i / W % H) +
                       m[r][2] * (double)(i / (W * H)) + m[r][3];
            at[r] = (world[r] - grid.affine[r][3]) / grid.affine[r][r];
        }
        if (at[0] < 0 || at[0] > W - 1 || at[1] < 0 || at[1] > H - 1 || at[2] < 0 || at[2] > D - 1)
            continue;
        assert_true(fabs((double)image[i] -
                         (0.4 + 0.004 * world[0] + 0.006 * world[1] + 0.01 * world[2])) < 1e-4);
        seen++;
    }
    assert_true(seen > N / 10);
    done(&t);
}

/* By default, in space: up to 30 degrees about each axis, and about each another. */
static void turns_about_each_axis_by_default(void **state) {
    (void)state;
    static const struct hf_grid grid = {{D, H, W},
                                        {{1.6, 0, 0, -14}, {0, 0.8, 0, -10}, {0, 0, 3, 2}}};
    struct augment_options o = still;
    double most[3] = {0, 0, 0};
    o.dims = 3;
    o.rotate = (struct hf_reals){0, {0}};
    for (uint64_t epoch = 0; epoch < 12; epoch++) {
        struct test t = run_on(&o, epoch, &grid);
        const double(*m)[4] = t.out->grid.affine, sides[3] = {1.6, 0.8, 3};
        double r[3][3];
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                r[a][b] = m[a][b] / sides[b];
        /* It is Rz Rx Ry: what stands where only one, or two, of the angles do. */
        const double angle[3] = {asin(r[2][1]), atan2(-r[2][0], r[2][2]), atan2(-r[0][1], r[1][1])};
        for (int a = 0; a < 3; a++) {
            assert_true(fabs(angle[a]) < 30.001 * 3.14159265 / 180);
            most[a] = fmax(most[a], fabs(angle[a]));
        }
        done(&t);
    }
    for (int a = 0; a < 3; a++)
        assert_true(most[a] > 10 * 3.14159265 / 180);
}

static void each_epoch_draws_anew(void **state) {
    (void)state;
    struct augment_options o = still;
    o.rotate = (struct hf_reals){2, {-20, 20}};
    o.scale = (struct hf_reals){2, {0.85, 1.15}};
    double angle[3], size[3];
    for (int epoch = 0; epoch < 3; epoch++) {
        struct test a = run(&o, (uint64_t)epoch), b = run(&o, (uint64_t)epoch);
        assert_memory_equal(&a.out->grid, &b.out->grid, sizeof a.out->grid);
        assert_memory_equal(harness_f32(a.out, "image"), harness_f32(b.out, "image"),
                            N * sizeof(float));
        check_world(&a);
        angle[epoch] = atan2(a.out->grid.affine[1][0], a.out->grid.affine[0][0]);
        size[epoch] = 1 / sqrt(determinant(&a.out->grid));
        assert_true(fabs(angle[epoch]) <= 20 * 3.1416 / 180);
        assert_true(size[epoch] >= 0.85 - 1e-9 && size[epoch] <= 1.15 + 1e-9);
        for (int k = 0; k < epoch; k++)
            assert_true(fabs(angle[k] - angle[epoch]) > 1e-3 && fabs(size[k] - size[epoch]) > 1e-4);
        done(&a);
        done(&b);
    }
}

static void falling_ranges_are_refused(void **state) {
    (void)state;
    struct augment_options o = still;
    struct hf_error e = {0};
    o.scale = (struct hf_reals){2, {1.2, 0.8}};
    assert_int_equal(augment.declare(&o, NULL, &e), HF_INVALID);
    assert_string_equal(e.text,
                        "option 'scale' is [1.2, 0.8]; expected the lower end first: [0.8, 1.2]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_drawn_changes_nothing),
        cmocka_unit_test(turned_and_scaled_about_the_centre),
        cmocka_unit_test(mirrored_left_to_right),
        cmocka_unit_test(turned_in_mm),
        cmocka_unit_test(turned_in_space),
        cmocka_unit_test(turns_about_each_axis_by_default),
        cmocka_unit_test(each_epoch_draws_anew),
        cmocka_unit_test(falling_ranges_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
