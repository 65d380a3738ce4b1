/*
 * test_filename.c - files of samples that are called alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../../stages/text/filename.h"

/* The name of a file, and that it is no longer than there is room for. */
static const char *of(const char *name, int link) {
    static char ring[4][FILENAME_BYTES];
    static int at;
    char *ret = ring[at++ % 4];
    filename_of(name, link, ret);
    assert_true(strlen(ret) < FILENAME_BYTES);
    return ret;
}

static void test_good_names_stay(void **state) {
    (void)state;
    char longest[FILENAME_BYTES];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_string_equal(of("liver_003-b.2", 1), "liver_003-b.2");
    assert_string_equal(of("Müller, A (2)", 0), "Müller, A (2)");
    assert_string_equal(of(longest, 1), longest);
}

static void test_others_stay_apart(void **state) {
    (void)state;
    static const char *const alike[] = {"a_b", "a/b", "a\\b", "a\nb",
                                        "a\x7f"
                                        "b"};
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(of(alike[i], 0), of(alike[k], 0));
    assert_memory_equal(of("a/b", 0), "a_b-", 4);
    assert_int_equal(strlen(of("a/b", 0)), 3 + FILENAME_HASH);
    /* In links spaces, quotes and letters of other scripts are no good either. */
    assert_string_not_equal(of("a b", 1), of("a'b", 1));
    assert_memory_equal(of("<\xc3\xbc>", 1), "____-", 5);
}

static void test_long_names_are_cut(void **state) {
    (void)state;
    char a[1000], b[1000];
    memset(a, 'x', sizeof a);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof b);
    b[998] = 'y';
    assert_int_equal(strlen(of(a, 0)), FILENAME_BYTES - 1);
    assert_string_not_equal(of(a, 0), of(b, 0));
    /* Letters of several bytes stay whole, wherever the cut falls. */
    for (int from = 0; from < 2; from++) {
        for (int i = from; i + 1 < 999; i += 2)
            memcpy(a + i, "\xc3\xbc", 2);
        const char *name = of(a, 0), *dash = strchr(name, '-');
        assert_non_null(dash);
        assert_int_equal((dash - name - from) % 2, 0);
    }
    /* One byte too long. */
    a[0] = 'x';
    memset(a, 'x', FILENAME_BYTES);
    a[FILENAME_BYTES] = '\0';
    assert_int_equal(strlen(of(a, 0)), FILENAME_BYTES - 1);
    assert_string_not_equal(of(a, 0), a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_names_stay),
        cmocka_unit_test(test_others_stay_apart),
        cmocka_unit_test(test_long_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
