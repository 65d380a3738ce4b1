/*
 * test_choice.c - the engines that were chosen once stay chosen: in the process, in the next one,
 * with several at once; and where nothing can be remembered nothing is measured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../plugins/cuda/nn/conv_cudnn.h"
#include "../../harness.h"

static const struct cv_plan plans[] = {{.tag = "eng1_k2=0"}, {.tag = "eng2"}, {.tag = "eng3_k5=1"}};

enum {
    PLANS = sizeof plans / sizeof plans[0]
};

/* A measurement that answers `best`, and how often it was asked. */
struct measured {
    int32_t best, times;
};

static int32_t measure(void *arg) {
    struct measured *m = arg;
    m->times++;
    return m->best;
}

static struct harness *h;
static char file[4096];

static struct cv_choices *begin(const struct hf_host *host) {
    struct cv_choices *c = NULL;
    struct hf_error e = {0};
    assert_int_equal(cv_choices_new(host, &c, &e), HF_OK);
    return c;
}

static int32_t pick(struct cv_choices *c, const char *key, struct measured *m) {
    return cv_choices_pick(c, key, plans, PLANS, measure, m);
}

/* What a process that starts now takes, and whether it measures. */
static int32_t pick_anew(const char *key, struct measured *m) {
    struct cv_choices *c = begin(harness_host(h));
    int32_t at = pick(c, key, m);
    cv_choices_free(c);
    return at;
}

static void write_file(const char *text) {
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state) {
    (void)state;
    h = harness_open();
    (void)snprintf(file, sizeof file, "%s/deep/hepaflow/cudnn.txt", harness_folder(h));
    char cache[4096];
    (void)snprintf(cache, sizeof cache, "%s/deep", harness_folder(h));
    return setenv("XDG_CACHE_HOME", cache, 1) != 0 || unsetenv("HEPAFLOW_CUDNN_TIMING") != 0;
}

static int tear_down(void **state) {
    (void)state;
    harness_close(h);
    return 0;
}

static void a_choice_stays(void **state) {
    (void)state;
    struct measured m = {.best = 2}, other = {.best = 1};
    struct cv_choices *c = begin(harness_host(h));
    assert_int_equal(pick(c, "gpu: forward", &m), 2);
    assert_int_equal(pick(c, "gpu: forward", &other), 2);
    assert_int_equal(pick(c, "gpu: data gradient", &other), 1);
    cv_choices_free(c);
    assert_int_equal(m.times, 1);
    assert_int_equal(other.times, 1);
    assert_int_equal(pick_anew("gpu: forward", &other), 2);
    assert_int_equal(pick_anew("gpu: data gradient", &m), 1);
    assert_int_equal(m.times + other.times, 2);
}

static void what_cannot_be_measured_stays_the_first(void **state) {
    (void)state;
    struct measured none = {.best = -1}, some = {.best = 2};
    assert_int_equal(pick_anew("gpu: forward", &none), 0);
    assert_int_equal(pick_anew("gpu: forward", &some), 0);
    assert_int_equal(some.times, 0);
}

static void an_engine_that_is_gone_is_replaced(void **state) {
    (void)state;
    struct measured m = {.best = 1};
    (void)pick_anew("gpu: other", &m);
    write_file("hepaflow cudnn 1\ngpu: forward\teng99\ngpu: other\teng2\n");
    assert_int_equal(pick_anew("gpu: forward", &m), 1);
    assert_int_equal(pick_anew("gpu: forward", &m), 1);
    assert_int_equal(pick_anew("gpu: other", &m), 1);
    assert_int_equal(m.times, 2);
}

static void a_spoilt_file_is_mended(void **state) {
    (void)state;
    static const char *const spoilt[] = {
        "",
        "not ours\ngpu: forward\teng2\n",
        "hepaflow cudnn 1\ngpu: forward\teng2",                /* cut */
        "hepaflow cudnn 1\ngpu: forward\n\teng2\ngpu: forw\n", /* no pairs */
        "hepaflow cudnn 1\ngpu: forward\teng2\teng2\n\n",
        "hepaflow cudnn 1\n\x01\xFF\xFEgpu: forward\teng2\n",
    };
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        struct measured m = {.best = 2}, again = {.best = 1};
        (void)pick_anew("gpu: none", &m); /* makes the folder */
        write_file(spoilt[i]);
        m.times = 0;
        assert_int_equal(pick_anew("gpu: forward", &m), 2);
        assert_int_equal(pick_anew("gpu: forward", &again), 2);
        assert_int_equal(m.times, 1);
        assert_int_equal(again.times, 0);
    }
    struct measured m = {.best = 0};
    write_file("hepaflow cudnn 1\nrubbish\ngpu: forward\teng2\ncut");
    assert_int_equal(pick_anew("gpu: forward", &m), 1);
    assert_int_equal(m.times, 0);
}

static void without_a_memory_nothing_is_measured(void **state) {
    (void)state;
    struct measured m = {.best = 2};
    assert_int_equal(setenv("HEPAFLOW_CUDNN_TIMING", "0", 1), 0);
    assert_int_equal(pick_anew("gpu: forward", &m), 0);
    assert_int_equal(unsetenv("HEPAFLOW_CUDNN_TIMING"), 0);
    assert_int_equal(access(file, F_OK), -1);
    assert_int_equal(setenv("XDG_CACHE_HOME", "/dev/null/no folder", 1), 0);
    assert_int_equal(pick_anew("gpu: forward", &m), 0);
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    assert_int_equal(setenv("HOME", "/dev/null", 1), 0);
    assert_int_equal(pick_anew("gpu: forward", &m), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(pick_anew("gpu: forward", &m), 0);
    assert_int_equal(m.times, 0);
}

static enum hf_status refuse(const char *path, const void *bytes, size_t size, struct hf_error *e) {
    (void)bytes;
    (void)size;
    return hf_fail(e, HF_IO, "%s: no space", path);
}

static void a_measurement_that_is_not_written_does_not_count(void **state) {
    (void)state;
    struct hf_host host = *harness_host(h);
    host.write_file = refuse;
    struct measured m = {.best = 2};
    struct cv_choices *c = begin(&host);
    assert_int_equal(pick(c, "gpu: forward", &m), 0);
    assert_int_equal(pick(c, "gpu: forward", &m), 0);
    assert_int_equal(pick(c, "gpu: data gradient", &m), 0);
    cv_choices_free(c);
    assert_int_equal(m.times, 1);
}

/* Processes that each would choose otherwise, all at once. */
static void processes_agree(void **state) {
    (void)state;
    enum {
        PROCESSES = 4,
        KEYS = 12
    };
    pid_t child[PROCESSES];
    int answers[2];
    assert_int_equal(pipe(answers), 0);
    for (int p = 0; p < PROCESSES; p++) {
        child[p] = fork();
        if (child[p] == 0) {
            struct measured m = {.best = p % PLANS};
            char key[32], line[KEYS];
            struct cv_choices *c = begin(harness_host(h));
            for (int k = 0; k < KEYS; k++) {
                int32_t at = (p * 5 + k) % KEYS;
                (void)snprintf(key, sizeof key, "gpu: %d", at);
                line[at] = (char)('0' + pick(c, key, &m));
            }
            cv_choices_free(c);
            _exit(write(answers[1], line, sizeof line) == sizeof line ? 0 : 1);
        }
        assert_true(child[p] > 0);
    }
    char line[PROCESSES][KEYS];
    for (int p = 0; p < PROCESSES; p++) {
        int status = 1;
        assert_int_equal(waitpid(child[p], &status, 0), child[p]);
        assert_int_equal(status, 0);
        assert_int_equal(read(answers[0], line[p], KEYS), KEYS);
        assert_memory_equal(line[p], line[0], KEYS);
    }
    struct measured m = {.best = 0};
    for (int k = 0; k < KEYS; k++) {
        char key[32];
        (void)snprintf(key, sizeof key, "gpu: %d", k);
        assert_int_equal(pick_anew(key, &m), line[0][k] - '0');
    }
    assert_int_equal(m.times, 0);
    (void)close(answers[0]);
    (void)close(answers[1]);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_choice_stays),
        TEST(what_cannot_be_measured_stays_the_first),
        TEST(an_engine_that_is_gone_is_replaced),
        TEST(a_spoilt_file_is_mended),
        TEST(without_a_memory_nothing_is_measured),
        TEST(a_measurement_that_is_not_written_does_not_count),
        TEST(processes_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
