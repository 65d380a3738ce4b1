/*
 * test_ellipsoid.c - the method `ellipsoid` of tumor_synthesis: sizes, places, looks, holes, and
 * what an implementation in NumPy and SciPy draws from the same distributions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/tumor_synthesis/tumor_synthesis.c"

enum {
    D = 72,
    H = 104,
    W = 112,
    PLANE = H * W,
    N = D * PLANE
};

#define UNIT (1.0f / 450.0f) /* of the window [-200, 250] HU */

static uint8_t liver[N], couinaud[N], clean[N];
static float image[N];

/* One small lesion, 100 HU darker, hard edge, not deformed. */
static const struct options plain = {
    .method = METHOD_ELLIPSOID,
    .region = "clean",
    .share = 1,
    .lesions = {2, {1, 1}},
    .edge = {2, {0, 0}},
    .beta_shape = {2, {6, 4}},
    .normal = {2, {-45, 20}},
    .min_area = 100,
    .ellipsoid = {.dims = 3,
                  .types = {1, {"small"}, {1}},
                  .count = {{2, {1, 1}}, {2, {1, 1}}, {2, {1, 1}}, {2, {1, 1}}},
                  .mix_counts = {8, {1, 1, 1, 1, 1, 1, 1, 1}},
                  .radius = {{2, {3, 5}}, {2, {6, 10}}, {2, {12, 20}}, {2, {24, 40}}},
                  .shift = {{2, {0, 0}}, {2, {0, 0}}, {2, {0, 0}}, {2, {0, 0}}},
                  .extent = {2, {0.3, 0.7}},
                  .inset = 2,
                  .coarse_grain = {5, {3, 6, 9, 12, 15}},
                  .fine_grain = {2, {4, 7}},
                  .cloud_low = {2, {0.04, 0.06}},
                  .cloud_span = {2, {0.19, 0.21}},
                  .cloud_mean = {2, {0.5, 0.55}},
                  .hypodense_peak = {2, {100, 100}},
                  .hyperdense_peak = {2, {60, 60}},
                  .rim_width = {2, {2, 2}},
                  .rim_contrast = {2, {50, 50}}},
};

/* A liver of half axes 32, 46 and 52, cut into eight segments by three planes; 5 is annotated in
 * all slices. */
static void make_volume(void) {
    for (int i = 0; i < N; i++) {
        double z = i / PLANE - D / 2, y = i / W % H - H / 2, x = i % W - W / 2;
        liver[i] = z * z / (32.0 * 32) + y * y / (46.0 * 46) + x * x / (52.0 * 52) <= 1;
        couinaud[i] = liver[i] ? (uint8_t)(1 + 4 * (z > 0) + 2 * (y > 0) + (x > 0)) : 0;
        clean[i] = liver[i] && couinaud[i] != 5;
        image[i] = liver[i] ? 0.6f : 0.2f;
    }
}

struct drawn {
    float change[N], lesion[N]; /* HU */
    uint8_t hole[N], slices[D];
};

static struct drawn *draw_at(struct harness *h, const struct options *o, uint64_t epoch,
                             double spacing) {
    static struct drawn kept[2];
    static int turn;
    static const float window[2] = {-200, 250};
    const int64_t two = 2;
    struct drawn *r = &kept[turn ^= 1];
    struct hf_error e;
    struct hf_sample *in = harness_sample(h, "case", D, H, W, spacing);
    harness_set_f32(h, in, "image", 1, image);
    harness_set_u8(h, in, "liver", 1, liver);
    harness_set_u8(h, in, "clean", 1, clean);
    harness_set_u8(h, in, "couinaud", 1, couinaud);
    harness_set(h, in, "window", HF_ON_HOST, HF_F32, 1, &two, window);
    struct hf_stage *s = harness_stage(h, &tumor_synthesis, o, "tumors");
    s->epoch = epoch;
    enum hf_status st = harness_process(s, in, &e);
    if (st != HF_OK)
        fail_msg("%s", e.text);
    const struct hf_sample *out = harness_out(s, 0);
    const float *after = harness_f32(out, "image");
    for (int i = 0; i < N; i++)
        r->change[i] = (after[i] - image[i]) / UNIT;
    memcpy(r->lesion, harness_f32(out, "lesion"), sizeof r->lesion);
    memcpy(r->hole, harness_u8(out, "hole"), N);
    memcpy(r->slices, harness_u8(out, "slices"), D);
    assert_memory_equal(harness_f32(out, "healthy"), image, sizeof image);
    harness_stage_free(s);
    harness_free_sample(h, in);
    return r;
}

static struct drawn *draw_once(struct harness *h, const struct options *o, uint64_t epoch) {
    return draw_at(h, o, epoch, 1);
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
        sum += (double)v[i];
    return sum;
}

static double volume_of(const struct drawn *r) {
    double sum = 0;
    for (int d = 0; d < D; d++)
        sum += sum_of(r->lesion, d);
    return sum;
}

/* All options as they are by default. */
static struct options full_options(void) {
    struct options o = plain;
    o.lesions = (struct hf_reals){2, {1, 3}};
    o.edge = (struct hf_reals){2, {1, 2}};
    o.hyperdense = 0.3;
    o.extra_segments = (struct hf_reals){2, {0, 2}};
    struct ellipsoid_options *g = &o.ellipsoid;
    g->types = (struct hf_weights){5, {"tiny", "small", "medium", "large", "mix"}, {1, 1, 1, 1, 1}};
    g->count[0] = g->count[1] = (struct hf_reals){2, {3, 10}};
    g->count[2] = (struct hf_reals){2, {2, 5}};
    g->count[3] = (struct hf_reals){2, {1, 3}};
    g->mix_counts = (struct hf_reals){8, {3, 10, 5, 10, 2, 5, 1, 3}};
    g->shift[0] = (struct hf_reals){2, {0.5, 1}};
    g->shift[1] = (struct hf_reals){2, {1, 2}};
    g->shift[2] = (struct hf_reals){2, {3, 6}};
    g->shift[3] = (struct hf_reals){2, {5, 10}};
    g->hypodense_peak = g->hyperdense_peak = (struct hf_reals){2, {65, 145}};
    g->rim = 0.3;
    return o;
}

static void test_rules_hold(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int dims = 2; dims <= 3; dims++)
        for (int soft = 0; soft < 2; soft++)
            for (uint64_t epoch = 0; epoch < 4; epoch++) {
                struct options o = full_options();
                o.ellipsoid.dims = dims;
                o.ellipsoid.mask = soft;
                const struct drawn *r = draw_once(h, &o, epoch);
                assert_true(volume_of(r) > 0);
                int outside = 0, changed = 0, beyond = 0, open = 0;
                for (int i = 0; i < N; i++) {
                    float l = r->lesion[i];
                    outside += l != 0 && (!clean[i] || !(l <= 1) || (!soft && l != 1));
                    changed += !clean[i] && r->change[i] != 0;
                    beyond += !(l > 0) && soft && r->change[i] != 0;
                    open += (r->hole[i] && !liver[i]) || (!r->hole[i] && l >= LESION_TOUCHES);
                }
                assert_int_equal(outside + changed + beyond + open, 0);
                for (int d = 0; d < D; d++) {
                    int area = 0;
                    for (int i = d * PLANE; i < (d + 1) * PLANE; i++)
                        area += clean[i];
                    assert_int_equal(r->slices[d], area >= 100);
                    if (dims == 2)
                        assert_int_equal(sum_of(r->lesion, d) > 0, area >= 100);
                }
            }
    harness_close(h);
}

/* A ball of 8 mm has its volume on any grid, in three dimensions and its area in two. */
static void test_sizes_are_in_mm(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.ellipsoid.radius[1] = (struct hf_reals){2, {8, 8}};
    o.ellipsoid.inset = 14;
    for (int fine = 0; fine < 2; fine++) {
        double mm = fine ? 0.8 : 1.5, ball = 4.0 / 3 * 3.14159265 * 512 / (mm * mm * mm);
        int whole = 0;
        memcpy(clean, liver, sizeof clean);
        for (uint64_t epoch = 0; epoch < 6; epoch++) {
            o.ellipsoid.dims = 3;
            double volume = volume_of(draw_at(h, &o, epoch, mm));
            assert_true(volume < 1.03 * ball);
            whole += volume > 0.97 * ball;
        }
        assert_true(whole >= 4);
        o.ellipsoid.dims = 2;
        const struct drawn *r = draw_at(h, &o, 0, mm);
        double area = 3.14159265 * 64 / (mm * mm);
        assert_true(fabs(sum_of(r->lesion, D / 2) / area - 1) < 0.05);
    }
    harness_close(h);
}

/* Counts and types: as many as asked for, of the sizes asked for. */
static void test_types_say_how_many(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double one = 0, six = 0, tiny = 0, mixed = 0;
    memcpy(clean, liver, sizeof clean);
    for (uint64_t epoch = 0; epoch < 10; epoch++) {
        struct options o = plain;
        struct ellipsoid_options *g = &o.ellipsoid;
        g->inset = 10;
        g->radius[0] = (struct hf_reals){2, {3, 3}};
        g->radius[1] = (struct hf_reals){2, {6, 6}};
        one += volume_of(draw_once(h, &o, epoch));
        g->count[1] = (struct hf_reals){2, {6, 6}};
        six += volume_of(draw_once(h, &o, epoch));
        g->types = (struct hf_weights){2, {"tiny", "small"}, {1, 0}};
        tiny += volume_of(draw_once(h, &o, epoch));
        g->types = (struct hf_weights){1, {"mix"}, {1}};
        g->mix_counts = (struct hf_reals){8, {2, 2, 1, 1, 0, 0, 0, 0}};
        mixed += volume_of(draw_once(h, &o, epoch));
    }
    assert_true(six / one > 5 && six / one < 6.05); /* some overlap */
    assert_true(fabs(one / 10 / (4.0 / 3 * 3.14159 * 216) - 1) < 0.05);
    assert_true(fabs(tiny / one - 0.125) < 0.02);
    assert_true(fabs(mixed / one - 1.25) < 0.08);
    harness_close(h);
}

static void test_share_of_volumes(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    int with = 0;
    o.share = 0.5;
    for (uint64_t epoch = 0; epoch < 30; epoch++)
        with += volume_of(draw_once(h, &o, epoch)) > 0;
    assert_in_range(with, 7, 23);
    harness_close(h);
}

/* The middle lies in the middle slices and away from the liver's edge. */
static void test_places(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    int first = D, last = -1, low = D, high = -1;
    o.ellipsoid.radius[1] = (struct hf_reals){2, {1, 1}};
    o.ellipsoid.count[1] = (struct hf_reals){2, {32, 32}};
    o.ellipsoid.inset = 6;
    for (int i = 0; i < N; i++)
        if (liver[i]) {
            first = first == D ? i / PLANE : first;
            last = i / PLANE;
        }
    for (uint64_t epoch = 0; epoch < 8; epoch++) {
        const struct drawn *r = draw_once(h, &o, epoch);
        for (int i = 0; i < N; i++) {
            if (r->lesion[i] == 0)
                continue;
            low = i / PLANE < low ? i / PLANE : low;
            high = i / PLANE > high ? i / PLANE : high;
            for (int k = -4; k <= 4; k += 8)
                assert_true(liver[i + k * W] && liver[i + k]);
        }
    }
    double from = first + 0.3 * (last - first) - 1, to = first + 0.7 * (last - first) + 1;
    assert_true(low >= from - 1 && low <= from + 3);
    assert_true(high <= to + 1 && high >= to - 3);
    harness_close(h);
}

static void test_signs_of_contrast(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int bright = 0; bright < 2; bright++) {
        struct options o = plain;
        double sum = 0, n = 0;
        o.hyperdense = bright;
        for (uint64_t epoch = 0; epoch < 12; epoch++) {
            const struct drawn *r = draw_once(h, &o, epoch);
            for (int i = 0; i < N; i++) {
                assert_true(bright ? r->change[i] >= 0 : r->change[i] <= 0);
                sum += (double)r->change[i];
                n += (double)r->lesion[i];
            }
        }
        /* The texture's mean is 0.5 to 0.55. */
        double mean = sum / n / (bright ? 60 : -100);
        assert_true(mean > 0.45 && mean < 0.6);
    }
    harness_close(h);
}

/* A rim is where it should be, as wide as it should be, and moves nothing else. */
static void test_rims(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    double inner = 0;
    int rim = 0, all = 0;
    memcpy(clean, liver, sizeof clean);
    o.ellipsoid.hypodense_peak = (struct hf_reals){2, {0, 0}};
    o.ellipsoid.radius[1] = (struct hf_reals){2, {10, 10}};
    o.ellipsoid.inset = 14;
    const struct drawn *r = draw_once(h, &o, 3);
    for (int i = 0; i < N; i++)
        assert_true(r->change[i] == 0);
    o.ellipsoid.rim = 1;
    r = draw_once(h, &o, 3);
    for (int i = 0; i < N; i++) {
        all += r->lesion[i] > 0;
        rim += fabsf(r->change[i] - 50) < 0.01f;
        inner += r->change[i] == 0 && r->lesion[i] > 0;
        assert_true(r->change[i] == 0 || r->lesion[i] > 0);
    }
    /* Of a ball of 10 mm, 2 mm are 1 - 0.8^3 of it. */
    assert_true(fabs((double)rim / all - 0.488) < 0.03);
    assert_true(fabs(inner / all - 0.512) < 0.03);
    harness_close(h);
}

/* The edge's blur is in mm: how far the change reaches outside the mask. */
static void test_edges_are_blurred(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.ellipsoid.inset = 16;
    memcpy(clean, liver, sizeof clean);
    for (int soft = 0; soft < 2; soft++) {
        double beyond = 0, lesion = 0;
        o.edge = (struct hf_reals){2, {2.0 * soft, 2.0 * soft}};
        const struct drawn *r = draw_once(h, &o, 1);
        for (int i = 0; i < N; i++) {
            beyond += r->lesion[i] == 0 ? fabs((double)r->change[i]) : 0;
            lesion += fabs((double)r->change[i]);
        }
        /* What leaves a surface of area A, per unit of contrast, is A * sigma / sqrt(2 pi); the
         * ellipsoid's volume is about A * r / 3 with r = 6 to 10. */
        double share = 2.0 / 2.5066 * 3 / 8;
        assert_true(soft ? beyond / lesion > 0.7 * share && beyond / lesion < 1.3 * share
                         : beyond == 0);
    }
    harness_close(h);
}

/* Deformation moves the outline, and a strong one more; the volume stays about the same. */
static void test_deformation(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double moved[2] = {0, 0}, before = 0, after[2] = {0, 0};
    memcpy(clean, liver, sizeof clean);
    for (uint64_t epoch = 0; epoch < 12; epoch++) {
        struct options o = plain;
        static struct drawn round;
        o.ellipsoid.radius[1] = (struct hf_reals){2, {12, 12}};
        o.ellipsoid.inset = 20;
        memcpy(&round, draw_once(h, &o, epoch), sizeof round);
        before += volume_of(&round);
        for (int strong = 0; strong < 2; strong++) {
            double sigma = strong ? 4 : 1;
            o.ellipsoid.shift[1] = (struct hf_reals){2, {sigma, sigma}};
            const struct drawn *r = draw_once(h, &o, epoch);
            after[strong] += volume_of(r);
            for (int i = 0; i < N; i++)
                moved[strong] += fabsf(r->lesion[i] - round.lesion[i]);
        }
    }
    assert_true(moved[0] / before > 0.1 && moved[0] / before < 0.6);
    assert_true(moved[1] > 1.8 * moved[0]);
    assert_true(fabs(after[0] / before - 1) < 0.1);
    harness_close(h);
}

/* Whole segments: in all slices where a lesion touches them in any, or slice by slice. */
static void test_holes(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int per_slice = 0; per_slice < 2; per_slice++)
        for (uint64_t epoch = 0; epoch < 4; epoch++) {
            struct options o = plain;
            o.ellipsoid.hide = per_slice ? HIDE_OF_SLICE : HIDE_OF_VOLUME;
            o.ellipsoid.count[1] = (struct hf_reals){2, {3, 3}};
            const struct drawn *r = draw_once(h, &o, epoch);
            uint32_t touched[D] = {0}, any = 0;
            for (int i = 0; i < N; i++)
                if (r->lesion[i] > 0)
                    touched[i / PLANE] |= 1u << couinaud[i];
            for (int d = 0; d < D; d++)
                any |= touched[d];
            for (int i = 0; i < N; i++) {
                int d = i / PLANE;
                uint32_t taken = per_slice ? touched[d] : any;
                if (!liver[i] || !r->slices[d])
                    assert_int_equal(r->hole[i], 0);
                else if (couinaud[i] == 5 || taken >> couinaud[i] & 1)
                    assert_int_equal(r->hole[i], 1);
                else if (taken)
                    assert_int_equal(r->hole[i], 0);
            }
        }
    harness_close(h);
}

/* Lesion volume in mm3, mean change in HU under a lesion and its standard deviation there: means of
 * 120 draws of numpy_synthesis.py of tools/benchmarks in a volume like this one, all of it clean.
 */
static void test_numpy_draws_alike(void **state) {
    (void)state;
    static const struct {
        const char *type;
        double volume, hu, sd;
    } reference[] = {{"small", 12869, -39.30, 14.13}, {"medium", 42849, -44.56, 13.27}};
    struct harness *h = open_harness();
    memcpy(clean, liver, sizeof clean);
    for (size_t k = 0; k < sizeof reference / sizeof *reference; k++) {
        double volume = 0, hu = 0, sd = 0;
        int draws = 30;
        struct options o = full_options();
        o.hyperdense = o.ellipsoid.rim = 0;
        o.ellipsoid.types = (struct hf_weights){1, {reference[k].type}, {1}};
        for (int epoch = 0; epoch < draws; epoch++) {
            const struct drawn *r = draw_once(h, &o, (uint64_t)epoch);
            double sum = 0, squares = 0, n = 0;
            for (int i = 0; i < N; i++)
                if (r->lesion[i] > 0) {
                    n++;
                    sum += (double)r->change[i];
                    squares += (double)r->change[i] * (double)r->change[i];
                }
            volume += n / draws;
            hu += sum / n / draws;
            sd += sqrt(squares / n - sum / n * sum / n) / draws;
        }
        if (fabs(volume / reference[k].volume - 1) > 0.15 ||
            fabs(hu / reference[k].hu - 1) > 0.08 || fabs(sd / reference[k].sd - 1) > 0.12)
            fail_msg("%s: %g mm3, %g HU, sd %g", reference[k].type, volume, hu, sd);
    }
    harness_close(h);
}

/* A texture of that grain: how alike voxels 6 mm apart are. */
static void test_grain(void **state) {
    (void)state;
    struct harness *h = open_harness();
    double alike[2] = {0, 0};
    memcpy(clean, liver, sizeof clean);
    for (int coarse = 0; coarse < 2; coarse++) {
        double sum = 0, squares = 0, products = 0, n = 0;
        for (uint64_t epoch = 0; epoch < 10; epoch++) {
            struct options o = plain;
            double grain = coarse ? 15 : 3;
            o.ellipsoid.radius[1] = (struct hf_reals){2, {28, 28}};
            o.ellipsoid.coarse_grain = (struct hf_reals){1, {grain}};
            o.ellipsoid.fine_grain = (struct hf_reals){1, {4}};
            o.ellipsoid.cloud_mean = (struct hf_reals){2, {0.5, 0.5}};
            const struct drawn *r = draw_once(h, &o, epoch);
            for (int i = 0; i < N - 12; i++)
                if (r->lesion[i] > 0 && r->lesion[i + 12] > 0) {
                    double a = (double)r->change[i] + 50, b = (double)r->change[i + 12] + 50;
                    sum += a;
                    squares += a * a;
                    products += a * b;
                    n++;
                }
        }
        double mean = sum / n;
        alike[coarse] = (products / n - mean * mean) / (squares / n - mean * mean);
    }
    assert_true(alike[0] < 0.45 && alike[1] > 0.55);
    harness_close(h);
}

static void test_a_draw_depends_on_nothing_else(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int dims = 2; dims <= 3; dims++) {
        struct options o = full_options();
        static struct drawn first;
        o.ellipsoid.dims = dims;
        memcpy(&first, draw_once(h, &o, 1), sizeof first);
        assert_memory_equal(draw_once(h, &o, 1), &first, sizeof first);
        assert_memory_not_equal(draw_once(h, &o, 2), &first, sizeof first);
    }
    harness_close(h);
}

static void test_expectations(void **state) {
    (void)state;
    /* Of a normal distribution: the mean of its upper half, and of all. */
    assert_true(fabsf(mean_above(0, 1, 0) - 0.797885f) < 1e-5f);
    assert_true(fabsf(mean_above(0.15f, 0.01f, 0.05f) - 0.15f) < 1e-5f);
    /* A simulated field of 420x300x320 voxels: mean size of its largest and least value. */
    assert_true(fabsf(expected_extreme(3) - 5.28f) < 0.3f);
    assert_true(fabsf(expected_extreme(15) - 4.43f) < 0.6f);
    /* A spline through 1, 2, 4 that is level at its ends. */
    float v[3] = {1, 2, 4};
    warp_parts(v, 1);
    for (int k = -1; k <= 1; k++) {
        float t = (float)k, at = v[0] + warp_even(t) * v[1] + warp_odd(t) * v[2];
        assert_true(fabsf(at - (k < 0 ? 1.0f : k > 0 ? 4.0f : 2.0f)) < 1e-6f);
    }
    float near = 0.001f;
    assert_true(fabsf(warp_even(1) - warp_even(1 - near)) < 1e-5f);
    assert_true(fabsf(warp_odd(1) - warp_odd(1 - near)) < 1e-5f);
}

static void test_bad_options_are_refused(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = plain;
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_OK);
    o.ellipsoid.radius[3] = (struct hf_reals){2, {40, 24}};
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'large_radius'"));
    o = plain;
    o.ellipsoid.types = (struct hf_weights){1, {"tiny"}, {0}};
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'types'"));
    o = plain;
    o.ellipsoid.mix_counts.value[2] = 3;
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "the small's first number"));
    /* Other methods do not mind. */
    o.method = METHOD_ELLIPSE;
    assert_int_equal(io_stub_declare(&io, &tumor_synthesis, &o, " image ", &e), HF_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_hold),
        cmocka_unit_test(test_sizes_are_in_mm),
        cmocka_unit_test(test_types_say_how_many),
        cmocka_unit_test(test_share_of_volumes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_signs_of_contrast),
        cmocka_unit_test(test_rims),
        cmocka_unit_test(test_edges_are_blurred),
        cmocka_unit_test(test_deformation),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_numpy_draws_alike),
        cmocka_unit_test(test_grain),
        cmocka_unit_test(test_a_draw_depends_on_nothing_else),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
