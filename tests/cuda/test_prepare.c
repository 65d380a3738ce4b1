/*
 * test_prepare.c - the CUDA ops of prepare beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/prepare/ops.h"

static void window(void **state) {
    (void)state;
    struct prepare_window_params p = {-200, 250};
    EACH_SIZE(size) {
        struct hf_tensor *t[2] = {sized_random(HF_F32, size[0], size, -400, 400, 1),
                                  sized(HF_F32, size[0], size)};
        struct hf_op_call call = KIT_CALL(t[0], t[1], p);
        kit_compare("prepare.window", &call, &exact);
        free_all(t, 2);
    }
}

static void inside(void **state) {
    (void)state;
    EACH_SIZE(size) {
        for (int f32 = 0; f32 < 2; f32++) {
            enum hf_dtype dtype = f32 ? HF_F32 : HF_U8;
            struct hf_tensor *t[3] = {sized_random(dtype, 1, size, f32 ? -1 : 0, f32 ? 1 : 9, 2),
                                      sized_mask(size, 0.5, 3), sized(dtype, 1, size)};
            struct hf_op_call call = {.in = {t[0], t[1]}, .out = {t[2]}, .inputs = 2, .outputs = 1};
            kit_compare("prepare.inside", &call, &exact);
            free_all(t, 3);
        }
    }
}

static struct hf_tensor *box_of(struct hf_tensor *mask) {
    const int64_t six = 6;
    struct hf_tensor *box = kit_tensor(HF_I32, 1, &six);
    struct hf_op_call call = {.in = {mask}, .out = {box}, .inputs = 1, .outputs = 1};
    kit_compare("prepare.box", &call, &exact);
    return box;
}

static void box(void **state) {
    (void)state;
    const double shares[] = {0, 0.004, 0.1, 1};
    EACH_SIZE(size) {
        for (int i = 0; i < 4; i++) {
            struct hf_tensor *t[2] = {sized_mask(size, shares[i], 4), NULL};
            t[1] = box_of(t[0]);
            if (shares[i] == 0)
                assert_int_equal(HF_DATA(int32_t, t[1])[3], -1);
            free_all(t, 2);
        }
    }
}

static void box_of_one_voxel(void **state) {
    (void)state;
    const int64_t size[4] = {1, 6, 11, 300};
    struct hf_tensor *mask = sized(HF_U8, 1, size);
    memset(mask->dl.data, 0, mask->bytes);
    HF_DATA(uint8_t, mask)[(4 * 11 + 10) * 300 + 299] = 7;
    struct hf_tensor *found = box_of(mask);
    const int32_t expected[6] = {4, 10, 299, 4, 10, 299};
    assert_memory_equal(found->dl.data, expected, sizeof expected);
    kit_free(mask);
    kit_free(found);
}

static void histogram(void **state) {
    (void)state;
    const int64_t bins = PREPARE_BINS, size[4] = {1, 5, 17, 33};
    const double shares[] = {0, 0.5, 1}, spans[] = {1, 5000, 1}; /* HU: beyond both ends, or few */
    for (int i = 0; i < 3; i++) {
        struct hf_tensor *t[3] = {sized_random(HF_F32, 1, size, -spans[i], spans[i], 5),
                                  sized_mask(size, shares[i], 6), kit_tensor(HF_I32, 1, &bins)};
        struct hf_op_call call = {.in = {t[0], t[1]}, .out = {t[2]}, .inputs = 2, .outputs = 1};
        kit_compare("prepare.histogram", &call, &exact);
        int64_t total = 0, voxels = 0;
        for (int64_t k = 0; k < bins; k++)
            total += HF_DATA(int32_t, t[2])[k];
        for (int64_t k = 0; k < hf_tensor_count(t[1]); k++)
            voxels += HF_DATA(uint8_t, t[1])[k] != 0;
        assert_int_equal(total, voxels);
        free_all(t, 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(window), cmocka_unit_test(inside),
                                       cmocka_unit_test(box), cmocka_unit_test(box_of_one_voxel),
                                       cmocka_unit_test(histogram)};
    return KIT_RUN("prepare", tests);
}
