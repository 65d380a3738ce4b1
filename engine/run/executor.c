/*
 * executor.c - the workers: what a node may do next, doing it, and handing on in order.
 *
 * Every input of a node gets a ticket when it is taken; what tickets emit leaves in their order,
 * whoever finishes first, so the stream does not depend on workers, replicas or luck. A task is
 * handed out only if its samples will fit: tickets at work or waiting and samples on the fullest
 * outgoing edge stay within the node's window, and their bytes within EDGE_BYTES; one ticket
 * is always allowed, and a task that emits several samples may go over by those. A sample keeps its
 * place on the edge until the task that took it is done: what is in memory does not depend on which
 * tasks happen to meet. Nothing blocks inside a stage's call, so that one worker is enough for any
 * graph.
 *
 * Lock order: run->lock, then one of the leaves run->notes_lock, the hold cache's, the
 * read-ahead's, the trace's, a device's. No stage is called and no sample is released under a lock.
 * All nodes and edges of all jobs are guarded by run->lock alone: a task takes far longer than to
 * find it.
 */
#include "exec.h"

#include <stdlib.h>

#include "graph/print.h"
#include "memory.h"
#include "trace.h"

/* Of an edge, so that a node can work on one sample while the next one is made. */
#define LEAST_PLACES 2

enum task_kind {
    TASK_COUNT,
    TASK_ITEM,
    TASK_SAMPLE,
    TASK_END,
    TASK_NONE_LEFT /* every sample of the pass was skipped: says so */
};

struct task {
    enum task_kind kind;
    struct node *node;
    struct replica *replica;
    int64_t ticket;
    uint64_t epoch;
    int input;
    struct edge *from;              /* that `sample` was taken from */
    const struct hf_sample *sample; /* a reference */
    struct samples out;
    int64_t items; /* COUNT */
    int skipped;   /* samples that `on_error` left out */
    enum hf_status status;
    struct hf_error error;
};

static const struct hf_stage_class *class_of(const struct instance *in) {
    return in->job->run->plan->stage[in->index].cls;
}

/* ---- instances ---- */

void instance_init(struct instance *in, struct job *job, int stage, int replica) {
    struct run *run = job->run;
    const struct plan_stage *ps = &run->plan->stage[stage];
    *in = (struct instance){.job = job, .index = stage};
    in->stage = (struct hf_stage){
        .host = &run->services->host,
        .options = ps->options,
        .name = ps->name,
        .device = ps->on_device ? run->device : run->services->host_device,
        .model = ps->model >= 0 ? run->model[ps->model] : NULL,
        .yields = &ps->yields,
        .seed = run->seed,
        .replica = replica,
        .module_dir = ps->module ? ps->module->dir : NULL,
        .out_dir = run->out_dir,
        .engine = in,
        .items_may_fail = ps->on_error.skip || ps->on_error.retries > 0,
    };
}

enum hf_status instance_start(struct instance *in, struct hf_error *e) {
    const struct hf_stage_class *cls = class_of(in);
    if (in->began)
        return HF_OK;
    struct hf_device *d = in->stage.device;
    in->stage.state = calloc(1, cls->state_size ? cls->state_size : 1);
    if (!in->stage.state)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the stage");
    enum hf_status st = d->methods->queue_new(d, &in->stage.queue, e);
    if (st != HF_OK)
        return st;
    in->began = true;
    in->stage.peer = in->peer ? in->peer->stage.state : NULL;
    return cls->start ? cls->start(&in->stage, e) : HF_OK;
}

void instance_stop(struct instance *in) {
    struct hf_device *d = in->stage.device;
    samples_clear(&in->out);
    if (in->began && class_of(in)->stop)
        class_of(in)->stop(&in->stage);
    if (in->stage.queue)
        d->methods->queue_free(d, in->stage.queue);
    d = in->job->run->device;
    if (in->copies)
        d->methods->queue_free(d, in->copies);
    free(in->stage.state);
    in->stage.queue = in->copies = NULL;
    in->stage.state = NULL;
    in->began = false;
}

/* On a queue of its own: what the stage has enqueued before need not be done first. */
enum hf_status instance_bring(struct instance *in, const struct hf_sample *s,
                              const struct hf_sample **ret, struct hf_error *e) {
    const struct reads *reads = &in->job->run->plan->stage[in->index].reads;
    struct hf_device *d = in->job->run->device;
    const struct hf_sample *here = s;
    enum hf_status st = HF_OK;
    if (sample_lies_on(s, reads, in->stage.device)) {
        sample_ref(s);
    } else {
        st = in->copies ? HF_OK : d->methods->queue_new(d, &in->copies, e);
        if (st == HF_OK)
            st = sample_to(in->stage.host, s, reads, in->stage.device, in->copies, &here, e);
        if (st != HF_OK)
            return st;
    }
    if (in->stage.device->host_memory && d != in->stage.device)
        st = sample_arrive(here, reads, e);
    if (st == HF_OK)
        return sample_view(here, reads, ret, e);
    sample_unref(here);
    return st;
}

/* ---- doing a task; no lock is held ---- */

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
    if (in->job->run->scan && (class_of(in)->flags & HF_STAGE_TAKES_MODEL)) {
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
    if (n->job->run->scan && from >= 0)
        scan_note(n, from, &t->out);
    for (int k = from + 1; st == HF_OK && k < n->links; k++) {
        struct instance *in = &t->replica->link[k];
        st = k == 0 ? run_source(in, t) : run_link(in, t, &t->out);
        /* What was left out of this pass may be there in the next one. */
        if (st == HF_OK && t->skipped == 0) {
            if (hold_is_held(hold, n->link[k]))
                hold_put(hold, n->link[k], t->ticket, &t->out);
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
        st = class_of(in)->count(&in->stage, &t->items, &t->error);
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
        st = class_of(in)->end_of_epoch(&in->stage, &t->error);
    made_enter(NULL);
    t->out = take_out(in);
    if (t->node->job->run->scan)
        scan_note(t->node, 0, &t->out);
    was_at(in, "end of epoch", NULL, t->epoch, from);
    return st == HF_OK ? check_emitted(in, &t->out, &t->error)
                       : instance_blame(in, NULL, st, &t->error);
}

/* The stage that takes what leaves on an edge. */
static const struct plan_stage *taker(const struct edge *ed) {
    int stage = ed->to ? ed->to->link[0] : ed->sink->instance.index;
    return &ed->from->job->run->plan->stage[stage];
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
            takers += taker(n->out[k])->on_device == to_device &&
                      reads_field(&taker(n->out[k])->reads, f->name);
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

static void task_run(struct task *t) {
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

/* ---- finding a task; run->lock is held ---- */

static bool all_closed(const struct node *n) {
    for (int i = 0; i < n->outs; i++)
        if (!n->out[i]->closed)
            return false;
    return true;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static bool has_room(const struct node *n) {
    int64_t tickets = n->next_ticket - n->released, count = 0, places = 0, bytes = 0;
    for (int i = 0; i < n->outs; i++) {
        count = larger(count, n->out[i]->count);
        places = larger(places, n->out[i]->count + n->out[i]->at_work);
        bytes = larger(bytes, n->out[i]->bytes);
    }
    if (tickets + places >= larger(n->window, LEAST_PLACES))
        return false;
    if (tickets == 0 && count == 0)
        return true;
    if (n->largest < 0) /* the first one shows how large they are */
        return false;
    return tickets + count < n->window &&
           bytes + n->waiting_bytes + (n->running + 1) * n->largest <= EDGE_BYTES;
}

static struct replica *free_replica(const struct node *n) {
    for (int i = 0; i < n->replicas; i++)
        if (!n->replica[i].busy)
            return &n->replica[i];
    return NULL;
}

static void hand_out(struct node *n, struct replica *r, enum task_kind kind, struct task *t) {
    *t = (struct task){.kind = kind, .node = n, .replica = r, .epoch = n->epoch};
    r->busy = true;
    n->running++;
}

static void wake_readers(const struct node *n) {
    for (int i = 0; i < n->outs; i++)
        if (n->out[i]->sink)
            pthread_cond_signal(&n->out[i]->sink->arrived);
}

/* The end of the epoch, once every ticket has left. */
static bool finish(struct node *n, struct task *t, bool *ret_changed) {
    const struct hf_stage_class *cls = n->job->run->plan->stage[n->link[n->links - 1]].cls;
    if (n->next_ticket != n->released || n->finishing)
        return false;
    if (n->lost > 0 && n->lost == n->released) {
        n->finishing = true;
        hand_out(n, &n->replica[0], TASK_NONE_LEFT, t);
        t->ticket = n->lost;
        return true;
    }
    if (cls->end_of_epoch) {
        n->finishing = true;
        hand_out(n, &n->replica[0], TASK_END, t);
        return true;
    }
    n->ended = n->passed = true;
    for (int i = 0; i < n->outs; i++)
        n->out[i]->ended = true;
    wake_readers(n);
    *ret_changed = true;
    return false;
}

static bool find_source_task(struct node *n, struct replica *r, struct task *t, bool *ret_changed) {
    if (n->items < 0) {
        if (n->counting)
            return false;
        n->counting = true;
        hand_out(n, r, TASK_COUNT, t);
        return true;
    }
    if (n->next_ticket == n->items)
        return finish(n, t, ret_changed);
    if (!has_room(n))
        return false;
    hand_out(n, r, TASK_ITEM, t);
    t->ticket = n->next_ticket++;
    if (n->probe)
        run_wake_loop(n->job->run);
    return true;
}

static bool find_sample_task(struct node *n, struct replica *r, struct task *t, bool *ret_changed) {
    int input = 0;
    if (!has_room(n))
        return false;
    if (n->job->run->plan->stage[n->link[0]].cls->kind == HF_MIX) {
        uint64_t epoch;
        switch (mix_choose(n, &input, &epoch)) {
        case MIX_WAIT:
            return false;
        case MIX_AGAIN:
            tree_reset(n->in[input], epoch, &n->job->run->retired);
            *ret_changed = true;
            return false;
        case MIX_FINISHED:
            return finish(n, t, ret_changed);
        case MIX_TAKE:
            break;
        }
    } else if (n->in[0]->count == 0) {
        return n->in[0]->ended && finish(n, t, ret_changed);
    }
    hand_out(n, r, TASK_SAMPLE, t);
    t->ticket = n->next_ticket++;
    t->input = input;
    t->from = n->in[input];
    t->sample = edge_pop(t->from);
    t->from->at_work++;
    return true;
}

static bool find_node_task(struct node *n, struct task *t, bool *ret_changed) {
    struct replica *r = free_replica(n);
    if (!r || n->stopped || n->ended || n->finishing || all_closed(n))
        return false;
    return n->inputs ? find_sample_task(n, r, t, ret_changed)
                     : find_source_task(n, r, t, ret_changed);
}

/* Nodes next to a sink first, so that what has been begun is finished; jobs in turn. */
static bool find_task(struct run *run, struct task *t) {
    bool changed;
    do {
        changed = false;
        for (int k = 1; k <= run->plan->jobs; k++) {
            int j = (run->turn + k) % run->plan->jobs;
            struct job *job = run->active[j];
            for (int i = job && job->ready && !job->closing ? job->nodes - 1 : -1; i >= 0; i--)
                if (find_node_task(job->node[i], t, &changed)) {
                    run->turn = j;
                    return true;
                }
        }
    } while (changed);
    return false;
}

/* ---- after a task; run->lock is held ---- */

void workers_wake(struct run *run) {
    if (run->idle_workers > 0)
        pthread_cond_broadcast(&run->work);
}

static bool hand_on(struct node *n, struct samples *list) {
    struct sample **retired = &n->job->run->retired;
    bool kept = true;
    for (int i = 0; i < list->count; i++)
        for (int k = 0; k < n->outs; k++) {
            sample_ref(list->item[i]);
            kept = edge_push(n->out[k], list->item[i], retired) && kept;
        }
    samples_retire(list, retired);
    wake_readers(n);
    return kept;
}

/* Lets go, in order, what is done. */
static bool release(struct node *n) {
    bool kept = true;
    while (n->released < n->next_ticket && n->slot[n->released % n->window].done) {
        struct slot *slot = &n->slot[n->released % n->window];
        n->waiting_bytes -= slot->bytes;
        n->released++;
        kept = hand_on(n, &slot->out) && kept;
        *slot = (struct slot){0};
    }
    return kept;
}

/* Samples alive, and what the devices have handed out. */
static void trace_memory(struct run *run, int job) {
    struct hf_device *const device[] = {run->services->host_device, run->device};
    int64_t alive = atomic_load(&run->services->samples);
    for (int d = 0; d < 2; d++) {
        size_t now, peak;
        if (d > 0 && device[d] == device[0])
            continue;
        device[d]->methods->memory(device[d], 0, &now, &peak);
        trace_count(run->trace, job, d ? "memory (device)" : "memory (cpu)", alive, (int64_t)now);
    }
}

static bool task_done(struct task *t) {
    struct node *n = t->node;
    bool kept = true;
    t->replica->busy = false;
    n->running--;
    if (t->from)
        t->from->at_work--;
    if (t->kind == TASK_COUNT) {
        n->items = t->items;
    } else if (t->kind == TASK_END || t->kind == TASK_NONE_LEFT) {
        kept = hand_on(n, &t->out);
        n->ended = n->passed = true;
        for (int i = 0; i < n->outs; i++)
            n->out[i]->ended = true;
        wake_readers(n);
    } else {
        struct slot *slot = &n->slot[t->ticket % n->window];
        *slot = (struct slot){.done = true, .out = t->out};
        for (int i = 0; i < t->out.count; i++)
            slot->bytes += sample_bytes(t->out.item[i]);
        n->waiting_bytes += slot->bytes;
        n->lost += t->skipped > 0 && t->out.count == 0;
        n->largest = slot->bytes > n->largest ? slot->bytes : n->largest;
        kept = release(n);
    }
    if (n->running == 0)
        pthread_cond_broadcast(&n->job->idle);
    stall_look(n->job);
    for (int i = 0; n->job->run->trace && i < n->outs; i++)
        trace_count(n->job->run->trace, n->job->index, taker(n->out[i])->name, n->out[i]->count,
                    n->out[i]->bytes);
    if (n->job->run->trace)
        trace_memory(n->job->run, n->job->index);
    workers_wake(n->job->run);
    return kept;
}

/* The lock is held, but not while samples are released. */
static void release_retired(struct run *run) {
    struct sample *list = run->retired;
    run->retired = NULL;
    if (!list)
        return;
    pthread_mutex_unlock(&run->lock);
    sample_free_retired(list);
    pthread_mutex_lock(&run->lock);
}

void *worker_main(void *arg) {
    struct run *run = arg;
    struct task t;
    pthread_mutex_lock(&run->lock);
    while (!run->quit) {
        if (run->retired) {
            release_retired(run);
            continue; /* much may have changed meanwhile */
        }
        if (run->stopping || !find_task(run, &t)) {
            if (run->retired)
                continue;
            run->idle_workers++;
            pthread_cond_wait(&run->work, &run->lock);
            run->idle_workers--;
            continue;
        }
        stall_look(t.node->job);
        pthread_mutex_unlock(&run->lock);
        task_run(&t);
        if (t.status != HF_OK)
            run_fail(run, &t.error);
        pthread_mutex_lock(&run->lock);
        if (!task_done(&t)) {
            pthread_mutex_unlock(&run->lock);
            (void)hf_fail(&t.error, HF_NO_MEMORY, "no memory for the samples between stages");
            run_fail(run, &t.error);
            pthread_mutex_lock(&run->lock);
        }
    }
    release_retired(run);
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* ---- whole trees; run->lock is held ---- */

static void mark_stopped(struct edge *ed) {
    ed->from->stopped = true;
    for (int i = 0; i < ed->from->inputs; i++)
        mark_stopped(ed->from->in[i]);
}

static int tasks_running(const struct edge *ed) {
    int n = ed->from->running;
    for (int i = 0; i < ed->from->inputs; i++)
        n += tasks_running(ed->from->in[i]);
    return n;
}

bool tree_is_quiet(struct edge *ed) {
    mark_stopped(ed);
    return tasks_running(ed) == 0;
}

void tree_stop(struct edge *ed) {
    struct job *job = ed->from->job;
    while (!tree_is_quiet(ed))
        pthread_cond_wait(&job->idle, &job->run->lock);
}

void tree_reset(struct edge *ed, uint64_t epoch, struct sample **retired) {
    struct node *n = ed->from;
    edge_clear(ed, retired);
    for (int i = 0; i < n->window; i++) {
        samples_retire(&n->slot[i].out, retired);
        n->slot[i] = (struct slot){0};
    }
    n->next_ticket = n->released = n->lost = n->waiting_bytes = n->wanted = 0;
    n->ended = n->finishing = n->stopped = false;
    n->epoch = epoch;
    mix_reset(n);
    for (int i = 0; i < n->inputs; i++)
        tree_reset(n->in[i], mix_epoch(&n->job->run->plan->stage[n->link[0]], epoch), retired);
}
