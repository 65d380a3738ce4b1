/**
 * test_prepare.c - prepare: where a case comes to lie, and what its voxels become.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"
#include "../../stages/prepare/prepare.c"

#define D 12
#define H 30
#define W 40
#define N (D * H * W)

static const struct options plain = {.window = {2, {-200, 250}},
                                     .margin = 0,
                                     .multiple = 1,
                                     .outside = OUTSIDE_KEEP,
                                     .crop = CROP_LIVER,
                                     .keep_truth = 1};

/* ---- canvas ---- */

static struct hf_grid scanner(void) {
    return (struct hf_grid){{D, H, W}, {{0.5, 0.1, 0, -20}, {-0.1, 0.5, 0, 30}, {0, 0, 2, -100}}};
}

static void native_spacing_keeps_voxels(void **state) {
    (void)state;
    struct hf_grid g = scanner(), out;
    double m[3][4];
    struct canvas_box box = {{2, 5, 7}, {9, 20, 30}};
    struct canvas_request r = {.margin = 1.2, .multiple = 16};
    canvas_plan(&g, &box, &r, &out, m);
    /* D: 2 mm apart, a margin of 1 voxel; H and W: 0.51 mm apart, 3 voxels. */
    assert_int_equal(out.size[0], 10);
    assert_int_equal(out.size[1], 32); /* 22 in 16s */
    assert_int_equal(out.size[2], 32); /* 30 in 16s */
    for (int a = 0; a < 3; a++) {
        assert_true(m[a][a] == 1);
        assert_true(m[a][3] == floor(m[a][3]));
    }
    assert_true(m[2][3] == 1);
    /* Centred: as much room before the box as behind, to a voxel. */
    assert_true(fabs((2 - m[1][3]) - (m[1][3] + 31 - 23)) <= 1);
    for (int r0 = 0; r0 < 3; r0++) {
        double at = g.affine[r0][3];
        for (int c = 0; c < 3; c++)
            at += g.affine[r0][c] * m[c][3];
        assert_true(fabs(out.affine[r0][3] - at) < 1e-9);
    }
}

static void margin_stays_in_the_image(void **state) {
    (void)state;
    struct hf_grid g = scanner(), out;
    double m[3][4];
    struct canvas_box box = {{0, 1, 2}, {D - 1, H - 2, W - 3}};
    struct canvas_request r = {.margin = 50, .multiple = 1};
    canvas_plan(&g, &box, &r, &out, m);
    assert_memory_equal(out.size, g.size, sizeof g.size);
    assert_memory_equal(out.affine, g.affine, sizeof g.affine);
}

static void a_case_that_does_not_fit_gets_coarser(void **state) {
    (void)state;
    struct hf_grid g = {{D, H, W}, {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 2, 0}}}, out;
    double m[3][4];
    struct canvas_box box = {{0, 0, 0}, {D - 1, H - 1, W - 1}};
    struct canvas_request r = {.spacing = {4, 1, 1}, .size = {24, 20}, .multiple = 1};
    canvas_plan(&g, &box, &r, &out, m);
    assert_int_equal(out.size[0], 6);
    assert_int_equal(out.size[1], 24);
    assert_int_equal(out.size[2], 20);
    /* W needs twice the spacing; H follows it. */
    assert_true(fabs(out.affine[0][0] - 2) < 1e-9 && fabs(out.affine[1][1] - 2) < 1e-9);
    assert_true(fabs(out.affine[2][2] - 4) < 1e-9);
    /* The box's centre is the canvas's centre. */
    assert_true(fabs(out.affine[0][3] + 2 * 9.5 - 19.5) < 1e-9);
    assert_true(fabs(out.affine[1][3] + 2 * 11.5 - 14.5) < 1e-9);
    assert_true(fabs(out.affine[2][3] + 4 * 2.5 - 11) < 1e-9);
    /* One that fits keeps the spacing. */
    box = (struct canvas_box){{3, 10, 10}, {5, 20, 25}};
    canvas_plan(&g, &box, &r, &out, m);
    assert_true(out.affine[0][0] == 1 && out.affine[1][1] == 1);
}

/* ---- the stage ---- */

static int in_liver(int64_t i) {
    int64_t d = i / (H * W), h = i / W % H, w = i % W;
    return d >= 3 && d <= 8 && h >= 6 && h <= 21 && w >= 10 && w <= 33;
}

/* HU that rise linearly in the world. */
static double ramp(const struct hf_grid *g, double d, double h, double w) {
    double hu = 10;
    const double slope[3] = {3, -2, 1.5};
    for (int r = 0; r < 3; r++)
        hu += slope[r] *
              (g->affine[r][0] * w + g->affine[r][1] * h + g->affine[r][2] * d + g->affine[r][3]);
    return hu;
}

/* What case_of puts in the image and the map: a ramp and wide stripes, or what interpolations tell
 * apart: a parabola along W, and stripes of two voxels and one. */
static int curved;

static double parabola(double w) {
    return (w - 20) * (w - 20) - 100;
}

static struct hf_sample *case_of(struct harness *h) {
    static float image[N];
    static uint8_t liver[N], couinaud[N], tumor[N];
    struct hf_sample *s = harness_sample(h, "c7", D, H, W, 1.0);
    struct hf_grid g = {{D, H, W}, {{1, 0, 0, -10}, {0, 1, 0, 4}, {0, 0, 2, -7}}};
    s->grid = s->canonical = s->file = g;
    for (int64_t i = 0; i < N; i++) {
        image[i] = (float)ramp(&g, (double)(i / (H * W)), (double)(i / W % H), (double)(i % W));
        liver[i] = (uint8_t)in_liver(i);
        couinaud[i] = (uint8_t)(1 + i % W / 5);
        if (curved) {
            image[i] = (float)parabola((double)(i % W));
            couinaud[i] = i % W % 3 == 1 ? 7 : 2;
        }
        tumor[i] = in_liver(i) && i % W >= 14 && i % W < 20 && i / W % H >= 10 && i / W % H < 16;
    }
    harness_set_f32(h, s, "image", 1, image);
    harness_set_u8(h, s, "liver", 1, liver);
    harness_set_u8(h, s, "couinaud", 1, couinaud);
    harness_set_u8(h, s, "tumor", 1, tumor);
    harness_set_u8(h, s, "foreign", 1, liver);
    const int64_t depth = D;
    harness_set(h, s, "slices", HF_ON_HOST, HF_U8, 1, &depth, liver);
    return s;
}

/* The sample that comes out; the stage is freed with it by `done`. */
struct test {
    struct harness *h;
    struct hf_sample *in;
    struct hf_stage *stage;
    const struct hf_sample *out;
};

static struct test run(const struct options *o) {
    struct test t = {.h = harness_open()};
    struct hf_error e = {0};
    harness_add(t.h, &hf_plugin);
    t.in = case_of(t.h);
    t.stage = harness_stage(t.h, &prepare, o, "prepared");
    if (harness_process(t.stage, t.in, &e) != HF_OK)
        fail_msg("%s", e.text);
    assert_int_equal(harness_outs(t.stage), 1);
    t.out = harness_out(t.stage, 0);
    return t;
}

static void done(struct test *t) {
    harness_stage_free(t->stage);
    harness_free_sample(t->h, t->in);
    harness_close(t->h);
}

static double windowed(double hu, double low, double high) {
    return fmin(fmax((hu - low) / (high - low), 0), 1);
}

static void crops_and_windows(void **state) {
    (void)state;
    struct options o = plain;
    o.outside = OUTSIDE_ZERO;
    o.margin = 2;
    struct test t = run(&o);
    const struct hf_grid *g = &t.out->grid;
    assert_int_equal(g->size[0], 8);
    assert_int_equal(g->size[1], 20);
    assert_int_equal(g->size[2], 28);
    const float *image = harness_f32(t.out, "image");
    const uint8_t *liver = harness_u8(t.out, "liver"), *couinaud = harness_u8(t.out, "couinaud");
    const uint8_t *tumor = harness_u8(t.out, "tumor");
    for (int64_t d = 0; d < 8; d++)
        for (int64_t h = 0; h < 20; h++)
            for (int64_t w = 0; w < 28; w++) {
                int64_t to = (d * 20 + h) * 28 + w, from = ((d + 2) * H + h + 4) * W + w + 8;
                int inside = in_liver(from);
                double hu = ramp(g, (double)d, (double)h, (double)w);
                assert_int_equal(liver[to], inside);
                assert_true(fabs(image[to] - (inside ? windowed(hu, -200, 250) : 0)) < 1e-5);
                assert_int_equal(couinaud[to], inside ? 1 + (w + 8) / 5 : 0);
                assert_int_equal(tumor[to], harness_u8(t.in, "tumor")[from]);
            }
    assert_null(hf_sample_get(t.out, "foreign"));
    assert_null(hf_sample_get(t.out, "slices")); /* of the old grid's slices */
    assert_memory_equal(&t.out->canonical, &t.in->canonical, sizeof t.out->canonical);
    const struct hf_field *truth = hf_sample_find(t.out, "truth");
    assert_non_null(truth);
    assert_int_equal(truth->place, HF_ON_CANONICAL);
    assert_memory_equal(harness_u8(t.out, "truth"), harness_u8(t.in, "tumor"), N);
    assert_true(harness_f32(t.out, "window")[0] == -200 && harness_f32(t.out, "window")[1] == 250);
    done(&t);
}

static void resampling_keeps_places(void **state) {
    (void)state;
    struct options o = plain;
    o.spacing = (struct hf_reals){3, {3, 1.7, 2.3}};
    struct test t = run(&o);
    const struct hf_grid *g = &t.out->grid;
    assert_true(fabs(g->affine[0][0] - 2.3) < 1e-9 && fabs(g->affine[1][1] - 1.7) < 1e-9 &&
                fabs(g->affine[2][2] - 3) < 1e-9);
    assert_int_equal(g->size[0], 4);  /* 12 mm */
    assert_int_equal(g->size[1], 10); /* 16 mm */
    assert_int_equal(g->size[2], 11); /* 24 mm */
    const float *image = harness_f32(t.out, "image");
    int64_t tumor = 0;
    for (int64_t i = 0; i < 4 * 10 * 11; i++) {
        double hu = ramp(g, (double)(i / 110), (double)(i / 11 % 10), (double)(i % 11));
        /* A voxel that lies partly in the box counts as its centre: an eighth of a step an axis. */
        assert_true(fabs(image[i] - windowed(hu, -200, 250)) < 0.6 / 450);
        tumor += harness_u8(t.out, "tumor")[i];
    }
    /* 6 x 6 x 12 mm3, to what a majority of coarse voxels can give. */
    assert_true(fabs((double)tumor * 3 * 1.7 * 2.3 - 432) < 140);
    done(&t);
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void window_follows_the_median(void **state) {
    (void)state;
    struct options o = plain;
    o.relative_to = RELATIVE_LIVER;
    o.window = (struct hf_reals){2, {-100, 60}};
    struct test t = run(&o);
    static float values[N];
    int64_t n = 0;
    for (int64_t i = 0; i < N; i++)
        if (in_liver(i))
            values[n++] = harness_f32(t.in, "image")[i];
    qsort(values, (size_t)n, sizeof *values, by_value);
    const float *window = harness_f32(t.out, "window");
    assert_true(fabs(window[0] + 100 - values[n / 2]) < 0.3);
    assert_true(fabs(window[1] - window[0] - 160) < 1e-3);
    /* HU can be had back. */
    double hu = ramp(&t.out->grid, 2, 3, 4);
    double back = window[0] + harness_f32(t.out, "image")[(2 * 16 + 3) * 24 + 4] * 160;
    assert_true(fabs(back - hu) < 1e-2);
    done(&t);
}

static void smoothing_in_the_liver_ignores_the_rest(void **state) {
    (void)state;
    struct options o = plain;
    o.margin = 6;
    o.smooth = 2;
    o.window = (struct hf_reals){2, {-1000, 1000}};
    struct test all = run(&o);
    o.smooth_in = SMOOTH_LIVER;
    struct test liver = run(&o);
    /* In the middle of a slice of a ramp the two agree with the ramp; outside the liver the second
     * leaves the image alone. */
    const int64_t *size = all.out->grid.size;
    int64_t middle = (3 * size[1] + size[1] / 2) * size[2] + size[2] / 2, corner = 0;
    double hu = ramp(&all.out->grid, 3, (double)(size[1] / 2), (double)(size[2] / 2));
    assert_true(fabs(harness_f32(all.out, "image")[middle] - windowed(hu, -1000, 1000)) < 1e-4);
    hu = ramp(&all.out->grid, 0, 0, 0);
    assert_true(fabs(harness_f32(liver.out, "image")[corner] - windowed(hu, -1000, 1000)) < 1e-5);
    assert_true(fabs(harness_f32(all.out, "image")[corner] - windowed(hu, -1000, 1000)) > 1e-5);
    done(&all);
    done(&liver);
}

static void fixed_size_fills_with_air(void **state) {
    (void)state;
    struct options o = plain;
    o.size = (struct hf_reals){2, {64, 48}};
    struct test t = run(&o);
    assert_int_equal(t.out->grid.size[1], 64);
    assert_int_equal(t.out->grid.size[2], 48);
    assert_true(harness_f32(t.out, "image")[0] == 0);
    const uint8_t *liver = harness_u8(t.out, "liver");
    int64_t n = 0;
    for (int64_t i = 0; i < hf_tensor_count(hf_sample_get(t.out, "liver")); i++)
        n += liver[i];
    assert_int_equal(n, 6 * 16 * 24);
    done(&t);
}

static void no_liver_is_an_error(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e = {0};
    harness_add(h, &hf_plugin);
    struct hf_sample *in = case_of(h);
    harness_set_u8(h, in, "liver", 1, NULL);
    struct hf_stage *s = harness_stage(h, &prepare, &plain, "prepared");
    assert_int_equal(harness_process(s, in, &e), HF_INVALID);
    /* The engine puts the stage and the case before it. */
    assert_non_null(strstr(e.text, "the liver mask has no voxel"));
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

static void declares_fields_and_checks_options(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e = {0};
    struct options o = plain;
    o.size = (struct hf_reals){2, {96, 128}};
    assert_int_equal(io_stub_declare(&io, &prepare, &o, " image liver tumor ", &e), HF_OK);
    assert_non_null(strstr(io.text, "regrid -1 96 128"));
    assert_non_null(strstr(io.text, "write truth@1 < tumor"));
    assert_null(strstr(io.text, "write couinaud"));
    assert_non_null(strstr(io.text, "write image@0 < image liver"));
    o.window = (struct hf_reals){2, {250, -200}};
    assert_int_equal(io_stub_declare(&io, &prepare, &o, " ", &e), HF_INVALID);
    o = plain;
    o.spacing = (struct hf_reals){2, {1, 1}};
    assert_int_equal(io_stub_declare(&io, &prepare, &o, " ", &e), HF_INVALID);
    o = plain;
    o.size = (struct hf_reals){1, {96}};
    assert_int_equal(io_stub_declare(&io, &prepare, &o, " ", &e), HF_INVALID);
}

static void interpolates_as_asked(void **state) {
    (void)state;
    curved = 1;
    double worst[3] = {0};
    for (int mode = IMAGE_AREA; mode <= IMAGE_CUBIC; mode++) {
        struct options o = plain;
        o.spacing = (struct hf_reals){3, {2, 0.4, 0.4}};
        o.interpolation = mode;
        struct test t = run(&o);
        const float *image = harness_f32(t.out, "image");
        const struct hf_grid *g = &t.out->grid;
        for (int64_t w = 0; w < g->size[2]; w++) {
            double at = g->affine[0][0] * (double)w + g->affine[0][3] + 10;
            double wrong = fabs(image[w] - windowed(parabola(at), -200, 250)) * 450;
            worst[mode] = fmax(worst[mode], wrong);
        }
        /* What is saved goes back to the grid that was loaded. */
        assert_memory_equal(&t.out->canonical, &t.in->canonical, sizeof t.out->canonical);
        done(&t);
    }
    /* Between voxels a chord is at most a quarter above a parabola that bends by 2. */
    assert_true(worst[IMAGE_CUBIC] < 1e-3);
    assert_true(worst[IMAGE_LINEAR] > 0.2 && worst[IMAGE_LINEAR] < 0.2501);
    assert_true(worst[IMAGE_AREA] > 0.2 && worst[IMAGE_AREA] < 0.2501);
    /* Shrunk threefold, `linear` takes one voxel, `area` the mean of three. */
    for (int mode = IMAGE_AREA; mode <= IMAGE_LINEAR; mode++) {
        struct options o = plain;
        o.spacing = (struct hf_reals){3, {2, 1, 3}};
        o.interpolation = mode;
        o.label_interpolation = mode == IMAGE_AREA ? LABELS_SHARE : LABELS_NEAREST;
        struct test t = run(&o);
        const float *image = harness_f32(t.out, "image");
        const uint8_t *map = harness_u8(t.out, "couinaud"), *liver = harness_u8(t.out, "liver");
        int64_t seen = 0, odd = 0;
        for (int64_t i = 0; i < hf_tensor_count(hf_sample_get(t.out, "couinaud")); i++) {
            double at = t.out->grid.affine[0][0] * (double)(i % t.out->grid.size[2]) +
                        t.out->grid.affine[0][3] + 10;
            double mean = parabola(at) + (mode == IMAGE_AREA ? 2.0 / 3 : 0);
            assert_true(fabs(image[i] - windowed(mean, -200, 250)) * 450 < 1e-3);
            if (!liver[i])
                continue;
            seen++;
            odd += map[i] != 2;
            if (mode == IMAGE_LINEAR)
                assert_int_equal(map[i], (int64_t)at % 3 == 1 ? 7 : 2);
        }
        assert_true(seen > 100);
        if (mode == IMAGE_AREA)
            assert_int_equal(odd, 0); /* two voxels of three, wherever the three begin */
        done(&t);
    }
    curved = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native_spacing_keeps_voxels),
        cmocka_unit_test(margin_stays_in_the_image),
        cmocka_unit_test(a_case_that_does_not_fit_gets_coarser),
        cmocka_unit_test(crops_and_windows),
        cmocka_unit_test(resampling_keeps_places),
        cmocka_unit_test(window_follows_the_median),
        cmocka_unit_test(smoothing_in_the_liver_ignores_the_rest),
        cmocka_unit_test(fixed_size_fills_with_air),
        cmocka_unit_test(no_liver_is_an_error),
        cmocka_unit_test(interpolates_as_asked),
        cmocka_unit_test(declares_fields_and_checks_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
