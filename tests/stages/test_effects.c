/*
 * test_effects.c - augment: each effect against a formula of its own, how often it comes and in
 * what range, and that none depends on the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../stages/augment/augment.c"
#include "harness.h"
#include "io_stub.h"

#include <math.h>

enum {
    D = 5,
    H = 22,
    W = 28,
    PLANE = H * W,
    N = D * PLANE
};

static float image[N];
static uint8_t liver[N], couinaud[N];

/* The ranges of the option table; nothing is on. */
static const struct augment_options off = {
    .dims = 2,
    .scale = {2, {0.7, 1.4}},
    .elastic = {2, {3, 3}},
    .elastic_spacing = 10,
    .noise = {2, {0, 0.1}},
    .blur = {2, {0.5, 1}},
    .brightness = {2, {0.75, 1.25}},
    .contrast = {2, {0.75, 1.25}},
    .shift = {2, {-0.03, 0.03}},
    .low_resolution = {2, {0.5, 1}},
    .gamma = {2, {0.7, 1.5}},
};

struct test {
    struct harness *h;
    struct hf_sample *in;
    struct hf_stage *stage;
    const struct hf_sample *out;
};

static struct test open_test(const struct augment_options *o) {
    struct test t = {.h = harness_open()};
    harness_add(t.h, &hf_plugin);
    t.in = harness_sample(t.h, "c1", D, H, W, 1.5);
    for (int i = 0; i < N; i++) {
        int x = i % W, y = i / W % H, d = i / PLANE;
        image[i] = 0.45f + 0.2f * sinf(0.5f * (float)x) * cosf(0.4f * (float)y) + 0.03f * (float)d +
                   0.0001f * (float)(i * 31 % 97);
        liver[i] = x > 4 && x < 22 && y > 3 && y < 18;
        couinaud[i] = (uint8_t)(1 + x / 4 + y / 11);
    }
    harness_set_f32(t.h, t.in, "image", 1, image);
    harness_set_u8(t.h, t.in, "liver", 1, liver);
    harness_set_u8(t.h, t.in, "couinaud", 1, couinaud);
    t.stage = harness_stage(t.h, &augment, o, "varied");
    return t;
}

static const float *run(struct test *t, uint64_t epoch) {
    struct hf_error e;
    t->stage->epoch = epoch;
    if (harness_process(t->stage, t->in, &e) != HF_OK)
        fail_msg("%s", e.text);
    t->out = harness_out(t->stage, 0);
    return harness_f32(t->out, "image");
}

static void done(struct test *t) {
    harness_stage_free(t->stage);
    harness_free_sample(t->h, t->in);
    harness_close(t->h);
}

static struct augment_options only(const char *effect, double share) {
    struct augment_options o = off;
    o.effects = (struct hf_weights){1, {effect}, {share}};
    return o;
}

/* Mean, deviation and range over a mask (NULL: all). */
static void moments(const float *x, const uint8_t *mask, double ret[4]) {
    double n = 0, sum = 0, squares = 0;
    ret[2] = 1e9;
    ret[3] = -1e9;
    for (int i = 0; i < N; i++) {
        if (mask && !mask[i])
            continue;
        n++;
        sum += (double)x[i];
        ret[2] = fmin(ret[2], (double)x[i]);
        ret[3] = fmax(ret[3], (double)x[i]);
    }
    ret[0] = sum / n;
    for (int i = 0; i < N; i++)
        if (!mask || mask[i])
            squares += ((double)x[i] - ret[0]) * ((double)x[i] - ret[0]);
    ret[1] = sqrt(squares / n);
}

static void expect_near(const float *got, const double *want, double within) {
    for (int i = 0; i < N; i++)
        if (!(fabs((double)got[i] - want[i]) <= within))
            fail_msg("voxel %d: %.7f, expected %.7f", i, (double)got[i], want[i]);
}

/* ---- values ---- */

static void test_nothing_on_changes_nothing(void **state) {
    (void)state;
    struct augment_options o = only("rotate", 0);
    struct test t = open_test(&o);
    assert_memory_equal(run(&t, 0), image, sizeof image);
    assert_memory_equal(harness_u8(t.out, "liver"), liver, sizeof liver);
    assert_memory_equal(&t.out->grid, &t.in->grid, sizeof t.in->grid);
    done(&t);
}

static void test_contrast_and_shift(void **state) {
    (void)state;
    static double want[N];
    for (int k = 0; k < 4; k++) {
        struct augment_options o = off;
        double m[4];
        o.effects = (struct hf_weights){2, {"contrast", "shift"}, {1, k % 2}};
        o.contrast = (struct hf_reals){1, {1.6}};
        o.shift = (struct hf_reals){1, {0.2}};
        o.contrast_about = k < 2 ? AUGMENT_ABOUT_MIDDLE : AUGMENT_ABOUT_MEAN;
        o.within = (struct hf_names){1, {"liver"}};
        o.clip = (struct hf_reals){2, {0, 1}};
        struct test t = open_test(&o);
        moments(image, liver, m);
        for (int i = 0; i < N; i++) {
            double about = k < 2 ? 0.5 : m[0], v = (double)image[i];
            double y = about + 1.6 * (v - about);
            if (k >= 2)
                y = fmin(fmax(y, m[2]), m[3]);
            y += k % 2 ? 0.2 : 0;
            want[i] = liver[i] ? fmin(fmax(y, 0), 1) : v;
        }
        expect_near(run(&t, 0), want, 2e-6);
        done(&t);
    }
}

static void test_brightness_is_about_the_livers_mean(void **state) {
    (void)state;
    static double want[N];
    struct augment_options o = only("brightness", 1);
    o.brightness = (struct hf_reals){1, {1.3}};
    struct test t = open_test(&o);
    double m[4];
    moments(image, liver, m);
    for (int i = 0; i < N; i++)
        want[i] = m[0] + 1.3 * ((double)image[i] - m[0]);
    expect_near(run(&t, 0), want, 2e-6);
    done(&t);
}

static void test_gamma_keeps_mean_and_deviation(void **state) {
    (void)state;
    static double want[N];
    for (int k = 0; k < 4; k++) {
        int inverted = k % 2, inside = k / 2;
        struct augment_options o = only(inverted ? "inverted_gamma" : "gamma", 1);
        o.gamma = (struct hf_reals){1, {1.4}};
        o.within = (struct hf_names){inside, {"liver"}};
        const uint8_t *mask = inside ? liver : NULL;
        struct test t = open_test(&o);
        double m[4], now[2] = {0, 0}, n = 0;
        moments(image, mask, m);
        for (int i = 0; i < N; i++) {
            double v = inverted ? -(double)image[i] : (double)image[i];
            double low = inverted ? -m[3] : m[2], high = inverted ? -m[2] : m[3];
            want[i] = low + (high - low) * pow(fmax((v - low) / (high - low), 0), 1.4);
            if (inverted)
                want[i] = -want[i];
        }
        for (int i = 0; i < N; i++)
            if (!mask || mask[i]) {
                now[0] += want[i];
                n++;
            }
        now[0] /= n;
        for (int i = 0; i < N; i++)
            if (!mask || mask[i])
                now[1] += (want[i] - now[0]) * (want[i] - now[0]);
        now[1] = sqrt(now[1] / n);
        for (int i = 0; i < N; i++)
            want[i] =
                mask && !mask[i] ? (double)image[i] : (want[i] - now[0]) * m[1] / now[1] + m[0];
        const float *got = run(&t, 0);
        expect_near(got, want, 5e-6);
        double after[4], far = 0;
        moments(got, mask, after);
        assert_true(fabs(after[0] - m[0]) < 1e-5 && fabs(after[1] - m[1]) < 1e-5);
        for (int i = 0; i < N; i++)
            far = fmax(far, fabs((double)(got[i] - image[i])));
        assert_true(far > 0.01);
        done(&t);
    }
}

/* Gaussian, of the deviation that was asked for, without a pattern. */
static void test_noise_is_normal(void **state) {
    (void)state;
    struct augment_options o = only("noise", 1);
    o.noise = (struct hf_reals){1, {0.25}};
    struct test t = open_test(&o);
    double m[4], sum = 0, squares = 0, cubes = 0, fourth = 0, along = 0, slices = 0;
    moments(image, liver, m);
    const float *got = run(&t, 0);
    static double z[N];
    for (int i = 0; i < N; i++) {
        z[i] = (double)(got[i] - image[i]) / (0.5 * m[1]);
        sum += z[i];
        squares += z[i] * z[i];
        cubes += z[i] * z[i] * z[i];
        fourth += z[i] * z[i] * z[i] * z[i];
        along += i > 0 ? z[i] * z[i - 1] : 0;
        slices += i >= PLANE ? z[i] * z[i - PLANE] : 0;
    }
    double sigma = 1 / sqrt(N); /* of a mean of N */
    assert_true(fabs(sum / N) < 4 * sigma);
    assert_true(fabs(squares / N - 1) < 4 * sigma * sqrt(2));
    assert_true(fabs(cubes / N) < 4 * sigma * sqrt(15));
    assert_true(fabs(fourth / N - 3) < 4 * sigma * sqrt(96));
    assert_true(fabs(along / N) < 4 * sigma && fabs(slices / N) < 4 * sigma);
    done(&t);
}

/* One pass of a Gaussian of sigma 0.8 along an axis, borders left out. */
static void smooth_axis(const double *in, int axis, double *out) {
    const int size[3] = {D, H, W}, step[3] = {PLANE, W, 1};
    for (int i = 0; i < N; i++) {
        out[i] = 0;
        for (int tap = -3; tap <= 3; tap++) {
            int place = i / step[axis] % size[axis] + tap;
            if (place >= 0 && place < size[axis])
                out[i] += exp(-tap * tap / (2 * 0.64)) * in[i + tap * step[axis]];
        }
    }
}

/* A Gaussian along each axis, in 2 dimensions not across slices; of voxels within the mask alone.
 */
static void test_blur(void **state) {
    (void)state;
    static double values[2][N], weights[2][N], want[N];
    for (int k = 0; k < 4; k++) {
        struct augment_options o = only("blur", 1);
        int dims = 2 + k / 2, inside = k % 2, now = 0;
        o.dims = dims;
        o.blur = (struct hf_reals){1, {0.8}};
        o.within = (struct hf_names){inside, {"liver"}};
        struct test t = open_test(&o);
        for (int i = 0; i < N; i++) {
            weights[0][i] = inside ? liver[i] : 1;
            values[0][i] = weights[0][i] * (double)image[i];
        }
        for (int a = 3 - dims; a < 3; a++, now = 1 - now) {
            smooth_axis(values[now], a, values[1 - now]);
            smooth_axis(weights[now], a, weights[1 - now]);
        }
        for (int i = 0; i < N; i++)
            want[i] = inside && !liver[i] ? (double)image[i] : values[now][i] / weights[now][i];
        expect_near(run(&t, 0), want, 5e-6);
        done(&t);
    }
}

/* Half of the voxels along an axis, and straight lines between them. */
static void test_low_resolution(void **state) {
    (void)state;
    static double want[N];
    struct augment_options o = only("low_resolution", 1);
    o.low_resolution = (struct hf_reals){1, {0.5}};
    struct test t = open_test(&o);
    for (int i = 0; i < N; i++) {
        int d = i / PLANE;
        double at[2] = {(i / W % H - 0.5) / 2, (i % W - 0.5) / 2}, sum = 0;
        for (int k = 0; k < 4; k++) {
            int y = (int)floor(at[0]) + k / 2, x = (int)floor(at[1]) + k % 2;
            double wy = 1 - fabs(at[0] - y), wx = 1 - fabs(at[1] - x);
            y = y < 0 ? 0 : y > H / 2 - 1 ? H / 2 - 1 : y;
            x = x < 0 ? 0 : x > W / 2 - 1 ? W / 2 - 1 : x;
            /* the nearest of two voxels that are as near is the second */
            sum += wy * wx * (double)image[d * PLANE + (2 * y + 1) * W + 2 * x + 1];
        }
        want[i] = sum;
    }
    expect_near(run(&t, 0), want, 5e-6);
    done(&t);
}

/* A field that rises by 1 a voxel tells where each voxel came from: displacements are smooth, of
 * the size asked for, fold nothing, and move labels as they move the image. */
static void test_elastic(void **state) {
    (void)state;
    static float rising[3][N];
    static uint8_t columns[N];
    for (int dims = 2; dims <= 3; dims++) {
        struct augment_options o = only("elastic", 1);
        o.dims = dims;
        double squares = 0, count = 0, most = 0;
        for (uint64_t epoch = 0; epoch < 6; epoch++) {
            struct test t = open_test(&o);
            for (int i = 0; i < N; i++) {
                rising[0][i] = (float)(i % W);
                rising[1][i] = (float)(i / W % H);
                rising[2][i] = (float)(i / PLANE);
                columns[i] = (uint8_t)(i % W);
            }
            harness_set_f32(t.h, t.in, "x", 1, rising[0]);
            harness_set_f32(t.h, t.in, "y", 1, rising[1]);
            harness_set_f32(t.h, t.in, "z", 1, rising[2]);
            harness_set_u8(t.h, t.in, "columns", 1, columns);
            (void)run(&t, epoch);
            const float *x = harness_f32(t.out, "x"), *y = harness_f32(t.out, "y");
            const float *z = harness_f32(t.out, "z");
            const uint8_t *label = harness_u8(t.out, "columns");
            assert_memory_equal(&t.out->grid, &t.in->grid, sizeof t.in->grid);
            for (int i = 0; i < N; i++) {
                int w = i % W, h = i / W % H, d = i / PLANE;
                if (w < 5 || w >= W - 5 || h < 5 || h >= H - 5 || (dims == 3 && d != 2))
                    continue;
                if (dims == 2) {
                    assert_true(fabsf(z[i] - (float)d) < 1e-5f);
                    assert_true(fabsf(x[i] - x[i % PLANE]) < 1e-4f); /* all slices alike */
                }
                if (fabsf(x[i] - floorf(x[i]) - 0.5f) > 1e-3f)
                    assert_int_equal(label[i], (int)floorf(x[i] + 0.5f));
                assert_true(x[i + 1] > x[i] && y[i + W] > y[i]);
                double move[2] = {(double)x[i] - w, (double)y[i] - h};
                double bend = (double)(x[i + 1] - 2 * x[i] + x[i - 1]);
                assert_true(fabs(bend) < 0.2);
                squares += move[0] * move[0] + move[1] * move[1];
                most = fmax(most, fmax(fabs(move[0]), fabs(move[1])));
                count += 2;
            }
            done(&t);
        }
        /* Splines of points that move by 3 mm, 2 voxels: less than that, not nothing. */
        double sd = sqrt(squares / count);
        assert_true(sd > 0.3 && sd < 2 && most < 0.4 * 10 / 1.5);
    }
}

/* ---- chances and ranges ---- */

static const char *const all_effects[] = {
    "rotate", "scale",      "mirror_w", "mirror_h", "mirror_d",       "elastic", "noise",
    "blur",   "brightness", "contrast", "shift",    "low_resolution", "gamma",   "inverted_gamma"};

static int index_of(const char *effect) {
    for (int k = 0; k < AUGMENT_EFFECT_COUNT; k++)
        if (strcmp(effect_names[k], effect) == 0)
            return k;
    fail_msg("no effect '%s'", effect);
    return -1;
}

static void test_each_comes_as_often_as_asked(void **state) {
    (void)state;
    enum {
        DRAWS = 4000
    };
    struct augment_options o = off;
    int count[AUGMENT_EFFECT_COUNT] = {0}, both[AUGMENT_EFFECT_COUNT] = {0};
    o.dims = 3;
    o.effects.count = AUGMENT_EFFECT_COUNT;
    for (int k = 0; k < AUGMENT_EFFECT_COUNT; k++) {
        o.effects.name[k] = all_effects[k];
        o.effects.value[k] = 0.05 + 0.06 * k;
    }
    struct test t = open_test(&o);
    for (int i = 0; i < DRAWS; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "case-%d", i);
        struct augment_draw d = augment_draw(t.stage, id);
        for (int k = 0; k < AUGMENT_EFFECT_COUNT; k++) {
            count[k] += d.on[index_of(all_effects[k])];
            both[k] +=
                k > 0 && d.on[index_of(all_effects[k])] && d.on[index_of(all_effects[k - 1])];
        }
    }
    for (int k = 0; k < AUGMENT_EFFECT_COUNT; k++) {
        double p = o.effects.value[k], q = k > 0 ? p * o.effects.value[k - 1] : 0;
        assert_true(fabs((double)count[k] / DRAWS - p) < 4 * sqrt(p * (1 - p) / DRAWS));
        assert_true(fabs((double)both[k] / DRAWS - q) < 4 * sqrt(q * (1 - q) / DRAWS) + 1e-9);
    }
    done(&t);
}

/* Draws fill their range, and lie evenly in it. */
static void expect_uniform(const double *v, int n, double low, double high) {
    double sum = 0, least = 1e9, most = -1e9;
    for (int i = 0; i < n; i++) {
        sum += v[i];
        least = fmin(least, v[i]);
        most = fmax(most, v[i]);
    }
    assert_true(least >= low && most <= high);
    double gap = 12.0 / n * (high - low); /* a wider one comes once in more than 100,000 */
    assert_true(least < low + gap && most > high - gap);
    assert_true(fabs(sum / n - 0.5 * (low + high)) < 4 * (high - low) / sqrt(12.0 * n));
}

static void test_ranges(void **state) {
    (void)state;
    enum {
        DRAWS = 1000
    };
    static double angle[DRAWS], scale[DRAWS], contrast[DRAWS], shift[DRAWS];
    for (int dims = 2; dims <= 3; dims++) {
        struct augment_options o = off;
        o.dims = dims;
        struct test t = open_test(&o);
        for (int i = 0; i < DRAWS; i++) {
            t.stage->epoch = (uint64_t)i;
            struct augment_draw d = augment_draw(t.stage, "case");
            angle[i] = d.angle;
            scale[i] = d.scale;
            contrast[i] = d.contrast;
            shift[i] = d.shift;
        }
        expect_uniform(angle, DRAWS, dims == 2 ? -180 : -30, dims == 2 ? 180 : 30);
        expect_uniform(scale, DRAWS, 0.7, 1.4);
        expect_uniform(contrast, DRAWS, 0.75, 1.25);
        expect_uniform(shift, DRAWS, -0.03, 0.03);
        done(&t);
    }
}

/* Ranges that only the image tells: brightness by its slope, gamma by its bend. */
static void test_ranges_in_the_image(void **state) {
    (void)state;
    enum {
        DRAWS = 300
    };
    static double factor[DRAWS], low[DRAWS], high[DRAWS];
    struct augment_options o = only("brightness", 1);
    struct test t = open_test(&o);
    for (int i = 0; i < DRAWS; i++) {
        const float *got = run(&t, (uint64_t)i);
        factor[i] = (double)(got[7] - got[900]) / (double)(image[7] - image[900]);
    }
    expect_uniform(factor, DRAWS, 0.75 - 1e-4, 1.25 + 1e-4);
    done(&t);
    /* Gamma below 1 as often as above: it lifts the middle, or lowers it. */
    o = only("gamma", 1);
    t = open_test(&o);
    int below = 0, above = 0;
    double m[4], now[4];
    moments(image, NULL, m);
    for (int i = 0; i < DRAWS; i++) {
        const float *got = run(&t, (uint64_t)i);
        moments(got, NULL, now);
        /* t^gamma between t = 0, 0.5 and 1; the affine map that restores the moments drops out */
        int mid = 0;
        for (int k = 0; k < N; k++)
            if (fabs((double)image[k] - 0.5 * (m[2] + m[3])) <
                fabs((double)image[mid] - 0.5 * (m[2] + m[3])))
                mid = k;
        double at = ((double)image[mid] - m[2]) / (m[3] - m[2]);
        double gamma = log(((double)got[mid] - now[2]) / (now[3] - now[2])) / log(at);
        if (gamma < 1)
            low[below++] = gamma;
        else
            high[above++] = gamma;
    }
    assert_true(abs(below - above) < 4 * sqrt(DRAWS));
    expect_uniform(low, below, 0.7 - 1e-3, 1);
    expect_uniform(high, above, 1, 1.5 + 1e-3);
    done(&t);
}

/* What else is on changes no effect's draws; the same volume and epoch give the same bits. */
static void test_draws_do_not_depend_on_each_other(void **state) {
    (void)state;
    struct augment_options o = off;
    o.effects.count = AUGMENT_EFFECT_COUNT;
    o.dims = 3;
    for (int k = 0; k < AUGMENT_EFFECT_COUNT; k++) {
        o.effects.name[k] = all_effects[k];
        o.effects.value[k] = 0.5;
    }
    struct test all = open_test(&o);
    struct augment_draw with = augment_draw(all.stage, "case");
    for (int k = 0; k < AUGMENT_EFFECT_COUNT; k++) {
        struct augment_options alone = only(all_effects[k], 0.5);
        alone.dims = 3;
        struct test one = open_test(&alone);
        struct augment_draw d = augment_draw(one.stage, "case");
        int at = index_of(all_effects[k]);
        assert_int_equal(d.on[at], with.on[at]);
        assert_memory_equal(d.stream[at].key, with.stream[at].key, sizeof d.stream[at].key);
        assert_true(d.stream[at].stream == with.stream[at].stream &&
                    d.stream[at].draw == with.stream[at].draw);
        assert_true(d.angle == with.angle && d.scale == with.scale && d.contrast == with.contrast &&
                    d.shift == with.shift);
        done(&one);
    }
    static float first[N];
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        memcpy(first, run(&all, epoch), sizeof first);
        struct test again = open_test(&o);
        assert_memory_equal(first, run(&again, epoch), sizeof first);
        done(&again);
        assert_memory_not_equal(first, run(&all, epoch + 10), sizeof first);
    }
    done(&all);
}

/* Whatever happens in space, u8 fields hold no value that they did not hold. */
static void test_labels_stay_labels(void **state) {
    (void)state;
    struct augment_options o = off;
    o.dims = 3;
    o.effects.count = 6;
    for (int k = 0; k < 6; k++) {
        o.effects.name[k] = all_effects[k];
        o.effects.value[k] = 0.7;
    }
    struct test t = open_test(&o);
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        (void)run(&t, epoch);
        const uint8_t *mask = harness_u8(t.out, "liver"), *map = harness_u8(t.out, "couinaud");
        int inside = 0;
        for (int i = 0; i < N; i++) {
            assert_true(mask[i] <= 1 && map[i] <= 8);
            inside += mask[i];
        }
        assert_true(inside > N / 20);
    }
    done(&t);
}

/* A field that is moved alone comes as it does with all others, which stay where they are. */
static void test_some_fields_move_alone(void **state) {
    (void)state;
    static uint8_t moved[N];
    struct augment_options o = only("elastic", 1);
    o.dims = 3;
    o.effects.count = 2;
    o.effects.name[1] = "rotate";
    o.effects.value[1] = 1;
    struct test t = open_test(&o);
    (void)run(&t, 1);
    memcpy(moved, harness_u8(t.out, "couinaud"), N);
    assert_memory_not_equal(moved, couinaud, N);
    done(&t);
    o.fields = (struct hf_names){1, {"couinaud"}};
    t = open_test(&o);
    assert_memory_equal(run(&t, 1), image, sizeof image);
    assert_memory_equal(harness_u8(t.out, "liver"), liver, N);
    assert_memory_equal(harness_u8(t.out, "couinaud"), moved, N);
    assert_memory_equal(&t.out->grid, &t.in->grid, sizeof t.in->grid);
    done(&t);
}

static void test_bad_options_are_refused(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct augment_options o = only("noise", 1);
    o.within = (struct hf_names){1, {"liver"}};
    assert_int_equal(io_stub_declare(&io, &augment, &o, " image liver ", &e), HF_OK);
    assert_non_null(strstr(io.text, "write image@0 < image liver"));
    o = only("mirror_d", 0.5);
    assert_int_equal(io_stub_declare(&io, &augment, &o, " image liver ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "mirror_d"));
    o.dims = 3;
    assert_int_equal(io_stub_declare(&io, &augment, &o, " image liver ", &e), HF_OK);
    o = only(NULL, 0.5);
    assert_int_equal(io_stub_declare(&io, &augment, &o, " image liver ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "must name each effect"));
    o = only("noise", 1);
    o.clip = (struct hf_reals){2, {1, 0}};
    assert_int_equal(io_stub_declare(&io, &augment, &o, " image liver ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'clip'"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_on_changes_nothing),
        cmocka_unit_test(test_contrast_and_shift),
        cmocka_unit_test(test_brightness_is_about_the_livers_mean),
        cmocka_unit_test(test_gamma_keeps_mean_and_deviation),
        cmocka_unit_test(test_noise_is_normal),
        cmocka_unit_test(test_blur),
        cmocka_unit_test(test_low_resolution),
        cmocka_unit_test(test_elastic),
        cmocka_unit_test(test_each_comes_as_often_as_asked),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_ranges_in_the_image),
        cmocka_unit_test(test_draws_do_not_depend_on_each_other),
        cmocka_unit_test(test_labels_stay_labels),
        cmocka_unit_test(test_some_fields_move_alone),
        cmocka_unit_test(test_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
