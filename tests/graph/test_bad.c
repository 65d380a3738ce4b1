/* test_bad.c - bad graphs: every one gets all of its messages, word by word. */
#include "graph_test.h"

struct bad_graph {
    const char *what;
    const char *text;
    const char *sets[10];
    const char *messages;
};

#include "bad_graphs.h"
#include "bad_networks.h"

static void check_messages(const struct bad_graph *graphs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct bad_graph *b = &graphs[i];
        int count = 0;
        while (b->sets[count])
            count++;
        struct hf_plan *plan = NULL;
        char *messages = NULL;
        print_message("%s\n", b->what);
        assert_int_equal(check_text(b->text, b->sets, count, &plan, &messages), HF_INVALID);
        assert_null(plan);
        assert_string_equal(messages, b->messages);
        hf_free(messages);
    }
}

static void test_messages(void **state) {
    (void)state;
    check_messages(bad_graphs, sizeof bad_graphs / sizeof *bad_graphs);
    check_messages(bad_networks, sizeof bad_networks / sizeof *bad_networks);
}

static void test_no_file(void **state) {
    (void)state;
    struct hf_plan *plan = NULL;
    char *messages = NULL;
    assert_int_equal(hf_plan_load(graph_engine(), "none.yaml", NULL, 0, &plan, &messages),
                     HF_INVALID);
    assert_string_equal(messages, "cannot open the graph 'none.yaml': No such file or directory\n");
    hf_free(messages);
    assert_int_equal(hf_plan_load(graph_engine(), "/tmp", NULL, 0, &plan, &messages), HF_INVALID);
    assert_string_equal(messages, "cannot read the graph '/tmp': it is a folder\n");
    hf_free(messages);
}

static void test_not_utf8(void **state) {
    (void)state;
    struct hf_plan *plan = NULL;
    char *messages = NULL;
    assert_int_equal(check_text("stages:\n  a: \xff\n", NULL, 0, &plan, &messages), HF_INVALID);
    assert_memory_equal(messages, "g.yaml:2:6: this is not UTF-8 text", 34);
    hf_free(messages);
}

/* In an included file, the place is in that file. */
static void test_place_in_included(void **state) {
    (void)state;
    const char *base = "stages:\n  cases: {use: t_load, dataset: x, splti: all}\n";
    write_text("base.yaml", base, strlen(base));
    struct hf_plan *plan = NULL;
    char *messages = NULL;
    assert_int_equal(check_text("include: base.yaml\n"
                                "stages:\n"
                                "  save: {use: t_save, from: cases, fieldz: image}\n",
                                NULL, 0, &plan, &messages),
                     HF_INVALID);
    assert_string_equal(
        messages, "g.yaml:3:36: stage 'save' (t_save) has no option 'fieldz'; did you mean "
                  "'fields'?\n"
                  "      save: {use: t_save, from: cases, fieldz: image}\n"
                  "                                       ^~~~~~\n"
                  "base.yaml:2:36: stage 'cases' (t_load) has no option 'splti'; did you mean "
                  "'split'?\n"
                  "      cases: {use: t_load, dataset: x, splti: all}\n"
                  "                                       ^~~~~\n"
                  "  included at g.yaml:1:10\n");
    hf_free(messages);
    assert_int_equal(
        check_text("include: [base.yaml, nowhere.yaml]\nstages: {}\n", NULL, 0, &plan, &messages),
        HF_INVALID);
    assert_string_equal(
        messages, "g.yaml:1:22: cannot open the graph 'nowhere.yaml': No such file or directory\n"
                  "    include: [base.yaml, nowhere.yaml]\n"
                  "                         ^~~~~~~~~~~~\n");
    hf_free(messages);
    assert_int_equal(check_text("include: g.yaml\nstages: {}\n", NULL, 0, &plan, &messages),
                     HF_INVALID);
    assert_memory_equal(messages, "g.yaml:1:10: 'g.yaml' includes itself\n", 38);
    hf_free(messages);
}

/* What an anchor's text does wrong is said once, however many stages share it. */
static void test_shared_text_once(void **state) {
    (void)state;
    struct hf_plan *plan = NULL;
    char *messages = NULL;
    assert_int_equal(check_text("x-common: &c {use: t_load, dataset: x, split: none}\n"
                                "stages:\n"
                                "  a: {<<: *c}\n"
                                "  b: {<<: *c}\n"
                                "  s: {use: t_save, from: a}\n"
                                "  t: {use: t_save, from: b}\n",
                                NULL, 0, &plan, &messages),
                     HF_INVALID);
    assert_string_equal(messages,
                        "g.yaml:1:47: 'split' of stage 'a' (t_load) must be one of train, "
                        "test, all, not 'none'\n"
                        "    x-common: &c {use: t_load, dataset: x, split: none}\n"
                        "                                                  ^~~~\n"
                        "  through the merge key <<: *c at g.yaml:3:11\n");
    hf_free(messages);
}

static void test_deep_nesting(void **state) {
    (void)state;
    char text[2048] = "stages: ";
    for (int i = 0; i < 300; i++)
        strcat(text, "[");
    struct hf_plan *plan = NULL;
    char *messages = NULL;
    assert_int_equal(check_text(text, NULL, 0, &plan, &messages), HF_INVALID);
    assert_non_null(strstr(messages, "more than 64 maps and lists in one another"));
    hf_free(messages);
}

/* Aliases that share what they share must not be read once for every path to it. */
static void test_many_aliases(void **state) {
    (void)state;
    char text[4096] = "x-0: &a0 [1]\n";
    for (int i = 1; i < 60; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "x-%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                       i - 1);
        strcat(text, line);
    }
    strcat(text, "stages:\n  a: {use: t_load, dataset: x}\n  s: {use: t_save, from: a}\n");
    hf_plan_free(plan_of(text, NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),         cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_not_utf8),         cmocka_unit_test(test_place_in_included),
        cmocka_unit_test(test_shared_text_once), cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_many_aliases),
    };
    return cmocka_run_group_tests(tests, graph_setup, graph_teardown);
}
