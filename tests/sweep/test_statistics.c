/*
 * test_statistics.c - against NumPy: mean, standard deviation, and the bootstrap's quantiles of a
 * Philox written in Python for the same streams.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "sweep/statistics.h"

#define CASES 7
#define SEEDS 3

static const double arm[CASES * SEEDS] = {
    .51, .55, .49, .80, .78, .79, .10, .15, NAN, .62, .60,
    .66, .33, .41, .37, .90, .91, .88, NAN, NAN, NAN,
};
static const double baseline[CASES * SEEDS] = {
    .48, .50, .51, .75, .79, .70, .20, .12, .10, .55, .57,
    .60, .30, NAN, .35, .89, .93, .90, .40, .40, .40,
};

static void near(double a, double b) {
    if (!(fabs(a - b) < 1e-12))
        fail_msg("%.17g, expected %.17g", a, b);
}

static void test_spread(void **state) {
    (void)state;
    struct spread s = spread_of(arm, CASES * SEEDS);
    assert_int_equal(s.n, 17);
    near(s.mean, 0.5794117647058824);
    near(s.sd, 0.2508602845269478);
    s = spread_of(arm, 1);
    assert_true(s.n == 1 && s.mean == .51 && isnan(s.sd));
    s = spread_of(arm + 18, 3);
    assert_true(s.n == 0 && isnan(s.mean) && isnan(s.sd));
}

static void test_difference(void **state) {
    (void)state;
    struct difference d;
    struct hf_error e;
    assert_int_equal(difference_of(arm, baseline, CASES, SEEDS, &d, &e), HF_OK);
    assert_int_equal(d.cases, 6);
    near(d.mean, 0.01611111111111112);
    near(d.low, -0.008611111111111106);
    near(d.high, 0.039444444444444456);
}

/* With the same pairs in any order of seeds, and with none, one, and equal ones. */
static void test_edges(void **state) {
    (void)state;
    struct difference d;
    struct hf_error e;
    assert_int_equal(difference_of(arm, baseline, 1, SEEDS, &d, &e), HF_OK);
    assert_true(d.cases == 1 && isnan(d.low) && isnan(d.high));
    near(d.mean, 0.02);
    assert_int_equal(difference_of(arm + 18, baseline + 18, 1, SEEDS, &d, &e), HF_OK);
    assert_true(d.cases == 0 && isnan(d.mean) && isnan(d.low));
    assert_int_equal(difference_of(arm, arm, CASES, SEEDS, &d, &e), HF_OK);
    assert_true(d.cases == 6 && d.mean == 0 && d.low == 0 && d.high == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_difference),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
