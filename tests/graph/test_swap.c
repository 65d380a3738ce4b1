/* test_swap.c - one word swaps a stage: what another `use` leaves out, and what it does not. */
#include "graph_test.h"

#include <cjson/cJSON.h>

struct cut_options {
    const char *field, *output;
    double value, min_volume;
    struct hf_names gate;
};

static const char base[] = "stages:\n"
                           "  cases: {use: t_load, dataset: x}\n"
                           "  trained: {use: t_train, from: cases, inputs: image, target: tumor,\n"
                           "            network: t_net, loss: bce}\n"
                           "  applied: &applied\n"
                           "    use: t_apply\n"
                           "    from: cases\n"
                           "    model: trained\n"
                           "    output: found\n"
                           "  save: {use: t_save, from: applied}\n";

static void check_left_out(const struct hf_plan *p, const char *stage, const char *expected) {
    const struct plan_stage *s = stage_of(p, stage);
    char text[256] = "";
    for (int i = 0; i < s->left_out_count; i++) {
        strcat(text, s->left_out[i]);
        strcat(text, " ");
    }
    assert_string_equal(text, expected);
}

/* t_cut takes no model, t_apply no field; both have an output. */
static void check_swapped(const struct hf_plan *p, const char *stage, const char *left_out) {
    const struct plan_stage *s = stage_of(p, stage);
    assert_string_equal(s->cls->name, "t_cut");
    assert_int_equal(s->model, -1);
    assert_string_equal(((const struct cut_options *)s->options)->output, "found");
    assert_string_equal(((const struct cut_options *)s->options)->field, "image");
    check_left_out(p, stage, left_out);
}

static void test_swapped_by_a_layer(void **state) {
    (void)state;
    const char *sets[] = {"applied.use=t_cut", "applied.field=image"};
    write_text("base.yaml", base, strlen(base));
    struct hf_plan *p =
        plan_of("include: base.yaml\nstages:\n  applied: {use: t_cut, field: image}\n", NULL, 0);
    check_swapped(p, "applied", "model ");
    hf_plan_free(p);
    p = plan_of(base, sets, 2);
    check_swapped(p, "applied", "model ");
    hf_plan_free(p);
    /* In any order: the option is the new class's alone. */
    const char *turned[] = {"applied.field=image", "applied.use=t_cut"};
    p = plan_of(base, turned, 2);
    check_swapped(p, "applied", "model ");
    hf_plan_free(p);
}

static void test_swapped_by_a_merge_key_and_like(void **state) {
    (void)state;
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "%s"
                   "  merged: {<<: *applied, use: t_cut, field: image}\n"
                   "  cut: {use: t_cut, from: cases, output: found, value: 0.25}\n"
                   "  alike: {like: cut, use: t_apply, from: cases, model: trained}\n"
                   "  kept: {use: t_save, from: merged}\n"
                   "  kept_too: {use: t_save, from: alike}\n"
                   "  kept_three: {use: t_save, from: cut}\n",
                   base);
    const char *sets[] = {"cut.field=image"};
    struct hf_plan *p = plan_of(text, sets, 1);
    check_swapped(p, "merged", "model ");
    check_left_out(p, "alike", "value field ");
    check_left_out(p, "cut", "");
    check_left_out(p, "applied", "");
    hf_plan_free(p);
}

/* What was left out of one class is there again for the one that it was given for. */
static void test_swapped_and_back(void **state) {
    (void)state;
    const char *sets[] = {"applied.use=t_cut", "applied.value=0.25", "applied.use=t_apply"};
    struct hf_plan *p = plan_of(base, sets, 3);
    assert_string_equal(stage_of(p, "applied")->cls->name, "t_apply");
    assert_true(stage_of(p, "applied")->model >= 0);
    check_left_out(p, "applied", "value ");
    hf_plan_free(p);
    /* The same class again is no swap. */
    const char *same[] = {"applied.use=t_apply"};
    p = plan_of(base, same, 1);
    check_left_out(p, "applied", "");
    assert_true(stage_of(p, "applied")->model >= 0);
    hf_plan_free(p);
}

/* An inherited key goes by `~`, too. */
static void test_taken_away(void **state) {
    (void)state;
    const char *sets[] = {"applied.use=t_cut", "applied.field=image", "applied.model=~"};
    struct hf_plan *p = plan_of(base, sets, 3);
    check_swapped(p, "applied", "");
    hf_plan_free(p);
}

static void test_told(void **state) {
    (void)state;
    const char *sets[] = {"applied.use=t_cut", "applied.field=image", "device=cpu"};
    struct hf_error e;
    char *text = NULL, *again = NULL;
    struct hf_plan *p = plan_of(base, sets, 3);
    assert_int_equal(hf_plan_print(p, HF_PLAN_TEXT, &text, &e), HF_OK);
    assert_non_null(strstr(text, "  applied  t_cut from cases"));
    assert_non_null(strstr(text, "\n             without model: not of t_cut\n"));
    hf_free(text);
    assert_int_equal(hf_plan_print(p, HF_PLAN_JSON, &text, &e), HF_OK);
    cJSON *root = cJSON_Parse(text);
    const cJSON *s, *left = NULL;
    cJSON_ArrayForEach(s, cJSON_GetObjectItem(root, "stages")) {
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(s, "name")), "applied") == 0)
            left = cJSON_GetObjectItem(s, "left_out");
        else
            assert_null(cJSON_GetObjectItem(s, "left_out"));
    }
    assert_int_equal(cJSON_GetArraySize(left), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(left, 0)), "model");
    cJSON_Delete(root);
    hf_free(text);
    /* The resolved graph has no trace of it, and is one. */
    assert_int_equal(hf_plan_print(p, HF_PLAN_YAML, &text, &e), HF_OK);
    assert_null(strstr(text, "model"));
    hf_plan_free(p);
    p = plan_of(text, NULL, 0);
    assert_int_equal(hf_plan_print(p, HF_PLAN_YAML, &again, &e), HF_OK);
    check_left_out(p, "applied", "");
    hf_free(again);
    hf_free(text);
    hf_plan_free(p);
}

static void check_refused(const char *text, const char *const *sets, int count,
                          const char *expected) {
    struct hf_plan *plan = NULL;
    char *messages = NULL;
    assert_int_equal(check_text(text, sets, count, &plan, &messages), HF_INVALID);
    assert_non_null(messages);
    assert_non_null(strstr(messages, expected));
    hf_free(messages);
}

/* A mistake is one in either class, beside the new `use`, and above it. */
static void test_mistakes(void **state) {
    (void)state;
    const char *neither[] = {"applied.outptu=x", "applied.use=t_cut"};
    check_refused(base, neither, 2, "(t_cut) has no option 'outptu'; did you mean 'output'?");
    const char *beside[] = {"applied.use=t_cut", "applied.model=trained"};
    check_refused(base, beside, 2, "stage 'applied' (t_cut) takes no model");
    const char *missing[] = {"applied.use=t_apply2"};
    check_refused(base, missing, 1, "there is no stage 't_apply2' to use; did you mean");
    write_text("base.yaml", base, strlen(base));
    check_refused("include: base.yaml\nstages:\n  applied: {use: t_cut, vaule: 1}\n", NULL, 0,
                  "g.yaml:3:25: stage 'applied' (t_cut) has no option 'vaule'");
    const char *needs[] = {"cut.use=t_apply"};
    check_refused("stages:\n  cases: {use: t_load, dataset: x}\n"
                  "  cut: {use: t_cut, from: cases, field: image}\n"
                  "  save: {use: t_save, from: cut}\n",
                  needs, 1, "stage 'cut' (t_apply) needs 'model'");
    /* An option that both take is checked by the new one. */
    const char *both[] = {"applied.output=[1]", "applied.use=t_cut"};
    check_refused(base, both, 2, "'output' of stage 'applied' (t_cut) must be a text");
}

/* Of a class that is not here nobody knows what it took. */
static void test_former_class_unknown(void **state) {
    (void)state;
    const char *sets[] = {"applied.use=t_cut", "applied.field=image"};
    struct hf_plan *p = plan_of("stages:\n"
                                "  cases: {use: t_load, dataset: x}\n"
                                "  applied: {use: elsewhere, from: cases, output: found, odd: 3}\n"
                                "  save: {use: t_save, from: applied}\n",
                                sets, 2);
    check_swapped(p, "applied", "odd ");
    hf_plan_free(p);
}

/* `weights` is a key of mixes, and an option of some other classes. */
static void test_weights(void **state) {
    (void)state;
    char text[4200];
    const char *sets[] = {"difference.weights=uniform", "difference.use=absdiff"};
    (void)snprintf(text, sizeof text, "include: %s/graphs/quick.yaml\n", getenv("HEPAFLOW_SOURCE"));
    const char *wrong[] = {"difference.weights=even"};
    check_refused(text, wrong, 1, "'weights' of stage 'difference' (spot) must be one of gaussian");
    struct hf_plan *p = plan_of(text, sets, 1);
    check_left_out(p, "difference", "");
    hf_plan_free(p);
    p = plan_of(text, sets, 2);
    check_left_out(p, "difference", "model weights ");
    hf_plan_free(p);
    const char *mix[] = {"training.weights=[1, 2]"};
    p = plan_of(text, mix, 1);
    assert_true(stage_of(p, "training")->mix_weight[1] == 2);
    hf_plan_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swapped_by_a_layer),
        cmocka_unit_test(test_swapped_by_a_merge_key_and_like),
        cmocka_unit_test(test_swapped_and_back),
        cmocka_unit_test(test_taken_away),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_former_class_unknown),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, graph_setup, graph_teardown);
}
