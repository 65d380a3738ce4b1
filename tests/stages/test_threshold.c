/*
 * test_threshold.c - threshold: cuts, gates, small components, the best of an empty segment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/threshold/threshold.c"

enum {
    D = 4,
    H = 12,
    W = 16,
    PLANE = H * W,
    N = D * PLANE
};

static float score[N];
static uint8_t liver[N], segments[N], couinaud[N];
static uint8_t annotation[2 * 9];

static const struct options plain = {
    .field = "score",
    .output = "pseudo",
    .value = 0.5,
    .gate = {2, {"liver", "segments"}},
    .smooth = {1, {0}},
    .min_volume = 0,
    .keep_best = 0,
};

static int at(int d, int y, int x) {
    return d * PLANE + y * W + x;
}

/* All is liver; segment 3 on the left half, 6 on the right; both are annotated. */
static struct harness *open_harness(void) {
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    memset(score, 0, sizeof score);
    memset(liver, 1, sizeof liver);
    memset(segments, 1, sizeof segments);
    memset(annotation, 0, sizeof annotation);
    for (int i = 0; i < N; i++)
        couinaud[i] = i % W < W / 2 ? 3 : 6;
    annotation[0] = annotation[3] = annotation[6] = 1;
    return h;
}

static const uint8_t *cut_once(struct harness *h, const struct options *o, double spacing) {
    static uint8_t mask[N];
    static const float window[2] = {-100, 300};
    const int64_t two = 2, rows[2] = {2, 9};
    struct hf_error e;
    struct hf_sample *in = harness_sample(h, "case", D, H, W, spacing);
    harness_set_f32(h, in, o->field, 1, score);
    harness_set_u8(h, in, "liver", 1, liver);
    harness_set_u8(h, in, "segments", 1, segments);
    harness_set_u8(h, in, "couinaud", 1, couinaud);
    harness_set(h, in, "annotation", HF_ON_HOST, HF_U8, 2, rows, annotation);
    harness_set(h, in, "window", HF_ON_HOST, HF_F32, 1, &two, window);
    struct hf_stage *s = harness_stage(h, &threshold, o, "pseudo");
    enum hf_status st = harness_process(s, in, &e);
    if (st != HF_OK)
        fail_msg("%s", e.text);
    memcpy(mask, harness_u8(harness_out(s, 0), o->output), N);
    harness_stage_free(s);
    harness_free_sample(h, in);
    return mask;
}

static int count(const uint8_t *mask) {
    int n = 0;
    for (int i = 0; i < N; i++)
        n += mask[i];
    return n;
}

static void test_sides_and_scales(void **state) {
    (void)state;
    static const struct {
        int32_t side, scale;
        double value;
        float inside, outside; /* values of the field that are set and that are not */
    } cases[] = {
        {CUT_ABOVE, SCALE_PLAIN, 0.5, 0.5f, 0.49f},
        {CUT_BELOW, SCALE_PLAIN, 0.5, 0.5f, 0.51f},
        {CUT_EITHER, SCALE_PLAIN, 0.5, -0.5f, -0.49f},
        {CUT_EITHER, SCALE_PLAIN, 0.5, 0.51f, 0.49f},
        /* The window [-100, 300]: 60 HU are 0.4, and a difference of 20 HU is 0.05. */
        {CUT_BELOW, SCALE_HU, 60, 0.39f, 0.41f},
        {CUT_ABOVE, SCALE_HU_DIFFERENCE, 20, 0.051f, 0.049f},
        {CUT_BELOW, SCALE_HU_DIFFERENCE, -20, -0.051f, -0.049f},
    };
    struct harness *h = open_harness();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct options o = plain;
        o.side = cases[k].side;
        o.scale = cases[k].scale;
        o.value = cases[k].value;
        for (int i = 0; i < N; i++)
            score[i] = i % 3 == 0 ? cases[k].inside : cases[k].outside;
        const uint8_t *mask = cut_once(h, &o, 1);
        for (int i = 0; i < N; i++)
            assert_int_equal(mask[i], i % 3 == 0);
    }
    harness_close(h);
}

static void test_gates(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    for (int i = 0; i < N; i++) {
        score[i] = 1;
        liver[i] = i % 2 == 0;
        segments[i] = i % 3 == 0;
    }
    const uint8_t *mask = cut_once(h, &o, 1);
    for (int i = 0; i < N; i++)
        assert_int_equal(mask[i], i % 6 == 0);
    o.gate.count = 1;
    assert_int_equal(count(cut_once(h, &o, 1)), N / 2);
    o.gate.count = 0;
    assert_int_equal(count(cut_once(h, &o, 1)), N);
    harness_close(h);
}

static void test_small_components_are_dropped(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    /* One voxel; a pair that touches at a corner; a row of three. */
    score[at(0, 1, 1)] = 1;
    score[at(1, 5, 5)] = score[at(2, 6, 6)] = 1;
    score[at(3, 9, 9)] = score[at(3, 9, 10)] = score[at(3, 9, 11)] = 1;
    o.min_volume = 16; /* two voxels of 8 mm3 exactly */
    const uint8_t *mask = cut_once(h, &o, 2);
    assert_int_equal(count(mask), 5);
    assert_int_equal(mask[at(0, 1, 1)], 0);
    o.min_volume = 16.1;
    mask = cut_once(h, &o, 2);
    assert_int_equal(count(mask), 3);
    assert_int_equal(mask[at(3, 9, 10)], 1);
    o.min_volume = 20;
    assert_int_equal(count(cut_once(h, &o, 3)), 6);
    harness_close(h);
}

static void test_smoothing_spreads_a_point(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    score[at(2, 6, 6)] = 1;
    /* Along W alone, sigma 1: the centre holds 0.3991 of it (kernel of radius 3), the next 0.2420
     */
    o.smooth = (struct hf_reals){3, {0, 0, 1}};
    o.value = 0.398;
    assert_int_equal(count(cut_once(h, &o, 1)), 1);
    o.value = 0.400;
    assert_int_equal(count(cut_once(h, &o, 1)), 0);
    o.value = 0.241;
    const uint8_t *mask = cut_once(h, &o, 1);
    assert_int_equal(count(mask), 3);
    assert_true(mask[at(2, 6, 5)] && mask[at(2, 6, 7)]);
    o.smooth = (struct hf_reals){1, {1}};
    o.value = 0.06;
    assert_int_equal(count(cut_once(h, &o, 1)), 1);
    harness_close(h);
}

static void test_an_empty_segment_keeps_its_best(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.keep_best = 1;
    o.min_volume = 3;
    /* Segment 3 has a tumor; 6 only two faint spots, the likelier of them a pair across slices. */
    for (int x = 2; x < 6; x++)
        score[at(1, 5, x)] = 0.9f;
    score[at(1, 4, 12)] = 0.4f;
    score[at(2, 4, 12)] = 0.25f;
    score[at(2, 4, 13)] = 0.15f;
    score[at(3, 10, 10)] = 0.35f;
    /* Next to the tumor, but not of it; next to the pair, but in the other segment. */
    score[at(1, 5, 1)] = 0.47f;
    score[at(1, 4, 8)] = score[at(1, 4, 9)] = score[at(1, 4, 10)] = score[at(1, 4, 11)] = 0.3f;
    score[at(1, 4, 7)] = 0.45f;
    const uint8_t *mask = cut_once(h, &o, 1);
    assert_int_equal(count(mask), 10);
    assert_true(mask[at(1, 4, 12)] && mask[at(2, 4, 12)] && mask[at(1, 5, 3)]);
    assert_true(mask[at(1, 4, 8)] && !mask[at(1, 4, 7)] && !mask[at(1, 5, 1)]);
    /* Not through a gate, not for segments without annotation, not where there is no score. */
    segments[at(2, 4, 12)] = 0;
    assert_int_equal(count(cut_once(h, &o, 1)), 9);
    annotation[6] = 0;
    assert_int_equal(count(cut_once(h, &o, 1)), 4);
    annotation[9] = annotation[9 + 6] = 1;
    assert_int_equal(count(cut_once(h, &o, 1)), 9);
    annotation[9] = 0; /* the second row says nothing */
    assert_int_equal(count(cut_once(h, &o, 1)), 4);
    annotation[6] = 1;
    assert_int_equal(count(cut_once(h, &o, 1)), 9);
    /* Where the labels do not gate, they decide nothing. */
    o.gate.count = 1;
    assert_int_equal(count(cut_once(h, &o, 1)), 4);
    o.gate.count = 2;
    /* What is no number is not the likeliest, wherever it stands. */
    score[at(0, 0, 8)] = score[at(3, 11, 15)] = NAN;
    assert_int_equal(count(cut_once(h, &o, 1)), 9);
    memset(score, 0, sizeof score);
    assert_int_equal(count(cut_once(h, &o, 1)), 0);
    harness_close(h);
}

/* ---- Otsu ---- */

/* Pseudorandom numbers in 0..999. */
static int scatter_of(int i) {
    uint32_t x = (uint32_t)i * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    return (int)((x ^ x >> 13) % 1000);
}

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Otsu's threshold without a histogram: every split of the sorted values of the gate is tried. */
static double otsu_of_values(const float *field, int absolute) {
    static float v[N];
    int n = 0, best = 0;
    double sum = 0, below = 0, most = -1;
    for (int i = 0; i < N; i++)
        if (liver[i] && segments[i] && isfinite(field[i])) {
            v[n++] = absolute ? fabsf(field[i]) : field[i];
            sum += (double)v[n - 1];
        }
    qsort(v, (size_t)n, sizeof *v, compare_floats);
    for (int k = 1; k < n; k++) {
        below += (double)v[k - 1];
        double apart = below / k - (sum - below) / (n - k);
        double between = (double)k * (n - k) * apart * apart;
        if (v[k] > v[k - 1] && between > most) {
            most = between;
            best = k;
        }
    }
    return 0.5 * ((double)v[best - 1] + (double)v[best]);
}

static void test_otsu_separates_two_classes(void **state) {
    (void)state;
    struct harness *h = open_harness();
    for (int k = 0; k < 6; k++) {
        /* Classes of unequal shares, apart in the even cases and one into the other in the odd. */
        struct options o = plain;
        int side = k / 2, share = side == CUT_ABOVE ? 200 : 700;
        float width = k % 2 ? 0.7f : 0.25f;
        o.method = METHOD_OTSU;
        o.bins = 512;
        o.side = side;
        o.value = 1e4; /* of no account */
        for (int i = 0; i < N; i++) {
            int high = scatter_of(i) < share;
            score[i] = (high ? 1.5f : 0.6f) + width * ((float)scatter_of(i + N) / 1000 - 0.5f);
            if (side == CUT_EITHER && i % 2)
                score[i] = -score[i];
            segments[i] = scatter_of(i + 2 * N) < 600;
            if (!segments[i])
                score[i] = 40.0f * (float)(i % 3); /* what the gates hide moves nothing */
        }
        score[7] = NAN;
        score[8] = INFINITY;
        segments[7] = segments[8] = 1;
        double want = otsu_of_values(score, side == CUT_EITHER);
        double bin = 1.6 / 512;
        const uint8_t *mask = cut_once(h, &o, 1);
        int unsure = 0;
        for (int i = 0; i < N; i++) {
            double v = side == CUT_EITHER ? fabs((double)score[i]) : (double)score[i];
            int set = segments[i] && (side == CUT_BELOW ? v <= want : v >= want);
            if (fabs(v - want) < 2 * bin)
                unsure++;
            else
                assert_int_equal(mask[i], set);
        }
        assert_true(k % 2 ? unsure < N / 50 : unsure == 0);
        assert_true(count(mask) > N / 20 && count(mask) < N / 2);
    }
    harness_close(h);
}

static void test_otsu_of_few_bins_and_of_one_value(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.method = METHOD_OTSU;
    /* Two bins: the middle of the range, whatever lies in them. */
    o.bins = 2;
    for (int i = 0; i < N; i++)
        score[i] = (float)(i % 100) / 99;
    const uint8_t *mask = cut_once(h, &o, 1);
    for (int i = 0; i < N; i++)
        assert_int_equal(mask[i], i % 100 >= 50);
    /* All alike, or no voxel within the gates: nothing is set, on either side. */
    for (int side = CUT_ABOVE; side <= CUT_EITHER; side++) {
        o.side = side;
        for (int i = 0; i < N; i++)
            score[i] = 0.25f;
        assert_int_equal(count(cut_once(h, &o, 1)), 0);
    }
    memset(segments, 0, sizeof segments);
    score[3] = 1;
    assert_int_equal(count(cut_once(h, &o, 1)), 0);
    harness_close(h);
}

/* ---- hysteresis ---- */

/* All that hangs together (26 neighbours) with a strong voxel through weak ones. */
static void flood(const uint8_t *weak, const uint8_t *strong, uint8_t *out) {
    int grew = 1;
    for (int i = 0; i < N; i++)
        out[i] = strong[i];
    while (grew) {
        grew = 0;
        for (int i = 0; i < N; i++) {
            for (int k = 0; k < 27 && weak[i] && !out[i]; k++) {
                int d = i / PLANE + k / 9 - 1, y = i / W % H + k / 3 % 3 - 1, x = i % W + k % 3 - 1;
                if (d >= 0 && d < D && y >= 0 && y < H && x >= 0 && x < W && out[at(d, y, x)])
                    out[i] = grew = 1;
            }
        }
    }
}

static void test_hysteresis_keeps_what_reaches_high(void **state) {
    (void)state;
    static uint8_t weak[N], strong[N], want[N];
    struct harness *h = open_harness();
    int dropped = 0, kept = 0;
    for (int k = 0; k < 9; k++) {
        struct options o = plain;
        o.method = METHOD_HYSTERESIS;
        o.side = k % 3;
        o.scale = k < 6 ? SCALE_PLAIN : SCALE_HU_DIFFERENCE;
        o.value = 1e4; /* of no account */
        double low = 0.75 + 0.02 * k, high = 0.96, unit = k < 6 ? 1 : 400;
        float sign = o.side == CUT_BELOW ? -1 : 1;
        for (int i = 0; i < N; i++) {
            double v = scatter_of(i + k * N) / 1000.0;
            segments[i] = scatter_of(i + 50 * N) < 900;
            weak[i] = v >= low && segments[i];
            strong[i] = v >= high && segments[i];
            score[i] = sign * (float)v;
            if (o.side == CUT_EITHER && i % 2)
                score[i] = -score[i];
        }
        o.low = unit * ((double)sign * low - 1e-6 * (double)sign);
        o.high = unit * ((double)sign * high - 1e-6 * (double)sign);
        flood(weak, strong, want);
        assert_memory_equal(cut_once(h, &o, 1), want, N);
        kept += count(want);
        dropped += count(weak) - count(want);
        o.high = o.low;
        assert_memory_equal(cut_once(h, &o, 1), weak, N);
    }
    assert_true(kept > 100 && dropped > 100);
    harness_close(h);
}

static void test_hysteresis_and_minimum_volume(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.method = METHOD_HYSTERESIS;
    o.low = 0.3;
    o.high = 0.7;
    o.min_volume = 3;
    /* Large and strong; large and weak; small and strong. */
    for (int x = 1; x < 5; x++)
        score[at(0, 2, x)] = score[at(2, 8, x)] = 0.4f;
    score[at(0, 2, 3)] = 0.8f;
    score[at(3, 4, 12)] = score[at(3, 4, 13)] = 0.9f;
    const uint8_t *mask = cut_once(h, &o, 1);
    assert_int_equal(count(mask), 4);
    assert_int_equal(mask[at(0, 2, 1)], 1);
    o.min_volume = 2;
    assert_int_equal(count(cut_once(h, &o, 1)), 6);
    o.low = 0.5; /* the strong voxel of the row stands alone */
    assert_int_equal(count(cut_once(h, &o, 1)), 2);
    harness_close(h);
}

static void test_bad_options_are_refused(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = plain;
    assert_int_equal(io_stub_declare(&io, &threshold, &o, " score liver segments ", &e), HF_OK);
    assert_string_equal(io.text, "read score@0\nread liver@0\nread segments@0\n"
                                 "write pseudo@0 < score liver segments\n");
    o.keep_best = 1;
    o.scale = SCALE_HU;
    assert_int_equal(io_stub_declare(&io, &threshold, &o, " score liver segments ", &e), HF_OK);
    assert_non_null(strstr(io.text, "read window@2\nmay read couinaud@0\nmay read annotation@2\n"
                                    "write pseudo@0 < score liver segments couinaud annotation\n"));
    o.smooth.count = 2;
    assert_int_equal(io_stub_declare(&io, &threshold, &o, " score liver segments ", &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "'smooth'"));
    o = plain;
    o.method = METHOD_HYSTERESIS;
    o.low = 0.5;
    o.high = 0.4;
    assert_int_equal(io_stub_declare(&io, &threshold, &o, " score liver segments ", &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "'high'"));
    o.side = CUT_BELOW;
    assert_int_equal(io_stub_declare(&io, &threshold, &o, " score liver segments ", &e), HF_OK);
    /* Otsu's threshold is in no scale. */
    o.method = METHOD_OTSU;
    o.scale = SCALE_HU;
    assert_int_equal(io_stub_declare(&io, &threshold, &o, " score liver segments ", &e), HF_OK);
    assert_null(strstr(io.text, "window"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sides_and_scales),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_small_components_are_dropped),
        cmocka_unit_test(test_smoothing_spreads_a_point),
        cmocka_unit_test(test_an_empty_segment_keeps_its_best),
        cmocka_unit_test(test_otsu_separates_two_classes),
        cmocka_unit_test(test_otsu_of_few_bins_and_of_one_value),
        cmocka_unit_test(test_hysteresis_keeps_what_reaches_high),
        cmocka_unit_test(test_hysteresis_and_minimum_volume),
        cmocka_unit_test(test_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
