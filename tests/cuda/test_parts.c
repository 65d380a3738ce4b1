/*
 * test_parts.c - the CUDA op of parts beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/parts/ops.h"

/* From parts of a voxel, of which there are more than fit, to one part for all. */
static void cut(void **state) {
    (void)state;
    static const float reach[] = {1, 6, 20, 500};
    EACH_SIZE(size) {
        for (int i = 0; i < 4; i++) {
            struct cut_params p = {{1.5f, 1.0f}, reach[i], i % 2 ? 1.0f : 0.05f};
            struct hf_tensor *t[3] = {sized_random(HF_F32, 1, size, 0, 1, 1),
                                      sized_mask(size, i % 2 ? 0.9 : 1, 2), sized(HF_U8, 1, size)};
            if (size[1] > 1) /* the last slice holds nothing */
                memset(HF_DATA(uint8_t, t[1]) + (size[1] - 1) * size[2] * size[3], 0,
                       (size_t)(size[2] * size[3]));
            struct hf_op_call call = KIT_CALL(t[0], t[2], p);
            call.in[call.inputs++] = t[1];
            kit_compare("parts.cut", &call, &exact);
            free_all(t, 3);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cut)};
    return KIT_RUN("parts", tests);
}
