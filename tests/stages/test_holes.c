/*
 * test_holes.c - holes: what is blanked, what is counted, and that a draw depends on nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/holes/holes.c"

enum {
    D = 6,
    H = 48,
    W = 40,
    PLANE = H * W,
    N = D * PLANE
};

static uint8_t liver[N], couinaud[N], clean[N];
static float image[N];

static const struct options plain = {
    .mix = {1, {"segment"}, {1}},
    .segments = {2, {1, 1}},
    .dilate = {2, {0, 0}},
    .radius = {2, {4, 9}},
    .strokes = {2, {1, 4}},
    .vertices = {2, {1, 3}},
    .length = {2, {5, 15}},
    .width = {2, {3, 6}},
    .min_area = 20,
    .blank = 0.25,
};

/* A round liver of four segments (2, 4, 5, 8), a quarter each; nobody annotated but 5. In slice 4
 * all is annotated, slice 5 has no liver. */
static void make_volume(void) {
    for (int i = 0; i < N; i++) {
        int d = i / PLANE, y = i / W % H, x = i % W;
        int dy = y - H / 2, dx = x - W / 2;
        static const uint8_t quarter[4] = {2, 4, 5, 8};
        liver[i] = d < 5 && dy * dy + dx * dx < 17 * 17;
        couinaud[i] = liver[i] ? quarter[2 * (dy > 0) + (dx > 0)] : 0;
        clean[i] = liver[i] && d != 4 && couinaud[i] != 5;
        image[i] = 0.4f + 0.0001f * (float)(i % 997);
    }
}

static struct hf_sample *make_sample(struct harness *h, const char *id) {
    struct hf_sample *s = harness_sample(h, id, D, H, W, 1.0);
    harness_set_f32(h, s, "image", 1, image);
    harness_set_u8(h, s, "liver", 1, liver);
    harness_set_u8(h, s, "clean", 1, clean);
    harness_set_u8(h, s, "couinaud", 1, couinaud);
    return s;
}

struct drawn {
    uint8_t hole[N], weight[N], slices[D];
    float masked[N];
};

static struct drawn *draw_once(struct harness *h, const struct options *o, const char *id,
                               uint64_t epoch, const uint8_t *slices) {
    static struct drawn kept[2];
    static int turn;
    struct drawn *r = &kept[turn ^= 1];
    struct hf_error e;
    struct hf_sample *in = make_sample(h, id);
    const int64_t depth = D;
    if (slices)
        harness_set(h, in, "slices", HF_ON_HOST, HF_U8, 1, &depth, slices);
    struct hf_stage *s = harness_stage(h, &holes, o, "holes");
    s->epoch = epoch;
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    assert_int_equal(harness_outs(s), 1);
    const struct hf_sample *out = harness_out(s, 0);
    memcpy(r->hole, harness_u8(out, "hole"), N);
    memcpy(r->weight, harness_u8(out, "hole_weight"), N);
    memcpy(r->masked, harness_f32(out, "masked"), sizeof r->masked);
    memcpy(r->slices, harness_u8(out, "slices"), D);
    assert_memory_equal(harness_f32(out, "image"), image, sizeof image);
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

/* Whatever the kind: the hole lies in the liver and holds all that is not clean; the weight is the
 * hole's clean part; the image is blanked there and nowhere else. */
static void check_rules(const struct drawn *r) {
    for (int i = 0; i < N; i++) {
        assert_true(!r->hole[i] || liver[i]);
        assert_true(!liver[i] || clean[i] || r->hole[i]);
        assert_int_equal(r->weight[i], r->hole[i] && clean[i]);
        assert_true(r->masked[i] == (r->hole[i] ? 0.25f : image[i]));
    }
    for (int d = 0; d < D; d++) {
        int counted = 0;
        for (int i = d * PLANE; i < (d + 1) * PLANE; i++)
            counted += r->weight[i];
        assert_int_equal(r->slices[d], d < 4);
        assert_int_equal(counted > 0, d < 4);
    }
}

static void test_rules_hold_for_every_kind(void **state) {
    (void)state;
    static const char *const kinds[] = {"segment", "ellipse", "strokes", "liver"};
    struct harness *h = open_harness();
    for (int k = 0; k < 4; k++)
        for (uint64_t epoch = 0; epoch < 8; epoch++) {
            struct options o = plain;
            o.mix.name[0] = kinds[k];
            o.dilate.value[1] = 4;
            check_rules(draw_once(h, &o, "case", epoch, NULL));
        }
    harness_close(h);
}

static void test_the_whole_liver_is_a_hole(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.mix.name[0] = "liver";
    couinaud[PLANE / 2 + W / 2] = 0; /* in no segment, but clean */
    const struct drawn *r = draw_once(h, &o, "case", 0, NULL);
    for (int i = 0; i < N; i++) {
        assert_int_equal(r->hole[i], liver[i] && i / PLANE < 5 && (i / PLANE < 4 || !clean[i]));
        assert_int_equal(r->weight[i], clean[i] && i / PLANE < 4);
    }
    harness_close(h);
}

static int clean_segments_in(const struct drawn *r, int d, int *ret_whole) {
    int n = 0;
    *ret_whole = 1;
    for (int k = 1; k <= 8; k++) {
        int in = 0, all = 0;
        for (int i = d * PLANE; i < (d + 1) * PLANE; i++)
            if (couinaud[i] == k && clean[i]) {
                all++;
                in += r->weight[i];
            }
        n += in > 0;
        *ret_whole &= in == 0 || in == all;
    }
    return n;
}

static void test_segments_are_taken_whole(void **state) {
    (void)state;
    struct harness *h = open_harness();
    unsigned seen = 0;
    for (int want = 1; want <= 3; want++) {
        for (uint64_t epoch = 0; epoch < 10; epoch++) {
            struct options o = plain;
            o.segments = (struct hf_reals){2, {want, want}};
            const struct drawn *r = draw_once(h, &o, "case", epoch, NULL);
            for (int d = 0; d < 4; d++) {
                int whole;
                assert_int_equal(clean_segments_in(r, d, &whole), want);
                assert_true(whole);
            }
            for (int i = 0; i < PLANE; i++)
                if (r->weight[i])
                    seen |= 1u << couinaud[i];
        }
    }
    assert_int_equal(seen, 1u << 2 | 1u << 4 | 1u << 8);
    harness_close(h);
}

static void test_an_ellipse_stays_in_a_segment(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.mix.name[0] = "ellipse";
    int whole, partial = 0;
    for (uint64_t epoch = 0; epoch < 10; epoch++) {
        const struct drawn *r = draw_once(h, &o, "case", epoch, NULL);
        for (int d = 0; d < 4; d++) {
            assert_int_equal(clean_segments_in(r, d, &whole), 1);
            partial += !whole;
        }
    }
    assert_true(partial > 20);
    harness_close(h);
}

static void test_dilation_is_a_disc_in_the_liver(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    static struct drawn small;
    memcpy(&small, draw_once(h, &o, "case", 3, NULL), sizeof small);
    o.dilate = (struct hf_reals){2, {3, 3}};
    const struct drawn *large = draw_once(h, &o, "case", 3, NULL);
    for (int i = 0; i < 4 * PLANE; i++) {
        int d = i / PLANE, y = i / W % H, x = i % W, near = 0;
        for (int b = 0; b < H; b++)
            for (int a = 0; a < W; a++)
                near |= small.weight[d * PLANE + b * W + a] &&
                        (a - x) * (a - x) + (b - y) * (b - y) <= 9;
        assert_int_equal(large->weight[i], near && clean[i]);
    }
    harness_close(h);
}

static void test_a_draw_depends_on_nothing_else(void **state) {
    (void)state;
    struct harness *h = open_harness();
    struct options o = plain;
    o.mix = (struct hf_weights){3, {"segment", "ellipse", "strokes"}, {1, 1, 1}};
    o.dilate.value[1] = 5;
    static struct drawn first;
    memcpy(&first, draw_once(h, &o, "case", 0, NULL), sizeof first);
    assert_memory_equal(draw_once(h, &o, "case", 0, NULL), &first, sizeof first);
    assert_memory_not_equal(draw_once(h, &o, "case", 1, NULL), &first, sizeof first);
    assert_memory_not_equal(draw_once(h, &o, "other", 0, NULL), &first, sizeof first);
    /* Slices that look alike are drawn for themselves. */
    for (int d = 1; d < 4; d++)
        assert_memory_not_equal(first.hole + d * PLANE, first.hole, PLANE);
    /* Slice 3 does not notice what the slices before it look like. */
    memset(clean, 0, 3 * PLANE);
    const struct drawn *alone = draw_once(h, &o, "case", 0, NULL);
    assert_memory_equal(alone->hole + 3 * PLANE, first.hole + 3 * PLANE, PLANE);
    assert_int_equal(alone->slices[0] + alone->slices[1] + alone->slices[2], 0);
    harness_close(h);
}

static void test_earlier_slices_count(void **state) {
    (void)state;
    static const uint8_t allowed[D] = {0, 1, 0, 1, 1, 1}, expected[D] = {0, 1, 0, 1, 0, 0};
    struct harness *h = open_harness();
    assert_memory_equal(draw_once(h, &plain, "case", 0, allowed)->slices, expected, D);
    harness_close(h);
}

static void test_kinds_come_in_their_shares(void **state) {
    (void)state;
    static const float mix[HOLE_KINDS] = {0.5f, 0.0f, 0.5f};
    struct hf_rng r = hf_rng_init(1, "a", "b", 0);
    int count[HOLE_KINDS] = {0};
    for (int i = 0; i < 4000; i++)
        count[draw_kind(&r, mix)]++;
    assert_int_equal(count[HOLE_ELLIPSE], 0);
    assert_in_range(count[HOLE_SEGMENT], 1850, 2150);
}

static void test_bad_options_are_refused(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = plain;
    assert_int_equal(io_stub_declare(&io, &holes, &o, " image ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread liver@0\nread clean@0\nread couinaud@0\n"
                                 "may read slices@2\n"
                                 "write hole@0 < liver clean couinaud\n"
                                 "write hole_weight@0 < liver clean couinaud\n"
                                 "write masked@0 < image liver clean couinaud\n"
                                 "blank masked 0.25\n"
                                 "write slices@2 < liver clean couinaud\n");
    o.width = (struct hf_reals){2, {6, 3}};
    assert_int_equal(io_stub_declare(&io, &holes, &o, " image ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'width'"));
    o = plain;
    o.mix.value[0] = 0;
    assert_int_equal(io_stub_declare(&io, &holes, &o, " image ", &e), HF_INVALID);
    o = plain;
    o.mix.name[0] = NULL;
    assert_int_equal(io_stub_declare(&io, &holes, &o, " image ", &e), HF_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_hold_for_every_kind),
        cmocka_unit_test(test_the_whole_liver_is_a_hole),
        cmocka_unit_test(test_segments_are_taken_whole),
        cmocka_unit_test(test_an_ellipse_stays_in_a_segment),
        cmocka_unit_test(test_dilation_is_a_disc_in_the_liver),
        cmocka_unit_test(test_a_draw_depends_on_nothing_else),
        cmocka_unit_test(test_earlier_slices_count),
        cmocka_unit_test(test_kinds_come_in_their_shares),
        cmocka_unit_test(test_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
