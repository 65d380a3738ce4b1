/*
 * test_stream.c - what comes out of an executor's edges: the same for any number of workers.
 */
#include "kit.h"

#include <stdlib.h>
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

/* Source, a map, a filter, a serial stage with an end, two epochs; everything dawdles. */
static struct log *run_chain(int workers, int64_t items) {
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = items, .delay_us = 300),
                            (const int[]){-1});
    int map = kit_stage(&kit, "map", &kit_map, KNOBS(.add = 5, .delay_us = 800), source);
    int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(.delay_us = 300), map);
    int odd = kit_stage(&kit, "odd", &kit_odd, KNOBS(0), noise);
    int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(.delay_us = 100), odd);
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 2, .log = log), sum);
    kit_job(&kit, sink);
    kit.workers = workers;
    kit_run(&kit);
    return log;
}

static struct log *fresh_chain(int workers, int64_t items) {
    struct log *log = run_chain(workers, items);
    kit_close(&kit);
    kit_open(&kit);
    return log;
}

static void the_stream_does_not_depend_on_workers(void **state) {
    (void)state;
    struct log *one = fresh_chain(1, 60), *two = fresh_chain(2, 60), *eight = fresh_chain(8, 60);
    log_check_equal(one, two);
    log_check_equal(one, eight);
    assert_int_equal(one->line[one->count - 1].epoch, 1);
    assert_string_equal(one->line[one->count - 1].id, "end");
    /* The two epochs draw other numbers. */
    assert_true(one->line[0].value != one->line[one->count / 2 + 2].value);
    log_free(one);
    log_free(two);
    log_free(eight);
}

/* A stage that draws once gives in every pass what it would have given in the first. */
static void draws_may_come_again(void **state) {
    (void)state;
    struct log *log[2];
    for (int once = 0; once < 2; once++) {
        log[once] = log_new();
        int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 20), (const int[]){-1});
        int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(0), source);
        kit.plan.stage[noise].draws_once = once;
        int sink =
            kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 2, .log = log[once]), noise);
        kit_job(&kit, sink);
        kit.workers = 3;
        kit_run(&kit);
        kit_close(&kit);
        kit_open(&kit);
    }
    assert_int_equal(log[1]->count, 40);
    int anew = 0;
    for (int i = 0; i < 20; i++) {
        assert_true(log[1]->line[i].value == log[0]->line[i].value);
        assert_true(log[1]->line[20 + i].value == log[1]->line[i].value);
        assert_string_equal(log[1]->line[20 + i].id, log[1]->line[i].id);
        anew += log[0]->line[20 + i].value != log[0]->line[i].value;
    }
    assert_true(anew > 10);
    log_free(log[0]);
    log_free(log[1]);
}

static void values_are_what_the_stages_make_them(void **state) {
    (void)state;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 9), (const int[]){-1});
    int twice = kit_stage(&kit, "twice", &kit_map, KNOBS(.add = 2, .emits = 2), source);
    int odd = kit_stage(&kit, "odd", &kit_odd, KNOBS(0), twice);
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), odd);
    kit_job(&kit, sink);
    kit.workers = 3;
    kit_run(&kit);
    int at = 0;
    for (int64_t i = 0; i < 9; i++) {
        int64_t v = i * 31 + 2;
        if (v % 2 == 0)
            continue; /* and so is v + 1000000 */
        assert_int_equal(log->line[at].value, v);
        assert_int_equal(log->line[at + 1].value, v + 1000000);
        at += 2;
    }
    assert_int_equal(log->count, at);
    log_free(log);
}

static void replicas_work_side_by_side(void **state) {
    (void)state;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 40, .delay_us = 4000),
                            (const int[]){-1});
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(0), source);
    kit_job(&kit, sink);
    kit.workers = 4;
    kit_run(&kit);
    assert_in_range(atomic_load(&kit.probe.most_running), 2, 4);
    kit.stage[source].replicas = 1;
    atomic_store(&kit.probe.most_running, 0);
    kit_run(&kit);
    assert_int_equal(atomic_load(&kit.probe.most_running), 1);
}

/* ---- what the instances of a source share ---- */

#define TABLE 40

/* The first instance makes a table; its peers take the values of their items from there. */
struct table_state {
    int64_t *table;
};

static atomic_int tables, borrowers;

static enum hf_status table_start(struct hf_stage *s, struct hf_error *e) {
    struct table_state *state = s->state;
    const struct table_state *peer = s->peer;
    (void)e;
    (void)atomic_fetch_add(peer ? &borrowers : &tables, 1);
    state->table = peer ? peer->table : calloc(TABLE, sizeof *state->table);
    for (int i = 0; !peer && i < TABLE; i++)
        state->table[i] = 7 * i;
    return HF_OK;
}

static void table_stop(struct hf_stage *s) {
    struct table_state *state = s->state;
    assert_int_equal(state->table[1], 7); /* not before its peers have stopped */
    if (s->peer)
        return;
    state->table[1] = 0;
    free(state->table);
}

static enum hf_status table_count(struct hf_stage *s, int64_t *ret, struct hf_error *e) {
    (void)s;
    (void)e;
    *ret = TABLE;
    return HF_OK;
}

static enum hf_status table_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    char id[32];
    struct hf_sample *out = NULL;
    struct hf_tensor *t = NULL;
    const int64_t one = 1;
    (void)usleep(2000);
    (void)snprintf(id, sizeof id, "case%02d", (int)item);
    enum hf_status st = s->host->sample_new(s->host, id, id, id, &out, e);
    if (st == HF_OK)
        st = hf_tensor_new_host(s, HF_I64, 1, &one, &t, e);
    if (st == HF_OK) {
        HF_DATA(int64_t, t)[0] = ((const struct table_state *)s->state)->table[item];
        st = s->host->sample_set(out, "value", HF_ON_HOST, t, e);
    }
    return st == HF_OK ? hf_emit(s, out, e) : st;
}

static int32_t no_files(struct hf_stage *s, int64_t item, const char **paths, int32_t max) {
    (void)s;
    (void)item;
    (void)paths;
    (void)max;
    return 0;
}

static const struct hf_stage_class table_class = {.name = "table",
                                                  .kind = HF_SOURCE,
                                                  .state_size = sizeof(struct table_state),
                                                  .start = table_start,
                                                  .stop = table_stop,
                                                  .count = table_count,
                                                  .open = table_open};

static void instances_of_a_source_share_what_the_first_has_made(void **state) {
    (void)state;
    struct hf_stage_class with_files = table_class;
    with_files.files = no_files;
    for (int ahead = 0; ahead < 2; ahead++) {
        struct log *log = log_new();
        atomic_store(&tables, 0);
        atomic_store(&borrowers, 0);
        int source = kit_stage_(&kit, "source", ahead ? &with_files : &table_class, KNOBS(0),
                                (const int[]){-1});
        kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 2, .log = log), source));
        kit.workers = 4;
        kit_run(&kit);
        for (int i = 0; i < 2 * TABLE; i++)
            assert_int_equal(log->line[i].value, 7 * (i % TABLE));
        assert_int_equal(atomic_load(&tables), 2); /* the one that is opened before all work */
        assert_in_range(atomic_load(&borrowers), ahead, 4);
        log_free(log);
        kit_close(&kit);
        kit_open(&kit);
    }
}

static void a_slow_sink_bounds_what_is_alive(void **state) {
    (void)state;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 300), (const int[]){-1});
    int map = kit_stage(&kit, "map", &kit_map, KNOBS(0), source);
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.delay_us = 400), map);
    kit.stage[source].depth = 3;
    kit.stage[map].depth = 3;
    kit_job(&kit, sink);
    kit_run(&kit);
    /* Three on each edge, two in each stage's hands at most, one at the sink. */
    assert_in_range(atomic_load(&kit.probe.most_samples), 4, 11);
}

static struct {
    int holding; /* calls that wait */
    int places;  /* of the edge to them */
    atomic_int calls, opened;
} hold;

/* Waits until all of them have their samples and the edge is full, and a while longer, in which the
 * source must not open one more. The first call does not: until its sample has come out, the
 * executor does not know how large they are, and makes no other. */
static enum hf_status hold_process(struct hf_stage *s, const struct hf_sample *in,
                                   struct hf_error *e) {
    int call = atomic_fetch_add(&hold.calls, 1);
    if (call > 0 && call <= hold.holding) {
        atomic_int *opened = &kit.probe.opened;
        for (int i = 0; i < 20000 && (atomic_load(&hold.calls) <= hold.holding ||
                                      atomic_load(opened) <= hold.places);
             i++)
            (void)usleep(1000);
        for (int i = 0; i < 50 && atomic_load(opened) <= hold.places + 1; i++)
            (void)usleep(1000);
        int none = 0;
        (void)atomic_compare_exchange_strong(&hold.opened, &none, atomic_load(opened));
    }
    return kit_map.process(s, in, e);
}

static void a_sample_keeps_its_place_while_it_is_worked_on(void **state) {
    static const struct {
        int depth, holding, places;
    } cases[] = {{4, 1, 4}, {4, 3, 4}, {2, 2, 2}, {1, 1, 2}, {1, 2, 2}};
    struct hf_stage_class holds = kit_map;
    (void)state;
    holds.process = hold_process;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kit_close(&kit);
        kit_open(&kit);
        hold.holding = cases[i].holding;
        hold.places = cases[i].places;
        atomic_store(&hold.calls, 0);
        atomic_store(&hold.opened, 0);
        int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 12), (const int[]){-1});
        int map = kit_stage(&kit, "map", &holds, KNOBS(0), source);
        kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(0), map));
        kit.stage[source].depth = cases[i].depth;
        kit.stage[source].replicas = 1;
        kit.stage[map].replicas = cases[i].holding;
        kit.workers = cases[i].holding + 1;
        kit_run(&kit);
        assert_int_equal(atomic_load(&hold.opened), cases[i].places + 1);
        assert_int_equal(atomic_load(&hold.calls), 12);
    }
}

static void large_samples_are_bounded_in_bytes(void **state) {
    (void)state;
    int source = kit_stage_(&kit, "source", &kit_source,
                            KNOBS(.count = 20, .elements = (int64_t)100 << 20), (const int[]){-1});
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.delay_us = 3000), source);
    kit_job(&kit, sink);
    kit.stage[source].depth = 16;
    kit_run(&kit);
    assert_in_range(atomic_load(&kit.probe.most_samples), 1, 3); /* 256 MB, and the sink's own */
}

static void sinks_of_a_job_share_samples(void **state) {
    (void)state;
    struct log *a = log_new(), *b = log_new(), *c = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 30, .delay_us = 100),
                            (const int[]){-1});
    int map = kit_stage(&kit, "map", &kit_map, KNOBS(0), source);
    int odd = kit_stage(&kit, "odd", &kit_odd, KNOBS(0), map);
    int one = kit_stage(&kit, "one", &kit_collect, KNOBS(.log = a), map);
    int two = kit_stage(&kit, "two", &kit_collect, KNOBS(.log = b, .delay_us = 500), map);
    int three = kit_stage(&kit, "three", &kit_collect, KNOBS(.log = c), odd);
    kit_job(&kit, one, two, three);
    kit_run(&kit);
    assert_int_equal(atomic_load(&kit.probe.opened), 30);
    assert_int_equal(a->count, 30);
    assert_int_equal(c->count, 15);
    log_check_equal(a, b);
    int same = 0;
    for (int i = 0; i < 30; i++)
        same += a->line[i].sample == b->line[i].sample;
    assert_int_equal(same, 30);
    log_free(a);
    log_free(b);
    log_free(c);
}

/* A sink that leaves early must not hold up the others. */
static void a_sink_may_leave_early(void **state) {
    (void)state;
    struct log *a = log_new(), *b = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 50), (const int[]){-1});
    int left = kit_stage(&kit, "left", &kit_map, KNOBS(0), source);
    int right = kit_stage(&kit, "right", &kit_map, KNOBS(0), source);
    int one = kit_stage(&kit, "one", &kit_collect, KNOBS(.log = a, .stop_at = 3), left);
    int two = kit_stage(&kit, "two", &kit_collect, KNOBS(.log = b), right);
    kit_job(&kit, one, two);
    kit_run(&kit);
    assert_int_equal(a->count, 3);
    assert_int_equal(b->count, 50);
    log_free(a);
    log_free(b);
}

static void shared_input_has_one_pass(void **state) {
    (void)state;
    struct hf_error e;
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 5), (const int[]){-1});
    int one = kit_stage(&kit, "one", &kit_collect, KNOBS(.count = 2), source);
    int two = kit_stage(&kit, "two", &kit_collect, KNOBS(0), source);
    kit_job(&kit, one, two);
    assert_int_equal(kit_try(&kit, &e), HF_UNSUPPORTED);
    assert_non_null(strstr(e.text, "stage 'one': shares its input"));
}

static void epochs_begin_again(void **state) {
    (void)state;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_random, KNOBS(.count = 7, .delay_us = 100),
                            (const int[]){-1});
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 3, .log = log), source);
    kit_job(&kit, sink);
    kit_run(&kit);
    assert_int_equal(log->count, 21);
    int differ = 0;
    for (int i = 0; i < 21; i++) {
        assert_int_equal(log->line[i].epoch, i / 7);
        assert_string_equal(log->line[i].id, log->line[i % 7].id);
        struct hf_rng rng = hf_rng_init(66, "source", log->line[i].id, (uint64_t)(i / 7));
        assert_int_equal(log->line[i].value, hf_rng_below(&rng, 100000));
        differ += log->line[i].value != log->line[i % 7].value;
    }
    assert_int_equal(differ, 14);
    log_free(log);
}

static void a_sink_may_rewind_early(void **state) {
    (void)state;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 40, .delay_us = 200),
                            (const int[]){-1});
    int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(.delay_us = 500), source);
    int sink =
        kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 20, .stop_at = 5, .log = log), noise);
    kit_job(&kit, sink);
    kit.workers = 4;
    kit_run(&kit);
    assert_int_equal(log->count, 100);
    for (int i = 0; i < 100; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "case%03d", i % 5);
        assert_string_equal(log->line[i].id, id);
        struct hf_rng rng = hf_rng_init(66, "noise", id, (uint64_t)(i / 5));
        assert_int_equal(log->line[i].value, i % 5 + hf_rng_below(&rng, 1000));
    }
    log_free(log);
}

/* ---- mixes ---- */

static struct log *run_mix(int64_t a, int64_t b, double wa, double wb, int workers, int epochs) {
    struct log *log = log_new();
    int one =
        kit_stage_(&kit, "one", &kit_random, KNOBS(.count = a, .delay_us = 200), (const int[]){-1});
    int two =
        kit_stage_(&kit, "two", &kit_source, KNOBS(.count = b, .delay_us = 500), (const int[]){-1});
    int mix = kit_stage(&kit, "mix", &kit_mix, KNOBS(0), one, two);
    kit.stage[mix].mix_weight[0] = wa;
    kit.stage[mix].mix_weight[1] = wb;
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = epochs, .log = log), mix);
    kit_job(&kit, sink);
    kit.workers = workers;
    kit_run(&kit);
    kit_close(&kit);
    kit_open(&kit);
    return log;
}

static int from_input(const struct log *log, int input) {
    int n = 0;
    for (int i = 0; i < log->count; i++)
        n += log->line[i].value % 10 == input;
    return n;
}

static void a_mix_without_weights_takes_turns(void **state) {
    (void)state;
    struct log *log = run_mix(3, 7, 0, 0, 3, 1);
    static const int expected[10] = {0, 1, 0, 1, 0, 1, 1, 1, 1, 1};
    assert_int_equal(log->count, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(log->line[i].value % 10, expected[i]);
    log_free(log);
}

static void a_mix_keeps_its_ratio_and_starts_over(void **state) {
    (void)state;
    struct log *log = run_mix(6, 20, 2, 1, 4, 1);
    /* Two of the short one for each of the long one, which ends once: 40 and 20 (and the last
     * turn). */
    assert_int_equal(from_input(log, 1), 20);
    assert_in_range(from_input(log, 0), 39, 41);
    for (int i = 0; i + 3 <= log->count; i += 3) {
        int ones = 0;
        for (int k = 0; k < 3; k++)
            ones += log->line[i + k].value % 10 == 1;
        assert_int_equal(ones, 1);
    }
    /* The recycled input draws anew: its passes are epochs of their own. */
    int64_t seen[64];
    int n = 0;
    for (int i = 0; i < log->count; i++)
        if (log->line[i].value % 10 == 0)
            seen[n++] = log->line[i].value;
    assert_true(seen[0] != seen[6] && seen[1] != seen[7] && seen[6] != seen[12]);
    struct hf_rng rng = hf_rng_init(66, "one", "case000", 1);
    assert_int_equal(seen[6] / 10, hf_rng_below(&rng, 100000));
    log_free(log);
}

static void a_mix_does_not_depend_on_workers(void **state) {
    (void)state;
    struct log *one = run_mix(5, 13, 3, 2, 1, 3), *eight = run_mix(5, 13, 3, 2, 8, 3);
    log_check_equal(one, eight);
    assert_true(one->count > 3 * 13);
    log_free(one);
    log_free(eight);
}

static void an_empty_input_of_a_mix_is_passed_over(void **state) {
    (void)state;
    struct log *log = run_mix(0, 4, 1, 1, 2, 1);
    assert_int_equal(log->count, 4);
    log_free(log);
    log = run_mix(0, 0, 1, 1, 2, 2);
    assert_int_equal(log->count, 0);
    log_free(log);
}

static void a_mix_of_one_stage_twice_has_two_streams(void **state) {
    (void)state;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 20), (const int[]){-1});
    int odd = kit_stage(&kit, "odd", &kit_odd, KNOBS(0), source);
    int mix = kit_stage(&kit, "mix", &kit_mix, KNOBS(0), odd, source);
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), mix);
    for (int i = 0; i < kit.plan.stages; i++)
        kit.stage[i].depth = 1;
    kit_job(&kit, sink);
    kit.workers = 1; /* a shared source could not serve both with an edge of one */
    kit_run(&kit);
    assert_int_equal(log->count, 30);
    assert_int_equal(atomic_load(&kit.probe.opened), 40);
    log_free(log);
}

/* A mix that starts over while the pass of one of its own inputs is still at work. */
static struct log *run_nested(int workers) {
    struct log *log = log_new();
    int one =
        kit_stage_(&kit, "one", &kit_random, KNOBS(.count = 9, .delay_us = 900), (const int[]){-1});
    int two = kit_stage_(&kit, "two", &kit_source, KNOBS(.count = 10), (const int[]){-1});
    int three = kit_stage_(&kit, "three", &kit_source, KNOBS(.count = 120), (const int[]){-1});
    int slow = kit_stage(&kit, "slow", &kit_noise, KNOBS(.delay_us = 900), one);
    int inner = kit_stage(&kit, "inner", &kit_mix, KNOBS(0), slow, two);
    int outer = kit_stage(&kit, "outer", &kit_mix, KNOBS(0), inner, three);
    for (int i = 0; i < 2; i++)
        kit.stage[inner].mix_weight[i] = kit.stage[outer].mix_weight[i] = 1;
    kit_job(&kit, kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), outer));
    kit.workers = workers;
    kit_run(&kit);
    kit_close(&kit); /* finds a sample that was lost on the way */
    kit_open(&kit);
    return log;
}

static void a_mix_in_a_mix_does_not_depend_on_workers(void **state) {
    (void)state;
    struct log *one = run_nested(1);
    assert_true(one->count >= 240);
    for (int i = 0; i < 4; i++) {
        struct log *eight = run_nested(8);
        log_check_equal(one, eight);
        log_free(eight);
    }
    log_free(one);
}

static void empty_streams_end(void **state) {
    (void)state;
    struct log *log = log_new();
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(0), (const int[]){-1});
    int none = kit_stage(&kit, "none", &kit_map, KNOBS(.emits = -1), source);
    int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(0), none);
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.count = 3, .log = log), sum);
    kit_job(&kit, sink);
    kit_run(&kit);
    assert_int_equal(log->count, 3); /* the ends */
    kit.knobs[source].count = 11;
    kit_run(&kit);
    assert_int_equal(log->count, 6);
    log_free(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_stream_does_not_depend_on_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(draws_may_come_again, setup, teardown),
        cmocka_unit_test_setup_teardown(values_are_what_the_stages_make_them, setup, teardown),
        cmocka_unit_test_setup_teardown(replicas_work_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(instances_of_a_source_share_what_the_first_has_made, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_slow_sink_bounds_what_is_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sample_keeps_its_place_while_it_is_worked_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(large_samples_are_bounded_in_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(sinks_of_a_job_share_samples, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sink_may_leave_early, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_input_has_one_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs_begin_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sink_may_rewind_early, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mix_without_weights_takes_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mix_keeps_its_ratio_and_starts_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mix_does_not_depend_on_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_input_of_a_mix_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mix_of_one_stage_twice_has_two_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mix_in_a_mix_does_not_depend_on_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_streams_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
