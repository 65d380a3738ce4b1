/*
 * net_json.c - a network description as JSON, and back.
 *
 * Only what a layer uses is written; what is absent is zero, which hf_net_add reads as the default.
 */
#include "net_json.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static bool add_axes(cJSON *layer, const char *key, const int32_t axes[3]) {
    return (axes[0] == 0 && axes[1] == 0 && axes[2] == 0) ||
           cJSON_AddItemToObject(layer, key, cJSON_CreateIntArray(axes, 3));
}

static cJSON *layer_to_json(const struct hf_layer *l) {
    cJSON *json = cJSON_CreateObject();
    bool ok = json && cJSON_AddStringToObject(json, "kind", hf_layer_kind_name(l->kind)) &&
              cJSON_AddStringToObject(json, "name", l->name) &&
              cJSON_AddItemToObject(json, "inputs", cJSON_CreateIntArray(l->input, l->inputs)) &&
              cJSON_AddNumberToObject(json, "channels", l->channels) &&
              add_axes(json, "kernel", l->kernel) && add_axes(json, "stride", l->stride) &&
              add_axes(json, "dilation", l->dilation);
    if (l->pad == HF_PAD_REFLECT)
        ok = ok && cJSON_AddStringToObject(json, "pad", "reflect");
    if (l->act != HF_ACT_NONE)
        ok = ok && cJSON_AddStringToObject(json, "act", hf_act_name(l->act));
    if (l->slope != 0)
        ok = ok && cJSON_AddNumberToObject(json, "slope", (double)l->slope);
    if (l->epsilon != 0)
        ok = ok && cJSON_AddNumberToObject(json, "epsilon", (double)l->epsilon);
    if (l->bias)
        ok = ok && cJSON_AddTrueToObject(json, "bias");
    if (l->channel != 0)
        ok = ok && cJSON_AddNumberToObject(json, "channel", l->channel);
    if (l->invert)
        ok = ok && cJSON_AddTrueToObject(json, "invert");
    if (l->supervise != 0)
        ok = ok && cJSON_AddNumberToObject(json, "supervise", (double)l->supervise);
    if (ok)
        return json;
    cJSON_Delete(json);
    return NULL;
}

cJSON *hf_net_to_json(const struct hf_net *net) {
    cJSON *json = cJSON_CreateObject();
    cJSON *layers = json ? cJSON_AddArrayToObject(json, "layers") : NULL;
    if (!layers || !cJSON_AddNumberToObject(json, "dims", net->dims)) {
        cJSON_Delete(json);
        return NULL;
    }
    for (int32_t i = 0; i < net->layers; i++) {
        if (!cJSON_AddItemToArray(layers, layer_to_json(&net->layer[i]))) {
            cJSON_Delete(json);
            return NULL;
        }
    }
    return json;
}

/* A whole number of at most 2^24 at `key`; 0 where it is absent, -1 where it is something else. */
static int32_t get_int(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        return 0;
    double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
    return v >= 0 && v <= 0x1p24 && v == floor(v) ? (int32_t)v : -1;
}

static float get_real(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? (float)item->valuedouble : 0.0f;
}

static const char *get_text(const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

/* Up to `max` whole numbers of a list; how many there were, or -1. */
static int32_t get_ints(const cJSON *object, const char *key, int32_t *ret, int32_t max) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    int32_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (n == max || v < 0 || v > 0x1p24 || v != floor(v))
            return -1;
        ret[n++] = (int32_t)v;
    }
    return n;
}

static enum hf_status layer_from_json(const cJSON *json, struct hf_layer *l, struct hf_error *e) {
    *l = (struct hf_layer){.kind = HF_LAYER_KINDS, .act = HF_ACTS};
    const char *name = get_text(json, "name"), *kind = get_text(json, "kind");
    const char *act = get_text(json, "act");
    for (int k = 0; k < HF_LAYER_KINDS; k++)
        if (strcmp(kind, hf_layer_kind_name((enum hf_layer_kind)k)) == 0)
            l->kind = (enum hf_layer_kind)k;
    if (l->kind == HF_LAYER_KINDS)
        return hf_fail(e, HF_INVALID, "layer '%.40s': unknown kind '%.40s'", name, kind);
    for (int a = 0; a < HF_ACTS; a++)
        if (strcmp(*act ? act : hf_act_name(HF_ACT_NONE), hf_act_name((enum hf_act)a)) == 0)
            l->act = (enum hf_act)a;
    if (l->act == HF_ACTS)
        return hf_fail(e, HF_INVALID, "layer '%.40s': unknown activation '%.40s'", name, act);
    if (strlen(name) >= sizeof l->name)
        return hf_fail(e, HF_INVALID, "layer '%.40s': the name is longer than %zu bytes", name,
                       sizeof l->name - 1);
    memcpy(l->name, name, strlen(name) + 1);
    l->inputs = get_ints(json, "inputs", l->input, HF_NET_MAX_INPUTS);
    l->channels = get_int(json, "channels");
    if (l->inputs < 0 || l->channels < 0 || get_ints(json, "kernel", l->kernel, 3) < 0 ||
        get_ints(json, "stride", l->stride, 3) < 0 ||
        get_ints(json, "dilation", l->dilation, 3) < 0)
        return hf_fail(e, HF_INVALID, "layer '%.40s': a size or an input is no whole number", name);
    l->pad = strcmp(get_text(json, "pad"), "reflect") == 0 ? HF_PAD_REFLECT : HF_PAD_ZERO;
    l->slope = get_real(json, "slope");
    l->epsilon = get_real(json, "epsilon");
    l->supervise = get_real(json, "supervise");
    l->bias = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "bias"));
    l->channel = get_int(json, "channel");
    l->invert = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "invert"));
    return HF_OK;
}

enum hf_status hf_net_from_json(const cJSON *json, struct hf_net *ret, struct hf_error *e) {
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(json, "layers");
    const cJSON *item = cJSON_GetArrayItem(layers, 0);
    struct hf_layer l;
    if (!item)
        return hf_fail(e, HF_INVALID, "the network has no layers");
    enum hf_status st = layer_from_json(item, &l, e);
    if (st == HF_OK && l.kind != HF_LAYER_INPUT)
        st = hf_fail(e, HF_INVALID, "layer '%.40s': the first layer must be the input", l.name);
    struct hf_net net = {0};
    if (st == HF_OK)
        st = hf_net_init(&net, get_int(json, "dims"), l.channels, e);
    for (item = item->next; st == HF_OK && item; item = item->next) {
        st = layer_from_json(item, &l, e);
        if (st == HF_OK)
            st = hf_net_add(&net, &l, NULL, e);
    }
    if (st == HF_OK)
        st = hf_net_check(&net, e);
    if (st == HF_OK)
        *ret = net;
    else
        hf_net_clear(&net);
    return st;
}
