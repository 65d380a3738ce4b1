/*
 * task.c - see task.h: a stage, or a chain of them, over an item or a sample, and the copies that
 * its takers need.
 */
#include "task.h"

#include "graph/print.h"
#include "memory.h"
#include "trace.h"

static struct samples take_out(struct instance *in) {
    struct samples out = in->out;
    in->out = (struct samples){0};
    return out;
}

static enum hf_status process_one(struct instance *in, struct task *t, const struct hf_sample *s) {
    const struct hf_sample *here = NULL;
    enum hf_status st = instance_bring(in, s, &here, &t->error);
    if (st != HF_OK)
        return instance_blame(in, s, st, &t->error);
    bool skipped = false;
    struct call call = {.in = in, .sample = here, .ticket = t->ticket, .epoch = t->epoch};
    if (in->job->run->scan && (instance_class(in)->flags & HF_STAGE_TAKES_MODEL)) {
        st = scan_pretend(in, here, &t->error);
    } else {
        st = fault_call(&call, &skipped, &t->error);
        t->skipped += skipped;
    }
    sample_unref(here);
    return st;
}

static void describe_field(char *text, size_t size, enum hf_dtype dtype, enum hf_place place,
                           int64_t channels) {
    int n = snprintf(text, size, "%s, %s", hf_dtype_name(dtype), place_name(place));
    if (place != HF_ON_HOST && channels >= 0 && n > 0)
        (void)snprintf(text + n, size - (size_t)n, ", %lld channels", (long long)channels);
}

static bool agrees(const struct plan_field *p, const struct hf_field *f) {
    return f->tensor->dtype == p->dtype && f->place == p->place &&
           (p->place == HF_ON_HOST || p->shape[0] < 0 || f->tensor->shape[0] == p->shape[0]);
}

/* What was emitted must be what the plan was checked with; a field may be absent. */
static enum hf_status check_emitted(const struct instance *in, const struct samples *list,
                                    struct hf_error *e) {
    const struct plan_stage *ps = &in->job->run->plan->stage[in->index];
    for (int i = 0; i < list->count; i++)
        for (int k = 0; k < ps->fields; k++) {
            char found[64], expected[64];
            const struct plan_field *p = &ps->field[k];
            const struct hf_field *f = hf_sample_find(list->item[i], p->name);
            if (!f || agrees(p, f))
                continue;
            describe_field(found, sizeof found, f->tensor->dtype, f->place, f->tensor->shape[0]);
            describe_field(expected, sizeof expected, p->dtype, p->place, p->shape[0]);
            (void)hf_fail(e, HF_INVALID,
                          "its module is faulty: the field '%s' that it emits is (%s), expected "
                          "(%s) as it declares",
                          p->name, found, expected);
            return instance_blame(in, list->item[i], HF_INVALID, e);
        }
    return HF_OK;
}

/* What the instance has been at since `from`, with a sample or NULL. */
static void was_at(struct instance *in, const char *what, const struct hf_sample *s, uint64_t epoch,
                   int64_t from) {
    struct job *job = in->job;
    int64_t now = trace_now();
    in->busy += now - from;
    if (!job->run->trace)
        return;
    if (in->track == 0)
        in->track = trace_track(job->run->trace, job->index, in->stage.name, in->stage.replica);
    trace_span(job->run->trace, job->index, in->track, what, s ? s->id : NULL, (int64_t)epoch, from,
               now);
}

/* The epoch that the instance draws for. */
static uint64_t drawn_epoch(const struct instance *in, const struct task *t) {
    return in->job->run->plan->stage[in->index].draws_once ? 0 : t->epoch;
}

/* One stage of a chain over what the stage before it emitted, which is given up. */
static enum hf_status run_link(struct instance *in, struct task *t, struct samples *list) {
    int64_t from = trace_now();
    enum hf_status st = instance_start(in, &t->error);
    if (st != HF_OK)
        return instance_blame(in, NULL, st, &t->error);
    in->stage.epoch = drawn_epoch(in, t);
    in->stage.input = t->input;
    made_enter(in);
    for (int i = 0; st == HF_OK && i < list->count; i++)
        st = process_one(in, t, list->item[i]);
    made_enter(NULL);
    was_at(in, "process", list->count > 0 ? list->item[0] : NULL, t->epoch, from);
    samples_clear(list);
    *list = take_out(in);
    return st == HF_OK ? check_emitted(in, list, &t->error) : st;
}

static enum hf_status run_source(struct instance *in, struct task *t) {
    int64_t from = trace_now();
    enum hf_status st = instance_start(in, &t->error);
    if (st != HF_OK)
        return instance_blame(in, NULL, st, &t->error);
    bool skipped;
    struct call call = {.in = in, .ticket = t->ticket, .epoch = t->epoch};
    in->stage.epoch = drawn_epoch(in, t);
    made_enter(in);
    st = fault_call(&call, &skipped, &t->error);
    made_enter(NULL);
    t->skipped += skipped;
    if (st != HF_OK)
        return st;
    t->out = take_out(in);
    was_at(in, "open", t->out.count > 0 ? t->out.item[0] : NULL, t->epoch, from);
    return check_emitted(in, &t->out, &t->error);
}

/* The deepest stage of the chain whose samples are kept, which are then the task's; -1: none. */
static int find_kept(struct task *t) {
    const struct node *n = t->node;
    struct hold *hold = n->job->run->hold;
    for (int k = n->links - 1; k >= 0; k--) {
        bool held = hold_is_held(hold, n->link[k]);
        if (held && hold_get(hold, n->link[k], t->ticket, &t->out))
            return k;
        if (cache_get(n->job->run->cache, n->link[k], t->ticket, &t->out)) {
            if (held)
                hold_put(hold, n->link[k], t->ticket, &t->out);
            return k;
        }
    }
    return -1;
}

/* An item of a source through the chain, from the deepest stage whose samples are kept. */
static enum hf_status run_item(struct task *t) {
    const struct node *n = t->node;
    struct hold *hold = n->job->run->hold;
    enum hf_status st = HF_OK;
    int from = find_kept(t);
    bool spoke = false;
    if (n->job->run->scan && from >= 0)
        scan_note(n, from, &t->out);
    for (int k = from + 1; st == HF_OK && k < n->links; k++) {
        struct instance *in = &t->replica->link[k];
        in->spoke = false;
        st = k == 0 ? run_source(in, t) : run_link(in, t, &t->out);
        /* What was left out of this pass, or of this job, may be there in the next one. */
        if (st == HF_OK && t->skipped == 0 && !n->job->only_case) {
            if (hold_is_held(hold, n->link[k]))
                hold_put(hold, n->link[k], t->ticket, &t->out);
            spoke = spoke || in->spoke; /* a later run would take the samples, and miss the rest */
            if (!spoke)
                cache_put(n->job->run->cache, in, t->ticket, &t->out);
        }
        if (n->job->run->scan)
            scan_note(n, k, &t->out);
    }
    return st;
}

static enum hf_status run_sample(struct task *t) {
    struct samples list = {0};
    enum hf_status st = samples_push(&list, t->sample, &t->error);
    t->sample = NULL;
    if (st == HF_OK)
        st = run_link(&t->replica->link[0], t, &list);
    t->out = list;
    if (t->node->job->run->scan)
        scan_note(t->node, 0, &t->out);
    return st;
}

static enum hf_status run_count(struct task *t) {
    struct instance *in = &t->replica->link[0];
    enum hf_status st = instance_start(in, &t->error);
    if (st == HF_OK)
        st = instance_class(in)->count(&in->stage, &t->items, &t->error);
    if (st == HF_OK && t->items < 0)
        st = hf_fail(&t->error, HF_INVALID, "its module is faulty: it counts %lld items",
                     (long long)t->items);
    return st == HF_OK ? st : instance_blame(in, NULL, st, &t->error);
}

static enum hf_status run_end(struct task *t) {
    struct instance *in = &t->replica->link[0];
    int64_t from = trace_now();
    enum hf_status st = instance_start(in, &t->error);
    in->stage.epoch = drawn_epoch(in, t);
    made_enter(in);
    if (st == HF_OK)
        st = instance_class(in)->end_of_epoch(&in->stage, &t->error);
    made_enter(NULL);
    t->out = take_out(in);
    if (t->node->job->run->scan)
        scan_note(t->node, 0, &t->out);
    was_at(in, "end of epoch", NULL, t->epoch, from);
    return st == HF_OK ? check_emitted(in, &t->out, &t->error)
                       : instance_blame(in, NULL, st, &t->error);
}

/* Which fields several stages would copy to the other side, each for itself. */
static void find_shared(const struct node *n, const struct hf_sample *s, bool to_device,
                        struct reads *ret) {
    const struct run *run = n->job->run;
    const struct hf_device *to = to_device ? run->device : run->services->host_device;
    *ret = (struct reads){0};
    for (int32_t i = 0; i < s->fields; i++) {
        const struct hf_field *f = &s->field[i];
        int takers = 0;
        for (int k = 0; k < n->outs && f->place == HF_ON_GRID && f->tensor->device != to; k++)
            takers += edge_taker(n->out[k])->on_device == to_device &&
                      reads_field(&edge_taker(n->out[k])->reads, f->name);
        if (takers > 1)
            memcpy(ret->name[ret->count++], f->name, sizeof f->name);
    }
}

/* Begins the copies that several stages would make, so that there is one for all. */
static enum hf_status bring_ahead(struct task *t) {
    const struct node *n = t->node;
    const struct run *run = n->job->run;
    struct instance *in = &t->replica->link[n->links - 1];
    struct hf_device *d = run->device, *host = run->services->host_device;
    enum hf_status st = HF_OK;
    if (n->outs < 2 || d == host)
        return HF_OK;
    for (int i = 0; st == HF_OK && i < 2 * t->out.count; i++) {
        const struct hf_sample **at = &t->out.item[i / 2], *moved = NULL;
        struct reads shared;
        find_shared(n, *at, i % 2, &shared);
        if (shared.count == 0)
            continue;
        st = in->copies ? HF_OK : d->methods->queue_new(d, &in->copies, &t->error);
        if (st == HF_OK)
            st = sample_to(&run->services->host, *at, &shared, i % 2 ? d : host, in->copies, &moved,
                           &t->error);
        if (st != HF_OK)
            return instance_blame(in, *at, st, &t->error);
        sample_unref(*at);
        *at = moved;
    }
    return st;
}

static enum hf_status run_none_left(struct task *t) {
    const struct node *n = t->node;
    return fault_all_skipped(&t->replica->link[n->links - 1], t->ticket, &t->error);
}

void task_run(struct task *t) {
    struct run *run = t->node->job->run;
    struct scan_mark mark;
    static enum hf_status (*const how[])(struct task *) = {run_count, run_item, run_sample, run_end,
                                                           run_none_left};
    t->error.text[0] = 0;
    if (run->scan)
        scan_begin(run, t->kind == TASK_SAMPLE ? t->sample : NULL, &mark);
    t->status = how[t->kind](t);
    if (t->status == HF_OK)
        t->status = bring_ahead(t);
    if (t->status != HF_OK)
        samples_clear(&t->out);
    if (run->scan)
        scan_end(run, t->node, &mark);
}
