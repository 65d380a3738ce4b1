/*
 * test_adapt.c - test-time training: a twin network that `train` makes, and what `spot` makes of it
 * slice by slice and case by case, against steps that the test takes itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "harness.h"
#include "io_stub.h"

#include "../../plugins/unet/build.h"
#include "../../stages/infer/apply.h"
#include "../../stages/train/train.h"

enum {
    D = 4,
    SIDE = 16,
    PLANE = SIDE * SIDE,
    N = D * PLANE,
    STEPS = 5
};

static const double rate = 2e-3;

/* As twin_unet.c has them. */
static const struct twin_options {
    struct unet_options unet;
    int64_t rebuilt, from;
} twin_options = {{.dims = 2,
                   .width = 4,
                   .max_width = 8,
                   .levels = 2,
                   .convs = 1,
                   .norm = UNET_NORM_INSTANCE,
                   .activation = UNET_ACTIVATION_LEAKY,
                   .slope = 0.01},
                  1,
                  1};

/* A case: the counterpart is a slope, in the image lie a disc and fine texture. */
struct patient {
    float image[N], inpainted[N], lesion[N];
    uint8_t liver[N];
};

struct fixture {
    struct harness *h;
    struct patient patient[2];
    struct hf_sample *sample[2];
    struct hf_model *fresh, *trained;
};

static void draw(struct patient *p, int seed) {
    for (int i = 0; i < N; i++) {
        int d = i / PLANE, y = i / SIDE % SIDE, x = i % SIDE;
        int dy = y - 6 - seed - d % 3, dx = x - 5 - 2 * d % 5;
        p->lesion[i] = dy * dy + dx * dx <= 5 + 3 * d;
        p->inpainted[i] = 0.3f + 0.01f * (float)(y + seed);
        p->image[i] = p->inpainted[i] + 0.02f * (float)((i * 7 + seed) % 5 - 2) +
                      (p->lesion[i] > 0 ? 0.25f - 0.1f * (float)seed : 0.0f);
        /* Slice 2 has no liver at all. */
        p->liver[i] = d != 2 && x > 0 && y < 15;
    }
}

static struct hf_sample *sample_of(struct harness *h, const struct patient *p, int first,
                                   int slices) {
    struct hf_sample *s = harness_sample(h, "case", slices, SIDE, SIDE, 1);
    int at = first * PLANE;
    harness_set_f32(h, s, "image", 1, p->image + at);
    harness_set_f32(h, s, "inpainted", 1, p->inpainted + at);
    harness_set_f32(h, s, "lesion", 1, p->lesion + at);
    harness_set_u8(h, s, "liver", 1, p->liver + at);
    return s;
}

static struct train_options train_usual(const struct fixture *f) {
    return (struct train_options){.network = {harness_network(f->h, "twin_unet"), &twin_options},
                                  .inputs = {2, {"image", "inpainted"}},
                                  .target = "lesion",
                                  .rebuild = "image",
                                  .rebuild_factor = 2,
                                  .loss = {1, {"bce"}, {1}},
                                  .pos_weight = 1,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .schedule = SCHEDULE_CONSTANT,
                                  .batch = 4,
                                  .epochs = 1000,
                                  .shuffle = 4,
                                  .validation_slices = 1,
                                  .keep = KEEP_LAST};
}

static struct hf_model *train(struct fixture *f, double learning_rate, int64_t steps) {
    struct train_options o = train_usual(f);
    struct hf_error e;
    struct hf_model *copy = NULL;
    o.rate = learning_rate;
    o.steps = steps;
    struct hf_stage *s = harness_stage(f->h, harness_class(f->h, "train"), &o, "spotter");
    const struct hf_sample *all[2] = {f->sample[0], f->sample[1]};
    if (harness_run(s, all, 2, &e) != HF_OK)
        fail_msg("%s", e.text);
    const struct hf_model *m = harness_model(f->h);
    const struct hf_host *host = harness_host(f->h);
    assert_int_equal(host->model_new(&m->info, m->net, m->params, &copy, &e), HF_OK);
    harness_stage_free(s);
    return copy;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    f->h = harness_open();
    (void)harness_load(f->h, "plugins/twin_unet/twin_unet");
    (void)harness_load(f->h, "stages/train/train");
    (void)harness_load(f->h, "stages/spot/spot");
    for (int k = 0; k < 2; k++) {
        draw(&f->patient[k], k);
        f->sample[k] = sample_of(f->h, &f->patient[k], 0, D);
    }
    f->fresh = train(f, 1e-9, 1);
    f->trained = train(f, 5e-3, 150);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (int k = 0; k < 2; k++)
        harness_free_sample(f->h, f->sample[k]);
    harness_host(f->h)->model_unref(f->fresh);
    harness_host(f->h)->model_unref(f->trained);
    harness_close(f->h);
    free(f);
    return 0;
}

/* ---- the network by hand ---- */

struct net {
    struct harness *h;
    struct hf_executable *x;
    struct hf_tensor *in, *out, *target, *weight, *loss;
};

static struct hf_tensor *tensor(struct harness *h, int channels) {
    const int64_t shape[5] = {1, channels, 1, SIDE, SIDE};
    const int64_t losses = 2;
    const struct hf_host *host = harness_host(h);
    struct hf_tensor *t = NULL;
    struct hf_error e;
    enum hf_status st =
        channels ? host->tensor_new(host, harness_cpu(h), NULL, HF_F32, 5, shape, &t, &e)
                 : host->tensor_new(host, harness_cpu(h), NULL, HF_F32, 1, &losses, &t, &e);
    assert_int_equal(st, HF_OK);
    return t;
}

static struct net open_net(struct harness *h, const struct hf_model *m, enum hf_exec_mode mode) {
    struct hf_exec_spec spec = {
        .mode = mode,
        .shape = {1, 2, 1, SIDE, SIDE},
        .optimizer = {.kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f},
        .loss_terms = mode == HF_EXEC_TRAIN,
        .loss = {{.kind = HF_LOSS_L1, .factor = 1, .first = 1}},
        .trained = HF_NET_ANSWER};
    struct net n = {.h = h};
    struct hf_device *cpu = harness_cpu(h);
    struct hf_error e;
    if (cpu->methods->compile(cpu, NULL, m->net, &spec, &n.x, &e) != HF_OK ||
        n.x->methods->set_params(n.x, m->params, &e) != HF_OK)
        fail_msg("%s", e.text);
    n.in = tensor(h, 2);
    n.out = tensor(h, 2);
    n.target = tensor(h, 2);
    n.weight = tensor(h, 1);
    n.loss = tensor(h, 0);
    return n;
}

static void close_net(struct net *n) {
    struct hf_tensor *all[] = {n->in, n->out, n->target, n->weight, n->loss};
    n->x->methods->destroy(n->x);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        harness_host(n->h)->tensor_unref(all[i]);
}

/* The output for slice d, in n->out. */
static const float *forward(struct net *n, const struct patient *p, int d) {
    struct hf_error e;
    memcpy(n->in->dl.data, p->image + d * PLANE, PLANE * sizeof(float));
    memcpy(HF_DATA(float, n->in) + PLANE, p->inpainted + d * PLANE, PLANE * sizeof(float));
    assert_int_equal(n->x->methods->forward(n->x, n->in, n->out, &e), HF_OK);
    assert_int_equal(harness_host(n->h)->tensor_wait(n->out, &e), HF_OK);
    return HF_DATA(float, n->out);
}

/* Mean differences over the liver of slice d: between image and rebuilt image, and the BCE. */
static void losses(struct net *n, const struct patient *p, int d, double *ret_l1, double *ret_bce) {
    const float *z = forward(n, p, d);
    double voxels = 0;
    *ret_l1 = *ret_bce = 0;
    for (int i = 0; i < PLANE; i++) {
        int at = d * PLANE + i;
        if (!p->liver[at])
            continue;
        voxels++;
        *ret_l1 += fabs((double)z[PLANE + i] - (double)p->image[at]);
        *ret_bce += log(1 + exp(p->lesion[at] > 0 ? -(double)z[i] : (double)z[i]));
    }
    *ret_l1 /= voxels;
    *ret_bce /= voxels;
}

/* ---- the stage ---- */

static struct apply_options usual(int64_t steps, int32_t each) {
    return (struct apply_options){.within = "liver",
                                  .output = "score",
                                  .infer = {.overlap = 0.5, .batch = 3},
                                  .adapt = {steps, rate, each}};
}

static struct hf_stage *stage_of(const struct fixture *f, const struct apply_options *o) {
    struct hf_stage *s = harness_stage_new(f->h, harness_class(f->h, "spot"), o, "spot");
    s->model = f->trained;
    return s;
}

static void score(struct hf_stage *s, const struct hf_sample *in, int voxels, float *ret) {
    struct hf_error e;
    if (harness_process(s, in, &e) != HF_OK)
        fail_msg("%s", e.text);
    const struct hf_tensor *t = hf_sample_get(harness_out(s, 0), "score");
    assert_int_equal(t->shape[0], 1);
    memcpy(ret, harness_f32(harness_out(s, 0), "score"), (size_t)voxels * sizeof *ret);
}

/* ---- tests ---- */

static void both_losses_fall_in_training(void **state) {
    struct fixture *f = *state;
    struct net fresh = open_net(f->h, f->fresh, HF_EXEC_FORWARD);
    struct net trained = open_net(f->h, f->trained, HF_EXEC_FORWARD);
    assert_int_equal(f->trained->info.output_channels, 1);
    assert_int_equal(f->trained->info.rebuilt_channels, 1);
    assert_string_equal(f->trained->info.rebuilds, "image");
    for (int k = 0; k < 2; k++)
        for (int d = 0; d < D; d++) {
            double l1[2], bce[2];
            if (d == 2)
                continue;
            losses(&fresh, &f->patient[k], d, &l1[0], &bce[0]);
            losses(&trained, &f->patient[k], d, &l1[1], &bce[1]);
            assert_true(l1[1] < 0.5 * l1[0]);
            assert_true(bce[1] < 0.5 * bce[0]);
        }
    close_net(&fresh);
    close_net(&trained);
}

/* The second network must not see what it is to rebuild. */
static void the_rebuilder_does_not_see_the_image(void **state) {
    struct fixture *f = *state;
    float *params = malloc((size_t)f->trained->param_count * sizeof *params), rebuilt[PLANE];
    struct hf_param *list = NULL;
    int32_t count = 0;
    int64_t total = 0;
    struct hf_error e;
    const struct hf_host *host = harness_host(f->h);
    struct net n = open_net(f->h, f->trained, HF_EXEC_FORWARD);
    memcpy(params, f->trained->params, (size_t)f->trained->param_count * sizeof *params);
    assert_int_equal(host->net_params(f->trained->net, &list, &count, &total, &e), HF_OK);
    for (int32_t i = 0; i < count; i++)
        if (strncmp(list[i].name, "answer.head", 11) == 0)
            memset(params + list[i].offset, 0, (size_t)list[i].count * sizeof *params);
    assert_int_equal(n.x->methods->set_params(n.x, params, &e), HF_OK);
    struct patient other = f->patient[0];
    memcpy(rebuilt, forward(&n, &other, 1) + PLANE, sizeof rebuilt);
    for (int i = 0; i < N; i++)
        other.image[i] += 0.3f;
    assert_memory_equal(forward(&n, &other, 1) + PLANE, rebuilt, sizeof rebuilt);
    for (int i = 0; i < N; i++)
        other.inpainted[i] *= 1.0f + 0.01f * (float)(i % 9);
    assert_true(memcmp(forward(&n, &other, 1) + PLANE, rebuilt, sizeof rebuilt) != 0);
    host->free_(list);
    free(params);
    close_net(&n);
}

static void set_batch(struct net *n, const struct patient *p, int d) {
    for (int i = 0; i < PLANE; i++) {
        HF_DATA(float, n->in)[i] = p->image[d * PLANE + i];
        HF_DATA(float, n->in)[PLANE + i] = p->inpainted[d * PLANE + i];
        HF_DATA(float, n->target)[i] = -77;
        HF_DATA(float, n->target)[PLANE + i] = p->image[d * PLANE + i];
        HF_DATA(float, n->weight)[i] = p->liver[d * PLANE + i];
    }
}

/* Each slice against a network of its own that the test adapts. */
static void slices_adapt_each_for_itself(void **state) {
    struct fixture *f = *state;
    const struct patient *p = &f->patient[1];
    struct apply_options o = usual(STEPS, INFER_ADAPT_SLICE);
    struct hf_stage *s = stage_of(f, &o);
    float found[N], moved = 0;
    struct hf_error e;
    score(s, f->sample[1], N, found);
    for (int d = 0; d < D; d++) {
        struct net n = open_net(f->h, f->trained, HF_EXEC_TRAIN);
        float *params = malloc((size_t)f->trained->param_count * sizeof *params);
        double l1[2], bce;
        struct hf_param *list = NULL;
        int32_t count = 0;
        int64_t total = 0;
        set_batch(&n, p, d);
        for (int i = 0; i < STEPS && d != 2; i++)
            assert_int_equal(
                n.x->methods->step(n.x, n.in, n.target, n.weight, (float)rate, n.loss, &e), HF_OK);
        assert_int_equal(n.x->methods->get_params(n.x, params, &e), HF_OK);
        assert_int_equal(harness_host(f->h)->net_params(f->trained->net, &list, &count, &total, &e),
                         HF_OK);
        for (int32_t i = 0; i < count && d != 2; i++)
            assert_int_equal(memcmp(params + list[i].offset, f->trained->params + list[i].offset,
                                    (size_t)list[i].count * sizeof *params) != 0,
                             strncmp(list[i].name, HF_NET_ANSWER, strlen(HF_NET_ANSWER)) == 0);
        const float *z = forward(&n, p, d);
        for (int i = 0; i < PLANE; i++) {
            float expected = p->liver[d * PLANE + i] ? 1 / (1 + expf(-z[i])) : 0;
            assert_true(fabsf(found[d * PLANE + i] - expected) < 1e-6f);
        }
        if (d != 2) {
            losses(&n, p, d, &l1[1], &bce);
            assert_int_equal(n.x->methods->set_params(n.x, f->trained->params, &e), HF_OK);
            z = forward(&n, p, d);
            for (int i = 0; i < PLANE; i++)
                if (p->liver[d * PLANE + i])
                    moved = fmaxf(moved, fabsf(found[d * PLANE + i] - 1 / (1 + expf(-z[i]))));
            losses(&n, p, d, &l1[0], &bce);
            assert_true(l1[1] < l1[0]);
        }
        harness_host(f->h)->free_(list);
        free(params);
        close_net(&n);
    }
    assert_true(moved > 1e-3f);
    harness_stage_free(s);
}

/* Neither the slices of a volume nor the cases before it have a share in a result. */
static void what_came_before_does_not_matter(void **state) {
    struct fixture *f = *state;
    float alone[N], after[N], slice[PLANE];
    for (int32_t each = INFER_ADAPT_SLICE; each <= INFER_ADAPT_CASE; each++) {
        struct apply_options o = usual(STEPS, each);
        struct hf_stage *s = stage_of(f, &o);
        score(s, f->sample[1], N, alone);
        score(s, f->sample[0], N, after);
        assert_true(memcmp(alone, after, sizeof alone) != 0);
        score(s, f->sample[1], N, after);
        assert_memory_equal(alone, after, sizeof alone);
        for (int d = D - 1; d >= 0 && each == INFER_ADAPT_SLICE; d--) {
            struct hf_sample *one = sample_of(f->h, &f->patient[1], d, 1);
            score(s, one, PLANE, slice);
            assert_memory_equal(slice, alone + d * PLANE, sizeof slice);
            harness_free_sample(f->h, one);
        }
        harness_stage_free(s);
    }
}

/* Over a case: passes over its slices, in batches, and only then the answers. */
static void cases_adapt_as_a_whole(void **state) {
    struct fixture *f = *state;
    const struct patient *p = &f->patient[0];
    struct apply_options o = usual(STEPS, INFER_ADAPT_CASE);
    struct hf_error e;
    float found[N];
    o.infer.batch = 1;
    struct hf_stage *s = stage_of(f, &o);
    struct net n = open_net(f->h, f->trained, HF_EXEC_TRAIN);
    score(s, f->sample[0], N, found);
    for (int i = 0; i < STEPS * D; i++) {
        set_batch(&n, p, i % D);
        if (i % D != 2)
            assert_int_equal(
                n.x->methods->step(n.x, n.in, n.target, n.weight, (float)rate, n.loss, &e), HF_OK);
        assert_int_equal(harness_host(f->h)->tensor_wait(n.loss, &e), HF_OK);
    }
    for (int d = 0; d < D; d++) {
        const float *z = forward(&n, p, d);
        for (int i = 0; i < PLANE; i++)
            assert_true(fabsf(found[d * PLANE + i] -
                              (p->liver[d * PLANE + i] ? 1 / (1 + expf(-z[i])) : 0)) < 1e-6f);
    }
    close_net(&n);
    harness_stage_free(s);
}

static void without_steps_the_model_answers_as_it_is(void **state) {
    struct fixture *f = *state;
    const struct patient *p = &f->patient[0];
    struct apply_options o = usual(0, INFER_ADAPT_SLICE);
    struct hf_stage *s = stage_of(f, &o);
    struct net n = open_net(f->h, f->trained, HF_EXEC_FORWARD);
    float found[N];
    score(s, f->sample[0], N, found);
    for (int d = 0; d < D; d++) {
        const float *z = forward(&n, p, d);
        for (int i = 0; i < PLANE; i++) {
            float expected = p->liver[d * PLANE + i] ? infer_sigmoid(z[i]) : 0;
            assert_true(fabsf(found[d * PLANE + i] - expected) < 1e-6f);
        }
    }
    close_net(&n);
    harness_stage_free(s);
}

/* What rebuilds is left out where nothing reads it: the same bits as of the whole network, in less
 * memory. A model that calls all of its output the answer runs whole. */
static void without_steps_nothing_is_rebuilt(void **state) {
    struct fixture *f = *state;
    struct apply_options o = usual(0, INFER_ADAPT_SLICE);
    struct hf_model whole = *f->trained;
    whole.info.output_channels += whole.info.rebuilt_channels;
    whole.info.rebuilt_channels = 0;
    const struct hf_model *const models[] = {f->trained, &whole};
    const struct hf_stage_class *spot = harness_class(f->h, "spot");
    const struct hf_memory_query query = {.largest = f->sample[0], .compile = 1};
    struct hf_memory taken[2] = {{0}};
    float found[2][N];
    for (int k = 0; k < 2; k++) {
        struct hf_stage *s = stage_of(f, &o);
        struct hf_error e;
        s->model = models[k];
        assert_int_equal(spot->memory(s, &query, &taken[k], &e), HF_OK);
        assert_int_equal(harness_process(s, f->sample[0], &e), HF_OK);
        assert_int_equal(hf_sample_get(harness_out(s, 0), "score")->shape[0], 1 + k);
        memcpy(found[k], harness_f32(harness_out(s, 0), "score"), sizeof found[k]);
        harness_stage_free(s);
    }
    assert_memory_equal(found[0], found[1], sizeof found[0]);
    assert_true(taken[0].held < taken[1].held);
    assert_true(taken[0].work < taken[1].work);
}

static void misfits_are_told(void **state) {
    struct fixture *f = *state;
    struct io_stub stub;
    struct hf_error e;
    const struct hf_stage_class *spot = harness_class(f->h, "spot");
    struct apply_options o = usual(1, INFER_ADAPT_SLICE);
    struct hf_model_info m = f->trained->info;
    assert_int_equal(io_stub_declare_model(&stub, spot, &o, " image ", &m, &e), HF_OK);
    m.rebuilt_channels = 0;
    assert_int_equal(io_stub_declare_model(&stub, spot, &o, " image ", &m, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'spotter' rebuilds nothing"));
    o.adapt.steps = 0;
    assert_int_equal(io_stub_declare_model(&stub, spot, &o, " image ", &m, &e), HF_OK);
    const struct hf_stage_class *train_class = harness_class(f->h, "train");
    struct train_options t = train_usual(f);
    assert_int_equal(io_stub_declare_model(&stub, train_class, &t, " image ", NULL, &e), HF_OK);
    t.rebuild = NULL;
    assert_int_equal(io_stub_declare_model(&stub, train_class, &t, " image ", NULL, &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "'twin_unet' rebuilds a field: set `rebuild`"));
    (void)harness_load(f->h, "plugins/unet/unet");
    t.rebuild = "image";
    t.network = (struct hf_network_choice){harness_network(f->h, "unet"), &twin_options.unet};
    assert_int_equal(io_stub_declare_model(&stub, train_class, &t, " image ", NULL, &e),
                     HF_INVALID);
    assert_non_null(strstr(e.text, "'unet' rebuilds nothing"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_losses_fall_in_training),
        cmocka_unit_test(the_rebuilder_does_not_see_the_image),
        cmocka_unit_test(slices_adapt_each_for_itself),
        cmocka_unit_test(what_came_before_does_not_matter),
        cmocka_unit_test(cases_adapt_as_a_whole),
        cmocka_unit_test(without_steps_the_model_answers_as_it_is),
        cmocka_unit_test(without_steps_nothing_is_rebuilt),
        cmocka_unit_test(misfits_are_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
