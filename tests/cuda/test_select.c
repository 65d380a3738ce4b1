/*
 * test_select.c - the CUDA op of select beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

static void count(void **state) {
    (void)state;
    const double shares[] = {0, 0.3, 1};
    EACH_SIZE(size) {
        for (int i = 0; i < 3; i++) {
            struct hf_tensor *t[2] = {sized_mask(size, shares[i], 3),
                                      kit_tensor(HF_I32, 1, size + 1)};
            struct hf_op_call call = {.in = {t[0]}, .out = {t[1]}, .inputs = 1, .outputs = 1};
            kit_compare("select.count", &call, &exact);
            free_all(t, 2);
        }
    }
}

/* More slices than a grid has blocks along y. */
static void count_of_many_slices(void **state) {
    (void)state;
    const int64_t size[4] = {1, 70000, 2, 3};
    if (!kit_large())
        return;
    struct hf_tensor *t[2] = {sized_mask(size, 0.5, 3), kit_tensor(HF_I32, 1, size + 1)};
    struct hf_op_call call = {.in = {t[0]}, .out = {t[1]}, .inputs = 1, .outputs = 1};
    kit_compare("select.count", &call, &exact);
    free_all(t, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(count),
                                       cmocka_unit_test(count_of_many_slices)};
    return KIT_RUN("select", tests);
}
