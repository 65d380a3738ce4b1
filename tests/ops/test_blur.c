/**
 * test_blur.c - the blur op against the full three-dimensional sum in doubles.
 */
#include <math.h>

#include "op_call.h"

#define D 6
#define H 9
#define W 11

static double gauss(double k, double sigma) {
    if (sigma == 0)
        return k == 0;
    return fabs(k) <= ceil(3 * sigma) ? exp(-0.5 * k * k / (sigma * sigma)) : 0;
}

/* The weighted mean over the neighbours that lie inside and, with a mask, on it. */
static double expected(const float *in, const uint8_t *mask, const float sigma[3], int64_t at) {
    int64_t d0 = at / (H * W), h0 = at / W % H, w0 = at % W;
    if (mask && !mask[at])
        return in[at];
    double sum = 0, total = 0;
    for (int64_t i = 0; i < D * H * W; i++) {
        if (mask && !mask[i])
            continue;
        double share = gauss((double)(i / (H * W) - d0), sigma[0]) *
                       gauss((double)(i / W % H - h0), sigma[1]) *
                       gauss((double)(i % W - w0), sigma[2]);
        sum += share * in[i];
        total += share;
    }
    return sum / total;
}

static void check(const float sigma[3], int masked) {
    struct hf_rng draws = hf_rng_init(2, "test", "blur", 0);
    struct hf_tensor *in = op_tensor(HF_F32, 2, D, H, W), *out = op_tensor(HF_F32, 2, D, H, W);
    struct hf_tensor *mask = op_tensor(HF_U8, 1, D, H, W);
    for (int64_t i = 0; i < 2 * D * H * W; i++)
        HF_DATA(float, in)[i] = hf_rng_uniform(&draws);
    for (int64_t i = 0; i < D * H * W; i++)
        HF_DATA(uint8_t, mask)[i] = hf_rng_below(&draws, 3) > 0;
    struct hf_blur_params params = {{sigma[0], sigma[1], sigma[2]}};
    struct hf_op_call call = {.in = {in, mask},
                              .out = {out},
                              .inputs = masked ? 2 : 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    op_run("blur", &call);
    for (int64_t i = 0; i < 2 * D * H * W; i++) {
        int64_t c = i / (D * H * W), at = i % (D * H * W);
        double want = expected(HF_DATA(float, in) + c * D * H * W,
                               masked ? HF_DATA(uint8_t, mask) : NULL, sigma, at);
        assert_true(fabs(HF_DATA(float, out)[i] - want) < 1e-5);
    }
    op_tensor_free(in);
    op_tensor_free(out);
    op_tensor_free(mask);
}

static void matches_the_full_sum(void **state) {
    (void)state;
    const float sigmas[][3] = {{0.5f, 0.7f, 0.7f}, {0, 2, 2}, {0, 0, 1}, {4, 5, 6}, {0, 0, 0}};
    for (size_t i = 0; i < sizeof sigmas / sizeof sigmas[0]; i++) {
        check(sigmas[i], 0);
        check(sigmas[i], 1);
    }
}

static void refuses_negative_sigma(void **state) {
    (void)state;
    struct hf_tensor *t = op_tensor(HF_F32, 1, 2, 2, 2);
    struct hf_blur_params params = {{0, -1, 0}};
    struct hf_op_call call = {.in = {t},
                              .out = {t},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    struct hf_error e = {0};
    assert_int_equal(op_try("blur", &call, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "sigma"));
    op_tensor_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_full_sum),
        cmocka_unit_test(refuses_negative_sigma),
    };
    return OP_TESTS(tests);
}
