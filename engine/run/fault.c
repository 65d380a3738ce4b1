/*
 * fault.c - calls a stage about one sample, and does what `on_error` says when it fails: try again,
 * leave the sample out, or end the run. A sample that is left out leaves its place in the order,
 * with nothing in it, so that what follows neither waits nor changes.
 */
#include "exec.h"

static const struct plan_stage *stage_of(const struct instance *in) {
    return &in->job->run->plan->stage[in->index];
}

enum hf_status instance_blame(const struct instance *in, const struct hf_sample *s,
                              enum hf_status st, struct hf_error *e) {
    if (!e->text[0])
        (void)hf_fail(e, st, "failed without a message (status %d)", (int)st);
    e->status = st;
    if (s && s->case_id[0])
        (void)hf_fail_in(e, "stage '%s', case '%s'", in->stage.name, s->case_id);
    else
        (void)hf_fail_in(e, "stage '%s'", in->stage.name);
    return st;
}

/* What the sample had nothing to do with ends the run, whatever `on_error` says. */
static bool is_of_sample(const struct instance *in, enum hf_status st) {
    return st != HF_NO_MEMORY && st != HF_CANCELED && st != HF_ABI &&
           !atomic_load(&in->job->run->services->canceled);
}

static void samples_cut(struct samples *list, int count) {
    while (list->count > count)
        sample_unref(list->item[--list->count]);
}

/* Into the ledger, and the first time to those who watch. */
static void tell(const struct call *c, int attempts, enum ledger_outcome outcome,
                 const char *error) {
    const struct instance *in = c->in;
    struct run *run = in->job->run;
    const struct hf_stage_class *cls = stage_of(in)->cls;
    const char *case_id = c->sample ? c->sample->case_id : NULL;
    if (!c->sample && cls->case_of)
        case_id = cls->case_of(&c->in->stage, c->ticket);
    char line[1024], item[32] = "";
    if (!c->sample)
        (void)snprintf(item, sizeof item, "item %lld", (long long)c->ticket);
    struct ledger_line entry = {.job = in->job->index,
                                .stage = in->index,
                                .epoch = c->epoch,
                                .ticket = c->ticket,
                                .job_name = in->job->plan->name,
                                .name = (char *)(uintptr_t)in->stage.name,
                                .case_id = (char *)(uintptr_t)(case_id ? case_id : ""),
                                .sample = (char *)(uintptr_t)(c->sample ? c->sample->id : item),
                                .attempts = attempts,
                                .outcome = outcome,
                                .error = (char *)(uintptr_t)error};
    bool first;
    pthread_mutex_lock(&run->notes_lock);
    ledger_add(&run->results.ledger, &entry, &first);
    pthread_mutex_unlock(&run->notes_lock);
    if (!first || outcome == LEDGER_FAILED)
        return;
    (void)snprintf(line, sizeof line, "%s: %s '%.80s' %s: %.700s", in->stage.name,
                   entry.case_id[0] ? "case" : "sample",
                   entry.case_id[0] ? entry.case_id : entry.sample,
                   outcome == LEDGER_SKIPPED ? "is skipped" : "succeeded when tried again", error);
    run_note(run,
             &(struct hf_run_event){.kind = HF_EVENT_LOG,
                                    .level = HF_LOG_WARNING,
                                    .job = in->job->plan->name,
                                    .text = line},
             NULL);
}

/* The plan knows that a field is on the edge, but not whether every case has it. */
static enum hf_status process(const struct call *c, struct hf_error *e) {
    struct instance *in = c->in;
    const struct plan_stage *ps = stage_of(in);
    for (int i = 0; i < ps->reads.count; i++)
        if (ps->reads.needed[i] && !hf_sample_find(c->sample, ps->reads.name[i]))
            return hf_fail(e, HF_INVALID,
                           "there is no '%s', which %s reads; give it in the data set, let `load` "
                           "require it, or set `on_error: skip` here",
                           ps->reads.name[i], ps->cls->name);
    return ps->cls->process(&in->stage, c->sample, e);
}

enum hf_status fault_call(const struct call *c, bool *ret_skipped, struct hf_error *e) {
    struct instance *in = c->in;
    const struct plan_stage *ps = stage_of(in);
    struct hf_error last = {0};
    int mark = in->out.count;
    *ret_skipped = false;
    if (!c->sample && job_passes_over(in->job, &in->stage, ps->cls, c->ticket))
        return HF_OK;
    for (int attempt = 1;; attempt++) {
        e->text[0] = 0;
        enum hf_status st = c->sample ? process(c, e) : ps->cls->open(&in->stage, c->ticket, e);
        if (st == HF_OK) {
            if (attempt > 1)
                tell(c, attempt, LEDGER_RECOVERED, last.text);
            return HF_OK;
        }
        samples_cut(&in->out, mark);
        last = *e;
        if (!last.text[0])
            (void)hf_fail(&last, st, "failed without a message (status %d)", (int)st);
        bool of_sample = is_of_sample(in, st);
        if (of_sample && attempt <= ps->on_error.retries)
            continue;
        *ret_skipped = of_sample && ps->on_error.skip;
        if (*ret_skipped && st == HF_IO)
            reuse_doubt(in->job->run, in->index); /* a disk, not what is on it */
        if (of_sample)
            tell(c, attempt, *ret_skipped ? LEDGER_SKIPPED : LEDGER_FAILED, last.text);
        return *ret_skipped ? HF_OK : instance_blame(in, c->sample, st, e);
    }
}

enum hf_status fault_all_skipped(const struct instance *in, int64_t count, struct hf_error *e) {
    struct run *run = in->job->run;
    char why[1024] = "";
    pthread_mutex_lock(&run->notes_lock);
    const struct ledger_line *l = ledger_last(&run->results.ledger, in->job->index, in->index);
    if (l)
        (void)snprintf(why, sizeof why, "; the last one, '%.80s': %.800s",
                       l->case_id[0] ? l->case_id : l->sample, l->error);
    pthread_mutex_unlock(&run->notes_lock);
    return hf_fail(e, HF_INVALID, "stage '%s': every sample was skipped, %lld of %lld%s",
                   in->stage.name, (long long)count, (long long)count, why);
}
