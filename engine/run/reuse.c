/*
 * reuse.c - what the stages of a run are made of, and their keys (see reuse.h).
 */
#include "reuse_of.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

#define FILES_MOST (1 << 20) /* of an item */

/* ---- terms of sources ---- */

static void took(void *arg, const char *path) {
    struct reuse *r = arg;
    char name[256], digest[DIGEST_TEXT];
    if (r->watched < 0 || r->watch_status != HF_OK)
        return;
    r->watch_status = inputs_digest(r->inputs, path, digest, &r->watch_error);
    if (r->watch_status != HF_OK)
        return;
    (void)snprintf(name, sizeof name, "%s.read %d", r->run->plan->stage[r->watched].name,
                   r->files++);
    terms_add(&r->keys->stage[r->watched], TERM_FILE, name, digest, path);
}

void reuse_watch(struct reuse *r, int stage) {
    struct services *sv = r->run->services;
    r->watched = stage;
    r->files = 0;
    sv->took = stage < 0 ? NULL : took;
    sv->took_arg = r;
}

/* All files of an item; malloc'd. */
static enum hf_status files_of(struct instance *in, const struct hf_stage_class *cls, int64_t item,
                               const char ***ret, int32_t *ret_count, struct hf_error *e) {
    int32_t most = 8;
    const char **path = NULL;
    do {
        most *= 2;
        const char **more = realloc((void *)path, (size_t)most * sizeof *more);
        if (!more) {
            free((void *)path);
            return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
        }
        path = more;
        *ret_count = cls->files(&in->stage, item, path, most);
    } while (*ret_count >= most && most < FILES_MOST);
    *ret = path;
    if (*ret_count < most)
        return HF_OK;
    free((void *)path);
    return hf_fail(e, HF_INVALID, "%s: item %lld has more than %d files", in->stage.name,
                   (long long)item, FILES_MOST);
}

static enum hf_status add_item(struct reuse *r, struct instance *in, int64_t item,
                               struct hf_error *e) {
    const struct hf_stage_class *cls = r->run->plan->stage[in->index].cls;
    struct terms *terms = &r->keys->stage[in->index];
    const char **path = NULL, *case_id;
    char name[256], digest[DIGEST_TEXT];
    int32_t files = 0;
    enum hf_status st = HF_OK;
    int n = snprintf(name, sizeof name, "%.200s.item %lld", in->stage.name, (long long)item);
    case_id = cls->case_of ? cls->case_of(&in->stage, item) : NULL;
    if (case_id)
        terms_add(terms, TERM_SET, name, case_id, "");
    if (cls->files)
        st = files_of(in, cls, item, &path, &files, e);
    for (int32_t i = 0; st == HF_OK && i < files; i++) {
        st = inputs_digest(r->inputs, path[i], digest, e);
        (void)snprintf(name + n, sizeof name - (size_t)n, " file %d", (int)i);
        if (st == HF_OK) {
            struct term *t = terms_add(terms, TERM_FILE, name, digest, path[i]);
            if (t)
                t->item = item;
        }
    }
    free((void *)path);
    return st;
}

enum hf_status reuse_source(struct reuse *r, struct instance *in, int64_t items,
                            struct hf_error *e) {
    char name[256], count[32];
    enum hf_status st = r->watch_status;
    if (st != HF_OK)
        *e = r->watch_error;
    (void)snprintf(name, sizeof name, "%.200s.items", in->stage.name);
    (void)snprintf(count, sizeof count, "%lld", (long long)items);
    terms_add(&r->keys->stage[in->index], TERM_SET, name, count, "");
    for (int64_t i = 0; st == HF_OK && i < items; i++)
        st = add_item(r, in, i, e);
    return st;
}

/* ---- opening ---- */

static enum hf_status make_keys(struct reuse *r, struct hf_error *e) {
    struct run *run = r->run;
    struct hf_device *host = run->services->host_device;
    const struct key_scope scope = {.engine = run->engine,
                                    .plan = run->plan,
                                    .seed = run->seed,
                                    .cpu = host->methods->describe(host),
                                    .device = run->device->methods->describe(run->device),
                                    .cpu_name = "cpu",
                                    .on_name = run->device == host ? "cpu" : run->plan->runs_on,
                                    .cpu_ops = host->op_kind,
                                    .on_ops = run->device->op_kind,
                                    .inputs = r->inputs};
    return keys_new(&scope, &r->keys, e);
}

enum hf_status reuse_begin(struct run *run, struct reuse **ret, struct hf_error *e) {
    size_t stages = (size_t)run->plan->stages + 1;
    struct reuse *r = calloc(1, sizeof *r);
    if (!r)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    r->run = run;
    r->watched = -1;
    r->found = calloc(stages, sizeof *r->found);
    r->entry = calloc(stages, sizeof *r->entry);
    r->doubted = calloc(stages, sizeof *r->doubted);
    enum hf_status st = r->found && r->entry && r->doubted
                            ? HF_OK
                            : hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    if (st == HF_OK && run->options->store && !run->plan->no_store)
        st = store_open(run->options->store, &r->store, e);
    if (st == HF_OK) {
        r->inputs = inputs_new(r->store);
        st = r->inputs ? make_keys(r, e) : hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    }
    if (st == HF_OK)
        *ret = r;
    else
        reuse_free(r);
    return st;
}

void reuse_free(struct reuse *r) {
    if (!r)
        return;
    for (int i = 0; r->entry && i < r->run->plan->stages; i++)
        entry_clear(&r->entry[i]);
    for (int i = 0; r->rest.job && i < r->rest.jobs; i++) {
        free(r->rest.job[i].sink);
        free(r->rest.job[i].after_job);
    }
    free(r->rest.job);
    reuse_watch(r, -1);
    keys_free(r->keys);
    inputs_free(r->inputs);
    store_close(r->store);
    free(r->found);
    free(r->entry);
    free(r->doubted);
    free(r);
}

/* ---- what is known ---- */

enum hf_status reuse_keys(struct reuse *r, struct hf_error *e) {
    enum hf_status st = keys_finish(r->run->plan, r->keys, e);
    r->keyed = st == HF_OK;
    if (st == HF_OK)
        inputs_save(r->inputs);
    return st;
}

bool reuse_has(const struct reuse *r, int stage) {
    return r->store && entry_there(r->store, r->keys->key[stage]);
}

enum hf_status reuse_terms(const struct reuse *r, int stage, struct terms *ret,
                           struct hf_error *e) {
    return keys_terms(r->run->plan, r->keys, stage, ret, e);
}

bool reuse_last(const struct reuse *r, struct terms *ret) {
    return r->store && store_recall(r->store, r->run->plan->name, ret);
}

struct store *reuse_store(const struct reuse *r) {
    return r && r->keyed ? r->store : NULL;
}

struct digest reuse_digest(const struct reuse *r, int stage) {
    return r->keys->key[stage];
}

enum hf_job_state reuse_state(const struct reuse *r, int stage) {
    return r && r->found[stage] == FOUND_RESULT ? HF_JOB_REUSED
           : r && r->found[stage] == LEFT_OUT   ? HF_JOB_LEFT_OUT
                                                : HF_JOB_RUN;
}

enum hf_job_state reuse_job_state(const struct run *run, int job) {
    const struct plan_job *pj = &run->whole->job[job];
    enum hf_job_state ret = HF_JOB_REUSED;
    for (int k = 0; k < pj->sinks && ret != HF_JOB_RUN; k++) {
        enum hf_job_state one = reuse_state(run->reuse, pj->sink[k]);
        ret = one == HF_JOB_REUSED ? ret : one;
    }
    return ret;
}

void reuse_key(const struct reuse *r, int stage, char ret[DIGEST_TEXT]) {
    ret[0] = 0;
    if (r && r->keyed)
        digest_text(r->keys->key[stage], ret);
}

bool reuse_keeps(const struct reuse *r) {
    return r && r->store;
}

bool reuse_yields_model(const struct plan_stage *ps) {
    return ps->cls->kind == HF_MODEL || (ps->cls->flags & HF_STAGE_YIELDS_MODEL);
}

bool reuse_is_partial(const struct run *run, int stage) {
    return run->options->only_case && !reuse_yields_model(&run->plan->stage[stage]);
}

/* ---- what it was made of ---- */

static bool add_plugins(cJSON *to, const struct terms *t) {
    bool good = true;
    for (int i = 0; i < t->count && good; i++)
        if (t->term[i].kind == TERM_PLUGIN &&
            !cJSON_GetObjectItemCaseSensitive(to, t->term[i].note))
            good = cJSON_AddStringToObject(to, t->term[i].note, t->term[i].value);
    return good;
}

cJSON *reuse_plugins(const struct reuse *r) {
    cJSON *ret = cJSON_CreateObject();
    bool good = ret && add_plugins(ret, &r->keys->run);
    for (int i = 0; i < r->keys->stages && good; i++)
        good = add_plugins(ret, &r->keys->stage[i]);
    if (good)
        return ret;
    cJSON_Delete(ret);
    return NULL;
}

static bool add_inputs(cJSON *to, const struct terms *t) {
    bool good = true;
    for (int i = 0; i < t->count && good; i++) {
        const struct term *one = &t->term[i];
        if (one->kind != TERM_FILE)
            continue;
        cJSON *o = cJSON_CreateObject();
        good = cJSON_AddStringToObject(o, "of", one->name) &&
               cJSON_AddStringToObject(o, "file", one->note) &&
               cJSON_AddStringToObject(o, "digest", one->value) && cJSON_AddItemToArray(to, o);
        if (!good)
            cJSON_Delete(o);
    }
    return good;
}

cJSON *reuse_inputs(const struct reuse *r) {
    cJSON *ret = cJSON_CreateArray();
    bool good = ret;
    for (int i = 0; i < r->keys->stages && good; i++)
        good = add_inputs(ret, &r->keys->stage[i]);
    if (good)
        return ret;
    cJSON_Delete(ret);
    return NULL;
}
