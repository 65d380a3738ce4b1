/*
 * test_nn.c - networks on the CUDA device, real or emulated (see kit.h): the recorded cases of
 * tests/nn/reference in every precision, replayed graphs against plain launches, and what the
 * methods of an executable promise.
 */
#include "kit.h"

#include <math.h>
#include <pthread.h>

#include "../nn/cases.h"

#define GRAPHS "HEPAFLOW_CUDA_GRAPHS"
#define FAILS  "HEPAFLOW_EMULATED_CAPTURE"

static void must(enum hf_status s, const struct hf_error *e) {
    if (s != HF_OK)
        fail_msg("status %d: %s", (int)s, e->text);
}

static float *floats(int64_t count) {
    float *p = calloc((size_t)(count ? count : 1), sizeof *p);
    assert_non_null(p);
    return p;
}

/* ---- one compiled network with its tensors ---- */

struct cuda_run {
    struct hf_device *device;
    struct hf_queue *queue;
    struct hf_executable *x;
    struct hf_tensor *input, *output, *target, *weight, *loss;
};

static struct hf_tensor *tensor(struct cuda_run *r, int32_t ndim, const int64_t *shape) {
    struct hf_error e = {0};
    const struct hf_host *h = kit_host();
    struct hf_tensor *t = NULL;
    must(h->tensor_new(h, r->device, r->queue, HF_F32, ndim, shape, &t, &e), &e);
    return t;
}

/* Waits for the queue, so that the host's data may change. */
static void drain(struct cuda_run *r) {
    struct hf_error e = {0};
    struct hf_event *ev = NULL;
    must(r->device->methods->record(r->device, r->queue, &ev, &e), &e);
    if (!ev)
        return;
    must(r->device->methods->sync(r->device, ev, &e), &e);
    r->device->methods->event_unref(r->device, ev);
}

static void put(struct cuda_run *r, struct hf_tensor *t, const float *data) {
    struct hf_error e = {0};
    must(r->device->methods->copy(r->device, r->queue, t->dl.data, data, t->bytes, &e), &e);
    drain(r);
}

/* The tensor's data, behind its event. */
static void get(struct cuda_run *r, const struct hf_tensor *t, float *data) {
    struct hf_error e = {0};
    if (t->ready)
        must(r->device->methods->sync(r->device, t->ready, &e), &e);
    must(r->device->methods->copy(r->device, r->queue, data, t->dl.data, t->bytes, &e), &e);
    drain(r);
}

static void open_run(struct cuda_run *r, const struct reference *c, enum hf_precision precision) {
    struct hf_error e = {0};
    struct hf_exec_spec spec = c->spec;
    spec.precision = precision;
    int64_t weight[5] = {c->out[0], 1, c->out[2], c->out[3], c->out[4]}, losses = c->losses;
    *r = (struct cuda_run){.device = kit_device()};
    must(r->device->methods->queue_new(r->device, &r->queue, &e), &e);
    must(r->device->methods->compile(r->device, r->queue, &c->net, &spec, &r->x, &e), &e);
    r->input = tensor(r, 5, spec.shape);
    r->output = tensor(r, 5, c->out);
    r->target = tensor(r, 5, c->out);
    r->weight = tensor(r, 5, weight);
    r->loss = tensor(r, 1, &losses);
    put(r, r->input, c->input);
    put(r, r->target, c->target);
    int64_t voxels = hf_tensor_count(r->weight);
    float *ones = floats(voxels);
    for (int64_t i = 0; i < voxels; i++)
        ones[i] = 1.0f;
    put(r, r->weight, c->weighted ? c->weight : ones);
    free(ones);
    must(r->x->methods->set_params(r->x, c->before, &e), &e);
}

static void close_run(struct cuda_run *r) {
    struct hf_tensor *t[] = {r->input, r->output, r->target, r->weight, r->loss};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        kit_host()->tensor_unref(t[i]);
    r->x->methods->destroy(r->x);
    r->device->methods->queue_free(r->device, r->queue);
}

static void forward(struct cuda_run *r, float *output) {
    struct hf_error e = {0};
    must(r->x->methods->forward(r->x, r->input, r->output, &e), &e);
    get(r, r->output, output);
}

static void step_with(struct cuda_run *r, int weighted, float rate, float *loss) {
    struct hf_error e = {0};
    must(r->x->methods->step(r->x, r->input, r->target, weighted ? r->weight : NULL, rate, r->loss,
                             &e),
         &e);
    get(r, r->loss, loss);
}

static void step(struct cuda_run *r, const struct reference *c, float *loss) {
    step_with(r, c->weighted, c->rate, loss);
}

static void evaluate(struct cuda_run *r, const struct reference *c, float *loss) {
    struct hf_error e = {0};
    must(r->x->methods->evaluate(r->x, r->input, r->target, c->weighted ? r->weight : NULL, r->loss,
                                 &e),
         &e);
    get(r, r->loss, loss);
}

static void params(struct cuda_run *r, float *to) {
    struct hf_error e = {0};
    must(r->x->methods->get_params(r->x, to, &e), &e);
}

/* ---- the recorded cases ---- */

static double distance(const float *a, const float *b, int64_t count) {
    double d = 0, n = 0;
    for (int64_t i = 0; i < count; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        n += (double)b[i] * (double)b[i];
    }
    return n > 0 ? sqrt(d / n) : sqrt(d);
}

static int64_t output_count(const struct reference *c) {
    return c->out[0] * c->out[1] * c->out[2] * c->out[3] * c->out[4];
}

/* The case of that name, or the next one whose name begins so. */
static void find_case(const char *name, struct reference *c) {
    struct reference_file file;
    reference_open(&file);
    while (reference_next(&file, c)) {
        if (strncmp(c->name, name, strlen(name)) == 0) {
            reference_close(&file);
            return;
        }
        reference_clear(c);
    }
    fail_msg("there is no case \"%s\"", name);
}

struct found {
    double output, loss, gradient, after;
};

/* Whether a gradient jumps where rounding takes a voxel over a corner or to another maximum. In
 * these networks of few voxels one such jump is more than all rounding together. */
static int jumps(const struct reference *c) {
    for (int i = 0; i < c->spec.loss_terms; i++)
        if (c->spec.loss[i].kind == HF_LOSS_L1)
            return 1;
    for (int i = 0; i < c->net.layers; i++) {
        const struct hf_layer *l = &c->net.layer[i];
        if (l->kind == HF_LAYER_POOL ||
            (l->kind == HF_LAYER_ACT && (l->act == HF_ACT_RELU || l->act == HF_ACT_LEAKY)))
            return 1;
    }
    return 0;
}

static void near(const char *name, const char *what, double found, double limit) {
    if (!(found <= limit))
        print_error("%s: %s differs by %.3g; at most %.3g is allowed\n", name, what, found, limit);
}

/* Every case; how far its results are from what is recorded, by the limits of those whose gradient
 * does not jump and of those where it does. Returns how many were too far. */
static int check_all(enum hf_precision precision, const struct found limits[2]) {
    struct reference_file file;
    struct reference c;
    struct found worst = {0};
    int bad = 0, cases = 0;
    reference_open(&file);
    for (; reference_next(&file, &c); cases++) {
        const struct found *limit = &limits[jumps(&c)];
        struct cuda_run r;
        struct hf_error e = {0};
        float *output = floats(output_count(&c)), *losses = floats(REFERENCE_STEPS * c.losses);
        float *vector = floats(c.params);
        open_run(&r, &c, precision);
        forward(&r, output);
        struct found d = {.output = distance(output, c.output, output_count(&c))};
        for (int i = 0; i < REFERENCE_STEPS; i++) {
            step(&r, &c, losses + i * c.losses);
            if (i == 0) {
                must(r.x->methods->get_gradients(r.x, vector, &e), &e);
                d.gradient = distance(vector, c.gradient, c.params);
            }
        }
        d.loss = distance(losses, c.loss, REFERENCE_STEPS * c.losses);
        params(&r, vector);
        d.after = distance(vector, c.after, c.params);
        if (c.average) {
            must(r.x->methods->get_average(r.x, vector, &e), &e);
            d.after = fmax(d.after, distance(vector, c.average, c.params));
        }
        close_run(&r);
        near(c.name, "output", d.output, limit->output);
        near(c.name, "loss", d.loss, limit->loss);
        near(c.name, "gradient", d.gradient, limit->gradient);
        near(c.name, "parameters", d.after, limit->after);
        bad += !(d.output <= limit->output && d.loss <= limit->loss &&
                 d.gradient <= limit->gradient && d.after <= limit->after);
        worst.output = fmax(worst.output, d.output);
        worst.loss = fmax(worst.loss, d.loss);
        worst.gradient = fmax(worst.gradient, d.gradient);
        worst.after = fmax(worst.after, d.after);
        free(output);
        free(losses);
        free(vector);
        reference_clear(&c);
    }
    reference_close(&file);
    assert_true(cases > 60);
    print_message("%d cases: output %.2g, loss %.2g, gradient %.2g, parameters %.2g\n", cases,
                  worst.output, worst.loss, worst.gradient, worst.after);
    return bad;
}

static void test_f32(void **state) {
    (void)state;
    static const struct found limits[2] = {{1e-5, 1e-5, 1e-5, 1e-5}, {1e-5, 1e-5, 1e-5, 1e-5}};
    assert_int_equal(check_all(HF_PRECISION_F32, limits), 0);
}

static void test_bf16(void **state) {
    (void)state;
    static const struct found limits[2] = {{2e-2, 2e-2, 2e-2, 2e-2}, {2e-2, 2e-2, 0.35, 0.1}};
    assert_int_equal(check_all(HF_PRECISION_BF16, limits), 0);
}

static void test_tf32(void **state) {
    (void)state;
    static const struct found limits[2] = {{5e-3, 5e-3, 5e-3, 5e-3}, {5e-3, 5e-3, 0.35, 0.05}};
    assert_int_equal(check_all(HF_PRECISION_TF32, limits), 0);
}

/* ---- the same bits ---- */

#define STEPS 5

/* What a network gives in several steps, with and without weights and at other rates, and in an
 * evaluation and a forward pass after each. */
static float *history(const struct reference *c, enum hf_precision precision, int64_t *ret_count) {
    int64_t one = 2 * c->losses + output_count(c);
    float *all = floats(STEPS * one + 2 * c->params), *at = all;
    struct cuda_run r;
    struct hf_error e = {0};
    open_run(&r, c, precision);
    for (int i = 0; i < STEPS; i++, at += one) {
        step_with(&r, i % 2, c->rate / (float)(1 + i), at);
        evaluate(&r, c, at + c->losses);
        forward(&r, at + 2 * c->losses);
    }
    params(&r, at);
    must(r.x->methods->get_gradients(r.x, at + c->params, &e), &e);
    close_run(&r);
    *ret_count = STEPS * one + 2 * c->params;
    return all;
}

static void same(const float *a, const float *b, int64_t count) {
    assert_memory_equal(a, b, (size_t)count * sizeof *a);
}

static void test_repeats(void **state) {
    (void)state;
    static const enum hf_precision precision[] = {HF_PRECISION_F32, HF_PRECISION_BF16};
    struct reference c;
    find_case("unet", &c);
    for (int i = 0; i < 2; i++) {
        int64_t count;
        float *a = history(&c, precision[i], &count), *b = history(&c, precision[i], &count);
        same(a, b, count);
        free(a);
        free(b);
    }
    reference_clear(&c);
}

/* A replayed graph does what plain launches do; capturing must work. */
static void test_graphs(void **state) {
    (void)state;
    static const char *const names[] = {"unet", "gated"};
    for (int i = 0; i < 2; i++) {
        struct reference c;
        int64_t count;
        find_case(names[i], &c);
        setenv(GRAPHS, "0", 1);
        float *plain = history(&c, HF_PRECISION_AUTO, &count);
        setenv(GRAPHS, "1", 1);
        float *replayed = history(&c, HF_PRECISION_AUTO, &count);
        unsetenv(GRAPHS);
        same(plain, replayed, count);
        free(plain);
        free(replayed);
        reference_clear(&c);
    }
}

/* Where a capture fails the steps are launched plainly, unless captures are asked for. */
static void test_no_graphs(void **state) {
    (void)state;
    struct reference c;
    struct cuda_run r;
    struct hf_error e = {0};
    int64_t count;
    if (kit_gpu())
        skip();
    find_case("unet", &c);
    float *captured = history(&c, HF_PRECISION_F32, &count), *loss = floats(c.losses);
    setenv(FAILS, "0", 1);
    float *plain = history(&c, HF_PRECISION_F32, &count);
    same(captured, plain, count);
    setenv(GRAPHS, "1", 1);
    open_run(&r, &c, HF_PRECISION_F32);
    step(&r, &c, loss);
    assert_int_equal(r.x->methods->step(r.x, r.input, r.target, c.weighted ? r.weight : NULL,
                                        c.rate, r.loss, &e),
                     HF_IO);
    assert_non_null(strstr(e.text, "capturing a network's steps failed"));
    unsetenv(FAILS);
    step(&r, &c, loss); /* nothing is left behind */
    unsetenv(GRAPHS);
    close_run(&r);
    free(captured);
    free(plain);
    free(loss);
    reference_clear(&c);
}

/* Networks on queues of their own, from a thread each, compiled and captured side by side. */

struct worker {
    pthread_t thread;
    const struct reference *c;
    enum hf_precision precision;
    float *found;
    int64_t count;
};

static void *work(void *arg) {
    struct worker *w = arg;
    w->found = history(w->c, w->precision, &w->count);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    static const char *const names[] = {"unet", "gated", "unet", "unet3d"};
    static const enum hf_precision precision[] = {HF_PRECISION_F32, HF_PRECISION_BF16,
                                                  HF_PRECISION_BF16, HF_PRECISION_F32};
    struct reference c[4];
    struct worker w[4];
    for (int i = 0; i < 4; i++) {
        find_case(names[i], &c[i]);
        w[i] = (struct worker){.c = &c[i], .precision = precision[i]};
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        int64_t count;
        float *alone = history(&c[i], precision[i], &count);
        assert_int_equal(count, w[i].count);
        same(alone, w[i].found, count);
        free(alone);
        free(w[i].found);
        reference_clear(&c[i]);
    }
}

static void test_auto_is_bf16(void **state) {
    (void)state;
    struct reference c;
    int64_t count;
    find_case("unet", &c);
    float *a = history(&c, HF_PRECISION_AUTO, &count);
    float *b = history(&c, HF_PRECISION_BF16, &count);
    same(a, b, count);
    free(a);
    free(b);
    reference_clear(&c);
}

/* Steps without a wait between them, inputs overwritten right behind each: the queue keeps order.
 */
static void test_order(void **state) {
    (void)state;
    struct reference c;
    find_case("unet", &c);
    int64_t inputs = hf_tensor_count(
        &(struct hf_tensor){.dl.ndim = 5,
                            .shape = {c.spec.shape[0], c.spec.shape[1], c.spec.shape[2],
                                      c.spec.shape[3], c.spec.shape[4]}});
    float *input[STEPS], *waited = floats(c.params), *flying = floats(c.params);
    float *loss = floats(c.losses);
    for (int i = 0; i < STEPS; i++) {
        input[i] = floats(inputs);
        for (int64_t k = 0; k < inputs; k++)
            input[i][k] = c.input[k] * (1.0f + 0.25f * (float)i);
    }
    struct cuda_run r;
    struct hf_error e = {0};
    open_run(&r, &c, HF_PRECISION_F32);
    for (int i = 0; i < STEPS; i++) {
        put(&r, r.input, input[i]);
        step(&r, &c, loss);
    }
    params(&r, waited);
    close_run(&r);
    open_run(&r, &c, HF_PRECISION_F32);
    for (int i = 0; i < STEPS; i++) {
        must(r.device->methods->copy(r.device, r.queue, r.input->dl.data, input[i], r.input->bytes,
                                     &e),
             &e);
        must(r.x->methods->step(r.x, r.input, r.target, c.weighted ? r.weight : NULL, c.rate,
                                r.loss, &e),
             &e);
    }
    params(&r, flying);
    same(waited, flying, c.params);
    drain(&r);
    close_run(&r);
    for (int i = 0; i < STEPS; i++)
        free(input[i]);
    free(waited);
    free(flying);
    free(loss);
    reference_clear(&c);
}

/* ---- promises ---- */

static void test_params_round_trip(void **state) {
    (void)state;
    static const enum hf_precision precision[] = {HF_PRECISION_F32, HF_PRECISION_BF16};
    struct reference_file file;
    struct reference c;
    reference_open(&file);
    for (int i = 0; reference_next(&file, &c); i++) {
        struct cuda_run r;
        float *found = floats(c.params);
        open_run(&r, &c, precision[i % 2]);
        params(&r, found);
        same(found, c.before, c.params);
        close_run(&r);
        free(found);
        reference_clear(&c);
    }
    reference_close(&file);
}

static void test_evaluate(void **state) {
    (void)state;
    struct reference c;
    find_case("unet", &c);
    struct cuda_run r;
    float *found = floats(c.params), *loss = floats(3 * c.losses);
    open_run(&r, &c, HF_PRECISION_BF16);
    for (int i = 0; i < 3; i++)
        evaluate(&r, &c, loss + i * c.losses);
    params(&r, found);
    same(found, c.before, c.params);
    same(loss, loss + c.losses, c.losses);
    same(loss, loss + 2 * c.losses, c.losses);
    step(&r, &c, loss);
    same(loss, loss + c.losses, c.losses);
    params(&r, found);
    assert_memory_not_equal(found, c.before, (size_t)c.params * sizeof *found);
    evaluate(&r, &c, loss);
    assert_memory_not_equal(loss, loss + c.losses, (size_t)c.losses * sizeof *loss);
    struct hf_error e = {0};
    must(r.x->methods->set_params(r.x, c.before, &e), &e);
    evaluate(&r, &c, loss);
    same(loss, loss + c.losses, c.losses);
    close_run(&r);
    free(found);
    free(loss);
    reference_clear(&c);
}

static void refused(enum hf_status got, enum hf_status expected, const struct hf_error *e,
                    const char *text) {
    assert_int_equal(got, expected);
    if (!strstr(e->text, text))
        fail_msg("\"%s\" does not say \"%s\"", e->text, text);
}

static void test_refused(void **state) {
    (void)state;
    struct hf_error e = {0};
    struct reference c;
    struct cuda_run r;
    find_case("unet", &c);
    c.spec.mode = HF_EXEC_FORWARD;
    open_run(&r, &c, HF_PRECISION_F32);
    const struct hf_executable_methods *m = r.x->methods;
    size_t arena = 0, total = 0;
    m->memory(r.x, &arena, &total);
    assert_true(arena > 0 && total > arena);
    float *vector = floats(c.params);
    refused(m->step(r.x, r.input, r.target, NULL, 1, r.loss, &e), HF_INVALID, &e, "forward only");
    refused(m->get_gradients(r.x, vector, &e), HF_INVALID, &e, "forward only");
    refused(m->forward(r.x, r.weight, r.loss, &e), HF_INVALID, &e, "expected [");
    struct hf_tensor *host = NULL;
    const struct hf_host *h = kit_host();
    must(h->tensor_new(h, h->host_device(h), NULL, HF_F32, 5, c.spec.shape, &host, &e), &e);
    refused(m->forward(r.x, host, r.output, &e), HF_INVALID, &e, "not on the GPU");
    h->tensor_unref(host);
    struct hf_executable *x = NULL;
    struct hf_exec_spec spec = c.spec;
    spec.shape[4]++;
    refused(r.device->methods->compile(r.device, r.queue, &c.net, &spec, &x, &e), HF_INVALID, &e,
            "does not divide");
    float *output = floats(output_count(&c)); /* what was refused left no trace */
    forward(&r, output);
    assert_true(distance(output, c.output, output_count(&c)) <= 1e-5);
    free(output);
    free(vector);
    close_run(&r);
    reference_clear(&c);
}

/* More memory than there is: an error that says what to do. */
static void test_too_large(void **state) {
    (void)state;
    struct hf_error e = {0};
    struct hf_device *d = kit_device();
    struct hf_queue *q = NULL;
    struct hf_net net;
    struct hf_executable *x = NULL;
    must(d->methods->queue_new(d, &q, &e), &e);
    must(hf_net_init(&net, 2, 1, &e), &e);
    must(hf_net_act(&net, "a", 0, HF_ACT_RELU, 0, NULL, &e), &e);
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD, .shape = {1, 1, 1, 1 << 20, 1 << 19}};
    refused(d->methods->compile(d, q, &net, &spec, &x, &e), HF_NO_MEMORY, &e, "smaller batch");
    hf_net_clear(&net);
    d->methods->queue_free(d, q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),       cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_tf32),      cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_graphs),    cmocka_unit_test(test_auto_is_bf16),
        cmocka_unit_test(test_no_graphs), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_order),     cmocka_unit_test(test_params_round_trip),
        cmocka_unit_test(test_evaluate),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_large),
    };
    return KIT_RUN(NULL, tests);
}
