/*
 * test_hold.c - held samples: the same stream with any budget, and less work with a larger one.
 */
#include "kit.h"

#include <stdlib.h>
#include <time.h>

#include "run/exec.h"

#define ITEMS  12
#define EPOCHS 5

struct counted {
    struct log *log;
    int opened, processed;
};

/* source - map - odd - noise - learn, with `hold` bytes. */
static struct counted run_passes(int64_t hold, int workers, int emits) {
    struct kit kit;
    struct counted c = {.log = log_new()};
    kit_open(&kit);
    int source =
        kit_stage_(&kit, "source", &kit_source,
                   KNOBS(.count = ITEMS, .elements = 1 << 20, .delay_us = 200), (const int[]){-1});
    int map = kit_stage(&kit, "map", &kit_map, KNOBS(.add = 1, .emits = emits), source);
    int odd = kit_stage(&kit, "odd", &kit_odd, KNOBS(0), map);
    int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(.delay_us = 200), odd);
    int learn = kit_stage(&kit, "learn", &kit_learn, KNOBS(.count = EPOCHS, .log = c.log), noise);
    kit_job(&kit, learn);
    kit.plan.hold = hold;
    kit.workers = workers;
    kit_run(&kit);
    c.opened = atomic_load(&kit.probe.opened);
    c.processed = atomic_load(&kit.probe.processed);
    kit_close(&kit);
    return c;
}

static void check_same(struct counted with, struct counted without) {
    log_check_equal(with.log, without.log);
    log_free(with.log);
}

static void held_samples_are_made_once(void **state) {
    (void)state;
    struct counted none = run_passes(0, 1, 1);
    assert_int_equal(none.opened, ITEMS * EPOCHS);
    for (int workers = 1; workers <= 4; workers += 3) {
        struct counted all = run_passes((int64_t)1 << 30, workers, 1);
        /* Half of the items are filtered out: that they leave nothing is kept, too. */
        assert_int_equal(all.opened, ITEMS);
        assert_int_equal(all.processed, 2 * ITEMS + EPOCHS * ITEMS / 2);
        check_same(all, none);
    }
    log_free(none.log);
}

static void several_samples_of_an_item_are_kept_in_order(void **state) {
    (void)state;
    struct counted none = run_passes(0, 3, 3), all = run_passes((int64_t)1 << 30, 3, 3);
    assert_int_equal(all.opened, ITEMS);
    assert_int_equal(none.log->count, EPOCHS * ITEMS / 2 * 3);
    check_same(all, none);
    log_free(none.log);
}

static void a_small_budget_keeps_a_part(void **state) {
    (void)state;
    struct counted none = run_passes(0, 2, 1), some = run_passes((7 << 20) / 2, 2, 1);
    /* Three of the odd ones fit, and all of the filtered ones, which weigh nothing. */
    assert_int_equal(some.opened, ITEMS + (EPOCHS - 1) * (ITEMS / 2 - 3));
    check_same(some, none);
    log_free(none.log);
}

/* Two trainings and a single pass over the same prepared samples. */
static int run_jobs(int64_t hold, int at_once, struct log *logs[3]) {
    struct kit kit;
    kit_open(&kit);
    int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = ITEMS, .delay_us = 200),
                            (const int[]){-1});
    int map = kit_stage(&kit, "map", &kit_map, KNOBS(.add = 3), source);
    int noise = kit_stage(&kit, "noise", &kit_noise, KNOBS(0), map);
    int other = kit_stage(&kit, "other", &kit_noise, KNOBS(0), map);
    for (int i = 0; i < 3; i++)
        logs[i] = log_new();
    int a = kit_stage(&kit, "a", &kit_learn, KNOBS(.count = 3, .log = logs[0]), noise);
    int b = kit_stage(&kit, "b", &kit_learn, KNOBS(.count = 2, .log = logs[1]), other);
    int c = kit_stage(&kit, "c", &kit_collect, KNOBS(.log = logs[2]), map);
    kit_job(&kit, a);
    kit_job(&kit, b);
    kit_job(&kit, c);
    kit.plan.hold = hold;
    kit.plan.jobs_at_once = at_once;
    kit_run(&kit);
    int opened = atomic_load(&kit.probe.opened);
    kit_close(&kit);
    return opened;
}

static void jobs_share_what_is_held(void **state) {
    (void)state;
    struct log *none[3], *one[3], *many[3];
    assert_int_equal(run_jobs(0, 1, none), 6 * ITEMS);
    assert_int_equal(run_jobs((int64_t)1 << 30, 1, one), ITEMS);
    assert_in_range(run_jobs((int64_t)1 << 30, 3, many), ITEMS, 3 * ITEMS);
    for (int i = 0; i < 3; i++) {
        log_check_equal(none[i], one[i]);
        log_check_equal(none[i], many[i]);
        log_free(none[i]);
        log_free(one[i]);
        log_free(many[i]);
    }
}

/* Random samples are never held: every epoch must draw anew. */
static void random_samples_are_not_held(void **state) {
    (void)state;
    struct kit kit;
    struct log *log = log_new();
    kit_open(&kit);
    int source = kit_stage_(&kit, "source", &kit_random, KNOBS(.count = ITEMS), (const int[]){-1});
    int learn = kit_stage(&kit, "learn", &kit_learn, KNOBS(.count = 3, .log = log), source);
    kit_job(&kit, learn);
    kit.plan.hold = 1 << 30;
    kit_run(&kit);
    assert_int_equal(atomic_load(&kit.probe.opened), 3 * ITEMS);
    assert_true(log->line[0].value != log->line[ITEMS].value);
    kit_close(&kit);
    log_free(log);
}

/* A mix that starts over pulls its passes from the cache; a stage with an order is never held. */
static void mixes_and_ordered_stages(void **state) {
    (void)state;
    struct log *log[2];
    int opened[2];
    for (int k = 0; k < 2; k++) {
        struct kit kit;
        log[k] = log_new();
        kit_open(&kit);
        int source = kit_stage_(&kit, "source", &kit_source, KNOBS(.count = 5), (const int[]){-1});
        int map = kit_stage(&kit, "map", &kit_map, KNOBS(0), source);
        int sum = kit_stage(&kit, "sum", &kit_sum, KNOBS(0), map);
        int mix = kit_stage(&kit, "mix", &kit_mix, KNOBS(0), map, sum);
        kit.stage[mix].mix_weight[0] = 3;
        kit.stage[mix].mix_weight[1] = 1;
        int learn = kit_stage(&kit, "learn", &kit_learn, KNOBS(.count = 2, .log = log[k]), mix);
        kit_job(&kit, learn);
        kit.plan.hold = k ? 1 << 30 : 0;
        kit_run(&kit);
        opened[k] = atomic_load(&kit.probe.opened);
        kit_close(&kit);
    }
    log_check_equal(log[0], log[1]);
    assert_true(opened[0] > 40);
    /* Both branches meet at the same cached items; where they come at once, each makes its own. */
    assert_in_range(opened[1], 5, 10);
    log_free(log[0]);
    log_free(log[1]);
}

/* ---- what is given up under a lock is released without it ---- */

static struct hf_engine *running;
static atomic_int released, stuck;

static enum hf_status locked_alloc(struct hf_device *d, struct hf_queue *q, size_t bytes,
                                   void **ret, struct hf_error *e) {
    (void)d, (void)q;
    *ret = malloc(bytes);
    return *ret ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory");
}

/* Needs the run's and the cache's lock, as one that waits for work that needs them. */
static void locked_free(struct hf_device *d, void *data, size_t bytes, struct hf_event *after) {
    struct run *run = running->run;
    struct timespec limit;
    (void)d, (void)bytes, (void)after;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 5;
    if (run && pthread_mutex_timedlock(&run->lock, &limit) == 0) {
        pthread_mutex_unlock(&run->lock);
        if (run->hold)
            (void)hold_counts(run->hold);
    } else if (run) {
        (void)atomic_fetch_add(&stuck, 1);
    }
    (void)atomic_fetch_add(&released, 1);
    free(data);
}

static const struct hf_device_methods locked_methods = {
    .size = sizeof locked_methods, .alloc = locked_alloc, .free = locked_free};
static struct hf_device locked_device = {&locked_methods, HF_KIND_CPU, 0, 1, HF_KIND_CPU};

static enum hf_status locked_count(struct hf_stage *s, int64_t *ret, struct hf_error *e) {
    (void)e;
    *ret = ((const struct knobs *)s->options)->count;
    return HF_OK;
}

static enum hf_status locked_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    struct hf_sample *out = NULL;
    struct hf_tensor *t = NULL;
    const int64_t one = 1;
    enum hf_status st = s->host->sample_new(s->host, "a", "a", "a", &out, e);
    if (st == HF_OK)
        st = s->host->tensor_new(s->host, &locked_device, NULL, HF_I64, 1, &one, &t, e);
    if (st == HF_OK) {
        HF_DATA(int64_t, t)[0] = item;
        st = s->host->sample_set(out, "value", HF_ON_HOST, t, e);
    }
    return st == HF_OK ? hf_emit(s, out, e) : st;
}

static const struct hf_stage_class locked_source = {.name = "locked",
                                                    .kind = HF_SOURCE,
                                                    .options_size = sizeof(struct knobs),
                                                    .count = locked_count,
                                                    .open = locked_open};

static void nothing_is_released_under_a_lock(void **state) {
    (void)state;
    for (int hold = 0; hold < 2; hold++) {
        struct kit kit;
        kit_open(&kit);
        running = kit.engine;
        atomic_store(&released, 0);
        int source =
            kit_stage_(&kit, "source", &locked_source, KNOBS(.count = 40), (const int[]){-1});
        /* Without a cache it leaves samples on the edge, at the end of each pass. */
        int sink = hold ? kit_stage(&kit, "sink", &kit_learn, KNOBS(.count = 3), source)
                        : kit_stage(&kit, "sink", &kit_collect,
                                    KNOBS(.count = 20, .stop_at = 3, .delay_us = 300), source);
        kit_job(&kit, sink);
        kit.plan.hold = hold << 20;
        kit.workers = 3;
        kit_run(&kit);
        assert_true(atomic_load(&released) >= 40);
        assert_int_equal(atomic_load(&stuck), 0);
        kit_close(&kit);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_samples_are_made_once),
        cmocka_unit_test(several_samples_of_an_item_are_kept_in_order),
        cmocka_unit_test(a_small_budget_keeps_a_part),
        cmocka_unit_test(jobs_share_what_is_held),
        cmocka_unit_test(random_samples_are_not_held),
        cmocka_unit_test(mixes_and_ordered_stages),
        cmocka_unit_test(nothing_is_released_under_a_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
