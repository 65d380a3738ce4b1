/*
 * memory.c - how much memory the jobs of a plan take at most (see memory.h).
 *
 * The bound of a job: what fits between its stages, the most that as many tasks as there are
 * workers have in hand, compiled networks, sinks with the sample that they are at, and the cache of
 * held samples. A node never has more than `window` tickets at work, waiting or on its fullest edge
 * (executor.c), and its other edges hold the same samples.
 */
#include "memory.h"

#include <stdlib.h>

#include "exec.h"
#include "nn/model.h"

#define ON_HOST_SIDE   1u /* the bits of a plan field's `at` (graph/devices.c) */
#define ON_DEVICE_SIDE 2u

#define GUESS_VOLUMES 8 /* f32 volumes that a stage has beside its output, if it says nothing */
#define TABLE_BYTES   ((int64_t)4096)
#define ROW_BYTES     ((int64_t)64)

struct grids {
    int count, capacity;
    struct pair {
        struct hf_grid grid, canonical;
    } * item;
};

struct asking {
    struct run *run;
    struct memory *m;
    struct job none;     /* of the instances that are asked */
    struct grids *grids; /* per stage; without a scan */
};

/* ---- what is known ---- */

enum hf_status memory_new(const struct hf_plan *plan, int workers, struct memory **ret,
                          struct hf_error *e) {
    struct memory *m = calloc(1, sizeof *m);
    if (m) {
        m->workers = workers;
        m->stages = plan->stages;
        m->jobs = plan->jobs;
        m->stage = calloc((size_t)plan->stages + 1, sizeof *m->stage);
        m->chain = calloc((size_t)plan->stages + 1, sizeof *m->chain);
        m->job = calloc((size_t)plan->jobs + 1, sizeof *m->job);
    }
    if (!m || !m->stage || !m->chain || !m->job) {
        memory_free(m);
        return hf_fail(e, HF_NO_MEMORY, "no memory to ask how much a run takes");
    }
    for (int i = 0; i < plan->stages; i++) {
        m->stage[i].items = m->stage[i].samples = m->stage[i].slices = -1;
        m->chain[i].samples = m->chain[i].slices = m->chain[i].items = -1;
        m->stage[i].least = m->chain[i].least = INT64_MAX;
    }
    *ret = m;
    return HF_OK;
}

void memory_free(struct memory *m) {
    if (!m)
        return;
    free(m->stage);
    free(m->chain);
    free(m->job);
    free(m);
}

int64_t job_memory_total(const struct job_memory *j, enum side side) {
    return j->samples[side] + j->work[side] + j->networks[side] + j->sinks[side] + j->hold[side];
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void extent_take(struct extent *x, const char *name, enum hf_place place, enum hf_dtype dtype,
                 int32_t ndim, const int64_t *shape) {
    int32_t at = 0;
    while (at < x->sample.fields && strcmp(x->sample.field[at].name, name) != 0)
        at++;
    if (at == HF_MAX_FIELDS)
        return;
    struct hf_tensor *t = &x->tensor[at];
    struct hf_field *f = &x->sample.field[at];
    if (at == x->sample.fields) {
        x->sample.fields++;
        *t = (struct hf_tensor){.dtype = dtype};
        *f = (struct hf_field){.place = place, .tensor = t};
        (void)snprintf(f->name, sizeof f->name, "%s", name);
    }
    t->dl.ndim = ndim;
    t->dl.shape = t->shape;
    t->bytes = hf_dtype_size(dtype);
    for (int32_t i = 0; i < ndim; i++) {
        t->shape[i] = larger(t->shape[i], shape[i]);
        t->bytes *= (size_t)t->shape[i];
    }
    for (int i = 0; i < 3 && ndim == 4; i++) {
        if (place == HF_ON_GRID)
            x->sample.grid.size[i] = larger(x->sample.grid.size[i], t->shape[i + 1]);
        if (place == HF_ON_CANONICAL)
            x->sample.canonical.size[i] = larger(x->sample.canonical.size[i], t->shape[i + 1]);
    }
}

/* Its tensors point into the extent itself. */
static void extent_aim(struct extent *x) {
    x->sample.id = x->sample.case_id = x->sample.patient = "";
    for (int32_t i = 0; i < x->sample.fields; i++) {
        x->sample.field[i].tensor = &x->tensor[i];
        x->tensor[i].dl.shape = x->tensor[i].shape;
    }
}

static int64_t voxels(const struct hf_grid *g) {
    return g->size[0] * g->size[1] * g->size[2];
}

/* The use of what enters a stage: of a mix, the largest of all. */
static struct use entering(const struct memory *m, const struct plan_stage *ps) {
    struct use in = {.known = true, .least = INT64_MAX, .samples = ps->inputs ? 0 : -1};
    for (int k = 0; k < ps->inputs; k++) {
        const struct use *u = &m->stage[ps->input[k]];
        if (!u->known && in.known) {
            in.known = false;
            memcpy(in.unknown, u->unknown, sizeof in.unknown);
        }
        for (int s = 0; s < SHARES; s++)
            for (int d = 0; d < SIDES; d++)
                in.ticket.of[s][d] = larger(in.ticket.of[s][d], u->ticket.of[s][d]);
        in.least = smaller(in.least, u->least);
        in.most = larger(in.most, u->most);
        in.samples = in.samples < 0 || u->samples < 0 ? -1 : in.samples + u->samples;
        in.slices = in.slices < 0 || u->slices < 0 ? -1 : in.slices + u->slices;
        for (int32_t i = 0; i < u->extent.sample.fields; i++) {
            const struct hf_field *f = &u->extent.sample.field[i];
            const struct hf_tensor *t = &u->extent.tensor[i];
            extent_take(&in.extent, f->name, f->place, t->dtype, t->dl.ndim, t->shape);
        }
    }
    return in;
}

static void cannot_tell(struct use *u, const char *stage, const char *why) {
    u->known = false;
    (void)snprintf(u->unknown, sizeof u->unknown, "'%.60s': %.90s", stage, why);
}

/* ---- asking stages ---- */

static enum side side_of(const struct asking *a, const struct plan_stage *ps) {
    return a->m->device && ps->on_device ? SIDE_DEVICE : SIDE_HOST;
}

static enum hf_status ask_class(struct asking *a, int at, const struct use *in,
                                struct hf_memory *ret, struct hf_error *e) {
    const struct plan_stage *ps = &a->run->plan->stage[at];
    struct instance inst;
    struct extent largest = in->extent;
    struct hf_memory_query q = {.largest = ps->inputs > 0 ? &largest.sample : NULL,
                                .samples = in->samples,
                                .slices = in->slices,
                                .compile = a->m->scanned};
    enum hf_status st = HF_OK;
    extent_aim(&largest);
    instance_init(&inst, &a->none, at, 0);
    struct hf_device *d = inst.stage.device;
    if (q.compile)
        st = d->methods->queue_new(d, &inst.stage.queue, e);
    if (st == HF_OK)
        st = ps->cls->memory(&inst.stage, &q, ret, e);
    if (inst.stage.queue)
        d->methods->queue_free(d, inst.stage.queue);
    return st;
}

/* Of a stage that says nothing: a few volumes of the larger of its grids, beside what leaves it. */
static struct hf_memory guess(const struct use *in, const struct use *out) {
    int64_t most = 0;
    const struct hf_sample *both[] = {&in->extent.sample, &out->extent.sample};
    for (int i = 0; i < 2; i++)
        most = larger(most, larger(voxels(&both[i]->grid), voxels(&both[i]->canonical)));
    most *= (int64_t)sizeof(float) * GUESS_VOLUMES;
    return (struct hf_memory){.work = most + out->most, .held = in->most + most};
}

/* What a stage has in hand and keeps, once it is known what enters and leaves it. What a stage
 * refuses that a scan has shown it will refuse in a run. */
static enum hf_status ask_stage(struct asking *a, int at, const struct use *in,
                                struct hf_error *ret_e) {
    const struct plan_stage *ps = &a->run->plan->stage[at];
    struct use *u = &a->m->stage[at];
    enum side here = side_of(a, ps);
    struct hf_memory told = guess(in, u);
    struct hf_error e = {0};
    if (!in->known) {
        u->known = false;
        memcpy(u->unknown, in->unknown, sizeof u->unknown);
        return HF_OK;
    }
    enum hf_status st = ps->cls->memory ? ask_class(a, at, in, &told, &e) : HF_OK;
    if (st == HF_INVALID && a->m->scanned && in->most > 0)
        return hf_fail(ret_e, st, "stage '%s' (%s): %s", ps->name, ps->cls->name, e.text);
    if (st == HF_INVALID) /* headers tell of what may come, which is larger than what does */
        cannot_tell(u, ps->name,
                    "it does not take the largest samples that may come; --scan tells");
    else if (st != HF_OK)
        cannot_tell(u, ps->name, e.text);
    u->held[here] = told.held;
    if (ps->cls->kind == HF_SINK)
        return HF_OK;
    if (!ps->cls->memory)
        u->held[here] = 0;
    for (int s = 0; s < SHARES; s++)
        for (int d = 0; d < SIDES; d++)
            u->work.of[s][d] = in->ticket.of[s][d] + (d == (int)here ? told.work : 0) +
                               (a->m->device ? in->ticket.of[SHARE_ALL][1 - d] : 0);
    return HF_OK;
}

static void run_model(struct asking *a, int at) {
    const struct plan_stage *ps = &a->run->plan->stage[at];
    struct hf_error e = {0};
    struct instance inst;
    instance_init(&inst, &a->none, at, 0);
    inst.stage.state = calloc(1, ps->cls->state_size ? ps->cls->state_size : 1);
    enum hf_status st = inst.stage.state ? HF_OK : HF_NO_MEMORY;
    if (st == HF_OK && ps->cls->start)
        st = ps->cls->start(&inst.stage, &e);
    if (st == HF_OK)
        st = ps->cls->run(&inst.stage, NULL, &e);
    if (inst.stage.state && ps->cls->stop)
        ps->cls->stop(&inst.stage);
    free(inst.stage.state);
    a->m->stage[at].known = st == HF_OK;
    if (st != HF_OK)
        cannot_tell(&a->m->stage[at], ps->name, e.text);
}

/* ---- from headers ---- */

static bool grids_add(struct grids *g, const struct hf_grid *grid,
                      const struct hf_grid *canonical) {
    if (g->count == g->capacity) {
        int n = g->capacity ? 2 * g->capacity : 16;
        struct pair *more = realloc(g->item, (size_t)n * sizeof *more);
        if (!more)
            return false;
        g->item = more;
        g->capacity = n;
    }
    g->item[g->count++] = (struct pair){*grid, *canonical};
    return true;
}

/* The grids of all items of a source. */
static void open_source(struct asking *a, int at) {
    const struct plan_stage *ps = &a->run->plan->stage[at];
    const struct hf_stage_class *cls = ps->cls;
    struct use *u = &a->m->stage[at];
    struct hf_error e = {0};
    struct instance inst;
    if (!cls->grid_of) {
        cannot_tell(u, ps->name, "its sizes are known when it runs; --scan tells");
        return;
    }
    instance_init(&inst, &a->none, at, 0);
    inst.stage.state = calloc(1, cls->state_size ? cls->state_size : 1);
    enum hf_status st = inst.stage.state ? HF_OK : HF_NO_MEMORY;
    if (st == HF_OK && cls->start)
        st = cls->start(&inst.stage, &e);
    if (st == HF_OK)
        st = cls->count(&inst.stage, &u->items, &e);
    for (int64_t i = 0; st == HF_OK && i < u->items; i++) {
        struct hf_grid grid;
        st = cls->grid_of(&inst.stage, i, &grid, &e);
        if (st == HF_OK && !grids_add(&a->grids[at], &grid, &grid))
            st = HF_NO_MEMORY;
    }
    if (inst.stage.state && cls->stop)
        cls->stop(&inst.stage);
    free(inst.stage.state);
    u->known = st == HF_OK;
    if (st != HF_OK)
        cannot_tell(u, ps->name, e.text[0] ? e.text : "no memory");
}

static bool changes_grid(const struct plan_stage *ps, const struct plan_stage *from) {
    for (int i = 0; i < ps->fields; i++)
        for (int k = 0; k < from->fields; k++)
            if (ps->field[i].place == HF_ON_GRID && from->field[k].place == HF_ON_GRID &&
                memcmp(&ps->field[i].shape[1], &from->field[k].shape[1], 3 * sizeof(int64_t)) != 0)
                return true;
    return false;
}

static void pass_grids(struct asking *a, int at) {
    const struct plan_stage *ps = &a->run->plan->stage[at];
    struct use *u = &a->m->stage[at];
    for (int k = 0; k < ps->inputs && u->known; k++) {
        const struct grids *from = &a->grids[ps->input[k]];
        if (ps->cls->kind != HF_MIX && !ps->cls->regrid &&
            changes_grid(ps, &a->run->plan->stage[ps->input[k]]))
            cannot_tell(u, ps->name, "its grid is known when it runs; --scan tells");
        for (int i = 0; i < from->count && u->known; i++) {
            struct hf_grid grid = from->item[i].grid;
            if (ps->cls->regrid)
                ps->cls->regrid(ps->options, &from->item[i].grid, &grid);
            if (!grids_add(&a->grids[at], &grid, &from->item[i].canonical))
                cannot_tell(u, ps->name, "no memory");
        }
    }
}

/* The sample of an item, as far as the plan knows its fields. */
static void take_sample(struct asking *a, int at, const struct pair *p) {
    const struct plan_stage *ps = &a->run->plan->stage[at];
    struct use *u = &a->m->stage[at];
    int64_t side[SIDES] = {0, 0};
    for (int i = 0; i < ps->fields; i++) {
        const struct plan_field *f = &ps->field[i];
        const struct hf_grid *g = f->place == HF_ON_GRID ? &p->grid : &p->canonical;
        int64_t shape[4] = {f->shape[0], g->size[0], g->size[1], g->size[2]};
        int64_t table = TABLE_BYTES + ROW_BYTES * larger(p->grid.size[0], p->canonical.size[0]);
        int32_t ndim = f->place == HF_ON_HOST ? 1 : 4;
        if (ndim == 4 && shape[0] < 0) {
            cannot_tell(u, ps->name, "the channels of a field are known when it runs");
            return;
        }
        int64_t bytes = ndim == 1 ? table
                                  : (int64_t)hf_dtype_size(f->dtype) * shape[0] * shape[1] *
                                        shape[2] * shape[3];
        extent_take(&u->extent, f->name, f->place, ndim == 1 ? HF_U8 : f->dtype, ndim,
                    ndim == 1 ? &table : shape);
        if (!a->m->device || (f->at & ON_HOST_SIDE))
            side[SIDE_HOST] += bytes;
        if (a->m->device && (f->at & ON_DEVICE_SIDE))
            side[SIDE_DEVICE] += bytes;
    }
    for (int s = 0; s < SHARES; s++)
        for (int d = 0; d < SIDES; d++)
            u->ticket.of[s][d] = larger(u->ticket.of[s][d], side[d]);
    u->least = smaller(u->least, side[0] + side[1]);
    u->most = larger(u->most, side[0] + side[1]);
}

static void read_headers(struct asking *a, int at, const struct use *in) {
    const struct plan_stage *ps = &a->run->plan->stage[at];
    struct use *u = &a->m->stage[at];
    if (ps->cls->kind == HF_SOURCE) {
        open_source(a, at);
    } else {
        u->known = in->known;
        memcpy(u->unknown, in->unknown, sizeof u->unknown);
        pass_grids(a, at);
    }
    for (int i = 0; i < a->grids[at].count && u->known; i++)
        take_sample(a, at, &a->grids[at].item[i]);
}

static enum hf_status keep_model(void *engine, const struct hf_stage *s, const struct message *m,
                                 struct hf_error *e) {
    const struct instance *in = s->engine;
    struct run *run = in->job->run;
    (void)engine;
    (void)e;
    if (m->kind != MESSAGE_MODEL)
        return HF_OK;
    hf_model_ref(m->model);
    if (run->model[in->index])
        hf_model_unref(run->model[in->index]);
    run->model[in->index] = m->model;
    return HF_OK;
}

enum hf_status memory_ask(struct run *run, struct memory *m, struct hf_error *e) {
    struct asking a = {.run = run, .m = m, .none = {.run = run}};
    a.grids = calloc((size_t)m->stages + 1, sizeof *a.grids);
    if (!a.grids)
        return hf_fail(e, HF_NO_MEMORY, "no memory to ask how much a run takes");
    run->services->post = keep_model;
    enum hf_status st = HF_OK;
    for (int i = 0; st == HF_OK && i < m->stages; i++) {
        const struct plan_stage *ps = &run->plan->stage[i];
        const struct hf_stage_class *cls = ps->cls;
        struct use in = entering(m, ps);
        if (cls->kind == HF_MODEL) {
            run_model(&a, i);
            continue;
        }
        if (ps->model >= 0 && !m->stage[ps->model].known && in.known) {
            in.known = false;
            memcpy(in.unknown, m->stage[ps->model].unknown, sizeof in.unknown);
        }
        if (cls->kind == HF_SINK)
            m->stage[i].known = true;
        else if (!m->scanned)
            read_headers(&a, i, &in);
        if (!m->scanned || cls->kind == HF_SINK || (cls->flags & HF_STAGE_TAKES_MODEL))
            st = ask_stage(&a, i, &in, e);
    }
    run->services->post = NULL;
    for (int i = 0; i < m->stages; i++)
        free(a.grids[i].item);
    free(a.grids);
    return st;
}

/* ---- the bound ---- */

struct tally {
    struct run *run;
    struct memory *m;
    enum share share;
    int count;
    int64_t *hand[SIDES]; /* what each task that may run has beside its ticket */
};

/* What a scan has measured of a chain as a whole, and what its stages say of themselves: without a
 * scan all, with one those with a model. Their networks are there at once. */
static struct use chain_use(const struct run *run, const struct memory *m, const struct node *n) {
    int last = n->link[n->links - 1];
    struct use u = m->stage[last];
    if (m->scanned)
        u.work = m->chain[last].work;
    memset(u.held, 0, sizeof u.held);
    for (int k = 0; k < n->links; k++) {
        const struct use *part = &m->stage[n->link[k]];
        bool model = run->plan->stage[n->link[k]].cls->flags & HF_STAGE_TAKES_MODEL;
        if (!part->known && u.known) {
            u.known = false;
            memcpy(u.unknown, part->unknown, sizeof u.unknown);
        }
        for (int d = 0; d < SIDES; d++) {
            u.held[d] += part->held[d];
            for (int s = 0; s < SHARES && (model || !m->scanned); s++)
                u.work.of[s][d] = larger(u.work.of[s][d], part->work.of[SHARE_ALL][d]);
        }
    }
    return u;
}

/* Bytes of a side that are between the node and what follows it, at most. */
static int64_t waiting(const struct node *n, const struct use *u, int64_t ticket) {
    if (u->most <= 0 || n->window * u->most <= EDGE_BYTES)
        return n->window * ticket;
    if (2 * u->least > EDGE_BYTES)
        return ticket;
    int64_t spread = n->replicas * (u->most - u->least);
    return smaller(n->window * ticket, larger(ticket, EDGE_BYTES + spread));
}

static void add_node(struct tally *t, const struct node *n, struct job_memory *ret) {
    struct use u = n->links > 1 ? chain_use(t->run, t->m, n) : t->m->stage[n->link[0]];
    if (!u.known && ret->known) {
        ret->known = false;
        (void)snprintf(ret->unknown, sizeof ret->unknown, "%s", u.unknown);
    }
    for (int r = 0; r < n->replicas; r++, t->count++)
        for (int d = 0; d < SIDES; d++)
            t->hand[d][t->count] = larger(0, u.work.of[t->share][d] - u.ticket.of[t->share][d]);
    for (int d = 0; d < SIDES; d++) {
        ret->samples[d] += waiting(n, &u, u.ticket.of[t->share][d]);
        ret->networks[d] += n->replicas * u.held[d];
    }
}

static void add_sink(struct tally *t, int stage, struct job_memory *ret) {
    const struct plan_stage *ps = &t->run->plan->stage[stage];
    const struct use *u = &t->m->stage[stage];
    struct use in = entering(t->m, ps);
    if (!u->known && ret->known) {
        ret->known = false;
        (void)snprintf(ret->unknown, sizeof ret->unknown, "%s", u->unknown);
    }
    for (int d = 0; d < SIDES; d++) {
        ret->samples[d] += in.ticket.of[t->share][d];
        if (t->m->device) /* what it reads is copied to where it is */
            ret->samples[d] += in.ticket.of[SHARE_ALL][1 - d];
        ret->sinks[d] += u->held[d];
    }
}

static int descending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Whether two nodes of the job make the same held samples, each before the other has kept them. */
static bool makes_twice(const struct run *run, const struct job *job) {
    for (int i = 0; i < job->nodes; i++)
        for (int k = 0; k < i; k++) {
            int a = job->node[i]->link[job->node[i]->links - 1];
            int b = job->node[k]->link[job->node[k]->links - 1];
            if (a == b && hold_is_held(run->hold, a))
                return true;
        }
    return false;
}

/* What the cache may come to, told from headers. */
static int64_t held_at_most(const struct run *run, const struct memory *m) {
    double all = 0;
    for (int i = 0; i < m->stages && run->hold; i++) {
        int source = i;
        if (!hold_is_held(run->hold, i))
            continue;
        while (run->plan->stage[source].inputs > 0)
            source = run->plan->stage[source].input[0];
        if (!m->stage[i].known || m->stage[source].items < 0)
            return run->plan->hold;
        all += (double)m->stage[source].items * (double)m->stage[i].most;
    }
    return all < (double)run->plan->hold ? (int64_t)all : run->plan->hold;
}

static enum hf_status bound_job(struct tally *t, int index, const int64_t *held, bool fitted,
                                struct hf_error *e) {
    struct job_memory *ret = &t->m->job[index];
    struct job *job = NULL;
    enum hf_status st = job_new(t->run, index, &job, e);
    if (st != HF_OK)
        return st;
    bool apart = held && fitted && !t->m->device && t->run->plan->jobs_at_once <= 1 &&
                 !makes_twice(t->run, job);
    int tasks = 1;
    for (int i = 0; i < job->nodes; i++)
        tasks += job->node[i]->replicas;
    t->share = apart ? SHARE_OWN : SHARE_ALL;
    t->count = 0;
    for (int d = 0; d < SIDES; d++)
        t->hand[d] = calloc((size_t)tasks, sizeof *t->hand[d]);
    *ret = (struct job_memory){.known = true};
    if (t->hand[0] && t->hand[1]) {
        for (int i = 0; i < job->nodes; i++)
            add_node(t, job->node[i], ret);
        for (int i = 0; i < job->sinks; i++)
            add_sink(t, job->sink[i].instance.index, ret);
        for (int d = 0; d < SIDES; d++) {
            qsort(t->hand[d], (size_t)t->count, sizeof *t->hand[d], descending);
            for (int i = 0; i < t->m->workers && i < t->count; i++)
                ret->work[d] += t->hand[d][i];
            if (d == SIDE_HOST || t->m->device)
                ret->hold[d] = !t->run->hold    ? 0
                               : held && fitted ? held[index]
                               : held           ? t->run->plan->hold
                                                : held_at_most(t->run, t->m);
        }
    } else {
        st = hf_fail(e, HF_NO_MEMORY, "no memory to ask how much a run takes");
    }
    for (int d = 0; d < SIDES; d++)
        free(t->hand[d]);
    job_discard(job);
    return st;
}

enum hf_status memory_bound(struct run *run, struct memory *m, const int64_t *held, bool fitted,
                            struct hf_error *e) {
    struct tally t = {.run = run, .m = m};
    enum hf_status st = HF_OK;
    for (int j = 0; st == HF_OK && j < m->jobs; j++)
        st = bound_job(&t, j, held, fitted, e);
    return st;
}
