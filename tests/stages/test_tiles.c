/*
 * test_tiles.c - networks over volumes tile by tile: against sums in double precision that go
 * through all tiles of all voxels, and against what must not change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/infer/apply.h"
#include "../../stages/infer/fit.h"

enum {
    D = 9,
    H = 14,
    W = 19,
    PLANE = H * W,
    N = D * PLANE,
    KERNELS = 27
};

static float image[N];
static uint8_t liver[N];

static struct hf_sample *make_sample(struct harness *h) {
    struct hf_sample *s = harness_sample(h, "case", D, H, W, 1);
    for (int i = 0; i < N; i++) {
        int d = i / PLANE, y = i / W % H, x = i % W;
        image[i] = 0.2f + 0.001f * (float)(i * 7 % 613);
        liver[i] = d != 3 && x > 1 && y < 12 && (d + y + x) % 11 != 0;
    }
    harness_set_f32(h, s, "image", 1, image);
    harness_set_u8(h, s, "liver", 1, liver);
    return s;
}

/* A network of one convolution on `image` with kernel k (1 or 3) along each axis that it sees. */
static struct hf_model *make_model(struct harness *h, int32_t dims, int32_t k, int32_t out,
                                   const char *activation, const float *params) {
    const struct hf_host *host = harness_host(h);
    struct hf_net *net = NULL;
    struct hf_model *model = NULL;
    struct hf_error e;
    struct hf_model_info info = {.stage = "teacher",
                                 .network = "one",
                                 .inputs = {1, {"image"}},
                                 .input_channels = 1,
                                 .target = "image",
                                 .output_channels = out,
                                 .dims = dims,
                                 .patch = {dims == 3 ? 4 : 1, 6, 8}};
    struct hf_layer conv = {.kind = HF_LAYER_CONV,
                            .name = "conv",
                            .inputs = 1,
                            .channels = out,
                            .kernel = {dims == 3 ? k : 1, k, k},
                            .stride = {1, 1, 1},
                            .dilation = {1, 1, 1},
                            .bias = 1};
    (void)snprintf(info.activation, sizeof info.activation, "%s", activation);
    enum hf_status st = host->net_new(dims, 1, &net, &e);
    if (st == HF_OK)
        st = host->net_add(net, &conv, NULL, &e);
    if (st == HF_OK)
        st = host->model_new(&info, net, params, &model, &e);
    if (st != HF_OK)
        fail_msg("%s", e.text);
    host->net_free(net);
    return model;
}

static struct apply_options plain(void) {
    return (struct apply_options){
        .within = "liver", .output = "out", .infer = {.overlap = 0.5, .weights = INFER_GAUSSIAN}};
}

/* The stage `segment` once over the sample; the caller frees. */
static float *run(struct harness *h, const struct apply_options *o, const struct hf_model *model,
                  const struct hf_sample *in) {
    struct hf_error e;
    struct hf_stage *s = harness_stage_new(h, harness_class(h, "segment"), o, "stage");
    s->model = model;
    enum hf_status st = harness_process(s, in, &e);
    if (st != HF_OK)
        fail_msg("%s", e.text);
    const struct hf_tensor *t = hf_sample_get(harness_out(s, 0), o->output);
    size_t bytes = (size_t)(t->shape[0] * N) * sizeof(float);
    float *out = malloc(bytes);
    assert_non_null(out);
    memcpy(out, harness_f32(harness_out(s, 0), o->output), bytes);
    harness_stage_free(s);
    return out;
}

/* ---- the reference ---- */

struct layout {
    int dims;
    int tile[3];
    double overlap;
    int uniform;
    int flips; /* bits: 1 W, 2 H, 4 D */
};

/* First voxels of the tiles along an axis, by the definition: as few as overlap enough, in even
 * distances, to the nearest voxel. */
static int starts_of(int size, int tile, double overlap, int *ret) {
    if (size <= tile) {
        ret[0] = -((tile - size) / 2);
        return 1;
    }
    int step = (int)floor(tile * (1 - overlap) + 1e-6), n = 1;
    step = step > 0 ? step : 1;
    while ((n - 1) * step < size - tile)
        n++;
    for (int i = 0; i < n; i++)
        ret[i] = (int)floor((double)i * (size - tile) / (n - 1) + 0.5);
    return n;
}

static double bell(const struct layout *l, int axis, int i) {
    double sigma = l->tile[axis] / 8.0, middle = (l->tile[axis] - 1) / 2.0;
    return l->uniform ? 1 : exp(-(i - middle) * (i - middle) / (2 * sigma * sigma));
}

static float image_at(const int *at) {
    const int last[3] = {D - 1, H - 1, W - 1};
    int in[3];
    for (int a = 0; a < 3; a++)
        in[a] = at[a] < 0 ? 0 : at[a] > last[a] ? last[a] : at[a];
    return image[in[0] * PLANE + in[1] * W + in[2]];
}

/* The convolution at voxel `at` of the tile at `start`, that sees 0 beyond the tile, and the tile's
 * content mirrored by `flip`. */
static double conv_at(const struct layout *l, const float *kernel, const int *start, const int *at,
                      int flip) {
    double z = 0;
    int depth = l->dims == 3 ? 3 : 1;
    for (int k = 0; k < depth * 9; k++) {
        int tap[3] = {depth == 3 ? k / 9 - 1 : 0, k / 3 % 3 - 1, k % 3 - 1}, from[3];
        int inside = 1;
        for (int a = 0; a < 3; a++) {
            int sign = flip >> (2 - a) & 1 ? -1 : 1;
            from[a] = at[a] + sign * tap[a];
            inside = inside && from[a] >= start[a] && from[a] < start[a] + l->tile[a];
        }
        if (inside)
            z += (double)kernel[k] * (double)image_at(from);
    }
    return z;
}

/* The mean logit at a voxel over all tiles that cover it and all mirrorings. */
static double logit_at(const struct layout *l, const float *kernel, double bias, int i) {
    const int size[3] = {D, H, W}, at[3] = {i / PLANE, i / W % H, i % W};
    int starts[3][64], count[3];
    double sum = 0, weights = 0;
    for (int a = 0; a < 3; a++)
        count[a] = starts_of(size[a], l->tile[a], l->overlap, starts[a]);
    for (int t = 0; t < count[0] * count[1] * count[2]; t++) {
        const int start[3] = {starts[0][t / count[2] / count[1]],
                              starts[1][t / count[2] % count[1]], starts[2][t % count[2]]};
        double weight = 1;
        for (int a = 0; a < 3; a++) {
            int in = at[a] - start[a];
            weight *= in >= 0 && in < l->tile[a] ? bell(l, a, in) : 0;
        }
        for (int flip = 0; flip < 8 && weight > 0; flip++)
            if ((flip & l->flips) == flip) {
                sum += weight * (conv_at(l, kernel, start, at, flip) + bias);
                weights += weight;
            }
    }
    return sum / weights;
}

static void set_layout(struct infer_options *o, const struct layout *l) {
    static const char *const axes[3] = {"w", "h", "d"};
    o->overlap = l->overlap;
    o->weights = l->uniform ? INFER_UNIFORM : INFER_GAUSSIAN;
    o->tile.count = l->dims;
    for (int a = 0; a < l->dims; a++)
        o->tile.value[a] = l->tile[a + 3 - l->dims];
    o->mirror.count = 0;
    for (int b = 0; b < 3; b++)
        if (l->flips >> b & 1)
            o->mirror.name[o->mirror.count++] = axes[b];
}

/* ---- tests ---- */

static void fill_kernel(float *kernel, int n) {
    for (int k = 0; k < n; k++)
        kernel[k] = 0.3f * sinf(1.7f * (float)k + 0.4f);
    kernel[n] = -0.2f; /* bias */
}

/* What lies at a tile's border, in its neighbour and beyond the volume all tell. */
static void test_tiles_against_double_precision(void **state) {
    (void)state;
    static const struct layout layouts[] = {
        {3, {4, 6, 8}, 0.5, 0, 0},   {3, {4, 6, 8}, 0.25, 1, 0},  {3, {5, 7, 9}, 0.5, 0, 5},
        {3, {12, 6, 24}, 0.5, 0, 7}, {3, {1, 14, 3}, 0, 0, 2},    {3, {16, 16, 32}, 0.5, 0, 0},
        {2, {1, 8, 8}, 0.5, 0, 0},   {2, {1, 5, 11}, 0.75, 0, 3}, {2, {1, 20, 6}, 0.3, 1, 1},
    };
    struct harness *h = harness_open();
    harness_load(h, "stages/segment/segment");
    struct hf_sample *in = make_sample(h);
    for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++) {
        const struct layout *l = &layouts[k];
        float params[KERNELS + 1];
        int taps = l->dims == 3 ? 27 : 9;
        fill_kernel(params, taps);
        struct hf_model *model = make_model(h, l->dims, 3, 1, "sigmoid", params);
        struct apply_options o = plain();
        set_layout(&o.infer, l);
        o.infer.batch = 1 + (int64_t)k % 3;
        float *got = run(h, &o, model, in);
        for (int i = 0; i < N; i++) {
            double want = 0;
            if (liver[i])
                want = 1 / (1 + exp(-logit_at(l, params, (double)params[taps], i)));
            if (!(fabs((double)got[i] - want) <= 2e-6))
                fail_msg("layout %zu, voxel %d: %.8f, expected %.8f", k, i, (double)got[i], want);
        }
        free(got);
        harness_host(h)->model_unref(model);
    }
    harness_free_sample(h, in);
    harness_close(h);
}

/* Softmax of the mean logits, not the mean of the softmax. */
static void test_logits_are_averaged(void **state) {
    (void)state;
    static const struct layout l = {3, {4, 6, 8}, 0.5, 0, 1};
    struct harness *h = harness_open();
    harness_load(h, "stages/segment/segment");
    struct hf_sample *in = make_sample(h);
    float params[3 * 27 + 3], kernel[3][28];
    for (int c = 0; c < 3; c++) {
        for (int k = 0; k < 27; k++)
            params[c * 27 + k] = kernel[c][k] = 8 * sinf(0.9f * (float)(c * 31 + k));
        params[81 + c] = 0.1f * (float)c;
    }
    struct hf_model *model = make_model(h, 3, 3, 3, "softmax", params);
    struct apply_options o = plain();
    set_layout(&o.infer, &l);
    float *got = run(h, &o, model, in);
    for (int i = 0; i < N; i += 3) {
        double z[3], sum = 0;
        for (int c = 0; c < 3; c++) {
            z[c] = exp(logit_at(&l, kernel[c], (double)params[81 + c], i));
            sum += z[c];
        }
        for (int c = 1; c < 3; c++)
            assert_true(fabs((double)got[(c - 1) * N + i] - (liver[i] ? z[c] / sum : 0)) < 2e-5);
    }
    free(got);
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

/* A network that changes nothing gives the image back, whatever the tiles. */
static void test_identity_comes_back(void **state) {
    (void)state;
    static const float params[] = {1, 0};
    static const struct layout layouts[] = {{3, {4, 6, 8}, 0.5, 0, 0}, {3, {2, 3, 4}, 0.9, 0, 7},
                                            {3, {9, 14, 19}, 0, 1, 0}, {3, {7, 40, 5}, 0.6, 1, 4},
                                            {2, {1, 6, 4}, 0.5, 0, 0}, {2, {1, 3, 50}, 0.1, 0, 3}};
    struct harness *h = harness_open();
    harness_load(h, "stages/segment/segment");
    struct hf_sample *in = make_sample(h);
    for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++) {
        struct hf_model *model = make_model(h, layouts[k].dims, 1, 1, "none", params);
        struct apply_options o = plain();
        set_layout(&o.infer, &layouts[k]);
        o.infer.batch = 2;
        float *out = run(h, &o, model, in);
        for (int i = 0; i < N; i++) {
            float want = liver[i] ? image[i] : 0;
            if (!(fabsf(out[i] - want) <= 4e-6f))
                fail_msg("layout %zu, voxel %d: %.8f, expected %.8f", k, i, (double)out[i],
                         (double)want);
        }
        free(out);
        harness_host(h)->model_unref(model);
    }
    harness_free_sample(h, in);
    harness_close(h);
}

/* A kernel that is its own mirror image: mirroring adds nothing. */
static void test_symmetric_networks_do_not_notice_mirrors(void **state) {
    (void)state;
    struct harness *h = harness_open();
    harness_load(h, "stages/segment/segment");
    struct hf_sample *in = make_sample(h);
    float params[28];
    for (int k = 0; k < 27; k++)
        params[k] =
            0.3f / (float)(1 + abs(k / 9 - 1) + 2 * abs(k / 3 % 3 - 1) + 3 * abs(k % 3 - 1));
    params[27] = -1;
    struct hf_model *model = make_model(h, 3, 3, 1, "sigmoid", params);
    struct apply_options o = plain();
    float *without = run(h, &o, model, in);
    o.infer.mirror = (struct hf_names){3, {"w", "h", "d"}};
    float *with = run(h, &o, model, in);
    for (int i = 0; i < N; i++)
        assert_true(fabsf(with[i] - without[i]) < 1e-6f);
    /* Another one does. */
    free(with);
    harness_host(h)->model_unref(model);
    params[0] += 0.5f;
    model = make_model(h, 3, 3, 1, "sigmoid", params);
    with = run(h, &o, model, in);
    double far = 0;
    o.infer.mirror.count = 0;
    free(without);
    without = run(h, &o, model, in);
    for (int i = 0; i < N; i++)
        far = fmax(far, fabs((double)(with[i] - without[i])));
    assert_true(far > 1e-3);
    free(with);
    free(without);
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

/* By default: whole slices of a 2D network, the patch of a 3D one. */
static void test_default_tiles(void **state) {
    (void)state;
    struct harness *h = harness_open();
    harness_load(h, "stages/segment/segment");
    struct hf_sample *in = make_sample(h);
    for (int32_t dims = 2; dims <= 3; dims++) {
        float params[KERNELS + 1];
        struct layout l = {
            dims, {dims == 3 ? 4 : 1, dims == 3 ? 6 : H, dims == 3 ? 8 : W}, 0.5, 0, 0};
        fill_kernel(params, dims == 3 ? 27 : 9);
        struct hf_model *model = make_model(h, dims, 3, 1, "sigmoid", params);
        struct apply_options o = plain();
        float *got = run(h, &o, model, in);
        set_layout(&o.infer, &l);
        o.infer.batch = dims == 3 ? 1 : 8;
        float *want = run(h, &o, model, in);
        assert_memory_equal(got, want, N * sizeof *got);
        free(got);
        free(want);
        harness_host(h)->model_unref(model);
    }
    harness_free_sample(h, in);
    harness_close(h);
}

/* Each tile with something of the region runs once in each mirroring, and no other. */
static void test_weights_sum_to_one(void **state) {
    (void)state;
    static const int64_t size[3] = {13, 8, 5};
    for (int k = 0; k < 6; k++) {
        const int64_t tile[3] = {1 + k, 4 + 2 * k, 3};
        struct infer_lattice l = infer_lattice_make(size, tile, 0.15 * k);
        float *weights = malloc((size_t)infer_weights_count(&l) * sizeof *weights), *at = weights;
        assert_non_null(weights);
        infer_weights(&l, k % 2 ? INFER_UNIFORM : INFER_GAUSSIAN, weights);
        for (int a = 0; a < 3; a++) {
            double sum[13] = {0};
            for (int64_t p = 0; p < l.count[a]; p++)
                for (int64_t i = 0; i < tile[a]; i++, at++) {
                    int64_t v = infer_start(&l, a, p) + i;
                    if (v >= 0 && v < size[a])
                        sum[v] += (double)*at;
                    else
                        assert_true(*at == 0);
                }
            for (int64_t v = 0; v < size[a]; v++)
                assert_true(fabs(sum[v] - 1) < 1e-6);
            assert_int_equal(infer_start(&l, a, 0) > 0, 0);
            if (l.count[a] > 1)
                assert_int_equal(infer_start(&l, a, l.count[a] - 1) + tile[a], size[a]);
        }
        free(weights);
    }
}

static void test_misfits_are_told_before_the_run(void **state) {
    (void)state;
    static const struct {
        int32_t dims;
        struct hf_reals tile;
        struct hf_names mirror;
        const char *word;
    } cases[] = {
        {2, {3, {1, 8, 8}}, {0}, "'tile' has 3 numbers"},
        {3, {2, {8, 8}}, {0}, "'tile' has 2 numbers"},
        {3, {3, {8, 8.5, 8}}, {0}, "whole numbers, not 8.5"},
        {2, {0}, {2, {"w", "d"}}, "'mirror' names d"},
        {2, {2, {8, 8}}, {2, {"w", "h"}}, NULL},
        {3, {3, {8, 8, 8}}, {3, {"w", "h", "d"}}, NULL},
        {0, {3, {8, 8, 8}}, {1, {"d"}}, NULL},
        {3, {1, {8}}, {0}, NULL},
    };
    struct harness *h = harness_open();
    struct io_stub stub;
    struct hf_error e;
    const struct hf_stage_class *stages[2];
    const char *const names[2] = {"spot", "segment"};
    for (int k = 0; k < 2; k++) {
        char path[64];
        (void)snprintf(path, sizeof path, "stages/%s/%s", names[k], names[k]);
        harness_load(h, path);
        stages[k] = harness_class(h, names[k]);
    }
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct infer_options infer = {.tile = cases[c].tile, .mirror = cases[c].mirror};
        struct apply_options apply = {.within = "liver", .output = "score", .infer = infer};
        struct hf_model_info m = {.stage = "teacher",
                                  .inputs = {1, {"image"}},
                                  .input_channels = 1,
                                  .output_channels = 1,
                                  .activation = "sigmoid",
                                  .dims = cases[c].dims};
        for (int k = 0; k < 2; k++) {
            enum hf_status st = io_stub_declare_model(&stub, stages[k], &apply, " image ", &m, &e);
            assert_int_equal(st, cases[c].word ? HF_INVALID : HF_OK);
            if (cases[c].word)
                assert_non_null(strstr(e.text, cases[c].word));
        }
    }
    harness_close(h);
}

/* What is known only when the model is there. */
static void test_misfits_of_the_model_itself(void **state) {
    (void)state;
    static const float params[2] = {1, 0};
    struct harness *h = harness_open();
    struct hf_error e;
    harness_load(h, "stages/segment/segment");
    struct hf_sample *in = make_sample(h);
    struct hf_model *model = make_model(h, 3, 1, 1, "sigmoid", params);
    struct hf_model bare = *model;
    memset(bare.info.patch, 0, sizeof bare.info.patch);
    struct apply_options o = plain();
    struct hf_stage *s = harness_stage_new(h, harness_class(h, "segment"), &o, "stage");
    s->model = &bare;
    assert_int_equal(harness_process(s, in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "option 'tile' must"));
    o.infer.tile = (struct hf_reals){2, {4, 4}};
    assert_int_equal(harness_process(s, in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "three: D, H, W"));
    o.infer.tile = (struct hf_reals){1, {5}};
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    harness_stage_free(s);
    harness_host(h)->model_unref(model);
    harness_free_sample(h, in);
    harness_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles_against_double_precision),
        cmocka_unit_test(test_logits_are_averaged),
        cmocka_unit_test(test_identity_comes_back),
        cmocka_unit_test(test_symmetric_networks_do_not_notice_mirrors),
        cmocka_unit_test(test_default_tiles),
        cmocka_unit_test(test_weights_sum_to_one),
        cmocka_unit_test(test_misfits_are_told_before_the_run),
        cmocka_unit_test(test_misfits_of_the_model_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
