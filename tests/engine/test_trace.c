/*
 * test_trace.c - what a run tells of its time: the bottleneck sentence, and the trace.
 */
#include "kit.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct kit kit;
static char sentence[512];

static void listen(void *arg, const struct hf_run_event *ev) {
    (void)arg;
    if (ev->kind == HF_EVENT_LOG && ev->level == HF_LOG_INFO &&
        strncmp(ev->text, "bottleneck", 10) == 0)
        (void)snprintf(sentence, sizeof sentence, "%s", ev->text);
}

static int setup(void **state) {
    (void)state;
    kit_open(&kit);
    kit.on_event = listen;
    sentence[0] = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    kit_close(&kit);
    return 0;
}

/* ---- the bottleneck ---- */

/*
 * Stages are slow by sleeping, for so long that what a loaded machine adds is little beside it; the
 * bounds leave room for it.
 *
 * source -> quick -> slow -> sink: 60 samples, each up to 16 ms in `slow`.
 */
static int slow_graph(int workers, int replicas) {
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 60), (const int[]){-1});
    int quick = kit_stage(&kit, "quick", &kit_map, KNOBS(.add = 1), source);
    int slow = kit_stage(&kit, "slow", &kit_map, KNOBS(.add = 1, .delay_us = 16000), quick);
    kit.stage[slow].replicas = replicas;
    kit.workers = workers;
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(0), slow);
    kit_job(&kit, sink);
    return slow;
}

static double number_after(const char *word) {
    const char *at = strstr(sentence, word);
    if (!at)
        fail_msg("no '%s' in: %s", word, sentence);
    return strtod(at + strlen(word), NULL);
}

static void a_slow_stage_is_named(void **state) {
    (void)state;
    (void)slow_graph(4, 1);
    kit_run(&kit);
    assert_non_null(strstr(sentence, "'slow' (map, 1 replica) kept 'sink' waiting"));
    assert_true(number_after("waiting ") > 50);
    double gain = number_after("would take about ");
    assert_true(gain > 10 && gain < 65); /* half, but for what the rest takes */
}

static double seconds_with(int replicas) {
    struct timespec began, ended;
    (void)slow_graph(4, replicas);
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    kit_run(&kit);
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    return (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec);
}

/* A loaded machine may slow one of the two runs down, but not in each attempt. */
static void one_more_replica_gives_what_was_told(void **state) {
    double told = 0, gained = 0;
    for (int attempt = 0; attempt < 5; attempt++) {
        double one = seconds_with(1);
        told = number_after("would take about ") / 100;
        (void)teardown(state);
        (void)setup(state);
        gained = 1 - seconds_with(2) / one;
        if (fabs(gained - told) < 0.15)
            return;
        (void)teardown(state);
        (void)setup(state);
    }
    fail_msg("told %.2f, gained %.2f", told, gained);
}

static void a_replica_needs_a_worker(void **state) {
    (void)state;
    (void)slow_graph(1, 1);
    kit_run(&kit);
    assert_non_null(strstr(sentence, "'slow' (map, 1 replica) kept 'sink' waiting"));
    assert_non_null(strstr(sentence, "would give little without more workers"));
}

static void a_slow_source_is_found_behind_quick_stages(void **state) {
    (void)state;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 60, .delay_us = 16000),
                            (const int[]){-1});
    kit.stage[source].replicas = 1;
    int quick = kit_stage(&kit, "quick", &kit_map, KNOBS(.add = 1), source);
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(0), quick));
    kit.workers = 2;
    kit_run(&kit);
    assert_non_null(strstr(sentence, "'source' (source, 1 replica) kept 'sink' waiting"));
    assert_non_null(strstr(sentence, "it can have one replica only"));
}

static void a_serial_stage_can_have_one_replica_only(void **state) {
    (void)state;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 60), (const int[]){-1});
    int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(.delay_us = 16000), source);
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(0), sum));
    kit.workers = 2;
    kit_run(&kit);
    assert_non_null(strstr(sentence, "'sum' (sum, 1 replica) kept 'sink' waiting"));
    assert_non_null(strstr(sentence, "it can have one replica only"));
}

static void a_slow_sink_is_its_own_bottleneck(void **state) {
    (void)state;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 60), (const int[]){-1});
    kit.stage[source].depth = 60; /* however seldom a loaded machine lets it work */
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(.delay_us = 60000), source));
    kit.workers = 2;
    kit_run(&kit);
    assert_non_null(strstr(sentence, "'sink' itself"));
}

static void a_failed_run_has_no_bottleneck(void **state) {
    (void)state;
    struct hf_error e;
    int slow = slow_graph(2, 1);
    kit.knobs[slow].fail = "process";
    kit.knobs[slow].fail_at = 40 * 31 + 1;
    assert_int_not_equal(kit_try(&kit, &e), HF_OK);
    assert_string_equal(sentence, "");
}

/* ---- the trace ---- */

static char path[128];

static cJSON *read_trace(void) {
    void *bytes = NULL;
    size_t size = 0;
    struct hf_error e;
    assert_int_equal(file_read(path, &bytes, &size, &e), HF_OK);
    cJSON *trace = cJSON_ParseWithLength(bytes, size);
    free(bytes);
    assert_non_null(trace);
    return trace;
}

static const char *text_at(const cJSON *event, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, name));
    return text ? text : "";
}

static double number_at(const cJSON *event, const char *name) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event, name));
}

/* The name of a track, as the trace's metadata tell it. */
static const char *track_name(const cJSON *events, double track) {
    const cJSON *ev;
    cJSON_ArrayForEach(ev, events)
        if (strcmp(text_at(ev, "name"), "thread_name") == 0 && number_at(ev, "tid") == track)
            return text_at(cJSON_GetObjectItemCaseSensitive(ev, "args"), "name");
    return "";
}

static int spans_of(const cJSON *events, const char *stage, const char *what) {
    const cJSON *ev;
    int count = 0;
    cJSON_ArrayForEach(ev, events) {
        const char *name = track_name(events, number_at(ev, "tid"));
        count += strcmp(text_at(ev, "ph"), "X") == 0 && strcmp(text_at(ev, "name"), what) == 0 &&
                 strncmp(name, stage, strlen(stage)) == 0;
    }
    return count;
}

static void check_no_overlap(const cJSON *events) {
    const cJSON *a, *b;
    cJSON_ArrayForEach(a, events) {
        if (strcmp(text_at(a, "ph"), "X") != 0)
            continue;
        double from = number_at(a, "ts"), to = from + number_at(a, "dur");
        assert_true(from >= 0 && to >= from);
        cJSON_ArrayForEach(b, events) {
            if (b == a || strcmp(text_at(b, "ph"), "X") != 0 ||
                number_at(a, "tid") != number_at(b, "tid"))
                continue;
            double other = number_at(b, "ts");
            assert_false(other > from + 0.0015 && other < to - 0.0015); /* printed to 1 ns */
        }
    }
}

static void a_trace_has_a_track_for_each_replica(void **state) {
    (void)state;
    (void)slow_graph(4, 3);
    (void)snprintf(path, sizeof path, "%s/trace.json", kit.folder);
    kit.trace = path;
    kit_run(&kit);
    cJSON *trace = read_trace();
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(trace, "traceEvents"), *ev;
    assert_int_equal(spans_of(events, "source", "open"), 60);
    assert_int_equal(spans_of(events, "quick", "process"), 60);
    assert_int_equal(spans_of(events, "slow", "process"), 60);
    assert_int_equal(spans_of(events, "slow 1", "process") + spans_of(events, "slow 2", "process") +
                         spans_of(events, "slow 3", "process"),
                     60);
    assert_true(spans_of(events, "slow 2", "process") > 0);
    assert_true(spans_of(events, "sink", "wait") > 0);
    assert_true(spans_of(events, "sink", "work") >= 60);
    bool job = false, counter = false;
    cJSON_ArrayForEach(ev, events) {
        job = job ||
              (strcmp(text_at(ev, "name"), "process_name") == 0 &&
               strcmp(text_at(cJSON_GetObjectItemCaseSensitive(ev, "args"), "name"), "sink") == 0);
        counter = counter ||
                  (strcmp(text_at(ev, "ph"), "C") == 0 && strcmp(text_at(ev, "name"), "slow") == 0);
    }
    assert_true(job && counter);
    check_no_overlap(events);
    cJSON_Delete(trace);
    (void)unlink(path);
}

static void a_trace_that_cannot_be_written_ends_the_run_first(void **state) {
    (void)state;
    struct hf_error e;
    (void)slow_graph(2, 1);
    kit.trace = "/nonexistent/folder/trace.json";
    assert_int_equal(kit_try(&kit, &e), HF_IO);
    assert_non_null(strstr(e.text, "the trace '/nonexistent/folder/trace.json' cannot be written"));
    assert_int_equal(atomic_load(&kit.probe.opened), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slow_stage_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(one_more_replica_gives_what_was_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_needs_a_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_source_is_found_behind_quick_stages, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_serial_stage_can_have_one_replica_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_sink_is_its_own_bottleneck, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_run_has_no_bottleneck, setup, teardown),
        cmocka_unit_test_setup_teardown(a_trace_has_a_track_for_each_replica, setup, teardown),
        cmocka_unit_test_setup_teardown(a_trace_that_cannot_be_written_ends_the_run_first, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
