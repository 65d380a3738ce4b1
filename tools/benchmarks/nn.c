/**
 * nn.c - training steps and forward passes of a U-Net on the CPU device, for `tools/bench nn`.
 *
 *   bench-nn [--dims 2|3] [--batch N] [--channels N] [--size N] [--width N] [--threads N] [--isa N]
 *            [--describe | --memory train|forward]
 *
 * Four levels, two 3x3 convolutions with instance norm and leaky ReLU each, max pooling down,
 * transposed convolutions up. Reads words from its input: after "train" or "forward" it does one
 * and prints the milliseconds that it took, so that several programs can take turns. Before that
 * it prints a line of JSON that says what it is. --describe prints the network instead, as a
 * checkpoint has it; --memory, the bytes that two steps or passes need.
 */
#include "../../engine/nn/net_json.h"
#include "../../tests/nn/nn_run.h"

#include <hepaflow/rng.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEVELS 4

struct arguments {
    int32_t dims, batch, channels, size, width, threads, isa;
    int describe;
    const char *memory;
};

struct bench {
    struct hf_executable *x[2]; /* of HF_EXEC_FORWARD, HF_EXEC_TRAIN */
    struct hf_tensor in, target, out, loss;
};

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- the network ---- */

static enum hf_status block(struct hf_net *net, const char *where, int level, int32_t channels,
                            int32_t *x, struct hf_error *e) {
    enum hf_status s = HF_OK;
    for (int i = 0; i < 2 && s == HF_OK; i++) {
        struct hf_layer conv = {
            .kind = HF_LAYER_CONV, .inputs = 1, .input = {*x}, .channels = channels};
        for (int a = 0; a < 3; a++)
            conv.kernel[a] = a || net->dims == 3 ? 3 : 1;
        char name[HF_NET_NAME];
        (void)snprintf(conv.name, sizeof conv.name, "%s%d.conv%d", where, level, i);
        s = hf_net_add(net, &conv, x, e);
        (void)snprintf(name, sizeof name, "%s%d.norm%d", where, level, i);
        s = s == HF_OK ? hf_net_norm(net, name, *x, 1e-5f, x, e) : s;
        (void)snprintf(name, sizeof name, "%s%d.act%d", where, level, i);
        s = s == HF_OK ? hf_net_act(net, name, *x, HF_ACT_LEAKY, 0.01f, x, e) : s;
    }
    return s;
}

static enum hf_status unet(struct hf_net *net, const struct arguments *a, struct hf_error *e) {
    int32_t x = 0, skip[LEVELS];
    char name[HF_NET_NAME];
    enum hf_status s = hf_net_init(net, a->dims, a->channels, e);
    for (int l = 0; l < LEVELS && s == HF_OK; l++) {
        (void)snprintf(name, sizeof name, "pool%d", l);
        s = l ? hf_net_simple(net, HF_LAYER_POOL, name, x, 2, &x, e) : s;
        s = s == HF_OK ? block(net, "down", l, a->width << l, &x, e) : s;
        skip[l] = x;
    }
    for (int l = LEVELS - 2; l >= 0 && s == HF_OK; l--) {
        (void)snprintf(name, sizeof name, "up%d", l);
        s = hf_net_deconv(net, name, x, a->width << l, 2, 1, &x, e);
        (void)snprintf(name, sizeof name, "cat%d", l);
        s = s == HF_OK ? hf_net_join(net, HF_LAYER_CONCAT, name, x, skip[l], &x, e) : s;
        s = s == HF_OK ? block(net, "back", l, a->width << l, &x, e) : s;
    }
    return s == HF_OK ? hf_net_conv(net, "head", x, 1, 1, 1, 1, NULL, e) : s;
}

static enum hf_status describe(const struct hf_net *net, struct hf_error *e) {
    cJSON *json = hf_net_to_json(net);
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
    return text ? HF_OK : hf_fail(e, HF_NO_MEMORY, "out of memory");
}

/* ---- data and executables ---- */

static struct hf_tensor tensor(const int64_t *shape, int ndim, int is_mask) {
    struct hf_tensor t = {.dtype = HF_F32};
    struct hf_rng rng = hf_rng_init(66, "bench", is_mask ? "target" : "input", 0);
    t.dl.ndim = ndim;
    int64_t count = 1;
    for (int i = 0; i < ndim; i++)
        count *= t.shape[i] = shape[i];
    float *data = malloc((size_t)count * sizeof *data);
    for (int64_t i = 0; data && i < count; i++) {
        float u = hf_rng_uniform(&rng);
        data[i] = is_mask ? (float)(u < 0.1f) : u;
    }
    t.dl.data = data;
    return t;
}

static enum hf_status make_data(struct bench *b, const struct arguments *a, struct hf_error *e) {
    int64_t in[5] = {a->batch, a->channels, a->dims == 3 ? a->size : 1, a->size, a->size};
    int64_t out[5] = {in[0], 1, in[2], in[3], in[4]}, losses = 3;
    b->in = tensor(in, 5, 0);
    b->target = tensor(out, 5, 1);
    b->out = tensor(out, 5, 0);
    b->loss = tensor(&losses, 1, 0);
    return b->in.dl.data && b->target.dl.data && b->out.dl.data && b->loss.dl.data
               ? HF_OK
               : hf_fail(e, HF_NO_MEMORY, "no memory for the data");
}

static void release(struct bench *b) {
    for (int i = 0; i < 2; i++)
        if (b->x[i])
            b->x[i]->methods->destroy(b->x[i]);
    cpu_event_unref(b->out.ready);
    cpu_event_unref(b->loss.ready);
    free(b->in.dl.data);
    free(b->target.dl.data);
    free(b->out.dl.data);
    free(b->loss.dl.data);
}

static enum hf_status compile(struct bench *b, struct cpu_executor *ex, const struct arguments *a,
                              const struct hf_net *net, enum hf_exec_mode mode,
                              struct hf_error *e) {
    struct hf_exec_spec spec = {
        .mode = mode,
        .shape = {a->batch, a->channels, a->dims == 3 ? a->size : 1, a->size, a->size},
        .loss_terms = 2,
        .loss = {{.kind = HF_LOSS_BCE, .factor = 1, .pos_weight = 1},
                 {.kind = HF_LOSS_DICE, .factor = 1, .pos_weight = 1}},
        .optimizer = {.kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f}};
    struct hf_param *param = NULL;
    int32_t params;
    int64_t total;
    enum hf_status s =
        cpu_nn_compile_for(ex, (enum kn_isa)a->isa, nn_host(), net, &spec, &b->x[mode], e);
    if (s == HF_OK)
        s = hf_net_params(net, &param, &params, &total, e);
    if (s != HF_OK)
        return s;
    free(param);
    struct hf_tensor start = tensor(&total, 1, 0);
    float *p = start.dl.data;
    for (int64_t i = 0; p && i < total; i++)
        p[i] = 0.2f * (p[i] - 0.5f);
    s = p ? b->x[mode]->methods->set_params(b->x[mode], p, e) : hf_fail(e, HF_NO_MEMORY, "memory");
    free(p);
    return s;
}

static enum hf_status once(struct bench *b, enum hf_exec_mode mode, struct hf_error *e) {
    struct hf_executable *x = b->x[mode];
    int train = mode == HF_EXEC_TRAIN;
    struct hf_tensor *done = train ? &b->loss : &b->out;
    enum hf_status s = train ? x->methods->step(x, &b->in, &b->target, NULL, 1e-3f, &b->loss, e)
                             : x->methods->forward(x, &b->in, &b->out, e);
    return s == HF_OK ? cpu_event_sync(done->ready, e) : s;
}

/* ---- what is asked ---- */

/** KiB of a line of /proc/self/status. */
static long status_kib(const char *key) {
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtol(line + strlen(key) + 1, NULL, 10);
    if (f)
        (void)fclose(f);
    return kib;
}

/** The peak begins here. */
static void forget_peak(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        (void)fputs("5", f);
        (void)fclose(f);
    }
}

/** Two steps or passes: what the executable says it holds, and how far the process grew. */
static enum hf_status memory(struct bench *b, struct cpu_executor *ex, const struct arguments *a,
                             const struct hf_net *net, struct hf_error *e) {
    enum hf_exec_mode mode = strcmp(a->memory, "train") == 0 ? HF_EXEC_TRAIN : HF_EXEC_FORWARD;
    struct arguments small = *a;
    struct bench warm = {0};
    small.batch = 1; /* loads what oneDNN and OpenMP load at the first use */
    small.size = 32;
    enum hf_status s = make_data(&warm, &small, e);
    if (s == HF_OK)
        s = compile(&warm, ex, &small, net, mode, e);
    if (s == HF_OK)
        s = once(&warm, mode, e);
    release(&warm);
    forget_peak();
    long before = status_kib("VmRSS:");
    if (s == HF_OK)
        s = make_data(b, a, e);
    if (s == HF_OK)
        s = compile(b, ex, a, net, mode, e);
    for (int i = 0; i < 2 && s == HF_OK; i++)
        s = once(b, mode, e);
    if (s != HF_OK)
        return s;
    size_t arena, all;
    b->x[mode]->methods->memory(b->x[mode], &arena, &all);
    printf("{\"bytes\": %zu, \"arena\": %zu, \"grown\": %ld}\n", all, arena,
           1024 * (status_kib("VmHWM:") - before));
    return HF_OK;
}

static enum hf_status serve(struct bench *b, struct cpu_executor *ex, const struct arguments *a,
                            const struct hf_net *net, struct hf_error *e) {
    enum hf_status s = make_data(b, a, e);
    if (s == HF_OK)
        s = compile(b, ex, a, net, HF_EXEC_FORWARD, e);
    if (s == HF_OK)
        s = compile(b, ex, a, net, HF_EXEC_TRAIN, e);
    char text[160], word[16];
    if (s == HF_OK)
        printf("{\"is\": \"%s\"}\n", cpu_nn_describe(text, sizeof text));
    (void)fflush(stdout);
    while (s == HF_OK && scanf("%15s", word) == 1) {
        double start = now();
        s = once(b, strcmp(word, "train") == 0 ? HF_EXEC_TRAIN : HF_EXEC_FORWARD, e);
        printf("%.4f\n", now() - start);
        (void)fflush(stdout);
    }
    return s;
}

static int parse(struct arguments *a, int argc, char **argv) {
    const struct {
        const char *name;
        int32_t *to;
    } number[] = {{"--dims", &a->dims}, {"--batch", &a->batch}, {"--channels", &a->channels},
                  {"--size", &a->size}, {"--width", &a->width}, {"--threads", &a->threads},
                  {"--isa", &a->isa}};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--describe") == 0) {
            a->describe = 1;
            continue;
        }
        int known = 0;
        if (i + 1 == argc)
            return 0;
        if (strcmp(argv[i], "--memory") == 0) {
            a->memory = argv[i + 1];
            known = 1;
        }
        for (size_t k = 0; k < sizeof number / sizeof *number; k++)
            if (strcmp(argv[i], number[k].name) == 0) {
                *number[k].to = atoi(argv[i + 1]);
                known = *number[k].to >= 0;
            }
        if (!known)
            return 0;
        i++;
    }
    return 1;
}

int main(int argc, char **argv) {
    struct arguments a = {.dims = 2,
                          .batch = 8,
                          .channels = 2,
                          .size = 128,
                          .width = 32,
                          .threads = 2,
                          .isa = KN_AUTO};
    if (!parse(&a, argc, argv)) {
        (void)fprintf(stderr,
                      "bench-nn: unknown or incomplete option; see tools/benchmarks/nn.c\n");
        return 2;
    }
    struct hf_error e = {0};
    struct hf_net net = {0};
    struct cpu_executor *ex = NULL;
    struct bench b = {0};
    enum hf_status s = unet(&net, &a, &e);
    if (s == HF_OK && a.describe)
        s = describe(&net, &e);
    else if (s == HF_OK)
        s = cpu_executor_open(a.threads, &ex, &e);
    if (s == HF_OK && ex)
        s = a.memory ? memory(&b, ex, &a, &net, &e) : serve(&b, ex, &a, &net, &e);
    release(&b);
    cpu_executor_close(ex);
    hf_net_clear(&net);
    if (s != HF_OK)
        (void)fprintf(stderr, "bench-nn: %s\n", e.text);
    return s != HF_OK;
}
