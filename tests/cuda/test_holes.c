/*
 * test_holes.c - "holes.draw" on CUDA beside the CPU's.
 */
#include "liver.h"

#include "../../stages/holes/elem.h"

struct volume {
    struct hf_tensor *image, *liver, *clean, *couinaud, *hole, *weight, *masked, *drawn;
};

static struct volume volume_new(int64_t d, int64_t h, int64_t w) {
    struct volume v = {
        kit_volume(HF_F32, 1, d, h, w), kit_volume(HF_U8, 1, d, h, w),
        kit_volume(HF_U8, 1, d, h, w),  kit_volume(HF_U8, 1, d, h, w),
        kit_volume(HF_U8, 1, d, h, w),  kit_volume(HF_U8, 1, d, h, w),
        kit_volume(HF_F32, 1, d, h, w), kit_tensor(HF_U8, 1, &d),
    };
    kit_random(v.image, 0, 1, 3);
    liver_fill(v.liver, v.clean, v.couinaud);
    return v;
}

static void volume_free(struct volume *v) {
    struct hf_tensor *const all[] = {v->image, v->liver,  v->clean,  v->couinaud,
                                     v->hole,  v->weight, v->masked, v->drawn};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kit_free(all[i]);
}

static struct holes_params params_of(enum hole_kind kind, uint64_t seed) {
    struct holes_params p = {
        .rng = hf_rng_init(seed, "holes", "case", 0),
        .spacing = {1.25f, 1.5f},
        .segments = {1, 2},
        .dilate = {0, 5},
        .radius = {4, 30},
        .strokes = {1, 14},
        .vertices = {1, 5},
        .length = {7, 36},
        .width = {4, 10},
        .min_area = 100,
        .blank = 0.5f,
    };
    p.mix[kind] = 1;
    return p;
}

/* The shape's border is where a comparison of floats says so: on a GPU, with a cosine of its own, a
 * voxel in a thousand may be on the other side. */
static void compare(struct volume *v, const struct holes_params *p) {
    struct hf_op_call call = {.in = {v->image, v->liver, v->clean, v->couinaud},
                              .out = {v->hole, v->weight, v->masked, v->drawn},
                              .inputs = 4,
                              .outputs = 4,
                              .params = p,
                              .params_size = sizeof *p};
    struct kit_limits limits = {0};
    if (kit_gpu()) {
        limits.flips = hf_tensor_count(v->hole) / 1000;
        limits.max = 1;
        limits.l2 = 0.05;
    }
    kit_compare("holes.draw", &call, &limits);
}

static int64_t set_in(const struct hf_tensor *t, int64_t d) {
    int64_t plane = t->shape[2] * t->shape[3], n = 0;
    for (int64_t i = 0; i < plane; i++)
        n += HF_DATA(uint8_t, t)[d * plane + i];
    return n;
}

static void test_every_kind_is_the_cpus(void **state) {
    (void)state;
    for (int kind = 0; kind < HOLE_KINDS; kind++) {
        struct volume v = volume_new(6, 61, 75);
        for (uint64_t seed = 0; seed < (kit_large() ? 100 : 4); seed++) {
            struct holes_params p = params_of((enum hole_kind)kind, seed);
            compare(&v, &p);
            for (int64_t d = 0; d < 6; d++) {
                int drawn = d != 2 && d != 3 && d != 4;
                assert_int_equal(HF_DATA(uint8_t, v.drawn)[d], drawn);
                assert_int_equal(set_in(v.weight, d) > 0, drawn);
            }
        }
        volume_free(&v);
    }
}

static void test_shares_pick_the_kind(void **state) {
    (void)state;
    struct volume v = volume_new(12, 40, 33);
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct holes_params p = params_of(HOLE_SEGMENT, seed);
        p.mix[0] = 0.5f;
        p.mix[1] = p.mix[2] = 0.25f;
        p.min_area = 20;
        compare(&v, &p);
    }
    volume_free(&v);
}

/* A plane that is no whole number of words, rows and columns of one, and what fits in one block. */
static void test_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 1, 70},  {3, 70, 1},  {2, 5, 7},
                                       {1, 33, 31}, {1, 32, 32}, {2, 9, 257}, {1, 200, 190}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kind = 0; kind < HOLE_KINDS; kind++) {
            struct volume v = volume_new(sizes[i][0], sizes[i][1], sizes[i][2]);
            struct holes_params p = params_of((enum hole_kind)kind, 9);
            p.min_area = 0;
            if (i < 3) {
                memset(HF_DATA(uint8_t, v.liver), 1, v.liver->bytes);
                memset(HF_DATA(uint8_t, v.clean), 1, v.clean->bytes);
                memset(HF_DATA(uint8_t, v.couinaud), 4, v.couinaud->bytes);
            }
            compare(&v, &p);
            if (i < 3)
                assert_true(set_in(v.weight, 0) > 0);
            volume_free(&v);
        }
}

/* The largest disc that the options allow reaches over the whole liver and no further. */
static void test_a_hole_grows_to_the_livers_edge(void **state) {
    (void)state;
    struct volume v = volume_new(2, 100, 90);
    struct holes_params p = params_of(HOLE_ELLIPSE, 1);
    p.radius.low = p.radius.high = 2;
    for (int grow = 1; grow <= 64; grow *= 4) {
        p.dilate.low = p.dilate.high = (float)grow;
        compare(&v, &p);
    }
    volume_free(&v);
}

/* More strokes than a block has warps, some of which leave the plane. */
static void test_many_strokes(void **state) {
    (void)state;
    struct volume v = volume_new(2, 64, 96);
    struct holes_params p = params_of(HOLE_STROKES, 4);
    p.strokes.low = p.strokes.high = 60;
    p.vertices.low = p.vertices.high = 9;
    p.length.high = 200;
    p.width.low = p.width.high = 0.2f;
    p.dilate.high = 0;
    compare(&v, &p);
    assert_true(set_in(v.weight, 0) < set_in(v.liver, 0) * 3 / 4);
    volume_free(&v);
}

static void test_slices_are_allowed(void **state) {
    (void)state;
    for (int64_t depth = 1; depth < 600; depth += 299) {
        struct hf_tensor *drawn = kit_tensor(HF_U8, 1, &depth);
        struct hf_tensor *allowed = kit_tensor(HF_U8, 1, &depth);
        struct hf_tensor *both = kit_tensor(HF_U8, 1, &depth);
        kit_random(drawn, 0, 2, 1);
        kit_random(allowed, 0, 3, 2);
        struct hf_op_call call = {.in = {drawn, allowed}, .out = {both}, .inputs = 2, .outputs = 1};
        kit_compare("holes.allow", &call, &(struct kit_limits){0});
        kit_free(drawn);
        kit_free(allowed);
        kit_free(both);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_the_cpus),
        cmocka_unit_test(test_shares_pick_the_kind),
        cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_a_hole_grows_to_the_livers_edge),
        cmocka_unit_test(test_many_strokes),
        cmocka_unit_test(test_slices_are_allowed),
    };
    return KIT_RUN("holes", tests);
}
