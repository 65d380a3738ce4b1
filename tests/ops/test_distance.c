/**
 * test_distance.c - the distance op against the minimum over all voxels of the mask.
 */
#include <math.h>

#include "op_call.h"

static void check(int64_t d, int64_t h, int64_t w, const double spacing[3], uint32_t per_mille,
                  uint64_t seed) {
    struct hf_rng draws = hf_rng_init(seed, "test", "distance", 0);
    struct hf_tensor *mask = op_tensor(HF_U8, 1, d, h, w), *out = op_tensor(HF_F32, 1, d, h, w);
    int64_t n = d * h * w;
    for (int64_t i = 0; i < n; i++)
        HF_DATA(uint8_t, mask)[i] = hf_rng_below(&draws, 1000) < per_mille;
    struct hf_distance_params params = {{spacing[0], spacing[1], spacing[2]}};
    struct hf_op_call call = {.in = {mask},
                              .out = {out},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    op_run("distance", &call);
    for (int64_t i = 0; i < n; i++) {
        double best = INFINITY;
        for (int64_t j = 0; j < n; j++) {
            if (!HF_DATA(uint8_t, mask)[j])
                continue;
            double a = (double)(i / (h * w) - j / (h * w)) * spacing[0];
            double b = (double)(i / w % h - j / w % h) * spacing[1];
            double c = (double)(i % w - j % w) * spacing[2];
            best = fmin(best, sqrt(a * a + b * b + c * c));
        }
        double got = (double)HF_DATA(float, out)[i];
        if (isinf(best))
            assert_true(isinf(got) && got > 0);
        else
            assert_true(fabs(got - best) <= 1e-6 * best);
    }
    op_tensor_free(mask);
    op_tensor_free(out);
}

static void matches_brute_force(void **state) {
    (void)state;
    const double even[3] = {1, 1, 1}, ct[3] = {1.6, 0.57, 0.57}, flat[3] = {1e9, 0.7, 0.8};
    check(9, 17, 35, even, 4, 1);
    check(9, 17, 35, ct, 4, 2);
    check(9, 17, 35, ct, 100, 3);
    check(1, 20, 20, ct, 10, 4);
    check(12, 1, 3, ct, 100, 5);
    check(5, 5, 5, ct, 0, 6);
    /* Slices further apart than anything: distances stay within the slice. */
    check(3, 12, 12, flat, 60, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(matches_brute_force)};
    return OP_TESTS(tests);
}
