/*
 * test_jobs.c - jobs, models, failures, cancel, reading ahead, results: everything around streams.
 */
#include "kit.h"
#include "run/results.h"

#include <cJSON.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct kit kit;

static int setup(void **state) {
    (void)state;
    kit_open(&kit);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    kit_close(&kit);
    return 0;
}

/* ---- jobs and models ---- */

static void models_reach_the_stages_that_wait(void **state) {
    (void)state;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 6), (const int[]){-1});
    int first = kit_stage(&kit, "first", &kit_learn, KNOBS(.count = 2, .add = 100), source);
    int applied = kit_stage(&kit, "applied", &kit_apply, KNOBS(0), source);
    kit.stage[applied].model = first;
    int second = kit_stage(&kit, "second", &kit_learn, KNOBS(.count = 3, .add = 5000), applied);
    int file = kit_stage_(&kit, "file", &kit_modelfile, KNOBS(.add = 20000), (const int[]){-1});
    int twice = kit_stage(&kit, "twice", &kit_apply, KNOBS(0), applied);
    kit.stage[twice].model = second;
    int thrice = kit_stage(&kit, "thrice", &kit_apply, KNOBS(0), twice);
    kit.stage[thrice].model = file;
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), thrice);
    kit_job(&kit, first);
    kit_job(&kit, file);
    int j2 = kit_job(&kit, second), j3 = kit_job(&kit, sink);
    kit.job[j2].after = 1;
    kit.job[j2].after_job[0] = 0;
    kit.job[j3].after = 3;
    kit.job[j3].after_job[0] = 0;
    kit.job[j3].after_job[1] = 1;
    kit.job[j3].after_job[2] = j2;
    kit_run(&kit);
    assert_int_equal(log->count, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(log->line[i].value, i + 25100);
    log_free(log);
}

static void jobs_run_side_by_side(void **state) {
    (void)state;
    int sources[3];
    static const char *const names[3] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        sources[i] = kit_stage_(&kit, names[i], &kit_source, KNOBS(.count = 25, .delay_us = 4000),
                                (const int[]){-1});
        kit.stage[sources[i]].replicas = 1;
        kit_job(&kit, kit_stage(&kit, names[i], &kit_collect, KNOBS(0), sources[i]));
    }
    kit.workers = 4;
    kit.plan.jobs_at_once = 1;
    kit_run(&kit);
    assert_int_equal(atomic_load(&kit.probe.most_running), 1);
    kit.plan.jobs_at_once = 2;
    kit_run(&kit);
    assert_int_equal(atomic_load(&kit.probe.most_running), 2);
}

static void a_training_without_a_model_fails(void **state) {
    (void)state;
    struct hf_error e;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 3), (const int[]){-1});
    kit_job(&kit, kit_stage(&kit, "learner", &kit_learn, KNOBS(.emits = 1), source));
    assert_int_equal(kit_try(&kit, &e), HF_INVALID);
    assert_string_equal(e.text, "stage 'learner': ended without publishing its model");
}

/* ---- failures ---- */

static void the_first_error_ends_the_run(void **state) {
    (void)state;
    static const struct {
        const char *where, *stage, *text;
        int at; /* which stage gets the plan */
    } cases[] = {
        {"start", "source", "stage 'source': planned in start", 0},
        {"count", "source", "stage 'source': planned in count", 0},
        {"open", "source", "stage 'source': planned in open", 0},
        {"start", "map", "stage 'map': planned in start", 1},
        {"process", "map", "stage 'map', case 'case009': planned in process", 1},
        {"end_of_epoch", "sum", "stage 'sum': planned in end_of_epoch", 2},
        {"process", "sum", "stage 'sum', case 'case009': planned in process", 2},
        {"start", "sink", "stage 'sink': planned in start", 3},
        {"run", "sink", "stage 'sink': planned in run", 3},
        {"sink", "sink", "stage 'sink', case 'case009': planned in sink", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int workers = 1; workers <= 4; workers += 3) {
            struct hf_error e;
            kit_close(&kit);
            kit_open(&kit);
            int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 40, .delay_us = 50),
                                    (const int[]){-1});
            int map = kit_stage(&kit, "map", &kit_map, KNOBS(.delay_us = 50), source);
            int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(0), map);
            int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(0), sum);
            int other = kit_stage(&kit, "other", &kit_collect, KNOBS(.count = 1), source);
            kit_job(&kit, sink);
            kit_job(&kit, other);
            struct knobs *o = &kit.knobs[cases[i].at];
            o->fail = cases[i].where;
            o->fail_at = strcmp(o->fail, "open") == 0 ? 9 : -1;
            if (strcmp(cases[i].where, "process") == 0 && cases[i].at == 1)
                o->fail_at = 9;
            if (strcmp(cases[i].where, "process") == 0 && cases[i].at == 2)
                o->fail_at = 9 * 31;
            if (strcmp(cases[i].where, "sink") == 0) {
                int64_t sum_then = 0;
                for (int64_t k = 0; k <= 9; k++)
                    sum_then = (sum_then * 3 + k * 31) % 1000003;
                o->fail_at = sum_then;
            }
            kit.workers = workers;
            assert_int_equal(kit_try(&kit, &e), HF_INVALID);
            /* The shared source fails in both jobs alike; all else only in the first one. */
            assert_string_equal(e.text, cases[i].text);
        }
}

static void a_run_can_follow_a_failed_one(void **state) {
    (void)state;
    struct hf_error e;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source,
                            KNOBS(.count = 10, .fail = "open", .fail_at = 4), (const int[]){-1});
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), source));
    assert_int_equal(kit_try(&kit, &e), HF_INVALID);
    kit.knobs[source].fail = NULL;
    log->count = 0;
    kit_run(&kit);
    assert_int_equal(log->count, 10);
    log_free(log);
}

/* ---- cancel ---- */

struct trigger {
    struct hf_engine *engine;
    int after_us, signal;
    atomic_int over;
};

/* Whether the run takes the signal; before and after it would end the program. */
static bool is_handled(int number) {
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_DFL;
}

static void *pull(void *arg) {
    struct trigger *t = arg;
    while (t->signal && !is_handled(t->signal) && !atomic_load(&t->over))
        (void)usleep(200);
    (void)usleep((useconds_t)t->after_us);
    if (!t->signal)
        hf_cancel(t->engine);
    else if (is_handled(t->signal))
        (void)kill(getpid(), t->signal);
    return NULL;
}

static bool is_stopping(const struct hf_run_event *event) {
    return event->kind == HF_EVENT_LOG && strncmp(event->text, "stopping: ", 10) == 0;
}

/* Two at once, as timeout(1) sends them: the run surely takes the second one while it tells of the
 * first. */
static void pull_again(void *arg, const struct hf_run_event *event) {
    const struct trigger *t = arg;
    if (is_stopping(event))
        (void)kill(getpid(), t->signal);
}

static void build_busy_graph(void) {
    int source =
        kit_stage_(&kit, "source", &kit_source,
                   KNOBS(.count = 20, .delay_us = 300, .elements = 1000), (const int[]){-1});
    int map = kit_stage(&kit, "map", &kit_map, KNOBS(.delay_us = 300, .emits = 2), source);
    int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(.delay_us = 300), map);
    int mix = kit_stage(&kit, "mix", &kit_mix, KNOBS(0), noise, map);
    kit.stage[mix].mix_weight[0] = 1;
    kit.stage[mix].mix_weight[1] = 2;
    kit_job(&kit, kit_stage(&kit, "learn", &kit_learn, KNOBS(.count = 1000000), mix));
    int one = kit_stage(&kit, "one", &kit_collect, KNOBS(0), map);
    int two = kit_stage(&kit, "two", &kit_collect, KNOBS(.delay_us = 2000), map);
    kit_job(&kit, one, two);
    kit.plan.hold = 60000;
}

static void cancel_at_any_moment(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct hf_error e;
        pthread_t thread;
        kit_close(&kit);
        kit_open(&kit);
        build_busy_graph();
        struct trigger t = {.engine = kit.engine, .after_us = 500 + i * i * 700};
        t.signal = i % 3 == 1 ? SIGINT : i % 3 == 2 ? SIGTERM : 0;
        if (!t.signal)
            t.after_us += 5000; /* hf_run must have begun */
        kit.workers = 1 + i % 4;
        kit.on_event = pull_again;
        kit.arg = &t;
        assert_int_equal(pthread_create(&thread, NULL, pull, &t), 0);
        enum hf_status st = kit_try(&kit, &e);
        atomic_store(&t.over, 1);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(st, HF_CANCELED);
        assert_non_null(strstr(e.text, "canceled"));
    }
}

static int said_to; /* where the child of the test below says how far it is */

/* A stage that does not look whether it should stop, nor lets a signal wake it. */
static enum hf_status deaf_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    (void)s;
    (void)in;
    (void)e;
    (void)write(said_to, "b", 1);
    for (struct timespec left = {.tv_sec = 30}; nanosleep(&left, &left) != 0;)
        continue;
    return HF_OK;
}

static const struct hf_stage_class deaf_class = {.name = "deaf", .kind = HF_SINK, .run = deaf_run};

static void on_stop(void *arg, const struct hf_run_event *event) {
    (void)arg;
    if (is_stopping(event))
        (void)write(said_to, "s", 1);
}

/* The second signal ends the program there and then, and nothing half-written stays. */
static void a_second_signal_leaves_at_once(void **state) {
    (void)state;
    int pipe_ends[2], status;
    char folder[] = "/tmp/hepaflow-signal-XXXXXX", said, path[64];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(pipe(pipe_ends), 0);
    (void)snprintf(path, sizeof path, "%s/trace.json", folder);
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 3), (const int[]){-1});
    kit_job(&kit, kit_stage(&kit, "deaf", &deaf_class, KNOBS(0), source));
    kit.trace = path;
    kit.on_event = on_stop;
    said_to = pipe_ends[1];
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct hf_error e;
        (void)kit_try(&kit, &e);
        _exit(0);
    }
    (void)close(pipe_ends[1]); /* the child's death ends what is read */
    assert_int_equal(read(pipe_ends[0], &said, 1), 1);
    assert_int_equal(said, 'b'); /* the stage has begun */
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(read(pipe_ends[0], &said, 1), 1);
    assert_int_equal(said, 's'); /* the run is stopping */
    (void)usleep(400000);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    (void)close(pipe_ends[0]);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
}

/* A training that gives up without a word leaves no model for those who wait. */
static enum hf_status patient_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    (void)in;
    (void)e;
    while (!s->host->canceled(s))
        (void)usleep(500);
    return HF_OK;
}

static const struct hf_stage_class patient_class = {
    .name = "patient", .kind = HF_SINK, .flags = HF_STAGE_YIELDS_MODEL, .run = patient_run};

static void a_job_that_gives_up_is_not_done(void **state) {
    (void)state;
    struct hf_error e;
    pthread_t thread;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 3), (const int[]){-1});
    int learn = kit_stage(&kit, "learn", &patient_class, KNOBS(0), source);
    int apply = kit_stage(&kit, "apply", &kit_apply, KNOBS(0), source);
    kit.stage[apply].model = learn;
    kit_job(&kit, learn);
    int last = kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), apply));
    kit.job[last].after = 1;
    struct trigger t = {.engine = kit.engine, .after_us = 30000};
    assert_int_equal(pthread_create(&thread, NULL, pull, &t), 0);
    enum hf_status st = kit_try(&kit, &e);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(st, HF_CANCELED);
    assert_int_equal(log->count, 0);
    log_free(log);
}

/* ---- reading ahead ---- */

static void write_files(int count, size_t size) {
    struct hf_error e;
    char path[300], *bytes = malloc(size);
    assert_non_null(bytes);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/%d", kit.folder, i);
        memset(bytes, i + 1, size);
        assert_int_equal(file_write(path, bytes, size, &e), HF_OK);
    }
    free(bytes);
}

static void keep_read_ahead(void *arg, const struct hf_run_event *event) {
    if (event->kind == HF_EVENT_LOG)
        (void)sscanf(event->text, "read ahead %ld bytes", (long *)arg);
}

static void sources_take_files_read_ahead(void **state) {
    (void)state;
    struct log *log = log_new();
    long ahead = 0;
    kit.on_event = keep_read_ahead;
    kit.arg = &ahead;
    write_files(40, 100000);
    int source =
        kit_stage_(&kit, "source", &kit_files,
                   KNOBS(.count = 40, .file = kit.folder, .delay_us = 500), (const int[]){-1});
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect,
                            KNOBS(.count = 3, .stop_at = 33, .log = log), source));
    kit_run(&kit);
    assert_int_equal(log->count, 99);
    for (int i = 0; i < 99; i++)
        assert_int_equal(log->line[i].value, i % 33 + 1);
    assert_in_range(ahead, 10 * 100000, 120 * 100000);
    log_free(log);
}

static void a_missing_file_is_named(void **state) {
    (void)state;
    struct hf_error e;
    write_files(5, 10);
    int source = kit_stage_(&kit, "source", &kit_files, KNOBS(.count = 6, .file = kit.folder),
                            (const int[]){-1});
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(0), source));
    assert_int_equal(kit_try(&kit, &e), HF_NOT_FOUND);
    char path[300];
    (void)snprintf(path, sizeof path, "stage 'source': %s/5: ", kit.folder);
    assert_non_null(strstr(e.text, path));
}

/* ---- results and events ---- */

static enum hf_status score_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct knobs *o = s->options;
    const struct hf_sample *sample;
    enum hf_status st;
    char json[200];
    while ((st = s->host->next(in, &sample, e)) == HF_OK)
        ;
    if (st != HF_END)
        return st;
    s->host->log(s, HF_LOG_WARNING, "a line");
    (void)snprintf(json, sizeof json,
                   "{\"name\": \"%s\", \"dice\": 0.%d, \"cases\": {\"x\": 1}, \"b\": 2, \"c\": 3, "
                   "\"d\": 4, \"e\": 5, \"f\": 6}",
                   o->file ? o->file : "", (int)o->add);
    st = s->host->result(s, json, e);
    if (st == HF_OK)
        st = s->host->report(s, "Pictures & </script>", "{\"kind\": \"text\", \"text\": \"<p>\"}",
                             e);
    if (st == HF_OK)
        st = s->host->report(s, "Rows", "{\"kind\": \"table\", \"rows\": []}", e);
    return st == HF_OK && o->fail ? s->host->result(s, o->fail, e) : st;
}

static const struct hf_stage_class score_class = {
    .name = "score", .kind = HF_SINK, .run = score_run};

struct seen {
    int start, done, log, result, progress;
    char last_log[64];
};

static void on_event(void *arg, const struct hf_run_event *event) {
    struct seen *s = arg;
    s->start += event->kind == HF_EVENT_JOB_START;
    s->done += event->kind == HF_EVENT_JOB_DONE;
    s->result += event->kind == HF_EVENT_RESULT;
    if (event->kind == HF_EVENT_PROGRESS && event->samples > 0 && event->loss == 0.5)
        s->progress++;
    if (event->kind == HF_EVENT_LOG && event->level > HF_LOG_DEBUG) {
        s->log++;
        if (strncmp(event->text, "bottleneck: ", 12) != 0)
            (void)snprintf(s->last_log, sizeof s->last_log, "%s", event->text);
    }
    assert_int_equal(event->jobs_total, 3);
}

static char *read_text(const char *name) {
    struct hf_error e;
    char path[300];
    void *bytes;
    size_t size;
    (void)snprintf(path, sizeof path, "%s/%s", kit.folder, name);
    if (file_read(path, &bytes, &size, &e) != HF_OK)
        fail_msg("%s", e.text);
    char *text = malloc(size + 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    text[size] = 0;
    free(bytes);
    return text;
}

static const char *text_of(const cJSON *o, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
    assert_non_null(text);
    return text;
}

static void build_scores(void) {
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 30, .delay_us = 300),
                            (const int[]){-1});
    int weak = kit_stage(&kit, "weak", &score_class, KNOBS(.add = 75), source);
    int full = kit_stage(&kit, "full", &score_class, KNOBS(.add = 5, .file = "best"), source);
    int slow = kit_stage(&kit, "slow", &kit_collect, KNOBS(.delay_us = 20000), source);
    kit_job(&kit, full); /* the order of jobs is not the order of stages */
    kit_job(&kit, weak);
    kit_job(&kit, slow);
}

static void results_are_written_in_the_order_of_stages(void **state) {
    (void)state;
    struct seen seen = {0};
    build_scores();
    kit.plan.name = "a <graph>";
    kit.on_event = on_event;
    kit.arg = &seen;
    kit_run(&kit);
    assert_int_equal(seen.start, 3);
    assert_int_equal(seen.done, 3);
    assert_int_equal(seen.log, 3); /* the device, a line, the bottleneck */
    assert_int_equal(seen.result, 2);
    assert_true(seen.progress > 0);
    assert_non_null(strstr(seen.last_log, ": a line"));
    char *json = read_text("scores.json"), *html = read_text("report.html");
    cJSON *all = cJSON_Parse(json);
    assert_non_null(all);
    assert_int_equal(cJSON_GetArraySize(all), 2);
    assert_string_equal(cJSON_GetArrayItem(all, 0)->string, "weak");
    assert_true(cJSON_GetObjectItem(cJSON_GetObjectItem(all, "weak"), "dice")->valuedouble == 0.75);
    assert_true(cJSON_GetObjectItem(cJSON_GetObjectItem(all, "best"), "dice")->valuedouble == 0.5);
    cJSON_Delete(all);
    assert_non_null(strstr(html, "<title>a &lt;graph&gt;</title>"));
    char *report = read_text("report.json");
    all = cJSON_Parse(report);
    assert_string_equal(text_of(all, "graph"), "a <graph>");
    assert_string_equal(text_of(all, "state"), "done");
    assert_true(strncmp(text_of(all, "bottleneck"), "bottleneck: ", 12) == 0);
    const cJSON *scores = cJSON_GetObjectItem(all, "scores"),
                *jobs = cJSON_GetObjectItem(all, "jobs");
    assert_true(cJSON_GetObjectItem(cJSON_GetObjectItem(scores, "weak"), "f")->valuedouble == 6);
    assert_int_equal(cJSON_GetArraySize(jobs), 3);
    assert_string_equal(text_of(cJSON_GetArrayItem(jobs, 2), "name"), "slow");
    assert_string_equal(text_of(cJSON_GetArrayItem(jobs, 2), "state"), "done");
    assert_true(cJSON_GetObjectItem(cJSON_GetArrayItem(jobs, 2), "seconds")->valuedouble > 0.01);
    /* Sections stand in the order of stages. */
    const cJSON *sections = cJSON_GetObjectItem(all, "sections");
    assert_int_equal(cJSON_GetArraySize(sections), 4);
    assert_string_equal(text_of(cJSON_GetArrayItem(sections, 0), "stage"), "weak");
    assert_string_equal(text_of(cJSON_GetArrayItem(sections, 3), "stage"), "full");
    assert_string_equal(text_of(cJSON_GetArrayItem(sections, 3), "title"), "Rows");
    const cJSON *section = cJSON_GetObjectItem(cJSON_GetArrayItem(sections, 2), "data");
    assert_string_equal(text_of(section, "text"), "<p>");
    cJSON_Delete(all);
    /* What stages say never is markup. */
    assert_non_null(strstr(html, "Pictures & \\u003c/script>"));
    assert_null(strstr(html, "Pictures & <"));
    free(report);
    free(json);
    free(html);
}

static cJSON *read_json(const char *name) {
    char *text = read_text(name);
    cJSON *ret = cJSON_Parse(text);
    assert_non_null(ret);
    free(text);
    return ret;
}

static void results_outlive_a_failure_and_bad_ones_are_refused(void **state) {
    (void)state;
    struct hf_error e;
    build_scores();
    kit.knobs[2].fail = "{not json"; /* of "full", which runs first */
    kit.plan.jobs_at_once = 1;
    assert_int_equal(kit_try(&kit, &e), HF_INVALID);
    assert_string_equal(e.text, "stage 'full': the result is not a JSON object: {not json");
    char *json = read_text("scores.json");
    assert_non_null(strstr(json, "\"best\""));
    assert_null(strstr(json, "\"weak\""));
    free(json);
}

/* What is written last says so if anything could not be written before. */
static void a_file_that_cannot_be_written_fails_the_run(void **state) {
    (void)state;
    static const char *const files[] = {"scores.json", "ledger.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct hf_error e;
        char path[300];
        kit_close(&kit);
        kit_open(&kit);
        build_scores();
        (void)snprintf(path, sizeof path, "%s/%s", kit.folder, files[i]);
        assert_int_equal(mkdir(path, 0777), 0);
        assert_int_equal(kit_try(&kit, &e), HF_IO);
        assert_non_null(strstr(e.text, path));
        cJSON *summary = read_json("run.json"), *report = read_json("report.json");
        assert_string_equal(text_of(summary, "outcome"), "failed");
        assert_string_equal(text_of(report, "state"), "failed");
        assert_string_equal(text_of(report, "error"), e.text);
        cJSON_Delete(summary);
        cJSON_Delete(report);
        assert_int_equal(rmdir(path), 0);
    }
}

static void sections_that_are_none_are_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"<p>", "is no JSON object whose \"kind\" is text, table, curves"},
        {"{\"kind\": \"html\", \"html\": \"\"}", "is no JSON object whose \"kind\""},
        {"{\"kind\": \"table\", \"rows\": 3}", "has no list \"rows\""},
        {"{\"kind\": \"text\", \"text\": []}", "has no text \"text\""}};
    struct hf_error e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct results r;
        assert_int_equal(results_init(&r, 1, &e), HF_OK);
        r.stage[0].name = "a";
        assert_int_equal(results_add(&r, 0, "Bad", bad[i][0], &e), HF_INVALID);
        assert_true(strncmp(e.text, "section 'Bad' of the report ", 28) == 0);
        assert_non_null(strstr(e.text, bad[i][1]));
        assert_false(results_any(&r));
        results_clear(&r);
    }
}

/* Ten times a second at most; on a loaded machine two of them may come close together. */
static void keep_progress(void *arg, const struct hf_run_event *event) {
    int *told = arg;
    if (event->kind == HF_EVENT_PROGRESS)
        assert_true(++*told <= event->seconds * 10 + 1);
}

static void a_job_tells_of_its_progress_once_for_all_sinks(void **state) {
    (void)state;
    int told = 0;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 80), (const int[]){-1});
    int a = kit_stage(&kit, "a", &kit_collect, KNOBS(.delay_us = 20000), source);
    int b = kit_stage(&kit, "b", &kit_collect, KNOBS(.delay_us = 20000), source);
    kit_job(&kit, a, b);
    kit.on_event = keep_progress;
    kit.arg = &told;
    kit_run(&kit);
    assert_true(told >= 2);
}

/* A stage that has something for the report and no score, and may fail. */
static enum hf_status picture_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct knobs *o = s->options;
    const struct hf_sample *sample;
    enum hf_status st;
    while ((st = s->host->next(in, &sample, e)) == HF_OK)
        ;
    if (st == HF_END && o->add)
        st = s->host->report(s, "Pictures", "{\"kind\": \"text\", \"text\": \"new\"}", e);
    st = st == HF_END ? HF_OK : st;
    return st == HF_OK && o->fail ? hf_fail(e, HF_INVALID, "%s", o->fail) : st;
}

static const struct hf_stage_class picture_class = {
    .name = "picture", .kind = HF_SINK, .run = picture_run};

static void a_run_without_results_leaves_those_of_an_earlier_one(void **state) {
    static const char old[] = "of an earlier run";
    static const char *const files[] = {"scores.json", "report.html"};
    struct hf_error e;
    char path[300];
    (void)state;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 3), (const int[]){-1});
    int sink = kit_stage(&kit, "sink", &picture_class, KNOBS(.fail = "on purpose"), source);
    kit_job(&kit, sink);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", kit.folder, files[i]);
        assert_int_equal(file_write(path, old, strlen(old), &e), HF_OK);
    }
    assert_int_equal(kit_try(&kit, &e), HF_INVALID);
    for (int i = 0; i < 2; i++) {
        char *text = read_text(files[i]);
        assert_string_equal(text, old);
        free(text);
    }
    kit.knobs[sink].add = 1; /* a section of the report, still no score */
    assert_int_equal(kit_try(&kit, &e), HF_INVALID);
    char *scores = read_text("scores.json"), *html = read_text("report.html");
    assert_string_equal(scores, old);
    assert_non_null(strstr(html, "\"text\":\"new\""));
    assert_non_null(strstr(html, "\"error\":\"stage 'sink': on purpose\""));
    free(scores);
    free(html);
}

/* One that comes before the run's loop is there is for this run, and for no other. */
static void an_early_cancel_is_heeded(void **state) {
    (void)state;
    struct kit own;
    struct hf_error e;
    struct log *log = log_new();
    kit_open(&own);
    int source = kit_stage_(&own, "source", &kit_source, KNOBS(.count = 5), (const int[]){-1});
    kit_job(&own, kit_stage(&own, "sink", &kit_collect, KNOBS(.log = log), source));
    hf_cancel(own.engine);
    assert_int_equal(kit_try(&own, &e), HF_CANCELED);
    assert_int_equal(log->count, 0);
    kit_run(&own);
    assert_int_equal(log->count, 5);
    log_free(log);
    kit_close(&own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(models_reach_the_stages_that_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_run_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(a_training_without_a_model_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_error_ends_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_can_follow_a_failed_one, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_at_any_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_signal_leaves_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_gives_up_is_not_done, setup, teardown),
        cmocka_unit_test_setup_teardown(sources_take_files_read_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_file_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(results_are_written_in_the_order_of_stages, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_run_without_results_leaves_those_of_an_earlier_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_job_tells_of_its_progress_once_for_all_sinks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(results_outlive_a_failure_and_bad_ones_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_written_fails_the_run, setup,
                                        teardown),
        cmocka_unit_test(sections_that_are_none_are_refused),
        cmocka_unit_test(an_early_cancel_is_heeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
