/**
 * nn.c - how long a training step and a forward pass of a U-Net take on the CPU device.
 *
 *   bench-nn [dims [batch [size [width [threads [isa [repeats]]]]]]]
 *
 * Four levels, two 3x3 convolutions with instance norm and leaky ReLU each, max pooling down,
 * transposed convolutions up. Prints the median and the best of the repeats. Set
 * GOMP_SPINCOUNT=1000 on a machine that does other work as well.
 */
#include "../../tests/nn/nn_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEVELS      4
#define MAX_REPEATS 200

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum hf_status block(struct hf_net *net, const char *where, int level, int32_t channels,
                            int32_t *x, struct hf_error *e) {
    enum hf_status s = HF_OK;
    for (int i = 0; i < 2 && s == HF_OK; i++) {
        char name[HF_NET_NAME];
        (void)snprintf(name, sizeof name, "%s%d.conv%d", where, level, i);
        s = hf_net_conv(net, name, *x, channels, 3, 1, 1, x, e);
        (void)snprintf(name, sizeof name, "%s%d.norm%d", where, level, i);
        s = s == HF_OK ? hf_net_norm(net, name, *x, 1e-5f, x, e) : s;
        (void)snprintf(name, sizeof name, "%s%d.act%d", where, level, i);
        s = s == HF_OK ? hf_net_act(net, name, *x, HF_ACT_LEAKY, 0.01f, x, e) : s;
    }
    return s;
}

static enum hf_status unet(struct hf_net *net, int32_t dims, int32_t width, struct hf_error *e) {
    int32_t x = 0, skip[LEVELS];
    char name[HF_NET_NAME];
    enum hf_status s = hf_net_init(net, dims, 1, e);
    for (int l = 0; l < LEVELS && s == HF_OK; l++) {
        (void)snprintf(name, sizeof name, "pool%d", l);
        s = l ? hf_net_simple(net, HF_LAYER_POOL, name, x, 2, &x, e) : s;
        s = s == HF_OK ? block(net, "down", l, width << l, &x, e) : s;
        skip[l] = x;
    }
    for (int l = LEVELS - 2; l >= 0 && s == HF_OK; l--) {
        (void)snprintf(name, sizeof name, "up%d", l);
        s = hf_net_deconv(net, name, x, width << l, 2, 1, &x, e);
        (void)snprintf(name, sizeof name, "cat%d", l);
        s = s == HF_OK ? hf_net_join(net, HF_LAYER_CONCAT, name, x, skip[l], &x, e) : s;
        s = s == HF_OK ? block(net, "up", l, width << l, &x, e) : s;
    }
    return s == HF_OK ? hf_net_conv(net, "head", x, 1, 1, 1, 1, NULL, e) : s;
}

static struct hf_tensor tensor(const int64_t *shape, int ndim, unsigned seed) {
    struct hf_tensor t = {.dtype = HF_F32};
    t.dl.ndim = ndim;
    int64_t count = 1;
    for (int i = 0; i < ndim; i++)
        count *= t.shape[i] = shape[i];
    float *data = malloc((size_t)count * sizeof *data);
    for (int64_t i = 0; data && i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(seed >> 8) * 0x1p-24f - 0.5f;
    }
    t.dl.data = data;
    return t;
}

struct bench {
    struct hf_executable *x;
    struct hf_tensor in, target, out, loss;
};

static enum hf_status once(struct bench *b, int train, struct hf_error *e) {
    struct hf_tensor *done = train ? &b->loss : &b->out;
    enum hf_status s = train
                           ? b->x->methods->step(b->x, &b->in, &b->target, NULL, 1e-3f, &b->loss, e)
                           : b->x->methods->forward(b->x, &b->in, &b->out, e);
    return s == HF_OK ? cpu_event_sync(done->ready, e) : s;
}

static enum hf_status measure(struct bench *b, struct cpu_executor *ex, enum kn_isa isa,
                              const struct hf_net *net, struct hf_exec_spec *spec, int repeats,
                              struct hf_error *e) {
    int train = spec->mode == HF_EXEC_TRAIN;
    double begin = now(), ms[MAX_REPEATS];
    enum hf_status s = cpu_nn_compile_for(ex, isa, nn_host(), net, spec, &b->x, e);
    if (s != HF_OK)
        return s;
    double built = now() - begin;
    struct hf_param *param;
    int32_t params;
    int64_t total;
    s = hf_net_params(net, &param, &params, &total, e);
    if (s == HF_OK) {
        struct hf_tensor start = tensor(&total, 1, 7);
        for (int64_t i = 0; i < total; i++)
            HF_DATA(float, &start)[i] *= 0.2f;
        s = b->x->methods->set_params(b->x, start.dl.data, e);
        free(start.dl.data);
        free(param);
    }
    for (int i = -3; i < repeats && s == HF_OK; i++) {
        double t = now();
        s = once(b, train, e);
        if (i >= 0)
            ms[i] = now() - t;
    }
    if (s == HF_OK) {
        size_t arena, all;
        b->x->methods->memory(b->x, &arena, &all);
        qsort(ms, (size_t)repeats, sizeof *ms, by_value);
        printf("%-8s median %8.2f ms  best %8.2f ms  compile %6.1f ms  arena %5zu MiB  all %5zu "
               "MiB\n",
               train ? "train" : "forward", ms[repeats / 2], ms[0], built, arena >> 20, all >> 20);
    }
    b->x->methods->destroy(b->x);
    return s;
}

int main(int argc, char **argv) {
    int32_t arg[7] = {2, 8, 128, 16, 2, KN_AUTO, 20};
    for (int i = 1; i < argc && i < 8; i++)
        arg[i - 1] = atoi(argv[i]);
    int repeats = arg[6] < 1 ? 1 : arg[6] > MAX_REPEATS ? MAX_REPEATS : arg[6];
    int64_t shape[5] = {arg[1], 1, arg[0] == 3 ? arg[2] : 1, arg[2], arg[2]};
    int64_t losses = 2;
    struct hf_error e = {0};
    struct hf_net net = {0};
    struct cpu_executor *ex = NULL;
    struct bench b = {.in = tensor(shape, 5, 1),
                      .target = tensor(shape, 5, 2),
                      .out = tensor(shape, 5, 3),
                      .loss = tensor(&losses, 1, 4)};
    struct hf_exec_spec spec = {
        .loss_terms = 1,
        .loss = {{HF_LOSS_BCE, 1.0f, 1.0f}},
        .optimizer = {.kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f}};
    memcpy(spec.shape, shape, sizeof shape);
    enum hf_status s = unet(&net, arg[0], arg[3], &e);
    if (s == HF_OK)
        s = cpu_executor_open(arg[4], &ex, &e);
    for (int mode = 0; mode < 2 && s == HF_OK; mode++) {
        spec.mode = mode ? HF_EXEC_TRAIN : HF_EXEC_FORWARD;
        s = measure(&b, ex, (enum kn_isa)arg[5], &net, &spec, repeats, &e);
    }
    cpu_event_unref(b.out.ready);
    cpu_event_unref(b.loss.ready);
    cpu_executor_close(ex);
    hf_net_clear(&net);
    free(b.in.dl.data);
    free(b.target.dl.data);
    free(b.out.dl.data);
    free(b.loss.dl.data);
    if (s != HF_OK)
        fprintf(stderr, "bench-nn: %s\n", e.text);
    return s != HF_OK;
}
