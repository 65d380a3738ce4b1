/* test_program.c - the program hepaflow: exit statuses, and what goes to which stream. */
#include "graph_test.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cjson/cJSON.h>

/* Runs `hepaflow ARGS` with its streams into the files stdout.txt and stderr.txt; the exit status.
 */
static int hepaflow(const char *args) {
    char command[8192];
    const char *program = getenv("HEPAFLOW_PROGRAM");
    assert_non_null(program);
    (void)snprintf(command, sizeof command, "'%s' %s >stdout.txt 2>stderr.txt", program, args);
    int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool stream_has(const char *file, const char *text) {
    char *all = read_text(file);
    bool has = strstr(all, text) != NULL;
    free(all);
    return has;
}

static bool stream_empty(const char *file) {
    struct stat info;
    assert_int_equal(stat(file, &info), 0);
    return info.st_size == 0;
}

static int lines_of(const char *file) {
    char *all = read_text(file);
    int n = 0;
    for (const char *c = all; *c; c++)
        n += *c == '\n';
    free(all);
    return n;
}

static const char good[] = "name: good\n"
                           "stages:\n"
                           "  a: {use: t_load, dataset: x}\n"
                           "  s: {use: t_save, from: a}\n";

static void test_usage(void **state) {
    (void)state;
    assert_int_equal(hepaflow(""), 2);
    assert_true(stream_empty("stdout.txt") && stream_has("stderr.txt", "usage: hepaflow COMMAND"));
    assert_int_equal(hepaflow("help"), 0);
    assert_true(stream_empty("stderr.txt") && stream_has("stdout.txt", "usage: hepaflow COMMAND"));
    assert_int_equal(hepaflow("run --help"), 0);
    assert_true(stream_has("stdout.txt", "--workers N"));
    assert_int_equal(hepaflow("help plan"), 0);
    assert_true(stream_has("stdout.txt", "usage: hepaflow plan GRAPH"));
    static const struct {
        const char *args, *says;
    } bad[] = {
        {"rnu", "unknown command 'rnu'"},
        {"run", "run: GRAPH is missing"},
        {"plan a b", "'b' is one word too many"},
        {"plan a --jsn", "unknown option '--jsn'"},
        {"plan a --dot --json", "one of --dot, --json and --resolved"},
        {"plan a --json=1", "--json takes no value"},
        {"run a --set", "--set needs a value"},
        {"run a --workers many", "--workers takes a whole number from 0 on, not 'many'"},
        {"run a --workers -1", "--workers takes a whole number from 0 on, not '-1'"},
        {"run a --workers 5000", "--workers takes at most 1024"},
        {"phantom", "DIR is missing"},
        {"help bogus", "unknown command 'bogus'; there are run"},
        {"inspect unnet", "or device 'unnet'; did you mean 'unet'?"},
        {"version now", "'now' is one word too many"},
        {"inspect no_such_thing", "no module, stage, network or device 'no_such_thing'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(hepaflow(bad[i].args), 2);
        assert_true(stream_empty("stdout.txt"));
        if (!stream_has("stderr.txt", bad[i].says))
            fail_msg("hepaflow %s does not say: %s", bad[i].args, bad[i].says);
        assert_int_equal(lines_of("stderr.txt"), 1);
    }
}

static void test_plan(void **state) {
    (void)state;
    write_text("good.yaml", good, strlen(good));
    assert_int_equal(hepaflow("plan good.yaml"), 0);
    assert_true(stream_empty("stderr.txt") &&
                stream_has("stdout.txt", "good (good.yaml), seed 0, device auto"));
    assert_int_equal(hepaflow("plan good.yaml --set seed=4 --dot"), 0);
    assert_true(stream_has("stdout.txt", "digraph \"good\""));
    assert_int_equal(hepaflow("plan --set a.split=train --json good.yaml"), 0);
    char *text = read_text("stdout.txt");
    cJSON *o = cJSON_Parse(text);
    assert_non_null(o);
    const cJSON *a = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "stages"), 0);
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetObjectItem(a, "options"), "split")->valuestring, "train");
    cJSON_Delete(o);
    free(text);
    assert_int_equal(hepaflow("plan none.yaml"), 2);
    assert_true(stream_empty("stdout.txt") &&
                stream_has("stderr.txt", "cannot open the graph 'none.yaml'"));
    assert_int_equal(hepaflow("plan good.yaml --set a.splt=train"), 2);
    assert_true(stream_empty("stdout.txt"));
    assert_true(stream_has("stderr.txt",
                           "--set:1:3: stage 'a' (t_load) has no option 'splt'; did you mean"
                           " 'split'?\n    a.splt=train\n      ^~~~\n"));
    assert_int_equal(hepaflow("run good.yaml --device cpuu"), 2);
    assert_true(stream_has("stderr.txt", "hepaflow: --device: no module brings a device 'cpuu'"));
    assert_int_equal(hepaflow("run good.yaml --device quantum"), 2);
    assert_true(
        stream_has("stderr.txt", "no module brings a device 'quantum'; there are auto, cpu"));
    assert_int_equal(hepaflow("run good.yaml --set device=quantum"), 2);
    assert_true(stream_has("stderr.txt", "unknown device 'quantum'; there are auto, cpu"));
    assert_int_equal(hepaflow("run good.yaml --set device=gpu"), 2);
    assert_false(stream_has("stderr.txt", "'cpu'"));
    assert_true(stream_has("stderr.txt", "unknown device 'gpu'; there are auto, cpu") ||
                stream_has("stderr.txt", "unknown device 'gpu'; did you mean 'cuda'?"));
    /* Bytes that are no text do not reach the terminal. */
    static const char odd[] = "name: a\xff\x9b\xc2\x9b"
                              "31m \xc3\xa9\n";
    write_text("odd.yaml", odd, strlen(odd));
    assert_int_equal(hepaflow("plan odd.yaml"), 2);
    assert_true(stream_has("stderr.txt", "odd.yaml:1:8: this is not UTF-8 text"));
    assert_true(stream_has("stderr.txt", "    name: a????31m \xc3\xa9\n           ^"));
}

/* Before anything is trained, not when the stage's turn comes. */
static void test_precision(void **state) {
    (void)state;
    char args[4096];
    const char *graph = getenv("HEPAFLOW_SOURCE");
    (void)snprintf(args, sizeof args, "run '%s/graphs/quick.yaml' --device cpu --out precision",
                   graph);
    size_t used = strlen(args);
    (void)snprintf(args + used, sizeof args - used,
                   " --set segmenter.precision=bf16 --set predicted.precision=tf32");
    assert_int_equal(hepaflow(args), 2);
    assert_true(stream_has("stderr.txt",
                           "'precision' of stage 'segmenter' (train) is bf16, which the "
                           "device 'cpu' has not; expected one of auto, f32"));
    assert_true(stream_has("stderr.txt", "stage 'predicted' (segment) is tf32"));
    struct stat info;
    assert_int_equal(stat("precision", &info), -1);
}

static void test_inspect(void **state) {
    (void)state;
    assert_int_equal(hepaflow("inspect"), 0);
    assert_true(stream_has("stdout.txt", "stage t_load (source)"));
    assert_true(stream_has("stdout.txt", "network unet"));
    assert_true(stream_has("stdout.txt", "device cpu"));
    assert_int_equal(hepaflow("inspect t_cut"), 0);
    assert_true(stream_has("stdout.txt", "min_volume: real, 0 to 1000000 mm3, default 20 mm3\n"));
    assert_true(stream_has("stdout.txt", "reads score f32\n    writes pseudo u8\n"));
    assert_true(stream_has("stdout.txt", "reads image f32, liver u8, tumor u8 (if there)\n"));
    assert_int_equal(hepaflow("inspect --json"), 0);
    char *text = read_text("stdout.txt");
    cJSON *o = cJSON_Parse(text);
    assert_true(cJSON_IsArray(o) && cJSON_GetArraySize(o) > 3);
    cJSON_Delete(o);
    free(text);
    assert_int_equal(hepaflow("version"), 0);
    char line[64];
    (void)snprintf(line, sizeof line, "plugin interface %u\n", HF_ABI_VERSION);
    assert_true(stream_has("stdout.txt", line) && stream_has("stdout.txt", "device cpu: "));
    assert_false(stream_has("stdout.txt", "cpu: cpu"));
}

/* A folder of modules that is not there is told wherever modules are looked for. */
static void test_plugin_path(void **state) {
    (void)state;
    const char *set = getenv("HEPAFLOW_PLUGIN_PATH");
    char *before = strdup(set ? set : ""), paths[8192];
    assert_non_null(before);
    write_text("good.yaml", good, strlen(good));
    (void)snprintf(paths, sizeof paths, "/no/such/folder:%s:good.yaml", before);
    assert_int_equal(setenv("HEPAFLOW_PLUGIN_PATH", paths, 1), 0);
    static const char *const commands[] = {"plan good.yaml", "version", "inspect"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hepaflow(commands[i]), 0);
        assert_true(stream_has("stderr.txt",
                               "warning: HEPAFLOW_PLUGIN_PATH: no modules are read from "
                               "'/no/such/folder': No such file or directory; "
                               "'good.yaml': it is no folder\n"));
        assert_int_equal(lines_of("stderr.txt"), 1);
    }
    assert_int_equal(setenv("HEPAFLOW_PLUGIN_PATH", before, 1), 0);
    free(before);
}

static void test_run(void **state) {
    (void)state;
    assert_int_equal(hepaflow("phantom made --cases 2 --seed 3 --set made.test=0.5"), 0);
    assert_true(stream_empty("stderr.txt"));
    assert_int_equal(access("made/cases.csv", R_OK), 0);
    char args[4096];
    const char *source = getenv("HEPAFLOW_SOURCE");
    (void)snprintf(args, sizeof args,
                   "run %s/graphs/preprocess.yaml --set vars.data=made/cases.csv --json", source);
    assert_int_equal(hepaflow(args), 0);
    char *text = read_text("stdout.txt"), *rest = NULL;
    const char *event = "";
    int lines = 0;
    cJSON *o = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON_Delete(o);
        o = cJSON_Parse(line);
        assert_non_null(o);
        event = cJSON_GetObjectItem(o, "event")->valuestring;
        lines++;
    }
    assert_true(lines >= 3);
    assert_string_equal(event, "done");
    assert_string_equal(cJSON_GetObjectItem(o, "out")->valuestring, "out/preprocess");
    cJSON_Delete(o);
    free(text);
}

/* Of the shipped graphs the memory of every job is told, where there are cases to look at: those of
 * test_run. */
static void test_memory_is_told(void **state) {
    (void)state;
    static const char *const graphs[] = {"couinaudnet", "couinaudnet-3d", "couinaudnet-ttt",
                                         "geometry",    "preprocess",     "quick",
                                         "real",        "supervised",     "supervised-3d"};
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        char args[4096];
        (void)snprintf(args, sizeof args, "plan '%s/graphs/%s.yaml' --set vars.data=made/cases.csv",
                       getenv("HEPAFLOW_SOURCE"), graphs[i]);
        assert_int_equal(hepaflow(args), 0);
        assert_true(stream_has("stdout.txt", "Memory at most"));
        if (stream_has("stdout.txt", "unknown"))
            fail_msg("%s: %s", graphs[i], strstr(read_text("stdout.txt"), "Memory"));
    }
}

/* Where the sizes of slices come from files, a scan tells, and a run before it trains. */
static void test_sizes_of_files(void **state) {
    (void)state;
    static const char graph[] = "stages:\n"
                                "  cases: {use: load, dataset: sized/cases.csv}\n"
                                "  prepared: {use: prepare, from: cases, multiple: 1}\n"
                                "  model:\n"
                                "    use: train\n"
                                "    from: prepared\n"
                                "    network: {unet: {width: 1, levels: 7}}\n"
                                "    inputs: image\n"
                                "    target: tumor\n"
                                "    loss: bce\n";
    static const char says[] = "(set `size` in `prepare`, or `patch`): network layer \"down";
    assert_int_equal(hepaflow("phantom sized --cases 1"), 0);
    write_text("sized.yaml", graph, strlen(graph));
    assert_int_equal(hepaflow("plan sized.yaml"), 0);
    assert_true(stream_has("stdout.txt", "--scan tells"));
    assert_int_equal(hepaflow("plan sized.yaml --scan"), 1);
    assert_true(stream_has("stderr.txt", "stage 'model' (train): network 'unet' on slices of "));
    assert_true(stream_has("stderr.txt", says));
    assert_int_equal(hepaflow("run sized.yaml --out sized/out"), 1);
    assert_true(stream_has("stderr.txt", "stage 'model': network 'unet' on slices of "));
    assert_true(stream_has("stderr.txt", says));
    assert_true(stream_has("stderr.txt", "; along H, "));
    assert_int_not_equal(access("sized/out/model", F_OK), 0);
}

static void test_run_fails(void **state) {
    (void)state;
    char args[4096];
    (void)snprintf(args, sizeof args,
                   "run %s/graphs/preprocess.yaml --set vars.data=none.csv --out failed",
                   getenv("HEPAFLOW_SOURCE"));
    assert_int_equal(hepaflow(args), 1);
    assert_true(stream_has("stderr.txt", "none.csv"));
    assert_int_equal(lines_of("stderr.txt"), 1);
    assert_int_not_equal(access("failed/scores.json", F_OK), 0);
}

/* Ctrl-C in the middle: one line, and status 1. */
static void test_interrupt(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("stdout.txt", "w", stdout) || !freopen("stderr.txt", "w", stderr))
            _exit(99);
        const char *program = getenv("HEPAFLOW_PROGRAM");
        (void)execl(program, program, "phantom", "long", "--cases", "900", (char *)NULL);
        _exit(98);
    }
    for (int i = 0;
         i < 3000 && (access("stdout.txt", F_OK) != 0 || !stream_has("stdout.txt", " begins")); i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(kill(child, SIGINT), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    char *err = read_text("stderr.txt");
    assert_string_equal(err, "canceled\n");
    free(err);
    assert_int_not_equal(access("long/cases.csv", F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_run_fails),
        cmocka_unit_test(test_sizes_of_files),
        cmocka_unit_test(test_memory_is_told),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_plugin_path),
    };
    return cmocka_run_group_tests(tests, graph_setup, graph_teardown);
}
