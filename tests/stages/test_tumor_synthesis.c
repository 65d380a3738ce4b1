/*
 * test_tumor_synthesis.c - synthetic lesions: where they lie, what they look like, what hides them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/tumor_synthesis/tumor_synthesis.c"

enum {
    D = 6,
    H = 96,
    W = 100,
    PLANE = H * W,
    N = D * PLANE
};

#define UNIT (1.0f / 450.0f) /* of the window [-200, 250] HU */

static uint8_t liver[N], couinaud[N], clean[N];
static float image[N];

/* Lesions that can be predicted: one flat ellipse a slice, -50 HU, hard edge. */
static const struct options plain = {
    .method = METHOD_ELLIPSE,
    .contrast = CONTRAST_RANGES,
    .region = "clean",
    .share = 1,
    .lesions = {2, {1, 1}},
    .superpixels = {2, {6, 6}},
    .compactness = 10,
    .radius = {2, {8, 8}},
    .elastic_size = {2, {4, 4}},
    .elastic_shift = {2, {0, 0}},
    .edge = {2, {0, 0}},
    .beta_range = {2, {-176, 88}},
    .beta_shape = {2, {6, 4}},
    .hypodense_contrast = {2, {-50, -50}},
    .hyperdense_contrast = {2, {40, 40}},
    .normal = {2, {-45, 20}},
    .hyperdense = 0,
    .faintest = 0,
    .texture = {2, {0, 0}},
    .texture_size = {2, {0, 0}},
    .damp = 0,
    .damp_size = 3,
    .extra_segments = {2, {0, 0}},
    .min_area = 100,
};

/* A round liver of four segments (2, 4, 5, 8), a quarter each; 5 is annotated. In slice 4 all is,
 * slice 5 has no liver. The image is flat but for fat outside. */
static void make_volume(void) {
    for (int i = 0; i < N; i++) {
        int d = i / PLANE, y = i / W % H, x = i % W;
        int dy = y - H / 2, dx = x - W / 2;
        static const uint8_t quarter[4] = {2, 4, 5, 8};
        liver[i] = d < 5 && dy * dy + dx * dx < 44 * 44;
        couinaud[i] = liver[i] ? quarter[2 * (dy > 0) + (dx > 0)] : 0;
        clean[i] = liver[i] && d != 4 && couinaud[i] != 5;
        image[i] = liver[i] ? 0.6f : 0.2f;
    }
}

struct drawn {
    float image[N], lesion[N];
    uint8_t hole[N], slices[D];
};

struct setting {
    const struct options *o;
    const char *id;
    uint64_t epoch;
    double spacing;
    int without_couinaud;
};

static struct drawn *draw_once(struct harness *h, struct setting set) {
    static struct drawn kept[2];
    static int turn;
    static const float window[2] = {-200, 250};
    const int64_t two = 2;
    struct drawn *r = &kept[turn ^= 1];
    struct hf_error e;
    struct hf_sample *in =
        harness_sample(h, set.id ? set.id : "case", D, H, W, set.spacing > 0 ? set.spacing : 1.0);
    harness_set_f32(h, in, "image", 1, image);
    harness_set_u8(h, in, "liver", 1, liver);
    harness_set_u8(h, in, "clean", 1, clean);
    if (!set.without_couinaud)
        harness_set_u8(h, in, "couinaud", 1, couinaud);
    harness_set(h, in, "window", HF_ON_HOST, HF_F32, 1, &two, window);
    struct hf_stage *s = harness_stage(h, &tumor_synthesis, set.o, "tumors");
    s->epoch = set.epoch;
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    assert_int_equal(harness_outs(s), 1);
    const struct hf_sample *out = harness_out(s, 0);
    memcpy(r->image, harness_f32(out, "image"), sizeof r->image);
    memcpy(r->lesion, harness_f32(out, "lesion"), sizeof r->lesion);
    memcpy(r->hole, harness_u8(out, "hole"), N);
    memcpy(r->slices, harness_u8(out, "slices"), D);
    assert_memory_equal(harness_f32(out, "healthy"), image, sizeof image);
    harness_stage_free(s);
    harness_free_sample(h, in);
    return r;
}

static struct harness *open_harness(void) {
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    make_volume();
    return h;
}

static double sum_of(const float *v, int d) {
    double sum = 0;
    for (int i = d * PLANE; i < (d + 1) * PLANE; i++)
        sum += v[i];
    return sum;
}

/* Everything at once, as it is used: rules that hold whatever is drawn. */
static void test_rules_hold_for_both_methods(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int i = 0; i < N; i++)
        image[i] += 0.02f * sinf((float)i);
    for (int method = 0; method < 2; method++) {
        for (uint64_t epoch = 0; epoch < 4; epoch++) {
            struct options o = plain;
            o.method = method;
            o.contrast = CONTRAST_BETA;
            o.lesions.value[1] = 3;
            o.superpixels = (struct hf_reals){2, {2, 44}};
            o.radius = (struct hf_reals){2, {3.6, 28}};
            o.elastic_shift.value[1] = 5;
            o.edge.value[1] = 2;
            o.texture = (struct hf_reals){2, {3, 12}};
            o.texture_size = (struct hf_reals){2, {1, 5}};
            o.damp = 0.7;
            o.hyperdense = 0.2;
            const struct drawn *r = draw_once(h, (struct setting){.o = &o, .epoch = epoch});
            for (int i = 0; i < N; i++) {
                assert_true(r->lesion[i] >= 0 && r->lesion[i] <= 1);
                assert_true(r->lesion[i] == 0 || clean[i]);
                assert_true(r->lesion[i] > 0 || r->image[i] == image[i]);
                assert_true(r->image[i] >= 0 && r->image[i] <= 1);
                assert_true(!r->hole[i] || liver[i]);
                assert_true(r->hole[i] || r->lesion[i] < LESION_TOUCHES);
            }
            for (int d = 0; d < D; d++) {
                assert_int_equal(r->slices[d], d < 4);
                assert_int_equal(sum_of(r->lesion, d) > 0, d < 4);
            }
        }
    }
    harness_close(h);
}

/* Whole segments are hidden: those touched, those annotated, and as many others as asked for. */
static void check_hole(const struct drawn *r, int d, int extra) {
    int others = 0;
    for (int k = 1; k <= 8; k++) {
        int all = 0, hidden = 0, touched = 0;
        for (int i = d * PLANE; i < (d + 1) * PLANE; i++)
            if (couinaud[i] == k) {
                all++;
                hidden += r->hole[i];
                touched |= r->lesion[i] >= LESION_TOUCHES;
            }
        assert_true(hidden == 0 || hidden == all);
        if (all && (touched || k == 5))
            assert_int_equal(hidden, all);
        else
            others += hidden > 0;
    }
    assert_int_equal(others, extra);
}

static void test_holes_are_whole_segments(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (uint64_t epoch = 0; epoch < 6; epoch++) {
        struct options o = plain;
        o.radius = (struct hf_reals){2, {2, 2}};
        const struct drawn *r = draw_once(h, (struct setting){.o = &o, .epoch = epoch});
        for (int d = 0; d < 4; d++)
            check_hole(r, d, 0);
        /* A lesion of 2 mm mostly lies in one of the three clean segments. */
        o.extra_segments = (struct hf_reals){2, {8, 8}};
        r = draw_once(h, (struct setting){.o = &o, .epoch = epoch});
        for (int i = 0; i < 4 * PLANE; i++)
            assert_int_equal(r->hole[i], liver[i]);
        /* Without a lesion one segment is hidden all the same. */
        o = plain;
        o.share = 0;
        r = draw_once(h, (struct setting){.o = &o, .epoch = epoch});
        for (int d = 0; d < 4; d++) {
            assert_true(sum_of(r->lesion, d) == 0);
            check_hole(r, d, 1);
        }
    }
    struct options o = plain;
    const struct drawn *r = draw_once(h, (struct setting){.o = &o, .without_couinaud = 1});
    for (int i = 0; i < 4 * PLANE; i++)
        assert_int_equal(r->hole[i], liver[i]);
    harness_close(h);
}

static void test_contrast_is_in_hu(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int bright = 0; bright < 2; bright++) {
        struct options o = plain;
        o.hyperdense = bright;
        const struct drawn *r = draw_once(h, (struct setting){.o = &o});
        float expected = (bright ? 40 : -50) * UNIT;
        int solid = 0;
        for (int i = 0; i < N; i++)
            if (r->lesion[i] > 0) {
                solid += r->lesion[i] == 1;
                assert_true(fabsf(r->image[i] - image[i] - r->lesion[i] * expected) < 1e-6f);
            }
        assert_true(solid > 4 * 80);
    }
    harness_close(h);
}

static void test_sizes_are_in_mm(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double mean[2] = {0, 0};
    for (int half = 0; half < 2; half++) {
        int whole = 0;
        for (uint64_t epoch = 0; epoch < 20; epoch++) {
            struct options o = plain;
            o.radius = (struct hf_reals){2, {9, 9}};
            double mm = half ? 0.75 : 1.5;
            const struct drawn *r =
                draw_once(h, (struct setting){.o = &o, .epoch = epoch, .spacing = mm});
            for (int d = 0; d < 4; d++) {
                double area = sum_of(r->lesion, d) * mm * mm;
                /* The shorter axis is 0.6 to 1 of the longer; the liver's edge may cut it. */
                assert_true(area < 3.1416 * 81 * 1.05);
                if (area < 3.1416 * 81 * 0.57)
                    continue;
                mean[half] += area;
                whole++;
            }
        }
        assert_true(whole > 30);
        mean[half] /= whole;
    }
    assert_true(fabs(mean[0] / mean[1] - 1) < 0.12);
    harness_close(h);
}

static void test_a_superpixel_sets_the_size(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double region = 0, area[2] = {0, 0};
    for (int i = 0; i < PLANE; i++)
        region += clean[i];
    for (int many = 0; many < 2; many++) {
        for (uint64_t epoch = 0; epoch < 12; epoch++) {
            struct options o = plain;
            double n = many ? 24 : 4;
            o.method = METHOD_SUPERPIXEL;
            o.superpixels = (struct hf_reals){2, {n, n}};
            const struct drawn *r = draw_once(h, (struct setting){.o = &o, .epoch = epoch});
            for (int d = 0; d < 4; d++)
                area[many] += sum_of(r->lesion, d) / 48;
        }
    }
    assert_true(area[0] > 0.7 * region / 4 && area[0] < 1.3 * region / 4);
    assert_true(area[1] > 0.7 * region / 24 && area[1] < 1.3 * region / 24);
    harness_close(h);
}

static void test_texture_has_its_strength(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int grain = 0; grain < 2; grain++) {
        double sum = 0, squares = 0, n = 0, beside = 0;
        for (uint64_t epoch = 0; epoch < 12; epoch++) {
            struct options o = plain;
            o.radius = (struct hf_reals){2, {25, 25}};
            o.texture = (struct hf_reals){2, {10, 10}};
            o.texture_size = (struct hf_reals){2, {1.5 * grain, 1.5 * grain}};
            const struct drawn *r = draw_once(h, (struct setting){.o = &o, .epoch = epoch});
            for (int i = 0; i < N - 1; i++) {
                double v = (r->image[i] - image[i]) / UNIT + 50;
                double next = (r->image[i + 1] - image[i + 1]) / UNIT + 50;
                if (r->lesion[i] < 1 || r->lesion[i + 1] < 1)
                    continue;
                sum += v;
                squares += v * v;
                beside += v * next;
                n++;
            }
        }
        assert_true(fabs(sum / n) < 1.0);
        assert_true(fabs(sqrt(squares / n) - 10) < 0.7);
        /* Neighbours of white noise under a Gaussian of sigma s have correlation exp(-1 / 4 s^2).
         */
        assert_true(fabs(beside / squares - (grain ? exp(-1 / (4 * 1.5 * 1.5)) : 0)) < 0.03);
    }
    harness_close(h);
}

static void test_vessels_fade(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double bright[2] = {0, 0};
    for (int i = 0; i < N; i++)
        if (liver[i] && i / W % H / 6 % 3 == 0)
            image[i] += 60 * UNIT;
    for (int damped = 0; damped < 2; damped++) {
        struct options o = plain;
        double in[2] = {0, 0}, n[2] = {0, 0};
        o.radius = (struct hf_reals){2, {25, 25}};
        o.damp = damped;
        o.damp_size = 1;
        const struct drawn *r = draw_once(h, (struct setting){.o = &o});
        for (int i = 0; i < N; i++)
            if (r->lesion[i] == 1) {
                int vessel = i / W % H / 6 % 3 == 0;
                in[vessel] += r->image[i] / UNIT;
                n[vessel]++;
            }
        bright[damped] = in[1] / n[1] - in[0] / n[0];
    }
    assert_true(fabs(bright[0] - 60) < 0.1);
    assert_true(bright[1] < 20);
    harness_close(h);
}

/* With `smooth` the lesions are the same, and the image is that without it, blurred in the liver.
 */
static void test_the_whole_is_smoothed(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.texture = (struct hf_reals){2, {40, 40}};
    for (int i = 0; i < N; i++)
        image[i] += 0.05f * sinf((float)i);
    static struct drawn sharp;
    memcpy(&sharp, draw_once(h, (struct setting){.o = &o}), sizeof sharp);
    o.smooth = 2;
    const struct drawn *r = draw_once(h, (struct setting){.o = &o});
    assert_memory_equal(r->lesion, sharp.lesion, sizeof sharp.lesion);
    for (int i = 0; i < N; i++) {
        int y = i / W % H, x = i % W;
        double sum = 0, weight = 0;
        for (int dy = -6; dy <= 6 && liver[i]; dy++)
            for (int dx = -6; dx <= 6; dx++) {
                int at = i + dy * W + dx;
                if (y + dy < 0 || y + dy >= H || x + dx < 0 || x + dx >= W || !liver[at])
                    continue;
                double w = exp(-(dx * dx + dy * dy) / 8.0);
                sum += w * (double)sharp.image[at];
                weight += w;
            }
        double expected = liver[i] ? sum / weight : (double)sharp.image[i];
        assert_float_equal(r->image[i], expected, 1e-5);
    }
    harness_close(h);
}

/* The area where a lesion is neither there nor not grows with the blur, in mm. */
static void test_an_edge_is_soft(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double soft[2][2] = {{0}};
    for (int blurred = 0; blurred < 2; blurred++) {
        for (int fine = 0; fine < 2; fine++) {
            for (uint64_t epoch = 0; epoch < 12; epoch++) {
                struct options o = plain;
                double mm = fine ? 0.75 : 1.5;
                o.edge = (struct hf_reals){2, {3.0 * blurred, 3.0 * blurred}};
                const struct drawn *r =
                    draw_once(h, (struct setting){.o = &o, .epoch = epoch, .spacing = mm});
                for (int i = 0; i < N; i++)
                    if (r->lesion[i] > 0.1f && r->lesion[i] < 0.9f)
                        soft[blurred][fine] += mm * mm;
            }
        }
    }
    assert_true(soft[1][0] > 3 * soft[0][0]);
    assert_true(fabs(soft[1][0] / soft[1][1] - 1) < 0.25);
    harness_close(h);
}

/* The outline moves by as much as asked for: what is on one side alone, by the outline's length. */
static void test_deformation_has_its_strength(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double moved = 0, outline = 0;
    for (uint64_t epoch = 0; epoch < 12; epoch++) {
        struct options o = plain;
        static struct drawn before;
        o.radius = (struct hf_reals){2, {18, 18}};
        o.elastic_size = (struct hf_reals){2, {6, 6}};
        memcpy(&before, draw_once(h, (struct setting){.o = &o, .epoch = epoch}), sizeof before);
        o.elastic_shift = (struct hf_reals){2, {2, 2}};
        const struct drawn *r = draw_once(h, (struct setting){.o = &o, .epoch = epoch});
        for (int i = 0; i < N; i++)
            moved += fabsf(r->lesion[i] - before.lesion[i]);
        for (int i = 0; i < N; i++)
            if (clean[i] && i % W > 0 && clean[i - 1] && clean[i - W])
                outline += hypot(before.lesion[i] - before.lesion[i - 1],
                                 before.lesion[i] - before.lesion[i - W]);
    }
    /* The mean size of a normal shift of 2 mm is 1.6 mm. */
    assert_true(moved / outline > 1.2 && moved / outline < 2.0);
    harness_close(h);
}

static void test_ellipses_are_where_they_are(void **state) {
    (void)state;
    struct ellipse e = {10, 20, 8, 3, 0.6f, 0.8f};
    struct ellipse circle = {1, 2, 5, 5, 1, 0};
    for (int end = -1; end <= 1; end += 2) {
        float long_x = 10 + (float)end * 8 * 0.6f, long_y = 20 + (float)end * 8 * 0.8f;
        float short_x = 10 - (float)end * 3 * 0.8f, short_y = 20 + (float)end * 3 * 0.6f;
        assert_true(fabsf(ellipse_depth(&e, long_x, long_y)) < 1e-4f);
        assert_true(fabsf(ellipse_depth(&e, short_x, short_y)) < 1e-4f);
    }
    assert_true(fabsf(ellipse_depth(&circle, 4, 6)) < 1e-5f);
    assert_true(fabsf(ellipse_depth(&circle, 1, 4) - 3) < 1e-5f);
    assert_true(fabsf(ellipse_depth(&circle, 1, 9) + 2) < 1e-5f);
    assert_true(fabsf(ellipse_depth(&circle, 1, 2) - 5) < 1e-5f);
}

static void test_a_draw_depends_on_nothing_else(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.method = METHOD_SUPERPIXEL;
    o.elastic_shift.value[1] = 4;
    o.texture = (struct hf_reals){2, {5, 10}};
    static struct drawn first;
    memcpy(&first, draw_once(h, (struct setting){.o = &o}), sizeof first);
    assert_memory_equal(draw_once(h, (struct setting){.o = &o}), &first, sizeof first);
    assert_memory_not_equal(draw_once(h, (struct setting){.o = &o, .epoch = 1}), &first,
                            sizeof first);
    assert_memory_not_equal(draw_once(h, (struct setting){.o = &o, .id = "other"}), &first,
                            sizeof first);
    for (int d = 1; d < 4; d++)
        assert_memory_not_equal(first.lesion + d * PLANE, first.lesion, PLANE * sizeof(float));
    memset(clean, 0, 3 * PLANE);
    const struct drawn *alone = draw_once(h, (struct setting){.o = &o});
    assert_memory_equal(alone->image + 3 * PLANE, first.image + 3 * PLANE, PLANE * sizeof(float));
    assert_int_equal(alone->slices[0] + alone->slices[1] + alone->slices[2], 0);
    harness_close(h);
}

static void test_distributions_are_as_named(void **state) {
    (void)state;
    struct synthesis_params p = {.contrast = CONTRAST_BETA,
                                 .beta_range = {-176, 88},
                                 .beta_shape = {6, 4},
                                 .hyperdense = 0.25f,
                                 .faintest = 12};
    struct hf_rng r = hf_rng_init(5, "a", "b", 0);
    double sum = 0, squares = 0;
    int n = 20000, bright = 0;
    for (int i = 0; i < n; i++) {
        double x = draw_beta(&r, 6, 4);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / n - 0.6) < 0.004);
    assert_true(fabs(squares / n - 0.36 - 24.0 / 1100) < 0.001);
    for (int i = 0; i < n; i++) {
        float c = draw_contrast(&r, &p);
        assert_true(fabsf(c) >= 12 && c >= -176 && c <= 88);
        bright += c > 0;
    }
    assert_in_range(bright, 4750, 5250);
    /* A distribution without a bright side is mirrored. */
    p.contrast = CONTRAST_NORMAL;
    p.normal_mean = -50;
    p.normal_sd = 1;
    p.hyperdense = 1;
    for (int i = 0; i < 100; i++)
        assert_true(draw_contrast(&r, &p) > 40);
    p.faintest = 80;
    assert_true(draw_contrast(&r, &p) >= 80);
}

static void test_bad_options_are_refused(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = plain;
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread liver@0\nread clean@0\n"
                                 "may read couinaud@0\nread window@2\nmay read slices@2\n"
                                 "write image@0 < all\nwrite healthy@0 < image\n"
                                 "write lesion@0 < liver couinaud clean\n"
                                 "write hole@0 < liver couinaud clean\n"
                                 "write slices@2 < liver couinaud clean\n");
    o.hypodense_contrast = (struct hf_reals){2, {-20, -75}};
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'hypodense_contrast'"));
    o = plain;
    o.beta_shape.value[1] = 0;
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_hold_for_both_methods),
        cmocka_unit_test(test_holes_are_whole_segments),
        cmocka_unit_test(test_contrast_is_in_hu),
        cmocka_unit_test(test_sizes_are_in_mm),
        cmocka_unit_test(test_a_superpixel_sets_the_size),
        cmocka_unit_test(test_texture_has_its_strength),
        cmocka_unit_test(test_vessels_fade),
        cmocka_unit_test(test_the_whole_is_smoothed),
        cmocka_unit_test(test_an_edge_is_soft),
        cmocka_unit_test(test_deformation_has_its_strength),
        cmocka_unit_test(test_ellipses_are_where_they_are),
        cmocka_unit_test(test_a_draw_depends_on_nothing_else),
        cmocka_unit_test(test_distributions_are_as_named),
        cmocka_unit_test(test_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
