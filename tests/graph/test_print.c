/* test_print.c - what is printed of a plan: text, dot, JSON, and the resolved graph. */
#include "graph_test.h"

#include <cjson/cJSON.h>

static void check_golden(const struct hf_plan *p, enum hf_plan_format format, const char *file) {
    char path[4096], *text = NULL;
    struct hf_error e;
    (void)snprintf(path, sizeof path, "%s/tests/graph/golden/%s", getenv("HEPAFLOW_SOURCE"), file);
    assert_int_equal(hf_plan_print(p, format, &text, &e), HF_OK);
    char *golden = read_text(path);
    assert_string_equal(text, golden);
    free(golden);
    hf_free(text);
}

static void test_golden(void **state) {
    (void)state;
    /* What auto is depends on the machine. */
    const char *sets[] = {"device=cpu"};
    struct hf_plan *p = plan_of(graph_method, sets, 1);
    check_golden(p, HF_PLAN_TEXT, "method.txt");
    check_golden(p, HF_PLAN_DOT, "method.dot");
    check_golden(p, HF_PLAN_JSON, "method.json");
    hf_plan_free(p);
}

/* The graph with everything worked out comes to the same plan. */
static void test_resolved(void **state) {
    (void)state;
    const char *base = "x-cut: &cut\n  field: image\n  value: 0.25\n"
                       "stages:\n"
                       "  cases: {use: t_load, dataset: \"${data}\"}\n"
                       "  a: {use: t_cut, from: cases, <<: *cut}\n";
    const char *text = "include: base.yaml\n"
                       "vars: {data: \"a \\\"b\\\": $${c}\", low: -50}\n"
                       "stages:\n"
                       "  a: {min_volume: 2 ml, on_error: [retry(2), skip]}\n"
                       "  b: {like: a, from: cases, gate: [liver]}\n"
                       "  c: {use: t_prepare, from: a, window: [\"${low}\", 3], depth: 7}\n"
                       "  save: {use: t_save, from: c}\n"
                       "  more: {use: t_save, from: b}\n";
    const char *sets[] = {"vars.low=-60", "device=cpu", "b.value=0.75"};
    struct hf_error e;
    char *yaml = NULL, *json[2];
    write_text("base.yaml", base, strlen(base));
    struct hf_plan *p = plan_of(text, sets, 3);
    assert_int_equal(hf_plan_print(p, HF_PLAN_JSON, &json[0], &e), HF_OK);
    assert_int_equal(hf_plan_print(p, HF_PLAN_YAML, &yaml, &e), HF_OK);
    hf_plan_free(p);
    static const char *const lines[] = {
        "name: \"g\"  # the file's name\n",
        "device: cpu  # --set device=cpu\n",
        "    dataset: \"a \\\"b\\\": $${c}\"  # base.yaml:5:33, with ${data} of g.yaml:2:14\n",
        "    value: 0.25  # base.yaml:3:10, <<: *cut\n",
        "    min_volume: \"2 ml\"  # g.yaml:4:19, like: a\n",
        "    value: 0.75  # --set b.value=0.75\n",
        "    on_error: [retry(2), skip]  # g.yaml:4:35\n",
        "    window: [\"-60\", 3]  # g.yaml:6:40\n",
        "    smooth: 2 px  # default\n",
        "    depth: 7  # g.yaml:6:62\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(yaml, lines[i]))
            fail_msg("%s is not in\n%s", lines[i], yaml);
    p = plan_of(yaml, NULL, 0);
    assert_int_equal(hf_plan_print(p, HF_PLAN_JSON, &json[1], &e), HF_OK);
    hf_plan_free(p);
    assert_string_equal(json[0], json[1]);
    hf_free(yaml);
    hf_free(json[0]);
    hf_free(json[1]);
    /* And so does a graph of many stages. */
    p = plan_of(graph_method, sets + 1, 1);
    assert_int_equal(hf_plan_print(p, HF_PLAN_JSON, &json[0], &e), HF_OK);
    assert_int_equal(hf_plan_print(p, HF_PLAN_YAML, &yaml, &e), HF_OK);
    hf_plan_free(p);
    p = plan_of(yaml, NULL, 0);
    assert_int_equal(hf_plan_print(p, HF_PLAN_JSON, &json[1], &e), HF_OK);
    hf_plan_free(p);
    assert_string_equal(json[0], json[1]);
    hf_free(yaml);
    hf_free(json[0]);
    hf_free(json[1]);
}

static void test_json_parses(void **state) {
    (void)state;
    struct hf_plan *p = plan_of(graph_method, NULL, 0);
    char *text = NULL;
    struct hf_error e;
    assert_int_equal(hf_plan_print(p, HF_PLAN_JSON, &text, &e), HF_OK);
    cJSON *o = cJSON_Parse(text);
    assert_non_null(o);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "stages")), p->stages);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "jobs")), p->jobs);
    cJSON_Delete(o);
    hf_free(text);
    hf_plan_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_resolved),
        cmocka_unit_test(test_json_parses),
    };
    return cmocka_run_group_tests(tests, graph_setup, graph_teardown);
}
