/**
 * step.c - how long a network's training step and forward pass take on a device of the engine.
 *
 *   bench-step GRAPH STAGE [--device NAME] [--precision auto|f32|tf32|bf16] [--batch N] [--size N]
 *              [--steps N] [--describe]
 *
 * Takes network, loss and optimiser of the train stage STAGE of GRAPH, fills batches of N x N
 * pixels with noise, and prints one JSON object: median and quartiles of the milliseconds of a
 * step, timed over runs of steps long enough for the clock, with the device never waited for in
 * between; of a forward pass; the bytes of the executable; and the losses of the first steps.
 * --describe prints the network's description instead, as a checkpoint holds it.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "../../engine/engine.h"
#include "../../engine/modules.h"
#include "../../engine/nn/net_json.h"
#include "../../engine/run/run.h"
#include "../../stages/train/train.h"

#define WARM_UP     10
#define GROUP_MS    20.0 /* steps are timed in groups of at least this long */
#define MAX_SAMPLES 4096

struct arguments {
    const char *graph, *stage, *device;
    enum hf_precision precision;
    int64_t batch, size, steps;
    int describe;
};

struct bench {
    struct hf_engine *engine;
    struct hf_plan *plan;
    const struct train_options *options;
    struct hf_device *host, *device;
    struct hf_queue *queue;
    struct hf_net *net;
    struct hf_executable *x;
    struct hf_tensor *input, *target, *output, *loss;
    int32_t inputs, outputs;
};

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- the network ---- */

static enum hf_status load(struct bench *b, const struct arguments *a, struct hf_error *e) {
    char *messages = NULL;
    if (hf_plan_load(b->engine, a->graph, NULL, 0, &b->plan, &messages) != HF_OK) {
        enum hf_status st = hf_fail(e, HF_INVALID, "%s", messages ? messages : a->graph);
        hf_free(messages);
        return st;
    }
    hf_free(messages);
    for (int i = 0; i < b->plan->stages; i++) {
        const struct plan_stage *s = &b->plan->stage[i];
        if (strcmp(s->name, a->stage) != 0 || strcmp(s->cls->name, "train") != 0)
            continue;
        b->options = s->options;
        b->inputs = s->yields.input_channels;
        b->outputs = s->yields.output_channels;
        const struct hf_network_choice *n = &b->options->network;
        return n->network->build(b->engine->host, n->options, b->inputs, b->outputs, &b->net, e);
    }
    return hf_fail(e, HF_NOT_FOUND, "%s: no train stage '%s'", a->graph, a->stage);
}

static enum hf_status compile(struct bench *b, const struct arguments *a, struct hf_error *e) {
    struct hf_exec_spec spec = {
        .mode = HF_EXEC_TRAIN,
        .precision = a->precision,
        .shape = {a->batch, b->inputs, 1, a->size, a->size},
        .optimizer = {.kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f}};
    static const char *const losses[HF_LOSS_KINDS] = {"l1",   "bce",   "ce",
                                                      "dice", "focal", "tversky"};
    const struct hf_weights *w = &b->options->loss;
    for (int32_t i = 0; i < w->count; i++)
        for (int k = 0; k < HF_LOSS_KINDS; k++)
            if (strcmp(w->name[i], losses[k]) == 0)
                spec.loss[spec.loss_terms++] =
                    (struct hf_loss_term){(enum hf_loss_kind)k, (float)w->value[i], 1.0f};
    struct hf_param *param = NULL;
    int32_t params = 0;
    int64_t floats = 0;
    const struct hf_host *h = b->engine->host;
    enum hf_status st = h->net_params(b->net, &param, &params, &floats, e);
    h->free_(param);
    float *flat = st == HF_OK ? malloc((size_t)floats * sizeof *flat) : NULL;
    if (st == HF_OK && !flat)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for %lld parameters", (long long)floats);
    if (st == HF_OK)
        st = h->net_init(b->net, hf_rng_init(66, "bench", "parameters", 0), flat, e);
    if (st == HF_OK)
        st = b->device->methods->compile(b->device, b->queue, b->net, &spec, &b->x, e);
    if (st == HF_OK)
        st = b->x->methods->set_params(b->x, flat, e);
    free(flat);
    return st;
}

/* ---- the data ---- */

/* Noise of [0, 1), or the 0 and 1 of a mask. */
static enum hf_status noise(const struct bench *b, const int64_t *shape, int mask,
                            struct hf_tensor **ret, struct hf_error *e) {
    const struct hf_host *h = b->engine->host;
    struct hf_tensor *here = NULL;
    struct hf_rng rng = hf_rng_init(66, "bench", mask ? "target" : "input", 0);
    enum hf_status st = h->tensor_new(h, b->host, NULL, HF_F32, 5, shape, &here, e);
    for (int64_t i = 0; st == HF_OK && i < hf_tensor_count(here); i++) {
        float u = hf_rng_uniform(&rng);
        HF_DATA(float, here)[i] = mask ? (float)(u < 0.1f) : u;
    }
    if (st == HF_OK)
        st = h->tensor_to(h, here, b->device, b->queue, ret, e);
    h->tensor_unref(here);
    return st;
}

static enum hf_status make_data(struct bench *b, const struct arguments *a, struct hf_error *e) {
    const struct hf_host *h = b->engine->host;
    int64_t in[5] = {a->batch, b->inputs, 1, a->size, a->size};
    int64_t out[5] = {a->batch, b->outputs, 1, a->size, a->size};
    int64_t losses = 1 + b->options->loss.count;
    enum hf_status st = noise(b, in, 0, &b->input, e);
    if (st == HF_OK)
        st = noise(b, out, 1, &b->target, e);
    if (st == HF_OK)
        st = h->tensor_new(h, b->device, b->queue, HF_F32, 5, out, &b->output, e);
    if (st == HF_OK)
        st = h->tensor_new(h, b->device, b->queue, HF_F32, 1, &losses, &b->loss, e);
    return st;
}

/* ---- timing ---- */

static enum hf_status enqueue(struct bench *b, int step, struct hf_error *e) {
    const struct hf_executable_methods *m = b->x->methods;
    return step ? m->step(b->x, b->input, b->target, NULL, 1e-3f, b->loss, e)
                : m->forward(b->x, b->input, b->output, e);
}

static enum hf_status group(struct bench *b, int step, int64_t n, double *ret_ms,
                            struct hf_error *e) {
    const struct hf_tensor *last = step ? b->loss : b->output;
    enum hf_status st = HF_OK;
    double start = now();
    for (int64_t i = 0; i < n && st == HF_OK; i++)
        st = enqueue(b, step, e);
    if (st == HF_OK)
        st = b->engine->host->tensor_wait(last, e);
    *ret_ms = (now() - start) / (double)n;
    return st;
}

static enum hf_status measure(struct bench *b, int step, int64_t steps, cJSON *json,
                              struct hf_error *e) {
    double ms[MAX_SAMPLES], once;
    enum hf_status st = group(b, step, WARM_UP, &once, e);
    if (st == HF_OK)
        st = group(b, step, WARM_UP, &once, e); /* what was timed first also compiled and loaded */
    int64_t each = once < GROUP_MS ? (int64_t)(GROUP_MS / once) + 1 : 1;
    int64_t count = (steps + each - 1) / each < 15 ? 15 : (steps + each - 1) / each;
    count = count > MAX_SAMPLES ? MAX_SAMPLES : count;
    for (int64_t i = 0; i < count && st == HF_OK; i++)
        st = group(b, step, each, &ms[i], e);
    if (st != HF_OK)
        return st;
    qsort(ms, (size_t)count, sizeof *ms, by_value);
    cJSON *o = cJSON_AddObjectToObject(json, step ? "train" : "forward");
    cJSON_AddNumberToObject(o, "median_ms", ms[count / 2]);
    cJSON_AddNumberToObject(o, "q1_ms", ms[count / 4]);
    cJSON_AddNumberToObject(o, "q3_ms", ms[3 * count / 4]);
    cJSON_AddNumberToObject(o, "steps", (double)(count * each));
    return HF_OK;
}

static enum hf_status first_losses(struct bench *b, cJSON *json, struct hf_error *e) {
    const struct hf_host *h = b->engine->host;
    cJSON *list = cJSON_AddArrayToObject(json, "losses");
    enum hf_status st = HF_OK;
    for (int i = 0; i < 5 && st == HF_OK; i++) {
        struct hf_tensor *here = NULL;
        st = enqueue(b, 1, e);
        if (st == HF_OK)
            st = h->tensor_to(h, b->loss, b->host, NULL, &here, e);
        if (st == HF_OK)
            st = h->tensor_wait(here, e);
        if (st == HF_OK)
            cJSON_AddItemToArray(list, cJSON_CreateNumber((double)HF_DATA(float, here)[0]));
        h->tensor_unref(here);
    }
    return st;
}

static enum hf_status report(struct bench *b, const struct arguments *a, cJSON *json,
                             struct hf_error *e) {
    size_t arena = 0, total = 0;
    cJSON_AddStringToObject(json, "network", a->stage);
    cJSON_AddStringToObject(json, "device", b->device->methods->describe(b->device));
    cJSON_AddStringToObject(json, "precision", hf_precision_name(a->precision));
    cJSON_AddNumberToObject(json, "batch", (double)a->batch);
    cJSON_AddNumberToObject(json, "size", (double)a->size);
    enum hf_status st = first_losses(b, json, e);
    if (st == HF_OK)
        st = measure(b, 1, a->steps, json, e);
    if (st == HF_OK)
        st = measure(b, 0, a->steps, json, e);
    b->x->methods->memory(b->x, &arena, &total);
    cJSON_AddNumberToObject(json, "bytes", (double)total);
    return st;
}

/* ---- the whole ---- */

static enum hf_status open_devices(struct bench *b, const char *name, struct hf_error *e) {
    const struct hf_device_options options = {.host = b->engine->host};
    const struct hf_device_class *cpu = engine_device(b->engine, "cpu");
    const struct hf_device_class *cls = engine_device(b->engine, name);
    if (!cpu || !cls)
        return hf_fail(e, HF_NOT_FOUND, "no module brings the device '%s'", cpu ? name : "cpu");
    enum hf_status st = engine_device_open(cpu, &options, &b->host, e);
    if (st != HF_OK)
        return st;
    services_of(b->engine->host)->host_device = b->host;
    b->device = b->host;
    if (cls != cpu)
        st = engine_device_open(cls, &options, &b->device, e);
    return st == HF_OK ? b->device->methods->queue_new(b->device, &b->queue, e) : st;
}

static enum hf_status bench(struct bench *b, const struct arguments *a, struct hf_error *e) {
    enum hf_status st = hf_engine_open(&b->engine, e);
    if (st == HF_OK)
        st = load(b, a, e);
    cJSON *json = NULL;
    if (st == HF_OK && a->describe) {
        json = hf_net_to_json(b->net);
    } else if (st == HF_OK) {
        json = cJSON_CreateObject();
        st = open_devices(b, a->device, e);
        if (st == HF_OK)
            st = compile(b, a, e);
        if (st == HF_OK)
            st = make_data(b, a, e);
        if (st == HF_OK)
            st = report(b, a, json, e);
    }
    char *text = st == HF_OK && json ? cJSON_PrintUnformatted(json) : NULL;
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
    return st;
}

static void clear(struct bench *b) {
    if (!b->engine)
        return;
    const struct hf_host *h = b->engine->host;
    struct hf_tensor *const all[] = {b->input, b->target, b->output, b->loss};
    if (b->x)
        b->x->methods->destroy(b->x);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        h->tensor_unref(all[i]);
    if (b->queue)
        b->device->methods->queue_free(b->device, b->queue);
    services_release_device(services_of(h));
    if (b->device && b->device != b->host)
        b->device->methods->destroy(b->device);
    if (b->host)
        b->host->methods->destroy(b->host);
    h->net_free(b->net);
    hf_plan_free(b->plan);
    hf_engine_close(b->engine);
}

static int parse(struct arguments *a, int argc, char **argv) {
    const struct {
        const char *name;
        int64_t *to;
    } numbers[] = {{"--batch", &a->batch}, {"--size", &a->size}, {"--steps", &a->steps}};
    if (argc < 3)
        return 0;
    a->graph = argv[1];
    a->stage = argv[2];
    for (int i = 3; i < argc; i++) {
        int known = strcmp(argv[i], "--describe") == 0;
        a->describe |= known;
        if (known)
            continue;
        const char *value = i + 1 < argc ? argv[++i] : NULL;
        for (size_t k = 0; value && k < sizeof numbers / sizeof *numbers; k++)
            if (strcmp(argv[i - 1], numbers[k].name) == 0)
                known = (*numbers[k].to = atoll(value)) > 0;
        for (int k = 0; value && k < HF_PRECISIONS; k++)
            if (strcmp(argv[i - 1], "--precision") == 0 &&
                strcmp(value, hf_precision_name((enum hf_precision)k)) == 0) {
                a->precision = (enum hf_precision)k;
                known = 1;
            }
        if (value && strcmp(argv[i - 1], "--device") == 0) {
            a->device = value;
            known = 1;
        }
        if (!known)
            return 0;
    }
    return 1;
}

int main(int argc, char **argv) {
    struct arguments a = {.device = "cpu", .batch = 8, .size = 128, .steps = 50};
    struct bench b = {0};
    struct hf_error e = {0};
    if (!parse(&a, argc, argv)) {
        fputs("usage: bench-step GRAPH STAGE [--device NAME] [--precision auto|f32|tf32|bf16]\n"
              "                  [--batch N] [--size N] [--steps N] [--describe]\n",
              stderr);
        return 2;
    }
    enum hf_status st = bench(&b, &a, &e);
    if (st != HF_OK)
        fprintf(stderr, "bench-step: %s\n", e.text);
    clear(&b);
    return st != HF_OK;
}
