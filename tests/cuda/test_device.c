/*
 * test_device.c - the CUDA device keeps the contract of hepaflow/device.h: order in a queue and
 * between queues, memory given back, staging, events, and one line for what goes wrong.
 *
 * Over the emulation, which runs everything as late as it may, or, where HEPAFLOW_CUDA_MODULES
 * names folders with the real cuda.so, on a GPU.
 */
#include "device_words.h"

#define SKIP 77

/* ---- around each test ---- */

static struct hf_device *open_device(int32_t id) {
    struct hf_error e = {0};
    struct hf_device *d = NULL;
    struct hf_device_options options = {.device_id = id, .host = harness_host(cu.harness)};
    if (cu.cls->open(&options, &d, &e) != HF_OK)
        fail_msg("%s", e.text);
    return d;
}

static int setup(void **state) {
    (void)state;
    cu.harness = harness_open();
    cu.device = open_device(0);
    cu.m = cu.device->methods;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    cu.m->destroy(cu.device);
    harness_close(cu.harness);
    if (cu.fault) {
        const char *fault = cu.fault();
        if (fault)
            fail_msg("fault: %s", fault);
        assert_int_equal(cu.used(), 0);
        cu.limit((size_t)1 << 30);
    }
    return 0;
}

/* ---- order ---- */

static void a_queue_keeps_its_order(void **state) {
    (void)state;
    struct hf_queue *q = queue();
    unsigned char *in = noise(LARGE, 1), *out = calloc(1, LARGE);
    void *a = take(q, LARGE), *b = take(q, LARGE);
    set(q, a, LARGE, 9);
    move(q, a, in, LARGE);
    pass(q, b, a, LARGE);
    set(q, a, LARGE, 7);
    move(q, out, b, LARGE);
    set(q, b, LARGE, 8);
    drain(q);
    assert_memory_equal(out, in, LARGE);
    move(q, out, b, 3);
    move(q, out + 3, a, 3);
    drain(q);
    assert_memory_equal(out, "\x8\x8\x8\x7\x7\x7", 6);
    give(a, LARGE);
    give(b, LARGE);
    queue_free(q);
    free(in);
    free(out);
}

static void a_queue_waits_for_another(void **state) {
    (void)state;
    struct hf_queue *q = queue(), *r = queue();
    unsigned char out[2][4] = {{0}};
    void *a = take(NULL, 4);
    set(q, a, 4, 5);
    struct hf_event *ev = record(q);
    assert_non_null(ev);
    move(r, out[0], a, 4); /* too early: it need not wait */
    wait_for(r, ev);
    wait_for(q, ev); /* its own: nothing to wait for */
    cu.m->event_unref(cu.device, ev);
    move(r, out[1], a, 4);
    drain(r);
    assert_memory_equal(out[1], "\5\5\5\5", 4);
    if (cu.fault)
        assert_memory_equal(out[0], "\xA5\xA5\xA5\xA5", 4);
    give(a, 4);
    queue_free(q);
    queue_free(r);
}

/* Round and round: each step of one queue reads what the other made before. */
static void queues_take_turns(void **state) {
    (void)state;
    struct hf_queue *q[2] = {queue(), queue()};
    unsigned char *in = noise(1000, 3), *out = calloc(1, 1000);
    struct hf_event *ev = NULL;
    void *at = take(q[0], 1000);
    move(q[0], at, in, 1000);
    for (int i = 0; i < 40; i++) {
        struct hf_queue *mine = q[i % 2];
        void *next = take(mine, 1000);
        if (ev) {
            wait_for(mine, ev);
            cu.m->event_unref(cu.device, ev);
        } else if (i > 0) {
            fail();
        }
        pass(mine, next, at, 1000);
        ev = record(mine);
        give(at, 1000);
        at = next;
    }
    move(q[1], out, at, 1000);
    cu.m->event_unref(cu.device, ev);
    drain(q[1]);
    assert_memory_equal(out, in, 1000);
    give(at, 1000);
    queue_free(q[0]);
    queue_free(q[1]);
    free(in);
    free(out);
}

/* ---- events ---- */

static void an_idle_queue_has_no_event(void **state) {
    (void)state;
    struct hf_queue *q = queue();
    assert_null(record(q));
    void *a = take(q, 100);
    set(q, a, 100, 1);
    struct hf_event *ev = record(q), *same = record(q);
    assert_non_null(ev);
    if (same || cu.fault) /* a GPU may have done it by now */
        assert_ptr_equal(ev, same);
    set(q, a, 100, 2);
    struct hf_event *later = record(q);
    assert_ptr_not_equal(ev, later);
    sync_event(later);
    assert_null(record(q)); /* all is done */
    sync_event(ev);
    cu.m->event_ref(cu.device, ev);
    for (int i = 0; i < (same ? 3 : 2); i++) /* one for each: record, record, ref */
        cu.m->event_unref(cu.device, ev);
    cu.m->event_unref(cu.device, later);
    give(a, 100);
    queue_free(q);
}

static void an_event_outlives_its_queue(void **state) {
    (void)state;
    struct hf_queue *q = queue(), *r;
    unsigned char out[4] = {0};
    void *a = take(NULL, 4);
    set(q, a, 4, 6);
    struct hf_event *ev = record(q);
    queue_free(q);
    r = queue(); /* perhaps where the other was */
    wait_for(r, ev);
    move(r, out, a, 4);
    drain(r);
    assert_memory_equal(out, "\6\6\6\6", 4);
    sync_event(ev);
    cu.m->event_unref(cu.device, ev);
    give(a, 4);
    queue_free(r);
}

/* ---- memory ---- */

/* Given back at once: what is on the queues by then still has it, also when they are gone. */
static void memory_is_released_after_everything(void **state) {
    (void)state;
    enum {
        QUEUES = 3,
        N = 300
    };
    unsigned char *in[QUEUES], *out[QUEUES];
    for (int i = 0; i < QUEUES; i++) {
        struct hf_queue *q = queue();
        in[i] = noise(N, (uint32_t)i + 1);
        out[i] = calloc(1, N);
        void *a = take(q, N), *b = take(q, N);
        move(q, a, in[i], N);
        pass(q, b, a, N);
        give(a, N);
        move(q, out[i], b, N);
        give(b, N);
        for (int k = 0; k < 100; k++) /* more than are collected */
            give(take(NULL, N), N);
        if (i != 1)
            queue_free(q);
        else
            drain(q), queue_free(q);
    }
    cu.m->destroy(cu.device);
    for (int i = 0; i < QUEUES; i++) {
        assert_memory_equal(out[i], in[i], N);
        free(in[i]);
        free(out[i]);
    }
    cu.device = open_device(0);
}

/* What no op has used is released after its allocation all the same. */
static void unused_memory_is_released(void **state) {
    (void)state;
    struct hf_queue *q = queue();
    for (int i = 0; i < 100; i++)
        give(take(q, 100), 100);
    cu.m->queue_free(cu.device, queue());
    queue_free(q);
}

/* Memory that one queue still reads is given back, and another queue wants some. */
static void released_memory_is_not_written_too_early(void **state) {
    (void)state;
    struct hf_queue *q = queue(), *r = queue();
    const size_t n = 2 * MIB;
    unsigned char *in = noise(n, 5), *out = calloc(1, n);
    if (cu.limit)
        cu.limit(5 * n);
    void *a = take(q, n);
    move(q, a, in, n);
    move(q, out, a, n);
    give(a, n);
    for (int i = 0; i < 50; i++) {
        void *b = take(r, n);
        set(r, b, n, i);
        give(b, n);
    }
    drain(q);
    assert_memory_equal(out, in, n);
    queue_free(q);
    queue_free(r);
    free(in);
    free(out);
}

static void memory_stays_flat(void **state) {
    (void)state;
    struct hf_queue *q[2] = {queue(), queue()};
    const size_t n = 64 << 10;
    unsigned char *in = noise(n, 7), *out = calloc(1, n);
    size_t before = 0, after = 0, total;
    if (cu.limit)
        cu.limit(8 * MIB);
    for (int i = 0; i < 1000; i++) {
        void *a = take(q[0], n), *b = take(q[1], n);
        move(q[0], a, in, n);
        struct hf_event *ev = record(q[0]);
        wait_for(q[1], ev);
        pass(q[1], b, a, n);
        cu.m->free(cu.device, a, n, ev);
        cu.m->event_unref(cu.device, ev);
        ev = record(q[1]);
        if (i % 100 == 0) {
            memset(out, 0, n);
            move(q[1], out, b, n);
            drain(q[1]);
            assert_memory_equal(out, in, n);
        }
        cu.m->free(cu.device, b, n, ev);
        cu.m->event_unref(cu.device, ev);
        if (i == 200)
            assert_int_equal(cu.memory(&before, &total), 0);
    }
    drain(q[0]);
    drain(q[1]);
    assert_int_equal(cu.memory(&after, &total), 0);
    if (cu.most_used)
        assert_true(cu.most_used() <= 8 * MIB);
    else
        assert_true(after + 32 * MIB >= before);
    queue_free(q[0]);
    queue_free(q[1]);
    free(in);
    free(out);
}

static void the_end_of_memory_is_one_line(void **state) {
    (void)state;
    struct hf_error e;
    struct hf_queue *q = queue();
    void *p = NULL;
    char words[64];
    size_t most = 6 * MIB, free_bytes, total;
    if (cu.limit)
        cu.limit(10 * MIB);
    assert_int_equal(cu.memory(&free_bytes, &total), 0);
    size_t too_much = total + MIB;
    assert_int_equal(cu.m->alloc(cu.device, q, too_much, &p, &e), HF_NO_MEMORY);
    (void)snprintf(words, sizeof words, "for %zu bytes more", too_much);
    assert_non_null(strstr(e.text, words));
    assert_non_null(strstr(e.text, "are free"));
    assert_null(strchr(e.text, '\n'));
    for (int i = 0; i < 4; i++) { /* what was given back is there for the next */
        p = take(q, most);
        set(q, p, most, i); /* nobody blames the op for what failed before */
        give(p, most);
    }
    queue_free(q);
}

/* ---- staging ---- */

static void copies_larger_than_all_staging_pass(void **state) {
    (void)state;
    struct hf_queue *q = queue();
    const size_t n = 70 * MIB + 1; /* there are 64 blocks of 1 MiB */
    unsigned char *in = noise(n, 11), *out = calloc(1, n);
    void *a = take(q, n);
    move(q, a, in, n);
    move(q, out, a, n);
    drain(q);
    assert_memory_equal(out, in, n);
    give(a, n);
    queue_free(q);
    free(in);
    free(out);
}

static void many_small_copies_share_the_staging(void **state) {
    (void)state;
    enum {
        QUEUES = 4,
        COPIES = 60
    };
    struct hf_queue *q[QUEUES];
    unsigned char in[QUEUES][COPIES], out[QUEUES][COPIES];
    char *a[QUEUES];
    memset(out, 0, sizeof out);
    for (int i = 0; i < QUEUES; i++) {
        q[i] = queue();
        a[i] = take(q[i], COPIES);
    }
    for (int k = 0; k < COPIES; k++)
        for (int i = 0; i < QUEUES; i++) {
            in[i][k] = (unsigned char)(7 * k + i);
            move(q[i], a[i] + k, &in[i][k], 1);
            move(q[i], &out[i][k], a[i] + k, 1);
        }
    for (int i = 0; i < QUEUES; i++) {
        drain(q[i]);
        give(a[i], COPIES);
        queue_free(q[i]);
    }
    assert_memory_equal(out, in, sizeof out);
}

/* ---- ops ---- */

static void a_refused_op_leaves_nothing_behind(void **state) {
    (void)state;
    struct hf_error e;
    struct hf_queue *q = queue();
    void *a = take(q, 100);
    assert_int_equal(launch(q, &refuse, a, a, 100, 0, &e), HF_INVALID);
    assert_string_equal(e.text, "refused");
    set(q, a, 100, 1);
    give(a, 100);
    queue_free(q);
}

static void what_fails_later_is_told_by_the_wait(void **state) {
    (void)state;
    if (!cu.fail_on)
        skip();
    struct hf_error e;
    struct hf_queue *q = queue();
    must(launch(q, &broken, NULL, NULL, 0, 0, &e), &e);
    struct hf_event *ev = record(q);
    assert_int_equal(cu.m->sync(cu.device, ev, &e), HF_IO);
    assert_non_null(strstr(e.text, "earlier failed: an illegal memory access was encountered;"));
    char byte = 0;
    void *a = take(q, 1);
    for (int i = 0; i < 200; i++) /* no copy waits for ever */
        (void)cu.m->copy(cu.device, q, a, &byte, 1, &e);
    assert_int_equal(cu.m->copy(cu.device, q, &byte, a, 1, &e), HF_IO);
    give(a, 1);
    cu.m->event_unref(cu.device, ev);
    queue_free(q);
    (void)cu.fault(); /* the GPU works again */
}

/* ---- threads ---- */

struct worker {
    pthread_t thread;
    uint32_t seed;
    int wrong;
};

static void *work(void *arg) {
    struct worker *w = arg;
    const size_t n = 100000;
    struct hf_queue *q = queue(), *r = queue();
    for (int i = 0; i < 20; i++) {
        unsigned char *in = noise(n, w->seed + (uint32_t)i), *out = calloc(1, n);
        void *a = take(q, n), *b = take(r, n);
        move(q, a, in, n);
        struct hf_event *ev = record(q);
        wait_for(r, ev);
        pass(r, b, a, n);
        give(a, n);
        cu.m->event_unref(cu.device, ev);
        move(r, out, b, n);
        give(b, n);
        drain(r);
        w->wrong += memcmp(in, out, n) != 0;
        free(in);
        free(out);
    }
    queue_free(q);
    queue_free(r);
    return NULL;
}

static void threads_share_the_device(void **state) {
    (void)state;
    struct worker w[4];
    for (int i = 0; i < 4; i++) {
        w[i] = (struct worker){.seed = (uint32_t)i * 1000};
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
        assert_int_equal(w[i].wrong, 0);
    }
}

/* A caller that uses another GPU finds it current afterwards. */
static void the_callers_device_stays(void **state) {
    (void)state;
    int now = -1;
    if (!cu.fault)
        skip();
    setenv("HEPAFLOW_EMULATED_GPUS", "2", 1);
    struct hf_device *first = cu.device;
    cu.device = open_device(1);
    assert_int_equal(cu.device->id, 1);
    a_queue_keeps_its_order(state);
    a_queue_waits_for_another(state);
    an_idle_queue_has_no_event(state);
    cu.m->destroy(cu.device);
    assert_int_equal(cu.get_device(&now), 0);
    assert_int_equal(now, 0);
    cu.device = first;
    assert_int_equal(cu.set_device(1), 0);
    a_queue_keeps_its_order(state);
    assert_int_equal(cu.get_device(&now), 0);
    assert_int_equal(now, 1);
    assert_int_equal(cu.set_device(0), 0);
    unsetenv("HEPAFLOW_EMULATED_GPUS");
}

/* ---- opening ---- */

static void expect_no_device(int32_t id, const char *name, const char *value, const char *words) {
    struct hf_error e = {0};
    struct hf_device *d = NULL;
    struct hf_device_options options = {.device_id = id, .host = harness_host(cu.harness)};
    if (name)
        setenv(name, value, 1);
    assert_int_equal(cu.cls->open(&options, &d, &e), HF_UNSUPPORTED);
    if (name)
        unsetenv(name);
    if (!strstr(e.text, words) || strchr(e.text, '\n'))
        fail_msg("expected '%s' in '%s'", words, e.text);
}

static void without_a_gpu_there_is_one_line(void **state) {
    (void)state;
    expect_no_device(99, NULL, NULL, "there is no GPU 99: the NVIDIA driver shows");
    if (!cu.fault)
        return;
    expect_no_device(0, "HEPAFLOW_EMULATED_GPUS", "0", "the NVIDIA driver shows no GPU");
    expect_no_device(0, "HEPAFLOW_EMULATED_DRIVER", "0", "no NVIDIA driver is loaded");
    expect_no_device(0, "HEPAFLOW_EMULATED_DRIVER", "12040",
                     "the NVIDIA driver knows CUDA 12.4, expected 13.0 or newer");
    expect_no_device(0, "HEPAFLOW_EMULATED_CAPABILITY", "75",
                     "emulated GPU, has compute capability 7.5, expected 8.0 or newer");
}

static void the_device_describes_itself(void **state) {
    (void)state;
    const char *text = cu.m->describe(cu.device);
    assert_int_equal(strncmp(text, "cuda: ", 6), 0);
    if (cu.fault)
        assert_int_equal(strncmp(text, "cuda: emulated GPU, 9.0, driver 13.0, runtime 13.0, ", 51),
                         0);
    assert_int_equal(cu.device->kind, HF_KIND_CUDA);
    assert_int_equal(cu.device->host_memory, 0);
    assert_int_equal(cu.device->op_kind, HF_KIND_CUDA);
    assert_true(cu.cls->priority > 0);
}

/* ---- the module ---- */

static void function(void *ret, const char *name) {
    void *f = dlsym(cu.module, name);
    memcpy(ret, &f, sizeof f);
}

static int load(void) {
    const char *folders = getenv("HEPAFLOW_CUDA_MODULES"), *build = getenv("HEPAFLOW_BUILD");
    char own[4096], path[8192];
    (void)snprintf(own, sizeof own, "%s/tests/cuda", build ? build : "build");
    for (const char *at = folders ? folders : own; *at && !cu.module;) {
        int n = (int)strcspn(at, ":");
        (void)snprintf(path, sizeof path, "%.*s/cuda.so", n, at);
        cu.module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        at += n + (at[n] == ':');
    }
    if (!cu.module) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    const struct hf_plugin *plugin = dlsym(cu.module, "hf_plugin");
    cu.cls = plugin->devices[0];
    function(&cu.memset_async, "cudaMemsetAsync");
    function(&cu.memcpy_async, "cudaMemcpyAsync");
    function(&cu.memory, "cudaMemGetInfo");
    function(&cu.set_device, "cudaSetDevice");
    function(&cu.get_device, "cudaGetDevice");
    function(&cu.fault, "emulation_fault");
    function(&cu.limit, "emulation_memory");
    function(&cu.used, "emulation_used");
    function(&cu.most_used, "emulation_most_used");
    function(&cu.fail_on, "emulation_break");
    void (*default_stream)(int allowed);
    function(&default_stream, "emulation_default_stream");
    if (default_stream)
        default_stream(0);
    return 0;
}

static int has_gpu(void) {
    struct hf_error e = {0};
    struct hf_device *d = NULL;
    struct hf_device_options options = {0};
    if (cu.cls->open(&options, &d, &e) != HF_OK) {
        print_message("skipped: %s\n", e.text);
        return 0;
    }
    d->methods->destroy(d);
    return 1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_queue_keeps_its_order),
        TEST(a_queue_waits_for_another),
        TEST(queues_take_turns),
        TEST(an_idle_queue_has_no_event),
        TEST(an_event_outlives_its_queue),
        TEST(memory_is_released_after_everything),
        TEST(unused_memory_is_released),
        TEST(released_memory_is_not_written_too_early),
        TEST(memory_stays_flat),
        TEST(the_end_of_memory_is_one_line),
        TEST(copies_larger_than_all_staging_pass),
        TEST(many_small_copies_share_the_staging),
        TEST(a_refused_op_leaves_nothing_behind),
        TEST(what_fails_later_is_told_by_the_wait),
        TEST(threads_share_the_device),
        TEST(the_callers_device_stays),
        TEST(without_a_gpu_there_is_one_line),
        TEST(the_device_describes_itself),
    };
    if (load() != 0)
        return 1;
    return has_gpu() ? cmocka_run_group_tests(tests, NULL, NULL) : SKIP;
}
