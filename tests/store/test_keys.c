/*
 * test_keys.c - a key changes with each thing that a result depends on, and with nothing else.
 */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/run.h"
#include "store/store.h"

static struct hf_engine *engine;

static int setup(void **state) {
    struct hf_error e;
    (void)state;
    return hf_engine_open(&engine, &e) == HF_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    hf_engine_close(engine);
    return 0;
}

static int stage_of(const struct hf_plan *plan, const char *name) {
    for (int i = 0; i < plan->stages; i++)
        if (strcmp(plan->stage[i].name, name) == 0)
            return i;
    fail_msg("no stage %s", name);
    return -1;
}

static struct hf_plan *plan_with(const char *const *sets, int count) {
    const char *all[8] = {"vars.data=/dev/null"};
    char path[4096], *messages = NULL;
    struct hf_plan *plan = NULL;
    for (int i = 0; i < count; i++)
        all[i + 1] = sets[i];
    (void)snprintf(path, sizeof path, "%s/tests/store/small.yaml", getenv("HEPAFLOW_SOURCE"));
    if (hf_plan_load(engine, path, all, count + 1, &plan, &messages) != HF_OK)
        fail_msg("%s", messages);
    hf_free(messages);
    return plan;
}

/* The scope of a run on this machine. */
static struct key_scope scope_of(const struct hf_plan *plan, struct inputs *inputs) {
    return (struct key_scope){.engine = engine,
                              .plan = plan,
                              .seed = plan->seed,
                              .cpu = "cpu: one",
                              .device = "cpu: one",
                              .cpu_name = "cpu",
                              .on_name = "cpu",
                              .cpu_ops = HF_KIND_CPU,
                              .on_ops = HF_KIND_CPU,
                              .inputs = inputs};
}

static void terms_with(const struct key_scope *scope, const char *stage, struct terms *ret) {
    struct keys *k = NULL;
    struct hf_error e = {0};
    if (keys_new(scope, &k, &e) != HF_OK)
        fail_msg("%s", e.text);
    assert_int_equal(keys_finish(scope->plan, k, &e), HF_OK);
    int at = stage_of(scope->plan, stage);
    struct terms lent;
    assert_int_equal(keys_terms(scope->plan, k, at, &lent, &e), HF_OK);
    struct digest key;
    assert_true(terms_key(&lent, &key));
    assert_true(digest_same(key, k->key[at]));
    *ret = (struct terms){0}; /* of its own, since the keys go */
    for (int i = 0; i < lent.count; i++)
        terms_add(ret, lent.term[i].kind, lent.term[i].name, lent.term[i].value, lent.term[i].note);
    terms_clear(&lent);
    keys_free(k);
}

static void terms_of(const char *const *sets, int count, const char *stage, struct terms *ret) {
    struct hf_plan *plan = plan_with(sets, count);
    struct inputs *inputs = inputs_new(NULL);
    struct key_scope scope = scope_of(plan, inputs);
    terms_with(&scope, stage, ret);
    inputs_free(inputs);
    hf_plan_free(plan);
}

static const struct {
    const char *set, *stage; /* the key of this stage */
    const char *says;        /* what differs; NULL: the key stays */
} cases[] = {
    /* every kind of option, its own and upstream of it, and past a model */
    {"pseudo.value=0.3", "masks", "pseudo.value 0.2 -> 0.3"},
    {"pseudo.value=0.3", "finder", "pseudo.value 0.2 -> 0.3"},
    {"pseudo.value=0.3", "filler", NULL},
    {"pseudo.value=0.3", "removed", NULL},
    {"filler.steps=7", "masks", "filler.steps 6 -> 7"},
    {"filler.network.unet.width=8", "filler", "filler.network.width 4 -> 8"},
    {"filler.loss={l1: 1, bce: 0.5}", "filler", "filler.loss [l1: 1] -> [l1: 1, bce: 0.5]"},
    {"filler.loss={l1: 1}", "filler", NULL},
    {"filler.inputs=[hole, masked]", "filler", "filler.inputs [masked, hole] -> [hole, masked]"},
    {"filler.nesterov=no", "filler", "filler.nesterov yes -> no"},
    {"filler.optimizer=sgd", "filler", "filler.optimizer adam -> sgd"},
    {"filler.weight=hole", "filler", "filler.weight 'hole_weight' -> 'hole'"},
    {"filler.rate=1e-3", "filler", NULL}, /* the default */
    {"prepared.window=[-150 HU, 151]", "masks", "prepared.window [-150, 150] -> [-150, 151]"},
    {"pseudo.min_volume=0.03 ml", "masks", "pseudo.min_volume 20 -> 30"},
    /* what a stage takes, and how the engine treats it */
    {"pseudo.on_error=skip", "masks", "pseudo.on_error retry(0), skip is new"},
    {"seed=4", "filler", "seed 3 -> 4"},
    /* what changes no result */
    {"pseudo.replicas=1", "masks", NULL},
    {"pseudo.depth=7", "masks", NULL},
    {"prepared.hold=1 MB", "masks", NULL},
    {"hold=10 MB", "masks", NULL},
    {"jobs=3", "masks", NULL},
    {"name=other", "masks", NULL},
    {"store=no", "masks", NULL},
    {"pictures.cases=3", "masks", NULL}, /* another end of the same job */
    {"masks.grid=sample", "scores", NULL},
};

static void check_case(const char *set, const char *stage, const char *says) {
    struct terms before, now;
    char text[512] = "";
    terms_of(NULL, 0, stage, &before);
    terms_of(&set, 1, stage, &now);
    bool differs = terms_difference(&before, &now, text, sizeof text);
    struct digest a, b;
    assert_true(terms_key(&before, &a) && terms_key(&now, &b));
    assert_int_equal(digest_same(a, b), !differs);
    if (!says && differs)
        fail_msg("%s: '%s' differs for %s", set, text, stage);
    if (says && strcmp(text, says) != 0)
        fail_msg("%s: '%s', expected '%s'", set, text, says);
    terms_clear(&before);
    terms_clear(&now);
}

static void terms_are_those_that_count(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(cases[i].set, cases[i].stage, cases[i].says);
}

/* ---- what the machine brings ---- */

static void check_scope(void (*change)(struct key_scope *s), const char *says) {
    struct hf_plan *plan = plan_with(NULL, 0);
    struct inputs *inputs = inputs_new(NULL);
    struct key_scope scope = scope_of(plan, inputs);
    struct terms before, now;
    char text[512] = "";
    terms_with(&scope, "filler", &before);
    change(&scope);
    terms_with(&scope, "filler", &now);
    assert_true(terms_difference(&before, &now, text, sizeof text));
    assert_string_equal(text, says);
    terms_clear(&before);
    terms_clear(&now);
    inputs_free(inputs);
    hf_plan_free(plan);
}

static void other_machine(struct key_scope *s) {
    s->cpu = s->device = "cpu: two";
}

static void other_seed(struct key_scope *s) {
    s->seed = 77;
}

static void devices_and_seeds_count(void **state) {
    (void)state;
    check_scope(other_machine, "cases.device cpu: one -> cpu: two");
    check_scope(other_seed, "seed 3 -> 77");
}

/* ---- files ---- */

static void write_text(const char *path, const char *text) {
    struct hf_error e;
    assert_int_equal(file_write(path, text, strlen(text), &e), HF_OK);
}

static void a_rebuilt_plugin_counts(void **state) {
    (void)state;
    char folder[] = "/tmp/hepaflow-keys-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/threshold.so", folder);
    struct hf_plan *plan = plan_with(NULL, 0);
    struct plan_stage *ps = &plan->stage[stage_of(plan, "pseudo")];
    struct module copy = *ps->module;
    struct terms before, now;
    char text[512];
    copy.path = path;
    ps->module = &copy;
    for (int i = 0; i < 2; i++) {
        struct inputs *inputs = inputs_new(NULL);
        struct key_scope scope = scope_of(plan, inputs);
        write_text(path, i ? "rebuilt" : "built");
        assert_int_equal(stat(path, &copy.loaded), 0);
        terms_with(&scope, "masks", i ? &now : &before);
        inputs_free(inputs);
    }
    assert_true(terms_difference(&before, &now, text, sizeof text));
    assert_string_equal(text, "plugin threshold rebuilt");
    terms_clear(&before);
    terms_clear(&now);
    hf_plan_free(plan);
    (void)unlink(path);
    (void)rmdir(folder);
}

/* The code that works is that of before, which the file can no longer tell. */
static void a_plugin_replaced_after_it_was_loaded_has_no_key(void **state) {
    (void)state;
    char path[] = "/tmp/hepaflow-keys-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    struct hf_plan *plan = plan_with(NULL, 0);
    struct plan_stage *ps = &plan->stage[stage_of(plan, "pseudo")];
    struct module copy = *ps->module;
    struct inputs *inputs = inputs_new(NULL);
    const struct key_scope scope = scope_of(plan, inputs);
    struct keys *k = NULL;
    struct hf_error e;
    copy.path = path;
    ps->module = &copy;
    assert_int_equal(stat(path, &copy.loaded), 0);
    write_text(path, "rebuilt");
    assert_int_equal(keys_new(&scope, &k, &e), HF_IO);
    assert_non_null(strstr(e.text, "it changed after it was loaded"));
    inputs_free(inputs);
    hf_plan_free(plan);
    (void)unlink(path);
}

/* A checkpoint of several files; the graph's own `vars.data` is a source's, which counts by what it
 * reads. */
static void folders_count_with_their_content(void **state) {
    (void)state;
    char folder[] = "/tmp/hepaflow-keys-XXXXXX", below[64], path[2][80], text[512];
    struct terms terms[3];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(below, sizeof below, "%s/fold", folder);
    assert_int_equal(mkdir(below, 0700), 0);
    (void)snprintf(path[0], sizeof path[0], "%s/weights", below);
    (void)snprintf(path[1], sizeof path[1], "%s/plans", folder);
    write_text(path[0], "a");
    write_text(path[1], "a");
    struct hf_plan *plan = plan_with(NULL, 0);
    struct plan_stage *ps = &plan->stage[stage_of(plan, "pseudo")];
    const char *option = folder;
    const struct hf_option table[] = {{.name = "file", .type = HF_OPTION_PATH}, {.name = NULL}};
    struct hf_stage_class cls = *ps->cls;
    cls.options = table;
    ps->cls = &cls;
    ps->options = (void *)&option;
    for (int i = 0; i < 3; i++) {
        struct inputs *inputs = inputs_new(NULL);
        const struct key_scope scope = scope_of(plan, inputs);
        if (i == 2)
            write_text(path[0], "b");
        terms_with(&scope, "masks", &terms[i]);
        inputs_free(inputs);
    }
    assert_false(terms_difference(&terms[0], &terms[1], text, sizeof text));
    assert_true(terms_difference(&terms[0], &terms[2], text, sizeof text));
    (void)strcat(path[0], " changed");
    assert_string_equal(text, path[0]);
    *strrchr(path[0], ' ') = 0;
    cls.kind = HF_SOURCE;
    for (int i = 0; i < 2; i++) {
        struct inputs *inputs = inputs_new(NULL);
        const struct key_scope scope = scope_of(plan, inputs);
        write_text(path[0], i ? "c" : "b");
        terms_clear(&terms[i]);
        terms_with(&scope, "masks", &terms[i]);
        inputs_free(inputs);
    }
    assert_false(terms_difference(&terms[0], &terms[1], text, sizeof text));
    for (int i = 0; i < 3; i++)
        terms_clear(&terms[i]);
    ps->options = NULL;
    (void)unlink(path[0]);
    (void)unlink(path[1]);
    (void)rmdir(below);
    (void)rmdir(folder);
    hf_plan_free(plan);
}

/* ---- the folder `aside` ---- */

static void make_aside(const struct store *s, const char *name, long age) {
    char path[PATH_MAX];
    struct timespec times[2];
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= age;
    times[1] = times[0];
    assert_int_equal(mkdir(store_path(s, path, sizeof path, "aside/%s", name), 0700), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A number of a process says nothing of one on another machine that shares the store. */
static void what_others_work_on_is_let_be(void **state) {
    (void)state;
    char folder[] = "/tmp/hepaflow-keys-XXXXXX", path[PATH_MAX], where[DIGEST_TEXT];
    char mine[128], name[128];
    const char elsewhere[] = "999999999-00112233445566778899aabbccddeeff-1-0";
    const char long_ago[] = "999999999-00112233445566778899aabbccddeeff-2-0";
    struct store *s = NULL;
    struct hf_error e;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(store_open(folder, &s, &e), HF_OK);
    store_where(where);
    (void)snprintf(name, sizeof name, "999999999-%s-1-0", where); /* no process has that number */
    (void)snprintf(mine, sizeof mine, "%ld-%s-1-0", (long)getppid(), where);
    make_aside(s, elsewhere, 60);
    make_aside(s, long_ago, 2L * 24 * 60 * 60);
    make_aside(s, name, 60);
    make_aside(s, mine, 2L * 24 * 60 * 60);
    assert_int_equal(store_sweep(s), 2);
    assert_int_equal(access(store_path(s, path, sizeof path, "aside/%s", elsewhere), F_OK), 0);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(access(store_path(s, path, sizeof path, "aside/%s", mine), F_OK), 0);
    assert_int_equal(rmdir(path), 0);
    static const char *const rest[] = {"results", "samples", "last", "aside"};
    assert_int_equal(unlink(store_path(s, path, sizeof path, "version")), 0);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        (void)rmdir(store_path(s, path, sizeof path, "%s", rest[i]));
    store_close(s);
    assert_int_equal(rmdir(folder), 0);
}

static void files_count_with_their_content(void **state) {
    (void)state;
    char folder[] = "/tmp/hepaflow-keys-XXXXXX", one[64], two[64], set[2][96], text[512];
    const char *sets[] = {set[0], set[1]};
    struct terms terms[3];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(one, sizeof one, "%s/one.csv", folder);
    (void)snprintf(two, sizeof two, "%s/two.csv", folder);
    (void)snprintf(set[0], sizeof set[0], "vars.data=%s", one);
    (void)snprintf(set[1], sizeof set[1], "vars.data=%s", two);
    write_text(one, "a");
    write_text(two, "a");
    terms_of(&sets[0], 1, "filler", &terms[0]);
    terms_of(&sets[1], 1, "filler", &terms[1]); /* elsewhere, the same */
    assert_false(terms_difference(&terms[0], &terms[1], text, sizeof text));
    write_text(one, "b");
    terms_of(&sets[0], 1, "filler", &terms[2]);
    assert_true(terms_difference(&terms[0], &terms[2], text, sizeof text));
    (void)strcat(one, " changed");
    assert_string_equal(text, one);
    for (int i = 0; i < 3; i++)
        terms_clear(&terms[i]);
    *strrchr(one, ' ') = 0;
    (void)unlink(one);
    (void)unlink(two);
    (void)rmdir(folder);
}

/* A file that comes while the run goes is a change like any other. */
static void a_file_that_is_not_there_may_come(void **state) {
    (void)state;
    char folder[] = "/tmp/hepaflow-keys-XXXXXX", path[64], set[96];
    const char *sets[] = {set};
    struct terms terms;
    struct inputs *inputs = inputs_new(NULL);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/none.csv", folder);
    (void)snprintf(set, sizeof set, "vars.data=%s", path);
    terms_of(sets, 1, "filler", &terms);
    assert_null(inputs_changed(inputs, &terms));
    write_text(path, "a");
    assert_non_null(inputs_changed(inputs, &terms));
    inputs_free(inputs);
    terms_clear(&terms);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void any_path_is_read(void **state) {
    (void)state;
    char folder[] = "/tmp/hepaflow-keys-XXXXXX", path[64];
    char digest[2][DIGEST_TEXT];
    struct hf_error e;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/two\nlines", folder);
    for (int i = 0; i < 2; i++) {
        struct inputs *inputs = inputs_new(NULL);
        write_text(path, i ? "b" : "a");
        assert_int_equal(inputs_digest(inputs, path, digest[i], &e), HF_OK);
        assert_string_not_equal(digest[i], "missing");
        inputs_free(inputs);
    }
    assert_string_not_equal(digest[0], digest[1]);
    (void)unlink(path);
    (void)rmdir(folder);
}

/* Its code works on, but which build that is cannot be told. */
static void a_plugin_that_is_gone_has_no_key(void **state) {
    (void)state;
    struct hf_plan *plan = plan_with(NULL, 0);
    struct plan_stage *ps = &plan->stage[stage_of(plan, "pseudo")];
    struct module copy = *ps->module;
    char path[] = "/tmp/hepaflow-no-such-plugin.so";
    struct inputs *inputs = inputs_new(NULL);
    const struct key_scope scope = scope_of(plan, inputs);
    struct keys *k = NULL;
    struct hf_error e;
    copy.path = path;
    ps->module = &copy;
    assert_int_equal(keys_new(&scope, &k, &e), HF_NOT_FOUND);
    assert_non_null(strstr(e.text, path));
    inputs_free(inputs);
    hf_plan_free(plan);
}

/* ---- the text of terms ---- */

static void terms_survive_their_text(void **state) {
    (void)state;
    struct terms t = {0}, back;
    char text[512];
    terms_add(&t, TERM_SET, "a.x", "tab\there, line\nthere, back\\slash", "");
    terms_add(&t, TERM_FILE, "a.y", "0123", "a path\twith a tab");
    terms_add(&t, TERM_SET, "a.z", "", "");
    char *written = terms_text(&t);
    assert_non_null(written);
    assert_true(terms_parse(written, &back));
    assert_int_equal(back.count, 3);
    assert_false(terms_difference(&t, &back, text, sizeof text));
    assert_string_equal(back.term[0].value, t.term[0].value);
    assert_string_equal(back.term[1].note, t.term[1].note);
    assert_int_equal(back.term[1].kind, TERM_FILE);
    terms_clear(&back);
    assert_false(terms_parse("what is this", &back));
    free(written);
    terms_clear(&t);
    assert_true(terms_parse("set\ta.x\t1\nset\tb.x\t2\n", &t));
    assert_true(terms_parse("set\ta.x\t1\n", &back));
    assert_false(terms_difference(&t, &back, text, sizeof text)); /* b is not asked for */
    assert_true(terms_difference(&back, &t, text, sizeof text));
    assert_string_equal(text, "stage 'b' is new");
    terms_clear(&back);
    terms_clear(&t);
}

static bool add_line(void *arg, const char *text) {
    char *all = arg;
    size_t used = strlen(all);
    (void)snprintf(all + used, 1024 - used, "%s\n", text);
    return true;
}

static void all_differences_are_told(void **state) {
    (void)state;
    struct terms before, now;
    char all[1024] = "";
    assert_true(terms_parse("set\tseed\t1\nset\ta.use\tload\nset\ta.x\t1\nset\ta.y\t2\n"
                            "set\ta.path\tcases.csv\nplugin\ta.plugin p\t01\tp\n"
                            "plugin\tb.plugin p\t01\tp\nset\tb.use\told\n"
                            "file\ta.table\t77\tt.csv\nset\tc.use\told\nset\tc.x\t1\n",
                            &before));
    assert_true(terms_parse("set\tseed\t1\nset\ta.use\tload\nset\ta.x\t3\n"
                            "file\ta.path\t88\tcases.csv\nplugin\ta.plugin p\t02\tp\n"
                            "plugin\tb.plugin p\t02\tp\nset\tb.use\told\n"
                            "set\ta.table\tt.csv\nset\td.use\tnew\n",
                            &now));
    terms_differences(&before, &now, add_line, all);
    assert_string_equal(all, "a.x 1 -> 3\ncases.csv is there now\nplugin p rebuilt\n"
                             "plugin p rebuilt\nt.csv is gone\nstage 'd' is new\na.y 2 is gone\n"
                             "stage 'c' is gone\nstage 'c' is gone\n");
    all[0] = 0;
    terms_differences(&now, &now, add_line, all);
    assert_string_equal(all, "");
    terms_clear(&before);
    terms_clear(&now);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_those_that_count),
        cmocka_unit_test(devices_and_seeds_count),
        cmocka_unit_test(a_rebuilt_plugin_counts),
        cmocka_unit_test(a_plugin_replaced_after_it_was_loaded_has_no_key),
        cmocka_unit_test(folders_count_with_their_content),
        cmocka_unit_test(what_others_work_on_is_let_be),
        cmocka_unit_test(files_count_with_their_content),
        cmocka_unit_test(a_file_that_is_not_there_may_come),
        cmocka_unit_test(any_path_is_read),
        cmocka_unit_test(a_plugin_that_is_gone_has_no_key),
        cmocka_unit_test(terms_survive_their_text),
        cmocka_unit_test(all_differences_are_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
