/*
 * test_mix.c - the CUDA op of mix beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/mix/ops.h"

static void fill(void **state) {
    (void)state;
    struct fill_params p = {250};
    EACH_SIZE(size) {
        for (int as = 0; as < 2; as++) {
            struct hf_tensor *t = sized(as ? HF_F32 : HF_U8, 1, size);
            struct hf_op_call call = {
                .out = {t}, .outputs = 1, .params = &p, .params_size = sizeof p};
            kit_compare("mix.fill", &call, &exact);
            kit_free(t);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fill)};
    return KIT_RUN("mix", tests);
}
