/*
 * test_pair.c - the CUDA op of pair beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

static void difference(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct hf_tensor *t[3] = {sized_random(HF_F32, size[0], size, 0, 1, 1),
                                  sized_random(HF_F32, size[0], size, 0, 1, 2),
                                  sized(HF_F32, size[0], size)};
        struct hf_op_call call = {.in = {t[0], t[1]}, .out = {t[2]}, .inputs = 2, .outputs = 1};
        kit_compare("pair.difference", &call, &exact);
        free_all(t, 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(difference)};
    return KIT_RUN("pair", tests);
}
