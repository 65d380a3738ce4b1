/* print_json.c - a plan for programs, and options as JSON. */
#include "graph/print.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "graph/devices.h"
#include "graph/options.h"
#include "run/memory.h"

const char *option_type_name(enum hf_option_type type) {
    static const char *const name[] = {"bool", "int",   "real",  "enum",    "string",
                                       "path", "reals", "names", "weights", "network"};
    return name[type];
}

/* ---- options ---- */

static cJSON *text_or_null(const char *text) {
    return text ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static cJSON *choice_json(const char *choices, int which) {
    const char *at = choices ? choices : "";
    for (; which > 0 && *at; which--) {
        at += strcspn(at, "|");
        at += *at == '|';
    }
    char *word = strndup(at, strcspn(at, "|"));
    cJSON *ret = word ? cJSON_CreateString(word) : NULL;
    free(word);
    return ret;
}

static cJSON *weights_json(const struct hf_weights *w) {
    bool named = w->count > 0 && w->name[0];
    cJSON *ret = named ? cJSON_CreateObject() : cJSON_CreateArray();
    for (int i = 0; ret && i < w->count; i++) {
        if (named)
            cJSON_AddNumberToObject(ret, w->name[i] ? w->name[i] : "", w->value[i]);
        else
            cJSON_AddItemToArray(ret, cJSON_CreateNumber(w->value[i]));
    }
    return ret;
}

static cJSON *value_json(const struct hf_option *o, const void *at) {
    switch (o->type) {
    case HF_OPTION_BOOL:
        return cJSON_CreateBool(*(const int32_t *)at);
    case HF_OPTION_INT:
        return cJSON_CreateNumber((double)*(const int64_t *)at);
    case HF_OPTION_REAL:
        return cJSON_CreateNumber(*(const double *)at);
    case HF_OPTION_ENUM:
        return choice_json(o->choices, *(const int32_t *)at);
    case HF_OPTION_STRING:
    case HF_OPTION_PATH:
        return text_or_null(*(const char *const *)at);
    case HF_OPTION_REALS: {
        const struct hf_reals *r = at;
        return cJSON_CreateDoubleArray(r->value, r->count);
    }
    case HF_OPTION_NAMES: {
        const struct hf_names *n = at;
        return cJSON_CreateStringArray((const char *const *)n->name, n->count);
    }
    case HF_OPTION_WEIGHTS:
        return weights_json(at);
    case HF_OPTION_NETWORK: {
        const struct hf_network_choice *c = at;
        if (!c->network)
            return cJSON_CreateNull();
        cJSON *ret = cJSON_CreateObject();
        if (ret)
            cJSON_AddItemToObject(ret, c->network->name,
                                  options_json(c->network->options, c->options));
        return ret;
    }
    }
    return cJSON_CreateNull();
}

cJSON *options_json(const struct hf_option *table, const void *options) {
    cJSON *ret = cJSON_CreateObject();
    for (const struct hf_option *o = table; ret && o && o->name; o++)
        cJSON_AddItemToObject(ret, o->name, value_json(o, (const char *)options + o->offset));
    return ret;
}

/* ---- the plan ---- */

static cJSON *fields_json(const struct plan_stage *s) {
    cJSON *ret = cJSON_CreateArray();
    for (int i = 0; i < s->fields; i++) {
        const struct plan_field *f = &s->field[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", f->name);
        cJSON_AddStringToObject(one, "dtype", hf_dtype_name(f->dtype));
        cJSON_AddStringToObject(one, "place", place_name(f->place));
        cJSON *shape = cJSON_AddArrayToObject(one, "shape");
        for (int k = 0; k < 4 && f->place != HF_ON_HOST; k++)
            cJSON_AddItemToArray(shape, f->shape[k] < 0 ? cJSON_CreateNull()
                                                        : cJSON_CreateNumber((double)f->shape[k]));
        cJSON_AddItemToArray(ret, one);
    }
    return ret;
}

static cJSON *stage_json(const struct hf_plan *p, const struct plan_stage *s) {
    cJSON *ret = cJSON_CreateObject();
    cJSON_AddStringToObject(ret, "name", s->name);
    cJSON_AddStringToObject(ret, "use", s->cls->name);
    cJSON_AddStringToObject(ret, "kind", stage_kind_name(s->cls->kind));
    cJSON *from = cJSON_AddArrayToObject(ret, "from");
    for (int k = 0; k < s->inputs; k++)
        cJSON_AddItemToArray(from, cJSON_CreateString(p->stage[s->input[k]].name));
    cJSON *copies = NULL;
    for (int k = 0; k < s->inputs; k++) {
        const char *to = plan_copied_to(p, s, k);
        const struct plan_field *f;
        bool slice;
        cJSON *one = to ? cJSON_CreateObject() : NULL;
        if (!one)
            continue;
        copies = copies ? copies : cJSON_AddArrayToObject(ret, "copies");
        cJSON_AddStringToObject(one, "from", p->stage[s->input[k]].name);
        cJSON_AddStringToObject(one, "to", to);
        cJSON *fields = cJSON_AddArrayToObject(one, "fields");
        for (int i = 0; (f = plan_copied_field(p, s, k, i)); i++)
            cJSON_AddItemToArray(fields, cJSON_CreateString(f->name));
        int64_t bytes = plan_copied_bytes(p, s, k, &slice);
        if (bytes >= 0)
            cJSON_AddNumberToObject(one, slice ? "slice_bytes" : "sample_bytes", (double)bytes);
        cJSON_AddItemToArray(copies, one);
    }
    if (s->model >= 0)
        cJSON_AddStringToObject(ret, "model", p->stage[s->model].name);
    if (s->cls->kind == HF_MIX && s->mix_weight[0] > 0)
        cJSON_AddItemToObject(ret, "weights", cJSON_CreateDoubleArray(s->mix_weight, s->inputs));
    cJSON_AddItemToObject(ret, "options", options_json(s->cls->options, s->options));
    if (s->left_out_count > 0)
        cJSON_AddItemToObject(ret, "left_out",
                              cJSON_CreateStringArray(s->left_out, s->left_out_count));
    cJSON_AddNumberToObject(ret, "replicas", s->replicas);
    cJSON_AddNumberToObject(ret, "depth", s->depth);
    cJSON_AddNumberToObject(ret, "hold", (double)s->hold);
    cJSON_AddBoolToObject(ret, "cache", s->cache);
    if (s->on_error.retries > 0 || s->on_error.skip) {
        char on_error[ON_ERROR_TEXT];
        cJSON_AddStringToObject(ret, "on_error", on_error_shown(&s->on_error, on_error));
    }
    cJSON_AddBoolToObject(ret, "random", s->random);
    cJSON_AddBoolToObject(ret, "on_device", s->on_device);
    if (s->missing_op)
        cJSON_AddStringToObject(ret, "missing_op", s->missing_op);
    if (p->memory && p->memory->stage[s - p->stage].samples >= 0)
        cJSON_AddNumberToObject(ret, "samples", (double)p->memory->stage[s - p->stage].samples);
    cJSON_AddItemToObject(ret, "fields", fields_json(s));
    return ret;
}

/* Of each device what a job takes there at most, and for what. */
static cJSON *memory_json(const struct hf_plan *p, const struct job_memory *j) {
    cJSON *ret = cJSON_CreateObject();
    if (!j->known) {
        cJSON_AddStringToObject(ret, "unknown", j->unknown);
        return ret;
    }
    for (int d = 0; d < (p->memory->device ? SIDES : 1); d++) {
        cJSON *one = cJSON_AddObjectToObject(ret, d == SIDE_HOST ? "cpu" : p->runs_on);
        cJSON_AddNumberToObject(one, "bytes", (double)job_memory_total(j, (enum side)d));
        cJSON_AddNumberToObject(one, "samples", (double)j->samples[d]);
        cJSON_AddNumberToObject(one, "work", (double)j->work[d]);
        cJSON_AddNumberToObject(one, "networks", (double)j->networks[d]);
        cJSON_AddNumberToObject(one, "sinks", (double)j->sinks[d]);
        cJSON_AddNumberToObject(one, "held", (double)j->hold[d]);
    }
    return ret;
}

static cJSON *job_json(const struct hf_plan *p, const struct plan_job *j) {
    cJSON *ret = cJSON_CreateObject();
    cJSON_AddStringToObject(ret, "name", j->name);
    cJSON *sinks = cJSON_AddArrayToObject(ret, "sinks");
    for (int k = 0; k < j->sinks; k++)
        cJSON_AddItemToArray(sinks, cJSON_CreateString(p->stage[j->sink[k]].name));
    cJSON *stored = p->stored ? cJSON_AddArrayToObject(ret, "stored") : NULL;
    for (int k = 0; stored && k < j->sinks; k++)
        if (p->stored[j->sink[k]])
            cJSON_AddItemToArray(stored, cJSON_CreateString(p->stage[j->sink[k]].name));
    cJSON *after = cJSON_AddArrayToObject(ret, "after");
    for (int k = 0; k < j->after; k++)
        cJSON_AddItemToArray(after, cJSON_CreateString(p->job[j->after_job[k]].name));
    if (p->memory)
        cJSON_AddItemToObject(ret, "memory", memory_json(p, &p->memory->job[j - p->job]));
    return ret;
}

static cJSON *model_json(const struct hf_plan *p, int at) {
    const struct plan_stage *s = &p->stage[at];
    cJSON *ret = cJSON_CreateObject();
    cJSON_AddStringToObject(ret, "stage", s->name);
    cJSON_AddStringToObject(ret, "network", s->yields.network);
    cJSON_AddItemToObject(ret, "inputs",
                          cJSON_CreateStringArray((const char *const *)s->yields.inputs.name,
                                                  s->yields.inputs.count));
    cJSON_AddStringToObject(ret, "target", s->yields.target);
    if (s->yields.weight[0])
        cJSON_AddStringToObject(ret, "weight", s->yields.weight);
    struct leaf leaf[MAX_LEAVES];
    int count = plan_leaves(p, at, leaf);
    cJSON *sees = cJSON_AddArrayToObject(ret, "sees");
    for (int i = 0; i < count; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "field", leaf[i].field);
        cJSON_AddStringToObject(one, "of", p->stage[leaf[i].stage].name);
        cJSON_AddStringToObject(one, "as", leaf[i].how == REACH_DIRECT ? "itself" : "annotation");
        cJSON_AddItemToArray(sees, one);
    }
    return ret;
}

char *plan_print_json(const struct hf_plan *p) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", p->name);
    cJSON_AddStringToObject(root, "path", p->path);
    cJSON_AddNumberToObject(root, "seed", (double)p->seed);
    cJSON_AddStringToObject(root, "device", p->device);
    cJSON_AddStringToObject(root, "runs_on", p->runs_on);
    if (p->not_taken)
        cJSON_AddStringToObject(root, "not_taken", p->not_taken);
    cJSON_AddNumberToObject(root, "hold", (double)p->hold);
    cJSON_AddNumberToObject(root, "nn_threads", (double)p->nn_threads);
    cJSON_AddNumberToObject(root, "jobs_at_once", p->jobs_at_once);
    if (p->memory) {
        cJSON_AddNumberToObject(root, "memory_for_workers", p->memory->workers);
        cJSON_AddBoolToObject(root, "scanned", p->memory->scanned);
    }
    cJSON *jobs = cJSON_AddArrayToObject(root, "jobs");
    for (int i = 0; i < p->jobs; i++)
        cJSON_AddItemToArray(jobs, job_json(p, &p->job[i]));
    cJSON *stages = cJSON_AddArrayToObject(root, "stages");
    for (int i = 0; i < p->stages; i++)
        cJSON_AddItemToArray(stages, stage_json(p, &p->stage[i]));
    cJSON *models = cJSON_AddArrayToObject(root, "models");
    for (int i = 0; i < p->stages; i++)
        if (p->stage[i].learned > 0)
            cJSON_AddItemToArray(models, model_json(p, i));
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text)
        return NULL;
    char *ret = NULL; /* hf_free frees it, whatever cJSON allocates with */
    if (asprintf(&ret, "%s\n", text) < 0)
        ret = NULL;
    cJSON_free(text);
    return ret;
}
