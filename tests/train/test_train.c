/*
 * test_train.c - the parts of `train`: the shuffle pool, slices and batches, and the loss curve.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "curve.h"
#include "ops.h"
#include "pace.h"
#include "slices.h"

/* Tensors that are only counted: `bytes` is the number of the slice, `dl.ndim` its references. */
static void count_ref(struct hf_tensor *t) {
    t->dl.ndim++;
}

static void count_unref(struct hf_tensor *t) {
    assert_true(t->dl.ndim-- > 0);
}

static const struct hf_host host = {.tensor_ref = count_ref, .tensor_unref = count_unref};

enum {
    SLICES = 200,
    CAPACITY = 32,
    BATCH = 8
};

static void fill(struct hf_tensor *slices) {
    for (size_t i = 0; i < SLICES; i++)
        slices[i] = (struct hf_tensor){.bytes = i, .dl = {.ndim = 1}};
}

/* The order in which SLICES slices come out of a pool that is drawn from when it is full. */
static void shuffle(uint64_t seed, size_t *ret_order) {
    struct hf_tensor slices[SLICES], *batch[BATCH];
    struct hf_error e;
    struct pool p;
    size_t n = 0;
    fill(slices);
    assert_int_equal(pool_init(&p, &host, CAPACITY, hf_rng_init(seed, "t", "p", 0), &e), HF_OK);
    for (size_t i = 0; i <= SLICES; i++) {
        while (p.count == CAPACITY || (i == SLICES && p.count > 0)) {
            pool_draw(&p, BATCH, 0, batch);
            for (int k = 0; k < BATCH; k++) {
                ret_order[n++] = batch[k]->bytes;
                count_unref(batch[k]);
            }
        }
        if (i < SLICES)
            pool_add(&p, &slices[i]);
    }
    assert_int_equal(n, SLICES);
    pool_clear(&p);
    for (size_t i = 0; i < SLICES; i++)
        assert_int_equal(slices[i].dl.ndim, 0);
}

static void test_pool_gives_each_slice_once(void **state) {
    (void)state;
    size_t a[SLICES], b[SLICES], c[SLICES];
    int seen[SLICES] = {0}, moved = 0, differ = 0;
    shuffle(1, a);
    shuffle(1, b);
    shuffle(2, c);
    assert_memory_equal(a, b, sizeof a);
    for (size_t i = 0; i < SLICES; i++) {
        seen[a[i]]++;
        moved += a[i] != i;
        differ += a[i] != c[i];
    }
    for (size_t i = 0; i < SLICES; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > SLICES / 2);
    assert_true(differ > SLICES / 2);
}

static void test_pool_that_keeps_holds_the_latest(void **state) {
    (void)state;
    struct hf_tensor slices[SLICES], *batch[BATCH];
    struct hf_error e;
    struct pool p;
    fill(slices);
    assert_int_equal(pool_init(&p, &host, CAPACITY, hf_rng_init(3, "t", "p", 0), &e), HF_OK);
    for (size_t i = 0; i < SLICES; i++) {
        pool_add(&p, &slices[i]);
        if (p.count < BATCH)
            continue;
        int64_t before = p.count;
        pool_draw(&p, BATCH, 1, batch);
        assert_int_equal(p.count, before);
        for (int k = 0; k < BATCH; k++) {
            for (int j = 0; j < k; j++)
                assert_ptr_not_equal(batch[k], batch[j]);
            count_unref(batch[k]);
        }
    }
    assert_int_equal(p.count, CAPACITY);
    assert_int_equal(slices[SLICES - 1].dl.ndim, 1);
    pool_clear(&p);
    for (size_t i = 0; i < SLICES; i++)
        assert_int_equal(slices[i].dl.ndim, 0);
}

static struct hf_tensor tensor(enum hf_dtype dtype, void *data, int32_t ndim,
                               const int64_t *shape) {
    struct hf_tensor t = {.dtype = dtype, .dl = {.data = data, .ndim = ndim}};
    for (int32_t i = 0; i < ndim; i++)
        t.shape[i] = shape[i];
    return t;
}

extern const struct hf_op train_take_cpu, train_put_cpu, train_profile_cpu, train_pick_cpu;

static void test_slices_become_batches(void **state) {
    (void)state;
    struct hf_error e;
    /* Two channels of three 2 x 2 slices, and a label map of the same grid. */
    float image[2 * 3 * 4], slice[5 * 4], batch[2 * 3 * 4] = {0}, sums[3];
    uint8_t labels[3 * 4] = {0, 0, 0, 0, 2, 1, 0, 2, 1, 1, 1, 0};
    for (int i = 0; i < 24; i++)
        image[i] = (float)i;
    struct hf_tensor in = tensor(HF_F32, image, 4, (int64_t[]){2, 3, 2, 2});
    struct hf_tensor map = tensor(HF_U8, labels, 4, (int64_t[]){1, 3, 2, 2});
    struct hf_tensor out = tensor(HF_F32, slice, 4, (int64_t[]){5, 1, 2, 2});
    struct train_take_params p = {{1, 0, 0}, 0, 3, 1, 2};
    struct hf_op_call call = {.in = {&in, &map}, .out = {&out}, .inputs = 2, .params = &p};
    assert_int_equal(train_take_cpu.launch(&call, NULL, NULL, &e), HF_OK);
    const float expected[] = {4, 5, 6, 7, 16, 17, 18, 19, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1};
    assert_memory_equal(slice, expected, sizeof expected);

    struct hf_tensor rows = tensor(HF_F32, batch, 5, (int64_t[]){2, 3, 1, 2, 2});
    struct train_put_params put = {1, 2};
    struct hf_op_call second = {.in = {&out}, .out = {&rows}, .inputs = 1, .params = &put};
    assert_int_equal(train_put_cpu.launch(&second, NULL, NULL, &e), HF_OK);
    assert_memory_equal(batch + 12, expected + 8, 12 * sizeof(float));
    assert_true(batch[11] == 0.0f);

    struct hf_tensor profile = tensor(HF_F32, sums, 1, (int64_t[]){3});
    struct hf_op_call third = {.in = {&map}, .out = {&profile}, .inputs = 1};
    assert_int_equal(train_profile_cpu.launch(&third, NULL, NULL, &e), HF_OK);
    assert_true(sums[0] == 0.0f && sums[1] == 3.0f && sums[2] == 3.0f);
}

/* A volume of 2 x 2 x 3 in a patch of 2 x 3 x 5 that begins above it and to its left. */
static void test_patches_repeat_the_border(void **state) {
    (void)state;
    struct hf_error e;
    float image[12], patch[2 * 30];
    uint8_t weight[12];
    for (int i = 0; i < 12; i++) {
        image[i] = (float)(10 + i);
        weight[i] = 1;
    }
    struct hf_tensor in = tensor(HF_F32, image, 4, (int64_t[]){1, 2, 2, 3});
    struct hf_tensor w = tensor(HF_U8, weight, 4, (int64_t[]){1, 2, 2, 3});
    struct hf_tensor out = tensor(HF_F32, patch, 4, (int64_t[]){2, 2, 3, 5});
    struct train_take_params p = {{1, -1, -1}, 0, 0, -1, 1};
    struct hf_op_call call = {.in = {&in, &w}, .out = {&out}, .inputs = 2, .params = &p};
    assert_int_equal(train_take_cpu.launch(&call, NULL, NULL, &e), HF_OK);
    /* Its second slice, twice. */
    const float expected[] = {16, 16, 17, 18, 18, 16, 16, 17, 18, 18, 19, 19, 20, 21, 21};
    const float weighs[] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0}, none[15] = {0};
    assert_memory_equal(patch, expected, sizeof expected);
    assert_memory_equal(patch + 15, expected, sizeof expected);
    assert_memory_equal(patch + 30, weighs, sizeof weighs);
    assert_memory_equal(patch + 45, none, sizeof none);
}

static void test_voxels_are_picked_by_number(void **state) {
    (void)state;
    struct hf_error e;
    float target[2 * 6] = {9, 9, 9, 9, 9, 9, 0, 0.6f, 0.5f, 1, 0, 2};
    int32_t at[5];
    struct hf_tensor in = tensor(HF_F32, target, 4, (int64_t[]){1, 2, 2, 3});
    struct hf_tensor out = tensor(HF_I32, at, 1, (int64_t[]){5});
    struct train_pick_params p = {{{1, 0}, {1, 2}, {0, 4}, {1, 3}, {1, 1}}};
    struct hf_op_call call = {.in = {&in}, .out = {&out}, .inputs = 1, .params = &p};
    assert_int_equal(train_pick_cpu.launch(&call, NULL, NULL, &e), HF_OK);
    const int32_t expected[5] = {1, 5, 4, -1, 3};
    assert_memory_equal(at, expected, sizeof expected);
}

static void test_curve_is_written(void **state) {
    (void)state;
    struct hf_error e;
    struct curve c = {0};
    for (int64_t i = 1; i <= 1000; i++) {
        struct curve_point p = {i, 1.0 / (double)i, 1e-3, i % 500 == 0 ? 0.25 : NAN};
        assert_int_equal(curve_add(&c, p, &e), HF_OK);
    }
    char *csv = curve_csv(&c), *json = curve_json(&c, 500);
    assert_non_null(strstr(csv, "step,loss,rate,validation\n1,1,0.001,\n2,0.5,0.001,\n"));
    assert_non_null(strstr(csv, "\n1000,0.001,0.001,0.25\n"));
    /* 1000 steps are more than a picture shows: each point is the mean of three. */
    assert_non_null(strstr(json, "\"points\":[[2,0.611111],[5,0.205556],"));
    assert_non_null(strstr(json, ",[1000,0.001]]}"));
    assert_non_null(strstr(json, "\"marks\":true,\"points\":[[500,0.25],[1000,0.25]]}"));
    assert_non_null(strstr(json, "\"lines\":[{\"x\":500,"));
    assert_non_null(strstr(json, "the mean of 3 steps"));
    assert_null(strstr(json, "nan"));
    free(csv);
    free(json);
    curve_clear(&c);
}

static void test_pace_is_told(void **state) {
    (void)state;
    char text[128];
    struct pace p = {.ms = {10, 30, 20}, .steps = 4, .samples = 3, .first = 1000, .last = 3000};
    pace_describe(&p, text, sizeof text);
    assert_string_equal(text, "4 steps, median 20.00 ms a step, mean 25.00 over the later half,"
                              " 1.00 samples/s");
    /* The median knows nothing of a wait every third step; and the ring has been round. */
    p = (struct pace){.steps = PACE_KEPT + 3, .samples = 3, .first = 1000, .last = 3000};
    for (int i = 0; i < PACE_KEPT; i++)
        p.ms[i] = i < 2 ? 514 : 2; /* the last two steps */
    pace_describe(&p, text, sizeof text);
    assert_non_null(strstr(text, "median 2.00 ms a step, mean 4.00 over the later half,"));
    p = (struct pace){0};
    pace_sample(&p);
    pace_step(&p);
    pace_describe(&p, text, sizeof text);
    assert_string_equal(text, "1 step");
    for (int i = 0; i < 3 * PACE_KEPT; i++)
        pace_step(&p);
    pace_describe(&p, text, sizeof text);
    assert_non_null(strstr(text, "3073 steps, median 0.0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_gives_each_slice_once),
        cmocka_unit_test(test_pool_that_keeps_holds_the_latest),
        cmocka_unit_test(test_slices_become_batches),
        cmocka_unit_test(test_patches_repeat_the_border),
        cmocka_unit_test(test_voxels_are_picked_by_number),
        cmocka_unit_test(test_curve_is_written),
        cmocka_unit_test(test_pace_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
