/*
 * harness.c - stages tested alone (see harness.h).
 */
#include "harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/model.h"
#include "run/run.h"

#define MAX_PLUGINS 32

struct text {
    char *bytes;
    size_t size;
};

struct harness {
    struct services *services;
    const struct hf_plugin *plugin[MAX_PLUGINS];
    int plugins;
    char folder[64];
    struct text result, report, log;
    const struct hf_model *model;
};

/* One stage of a test; the class stands beside the engine's instance. */
struct tested {
    struct instance instance;
    const struct hf_stage_class *cls;
    struct hf_model_info yields;
};

struct listed {
    struct hf_stream stream;
    const struct hf_sample *const *sample;
    int32_t count, at;
};

static void must(enum hf_status st, const struct hf_error *e) {
    if (st != HF_OK)
        fail_msg("status %d: %s", (int)st, e->text);
}

static void append(struct text *t, const char *bytes) {
    size_t n = strlen(bytes);
    t->bytes = realloc(t->bytes, t->size + n + 2);
    assert_non_null(t->bytes);
    memcpy(t->bytes + t->size, bytes, n);
    t->size += n;
    memcpy(t->bytes + t->size, "\n", 2);
    t->size++;
}

static void clear(struct text *t) {
    free(t->bytes);
    *t = (struct text){0};
}

static const struct hf_op *find_op(void *arg, const char *name, enum hf_device_kind kind) {
    struct harness *h = arg;
    for (int i = h->plugins - 1; i >= 0; i--)
        for (const struct hf_op *const *op = h->plugin[i]->ops; op && *op; op++)
            if ((*op)->kind == kind && strcmp((*op)->name, name) == 0)
                return *op;
    return NULL;
}

static enum hf_status on_message(void *arg, const struct hf_stage *s, const struct message *m,
                                 struct hf_error *e) {
    struct harness *h = arg;
    (void)s;
    (void)e;
    if (m->kind == MESSAGE_LOG) {
        append(&h->log, m->text);
    } else if (m->kind == MESSAGE_RESULT) {
        clear(&h->result);
        append(&h->result, m->text);
    } else if (m->kind == MESSAGE_REPORT) {
        append(&h->report, m->title);
        append(&h->report, m->text);
    } else if (m->kind == MESSAGE_MODEL) {
        if (h->model)
            hf_model_unref(h->model);
        h->model = m->model;
        hf_model_ref(h->model);
    }
    return HF_OK;
}

struct harness *harness_open(void) {
    struct hf_error e;
    struct harness *h = calloc(1, sizeof *h);
    assert_non_null(h);
    (void)snprintf(h->folder, sizeof h->folder, "/tmp/hepaflow-test-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    must(services_new(&h->services, &e), &e);
    h->services->find_op = find_op;
    h->services->post = on_message;
    h->services->arg = h;
    const struct hf_plugin *cpu = harness_load(h, "plugins/cpu/cpu");
    struct hf_device_options options = {.nn_threads = 2, .host = &h->services->host};
    must(cpu->devices[0]->open(&options, &h->services->host_device, &e), &e);
    return h;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void harness_close(struct harness *h) {
    if (h->model)
        hf_model_unref(h->model);
    assert_int_equal(atomic_load(&h->services->samples), 0);
    assert_int_equal(atomic_load(&h->services->tensors), 0);
    h->services->host_device->methods->destroy(h->services->host_device);
    services_free(h->services);
    clear(&h->result);
    clear(&h->report);
    clear(&h->log);
    (void)nftw(h->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(h);
}

const struct hf_host *harness_host(struct harness *h) {
    return &h->services->host;
}

struct hf_device *harness_cpu(struct harness *h) {
    return h->services->host_device;
}

const char *harness_folder(struct harness *h) {
    return h->folder;
}

void harness_add(struct harness *h, const struct hf_plugin *plugin) {
    assert_true(h->plugins < MAX_PLUGINS);
    h->plugin[h->plugins++] = plugin;
}

/* The module stays loaded, so that sanitizers can name what it leaked. */
const struct hf_plugin *harness_load(struct harness *h, const char *path) {
    const char *build = getenv("HEPAFLOW_BUILD");
    char full[4096];
    (void)snprintf(full, sizeof full, "%s/%s.so", build ? build : "build", path);
    void *handle = dlopen(full, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        fail_msg("%s", dlerror());
    const struct hf_plugin *plugin = dlsym(handle, "hf_plugin");
    assert_non_null(plugin);
    harness_add(h, plugin);
    return plugin;
}

const struct hf_stage_class *harness_class(struct harness *h, const char *name) {
    for (int i = h->plugins - 1; i >= 0; i--)
        for (const struct hf_stage_class *const *c = h->plugin[i]->stages; c && *c; c++)
            if (strcmp((*c)->name, name) == 0)
                return *c;
    fail_msg("no loaded module has the stage '%s'", name);
    return NULL;
}

const struct hf_network_class *harness_network(struct harness *h, const char *name) {
    for (int i = h->plugins - 1; i >= 0; i--)
        for (const struct hf_network_class *const *c = h->plugin[i]->networks; c && *c; c++)
            if (strcmp((*c)->name, name) == 0)
                return *c;
    fail_msg("no loaded module has the network '%s'", name);
    return NULL;
}

/* ---- samples ---- */

struct hf_sample *harness_sample(struct harness *h, const char *id, int64_t d, int64_t height,
                                 int64_t w, double spacing) {
    struct hf_error e;
    struct hf_sample *s = NULL;
    char case_id[256], patient[300];
    (void)snprintf(case_id, sizeof case_id, "%.*s", (int)strcspn(id, "/"), id);
    (void)snprintf(patient, sizeof patient, "patient-%s", case_id);
    must(sample_new(&h->services->host, id, case_id, patient, &s, &e), &e);
    struct hf_grid grid = {.size = {d, height, w}};
    for (int i = 0; i < 3; i++)
        grid.affine[i][i] = spacing;
    s->grid = s->canonical = s->file = grid;
    return s;
}

void harness_set(struct harness *h, struct hf_sample *s, const char *field, enum hf_place place,
                 enum hf_dtype dtype, int32_t ndim, const int64_t *shape, const void *data) {
    struct hf_error e;
    struct hf_tensor *t = NULL;
    must(tensor_new(&h->services->host, h->services->host_device, NULL, dtype, ndim, shape, &t, &e),
         &e);
    if (data)
        memcpy(t->dl.data, data, t->bytes);
    else
        memset(t->dl.data, 0, t->bytes);
    must(sample_set(s, field, place, t, &e), &e);
}

static void set_on_grid(struct harness *h, struct hf_sample *s, const char *field,
                        enum hf_dtype dtype, int64_t channels, const void *data) {
    int64_t shape[4] = {channels, s->grid.size[0], s->grid.size[1], s->grid.size[2]};
    harness_set(h, s, field, HF_ON_GRID, dtype, 4, shape, data);
}

void harness_set_f32(struct harness *h, struct hf_sample *s, const char *field, int64_t channels,
                     const float *data) {
    set_on_grid(h, s, field, HF_F32, channels, data);
}

void harness_set_u8(struct harness *h, struct hf_sample *s, const char *field, int64_t channels,
                    const uint8_t *data) {
    set_on_grid(h, s, field, HF_U8, channels, data);
}

void harness_free_sample(struct harness *h, const struct hf_sample *s) {
    (void)h;
    sample_unref(s);
}

static const void *data_of(const struct hf_sample *s, const char *field, enum hf_dtype dtype) {
    struct hf_error e;
    const struct hf_tensor *t = hf_sample_get(s, field);
    if (!t)
        fail_msg("sample '%s' has no field '%s'", s->id, field);
    if (t->dtype != dtype)
        fail_msg("field '%s' is %s", field, hf_dtype_name(t->dtype));
    must(tensor_wait(t, &e), &e);
    return t->dl.data;
}

const float *harness_f32(const struct hf_sample *s, const char *field) {
    return data_of(s, field, HF_F32);
}

const uint8_t *harness_u8(const struct hf_sample *s, const char *field) {
    return data_of(s, field, HF_U8);
}

/* ---- stages ---- */

static struct tested *tested_of(const struct hf_stage *s) {
    return s->engine;
}

struct hf_stage *harness_stage_new(struct harness *h, const struct hf_stage_class *cls,
                                   const void *options, const char *name) {
    struct hf_error e;
    struct tested *t = calloc(1, sizeof *t);
    assert_non_null(t);
    struct hf_device *d = h->services->host_device;
    t->cls = cls;
    t->instance.stage = (struct hf_stage){.host = &h->services->host,
                                          .options = options,
                                          .name = name,
                                          .device = d,
                                          .yields = &t->yields,
                                          .seed = 66,
                                          .module_dir = ".",
                                          .out_dir = h->folder,
                                          .engine = t};
    must(d->methods->queue_new(d, &t->instance.stage.queue, &e), &e);
    t->instance.stage.state = calloc(1, cls->state_size + 1);
    assert_non_null(t->instance.stage.state);
    return &t->instance.stage;
}

enum hf_status harness_start(struct hf_stage *s, struct hf_error *e) {
    const struct hf_stage_class *cls = tested_of(s)->cls;
    return cls->start ? cls->start(s, e) : HF_OK;
}

struct hf_stage *harness_stage(struct harness *h, const struct hf_stage_class *cls,
                               const void *options, const char *name) {
    struct hf_error e;
    struct hf_stage *s = harness_stage_new(h, cls, options, name);
    must(harness_start(s, &e), &e);
    return s;
}

void harness_stage_free(struct hf_stage *s) {
    struct tested *t = tested_of(s);
    samples_clear(&t->instance.out);
    if (t->cls->stop)
        t->cls->stop(s);
    s->device->methods->queue_free(s->device, s->queue);
    free(s->state);
    free(t);
}

enum hf_status harness_process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    samples_clear(&tested_of(s)->instance.out);
    return tested_of(s)->cls->process(s, in, e);
}

enum hf_status harness_open_item(struct hf_stage *s, int64_t item, struct hf_error *e) {
    samples_clear(&tested_of(s)->instance.out);
    return tested_of(s)->cls->open(s, item, e);
}

enum hf_status harness_end_of_epoch(struct hf_stage *s, struct hf_error *e) {
    samples_clear(&tested_of(s)->instance.out);
    return tested_of(s)->cls->end_of_epoch ? tested_of(s)->cls->end_of_epoch(s, e) : HF_OK;
}

int32_t harness_outs(const struct hf_stage *s) {
    return tested_of(s)->instance.out.count;
}

const struct hf_sample *harness_out(const struct hf_stage *s, int32_t i) {
    assert_in_range(i, 0, harness_outs(s) - 1);
    return tested_of(s)->instance.out.item[i];
}

static enum hf_status listed_next(struct hf_stream *in, const struct hf_sample **ret,
                                  struct hf_error *e) {
    struct listed *l = (struct listed *)in;
    (void)e;
    if (l->at == l->count)
        return HF_END;
    *ret = l->sample[l->at++];
    return HF_OK;
}

static enum hf_status listed_rewind(struct hf_stream *in, uint64_t epoch, struct hf_error *e) {
    (void)epoch;
    (void)e;
    ((struct listed *)in)->at = 0;
    return HF_OK;
}

enum hf_status harness_run(struct hf_stage *s, const struct hf_sample *const *samples, int32_t n,
                           struct hf_error *e) {
    struct listed l = {{listed_next, listed_rewind}, samples, n, 0};
    return tested_of(s)->cls->run(s, &l.stream, e);
}

const char *harness_result(struct harness *h) {
    return h->result.bytes ? h->result.bytes : "";
}

const char *harness_report(struct harness *h) {
    return h->report.bytes ? h->report.bytes : "";
}

const char *harness_log(struct harness *h) {
    return h->log.bytes ? h->log.bytes : "";
}

const struct hf_model *harness_model(struct harness *h) {
    return h->model;
}
