/*
 * test_automaton.c - lesions of a cellular automaton: in one piece, within the liver and the
 * region, as large as asked for, slow in dense tissue, out of vessels, and the same from the same
 * seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../plugins/automaton/automaton.c"

enum {
    D = 40,
    H = 48,
    W = 44,
    PLANE = H * W,
    N = D * PLANE
};

static float image[N], made[N], lesion[N];
static uint8_t liver[N], clean[N], couinaud[N], hole[N], slices[D];
static double spacing_w = 1;                /* mm */
static const float window[2] = {-100, 200}; /* 0.5 is 50 HU, 10 HU are 1/30 */

/* One dark lesion in every volume, with cells that can be told from their neighbours' look. */
static struct options plain(void) {
    struct options o = {.region = "clean",
                        .dims = 1,
                        .share = 1,
                        .lesions = {2, {1, 1}},
                        .radius = {2, {9, 9}},
                        .satellites = {2, {3, 9}},
                        .spread = {3, {0.05, 0.015, 0.005}},
                        .denser = {3, {10, 25, 45}},
                        .pressure = 2,
                        .hypodense_contrast = {2, {-60, -60}},
                        .hyperdense_contrast = {2, {45, 45}},
                        .necrosis_contrast = {2, {-30, -30}},
                        .texture = {2, {0, 0}},
                        .texture_size = {2, {0, 0}},
                        .edge = {2, {0, 0}},
                        .mask = 1,
                        .extra_segments = {2, {0, 0}}};
    return o;
}

/* All liver and clean, of even tissue; two segments. */
static void make_volume(void) {
    for (int i = 0; i < N; i++) {
        image[i] = 0.5f;
        liver[i] = clean[i] = 1;
        couinaud[i] = i % W < W / 2 ? 3 : 6;
    }
}

static void grow_once(const struct options *o, double spacing_d, uint64_t epoch) {
    const int64_t two = 2;
    struct hf_error e;
    struct harness *h = harness_open();
    harness_load(h, "plugins/cpu/cpu");
    harness_add(h, &hf_plugin);
    struct hf_sample *in = harness_sample(h, "case", D, H, W, 1);
    in->grid.affine[2][2] = spacing_d;
    in->grid.affine[0][0] = spacing_w;
    harness_set_f32(h, in, "image", 1, image);
    harness_set_u8(h, in, "liver", 1, liver);
    harness_set_u8(h, in, "clean", 1, clean);
    harness_set_u8(h, in, "couinaud", 1, couinaud);
    harness_set(h, in, "window", HF_ON_HOST, HF_F32, 1, &two, window);
    struct hf_stage *s = harness_stage_new(h, &automaton, o, "tumors");
    s->epoch = epoch;
    assert_int_equal(harness_start(s, &e), HF_OK);
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    const struct hf_sample *out = harness_out(s, 0);
    assert_memory_equal(harness_f32(out, "healthy"), image, sizeof image);
    memcpy(made, harness_f32(out, "image"), sizeof made);
    memcpy(lesion, harness_f32(out, "lesion"), sizeof lesion);
    memcpy(hole, harness_u8(out, "hole"), sizeof hole);
    memcpy(slices, harness_u8(out, "slices"), sizeof slices);
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

static int cells(void) {
    int n = 0;
    for (int i = 0; i < N; i++)
        n += lesion[i] > 0;
    return n;
}

/* Cells that hang together with one, by 26 neighbours; `seen` marks them. */
static int flood(uint8_t *seen, int at) {
    static int queue[N];
    int end = 1;
    queue[0] = at;
    seen[at] = 1;
    for (int k = 0; k < end; k++) {
        int d = queue[k] / PLANE, y = queue[k] / W % H, x = queue[k] % W;
        for (int j = 0; j < 27; j++) {
            int z2 = d + j / 9 - 1, y2 = y + j / 3 % 3 - 1, x2 = x + j % 3 - 1;
            int i = (z2 * H + y2) * W + x2;
            if (z2 < 0 || z2 >= D || y2 < 0 || y2 >= H || x2 < 0 || x2 >= W || seen[i] ||
                lesion[i] <= 0)
                continue;
            seen[i] = 1;
            queue[end++] = i;
        }
    }
    return end;
}

static int pieces(void) {
    static uint8_t seen[N];
    int n = 0;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < N; i++)
        if (lesion[i] > 0 && !seen[i]) {
            (void)flood(seen, i);
            n++;
        }
    return n;
}

/* A lesion is one piece, in the region alone; the image changes nowhere else, by no more than the
 * contrast; the hole is the segment that it touches. */
static void test_one_piece_within_the_region(void **state) {
    (void)state;
    struct options o = plain();
    make_volume();
    for (int i = 0; i < N; i++) {
        int d = i / PLANE - D / 2, y = i / W % H - H / 2, x = i % W - W / 2;
        liver[i] = d * d + y * y + x * x < 18 * 18;
        clean[i] = i % W >= W / 2 && d < 8;
    }
    for (uint64_t epoch = 0; epoch < 8; epoch++) {
        grow_once(&o, 1, epoch);
        assert_int_equal(pieces(), 1);
        assert_true(cells() > 200);
        for (int i = 0; i < N; i++) {
            int inside = liver[i] && clean[i];
            assert_true(inside || lesion[i] == 0);
            assert_true(lesion[i] > 0 || made[i] == image[i]);
            /* Grown by tenths, each with a tenth of 60 HU. */
            assert_true(fabsf(made[i] - image[i] + 0.2f * lesion[i]) < 1e-6f);
            assert_true(fabsf(lesion[i] * 10 - roundf(lesion[i] * 10)) < 1e-5f);
            int deep = slices[i / PLANE] && couinaud[i] == 6;
            assert_int_equal(hole[i], liver[i] && slices[i / PLANE] && (!clean[i] || deep));
        }
    }
}

/* The mean over draws: growth is random, and the image's border cuts some lesions off. */
static double mean_cells(const struct options *o, double spacing_d) {
    double sum = 0;
    for (uint64_t epoch = 0; epoch < 6; epoch++) {
        grow_once(o, spacing_d, epoch);
        sum += cells();
    }
    return sum / 6;
}

/* About a ball of the radius in soft tissue, in mm; less where half of the voxels are hard. */
static void test_sizes(void **state) {
    (void)state;
    struct options o = plain();
    const double ball = 4.0 / 3 * 3.14159265 * 9 * 9 * 9;
    make_volume();
    double soft = mean_cells(&o, 1);
    assert_true(soft > 0.45 * ball && soft < 1.6 * ball);
    /* In mm: slices of 2 mm hold half as many cells. */
    double thick = mean_cells(&o, 2);
    assert_true(thick > 0.3 * soft && thick < 0.9 * soft);
    o.radius = (struct hf_reals){2, {4.5, 4.5}};
    double small = mean_cells(&o, 1);
    assert_true(small > 0.05 * soft && small < 0.25 * soft);
    /* Half of the tissue hard, voxel by voxel: it is not as easily taken. */
    o.radius = (struct hf_reals){2, {9, 9}};
    for (int i = 0; i < N; i++)
        image[i] = i * 2654435761u >> 16 & 1 ? 0.5f + 0.065f : 0.5f - 0.065f;
    double dense = mean_cells(&o, 1);
    assert_true(dense < 0.85 * soft && dense > 0.1 * soft);
}

/* A wall of vessels two voxels thick: closed without pressure enough, open with it. */
static void test_vessels(void **state) {
    (void)state;
    struct options o = plain();
    make_volume();
    for (int i = 0; i < N; i++) {
        int x = i % W;
        image[i] = x == W / 2 || x == W / 2 + 1 ? 1.0f : 0.5f;
        clean[i] = 1;
    }
    o.radius = (struct hf_reals){2, {25, 25}};
    for (int open = 0; open < 2; open++) {
        int left = 0, right = 0, inside = 0;
        o.pressure = open ? 2 : 254;
        grow_once(&o, 1, 1);
        for (int i = 0; i < N; i++) {
            left += lesion[i] > 0 && i % W < W / 2;
            right += lesion[i] > 0 && i % W > W / 2 + 1;
            inside += lesion[i] > 0 && (i % W == W / 2 || i % W == W / 2 + 1);
        }
        assert_int_equal(left > 0 && right > 0, open);
        assert_int_equal(inside > 0, open);
    }
}

static void test_the_same_from_the_same_seed(void **state) {
    (void)state;
    static float before[N];
    struct options o = plain();
    make_volume();
    o.lesions = (struct hf_reals){2, {2, 4}};
    o.radius = (struct hf_reals){2, {2, 8}};
    o.texture = (struct hf_reals){2, {5, 9}};
    o.texture_size = (struct hf_reals){2, {1, 2}};
    o.edge = (struct hf_reals){2, {0.5, 1}};
    o.satellite = o.necrosis = 0.5;
    grow_once(&o, 1, 3);
    memcpy(before, made, sizeof before);
    grow_once(&o, 1, 3);
    assert_memory_equal(before, made, sizeof before);
    grow_once(&o, 1, 4);
    assert_int_not_equal(memcmp(before, made, sizeof before), 0);
}

/* Bright ones, dead cores, satellites, and the mask as cells at least half grown. */
static void test_looks(void **state) {
    (void)state;
    struct options o = plain();
    float brightest = 0, darkest = 1;
    make_volume();
    o.hyperdense = 1;
    grow_once(&o, 1, 0);
    for (int i = 0; i < N; i++) {
        assert_true(made[i] >= 0.5f);
        brightest = fmaxf(brightest, made[i]);
    }
    assert_true(fabsf(brightest - 0.65f) < 1e-5f);
    o.hyperdense = 0;
    o.necrosis = 1;
    o.necrosis_radius = 9;
    grow_once(&o, 1, 0);
    int dead = 0, all = cells();
    for (int i = 0; i < N; i++) {
        darkest = fminf(darkest, made[i]);
        dead += made[i] < 0.29f;
    }
    assert_true(fabsf(darkest - 0.2f) < 1e-5f); /* -60 - 30 HU */
    assert_true(dead > all / 40 && dead < all / 2);
    o.necrosis_radius = 9.5;
    grow_once(&o, 1, 0);
    for (int i = 0; i < N; i++)
        assert_true(made[i] > 0.29f);
    o.mask = 0;
    grow_once(&o, 1, 0);
    for (int i = 0; i < N; i++)
        assert_true(lesion[i] == (0.5f - made[i] >= 0.0999f ? 1.0f : 0.0f));
    o.radius = (struct hf_reals){2, {6, 6}};
    o.mask = 1;
    o.satellite = 1;
    int most = 0;
    for (uint64_t epoch = 0; epoch < 6; epoch++) {
        grow_once(&o, 1, epoch);
        most = pieces() > most ? pieces() : most;
    }
    assert_true(most > 1 && most <= 10);
}

/* dims 2: no lesion knows of its neighbours' slices, and its hole is made slice by slice. */
static void test_slices_for_themselves(void **state) {
    (void)state;
    static float before[N];
    struct options o = plain();
    make_volume();
    memset(clean + 5 * PLANE, 0, PLANE);
    o.dims = 0;
    o.min_area = 10;
    o.radius = (struct hf_reals){2, {5, 5}};
    grow_once(&o, 1, 0);
    for (int d = 0; d < D; d++) {
        int n = 0;
        for (int i = 0; i < PLANE; i++)
            n += lesion[d * PLANE + i] > 0;
        assert_int_equal(slices[d], d != 5);
        assert_true(d == 5 ? n == 0 : n > 10 && n < 250);
    }
    memcpy(before, made, sizeof before);
    memset(clean + 9 * PLANE, 0, PLANE);
    grow_once(&o, 1, 0);
    assert_int_equal(memcmp(before, made, 9 * PLANE * sizeof(float)), 0);
    assert_int_equal(
        memcmp(before + 10 * PLANE, made + 10 * PLANE, (D - 10) * PLANE * sizeof(float)), 0);
    o.share = 0;
    grow_once(&o, 1, 0);
    assert_int_equal(cells(), 0);
}

static void test_what_is_declared(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = plain();
    assert_int_equal(io_stub_declare(&io, &automaton, &o, " image liver clean window ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread liver@0\nread clean@0\nmay read couinaud@0\n"
                                 "read window@2\nmay read slices@2\nwrite image@0 < all\n"
                                 "write healthy@0 < image\n"
                                 "write lesion@0 < liver couinaud image clean\n"
                                 "write hole@0 < liver couinaud image clean\n"
                                 "write slices@2 < liver couinaud image clean\n");
    o.radius = (struct hf_reals){2, {9, 8}};
    assert_int_equal(io_stub_declare(&io, &automaton, &o, "", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "option 'radius' is [9, 8]"));
    o = plain();
    o.denser = (struct hf_reals){3, {10, 60, 45}};
    assert_int_equal(io_stub_declare(&io, &automaton, &o, "", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "option 'denser' must rise"));
}

/* With `smooth` the image is that without it, blurred in the liver by voxels, whatever mm they are.
 */
static void test_the_whole_is_smoothed(void **state) {
    (void)state;
    static float sharp[N], alone[N];
    struct options o = plain();
    make_volume();
    for (int i = 0; i < N; i++)
        liver[i] = clean[i] = i % W >= 8;
    spacing_w = 2;
    grow_once(&o, 1, 0);
    memcpy(sharp, made, sizeof sharp);
    memcpy(alone, lesion, sizeof alone);
    o.smooth = 1;
    grow_once(&o, 1, 0);
    spacing_w = 1;
    assert_true(cells() > 0);
    assert_memory_equal(lesion, alone, sizeof alone);
    for (int i = 0; i < N; i++) {
        int y = i / W % H, x = i % W;
        double sum = 0, weight = 0;
        for (int dy = -3; dy <= 3 && liver[i]; dy++)
            for (int dx = -3; dx <= 3; dx++) {
                int at = i + dy * W + dx;
                if (y + dy < 0 || y + dy >= H || x + dx < 0 || x + dx >= W || !liver[at])
                    continue;
                double w = exp(-(dx * dx + dy * dy) / 2.0);
                sum += w * (double)sharp[at];
                weight += w;
            }
        double expected = liver[i] ? sum / weight : (double)sharp[i];
        assert_float_equal(made[i], expected, 1e-5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_piece_within_the_region),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_vessels),
        cmocka_unit_test(test_the_same_from_the_same_seed),
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_slices_for_themselves),
        cmocka_unit_test(test_what_is_declared),
        cmocka_unit_test(test_the_whole_is_smoothed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
