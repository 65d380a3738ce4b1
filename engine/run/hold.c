/*
 * hold.c - keeps in memory the samples that no random draw has touched, shared by the jobs of a
 * run.
 *
 * What a held stage made of item i of its source is kept as the list of its samples, an empty
 * one too. A hit gives the very samples that were made before, so the stream is the same with
 * any budget. The budget counts a tensor once, however many kept samples share it, and a field
 * that is on the host and on the device with both.
 *
 * Only a chain without randomness, order or state of its own can be held: sources and maps that
 * draw nothing, have no `end_of_epoch` and are not serial, each with one consumer. What the store
 * keeps of a stage (cache.c) is kept of such chains too, which are therefore chosen here.
 */
#include "exec.h"

#include <stdlib.h>

struct kept {
    bool there;
    struct samples list;
};

struct shelf {
    bool cut;  /* a chain may end with it */
    bool held; /* in memory */
    int users; /* jobs that may still come; one that makes several passes counts twice */
    int64_t items, bytes, limit;
    struct kept *item;
};

struct hold {
    const struct hf_plan *plan;
    pthread_mutex_t lock; /* a leaf */
    struct shelf *shelf;  /* per stage */
    int *use;             /* jobs x stages: what the job adds to users */
    int64_t limit;
    struct hold_counts counts;
};

/* ---- choosing ---- */

static bool is_mix(const struct plan_stage *ps) {
    return ps->cls->kind == HF_MIX;
}

static bool recycles(const struct plan_stage *ps) {
    for (int i = 0; is_mix(ps) && i < ps->inputs; i++)
        if (ps->mix_weight[i] > 0)
            return true;
    return false;
}

/* Edges that leave `stage` in the part of the tree that the job's sinks share. */
static int consumers(const struct hf_plan *plan, const struct plan_job *job, int stage) {
    bool *seen = calloc((size_t)plan->stages, sizeof *seen);
    int n = 0;
    for (int k = 0; seen && k < job->sinks; k++)
        for (int at = job->sink[k]; plan->stage[at].inputs > 0 && !is_mix(&plan->stage[at]);) {
            int from = plan->stage[at].input[0];
            n += from == stage;
            if (seen[from])
                break;
            seen[from] = true;
            at = from;
        }
    free(seen);
    return seen ? n : 2; /* without memory: as if shared, which is only slower */
}

static bool fuses(const struct hf_plan *plan, const struct plan_job *job, int stage, bool own) {
    for (int at = stage;; at = plan->stage[at].input[0]) {
        const struct plan_stage *ps = &plan->stage[at];
        const struct hf_stage_class *c = ps->cls;
        if (ps->random || c->end_of_epoch || (c->flags & (HF_STAGE_SERIAL | HF_STAGE_RANDOM)))
            return false;
        if (at != stage && !own && consumers(plan, job, at) > 1)
            return false;
        if (c->kind == HF_SOURCE)
            return true;
        if (c->kind != HF_MAP)
            return false;
    }
}

/* Marks the deepest stage of each branch above `stage` that several passes will ask for, and where
 * the graph says so; of those with a cache all. */
static void choose(struct hold *h, const struct plan_job *job, int stage, bool passes, bool own) {
    const struct plan_stage *ps = &h->plan->stage[stage];
    bool head = ps->cls->kind != HF_SINK && fuses(h->plan, job, stage, own);
    bool held = head && h->limit > 0 && (passes || ps->hold > 0);
    if (held || (head && ps->cache)) {
        h->shelf[stage].held = h->shelf[stage].held || held;
        for (int at = stage;; at = h->plan->stage[at].input[0]) {
            h->shelf[at].cut = h->shelf[at].cut || at == stage || h->plan->stage[at].cache;
            if (h->plan->stage[at].inputs == 0)
                return;
        }
    }
    for (int i = 0; i < ps->inputs; i++)
        choose(h, job, ps->input[i], passes || recycles(ps), own || is_mix(ps));
}

/* Counts who will come to the shelves. */
static void count_users(struct hold *h, int index, int stage, bool passes, bool own) {
    const struct hf_plan *plan = h->plan;
    const struct plan_stage *ps = &plan->stage[stage];
    if (hold_heads_chain(h, &plan->job[index], stage, own)) {
        for (int at = stage;; at = plan->stage[at].input[0]) {
            if (h->shelf[at].held) {
                h->use[index * plan->stages + at] += passes ? 2 : 1;
                h->shelf[at].users += passes ? 2 : 1;
            }
            if (plan->stage[at].inputs == 0)
                return;
        }
    }
    for (int i = 0; i < ps->inputs; i++)
        count_users(h, index, ps->input[i], passes || recycles(ps), own || is_mix(ps));
}

bool hold_heads_chain(const struct hold *hold, const struct plan_job *job, int stage, bool own) {
    return hold && hold->shelf[stage].cut && fuses(hold->plan, job, stage, own);
}

bool hold_cuts(const struct hold *hold, int stage) {
    return hold && hold->shelf[stage].cut;
}

bool hold_is_held(const struct hold *hold, int stage) {
    return hold && hold->shelf[stage].held;
}

static bool any_cache(const struct hf_plan *plan) {
    for (int i = 0; i < plan->stages; i++)
        if (plan->stage[i].cache)
            return true;
    return false;
}

static bool makes_passes(const struct hf_plan *plan, int sink) {
    return plan->stage[sink].cls->flags & HF_STAGE_YIELDS_MODEL;
}

enum hf_status hold_new(const struct hf_plan *plan, struct hold **ret, struct hf_error *e) {
    if (plan->hold <= 0 && !any_cache(plan)) {
        *ret = NULL;
        return HF_OK;
    }
    struct hold *h = calloc(1, sizeof *h);
    if (h) {
        h->shelf = calloc((size_t)plan->stages, sizeof *h->shelf);
        h->use = calloc((size_t)plan->stages * (size_t)plan->jobs + 1, sizeof *h->use);
    }
    if (!h || !h->shelf || !h->use) {
        if (h) {
            free(h->shelf);
            free(h->use);
        }
        free(h);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the samples to hold");
    }
    pthread_mutex_init(&h->lock, NULL);
    h->plan = plan;
    h->limit = plan->hold;
    for (int i = 0; i < plan->stages; i++)
        h->shelf[i].limit = plan->stage[i].hold > 0 ? plan->stage[i].hold : plan->hold;
    for (int j = 0; j < plan->jobs; j++)
        for (int k = 0; k < plan->job[j].sinks; k++) {
            int sink = plan->job[j].sink[k];
            choose(h, &plan->job[j], sink, makes_passes(plan, sink), false);
        }
    for (int j = 0; j < plan->jobs; j++)
        for (int k = 0; k < plan->job[j].sinks; k++) {
            int sink = plan->job[j].sink[k];
            count_users(h, j, sink, makes_passes(plan, sink), false);
        }
    *ret = h;
    return HF_OK;
}

/* ---- keeping; the lock is held ---- */

/* Counts a tensor, and what it is a copy of, in (+1) or out; the bytes that this changes. */
static int64_t count_tensor(struct hf_tensor *pub, int by) {
    int64_t bytes = 0;
    while (pub) {
        struct tensor *t = (struct tensor *)pub;
        t->held += by;
        if (t->held == (by > 0 ? 1 : 0))
            bytes += (int64_t)pub->bytes;
        pub = t->source;
    }
    return bytes;
}

/* What these samples add to the budget, or leave of it. */
static int64_t count_samples(const struct samples *list, int by) {
    int64_t bytes = (int64_t)sizeof(struct hf_sample) * list->count;
    for (int i = 0; i < list->count; i++)
        for (int32_t f = 0; f < list->item[i]->fields; f++) {
            bytes += count_tensor(list->item[i]->field[f].tensor, by);
            bytes += count_tensor(sample_twin(list->item[i], f), by);
        }
    return bytes;
}

static bool copy_list(struct samples *to, const struct samples *from) {
    for (int i = 0; i < from->count; i++) {
        sample_ref(from->item[i]);
        if (samples_push(to, from->item[i], NULL) != HF_OK)
            return false;
    }
    return true;
}

static bool make_place(struct shelf *s, int64_t item) {
    if (item < s->items)
        return true;
    int64_t n = item + 16;
    struct kept *more = realloc(s->item, (size_t)n * sizeof *more);
    if (!more)
        return false;
    memset(more + s->items, 0, (size_t)(n - s->items) * sizeof *more);
    s->item = more;
    s->items = n;
    return true;
}

static void clear_shelf(struct hold *h, struct shelf *s, struct sample **retired) {
    for (int64_t i = 0; i < s->items; i++) {
        if (s->item[i].there)
            h->counts.bytes -= count_samples(&s->item[i].list, -1);
        samples_retire(&s->item[i].list, retired);
    }
    free(s->item);
    s->item = NULL;
    s->items = s->bytes = 0;
}

bool hold_has(struct hold *hold, int stage, int64_t item) {
    if (!hold_is_held(hold, stage))
        return false;
    const struct shelf *s = &hold->shelf[stage];
    pthread_mutex_lock(&hold->lock);
    bool there = item < s->items && s->item[item].there;
    pthread_mutex_unlock(&hold->lock);
    return there;
}

bool hold_get(struct hold *hold, int stage, int64_t item, struct samples *list) {
    struct shelf *s = &hold->shelf[stage];
    pthread_mutex_lock(&hold->lock);
    bool hit = item < s->items && s->item[item].there && copy_list(list, &s->item[item].list);
    if (hit)
        hold->counts.hits++;
    else
        hold->counts.misses++;
    pthread_mutex_unlock(&hold->lock);
    if (!hit)
        samples_clear(list);
    return hit;
}

void hold_put(struct hold *hold, int stage, int64_t item, const struct samples *list) {
    struct shelf *s = &hold->shelf[stage];
    pthread_mutex_lock(&hold->lock);
    if (s->users >= 2 && make_place(s, item) && !s->item[item].there) {
        struct kept *k = &s->item[item];
        int64_t bytes = count_samples(list, 1);
        bool fits = hold->counts.bytes + bytes <= hold->limit && s->bytes + bytes <= s->limit;
        if (fits && copy_list(&k->list, list)) {
            k->there = true;
            s->bytes += bytes;
            hold->counts.bytes += bytes;
            hold->counts.put += bytes;
            if (hold->counts.bytes > hold->counts.peak_bytes)
                hold->counts.peak_bytes = hold->counts.bytes;
        } else {
            hold->counts.refused++;
            (void)count_samples(list, -1);
            samples_clear(&k->list);
        }
    }
    pthread_mutex_unlock(&hold->lock);
}

void hold_job_done(struct hold *hold, int job) {
    struct sample *retired = NULL;
    pthread_mutex_lock(&hold->lock);
    for (int i = 0; i < hold->plan->stages; i++) {
        struct shelf *s = &hold->shelf[i];
        s->users -= hold->use[job * hold->plan->stages + i];
        if (s->held && s->users <= 0)
            clear_shelf(hold, s, &retired);
    }
    pthread_mutex_unlock(&hold->lock);
    sample_free_retired(retired);
}

struct hold_counts hold_counts(struct hold *hold) {
    pthread_mutex_lock(&hold->lock);
    struct hold_counts c = hold->counts;
    pthread_mutex_unlock(&hold->lock);
    return c;
}

void hold_free(struct hold *hold) {
    if (!hold)
        return;
    struct sample *retired = NULL;
    for (int i = 0; i < hold->plan->stages; i++)
        clear_shelf(hold, &hold->shelf[i], &retired);
    sample_free_retired(retired);
    pthread_mutex_destroy(&hold->lock);
    free(hold->shelf);
    free(hold->use);
    free(hold);
}
