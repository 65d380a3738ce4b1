/*
 * test_augment.c - the CUDA ops of `augment` beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include <math.h>

#include "../../stages/augment/ops.h"

/* sums in another order; pow, log and cos of the C library and of CUDA */
static const struct kit_limits close_by = {.max = 2e-6, .l2 = 1e-6};

static struct hf_tensor *stats_new(int64_t channels) {
    const int64_t shape[2] = {channels, 4};
    struct hf_tensor *t = kit_tensor(HF_F32, 2, shape);
    struct augment_stats *s = HF_DATA(struct augment_stats, t);
    for (int64_t c = 0; c < channels; c++)
        s[c] = (struct augment_stats){0.4f + 0.1f * (float)c, 0.2f, -0.1f, 1.1f};
    return t;
}

static void stats(void **state) {
    (void)state;
    const double shares[] = {0, 0.01, 0.6};
    EACH_SIZE(size) {
        struct hf_tensor *t[2] = {sized_random(HF_F32, size[0], size, -0.2, 1.2, 1),
                                  stats_new(size[0])};
        struct hf_op_call call = {.in = {t[0]}, .out = {t[1]}, .inputs = 1, .outputs = 1};
        kit_compare("augment.stats", &call, &close_by);
        call.inputs = 2;
        for (int i = 0; i < 3; i++) {
            struct hf_tensor *mask = sized_mask(size, shares[i], 2);
            call.in[1] = mask;
            kit_compare("augment.stats", &call, &close_by);
            kit_free(mask);
        }
        free_all(t, 2);
    }
}

static void shade(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct hf_tensor *t[3] = {sized_random(HF_F32, size[0], size, -0.2, 1.2, 1),
                                  sized(HF_F32, size[0], size), stats_new(size[0])};
        for (int i = 0; i < 4; i++) {
            struct augment_shade_params p = {0.5f, 1.37f, -0.11f, i & 1, i >> 1};
            struct hf_op_call call = KIT_CALL(t[0], t[1], p);
            if (i > 0)
                call.in[call.inputs++] = t[2];
            kit_compare("augment.shade", &call, &exact);
        }
        free_all(t, 3);
    }
}

static void noise(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct augment_noise_params p = {hf_rng_init(5, "test", "noise", 3), 0.3f};
        struct hf_tensor *t[3] = {sized_random(HF_F32, size[0], size, -0.2, 1.2, 1),
                                  sized(HF_F32, size[0], size), stats_new(size[0])};
        struct hf_op_call call = KIT_CALL(t[0], t[1], p);
        call.in[call.inputs++] = t[2];
        kit_compare("augment.noise", &call, &close_by);
        free_all(t, 3);
    }
}

static void gamma_and_restore(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, -0.2, 1.2, 1),
                                  sized(HF_F32, size[0], size), stats_new(size[0]),
                                  stats_new(size[0])};
        for (int i = 0; i < 3; i++) {
            struct augment_gamma_params p = {i ? 0.7f : 1.4f, i == 1};
            struct hf_op_call call = KIT_CALL(t[0], t[1], p);
            call.in[call.inputs++] = t[2];
            if (i == 2) /* a range of nothing */
                HF_DATA(struct augment_stats, t[2])->high = -0.1f;
            kit_compare("augment.gamma", &call, &close_by);
        }
        HF_DATA(struct augment_stats, t[3])->sd = 0;
        struct hf_op_call call = {
            .in = {t[0], t[2], t[3]}, .out = {t[1]}, .inputs = 3, .outputs = 1};
        kit_compare("augment.restore", &call, &exact);
        call.in[1] = t[3];
        call.in[2] = t[2];
        kit_compare("augment.restore", &call, &exact);
        free_all(t, 4);
    }
}

static void merge(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct augment_merge_params p = {0, 1};
        struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, -0.2, 1.2, 1),
                                  sized_random(HF_F32, size[0], size, -0.2, 1.2, 2),
                                  sized_mask(size, 0.6, 3), sized(HF_F32, size[0], size)};
        struct hf_op_call call = KIT_CALL(t[0], t[3], p);
        call.in[call.inputs++] = t[1];
        kit_compare("augment.merge", &call, &exact);
        call.in[call.inputs++] = t[2];
        kit_compare("augment.merge", &call, &exact);
        free_all(t, 4);
    }
}

static void warp(void **state) {
    (void)state;
    EACH_SIZE(size) {
        for (int flat = 0; flat < 2; flat++) {
            struct augment_warp_params p = {
                {{0.9, 0.1, 0, 0.5}, {-0.1, 1.1, 0.02, -0.3}, {0, 0.05, 1, 0.1}},
                {7.5, 6.25, 3},
                {(int64_t)((double)(size[3] - 1) / 7.5) + 4,
                 (int64_t)((double)(size[2] - 1) / 6.25) + 4, flat ? 1 : (size[1] - 1) / 3 + 4},
                0};
            const int64_t shape[4] = {3, p.count[2], p.count[1], p.count[0]};
            struct hf_tensor *t[5] = {
                kit_tensor(HF_F32, 4, shape), sized_random(HF_F32, size[0], size, 0, 1, 1),
                sized_mask(size, 0.5, 2), sized(HF_F32, size[0], size), sized(HF_U8, 1, size)};
            kit_random(t[0], -2, 2, 3);
            for (int i = 1; i < 3; i++) {
                struct hf_op_call call = KIT_CALL(t[i], t[i + 2], p);
                call.in[call.inputs++] = t[0];
                kit_compare("augment.warp", &call, &exact);
            }
            free_all(t, 5);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stats), cmocka_unit_test(shade),
                                       cmocka_unit_test(noise), cmocka_unit_test(gamma_and_restore),
                                       cmocka_unit_test(merge), cmocka_unit_test(warp)};
    return KIT_RUN("augment", tests);
}
