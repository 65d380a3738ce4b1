/*
 * write_models.c - checkpoints of every network, each with an input and what the CPU device makes
 * of it: FOLDER/<name>.safetensors, <name>.in.npy, <name>.out.npy. torch_check.sh runs it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../engine/nn/model.h"
#include "../harness.h"

struct choice {
    const char *option;
    int64_t value; /* of an INT, BOOL or ENUM */
};

struct network {
    const char *name, *network;
    struct choice choice[6];
    int64_t shape[5];
};

static const struct network networks[] = {
    {"unet", "unet", {{"width", 4}, {"levels", 3}}, {2, 2, 1, 16, 24}},
    {"unet_plain",
     "unet",
     {{"width", 4}, {"levels", 3}, {"norm", 0}, {"activation", 0}, {"up", 1}},
     {1, 2, 1, 16, 16}},
    {"unet_down", "unet", {{"width", 4}, {"levels", 3}, {"down", 1}}, {1, 2, 1, 16, 24}},
    {"unet3d", "unet", {{"dims", 3}, {"width", 4}, {"levels", 3}}, {1, 2, 8, 12, 16}},
    {"unet3d_nearest",
     "unet",
     {{"dims", 3}, {"width", 4}, {"levels", 2}, {"up", 1}},
     {1, 2, 4, 6, 8}},
    {"unet3d_flat",
     "unet",
     {{"dims", 3}, {"width", 4}, {"levels", 4}, {"down", 1}, {"flat", 1}, {"supervise", 2}},
     {1, 2, 8, 32, 32}},
    {"gated", "gated_unet", {{"width", 4}}, {1, 2, 1, 96, 80}},
    {"gated_zero", "gated_unet", {{"width", 3}, {"reflect", 0}, {"norm", 0}}, {1, 2, 1, 32, 40}},
    {"partial", "gated_unet", {{"conv", 1}, {"width", 4}}, {1, 2, 1, 96, 80}},
    {"partial_zero", "gated_unet", {{"conv", 1}, {"width", 4}, {"reflect", 0}}, {2, 2, 1, 40, 32}},
    {"plain", "gated_unet", {{"conv", 2}, {"width", 4}}, {1, 2, 1, 96, 80}},
};

static const char *folder;

static FILE *create(const char *name, const char *end) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s%s", folder, name, end);
    FILE *f = fopen(path, "wb");
    if (!f)
        fail_msg("cannot write %s", path);
    return f;
}

/* NumPy's format 1.0: a header of 128 bytes, then the data. */
static void write_npy(const char *name, const char *end, const struct hf_tensor *t) {
    const int64_t *s = t->shape;
    char text[119], head[128] = "\x93NUMPY\x01";
    int n = snprintf(text, sizeof text,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld, %lld, %lld, "
                     "%lld), }",
                     (long long)s[0], (long long)s[1], (long long)s[2], (long long)s[3],
                     (long long)s[4]);
    memset(head + 8, ' ', sizeof head - 8);
    head[8] = 118;
    head[9] = 0;
    memcpy(head + 10, text, (size_t)n);
    head[127] = '\n';
    FILE *f = create(name, end);
    assert_int_equal(fwrite(head, 1, sizeof head, f), sizeof head);
    assert_int_equal(fwrite(t->dl.data, 1, t->bytes, f), t->bytes);
    assert_int_equal(fclose(f), 0);
}

static struct hf_net *build(struct harness *h, const struct network *n) {
    struct hf_error e = {0};
    const struct hf_network_class *c = harness_network(h, n->network);
    char *options = calloc(1, c->options_size);
    assert_non_null(options);
    for (const struct hf_option *o = c->options; o->name; o++) {
        int64_t whole = strcmp(o->initial, "yes") == 0 ? 1 : atoll(o->initial);
        const char *at = o->type == HF_OPTION_ENUM ? o->choices : NULL;
        size_t length = strlen(o->initial);
        for (whole = at ? 0 : whole; at && strncmp(at, o->initial, length) != 0; whole++)
            at = strchr(at, '|') + 1;
        for (size_t i = 0; i < sizeof n->choice / sizeof *n->choice && n->choice[i].option; i++)
            whole = strcmp(n->choice[i].option, o->name) == 0 ? n->choice[i].value : whole;
        if (o->type == HF_OPTION_INT)
            memcpy(options + o->offset, &whole, sizeof whole);
        else if (o->type == HF_OPTION_REAL)
            *(double *)(void *)(options + o->offset) = atof(o->initial);
        else
            *(int32_t *)(void *)(options + o->offset) = (int32_t)whole;
    }
    struct hf_net *net = NULL;
    if (c->build(harness_host(h), options, (int32_t)n->shape[1], 2, &net, &e) != HF_OK)
        fail_msg("%s: %s", n->name, e.text);
    free(options);
    return net;
}

/* Every parameter random, biases and shifts too. */
static float *make_params(const struct hf_host *host, const struct hf_net *net) {
    struct hf_error e = {0};
    struct hf_param *param = NULL;
    int32_t count = 0;
    int64_t floats = 0;
    assert_int_equal(host->net_params(net, &param, &count, &floats, &e), HF_OK);
    float *p = calloc((size_t)floats, sizeof *p);
    assert_non_null(p);
    assert_int_equal(host->net_init(net, hf_rng_init(66, "test", "", 0), p, &e), HF_OK);
    struct hf_rng rng = hf_rng_init(67, "test", "", 0);
    for (int64_t i = 0; i < floats; i++)
        p[i] += 0.2f * (hf_rng_uniform(&rng) - 0.5f);
    host->free_(param);
    return p;
}

/* Noise; channel 1 is a hole of 1 in 0, as wide as a window of the first layers. */
static struct hf_tensor *make_input(struct harness *h, const struct network *n) {
    struct hf_error e = {0};
    struct hf_tensor *t = NULL;
    const struct hf_host *host = harness_host(h);
    assert_int_equal(host->tensor_new(host, harness_cpu(h), NULL, HF_F32, 5, n->shape, &t, &e),
                     HF_OK);
    struct hf_rng rng = hf_rng_init(68, "test", "", 0);
    int64_t height = n->shape[3], width = n->shape[4], plane = n->shape[2] * height * width;
    for (int64_t i = 0; i < hf_tensor_count(t); i++) {
        float u = hf_rng_uniform(&rng);
        int64_t y = i / width % height, x = i % width;
        int hole = y > height / 4 && y < height / 2 && x > width / 3 && x < width / 2 + 8;
        HF_DATA(float, t)[i] = i / plane % n->shape[1] == 1 ? (float)hole : u;
    }
    return t;
}

static void write_one(struct harness *h, const struct network *n) {
    const struct hf_host *host = harness_host(h);
    struct hf_device *cpu = harness_cpu(h);
    struct hf_error e = {0};
    struct hf_net *net = build(h, n);
    float *params = make_params(host, net);
    struct hf_model_info info = {.input_channels = (int32_t)n->shape[1],
                                 .output_channels = 2,
                                 .inputs = {.count = 0},
                                 .dims = net->dims};
    (void)snprintf(info.activation, sizeof info.activation, "none");
    struct hf_model *m = NULL;
    void *bytes = NULL;
    size_t size = 0;
    if (hf_model_new(&info, net, params, &m, &e) != HF_OK ||
        hf_model_write(m, NULL, &bytes, &size, &e) != HF_OK)
        fail_msg("%s: %s", n->name, e.text);
    FILE *f = create(n->name, ".safetensors");
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD, .precision = HF_PRECISION_F32};
    memcpy(spec.shape, n->shape, sizeof spec.shape);
    const int64_t shape[5] = {n->shape[0], 2, n->shape[2], n->shape[3], n->shape[4]};
    struct hf_tensor *in = make_input(h, n), *out = NULL;
    struct hf_executable *x = NULL;
    if (cpu->methods->compile(cpu, NULL, net, &spec, &x, &e) != HF_OK ||
        host->tensor_new(host, cpu, NULL, HF_F32, 5, shape, &out, &e) != HF_OK ||
        x->methods->set_params(x, params, &e) != HF_OK ||
        x->methods->forward(x, in, out, &e) != HF_OK || host->tensor_wait(out, &e) != HF_OK)
        fail_msg("%s: %s", n->name, e.text);
    write_npy(n->name, ".in.npy", in);
    write_npy(n->name, ".out.npy", out);
    x->methods->destroy(x);
    host->tensor_unref(in);
    host->tensor_unref(out);
    hf_model_unref(m);
    free(bytes);
    free(params);
    host->net_free(net);
}

static void write_all(void **state) {
    (void)state;
    struct harness *h = harness_open();
    (void)harness_load(h, "plugins/unet/unet");
    (void)harness_load(h, "plugins/gated_unet/gated_unet");
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        write_one(h, &networks[i]);
    harness_close(h);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(write_all)};
    if (argc != 2)
        return 2;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
