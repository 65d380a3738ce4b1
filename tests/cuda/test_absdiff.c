/*
 * test_absdiff.c - the CUDA ops of absdiff beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../plugins/absdiff/elem.h"

static void difference(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct hf_tensor *t[3] = {sized_random(HF_F32, 1, size, 0, 1, 1),
                                  sized_random(HF_F32, 1, size, 0, 1, 2), sized(HF_F32, 1, size)};
        struct hf_op_call call = {.in = {t[0], t[1]}, .out = {t[2]}, .inputs = 2, .outputs = 1};
        kit_compare("absdiff.difference", &call, &exact);
        free_all(t, 3);
    }
}

static void score(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct hf_tensor *t[3] = {sized_random(HF_F32, 1, size, -1, 1, 1),
                                  sized_random(HF_U8, 1, size, 0, 2, 2), sized(HF_F32, 1, size)};
        for (int32_t tumors = TUMORS_EITHER; tumors <= TUMORS_HYPERDENSE; tumors++) {
            struct score_params p = {0.07f, tumors};
            struct hf_op_call call = {.in = {t[0], t[1]},
                                      .out = {t[2]},
                                      .inputs = 2,
                                      .outputs = 1,
                                      .params = &p,
                                      .params_size = sizeof p};
            kit_compare("absdiff.score", &call, &exact);
        }
        free_all(t, 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(difference), cmocka_unit_test(score)};
    return KIT_RUN("absdiff", tests);
}
