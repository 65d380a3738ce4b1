/*
 * test_couinaud_geometry.c - the CUDA ops of couinaud_geometry beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../plugins/couinaud_geometry/ops.h"

static void cut(void **state) {
    (void)state;
    struct cut_params p = {{{0}}};
    struct hf_rng r = hf_rng_init(3, "test", "cut", 0);
    EACH_SIZE(size) {
        /* Planes in all directions through the volume, some of them through voxels. */
        for (int k = 0; k < FORMS; k++) {
            for (int a = 0; a < 3; a++) {
                p.form[k][a] = (double)hf_rng_normal(&r) / (k / 3 == FORM_CAUDATE / 3 ? 8 : 1);
                p.form[k][3] = a == 0 ? 0 : p.form[k][3];
                p.form[k][3] -= p.form[k][a] * (double)(size[3 - a] / 2);
            }
        }
        struct hf_tensor *t[2] = {sized_mask(size, 0.8, 5), sized(HF_U8, 1, size)};
        struct hf_op_call call = KIT_CALL(t[0], t[1], p);
        kit_compare("couinaud_geometry.cut", &call, &exact);
        free_all(t, 2);
    }
}

static void pick(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct segment_params p = {3};
        struct hf_tensor *t[2] = {sized_random(HF_U8, 1, size, 0, 9, 6), sized(HF_U8, 1, size)};
        struct hf_op_call call = KIT_CALL(t[0], t[1], p);
        kit_compare("couinaud_geometry.pick", &call, &exact);
        free_all(t, 2);
    }
}

static void nearer(void **state) {
    (void)state;
    const struct kit_limits kept = {.keep = 3};
    EACH_SIZE(size) {
        struct hf_tensor *t[4] = {sized_mask(size, 0.8, 7), sized_random(HF_F32, 1, size, 0, 5, 8),
                                  sized_random(HF_F32, 1, size, 0, 5, 9),
                                  sized_random(HF_U8, 1, size, 0, 9, 10)};
        HF_DATA(float, t[1])[0] = INFINITY;
        for (int32_t k = 4; k >= 1; k -= 3) {
            struct segment_params p = {k};
            struct hf_op_call call = KIT_CALL(t[0], t[2], p);
            call.in[call.inputs++] = t[1];
            call.out[call.outputs++] = t[3];
            kit_compare("couinaud_geometry.nearer", &call, &kept);
        }
        free_all(t, 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cut), cmocka_unit_test(pick),
                                       cmocka_unit_test(nearer)};
    return KIT_RUN("couinaud_geometry", tests);
}
