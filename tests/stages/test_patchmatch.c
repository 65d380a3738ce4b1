/*
 * test_patchmatch.c - fillings out of known patches: the search beside a search of everything, a
 * texture that must go on through the hole, and what may be copied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../plugins/patchmatch/nearest.h"
#include "../../plugins/patchmatch/patchmatch.c"

enum {
    SIDE = 96,
    PLANE = SIDE * SIDE,
    D = 3,
    N = D * PLANE
};

static float image[N], inpainted[N];
static uint8_t region[N], liver[N];

static struct options usual(void) {
    struct options o = {
        .fill = {NULL, NULL, 0.25}, .patch = 7, .levels = 6, .rounds = 4, .sweeps = 2};
    return o;
}

/* Whose draws a filling has. */
static struct {
    uint64_t seed, epoch;
    const char *stage, *sample;
} drawn = {66, 0, "removed", "case"};

static void fill_once(const struct options *o, int slices, int tissue) {
    size_t n = (size_t)slices * PLANE;
    struct hf_error e;
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    struct hf_sample *in = harness_sample(h, drawn.sample, slices, SIDE, SIDE, 1);
    harness_set_f32(h, in, "image", 1, image);
    harness_set_u8(h, in, "segments", 1, region);
    if (tissue)
        harness_set_u8(h, in, "liver", 1, liver);
    struct hf_stage *s = harness_stage(h, &patchmatch, o, drawn.stage);
    s->epoch = drawn.epoch;
    s->seed = drawn.seed;
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    memcpy(inpainted, harness_f32(harness_out(s, 0), "inpainted"), n * sizeof(float));
    const float *difference = harness_f32(harness_out(s, 0), "difference");
    for (size_t i = 0; i < n; i++) {
        assert_true(region[i] || inpainted[i] == image[i]);
        assert_true(difference[i] == image[i] - inpainted[i]);
    }
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

static float noise(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) * 0x1p-24f;
}

/* ---- the search ---- */

static struct level *new_level(int side, const struct patchmatch_params *p) {
    size_t n = (size_t)side * (size_t)side;
    struct level *l = calloc(1, sizeof *l);
    char *room = calloc(n, 64);
    assert_non_null(l);
    assert_non_null(room);
    l->p = p;
    l->to_value = (float *)room;
    l->from_value = l->to_value + n;
    l->distance = l->from_value + n;
    l->spot = (int32_t *)(l->distance + n);
    l->centre = l->spot + n;
    l->nearest = l->centre + n;
    l->inside = (uint16_t *)(l->nearest + n);
    l->to_pixel = (uint8_t *)(l->inside + n);
    l->from_pixel = l->to_pixel + n;
    l->source = l->from_pixel + n;
    l->is_centre = l->source + n;
    l->pixels = l->is_centre + n;
    l->to = (struct plane){side, side, l->to_pixel, l->to_value};
    l->from = (struct plane){side, side, l->from_pixel, l->from_value};
    return l;
}

/* The least distance that any source has: by its own loop over pixels. */
static double best_of_all(const struct level *l, int centre) {
    int r = l->p->radius, side = l->to.w, cy = centre / side, cx = centre % side;
    double best = 1e30;
    for (int i = 0; i < side * side; i++) {
        int y = i / side, x = i % side, good = y >= r && x >= r && y < side - r && x < side - r;
        double sum = 0;
        int n = 0;
        for (int k = 0; k < (2 * r + 1) * (2 * r + 1) && good; k++) {
            int dy = k / (2 * r + 1) - r, dx = k % (2 * r + 1) - r;
            int ty = cy + dy, tx = cx + dx, from = (y + dy) * side + x + dx;
            good = l->from_pixel[from] == PIXEL_KNOWN;
            if (ty < 0 || tx < 0 || ty >= side || tx >= side ||
                l->to_pixel[ty * side + tx] == PIXEL_OUTSIDE)
                continue;
            double d = (double)l->to_value[ty * side + tx] - (double)l->from_value[from];
            sum += d * d;
            n++;
        }
        if (good && sum / n < best)
            best = sum / n;
    }
    return best;
}

static void test_the_search_beside_a_search_of_everything(void **state) {
    (void)state;
    enum {
        SMALL = 40
    };
    const struct patchmatch_params p = {
        .rng = hf_rng_init(1, "test", "", 0), .radius = 2, .rounds = 1, .sweeps = 6};
    struct level *l = new_level(SMALL, &p);
    uint32_t seed = 3;
    double found = 0, best = 0;
    int exact = 0;
    for (int i = 0; i < SMALL * SMALL; i++) {
        int y = i / SMALL, x = i % SMALL;
        int hole = y >= 14 && y < 26 && x >= 10 && x < 24;
        int outside = (y - 20) * (y - 20) + (x - 20) * (x - 20) > 19 * 19;
        l->to_pixel[i] = hole ? PIXEL_HOLE : outside ? PIXEL_OUTSIDE : PIXEL_KNOWN;
        l->from_pixel[i] = l->to_pixel[i];
        l->to_value[i] =
            0.5f + 0.3f * sinf(0.4f * (float)x) * cosf(0.3f * (float)y) + 0.1f * noise(&seed);
        l->from_value[i] = l->to_value[i];
    }
    level_survey(l);
    assert_true(l->spots > 100);
    assert_int_equal(l->centres, (12 + 4) * (14 + 4));
    nearest_begin(l, NULL);
    nearest_search(l, 1);
    for (int k = 0; k < l->centres; k++) {
        int i = l->centre[k];
        double least = best_of_all(l, i);
        assert_true(l->source[l->nearest[i]]);
        assert_true((double)l->distance[i] > least - 1e-6);
        exact += (double)l->distance[i] < least + 1e-6;
        found += (double)l->distance[i];
        best += least;
    }
    assert_true(found < 1.15 * best);
    assert_true(exact > l->centres / 2);
    /* One sweep finds less. */
    const struct patchmatch_params once = {.rng = p.rng, .radius = 2, .rounds = 1, .sweeps = 1};
    double less = 0;
    l->p = &once;
    nearest_begin(l, NULL);
    nearest_search(l, 1);
    for (int k = 0; k < l->centres; k++)
        less += (double)l->distance[l->centre[k]];
    assert_true(less > found);
    free(l->to_value);
    free(l);
}

/* A hole one pixel wide that winds on for 80000 steps, more than `inside` can count. */
static void test_a_hole_longer_than_depths_count(void **state) {
    (void)state;
    enum {
        WIDE = 400
    };
    const struct patchmatch_params p = {.radius = 2};
    struct level *l = new_level(WIDE, &p);
    int32_t steps = 0;
    l->to_pixel[0] = PIXEL_KNOWN;
    for (int pass = 0; pass < 2; pass++, steps = 0) {
        for (int y = 0; y < WIDE; y += 2)
            for (int k = 0; k < WIDE + 1 && y * WIDE + k + 1 < WIDE * WIDE; k++) {
                /* A row, to the right or to the left, and a step down from where it ends. */
                int along = k < WIDE ? k : WIDE - 1, x = y % 4 ? WIDE - 1 - along : along;
                int i = (y + (k == WIDE)) * WIDE + x;
                if (pass == 0 && i > 0)
                    l->to_pixel[i] = PIXEL_HOLE;
                if (pass == 1)
                    assert_int_equal(l->inside[i], steps < FARTHEST ? steps : FARTHEST);
                steps++;
            }
        assert_true(steps > 80000);
        if (pass == 0)
            level_survey(l);
    }
    free(l->to_value);
    free(l);
}

/* ---- fillings ---- */

/* Stripes and spots of periods that a patch sees: they go on through a hole five patches wide. */
static void test_a_texture_goes_on(void **state) {
    (void)state;
    struct options o = usual();
    double sum = 0, flat = 0;
    int n = 0;
    for (int i = 0; i < PLANE; i++) {
        float x = (float)(i % SIDE), y = (float)(i / SIDE);
        image[i] = 0.5f + 0.25f * sinf(6.2831853f * (x + y) / 8) + 0.2f * cosf(6.2831853f * y / 6);
        region[i] = x >= 30 && x < 64 && y >= 28 && y < 60;
    }
    fill_once(&o, 1, 0);
    for (int i = 0; i < PLANE; i++) {
        if (!region[i])
            continue;
        sum += pow((double)(inpainted[i] - image[i]), 2);
        flat += pow((double)(0.5f - image[i]), 2);
        n++;
    }
    assert_true(sqrt(sum / n) < 1e-3);
    assert_true(sqrt(flat / n) > 0.2);
}

/* The tissue has another grain than the rest of the image, which is near but not copied. */
static void make_liver(void) {
    uint32_t seed = 9;
    for (int i = 0; i < N; i++) {
        int x = i % SIDE - SIDE / 2, y = i / SIDE % SIDE - SIDE / 2;
        liver[i] = x * x + y * y < 40 * 40;
        image[i] = liver[i] ? 0.5f + 0.2f * noise(&seed) : 3 + noise(&seed);
        region[i] = liver[i] && x > 8;
    }
}

static void test_only_tissue_is_copied(void **state) {
    (void)state;
    struct options o = usual();
    double sum = 0, square = 0;
    int n = 0;
    make_liver();
    fill_once(&o, D, 1);
    for (int i = 0; i < N; i++) {
        if (!region[i])
            continue;
        assert_true(inpainted[i] >= 0.5f && inpainted[i] <= 0.7f);
        sum += (double)inpainted[i];
        square += (double)inpainted[i] * (double)inpainted[i];
        n++;
    }
    /* It has a grain of its own: noise of 0.058, less what the vote averages. */
    double mean = sum / n, deviation = sqrt(square / n - mean * mean);
    assert_true(fabs(mean - 0.6) < 0.01);
    assert_true(deviation > 0.04);
}

/* The run's seed, the stage and the sample draw; the epoch does not, so samples may be held. */
static void test_whose_draws_they_are(void **state) {
    (void)state;
    static float before[N];
    struct options o = usual();
    make_liver();
    fill_once(&o, D, 1);
    memcpy(before, inpainted, sizeof before);
    drawn.epoch = 5;
    fill_once(&o, D, 1);
    assert_memory_equal(before, inpainted, sizeof before);
    assert_int_equal(patchmatch.flags & HF_STAGE_RANDOM, 0);
    drawn.seed = 67;
    fill_once(&o, D, 1);
    assert_memory_not_equal(before, inpainted, sizeof before);
    drawn.seed = 66;
    drawn.stage = "pairs";
    fill_once(&o, D, 1);
    assert_memory_not_equal(before, inpainted, sizeof before);
    drawn.stage = "removed";
    drawn.sample = "case/2";
    fill_once(&o, D, 1);
    assert_memory_not_equal(before, inpainted, sizeof before);
    drawn.sample = "case";
    fill_once(&o, D, 1);
    assert_memory_equal(before, inpainted, sizeof before);
}

/* A slice that is all region is filled from another; with no tissue at all, by `unknown`. */
static void test_where_a_slice_has_no_tissue(void **state) {
    (void)state;
    struct options o = usual();
    make_liver();
    for (int i = 0; i < PLANE; i++)
        region[i] = liver[i];
    fill_once(&o, D, 1);
    for (int i = 0; i < PLANE; i++)
        assert_true(!region[i] || (inpainted[i] >= 0.5f && inpainted[i] <= 0.7f));
    memcpy(region, liver, sizeof region);
    fill_once(&o, D, 1);
    for (int i = 0; i < N; i++)
        assert_true(inpainted[i] == (region[i] ? 0.25f : image[i]));
    /* Tissue, but too little for a patch: its mean. */
    for (int i = 0; i < N; i++)
        region[i] = liver[i] && i % 5 != 0;
    fill_once(&o, D, 1);
    double sum = 0;
    int n = 0;
    for (int i = 0; i < N; i++)
        if (liver[i] && !region[i]) {
            sum += (double)image[i];
            n++;
        }
    for (int i = 0; i < N; i++)
        assert_true(!region[i] || fabs((double)inpainted[i] - sum / n) < 1e-6);
    memset(region, 0, sizeof region);
    fill_once(&o, D, 1);
    assert_memory_equal(inpainted, image, sizeof image);
}

/* More voxels than are filled at once are refused before anything is made of them, and to `plan`.
 */
static void test_what_is_too_large(void **state) {
    (void)state;
    static struct hf_sample in = {.id = "case", .fields = 2};
    struct hf_tensor t = {.shape = {1, 4, 40000, 30000}};
    const struct hf_memory_query q = {.largest = &in};
    struct hf_memory told;
    struct hf_error e;
    in.grid.size[0] = 4;
    in.grid.size[1] = 40000;
    in.grid.size[2] = 30000;
    in.field[0] = (struct hf_field){"image", &t, HF_ON_GRID};
    in.field[1] = (struct hf_field){"segments", &t, HF_ON_GRID};
    struct options o = usual();
    struct hf_stage s = {.name = "removed", .options = &o};
    assert_int_equal(process(&s, &in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "slices of 40000 x 30000 pixels"));
    e.text[0] = 0;
    assert_int_equal(memory(&s, &q, &told, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "slices of 40000 x 30000 pixels"));
}

static void test_what_is_declared(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = usual();
    assert_int_equal(io_stub_declare(&io, &patchmatch, &o, " image segments liver ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread segments@0\nmay read liver@0\n"
                                 "write inpainted@0 < all\nwrite difference@0 < all\n");
    o.patch = 8;
    assert_int_equal(io_stub_declare(&io, &patchmatch, &o, " image segments ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "option 'patch' is 8"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_search_beside_a_search_of_everything),
        cmocka_unit_test(test_a_hole_longer_than_depths_count),
        cmocka_unit_test(test_a_texture_goes_on),
        cmocka_unit_test(test_only_tissue_is_copied),
        cmocka_unit_test(test_whose_draws_they_are),
        cmocka_unit_test(test_where_a_slice_has_no_tissue),
        cmocka_unit_test(test_what_is_too_large),
        cmocka_unit_test(test_what_is_declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
