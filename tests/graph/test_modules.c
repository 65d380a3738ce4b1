/* test_modules.c - the plugin host: what is found, what is refused, what replaces what. */
#include "graph_test.h"

#include "modules.h"

static char build[2048];

static struct hf_engine *engine_with(const char *first, const char *second) {
    char paths[3 * 2048 + 64];
    (void)snprintf(paths, sizeof paths, "%s/tests/graph/%s:%s/tests/graph/%s", build, first, build,
                   second);
    assert_int_equal(setenv("HEPAFLOW_PLUGIN_PATH", paths, 1), 0);
    struct hf_engine *engine = NULL;
    struct hf_error e;
    assert_int_equal(hf_engine_open(&engine, &e), HF_OK);
    return engine;
}

static void test_refused(void **state) {
    (void)state;
    struct hf_engine *engine = engine_with("modules", "abi");
    char expected[8192], *messages = NULL;
    struct hf_plan *plan = NULL;
    const char *text = "stages:\n  a: {use: t_old}\n  b: {use: t_short}\n";
    write_text("g.yaml", text, strlen(text));
    assert_int_equal(hf_plan_load(engine, "g.yaml", NULL, 0, &plan, &messages), HF_INVALID);
    (void)snprintf(expected, sizeof expected,
                   "g.yaml:2:12: module '%s/tests/graph/abi/t_old.so' speaks plugin interface 7, "
                   "this hepaflow speaks %u: rebuild it\n"
                   "      a: {use: t_old}\n"
                   "               ^~~~~\n"
                   "g.yaml:3:12: module '%s/tests/graph/abi/t_short.so' has a descriptor of 16 "
                   "bytes, not %zu: rebuild it\n"
                   "      b: {use: t_short}\n"
                   "               ^~~~~~~\n",
                   build, HF_ABI_VERSION, build, sizeof(struct hf_plugin));
    assert_string_equal(messages, expected);
    hf_free(messages);
    hf_engine_close(engine);
}

/* A class without a method that the engine calls is no crash, but a line about the module. */
static void test_missing_methods(void **state) {
    (void)state;
    static const struct {
        const char *module, *what, *lacks;
    } all[] = {
        {"t_no_declare", "stage", "declare"},    {"t_no_count", "stage", "count"},
        {"t_no_open", "stage", "open"},          {"t_no_process", "stage", "process"},
        {"t_no_interleave", "stage", "process"}, {"t_no_run", "stage", "run"},
        {"t_no_yield", "stage", "run"},          {"t_no_build", "network", "build"},
        {"t_no_device", "device", "open"},
    };
    struct hf_engine *engine = engine_with("modules", "abi");
    engine_open_all(engine);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char expected[4096];
        (void)snprintf(expected, sizeof expected,
                       "module '%s/tests/graph/abi/%s.so' is faulty: its %s 't_lacking' has no "
                       "'%s', which it must have",
                       build, all[i].module, all[i].what, all[i].lacks);
        const char *said = engine_refusal(engine, all[i].module);
        assert_non_null(said);
        assert_string_equal(said, expected);
    }
    assert_null(engine_stage(engine, "t_lacking", NULL));
    assert_null(engine_network(engine, "t_lacking"));
    assert_null(engine_device(engine, "t_lacking"));
    hf_engine_close(engine);
}

static void test_small_tables(void **state) {
    (void)state;
    struct hf_error e;
    char expected[256];
    struct hf_engine *engine = engine_with("modules", "modules");
    const struct hf_device_class *cls = engine_device(engine, "t_small");
    const struct hf_device_options options = {.host = engine->host};
    struct hf_device *d = NULL;
    assert_non_null(cls);
    assert_int_equal(engine_device_open(cls, &options, &d, &e), HF_ABI);
    assert_null(d);
    (void)snprintf(expected, sizeof expected,
                   "the module of the device 't_small' has a table of methods of %zu bytes, not "
                   "%zu: rebuild it",
                   offsetof(struct hf_device_methods, describe), sizeof(struct hf_device_methods));
    assert_string_equal(e.text, expected);
    hf_engine_close(engine);
}

static void test_not_a_module(void **state) {
    (void)state;
    struct hf_error e;
    assert_int_equal(system("mkdir -p broken"), 0);
    write_text("broken/t_text.so", "no module", 9);
    char here[2048];
    assert_non_null(getcwd(here, sizeof here));
    (void)strcat(here, "/broken");
    assert_int_equal(setenv("HEPAFLOW_PLUGIN_PATH", here, 1), 0);
    struct hf_engine *engine = NULL;
    assert_int_equal(hf_engine_open(&engine, &e), HF_OK);
    assert_null(engine_stage(engine, "t_text", NULL));
    assert_non_null(strstr(engine_refusal(engine, "t_text"), "broken/t_text.so' does not load: "));
    hf_engine_close(engine);
}

static void test_later_replaces(void **state) {
    (void)state;
    struct hf_engine *engine = engine_with("modules", "over");
    const struct module *m = NULL;
    assert_non_null(engine_stage(engine, "t_only_here", &m));
    assert_non_null(strstr(m->path, "/over/fake.so"));
    assert_null(engine_stage(engine, "t_load", NULL));
    hf_engine_close(engine);
    engine = engine_with("over", "modules");
    assert_null(engine_stage(engine, "t_only_here", NULL));
    assert_non_null(engine_stage(engine, "t_load", NULL));
    hf_engine_close(engine);
}

static void test_build_tree(void **state) {
    (void)state;
    assert_int_equal(unsetenv("HEPAFLOW_PLUGIN_PATH"), 0);
    struct hf_engine *engine = NULL;
    struct hf_error e;
    assert_int_equal(hf_engine_open(&engine, &e), HF_OK);
    const struct module *m = NULL;
    assert_non_null(engine_stage(engine, "load", &m));
    assert_non_null(strstr(m->dir, "/stages/load"));
    assert_non_null(engine_network(engine, "unet"));
    assert_non_null(engine_op(engine, "blur", HF_KIND_CPU));
    assert_null(engine_op(engine, "blur", HF_KIND_MOCK));
    assert_non_null(engine_device(engine, "cpu"));
    assert_null(engine_stage(engine, "t_load", NULL));
    hf_engine_close(engine);
}

/* A module is opened when it is asked for, and not before. */
static void test_opened_when_needed(void **state) {
    (void)state;
    struct hf_engine *engine = engine_with("modules", "modules");
    for (int i = 0; i < engine->modules; i++)
        assert_null(engine->module[i].handle);
    assert_non_null(engine_stage(engine, "load", NULL));
    int open = 0;
    for (int i = 0; i < engine->modules; i++)
        open += engine->module[i].handle != NULL;
    assert_int_equal(open, 1);
    hf_engine_close(engine);
}

static const struct module *module_of(const struct hf_engine *engine, const char *name) {
    for (int i = 0; i < engine->modules; i++)
        if (strcmp(engine->module[i].name, name) == 0)
            return &engine->module[i];
    fail_msg("no module '%s'", name);
    return NULL;
}

/* A companion is opened for an op of a device of its name, and for nothing else. */
static void test_companions(void **state) {
    (void)state;
    struct hf_engine *engine = engine_with("modules", "abi");
    const struct module *half = module_of(engine, "t_half.t_bare");
    assert_string_equal(half->device, "t_bare");
    engine_open_all(engine);
    assert_null(engine_stage(engine, "t_half", NULL));
    assert_null(engine_op(engine, "t_half.work", HF_KIND_CPU));
    assert_false(half->tried);
    const struct hf_op *op = engine_op(engine, "t_half.work", HF_KIND_MOCK);
    assert_non_null(op);
    assert_true(half->plugin && !module_of(engine, "t_old.t_bare")->tried);
    /* Where it does not load it is named. */
    assert_null(engine_op(engine, "t_old.work", HF_KIND_MOCK));
    assert_null(engine_op_refusal(engine, "t_half.work", "t_bare"));
    assert_non_null(strstr(engine_op_refusal(engine, "t_old.work", "t_bare"),
                           "/t_old.t_bare.so' speaks plugin interface 7"));
    assert_null(engine_op(engine, "t_more.work", HF_KIND_MOCK));
    assert_non_null(strstr(engine_op_refusal(engine, "t_more.work", "t_bare"),
                           "/t_more.t_bare.so' is faulty: with a dot in its name it can bring ops "
                           "alone, those of a module for the device 't_bare'"));
    hf_engine_close(engine);
    /* Without the device nobody asks for them. */
    engine = engine_with("abi", "abi");
    assert_null(engine_op(engine, "t_half.work", HF_KIND_MOCK));
    assert_false(module_of(engine, "t_half.t_bare")->tried);
    hf_engine_close(engine);
}

static int setup(void **state) {
    (void)snprintf(build, sizeof build, "%s", getenv("HEPAFLOW_BUILD"));
    return graph_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_missing_methods),
        cmocka_unit_test(test_small_tables),
        cmocka_unit_test(test_not_a_module),
        cmocka_unit_test(test_later_replaces),
        cmocka_unit_test(test_build_tree),
        cmocka_unit_test(test_opened_when_needed),
        cmocka_unit_test(test_companions),
    };
    return cmocka_run_group_tests(tests, setup, graph_teardown);
}
