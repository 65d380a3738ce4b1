/*
 * test_nn_exec.c - the executor and its events, and executables as a whole: same bits, agreement of
 * instruction sets and modes, learning, asynchrony, errors.
 */
#include "nn_run.h"
#include "../../plugins/cpu/nn/dnnl.h"
#include "../../plugins/nn/elem.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hf_error err;

/* ---- the executor ---- */

#define JOBS 100

struct counter {
    int ran, order[JOBS];
};

struct job {
    struct counter *counter;
    int number;
};

static enum hf_status count_job(void *arg, struct hf_error *e) {
    struct job *j = arg;
    j->counter->order[j->counter->ran++] = j->number;
    return j->number % 10 == 9 ? hf_fail(e, HF_IO, "job %d fails", j->number) : HF_OK;
}

static enum hf_status count_threads(void *arg, struct hf_error *e) {
    (void)e;
    int *threads = arg;
#pragma omp parallel
#pragma omp single
    *threads = omp_get_num_threads();
    return HF_OK;
}

static void test_executor(void **state) {
    (void)state;
    struct cpu_executor *ex;
    struct counter c = {0};
    struct job job[JOBS];
    struct hf_event *event[JOBS];
    NN_OK(cpu_executor_open(3, &ex, &err));
    assert_int_equal(cpu_executor_threads(ex), 3);
    for (int i = 0; i < JOBS; i++) {
        job[i] = (struct job){&c, i};
        NN_OK(cpu_executor_submit(ex, count_job, &job[i], i % 2 ? &event[i] : NULL, &err));
    }
    for (int i = JOBS - 1; i >= 0; i -= 2) {
        struct hf_error e = {0};
        enum hf_status expected = i % 10 == 9 ? HF_IO : HF_OK;
        assert_int_equal(cpu_event_sync(event[i], &e), expected);
        assert_true(cpu_event_is_done(event[i]));
        char text[32];
        (void)snprintf(text, sizeof text, "job %d fails", i);
        if (expected != HF_OK)
            assert_string_equal(e.text, text);
        cpu_event_ref(event[i]);
        cpu_event_unref(event[i]);
        cpu_event_unref(event[i]);
    }
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(c.order[i], i);
    int threads = 0;
    NN_OK(cpu_executor_call(ex, count_threads, &threads, &err));
    assert_int_equal(threads, 3);
    assert_null(cpu_executor_record(ex)); /* all done */
    cpu_executor_close(ex);
    assert_true(cpu_event_is_done(NULL));
    assert_int_equal(cpu_event_sync(NULL, &err), HF_OK);
}

static void test_executor_close_runs_all(void **state) {
    (void)state;
    struct cpu_executor *ex;
    struct counter c = {0};
    struct job job[JOBS];
    NN_OK(cpu_executor_open(0, &ex, &err));
    assert_true(cpu_executor_threads(ex) >= 1);
    for (int i = 0; i < JOBS; i++) {
        job[i] = (struct job){&c, i};
        NN_OK(cpu_executor_submit(ex, count_job, &job[i], NULL, &err));
    }
    struct hf_event *last = cpu_executor_record(ex);
    cpu_executor_close(ex);
    assert_int_equal(c.ran, JOBS);
    if (last) /* the failure of job 99 outlives the executor */
        assert_int_equal(cpu_event_sync(last, &err), HF_IO);
    cpu_event_unref(last);
    assert_int_equal(cpu_executor_open(-1, &ex, &err), HF_INVALID);
}

/* ---- a small U-Net, convolutions wide enough for every kind of primitive ---- */

static void block(struct hf_net *net, const char *name, int32_t channels, int32_t *x) {
    char text[HF_NET_NAME];
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .inputs = 1,
                            .input = {*x},
                            .channels = channels,
                            .kernel = {1, 3, 3}};
    (void)snprintf(conv.name, sizeof conv.name, "%s.conv", name);
    NN_OK(hf_net_add(net, &conv, x, &err));
    (void)snprintf(text, sizeof text, "%s.norm", name);
    NN_OK(hf_net_norm(net, text, *x, 1e-5f, x, &err));
    (void)snprintf(text, sizeof text, "%s.act", name);
    NN_OK(hf_net_act(net, text, *x, HF_ACT_LEAKY, 0.01f, x, &err));
}

static void unet(struct hf_net *net, int32_t width) {
    int32_t x = 0, skip;
    NN_OK(hf_net_init(net, 2, 1, &err));
    block(net, "a", width, &x);
    block(net, "b", width, &x);
    skip = x;
    NN_OK(hf_net_simple(net, HF_LAYER_POOL, "pool", x, 2, &x, &err));
    block(net, "c", 2 * width, &x);
    NN_OK(hf_net_deconv(net, "up", x, width, 2, 1, &x, &err));
    NN_OK(hf_net_join(net, HF_LAYER_CONCAT, "cat", x, skip, &x, &err));
    block(net, "d", width, &x);
    NN_OK(hf_net_conv(net, "head", x, 2, 1, 1, 1, NULL, &err));
}

static const struct hf_exec_spec spec_unet = {
    .mode = HF_EXEC_TRAIN,
    .shape = {2, 1, 1, 24, 20},
    .loss_terms = 2,
    .loss = {{.kind = HF_LOSS_CE, .factor = 1}, {.kind = HF_LOSS_DICE, .factor = 1}},
    .optimizer = {.kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-6f, .clip = 1}};

/* Random parameters with norm scales near 1, a random image, and where it exceeds a level. */
static float *fill(struct nn_run *r, const struct hf_net *net) {
    struct hf_param *param;
    int32_t count;
    int64_t total;
    NN_OK(hf_net_params(net, &param, &count, &total, &err));
    float *p = nn_alloc((size_t)total * sizeof *p);
    for (int32_t i = 0; i < count; i++) {
        int scale = strstr(param[i].name, ".scale") != NULL;
        nn_fill(p + param[i].offset, param[i].count, (uint64_t)i, scale ? 0.9f : -0.2f,
                scale ? 1.1f : 0.2f);
    }
    free(param);
    nn_set_params(r, p);
    nn_fill(r->input.dl.data, nn_count(&r->input), 99, -1, 1);
    const float *in = r->input.dl.data;
    float *target = r->target.dl.data;
    int64_t s = r->target.shape[3] * r->target.shape[4];
    for (int64_t n = 0; n < r->target.shape[0]; n++)
        for (int64_t v = 0; v < s; v++) {
            target[(2 * n + 1) * s + v] = in[n * s + v] > 0.3f ? 1.0f : 0.0f;
            target[2 * n * s + v] = 1.0f - target[(2 * n + 1) * s + v];
        }
    return p;
}

struct setting {
    struct cpu_executor *executor;
    struct hf_net net;
    struct nn_run run;
    float *params;
};

static void open_unet(struct setting *s, enum kn_isa isa, int32_t width,
                      const struct hf_exec_spec *spec) {
    NN_OK(cpu_executor_open(NN_THREADS, &s->executor, &err));
    unet(&s->net, width);
    nn_open(&s->run, s->executor, isa, &s->net, spec);
    s->params = fill(&s->run, &s->net);
}

static void close_unet(struct setting *s) {
    nn_close(&s->run);
    cpu_executor_close(s->executor);
    hf_net_clear(&s->net);
    free(s->params);
}

/* Parameters and losses of some steps. */
static float *trained(enum kn_isa isa, int steps, int64_t *ret_count) {
    struct setting s;
    open_unet(&s, isa, 16, &spec_unet);
    for (int i = 0; i < steps; i++)
        nn_step(&s.run, 1, 1e-2f);
    int64_t params = s.run.params;
    float *p = nn_alloc((size_t)(params + 3) * sizeof *p);
    nn_get_params(&s.run, p);
    memcpy(p + params, s.run.loss.dl.data, 3 * sizeof *p);
    close_unet(&s);
    *ret_count = params + 3;
    return p;
}

static void test_same_bits(void **state) {
    (void)state;
    int64_t count;
    float *a = trained(KN_AUTO, 4, &count), *b = trained(KN_AUTO, 4, &count);
    assert_memory_equal(a, b, (size_t)count * sizeof *a);
    free(a);
    free(b);
}

static void test_instruction_sets_agree(void **state) {
    (void)state;
    enum kn_isa isa[KN_ISAS];
    int isas = nn_isas(isa);
    int64_t count;
    float *scalar = trained(KN_SCALAR, 2, &count);
    for (int i = 0; i < isas; i++) {
        float *other = trained(isa[i], 2, &count);
        nn_assert_near(kn_select(isa[i])->name, "training", nn_distance(other, scalar, count),
                       1e-4);
        free(other);
    }
    free(scalar);
}

static void test_modes_agree(void **state) {
    (void)state;
    struct setting train, forward;
    struct hf_exec_spec spec = spec_unet;
    open_unet(&train, KN_AUTO, 16, &spec);
    spec.mode = HF_EXEC_FORWARD;
    open_unet(&forward, KN_AUTO, 16, &spec);
    nn_forward(&train.run);
    nn_forward(&forward.run);
    int64_t count = nn_count(&train.run.output);
    nn_assert_near("modes", "output",
                   nn_distance(forward.run.output.dl.data, train.run.output.dl.data, count), 1e-6);
    /* A second pass over memory that the first one has used, and then a training step between. */
    float *first = nn_alloc((size_t)count * sizeof *first);
    memcpy(first, forward.run.output.dl.data, (size_t)count * sizeof *first);
    nn_forward(&forward.run);
    assert_memory_equal(forward.run.output.dl.data, first, (size_t)count * sizeof *first);
    memcpy(first, train.run.output.dl.data, (size_t)count * sizeof *first);
    nn_step(&train.run, 0, 1e-2f);
    nn_set_params(&train.run, train.params);
    nn_forward(&train.run);
    assert_memory_equal(train.run.output.dl.data, first, (size_t)count * sizeof *first);
    free(first);
    size_t arena[2], total[2];
    train.run.x->methods->memory(train.run.x, &arena[0], &total[0]);
    forward.run.x->methods->memory(forward.run.x, &arena[1], &total[1]);
    assert_true(3 * arena[1] < 2 * arena[0]);
    assert_true(total[0] > arena[0] && total[1] > arena[1]);
    close_unet(&train);
    close_unet(&forward);
}

/* A limit above the gradient's norm must not scale the gradient up; one below it must tell. */
static void test_clip(void **state) {
    (void)state;
    float *p[3];
    int64_t count = 0;
    for (int i = 0; i < 3; i++) {
        struct setting s;
        struct hf_exec_spec spec = spec_unet;
        spec.optimizer = (struct hf_optimizer){.kind = HF_OPT_SGD};
        spec.optimizer.clip = i == 0 ? 0.0f : i == 1 ? 1e4f : 1e-2f;
        open_unet(&s, KN_AUTO, 4, &spec);
        nn_step(&s.run, 0, 1.0f);
        count = s.run.params;
        p[i] = nn_alloc((size_t)count * sizeof *p[i]);
        nn_get_params(&s.run, p[i]);
        assert_true(count <= 4096);
        if (i == 2) /* the step's length is the limit */
            nn_assert_near("clip", "step",
                           fabs(nn_distance(p[i], s.params, count) *
                                    nn_distance(s.params, (float[4096]){0}, count) -
                                1e-2),
                           1e-5);
        close_unet(&s);
    }
    assert_memory_equal(p[0], p[1], (size_t)count * sizeof *p[0]);
    assert_memory_not_equal(p[0], p[2], (size_t)count * sizeof *p[0]);
    for (int i = 0; i < 3; i++)
        free(p[i]);
}

static void test_evaluate(void **state) {
    (void)state;
    struct setting s;
    open_unet(&s, KN_AUTO, 8, &spec_unet);
    nn_evaluate(&s.run, 0);
    float loss[3], *after = nn_alloc((size_t)s.run.params * sizeof *after);
    memcpy(loss, s.run.loss.dl.data, sizeof loss);
    nn_get_params(&s.run, after);
    assert_memory_equal(after, s.params, (size_t)s.run.params * sizeof *after);
    nn_step(&s.run, 0, 1e-2f);
    assert_memory_equal(s.run.loss.dl.data, loss, sizeof loss);
    nn_get_params(&s.run, after);
    assert_memory_not_equal(after, s.params, (size_t)s.run.params * sizeof *after);
    nn_evaluate(&s.run, 0);
    assert_true(HF_DATA(float, &s.run.loss)[0] < loss[0]);
    assert_true(fabsf(loss[0] - loss[1] - loss[2]) < 1e-6f);
    free(after);
    close_unet(&s);
}

static void test_overfits_one_batch(void **state) {
    (void)state;
    struct setting s;
    open_unet(&s, KN_AUTO, 8, &spec_unet);
    nn_step(&s.run, 0, 1e-2f);
    float first = HF_DATA(float, &s.run.loss)[0];
    for (int i = 0; i < 300; i++)
        nn_step(&s.run, 0, 1e-2f);
    float last = HF_DATA(float, &s.run.loss)[0];
    assert_true(first > 0.5f);
    assert_true(last < 0.01f);
    close_unet(&s);
}

/* ---- asynchrony and errors ---- */

static void test_steps_queue_up(void **state) {
    (void)state;
    struct setting a, b;
    open_unet(&a, KN_AUTO, 8, &spec_unet);
    open_unet(&b, KN_AUTO, 8, &spec_unet);
    for (int i = 0; i < 5; i++) {
        NN_OK(a.run.x->methods->step(a.run.x, &a.run.input, &a.run.target, NULL, 1e-2f, &a.run.loss,
                                     &err));
        nn_step(&b.run, 0, 1e-2f);
    }
    NN_OK(a.run.x->methods->forward(a.run.x, &a.run.input, &a.run.output, &err));
    NN_OK(cpu_event_sync(a.run.output.ready, &err));
    assert_true(cpu_event_is_done(a.run.loss.ready));
    nn_forward(&b.run);
    assert_memory_equal(a.run.output.dl.data, b.run.output.dl.data,
                        (size_t)nn_count(&a.run.output) * sizeof(float));
    /* Destroyed with work under way. */
    for (int i = 0; i < 5; i++)
        NN_OK(a.run.x->methods->step(a.run.x, &a.run.input, &a.run.target, NULL, 1e-2f, &a.run.loss,
                                     &err));
    close_unet(&a);
    close_unet(&b);
}

static void expect(enum hf_status s, enum hf_status expected, const char *word) {
    assert_int_equal(s, expected);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

/* A step ends between two layers once the run is being stopped, and changes no parameter. */
static void test_stops_between_layers(void **state) {
    (void)state;
    struct setting s;
    struct hf_error e = {0};
    open_unet(&s, KN_AUTO, 8, &spec_unet);
    struct nn_run *r = &s.run;
    float *after = nn_alloc((size_t)r->params * sizeof *after);
    for (int layers = 1; layers < 6; layers++) {
        nn_stop_after(layers);
        NN_OK(r->x->methods->step(r->x, &r->input, &r->target, NULL, 1e-2f, &r->loss, &err));
        assert_int_equal(cpu_event_sync(r->loss.ready, &e), HF_CANCELED);
        nn_get_params(r, after);
        assert_memory_equal(s.params, after, (size_t)r->params * sizeof *after);
    }
    nn_stop_after(0);
    nn_step(r, 0, 1e-2f);
    nn_get_params(r, after);
    assert_memory_not_equal(s.params, after, (size_t)r->params * sizeof *after);
    free(after);
    close_unet(&s);
}

static void test_refused_calls(void **state) {
    (void)state;
    struct setting s;
    struct hf_exec_spec spec = spec_unet;
    spec.mode = HF_EXEC_FORWARD;
    open_unet(&s, KN_AUTO, 8, &spec);
    const struct hf_executable_methods *m = s.run.x->methods;
    struct nn_run *r = &s.run;
    expect(m->step(r->x, &r->input, &r->target, NULL, 1, &r->loss, &err), HF_INVALID,
           "forward only");
    expect(m->get_gradients(r->x, s.params, &err), HF_INVALID, "forward only");
    expect(m->forward(r->x, &r->weight, &r->input, &err), HF_INVALID, "expected [2,2,1,24,20]");
    r->input.shape[4] = 21;
    expect(m->forward(r->x, &r->input, &r->output, &err), HF_INVALID, "expected [2,1,1,24,20]");
    r->input.shape[4] = 20;
    r->input.dtype = HF_U8;
    expect(m->forward(r->x, &r->input, &r->output, &err), HF_INVALID, "is u8; expected f32");
    struct hf_executable *x;
    spec.shape[3] = 25;
    expect(cpu_nn_compile(s.executor, nn_host(), &s.net, &spec, &x, &err), HF_INVALID,
           "does not divide");
    spec.shape[3] = 24;
    for (int p = HF_PRECISION_TF32; p <= HF_PRECISION_BF16; p++) {
        spec.precision = (enum hf_precision)p;
        expect(cpu_nn_compile(s.executor, nn_host(), &s.net, &spec, &x, &err), HF_UNSUPPORTED,
               p == HF_PRECISION_TF32 ? "no precision tf32" : "no precision bf16");
    }
    spec.precision = HF_PRECISION_AUTO;
    s.net.layer[2].kind = HF_LAYER_GATE;
    s.net.layer[2].channels = 3;
    expect(cpu_nn_compile(s.executor, nn_host(), &s.net, &spec, &x, &err), HF_INVALID,
           "its inputs give");
    close_unet(&s);
}

/* More memory than there is: an error that says what to do, not a crash. */
static void test_too_large(void **state) {
    (void)state;
    struct cpu_executor *ex;
    struct hf_net net;
    struct hf_executable *x;
    NN_OK(cpu_executor_open(1, &ex, &err));
    NN_OK(hf_net_init(&net, 2, 1, &err));
    NN_OK(hf_net_act(&net, "a", 0, HF_ACT_RELU, 0, NULL, &err));
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD, .shape = {1, 1, 1, 1 << 20, 1 << 19}};
    expect(cpu_nn_compile(ex, nn_host(), &net, &spec, &x, &err), HF_NO_MEMORY, "smaller batch");
    hf_net_clear(&net);
    cpu_executor_close(ex);
}

/* ---- pieces ---- */

static void test_no_reference_convolutions(void **state) {
    (void)state;
    static const int64_t channels[][2] = {{1, 16}, {2, 1}, {16, 16}, {5, 7}, {64, 64}};
    struct dn_context *ctx;
    NN_OK(dn_context_new(&ctx, &err));
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (int32_t taps = 1; taps < 5; taps += 3) {
            struct nn_conv_spec c = {.name = "x",
                                     .dims = 2,
                                     .taps = taps,
                                     .bias = 1,
                                     .train = 1,
                                     .data_gradient = 1,
                                     .n = 2,
                                     .ci = channels[i][0],
                                     .co = channels[i][1]};
            for (int a = 0; a < 3; a++) {
                c.in[a] = c.out[a] = a ? 16 : 1;
                c.kernel[a] = a && taps == 1 ? 3 : 1;
                c.stride[a] = c.dilation[a] = 1;
                c.pad_low[a] = c.pad_high[a] = a && taps == 1;
            }
            struct dn_conv *conv;
            NN_OK(dn_conv_new(ctx, &c, &conv, &err));
            for (int pass = 0; pass < NN_PASSES; pass++) {
                const char *impl = dn_conv_impl(conv, (enum nn_pass)pass);
                assert_true(impl[0] && strncmp(impl, "ref", 3) != 0);
            }
            dn_conv_free(conv);
        }
    dn_context_free(ctx);
}

/* The kernels' sums do not depend on the number of threads. */
static void test_threads_give_same_bits(void **state) {
    (void)state;
    enum {
        N = 3,
        S = 1300,
        C = 24,
        COUNT = N * S * C
    };
    const struct kn_table *k = kn_select(KN_AUTO);
    float *x = nn_alloc(COUNT * sizeof *x), *dy = nn_alloc(COUNT * sizeof *dy);
    float *y[2], *dx[2], stat[N * 2 * C], scale[C], shift[C], dscale[2][C], dshift[2][C];
    nn_fill(x, COUNT, 1, -1, 3);
    nn_fill(dy, COUNT, 2, -1, 1);
    nn_fill(scale, C, 3, 0.5f, 1.5f);
    nn_fill(shift, C, 4, -1, 1);
    void *scratch = nn_alloc(kn_norm_scratch(N, S, C));
    int before = omp_get_max_threads();
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(1 + 2 * i);
        y[i] = nn_alloc(COUNT * sizeof *x);
        dx[i] = nn_alloc(COUNT * sizeof *x);
        struct kn_norm a = {.n = N,
                            .s = S,
                            .c = C,
                            .x = {x, C},
                            .y = {y[i], C},
                            .dy = {dy, C},
                            .dx = {dx[i], C},
                            .scale = scale,
                            .shift = shift,
                            .dscale = dscale[i],
                            .dshift = dshift[i],
                            .epsilon = 1e-5f,
                            .slope = 0.1f,
                            .stat = stat,
                            .scratch = scratch};
        k->norm_forward(&a);
        k->norm_backward(&a);
    }
    omp_set_num_threads(before);
    assert_memory_equal(y[0], y[1], COUNT * sizeof *x);
    assert_memory_equal(dx[0], dx[1], COUNT * sizeof *x);
    assert_memory_equal(dscale[0], dscale[1], sizeof dscale[0]);
    assert_memory_equal(dshift[0], dshift[1], sizeof dshift[0]);
    for (int i = 0; i < 2; i++) {
        free(y[i]);
        free(dx[i]);
    }
    free(x);
    free(dy);
    free(scratch);
}

static void near(const char *what, double x, double found, double expected) {
    double limit = 4e-7 * fabs(expected);
    if (!(fabs(found - expected) <= limit))
        fail_msg("%s(%.9g) is %.9g, expected %.9g", what, x, found, expected);
}

static void test_elementary_functions(void **state) {
    (void)state;
    for (int i = -80000; i <= 80000; i++) {
        float f = (float)i * 1e-3f;
        double x = (double)f;
        near("exp", x, (double)el_exp(f), exp(x));
        near("sigmoid", x, (double)el_sigmoid(f), 1 / (1 + exp(-x)));
        near("softplus", x, (double)el_softplus(f), x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)));
        near("tanh", x / 8, (double)el_tanh(f / 8), tanh(x / 8));
        if (fabs(x) > 2e-3) /* near 1 the error is absolute */
            near("log", exp(x), (double)el_log(expf(f)), log((double)expf(f)));
    }
    assert_true(el_log(1.0f) == 0.0f);
    assert_true(el_exp(0.0f) == 1.0f && el_tanh(0.0f) == 0.0f && el_sigmoid(0.0f) == 0.5f);
    assert_true(isfinite(el_exp(1e30f)) && el_exp(-1e30f) >= 0.0f);
    assert_true(el_sigmoid(-1e30f) >= 0.0f && el_sigmoid(1e30f) == 1.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_executor),
        cmocka_unit_test(test_executor_close_runs_all),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_instruction_sets_agree),
        cmocka_unit_test(test_modes_agree),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_overfits_one_batch),
        cmocka_unit_test(test_steps_queue_up),
        cmocka_unit_test(test_stops_between_layers),
        cmocka_unit_test(test_refused_calls),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_no_reference_convolutions),
        cmocka_unit_test(test_threads_give_same_bits),
        cmocka_unit_test(test_elementary_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
