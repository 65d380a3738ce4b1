/* test_fuzz.c - a valid graph, cut off and changed at every byte: an error or a plan, no crash. */
#include "graph_test.h"

static const char graph[] = "name: g\n"
                            "seed: 3\n"
                            "vars: {d: x, w: [1, 2]}\n"
                            "x-c: &c {size: 16}\n"
                            "stages:\n"
                            "  a: {use: t_load, dataset: ${d}, split: all}\n"
                            "  b: {<<: *c, use: t_prepare, from: a, window: ${w}}\n"
                            "  m:\n"
                            "    use: t_train\n"
                            "    from: b\n"
                            "    inputs: [image]\n"
                            "    target: \"liver\"\n"
                            "    network: {t_net: {width: 4}}\n"
                            "  p: {like: b, from: a, smooth: 1 px}\n"
                            "  f: {use: t_apply, from: p, model: m}\n"
                            "  x: {use: t_mix, from: [f, b], weights: [2, 1], fill: {score: 0}}\n"
                            "  s: {use: t_save, from: f, fields: 'score'}\n";

/* Whatever comes out, it is whole. */
static void check(const char *text, size_t size) {
    struct hf_plan *plan = NULL;
    char *messages = NULL;
    write_text("g.yaml", text, size);
    enum hf_status st = hf_plan_load(graph_engine(), "g.yaml", NULL, 0, &plan, &messages);
    if (st == HF_OK) {
        char *printed = NULL;
        struct hf_error e;
        for (int f = HF_PLAN_TEXT; f <= HF_PLAN_JSON; f++) {
            assert_int_equal(hf_plan_print(plan, (enum hf_plan_format)f, &printed, &e), HF_OK);
            hf_free(printed);
        }
        hf_plan_free(plan);
    } else {
        assert_int_equal(st, HF_INVALID);
        assert_null(plan);
        assert_non_null(messages);
        assert_true(strlen(messages) > 10);
    }
    hf_free(messages);
}

static void test_whole(void **state) {
    (void)state;
    struct hf_plan *p = NULL;
    char *messages = NULL;
    /* Its one fault: the mix would fill in a score that is no u8. */
    assert_int_equal(check_text(graph, NULL, 0, &p, &messages), HF_INVALID);
    assert_non_null(strstr(messages, "writes 'score' as u8"));
    assert_null(strstr(strstr(messages, "g.yaml") + 1, "g.yaml"));
    hf_free(messages);
    const char *sets[] = {"x.fill={hole: 0}"};
    p = plan_of(graph, sets, 1);
    hf_plan_free(p);
}

static void test_cut_off(void **state) {
    (void)state;
    for (size_t size = 0; size < sizeof graph; size++)
        check(graph, size);
}

static void test_changed(void **state) {
    (void)state;
    static const char with[] = {0, '{', ']', ':', '\n', '"', '*', '&', '$', '-', '\xff', '~'};
    char text[sizeof graph];
    for (size_t i = 0; i + 1 < sizeof graph; i++)
        for (size_t k = 0; k < sizeof with; k++) {
            memcpy(text, graph, sizeof graph);
            text[i] = with[k];
            check(text, sizeof graph - 1);
        }
}

static void test_left_out(void **state) {
    (void)state;
    char text[sizeof graph];
    for (size_t size = 1; size <= 7; size += 3)
        for (size_t i = 0; i + size < sizeof graph; i++) {
            memcpy(text, graph, i);
            memcpy(text + i, graph + i + size, sizeof graph - 1 - i - size);
            check(text, sizeof graph - 1 - size);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_left_out),
    };
    return cmocka_run_group_tests(tests, graph_setup, graph_teardown);
}
