/*
 * reuse.c - finds the results that the store has, and keeps those that are made (see reuse.h).
 */
#include "exec.h"

#include <stdlib.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "graph/devices.h"
#include "modules.h"
#include "nn/model.h"
#include "trace.h"

#define FILES_MOST (1 << 20) /* of an item */

enum finding {
    FOUND_NOTHING,
    DAMAGED,      /* and dropped */
    FOUND_RESULT, /* and it is in its place */
    LEFT_OUT
};

struct reuse {
    struct run *run;
    struct store *store;
    struct inputs *inputs;
    struct keys *keys;
    bool keyed;                  /* the keys are there */
    int watched;                 /* source that starts, or -1 */
    int files;                   /* that it has read so far */
    enum hf_status watch_status; /* of their digests */
    struct hf_error watch_error;
    enum finding *found; /* per stage */
    struct entry *entry; /* per stage: of FOUND_RESULT, until it has been told */
    bool *doubted;       /* per stage; under notes_lock */
    struct hf_plan rest; /* the plan without what was found */
};

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
        if (st == HF_OK)
            terms_add(terms, TERM_FILE, name, digest, path[i]);
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

/* ---- finding ---- */

static bool yields_model(const struct plan_stage *ps) {
    return ps->cls->kind == HF_MODEL || (ps->cls->flags & HF_STAGE_YIELDS_MODEL);
}

/* Whether the stage sees only some of its samples in this run. */
static bool is_partial(const struct run *run, int stage) {
    return run->options->only_case && !yields_model(&run->plan->stage[stage]);
}

/* Says what is wrong with an entry, which then makes way for a new one. */
static void drop(struct reuse *r, int stage, const struct hf_error *e) {
    char line[2300];
    (void)snprintf(line, sizeof line,
                   "%s: its result in the store is damaged, and is made again (%s)",
                   r->run->plan->stage[stage].name, e->text);
    run_tell(r->run, (struct hf_run_event){.kind = HF_EVENT_LOG,
                                           .level = HF_LOG_WARNING,
                                           .job = r->run->plan->stage[stage].name,
                                           .text = line});
    entry_drop(r->store, r->keys->key[stage]);
    entry_clear(&r->entry[stage]);
    r->found[stage] = DAMAGED;
}

/* Puts the stage's result into its place, if the store has it whole. */
static enum hf_status find(struct reuse *r, int stage, struct hf_error *e) {
    struct digest key = r->keys->key[stage];
    if (r->run->options->fresh || is_partial(r->run, stage))
        return HF_OK;
    enum hf_status st = entry_load(r->store, key, &r->entry[stage], e);
    if (st == HF_OK)
        st = entry_restore(r->store, key, &r->entry[stage], r->run->out_dir, e);
    if (st == HF_OK) {
        entry_touch(r->store, key);
        r->found[stage] = FOUND_RESULT;
    } else if (st == HF_INVALID && entry_known(r->store, key)) {
        drop(r, stage, e);
    } else { /* another program may have removed it meanwhile */
        entry_clear(&r->entry[stage]);
    }
    return st == HF_NOT_FOUND || st == HF_INVALID ? HF_OK : st;
}

static enum hf_status find_model(struct reuse *r, int stage, struct hf_error *e) {
    struct hf_model *model = NULL;
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st =
        entry_model(r->store, r->keys->key[stage], &r->entry[stage], &bytes, &size, e);
    if (st == HF_OK)
        st = hf_model_read(bytes, size, r->run->plan->stage[stage].name, &model, e);
    free(bytes);
    if (st == HF_NO_MEMORY)
        return st;
    if (st == HF_OK) {
        r->run->model[stage] = model;
    } else if (entry_known(r->store, r->keys->key[stage])) {
        drop(r, stage, e);
    } else { /* another program has removed it meanwhile */
        entry_clear(&r->entry[stage]);
        r->found[stage] = FOUND_NOTHING;
    }
    return HF_OK;
}

/* Marks the models that the stage takes, itself or upstream. */
static enum hf_status mark_needed(const struct hf_plan *plan, int stage, bool *needed,
                                  struct hf_error *e) {
    bool *tree = calloc((size_t)plan->stages + 1, sizeof *tree);
    if (!tree)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    keys_cone(plan, stage, false, tree);
    for (int i = 0; i <= stage; i++)
        if (tree[i] && plan->stage[i].model >= 0)
            needed[plan->stage[i].model] = true;
    free(tree);
    return HF_OK;
}

static bool has_takers(const struct hf_plan *plan, int model) {
    for (int i = 0; i < plan->stages; i++)
        if (plan->stage[i].model == model)
            return true;
    return false;
}

static enum hf_status find_sink(struct reuse *r, int stage, bool *needed, struct hf_error *e) {
    const struct hf_plan *plan = r->run->plan;
    bool model = yields_model(&plan->stage[stage]);
    enum hf_status st = find(r, stage, e);
    if (st == HF_OK && model && needed[stage] && r->found[stage] == FOUND_RESULT)
        st = find_model(r, stage, e);
    if (st != HF_OK || r->found[stage] == FOUND_RESULT)
        return st;
    if (model && !needed[stage] && r->found[stage] == FOUND_NOTHING && !r->run->options->fresh &&
        has_takers(plan, stage)) {
        r->found[stage] = LEFT_OUT;
        return HF_OK;
    }
    return mark_needed(plan, stage, needed, e);
}

/* ---- the rest ---- */

static bool waits_for(const struct hf_plan *plan, const struct plan_job *job, int other,
                      const bool *needed) {
    for (int i = 0; i < job->after; i++)
        for (int k = 0; job->after_job[i] == other && k < plan->job[other].sinks; k++)
            if (needed[plan->job[other].sink[k]])
                return true;
    return false;
}

/* The job without what was found: with fewer stages at its end, or none. */
static enum hf_status narrow(struct reuse *r, int index, struct hf_error *e) {
    const struct hf_plan *plan = r->run->plan;
    const struct plan_job *whole = &plan->job[index];
    struct plan_job *job = &r->rest.job[index];
    bool *needed = calloc((size_t)plan->stages + 1, sizeof *needed);
    enum hf_status st = HF_OK;
    job->name = whole->name;
    job->sink = calloc((size_t)whole->sinks + 1, sizeof *job->sink);
    job->after_job = calloc((size_t)whole->after + 1, sizeof *job->after_job);
    if (!needed || !job->sink || !job->after_job)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    for (int k = 0; st == HF_OK && k < whole->sinks; k++)
        if (reuse_state(r, whole->sink[k]) == HF_JOB_RUN) {
            job->sink[job->sinks++] = whole->sink[k];
            st = mark_needed(plan, whole->sink[k], needed, e);
        }
    for (int i = 0; st == HF_OK && i < whole->after; i++)
        if (waits_for(plan, whole, whole->after_job[i], needed))
            job->after_job[job->after++] = whole->after_job[i];
    free(needed);
    return st;
}

/* ---- telling ---- */

static int stage_named(const struct hf_plan *plan, const char *name) {
    int i = 0;
    while (i < plan->stages && strcmp(plan->stage[i].name, name) != 0)
        i++;
    return i < plan->stages ? i : -1;
}

static bool is_there(const struct result *of, const struct entry_said *said) {
    for (int i = 0; i < of->sections; i++)
        if (strcmp(of->section[i].title, said->title) == 0 &&
            strcmp(of->section[i].json, said->text) == 0)
            return true;
    return false;
}

/* What the stage said, and what failed before it, as if it had been now. */
static enum hf_status say_again(struct reuse *r, int job, struct entry *en, struct hf_error *e) {
    struct run *run = r->run;
    enum hf_status st = HF_OK;
    for (int i = 0; st == HF_OK && i < en->said_count; i++) {
        const struct entry_said *said = &en->said[i];
        int stage = stage_named(run->plan, said->stage);
        if (stage < 0)
            continue;
        if (said->title) {
            if (!is_there(&run->results.stage[stage], said))
                st = results_add(&run->results, stage, said->title, said->text, e);
            continue;
        }
        st = results_set(&run->results, stage, said->text, e);
        if (st == HF_OK)
            run_tell(run, (struct hf_run_event){
                              .kind = HF_EVENT_RESULT, .job = said->stage, .text = said->text});
    }
    for (int i = 0; i < en->ledger.count; i++) {
        struct ledger_line line = en->ledger.line[i];
        line.job = job;
        line.job_name = run->plan->job[job].name;
        line.stage = stage_named(run->plan, line.name);
        if (line.stage >= 0)
            ledger_repeat(&run->results.ledger, &line);
    }
    return st;
}

/* The stages of a job of which only some were found. */
static void tell_part(struct run *run, const struct reuse *r, int index) {
    char line[1024];
    size_t used = (size_t)snprintf(line, sizeof line, "%s: reused ", run->plan->job[index].name);
    const char *comma = "";
    for (int k = 0; k < run->plan->job[index].sinks; k++) {
        int stage = run->plan->job[index].sink[k];
        if (r->found[stage] != FOUND_RESULT || used >= sizeof line)
            continue;
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s", comma,
                                 run->plan->stage[stage].name);
        comma = ", ";
    }
    if (*comma)
        run_tell(run, (struct hf_run_event){.kind = HF_EVENT_LOG,
                                            .level = HF_LOG_INFO,
                                            .job = run->plan->job[index].name,
                                            .text = line});
}

static enum hf_status tell_job(struct reuse *r, int index, struct hf_error *e) {
    struct run *run = r->run;
    const struct plan_job *job = &run->plan->job[index];
    enum hf_status st = HF_OK;
    bool out = false;
    for (int k = 0; st == HF_OK && k < job->sinks; k++) {
        int stage = job->sink[k];
        out = out || r->found[stage] == LEFT_OUT;
        if (r->found[stage] == FOUND_RESULT)
            st = say_again(r, index, &r->entry[stage], e);
        entry_clear(&r->entry[stage]);
    }
    if (st != HF_OK)
        return st;
    if (r->rest.job[index].sinks > 0) {
        tell_part(run, r, index);
        return HF_OK;
    }
    run->state[index] = JOB_DONE;
    run->jobs_done++;
    run_tell(run, (struct hf_run_event){.kind = HF_EVENT_JOB_DONE,
                                        .state = out ? HF_JOB_LEFT_OUT : HF_JOB_REUSED,
                                        .loss = (double)NAN,
                                        .job = job->name});
    return HF_OK;
}

/* Whether the term is of a stage that the plan does not have. */
static bool is_elsewhere(const struct hf_plan *plan, const struct term *t) {
    size_t size = strcspn(t->name, ".");
    for (int i = 0; t->name[size] && i < plan->stages; i++)
        if (strlen(plan->stage[i].name) == size && strncmp(plan->stage[i].name, t->name, size) == 0)
            return false;
    return t->name[size];
}

static void join_all(const struct reuse *r, struct terms *ret) {
    *ret = (struct terms){0};
    terms_join(ret, &r->keys->run);
    for (int i = 0; i < r->keys->stages; i++)
        terms_join(ret, &r->keys->stage[i]);
}

static enum hf_status tell_terms(const struct reuse *r, struct hf_error *e) {
    const struct hf_run_options *options = r->run->options;
    struct terms all;
    join_all(r, &all);
    char *text = terms_text(&all);
    terms_clear(&all);
    if (!text)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    options->on_terms(options->terms_arg, text);
    free(text);
    return HF_OK;
}

/* Of each stage what it was when it last had a part in a run. */
static void remember(struct reuse *r) {
    struct terms all, before = {0};
    join_all(r, &all);
    (void)reuse_last(r, &before);
    for (int i = 0; i < before.count; i++) {
        const struct term *t = &before.term[i];
        if (is_elsewhere(r->run->plan, t))
            terms_add(&all, t->kind, t->name, t->value, t->note);
    }
    store_remember(r->store, r->run->plan->name, &all);
    terms_clear(&before);
    terms_clear(&all);
}

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

enum hf_status reuse_find(struct run *run, struct hf_error *e) {
    struct reuse *r = run->reuse;
    const struct hf_plan *plan = run->plan;
    enum hf_status st = reuse_keys(r, e);
    if (st == HF_OK && run->options->on_terms)
        st = tell_terms(r, e);
    if (st != HF_OK || !r->store)
        return st;
    remember(r);
    bool *needed = calloc((size_t)plan->stages + 1, sizeof *needed);
    r->rest = *plan;
    r->rest.job = calloc((size_t)plan->jobs + 1, sizeof *r->rest.job);
    if (!needed || !r->rest.job)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    /* A job stands behind those that it waits for. */
    for (int j = plan->jobs - 1; st == HF_OK && j >= 0; j--)
        for (int k = 0; st == HF_OK && k < plan->job[j].sinks; k++)
            st = find_sink(r, plan->job[j].sink[k], needed, e);
    free(needed);
    for (int j = 0; st == HF_OK && j < plan->jobs; j++)
        st = narrow(r, j, e);
    for (int j = 0; st == HF_OK && j < plan->jobs; j++)
        st = tell_job(r, j, e);
    if (st == HF_OK)
        run->plan = &r->rest;
    return st;
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

/* ---- keeping ---- */

void reuse_doubt(struct run *run, int stage) {
    pthread_mutex_lock(&run->notes_lock);
    if (run->reuse)
        run->reuse->doubted[stage] = true;
    pthread_mutex_unlock(&run->notes_lock);
}

struct store *reuse_store(const struct reuse *r) {
    return r && r->keyed ? r->store : NULL;
}

struct digest reuse_digest(const struct reuse *r, int stage) {
    return r->keys->key[stage];
}

/* Whether the term is of another item of a source, "NAME.item 7 file 0". */
static bool is_of_other(const struct term *t, int64_t item) {
    const char *at = strstr(t->name, ".item ");
    return at && strtoll(at + 6, NULL, 10) != item;
}

bool reuse_is_certain(struct run *run, int stage, int64_t item) {
    const struct reuse *r = run->reuse;
    bool *cone = calloc((size_t)run->plan->stages + 1, sizeof *cone);
    bool ret = cone;
    if (cone)
        keys_cone(run->plan, stage, true, cone);
    for (int i = 0; ret && i <= stage; i++) {
        const struct terms *all = &r->keys->stage[i];
        if (!cone[i])
            continue;
        pthread_mutex_lock(&run->notes_lock);
        ret = !r->doubted[i];
        pthread_mutex_unlock(&run->notes_lock);
        for (int k = 0; ret && k < all->count; k++)
            if (all->term[k].kind == TERM_FILE && !is_of_other(&all->term[k], item))
                ret = !inputs_changed(r->inputs,
                                      &(const struct terms){.count = 1, .term = &all->term[k]});
    }
    free(cone);
    return ret;
}

/* Why the result cannot be kept, or NULL. What depends on it cannot either. */
static const char *why_not(struct sink *k, const struct terms *terms, bool *cone, char *text,
                           size_t size) {
    struct run *run = k->job->run;
    struct reuse *r = run->reuse;
    int own = k->instance.index;
    const char *changed = inputs_changed(r->inputs, terms), *ret = NULL;
    if (changed) {
        (void)snprintf(text, size, "%s changed while the run went", changed);
        ret = text;
    }
    keys_cone(run->plan, own, true, cone);
    pthread_mutex_lock(&run->notes_lock);
    for (int i = 0; i <= own && !ret; i++)
        if (cone[i] && r->doubted[i]) {
            (void)snprintf(text, size, "what comes of '%s' is not certain to come again",
                           run->plan->stage[i].name);
            ret = text;
        }
    if (!ret && k->made.lost)
        ret = "it wrote outside of the results folder, or no memory was left";
    r->doubted[own] = r->doubted[own] || ret;
    pthread_mutex_unlock(&run->notes_lock);
    return ret;
}

/* The ledger's lines of what the stage took samples from. */
static bool take_ledger(struct sink *k) {
    struct run *run = k->job->run;
    struct ledger *all = &run->results.ledger, *own = &k->made.entry.ledger;
    bool *tree = calloc((size_t)run->plan->stages + 1, sizeof *tree), first;
    if (!tree)
        return false;
    keys_cone(run->plan, k->instance.index, false, tree);
    int wanted = 0;
    pthread_mutex_lock(&run->notes_lock);
    for (int i = 0; i < all->count; i++)
        if (all->line[i].job == k->job->index && tree[all->line[i].stage] &&
            all->line[i].outcome != LEDGER_FAILED) {
            ledger_add(own, &all->line[i], &first);
            wanted++;
        }
    pthread_mutex_unlock(&run->notes_lock);
    free(tree);
    return own->count == wanted;
}

static enum hf_status save(struct sink *k, const struct terms *terms, struct hf_error *e) {
    struct run *run = k->job->run;
    const struct hf_model *model = k->job->model;
    struct made *made = &k->made;
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st = HF_OK;
    made->entry.stage = strdup(k->instance.stage.name);
    made->entry.graph = strdup(run->plan->name);
    made->entry.seconds = (double)(trace_now() - k->job->began) * 1e-9;
    if (!made->entry.stage || !made->entry.graph || !take_ledger(k))
        return hf_fail(e, HF_NO_MEMORY, "no memory is left");
    if (model && made->model == model)
        made->entry.file[made->model_file].model = true;
    else if (model)
        st = hf_model_write(model, "{}", &bytes, &size, e);
    if (st == HF_OK)
        st = entry_save(run->reuse->store, run->reuse->keys->key[k->instance.index], &made->entry,
                        terms, run->out_dir, bytes, size, run->options->fresh, e);
    free(bytes);
    return st;
}

void reuse_keep(struct sink *k) {
    struct run *run = k->job->run;
    struct reuse *r = run->reuse;
    struct terms terms = {0};
    struct hf_error e = {0};
    char text[1024], line[3200];
    if (!r || !r->store || !r->keyed || is_partial(run, k->instance.index))
        return;
    pthread_mutex_lock(&run->notes_lock);
    k->made.closed = true;
    pthread_mutex_unlock(&run->notes_lock);
    bool *cone = calloc((size_t)run->plan->stages + 1, sizeof *cone);
    enum hf_status st = cone ? keys_terms(run->plan, r->keys, k->instance.index, &terms, &e)
                             : hf_fail(&e, HF_NO_MEMORY, "no memory is left");
    const char *why = st == HF_OK ? why_not(k, &terms, cone, text, sizeof text) : e.text;
    if (!why && save(k, &terms, &e) != HF_OK)
        why = e.text;
    free(cone);
    terms_clear(&terms);
    if (!why)
        return;
    (void)snprintf(line, sizeof line, "%s: its result is not kept: %s", k->instance.stage.name,
                   why);
    run_note(
        run,
        &(struct hf_run_event){
            .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = k->job->plan->name, .text = line},
        NULL);
}
