/*
 * test_tumor_synthesis.c - "tumor_synthesis.draw" and "tumor_synthesis.ellipsoid" on CUDA beside
 * the CPU's.
 */
#include "liver.h"

#include "../../stages/tumor_synthesis/ellipsoid.h"

/* The image is noise with brighter lines in it. */
struct volume {
    struct hf_tensor *healthy, *liver, *region, *couinaud, *image, *lesion, *hole, *drawn;
};

static struct volume volume_new(int64_t d, int64_t h, int64_t w) {
    struct volume v = {
        kit_volume(HF_F32, 1, d, h, w), kit_volume(HF_U8, 1, d, h, w),
        kit_volume(HF_U8, 1, d, h, w),  kit_volume(HF_U8, 1, d, h, w),
        kit_volume(HF_F32, 1, d, h, w), kit_volume(HF_F32, 1, d, h, w),
        kit_volume(HF_U8, 1, d, h, w),  kit_tensor(HF_U8, 1, &d),
    };
    kit_random(v.healthy, 0.45, 0.6, 3);
    liver_fill(v.liver, v.region, v.couinaud);
    for (int64_t i = 0; i < d * h * w; i++)
        if ((i % w - w / 2 + 3 * (i / w % h - h / 2)) % 11 == 0)
            HF_DATA(float, v.healthy)[i] += 0.2f;
    return v;
}

static void volume_free(struct volume *v) {
    struct hf_tensor *const all[] = {v->healthy, v->liver,  v->region, v->couinaud,
                                     v->image,   v->lesion, v->hole,   v->drawn};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kit_free(all[i]);
}

/* As the stage's own defaults. */
static struct synthesis_params params_of(enum synthesis_method method, uint64_t seed) {
    struct synthesis_params p = {
        .rng = hf_rng_init(seed, "tumors", "case", 0),
        .method = method,
        .contrast = CONTRAST_BETA,
        .spacing = {1.25f, 1.5f},
        .unit = 1.0f / 450,
        .share = 0.88f,
        .lesions = {1, 3},
        .superpixels = {2, 44},
        .compactness = 10,
        .radius = {3.6f, 28},
        .elastic_size = {3, 6.8f},
        .elastic_shift = {0.3f, 5},
        .edge = {0.5f, 2},
        .beta_range = {-176, 88},
        .beta_shape = {6, 4},
        .hypodense_contrast = {-75, -20},
        .hyperdense_contrast = {20, 60},
        .normal_mean = -45,
        .normal_sd = 20,
        .hyperdense = 0.2f,
        .faintest = 10,
        .texture = {3, 12},
        .texture_size = {1.5f, 5},
        .damp = 0.7f,
        .damp_size = 3,
        .extra_segments = {0, 2},
        .min_area = 110,
    };
    return p;
}

/* The same bits in the emulation. On a GPU functions of libm differ in the last bit, and with them
 * masks and textures; where that moves a mask over the limit of what touches a segment, a segment
 * is hidden or not. */
static void compare_op(const char *op, struct volume *v, const void *params, size_t size,
                       int inputs) {
    struct hf_op_call call = {.in = {v->healthy, v->liver, v->region, v->couinaud},
                              .out = {v->image, v->lesion, v->hole, v->drawn},
                              .inputs = inputs,
                              .outputs = 4,
                              .params = params,
                              .params_size = size};
    struct kit_limits limits = {0};
    if (kit_gpu()) {
        limits.flips = hf_tensor_count(v->hole) / 50;
        /* A last bit of a logarithm may draw another lesion altogether, but not many. */
        limits.max = 2;
        limits.l2 = 3e-2;
    }
    kit_compare(op, &call, &limits);
}

static void compare(struct volume *v, const struct synthesis_params *p, int inputs) {
    compare_op("tumor_synthesis.draw", v, p, sizeof *p, inputs);
}

static double sum_in(const struct hf_tensor *t, int64_t d) {
    int64_t plane = t->shape[2] * t->shape[3];
    double sum = 0;
    for (int64_t i = d * plane; i < (d + 1) * plane; i++)
        sum += t->dtype == HF_F32 ? HF_DATA(float, t)[i] : HF_DATA(uint8_t, t)[i];
    return sum;
}

static void test_both_methods_are_the_cpus(void **state) {
    (void)state;
    for (int method = METHOD_SUPERPIXEL; method <= METHOD_ELLIPSE; method++) {
        struct volume v = volume_new(6, 61, 75);
        for (uint64_t seed = 0; seed < (kit_large() ? 100 : 3); seed++) {
            struct synthesis_params p = params_of((enum synthesis_method)method, seed);
            p.share = 1;
            compare(&v, &p, 4);
            for (int64_t d = 0; d < 6; d++) {
                int drawn = d != 2 && d != 3 && d != 4;
                assert_int_equal(HF_DATA(uint8_t, v.drawn)[d], drawn);
                assert_int_equal(sum_in(v.lesion, d) > 0, drawn);
                assert_int_equal(sum_in(v.hole, d) > 0, drawn);
            }
        }
        volume_free(&v);
    }
}

/* Some slices get no lesion; without a map there is one segment. */
static void test_a_share_of_slices_without_a_map(void **state) {
    (void)state;
    struct volume v = volume_new(8, 40, 33);
    struct synthesis_params p = params_of(METHOD_ELLIPSE, 5);
    p.share = 0.5f;
    compare(&v, &p, 3);
    int healthy = 0, with = 0;
    for (int64_t d = 0; d < 8; d++) {
        healthy += HF_DATA(uint8_t, v.drawn)[d] && sum_in(v.lesion, d) == 0;
        with += sum_in(v.lesion, d) > 0;
    }
    assert_true(healthy > 0 && with > 0);
    volume_free(&v);
}

/* Intensity moves the superpixels; as many as there can be; one; a region for less than two. */
static void test_superpixels_of_all_sorts(void **state) {
    (void)state;
    struct volume v = volume_new(2, 61, 75);
    struct synthesis_params p = params_of(METHOD_SUPERPIXEL, 8);
    p.lesions.high = 2;
    p.compactness = 0.05f;
    compare(&v, &p, 4);
    p.superpixels.low = p.superpixels.high = 256;
    compare(&v, &p, 4);
    p.superpixels.low = p.superpixels.high = 1;
    compare(&v, &p, 4);
    volume_free(&v);
    v = volume_new(5, 61, 75);
    p = params_of(METHOD_SUPERPIXEL, 9);
    p.share = 1;
    p.min_area = 0;
    compare(&v, &p, 4);
    assert_int_equal(HF_DATA(uint8_t, v.drawn)[4], 1);
    volume_free(&v);
}

/* What is left out when it is nothing: edge, deformation, texture, its grain, damping. */
static void test_hard_flat_lesions(void **state) {
    (void)state;
    struct volume v = volume_new(2, 61, 75);
    for (int contrast = CONTRAST_RANGES; contrast <= CONTRAST_NORMAL; contrast++) {
        struct synthesis_params p = params_of(METHOD_ELLIPSE, 2);
        p.contrast = contrast;
        p.elastic_shift.low = p.elastic_shift.high = 0;
        p.edge.low = p.edge.high = 0;
        p.texture_size.low = p.texture_size.high = 0;
        p.damp_size = 0;
        compare(&v, &p, 4);
        p.texture.low = p.texture.high = 0;
        p.damp = 0;
        compare(&v, &p, 4);
    }
    volume_free(&v);
}

/* Many lesions lie on top of each other: each dims what the ones before it left. */
static void test_lesions_that_overlap(void **state) {
    (void)state;
    struct volume v = volume_new(2, 45, 50);
    struct synthesis_params p = params_of(METHOD_ELLIPSE, 11);
    p.share = 1;
    p.lesions.low = p.lesions.high = 6;
    p.radius.low = 8;
    compare(&v, &p, 4);
    volume_free(&v);
}

/* Planes that are no whole number of words; rows and columns; one voxel; values out of range. */
static void test_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 1, 70},  {2, 70, 1},  {2, 5, 7},
                                       {1, 33, 31}, {1, 32, 32}, {2, 9, 257}, {1, 130, 140}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int method = METHOD_SUPERPIXEL; method <= METHOD_ELLIPSE; method++) {
            struct volume v = volume_new(sizes[i][0], sizes[i][1], sizes[i][2]);
            struct synthesis_params p = params_of((enum synthesis_method)method, 9);
            p.share = 1;
            p.min_area = 0;
            if (i < 3) {
                memset(HF_DATA(uint8_t, v.liver), 1, v.liver->bytes);
                memset(HF_DATA(uint8_t, v.region), 1, v.region->bytes);
            }
            if (i == 4)
                HF_DATA(float, v.healthy)[16 * 31 + 15] = -1e9f;
            compare(&v, &p, 4);
            volume_free(&v);
        }
}

/* A volume of a size that is met: on a GPU with blocks enough to fill it, and slices that take
 * turns (in the emulation they do in any volume). */
static void test_a_whole_volume(void **state) {
    (void)state;
    struct volume v = kit_large() ? volume_new(120, 512, 512) : volume_new(7, 90, 110);
    struct synthesis_params p = params_of(METHOD_SUPERPIXEL, 3);
    p.share = 1;
    if (kit_large())
        p.spacing[0] = p.spacing[1] = 0.8f;
    compare(&v, &p, 4);
    assert_true(sum_in(v.lesion, 0) > 0 && sum_in(v.lesion, v.lesion->shape[1] - 1) > 0);
    volume_free(&v);
}

/* As the stage's own defaults, but for lesions that suit a small volume. */
static struct ellipsoid_params grown_params(int dims, uint64_t seed) {
    struct ellipsoid_params p = {
        .base = params_of(METHOD_ELLIPSOID, seed),
        .dims = dims,
        .hide = dims == 3 ? HIDE_VOLUME : HIDE_SLICE,
        .spacing_d = 2.5f,
        .type = {0.2f, 0.2f, 0.2f, 0.2f, 0.2f},
        .count = {{3, 4}, {2, 3}, {1, 2}, {1, 1}},
        .mix = {{1, 2}, {1, 2}, {0, 1}, {1, 1}},
        .radius = {{3, 5}, {5, 7}, {8, 12}, {14, 18}},
        .shift = {{0.5f, 1}, {1, 2}, {2, 4}, {3, 5}},
        .extent = {0.3f, 0.7f},
        .inset = 2,
        .coarse_grains = 2,
        .fine_grains = 2,
        .coarse_grain = {3, 12},
        .fine_grain = {4, 7},
        .cloud_low = {0.04f, 0.06f},
        .cloud_span = {0.19f, 0.21f},
        .cloud_mean = {0.5f, 0.55f},
        .hypodense_peak = {65, 145},
        .hyperdense_peak = {40, 90},
        .rim_width = {1, 3},
        .rim_contrast = {-30, 60},
    };
    p.base.share = 1;
    return p;
}

static void compare_grown(struct volume *v, const struct ellipsoid_params *p, int inputs) {
    compare_op("tumor_synthesis.ellipsoid", v, p, sizeof *p, inputs);
}

static double sum_all(const struct hf_tensor *t) {
    double sum = 0;
    for (int64_t d = 0; d < t->shape[1]; d++)
        sum += sum_in(t, d);
    return sum;
}

static void test_ellipsoids_are_the_cpus(void **state) {
    (void)state;
    for (int dims = 2; dims <= 3; dims++) {
        struct volume v = kit_large() ? volume_new(60, 200, 210) : volume_new(7, 37, 43);
        for (uint64_t seed = 0; seed < (kit_large() ? 60 : 5); seed++) {
            struct ellipsoid_params p = grown_params(dims, seed);
            compare_grown(&v, &p, 4);
            assert_true(sum_all(v.lesion) > 0);
            assert_true(sum_all(v.hole) > 0);
        }
        volume_free(&v);
    }
}

/* Rims, soft masks, the other kind of hole, no map, everything bright. */
static void test_ellipsoids_with_options(void **state) {
    (void)state;
    struct volume v = volume_new(7, 30, 41);
    for (int dims = 2; dims <= 3; dims++) {
        struct ellipsoid_params p = grown_params(dims, 3);
        p.rim = 0.7f;
        p.soft = 1;
        p.base.hyperdense = 1;
        p.hide = dims == 3 ? HIDE_SLICE : HIDE_VOLUME;
        compare_grown(&v, &p, 4);
        p.base.edge.low = p.base.edge.high = 0;
        p.inset = 20;
        compare_grown(&v, &p, 3);
        p.base.share = 0;
        compare_grown(&v, &p, 4);
        assert_true(sum_all(v.lesion) == 0);
    }
    volume_free(&v);
}

/* Single slices, rows and voxels; volumes without a region. */
static void test_ellipsoids_of_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {1, 1, 50}, {2, 50, 1}, {1, 20, 33}, {3, 5, 7}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int dims = 2; dims <= 3; dims++) {
            struct volume v = volume_new(sizes[i][0], sizes[i][1], sizes[i][2]);
            struct ellipsoid_params p = grown_params(dims, 9);
            p.base.min_area = 0;
            p.rim = 1;
            if (i < 3) {
                memset(HF_DATA(uint8_t, v.liver), 1, v.liver->bytes);
                memset(HF_DATA(uint8_t, v.region), 1, v.region->bytes);
            }
            compare_grown(&v, &p, 4);
            memset(HF_DATA(uint8_t, v.region), 0, v.region->bytes);
            compare_grown(&v, &p, 4);
            assert_true(sum_all(v.lesion) == 0);
            volume_free(&v);
        }
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
        kit_compare("tumor_synthesis.allow", &call, &(struct kit_limits){0});
        kit_free(drawn);
        kit_free(allowed);
        kit_free(both);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_methods_are_the_cpus),
        cmocka_unit_test(test_a_share_of_slices_without_a_map),
        cmocka_unit_test(test_superpixels_of_all_sorts),
        cmocka_unit_test(test_hard_flat_lesions),
        cmocka_unit_test(test_lesions_that_overlap),
        cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_a_whole_volume),
        cmocka_unit_test(test_ellipsoids_are_the_cpus),
        cmocka_unit_test(test_ellipsoids_with_options),
        cmocka_unit_test(test_ellipsoids_of_odd_sizes),
        cmocka_unit_test(test_slices_are_allowed),
    };
    return KIT_RUN("tumor_synthesis", tests);
}
