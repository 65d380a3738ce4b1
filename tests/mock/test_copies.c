/*
 * test_copies.c - what moves between host and device in a run, and who waits for it: looked at in
 * the mock device's trace of what it was asked to do.
 */
#include "kit.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <hepaflow/ops.h>

#include "graph/devices.h"
#include "mock.h"
#include "modules.h"

#define D     3
#define H     8
#define W     8
#define N     (D * H * W)
#define CASES 12

/* ---- stages ---- */

static enum hf_status image_count(struct hf_stage *s, int64_t *ret, struct hf_error *e) {
    (void)s;
    (void)e;
    *ret = CASES;
    return HF_OK;
}

static enum hf_status set_field(struct hf_stage *s, struct hf_sample *out, const char *name,
                                enum hf_dtype dtype, uint64_t seed, struct hf_error *e) {
    struct hf_tensor *t = NULL;
    const int64_t shape[4] = {1, D, H, W};
    struct hf_rng rng = hf_rng_init(seed, name, out->id, 0);
    enum hf_status st = hf_tensor_new_host(s, dtype, 4, shape, &t, e);
    if (st != HF_OK)
        return st;
    for (int i = 0; i < N; i++)
        if (dtype == HF_F32)
            HF_DATA(float, t)[i] = hf_rng_uniform(&rng);
        else
            HF_DATA(uint8_t, t)[i] = hf_rng_uniform(&rng) > 0.9f;
    return hf_sample_set(s, out, name, t, e);
}

static enum hf_status image_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    char id[16];
    struct hf_sample *out;
    const int64_t one = 1;
    struct hf_tensor *t = NULL;
    (void)snprintf(id, sizeof id, "case%d", (int)item);
    enum hf_status st = s->host->sample_new(s->host, id, id, id, &out, e);
    if (st != HF_OK)
        return st;
    out->grid.size[0] = D;
    out->grid.size[1] = H;
    out->grid.size[2] = W;
    st = set_field(s, out, "image", HF_F32, s->seed, e);
    if (st == HF_OK)
        st = set_field(s, out, "mask", HF_U8, s->seed, e);
    if (st == HF_OK)
        st = hf_tensor_new_host(s, HF_I64, 1, &one, &t, e);
    if (st == HF_OK) {
        HF_DATA(int64_t, t)[0] = item;
        st = s->host->sample_set(out, "value", HF_ON_HOST, t, e);
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

/* Writes `to` as the blurred `from`, on the stage's device. */
static enum hf_status blur(struct hf_stage *s, const struct hf_sample *in, const char *from,
                           const char *to, enum hf_dtype dtype, struct hf_error *e) {
    struct hf_sample *out = NULL;
    struct hf_tensor *t = NULL, *image = hf_sample_get(in, from);
    struct hf_blur_params params = {{.5f, 1, 1}};
    struct hf_op_call call = {
        .in = {image}, .inputs = 1, .outputs = 1, .params = &params, .params_size = sizeof params};
    enum hf_status st = s->host->sample_derive(s->host, in, NULL, &out, e);
    if (st == HF_OK)
        st = hf_tensor_new(s, dtype, 4, image->shape, &t, e);
    call.out[0] = t;
    if (st == HF_OK)
        st = hf_launch(s, "blur", &call, e);
    if (st == HF_OK)
        st = hf_sample_set(s, out, to, t, e);
    else
        s->host->tensor_unref(t);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status smooth(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    return blur(s, in, "image", "image", HF_F32, e);
}

static enum hf_status soften(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    return blur(s, in, "image", "soft", HF_F32, e);
}

/* The op finds out when it runs, which is later. */
static enum hf_status spoil(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    return blur(s, in, "image", "soft", HF_I32, e);
}

/* A hash of a field, which lies on the host for a stage that says that it reads it. */
static enum hf_status hash(struct hf_stage *s, const struct hf_sample *in, const char *field,
                           struct hf_error *e) {
    const struct hf_tensor *t = hf_sample_get(in, field);
    struct hf_sample *out = NULL;
    struct hf_tensor *value = NULL;
    const int64_t one = 1;
    uint64_t sum = (uint64_t)HF_DATA(int64_t, hf_sample_get(in, "value"))[0];
    if (!t->device->host_memory)
        return hf_fail(e, HF_INVALID, "the field '%s' is not on the host", field);
    for (size_t i = 0; i < t->bytes; i++)
        sum = sum * 31 + HF_DATA(uint8_t, t)[i];
    enum hf_status st = s->host->sample_derive(s->host, in, NULL, &out, e);
    if (st == HF_OK)
        st = hf_tensor_new_host(s, HF_I64, 1, &one, &value, e);
    if (st == HF_OK) {
        HF_DATA(int64_t, value)[0] = (int64_t)(sum >> 1);
        st = s->host->sample_set(out, "value", HF_ON_HOST, value, e);
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status hash_image(struct hf_stage *s, const struct hf_sample *in,
                                 struct hf_error *e) {
    return hash(s, in, "image", e);
}

static enum hf_status hash_soft(struct hf_stage *s, const struct hf_sample *in,
                                struct hf_error *e) {
    return hash(s, in, "soft", e);
}

/* Looks for a field on the grid that it does not declare, and hands on what came in. */
static enum hf_status peek(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    if (hf_sample_get(in, "soft") || hf_sample_get(in, "mask"))
        return hf_fail(e, HF_INVALID, "it sees what it does not declare");
    if (!hf_sample_get(in, "image") || !hf_sample_get(in, "value"))
        return hf_fail(e, HF_INVALID, "it does not see what it declares, or a table");
    s->host->sample_ref(in);
    return hf_emit(s, (struct hf_sample *)(uintptr_t)in, e);
}

static const char *const blur_ops[] = {"blur", NULL};
static const struct hf_stage_class image_class = {
    .name = "image", .kind = HF_SOURCE, .count = image_count, .open = image_open};
static const struct hf_stage_class smooth_class = {
    .name = "smooth", .kind = HF_MAP, .ops = blur_ops, .process = smooth};
static const struct hf_stage_class soften_class = {
    .name = "soften", .kind = HF_MAP, .ops = blur_ops, .process = soften};
static const struct hf_stage_class spoil_class = {
    .name = "spoil", .kind = HF_MAP, .ops = blur_ops, .process = spoil};
static const struct hf_stage_class hash_image_class = {
    .name = "hash_image", .kind = HF_MAP, .process = hash_image};
static const struct hf_stage_class hash_soft_class = {
    .name = "hash_soft", .kind = HF_MAP, .process = hash_soft};

static const struct hf_stage_class peek_class = {.name = "peek", .kind = HF_MAP, .process = peek};

/* ---- the plan, by hand ---- */

static void carry(struct kit *kit, int stage, const char *field, enum hf_dtype dtype,
                  bool written) {
    struct plan_stage *ps = &kit->stage[stage];
    struct plan_field *f = &ps->field[ps->fields++];
    *f = (struct plan_field){.dtype = dtype, .shape = {1, D, H, W}, .written = written};
    (void)snprintf(f->name, sizeof f->name, "%s", field);
}

/* A stage that reads `read`, writes `write` (NULL: nothing), and carries on all the rest. */
static int add(struct kit *kit, const char *name, const struct hf_stage_class *cls, int from,
               bool on_device, const char *read, const char *write) {
    int i = kit_stage(kit, name, cls, KNOBS(0), from);
    struct plan_stage *ps = &kit->stage[i];
    const struct plan_stage *before = &kit->stage[from];
    bool found = !write;
    for (int k = 0; k < before->fields; k++) {
        bool written = write && strcmp(before->field[k].name, write) == 0;
        carry(kit, i, before->field[k].name, before->field[k].dtype, written);
        found = found || written;
    }
    if (!found)
        carry(kit, i, write, HF_F32, true);
    ps->on_device = on_device;
    ps->reads = (struct reads){.count = read ? 1 : 0};
    if (read)
        (void)snprintf(ps->reads.name[0], sizeof ps->reads.name[0], "%s", read);
    return i;
}

static int add_image(struct kit *kit) {
    int i = kit_stage_(kit, "image", &image_class, KNOBS(0), (const int[]){-1});
    kit->stage[i].on_device = false;
    carry(kit, i, "image", HF_F32, true);
    carry(kit, i, "mask", HF_U8, true);
    return i;
}

static int add_sink(struct kit *kit, const char *name, int from, struct log *log) {
    int i = kit_stage(kit, name, &kit_collect, KNOBS(.log = log), from);
    kit->stage[i].on_device = false;
    kit->stage[i].reads = (struct reads){0};
    return i;
}

/* The mock's trace, which stays what it is while this program runs. */
static struct mock_trace *trace_of(const struct kit *kit) {
    engine_open_all(kit->engine);
    for (int i = 0; i < kit->engine->modules; i++)
        if (strcmp(kit->engine->module[i].name, "mock") == 0)
            return dlsym(kit->engine->module[i].handle, "mock_trace");
    fail_msg("the mock device's module was not found");
    return NULL;
}

static struct mock_trace *run(struct kit *kit, const char *device) {
    struct mock_trace *t = trace_of(kit);
    atomic_store(&t->count, 0);
    atomic_store(&t->events, 0);
    kit->device = device;
    kit->plan.runs_on = device;
    plan_copies(&kit->plan);
    kit_run(kit);
    assert_true(atomic_load(&t->count) < MOCK_TRACE);
    return t;
}

static int times(const struct mock_trace *t, enum mock_what what) {
    int n = 0;
    for (int i = 0; i < t->count; i++)
        n += t->entry[i].what == what;
    return n;
}

static size_t bytes(const struct mock_trace *t, enum mock_what what) {
    size_t n = 0;
    for (int i = 0; i < t->count; i++)
        n += t->entry[i].what == what ? t->entry[i].bytes : 0;
    return n;
}

/* What the plan says is copied on the edge into a stage, as one word. */
static const char *planned(const struct kit *kit, int stage) {
    static char text[256];
    const struct plan_field *f;
    text[0] = 0;
    for (int i = 0; (f = plan_copied_field(&kit->plan, &kit->stage[stage], 0, i)); i++) {
        (void)strcat(text, i ? "," : "");
        (void)strcat(text, f->name);
    }
    return text;
}

/* ---- what is copied ---- */

/* Two stages on the device and two on the host behind one source: the image goes over once, what
 * nobody reads there stays, and the host's readers take what is there. */
static struct log *run_fan(const char *device, int workers, struct log **ret_other) {
    struct kit kit;
    struct log *log[2] = {log_new(), log_new()};
    kit_open(&kit);
    kit.workers = workers;
    int image = add_image(&kit);
    int a = add(&kit, "a", &soften_class, image, true, "image", "soft");
    int b = add(&kit, "b", &soften_class, image, true, "image", "soft");
    int soft = add(&kit, "soft", &hash_soft_class, a, false, "soft", NULL);
    int hard = add(&kit, "hard", &hash_image_class, b, false, "image", NULL);
    int one = add_sink(&kit, "one", soft, log[0]), two = add_sink(&kit, "two", hard, log[1]);
    kit_job(&kit, one, two);
    const struct mock_trace *t = run(&kit, device);
    if (strcmp(device, "mock") == 0) {
        assert_string_equal(planned(&kit, a), "image");
        assert_string_equal(planned(&kit, b), "image");
        assert_string_equal(planned(&kit, soft), "soft");
        assert_string_equal(planned(&kit, hard), "");
        assert_int_equal(times(t, MOCK_COPY_IN), CASES);
        assert_int_equal(bytes(t, MOCK_COPY_IN), CASES * N * sizeof(float));
        assert_int_equal(times(t, MOCK_COPY_OUT), CASES);
        assert_int_equal(bytes(t, MOCK_COPY_OUT), CASES * N * sizeof(float));
        assert_int_equal(times(t, MOCK_LAUNCH), 2 * CASES);
    } else {
        assert_int_equal(t->count, 0);
    }
    kit_close(&kit);
    *ret_other = log[1];
    return log[0];
}

static void a_field_is_copied_once_for_all(void **state) {
    (void)state;
    struct log *cpu[2], *mock[2];
    cpu[0] = run_fan("cpu", 2, &cpu[1]);
    for (int workers = 1; workers <= 3; workers += 2) {
        mock[0] = run_fan("mock", workers, &mock[1]);
        for (int i = 0; i < 2; i++) {
            log_check_equal(cpu[i], mock[i]);
            log_free(mock[i]);
        }
    }
    log_free(cpu[0]);
    log_free(cpu[1]);
}

/* A stage sees of the grid what it declares; all the rest is there again behind it. */
static void what_is_not_declared_is_not_seen(void **state) {
    (void)state;
    struct log *cpu = NULL;
    for (int k = 0; k < 2; k++) {
        struct kit kit;
        struct log *log = log_new();
        kit_open(&kit);
        int soft = add(&kit, "soft", &soften_class, add_image(&kit), true, "image", "soft");
        int seen = add(&kit, "seen", &peek_class, soft, false, "image", NULL);
        int again = add(&kit, "again", &peek_class, seen, false, "image", NULL);
        int sum = add(&kit, "sum", &hash_soft_class, again, false, "soft", NULL);
        kit_job(&kit, add_sink(&kit, "sink", sum, log));
        (void)run(&kit, k == 0 ? "cpu" : "mock");
        assert_int_equal(log->count, CASES);
        kit_close(&kit);
        if (k == 1)
            log_check_equal(cpu, log);
        else
            cpu = log;
        if (k == 1)
            log_free(log);
    }
    log_free(cpu);
}

/* Two on the host read what was made on the device: it comes back once. */
static void a_field_comes_back_once_for_all(void **state) {
    (void)state;
    struct kit kit;
    struct log *log[2] = {log_new(), log_new()};
    kit_open(&kit);
    kit.workers = 3;
    int soft = add(&kit, "soft", &soften_class, add_image(&kit), true, "image", "soft");
    int one = add(&kit, "one", &hash_soft_class, soft, false, "soft", NULL);
    int two = add(&kit, "two", &hash_soft_class, soft, false, "soft", NULL);
    kit_job(&kit, add_sink(&kit, "first", one, log[0]), add_sink(&kit, "second", two, log[1]));
    const struct mock_trace *t = run(&kit, "mock");
    assert_int_equal(times(t, MOCK_COPY_IN), CASES);
    assert_int_equal(times(t, MOCK_COPY_OUT), CASES);
    log_check_equal(log[0], log[1]);
    kit_close(&kit);
    log_free(log[0]);
    log_free(log[1]);
}

/* Device, host, device, host: what was read is in both places, and is not moved again. */
static void what_was_copied_stays_in_both_places(void **state) {
    (void)state;
    struct log *log[2] = {log_new(), log_new()};
    for (int k = 0; k < 2; k++) {
        struct kit kit;
        kit_open(&kit);
        int made = add(&kit, "made", &smooth_class, add_image(&kit), true, "image", "image");
        int read = add(&kit, "read", &hash_image_class, made, false, "image", NULL);
        int soft = add(&kit, "soft", &soften_class, read, true, "image", "soft");
        int last = add(&kit, "last", &hash_image_class, soft, false, "image", NULL);
        kit_job(&kit, add_sink(&kit, "sink", last, log[k]));
        const struct mock_trace *t = run(&kit, k ? "mock" : "cpu");
        if (k) {
            assert_string_equal(planned(&kit, made), "image");
            assert_string_equal(planned(&kit, read), "image");
            assert_string_equal(planned(&kit, soft), "");
            assert_string_equal(planned(&kit, last), "");
            assert_int_equal(times(t, MOCK_COPY_IN), CASES);
            assert_int_equal(times(t, MOCK_COPY_OUT), CASES);
        }
        kit_close(&kit);
    }
    log_check_equal(log[0], log[1]);
    log_free(log[0]);
    log_free(log[1]);
}

static void keep_peak(void *arg, const struct hf_run_event *event) {
    const char *at = event->kind == HF_EVENT_LOG ? strstr(event->text, "; held ") : NULL;
    if (at)
        *(long long *)arg = strtoll(at + 7, NULL, 10);
}

/* What is held on the device with a field that came from the host takes memory on both sides. */
static void held_samples_count_with_both_places(void **state) {
    (void)state;
    const size_t sample = sizeof(struct hf_sample) + N * (2 * sizeof(float) + 1) + sizeof(int64_t);
    for (int mock = 0; mock < 2; mock++) {
        struct kit kit;
        struct log *log = log_new();
        long long peak = -1;
        kit_open(&kit);
        int soft = add(&kit, "soft", &soften_class, add_image(&kit), true, "image", "soft");
        int learn = kit_stage(&kit, "learn", &kit_learn, KNOBS(.count = 2, .log = log), soft);
        kit.stage[learn].on_device = false;
        kit.stage[learn].reads = (struct reads){0};
        kit.plan.hold = 1 << 20;
        kit.on_event = keep_peak;
        kit.arg = &peak;
        kit_job(&kit, learn);
        run(&kit, mock ? "mock" : "cpu");
        assert_int_equal(peak, CASES * (sample + (mock ? N * sizeof(float) : 0)));
        kit_close(&kit);
        log_free(log);
    }
}

/* ---- who waits ---- */

/* Stages on the device hand on what is not there yet: the host waits for nothing until the end. */
static void nobody_waits_between_stages(void **state) {
    (void)state;
    struct kit kit;
    struct log *log = log_new();
    kit_open(&kit);
    int at = add_image(&kit);
    for (int i = 0; i < 4; i++)
        at = add(&kit, (const char *[]){"a", "b", "c", "d"}[i], &smooth_class, at, true, "image",
                 "image");
    kit_job(&kit, add_sink(&kit, "sink", at, log));
    const struct mock_trace *t = run(&kit, "mock");
    int last = 0;
    for (int i = 0; i < t->count; i++)
        if (t->entry[i].what == MOCK_LAUNCH)
            last = i;
    assert_int_equal(times(t, MOCK_LAUNCH), 4 * CASES);
    assert_int_equal(times(t, MOCK_COPY_OUT), 0);
    for (int i = 0; i < last; i++)
        assert_int_not_equal(t->entry[i].what, MOCK_SYNC);
    kit_close(&kit);
    log_free(log);
}

/* What fails on the device is told where somebody waits for it, with the op's words: a map, or the
 * sink itself. */
static void a_late_failure_ends_the_run(void **state) {
    (void)state;
    for (int sink = 0; sink < 2; sink++) {
        struct kit kit;
        struct hf_error e;
        kit_open(&kit);
        int bad = add(&kit, "bad", &spoil_class, add_image(&kit), true, "image", NULL);
        carry(&kit, bad, "soft", HF_I32, true);
        int read = sink ? bad : add(&kit, "read", &hash_soft_class, bad, false, "soft", NULL);
        int last = add_sink(&kit, sink ? "read" : "sink", read, NULL);
        if (sink)
            kit.stage[last].reads = (struct reads){.count = 1, .name = {"soft"}};
        kit_job(&kit, last);
        kit.device = kit.plan.runs_on = "mock";
        plan_copies(&kit.plan);
        assert_int_not_equal(kit_try(&kit, &e), HF_OK);
        if (strncmp(e.text, "stage 'read', case 'case", 24) != 0 || !strstr(e.text, "blur") ||
            strchr(e.text, '\n'))
            fail_msg("%s", e.text);
        kit_close(&kit);
    }
}

/* The latest run of a network that an event stands behind, as an index into the trace; -1: none. */
static int network_behind(const struct mock_trace *t, int event, int *memo) {
    int at = 0, found = -1;
    if (memo[event] != -2)
        return memo[event];
    while (at < t->count && !(t->entry[at].what == MOCK_RECORD && t->entry[at].event == event))
        at++;
    for (int i = at; i >= 0 && at < t->count; i--) {
        if (t->entry[i].queue != t->entry[at].queue)
            continue;
        int one = t->entry[i].what == MOCK_NETWORK ? i
                  : t->entry[i].what == MOCK_WAIT  ? network_behind(t, t->entry[i].event, memo)
                                                   : -1;
        found = one > found ? one : found;
    }
    return memo[event] = found;
}

/* The options of `train`, by name, through its own table. */
static void set_option(const struct hf_stage_class *cls, void *options, const char *name,
                       const void *value, size_t size) {
    for (const struct hf_option *o = cls->options; o->name; o++)
        if (strcmp(o->name, name) == 0) {
            memcpy((char *)options + o->offset, value, size);
            return;
        }
    fail_msg("no option '%s'", name);
}

static enum hf_status line_build(const struct hf_host *host, const void *options,
                                 int32_t in_channels, int32_t out_channels, struct hf_net **ret,
                                 struct hf_error *e) {
    (void)options;
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .name = "line",
                            .inputs = 1,
                            .channels = out_channels,
                            .kernel = {1, 1, 1},
                            .bias = 1};
    enum hf_status st = host->net_new(2, in_channels, ret, e);
    return st == HF_OK ? host->net_add(*ret, &conv, NULL, e) : st;
}

/* A step is waited for only when the one after it has been handed over, whatever else the host
 * wants to know meanwhile; at the end of a validation there is none. */
static void training_waits_behind_itself(void **state) {
    (void)state;
    static const struct hf_network_class line = {.name = "line", .build = line_build};
    struct kit kit;
    kit_open(&kit);
    const struct hf_stage_class *cls = engine_stage(kit.engine, "train", NULL);
    assert_non_null(cls);
    uint64_t options[256] = {0};
    assert_true(cls->options_size <= sizeof options);
    const int64_t batch = 4, epochs = 3, shuffle = 8, slices = 64;
    const double rate = 0.01, half = 0.5, share = 0.4, decay = 0.9, one = 1;
    const struct hf_names inputs = {1, {"image"}};
    const struct hf_weights loss = {1, {"bce"}, {1}};
    const struct hf_network_choice network = {&line, NULL};
    const char *target = "mask";
    set_option(cls, options, "network", &network, sizeof network);
    set_option(cls, options, "inputs", &inputs, sizeof inputs);
    set_option(cls, options, "target", &target, sizeof target);
    set_option(cls, options, "loss", &loss, sizeof loss);
    set_option(cls, options, "pos_weight", &one, sizeof one);
    set_option(cls, options, "rate", &rate, sizeof rate);
    set_option(cls, options, "beta1", &decay, sizeof decay);
    set_option(cls, options, "beta2", &decay, sizeof decay);
    set_option(cls, options, "batch", &batch, sizeof batch);
    set_option(cls, options, "epochs", &epochs, sizeof epochs);
    set_option(cls, options, "shuffle", &shuffle, sizeof shuffle);
    set_option(cls, options, "positive", &half, sizeof half);
    set_option(cls, options, "validate", &share, sizeof share);
    set_option(cls, options, "validation_slices", &slices, sizeof slices);
    int image = add_image(&kit);
    int train = kit_stage(&kit, "train", cls, KNOBS(0), image);
    kit.stage[train].options = options;
    kit_job(&kit, train);
    const struct mock_trace *t = run(&kit, "mock");
    assert_int_equal(times(t, MOCK_COPY_IN), epochs * 2 * CASES);
    int memo[MOCK_TRACE];
    for (int i = 0; i < MOCK_TRACE; i++)
        memo[i] = -2;
    int networks = 0, late = 0, last = -1;
    for (int i = 0; i < t->count; i++) {
        if (t->entry[i].what == MOCK_NETWORK) {
            networks++;
            last = i;
        } else if (t->entry[i].what == MOCK_SYNC && last >= 0) {
            int waits_for = network_behind(t, t->entry[i].event, memo);
            if (waits_for == last) {
                late++;
                last = -1; /* all that follows until the next one is of the same pause */
            }
        }
    }
    assert_true(networks > 3 * 4);
    assert_in_range(late, 1, epochs + 1);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_declared_is_not_seen),
        cmocka_unit_test(a_field_is_copied_once_for_all),
        cmocka_unit_test(a_field_comes_back_once_for_all),
        cmocka_unit_test(what_was_copied_stays_in_both_places),
        cmocka_unit_test(held_samples_count_with_both_places),
        cmocka_unit_test(nobody_waits_between_stages),
        cmocka_unit_test(a_late_failure_ends_the_run),
        cmocka_unit_test(training_waits_behind_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
