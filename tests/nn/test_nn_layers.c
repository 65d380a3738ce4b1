/*
 * test_nn_layers.c - layers and losses against a plain float64 computation of the same network.
 *
 * Output and losses are compared directly, gradients with numeric differences of the float64 loss,
 * for every instruction set that this machine runs. Channel counts are chosen around the widths of
 * vectors, so that whole vectors, folded rows and tails all occur.
 */
#include "nn_run.h"
#include "ref64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT      1e-5
#define MAX_PROBES 24
#define DIFFERENCE 1e-6

/* Fills in the network after its input. */
struct builder {
    struct hf_net net;
    struct hf_error err;
    int32_t x; /* the newest layer */
};

static void add(struct builder *b, struct hf_layer l) {
    (void)snprintf(l.name, sizeof l.name, "layer%d", (int)b->net.layers);
    nn_assert_ok(hf_net_add(&b->net, &l, &b->x, &b->err), &b->err, __FILE__, __LINE__);
}

static void start(struct builder *b, int32_t dims, int32_t channels) {
    *b = (struct builder){0};
    nn_assert_ok(hf_net_init(&b->net, dims, channels, &b->err), &b->err, __FILE__, __LINE__);
}

#define LAYER(...)                                                                                 \
    (struct hf_layer) {                                                                            \
        .inputs = 1, .input = {b->x}, __VA_ARGS__                                                  \
    }

static void conv(struct builder *b, int32_t channels, int32_t kernel) {
    int32_t k = b->net.dims == 3 ? kernel : 1;
    add(b, LAYER(.kind = HF_LAYER_CONV, .channels = channels, .kernel = {k, kernel, kernel},
                 .bias = 1));
}

static void simple(struct builder *b, enum hf_layer_kind kind, int32_t d, int32_t h, int32_t w) {
    add(b, LAYER(.kind = kind, .stride = {d, h, w}));
}

static void norm(struct builder *b, int32_t affine) {
    add(b, LAYER(.kind = HF_LAYER_NORM, .epsilon = 1e-5f, .bias = affine));
}

static void act(struct builder *b, enum hf_act kind) {
    add(b, LAYER(.kind = HF_LAYER_ACT, .act = kind, .slope = 0.1f));
}

static void join(struct builder *b, enum hf_layer_kind kind, int32_t first, int32_t second) {
    add(b, (struct hf_layer){.kind = kind, .inputs = 2, .input = {first, second}});
}

/* ---- checking one network ---- */

static double *widen(const float *from, int64_t count) {
    double *to = nn_alloc((size_t)count * sizeof *to);
    for (int64_t i = 0; i < count; i++)
        to[i] = (double)from[i];
    return to;
}

static float *narrow(const double *from, int64_t count) {
    float *to = nn_alloc((size_t)count * sizeof *to);
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)from[i];
    return to;
}

struct problem {
    const struct hf_net *net;
    const struct hf_exec_spec *spec;
    double *params, *input, *target, *weight;
};

static double loss_at(const struct problem *p, double *terms) {
    return ref64_total(p->net, p->spec, p->params, p->input, p->target, p->weight, terms);
}

/* What the float64 computation says, at `probes` of the parameters for the gradient. */
struct answer {
    float *params, *output;
    float losses[NN_MAX_LOSSES], gradient[MAX_PROBES];
    int64_t probes;
};

static void solve(struct problem *p, struct answer *a, const struct nn_run *r) {
    int64_t shape[5];
    double terms[NN_MAX_LOSSES];
    double *z = ref64_forward(p->net, p->spec->shape, p->params, p->input, shape);
    assert_memory_equal(shape, r->output.shape, sizeof shape);
    a->output = narrow(z, nn_count(&r->output));
    free(z);
    terms[0] = loss_at(p, terms + 1);
    for (int32_t i = 0; i <= p->spec->loss_terms; i++)
        a->losses[i] = (float)terms[i];
    a->probes = r->params < MAX_PROBES ? r->params : MAX_PROBES;
    for (int64_t i = 0; i < a->probes; i++) {
        double *k = &p->params[i * r->params / a->probes], keep = *k;
        *k = keep + DIFFERENCE;
        double high = loss_at(p, NULL);
        *k = keep - DIFFERENCE;
        double low = loss_at(p, NULL);
        *k = keep;
        a->gradient[i] = (float)((high - low) / (2 * DIFFERENCE));
    }
}

static void fill(struct nn_run *r) {
    nn_fill(r->input.dl.data, nn_count(&r->input), 2, -1, 1);
    nn_fill(r->target.dl.data, nn_count(&r->target), 3, 0, 1);
    nn_fill(r->weight.dl.data, nn_count(&r->weight), 4, 0, 2);
}

static void compare(const char *name, struct nn_run *r, const struct answer *a, int32_t losses) {
    nn_set_params(r, a->params);
    nn_forward(r);
    nn_assert_near(name, "output", nn_distance(r->output.dl.data, a->output, nn_count(&r->output)),
                   LIMIT);
    nn_step(r, 1, 0.0f);
    nn_assert_near(name, "loss", nn_distance(r->loss.dl.data, a->losses, losses), LIMIT);
    float *gradient = nn_alloc((size_t)r->params * sizeof *gradient), found[MAX_PROBES];
    nn_get_gradients(r, gradient);
    for (int64_t i = 0; i < a->probes; i++)
        found[i] = gradient[i * r->params / a->probes];
    nn_assert_near(name, "gradient", nn_distance(found, a->gradient, a->probes), LIMIT);
    free(gradient);
}

static const struct hf_optimizer plain_sgd = {.kind = HF_OPT_SGD};

static void check_spec(struct builder *b, const char *name, const struct hf_exec_spec *spec) {
    enum kn_isa isa[KN_ISAS];
    struct cpu_executor *ex;
    struct answer a = {0};
    nn_assert_ok(cpu_executor_open(NN_THREADS, &ex, &b->err), &b->err, __FILE__, __LINE__);
    int count = nn_isas(isa);
    for (int i = 0; i < count; i++) {
        struct nn_run r;
        nn_open(&r, ex, isa[i], &b->net, spec);
        fill(&r);
        if (i == 0) {
            a.params = nn_alloc((size_t)r.params * sizeof *a.params);
            nn_fill(a.params, r.params, 1, -0.4f, 0.6f);
            struct problem p = {&b->net,
                                spec,
                                widen(a.params, r.params),
                                widen(r.input.dl.data, nn_count(&r.input)),
                                widen(r.target.dl.data, nn_count(&r.target)),
                                widen(r.weight.dl.data, nn_count(&r.weight))};
            solve(&p, &a, &r);
            free(p.params);
            free(p.input);
            free(p.target);
            free(p.weight);
        }
        compare(name, &r, &a, 1 + spec->loss_terms);
        nn_close(&r);
    }
    free(a.params);
    free(a.output);
    cpu_executor_close(ex);
    hf_net_clear(&b->net);
}

/* With a smooth loss, so that numeric differences are exact. */
static void check(struct builder *b, const char *name, int64_t n, int64_t d, int64_t h, int64_t w) {
    struct hf_exec_spec spec = {.mode = HF_EXEC_TRAIN,
                                .shape = {n, b->net.layer[0].channels, d, h, w},
                                .loss_terms = 1,
                                .loss = {{.kind = HF_LOSS_BCE, .factor = 1.0f, .pos_weight = 2.0f}},
                                .optimizer = plain_sgd};
    check_spec(b, name, &spec);
}

/* ---- layers ---- */

static void test_conv(void **state) {
    (void)state;
    static const int32_t option[][7] = {
        /* channels, kernel h w, stride, dilation, reflect, bias */
        {5, 3, 3, 1, 1, 0, 1}, {1, 3, 3, 1, 1, 0, 0}, {17, 1, 1, 1, 1, 0, 1}, {4, 2, 4, 1, 1, 0, 1},
        {4, 5, 3, 1, 2, 0, 1}, {4, 3, 3, 1, 3, 1, 1}, {16, 4, 4, 2, 1, 0, 1}, {3, 3, 3, 2, 1, 1, 1},
        {6, 2, 2, 2, 1, 0, 1}, {3, 1, 1, 2, 1, 0, 1}, {3, 5, 5, 3, 1, 1, 0},  {2, 7, 1, 1, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof option / sizeof *option; i++) {
        const int32_t *o = option[i];
        struct builder builder, *b = &builder;
        char name[32];
        (void)snprintf(name, sizeof name, "conv option %zu", i);
        start(b, 2, 2);
        conv(b, 3, 3);
        add(b, LAYER(.kind = HF_LAYER_CONV, .channels = o[0], .kernel = {1, o[1], o[2]},
                     .stride = {1, o[3], o[3]}, .dilation = {1, o[4], o[4]},
                     .pad = o[5] ? HF_PAD_REFLECT : HF_PAD_ZERO, .bias = o[6]));
        act(b, HF_ACT_TANH);
        conv(b, 1, 1);
        check(b, name, 2, 1, 9, 8);
    }
}

static void test_conv_3d(void **state) {
    (void)state;
    for (int reflect = 0; reflect < 2; reflect++) {
        struct builder builder, *b = &builder;
        start(b, 3, 1);
        conv(b, 3, 3);
        add(b,
            LAYER(.kind = HF_LAYER_CONV, .channels = 4, .kernel = {3, 1, 2}, .stride = {1, 2, 1},
                  .dilation = {2, 1, 1}, .pad = reflect ? HF_PAD_REFLECT : HF_PAD_ZERO, .bias = 1));
        act(b, HF_ACT_TANH);
        conv(b, 2, 1);
        check(b, reflect ? "conv 3d reflect" : "conv 3d", 1, 5, 4, 6);
    }
}

static void test_deconv(void **state) {
    (void)state;
    static const int32_t option[][6] = {/* dims, channels, stride d h w, bias */
                                        {2, 3, 1, 2, 2, 1},
                                        {2, 16, 1, 3, 1, 0},
                                        {3, 2, 2, 2, 2, 1},
                                        {3, 5, 1, 2, 3, 0}};
    for (size_t i = 0; i < sizeof option / sizeof *option; i++) {
        const int32_t *o = option[i];
        struct builder builder, *b = &builder;
        start(b, o[0], 2);
        conv(b, 3, 1);
        add(b, LAYER(.kind = HF_LAYER_DECONV, .channels = o[1], .kernel = {o[2], o[3], o[4]},
                     .stride = {o[2], o[3], o[4]}, .bias = o[5]));
        act(b, HF_ACT_TANH);
        conv(b, 1, 1);
        check(b, "deconv", 2, o[0] == 3 ? 3 : 1, 4, 3);
    }
}

static void test_norm(void **state) {
    (void)state;
    static const int32_t channels[] = {1, 2, 3, 8, 16, 17, 20, 33, 48, 64, 70, 130, 300};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        struct builder builder, *b = &builder;
        char name[32];
        (void)snprintf(name, sizeof name, "norm of %d", channels[i]);
        start(b, 2, 1);
        conv(b, channels[i], 1);
        norm(b, i % 3 != 0);
        if (i % 2)
            act(b, i % 4 == 1 ? HF_ACT_LEAKY : HF_ACT_RELU);
        conv(b, 1, 1);
        check(b, name, 2, 1, 9, 11);
    }
    struct builder builder, *b = &builder; /* several blocks a sample, and a tail */
    start(b, 3, 1);
    conv(b, 5, 1);
    norm(b, 1);
    act(b, HF_ACT_LEAKY);
    conv(b, 1, 1);
    check(b, "norm 3d", 3, 13, 15, 11);
}

static void test_act(void **state) {
    (void)state;
    for (int kind = HF_ACT_NONE; kind < HF_ACTS; kind++) {
        struct builder builder, *b = &builder;
        start(b, 2, 2);
        conv(b, 5, 3);
        act(b, (enum hf_act)kind);
        act(b, HF_ACT_TANH); /* not in place of an output that the backward pass reads */
        conv(b, 1, 1);
        check(b, hf_act_name((enum hf_act)kind), 2, 1, 7, 5);
    }
}

static void test_gate(void **state) {
    (void)state;
    for (int32_t c = 1; c < 40; c += 6) {
        struct builder builder, *b = &builder;
        start(b, 2, 2);
        conv(b, 2 * c, 1);
        simple(b, HF_LAYER_GATE, 1, 1, 1);
        conv(b, 1, 1);
        check(b, "gate", 2, 1, 5, 4);
    }
}

/* Some channels of the input beside what is made of all of them, as a slice of a larger block and
 * as the input of a convolution. */
static void test_take(void **state) {
    (void)state;
    for (int32_t channels = 1; channels <= 3; channels++)
        for (int32_t first = 0; first + channels <= 5; first += 2) {
            struct builder builder, *b = &builder;
            start(b, 2, 5);
            conv(b, 3, 3);
            int32_t made = b->x;
            b->x = 0;
            add(b, LAYER(.kind = HF_LAYER_TAKE, .channel = first, .channels = channels));
            join(b, HF_LAYER_CONCAT, made, b->x);
            act(b, HF_ACT_TANH);
            int32_t both = b->x;
            b->x = 0;
            add(b, LAYER(.kind = HF_LAYER_TAKE, .channel = first, .channels = channels));
            conv(b, 2, 1);
            join(b, HF_LAYER_CONCAT, both, b->x);
            conv(b, 1, 1);
            check(b, "take", 2, 1, 9, 6);
        }
}

/* Of channel 1, some of which is above 0; the layer under test is behind a convolution. */
static int32_t start_masked(struct builder *b, int32_t dims, int32_t channels, int32_t invert) {
    start(b, dims, 2);
    add(b, LAYER(.kind = HF_LAYER_MASK, .channel = 1, .invert = invert));
    int32_t mask = b->x;
    b->x = 0;
    conv(b, channels, 3);
    return mask;
}

static void scale(struct builder *b, int32_t by, int32_t bias) {
    struct hf_layer l = LAYER(.kind = HF_LAYER_SCALE, .bias = bias);
    l.inputs = 2;
    l.input[1] = by;
    add(b, l);
}

static void test_scale(void **state) {
    (void)state;
    static const int32_t channels[] = {1, 3, 8, 17, 40};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (int32_t bias = 0; bias < 2; bias++) {
            struct builder builder, *b = &builder;
            int32_t mask = start_masked(b, 2, channels[i], bias);
            act(b, HF_ACT_TANH); /* whose output the scale must leave alone */
            scale(b, mask, bias);
            act(b, HF_ACT_TANH);
            conv(b, 1, 1);
            check(b, "scale", 2, 1, 23, 17);
        }
}

static void test_window(void **state) {
    (void)state;
    static const int32_t option[][7] = {
        /* kernel h w, stride h w, dilation, reflect, input threshold's sign */
        {3, 3, 1, 1, 1, 0, 0}, {3, 5, 1, 1, 2, 0, 1}, {4, 4, 2, 2, 1, 0, 0}, {7, 7, 1, 1, 1, 1, 1},
        {4, 3, 2, 1, 1, 1, 0}, {1, 1, 2, 2, 1, 0, 1}, {3, 3, 1, 1, 4, 1, 0},
    };
    for (size_t i = 0; i < sizeof option / sizeof *option; i++) {
        const int32_t *o = option[i];
        struct builder builder, *b = &builder;
        char name[32];
        (void)snprintf(name, sizeof name, "window option %zu", i);
        int32_t mask = start_masked(b, 2, 3, o[6]);
        struct hf_layer window =
            LAYER(.kind = HF_LAYER_WINDOW, .kernel = {1, o[0], o[1]}, .stride = {1, o[2], o[3]},
                  .dilation = {1, o[4], o[4]}, .pad = o[5] ? HF_PAD_REFLECT : HF_PAD_ZERO);
        struct hf_layer same = window;
        same.kind = HF_LAYER_CONV;
        same.channels = 4;
        scale(b, mask, 0);
        add(b, same);
        int32_t x = b->x;
        window.input[0] = mask;
        add(b, window);
        int32_t by = b->x;
        b->x = x;
        scale(b, by, 1);
        act(b, HF_ACT_TANH);
        conv(b, 1, 1);
        check(b, name, 2, 1, 9, 8);
    }
    struct builder builder, *b = &builder;
    int32_t mask = start_masked(b, 3, 2, 0);
    b->x = mask;
    add(b, LAYER(.kind = HF_LAYER_WINDOW, .kernel = {3, 1, 2}, .stride = {2, 1, 1}));
    simple(b, HF_LAYER_UP, 2, 1, 1);
    mask = b->x;
    b->x = 2; /* the convolution */
    scale(b, mask, 1);
    conv(b, 1, 1);
    check(b, "window 3d", 2, 6, 5, 4);
}

static void test_pool_and_up(void **state) {
    (void)state;
    static const int32_t stride[][4] = {{2, 1, 2, 2}, {2, 1, 3, 2}, {3, 2, 2, 2}, {3, 1, 3, 2}};
    static const int32_t channels[] = {1, 4, 16, 21};
    for (int i = 0; i < 4; i++)
        for (int kind = HF_LAYER_POOL; kind <= HF_LAYER_UP; kind++) {
            const int32_t *s = stride[i];
            struct builder builder, *b = &builder;
            start(b, s[0], 1);
            conv(b, channels[i], 3);
            simple(b, (enum hf_layer_kind)kind, s[1], s[2], s[3]);
            act(b, HF_ACT_TANH);
            conv(b, 2, 1);
            check(b, hf_layer_kind_name((enum hf_layer_kind)kind), 2, s[0] == 3 ? 2 : 1, 6, 4);
        }
}

/* Skips in all combinations of makers and readers, so that slices and copies both occur. */
static void test_joins(void **state) {
    (void)state;
    for (int variant = 0; variant < 6; variant++) {
        struct builder builder, *b = &builder;
        char name[32];
        (void)snprintf(name, sizeof name, "join variant %d", variant);
        start(b, 2, 1);
        conv(b, variant % 2 ? 16 : 3, 3);
        int32_t first = b->x;
        norm(b, 1);
        act(b, HF_ACT_LEAKY);
        int32_t skip = b->x;
        simple(b, HF_LAYER_POOL, 1, 2, 2);
        simple(b, HF_LAYER_UP, 1, 2, 2);
        if (variant == 2)
            conv(b, 4, 1);
        int32_t deep = b->x;
        if (variant == 3) { /* a convolution reads the skip as well */
            b->x = skip;
            conv(b, 2, 3);
            join(b, HF_LAYER_CONCAT, b->x, deep);
            deep = b->x;
        }
        join(b, HF_LAYER_CONCAT, skip, variant == 4 ? skip : deep);
        int32_t both = b->x;
        if (variant == 5) { /* of concatenations, and of a convolution's output */
            join(b, HF_LAYER_CONCAT, both, first);
            join(b, HF_LAYER_CONCAT, b->x, both);
        }
        act(b, HF_ACT_TANH);
        join(b, HF_LAYER_ADD, b->x, b->x);
        int32_t sum = b->x;
        conv(b, b->net.layer[sum].channels, 3);
        join(b, HF_LAYER_ADD, b->x, sum);
        conv(b, 1, 1);
        check(b, name, 2, 1, 6, 4);
    }
}

/* Values that two layers read must outlive the first of them, in place or fused as it may be. */
static void test_shared_values(void **state) {
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        struct builder builder, *b = &builder;
        char name[32];
        (void)snprintf(name, sizeof name, "shared variant %d", variant);
        start(b, 2, 1);
        conv(b, 4, 3);
        if (variant == 0)
            norm(b, 1); /* read by an activation that could have joined it, and by another layer */
        int32_t shared = b->x;
        act(b, variant == 1 ? HF_ACT_SIGMOID : HF_ACT_LEAKY);
        int32_t first = b->x;
        if (variant == 3) {
            b->x = shared;
            norm(b, 1);
        } else {
            simple(b, HF_LAYER_POOL, 1, 2, 2);
            simple(b, HF_LAYER_UP, 1, 2, 2);
        }
        join(b, HF_LAYER_CONCAT, b->x, first); /* the activation's backward pass reads its slice */
        act(b, HF_ACT_TANH);
        if (variant != 1)
            join(b, HF_LAYER_CONCAT, b->x, shared);
        conv(b, 1, 1);
        check(b, name, 2, 1, 6, 4);
    }
}

static void test_what_leads_nowhere(void **state) {
    (void)state;
    struct builder builder, *b = &builder;
    start(b, 2, 1);
    norm(b, 1); /* parameters before which nothing needs a gradient */
    conv(b, 3, 3);
    int32_t live = b->x;
    conv(b, 5, 3);
    norm(b, 1);
    b->x = live;
    conv(b, 1, 1);
    check(b, "dead layers", 2, 1, 5, 5);
}

/* ---- losses ---- */

static struct hf_exec_spec spec_of(int32_t terms, const struct hf_loss_term *term) {
    struct hf_exec_spec spec = {.mode = HF_EXEC_TRAIN,
                                .shape = {2, 2, 1, 47, 45},
                                .loss_terms = terms,
                                .optimizer = plain_sgd};
    memcpy(spec.loss, term, (size_t)terms * sizeof *term);
    return spec;
}

static void check_losses(const char *name, int32_t classes, int64_t size, int32_t terms,
                         const struct hf_loss_term *term) {
    struct builder builder, *b = &builder;
    start(b, 2, 2);
    conv(b, 4, 1);
    act(b, HF_ACT_TANH);
    conv(b, classes, 1);
    struct hf_exec_spec spec = spec_of(terms, term);
    spec.shape[3] = size;
    check_spec(b, name, &spec);
}

#define TERM(kind_, factor_, ...)                                                                  \
    { .kind = HF_LOSS_##kind_, .factor = factor_, .pos_weight = 4.0f, __VA_ARGS__ }

static void test_losses(void **state) {
    (void)state;
    static const struct hf_loss_term term[][2] = {
        {TERM(L1, 1.3f), TERM(CE, 1.3f)},
        {TERM(BCE, 1.3f), TERM(CE, 1.3f)},
        {TERM(CE, 1.3f), TERM(DICE, 0.4f)},
        {TERM(FOCAL, 1.3f), TERM(DICE, 1.3f)}, /* gamma 0 */
        {TERM(FOCAL, 1.3f, .gamma = 2), TERM(TVERSKY, 1.3f, .alpha = 0.3f, .beta = 0.7f)},
        {TERM(FOCAL, 1.3f, .gamma = 0.5f), TERM(CE, 1.3f)},
        {TERM(TVERSKY, 1.3f, .beta = 1), TERM(L1, 1.3f)},
        {TERM(TVERSKY, 1.3f, .alpha = 1.5f, .beta = 0.2f), TERM(CE, 1.3f)},
    };
    for (size_t i = 0; i < sizeof term / sizeof *term; i++)
        for (int32_t classes = 1; classes < 6; classes += 2) {
            char name[32];
            (void)snprintf(name, sizeof name, "losses %zu of %d", i, classes);
            check_losses(name, classes, i < 3 ? 47 : 11, 2, term[i]);
        }
}

/* Terms over some of the channels, which may overlap; the same kind again, in the same sums. */
static void test_loss_ranges(void **state) {
    (void)state;
    static const struct {
        int32_t classes, terms;
        struct hf_loss_term term[HF_MAX_LOSS_TERMS];
    } cases[] = {
        {3, 1, {TERM(BCE, 1.3f, .first = 1)}},
        {5, 1, {TERM(DICE, 1.3f, .first = 1, .channels = 2)}},
        {4, 2, {TERM(CE, 1.3f, .channels = 3), TERM(BCE, 1.3f, .first = 3)}},
        {4,
         3,
         {TERM(CE, 1.3f, .first = 1), TERM(DICE, 1.3f, .first = 1), TERM(L1, 1.3f, .channels = 1)}},
        {5,
         4,
         {TERM(DICE, 1.3f), TERM(DICE, 1.3f, .first = 3, .channels = 1), TERM(CE, 1.3f, .first = 2),
          TERM(L1, 1.3f)}},
        {2, 2, {TERM(BCE, 1.3f), TERM(BCE, 0.2f)}},
        {3,
         4,
         {TERM(TVERSKY, 1.3f, .alpha = 1), TERM(TVERSKY, 1.3f, .beta = 1), TERM(DICE, 1.3f),
          TERM(FOCAL, 1.3f, .gamma = 1, .first = 2)}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "loss ranges %zu", i);
        check_losses(name, cases[i].classes, 11, cases[i].terms, cases[i].term);
    }
}

/* ---- supervised layers ---- */

static void supervise(struct builder *b, int32_t layer, float factor) {
    b->net.layer[layer].supervise = factor;
}

/* Heads that are leaves, lead on to the output, are slices of a concatenation or of the output's
 * size. */
static void test_supervised(void **state) {
    (void)state;
    for (int variant = 0; variant < 6; variant++) {
        struct builder builder, *b = &builder;
        int32_t dims = variant % 2 ? 3 : 2;
        char name[32];
        (void)snprintf(name, sizeof name, "supervised variant %d", variant);
        start(b, dims, 1);
        conv(b, 4, 3);
        act(b, HF_ACT_TANH);
        int32_t high = b->x;
        simple(b, HF_LAYER_POOL, dims == 3 ? 2 : 1, 3, 2);
        conv(b, 5, 3);
        norm(b, 1);
        act(b, HF_ACT_LEAKY);
        int32_t low = b->x;
        conv(b, 3, 1);
        if (variant == 2) /* pointwise on a convolution of its own */
            act(b, HF_ACT_TANH);
        int32_t head = b->x;
        supervise(b, head, 0.5f);
        b->x = variant == 4 ? head : low;
        if (variant == 3) { /* an activation that nothing else follows: the head is its norm */
            conv(b, 3, 1);
            norm(b, 1);
            supervise(b, b->x, 0.25f);
            act(b, HF_ACT_LEAKY);
        }
        simple(b, HF_LAYER_UP, dims == 3 ? 2 : 1, 3, 2);
        int32_t up = b->x;
        if (variant == 5) { /* supervised where it is written: in the concatenation */
            b->x = high;
            conv(b, 3, 1);
            act(b, HF_ACT_TANH);
            supervise(b, b->x, 1.5f);
            high = b->x;
        }
        join(b, HF_LAYER_CONCAT, up, high);
        act(b, HF_ACT_TANH);
        conv(b, 3, 1);
        static const struct hf_loss_term term[3] = {TERM(CE, 1.3f),
                                                    TERM(TVERSKY, 1.3f, .alpha = 1, .beta = 2),
                                                    TERM(BCE, 1.3f, .first = 1)};
        struct hf_exec_spec spec = spec_of(3, term);
        int64_t shape[5] = {2, 1, dims == 3 ? 4 : 1, 9, 10};
        memcpy(spec.shape, shape, sizeof shape);
        check_spec(b, name, &spec);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_conv_3d),
        cmocka_unit_test(test_deconv),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_act),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_pool_and_up),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_shared_values),
        cmocka_unit_test(test_what_leads_nowhere),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_loss_ranges),
        cmocka_unit_test(test_supervised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
