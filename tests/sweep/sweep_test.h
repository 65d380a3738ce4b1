/* sweep_test.h - files in a folder of their own, for the tests of engine/sweep. */
#ifndef TESTS_SWEEP_TEST_H
#define TESTS_SWEEP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char sweep_folder_made[64];

/* Group set-up and clean-up: an empty working folder. */
static int folder_setup(void **state) {
    (void)state;
    (void)snprintf(sweep_folder_made, sizeof sweep_folder_made, "/tmp/hepaflow-sweep-XXXXXX");
    return mkdtemp(sweep_folder_made) && chdir(sweep_folder_made) == 0 ? 0 : -1;
}

static int folder_teardown(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", sweep_folder_made);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

#endif
