/*
 * test_nn_net.c - network descriptions: shapes, padding, parameters, and what is refused.
 */
#include "../../engine/nn/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hf_error err;

static void start(struct hf_net *net, int32_t dims, int32_t channels) {
    assert_int_equal(hf_net_init(net, dims, channels, &err), HF_OK);
}

/* Output size and padding of the convolution of a one-axis problem. */
static void check_conv(int32_t k, int32_t s, int32_t d, int64_t in, int64_t out, int64_t low,
                       int64_t high) {
    struct hf_layer l = {.kernel = {1, k, 1}, .stride = {1, s, 1}, .dilation = {1, d, 1}};
    int64_t found_low, found_high;
    hf_layer_conv_pad(&l, 1, in, &found_low, &found_high);
    assert_int_equal(hf_layer_conv_size(&l, 1, in), out);
    assert_int_equal(found_low, low);
    assert_int_equal(found_high, high);
}

static void test_padding(void **state) {
    (void)state;
    check_conv(3, 1, 1, 8, 8, 1, 1);
    check_conv(2, 1, 1, 8, 8, 0, 1);
    check_conv(3, 1, 4, 8, 8, 4, 4);
    check_conv(4, 1, 1, 8, 8, 1, 2);
    check_conv(4, 2, 1, 8, 4, 1, 1);
    check_conv(3, 2, 1, 8, 4, 1, 0);
    check_conv(3, 2, 1, 7, 4, 1, 1);
    check_conv(5, 3, 1, 9, 3, 1, 1);
    check_conv(1, 2, 1, 8, 4, 0, -1);
}

static void test_shapes_and_params(void **state) {
    (void)state;
    struct hf_net net;
    int32_t x, up, p;
    start(&net, 2, 3);
    assert_int_equal(hf_net_conv(&net, "a", 0, 8, 3, 1, 1, &x, &err), HF_OK);
    assert_int_equal(hf_net_norm(&net, "n", x, 1e-5f, &x, &err), HF_OK);
    assert_int_equal(hf_net_simple(&net, HF_LAYER_POOL, "p", x, 2, &p, &err), HF_OK);
    assert_int_equal(hf_net_deconv(&net, "d", p, 5, 2, 0, &up, &err), HF_OK);
    assert_int_equal(hf_net_join(&net, HF_LAYER_CONCAT, "c", up, x, &x, &err), HF_OK);
    assert_int_equal(hf_net_conv(&net, "g", x, 6, 1, 1, 1, &x, &err), HF_OK);
    assert_int_equal(hf_net_simple(&net, HF_LAYER_GATE, "gate", x, 1, &x, &err), HF_OK);
    assert_int_equal(hf_net_check(&net, &err), HF_OK);
    int64_t shape[8][5], in[5] = {2, 3, 1, 10, 12};
    assert_int_equal(hf_net_shapes(&net, in, shape, &err), HF_OK);
    int64_t pooled[5] = {2, 8, 1, 5, 6}, joined[5] = {2, 13, 1, 10, 12},
            last[5] = {2, 3, 1, 10, 12};
    assert_memory_equal(shape[p], pooled, sizeof pooled);
    assert_memory_equal(shape[5], joined, sizeof joined);
    assert_memory_equal(shape[7], last, sizeof last);
    struct hf_param *param;
    int32_t count;
    int64_t total;
    assert_int_equal(hf_net_params(&net, &param, &count, &total, &err), HF_OK);
    static const char *const names[] = {"a.weight", "a.bias",   "n.scale", "n.shift",
                                        "d.weight", "g.weight", "g.bias"};
    static const int64_t counts[] = {216, 8, 8, 8, 160, 78, 6};
    assert_int_equal(count, 7);
    int64_t offset = 0;
    for (int i = 0; i < 7; i++) {
        assert_string_equal(param[i].name, names[i]);
        assert_int_equal(param[i].count, counts[i]);
        assert_int_equal(param[i].offset, offset);
        offset += counts[i];
    }
    assert_int_equal(total, offset);
    int64_t weight[4] = {8, 3, 3, 3}, transposed[4] = {8, 5, 2, 2};
    assert_int_equal(param[0].ndim, 4);
    assert_memory_equal(param[0].shape, weight, sizeof weight);
    assert_memory_equal(param[4].shape, transposed, sizeof transposed);
    free(param);
    struct hf_net copy;
    assert_int_equal(hf_net_copy(&copy, &net, &err), HF_OK);
    hf_net_clear(&net);
    assert_int_equal(hf_net_check(&copy, &err), HF_OK);
    assert_int_equal(copy.layers, 8);
    hf_net_clear(&copy);
}

static void refuse(struct hf_net *net, struct hf_layer l, const char *word) {
    int32_t layers = net->layers;
    if (!l.name[0])
        (void)snprintf(l.name, sizeof l.name, "x");
    assert_int_equal(hf_net_add(net, &l, NULL, &err), HF_INVALID);
    assert_int_equal(net->layers, layers);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

static void test_refused_layers(void **state) {
    (void)state;
    struct hf_net net;
    start(&net, 2, 3);
    assert_int_equal(hf_net_conv(&net, "a", 0, 4, 3, 1, 1, NULL, &err), HF_OK);
    struct hf_layer conv = {.kind = HF_LAYER_CONV, .inputs = 1, .channels = 4}, l;
    l = conv, l.input[0] = 2;
    refuse(&net, l, "input 0 is layer 2");
    l = conv, l.input[0] = -1;
    refuse(&net, l, "expected an earlier one");
    l = conv, strcpy(l.name, "a");
    refuse(&net, l, "already layer 1");
    l = conv, strcpy(l.name, "a b");
    refuse(&net, l, "letters, digits");
    l = conv, memset(l.name, 'y', sizeof l.name);
    refuse(&net, l, "1 to 47 characters");
    l = conv, l.channels = 0;
    refuse(&net, l, "0 channels");
    l = conv, l.kernel[0] = 3;
    refuse(&net, l, "kernel over D is 3");
    l = conv, l.kernel[1] = -3;
    refuse(&net, l, "kernel is -3");
    l = conv, l.stride[2] = 1000;
    refuse(&net, l, "stride is 1000");
    l = conv, l.inputs = 2;
    refuse(&net, l, "has 2 inputs");
    l = conv, l.kind = HF_LAYER_TAKE, l.channel = 1, l.channels = net.layer[0].channels;
    refuse(&net, l, "expected some of the input's");
    l = conv, l.kind = HF_LAYER_TAKE, l.channels = 0;
    refuse(&net, l, "takes 0 channels");
    l = conv, l.kind = (enum hf_layer_kind)77;
    refuse(&net, l, "kind 77");
    l = conv, l.kind = HF_LAYER_DECONV, l.kernel[1] = 3;
    refuse(&net, l, "kernel = stride");
    l = conv, l.pad = (enum hf_pad)9;
    refuse(&net, l, "unknown pad 9");
    refuse(&net, (struct hf_layer){.kind = HF_LAYER_NORM, .inputs = 1}, "epsilon is 0");
    refuse(&net, (struct hf_layer){.kind = HF_LAYER_GATE, .inputs = 1}, "halves its channels");
    refuse(&net, (struct hf_layer){.kind = HF_LAYER_POOL, .inputs = 1, .channels = 7},
           "its inputs give 3");
    refuse(&net, (struct hf_layer){.kind = HF_LAYER_ADD, .inputs = 2, .input = {0, 1}},
           "of 3 channels");
    refuse(&net, (struct hf_layer){.kind = HF_LAYER_INPUT, .channels = 1}, "no other");
    l = (struct hf_layer){.kind = HF_LAYER_ACT, .inputs = 1, .act = HF_ACT_LEAKY, .slope = 2};
    refuse(&net, l, "slope is 2");
    net.layer[1].channels = -1; /* as a damaged file would have it */
    assert_int_equal(hf_net_check(&net, &err), HF_INVALID);
    hf_net_clear(&net);
    assert_int_equal(hf_net_init(&net, 4, 1, &err), HF_INVALID);
}

static void refuse_shape(const struct hf_net *net, int64_t n, int64_t c, int64_t d, int64_t h,
                         int64_t w, const char *word) {
    int64_t shape[16][5], in[5] = {n, c, d, h, w};
    assert_int_equal(hf_net_shapes(net, in, shape, &err), HF_INVALID);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

static void test_refused_shapes(void **state) {
    (void)state;
    struct hf_net net;
    int32_t x;
    start(&net, 2, 1);
    assert_int_equal(hf_net_simple(&net, HF_LAYER_POOL, "pool", 0, 2, &x, &err), HF_OK);
    refuse_shape(&net, 1, 2, 1, 4, 4, "expected 1 channels");
    refuse_shape(&net, 1, 1, 3, 4, 4, "D = 1");
    refuse_shape(&net, 1, 1, 1, 5, 4, "stride 2 does not divide");
    refuse_shape(&net, 0, 1, 1, 4, 4, "empty");
    refuse_shape(&net, 1000000, 1, 1, 1000000, 1000000, "too large");
    assert_int_equal(hf_net_join(&net, HF_LAYER_CONCAT, "cat", 0, x, NULL, &err), HF_OK);
    refuse_shape(&net, 1, 1, 1, 4, 4, "expected one size");
    hf_net_clear(&net);
    start(&net, 2, 1);
    struct hf_layer l = {.kind = HF_LAYER_CONV,
                         .name = "wide",
                         .inputs = 1,
                         .channels = 1,
                         .kernel = {1, 9, 1},
                         .pad = HF_PAD_REFLECT};
    assert_int_equal(hf_net_add(&net, &l, NULL, &err), HF_OK);
    refuse_shape(&net, 1, 1, 1, 4, 4, "as wide as its input");
    int64_t shape[2][5], in[5] = {1, 1, 1, 5, 4};
    assert_int_equal(hf_net_shapes(&net, in, shape, &err), HF_OK);
    hf_net_clear(&net);
}

static void refuse_spec(const struct hf_net *net, struct hf_exec_spec spec, const char *word) {
    assert_int_equal(hf_exec_spec_check(net, &spec, &err), HF_INVALID);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

static void test_refused_specs(void **state) {
    (void)state;
    struct hf_net net;
    start(&net, 2, 1);
    assert_int_equal(hf_net_conv(&net, "a", 0, 1, 3, 1, 1, NULL, &err), HF_OK);
    const struct hf_exec_spec good = {
        .mode = HF_EXEC_TRAIN,
        .shape = {1, 1, 1, 4, 4},
        .loss_terms = 2,
        .loss = {{.kind = HF_LOSS_L1, .factor = 1},
                 {.kind = HF_LOSS_BCE, .factor = 1, .pos_weight = 5}},
        .optimizer = {.kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f}};
    assert_int_equal(hf_exec_spec_check(&net, &good, &err), HF_OK);
    struct hf_exec_spec s;
    s = good, s.mode = (enum hf_exec_mode)5;
    refuse_spec(&net, s, "mode 5");
    s = good, s.shape[1] = 2;
    refuse_spec(&net, s, "expected 1 channels");
    s = good, s.loss_terms = 0;
    refuse_spec(&net, s, "0 terms");
    s = good, s.loss[1].pos_weight = 0;
    refuse_spec(&net, s, "pos_weight is 0");
    s = good, s.optimizer.beta1 = 1;
    refuse_spec(&net, s, "beta1 1");
    s = good, s.optimizer.clip = -1;
    refuse_spec(&net, s, "clip -1");
    s = good, s.optimizer = (struct hf_optimizer){.kind = HF_OPT_SGD, .momentum = 1};
    refuse_spec(&net, s, "momentum is 1");
    s = good, s.optimizer.kind = HF_OPT_ADAMW, s.optimizer.epsilon = 0;
    refuse_spec(&net, s, "adamw: beta1");
    s = good, s.optimizer.average = 1;
    refuse_spec(&net, s, "decay is 1; expected [0, 1)");
    s = good, strcpy(s.trained, "b");
    refuse_spec(&net, s, "begins with \"b\"");
    s = good, strcpy(s.trained, "input");
    refuse_spec(&net, s, "begins with \"input\"");
    s = good, memset(s.trained, 'a', sizeof s.trained);
    refuse_spec(&net, s, "longer than 47");
    s = good, strcpy(s.trained, "a");
    assert_int_equal(hf_exec_spec_check(&net, &s, &err), HF_OK);
    hf_net_clear(&net);
}

static void test_refused_terms(void **state) {
    (void)state;
    struct hf_net net;
    start(&net, 2, 1);
    assert_int_equal(hf_net_conv(&net, "a", 0, 3, 3, 1, 1, NULL, &err), HF_OK);
    const struct hf_exec_spec good = {.mode = HF_EXEC_TRAIN,
                                      .shape = {1, 1, 1, 4, 4},
                                      .loss_terms = 3,
                                      .loss = {{.kind = HF_LOSS_FOCAL, .pos_weight = 1},
                                               {.kind = HF_LOSS_TVERSKY, .beta = 1, .first = 1},
                                               {.kind = HF_LOSS_CE, .first = 1, .channels = 2}},
                                      .optimizer = {.kind = HF_OPT_SGD}};
    assert_int_equal(hf_exec_spec_check(&net, &good, &err), HF_OK);
    struct hf_exec_spec s;
    s = good, s.loss[0].gamma = -1;
    refuse_spec(&net, s, "gamma is -1");
    s = good, s.loss[0].pos_weight = 0;
    refuse_spec(&net, s, "pos_weight is 0");
    s = good, s.loss[1].beta = 0;
    refuse_spec(&net, s, "term 2: alpha is 0, beta 0");
    s = good, s.loss[1].alpha = -1;
    refuse_spec(&net, s, "alpha is -1");
    s = good, s.loss[1].first = 3;
    refuse_spec(&net, s, "from channel 3 on; the output has channels 0 to 2");
    s = good, s.loss[2].channels = 3;
    refuse_spec(&net, s, "3 channels from channel 1");
    s = good, s.loss[2].channels = -1;
    refuse_spec(&net, s, "-1 channels");
    s = good, s.loss[2].kind = HF_LOSS_KINDS;
    refuse_spec(&net, s, "expected a known kind");
    hf_net_clear(&net);
}

static void test_refused_heads(void **state) {
    (void)state;
    struct hf_net net;
    int32_t x;
    start(&net, 2, 1);
    struct hf_layer l = {.kind = HF_LAYER_CONV, .inputs = 1, .channels = 2, .supervise = -1};
    refuse(&net, l, "supervise is -1");
    l.supervise = INFINITY;
    refuse(&net, l, "supervise is inf");
    l.supervise = NAN;
    refuse(&net, l, "supervise is");
    assert_int_equal(hf_net_simple(&net, HF_LAYER_POOL, "pool", 0, 4, &x, &err), HF_OK);
    l = (struct hf_layer){
        .kind = HF_LAYER_CONV, .name = "low", .inputs = 1, .input = {x}, .channels = 2};
    l.supervise = 0.5f;
    assert_int_equal(hf_net_add(&net, &l, &x, &err), HF_OK);
    assert_int_equal(hf_net_simple(&net, HF_LAYER_UP, "up", x, 2, &x, &err), HF_OK);
    assert_int_equal(hf_net_check(&net, &err), HF_OK);
    struct hf_exec_spec s = {.mode = HF_EXEC_TRAIN,
                             .shape = {1, 1, 1, 8, 8},
                             .loss_terms = 1,
                             .loss = {{.kind = HF_LOSS_L1}},
                             .optimizer = {.kind = HF_OPT_SGD}};
    assert_int_equal(hf_exec_spec_check(&net, &s, &err), HF_OK);
    net.layer[3].stride[2] = 1; /* 4 x 2 of 2 x 2 voxels */
    assert_int_equal(hf_exec_spec_check(&net, &s, &err), HF_OK);
    net.layer[2].supervise = 0, net.layer[1].supervise = 1, net.layer[1].channels = 2;
    s.shape[3] = 12, net.layer[3].kind = HF_LAYER_POOL, net.layer[3].stride[1] = 3;
    refuse_spec(&net, s, "has 3 voxels along H; expected a number that divides the output's 1");
    net.layer[1].channels = 1, net.layer[1].supervise = 1;
    assert_int_equal(hf_net_check(&net, &err), HF_INVALID);
    assert_non_null(strstr(err.text, "has 1 channels; expected 2, as the output \"up\""));
    net.layer[1].supervise = 0, net.layer[3].supervise = 1;
    assert_int_equal(hf_net_check(&net, &err), HF_INVALID);
    assert_non_null(strstr(err.text, "\"up\" is the output"));
    net.layer[3].supervise = 0, net.layer[0].supervise = 1;
    assert_int_equal(hf_net_check(&net, &err), HF_INVALID);
    hf_net_clear(&net);
}

/* Sizes that fit are named: by hand, of two pools behind one another and of a reflected border. */
static void test_nearest_sizes(void **state) {
    (void)state;
    struct hf_net net;
    int32_t x;
    start(&net, 3, 1);
    assert_int_equal(hf_net_simple(&net, HF_LAYER_POOL, "a", 0, 2, &x, &err), HF_OK);
    assert_int_equal(hf_net_simple(&net, HF_LAYER_POOL, "b", x, 2, &x, &err), HF_OK);
    refuse_shape(&net, 1, 1, 4, 250, 98,
                 "\"b\": its input has 125 voxels along H, which its stride 2 does not divide; "
                 "along H, 248 and 252 fit; along W, 96 and 100 fit");
    refuse_shape(&net, 1, 1, 3, 4, 4,
                 "along D, which its stride 2 does not divide; along D, 4 fits");
    static const struct {
        int64_t size[3];
        enum hf_status expected;
    } asked[] = {{{4, 8, 12}, HF_OK},
                 {{-1, -1, -1}, HF_OK},
                 {{-1, 8, -1}, HF_OK},
                 {{-1, 8, 10}, HF_INVALID},
                 {{6, -1, -1}, HF_INVALID}};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        assert_int_equal(hf_net_fit(&net, HF_EXEC_FORWARD, asked[i].size, &err), asked[i].expected);
    hf_net_clear(&net);
    start(&net, 2, 1);
    struct hf_layer wide = {.kind = HF_LAYER_CONV,
                            .name = "wide",
                            .inputs = 1,
                            .channels = 1,
                            .kernel = {1, 9, 9},
                            .pad = HF_PAD_REFLECT};
    assert_int_equal(hf_net_add(&net, &wide, NULL, &err), HF_OK);
    refuse_shape(&net, 1, 1, 1, 8, 3, "3 voxels along W; along W, 5 fits");
    assert_int_equal(hf_net_fit(&net, HF_EXEC_FORWARD, (int64_t[]){2, 8, 8}, &err), HF_INVALID);
    hf_net_clear(&net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_padding),        cmocka_unit_test(test_shapes_and_params),
        cmocka_unit_test(test_refused_layers), cmocka_unit_test(test_refused_shapes),
        cmocka_unit_test(test_nearest_sizes),  cmocka_unit_test(test_refused_specs),
        cmocka_unit_test(test_refused_terms),  cmocka_unit_test(test_refused_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
