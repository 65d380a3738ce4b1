/*
 * test_parts.c - a region in superpixels: all of it, about as large as asked for, and no two that
 * touch in the same turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/parts/parts.c"

enum {
    D = 3,
    H = 64,
    W = 80,
    PLANE = H * W,
    N = D * PLANE
};

static uint8_t region[N], turns[N];
static float image[N];

/* A disc in slice 0, nothing in slice 1, three voxels in slice 2; the image is noise. */
static void make_volume(void) {
    for (int i = 0; i < N; i++) {
        int d = i / PLANE, y = i / W % H - H / 2, x = i % W - W / 2;
        region[i] = d == 0 ? y * y + x * x < 28 * 28 : d == 2 && y == 0 && x >= 0 && x < 3;
        image[i] = 0.5f + 0.1f * sinf((float)i);
    }
}

static void cut_once(double size, double spacing, double compactness) {
    struct harness *h = harness_open();
    struct hf_error e;
    harness_add(h, &hf_plugin);
    struct hf_sample *in = harness_sample(h, "case", D, H, W, spacing);
    harness_set_f32(h, in, "image", 1, image);
    harness_set_u8(h, in, "segments", 1, region);
    struct options o = {.region = "segments", .size = size, .compactness = compactness};
    struct hf_stage *s = harness_stage(h, &parts, &o, "parts");
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    memcpy(turns, harness_u8(harness_out(s, 0), "parts"), N);
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

/* Voxels of a turn in slice 0 that hang together with one, which it takes away. */
static int flood(uint8_t *left, int at) {
    uint8_t turn = left[at];
    int n = 1, y = at / W, x = at % W;
    left[at] = 0;
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++)
            if (y + j >= 0 && y + j < H && x + i >= 0 && x + i < W &&
                left[(y + j) * W + x + i] == turn)
                n += flood(left, (y + j) * W + x + i);
    return n;
}

static void test_all_of_the_region_has_turns(void **state) {
    (void)state;
    make_volume();
    for (int k = 0; k < 3; k++) {
        cut_once(k == 0 ? 3 : k == 1 ? 10 : 200, 1, k == 1 ? 0.1 : 10);
        for (int i = 0; i < N; i++) {
            assert_int_equal(turns[i] > 0, region[i]);
            assert_true(turns[i] <= PARTS_TURNS);
            assert_true(i < 2 * PLANE || turns[i] <= 1 + (k == 0));
        }
    }
    /* Larger than the region: it is one part. */
    for (int i = 0; i < N; i++)
        assert_int_equal(turns[i], region[i]);
}

/* Place alone counts: what is filled at once are pieces of the size of a square, which means that
 * no two of them touch. */
static void test_parts_of_a_turn_are_apart(void **state) {
    (void)state;
    static uint8_t left[PLANE];
    make_volume();
    for (int fine = 0; fine < 2; fine++) {
        double spacing = fine ? 0.5 : 1.0, size = 8 * spacing;
        int pieces = 0, most = 0;
        cut_once(size, spacing, 100);
        memcpy(left, turns, PLANE);
        for (int i = 0; i < PLANE; i++) {
            if (left[i] == 0)
                continue;
            int n = flood(left, i);
            pieces++;
            most = n > most ? n : most;
        }
        double expected = 3.1416 * 28 * 28 / 64;
        assert_true(fabs(pieces / expected - 1) < 0.25);
        assert_true(most < 2.2 * 64);
    }
}

/* Where the image has an edge, so have the parts. */
static void test_parts_follow_the_image(void **state) {
    (void)state;
    int across[2] = {0, 0};
    make_volume();
    for (int i = 0; i < PLANE; i++)
        image[i] = i % W < W / 2 + 3 ? 0.2f : 0.8f;
    for (int tight = 0; tight < 2; tight++) {
        cut_once(9, 1, tight ? 100 : 0.05);
        for (int y = 0; y < H; y++) {
            int i = y * W + W / 2 + 2;
            across[tight] += region[i] && region[i + 1] && turns[i] == turns[i + 1];
        }
    }
    assert_int_equal(across[0], 0);
    assert_true(across[1] > 20);
}

static void test_what_is_declared(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = {.region = "liver", .size = 20, .compactness = 1};
    assert_int_equal(io_stub_declare(&io, &parts, &o, " image liver ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread liver@0\nwrite parts@0 < all\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_the_region_has_turns),
        cmocka_unit_test(test_parts_of_a_turn_are_apart),
        cmocka_unit_test(test_parts_follow_the_image),
        cmocka_unit_test(test_what_is_declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
