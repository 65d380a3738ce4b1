/*
 * model.c - models: reference-counted values in host memory, and their safetensors form.
 */
#include "model.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "net_json.h"

struct model {
    struct hf_model head;
    struct hf_net net;
    atomic_int refs;
    float params[];
};

/* ---- the value ---- */

/* The names of `info->inputs` point into the caller's memory; a model owns copies. */
static enum hf_status copy_inputs(struct hf_model_info *info, struct hf_error *e) {
    int32_t n = info->inputs.count;
    info->inputs.count = 0;
    for (int32_t i = 0; i < n; i++) {
        char *name = strdup(info->inputs.name[i]);
        if (!name)
            return hf_fail(e, HF_NO_MEMORY, "no memory for a model");
        info->inputs.name[i] = name;
        info->inputs.count = i + 1;
    }
    return HF_OK;
}

enum hf_status hf_model_new(const struct hf_model_info *info, const struct hf_net *net,
                            const float *params, struct hf_model **ret, struct hf_error *e) {
    struct hf_param *list = NULL;
    int32_t count = 0;
    int64_t total = 0;
    enum hf_status st = hf_net_params(net, &list, &count, &total, e);
    free(list);
    if (st != HF_OK)
        return st;
    struct model *m = calloc(1, sizeof *m + (size_t)total * sizeof(float));
    if (!m)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a model of %lld parameters",
                       (long long)total);
    m->head.info = *info;
    m->head.net = &m->net;
    m->head.params = m->params;
    m->head.param_count = total;
    atomic_init(&m->refs, 1);
    memcpy(m->params, params, (size_t)total * sizeof(float));
    st = copy_inputs(&m->head.info, e);
    if (st == HF_OK)
        st = hf_net_copy(&m->net, net, e);
    if (st == HF_OK)
        *ret = &m->head;
    else
        hf_model_unref(&m->head);
    return st;
}

void hf_model_ref(const struct hf_model *model) {
    struct model *m = (struct model *)(uintptr_t)model;
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void hf_model_unref(const struct hf_model *model) {
    struct model *m = (struct model *)(uintptr_t)model;
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int32_t i = 0; i < m->head.info.inputs.count; i++)
        free((void *)(uintptr_t)m->head.info.inputs.name[i]);
    hf_net_clear(&m->net);
    free(m);
}

/* ---- writing ---- */

static cJSON *info_to_json(const struct hf_model_info *info) {
    cJSON *json = cJSON_CreateObject();
    cJSON *inputs = json ? cJSON_AddArrayToObject(json, "inputs") : NULL;
    bool ok = inputs;
    for (int32_t i = 0; ok && i < info->inputs.count; i++)
        ok = cJSON_AddItemToArray(inputs, cJSON_CreateString(info->inputs.name[i]));
    ok = ok && cJSON_AddNumberToObject(json, "input_channels", info->input_channels) &&
         cJSON_AddStringToObject(json, "target", info->target) &&
         cJSON_AddStringToObject(json, "weight", info->weight) &&
         cJSON_AddNumberToObject(json, "output_channels", info->output_channels) &&
         cJSON_AddStringToObject(json, "activation", info->activation) &&
         cJSON_AddStringToObject(json, "stage", info->stage) &&
         cJSON_AddStringToObject(json, "network", info->network) &&
         cJSON_AddNumberToObject(json, "dims", info->dims);
    if (info->rebuilt_channels > 0)
        ok = ok && cJSON_AddStringToObject(json, "rebuilds", info->rebuilds) &&
             cJSON_AddNumberToObject(json, "rebuilt_channels", info->rebuilt_channels);
    if (info->blanked[0])
        ok = ok && cJSON_AddStringToObject(json, "blanked", info->blanked) &&
             cJSON_AddNumberToObject(json, "blank", info->blank);
    cJSON *patch = ok ? cJSON_AddArrayToObject(json, "patch") : NULL;
    ok = patch;
    for (int axis = 0; ok && axis < 3; axis++)
        ok = cJSON_AddItemToArray(patch, cJSON_CreateNumber((double)info->patch[axis]));
    if (ok)
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* Adds `json` (consumed) as a string, because safetensors' metadata hold strings only. */
static bool add_packed(cJSON *object, const char *key, cJSON *json) {
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;
    bool ok = text && cJSON_AddStringToObject(object, key, text);
    cJSON_free(text);
    cJSON_Delete(json);
    return ok;
}

static bool add_tensor(cJSON *header, const struct hf_param *p) {
    cJSON *entry = cJSON_AddObjectToObject(header, p->name);
    cJSON *shape = entry ? cJSON_AddArrayToObject(entry, "shape") : NULL;
    cJSON *range = entry ? cJSON_AddArrayToObject(entry, "data_offsets") : NULL;
    if (!shape || !range || !cJSON_AddStringToObject(entry, "dtype", "F32"))
        return false;
    bool ok = true;
    for (int32_t i = 0; ok && i < p->ndim; i++)
        ok = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)p->shape[i]));
    int64_t end = p->offset + p->count;
    return ok &&
           cJSON_AddItemToArray(range, cJSON_CreateNumber((double)p->offset * sizeof(float))) &&
           cJSON_AddItemToArray(range, cJSON_CreateNumber((double)end * sizeof(float)));
}

/* The header's text, or NULL when out of memory. */
static char *make_header(const struct hf_model *m, const char *notes, const struct hf_param *params,
                         int32_t count) {
    cJSON *header = cJSON_CreateObject();
    cJSON *meta = header ? cJSON_AddObjectToObject(header, "__metadata__") : NULL;
    bool ok = meta && cJSON_AddStringToObject(meta, "format", "pt") &&
              add_packed(meta, "hepaflow.network", hf_net_to_json(m->net)) &&
              add_packed(meta, "hepaflow.model", info_to_json(&m->info)) &&
              cJSON_AddStringToObject(meta, "hepaflow.notes", notes ? notes : "{}");
    for (int32_t i = 0; ok && i < count; i++)
        ok = add_tensor(header, &params[i]);
    char *text = ok ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

enum hf_status hf_model_write(const struct hf_model *m, const char *notes, void **ret,
                              size_t *ret_size, struct hf_error *e) {
    struct hf_param *params = NULL;
    int32_t count = 0;
    int64_t total = 0;
    enum hf_status st = hf_net_params(m->net, &params, &count, &total, e);
    if (st != HF_OK)
        return st;
    char *header = make_header(m, notes, params, count);
    free(params);
    size_t length = header ? strlen(header) : 0;
    size_t padded = (length + 7) / 8 * 8; /* readers map the data, so they start aligned */
    size_t size = 8 + padded + (size_t)total * sizeof(float);
    uint8_t *bytes = header ? malloc(size) : NULL;
    if (bytes) {
        for (int i = 0; i < 8; i++)
            bytes[i] = (uint8_t)((uint64_t)padded >> (8 * i));
        memcpy(bytes + 8, header, length);
        memset(bytes + 8 + length, ' ', padded - length);
        memcpy(bytes + 8 + padded, m->params, (size_t)total * sizeof(float));
        *ret = bytes;
        *ret_size = size;
    } else {
        st = hf_fail(e, HF_NO_MEMORY, "no memory for a checkpoint of %lld parameters",
                     (long long)total);
    }
    cJSON_free(header);
    return st;
}

/* ---- reading ---- */

static cJSON *get_packed(const cJSON *meta, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(meta, key));
    return text ? cJSON_Parse(text) : NULL;
}

static void copy_text(char *to, size_t size, const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    (void)snprintf(to, size, "%s", text ? text : "");
}

static int32_t get_count(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valueint : 0;
}

/* Checkpoints of the first interface tell no patch. */
static enum hf_status get_patch(const cJSON *object, int32_t dims, int64_t ret[3],
                                struct hf_error *e) {
    const cJSON *patch = cJSON_GetObjectItemCaseSensitive(object, "patch");
    bool ok = !patch || cJSON_GetArraySize(patch) == 3;
    for (int axis = 0; ok && patch && axis < 3; axis++) {
        const cJSON *item = cJSON_GetArrayItem(patch, axis);
        ok = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 65536;
        ret[axis] = ok ? (int64_t)item->valuedouble : 0;
    }
    if (!ok || (dims == 2 && ret[0] > 1))
        return hf_fail(e, HF_INVALID, "its patch is not one of a %dD network", dims);
    return HF_OK;
}

/* Checkpoints of the first interface tell no blank. */
static enum hf_status get_blank(const cJSON *object, struct hf_model_info *ret,
                                struct hf_error *e) {
    const cJSON *blank = cJSON_GetObjectItemCaseSensitive(object, "blank");
    copy_text(ret->blanked, sizeof ret->blanked, object, "blanked");
    if (!ret->blanked[0])
        return HF_OK;
    if (!cJSON_IsNumber(blank))
        return hf_fail(e, HF_INVALID, "its '%s' is blanked with no number", ret->blanked);
    ret->blank = blank->valuedouble;
    return HF_OK;
}

/* The strings of `ret->inputs` live as long as `json`. */
static enum hf_status info_from_json(const cJSON *json, const struct hf_net *net,
                                     struct hf_model_info *ret, struct hf_error *e) {
    int32_t outputs = net->layer[net->layers - 1].channels;
    *ret = (struct hf_model_info){0};
    copy_text(ret->stage, sizeof ret->stage, json, "stage");
    copy_text(ret->network, sizeof ret->network, json, "network");
    copy_text(ret->target, sizeof ret->target, json, "target");
    copy_text(ret->weight, sizeof ret->weight, json, "weight");
    copy_text(ret->activation, sizeof ret->activation, json, "activation");
    ret->input_channels = get_count(json, "input_channels");
    ret->output_channels = get_count(json, "output_channels");
    copy_text(ret->rebuilds, sizeof ret->rebuilds, json, "rebuilds");
    ret->rebuilt_channels = get_count(json, "rebuilt_channels");
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "inputs")) {
        if (!cJSON_IsString(item) || ret->inputs.count == HF_OPTION_ITEMS)
            return hf_fail(e, HF_INVALID, "the list of inputs is not one of at most %d names",
                           HF_OPTION_ITEMS);
        ret->inputs.name[ret->inputs.count++] = item->valuestring;
    }
    if (ret->inputs.count == 0 || ret->input_channels != net->layer[0].channels ||
        ret->output_channels < 1 || ret->rebuilt_channels < 0 ||
        (ret->rebuilt_channels > 0) != (ret->rebuilds[0] != 0) ||
        (int64_t)ret->output_channels + ret->rebuilt_channels != outputs)
        return hf_fail(e, HF_INVALID,
                       "its channels (%d in, %d out, %d rebuilt) are not its network's (%d, %d)",
                       ret->input_channels, ret->output_channels, ret->rebuilt_channels,
                       net->layer[0].channels, outputs);
    ret->dims = net->dims;
    enum hf_status st = get_blank(json, ret, e);
    return st == HF_OK ? get_patch(json, net->dims, ret->patch, e) : st;
}

/* Where the floats of `p` stand in the data, checked against its size. */
static enum hf_status find_tensor(const cJSON *header, const struct hf_param *p, size_t data_size,
                                  size_t *ret_begin, struct hf_error *e) {
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(header, p->name);
    if (!entry)
        return hf_fail(e, HF_INVALID, "the parameter '%s' is missing", p->name);
    const char *dtype = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "dtype"));
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *range = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    const cJSON *begin = cJSON_GetArrayItem(range, 0), *end = cJSON_GetArrayItem(range, 1);
    bool ok = dtype && strcmp(dtype, "F32") == 0 && cJSON_GetArraySize(shape) == p->ndim;
    for (int32_t i = 0; ok && i < p->ndim; i++)
        ok = cJSON_GetArrayItem(shape, i)->valuedouble == (double)p->shape[i];
    ok = ok && cJSON_IsNumber(begin) && cJSON_IsNumber(end) && begin->valuedouble >= 0 &&
         end->valuedouble <= (double)data_size &&
         end->valuedouble - begin->valuedouble == (double)p->count * sizeof(float);
    if (!ok)
        return hf_fail(e, HF_INVALID,
                       "the parameter '%s' has another type, shape or place than "
                       "its network asks for",
                       p->name);
    *ret_begin = (size_t)begin->valuedouble;
    return HF_OK;
}

static enum hf_status read_params(const cJSON *header, const struct hf_net *net,
                                  const uint8_t *data, size_t data_size, float **ret,
                                  struct hf_error *e) {
    struct hf_param *params = NULL;
    int32_t count = 0;
    int64_t total = 0;
    enum hf_status st = hf_net_params(net, &params, &count, &total, e);
    if (st == HF_OK && (uint64_t)total * sizeof(float) > data_size)
        st = hf_fail(e, HF_INVALID, "it holds %zu bytes of parameters, its network has %lld",
                     data_size, (long long)total * (long long)sizeof(float));
    float *values = st == HF_OK ? malloc((size_t)total * sizeof(float)) : NULL;
    if (st == HF_OK && !values)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for %lld parameters", (long long)total);
    for (int32_t i = 0; st == HF_OK && i < count; i++) {
        size_t begin = 0;
        st = find_tensor(header, &params[i], data_size, &begin, e);
        if (st == HF_OK)
            memcpy(values + params[i].offset, data + begin,
                   (size_t)params[i].count * sizeof(float));
    }
    free(params);
    if (st == HF_OK)
        *ret = values;
    else
        free(values);
    return st;
}

static enum hf_status read_model(const cJSON *header, const uint8_t *data, size_t data_size,
                                 struct hf_model **ret, struct hf_error *e) {
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(header, "__metadata__");
    cJSON *network = get_packed(meta, "hepaflow.network");
    cJSON *model = get_packed(meta, "hepaflow.model");
    struct hf_net net = {0};
    struct hf_model_info info;
    float *params = NULL;
    enum hf_status st = HF_OK;
    if (!network || !model)
        st = hf_fail(e, HF_INVALID,
                     "its metadata name no hepaflow network; expected a checkpoint of `train`");
    if (st == HF_OK)
        st = hf_net_from_json(network, &net, e);
    if (st == HF_OK)
        st = info_from_json(model, &net, &info, e);
    if (st == HF_OK)
        st = read_params(header, &net, data, data_size, &params, e);
    if (st == HF_OK)
        st = hf_model_new(&info, &net, params, ret, e);
    free(params);
    hf_net_clear(&net);
    cJSON_Delete(network);
    cJSON_Delete(model);
    return st;
}

enum hf_status hf_model_read(const void *bytes, size_t size, const char *name,
                             struct hf_model **ret, struct hf_error *e) {
    const uint8_t *b = bytes;
    uint64_t length = 0;
    for (int i = 0; i < 8 && size >= 8; i++)
        length |= (uint64_t)b[i] << (8 * i);
    if (size < 8 || length > size - 8)
        return hf_fail(e, HF_INVALID, "%s: not a safetensors file, or cut short (%zu bytes)", name,
                       size);
    cJSON *header = cJSON_ParseWithLength((const char *)b + 8, (size_t)length);
    if (!header)
        return hf_fail(e, HF_INVALID, "%s: not a safetensors file: its header is no JSON", name);
    size_t begin = 8 + (size_t)length;
    enum hf_status st = read_model(header, b + begin, size - begin, ret, e);
    cJSON_Delete(header);
    if (st != HF_OK)
        (void)hf_fail_in(e, "%s", name);
    return st;
}
