/*
 * test_networks.c - what `unet` and `gated_unet` describe, against their shapes written out anew:
 * parameters counted layer by layer, sizes that leave the layers, which voxels a voxel sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../harness.h"

/* A network of a module with its default options, but for those named. */
struct change {
    const char *name;
    int64_t value; /* of an INT, BOOL or ENUM */
};

static struct hf_net *build(struct harness *h, const char *module, const char *name,
                            const struct change *change, int32_t in, int32_t out) {
    struct hf_error e;
    char path[64];
    (void)snprintf(path, sizeof path, "plugins/%s/%s", module, module);
    (void)harness_load(h, path);
    const struct hf_network_class *c = harness_network(h, name);
    char *options = calloc(1, c->options_size);
    assert_non_null(options);
    for (const struct hf_option *o = c->options; o->name; o++) {
        int64_t whole = strcmp(o->initial, "yes") == 0 ? 1 : atoll(o->initial);
        if (o->type == HF_OPTION_ENUM) {
            const char *at = o->choices;
            size_t n = strlen(o->initial);
            for (whole = 0; strncmp(at, o->initial, n) != 0; whole++)
                at = strchr(at, '|') + 1;
        }
        for (const struct change *k = change; k && k->name; k++)
            whole = strcmp(k->name, o->name) == 0 ? k->value : whole;
        if (o->type == HF_OPTION_INT)
            memcpy(options + o->offset, &whole, sizeof whole);
        else if (o->type == HF_OPTION_REAL)
            *(double *)(void *)(options + o->offset) = atof(o->initial);
        else
            *(int32_t *)(void *)(options + o->offset) = (int32_t)whole;
    }
    struct hf_net *net = NULL;
    if (c->build(harness_host(h), options, in, out, &net, &e) != HF_OK)
        fail_msg("%s", e.text);
    free(options);
    return net;
}

static int64_t count_params(struct harness *h, const struct hf_net *net) {
    struct hf_error e;
    struct hf_param *params = NULL;
    int32_t count = 0;
    int64_t floats = 0;
    assert_int_equal(harness_host(h)->net_params(net, &params, &count, &floats, &e), HF_OK);
    harness_host(h)->free_(params);
    return floats;
}

/* The shape that leaves layer `name`; NULL: the last. */
static void shape_of(struct harness *h, const struct hf_net *net, const int64_t input[5],
                     const char *name, int64_t ret[5]) {
    struct hf_error e;
    int64_t(*shape)[5] = calloc((size_t)net->layers, sizeof *shape);
    assert_non_null(shape);
    if (harness_host(h)->net_shapes(net, input, shape, &e) != HF_OK)
        fail_msg("%s", e.text);
    int32_t at = net->layers - 1;
    for (int32_t i = 0; name && i < net->layers; i++)
        at = strcmp(net->layer[i].name, name) == 0 ? i : at;
    memcpy(ret, shape[at], sizeof shape[at]);
    free(shape);
}

/* A convolution of k x k (x k): weights, and `more` for each channel that leaves it. */
static int64_t conv(int64_t in, int64_t out, int64_t taps, int64_t more) {
    return out * (in * taps + more);
}

/* Two convolutions a level; a norm has scale and shift in place of the bias. */
static int64_t unet_params(int64_t width, int levels, int norm, int deconv, int64_t taps,
                           int64_t pooled, int64_t in, int64_t out) {
    int64_t more = norm ? 2 : 1, n = conv(width, out, 1, 1), before = in;
    for (int level = 0; level < levels; level++) {
        int64_t w = width << level;
        n += conv(before, w, taps, more) + conv(w, w, taps, more);
        before = w;
    }
    for (int level = levels - 2; level >= 0; level--) {
        int64_t w = width << level, below = 2 * w;
        n += deconv ? conv(below, w, pooled, 1) : 0;
        n += conv(w + (deconv ? w : below), w, taps, more) + conv(w, w, taps, more);
    }
    return n;
}

static void unet_is_the_known_one(void **state) {
    (void)state;
    struct harness *h = harness_open();
    const int64_t slices[5] = {3, 2, 1, 64, 96}, volume[5] = {1, 2, 16, 32, 48};
    int64_t shape[5];
    struct hf_net *net = build(h, "unet", "unet", NULL, 2, 1);
    assert_int_equal(net->dims, 2);
    assert_int_equal(count_params(h, net), unet_params(32, 5, 1, 1, 9, 4, 2, 1));
    shape_of(h, net, slices, NULL, shape);
    assert_memory_equal(shape, ((int64_t[5]){3, 1, 1, 64, 96}), sizeof shape);
    shape_of(h, net, slices, "down4.act1", shape);
    assert_memory_equal(shape, ((int64_t[5]){3, 512, 1, 4, 6}), sizeof shape);
    harness_host(h)->net_free(net);

    /* 64 to 1024 channels, nothing normalised, nearest up: as the method's authors have it later;
     * 31.4 million parameters. */
    const struct change plain[] = {{"width", 64},     {"max_width", 1024}, {"norm", 0},
                                   {"activation", 0}, {"up", 1},           {NULL, 0}};
    net = build(h, "unet", "unet", plain, 2, 1);
    assert_int_equal(count_params(h, net), unet_params(64, 5, 0, 0, 9, 4, 2, 1));
    assert_in_range(count_params(h, net), 31350000, 31450000);
    harness_host(h)->net_free(net);

    const struct change deep[] = {{"dims", 3}, {"width", 4}, {"levels", 3}, {NULL, 0}};
    net = build(h, "unet", "unet", deep, 2, 3);
    assert_int_equal(net->dims, 3);
    assert_int_equal(count_params(h, net), unet_params(4, 3, 1, 1, 27, 8, 2, 3));
    shape_of(h, net, volume, "down2.act1", shape);
    assert_memory_equal(shape, ((int64_t[5]){1, 16, 4, 8, 12}), sizeof shape);
    shape_of(h, net, volume, NULL, shape);
    assert_memory_equal(shape, ((int64_t[5]){1, 3, 16, 32, 48}), sizeof shape);
    harness_host(h)->net_free(net);
    harness_close(h);
}

static const struct hf_layer *find_layer(const struct hf_net *net, const char *name) {
    for (int32_t i = 0; i < net->layers; i++)
        if (strcmp(net->layer[i].name, name) == 0)
            return &net->layer[i];
    return NULL;
}

/* The 3D network of nnU-Net for slices far apart: strided convolutions, the first level flat, heads
 * at all levels of the way up but the lowest. */
static void unet_can_be_that_of_nnunet(void **state) {
    (void)state;
    struct harness *h = harness_open();
    const int64_t patch[5] = {2, 1, 16, 64, 48};
    int64_t shape[5];
    const struct change deep[] = {{"dims", 3}, {"width", 8}, {"max_width", 32}, {"levels", 5},
                                  {"down", 1}, {"flat", 1},  {"supervise", 2},  {NULL, 0}};
    struct hf_net *net = build(h, "unet", "unet", deep, 1, 3);
    /* Level by level on the way down, then on the way up. */
    const int64_t w[5] = {8, 16, 32, 32, 32}, taps[5] = {9, 27, 27, 27, 27};
    int64_t n = conv(8, 3, 1, 1) + conv(16, 3, 1, 1) + conv(32, 3, 1, 1), before = 1;
    for (int level = 0; level < 5; level++) {
        n += conv(before, w[level], taps[level], 2) + conv(w[level], w[level], taps[level], 2);
        before = w[level];
    }
    for (int level = 3; level >= 0; level--)
        n += conv(w[level + 1], w[level], level ? 8 : 4, 1) +
             conv(2 * w[level], w[level], taps[level], 2) +
             conv(w[level], w[level], taps[level], 2);
    assert_int_equal(count_params(h, net), n);
    static const struct {
        const char *name;
        int64_t shape[5];
        float supervise;
    } layers[] = {{"down1.act1", {2, 16, 16, 32, 24}, 0},
                  {"down2.act1", {2, 32, 8, 16, 12}, 0},
                  {"down4.act1", {2, 32, 2, 4, 3}, 0},
                  {"head2.conv0", {2, 3, 8, 16, 12}, 0.25f},
                  {"head1.conv0", {2, 3, 16, 32, 24}, 0.5f}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        shape_of(h, net, patch, layers[i].name, shape);
        assert_memory_equal(shape, layers[i].shape, sizeof shape);
        assert_true(find_layer(net, layers[i].name)->supervise == layers[i].supervise);
    }
    shape_of(h, net, patch, NULL, shape);
    assert_memory_equal(shape, ((int64_t[5]){2, 3, 16, 64, 48}), sizeof shape);
    assert_null(find_layer(net, "head3.conv0"));
    assert_null(find_layer(net, "down0.pool0"));
    harness_host(h)->net_free(net);
    harness_close(h);
}

static void gated_unet_is_the_known_one(void **state) {
    (void)state;
    struct harness *h = harness_open();
    const struct change wide[] = {{"width", 64}, {NULL, 0}};
    struct hf_net *net = build(h, "gated_unet", "gated_unet", wide, 2, 1);
    /* Kernel, channels in units of 64 (0: the output), whether it is normalised. */
    static const int rows[][3] = {{7, 1, 0}, {4, 2, 1}, {3, 4, 1}, {4, 4, 1}, {3, 4, 1}, {3, 4, 1},
                                  {3, 4, 1}, {3, 4, 1}, {3, 4, 1}, {3, 4, 1}, {3, 4, 1}, {3, 4, 1},
                                  {3, 2, 1}, {3, 2, 1}, {3, 1, 1}, {7, 0, 0}};
    int64_t expected = 0, plain = 0, in = 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t out = rows[i][1] ? 64 * rows[i][1] : 1, taps = (int64_t)rows[i][0] * rows[i][0];
        int64_t norm = rows[i][2] ? 2 * out : 0;
        expected += conv(in, 2 * out, taps, 1) + norm;
        plain += conv(in, out, taps, 1) + norm;
        in = out;
    }
    assert_int_equal(count_params(h, net), expected);
    assert_in_range(expected, 13300000, 13500000); /* 13.4 million are reported for it */

    const int64_t slices[5] = {2, 2, 1, 128, 160};
    int64_t shape[5];
    /* Partial and plain convolutions have no gates. */
    for (int64_t kind = 1; kind <= 2; kind++) {
        const struct change other[] = {{"width", 64}, {"conv", kind}, {NULL, 0}};
        struct hf_net *ungated = build(h, "gated_unet", "gated_unet", other, 2, 1);
        assert_int_equal(count_params(h, ungated), plain);
        shape_of(h, ungated, slices, NULL, shape);
        assert_memory_equal(shape, ((int64_t[5]){2, 1, 1, 128, 160}), sizeof shape);
        harness_host(h)->net_free(ungated);
    }
    shape_of(h, net, slices, "middle7.act", shape);
    assert_memory_equal(shape, ((int64_t[5]){2, 256, 1, 32, 40}), sizeof shape);
    shape_of(h, net, slices, NULL, shape);
    assert_memory_equal(shape, ((int64_t[5]){2, 1, 1, 128, 160}), sizeof shape);

    /* How far a voxel of the bottleneck sees: at least a crop of 256 in all. */
    int64_t reach = 1, step = 1;
    int32_t strides = 0;
    for (int32_t i = 1; i < net->layers; i++) {
        const struct hf_layer *l = &net->layer[i];
        if (l->kind == HF_LAYER_UP)
            break;
        if (l->kind != HF_LAYER_CONV)
            continue;
        reach += (l->kernel[1] - 1) * (l->dilation[1] > 1 ? l->dilation[1] : 1) * step;
        step *= l->stride[1] > 1 ? l->stride[1] : 1;
        strides += l->stride[1] > 1;
        assert_int_equal(l->pad, HF_PAD_REFLECT);
    }
    assert_int_equal(strides, 2);
    assert_in_range(reach, 256, 320);
    harness_host(h)->net_free(net);
    harness_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unet_is_the_known_one),
        cmocka_unit_test(unet_can_be_that_of_nnunet),
        cmocka_unit_test(gated_unet_is_the_known_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
