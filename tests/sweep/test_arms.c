/* test_arms.c - what axes and a `sweep:` block come to, and what is said of those that are wrong.
 */
#include "sweep_test.h"

#include "sweep/sweep.h"

static struct sweep *sweep_of(const char *text, const struct sweep_options *o) {
    struct sweep *sw = NULL;
    char *messages = NULL;
    write_text("g.yaml", text);
    if (sweep_load("g.yaml", o, &sw, &messages) != HF_OK)
        fail_msg("%s", messages);
    assert_null(messages);
    return sw;
}

static void refused(const char *text, const struct sweep_options *o, const char *expected) {
    struct sweep *sw = NULL;
    char *messages = NULL;
    write_text("g.yaml", text);
    assert_int_equal(sweep_load("g.yaml", o, &sw, &messages), HF_INVALID);
    if (!messages || !strstr(messages, expected))
        fail_msg("'%s' is not in: %s", expected, messages);
    free(messages);
}

/* An arm's name and its settings, with '|' behind each. */
static void arm_is(const struct sweep *sw, int arm, const char *name, const char *expected) {
    char sets[1024] = "";
    size_t n = 0;
    assert_in_range(arm, 0, sw->arms - 1);
    assert_string_equal(sw->arm[arm].name, name);
    for (int i = 0; i < sw->arm[arm].sets; i++)
        n += (size_t)snprintf(sets + n, sizeof sets - n, "%s|", sw->arm[arm].set[i]);
    assert_string_equal(sets, expected);
}

static const char graph[] = "name: g\nseed: 5\nvars: {low: 0.25}\nstages: {a: {use: load}}\n";

static void test_axes(void **state) {
    (void)state;
    const char *const axis[] = {"cut.value=0.3,0.5,0.7", "spot.use=spot,absdiff"};
    struct sweep *sw = sweep_of(graph, &(struct sweep_options){.axis = axis, .axes = 2});
    assert_string_equal(sw->graph, "g");
    assert_int_equal(sw->arms, 6);
    assert_int_equal(sw->axes, 2);
    assert_int_equal(sw->baseline, 0);
    assert_true(sw->seeds == 1 && sw->seed[0] == 5);
    assert_string_equal(sw->axis[0].value[2], "0.7");
    arm_is(sw, 0, "value=0.3,use=spot", "cut.value=0.3|spot.use=spot|");
    arm_is(sw, 1, "value=0.3,use=absdiff", "cut.value=0.3|spot.use=absdiff|");
    arm_is(sw, 5, "value=0.7,use=absdiff", "cut.value=0.7|spot.use=absdiff|");
    sweep_free(sw);
}

/* Values are YAML: lists, maps, texts with units; names stay apart and are fit for folders. */
static void test_values(void **state) {
    (void)state;
    const char *const axis[] = {"a.gate=liver,[liver, segments],~", "b.gate={x: 1},2 mm,2-mm"};
    struct sweep *sw = sweep_of(
        graph,
        &(struct sweep_options){.axis = axis, .axes = 2, .baseline = "a.gate=none,b.gate=2-mm"});
    assert_int_equal(sw->arms, 9);
    arm_is(sw, 0, "a.gate=liver,b.gate=x+1", "a.gate=liver|b.gate={x: 1}|");
    arm_is(sw, 4, "a.gate=liver+segments,b.gate=2+mm", "a.gate=[liver, segments]|b.gate=\"2 mm\"|");
    arm_is(sw, 8, "a.gate=none,b.gate=2-mm", "a.gate=~|b.gate=2-mm|");
    assert_int_equal(sw->baseline, 8);
    sweep_free(sw);
    const char *const same[] = {"a.x=[1],1"};
    sw = sweep_of(graph, &(struct sweep_options){.axis = same, .axes = 1});
    arm_is(sw, 0, "x=1", "a.x=[1]|");
    arm_is(sw, 1, "x=1-2", "a.x=1|");
    sweep_free(sw);
}

static void test_block(void **state) {
    (void)state;
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "%ssweep:\n"
                   "  axes: {cut.value: [\"${low}\", 0.5]}\n"
                   "  seeds: 3\n"
                   "  baseline: plain\n"
                   "  arms:\n"
                   "    plain: {}\n"
                   "    other: {spot: {use: absdiff, model: ~}, cut.gate: liver, "
                   "net.network: {unet: {width: 8}}}\n",
                   graph);
    struct sweep *sw = sweep_of(text, &(struct sweep_options){0});
    assert_int_equal(sw->arms, 4);
    arm_is(sw, 0, "value=0.25", "cut.value=\"0.25\"|");
    arm_is(sw, 2, "plain", "");
    arm_is(sw, 3, "other",
           "spot.use=absdiff|spot.model=~|cut.gate=liver|net.network={unet: {width: 8}}|");
    assert_int_equal(sw->baseline, 2);
    assert_true(sw->seeds == 3 && sw->seed[2] == 7);
    sweep_free(sw);
    /* The command line counts last; --set reaches vars and seed. */
    const char *const set[] = {"vars.low=0.1", "seed=40"}, *const axis[] = {"cut.min=1,2"};
    sw = sweep_of(text, &(struct sweep_options){.set = set,
                                                .sets = 2,
                                                .axis = axis,
                                                .axes = 1,
                                                .seeds = 2,
                                                .baseline = "value=0.1,min=2"});
    assert_int_equal(sw->arms, 6);
    arm_is(sw, 1, "value=0.1,min=2", "cut.value=\"0.1\"|cut.min=2|");
    assert_int_equal(sw->baseline, 1);
    assert_true(sw->seeds == 2 && sw->seed[0] == 40 && sw->seed[1] == 41);
    sweep_free(sw);
    (void)snprintf(text, sizeof text, "%ssweep: {seeds: [9, 3]}\n", graph);
    sw = sweep_of(text, &(struct sweep_options){0});
    assert_true(sw->arms == 1 && sw->seeds == 2 && sw->seed[0] == 9 && sw->seed[1] == 3);
    sweep_free(sw);
}

static void test_wrong(void **state) {
    (void)state;
    static const struct {
        const char *block, *says;
    } bad[] = {
        {"", "there is nothing to sweep"},
        {"sweep: [a]\n", "g.yaml:5:8: 'sweep' takes a map with axes"},
        {"sweep: {axis: {a.b: [1]}}\n", "'sweep' has no key 'axis'; did you mean 'axes'?"},
        {"sweep: {axes: {a.b: 1}}\n",
         "g.yaml:5:21: the axis 'a.b' needs a list of values, not '1'"},
        {"sweep: {axes: {a.b: []}}\n", "needs a list of values, not an empty one"},
        {"sweep: {axes: {seed: [1, 2]}}\n", "g.yaml:5:16: an axis is an option of a stage"},
        {"sweep: {axes: [a]}\n", "'axes' takes a map of stage.option: [values], not a list"},
        {"sweep: {arms: {x: 3}}\n", "the arm 'x' takes a map of stage.option: value, not '3'"},
        {"sweep: {arms: {a/b: {}}}\n", "an arm's name is one of a folder"},
        {"sweep: {arms: {.x: {}}}\n", "not '.x'"},
        {"sweep: {axes: {a.b: [1]}, arms: {b=1: {}}}\n", "there are two arms 'b=1'"},
        {"sweep: {arms: {x: {}}, baseline: y}\n", "'baseline' names no arm: 'y'"},
        {"sweep: {arms: {x: {}}, seeds: 0}\n", "'seeds' must be a whole number from 1 to 1000"},
        {"sweep: {arms: {x: {}}, seeds: [3, 3]}\n", "g.yaml:5:35: there are two seeds 3"},
        {"sweep: {axes: {a.b: [\"${lw}\"]}}\n", "unknown var 'lw'; did you mean 'low'?"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%s%s", graph, bad[i].block);
        refused(text, &(struct sweep_options){0}, bad[i].says);
    }
    static const struct {
        const char *axis, *says;
    } axes[] = {
        {"a.b", "--axis takes stage.option=a,b,c, not 'a.b'"},
        {"a.b=", "--axis takes stage.option=a,b,c, not 'a.b='"},
        {"=1", "--axis takes stage.option=a,b,c"},
        {"b=1,2", "--axis:1:1: an axis is an option of a stage, as pseudo.value, not 'b'"},
        {"a.b=1,[2", "--axis:1:"},
    };
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++)
        refused(graph, &(struct sweep_options){.axis = &axes[i].axis, .axes = 1}, axes[i].says);
    const char *const twice[] = {"a.b=1", "a.b=2"};
    refused(graph, &(struct sweep_options){.axis = twice, .axes = 2}, "there are two axes 'a.b'");
    refused(graph, &(struct sweep_options){.axis = twice, .axes = 1, .baseline = "b=2"},
            "--baseline names no arm: 'b=2'; did you mean 'b=1'?; there are b=1");
    const char many[] = "a.b=1,2,3,4,5,6,7,8,9,10,11,12";
    const char *const grid[] = {many, "a.c=1,2,3,4,5,6,7,8,9,10,11,12",
                                "a.d=1,2,3,4,5,6,7,8,9,10,11,12"};
    refused(graph, &(struct sweep_options){.axis = grid, .axes = 3},
            "the axes come to more than 1000 arms");
}

static void test_too_many(void **state) {
    (void)state;
    enum {
        ARMS = 1001
    };
    static char text[ARMS * 32 + 128];
    size_t n = (size_t)snprintf(text, sizeof text, "%ssweep:\n  seeds: 1000\n  arms:\n", graph);
    for (int i = 0; i < ARMS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "    arm-%d: {cut.value: %d}\n", i, i);
    refused(text, &(struct sweep_options){0},
            "the sweep comes to 1001 arms; it takes at most 1000");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axes),  cmocka_unit_test(test_values),   cmocka_unit_test(test_block),
        cmocka_unit_test(test_wrong), cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
