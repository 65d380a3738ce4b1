/*
 * test_model.c - initial parameters and checkpoints: what is written is read back bit for bit, and
 * no damaged file gets through or crashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "nn/model.h"
#include "nn/net.h"

/* Two inputs, one output, every kind of parameter. */
static void make_net(struct hf_net *net) {
    struct hf_error e;
    int32_t conv, norm, act, pool, up, low, head;
    assert_int_equal(hf_net_init(net, 2, 2, &e), HF_OK);
    assert_int_equal(hf_net_conv(net, "conv", 0, 64, 3, 1, 1, &conv, &e), HF_OK);
    assert_int_equal(hf_net_norm(net, "norm", conv, 1e-5f, &norm, &e), HF_OK);
    assert_int_equal(hf_net_act(net, "act", norm, HF_ACT_LEAKY, 0.2f, &act, &e), HF_OK);
    assert_int_equal(hf_net_simple(net, HF_LAYER_POOL, "pool", act, 2, &pool, &e), HF_OK);
    assert_int_equal(hf_net_conv(net, "low", pool, 1, 1, 1, 1, &low, &e), HF_OK);
    net->layer[low].supervise = 0.3f;
    assert_int_equal(hf_net_deconv(net, "up", pool, 32, 2, 1, &up, &e), HF_OK);
    assert_int_equal(hf_net_conv(net, "head", up, 1, 1, 1, 1, &head, &e), HF_OK);
}

static struct hf_model *make_model(void) {
    struct hf_error e;
    struct hf_net net;
    make_net(&net);
    struct hf_param *params;
    int32_t count;
    int64_t total;
    assert_int_equal(hf_net_params(&net, &params, &count, &total, &e), HF_OK);
    free(params);
    float *values = malloc((size_t)total * sizeof *values);
    assert_int_equal(hf_net_init_params(&net, hf_rng_init(66, "train", "init", 0), values, &e),
                     HF_OK);
    struct hf_model_info info = {.stage = "spotter",
                                 .network = "unet",
                                 .inputs = {2, {"image", "inpainted"}},
                                 .input_channels = 2,
                                 .target = "lesion",
                                 .output_channels = 1,
                                 .activation = "sigmoid",
                                 .dims = 2,
                                 .patch = {1, 96, 80}};
    struct hf_model *m;
    assert_int_equal(hf_model_new(&info, &net, values, &m, &e), HF_OK);
    free(values);
    hf_net_clear(&net);
    return m;
}

static void test_init_has_kaiming_spread(void **state) {
    (void)state;
    struct hf_model *m = make_model();
    double sum = 0, squares = 0;
    int64_t n = 64 * 2 * 9; /* conv.weight comes first */
    for (int64_t i = 0; i < n; i++) {
        sum += (double)m->params[i];
        squares += (double)m->params[i] * (double)m->params[i];
    }
    double sd = sqrt(squares / (double)n), expected = sqrt(2.0 / 1.04) / sqrt(2 * 9);
    assert_true(fabs(sd / expected - 1) < 0.1);
    assert_true(fabs(sum / (double)n) < 4 * expected / sqrt((double)n));
    assert_true(m->params[n] == 0.0f);      /* conv.bias */
    assert_true(m->params[n + 64] == 1.0f); /* norm.scale */
    hf_model_unref(m);
}

static void test_checkpoint_round_trip(void **state) {
    (void)state;
    struct hf_error e;
    struct hf_model *m = make_model(), *back;
    void *bytes, *again;
    size_t size, size_again;
    assert_int_equal(hf_model_write(m, "{\"epoch\":3}", &bytes, &size, &e), HF_OK);
    assert_int_equal(hf_model_read(bytes, size, "x.safetensors", &back, &e), HF_OK);
    assert_int_equal(back->param_count, m->param_count);
    assert_memory_equal(back->params, m->params, (size_t)m->param_count * sizeof(float));
    assert_string_equal(back->info.inputs.name[1], "inpainted");
    assert_string_equal(back->info.target, "lesion");
    assert_int_equal(back->info.dims, 2);
    assert_memory_equal(back->info.patch, m->info.patch, sizeof m->info.patch);
    assert_int_equal(back->net->layers, m->net->layers);
    assert_memory_equal(back->net->layer, m->net->layer,
                        (size_t)m->net->layers * sizeof *m->net->layer);
    assert_int_equal(hf_model_write(back, "{\"epoch\":3}", &again, &size_again, &e), HF_OK);
    assert_int_equal(size_again, size);
    assert_memory_equal(again, bytes, size);
    free(bytes);
    free(again);
    hf_model_unref(m);
    hf_model_unref(back);
}

/* Channels that are rebuilt count in the network's output; models that rebuild nothing say nothing
 * of it, as before there were such. */
static void test_what_is_rebuilt_is_recorded(void **state) {
    (void)state;
    static const struct {
        int32_t answer, rebuilt;
        const char *field;
        enum hf_status expected;
    } cases[] = {{2, 1, "image", HF_OK},
                 {3, 0, "", HF_OK},
                 {1, 1, "image", HF_INVALID},
                 {0, 3, "image", HF_INVALID},
                 {2, 1, "", HF_INVALID}};
    static const float params[6] = {1, 2, 3, 4, 5, 6};
    struct hf_error e;
    struct hf_net net;
    assert_int_equal(hf_net_init(&net, 2, 1, &e), HF_OK);
    assert_int_equal(hf_net_conv(&net, "conv", 0, 3, 1, 1, 1, NULL, &e), HF_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hf_model_info info = {.stage = "spotter",
                                     .inputs = {1, {"image"}},
                                     .input_channels = 1,
                                     .output_channels = cases[i].answer,
                                     .activation = "sigmoid",
                                     .dims = 2,
                                     .rebuilt_channels = cases[i].rebuilt};
        struct hf_model *m, *back = NULL;
        void *bytes;
        size_t size;
        (void)snprintf(info.rebuilds, sizeof info.rebuilds, "%s", cases[i].field);
        assert_int_equal(hf_model_new(&info, &net, params, &m, &e), HF_OK);
        assert_int_equal(hf_model_write(m, NULL, &bytes, &size, &e), HF_OK);
        enum hf_status st = hf_model_read(bytes, size, "x.safetensors", &back, &e);
        assert_int_equal(st, cases[i].expected);
        if (st == HF_OK) {
            assert_int_equal(back->info.output_channels, cases[i].answer);
            assert_int_equal(back->info.rebuilt_channels, cases[i].rebuilt);
            assert_string_equal(back->info.rebuilds, cases[i].field);
        }
        free(bytes);
        hf_model_unref(m);
        hf_model_unref(back);
    }
    hf_net_clear(&net);
}

/* Models of no image that is blanked say nothing of it, as before any did. */
static void test_what_was_blanked_is_recorded(void **state) {
    (void)state;
    static const double blanks[] = {0, 1, 0.1, -1.0 / 3};
    struct hf_error e;
    struct hf_model *m = make_model(), *back;
    for (size_t i = 0; i <= sizeof blanks / sizeof *blanks; i++) {
        void *bytes;
        size_t size;
        if (i > 0) {
            memcpy(m->info.blanked, "inpainted", sizeof "inpainted");
            m->info.blank = blanks[i - 1];
        }
        assert_int_equal(hf_model_write(m, NULL, &bytes, &size, &e), HF_OK);
        assert_int_equal(hf_model_read(bytes, size, "x.safetensors", &back, &e), HF_OK);
        assert_string_equal(back->info.blanked, m->info.blanked);
        assert_true(back->info.blank == m->info.blank);
        hf_model_unref(back);
        char *at = memmem(bytes, size, "\\\"blank\\\"", 9);
        assert_int_equal(at != NULL, i > 0);
        if (at) {
            at[2] = 'x';
            assert_int_equal(hf_model_read(bytes, size, "x.safetensors", &back, &e), HF_INVALID);
            assert_non_null(strstr(e.text, "its 'inpainted' is blanked with no number"));
        }
        free(bytes);
    }
    hf_model_unref(m);
}

static void test_damaged_checkpoints_are_refused(void **state) {
    (void)state;
    struct hf_error e;
    struct hf_model *m = make_model(), *back;
    void *bytes;
    size_t size;
    assert_int_equal(hf_model_write(m, NULL, &bytes, &size, &e), HF_OK);
    for (size_t cut = 0; cut < size; cut += cut < 4096 ? 1 : 997) {
        uint8_t *copy = malloc(cut ? cut : 1); /* exact size, so that ASan sees a read beyond */
        memcpy(copy, bytes, cut);
        assert_int_not_equal(hf_model_read(copy, cut, "cut.safetensors", &back, &e), HF_OK);
        assert_non_null(strstr(e.text, "cut.safetensors"));
        free(copy);
    }
    /* A changed header byte may still be valid; it must never crash or leak. */
    uint8_t *copy = malloc(size);
    for (size_t at = 0; at < 2500; at++) {
        memcpy(copy, bytes, size);
        copy[at] ^= (uint8_t)(1 + at % 127);
        if (hf_model_read(copy, size, "flip.safetensors", &back, &e) == HF_OK)
            hf_model_unref(back);
    }
    free(copy);
    free(bytes);
    hf_model_unref(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_has_kaiming_spread),
        cmocka_unit_test(test_checkpoint_round_trip),
        cmocka_unit_test(test_what_is_rebuilt_is_recorded),
        cmocka_unit_test(test_what_was_blanked_is_recorded),
        cmocka_unit_test(test_damaged_checkpoints_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
