/*
 * test_couinaud_mask.c - the CUDA ops of couinaud_mask beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/couinaud_mask/ops.h"

static void mark(void **state) {
    (void)state;
    EACH_SIZE(size) {
        const int64_t rows[2] = {size[1], MARKS};
        struct hf_tensor *t[6] = {sized_random(HF_U8, 1, size, 0, 11, 4),
                                  sized_mask(size, 0.8, 5),
                                  kit_tensor(HF_U8, 2, rows),
                                  sized(HF_U8, 1, size),
                                  sized(HF_U8, 1, size),
                                  sized(HF_U8, 1, size)};
        kit_random(t[2], 0, 256, 6);
        for (int64_t d = 0; d < size[1]; d += 2)
            HF_DATA(uint8_t, t[2])[d * MARKS + MARK_UNSAFE] = d % 4 ? 0xff : 0;
        for (int64_t d = 2; d < size[1]; d += 3)
            HF_DATA(uint8_t, t[2])[d * MARKS + MARK_KNOWN] = 0;
        for (int64_t d = 0; d < size[1]; d += 3)
            HF_DATA(uint8_t, t[2])[d * MARKS + MARK_WHOLE] = 0;
        struct hf_op_call call = {
            .in = {t[0], t[1], t[2]}, .out = {t[3], t[4], t[5]}, .inputs = 3, .outputs = 3};
        kit_compare("couinaud_mask.mark", &call, &exact);
        free_all(t, 6);
    }
}

static void grow(void **state) {
    (void)state;
    struct grow_params p = {2.5f};
    EACH_SIZE(size) {
        struct hf_tensor *t[7] = {sized_random(HF_F32, 1, size, 0, 5, 7),
                                  sized_mask(size, 0.8, 8),
                                  sized_mask(size, 0.5, 9),
                                  sized(HF_U8, 1, size),
                                  sized(HF_U8, 1, size),
                                  sized_mask(size, 0.7, 13),
                                  sized(HF_U8, 1, size)};
        HF_DATA(float, t[0])[0] = 2.5f;
        HF_DATA(float, t[0])[hf_tensor_count(t[0]) - 1] = INFINITY;
        struct hf_op_call call = KIT_CALL(t[0], t[3], p);
        call.in[call.inputs++] = t[1];
        call.in[call.inputs++] = t[2];
        call.in[call.inputs++] = t[5];
        call.out[call.outputs++] = t[4];
        call.out[call.outputs++] = t[6];
        kit_compare("couinaud_mask.grow", &call, &exact);
        free_all(t, 7);
    }
}

static void count(void **state) {
    (void)state;
    const double shares[] = {0, 0.3, 1};
    EACH_SIZE(size) {
        for (int i = 0; i < 3; i++) {
            const int64_t rows[2] = {size[1], COUNT_ENTRIES};
            struct hf_tensor *t[3] = {sized_mask(size, shares[i], 10),
                                      sized_random(HF_U8, 1, size, 0, 11, 11),
                                      kit_tensor(HF_I32, 2, rows)};
            struct hf_op_call call = {.in = {t[0], t[1]}, .out = {t[2]}, .inputs = 2, .outputs = 1};
            kit_compare("couinaud_mask.count", &call, &exact);
            free_all(t, 3);
        }
    }
}

static void map(void **state) {
    (void)state;
    EACH_SIZE(size) {
        for (int64_t channels = 1; channels <= MAP_SEGMENTS; channels += MAP_SEGMENTS - 1) {
            struct hf_tensor *t[2] = {sized_random(HF_U8, 1, size, 0, 11, 12),
                                      sized(HF_F32, channels, size)};
            struct hf_op_call call = {.in = {t[0]}, .out = {t[1]}, .inputs = 1, .outputs = 1};
            kit_compare("couinaud_mask.map", &call, &exact);
            free_all(t, 2);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mark), cmocka_unit_test(grow),
                                       cmocka_unit_test(count), cmocka_unit_test(map)};
    return KIT_RUN("couinaud_mask", tests);
}
