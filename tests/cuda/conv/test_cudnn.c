/*
 * test_cudnn.c - what is asked of cuDNN, on a machine without a GPU: the operation graphs of every
 * convolution in every network of graphs/ and tools/benchmarks, and in a 3D network, are whole; and
 * described GPUs (cuDNN 9.8) have engines for them that keep to the rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "../../../plugins/cuda/nn/conv_cudnn.h"
#include "../../../plugins/nn/graph.h"
#include "../../harness.h"
#include "described.h"

enum {
    MAX_CONVS = 400,
    MAX_NETWORKS = 40
};

/* Every convolution that the networks need, once. */
struct convs {
    struct cv_spec spec[MAX_CONVS];
    char name[MAX_CONVS][HF_NET_NAME];
    int32_t count;
};

/* What a graph says of one network. */
struct network {
    char text[256]; /* "unet" or "{unet: {width: 16}}" */
    int32_t inputs;
    int64_t batch, size[3];
};

static struct convs convs;
static struct network networks[MAX_NETWORKS];
static int32_t network_count;

/* ---- the networks of the graphs ---- */

/* What follows `key` in a line of YAML, or NULL. */
static const char *value_of(const char *line, const char *key) {
    const char *at = strstr(line, key);
    return at && (at == line || at[-1] == ' ' || at[-1] == '{') ? at + strlen(key) : NULL;
}

static void read_graph(const char *path) {
    FILE *f = fopen(path, "r");
    char line[512];
    int64_t height = 256, width = 256;
    struct network *n = NULL;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        long long a, b;
        const char *v = value_of(line, "size: [");
        if (v && sscanf(v, "%lld, %lld]", &a, &b) == 2) {
            height = a;
            width = b;
        }
        v = value_of(line, "network: ");
        if (v) {
            assert_in_range(network_count, 0, MAX_NETWORKS - 1);
            n = &networks[network_count++];
            *n = (struct network){.batch = 8, .size = {1, height, width}};
            (void)snprintf(n->text, sizeof n->text, "%.*s", (int)strcspn(v, "\n"), v);
        }
        v = value_of(line, "inputs: [");
        if (v && n)
            for (n->inputs = 1; *v && *v != ']'; v++)
                n->inputs += *v == ',';
        v = value_of(line, "batch: ");
        if (v && n)
            n->batch = atoll(v);
    }
    (void)fclose(f);
}

static void read_graphs(const char *folder) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", getenv("HEPAFLOW_SOURCE"), folder);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (strstr(entry->d_name, ".yaml")) {
            (void)snprintf(path, sizeof path, "%s/%s/%s", getenv("HEPAFLOW_SOURCE"), folder,
                           entry->d_name);
            read_graph(path);
        }
    (void)closedir(d);
}

/* Sets an option from YAML's text. */
static void set_option(char *options, const struct hf_option *o, const char *text) {
    int64_t whole = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 ? 1 : atoll(text);
    if (o->type == HF_OPTION_ENUM) {
        const char *at = o->choices;
        size_t size = strlen(text);
        for (whole = 0; strncmp(at, text, size) != 0; whole++) {
            at = strchr(at, '|');
            assert_non_null(at);
            at++;
        }
    }
    if (o->type == HF_OPTION_INT)
        memcpy(options + o->offset, &whole, sizeof whole);
    else if (o->type == HF_OPTION_REAL)
        *(double *)(void *)(options + o->offset) = atof(text);
    else
        *(int32_t *)(void *)(options + o->offset) = (int32_t)whole;
}

/* The network of "{unet: {width: 16, up: nearest}}", or of "unet" alone. */
static struct hf_net *build(struct harness *h, const struct network *n) {
    char text[256], *rest = text, *word[32];
    int words = 0;
    (void)snprintf(text, sizeof text, "%s", n->text);
    for (char *w; words < 32 && (w = strtok_r(rest, "{}:, ", &rest)) != NULL && *w != '#';)
        word[words++] = w;
    assert_true(words > 0 && words % 2 == 1);
    const struct hf_network_class *c = harness_network(h, word[0]);
    char *options = calloc(1, c->options_size);
    assert_non_null(options);
    int used = 1;
    for (const struct hf_option *o = c->options; o->name; o++) {
        set_option(options, o, o->initial);
        for (int i = 1; i < words; i += 2)
            if (strcmp(word[i], o->name) == 0) {
                set_option(options, o, word[i + 1]);
                used += 2;
            }
    }
    assert_int_equal(used, words);
    struct hf_net *net = NULL;
    struct hf_error e = {0};
    if (c->build(harness_host(h), options, n->inputs, 1, &net, &e) != HF_OK)
        fail_msg("%s", e.text);
    free(options);
    return net;
}

/* ---- their convolutions ---- */

static enum hf_status conv_seen(void *context, const struct nn_conv_spec *s, void **ret,
                                struct hf_error *e) {
    (void)context;
    (void)e;
    struct cv_spec spec = cv_spec_of(s, HF_PRECISION_F32);
    char problem[CV_PROBLEM], other[CV_PROBLEM];
    (void)cv_problem(&spec, CV_FORWARD, problem);
    *ret = &convs;
    for (int32_t i = 0; i < convs.count; i++)
        if (strcmp(cv_problem(&convs.spec[i], CV_FORWARD, other), problem) == 0)
            return HF_OK;
    assert_in_range(convs.count, 0, MAX_CONVS - 1);
    char *name = convs.name[convs.count];
    (void)snprintf(name, HF_NET_NAME, "%s", s->name);
    spec.name = name;
    convs.spec[convs.count++] = spec;
    return HF_OK;
}

static void conv_forget(void *conv) {
    (void)conv;
}

static size_t no_conv_scratch(const void *conv, enum nn_pass pass) {
    (void)conv;
    (void)pass;
    return 0;
}

static size_t no_scratch(int64_t n, int64_t s, int64_t c) {
    (void)n;
    (void)s;
    (void)c;
    return 0;
}

static void collect(struct harness *h, const struct network *n) {
    static const struct nn_target target = {.element = 4,
                                            .align = 1,
                                            .conv_new = conv_seen,
                                            .conv_free = conv_forget,
                                            .conv_scratch = no_conv_scratch,
                                            .norm_scratch = no_scratch,
                                            .loss_scratch = no_scratch};
    struct hf_net *net = build(h, n);
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD,
                                .precision = HF_PRECISION_F32,
                                .shape = {n->batch, n->inputs, n->size[0], n->size[1], n->size[2]}};
    struct graph g = {0};
    struct hf_error e = {0};
    if (graph_lower(&g, &target, harness_host(h), net, &spec, &e) != HF_OK)
        fail_msg("%s: %s", n->text, e.text);
    graph_clear(&g);
    harness_host(h)->net_free(net);
}

static int open_all(void **state) {
    (void)state;
    struct harness *h = harness_open();
    (void)harness_load(h, "plugins/unet/unet");
    (void)harness_load(h, "plugins/gated_unet/gated_unet");
    read_graphs("graphs");
    int32_t shipped = network_count;
    read_graphs("tools/benchmarks");
    for (int32_t i = shipped; i < network_count; i++)
        networks[i].batch = 32;
    networks[network_count++] =
        (struct network){"{unet: {dims: 3, width: 16, max_width: 128}}", 2, 1, {64, 64, 64}};
    for (int32_t i = 0; i < network_count; i++)
        collect(h, &networks[i]);
    harness_close(h);
    described_hasten();
    return shipped < 8 || network_count < shipped + 3;
}

/* ---- operation graphs ---- */

static void every_graph_is_whole(void **state) {
    (void)state;
    int fused = 0;
    assert_in_range(convs.count, 60, MAX_CONVS);
    for (int32_t i = 0; i < convs.count; i++)
        for (int precision = HF_PRECISION_F32; precision < HF_PRECISIONS; precision++)
            for (int pass = 0; pass < CV_PASSES; pass++)
                for (int bias = 0; bias <= (pass == CV_FORWARD && convs.spec[i].bias); bias++) {
                    struct cv_spec spec = convs.spec[i];
                    struct cv_graph g = {0};
                    struct hf_error e = {0};
                    spec.precision = (enum hf_precision)precision;
                    if (cv_graph_new(&spec, (enum cv_pass)pass, bias, NULL, &g, &e) != HF_OK)
                        fail_msg("%s", e.text);
                    assert_int_equal(g.fused, bias);
                    fused += bias;
                    cv_graph_free(&g);
                    assert_int_equal(g.items, 0);
                }
    assert_true(fused > 0);
}

static void refuse(const struct cv_spec *spec, enum cv_pass pass) {
    struct cv_graph g = {0};
    struct hf_error e = {0};
    enum hf_status st = cv_graph_new(spec, pass, 0, NULL, &g, &e);
    assert_int_equal(st, HF_INVALID);
    assert_int_equal(e.status, HF_INVALID);
    assert_non_null(strstr(e.text, spec->name));
    assert_non_null(strstr(e.text, "CUDNN_STATUS_BAD_PARAM"));
    assert_non_null(strstr(e.text, "kernel 3x3"));
    assert_null(strchr(e.text, '\n'));
}

static void wrong_sizes_are_refused(void **state) {
    (void)state;
    struct cv_spec good = {.name = "wrong",
                           .precision = HF_PRECISION_F32,
                           .dims = 2,
                           .n = 2,
                           .ci = 3,
                           .co = 4,
                           .in = {1, 8, 8},
                           .out = {1, 8, 8},
                           .kernel = {1, 3, 3},
                           .stride = {1, 1, 1},
                           .dilation = {1, 1, 1},
                           .pad_low = {0, 1, 1},
                           .pad_high = {0, 1, 1}};
    for (int pass = 0; pass < CV_PASSES; pass++) {
        struct cv_spec bad = good;
        bad.out[1] = 7;
        refuse(&bad, (enum cv_pass)pass);
        bad = good;
        bad.pad_high[2] = 2;
        refuse(&bad, (enum cv_pass)pass);
        bad = good;
        bad.ci = 0;
        refuse(&bad, (enum cv_pass)pass);
        bad = good;
        bad.stride[1] = 0;
        refuse(&bad, (enum cv_pass)pass);
    }
}

/* Its last window leaves some of the input over: padding after it would be negative. */
static void a_kernel_shorter_than_its_stride_is_taken(void **state) {
    (void)state;
    struct cv_spec spec = {.name = "short",
                           .precision = HF_PRECISION_BF16,
                           .dims = 3,
                           .n = 2,
                           .ci = 3,
                           .co = 4,
                           .in = {8, 9, 10},
                           .out = {4, 3, 3},
                           .kernel = {1, 1, 2},
                           .stride = {2, 3, 4},
                           .dilation = {1, 1, 1},
                           .pad_high = {-1, -2, 0}};
    for (int pass = 0; pass < CV_PASSES; pass++) {
        struct cv_graph g = {0};
        struct hf_error e = {0};
        if (cv_graph_new(&spec, (enum cv_pass)pass, 0, NULL, &g, &e) != HF_OK)
            fail_msg("%s", e.text);
        cv_graph_free(&g);
    }
}

/* ---- plans for described GPUs ---- */

static const struct gpu {
    const char *name;
    int capability, multiprocessors, shared;
} gpus[] = {{"NVIDIA A100-SXM4-80GB", 80, 108, 166912},
            {"NVIDIA GeForce RTX 4090", 89, 128, 101376},
            {"NVIDIA H200", 90, 132, 232448},
            {"NVIDIA B200", 100, 148, 232448},
            {"NVIDIA GeForce RTX 5090", 120, 170, 101376}};

/* 1 if the plan's engine has that numerical note. */
static int has_note(const struct cv_plan *p, cudnnBackendNumericalNote_t wanted) {
    cudnnBackendDescriptor_t engine;
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    int has = 0;
    assert_int_equal(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine), 0);
    assert_int_equal(cudnnBackendGetAttribute(p->config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine),
                     0);
    assert_int_equal(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                              CUDNN_TYPE_NUMERICAL_NOTE,
                                              CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, note),
                     0);
    for (int64_t i = 0; i < count; i++)
        has |= note[i] == wanted;
    cudnnBackendDestroyDescriptor(engine);
    return has;
}

static void check_plans(const struct cv_target *t, const struct cv_spec *spec, enum cv_pass pass,
                        const struct gpu *gpu, int *tensor_cores) {
    struct cv_plan plans[CV_MAX_PLANS];
    struct cv_graph g;
    struct hf_error e = {0};
    int fused = pass == CV_FORWARD && spec->bias;
    if (cv_graph_new(spec, pass, fused, NULL, &g, &e) != HF_OK)
        fail_msg("%s", e.text);
    int32_t count = cv_plans_find(t, &g, spec->precision, plans);
    char problem[CV_PROBLEM];
    if (count == 0)
        fail_msg("%s, \"%s\": no plan for %s", gpu->name, spec->name,
                 cv_problem(spec, pass, problem));
    for (int32_t i = 0; i < count; i++) {
        assert_false(has_note(&plans[i], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
        assert_false(has_note(&plans[i], CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION));
        int cores = has_note(&plans[i], CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
        assert_false(cores && spec->precision == HF_PRECISION_F32);
        *tensor_cores += cores;
        assert_in_range(plans[i].workspace, 0, CV_MAX_WORKSPACE);
        assert_int_equal(strncmp(plans[i].tag, "eng", 3), 0);
        for (int32_t j = 0; j < i; j++)
            assert_string_not_equal(plans[i].tag, plans[j].tag);
        cv_plan_free(&plans[i]);
    }
    cv_graph_free(&g);
}

static void every_gpu_has_plans(void **state) {
    (void)state;
    if (cudnnGetVersion() < 90800)
        skip();
    for (size_t k = 0; k < sizeof gpus / sizeof gpus[0]; k++) {
        const struct gpu *gpu = &gpus[k];
        struct cv_target t = {
            .device = described_gpu(gpu->name, gpu->capability, gpu->multiprocessors, gpu->shared)};
        int cores[HF_PRECISIONS] = {0};
        for (int32_t i = 0; i < convs.count; i++)
            for (int precision = HF_PRECISION_F32; precision < HF_PRECISIONS; precision++)
                for (int pass = 0; pass < CV_PASSES; pass++) {
                    struct cv_spec spec = convs.spec[i];
                    spec.precision = (enum hf_precision)precision;
                    check_plans(&t, &spec, (enum cv_pass)pass, gpu, &cores[precision]);
                }
        assert_int_equal(cores[HF_PRECISION_F32], 0);
        assert_true(cores[HF_PRECISION_TF32] > 0);
        assert_true(cores[HF_PRECISION_BF16] > 0);
        cudnnBackendDestroyDescriptor(t.device);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_graph_is_whole),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(a_kernel_shorter_than_its_stride_is_taken),
        cmocka_unit_test(every_gpu_has_plans),
    };
    return cmocka_run_group_tests(tests, open_all, NULL);
}
