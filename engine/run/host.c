/*
 * host.c - the services that the host injects into plugins: the table `struct hf_host`.
 */
#include "run.h"

#include <limits.h>
#include <stdlib.h>

#include "nn/model.h"
#include "nn/net.h"
#include "readahead.h"
#include "reuse.h"

static struct hf_device *host_device(const struct hf_host *h) {
    return services_of(h)->host_device;
}

static const struct hf_op *op_find(const struct hf_host *h, const struct hf_device *d,
                                   const char *name) {
    struct services *sv = services_of(h);
    return sv->find_op ? sv->find_op(sv->arg, name, d->op_kind) : NULL;
}

/* ---- streams and messages ---- */

static enum hf_status emit(struct hf_stage *s, struct hf_sample *sample, struct hf_error *e) {
    struct instance *in = s->engine;
    const struct hf_sample *whole = sample_whole(sample);
    if (whole != sample) { /* what came in goes out as it is */
        sample_ref(whole);
        sample_unref(sample);
        return samples_push(&in->out, whole, e);
    }
    enum hf_status st = sample_seal(sample, e);
    if (st != HF_OK) {
        sample_unref(sample);
        return st;
    }
    return samples_push(&in->out, sample, e);
}

static enum hf_status next(struct hf_stream *in, const struct hf_sample **ret, struct hf_error *e) {
    return in->next(in, ret, e);
}

static enum hf_status rewind_stream(struct hf_stream *in, uint64_t epoch, struct hf_error *e) {
    return in->rewind(in, epoch, e);
}

static int canceled(const struct hf_stage *s) {
    return atomic_load(&services_of(s->host)->canceled);
}

static int stopping(const struct hf_host *h) {
    return atomic_load(&services_of(h)->canceled);
}

static enum hf_status post(const struct hf_stage *s, const struct message *m, struct hf_error *e) {
    struct services *sv = services_of(s->host);
    return sv->post ? sv->post(sv->arg, s, m, e) : HF_OK;
}

static void log_line(const struct hf_stage *s, enum hf_log_level level, const char *text) {
    (void)post(s, &(struct message){.kind = MESSAGE_LOG, .level = level, .text = text}, NULL);
}

static void progress(const struct hf_stage *s, double done, double total, double loss) {
    struct message m = {.kind = MESSAGE_PROGRESS, .done = done, .total = total, .loss = loss};
    (void)post(s, &m, NULL);
}

static enum hf_status result(const struct hf_stage *s, const char *json, struct hf_error *e) {
    made_spoke();
    return post(s, &(struct message){.kind = MESSAGE_RESULT, .text = json}, e);
}

static enum hf_status report(const struct hf_stage *s, const char *title, const char *json,
                             struct hf_error *e) {
    made_spoke();
    return post(s, &(struct message){.kind = MESSAGE_REPORT, .title = title, .text = json}, e);
}

static enum hf_status publish(struct hf_stage *s, struct hf_model *model, struct hf_error *e) {
    return post(s, &(struct message){.kind = MESSAGE_MODEL, .model = model}, e);
}

/* ---- files ---- */

static enum hf_status file_take(const struct hf_host *h, const char *path, void **ret,
                                size_t *ret_size, struct hf_error *e) {
    struct services *sv = services_of(h);
    if (sv->took)
        sv->took(sv->took_arg, path);
    if (sv->readahead && readahead_take(sv->readahead, path, ret, ret_size))
        return HF_OK;
    return file_read(path, ret, ret_size, e);
}

static enum hf_status write_file(const char *path, const void *bytes, size_t size,
                                 struct hf_error *e) {
    enum hf_status st = file_write(path, bytes, size, e);
    if (st == HF_OK)
        made_file(path, bytes, size, NULL);
    return st;
}

static void file_free(const struct hf_host *h, void *bytes) {
    (void)h;
    free(bytes);
}

static enum hf_status folder(const struct hf_stage *s, const char *name, char *ret_path,
                             size_t size, struct hf_error *e) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", s->out_dir ? s->out_dir : ".", name);
    if (n < 0 || (size_t)n >= sizeof path || (size_t)n >= size)
        return hf_fail(e, HF_INVALID, "the path of folder '%.200s' is too long", name);
    enum hf_status st = folder_make(path, e);
    if (st == HF_OK)
        memcpy(ret_path, path, (size_t)n + 1);
    return st;
}

/* ---- networks and models ---- */

static enum hf_status net_new(int32_t dims, int32_t channels, struct hf_net **ret,
                              struct hf_error *e) {
    struct hf_net *net = calloc(1, sizeof *net);
    if (!net)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a network");
    enum hf_status st = hf_net_init(net, dims, channels, e);
    if (st == HF_OK)
        *ret = net;
    else
        free(net);
    return st;
}

static void net_free(struct hf_net *net) {
    if (net)
        hf_net_clear(net);
    free(net);
}

static enum hf_status net_copy(const struct hf_net *net, struct hf_net **ret, struct hf_error *e) {
    struct hf_net *copy = calloc(1, sizeof *copy);
    if (!copy)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a network");
    enum hf_status st = hf_net_copy(copy, net, e);
    if (st == HF_OK)
        *ret = copy;
    else
        free(copy);
    return st;
}

static enum hf_status model_save(const struct hf_model *m, const char *notes, const char *path,
                                 struct hf_error *e) {
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st = hf_model_write(m, notes, &bytes, &size, e);
    if (st == HF_OK)
        st = file_write(path, bytes, size, e);
    if (st == HF_OK)
        made_file(path, bytes, size, m);
    free(bytes);
    return st;
}

static enum hf_status model_load(const char *path, struct hf_model **ret, struct hf_error *e) {
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st = file_read(path, &bytes, &size, e);
    if (st == HF_OK)
        st = hf_model_read(bytes, size, path, ret, e);
    free(bytes);
    return st;
}

static const struct hf_host host_table = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_host),
    .tensor_new = tensor_new,
    .tensor_ref = tensor_ref,
    .tensor_unref = tensor_unref,
    .tensor_wait = tensor_wait,
    .tensor_to = tensor_to,
    .host_device = host_device,
    .sample_new = sample_new,
    .sample_derive = sample_derive,
    .sample_ref = sample_ref,
    .sample_unref = sample_unref,
    .sample_set = sample_set,
    .sample_drop = sample_drop,
    .op_find = op_find,
    .launch = op_launch,
    .emit = emit,
    .next = next,
    .rewind = rewind_stream,
    .canceled = canceled,
    .log = log_line,
    .progress = progress,
    .file_take = file_take,
    .file_free = file_free,
    .result = result,
    .report = report,
    .folder = folder,
    .write_file = write_file,
    .net_add = hf_net_add,
    .net_new = net_new,
    .net_free = net_free,
    .net_shapes = hf_net_shapes,
    .net_params = hf_net_params,
    .free_ = free,
    .net_init = hf_net_init_params,
    .model_new = hf_model_new,
    .model_ref = hf_model_ref,
    .model_unref = hf_model_unref,
    .model_save = model_save,
    .model_load = model_load,
    .publish = publish,
    .net_check = hf_net_check,
    .spec_check = hf_exec_spec_check,
    .net_copy = net_copy,
    .net_memory = hf_net_memory_most,
    .stopping = stopping,
};

enum hf_status services_new(struct services **ret, struct hf_error *e) {
    struct services *sv = calloc(1, sizeof *sv);
    if (!sv)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the host");
    sv->host = host_table;
    sv->host.engine = sv;
    sv->transfer = transfer_new();
    if (!sv->transfer) {
        free(sv);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the host");
    }
    *ret = sv;
    return HF_OK;
}

void services_release_device(struct services *sv) {
    transfer_release(sv->transfer);
}

void services_free(struct services *sv) {
    if (!sv)
        return;
    transfer_free(sv->transfer);
    free(sv);
}
