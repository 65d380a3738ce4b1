/*
 * test_mock.c - a device that finishes later: with the waits in place everything is as on the CPU,
 * and a stage that forgets one is caught.
 */
#include "kit.h"

#include <stdlib.h>

#include "harness.h"

#define D 3
#define H 9
#define W 10
#define N (D * H * W)

/* What these tests do on purpose is what the thread sanitizer is there to find. */
#if defined(__SANITIZE_THREAD__)
#define RACES 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACES 0
#endif
#endif
#ifndef RACES
#define RACES 1
#endif

static struct harness *harness;
static struct hf_device *mock;

static int setup(void **state) {
    struct hf_error e;
    (void)state;
    harness = harness_open();
    const struct hf_plugin *p = harness_load(harness, "tests/mock/mock");
    struct hf_device_options options = {.host = harness_host(harness)};
    assert_int_equal(p->devices[0]->open(&options, &mock, &e), HF_OK);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    services_release_device(services_of(harness_host(harness)));
    mock->methods->destroy(mock);
    harness_close(harness);
    return 0;
}

static struct hf_tensor *noise(uint64_t seed) {
    struct hf_error e;
    struct hf_tensor *t;
    struct hf_rng rng = hf_rng_init(seed, "test", "noise", 0);
    const int64_t shape[4] = {1, D, H, W};
    assert_int_equal(
        tensor_new(harness_host(harness), harness_cpu(harness), NULL, HF_F32, 4, shape, &t, &e),
        HF_OK);
    for (int i = 0; i < N; i++)
        HF_DATA(float, t)[i] = hf_rng_normal(&rng);
    return t;
}

/* ---- the device alone ---- */

static void memory_is_poisoned(void **state) {
    (void)state;
    struct hf_error e;
    void *data;
    assert_int_equal(mock->methods->alloc(mock, NULL, 100, &data, &e), HF_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(((unsigned char *)data)[i], 0xA5);
    memset(data, 1, 100);
    mock->methods->free(mock, data, 100, NULL);
    for (int i = 0; i < 100; i++) /* the mock keeps it for a while */
        assert_int_equal(((unsigned char *)data)[i], 0xA5);
}

static void copies_arrive_with_their_event(void **state) {
    (void)state;
    struct hf_error e;
    const struct hf_host *host = harness_host(harness);
    struct hf_queue *q;
    struct hf_tensor *a = noise(1), *there, *back;
    char busy[2] = {0};
    assert_int_equal(mock->methods->queue_new(mock, &q, &e), HF_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(mock->methods->copy(mock, q, &busy[0], &busy[1], 1, &e), HF_OK);
    assert_int_equal(tensor_to(host, a, mock, q, &there, &e), HF_OK);
    if (RACES)
        assert_int_equal(*(unsigned char *)there->dl.data, 0xA5); /* not there yet */
    assert_int_equal(tensor_to(host, there, harness_cpu(harness), NULL, &back, &e), HF_OK);
    assert_null(back->ready);
    assert_memory_equal(back->dl.data, a->dl.data, a->bytes);
    assert_int_equal(there->dl.device.device_type, HF_KIND_MOCK);
    tensor_unref(back);
    tensor_unref(there);
    tensor_unref(a);
    mock->methods->queue_free(mock, q);
}

/* The source of a copy that is still on its way is not given up before. */
static void a_copy_keeps_its_source(void **state) {
    (void)state;
    struct hf_error e;
    const struct hf_host *host = harness_host(harness);
    struct hf_queue *q;
    struct hf_tensor *a = noise(1), *same = noise(1), *there, *back;
    assert_int_equal(mock->methods->queue_new(mock, &q, &e), HF_OK);
    assert_int_equal(tensor_to(host, a, mock, q, &there, &e), HF_OK);
    tensor_unref(a);
    struct hf_tensor *other = noise(2); /* would lie in the same place */
    assert_int_equal(tensor_to(host, there, harness_cpu(harness), NULL, &back, &e), HF_OK);
    assert_memory_equal(back->dl.data, same->dl.data, same->bytes);
    tensor_unref(other);
    tensor_unref(back);
    tensor_unref(there);
    tensor_unref(same);
    mock->methods->queue_free(mock, q);
}

/* Ops over two queues, with inputs dropped at once: waits and deferred frees hold it together. */
static void ops_of_two_queues_wait_for_each_other(void **state) {
    (void)state;
    struct hf_error e;
    const struct hf_host *host = harness_host(harness);
    struct hf_device *cpu = harness_cpu(harness);
    struct hf_queue *q[2];
    struct hf_blur_params params = {{1, 1.5f, 2}};
    struct hf_tensor *on_cpu = noise(3), *on_mock, *back;
    assert_int_equal(mock->methods->queue_new(mock, &q[0], &e), HF_OK);
    assert_int_equal(mock->methods->queue_new(mock, &q[1], &e), HF_OK);
    assert_int_equal(tensor_to(host, on_cpu, mock, q[0], &on_mock, &e), HF_OK);
    for (int i = 0; i < 6; i++) {
        struct hf_tensor *out[2];
        struct hf_device *device[2] = {cpu, mock};
        struct hf_tensor **in[2] = {&on_cpu, &on_mock};
        for (int k = 0; k < 2; k++) {
            assert_int_equal(tensor_new(host, device[k], k ? q[i % 2] : NULL, HF_F32, 4,
                                        on_cpu->shape, &out[k], &e),
                             HF_OK);
            struct hf_op_call call = {.in = {*in[k]},
                                      .out = {out[k]},
                                      .inputs = 1,
                                      .outputs = 1,
                                      .params = &params,
                                      .params_size = sizeof params};
            const struct hf_op *op = host->op_find(host, device[k], "blur");
            assert_int_equal(host->launch(host, device[k], k ? q[i % 2] : NULL, op, &call, &e),
                             HF_OK);
            tensor_unref(*in[k]);
            *in[k] = out[k];
        }
    }
    assert_int_equal(tensor_to(host, on_mock, cpu, NULL, &back, &e), HF_OK);
    assert_memory_equal(back->dl.data, on_cpu->dl.data, on_cpu->bytes);
    tensor_unref(back);
    tensor_unref(on_cpu);
    tensor_unref(on_mock);
    mock->methods->queue_free(mock, q[0]);
    mock->methods->queue_free(mock, q[1]);
}

/* A copy to the host that was begun for others, and for which nobody has waited yet. */
static void an_op_on_the_host_waits_for_a_copy(void **state) {
    (void)state;
    struct hf_error e;
    const struct hf_host *host = harness_host(harness);
    struct hf_device *cpu = harness_cpu(harness);
    struct hf_queue *q;
    struct hf_blur_params params = {{1, 1, 1}};
    struct hf_tensor *a = noise(6), *there, *back, *out[2];
    assert_int_equal(mock->methods->queue_new(mock, &q, &e), HF_OK);
    assert_int_equal(tensor_to(host, a, mock, q, &there, &e), HF_OK);
    assert_int_equal(tensor_share(host, there, cpu, q, &back, &e), HF_OK);
    struct hf_tensor *const in[2] = {back, a};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(tensor_new(host, cpu, NULL, HF_F32, 4, a->shape, &out[k], &e), HF_OK);
        struct hf_op_call call = {.in = {in[k]},
                                  .out = {out[k]},
                                  .inputs = 1,
                                  .outputs = 1,
                                  .params = &params,
                                  .params_size = sizeof params};
        const struct hf_op *op = host->op_find(host, cpu, "blur");
        assert_int_equal(host->launch(host, cpu, NULL, op, &call, &e), HF_OK);
    }
    assert_memory_equal(out[0]->dl.data, out[1]->dl.data, a->bytes);
    struct hf_tensor *const all[] = {out[0], out[1], back, there, a};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tensor_unref(all[i]);
    mock->methods->queue_free(mock, q);
}

static void an_op_on_foreign_memory_is_refused(void **state) {
    (void)state;
    struct hf_error e;
    const struct hf_host *host = harness_host(harness);
    struct hf_queue *q;
    struct hf_tensor *a = noise(4), *out;
    assert_int_equal(mock->methods->queue_new(mock, &q, &e), HF_OK);
    assert_int_equal(tensor_new(host, mock, q, HF_F32, 4, a->shape, &out, &e), HF_OK);
    struct hf_op_call call = {.in = {a}, .out = {out}, .inputs = 1, .outputs = 1};
    assert_int_equal(host->launch(host, mock, q, host->op_find(host, mock, "blur"), &call, &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "input 0"));
    assert_non_null(strstr(e.text, "`declare`"));
    tensor_unref(a);
    tensor_unref(out);
    mock->methods->queue_free(mock, q);
}

static void networks_give_what_the_cpu_gives(void **state) {
    (void)state;
    struct hf_error e;
    const struct hf_host *host = harness_host(harness);
    struct hf_device *device[2] = {harness_cpu(harness), mock};
    const int64_t shape[5] = {1, 1, 1, D * H, W};
    const float params[10] = {.1f, -.2f, .3f, -.4f, .5f, -.6f, .7f, -.8f, .9f, 1};
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD, .shape = {1, 1, 1, D * H, W}};
    struct hf_layer l = {.kind = HF_LAYER_CONV,
                         .name = "head",
                         .inputs = 1,
                         .channels = 1,
                         .kernel = {1, 3, 3},
                         .bias = 1};
    struct hf_net *net;
    float result[2][N];
    assert_int_equal(host->net_new(2, 1, &net, &e), HF_OK);
    assert_int_equal(host->net_add(net, &l, NULL, &e), HF_OK);
    for (int k = 0; k < 2; k++) {
        struct hf_queue *q;
        struct hf_executable *x;
        struct hf_tensor *a = noise(5), *flat, *in, *out, *back;
        assert_int_equal(device[k]->methods->queue_new(device[k], &q, &e), HF_OK);
        assert_int_equal(device[k]->methods->compile(device[k], q, net, &spec, &x, &e), HF_OK);
        assert_int_equal(x->methods->set_params(x, params, &e), HF_OK);
        assert_int_equal(tensor_new(host, device[0], NULL, HF_F32, 5, shape, &flat, &e), HF_OK);
        memcpy(flat->dl.data, a->dl.data, a->bytes);
        assert_int_equal(tensor_to(host, flat, device[k], q, &in, &e), HF_OK);
        assert_int_equal(tensor_new(host, device[k], q, HF_F32, 5, shape, &out, &e), HF_OK);
        assert_int_equal(x->methods->forward(x, in, out, &e), HF_OK);
        assert_int_equal(tensor_to(host, out, device[0], NULL, &back, &e), HF_OK);
        assert_int_equal(tensor_wait(back, &e), HF_OK);
        memcpy(result[k], back->dl.data, sizeof result[k]);
        tensor_unref(back);
        tensor_unref(out);
        tensor_unref(in);
        tensor_unref(flat);
        tensor_unref(a);
        x->methods->destroy(x);
        device[k]->methods->queue_free(device[k], q);
    }
    host->net_free(net);
    assert_memory_equal(result[0], result[1], sizeof result[0]);
}

/* ---- in a run ---- */

static const char *const blur_ops[] = {"blur", NULL};

static enum hf_status image_count(struct hf_stage *s, int64_t *ret, struct hf_error *e) {
    (void)s;
    (void)e;
    *ret = 12;
    return HF_OK;
}

static enum hf_status image_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    char id[16];
    struct hf_sample *out;
    struct hf_tensor *t = NULL;
    const int64_t shape[4] = {1, D, H, W};
    (void)snprintf(id, sizeof id, "case%d", (int)item);
    struct hf_rng rng = hf_stage_rng(s, id);
    enum hf_status st = s->host->sample_new(s->host, id, id, id, &out, e);
    if (st != HF_OK)
        return st;
    out->grid.size[0] = D;
    out->grid.size[1] = H;
    out->grid.size[2] = W;
    st = hf_tensor_new_host(s, HF_F32, 4, shape, &t, e);
    for (int i = 0; st == HF_OK && i < N; i++)
        HF_DATA(float, t)[i] = hf_rng_normal(&rng);
    if (st == HF_OK)
        st = hf_sample_set(s, out, "image", t, e);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

/* Enqueues and hands on: no wait anywhere. */
static enum hf_status blur_process(struct hf_stage *s, const struct hf_sample *in,
                                   struct hf_error *e) {
    struct hf_sample *out = NULL;
    struct hf_tensor *t = NULL, *image = hf_sample_get(in, "image");
    struct hf_blur_params params = {{.5f, 1, 1}};
    enum hf_status st = s->host->sample_derive(s->host, in, NULL, &out, e);
    if (st != HF_OK)
        return st;
    st = hf_tensor_new(s, HF_F32, 4, image->shape, &t, e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {image},
                                  .out = {t},
                                  .inputs = 1,
                                  .outputs = 1,
                                  .params = &params,
                                  .params_size = sizeof params};
        st = hf_launch(s, "blur", &call, e);
        enum hf_status set = hf_sample_set(s, out, "image", t, e);
        st = st == HF_OK ? set : st;
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

/* A sum of the image on the host; `careless` touches the data of whatever device it lies on. */
static enum hf_status add_up(struct hf_stage *s, const struct hf_sample *in, bool careless,
                             struct hf_error *e) {
    struct hf_tensor *image = hf_sample_get(in, "image"), *here = NULL;
    struct hf_sample *out = NULL;
    const int64_t one = 1;
    uint64_t sum = 0;
    uint32_t bits;
    if (!careless) {
        enum hf_status st = hf_tensor_read(s, image, &here, e);
        if (st != HF_OK)
            return st;
    }
    for (int i = 0; i < N; i++) {
        memcpy(&bits, HF_DATA(float, careless ? image : here) + i, sizeof bits);
        sum = sum * 31 + bits;
    }
    if (here)
        s->host->tensor_unref(here);
    enum hf_status st = s->host->sample_derive(s->host, in, NULL, &out, e);
    struct hf_tensor *t = NULL;
    if (st != HF_OK)
        return st;
    st = hf_tensor_new_host(s, HF_I64, 1, &one, &t, e);
    if (st == HF_OK) {
        HF_DATA(int64_t, t)[0] = (int64_t)(sum >> 1);
        st = s->host->sample_set(out, "value", HF_ON_HOST, t, e);
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status sum_process(struct hf_stage *s, const struct hf_sample *in,
                                  struct hf_error *e) {
    return add_up(s, in, false, e);
}

static enum hf_status careless_process(struct hf_stage *s, const struct hf_sample *in,
                                       struct hf_error *e) {
    return add_up(s, in, true, e);
}

static const struct hf_stage_class image_class = {
    .name = "image", .kind = HF_SOURCE, .count = image_count, .open = image_open};
static const struct hf_stage_class blur_class = {
    .name = "blur", .kind = HF_MAP, .ops = blur_ops, .process = blur_process};
static const struct hf_stage_class sum_class = {
    .name = "sum", .kind = HF_MAP, .process = sum_process};
static const struct hf_stage_class careless_class = {
    .name = "careless", .kind = HF_MAP, .process = careless_process};

/* Two blurs on the device, one on the CPU, a sum where `sum_on_device` says. */
static struct log *run_graph(const char *device, const struct hf_stage_class *sum,
                             bool sum_on_device, int workers) {
    struct kit kit;
    struct log *log = log_new();
    kit_open(&kit);
    int image = kit_stage_(&kit, "image", &image_class, KNOBS(0), (const int[]){-1});
    int one = kit_stage(&kit, "one", &blur_class, KNOBS(0), image);
    int two = kit_stage(&kit, "two", &blur_class, KNOBS(0), one);
    int three = kit_stage(&kit, "three", &blur_class, KNOBS(0), two);
    int four = kit_stage(&kit, "four", &blur_class, KNOBS(0), three);
    int five = kit_stage(&kit, "five", sum, KNOBS(0), four);
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(.log = log), five);
    kit.stage[one].on_device = kit.stage[two].on_device = kit.stage[four].on_device = true;
    kit.stage[five].on_device = sum_on_device;
    kit_job(&kit, sink);
    kit.device = device;
    kit.workers = workers;
    kit_run(&kit);
    kit_close(&kit);
    return log;
}

static void a_run_gives_what_the_cpu_gives(void **state) {
    (void)state;
    struct log *cpu = run_graph("cpu", &sum_class, false, 2);
    struct log *back = run_graph("mock", &sum_class, false, 3);
    struct log *there = run_graph("mock", &sum_class, true, 1);
    log_check_equal(cpu, back);
    log_check_equal(cpu, there);
    log_free(cpu);
    log_free(back);
    log_free(there);
}

/* The planted fault: reading without a wait is right on the CPU and wrong here. */
static void a_missing_wait_is_caught(void **state) {
    (void)state;
    if (!RACES)
        skip();
    struct log *cpu = run_graph("cpu", &careless_class, true, 2);
    struct log *late = run_graph("mock", &careless_class, true, 2);
    uint64_t poison = 0;
    int wrong = 0, poisoned = 0;
    for (int i = 0; i < N; i++)
        poison = poison * 31 + UINT32_C(0xA5A5A5A5);
    assert_int_equal(cpu->count, late->count);
    for (int i = 0; i < cpu->count; i++) {
        wrong += cpu->line[i].value != late->line[i].value;
        poisoned += late->line[i].value == (int64_t)(poison >> 1);
    }
    assert_true(wrong > 0);
    assert_true(poisoned > 0);
    log_free(cpu);
    log_free(late);
}

/* image emits f32, on the grid, of one channel; `field` is what the plan holds of it. */
static enum hf_status run_declared(struct plan_field field, struct hf_error *e) {
    struct kit kit;
    kit_open(&kit);
    int image = kit_stage_(&kit, "image", &image_class, KNOBS(0), (const int[]){-1});
    int blur = kit_stage(&kit, "blur", &blur_class, KNOBS(0), image);
    int sum = kit_stage(&kit, "sum", &sum_class, KNOBS(0), blur);
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(0), sum);
    kit.stage[image].field[0] = field;
    kit.stage[image].fields = 1;
    kit_job(&kit, sink);
    enum hf_status st = kit_try(&kit, e);
    kit_close(&kit);
    return st;
}

#define FIELD(n, d, p, channels)                                                                   \
    { .name = n, .dtype = d, .place = p, .shape = {channels, -1, -1, -1}, .written = true }

static void what_is_emitted_is_what_was_declared(void **state) {
    (void)state;
    struct hf_error e;
    static const struct {
        struct plan_field field;
        const char *expected;
    } bad[] = {
        {FIELD("image", HF_U8, HF_ON_GRID, 1), "(u8, grid, 1 channels)"},
        {FIELD("image", HF_F32, HF_ON_CANONICAL, -1), "(f32, canonical)"},
        {FIELD("image", HF_F32, HF_ON_HOST, 1), "(f32, host)"},
        {FIELD("image", HF_F32, HF_ON_GRID, 2), "(f32, grid, 2 channels)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char said[256];
        assert_int_equal(run_declared(bad[i].field, &e), HF_INVALID);
        (void)snprintf(said, sizeof said,
                       "the field 'image' that it emits is (f32, grid, 1 channels), expected %s",
                       bad[i].expected);
        assert_non_null(strstr(e.text, said));
        assert_int_equal(strncmp(e.text, "stage 'image', case 'case", 25), 0);
    }
    static const struct plan_field good[] = {
        FIELD("image", HF_F32, HF_ON_GRID, 1),
        FIELD("image", HF_F32, HF_ON_GRID, -1),
        FIELD("absent", HF_U8, HF_ON_GRID, 3),
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (run_declared(good[i], &e) != HF_OK)
            fail_msg("%s", e.text);
}

static void an_unknown_device_is_an_error(void **state) {
    (void)state;
    struct kit kit;
    struct hf_error e;
    kit_open(&kit);
    int image = kit_stage_(&kit, "image", &image_class, KNOBS(0), (const int[]){-1});
    int sink = kit_stage(&kit, "sink", &kit_collect, KNOBS(0), image);
    kit_job(&kit, sink);
    kit.device = "abacus";
    assert_int_equal(kit_try(&kit, &e), HF_NOT_FOUND);
    assert_non_null(strstr(e.text, "'abacus'"));
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_poisoned, setup, teardown),
        cmocka_unit_test_setup_teardown(copies_arrive_with_their_event, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_keeps_its_source, setup, teardown),
        cmocka_unit_test_setup_teardown(ops_of_two_queues_wait_for_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(an_op_on_the_host_waits_for_a_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(an_op_on_foreign_memory_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(networks_give_what_the_cpu_gives, setup, teardown),
        cmocka_unit_test(a_run_gives_what_the_cpu_gives),
        cmocka_unit_test(a_missing_wait_is_caught),
        cmocka_unit_test(what_is_emitted_is_what_was_declared),
        cmocka_unit_test(an_unknown_device_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
