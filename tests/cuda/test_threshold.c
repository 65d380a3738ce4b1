/*
 * test_threshold.c - the CUDA ops of threshold beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include <math.h>

#include <hepaflow/ops.h>

#include "../../stages/threshold/ops.h"

static const int32_t sides[] = {CUT_ABOVE, CUT_BELOW, CUT_EITHER};

static void cut(void **state) {
    (void)state;
    EACH_SIZE(size) {
        for (int gates = 0; gates < 3; gates++) {
            struct cut_params p = {0.25f, sides[gates]};
            struct hf_tensor *t[4] = {sized_random(HF_F32, 1, size, -1, 1, 1),
                                      sized_mask(size, 0.7, 2), sized_mask(size, 0.6, 3),
                                      sized(HF_U8, 1, size)};
            HF_DATA(float, t[0])[0] = 0.25f;
            HF_DATA(float, t[0])[hf_tensor_count(t[0]) - 1] = NAN;
            struct hf_op_call call = KIT_CALL(t[0], t[3], p);
            for (int i = 0; i < gates; i++)
                call.in[call.inputs++] = t[1 + i];
            kit_compare("threshold.cut", &call, &exact);
            free_all(t, 4);
        }
    }
}

static void otsu(void **state) {
    (void)state;
    const int64_t one = 1;
    int gates = 0;
    EACH_SIZE(size) {
        for (int i = 0; i < 3; i++) {
            struct otsu_params p = {i == 0 ? 256 : i == 1 ? 2 : OTSU_MAX_BINS, sides[i]};
            struct hf_tensor *t[4] = {sized_random(HF_F32, 1, size, -1, 1, 21),
                                      sized_mask(size, 0.7, 22), sized_mask(size, 0.6, 23),
                                      kit_tensor(HF_F32, 1, &one)};
            HF_DATA(float, t[0])[0] = -INFINITY;
            HF_DATA(float, t[0])[hf_tensor_count(t[0]) - 1] = NAN;
            struct hf_op_call call = KIT_CALL(t[0], t[3], p);
            for (int k = 0; k < gates; k++)
                call.in[call.inputs++] = t[1 + k];
            kit_compare("threshold.otsu", &call, &exact);
            free_all(t, 4);
        }
        gates = (gates + 1) % 3;
    }
}

static void otsu_of_one_value(void **state) {
    (void)state;
    const int64_t size[4] = {1, 2, 9, 7}, one = 1;
    struct otsu_params p = {16, CUT_ABOVE};
    struct hf_tensor *t[2] = {sized(HF_F32, 1, size), kit_tensor(HF_F32, 1, &one)};
    for (int64_t i = 0; i < hf_tensor_count(t[0]); i++)
        HF_DATA(float, t[0])[i] = i % 2 ? 0.0f : -0.0f;
    struct hf_op_call call = KIT_CALL(t[0], t[1], p);
    kit_compare("threshold.otsu", &call, &exact);
    assert_true(isinf(*HF_DATA(float, t[1])));
    free_all(t, 2);
}

static void keep(void **state) {
    (void)state;
    const double shares[] = {0, 0.05, 0.3, 1};
    const int64_t one = 1;
    EACH_SIZE(size) {
        for (int i = 0; i < 4; i++) {
            struct hf_components_params by = {26};
            struct keep_params p = {3};
            struct hf_tensor *t[4] = {sized_mask(size, shares[i], 4), sized(HF_I32, 1, size),
                                      kit_tensor(HF_I32, 1, &one), sized(HF_U8, 1, size)};
            struct hf_op_call label = KIT_CALL(t[0], t[1], by);
            label.out[label.outputs++] = t[2];
            kit_cpu("components", &label, 0);
            struct hf_op_call call = KIT_CALL(t[1], t[3], p);
            call.in[call.inputs++] = t[2];
            kit_compare("threshold.keep", &call, &exact);
            struct hf_tensor *strong = sized_mask(size, 0.02, 13);
            call.in[call.inputs++] = strong;
            kit_compare("threshold.keep", &call, &exact);
            kit_free(strong);
            free_all(t, 4);
        }
    }
}

/* ---- best ---- */

struct scene {
    struct hf_tensor *field, *mask, *couinaud, *gate, *out;
};

static void scene_free(struct scene *s) {
    struct hf_tensor *const all[] = {s->field, s->mask, s->couinaud, s->gate, s->out};
    free_all(all, 5);
}

/* Waves with few different values, so that there are ties and components of odd shapes; segments in
 * blocks of the map, with what the map leaves out between them. */
static struct scene scene_new(const int64_t *size, uint64_t seed, double low) {
    struct scene s = {sized_random(HF_F32, 1, size, low, 1, seed), sized_mask(size, 0, seed),
                      sized(HF_U8, 1, size), sized_mask(size, 0.9, seed + 1),
                      sized(HF_U8, 1, size)};
    for (int64_t i = 0; i < hf_tensor_count(s.field); i++) {
        int64_t w = i % size[3], h = i / size[3] % size[2], d = i / (size[2] * size[3]);
        double wave = sin(0.9 * (double)w) * cos(0.7 * (double)h) + 0.3 * (double)(d % 3);
        float *v = HF_DATA(float, s.field) + i;
        *v = (float)(low + (1 - low) * floor(4 * (fabs(wave) + 0.2 * (double)*v)) / 8);
        HF_DATA(uint8_t, s.couinaud)[i] = (uint8_t)((w / 6 + h / 8 * 3 + d / 4) % 11);
    }
    return s;
}

static void compare(const struct scene *s, uint32_t segments, int32_t side, int gates) {
    struct best_params p = {segments, side};
    struct hf_op_call call = KIT_CALL(s->field, s->out, p);
    call.in[call.inputs++] = s->mask;
    call.in[call.inputs++] = s->couinaud;
    for (int i = 0; i < gates; i++)
        call.in[call.inputs++] = s->gate;
    kit_compare("threshold.best", &call, &exact);
}

static int64_t set_in(const struct scene *s, int segment) {
    int64_t n = 0;
    for (int64_t i = 0; i < hf_tensor_count(s->out); i++)
        n += HF_DATA(uint8_t, s->out)[i] && HF_DATA(uint8_t, s->couinaud)[i] == segment;
    return n;
}

static void best(void **state) {
    (void)state;
    int i = 0;
    EACH_SIZE(size) {
        struct scene s = scene_new(size, 5 + (uint64_t)i, i == 0 ? 0 : -1);
        compare(&s, 0x1fe, sides[i], i);
        scene_free(&s);
        i = (i + 1) % 3;
    }
}

static void best_of_nothing(void **state) {
    (void)state;
    const int64_t size[4] = {1, 2, 9, 7};
    struct scene s = scene_new(size, 8, 0);
    compare(&s, 0, CUT_ABOVE, 0);
    memset(s.gate->dl.data, 0, s.gate->bytes);
    compare(&s, 0x1fe, CUT_ABOVE, 1);
    for (int k = 1; k < BEST_SEGMENTS; k++)
        assert_int_equal(set_in(&s, k), 0);
    scene_free(&s);
}

static void best_leaves_what_has_something(void **state) {
    (void)state;
    const int64_t size[4] = {1, 4, 16, 24};
    struct scene s = scene_new(size, 9, 0);
    int64_t first = 0;
    while (HF_DATA(uint8_t, s.couinaud)[first] != 2)
        first++;
    HF_DATA(uint8_t, s.mask)[first] = 5;
    compare(&s, 1u << 2 | 1u << 4, CUT_ABOVE, 1);
    assert_int_equal(set_in(&s, 2), 1);
    assert_int_equal(HF_DATA(uint8_t, s.out)[first], 5);
    assert_true(set_in(&s, 4) > 0);
    assert_int_equal(set_in(&s, 5), 0);
    scene_free(&s);
}

/* One component as long as can be: a path that winds through the volume. */
static void best_follows_a_path(void **state) {
    (void)state;
    const int64_t size[4] = {1, 1, 41, 37};
    struct scene s = scene_new(size, 10, 0);
    for (int64_t i = 0; i < hf_tensor_count(s.field); i++) {
        int64_t w = i % 37, h = i / 37;
        int open = h % 2 == 0 || w == (h / 2 % 2 ? 0 : 36);
        HF_DATA(float, s.field)[i] = open ? 0.8f : 0.1f;
        HF_DATA(uint8_t, s.couinaud)[i] = 7;
    }
    HF_DATA(float, s.field)[40 * 37 + 5] = 0.9f;
    compare(&s, 1u << 7, CUT_ABOVE, 0);
    assert_int_equal(set_in(&s, 7), 21 * 37 + 20);
    scene_free(&s);
}

/* An empty scene but for voxels at the given places of the given segment. */
struct dot {
    int64_t voxel;
    uint8_t segment;
    float value;
};

static struct scene scene_of_dots(const int64_t *size, float ground, const struct dot *dots,
                                  int n) {
    struct scene s = scene_new(size, 12, 0);
    for (int64_t i = 0; i < hf_tensor_count(s.field); i++) {
        HF_DATA(float, s.field)[i] = ground;
        HF_DATA(uint8_t, s.couinaud)[i] = 1;
    }
    for (int i = 0; i < n; i++) {
        HF_DATA(float, s.field)[dots[i].voxel] = dots[i].value;
        HF_DATA(uint8_t, s.couinaud)[dots[i].voxel] = dots[i].segment;
    }
    return s;
}

/* What is next to each other in memory alone does not hang together. */
static void best_ends_at_borders(void **state) {
    (void)state;
    const int64_t size[4] = {1, 3, 5, 7};
    const struct dot dots[] = {{6, 7, 0.9f},
                               {7, 7, 0.8f}, /* the end of a row, the next's */
                               {31, 8, 0.9f},
                               {38, 8, 0.8f}}; /* the last row of a slice */
    struct scene s = scene_of_dots(size, 0, dots, 4);
    compare(&s, 1u << 7 | 1u << 8, CUT_ABOVE, 0);
    assert_int_equal(set_in(&s, 7), 1);
    assert_int_equal(set_in(&s, 8), 1);
    assert_int_equal(HF_DATA(uint8_t, s.out)[6] + HF_DATA(uint8_t, s.out)[31], 2);
    scene_free(&s);
}

/* -0 is not below 0: the first of the two stays the likeliest. */
static void best_of_zeros(void **state) {
    (void)state;
    const int64_t size[4] = {1, 1, 5, 7};
    const struct dot dots[] = {{3, 7, 0.0f}, {30, 7, -0.0f}};
    struct scene s = scene_of_dots(size, 1, dots, 2);
    compare(&s, 1u << 7, CUT_BELOW, 0);
    assert_int_equal(set_in(&s, 7), 1);
    assert_int_equal(HF_DATA(uint8_t, s.out)[3], 1);
    scene_free(&s);
}

/* More voxels than the search has threads. */
static void best_of_a_large_volume(void **state) {
    (void)state;
    const int64_t size[4] = {1, 10, 60, 60};
    const struct dot dots[] = {{700, 7, 0.9f}, {33468, 7, 0.8f}, {35999, 7, 0.7f}};
    struct scene s = scene_of_dots(size, 0, dots, 3);
    compare(&s, 1u << 7, CUT_ABOVE, 0);
    assert_int_equal(set_in(&s, 7), 1);
    assert_int_equal(HF_DATA(uint8_t, s.out)[700], 1);
    scene_free(&s);
}

/* Ties, zeros of either sign, infinities and NaN. */
static void best_of_odd_values(void **state) {
    (void)state;
    const float odd[] = {NAN, -0.0f, 0.0f, -INFINITY, 1e-40f, INFINITY, NAN, -1e30f};
    const int64_t size[4] = {1, 2, 5, 9};
    for (int n = 1; n <= 8; n++) {
        struct scene s = scene_new(size, 11, 0);
        for (int64_t k = 0; k < hf_tensor_count(s.field); k++)
            HF_DATA(float, s.field)[k] = odd[k * k % n];
        compare(&s, 0x1f, sides[n % 3], n % 2);
        scene_free(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cut),
                                       cmocka_unit_test(otsu),
                                       cmocka_unit_test(otsu_of_one_value),
                                       cmocka_unit_test(keep),
                                       cmocka_unit_test(best),
                                       cmocka_unit_test(best_of_nothing),
                                       cmocka_unit_test(best_leaves_what_has_something),
                                       cmocka_unit_test(best_follows_a_path),
                                       cmocka_unit_test(best_ends_at_borders),
                                       cmocka_unit_test(best_of_zeros),
                                       cmocka_unit_test(best_of_a_large_volume),
                                       cmocka_unit_test(best_of_odd_values)};
    return KIT_RUN("threshold", tests);
}
