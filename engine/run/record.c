/*
 * record.c - see record.h: the plan, how the run went, what failed, and what stages had to say.
 */
#include "record.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "cli/config.h"
#include "exec.h"
#include "graph/print.h"
#include "report/page.h"

#define MAX_LEDGER 1000

/* ---- while it goes ---- */

void record_job_start(struct run *run, int job) {
    run->times[job].state = JOB_ACTIVE;
    run->times[job].start = run_seconds(run);
}

void record_job_end(struct run *run, const struct job *job, bool done) {
    struct job_times *t = &run->times[job->index];
    t->state = done ? JOB_DONE : JOB_ACTIVE;
    t->end = run_seconds(run);
    memcpy(t->peak, job->peak, sizeof t->peak);
}

/* ---- in the end ---- */

void record_time(cJSON *o, const char *name, time_t when) {
    char text[32];
    struct tm utc;
    if (gmtime_r(&when, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0)
        cJSON_AddStringToObject(o, name, text);
}

cJSON *record_seed(uint64_t seed) {
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return seed <= UINT64_C(1) << 53 ? cJSON_CreateRaw(text) : cJSON_CreateString(text);
}

static void add_head(cJSON *o, const struct run *run, enum hf_status status,
                     const struct hf_error *why) {
    cJSON_AddStringToObject(o, "hepaflow", HF_VERSION);
    cJSON_AddStringToObject(o, "graph", run->plan->name ? run->plan->name : "");
    cJSON_AddItemToObject(o, "seed", record_seed(run->seed));
    cJSON_AddStringToObject(o, "device", run->device_line);
    cJSON_AddNumberToObject(o, "workers", run->workers);
    cJSON_AddStringToObject(o, "state",
                            status == HF_OK         ? "done"
                            : status == HF_CANCELED ? "canceled"
                                                    : "failed");
    if (status != HF_OK)
        cJSON_AddStringToObject(o, "error", why->text);
    record_time(o, "ended", time(NULL));
    cJSON_AddNumberToObject(o, "seconds", run_seconds(run));
    if (run->bottleneck[0])
        cJSON_AddStringToObject(o, "bottleneck", run->bottleneck);
}

static cJSON *jobs_json(const struct run *run) {
    static const char *const state[] = {"waiting", "stopped", "done"};
    static const char *const found[] = {"", "reused", "left out"};
    cJSON *ret = cJSON_CreateArray();
    for (int j = 0; j < run->plan->jobs; j++) {
        const struct job_times *t = &run->times[j];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", run->plan->job[j].name);
        enum hf_job_state how = reuse_job_state(run, j);
        cJSON_AddStringToObject(one, "state", how == HF_JOB_RUN ? state[t->state] : found[how]);
        if (t->state != JOB_WAITING) {
            cJSON_AddNumberToObject(one, "start", t->start);
            cJSON_AddNumberToObject(one, "seconds", t->end - t->start);
        }
        if (t->state == JOB_DONE) {
            cJSON_AddNumberToObject(one, "memory_cpu", (double)t->peak[0]);
            if (strcmp(run->plan->runs_on, "cpu") != 0)
                cJSON_AddNumberToObject(one, "memory_device", (double)t->peak[1]);
        }
        cJSON_AddItemToArray(ret, one);
    }
    return ret;
}

static cJSON *ledger_json(const struct ledger *l) {
    cJSON *ret = cJSON_CreateObject();
    for (int i = 0; i < 3; i++)
        cJSON_AddNumberToObject(ret, ledger_outcome_name((enum ledger_outcome)i),
                                (double)l->outcomes[i]);
    cJSON_AddNumberToObject(ret, "count", l->count);
    cJSON *lines = cJSON_AddArrayToObject(ret, "lines");
    for (int i = 0; i < l->count && i < MAX_LEDGER; i++) {
        const struct ledger_line *k = &l->line[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "job", k->job_name);
        cJSON_AddStringToObject(one, "stage", k->name);
        cJSON_AddStringToObject(one, "case", k->case_id);
        cJSON_AddStringToObject(one, "sample", k->sample);
        cJSON_AddNumberToObject(one, "epoch", (double)k->epoch);
        cJSON_AddNumberToObject(one, "attempts", k->attempts);
        cJSON_AddStringToObject(one, "outcome", ledger_outcome_name(k->outcome));
        cJSON_AddStringToObject(one, "error", k->error);
        cJSON_AddItemToArray(lines, one);
    }
    return ret;
}

static cJSON *sections_json(const struct results *r) {
    cJSON *ret = cJSON_CreateArray();
    for (int i = 0; i < r->stages; i++)
        for (int k = 0; k < r->stage[i].sections; k++) {
            cJSON *one = cJSON_CreateObject();
            cJSON_AddStringToObject(one, "stage", r->stage[i].name);
            cJSON_AddStringToObject(one, "title", r->stage[i].section[k].title);
            cJSON_AddItemToObject(one, "data", cJSON_Parse(r->stage[i].section[k].json));
            cJSON_AddItemToArray(ret, one);
        }
    return ret;
}

/* The graph: as a plan, and (unless it was made by hand) as YAML. */
static enum hf_status add_plan(cJSON *o, const struct hf_plan *plan, struct hf_error *e) {
    char *json = plan_print_json(plan), *yaml = plan->checked ? plan_print_yaml(plan) : NULL;
    bool good = json && (yaml || !plan->checked) &&
                cJSON_AddItemToObject(o, "plan", cJSON_Parse(json)) &&
                (!yaml || cJSON_AddStringToObject(o, "yaml", yaml));
    free(json);
    free(yaml);
    return good ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory for the report");
}

enum hf_status record_write(struct run *run, enum hf_status status, const struct hf_error *why,
                            struct hf_error *e) {
    char path[PATH_MAX];
    if (status != HF_OK && !results_any(&run->results))
        return HF_OK;
    if (snprintf(path, sizeof path, "%s/" REPORT_DATA, run->out_dir) >= (int)sizeof path)
        return hf_fail(e, HF_INVALID, "the path of the results folder is too long");
    cJSON *o = cJSON_CreateObject();
    add_head(o, run, status, why);
    cJSON_AddItemToObject(o, "jobs", jobs_json(run));
    cJSON_AddItemToObject(o, "scores", results_scores(&run->results));
    cJSON_AddItemToObject(o, "ledger", ledger_json(&run->results.ledger));
    cJSON_AddItemToObject(o, "sections", sections_json(&run->results));
    enum hf_status st = add_plan(o, run->whole, e);
    char *text = st == HF_OK ? cJSON_PrintUnformatted(o) : NULL;
    if (st == HF_OK)
        st = text ? file_write(path, text, strlen(text), e)
                  : hf_fail(e, HF_NO_MEMORY, "%s: no memory for the report", path);
    cJSON_free(text);
    cJSON_Delete(o);
    return st == HF_OK ? hf_report(run->out_dir, NULL, e) : st;
}
