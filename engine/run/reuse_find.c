/*
 * reuse_find.c - puts the results that the store has into their place, and leaves the rest of the
 * plan (see reuse.h).
 */
#include "reuse_of.h"

#include <stdlib.h>

#include "nn/model.h"

/* ---- finding ---- */

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
    if (r->run->options->fresh || reuse_is_partial(r->run, stage))
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
    bool model = reuse_yields_model(&plan->stage[stage]);
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
