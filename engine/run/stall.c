/*
 * stall.c - what kept the sinks waiting: the bottleneck of a job, in one sentence.
 *
 * While a sink waits, the time is put down to what it waits for: the node at work that is nearest
 * to it, or the workers where a node could go on and none is free. That is looked up again whenever
 * a task begins or ends, so that nothing is sampled. From these times, and from how long each node
 * was at work, follows what one more replica would give: the work of the others, of the sink and of
 * the workers stays, so that the next slowest of them sets the pace.
 */
#include "exec.h"

#include <math.h>
#include <stdlib.h>

#include "trace.h"

enum {
    WORKERS = -1, /* nobody is free to go on */
    NOBODY = -2
};

/* A sink that waits for less of its time, percent, has itself to blame. */
#define LITTLE 5

static int index_of(const struct job *job, const struct node *n) {
    for (int i = 0; i < job->nodes; i++)
        if (job->node[i] == n)
            return i;
    return NOBODY;
}

/* What an empty edge waits for. */
static int cause_of(const struct job *job, const struct edge *ed) {
    const struct node *n = ed->from;
    if (!n || ed->ended)
        return NOBODY;
    if (n->running > 0)
        return index_of(job, n);
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i]->count == 0 && !n->in[i]->ended)
            return cause_of(job, n->in[i]);
    return WORKERS;
}

static void put_down(struct sink *k, int64_t now) {
    struct stall *s = &k->stall;
    if (s->since == 0)
        return;
    if (s->cause != NOBODY)
        s->blamed[s->cause + 1] += now - s->since;
    if (s->cause >= 0 && s->all_at_work)
        s->replica_ns[s->cause + 1] += now - s->since;
    s->since = now;
}

static void find_cause(struct sink *k) {
    struct stall *s = &k->stall;
    s->cause = cause_of(k->job, &k->edge);
    s->all_at_work =
        s->cause >= 0 && k->job->node[s->cause]->running == k->job->node[s->cause]->replicas;
}

enum hf_status stall_open(struct job *job, struct hf_error *e) {
    job->began = trace_now();
    for (int i = 0; i < job->sinks; i++) {
        struct stall *s = &job->sink[i].stall;
        s->blamed = calloc((size_t)job->nodes + 1, sizeof *s->blamed);
        s->replica_ns = calloc((size_t)job->nodes + 1, sizeof *s->replica_ns);
        if (!s->blamed || !s->replica_ns)
            return hf_fail(e, HF_NO_MEMORY, "no memory for the run");
    }
    return HF_OK;
}

void stall_begin(struct sink *k) {
    k->stall.since = trace_now();
    find_cause(k);
}

void stall_end(struct sink *k) {
    int64_t now = trace_now();
    put_down(k, now);
    k->stall.since = 0;
}

void stall_look(struct job *job) {
    for (int i = 0; i < job->sinks; i++) {
        struct sink *k = &job->sink[i];
        if (k->stall.since == 0)
            continue;
        put_down(k, trace_now());
        find_cause(k);
    }
}

/* ---- in the end ---- */

static int64_t waited(const struct job *job, const struct sink *k) {
    int64_t sum = 0;
    for (int i = 0; i <= job->nodes; i++)
        sum += k->stall.blamed[i];
    return sum;
}

/* Jobs with several sinks go on at the pace of the one that waits least. */
static const struct sink *pacemaker(const struct job *job) {
    const struct sink *least = NULL;
    for (int i = 0; i < job->sinks; i++)
        if (job->sink[i].edge.from && (!least || waited(job, &job->sink[i]) < waited(job, least)))
            least = &job->sink[i];
    return least;
}

static int64_t link_busy(const struct node *n, int link) {
    int64_t sum = 0;
    for (int r = 0; r < n->replicas; r++)
        sum += n->replica[r].link[link].busy;
    return sum;
}

static int64_t busy(const struct node *n) {
    int64_t sum = 0;
    for (int k = 0; k < n->links; k++)
        sum += link_busy(n, k);
    return sum;
}

/* The stage of a chain that took most of its node's time. */
static int slowest_link(const struct node *n) {
    int at = 0;
    for (int k = 1; k < n->links; k++)
        at = link_busy(n, k) > link_busy(n, at) ? k : at;
    return at;
}

/* The wall time if node `b` had one replica more: less by what its work then takes less, as far as
 * that was waited for, and no less than the sink, another node or the workers need. */
static double wall_with_replica(const struct job *job, const struct sink *k, int b, int64_t wall) {
    double sum = 0, least = (double)(wall - waited(job, k));
    for (int i = 0; i < job->nodes; i++) {
        double own = (double)busy(job->node[i]);
        sum += own;
        if (i != b)
            least = fmax(least, own / job->node[i]->replicas);
    }
    int replicas = job->node[b]->replicas;
    double saved = (double)busy(job->node[b]) / replicas / (replicas + 1);
    saved = fmin(saved, (double)k->stall.replica_ns[b + 1]);
    return fmax((double)wall - saved, fmax(least, sum / job->run->workers));
}

/* What would help, as the end of the sentence. */
static void advise(char *out, size_t size, const struct job *job, const struct sink *k, int b,
                   int64_t wall) {
    const struct run *run = job->run;
    const struct node *n = job->node[b];
    const struct plan_stage *ps = &run->plan->stage[n->link[slowest_link(n)]];
    double gain = 1 - wall_with_replica(job, k, b, wall) / (double)wall;
    if ((ps->cls->flags & HF_STAGE_TAKES_MODEL) && ps->on_device && run->device->host_memory)
        (void)snprintf(out, size, "networks take turns on the CPU, so a replica would not help");
    else if (stage_is_single(ps->cls))
        (void)snprintf(out, size, "it can have one replica only");
    else if (run->workers <= n->replicas)
        (void)snprintf(out, size, "one more replica would give little without more workers");
    else if (gain < 0.05)
        (void)snprintf(out, size, "one more replica would give little");
    else
        (void)snprintf(out, size, "one more replica would take about %.0f %% off", 100 * gain);
}

void stall_close(struct job *job) {
    struct run *run = job->run;
    const struct sink *k = pacemaker(job);
    int64_t wall = trace_now() - job->began, most = 0;
    if (!k)
        return;
    int b = NOBODY;
    for (int i = 0; i <= job->nodes; i++)
        if (k->stall.blamed[i] > most) {
            most = k->stall.blamed[i];
            b = i - 1;
        }
    char line[512], advice[160];
    const char *sink = k->instance.stage.name;
    double seconds = (double)wall * 1e-9, share = 100 * (double)most / (double)wall;
    if (b == NOBODY || share < LITTLE) {
        (void)snprintf(line, sizeof line,
                       "bottleneck: '%s' itself, which waited for samples %.1f %% of its %.1f s",
                       sink, 100 * (double)waited(job, k) / (double)wall, seconds);
    } else if (b == WORKERS) {
        (void)snprintf(line, sizeof line,
                       "bottleneck: the workers; with all %d at work elsewhere '%s' waited %.0f %% "
                       "of its %.1f s",
                       run->workers, sink, share, seconds);
    } else {
        const struct node *n = job->node[b];
        const struct plan_stage *ps = &run->plan->stage[n->link[slowest_link(n)]];
        advise(advice, sizeof advice, job, k, b, wall);
        (void)snprintf(line, sizeof line,
                       "bottleneck: '%s' (%s, %d replica%s) kept '%s' waiting %.0f %% of its %.1f "
                       "s; %s",
                       ps->name, ps->cls->name, n->replicas, n->replicas > 1 ? "s" : "", sink,
                       share, seconds, advice);
    }
    pthread_mutex_lock(&run->notes_lock);
    if (!run->bottleneck[0] || most > run->bottleneck_ns) {
        run->bottleneck_ns = most;
        memcpy(run->bottleneck, line, sizeof line);
    }
    pthread_mutex_unlock(&run->notes_lock);
}

void stall_free(struct job *job) {
    for (int i = 0; i < job->sinks; i++) {
        free(job->sink[i].stall.blamed);
        free(job->sink[i].stall.replica_ns);
    }
}
