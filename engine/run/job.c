/*
 * job.c - jobs: the tree of nodes above the sinks, the sinks' threads and streams, and the end.
 *
 * The last sink to return puts the whole tree away, on its own thread: the loop's thread must
 * stay free for reading ahead, which a stage that is still at work may be waiting for.
 */
#include "exec.h"

#include <stdlib.h>

#include "memory.h"
#include "nn/model.h"
#include "trace.h"

#define DEFAULT_DEPTH  4
#define FILES_PER_ITEM 16
#define MODEL_REPLICAS 2 /* by default: one prepares while the device runs the other's network */

/* ---- the tree ---- */

static void *grow(void *list, int count, size_t size) {
    return realloc(list, ((size_t)count + 1) * size);
}

static enum hf_status out_of_memory(struct hf_error *e) {
    return hf_fail(e, HF_NO_MEMORY, "no memory for the run");
}

static enum hf_status attach(struct node *n, struct edge *ed, struct hf_error *e) {
    struct edge **out = grow(n->out, n->outs, sizeof(*out));
    if (!out)
        return out_of_memory(e);
    n->out = out;
    n->out[n->outs++] = ed;
    ed->from = n;
    return HF_OK;
}

static int replicas_of(const struct run *run, const struct node *n) {
    int count = run->workers;
    for (int k = 0; k < n->links; k++) {
        const struct plan_stage *ps = &run->plan->stage[n->link[k]];
        int own = ps->replicas > 0 ? ps->replicas : run->workers;
        if ((ps->cls->flags & HF_STAGE_SERIAL) || ps->cls->end_of_epoch)
            own = 1;
        /* Each has its network compiled for itself: one a core would only cost memory. */
        if ((ps->cls->flags & HF_STAGE_TAKES_MODEL) && ps->replicas <= 0 && own > MODEL_REPLICAS)
            own = MODEL_REPLICAS;
        count = own < count ? own : count;
    }
    return count;
}

static enum hf_status make_replicas(struct node *n, struct hf_error *e) {
    struct job *job = n->job;
    const struct plan_stage *ps = &job->run->plan->stage[n->link[n->links - 1]];
    const struct hf_stage_class *source = job->run->plan->stage[n->link[0]].cls;
    int depth = ps->depth > 0 ? ps->depth : DEFAULT_DEPTH;
    n->replicas = replicas_of(job->run, n);
    n->window = depth > n->replicas ? depth : n->replicas;
    n->slot = calloc((size_t)n->window, sizeof *n->slot);
    n->replica = calloc((size_t)n->replicas, sizeof *n->replica);
    if (!n->slot || !n->replica)
        return out_of_memory(e);
    for (int r = 0; r < n->replicas; r++) {
        n->replica[r].link = calloc((size_t)n->links, sizeof(struct instance));
        if (!n->replica[r].link)
            return out_of_memory(e);
        for (int k = 0; k < n->links; k++)
            instance_init(&n->replica[r].link[k], job, n->link[k], r);
        if (r > 0 && source->kind == HF_SOURCE)
            n->replica[r].link[0].peer = n->replica[0].link;
    }
    if (source->files) {
        n->probe = calloc(1, sizeof *n->probe);
        if (!n->probe)
            return out_of_memory(e);
        instance_init(n->probe, job, n->link[0], 0);
        n->probe->peer = n->replica[0].link;
        n->probe->silent = true;
    }
    return HF_OK;
}

/* Without the lock: nobody else is at it. */
static void edge_free_items(struct edge *ed) {
    struct sample *retired = NULL;
    edge_clear(ed, &retired);
    sample_free_retired(retired);
    free(ed->item);
}

static void drop_probe(struct node *n) {
    if (n->probe) {
        if (n->job->run->services->readahead)
            readahead_forget(n->job->run->services->readahead, n->probe);
        instance_stop(n->probe);
    }
    free(n->probe);
    n->probe = NULL;
}

/* Peers go before the first one. */
static void node_free(struct node *n) {
    drop_probe(n);
    for (int r = n->replicas - 1; n->replica && r >= 0; r--) {
        for (int k = 0; n->replica[r].link && k < n->links; k++)
            instance_stop(&n->replica[r].link[k]);
        free(n->replica[r].link);
    }
    for (int i = 0; n->slot && i < n->window; i++)
        samples_clear(&n->slot[i].out);
    for (int i = 0; i < n->inputs; i++) {
        edge_free_items(n->in[i]);
        free(n->in[i]);
    }
    free(n->replica);
    free(n->slot);
    free(n->link);
    free(n->out);
    free(n);
}

/* The stages that the node runs: one, or from the source on. */
static enum hf_status set_chain(struct node *n, int stage, bool chain, struct hf_error *e) {
    const struct hf_plan *plan = n->job->run->plan;
    int count = 1;
    for (int at = stage; chain && plan->stage[at].inputs > 0; at = plan->stage[at].input[0])
        count++;
    n->link = calloc((size_t)count, sizeof *n->link);
    if (!n->link)
        return out_of_memory(e);
    n->links = count;
    for (int k = count - 1, at = stage; k >= 0; k--) {
        n->link[k] = at;
        at = k > 0 ? plan->stage[at].input[0] : at;
    }
    return HF_OK;
}

static enum hf_status build(struct job *job, int stage, int context, struct edge *to,
                            struct hf_error *e);

static enum hf_status build_inputs(struct node *n, const struct plan_stage *ps,
                                   struct hf_error *e) {
    enum hf_status st = HF_OK;
    for (int i = 0; st == HF_OK && i < ps->inputs; i++) {
        struct edge *ed = calloc(1, sizeof *ed);
        if (!ed)
            return out_of_memory(e);
        ed->to = n;
        n->in[n->inputs++] = ed;
        int context = ps->cls->kind == HF_MIX ? ++n->job->contexts : n->context;
        st = build(n->job, ps->input[i], context, ed, e);
    }
    return st;
}

/* Makes `to` an edge that leaves `stage`, with everything above it. */
static enum hf_status build(struct job *job, int stage, int context, struct edge *to,
                            struct hf_error *e) {
    const struct plan_stage *ps = &job->run->plan->stage[stage];
    for (int i = 0; i < job->nodes; i++)
        if (job->node[i]->link[job->node[i]->links - 1] == stage &&
            job->node[i]->context == context)
            return attach(job->node[i], to, e);
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return out_of_memory(e);
    n->job = job;
    n->context = context;
    n->items = n->largest = -1;
    bool chain = hold_heads_chain(job->run->hold, job->plan, stage, context > 0);
    enum hf_status st = set_chain(n, stage, chain, e);
    if (st == HF_OK && !chain)
        st = build_inputs(n, ps, e);
    struct node **list = grow(job->node, job->nodes, sizeof(*list));
    if (list) {
        job->node = list;
        job->node[job->nodes++] = n; /* after what is upstream of it */
    } else {
        node_free(n);
        return out_of_memory(e);
    }
    if (st == HF_OK)
        st = make_replicas(n, e);
    return st == HF_OK ? attach(n, to, e) : st;
}

/* Everything but the threads and the sinks themselves. */
static void tree_free(struct job *job) {
    for (int i = 0; i < job->nodes; i++)
        node_free(job->node[i]);
    free(job->node);
    job->node = NULL;
    job->nodes = 0;
    for (int i = 0; i < job->sinks; i++) {
        edge_free_items(&job->sink[i].edge);
        job->sink[i].edge = (struct edge){0};
    }
}

/* ---- the sinks' streams ---- */

/* Puts what the sink did since `from` on its track. */
static int64_t sink_was_at(struct sink *k, const char *what, int64_t from) {
    struct trace *trace = k->job->run->trace;
    int64_t now = trace ? trace_now() : 0;
    if (!trace || from == 0)
        return now;
    if (k->instance.track == 0)
        k->instance.track = trace_track(trace, k->job->index, k->instance.stage.name, -1);
    trace_span(trace, k->job->index, k->instance.track, what, NULL, (int64_t)k->epoch, from, now);
    return now;
}

static enum hf_status sink_next(struct hf_stream *in, const struct hf_sample **ret,
                                struct hf_error *e) {
    struct sink *k = (struct sink *)in;
    struct run *run = k->job->run;
    const struct hf_sample *s = NULL;
    sample_unref(k->current);
    k->current = NULL;
    int64_t began = sink_was_at(k, "work", k->handed);
    pthread_mutex_lock(&run->lock);
    bool waits = !run->stopping && k->edge.count == 0 && !k->edge.ended;
    if (waits)
        stall_begin(k);
    while (!run->stopping && k->edge.count == 0 && !k->edge.ended)
        pthread_cond_wait(&k->arrived, &run->lock);
    if (waits)
        stall_end(k);
    bool stopping = run->stopping;
    if (!stopping && k->edge.count > 0) {
        s = edge_pop(&k->edge);
        k->taken++;
        workers_wake(run);
    }
    pthread_mutex_unlock(&run->lock);
    k->handed = waits ? sink_was_at(k, "wait", began) : began;
    if (stopping)
        return hf_fail(e, HF_CANCELED, "the run was stopped");
    if (!s)
        return HF_END;
    pthread_mutex_lock(&run->notes_lock);
    k->samples++;
    pthread_mutex_unlock(&run->notes_lock);
    k->current = s; /* which the message of a failure names */
    if (run->scan)
        return HF_OK;
    enum hf_status st = instance_bring(&k->instance, s, &k->current, e);
    if (st != HF_OK)
        return st;
    sample_unref(s);
    *ret = k->current;
    return HF_OK;
}

static enum hf_status sink_rewind(struct hf_stream *in, uint64_t epoch, struct hf_error *e) {
    struct sink *k = (struct sink *)in;
    struct run *run = k->job->run;
    struct sample *retired = NULL;
    enum hf_status st = HF_OK;
    sample_unref(k->current);
    k->current = NULL;
    pthread_mutex_lock(&run->lock);
    bool same = epoch == k->epoch && k->taken == 0;
    if (run->stopping) {
        st = hf_fail(e, HF_CANCELED, "the run was stopped");
    } else if (!same && k->job->sinks > 1) {
        st = hf_fail(e, HF_UNSUPPORTED,
                     "shares its input with other sinks, so that it sees one pass only");
    } else if (!same) {
        tree_stop(&k->edge);
        tree_reset(&k->edge, epoch, &retired);
        k->epoch = epoch;
        k->taken = 0;
        workers_wake(run);
    }
    pthread_mutex_unlock(&run->lock);
    sample_free_retired(retired);
    if (st == HF_OK)
        k->instance.stage.epoch = epoch;
    return st;
}

/* ---- the sinks' threads ---- */

static void report_failure(struct sink *k, enum hf_status st, struct hf_error *e) {
    const char *name = k->instance.stage.name;
    if (!e->text[0])
        (void)hf_fail(e, st, "failed without a message (status %d)", (int)st);
    e->status = st;
    const struct plan_stage *ps = &k->job->run->plan->stage[k->instance.index];
    /* What train does at a moment has nothing to do with the last sample that came in. */
    if (k->current && k->current->case_id[0] && !(ps->cls->flags & HF_STAGE_YIELDS_MODEL))
        (void)hf_fail_in(e, "stage '%s', case '%s'", name, k->current->case_id);
    else
        (void)hf_fail_in(e, "stage '%s'", name);
    run_fail(k->job->run, e);
}

static bool is_stopping(struct run *run) {
    pthread_mutex_lock(&run->lock);
    bool stopping = run->stopping;
    pthread_mutex_unlock(&run->lock);
    return stopping || atomic_load(&run->services->canceled);
}

static void run_sink(struct sink *k) {
    struct hf_error e;
    const struct plan_stage *ps = &k->job->run->plan->stage[k->instance.index];
    e.text[0] = 0;
    if (atomic_load(&k->job->run->services->canceled))
        return;
    bool scans = k->job->run->scan;
    enum hf_status st = scans ? scan_drain(k, &e) : instance_start(&k->instance, &e);
    made_enter(&k->instance);
    if (st == HF_OK && !scans)
        st = ps->cls->run(&k->instance.stage, ps->inputs > 0 ? &k->stream : NULL, &e);
    if (st == HF_OK && !scans && !atomic_load(&k->job->run->services->canceled) &&
        (ps->cls->kind == HF_MODEL || (ps->cls->flags & HF_STAGE_YIELDS_MODEL))) {
        pthread_mutex_lock(&k->job->run->lock);
        bool missing = !k->job->model && !k->job->run->stopping;
        pthread_mutex_unlock(&k->job->run->lock);
        if (missing)
            st = hf_fail(&e, HF_INVALID, "ended without publishing its model");
    }
    if (st != HF_OK)
        report_failure(k, st, &e);
    else if (!scans && !is_stopping(k->job->run))
        reuse_keep(k);
    made_enter(NULL);
    (void)sink_was_at(k, "work", k->handed);
    sample_unref(k->current);
    k->current = NULL;
    instance_stop(&k->instance);
}

static bool tasks_at_work(const struct job *job) {
    for (int i = 0; i < job->nodes; i++)
        if (job->node[i]->running > 0)
            return true;
    return false;
}

static void *sink_main(void *arg) {
    struct sink *k = arg;
    struct job *job = k->job;
    struct run *run = job->run;
    struct sample *retired = NULL;
    run_sink(k);
    pthread_mutex_lock(&run->lock);
    edge_close(&k->edge, &retired);
    bool last = --job->sinks_left == 0;
    if (last)
        job->closing = true;
    while (last && (job->asking || tasks_at_work(job)))
        pthread_cond_wait(&job->idle, &run->lock);
    if (last)
        run->active[job->index] = NULL; /* from here on the job is this thread's */
    else
        workers_wake(run);
    pthread_mutex_unlock(&run->lock);
    sample_free_retired(retired);
    if (last) {
        stall_close(job);
        tree_free(job);
        run_note(run, &(struct hf_run_event){.kind = HF_EVENT_JOB_DONE, .job = job->plan->name},
                 job);
    }
    return NULL;
}

/* ---- one case alone ---- */

/* Whether what becomes of a sample hangs on what else there is: then all have to come. */
static bool sees_several(const struct hf_plan *plan, int stage) {
    for (const struct plan_stage *ps = &plan->stage[stage];; ps = &plan->stage[ps->input[0]]) {
        if ((ps->cls->flags & (HF_STAGE_SERIAL | HF_STAGE_YIELDS_MODEL)) ||
            ps->cls->kind == HF_MIX || ps->cls->end_of_epoch)
            return true;
        if (ps->inputs == 0) /* no other than a mix has more than one */
            return false;
    }
}

bool job_passes_over(const struct job *job, struct hf_stage *source,
                     const struct hf_stage_class *cls, int64_t item) {
    const char *it = job->only_case && cls->case_of ? cls->case_of(source, item) : NULL;
    return it && strcmp(it, job->only_case) != 0;
}

/* ---- the job ---- */

enum hf_status job_new(struct run *run, int index, struct job **ret, struct hf_error *e) {
    const struct plan_job *plan = &run->plan->job[index];
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return out_of_memory(e);
    job->run = run;
    job->plan = plan;
    job->index = index;
    pthread_cond_init(&job->idle, NULL);
    job->sink = calloc((size_t)plan->sinks, sizeof *job->sink);
    enum hf_status st = job->sink ? HF_OK : out_of_memory(e);
    job->only_case = run->options ? run->options->only_case : NULL; /* none: only looked at */
    for (int i = 0; i < plan->sinks; i++)
        if (sees_several(run->plan, plan->sink[i]))
            job->only_case = NULL;
    job->sinks = job->sink ? plan->sinks : 0;
    for (int i = 0; i < job->sinks; i++) {
        struct sink *k = &job->sink[i];
        k->stream = (struct hf_stream){sink_next, sink_rewind};
        k->job = job;
        k->edge.sink = k;
        k->loss = (double)NAN;
        pthread_cond_init(&k->arrived, NULL);
        instance_init(&k->instance, job, plan->sink[i], 0);
        k->instance.sink = k;
        const struct plan_stage *ps = &run->plan->stage[plan->sink[i]];
        if (st == HF_OK && ps->inputs > 0)
            st = build(job, ps->input[0], 0, &k->edge, e);
    }
    if (st == HF_OK)
        st = stall_open(job, e);
    if (st == HF_OK) {
        *ret = job;
        return HF_OK;
    }
    job_discard(job);
    return st;
}

void job_discard(struct job *job) {
    tree_free(job);
    job_free(job);
}

/* And before it the first of its peers, which workers else do. */
static void start_probe(struct node *n) {
    struct instance *first = n->replica[0].link;
    struct hf_error ignored; /* a worker's attempt fails alike, and says why */
    if (instance_start(first, &ignored) != HF_OK)
        instance_stop(first);
    else if (instance_start(n->probe, &ignored) == HF_OK)
        return;
    drop_probe(n);
}

void job_start(struct job *job) {
    struct run *run = job->run;
    trace_job(run->trace, job->index, job->plan->name);
    for (int i = 0; i < job->nodes; i++)
        if (job->node[i]->probe)
            start_probe(job->node[i]);
    pthread_mutex_lock(&run->lock);
    run->active[job->index] = job;
    job->sinks_left = job->sinks;
    pthread_mutex_unlock(&run->lock);
    int started = 0;
    while (started < job->sinks &&
           pthread_create(&job->sink[started].thread, NULL, sink_main, &job->sink[started]) == 0)
        job->sink[started++].started = true;
    if (started < job->sinks) {
        struct hf_error e;
        (void)hf_fail(&e, HF_NO_MEMORY, "stage '%s': its thread cannot be started",
                      job->sink[started].instance.stage.name);
        run_fail(run, &e);
        while (started < job->sinks)
            (void)sink_main(&job->sink[started++]); /* returns at once, the run being stopped */
    }
    pthread_mutex_lock(&run->lock);
    job->ready = true;
    workers_wake(run);
    pthread_mutex_unlock(&run->lock);
}

void job_free(struct job *job) {
    for (int i = 0; i < job->sinks; i++) {
        if (job->sink[i].started)
            (void)pthread_join(job->sink[i].thread, NULL);
        pthread_cond_destroy(&job->sink[i].arrived);
        entry_clear(&job->sink[i].made.entry);
    }
    if (job->model)
        hf_model_unref(job->model);
    pthread_cond_destroy(&job->idle);
    stall_free(job);
    free(job->sink);
    free(job);
}

/* ---- reading ahead ---- */

static void ask_for_item(struct readahead *ra, struct node *n, int64_t item, bool *ret_full) {
    const char *path[FILES_PER_ITEM];
    const struct hf_stage_class *cls = n->job->run->plan->stage[n->link[0]].cls;
    int32_t count = cls->files(&n->probe->stage, item, path, FILES_PER_ITEM);
    for (int32_t i = 0; i < count && i < FILES_PER_ITEM && !*ret_full; i++)
        *ret_full = !readahead_want(ra, n->probe, path[i]);
}

static bool is_kept(const struct node *n, int64_t item) {
    for (int k = 0; k < n->links; k++)
        if (hold_has(n->job->run->hold, n->link[k], item) ||
            cache_has(n->job->run->cache, n->link[k], item))
            return true;
    return false;
}

/* The items that come next, as far as the workers may get before the loop looks again. */
static void ask_for_node(struct node *n) {
    struct run *run = n->job->run;
    pthread_mutex_lock(&run->lock);
    uint64_t epoch = n->epoch;
    int64_t item = n->next_ticket > n->wanted ? n->next_ticket : n->wanted;
    int64_t end = n->next_ticket + 2 * (int64_t)n->replicas;
    end = end < n->items ? end : n->items;
    pthread_mutex_unlock(&run->lock);
    bool full = false;
    const struct hf_stage_class *cls = run->plan->stage[n->link[0]].cls;
    for (; item < end && !full; item++)
        if (!is_kept(n, item) && !job_passes_over(n->job, &n->probe->stage, cls, item))
            ask_for_item(run->services->readahead, n, item, &full);
    pthread_mutex_lock(&run->lock);
    if (n->epoch == epoch && item > n->wanted)
        n->wanted = item;
    pthread_mutex_unlock(&run->lock);
}

void job_read_ahead(struct job *job) {
    struct run *run = job->run;
    pthread_mutex_lock(&run->lock);
    job->asking = run->active[job->index] == job && !job->closing && !run->stopping;
    bool asking = job->asking;
    pthread_mutex_unlock(&run->lock);
    for (int i = 0; asking && i < job->nodes; i++)
        if (job->node[i]->probe)
            ask_for_node(job->node[i]);
    pthread_mutex_lock(&run->lock);
    job->asking = false;
    pthread_cond_broadcast(&job->idle);
    pthread_mutex_unlock(&run->lock);
}
