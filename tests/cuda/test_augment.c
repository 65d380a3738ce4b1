/*
 * test_augment.c - the CUDA op of `augment` beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/augment/ops.h"

static void intensity(void **state) {
    (void)state;
    struct augment_intensity_params p = {0.5f, 1.37f, -0.11f};
    EACH_SIZE(size) {
        struct hf_tensor *t[3] = {sized_random(HF_F32, size[0], size, -0.2, 1.2, 1),
                                  sized_mask(size, 0.6, 2), sized(HF_F32, size[0], size)};
        struct hf_op_call call = KIT_CALL(t[0], t[2], p);
        call.in[call.inputs++] = t[1];
        kit_compare("augment.intensity", &call, &exact);
        free_all(t, 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(intensity)};
    return KIT_RUN("augment", tests);
}
