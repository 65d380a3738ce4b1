/*
 * test_infer.c - models over volumes: inpaint, spot and segment with networks of one convolution,
 * whose output is computed by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/infer/apply.h"
#include "../../stages/inpaint/inpaint.c"

enum {
    D = 7,
    H = 16,
    W = 24,
    PLANE = H * W,
    N = D * PLANE
};

static float image[N];
static uint8_t hole[N], liver[N], segments[N];

/* Slices 1, 2, 4, 5 and 6 have a hole; slice 3 has no liver. */
static void make_volume(void) {
    for (int i = 0; i < N; i++) {
        int d = i / PLANE, y = i / W % H, x = i % W;
        image[i] = 0.3f + 0.001f * (float)(i % 401);
        liver[i] = d != 3 && x > 2 && y < 14;
        hole[i] = d != 0 && liver[i] && x < 12;
        segments[i] = liver[i] && x < 6;
    }
}

static struct hf_sample *make_sample(struct harness *h) {
    struct hf_sample *s = harness_sample(h, "case", D, H, W, 1);
    make_volume();
    harness_set_f32(h, s, "image", 1, image);
    harness_set_u8(h, s, "liver", 1, liver);
    harness_set_u8(h, s, "hole", 1, hole);
    harness_set_u8(h, s, "segments", 1, segments);
    return s;
}

/* A network of one convolution of `width` x `width`: weights [out][in][y][x], then biases [out]. */
static struct hf_model *make_model_of(struct harness *h, int32_t width, struct hf_names inputs,
                                      int32_t in, int32_t out, const char *activation,
                                      const float *params) {
    const struct hf_host *host = harness_host(h);
    struct hf_net *net = NULL;
    struct hf_model *model = NULL;
    struct hf_error e;
    struct hf_model_info info = {.stage = "teacher",
                                 .network = "one",
                                 .inputs = inputs,
                                 .input_channels = in,
                                 .target = "image",
                                 .output_channels = out};
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .name = "conv",
                            .inputs = 1,
                            .channels = out,
                            .kernel = {1, width, width},
                            .stride = {1, 1, 1},
                            .dilation = {1, 1, 1},
                            .bias = 1};
    (void)snprintf(info.activation, sizeof info.activation, "%s", activation);
    enum hf_status st = host->net_new(2, in, &net, &e);
    if (st == HF_OK)
        st = host->net_add(net, &conv, NULL, &e);
    if (st == HF_OK)
        st = host->model_new(&info, net, params, &model, &e);
    if (st != HF_OK)
        fail_msg("%s", e.text);
    host->net_free(net);
    return model;
}

static struct hf_model *make_model(struct harness *h, struct hf_names inputs, int32_t in,
                                   int32_t out, const char *activation, const float *params) {
    return make_model_of(h, 1, inputs, in, out, activation, params);
}

/* inpaint is part of this program, the others are modules. */
static struct hf_stage *start_stage(struct harness *h, const char *name, const void *options,
                                    const struct hf_model *model) {
    char path[64];
    (void)snprintf(path, sizeof path, "stages/%s/%s", name, name);
    if (strcmp(name, "inpaint") == 0)
        harness_add(h, &hf_plugin);
    else
        harness_load(h, path);
    struct hf_stage *s = harness_stage_new(h, harness_class(h, name), options, "stage");
    s->model = model;
    return s;
}

static void expect_near(const float *got, const float *want) {
    for (int i = 0; i < N; i++)
        if (fabsf(got[i] - want[i]) > 1e-5f)
            fail_msg("slice %d, row %d, column %d: %g, expected %g", i / PLANE, i / W % H, i % W,
                     (double)got[i], (double)want[i]);
}

/* filling = 0.5 masked + 0.25 hole + 0.1 image + 0.05 */
static void test_inpaint_fills_the_hole_alone(void **state) {
    (void)state;
    static const float params[] = {0.5f, 0.25f, 0.1f, 0.05f};
    static float inpainted[N], difference[N];
    struct harness *h = harness_open();
    struct hf_error e;
    struct hf_model *model =
        make_model(h, (struct hf_names){3, {"masked", "hole", "image"}}, 3, 1, "none", params);
    struct hf_sample *in = make_sample(h);
    for (int64_t batch = 1; batch <= 8; batch += batch < 4 ? 1 : 4) {
        struct options o = {.blank = {1, {0.7}}, .infer = {.batch = batch}};
        struct hf_stage *s = start_stage(h, "inpaint", &o, model);
        for (int i = 0; i < N; i++) {
            float filling = 0.5f * 0.7f + 0.25f + 0.1f * image[i] + 0.05f;
            inpainted[i] = hole[i] ? filling : image[i];
            difference[i] = image[i] - inpainted[i];
        }
        for (int again = 0; again < 2; again++) {
            enum hf_status st = harness_process(s, in, &e);
            if (st != HF_OK)
                fail_msg("%s", e.text);
            expect_near(harness_f32(harness_out(s, 0), "inpainted"), inpainted);
            expect_near(harness_f32(harness_out(s, 0), "difference"), difference);
        }
        /* Outside the hole not a bit changes. */
        for (int i = 0; i < N; i++)
            assert_true(hole[i] || harness_f32(harness_out(s, 0), "inpainted")[i] == image[i]);
        o.region = "segments";
        assert_int_equal(harness_process(s, in, &e), HF_OK);
        for (int i = 0; i < N; i++)
            inpainted[i] = segments[i] ? 0.5f * 0.7f + 0.25f + 0.1f * image[i] + 0.05f : image[i];
        expect_near(harness_f32(harness_out(s, 0), "inpainted"), inpainted);
        harness_stage_free(s);
    }
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

/* Without the option a region is blanked as in training, or with 0.5 where the model tells no value
 * for what the stage makes; to the bit as with it. */
static void test_inpaint_blanks_as_in_training(void **state) {
    (void)state;
    static const float params[] = {0.5f, 0.05f};
    static const struct {
        const char *blanked;
        double blank, used;
    } cases[] = {{"masked", 0.3, 0.3}, {"masked", 0, 0}, {"", 0, 0.5}, {"image", 0.3, 0.5}};
    struct harness *h = harness_open();
    struct hf_error e;
    struct hf_model *model = make_model(h, (struct hf_names){1, {"masked"}}, 1, 1, "none", params);
    struct hf_sample *in = make_sample(h);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static float explicitly[N];
        struct options told = {.blank = {1, {cases[i].used}}}, untold = {.blank = {0}};
        (void)snprintf(model->info.blanked, HF_FIELD_NAME, "%s", cases[i].blanked);
        model->info.blank = cases[i].blank;
        struct hf_stage *s = start_stage(h, "inpaint", &told, model);
        assert_int_equal(harness_process(s, in, &e), HF_OK);
        memcpy(explicitly, harness_f32(harness_out(s, 0), "inpainted"), sizeof explicitly);
        for (int k = 0; k < N; k++)
            if (hole[k])
                assert_true(fabsf(explicitly[k] - 0.5f * (float)cases[i].used - 0.05f) < 1e-5f);
        s->options = &untold;
        assert_int_equal(harness_process(s, in, &e), HF_OK);
        assert_memory_equal(harness_f32(harness_out(s, 0), "inpainted"), explicitly,
                            sizeof explicitly);
        harness_stage_free(s);
    }
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

/* Each part is filled from the image as it is in all others. */
static void test_inpaint_fills_part_by_part(void **state) {
    (void)state;
    static const float params[] = {0.5f, 0.25f, 0.1f, 0.05f};
    static float inpainted[N], difference[N];
    static uint8_t parts[N];
    struct harness *h = harness_open();
    struct hf_error e;
    struct hf_model *model =
        make_model(h, (struct hf_names){3, {"masked", "hole", "image"}}, 3, 1, "none", params);
    struct hf_sample *in = make_sample(h);
    for (int i = 0; i < N; i++)
        parts[i] = (uint8_t)(i % W < 4 ? 0 : 1 + i % W / 4 % 3);
    harness_set_u8(h, in, "parts", 1, parts);
    struct options o = {.blank = {1, {0.7}}, .parts = "parts"};
    struct hf_stage *s = start_stage(h, "inpaint", &o, model);
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    for (int i = 0; i < N; i++) {
        float filling = 0.5f * 0.7f + 0.25f + 0.1f * image[i] + 0.05f;
        inpainted[i] = hole[i] && parts[i] ? filling : image[i];
        difference[i] = image[i] - inpainted[i];
    }
    expect_near(harness_f32(harness_out(s, 0), "inpainted"), inpainted);
    expect_near(harness_f32(harness_out(s, 0), "difference"), difference);
    harness_stage_free(s);
    harness_host(h)->model_unref(model);

    /* A network that looks to the left sees the image there unless it is of the same part. */
    static const float left[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    model = make_model_of(h, 3, (struct hf_names){1, {"masked"}}, 1, 1, "none", left);
    s = start_stage(h, "inpaint", &o, model);
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    for (int i = 0; i < N; i++) {
        int filled = hole[i] && parts[i];
        int same = filled && i % W > 0 && hole[i - 1] && parts[i - 1] == parts[i];
        inpainted[i] = !filled ? image[i] : same ? 0.7f : image[i - 1];
    }
    expect_near(harness_f32(harness_out(s, 0), "inpainted"), inpainted);
    harness_stage_free(s);
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

/* A network that takes the image alone sees it whole; its output counts in the region, or
 * everywhere. */
static void test_a_blind_network_inpaints(void **state) {
    (void)state;
    static const float params[] = {0.5f, 0.3f};
    static float inpainted[N];
    struct harness *h = harness_open();
    struct hf_error e;
    struct io_stub stub;
    struct hf_model *model = make_model(h, (struct hf_names){1, {"image"}}, 1, 1, "none", params);
    struct hf_sample *in = make_sample(h);
    struct options o = {.blank = {1, {0.7}}};
    struct hf_stage *s = start_stage(h, "inpaint", &o, model);
    for (int k = 0; k < 2; k++) {
        o.region = k ? NULL : "liver";
        o.everywhere = k;
        for (int i = 0; i < N; i++)
            inpainted[i] = k || liver[i] ? 0.5f * image[i] + 0.3f : image[i];
        assert_int_equal(harness_process(s, in, &e), HF_OK);
        expect_near(harness_f32(harness_out(s, 0), "inpainted"), inpainted);
    }
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &o, " image ", &model->info, &e),
                     HF_OK);
    assert_string_equal(stub.text, "read image@0\nread image@0\nwrite inpainted@0 < all\n"
                                   "write difference@0 < all\n");
    struct hf_model_info sees = model->info;
    assert_int_equal(sees.input_channels, 1);
    sees.input_channels = 2;
    sees.inputs = (struct hf_names){2, {"image", "hole"}};
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &o, " image ", &sees, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "takes 'hole'"));
    sees.input_channels = 3;
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &o, " image ", &sees, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "have 2 channels here, it was trained with 3"));
    o.region = "liver";
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &o, " image ", &model->info, &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "'region: liver'"));
    harness_stage_free(s);
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

static void test_spot_is_gated_probability(void **state) {
    (void)state;
    static const float params[] = {3.0f, -2.0f, 0.5f};
    static float difference[N], want[N];
    struct harness *h = harness_open();
    struct hf_error e;
    struct hf_model *model =
        make_model(h, (struct hf_names){2, {"image", "difference"}}, 2, 1, "sigmoid", params);
    struct hf_sample *in = make_sample(h);
    for (int i = 0; i < N; i++)
        difference[i] = 0.01f * (float)(i % 37) - 0.2f;
    harness_set_f32(h, in, "difference", 1, difference);
    struct apply_options o = {.within = "liver", .output = "score", .infer = {.batch = 4}};
    struct hf_stage *s = start_stage(h, "spot", &o, model);
    for (int k = 0; k < 2; k++) {
        o.within = k ? "segments" : "liver";
        for (int i = 0; i < N; i++) {
            double z = 3.0 * image[i] - 2.0 * difference[i] + 0.5;
            want[i] = (k ? segments : liver)[i] ? (float)(1 / (1 + exp(-z))) : 0;
        }
        assert_int_equal(harness_process(s, in, &e), HF_OK);
        expect_near(harness_f32(harness_out(s, 0), "score"), want);
    }
    harness_stage_free(s);
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

static void test_segment_leaves_the_background_out(void **state) {
    (void)state;
    /* Three channels: background, and two that are kept. */
    static const float params[] = {1.0f, 40.0f, -3.0f, 0.2f, -10.0f, 0.3f};
    struct harness *h = harness_open();
    struct hf_error e;
    struct hf_model *model =
        make_model(h, (struct hf_names){1, {"image"}}, 1, 3, "softmax", params);
    struct hf_sample *in = make_sample(h);
    struct apply_options o = {.within = "liver", .output = "predicted", .infer = {.batch = 2}};
    struct hf_stage *s = start_stage(h, "segment", &o, model);
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    const struct hf_tensor *t = hf_sample_get(harness_out(s, 0), "predicted");
    assert_int_equal(t->shape[0], 2);
    for (int c = 0; c < 2; c++) {
        static float want[N];
        for (int i = 0; i < N; i++) {
            double z[3], sum = 0;
            for (int k = 0; k < 3; k++) {
                z[k] = exp((double)params[k] * image[i] + (double)params[3 + k]);
                sum += z[k];
            }
            want[i] = liver[i] ? (float)(z[c + 1] / sum) : 0;
        }
        expect_near(harness_f32(harness_out(s, 0), "predicted") + c * N, want);
    }
    harness_stage_free(s);
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

static void test_other_sizes_compile_anew(void **state) {
    (void)state;
    static const float params[] = {2.0f, 0.0f};
    struct harness *h = harness_open();
    struct hf_error e;
    struct hf_model *model =
        make_model(h, (struct hf_names){1, {"image"}}, 1, 1, "sigmoid", params);
    struct apply_options o = {.within = "liver", .output = "predicted", .infer = {.batch = 3}};
    struct hf_stage *s = start_stage(h, "segment", &o, model);
    for (int k = 0; k < 3; k++) {
        int64_t side = 8 + 8 * (k % 2);
        static float ones[16 * 16];
        static uint8_t all[16 * 16];
        for (int i = 0; i < 16 * 16; i++)
            ones[i] = all[i] = 1;
        struct hf_sample *in = harness_sample(h, "case", 1, side, side, 1);
        harness_set_f32(h, in, "image", 1, ones);
        harness_set_u8(h, in, "liver", 1, all);
        assert_int_equal(harness_process(s, in, &e), HF_OK);
        const float *p = harness_f32(harness_out(s, 0), "predicted");
        for (int64_t i = 0; i < side * side; i++)
            assert_true(fabsf(p[i] - 0.880797f) < 1e-5f);
        harness_free_sample(h, in);
    }
    harness_stage_free(s);
    harness_host(h)->model_unref(model);
    harness_close(h);
}

static void test_faults_are_named(void **state) {
    (void)state;
    static const float params[8] = {0};
    struct harness *h = harness_open();
    struct hf_error e;
    struct io_stub stub;
    harness_load(h, "stages/spot/spot");
    struct hf_sample *in = make_sample(h);
    struct options io = {.blank = {1, {0.5}}, .infer = {.batch = 8}};
    struct apply_options ao = {.within = "liver", .output = "score", .infer = {.batch = 8}};

    /* A field that the sample lacks; an input with more channels than in training. */
    struct hf_model *model =
        make_model(h, (struct hf_names){2, {"masked", "couinaud"}}, 2, 1, "none", params);
    struct hf_stage *s = start_stage(h, "inpaint", &io, model);
    assert_int_equal(harness_process(s, in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'couinaud'"));
    harness_set_u8(h, in, "couinaud", 2, NULL);
    assert_int_equal(harness_process(s, in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "3 channels"));
    assert_int_equal(harness_outs(s), 0);
    harness_stage_free(s);

    /* What the graph is told: own inputs are not read from the edge, plain values are refused. */
    const struct hf_stage_class *spot = harness_class(h, "spot");
    assert_int_equal(io_stub_declare(&stub, &inpaint, &io, " image hole ", &e), HF_INVALID);
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &io, " image hole ", &model->info, &e),
                     HF_OK);
    assert_string_equal(stub.text, "read couinaud@0\nread image@0\nread hole@0\n"
                                   "write inpainted@0 < all\nwrite difference@0 < all\n");
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &io, " image ", &model->info, &e),
                     HF_OK);
    assert_non_null(strstr(stub.text, "read segments@0\n"));
    io.infer.mirror = (struct hf_names){1, {"d"}};
    struct hf_model_info flat = model->info;
    flat.dims = 2;
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &io, " image ", &flat, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'mirror' names d"));
    io.infer.mirror.count = 0;
    assert_int_equal(io_stub_declare_model(&stub, spot, &ao, " image ", &model->info, &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "'teacher'"));
    harness_host(h)->model_unref(model);

    model = make_model(h, (struct hf_names){1, {"masked"}}, 1, 3, "none", params);
    assert_int_equal(io_stub_declare_model(&stub, &inpaint, &io, " image ", &model->info, &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "3 channels"));
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inpaint_fills_the_hole_alone),
        cmocka_unit_test(test_inpaint_blanks_as_in_training),
        cmocka_unit_test(test_inpaint_fills_part_by_part),
        cmocka_unit_test(test_a_blind_network_inpaints),
        cmocka_unit_test(test_spot_is_gated_probability),
        cmocka_unit_test(test_segment_leaves_the_background_out),
        cmocka_unit_test(test_other_sizes_compile_anew),
        cmocka_unit_test(test_faults_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
