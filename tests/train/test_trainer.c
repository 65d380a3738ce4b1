/*
 * test_trainer.c - the training loop, with a network so small that its parameters can be foretold:
 * out = weight * in + bias. The input is 0 everywhere, so that only the bias learns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../harness.h"
#include "../../stages/train/train.h"

enum {
    PATIENTS = 16,
    DEPTH = 4,
    SIDE = 8,
    PLANE = SIDE * SIDE
};

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
    int32_t index = 0;
    enum hf_status st = host->net_new(2, in_channels, ret, e);
    return st == HF_OK ? host->net_add(*ret, &conv, &index, e) : st;
}

static const struct hf_network_class line = {.name = "line", .build = line_build};

static struct train_options usual(void) {
    return (struct train_options){.network = {&line, NULL},
                                  .inputs = {1, {"image"}},
                                  .target = "target",
                                  .loss = {1, {"l1"}, {1}},
                                  .pos_weight = 1,
                                  .rate = 0.05,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .schedule = SCHEDULE_CONSTANT,
                                  .batch = 4,
                                  .epochs = 4,
                                  .shuffle = 8,
                                  .validation_slices = 256,
                                  .keep = KEEP_LAST};
}

/* A training over samples; what it leaves is looked at before `done`. */
struct test {
    struct harness *h;
    struct hf_stage *stage;
    const struct hf_sample *sample[PATIENTS];
    int32_t samples;
    struct hf_error e;
};

static void begin(struct test *t) {
    *t = (struct test){.h = harness_open()};
    (void)harness_load(t->h, "stages/train/train");
}

/* A case of its own patient; each slice is even. */
static struct hf_sample *add(struct test *t, const float level[DEPTH]) {
    float target[DEPTH * PLANE];
    char id[16];
    (void)snprintf(id, sizeof id, "c%d", (int)t->samples);
    struct hf_sample *s = harness_sample(t->h, id, DEPTH, SIDE, SIDE, 1);
    for (int i = 0; i < DEPTH * PLANE; i++)
        target[i] = level[i / PLANE];
    harness_set_f32(t->h, s, "image", 1, NULL);
    harness_set_f32(t->h, s, "target", 1, target);
    t->sample[t->samples++] = s;
    return s;
}

static enum hf_status run(struct test *t, const struct train_options *o) {
    t->stage = harness_stage(t->h, harness_class(t->h, "train"), o, "learner");
    return harness_run(t->stage, t->sample, t->samples, &t->e);
}

static float bias(const struct test *t) {
    const struct hf_model *m = harness_model(t->h);
    assert_non_null(m);
    assert_int_equal(m->param_count, 2);
    return m->params[1];
}

static void done(struct test *t) {
    harness_stage_free(t->stage);
    for (int32_t i = 0; i < t->samples; i++)
        harness_free_sample(t->h, t->sample[i]);
    harness_close(t->h);
}

/* Column `column` of loss.csv, NaN where it is empty; returns how many lines there are. */
static int read_curve(const struct test *t, int column, double ret[256]) {
    char path[256], text[256];
    int n = -1;
    (void)snprintf(path, sizeof path, "%s/learner/loss.csv", harness_folder(t->h));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(text, sizeof text, f)) {
        const char *at = text;
        for (int c = 0; c < column && at; c++)
            at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL;
        if (n >= 0 && n < 256)
            ret[n] = at && *at != '\n' ? strtod(at, NULL) : NAN;
        n++;
    }
    (void)fclose(f);
    return n;
}

static int is_validation(const struct hf_sample *s, double share) {
    struct hf_rng r = hf_rng_init(66, "validation", s->patient, 0);
    return (double)hf_rng_uniform(&r) < share;
}

/* Validation patients have the opposite target: one step on them would show in the bias. */
static void train_apart(struct test *t, const struct train_options *o, int *ret_validation) {
    static const float up[DEPTH] = {0.5f, 0.5f, 0.5f, 0.5f}, down[DEPTH] = {-4, -4, -4, -4};
    begin(t);
    *ret_validation = 0;
    for (int i = 0; i < PATIENTS; i++) {
        struct hf_sample *s = add(t, up);
        if (is_validation(s, o->validate)) {
            t->samples--;
            harness_free_sample(t->h, s);
            (void)add(t, down);
            ++*ret_validation;
        }
    }
    if (run(t, o) != HF_OK)
        fail_msg("%s", t->e.text);
}

static void validation_patients_are_not_trained_on(void **state) {
    (void)state;
    struct train_options o = usual();
    struct test t;
    double validation[256];
    int held;
    o.validate = 0.3;
    train_apart(&t, &o, &held);
    assert_in_range(held, 2, PATIENTS - 4);
    assert_true(fabsf(bias(&t) - 0.5f) < 0.12f);
    int steps = read_curve(&t, 3, validation);
    /* Every slice of the others once an epoch, in whole batches. */
    assert_int_equal(steps, o.epochs * (PATIENTS - held) * DEPTH / o.batch);
    assert_true(fabs(validation[steps - 1] - 4 - (double)bias(&t)) < 1e-3);
    done(&t);
}

/* The bias moves away from what validation asks for: the first epoch's parameters are the best. */
static void best_parameters_are_kept(void **state) {
    (void)state;
    struct train_options o = usual();
    struct test t;
    double validation[256];
    int held;
    o.validate = 0.3;
    o.rate = 0.004;
    o.keep = KEEP_BEST;
    train_apart(&t, &o, &held);
    int steps = read_curve(&t, 3, validation), first = steps / (int)o.epochs - 1;
    assert_true(validation[first] < validation[steps - 1] - 0.05);
    assert_true(fabs(validation[first] - 4 - (double)bias(&t)) < 1e-3);
    done(&t);
}

/* As above, where every validation but the first is worse. */
static void a_training_that_gets_no_better_ends(void **state) {
    (void)state;
    for (int64_t patience = 0; patience < 3; patience++) {
        struct train_options o = usual();
        struct test t;
        double validation[256];
        int held, validations = 0;
        o.validate = 0.3;
        o.rate = 0.004;
        o.patience = patience;
        o.keep = patience == 1 ? KEEP_BEST : KEEP_LAST;
        train_apart(&t, &o, &held);
        int steps = read_curve(&t, 3, validation);
        for (int i = 0; i < steps; i++)
            validations += isfinite(validation[i]) != 0;
        assert_int_equal(validations, patience ? 1 + patience : o.epochs);
        assert_int_equal(strstr(harness_log(t.h), ": no better validation since step") != NULL,
                         patience > 0);
        double kept = 4 + (double)bias(&t);
        int first = steps / validations - 1;
        assert_true(fabs(validation[patience == 1 ? first : steps - 1] - kept) < 1e-3);
        done(&t);
    }
}

static void a_share_of_nobody_is_told(void **state) {
    (void)state;
    static const float none[DEPTH] = {0};
    for (int i = 0; i < 2; i++) {
        struct train_options o = usual();
        struct test t;
        o.validate = i ? 1e-6 : 0;
        begin(&t);
        (void)add(&t, none);
        assert_int_equal(run(&t, &o), HF_OK);
        assert_int_equal(strstr(harness_log(t.h), "only 0 slices are in the validation") != NULL,
                         i);
        done(&t);
    }
}

static void slices_that_are_not_named_are_left_out(void **state) {
    (void)state;
    static const float level[DEPTH] = {-9, 0.5f, 0.5f, -9};
    const uint8_t named[DEPTH] = {0, 1, 1, 0};
    const int64_t depth = DEPTH;
    struct train_options o = usual();
    struct test t;
    double loss[256];
    begin(&t);
    for (int i = 0; i < PATIENTS; i++)
        harness_set(t.h, add(&t, level), "slices", HF_ON_HOST, HF_U8, 1, &depth, named);
    assert_int_equal(run(&t, &o), HF_OK);
    assert_int_equal(read_curve(&t, 1, loss), o.epochs * PATIENTS * 2 / o.batch);
    assert_true(fabsf(bias(&t) - 0.5f) < 0.12f);
    done(&t);
}

/* The bias stays 0, so the loss of a batch is the share of its slices with a target of 1. */
static void positive_slices_have_their_share(void **state) {
    (void)state;
    static const float rare[DEPTH] = {1}, none[DEPTH] = {0};
    struct train_options o = usual();
    struct test t;
    double loss[256];
    o.rate = 1e-9;
    o.positive = 0.5;
    begin(&t);
    for (int i = 0; i < PATIENTS; i++)
        (void)add(&t, i % 2 ? rare : none);
    assert_int_equal(run(&t, &o), HF_OK);
    int steps = read_curve(&t, 1, loss);
    assert_int_equal(steps, o.epochs * PATIENTS * DEPTH / o.batch);
    for (int i = steps / 2; i < steps; i++)
        assert_true(fabs(loss[i] - 0.5) < 1e-4);
    done(&t);
}

static void rates_follow_their_schedule(void **state) {
    (void)state;
    static const float none[DEPTH] = {0};
    static const struct {
        int schedule;
        int64_t warmup;
        double at[3]; /* shares of `rate` in steps 0, 8 and 16 of 17 */
    } expected[] = {{SCHEDULE_CONSTANT, 0, {1, 1, 1}},
                    {SCHEDULE_CONSTANT, 15, {1.0 / 16, 9.0 / 16, 1}},
                    {SCHEDULE_COSINE, 0, {1, 0.55, 0.1}},
                    {SCHEDULE_POLY, 0, {1, 0.1 + 0.9 * 0.25, 0.1}},
                    {SCHEDULE_STEP, 0, {1, 0.5, 0.25}}};
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        struct train_options o = usual();
        struct test t;
        double rate[256];
        o.schedule = expected[k].schedule;
        o.warmup = expected[k].warmup;
        o.final_rate = 0.1;
        o.poly_power = 2;
        o.step_every = 7;
        o.step_factor = 0.5;
        o.steps = 17;
        begin(&t);
        for (int i = 0; i < PATIENTS; i++)
            (void)add(&t, none);
        assert_int_equal(run(&t, &o), HF_OK);
        assert_int_equal(read_curve(&t, 2, rate), 17);
        for (int i = 0; i < 3; i++)
            assert_true(fabs(rate[8 * i] / o.rate - expected[k].at[i]) < 1e-6);
        done(&t);
    }
}

/* Every step of the schedules, against their formulas. */
static void every_step_has_its_rate(void **state) {
    (void)state;
    static const float none[DEPTH] = {0};
    for (int schedule = SCHEDULE_CONSTANT; schedule <= SCHEDULE_STEP; schedule++) {
        struct train_options o = usual();
        struct test t;
        double rate[256];
        o.schedule = schedule;
        o.warmup = 4;
        o.final_rate = 0.02;
        o.poly_power = 0.9;
        o.step_every = 10;
        o.step_factor = 0.3;
        o.steps = 41;
        begin(&t);
        for (int i = 0; i < PATIENTS; i++)
            (void)add(&t, none);
        assert_int_equal(run(&t, &o), HF_OK);
        assert_int_equal(read_curve(&t, 2, rate), 41);
        for (int i = 0; i < 41; i++) {
            double done_share = i / 40.0, rising = i < 4 ? (i + 1) / 5.0 : 1;
            double share[] = {1, 0.02 + 0.98 * (0.5 + 0.5 * cos(acos(-1) * done_share)),
                              0.02 + 0.98 * pow(1 - done_share, 0.9), pow(0.3, floor(i / 10.0))};
            assert_true(fabs(rate[i] / o.rate - rising * share[schedule]) < 1e-5);
        }
        done(&t);
    }
}

/* The loss of the first step, where the network yields 0 everywhere. */
static double first_loss(const struct train_options *o, float target) {
    const float level[DEPTH] = {target, target, target, target};
    struct test t;
    double loss[256];
    begin(&t);
    (void)add(&t, level);
    if (run(&t, o) != HF_OK)
        fail_msg("%s", t.e.text);
    (void)read_curve(&t, 1, loss);
    done(&t);
    return loss[0];
}

static void losses_have_their_options(void **state) {
    (void)state;
    const double voxels = 4 * PLANE, half = voxels / 2;
    struct train_options o = usual();
    o.rate = 1e-9;
    o.epochs = 1;
    o.loss = (struct hf_weights){1, {"focal"}, {2}};
    o.focal_gamma = 1.5;
    o.pos_weight = 3;
    assert_true(fabs(first_loss(&o, 1) - 2 * 3 * pow(0.5, 1.5) * log(2)) < 1e-5);
    assert_true(fabs(first_loss(&o, 0) - 2 * pow(0.5, 1.5) * log(2)) < 1e-5);
    o.loss = (struct hf_weights){1, {"tversky"}, {1}};
    o.tversky_alpha = 0.2;
    o.tversky_beta = 0.7;
    assert_true(fabs(first_loss(&o, 0) - (1 - 1 / (0.2 * half + 1))) < 1e-5);
    assert_true(fabs(first_loss(&o, 1) - (1 - (half + 1) / (half + 0.7 * half + 1))) < 1e-5);
}

/* The input is 0, so nothing but the decay moves the weight. */
static void adamw_lets_weights_decay(void **state) {
    (void)state;
    static const float level[DEPTH] = {1, 1, 1, 1};
    float weight[2] = {0};
    for (int k = 0; k < 2; k++) {
        struct train_options o = usual();
        struct test t;
        o.optimizer = HF_OPT_ADAMW;
        o.weight_decay = 0.2 * k;
        o.epochs = 10;
        begin(&t);
        (void)add(&t, level);
        if (run(&t, &o) != HF_OK)
            fail_msg("%s", t.e.text);
        weight[k] = harness_model(t.h)->params[0];
        done(&t);
    }
    assert_true(weight[0] != 0.0f);
    assert_true(fabs((double)weight[1] / (double)weight[0] - pow(1 - 0.05 * 0.2, 10)) < 1e-5);
}

/* Plain descent on l1 moves the bias by `rate` a step; what is validated and kept is its average.
 */
static void the_average_is_kept(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct train_options o = usual();
        struct test t;
        double validation[256], average = 0;
        int held, epoch_steps, at = 0;
        o.optimizer = HF_OPT_SGD;
        o.rate = 0.001;
        o.average = k ? 0.999 : 0.6; /* the one is never reached, the other soon */
        o.validate = 0.3;
        o.keep = k ? KEEP_BEST : KEEP_LAST;
        train_apart(&t, &o, &held);
        int steps = read_curve(&t, 3, validation);
        epoch_steps = steps / (int)o.epochs;
        for (int i = 0; i < steps; i++) {
            double decay = fmin(o.average, (i + 2.0) / (i + 11.0));
            average = decay * average + (1 - decay) * 0.001 * (i + 1);
            if ((i + 1) % epoch_steps == 0)
                assert_true(fabs(validation[i] - 4 - average) < 1e-5);
            if (!k || i + 1 == epoch_steps)
                at = i;
        }
        assert_true(fabs(validation[at] - 4 - (double)bias(&t)) < 1e-5);
        done(&t);
    }
}

/* As `line`, with a head of half the weight before it. */
static enum hf_status heads_build(const struct hf_host *host, const void *options,
                                  int32_t in_channels, int32_t out_channels, struct hf_net **ret,
                                  struct hf_error *e) {
    (void)options, (void)in_channels;
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .name = "low",
                            .inputs = 1,
                            .channels = out_channels,
                            .kernel = {1, 2, 2},
                            .stride = {1, 2, 2},
                            .bias = 1,
                            .supervise = 0.5f};
    int32_t index = 0;
    enum hf_status st = line_build(host, NULL, 1, 1, ret, e);
    struct hf_net *net = NULL;
    if (st == HF_OK)
        st = host->net_new(2, 1, &net, e);
    if (st == HF_OK)
        st = host->net_add(net, &conv, &index, e);
    if (st == HF_OK)
        st = host->net_add(net, &(*ret)->layer[1], &index, e);
    host->net_free(*ret);
    *ret = net;
    return st;
}

static void the_weights_of_heads_sum_to_one(void **state) {
    (void)state;
    static const struct hf_network_class heads = {.name = "heads", .build = heads_build};
    struct train_options o = usual();
    o.network = (struct hf_network_choice){&heads, NULL};
    o.rate = 1e-9;
    o.epochs = 1;
    assert_true(fabs(first_loss(&o, 0.5f) - 0.5) < 1e-6);
}

static void expect_refused(struct test *t, const struct train_options *o, const char *text) {
    assert_int_equal(run(t, o), HF_INVALID);
    if (!strstr(t->e.text, text))
        fail_msg("'%s' is not in '%s'", text, t->e.text);
    assert_null(harness_model(t->h));
    done(t);
}

static void fields_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const float none[DEPTH] = {0};
    const uint8_t named[DEPTH + 1] = {1, 1, 1, 1, 1};
    const int64_t longer = DEPTH + 1;
    struct train_options o = usual();
    struct test t;

    begin(&t);
    harness_set(t.h, add(&t, none), "slices", HF_ON_HOST, HF_U8, 1, &longer, named);
    expect_refused(&t, &o, "case 'c0': 'slices' has 5 entries for 4 slices");

    begin(&t);
    o.weight = "weight";
    harness_set_f32(t.h, add(&t, none), "weight", 3, NULL);
    expect_refused(&t, &o, "case 'c0': its fields have other channels");

    begin(&t);
    o.weight = NULL;
    (void)add(&t, none);
    harness_set_f32(t.h, add(&t, none), "image", 2, NULL);
    expect_refused(&t, &o, "case 'c1': its fields have other channels");

    begin(&t);
    (void)add(&t, none);
    struct hf_sample *wide = harness_sample(t.h, "c1", DEPTH, SIDE, 2 * SIDE, 1);
    harness_set_f32(t.h, wide, "image", 1, NULL);
    harness_set_f32(t.h, wide, "target", 1, NULL);
    t.sample[t.samples++] = wide;
    expect_refused(&t, &o, "case 'c1': its slices are 8 x 16, the first case's 8 x 8");

    begin(&t);
    harness_host(t.h)->sample_drop(add(&t, none), "target");
    expect_refused(&t, &o, "case 'c0': the field 'target' is missing");

    begin(&t);
    const int64_t volume[4] = {1, DEPTH, SIDE, SIDE};
    static const int16_t short_values[DEPTH * PLANE];
    harness_set(t.h, add(&t, none), "image", HF_ON_GRID, HF_I16, 4, volume, short_values);
    expect_refused(&t, &o, "case 'c0': the field 'image' is i16; expected f32 or u8");

    begin(&t);
    o.batch = 64;
    o.shuffle = 64;
    (void)add(&t, none);
    expect_refused(&t, &o, "less than one batch of 64 slices");
}

/* The checkpoint tells what was computed how, and a device without the precision says so at once.
 */
static void the_precision_is_told(void **state) {
    (void)state;
    struct test t;
    struct train_options o = usual();
    o.precision = HF_PRECISION_BF16;
    begin(&t);
    (void)add(&t, (const float[]){1, 1, 1, 1});
    assert_int_equal(run(&t, &o), HF_UNSUPPORTED);
    assert_non_null(strstr(t.e.text, "the CPU has no precision bf16; expected auto or f32"));
    done(&t);
    o.precision = HF_PRECISION_F32;
    o.epochs = 1;
    begin(&t);
    (void)add(&t, (const float[]){1, 1, 1, 1});
    assert_int_equal(run(&t, &o), HF_OK);
    char path[256], text[4096] = "";
    (void)snprintf(path, sizeof path, "%s/learner/model.safetensors", harness_folder(t.h));
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(text, 1, sizeof text - 1, f), kept = 0;
    (void)fclose(f);
    for (size_t i = 8; i < size; i++) /* notes are a text within the metadata's JSON */
        if (text[i] != '\\')
            text[kept++] = text[i];
    text[kept] = 0;
    assert_non_null(strstr(text, "\"precision\":\"f32\",\"device\":\"cpu: "));
    done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validation_patients_are_not_trained_on),
        cmocka_unit_test(best_parameters_are_kept),
        cmocka_unit_test(a_training_that_gets_no_better_ends),
        cmocka_unit_test(a_share_of_nobody_is_told),
        cmocka_unit_test(slices_that_are_not_named_are_left_out),
        cmocka_unit_test(positive_slices_have_their_share),
        cmocka_unit_test(rates_follow_their_schedule),
        cmocka_unit_test(every_step_has_its_rate),
        cmocka_unit_test(losses_have_their_options),
        cmocka_unit_test(adamw_lets_weights_decay),
        cmocka_unit_test(the_average_is_kept),
        cmocka_unit_test(the_weights_of_heads_sum_to_one),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
        cmocka_unit_test(the_precision_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
