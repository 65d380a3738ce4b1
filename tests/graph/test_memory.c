/*
 * test_memory.c - no memory: each allocation of the engine's own fails in turn, and every time that
 * is said, or the plan is there, and nothing leaks.
 */
#include "graph_test.h"

/* The linker sends the engine's calls here (--wrap). */
void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);

static long left = -1; /* allocations that succeed; -1: all */

static bool fails(void) {
    if (left < 0)
        return false;
    if (left == 0)
        return true;
    left--;
    return false;
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *p, size_t size) {
    return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s) {
    return fails() ? NULL : __real_strdup(s);
}

static void write_graph(const char *extra) {
    static char text[300000];
    int used =
        snprintf(text, sizeof text,
                 "vars: {data: x}\nstages:\n  cases: {use: t_load, dataset: ${data}}\n%s", extra);
    /* Enough to need many blocks. */
    for (int i = 0; i < 300; i++)
        used += snprintf(text + used, sizeof text - (size_t)used,
                         "  p%d: {use: t_prepare, from: cases}\n  s%d: {use: t_save, from: p%d}\n",
                         i, i, i);
    assert_true((size_t)used < sizeof text);
    write_text("g.yaml", text, (size_t)used);
}

static void check_all(enum hf_status expected) {
    int failed = 0;
    for (long n = 0;; n++) {
        struct hf_plan *plan = NULL;
        char *messages = NULL, *text = NULL;
        struct hf_error e;
        left = n;
        enum hf_status st = hf_plan_load(graph_engine(), "g.yaml", NULL, 0, &plan, &messages);
        enum hf_status printed =
            st == HF_OK ? hf_plan_print(plan, HF_PLAN_TEXT, &text, &e) : HF_NO_MEMORY;
        bool ran_out = left == 0;
        left = -1;
        if (st == HF_OK)
            assert_non_null(plan);
        else
            assert_null(plan);
        assert_true(st == expected || st == HF_NO_MEMORY || st == HF_INVALID);
        hf_plan_free(plan);
        hf_free(messages);
        hf_free(text);
        if (!ran_out) {
            assert_int_equal(st, expected);
            assert_int_equal(printed, expected == HF_OK ? HF_OK : HF_NO_MEMORY);
            break;
        }
        failed++;
    }
    print_message("%d allocations\n", failed);
    assert_true(failed > 10);
}

static void test_good_graph(void **state) {
    (void)state;
    write_graph("");
    check_all(HF_OK);
}

static void test_bad_graph(void **state) {
    (void)state;
    write_graph("  bad: {use: t_load, dataset: x, splti: 1}\n");
    check_all(HF_INVALID);
}

static void test_engine(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct hf_engine *engine = NULL;
        struct hf_error e;
        left = n;
        enum hf_status st = hf_engine_open(&engine, &e);
        bool ran_out = left == 0;
        left = -1;
        if (st == HF_OK)
            hf_engine_close(engine);
        else
            assert_int_equal(st, HF_NO_MEMORY);
        if (!ran_out) {
            assert_int_equal(st, HF_OK);
            break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_graph),
        cmocka_unit_test(test_bad_graph),
        cmocka_unit_test(test_engine),
    };
    return cmocka_run_group_tests(tests, graph_setup, graph_teardown);
}
