/*
 * test_scores.c - scores of runs that were written by hand: what is read, how arms are compared,
 * and the two files that come of it.
 */
#include "sweep_test.h"

#include <math.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include "sweep/sweep.h"

static const struct sweep_axis axis = {"cut.value", 2, (const char *[]){"0.3", "[1, 2]"}};
static struct sweep_arm arms[] = {{"value=0.3", 1, (const char *[]){"cut.value=0.3"}},
                                  {"b,\"c\"", 2, (const char *[]){"a.x=1", "a.y={z: 2=3}"}},
                                  {"lost", 0, NULL}};
static int64_t seeds[] = {7, 8};
static const struct sweep sweep = {.graph = "g",
                                   .axes = 1,
                                   .axis = (struct sweep_axis *)&axis,
                                   .arms = 3,
                                   .arm = arms,
                                   .seeds = 2,
                                   .seed = seeds,
                                   .baseline = 0};
static struct sweep_run runs[] = {{0, 0, SWEEP_DONE, ""},          {1, 0, SWEEP_DONE, ""},
                                  {2, 0, SWEEP_FAILED, "no luck"}, {0, 1, SWEEP_DONE, ""},
                                  {1, 1, SWEEP_DONE, ""},          {2, 1, SWEEP_WAITING, ""}};

static void write_run(const struct sweep_run *run, const char *scores, const char *cases) {
    char below[256], path[512];
    struct hf_error e;
    assert_int_equal(sweep_folder(&sweep, run, below, sizeof below, &e), HF_OK);
    (void)snprintf(path, sizeof path, "mkdir -p 's/%s/rated'", below);
    assert_int_equal(system(path), 0);
    (void)snprintf(path, sizeof path, "s/%s/scores.json", below);
    write_text(path, scores);
    (void)snprintf(path, sizeof path, "s/%s/rated/cases.json", below);
    write_text(path, cases);
}

static void write_runs(void) {
    static const char scores[] =
        "{\"weak\": {\"name\": \"weak\", \"stage\": \"rated\", \"dice\": 0.9, \"recall\": %s},"
        " \"ledger\": 3, \"plain\": {\"recall\": 1}}";
    char text[512];
    (void)snprintf(text, sizeof text, scores, "0.25");
    write_run(&runs[0], text,
              "[{\"case\": \"p\", \"dice\": 0.5, \"hd\": 3}, {\"case\": \"q\", \"dice\": 0.25, "
              "\"hd\": null}]");
    (void)snprintf(text, sizeof text, scores, "0.75");
    write_run(&runs[3], text,
              "[{\"case\": \"p\", \"dice\": 0.75, \"hd\": 5}, {\"case\": \"q\", \"dice\": 0.5, "
              "\"hd\": null}]");
    (void)snprintf(text, sizeof text, scores, "0.5");
    /* Cases in another order, and one more. */
    write_run(&runs[1], text,
              "[{\"case\": \"q\", \"dice\": 0.5}, {\"case\": \"r\", \"dice\": 1}, {\"case\": "
              "\"p\", \"dice\": 0.5}]");
    write_run(&runs[4], text, "[{\"case\": \"p\", \"dice\": 1}, {\"case\": \"q\", \"dice\": 0.5}]");
}

static void test_compare(void **state) {
    (void)state;
    struct sweep_table t;
    struct hf_error e;
    write_runs();
    assert_int_equal(sweep_compare(&sweep, runs, "s", &t, &e), HF_OK);
    assert_int_equal(t.scores, 2);
    const struct sweep_score *weak = &t.score[0];
    assert_string_equal(weak->name, "weak");
    assert_int_equal(weak->metrics, 3);
    const struct sweep_metric *dice = &weak->metric[0], *recall = &weak->metric[2];
    assert_string_equal(dice->name, "dice");
    assert_string_equal(weak->metric[1].name, "hd");
    assert_string_equal(recall->name, "recall");
    assert_true(!dice->pooled && recall->pooled);
    assert_true(dice->value[0].spread.n == 4 && dice->value[0].spread.mean == 0.5);
    /* p: 0 and 0.25, q: 0.25 and 0; r has no pair. */
    assert_true(dice->value[1].spread.n == 5 && fabs(dice->value[1].spread.mean - 0.7) < 1e-15);
    assert_true(dice->value[1].difference.cases == 2 && dice->value[1].difference.mean == 0.125);
    assert_true(dice->value[1].difference.low == 0.125 && dice->value[1].difference.high == 0.125);
    assert_true(dice->value[2].spread.n == 0 && isnan(dice->value[2].difference.mean));
    /* hd: the baseline's alone. */
    assert_true(weak->metric[1].value[0].spread.n == 2 && weak->metric[1].value[1].spread.n == 0);
    /* One number a run has a mean over seeds and no interval over cases. */
    assert_true(recall->value[0].spread.mean == 0.5 && recall->value[1].spread.n == 2);
    assert_true(recall->value[1].difference.mean == 0 && isnan(recall->value[1].difference.low));
    sweep_table_free(&t);
}

static void test_written(void **state) {
    (void)state;
    struct sweep_table t;
    struct hf_error e;
    static char text[65536];
    write_runs();
    assert_int_equal(sweep_compare(&sweep, runs, "s", &t, &e), HF_OK);
    assert_int_equal(sweep_write(&sweep, runs, &t, "s", &e), HF_OK);
    sweep_table_free(&t);
    FILE *f = fopen("s/sweep.csv", "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    (void)fclose(f);
    assert_string_equal(text, "arm,state,score,metric,n,mean,sd,difference,low,high\n"
                              "value=0.3,done,weak,dice,4,0.5,0.204124145,,,\n"
                              "value=0.3,done,weak,hd,2,4,1.41421356,,,\n"
                              "value=0.3,done,weak,recall,2,0.5,0.353553391,,,\n"
                              "value=0.3,done,plain,recall,2,1,0,,,\n"
                              "\"b,\"\"c\"\"\",done,weak,dice,5,0.7,0.273861279,0.125,0.125,0.125\n"
                              "\"b,\"\"c\"\"\",done,weak,recall,2,0.5,0,0,,\n"
                              "\"b,\"\"c\"\"\",done,plain,recall,2,1,0,0,,\n"
                              "lost,failed,,,0,,,,,\n");
    f = fopen("s/sweep.json", "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    (void)fclose(f);
    cJSON *all = cJSON_Parse(text);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(all, "graph")), "g");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(all, "baseline")), "value=0.3");
    const cJSON *axes = cJSON_GetObjectItem(all, "axes"), *list = cJSON_GetObjectItem(all, "arms");
    const cJSON *values = cJSON_GetObjectItem(cJSON_GetArrayItem(axes, 0), "values");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(values, 1)), "[1, 2]");
    assert_true(cJSON_GetArrayItem(cJSON_GetObjectItem(all, "seeds"), 1)->valuedouble == 8);
    assert_int_equal(cJSON_GetArraySize(list), 3);
    const cJSON *second = cJSON_GetArrayItem(list, 1), *lost = cJSON_GetArrayItem(list, 2);
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(second, "set"), "a.y")),
        "{z: 2=3}");
    const cJSON *dice = cJSON_GetObjectItem(
        cJSON_GetObjectItem(cJSON_GetObjectItem(second, "scores"), "weak"), "dice");
    assert_true(cJSON_GetObjectItem(dice, "n")->valuedouble == 5);
    assert_true(cJSON_GetObjectItem(dice, "low")->valuedouble == 0.125);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(lost, "state")), "failed");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(lost, "error")), "no luck");
    cJSON_Delete(all);
}

/* What was left of scores by a run before is gone, and nothing else. */
static void test_forgotten(void **state) {
    (void)state;
    struct sweep_table t;
    struct hf_error e;
    char below[256], path[512];
    write_runs();
    assert_int_equal(sweep_folder(&sweep, &runs[0], below, sizeof below, &e), HF_OK);
    (void)snprintf(path, sizeof path, "s/%s/rated/cases.csv", below);
    write_text(path, "kept");
    assert_int_equal(sweep_forget(&sweep, &runs[0], "s", &e), HF_OK);
    assert_int_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "s/%s/scores.json", below);
    assert_int_not_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "s/%s/rated/cases.json", below);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(sweep_forget(&sweep, &runs[0], "no-such-folder", &e), HF_OK);
    /* A run that scores anew, but no cases, is not given those of before. */
    (void)snprintf(path, sizeof path, "s/%s/scores.json", below);
    write_text(path, "{\"weak\": {\"stage\": \"rated\", \"dice\": 0.5}}");
    assert_int_equal(sweep_compare(&sweep, runs, "s", &t, &e), HF_OK);
    for (int i = 0; i < t.score[0].metrics; i++)
        if (strcmp(t.score[0].metric[i].name, "dice") == 0)
            assert_int_equal(t.score[0].metric[i].value[0].spread.n, 2); /* of the other seed */
    sweep_table_free(&t);
}

static void test_damaged(void **state) {
    (void)state;
    struct sweep_table t;
    struct hf_error e;
    write_runs();
    write_run(&runs[4], "{\"weak\": {\"stage\": \"rated\"}}", "{\"case\": 1}");
    assert_int_equal(sweep_compare(&sweep, runs, "s", &t, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "rated/cases.json: this is no JSON list"));
    write_run(&runs[4], "{\"weak\": ", "[]");
    assert_int_equal(sweep_compare(&sweep, runs, "s", &t, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "seed-8/scores.json: this is no JSON object"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
