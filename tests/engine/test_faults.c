/*
 * test_faults.c - what `on_error` does with samples whose stage fails, and the ledger of it.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/ledger.h"

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

static void start_over(void) {
    kit_close(&kit);
    kit_open(&kit);
}

/* The file in the results folder; NULL: there is none. */
static char *read_text(const char *name) {
    struct hf_error e;
    char path[300];
    void *bytes;
    size_t size;
    (void)snprintf(path, sizeof path, "%s/%s", kit.folder, name);
    if (file_read(path, &bytes, &size, &e) != HF_OK)
        return NULL;
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    free(bytes);
    return text;
}

static void check_ledger(const char *expected) {
    char *text = read_text("ledger.csv");
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

#define HEADER "job,stage,case,sample,epoch,seed,attempts,outcome,error\n"

/* ---- skip ---- */

/* Items that the source cannot open, samples that a map fails on before and after it has emitted,
 * a stage of random draws, and one that depends on the order and ends its epochs. */
static struct log *run_skipping(int workers, char **ret_ledger) {
    struct log *log = log_new();
    const int none = -1;
    int source =
        kit_stage_(&kit, "source", &kit_source,
                   KNOBS(.count = 60, .delay_us = 200, .fail = "open", .fail_every = 13), &none);
    int early =
        kit_stage(&kit, "early", &kit_map,
                  KNOBS(.delay_us = 300, .emits = 2, .fail = "process", .fail_every = 7), source);
    int late =
        kit_stage(&kit, "late", &kit_map,
                  KNOBS(.delay_us = 200, .emits = 3, .fail = "emitted", .fail_every = 5), early);
    int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(.delay_us = 100), late);
    int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(0), noise);
    kit.stage[source].on_error.skip = kit.stage[early].on_error.skip = true;
    kit.stage[late].on_error.skip = true;
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 2, .log = log), sum));
    kit.workers = workers;
    kit_run(&kit);
    *ret_ledger = read_text("ledger.csv");
    assert_non_null(*ret_ledger);
    start_over();
    return log;
}

static void what_is_left_out_moves_nothing_else(void **state) {
    (void)state;
    char *ledger[3];
    struct log *log[3];
    for (int i = 0; i < 3; i++)
        log[i] = run_skipping(i == 0 ? 1 : 4 * i, &ledger[i]);
    for (int i = 1; i < 3; i++) {
        log_check_equal(log[0], log[i]);
        assert_string_equal(ledger[0], ledger[i]);
    }
    /* The same by hand. */
    int at = 0, lost = 0;
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < 60; i++) {
            char id[16];
            (void)snprintf(id, sizeof id, "case%03d", (int)i);
            lost += i % 13 == 0 || i % 7 == 0;
            for (int64_t k = 0; k < 2 && i % 13 && i % 7; k++) {
                int64_t v = i * 31 + 1000000 * k;
                lost += v % 5 == 0;
                for (int64_t m = 0; m < 3 && v % 5; m++) {
                    struct hf_rng rng = hf_rng_init(66, "noise", id, epoch);
                    int64_t n = v * 31 + 1000000 * m + hf_rng_below(&rng, 1000);
                    sum = (sum * 3 + n) % 1000003;
                    assert_string_equal(log[0]->line[at].id, id);
                    assert_int_equal(log[0]->line[at++].value, sum);
                }
            }
        }
        assert_string_equal(log[0]->line[at].id, "end");
        assert_int_equal(log[0]->line[at++].value, -sum);
    }
    assert_int_equal(log[0]->count, at);
    int lines = 0;
    for (const char *c = ledger[0]; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 1 + lost);
    assert_non_null(strstr(ledger[0], "sink,source,,item 13,1,66,1,skipped,planned in open\n"));
    assert_non_null(
        strstr(ledger[0], "sink,early,case007,case007,0,66,1,skipped,planned in process\n"));
    assert_non_null(
        strstr(ledger[0], "sink,late,case005,case005,1,66,1,skipped,planned in emitted\n"));
    for (int i = 0; i < 3; i++) {
        log_free(log[i]);
        free(ledger[i]);
    }
}

static struct log *run_mixed(int workers, double weight, bool fails) {
    struct log *log = log_new();
    const int none = -1;
    int one = kit_stage_(&kit, "one", &kit_random, KNOBS(.count = 12, .delay_us = 300), &none);
    int two = kit_stage_(&kit, "two", &kit_source, KNOBS(.count = 31, .delay_us = 300), &none);
    int map = fails ? kit_stage(&kit, "odd", &kit_map,
                                KNOBS(.delay_us = 300, .fail = "process", .fail_every = 2), two)
                    : kit_stage(&kit, "odd", &kit_odd, KNOBS(0), two);
    kit.stage[map].on_error.skip = true;
    int mix = kit_stage(&kit, "mix", &kit_mix, KNOBS(0), one, map);
    kit.stage[mix].mix_weight[0] = kit.stage[mix].mix_weight[1] = weight;
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 2, .log = log), mix);
    kit_job(&kit, sink);
    kit.workers = workers;
    kit_run(&kit);
    start_over();
    return log;
}

/* A mix takes what is left as it takes what a filter leaves. */
static void mixes_neither_stall_nor_reorder(void **state) {
    (void)state;
    for (int weight = 0; weight < 2; weight++) {
        struct log *one = run_mixed(1, weight, true), *eight = run_mixed(8, weight, true);
        struct log *filtered = run_mixed(3, weight, false);
        log_check_equal(one, eight);
        assert_int_equal(one->count, filtered->count);
        for (int i = 0; i < one->count; i++) {
            assert_string_equal(one->line[i].id, filtered->line[i].id);
            assert_int_equal(one->line[i].value % 10, filtered->line[i].value % 10);
        }
        log_free(one);
        log_free(eight);
        log_free(filtered);
    }
}

/* ---- retry ---- */

/* Item 6, or the sample of that value, fails so many times. */
static enum hf_status run_retrying(const char *where, int times, int retries, bool skip,
                                   struct log *log, struct hf_error *e) {
    const int none = -1;
    struct knobs fault = KNOBS(.fail = where, .fail_at = 6, .fail_times = times, .delay_us = 100);
    bool open = strcmp(where, "open") == 0;
    struct knobs first = open ? fault : KNOBS(.delay_us = 100);
    first.count = 20;
    int source = kit_stage_(&kit, "source", &kit_source, first, &none);
    int map = kit_stage(&kit, "map", &kit_map, open ? KNOBS(0) : fault, source);
    int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(.delay_us = 100), map);
    kit.stage[source].on_error = kit.stage[map].on_error = (struct on_error){retries, skip};
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), noise));
    kit.workers = 3;
    return kit_try(&kit, e);
}

static void another_try_gives_the_same_bits(void **state) {
    (void)state;
    struct hf_error e;
    static const char *const where[] = {"process", "emitted", "open"};
    struct log *fine = log_new();
    assert_int_equal(run_retrying("never", 1, 0, false, fine, &e), HF_OK);
    assert_null(read_text("ledger.csv"));
    assert_int_equal(fine->count, 20);
    for (int i = 0; i < 3; i++) {
        char line[256];
        struct log *log = log_new();
        start_over();
        assert_int_equal(run_retrying(where[i], 2, 3, i == 1, log, &e), HF_OK);
        log_check_equal(log, fine);
        log_free(log);
        (void)snprintf(line, sizeof line, HEADER "sink,%s,%s,0,66,3,recovered,planned in %s\n",
                       i == 2 ? "source" : "map", i == 2 ? ",item 6" : "case006,case006", where[i]);
        check_ledger(line);
    }
    log_free(fine);
}

static void after_the_last_try_the_run_fails_or_goes_on(void **state) {
    (void)state;
    struct hf_error e;
    struct log *log = log_new();
    assert_int_equal(run_retrying("process", 3, 2, false, log, &e), HF_INVALID);
    assert_string_equal(e.text, "stage 'map', case 'case006': planned in process");
    check_ledger(HEADER "sink,map,case006,case006,0,66,3,failed,planned in process\n");
    start_over();
    log->count = 0;
    assert_int_equal(run_retrying("process", 3, 2, true, log, &e), HF_OK);
    assert_int_equal(log->count, 19);
    assert_string_equal(log->line[6].id, "case007");
    check_ledger(HEADER "sink,map,case006,case006,0,66,3,skipped,planned in process\n");
    char *report = read_text("report.html");
    assert_non_null(strstr(report, "\"skipped\":1,\"failed\":0,\"count\":1,"));
    free(report);
    log_free(log);
}

/* ---- what is never left out ---- */

static void what_is_not_of_a_sample_ends_the_run(void **state) {
    (void)state;
    static const struct {
        const char *where, *text;
        enum hf_status status;
        int at;
    } cases[] = {
        {"start", "stage 'source': planned in start", HF_INVALID, 0},
        {"count", "stage 'source': planned in count", HF_INVALID, 0},
        {"start", "stage 'map': planned in start", HF_INVALID, 1},
        {"process", "stage 'map', case 'case003': planned in process", HF_NO_MEMORY, 1},
        {"process", "stage 'map', case 'case003': planned in process", HF_CANCELED, 1},
        {"end_of_epoch", "stage 'sum': planned in end_of_epoch", HF_INVALID, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hf_error e;
        const int none = -1;
        start_over();
        int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 9), &none);
        int map = kit_stage(&kit, "map", &kit_map, KNOBS(0), source);
        int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(0), map);
        kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(0), sum));
        struct knobs *o = &kit.knobs[cases[i].at];
        o->fail = cases[i].where;
        o->fail_at = strcmp(o->fail, "process") == 0 ? 3 : -1;
        o->fail_status = cases[i].status;
        for (int k = source; k <= sum; k++)
            kit.stage[k].on_error = (struct on_error){2, true};
        assert_int_equal(kit_try(&kit, &e), cases[i].status);
        assert_string_equal(e.text, cases[i].text);
        assert_null(read_text("ledger.csv"));
    }
}

static void a_pass_of_which_nothing_is_left_fails(void **state) {
    (void)state;
    static const char *const text[] = {
        "stage 'source': every sample was skipped, 8 of 8; the last one, 'item ",
        "stage 'map': every sample was skipped, 8 of 8; the last one, 'case00",
        "stage 'map': every sample was skipped, 8 of 8; the last one, 'case00",
    };
    for (int i = 0; i < 3; i++)
        for (int workers = 1; workers <= 4; workers += 3) {
            struct hf_error e;
            const int none = -1;
            start_over();
            int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 8), &none);
            int map = kit_stage(&kit, "map", &kit_map, KNOBS(0), source);
            int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(0), map);
            kit_job(&kit, kit_stage(&kit, "sink", i == 2 ? &kit_learn : &kit_collect,
                                    KNOBS(.count = 2), i == 2 ? map : sum));
            kit.knobs[i == 0 ? source : map].fail = i == 0 ? "open" : "process";
            kit.knobs[i == 0 ? source : map].fail_at = -1;
            kit.stage[source].on_error.skip = kit.stage[map].on_error.skip = true;
            kit.plan.hold = i == 2 ? 1 << 20 : 0; /* one chain of both */
            kit.workers = workers;
            assert_int_equal(kit_try(&kit, &e), HF_INVALID);
            assert_memory_equal(e.text, text[i], strlen(text[i]));
            assert_non_null(strstr(e.text, i == 0 ? ": planned in open" : ": planned in process"));
        }
    /* A filter that lets nothing through is none of it. */
    start_over();
    const int none = -1;
    int source = kit_stage_(&kit, "source", &kit_source,
                            KNOBS(.count = 8, .fail = "open", .fail_every = 2), &none);
    int drop = kit_stage(&kit, "drop", &kit_map, KNOBS(.emits = -1), source);
    kit.stage[source].on_error.skip = kit.stage[drop].on_error.skip = true;
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(0), drop));
    kit_run(&kit);
}

/* ---- passes, held samples, results ---- */

static void what_was_left_out_comes_back_in_the_next_pass(void **state) {
    (void)state;
    for (int held = 0; held < 2; held++) {
        struct log *log = log_new();
        const int none = -1;
        start_over();
        int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 10), &none);
        int map = kit_stage(&kit, "map", &kit_map,
                            KNOBS(.fail = "process", .fail_at = 4, .fail_times = 1), source);
        kit.stage[map].on_error.skip = true;
        kit.plan.hold = held ? 1 << 20 : 0;
        kit_job(&kit, kit_stage(&kit, "learn", &kit_learn, KNOBS(.count = 3, .log = log), map));
        kit_run(&kit);
        assert_int_equal(log->count, 29);
        for (int i = 0; i < 29; i++) {
            int item = i < 4 ? i : (i + 1) % 10;
            assert_int_equal(log->line[i].epoch, i < 9 ? 0 : (i + 1) / 10);
            assert_int_equal(log->line[i].value, item * 31);
        }
        assert_int_equal(atomic_load(&kit.probe.processed), held ? 11 : 30);
        check_ledger(HEADER "learn,map,case004,case004,0,66,1,skipped,planned in process\n");
        log_free(log);
    }
}

static enum hf_status score_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct hf_sample *sample;
    enum hf_status st;
    while ((st = s->host->next(in, &sample, e)) == HF_OK)
        ;
    return st == HF_END ? s->host->result(s, "{\"dice\": 0.5}", e) : st;
}

static const struct hf_stage_class score_class = {
    .name = "score", .kind = HF_SINK, .run = score_run};

/* A source that knows the names of cases which it cannot open. */
static const char *case_of(struct hf_stage *s, int64_t item) {
    (void)s;
    static const char *const names[] = {"anna", "bert", "carl"};
    return names[item];
}

static void a_source_may_tell_the_case(void **state) {
    (void)state;
    struct hf_stage_class named = kit_source;
    const int none = -1;
    named.case_of = case_of;
    int source =
        kit_stage_(&kit, "source", &named, KNOBS(.count = 3, .fail = "open", .fail_at = 1), &none);
    kit.stage[source].on_error.skip = true;
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(0), source));
    kit_run(&kit);
    check_ledger(HEADER "sink,source,bert,item 1,0,66,1,skipped,planned in open\n");
}

struct seen {
    int warnings;
    char last[256], first[256];
};

static void on_event(void *arg, const struct hf_run_event *event) {
    struct seen *s = arg;
    if (event->kind != HF_EVENT_LOG || event->level != HF_LOG_WARNING)
        return;
    if (s->warnings++ == 0)
        (void)snprintf(s->first, sizeof s->first, "%s", event->text);
    (void)snprintf(s->last, sizeof s->last, "%s", event->text);
}

static void the_results_tell_of_it(void **state) {
    (void)state;
    struct seen seen = {0};
    const int none = -1;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 5), &none);
    int map = kit_stage(&kit, "map", &kit_map,
                        KNOBS(.fail = "process", .fail_every = 3, .fail_status = HF_IO), source);
    kit_job(&kit, kit_stage(&kit, "scored", &score_class, KNOBS(0), map));
    kit.stage[map].on_error = (struct on_error){1, true};
    kit.on_event = on_event;
    kit.arg = &seen;
    kit.workers = 1;
    kit_run(&kit);
    assert_int_equal(seen.warnings, 3);
    assert_string_equal(seen.first, "map: case 'case000' is skipped: planned in process");
    assert_memory_equal(seen.last, "2 samples were skipped: see /tmp/hepaflow-kit-", 46);
    char *scores = read_text("scores.json"), *report = read_text("report.json");
    assert_non_null(scores);
    assert_non_null(strstr(scores, "\"ledger\""));
    assert_non_null(strstr(scores, "\"skipped\":\t2"));
    assert_non_null(strstr(report, "{\"job\":\"scored\",\"stage\":\"map\",\"case\":\"case003\","
                                   "\"sample\":\"case003\",\"epoch\":0,\"attempts\":2,\"outcome\":"
                                   "\"skipped\",\"error\":\"planned in process\"}"));
    assert_non_null(strstr(report, "\"skipped\":2,\"failed\":0,\"count\":2,"));
    free(scores);
    free(report);
    check_ledger(HEADER "scored,map,case000,case000,0,66,2,skipped,planned in process\n"
                        "scored,map,case003,case003,0,66,2,skipped,planned in process\n");
    /* One that has nothing to tell takes away what an earlier one told. */
    kit.knobs[map].fail = NULL;
    kit_run(&kit);
    assert_null(read_text("ledger.csv"));
    scores = read_text("scores.json");
    assert_null(strstr(scores, "ledger"));
    free(scores);
}

static void a_ledger_is_csv(void **state) {
    (void)state;
    struct hf_error e;
    struct ledger l = {0};
    bool first;
    const struct ledger_line line = {.job_name = "a,b",
                                     .name = "s\"t",
                                     .case_id = "",
                                     .sample = "x",
                                     .attempts = 1,
                                     .epoch = 2,
                                     .outcome = LEDGER_FAILED,
                                     .error = "two\nlines, \"quoted\""};
    ledger_add(&l, &line, &first);
    assert_true(first);
    ledger_add(&l, &line, &first);
    assert_false(first);
    assert_int_equal(l.outcomes[LEDGER_FAILED], 2);
    assert_int_equal(ledger_write(&l, 7, kit.folder, true, &e), HF_OK);
    check_ledger(HEADER "\"a,b\",\"s\"\"t\",,x,2,7,1,failed,\"two lines, \"\"quoted\"\"\"\n"
                        "\"a,b\",\"s\"\"t\",,x,2,7,1,failed,\"two lines, \"\"quoted\"\"\"\n");
    ledger_clear(&l);
    assert_int_equal(ledger_write(&l, 7, kit.folder, false, &e), HF_OK);
    assert_int_equal(ledger_write(&l, 7, kit.folder, true, &e), HF_OK);
    assert_null(read_text("ledger.csv"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Who is told of each sample once must not be told again and again when the ledger is full. */
static void a_full_ledger_only_counts(void **state) {
    (void)state;
    struct ledger l = {0};
    struct ledger_line line = {.job_name = "",
                               .name = "",
                               .case_id = "",
                               .sample = "",
                               .outcome = LEDGER_SKIPPED,
                               .error = ""};
    int most = 20000, firsts = 0;
    for (line.stage = 0; line.stage < most; line.stage++) {
        bool first;
        ledger_add(&l, &line, &first);
        firsts += first;
    }
    assert_in_range(l.count, 1, most - 1);
    assert_int_equal(firsts, l.count);
    assert_int_equal(l.outcomes[LEDGER_SKIPPED], most);
    ledger_clear(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_left_out_moves_nothing_else),
        TEST(mixes_neither_stall_nor_reorder),
        TEST(another_try_gives_the_same_bits),
        TEST(after_the_last_try_the_run_fails_or_goes_on),
        TEST(what_is_not_of_a_sample_ends_the_run),
        TEST(a_pass_of_which_nothing_is_left_fails),
        TEST(what_was_left_out_comes_back_in_the_next_pass),
        TEST(a_source_may_tell_the_case),
        TEST(the_results_tell_of_it),
        TEST(a_ledger_is_csv),
        TEST(a_full_ledger_only_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
