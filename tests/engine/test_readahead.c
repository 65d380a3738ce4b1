/*
 * test_readahead.c - files read ahead on a loop of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "run/readahead.h"
#include "run/run.h"

#define LIMIT 100000

static char folder[64];
static uv_loop_t loop;
static struct readahead *ra;

static void path_of(char path[128], int i) {
    (void)snprintf(path, 128, "%s/%d", folder, i);
}

static int setup(void **state) {
    struct hf_error e;
    char path[128];
    static char bytes[30000];
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/hepaflow-ra-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < 6; i++) {
        path_of(path, i);
        memset(bytes, 'a' + i, sizeof bytes);
        assert_int_equal(file_write(path, bytes, i == 5 ? 0 : sizeof bytes, &e), HF_OK);
    }
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(readahead_new(&loop, LIMIT, &ra, &e), HF_OK);
    return 0;
}

static int teardown(void **state) {
    char path[128];
    (void)state;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    readahead_free(ra);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (int i = 0; i < 6; i++) {
        path_of(path, i);
        (void)unlink(path);
    }
    (void)rmdir(folder);
    return 0;
}

static bool take(int i, char first, size_t expected) {
    char path[128];
    void *bytes;
    size_t size;
    path_of(path, i);
    if (!readahead_take(ra, path, &bytes, &size))
        return false;
    assert_int_equal(size, expected);
    if (size)
        assert_int_equal(*(char *)bytes, first);
    free(bytes);
    return true;
}

static bool want(int i) {
    char path[128];
    path_of(path, i);
    return readahead_want(ra, &folder, path);
}

static void what_is_wanted_can_be_taken_once(void **state) {
    (void)state;
    assert_false(take(0, 'a', 30000));
    assert_true(want(0));
    assert_true(want(5));
    assert_true(want(0)); /* known already */
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(take(0, 'a', 30000));
    assert_false(take(0, 'a', 30000));
    assert_true(take(5, 0, 0));
    assert_int_equal(readahead_taken(ra), 30000);
}

static void memory_is_bounded(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(want(i));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)want(3); /* 120000 would be too much: it is left to its reader */
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(take(3, 'd', 30000));
    assert_true(take(1, 'b', 30000));
    assert_true(want(3));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(take(3, 'd', 30000));
    /* What its owner gives up makes room. */
    readahead_forget(ra, &folder);
    assert_false(take(0, 'a', 30000));
    for (int i = 0; i < 3; i++)
        assert_true(want(i));
    readahead_forget(ra, &folder); /* while they are being read */
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(take(2, 'c', 30000));
}

static void what_cannot_be_read_is_left_to_its_reader(void **state) {
    void *bytes;
    size_t size;
    (void)state;
    assert_true(want(77));
    assert_true(readahead_want(ra, &folder, folder));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(take(77, 0, 0));
    assert_false(readahead_take(ra, folder, &bytes, &size));
}

static void *taker(void *arg) {
    return take(*(int *)arg, 'a', 30000) ? arg : NULL;
}

static void takers_wait_for_a_read_in_progress(void **state) {
    (void)state;
    pthread_t thread[3];
    int zero = 0, got = 0;
    assert_true(want(0)); /* the loop does not run yet */
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, taker, &zero), 0);
    (void)usleep(20000);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 3; i++) {
        void *ret;
        assert_int_equal(pthread_join(thread[i], &ret), 0);
        got += ret != NULL;
    }
    assert_int_equal(got, 1); /* the bytes are one taker's; the others read themselves */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_wanted_can_be_taken_once, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_left_to_its_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(takers_wait_for_a_read_in_progress, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
