/*
 * test_absdiff.c - the score of a difference: by its formula, cut at the same voxels as a
 * threshold in HU cuts the difference itself, and smoothed before its sign is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../plugins/absdiff/absdiff.c"

enum {
    D = 3,
    H = 16,
    W = 20,
    N = D * H * W
};

static float image[N], inpainted[N], score[N];
static uint8_t liver[N];
static const float window[2] = {-150, 150}, falling[2] = {5, 5};

static void make_volume(void) {
    for (int i = 0; i < N; i++) {
        image[i] = 0.5f + 0.2f * sinf(1.7f * (float)i);
        inpainted[i] = 0.5f + 0.02f * cosf((float)i);
        liver[i] = i % 7 != 0;
    }
    /* Exactly at 20 HU of 300, one step below, and none. */
    inpainted[8] = inpainted[9] = inpainted[10] = 0;
    image[8] = 20.0f / 300.0f;
    image[9] = nextafterf(image[8], 0);
    image[10] = 0;
}

/* That a call had in use beside its input, and what the stage tells of it. */
static size_t used;
static struct hf_memory told;

static enum hf_status score_once(const struct options *o, const float *hu, struct hf_error *e) {
    const int64_t two = 2;
    struct harness *h = harness_open();
    harness_load(h, "plugins/cpu/cpu");
    harness_add(h, &hf_plugin);
    struct hf_sample *in = harness_sample(h, "case", D, H, W, 1);
    harness_set_f32(h, in, "image", 1, image);
    harness_set_f32(h, in, "inpainted", 1, inpainted);
    harness_set_u8(h, in, "liver", 1, liver);
    harness_set(h, in, "window", HF_ON_HOST, HF_F32, 1, &two, hu);
    struct hf_stage *s = harness_stage(h, &absdiff, o, "difference");
    const struct hf_memory_query q = {.largest = in, .samples = 1, .slices = D};
    size_t now, peak;
    assert_int_equal(absdiff.memory(s, &q, &told, e), HF_OK);
    s->device->methods->memory(s->device, 1, &now, &peak);
    enum hf_status st = harness_process(s, in, e);
    used = now;
    s->device->methods->memory(s->device, 0, &now, &peak);
    used = peak - used;
    if (st == HF_OK)
        memcpy(score, harness_f32(harness_out(s, 0), o->output), sizeof score);
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
    return st;
}

static void test_the_formula(void **state) {
    (void)state;
    struct hf_error e;
    struct options o = {.within = "liver", .output = "score", .half = 20, .smooth = {1, {0}}};
    make_volume();
    for (o.tumors = TUMORS_EITHER; o.tumors <= TUMORS_HYPERDENSE; o.tumors++) {
        int many = 0, full = 0;
        assert_int_equal(score_once(&o, window, &e), HF_OK);
        for (int i = 0; i < N; i++) {
            double hu = 300.0 * ((double)image[i] - (double)inpainted[i]);
            double d = o.tumors == TUMORS_EITHER      ? fabs(hu)
                       : o.tumors == TUMORS_HYPODENSE ? fmax(-hu, 0)
                                                      : fmax(hu, 0);
            double expected = liver[i] ? fmin(d / 40, 1) : 0;
            assert_true(fabs((double)score[i] - expected) < 1e-6);
            /* As `threshold` cuts the difference at `scale: HU_difference`, `value: 20`. */
            float more = image[i] - inpainted[i], cut = 20.0f / (window[1] - window[0]);
            float side = o.tumors == TUMORS_EITHER      ? fabsf(more)
                         : o.tumors == TUMORS_HYPODENSE ? -more
                                                        : more;
            assert_int_equal(score[i] >= 0.5f, liver[i] && side >= cut);
            many += score[i] > 0;
            full += score[i] == 1;
        }
        assert_true(many > N / 4 && full > N / 16);
    }
    o.tumors = TUMORS_HYPERDENSE;
    assert_int_equal(score_once(&o, window, &e), HF_OK);
    assert_true(score[8] == 0.5f);
    assert_true(score[9] < 0.5f && score[9] > 0.49f);
    assert_true(score[10] == 0);
}

/* Noise of alternating signs cancels out; smoothed after its sign was taken off it would not. */
static void test_smoothed_while_signs_cancel(void **state) {
    (void)state;
    struct hf_error e;
    struct options o = {.within = "liver", .output = "found", .half = 20, .smooth = {3, {0, 2, 2}}};
    make_volume();
    memset(liver, 1, sizeof liver);
    for (int i = 0; i < N; i++) {
        inpainted[i] = 0.5f;
        image[i] = 0.5f + ((i + i / W) % 2 ? 0.1f : -0.1f);
    }
    assert_int_equal(score_once(&o, window, &e), HF_OK);
    for (int i = 0; i < N; i++)
        if (i / W % H > 5 && i / W % H < H - 6 && i % W > 5 && i % W < W - 6)
            assert_true(score[i] < 0.02f);
    o.smooth = (struct hf_reals){1, {0}};
    assert_int_equal(score_once(&o, window, &e), HF_OK);
    for (int i = 0; i < N; i++)
        assert_true(score[i] > 0.7f);
}

/* `plan` is told what a call takes, and not much more. */
static void test_memory_is_told(void **state) {
    (void)state;
    static const struct hf_reals smooth[] = {
        {1, {0}}, {1, {1}}, {1, {30}}, {3, {0, 2, 2}}, {3, {2, 0, 0}}};
    struct hf_error e;
    struct options o = {.within = "liver", .output = "score", .half = 20};
    make_volume();
    for (size_t i = 0; i < sizeof smooth / sizeof *smooth; i++) {
        o.smooth = smooth[i];
        assert_int_equal(score_once(&o, window, &e), HF_OK);
        assert_true(used >= 2 * N * sizeof(float));
        assert_true(told.held == 0 && told.work >= (int64_t)used);
        assert_true(told.work <= (int64_t)used * 3 / 2);
    }
}

static void test_what_is_refused(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = {.within = "liver", .output = "score", .half = 20, .smooth = {2, {1, 1}}};
    assert_int_equal(io_stub_declare(&io, &absdiff, &o, " image inpainted liver ", &e), HF_INVALID);
    assert_non_null(strstr(e.text, "option 'smooth' has 2 numbers"));
    o.smooth.count = 1;
    assert_int_equal(io_stub_declare(&io, &absdiff, &o, " image inpainted liver ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread inpainted@0\nread liver@0\nread window@2\n"
                                 "write score@0 < image inpainted liver\n");
    make_volume();
    assert_int_equal(score_once(&o, falling, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "two rising HU values"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_formula),
        cmocka_unit_test(test_smoothed_while_signs_cancel),
        cmocka_unit_test(test_memory_is_told),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
