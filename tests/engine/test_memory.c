/*
 * test_memory.c - how much memory jobs take at most: what devices have handed out in a run never
 * exceeds what a scan has told before, and comes near it where sinks are slower than their streams.
 */
#include "kit.h"

#include <stdlib.h>
#include <time.h>

#include "run/memory.h"

#define MB    ((int64_t)1 << 20)
#define ITEMS 40

static struct kit kit;
static double peak[KIT_STAGES];
static int jobs_done;

static void listen(void *arg, const struct hf_run_event *ev) {
    (void)arg;
    for (int j = 0; ev->kind == HF_EVENT_JOB_DONE && j < kit.plan.jobs; j++)
        if (strcmp(kit.job[j].name, ev->job) == 0) {
            peak[j] = ev->memory[0];
            jobs_done++;
        }
}

static int setup(void **state) {
    (void)state;
    kit_open(&kit);
    kit.on_event = listen;
    kit.plan.jobs_at_once = 1;
    memset(peak, 0, sizeof peak);
    jobs_done = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    memory_free(kit.plan.memory);
    kit.plan.memory = NULL;
    kit_close(&kit);
    return 0;
}

/* Sinks that say that they take nothing, as they do. */
static enum hf_status takes_nothing(struct hf_stage *s, const struct hf_memory_query *q,
                                    struct hf_memory *ret, struct hf_error *e) {
    (void)s;
    (void)q;
    (void)e;
    *ret = (struct hf_memory){0, 0};
    return HF_OK;
}

static struct hf_stage_class collect, learn;

static int slow_sink(const char *name, int from, bool learns, int epochs) {
    collect = kit_collect;
    collect.memory = takes_nothing;
    learn = kit_learn;
    learn.memory = takes_nothing;
    return kit_stage(&kit, name, learns ? &learn : &collect,
                     KNOBS(.count = epochs, .delay_us = 4000), from);
}

static int source(const char *name, int64_t count, int64_t elements) {
    return kit_stage_(&kit, name, &kit_source, KNOBS(.count = count, .elements = elements),
                      (const int[]){-1});
}

static int64_t scan(void) {
    struct hf_error e = {0};
    kit.plan.runs_on = "cpu";
    if (hf_plan_measure(&kit.plan, kit.workers, 1, &e) != HF_OK)
        fail_msg("%s", e.text);
    return job_memory_total(&kit.plan.memory->job[0], SIDE_HOST);
}

/* Scans, runs, and compares; `least` is the share of the bound that must be reached. */
static void check(double least) {
    (void)scan();
    kit_run(&kit);
    assert_int_equal(jobs_done, kit.plan.jobs);
    for (int j = 0; j < kit.plan.jobs; j++) {
        const struct job_memory *told = &kit.plan.memory->job[j];
        double most = (double)job_memory_total(told, SIDE_HOST);
        assert_true(told->known);
        if (peak[j] > most)
            fail_msg("job '%s' had %.0f bytes in use, at most %.0f were told", kit.job[j].name,
                     peak[j], most);
        if (peak[j] < least * most)
            fail_msg("job '%s' had %.0f bytes in use of %.0f, less than %.2f of them",
                     kit.job[j].name, peak[j], most, least);
    }
}

/* source - map - noise - sink, each with data of its own. */
static void chain(int workers, int replicas, int depth, int64_t hold, bool learns) {
    int at = source("source", ITEMS, MB);
    at = kit_stage(&kit, "map", &kit_map, KNOBS(.elements = MB), at);
    at = kit_stage(&kit, "noise", &kit_noise, KNOBS(.elements = 2 * MB), at);
    int sink = slow_sink("sink", at, learns, learns ? 3 : 1);
    for (int i = 0; i < sink; i++) {
        kit.stage[i].replicas = replicas;
        kit.stage[i].depth = depth;
    }
    kit.plan.hold = hold;
    kit.workers = workers;
    kit_job(&kit, sink);
}

static void again(void) {
    void *none = NULL;
    (void)teardown(&none);
    (void)setup(&none);
}

static void a_slow_training_fills_its_bound(void **state) {
    (void)state;
    static const int workers[] = {1, 2, 4};
    for (int w = 0; w < 3; w++)
        for (int held = 0; held < 2; held++)
            for (int replicas = 0; replicas < 2; replicas++) {
                chain(workers[w], replicas, 4, held ? (int64_t)1 << 30 : 0, true);
                check(0.8);
                again();
            }
}

static void a_slow_sink_fills_its_bound(void **state) {
    (void)state;
    for (int workers = 1; workers <= 4; workers *= 2) {
        chain(workers, 0, 6, 0, false);
        check(0.8);
        again();
    }
}

static void the_cache_may_be_too_small(void **state) {
    (void)state;
    chain(2, 0, 3, 20 * MB, true);
    check(0.8);
}

static void small_graphs_are_told_to_the_byte(void **state) {
    (void)state;
    int at = source("source", ITEMS, MB), sink = slow_sink("sink", at, false, 1);
    kit.stage[at].depth = 5;
    kit.workers = 1;
    kit_job(&kit, sink);
    /* Five between them, one at the sink; beside the data of each sample its value. */
    assert_int_equal(scan(), 6 * (MB + 8));
    assert_int_equal(kit.plan.memory->stage[at].samples, ITEMS);
    assert_int_equal(atomic_load(&kit.probe.opened), ITEMS);
    kit_run(&kit);
    assert_true(peak[0] == 6 * (double)(MB + 8));
}

static void samples_are_counted(void **state) {
    (void)state;
    int at = source("source", 21, 100);
    int twice = kit_stage(&kit, "twice", &kit_map, KNOBS(.emits = 2), at);
    int odd = kit_stage(&kit, "odd", &kit_odd, KNOBS(0), at);
    int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(0), odd);
    int none = kit_stage(&kit, "none", &kit_map, KNOBS(.emits = -1), at);
    int mix = kit_stage(&kit, "mix", &kit_mix, KNOBS(0), twice, odd);
    kit.stage[mix].mix_weight[0] = kit.stage[mix].mix_weight[1] = 1;
    int a = slow_sink("a", mix, true, 1), b = slow_sink("b", sum, false, 1);
    int c = slow_sink("c", none, false, 1);
    kit_job(&kit, a);
    kit_job(&kit, b, c);
    (void)scan();
    const struct use *use = kit.plan.memory->stage;
    assert_int_equal(use[at].samples, 21);
    assert_int_equal(use[twice].samples, 42);
    assert_int_equal(use[odd].samples, 10);
    assert_int_equal(use[sum].samples, 11); /* and the total in the end */
    assert_int_equal(use[none].samples, 0);
    assert_in_range(use[mix].samples, 42 + 10, 2 * 42); /* the shorter one over and over */
}

/* Other classes of graphs are only bounded. */
static void no_graph_exceeds_its_bound(void **state) {
    (void)state;
    for (int workers = 1; workers <= 4; workers++) {
        int one = source("one", 17, MB), two = source("two", 5, 3 * MB);
        int map = kit_stage(&kit, "map", &kit_map, KNOBS(.elements = MB, .emits = 3), one);
        int mix = kit_stage(&kit, "mix", &kit_mix, KNOBS(.delay_us = 200), map, two);
        int odd = kit_stage(&kit, "odd", &kit_odd, KNOBS(.elements = MB / 2), mix);
        int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(.elements = MB), odd);
        kit.stage[mix].mix_weight[0] = 2;
        kit.stage[mix].mix_weight[1] = 1;
        int a = slow_sink("a", mix, false, 1), b = slow_sink("b", sum, false, 1);
        int c = slow_sink("c", odd, true, 2);
        kit.workers = workers;
        kit.plan.hold = workers % 2 ? 0 : 30 * MB;
        kit_job(&kit, a, b);
        kit_job(&kit, c);
        check(0);
        again();
    }
}

static void a_scan_runs_without_models(void **state) {
    (void)state;
    int file = kit_stage_(&kit, "file", &kit_modelfile, KNOBS(.add = 7), (const int[]){-1});
    int at = source("source", 9, MB);
    int apply = kit_stage(&kit, "apply", &kit_apply, KNOBS(0), at);
    int sink = slow_sink("sink", apply, false, 1);
    kit.stage[apply].model = file;
    kit_job(&kit, file);
    int job = kit_job(&kit, sink);
    kit.job[job].after = 1;
    kit.job[job].after_job[0] = 0;
    check(0);
    assert_int_equal(kit.plan.memory->stage[apply].samples, 9);
}

/* A source and a stage that say from headers what they make. */
static enum hf_status grid_of(struct hf_stage *s, int64_t item, struct hf_grid *ret,
                              struct hf_error *e) {
    (void)s;
    (void)e;
    *ret = (struct hf_grid){.size = {item + 1, 10, 20}};
    return HF_OK;
}

static void halve(const void *options, const struct hf_grid *from, struct hf_grid *ret) {
    (void)options;
    *ret = *from;
    ret->size[2] /= 2;
}

static struct plan_field image(int64_t d, int64_t h, int64_t w) {
    return (struct plan_field){.name = "image", .dtype = HF_F32, .shape = {2, d, h, w}, .at = 1};
}

static void headers_alone_tell_a_bound(void **state) {
    (void)state;
    struct hf_error e;
    struct hf_stage_class headed = kit_source, regrids = kit_map;
    headed.grid_of = grid_of;
    regrids.regrid = halve;
    int at = kit_stage_(&kit, "source", &headed, KNOBS(.count = 7), (const int[]){-1});
    int map = kit_stage(&kit, "map", &regrids, KNOBS(0), at);
    int blind = source("blind", 3, 8);
    int sink = slow_sink("sink", map, false, 1), other = slow_sink("other", blind, false, 1);
    kit.stage[at].fields = kit.stage[map].fields = 1;
    kit.stage[at].field[0] = image(-1, -1, -1);
    kit.stage[map].field[0] = image(-1, -1, 10);
    kit.stage[at].depth = kit.stage[map].depth = 3;
    kit.workers = 2;
    kit.plan.runs_on = "cpu";
    kit_job(&kit, sink);
    kit_job(&kit, other);
    assert_int_equal(hf_plan_measure(&kit.plan, 2, 0, &e), HF_OK);
    const struct job_memory *told = kit.plan.memory->job;
    int64_t large = 2 * 7 * 10 * 20 * 4;
    assert_true(told[0].known);
    assert_int_equal(told[0].samples[SIDE_HOST], 3 * large + 3 * large / 2 + large / 2);
    /* Two tasks of the one that is guessed to have most: its input, and a few volumes of it. */
    assert_in_range(told[0].work[SIDE_HOST], 2 * large, 2 * (large + 8 * large));
    assert_int_equal(atomic_load(&kit.probe.opened), 0);
    assert_false(told[1].known);
    assert_non_null(strstr(told[1].unknown, "'blind': its sizes are known when it runs"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slow_training_fills_its_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_sink_fills_its_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cache_may_be_too_small, setup, teardown),
        cmocka_unit_test_setup_teardown(small_graphs_are_told_to_the_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(samples_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(no_graph_exceeds_its_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scan_runs_without_models, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_alone_tell_a_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
