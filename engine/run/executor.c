/*
 * executor.c - the workers: what a node may do next, and handing on in order what came of it.
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
 * Lock order: run->lock, then one of the leaves run->notes_lock, the hold's, the
 * read-ahead's, the trace's, a device's. No stage is called and no sample is released under a lock.
 * All nodes and edges of all jobs are guarded by run->lock alone: a task takes far longer than to
 * find it.
 */
#include "task.h"

#include "trace.h"

/* Of an edge, so that a node can work on one sample while the next one is made. */
#define LEAST_PLACES 2

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
        trace_count(n->job->run->trace, n->job->index, edge_taker(n->out[i])->name,
                    n->out[i]->count, n->out[i]->bytes);
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
