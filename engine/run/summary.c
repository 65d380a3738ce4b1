/*
 * summary.c - the record of a run: run.json, what it was made of and what became of its jobs, and
 * resolved.yaml, its graph with everything worked out. The only file with times is run.json.
 */
#include "exec.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "cli/config.h"
#include "graph/print.h"
#include "made_of.h"
#include "record.h"

static const char *const states[] = {"run", "reused", "left out"};

static cJSON *result_json(const struct run *run, const struct hf_plan *plan, int stage) {
    char key[DIGEST_TEXT];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "stage", plan->stage[stage].name);
    cJSON_AddStringToObject(o, "state", states[reuse_state(run->reuse, stage)]);
    reuse_key(run->reuse, stage, key);
    cJSON_AddItemToObject(o, "key", *key ? cJSON_CreateString(key) : cJSON_CreateNull());
    return o;
}

static cJSON *job_json(const struct run *run, int index) {
    const struct hf_plan *plan = run->whole;
    const struct job_times *times = &run->times[index];
    const struct plan_job *job = &plan->job[index];
    enum hf_job_state state = reuse_job_state(run, index);
    bool ended = state != HF_JOB_RUN || times->state == JOB_DONE;
    char key[DIGEST_TEXT];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", job->name);
    cJSON_AddStringToObject(o, "state", ended ? states[state] : "not done");
    reuse_key(run->reuse, job->sink[0], key);
    cJSON_AddItemToObject(o, "key", *key ? cJSON_CreateString(key) : cJSON_CreateNull());
    cJSON_AddNumberToObject(o, "seconds", times->end - times->start);
    cJSON *results = cJSON_AddArrayToObject(o, "results");
    for (int k = 0; k < job->sinks; k++)
        cJSON_AddItemToArray(results, result_json(run, plan, job->sink[k]));
    return o;
}

/* What it was given: rerun and diff go by this. */
static bool add_given(cJSON *o, const struct run *run) {
    const struct hf_plan *plan = run->whole;
    char folder[PATH_MAX];
    cJSON_AddStringToObject(o, "hepaflow", HF_VERSION);
    cJSON_AddStringToObject(o, "graph", plan->name);
    if (plan->path)
        cJSON_AddStringToObject(o, "file", plan->path);
    if (getcwd(folder, sizeof folder))
        cJSON_AddStringToObject(o, "folder", folder); /* which paths are relative to */
    cJSON *settings = cJSON_AddArrayToObject(o, "settings");
    for (int i = 0; i < plan->sets; i++)
        cJSON_AddItemToArray(settings, cJSON_CreateString(plan->set[i]));
    if (run->options->only_case)
        cJSON_AddStringToObject(o, "case", run->options->only_case);
    cJSON_AddItemToObject(o, "seed", record_seed(run->seed));
    cJSON_AddStringToObject(o, "runs_on", plan->runs_on ? plan->runs_on : "cpu");
    cJSON_AddStringToObject(o, "device", run->device_line);
    return cJSON_AddNumberToObject(o, "workers", run->workers);
}

static bool add_parts(cJSON *o, const struct run *run) {
    return cJSON_AddItemToObject(o, "plugins", reuse_plugins(run->reuse)) &&
           cJSON_AddItemToObject(o, "inputs", reuse_inputs(run->reuse));
}

static enum hf_status tell_made_of(struct run *run, void *arg, struct hf_error *e) {
    cJSON *o = cJSON_CreateObject(), **ret = arg;
    *ret = o;
    return o && add_given(o, run) && add_parts(o, run)
               ? HF_OK
               : hf_fail(e, HF_NO_MEMORY, "no memory for the record");
}

enum hf_status run_made_of(struct hf_plan *plan, const char *store, cJSON **ret,
                           struct hf_error *e) {
    enum hf_status st = run_look(plan, store, tell_made_of, ret, e);
    if (st != HF_OK) {
        cJSON_Delete(*ret);
        *ret = NULL;
    }
    return st;
}

static void add_course(cJSON *o, const struct run *run, enum hf_status st,
                       const struct hf_error *why) {
    cJSON_AddStringToObject(o, "outcome",
                            st == HF_OK         ? "done"
                            : st == HF_CANCELED ? "canceled"
                                                : "failed");
    if (st != HF_OK)
        cJSON_AddStringToObject(o, "error", why->text);
    record_time(o, "started", run->started);
    record_time(o, "ended", time(NULL));
    cJSON_AddNumberToObject(o, "seconds", run_seconds(run));
    cJSON *jobs = cJSON_AddArrayToObject(o, "jobs");
    for (int j = 0; j < run->whole->jobs; j++)
        cJSON_AddItemToArray(jobs, job_json(run, j));
    cJSON *ledger = cJSON_AddObjectToObject(o, "ledger");
    for (int i = 0; i < 3; i++)
        cJSON_AddNumberToObject(ledger, ledger_outcome_name((enum ledger_outcome)i),
                                (double)run->results.ledger.outcomes[i]);
}

/* `text` as a file of the results folder; NULL: there was no memory for it. */
static enum hf_status write_text(const struct run *run, const char *name, const char *text,
                                 struct hf_error *e) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", run->out_dir, name);
    if (!text)
        return hf_fail(e, HF_NO_MEMORY, "no memory for %s", name);
    if (n < 0 || (size_t)n >= sizeof path)
        return hf_fail(e, HF_INVALID, "the path of the results folder is too long");
    return file_write(path, text, strlen(text), e);
}

enum hf_status summary_write(const struct run *run, enum hf_status st, const struct hf_error *why,
                             struct hf_error *e) {
    enum hf_status ret = HF_OK;
    if (!run->opened)
        return HF_OK;
    if (run->whole->checked) { /* not made by hand */
        char *yaml = plan_print_yaml(run->whole);
        ret = write_text(run, "resolved.yaml", yaml, e);
        free(yaml);
    }
    cJSON *o = cJSON_CreateObject();
    bool good = o && add_given(o, run);
    if (good && run->reuse)
        good = add_parts(o, run);
    if (good)
        add_course(o, run, st, why);
    char *text = good ? cJSON_Print(o) : NULL;
    if (ret == HF_OK)
        ret = write_text(run, "run.json", text, e);
    cJSON_free(text);
    cJSON_Delete(o);
    return ret;
}
