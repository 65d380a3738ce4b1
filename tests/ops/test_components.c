/**
 * test_components.c - the components op against a flood fill, for every connectivity.
 */
#include "op_call.h"

#define D 7
#define H 13
#define W 17
#define N (D * H * W)

static void flood(const uint8_t *mask, int32_t *label, int64_t seed, int32_t number,
                  int32_t connectivity) {
    static int64_t stack[N];
    int top = 0;
    label[seed] = number;
    stack[top++] = seed;
    while (top > 0) {
        int64_t v = stack[--top];
        for (int64_t u = 0; u < N; u++) {
            int64_t a = llabs(u / (H * W) - v / (H * W)), b = llabs(u / W % H - v / W % H);
            int64_t c = llabs(u % W - v % W);
            if (!mask[u] || label[u] || a > 1 || b > 1 || c > 1)
                continue;
            if (a + b + c <= (connectivity == 6 ? 1 : connectivity == 18 ? 2 : 3)) {
                label[u] = number;
                stack[top++] = u;
            }
        }
    }
}

static int32_t run(struct hf_tensor *mask, struct hf_tensor *label, int32_t connectivity) {
    struct hf_tensor *count = op_tensor(HF_I32, 1, 1, 1, 1);
    struct hf_components_params params = {connectivity};
    struct hf_op_call call = {.in = {mask},
                              .out = {label, count},
                              .inputs = 1,
                              .outputs = 2,
                              .params = &params,
                              .params_size = sizeof params};
    op_run("components", &call);
    int32_t n = HF_DATA(int32_t, count)[0];
    op_tensor_free(count);
    return n;
}

static void matches_flood_fill(void **state) {
    (void)state;
    struct hf_rng draws = hf_rng_init(3, "test", "components", 0);
    struct hf_tensor *mask = op_tensor(HF_U8, 1, D, H, W), *label = op_tensor(HF_I32, 1, D, H, W);
    static int32_t want[N];
    const int32_t connectivities[3] = {6, 18, 26};
    for (int round = 0; round < 12; round++) {
        uint32_t percent = 8 + 6 * (uint32_t)round;
        for (int64_t i = 0; i < N; i++)
            HF_DATA(uint8_t, mask)[i] = hf_rng_below(&draws, 100) < percent ? 255 : 0;
        for (int k = 0; k < 3; k++) {
            memset(want, 0, sizeof want);
            int32_t count = 0;
            for (int64_t i = 0; i < N; i++)
                if (HF_DATA(uint8_t, mask)[i] && !want[i])
                    flood(HF_DATA(uint8_t, mask), want, i, ++count, connectivities[k]);
            assert_int_equal(run(mask, label, connectivities[k]), count);
            assert_memory_equal(label->dl.data, want, sizeof want);
        }
    }
    op_tensor_free(mask);
    op_tensor_free(label);
}

static void empty_has_none(void **state) {
    (void)state;
    struct hf_tensor *mask = op_tensor(HF_U8, 1, D, H, W), *label = op_tensor(HF_I32, 1, D, H, W);
    memset(mask->dl.data, 0, mask->bytes);
    assert_int_equal(run(mask, label, 6), 0);
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(HF_DATA(int32_t, label)[i], 0);
    op_tensor_free(mask);
    op_tensor_free(label);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_flood_fill),
        cmocka_unit_test(empty_has_none),
    };
    return OP_TESTS(tests);
}
