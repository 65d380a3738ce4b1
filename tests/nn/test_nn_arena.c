/*
 * test_nn_arena.c - the arena's planner: no overlap of what lives together, little waste.
 */
#include "../../plugins/nn/arena.h"

#include <hepaflow/rng.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BLOCKS 200

static int live_together(const struct ar_block *a, const struct ar_block *b) {
    return a->first <= a->last && b->first <= b->last && a->first <= b->last && b->first <= a->last;
}

static void check_plan(const struct ar_block *b, int32_t count, size_t size) {
    for (int32_t i = 0; i < count; i++) {
        assert_int_equal(b[i].offset % AR_ALIGN, 0);
        if (b[i].first <= b[i].last)
            assert_true(b[i].offset + b[i].size <= size);
        for (int32_t k = 0; k < i; k++)
            if (live_together(&b[i], &b[k]))
                assert_true(b[i].offset + b[i].size <= b[k].offset ||
                            b[k].offset + b[k].size <= b[i].offset);
    }
}

/* The most that is in use at one step: no plan can be smaller. */
static size_t least(const struct ar_block *b, int32_t count, int32_t steps) {
    size_t most = 0;
    for (int32_t t = 0; t < steps; t++) {
        size_t sum = 0;
        for (int32_t i = 0; i < count; i++)
            if (b[i].first <= t && t <= b[i].last)
                sum += (b[i].size + AR_ALIGN - 1) / AR_ALIGN * AR_ALIGN;
        most = sum > most ? sum : most;
    }
    return most;
}

static void test_random_plans(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct hf_rng rng = hf_rng_init(seed, "arena", "", 0);
        struct ar_block b[BLOCKS];
        struct hf_error e;
        size_t size;
        for (int i = 0; i < BLOCKS; i++) {
            b[i].size = hf_rng_below(&rng, 100) * hf_rng_below(&rng, 1000);
            b[i].first = (int32_t)hf_rng_below(&rng, 100);
            b[i].last = b[i].first + (int32_t)hf_rng_below(&rng, 20) - 1;
        }
        assert_int_equal(ar_plan(b, BLOCKS, &size, &e), HF_OK);
        check_plan(b, BLOCKS, size);
        size_t bound = least(b, BLOCKS, 130);
        assert_true(size >= bound);
        assert_true((double)size <= 1.3 * (double)bound);
    }
}

static void test_reuse(void **state) {
    (void)state;
    struct hf_error e;
    size_t size;
    /* A chain of layers needs two buffers, whatever its length. */
    struct ar_block chain[10];
    for (int32_t i = 0; i < 10; i++)
        chain[i] = (struct ar_block){.size = 640, .first = i, .last = i + 1};
    assert_int_equal(ar_plan(chain, 10, &size, &e), HF_OK);
    check_plan(chain, 10, size);
    assert_int_equal(size, 1280);
    /* Of two gaps the small block takes the smaller, which leaves the larger for a later one. */
    struct ar_block gaps[] = {
        {.size = 6400, .first = 0, .last = 0}, {.size = 6336, .first = 0, .last = 9},
        {.size = 1280, .first = 0, .last = 0}, {.size = 1216, .first = 0, .last = 9},
        {.size = 1152, .first = 5, .last = 9},
    };
    assert_int_equal(ar_plan(gaps, 5, &size, &e), HF_OK);
    check_plan(gaps, 5, size);
    assert_int_equal(gaps[4].offset, gaps[2].offset);
}

static void test_edges(void **state) {
    (void)state;
    struct hf_error e;
    size_t size = 1;
    assert_int_equal(ar_plan(NULL, 0, &size, &e), HF_OK);
    assert_int_equal(size, 0);
    struct ar_block b[] = {{.size = 0, .first = 0, .last = 3}, {.size = 9, .first = 2, .last = 1}};
    assert_int_equal(ar_plan(b, 2, &size, &e), HF_OK);
    assert_int_equal(size, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_plans),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
