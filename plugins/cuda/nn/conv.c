/**
 * conv.c - conv.h on cuDNN: contexts, convolutions, timing and running their plans.
 */
#include <cuda_runtime_api.h>

#include <stdlib.h>
#include <string.h>

#include "conv_cudnn.h"

#define OLDEST 90000 /* 9.0.0: the graph API with what it is used for here */

struct cv_context {
    struct cv_choices *choices;
    struct cv_target target;
    cudaStream_t stream; /* the handle's */
    char device[320];    /* for keys: the GPU and the version of cuDNN */
};

struct pass {
    struct cv_graph graph;
    struct cv_plan plan;
};

struct cv_conv {
    struct cv_context *ctx;
    struct cv_spec spec;
    char name[HF_NET_NAME];
    struct pass pass[CV_PASSES];
};

/* ---- contexts ---- */

const char *cv_describe(char *text, size_t size) {
    size_t v = cudnnGetVersion();
    (void)snprintf(text, size, "cuDNN %zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
    return text;
}

enum hf_status cv_context_new(struct cv_choices *choices, void *stream, struct cv_context **ret,
                              struct hf_error *e) {
    size_t version = cudnnGetVersion();
    if (version < OLDEST)
        return hf_fail(e, HF_UNSUPPORTED,
                       "cuda: the cuDNN that is loaded has version number %zu; networks need 9.0 "
                       "(%d) or newer",
                       version, OLDEST);
    struct cv_context *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return hf_fail(e, HF_NO_MEMORY, "cuda: out of memory");
    ctx->choices = choices;
    ctx->stream = stream;
    int device = 0;
    struct cudaDeviceProp prop;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess)
        error = cudaGetDeviceProperties(&prop, device);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        free(ctx);
        return hf_fail(e, HF_UNSUPPORTED, "cuda: cannot ask the GPU what it is: %s",
                       cudaGetErrorString(error));
    }
    (void)snprintf(ctx->device, sizeof ctx->device, "%.200s, %d multiprocessors, cuDNN %zu",
                   prop.name, prop.multiProcessorCount, version);
    cudnnStatus_t s = cudnnCreate(&ctx->target.handle);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnSetStream(ctx->target.handle, ctx->stream);
    if (s != CUDNN_STATUS_SUCCESS) {
        char why[512] = "";
        cudnnGetLastErrorString(why, sizeof why);
        cv_context_free(ctx);
        return hf_fail(e, HF_UNSUPPORTED, "cuda: cuDNN does not start: %s%s%.400s",
                       cudnnGetErrorString(s), *why ? ", " : "", why);
    }
    *ret = ctx;
    return HF_OK;
}

void cv_context_free(struct cv_context *ctx) {
    if (!ctx)
        return;
    if (ctx->target.handle)
        cudnnDestroy(ctx->target.handle);
    free(ctx);
}

/* ---- running ---- */

static cudnnStatus_t execute(struct cv_context *ctx, const struct cv_graph *g,
                             const struct cv_plan *p, const struct cv_buffers *b) {
    int64_t uid[] = {CV_UID_X, CV_UID_W, CV_UID_Y, CV_UID_BIAS}, count = g->fused ? 4 : 3;
    void *data[] = {b->x, b->w, b->y, (void *)(uintptr_t)b->bias};
    void *workspace = p->workspace ? b->workspace : NULL;
    cudnnBackendDescriptor_t d;
    cudnnStatus_t s = cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &d);
    if (s != CUDNN_STATUS_SUCCESS)
        return s;
    s = cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count,
                                 uid);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                     count, data);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                                     &workspace);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnBackendFinalize(d);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnBackendExecute(ctx->target.handle, p->plan, d);
    cudnnBackendDestroyDescriptor(d);
    return s;
}

enum hf_status cv_conv_run(struct cv_conv *c, enum cv_pass pass, const struct cv_buffers *b,
                           struct hf_error *e) {
    static const char *const what[CV_PASSES] = {"run this convolution", "run its data gradient",
                                                "run its weight gradient"};
    const struct pass *p = &c->pass[pass];
    if (!p->plan.plan)
        return hf_fail(e, HF_INVALID, "network layer \"%s\": that pass was not planned", c->name);
    cudnnStatus_t s = execute(c->ctx, &p->graph, &p->plan, b);
    return s == CUDNN_STATUS_SUCCESS ? HF_OK : cv_failed(&c->spec, pass, s, what[pass], e);
}

/* ---- timing ---- */

struct trial {
    struct cv_context *ctx;
    const struct cv_spec *spec;
    const struct cv_graph *graph;
    const struct cv_plan *plans;
    int32_t count;
};

enum {
    SAMPLES = 5,
    MAX_RUNS = 16
};

/** Milliseconds of one of `runs` runs; negative: it fails. */
static float time_runs(const struct trial *t, const struct cv_plan *p, const struct cv_buffers *b,
                       int runs, cudaEvent_t begin, cudaEvent_t end) {
    float ms = -1;
    if (cudaEventRecord(begin, t->ctx->stream) != cudaSuccess)
        return -1;
    for (int i = 0; i < runs; i++)
        if (execute(t->ctx, t->graph, p, b) != CUDNN_STATUS_SUCCESS)
            return -1;
    if (cudaEventRecord(end, t->ctx->stream) != cudaSuccess ||
        cudaEventSynchronize(end) != cudaSuccess ||
        cudaEventElapsedTime(&ms, begin, end) != cudaSuccess)
        return -1;
    return ms / (float)runs;
}

/** The median of several samples; a plan that is far off `best` is sampled once. */
static float time_plan(const struct trial *t, const struct cv_plan *p, const struct cv_buffers *b,
                       float best, cudaEvent_t begin, cudaEvent_t end) {
    float sample[SAMPLES];
    if (time_runs(t, p, b, 1, begin, end) < 0) /* loads its kernels */
        return -1;
    float once = time_runs(t, p, b, 1, begin, end);
    if (once < 0 || (best >= 0 && once > 4 * best))
        return once;
    int runs = once > 1.0f / MAX_RUNS ? (int)(1 / once) + 1 : MAX_RUNS;
    for (int i = 0; i < SAMPLES; i++) {
        float ms = time_runs(t, p, b, runs, begin, end);
        if (ms < 0)
            return -1;
        int at = i;
        for (; at > 0 && sample[at - 1] > ms; at--)
            sample[at] = sample[at - 1];
        sample[at] = ms;
    }
    return sample[SAMPLES / 2];
}

/** The fastest plan; a later one in the heuristics' order must win by 3 %. */
static int32_t time_plans(const struct trial *t, const struct cv_buffers *b) {
    cudaEvent_t begin, end;
    if (cudaEventCreate(&begin) != cudaSuccess)
        return -1;
    if (cudaEventCreate(&end) != cudaSuccess) {
        (void)cudaEventDestroy(begin);
        return -1;
    }
    int32_t best = -1;
    float least = -1;
    for (int32_t i = 0; i < t->count; i++) {
        float ms = time_plan(t, &t->plans[i], b, least, begin, end);
        if (ms >= 0 && (best < 0 || ms < 0.97f * least)) {
            best = i;
            least = ms;
        }
    }
    (void)cudaEventDestroy(begin);
    (void)cudaEventDestroy(end);
    return best;
}

/** Tries the plans on buffers of their own; the contents do not matter, but for no zeros or NaNs.
 */
static int32_t measure(void *arg) {
    const struct trial *t = arg;
    const struct cv_spec *s = t->spec;
    size_t element = s->precision == HF_PRECISION_BF16 ? 2 : 4;
    size_t in = 1, out = 1, taps = 1, workspace = 0;
    for (int a = 0; a < 3; a++) {
        in *= (size_t)s->in[a];
        out *= (size_t)s->out[a];
        taps *= (size_t)s->kernel[a];
    }
    for (int32_t i = 0; i < t->count; i++)
        if ((size_t)t->plans[i].workspace > workspace)
            workspace = (size_t)t->plans[i].workspace;
    size_t n = (size_t)s->n, ci = (size_t)s->ci, co = (size_t)s->co;
    const size_t bytes[] = {n * in * ci * element, co * taps * ci * element, n * out * co * element,
                            co * element, workspace};
    enum {
        BUFFERS = sizeof bytes / sizeof bytes[0]
    };
    void *data[BUFFERS] = {NULL};
    cudaError_t error = cudaSuccess;
    for (int i = 0; i < BUFFERS && error == cudaSuccess; i++) {
        if (!bytes[i])
            continue;
        error = cudaMallocAsync(&data[i], bytes[i], t->ctx->stream);
        if (error == cudaSuccess)
            error = cudaMemsetAsync(data[i], 0x3c, bytes[i], t->ctx->stream);
    }
    const struct cv_buffers b = {data[0], data[1], data[2], data[3], data[4]};
    int32_t best = error == cudaSuccess ? time_plans(t, &b) : -1;
    for (int i = 0; i < BUFFERS; i++)
        if (data[i])
            (void)cudaFreeAsync(data[i], t->ctx->stream);
    (void)cudaGetLastError();
    return best;
}

/* ---- planning ---- */

/** The pass's graph and the plans that run it; with the bias if cuDNN takes it. */
static enum hf_status find_plans(struct cv_conv *c, enum cv_pass pass, struct cv_plan *plans,
                                 int32_t *ret_count, struct hf_error *e) {
    struct cv_graph *g = &c->pass[pass].graph;
    const struct cv_target *t = &c->ctx->target;
    for (int fused = pass == CV_FORWARD && c->spec.bias ? 1 : 0; fused >= 0; fused--) {
        enum hf_status st = cv_graph_new(&c->spec, pass, fused, t->handle, g, e);
        if (st != HF_OK && !fused)
            return st;
        if (st != HF_OK)
            continue;
        *ret_count = cv_plans_find(t, g, c->spec.precision, plans);
        if (*ret_count)
            return HF_OK;
        cv_graph_free(g);
    }
    char problem[CV_PROBLEM];
    return hf_fail(e, HF_UNSUPPORTED,
                   "network layer \"%s\": cuDNN has no deterministic engine for it on this GPU "
                   "(%s); try another precision",
                   c->name, cv_problem(&c->spec, pass, problem));
}

static enum hf_status plan_pass(struct cv_conv *c, enum cv_pass pass, struct hf_error *e) {
    struct cv_plan plans[CV_MAX_PLANS];
    int32_t count = 0, best;
    enum hf_status st = find_plans(c, pass, plans, &count, e);
    if (st != HF_OK)
        return st;
    char problem[CV_PROBLEM], key[sizeof c->ctx->device + CV_PROBLEM];
    (void)snprintf(key, sizeof key, "%s: %s", c->ctx->device, cv_problem(&c->spec, pass, problem));
    struct trial t = {c->ctx, &c->spec, &c->pass[pass].graph, plans, count};
    best = cv_choices_pick(c->ctx->choices, key, plans, count, measure, &t);
    c->pass[pass].plan = plans[best];
    for (int32_t i = 0; i < count; i++)
        if (i != best)
            cv_plan_free(&plans[i]);
    return HF_OK;
}

/** Known to come out wrong, silently: large 3D convolutions in BF16 by cuDNN 9.8 to 9.14. */
static int is_miscomputed(const struct cv_spec *s) {
    size_t version = cudnnGetVersion();
    if (version < 90800 || version >= 91500 || s->dims != 3 || s->precision != HF_PRECISION_BF16)
        return 0;
    int64_t x = 2 * s->n * s->ci * s->in[0] * s->in[1] * s->in[2];
    int64_t y = 2 * s->n * s->co * s->out[0] * s->out[1] * s->out[2];
    return x > INT32_MAX || y > INT32_MAX;
}

enum hf_status cv_conv_new(struct cv_context *ctx, const struct cv_spec *spec, struct cv_conv **ret,
                           struct hf_error *e) {
    if (is_miscomputed(spec))
        return hf_fail(e, HF_UNSUPPORTED,
                       "network layer \"%s\": cuDNN before 9.15 computes bf16 volumes of more than "
                       "2 GiB wrong: update it, or use f32 or a smaller batch",
                       spec->name);
    struct cv_conv *c = calloc(1, sizeof *c);
    if (!c)
        return hf_fail(e, HF_NO_MEMORY, "network layer \"%s\": out of memory", spec->name);
    c->ctx = ctx;
    c->spec = *spec;
    (void)snprintf(c->name, sizeof c->name, "%s", spec->name);
    c->spec.name = c->name;
    enum hf_status st = HF_OK;
    for (int pass = 0; pass < CV_PASSES && st == HF_OK; pass++)
        if (spec->passes >> pass & 1)
            st = plan_pass(c, (enum cv_pass)pass, e);
    if (st == HF_OK)
        *ret = c;
    else
        cv_conv_free(c);
    return st;
}

void cv_conv_free(struct cv_conv *c) {
    if (!c)
        return;
    for (int pass = 0; pass < CV_PASSES; pass++) {
        cv_plan_free(&c->pass[pass].plan);
        cv_graph_free(&c->pass[pass].graph);
    }
    free(c);
}

size_t cv_workspace(const struct cv_conv *c, enum cv_pass pass) {
    return (size_t)c->pass[pass].plan.workspace;
}

int cv_adds_bias(const struct cv_conv *c) {
    return c->pass[CV_FORWARD].graph.fused;
}

const char *cv_engine(const struct cv_conv *c, enum cv_pass pass) {
    return c->pass[pass].plan.tag;
}
