/*
 * test_patches.c - training on patches, with a network of no more than a factor and a bias, of
 * which only the bias learns: the input is 0 everywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../harness.h"
#include "../stages/io_stub.h"
#include "../../stages/train/train.h"

enum {
    CASES = 12
};

static int32_t given_dims(const void *options) {
    return *(const int32_t *)options;
}

static enum hf_status line_build(const struct hf_host *host, const void *options,
                                 int32_t in_channels, int32_t out_channels, struct hf_net **ret,
                                 struct hf_error *e) {
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .name = "line",
                            .inputs = 1,
                            .channels = out_channels,
                            .kernel = {1, 1, 1},
                            .bias = 1};
    int32_t index = 0;
    enum hf_status st = host->net_new(given_dims(options), in_channels, ret, e);
    return st == HF_OK ? host->net_add(*ret, &conv, &index, e) : st;
}

static const int32_t two = 2, three = 3;
static const struct hf_network_class line = {
    .name = "line", .build = line_build, .dims = given_dims};

static struct train_options usual(void) {
    return (struct train_options){.network = {&line, &three},
                                  .inputs = {1, {"image"}},
                                  .target = "target",
                                  .loss = {1, {"l1"}, {1}},
                                  .pos_weight = 1,
                                  .rate = 1e-9, /* the loss is that of a bias of 0 */
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .schedule = SCHEDULE_CONSTANT,
                                  .batch = 4,
                                  .epochs = 5,
                                  .patch = {3, {1, 1, 1}},
                                  .patches = 8,
                                  .validation_slices = 256,
                                  .keep = KEEP_LAST};
}

struct test {
    struct harness *h;
    struct hf_stage *stage;
    const struct hf_sample *sample[CASES];
    int32_t samples;
    struct hf_error e;
};

static void begin(struct test *t) {
    *t = (struct test){.h = harness_open()};
    (void)harness_load(t->h, "stages/train/train");
}

static struct hf_sample *add(struct test *t, const int64_t size[3],
                             float (*value)(const int64_t at[3])) {
    int64_t plane = size[1] * size[2], count = size[0] * plane;
    float *target = malloc((size_t)count * sizeof *target);
    char id[16];
    assert_non_null(target);
    (void)snprintf(id, sizeof id, "c%d", (int)t->samples);
    struct hf_sample *s = harness_sample(t->h, id, size[0], size[1], size[2], 1);
    for (int64_t i = 0; i < count; i++)
        target[i] = value((int64_t[]){i / plane, i / size[2] % size[1], i % size[2]});
    harness_set_f32(t->h, s, "image", 1, NULL);
    harness_set_f32(t->h, s, "target", 1, target);
    free(target);
    t->sample[t->samples++] = s;
    return s;
}

static void run(struct test *t, const struct train_options *o) {
    t->stage = harness_stage(t->h, harness_class(t->h, "train"), o, "learner");
    if (harness_run(t->stage, t->sample, t->samples, &t->e) != HF_OK)
        fail_msg("%s", t->e.text);
}

static void done(struct test *t) {
    harness_stage_free(t->stage);
    for (int32_t i = 0; i < t->samples; i++)
        harness_free_sample(t->h, t->sample[i]);
    harness_close(t->h);
}

/* The losses, and of those of the validations how many there are. */
static int read_losses(const struct test *t, double ret[256], int *ret_validations) {
    char path[256], text[256];
    int n = -1;
    (void)snprintf(path, sizeof path, "%s/learner/loss.csv", harness_folder(t->h));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(text, sizeof text, f)) {
        const char *at = strchr(text, ',');
        if (n >= 0 && n < 256)
            ret[n] = strtod(at + 1, NULL);
        if (n >= 0 && ret_validations && strrchr(text, ',')[1] != '\n')
            ++*ret_validations;
        n++;
    }
    (void)fclose(f);
    return n;
}

static float one_voxel(const int64_t at[3]) {
    return at[0] == 9 && at[1] == 0 && at[2] == 31 ? 1.0f : 0.0f;
}

static float column(const int64_t at[3]) {
    return (float)at[2] / 31;
}

static float slice(const int64_t at[3]) {
    return at[0] == 2 || at[0] == 5 ? 1.0f : 100.0f;
}

static float one_half(const int64_t at[3]) {
    (void)at;
    return 0.5f;
}

static const int64_t wide[3] = {10, 32, 32};

/* One voxel in ten thousand is found by those draws that look for it, and they are as many in every
 * batch as asked for. A case without any has its turns as well. */
static void every_batch_has_its_share_of_foreground(void **state) {
    (void)state;
    static const struct {
        int64_t batch, patches;
        double foreground, share;
    } cases[] = {
        {4, 8, 0.33, 0.25}, {4, 3, 0.5, 0.5}, {2, 1, 0.33, 0.5}, {4, 8, 1, 1}, {4, 8, 0, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct train_options o = usual();
        struct test t;
        double loss[256];
        o.batch = cases[k].batch;
        o.patches = cases[k].patches;
        o.foreground = cases[k].foreground;
        begin(&t);
        for (int i = 0; i < CASES; i++)
            (void)add(&t, wide, one_voxel);
        run(&t, &o);
        int steps = read_losses(&t, loss, NULL);
        assert_int_equal(steps, o.epochs * CASES * o.patches / o.batch);
        for (int i = 0; i < steps; i++)
            assert_true(fabs(loss[i] - cases[k].share) < 1e-6);
        done(&t);
    }
}

static void patches_lie_anywhere(void **state) {
    (void)state;
    struct train_options o = usual();
    struct test t;
    double loss[256], sum = 0, squares = 0;
    o.batch = 1;
    o.epochs = 2;
    begin(&t);
    for (int i = 0; i < CASES; i++)
        (void)add(&t, wide, column);
    run(&t, &o);
    int steps = read_losses(&t, loss, NULL), first = 0, last = 0;
    assert_int_equal(steps, 2 * CASES * 8);
    for (int i = 0; i < steps; i++) {
        sum += loss[i];
        squares += loss[i] * loss[i];
        first += loss[i] < 0.1;
        last += loss[i] > 0.9;
    }
    double mean = sum / steps, variance = squares / steps - mean * mean;
    assert_true(fabs(mean - 0.5) < 0.07);
    assert_true(fabs(variance - 1.0 / 12) < 0.02);
    assert_true(first > 5 && last > 5);
    done(&t);
}

/* Two slices are named; of the patch's depth of 1 no other can be in it. */
static void patches_keep_to_named_slices(void **state) {
    (void)state;
    const uint8_t named[10] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0};
    for (int k = 0; k < 2; k++) {
        struct train_options o = usual();
        struct test t;
        double loss[256];
        o.network.options = &two;
        o.patch = (struct hf_reals){3, {1, 8, 16}};
        o.foreground = 0.5 * k;
        begin(&t);
        for (int i = 0; i < 2; i++)
            harness_set(t.h, add(&t, wide, slice), "slices", HF_ON_HOST, HF_U8, 1, wide, named);
        run(&t, &o);
        int steps = read_losses(&t, loss, NULL);
        assert_int_equal(steps, 5 * 2 * 8 / 4);
        for (int i = 0; i < steps; i++)
            assert_true(fabs(loss[i] - 1) < 1e-6);
        done(&t);
    }
}

/* A patch is deeper than what is known of the volume: only that has a part in the loss. */
static void slices_of_no_weight_teach_nothing(void **state) {
    (void)state;
    const uint8_t named[10] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0};
    const int64_t count = wide[0] * wide[1] * wide[2];
    uint8_t *known = malloc((size_t)count);
    assert_non_null(known);
    for (int64_t i = 0; i < count; i++)
        known[i] = named[i / (wide[1] * wide[2])];
    for (int weighed = 0; weighed < 2; weighed++) {
        struct train_options o = usual();
        struct test t;
        double loss[256], most = 0;
        o.patch = (struct hf_reals){3, {6, 8, 16}};
        o.weight = weighed ? "known" : NULL;
        begin(&t);
        for (int i = 0; i < 2; i++) {
            struct hf_sample *s = add(&t, wide, slice);
            harness_set(t.h, s, "slices", HF_ON_HOST, HF_U8, 1, wide, named);
            harness_set_u8(t.h, s, "known", 1, known);
        }
        run(&t, &o);
        int steps = read_losses(&t, loss, NULL);
        for (int i = 0; i < steps; i++)
            most = fmax(most, fabs(loss[i] - 1));
        assert_true(weighed ? most < 1e-6 : most > 10);
        done(&t);
    }
    free(known);
}

/* Volumes of all sizes, some smaller than the patch; patches of validation patients too. */
static void volumes_of_any_size_do(void **state) {
    (void)state;
    static const int64_t size[3][3] = {{3, 5, 7}, {10, 32, 32}, {6, 4, 20}};
    float kept[2];
    for (int k = 0; k < 3; k++) {
        struct train_options o = usual();
        struct test t;
        double loss[256];
        int validations = 0;
        o.patch = (struct hf_reals){3, {4, 8, 8}};
        o.rate = 0.05;
        o.validate = 0.3;
        o.foreground = 0.33;
        o.patches = k == 2 ? 7 : 8;
        begin(&t);
        for (int i = 0; i < CASES; i++)
            (void)add(&t, size[i % 3], one_half);
        run(&t, &o);
        assert_in_range(read_losses(&t, loss, &validations), 60, 110);
        assert_int_equal(validations, o.epochs);
        const struct hf_model *m = harness_model(t.h);
        assert_int_equal(m->info.dims, 3);
        assert_memory_equal(m->info.patch, ((int64_t[]){4, 8, 8}), sizeof m->info.patch);
        assert_true(fabsf(m->params[1] - 0.5f) < 0.12f);
        if (k == 1)
            assert_memory_equal(&kept[0], &m->params[1], sizeof(float));
        kept[k > 0] = m->params[1];
        if (k == 2)
            assert_true(kept[0] != kept[1]);
        done(&t);
    }
}

static void refused(struct harness *h, const struct train_options *o, const char *text) {
    struct io_stub io;
    struct hf_error e = {0};
    assert_int_equal(io_stub_declare(&io, harness_class(h, "train"), o, " image target ", &e),
                     HF_INVALID);
    if (!strstr(e.text, text))
        fail_msg("'%s' is not in '%s'", text, e.text);
}

static void a_graph_is_told_what_does_not_fit(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct train_options o = usual();
    (void)harness_load(h, "stages/train/train");
    o.patch.count = 0;
    refused(h, &o, "the network is 3D and runs over patches: set `patch: [D, H, W]`");
    o.patch.count = 2;
    refused(h, &o, "option 'patch' has 2 values; expected [D, H, W]");
    o.patch = (struct hf_reals){3, {4, 8.5, 8}};
    refused(h, &o, "option 'patch' is a whole number of voxels, not 8.5");
    o.patch.value[1] = 8;
    o.network.options = &two;
    refused(h, &o, "option 'patch' is 4 slices deep and the network 2D: expected [1, H, W]");
    o.network.options = &three;
    o.positive = 0.5;
    refused(h, &o, "option 'positive' is for whole slices");
    o.positive = 0;
    o.patience = 3;
    refused(h, &o, "option 'patience' counts validations and there are none");
    o.patience = 0;
    o.loss = (struct hf_weights){1, {"tversky"}, {1}};
    o.tversky_alpha = o.tversky_beta = 0;
    refused(h, &o, "options 'tversky_alpha' and 'tversky_beta' are both 0");
    o.classes = 3;
    o.loss = (struct hf_weights){2, {"dice", "focal"}, {1, 1}};
    refused(h, &o, "option 'loss': focal takes each channel for itself");
    harness_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_batch_has_its_share_of_foreground),
        cmocka_unit_test(patches_lie_anywhere),
        cmocka_unit_test(patches_keep_to_named_slices),
        cmocka_unit_test(slices_of_no_weight_teach_nothing),
        cmocka_unit_test(volumes_of_any_size_do),
        cmocka_unit_test(a_graph_is_told_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
