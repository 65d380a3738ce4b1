/*
 * order.c - the order of jobs, on the loop's thread: when one may start, and what goes with its
 * end.
 */
#include "exec.h"

#include "memory.h"
#include "nn/model.h"
#include "record.h"

static bool stage_needs(const struct hf_plan *plan, int stage, int model) {
    const struct plan_stage *ps = &plan->stage[stage];
    if (ps->model == model)
        return true;
    for (int i = 0; i < ps->inputs; i++)
        if (stage_needs(plan, ps->input[i], model))
            return true;
    return false;
}

/* A model goes when the last job that takes it is done. */
static void drop_models(struct run *run) {
    for (int m = 0; m < run->plan->stages; m++) {
        bool needed = false;
        for (int j = 0; run->model[m] && j < run->plan->jobs; j++)
            for (int i = 0; run->state[j] != JOB_DONE && i < run->plan->job[j].sinks; i++)
                needed = needed || stage_needs(run->plan, run->plan->job[j].sink[i], m);
        if (run->model[m] && !needed) {
            hf_model_unref(run->model[m]);
            run->model[m] = NULL;
        }
    }
}

void run_heed_cancel(struct run *run) {
    struct hf_error e;
    if (atomic_load(&run->services->canceled) && !run_is_stopping(run)) {
        (void)hf_fail(&e, HF_CANCELED, "canceled");
        run_fail(run, &e);
    }
}

/* What the devices have handed out at most since the last look is the doing of all live jobs. */
static void look_at_memory(struct run *run) {
    struct hf_device *const device[] = {run->services->host_device, run->device};
    for (int d = 0; d < 2; d++) {
        size_t now, peak;
        if (d > 0 && device[d] == device[0])
            continue;
        device[d]->methods->memory(device[d], 1, &now, &peak);
        for (int j = 0; j < run->plan->jobs; j++)
            if (run->live[j] && run->live[j]->peak[d] < (int64_t)peak)
                run->live[j]->peak[d] = (int64_t)peak;
    }
}

static void tell_memory(struct run *run, const struct job *job) {
    char line[256];
    bool both = run->device != run->services->host_device;
    (void)snprintf(line, sizeof line, "'%.100s' had %.3g MB at most in use on the cpu",
                   job->plan->name, (double)job->peak[0] * 1e-6);
    size_t n = strlen(line);
    if (both)
        (void)snprintf(line + n, sizeof line - n, ", %.3g MB on %.32s", (double)job->peak[1] * 1e-6,
                       run->plan->runs_on);
    run_tell(run, (struct hf_run_event){.kind = HF_EVENT_LOG,
                                        .level = HF_LOG_DEBUG,
                                        .job = job->plan->name,
                                        .text = line});
}

void run_job_ended(struct run *run, struct job *job) {
    int index = job->index;
    look_at_memory(run);
    tell_memory(run, job);
    struct hf_run_event done = {.kind = HF_EVENT_JOB_DONE,
                                .job = run->plan->job[index].name,
                                .memory = {(double)job->peak[0], (double)job->peak[1]}};
    run_heed_cancel(run); /* before a job that gave up early is taken for done */
    record_job_end(run, job, !run_is_stopping(run));
    if (job->model) {
        run->model[job->model_stage] = job->model;
        job->model = NULL;
    }
    job_free(job);
    run->live[index] = NULL;
    run->jobs_live--;
    run->jobs_done++;
    run->state[index] = JOB_DONE;
    if (run->scan)
        scan_job_done(run, index);
    if (run->hold)
        hold_job_done(run->hold, index);
    drop_models(run);
    if (!run_is_stopping(run))
        run_tell(run, done);
}

static bool may_start(const struct run *run, int index) {
    const struct plan_job *job = &run->plan->job[index];
    int at_once = run->plan->jobs_at_once > 0 ? run->plan->jobs_at_once : 1;
    if (run->state[index] != JOB_WAITING || run->jobs_live >= at_once)
        return false;
    for (int i = 0; i < job->after; i++)
        if (run->state[job->after_job[i]] != JOB_DONE)
            return false;
    return true;
}

void run_start_jobs(struct run *run) {
    for (int j = 0; j < run->plan->jobs && !run_is_stopping(run); j++) {
        struct job *job = NULL;
        struct hf_error e;
        if (!may_start(run, j))
            continue;
        if (job_new(run, j, &job, &e) != HF_OK) {
            run_fail(run, &e);
            return;
        }
        look_at_memory(run);
        run->state[j] = JOB_ACTIVE;
        record_job_start(run, j);
        run->live[j] = job;
        run->jobs_live++;
        run_tell(run, (struct hf_run_event){.kind = HF_EVENT_JOB_START, .job = job->plan->name});
        job_start(job);
    }
}
