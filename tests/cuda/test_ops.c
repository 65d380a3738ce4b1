/*
 * test_ops.c - the shared ops on CUDA against the CPU's where sizes are odd: the same bits. What
 * they should give is the matter of the tests of tests/ops, which run with both, too.
 */
#include "kit.h"

static const struct kit_limits same = {0};

static void run_resample(const struct hf_tensor *in, const int64_t size[3],
                         const double matrix[3][4], enum hf_resample_mode mode) {
    struct hf_tensor *out = kit_volume(in->dtype, in->shape[0], size[0], size[1], size[2]);
    struct hf_resample_params params = {.mode = mode, .fill = 3};
    memcpy(params.matrix, matrix, sizeof params.matrix);
    struct hf_op_call call = KIT_CALL(in, out, params);
    kit_compare("resample", &call, &same);
    kit_free(out);
}

static void resample_at_any_size(void **state) {
    (void)state;
    const int64_t from[][4] = {{1, 5, 37, 41}, {3, 1, 33, 65}, {2, 9, 1, 7}, {1, 4, 5, 1}};
    const int64_t to[][3] = {{7, 9, 35}, {1, 40, 3}, {3, 2, 67}, {1, 1, 1}};
    struct hf_rng draws = hf_rng_init(1, "test", "resample", 0);
    for (int i = 0; i < 64; i++) {
        const int64_t *f = from[i % 4], *t = to[i / 4 % 4];
        struct hf_tensor *in = kit_volume(i % 3 ? HF_F32 : HF_U8, f[0], f[1], f[2], f[3]);
        kit_random(in, in->dtype == HF_U8 ? 0 : -100, 100, (uint64_t)i);
        double matrix[3][4] = {{0}};
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 3; c++)
                if (r == c || i % 2)
                    matrix[r][c] = (r == c) + 0.4 * (double)hf_rng_uniform(&draws) - 0.2;
            /* the input's extent to the output's, with some of it outside */
            matrix[r][r] *= (double)f[3 - r] / (double)t[2 - r];
            matrix[r][3] = 2 * (double)hf_rng_uniform(&draws) - 1;
        }
        for (int mode = HF_RESAMPLE_NEAREST; mode <= HF_RESAMPLE_CUBIC; mode++)
            run_resample(in, t, matrix, (enum hf_resample_mode)mode);
        if (in->dtype == HF_U8) {
            kit_random(in, 0, 4, (uint64_t)i);
            run_resample(in, t, matrix, HF_RESAMPLE_LABELS);
        }
        kit_free(in);
    }
}

static void run_blur(const int64_t shape[4], const float sigma[3], int masked) {
    struct hf_tensor *in = kit_tensor(HF_F32, 4, shape), *out = kit_tensor(HF_F32, 4, shape);
    struct hf_tensor *mask = kit_volume(HF_U8, 1, shape[1], shape[2], shape[3]);
    kit_random(in, -1, 1, 5);
    kit_random(mask, masked == 1 ? 0 : 2 - masked, masked == 1 ? 3 : 3 - masked, 6);
    struct hf_blur_params params = {{sigma[0], sigma[1], sigma[2]}};
    struct hf_op_call call = KIT_CALL(in, out, params);
    if (masked) {
        call.in[1] = mask;
        call.inputs = 2;
    }
    kit_compare("blur", &call, &same);
    kit_free(in);
    kit_free(out);
    kit_free(mask);
}

static void blur_at_any_size(void **state) {
    (void)state;
    const int64_t shape[][4] = {{1, 5, 9, 37}, {2, 1, 33, 65}, {1, 13, 1, 4},
                                {3, 4, 3, 1},  {1, 1, 1, 1},   {1, 3, 70, 33}};
    const float sigma[][3] = {{0.4f, 1.3f, 2.1f}, {0, 0.8f, 0},    {1.7f, 0, 0},
                              {0, 0, 0},          {0.9f, 0, 3.3f}, {400, 9, 999}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++)
        for (size_t k = 0; k < sizeof sigma / sizeof sigma[0]; k++)
            for (int masked = 0; masked < 3; masked++) /* none, two voxels of three, empty */
                run_blur(shape[i], sigma[k], masked);
}

/* A kernel with more entries than travel with one launch. */
static void blur_far(void **state) {
    (void)state;
    run_blur((int64_t[]){1, 1, 2, 1500}, (float[]){0, 0, 400}, 0);
    run_blur((int64_t[]){1, 1, 700, 2}, (float[]){0, 1000, 1}, 1);
}

static void run_components(const struct hf_tensor *mask) {
    struct hf_tensor *label = kit_tensor(HF_I32, 4, mask->shape);
    struct hf_tensor *count = kit_tensor(HF_I32, 1, (int64_t[]){1});
    for (int i = 0; i < 3; i++) {
        struct hf_components_params params = {(int32_t[]){6, 18, 26}[i]};
        struct hf_op_call call = KIT_CALL(mask, label, params);
        call.out[1] = count;
        call.outputs = 2;
        kit_compare("components", &call, &same);
    }
    kit_free(label);
    kit_free(count);
}

static void components_of_noise(void **state) {
    (void)state;
    const int64_t shape[][3] = {{6, 11, 33}, {1, 40, 97}, {9, 1, 64},  {30, 17, 1},
                                {1, 1, 1},   {2, 3, 31},  {1, 1, 200}, {5, 32, 32}};
    for (int i = 0; i < 8; i++)
        for (int percent = 15; percent < 100; percent += 23) {
            struct hf_tensor *mask = kit_volume(HF_U8, 1, shape[i][0], shape[i][1], shape[i][2]);
            kit_random(mask, 0, 100, (uint64_t)(100 * i + percent));
            for (size_t k = 0; k < mask->bytes; k++)
                HF_DATA(uint8_t, mask)[k] = HF_DATA(uint8_t, mask)[k] < percent;
            run_components(mask);
            kit_free(mask);
        }
}

/* One component that every row crosses, its rows united against the order of the scan. */
static void components_of_spirals(void **state) {
    (void)state;
    struct hf_tensor *mask = kit_volume(HF_U8, 1, 3, 41, 43);
    uint8_t *v = HF_DATA(uint8_t, mask);
    memset(v, 0, mask->bytes);
    /* Walk inwards, turn where the next but one voxel is part of the way already. */
    const int step[4][2] = {{0, 1}, {1, 0}, {0, -1}, {-1, 0}};
    int h = 0, w = 0, turn = 0;
    v[0] = 1;
    for (int turns = 0; turns < 2;) {
        int ah = h + step[turn][0], aw = w + step[turn][1];
        int bh = ah + step[turn][0], bw = aw + step[turn][1];
        int out = ah < 0 || ah >= 41 || aw < 0 || aw >= 43;
        int ahead = bh >= 0 && bh < 41 && bw >= 0 && bw < 43 && v[bh * 43 + bw];
        if (out || ahead) {
            turn = (turn + 1) % 4;
            turns++;
            continue;
        }
        turns = 0;
        h = ah;
        w = aw;
        v[h * 43 + w] = 1;
    }
    memcpy(v + 2 * 41 * 43, v, 41 * 43); /* another one, and a plane between with one bridge */
    run_components(mask);
    v[41 * 43 + h * 43 + w] = 1;
    run_components(mask);
    /* A comb: all teeth meet in the last row alone. */
    for (int64_t i = 0; i < (int64_t)mask->bytes; i++)
        v[i] = i % 43 % 2 == 0 || i / 43 % 41 == 40;
    run_components(mask);
    /* A checkerboard: half the voxels are components of one. */
    for (int64_t i = 0; i < (int64_t)mask->bytes; i++)
        v[i] = (i / (41 * 43) + i / 43 % 41 + i % 43) % 2 == 0;
    run_components(mask);
    memset(v, 1, mask->bytes);
    run_components(mask);
    kit_free(mask);
}

/* So many voxels that roots are numbered in several rounds, at the start, the end, and between. */
static void components_far_apart(void **state) {
    (void)state;
    struct hf_tensor *mask = kit_volume(HF_U8, 1, 1, 300, 1777);
    memset(mask->dl.data, 0, mask->bytes);
    for (size_t i = 0; i < mask->bytes; i += 1009)
        HF_DATA(uint8_t, mask)[i] = 1;
    HF_DATA(uint8_t, mask)[mask->bytes - 1] = 1;
    struct hf_tensor *label = kit_tensor(HF_I32, 4, mask->shape);
    struct hf_tensor *count = kit_tensor(HF_I32, 1, (int64_t[]){1});
    struct hf_components_params params = {26};
    struct hf_op_call call = KIT_CALL(mask, label, params);
    call.out[1] = count;
    call.outputs = 2;
    kit_compare("components", &call, &same);
    kit_free(mask);
    kit_free(label);
    kit_free(count);
}

static void run_distance(const int64_t size[3], const double spacing[3], int per_mille) {
    struct hf_tensor *mask = kit_volume(HF_U8, 1, size[0], size[1], size[2]);
    struct hf_tensor *out = kit_volume(HF_F32, 1, size[0], size[1], size[2]);
    struct hf_rng draws = hf_rng_init(4, "test", "distance", 0);
    for (size_t i = 0; i < mask->bytes; i++)
        HF_DATA(uint8_t, mask)[i] = hf_rng_below(&draws, 1000) < (uint32_t)per_mille ? 255 : 0;
    struct hf_distance_params params = {{spacing[0], spacing[1], spacing[2]}};
    struct hf_op_call call = KIT_CALL(mask, out, params);
    kit_compare("distance", &call, &same);
    kit_free(mask);
    kit_free(out);
}

static void distance_at_any_size(void **state) {
    (void)state;
    const int64_t size[][3] = {{6, 11, 33}, {1, 40, 97}, {9, 1, 64}, {30, 17, 1},
                               {1, 1, 1},   {2, 3, 31},  {1, 1, 200}};
    const double spacing[][3] = {{1, 1, 1}, {1.6, 0.57, 0.61}, {1e9, 0.7, 1e-3}};
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 3; k++)
            for (int per_mille = 0; per_mille <= 1000; per_mille += 250)
                run_distance(size[i], spacing[k], per_mille / 10 * (per_mille < 1000 ? 1 : 10));
    /* More lines than slots. */
    run_distance((int64_t[]){5, 3, 7001}, spacing[1], 1);
}

/* Nothing to do, and nothing wrong. */
static void empty_volumes(void **state) {
    (void)state;
    for (int axis = 0; axis < 3; axis++) {
        int64_t n[3] = {axis != 0 ? 3 : 0, axis != 1 ? 3 : 0, axis != 2 ? 3 : 0};
        struct hf_tensor *image = kit_volume(HF_F32, 1, n[0], n[1], n[2]);
        struct hf_tensor *out = kit_volume(HF_F32, 1, n[0], n[1], n[2]);
        struct hf_tensor *mask = kit_volume(HF_U8, 1, n[0], n[1], n[2]);
        const float sigma[3] = {1, 1, 1};
        struct hf_distance_params params = {{1, 1, 1}};
        struct hf_op_call call = KIT_CALL(mask, out, params);
        kit_compare("distance", &call, &same);
        run_blur(image->shape, sigma, 0);
        run_blur(image->shape, sigma, 1);
        run_components(mask);
        const double matrix[3][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}};
        run_resample(image, n, matrix, HF_RESAMPLE_LINEAR);
        struct hf_tensor *full = kit_volume(HF_F32, 1, 2, 2, 2);
        struct hf_resample_params to = {.matrix = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
        struct hf_op_call none = KIT_CALL(image, full, to);
        struct hf_error e = {0};
        assert_int_equal(kit_cuda_status("resample", &none, &e), HF_INVALID);
        assert_non_null(strstr(e.text, "no voxels"));
        run_resample(full, n, matrix, HF_RESAMPLE_LINEAR);
        kit_free(full);
        kit_free(image);
        kit_free(out);
        kit_free(mask);
    }
}

/* Scans of usual sizes, on what can run them in time. */
static void whole_scans(void **state) {
    (void)state;
    if (!kit_large())
        skip();
    const int64_t size[3] = {64, 512, 512};
    struct hf_tensor *image = kit_volume(HF_F32, 1, size[0], size[1], size[2]);
    kit_random(image, -1000, 1000, 1);
    const double half[3][4] = {{2.2, 0, 0, 0.3}, {0, 2.2, 0, 0.3}, {0, 0, 0.7, 0}};
    run_resample(image, (int64_t[]){91, 232, 232}, half, HF_RESAMPLE_AREA);
    run_blur(image->shape, (float[]){1, 2, 2}, 1);
    run_distance(size, (double[]){1.5, 0.7, 0.7}, 1);
    struct hf_tensor *mask = kit_volume(HF_U8, 1, size[0], size[1], size[2]);
    for (int percent = 12; percent < 60; percent += 20) {
        for (int64_t i = 0; i < hf_tensor_count(mask); i++)
            HF_DATA(uint8_t, mask)[i] = HF_DATA(float, image)[i] < (float)(20 * percent - 1000);
        run_components(mask);
    }
    kit_free(mask);
    kit_free(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resample_at_any_size),
        cmocka_unit_test(blur_at_any_size),
        cmocka_unit_test(blur_far),
        cmocka_unit_test(components_of_noise),
        cmocka_unit_test(components_of_spirals),
        cmocka_unit_test(components_far_apart),
        cmocka_unit_test(distance_at_any_size),
        cmocka_unit_test(empty_volumes),
        cmocka_unit_test(whole_scans),
    };
    return KIT_RUN(NULL, tests);
}
