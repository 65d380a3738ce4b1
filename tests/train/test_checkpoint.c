/*
 * test_checkpoint.c - a model from its file: what it publishes, and what a graph is told of it
 * before anything runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../harness.h"

struct options {
    const char *file;
};

static void write_file(struct harness *h, const char *name, const void *bytes, size_t size) {
    char path[512];
    struct hf_error e;
    (void)snprintf(path, sizeof path, "%s/%s", harness_folder(h), name);
    assert_int_equal(harness_host(h)->write_file(path, bytes, size, &e), HF_OK);
}

/* A network of one convolution, as model.safetensors in the test's folder. */
static void write_model(struct harness *h, char path[512]) {
    const struct hf_host *host = harness_host(h);
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .name = "line",
                            .inputs = 1,
                            .channels = 1,
                            .kernel = {1, 1, 1},
                            .bias = 1};
    struct hf_model_info info = {.stage = "teacher",
                                 .network = "line",
                                 .inputs = {2, {"image", "couinaud"}},
                                 .input_channels = 2,
                                 .target = "lesion",
                                 .output_channels = 1,
                                 .activation = "sigmoid",
                                 .dims = 2,
                                 .patch = {1, 24, 40}};
    const float params[3] = {0.25f, -3, 7};
    struct hf_net *net = NULL;
    struct hf_model *m = NULL;
    struct hf_error e;
    int32_t index = 0;
    assert_int_equal(host->net_new(2, 2, &net, &e), HF_OK);
    assert_int_equal(host->net_add(net, &conv, &index, &e), HF_OK);
    assert_int_equal(host->model_new(&info, net, params, &m, &e), HF_OK);
    (void)snprintf(path, 512, "%s/model.safetensors", harness_folder(h));
    assert_int_equal(host->model_save(m, NULL, path, &e), HF_OK);
    host->model_unref(m);
    host->net_free(net);
}

static void the_model_is_published(void **state) {
    (void)state;
    struct harness *h = harness_open();
    char path[512];
    struct options o = {path};
    struct hf_error e;
    write_model(h, path);
    (void)harness_load(h, "stages/checkpoint/checkpoint");
    struct hf_stage *s = harness_stage(h, harness_class(h, "checkpoint"), &o, "segmenter");
    assert_int_equal(harness_run(s, NULL, 0, &e), HF_OK);
    const struct hf_model *m = harness_model(h);
    assert_non_null(m);
    assert_int_equal(m->param_count, 3);
    assert_true(m->params[0] == 0.25f && m->params[1] == -3 && m->params[2] == 7);
    assert_string_equal(m->info.stage, "teacher");
    assert_int_equal(m->info.patch[2], 40);
    harness_stage_free(s);

    o.file = "/nowhere/model.safetensors";
    s = harness_stage(h, harness_class(h, "checkpoint"), &o, "segmenter");
    assert_int_not_equal(harness_run(s, NULL, 0, &e), HF_OK);
    assert_non_null(strstr(e.text, "/nowhere/model.safetensors: cannot be opened"));
    harness_stage_free(s);
    harness_close(h);
}

/* `hepaflow plan` of a graph that applies the model in `file`: its exit status; what it wrote. */
static int plan(struct harness *h, const char *file, char *ret, size_t size) {
    static const char graph[] = "stages:\n"
                                "  old: {use: checkpoint, file: %s}\n"
                                "  cases: {use: load, dataset: cases.csv, require: liver}\n"
                                "  ready: {use: prepare, from: cases}\n"
                                "  predicted: {use: segment, from: ready, model: old}\n"
                                "  masks: {use: save, from: predicted, fields: predicted}\n";
    char text[1024], command[2048];
    int n = snprintf(text, sizeof text, graph, file);
    write_file(h, "g.yaml", text, (size_t)n);
    (void)snprintf(command, sizeof command, "cd '%s' && '%s' plan g.yaml --device cpu 2>&1",
                   harness_folder(h), getenv("HEPAFLOW_PROGRAM"));
    FILE *p = popen(command, "r");
    assert_non_null(p);
    size_t got = fread(ret, 1, size - 1, p);
    ret[got] = 0;
    return WEXITSTATUS(pclose(p));
}

static void expect(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
}

static void a_graph_is_told_before_it_runs(void **state) {
    (void)state;
    struct harness *h = harness_open();
    char path[512], text[16384], bytes[4096];
    write_model(h, path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);

    assert_int_equal(plan(h, "model.safetensors", text, sizeof text), 0);
    expect(text, "old learns 'lesion' from [image, couinaud] with line");
    expect(text, "before this graph, as its stage 'teacher'");

    write_file(h, "cut.safetensors", bytes, size - 4);
    assert_int_equal(plan(h, "cut.safetensors", text, sizeof text), 2);
    expect(text,
           "g.yaml:2:32: stage 'old' (checkpoint): option 'file': cut.safetensors: it holds 8 "
           "bytes of parameters, its network has 12");
    assert_int_equal(plan(h, "missing.safetensors", text, sizeof text), 2);
    expect(text, "option 'file': missing.safetensors: cannot be opened");

    char *name = NULL;
    memcpy(text, bytes, size);
    for (size_t i = 8; !name && i + 8 < size; i++)
        name = memcmp(text + i, "couinaud", 8) == 0 ? text + i : NULL;
    assert_non_null(name);
    memcpy(name, "another_", 8);
    write_file(h, "other.safetensors", text, size);
    assert_int_equal(plan(h, "other.safetensors", text, sizeof text), 2);
    expect(text, "model 'old' was trained on [image, another_]; 'another_' is not on");
    harness_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_is_published),
        cmocka_unit_test(a_graph_is_told_before_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
