/*
 * jobs.c - cuts a checked graph into jobs: a stage that yields a model is one of its own; sinks of
 * one pass that share anything upstream are one together. Models, not samples, join the jobs.
 */
#include "graph/check.h"

#include <stdlib.h>
#include <string.h>

static bool yields_model(const struct plan_stage *p) {
    return p->cls->kind == HF_MODEL || (p->cls->flags & HF_STAGE_YIELDS_MODEL);
}

static bool is_end(const struct plan_stage *p) {
    return p->cls->kind == HF_SINK || p->cls->kind == HF_MODEL;
}

/* Marks what a stage takes samples from, itself included. Stages stand behind their inputs. */
static void mark_upstream(const struct hf_plan *p, int stage, bool *marked) {
    marked[stage] = true;
    for (int i = stage; i >= 0; i--)
        for (int k = 0; marked[i] && k < p->stage[i].inputs; k++)
            marked[p->stage[i].input[k]] = true;
}

/* group[s] of each end is its job for now: the first end that it is joined with. */
static void group_sinks(struct checker *c, int *group) {
    const struct hf_plan *p = c->plan;
    int *reached = arena_array(c->arena, (size_t)p->stages + 1, sizeof *reached);
    bool *marked = arena_array(c->arena, (size_t)p->stages + 1, sizeof *marked);
    for (int i = 0; i < p->stages; i++)
        reached[i] = -1;
    for (int s = 0; s < p->stages; s++) {
        group[s] = is_end(&p->stage[s]) ? s : -1;
        if (group[s] < 0 || yields_model(&p->stage[s]))
            continue;
        memset(marked, 0, (size_t)p->stages * sizeof *marked);
        mark_upstream(p, s, marked);
        for (int i = 0; i < p->stages; i++) {
            if (!marked[i] || i == s)
                continue;
            if (reached[i] >= 0 && group[reached[i]] != group[s]) {
                int from = group[s], to = group[reached[i]];
                for (int k = 0; k <= s; k++)
                    if (group[k] == from)
                        group[k] = to;
            }
            reached[i] = s;
        }
    }
}

static int compare_ints(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

static void fill_job(struct checker *c, const int *group, int id, const int *job_of_model,
                     struct plan_job *job) {
    const struct hf_plan *p = c->plan;
    bool *marked = arena_array(c->arena, (size_t)p->stages + 1, sizeof *marked);
    job->sink = arena_array(c->arena, (size_t)p->stages + 1, sizeof *job->sink);
    job->after_job = arena_array(c->arena, (size_t)p->stages + 1, sizeof *job->after_job);
    for (int s = 0; s < p->stages; s++)
        if (group[s] == id) {
            job->sink[job->sinks++] = s;
            mark_upstream(p, s, marked);
        }
    job->name = p->stage[job->sink[0]].name;
    for (int i = 0; i < p->stages; i++) {
        int model = marked[i] ? p->stage[i].model : -1;
        bool known = model < 0;
        for (int k = 0; k < job->after && !known; k++)
            known = job->after_job[k] == job_of_model[model];
        if (!known)
            job->after_job[job->after++] = job_of_model[model];
    }
    qsort(job->after_job, (size_t)job->after, sizeof *job->after_job, compare_ints);
}

static void warn_unused(struct checker *c) {
    const struct hf_plan *p = c->plan;
    bool *used = arena_array(c->arena, (size_t)p->stages + 1, sizeof *used);
    for (int i = 0; i < p->stages; i++) {
        if (p->stage[i].cls->kind == HF_SINK)
            mark_upstream(p, i, used);
        if (p->stage[i].model >= 0)
            used[p->stage[i].model] = true;
    }
    for (int i = 0; i < p->stages; i++)
        if (!used[i])
            message_warning(c->m, p->stage[i].where,
                            "nothing uses stage '%s': no train, evaluate or save is downstream",
                            p->stage[i].name);
}

void jobs_make(struct checker *c, struct location stages) {
    struct hf_plan *p = c->plan;
    int *group = arena_array(c->arena, (size_t)p->stages + 1, sizeof *group);
    int *last = arena_array(c->arena, (size_t)p->stages + 1, sizeof *last);
    int *job_of_model = arena_array(c->arena, (size_t)p->stages + 1, sizeof *job_of_model);
    group_sinks(c, group);
    for (int s = 0; s < p->stages; s++)
        if (group[s] >= 0)
            last[group[s]] = s;
    p->job = arena_array(c->arena, (size_t)p->stages + 1, sizeof *p->job);
    /* By their last stage, which stands behind every model that the job takes. */
    for (int s = 0; s < p->stages; s++) {
        if (group[s] < 0 || last[group[s]] != s)
            continue;
        if (yields_model(&p->stage[s]))
            job_of_model[s] = p->jobs;
        fill_job(c, group, group[s], job_of_model, &p->job[p->jobs++]);
    }
    if (p->jobs == 0)
        message_error(c->m, stages,
                      "nothing would run: the graph has no stage that takes samples in, such as "
                      "train, evaluate or save");
    else
        warn_unused(c);
}
