/*
 * summary.c - run.json: what became of the jobs of a run, for programs.
 */
#include "exec.h"

#include <limits.h>

#include <cjson/cJSON.h>

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

enum hf_status summary_write(const struct run *run, enum hf_status st, struct hf_error *e) {
    const struct hf_plan *plan = run->whole;
    char path[PATH_MAX];
    if (!run->opened)
        return HF_OK;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "graph", plan->name);
    cJSON_AddNumberToObject(o, "seed", (double)run->seed);
    cJSON_AddStringToObject(o, "device", run->device_line);
    cJSON_AddStringToObject(o, "outcome",
                            st == HF_OK         ? "done"
                            : st == HF_CANCELED ? "canceled"
                                                : "failed");
    cJSON_AddNumberToObject(o, "seconds", run_seconds(run));
    cJSON *jobs = cJSON_AddArrayToObject(o, "jobs");
    for (int j = 0; j < plan->jobs; j++)
        cJSON_AddItemToArray(jobs, job_json(run, j));
    char *text = o && jobs ? cJSON_Print(o) : NULL;
    cJSON_Delete(o);
    int n = snprintf(path, sizeof path, "%s/run.json", run->out_dir);
    enum hf_status ret = !text ? hf_fail(e, HF_NO_MEMORY, "no memory for run.json")
                         : n < 0 || (size_t)n >= sizeof path
                             ? hf_fail(e, HF_INVALID, "the path of the results folder is too long")
                             : file_write(path, text, strlen(text), e);
    cJSON_free(text);
    return ret;
}
