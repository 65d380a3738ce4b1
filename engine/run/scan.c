/*
 * scan.c - `plan --scan`: one pass over the stream of every job, to count its samples and measure
 * what stages take; and the question to a plan without one.
 *
 * A scan is a run with one worker whose sinks only take what comes, and whose stages with a model
 * emit what they would emit, empty. Nothing else may change what is in use during a task, so that
 * what the devices say is the task's: sinks let go of samples between tasks.
 */
#include "memory.h"

#include <stdlib.h>
#include <unistd.h>

#include "exec.h"
#include "nn/model.h"

struct scan {
    struct memory *m;
    pthread_mutex_t quiet; /* held while a task is at work, and while a sink lets go of a sample */
    int64_t *held;         /* per job: bytes in the cache when it was done */
    int64_t held_before;   /* the task that is at work */
};

/* ---- measuring ---- */

static struct hf_device *device_of(const struct run *run, enum side side) {
    return side == SIDE_HOST ? run->services->host_device : run->device;
}

static bool first_of_its_tensor(const struct hf_sample *s, int32_t at) {
    for (int32_t i = 0; i < at; i++)
        if (s->field[i].tensor == s->field[at].tensor)
            return false;
    return true;
}

static void add_tensor(const struct hf_tensor *pub, struct bytes *ret) {
    const struct tensor *t = (const struct tensor *)pub;
    enum side side = pub->device->host_memory ? SIDE_HOST : SIDE_DEVICE;
    ret->of[SHARE_ALL][side] += (int64_t)pub->bytes;
    if (t->held == 0)
        ret->of[SHARE_OWN][side] += (int64_t)pub->bytes;
}

static void add_sample(const struct hf_sample *s, struct bytes *ret) {
    for (int32_t i = 0; i < s->fields; i++) {
        const struct hf_tensor *twin = sample_twin(s, i);
        if (!first_of_its_tensor(s, i))
            continue;
        add_tensor(s->field[i].tensor, ret);
        if (twin)
            add_tensor(twin, ret);
    }
}

void scan_begin(struct run *run, const struct hf_sample *input, struct scan_mark *ret) {
    pthread_mutex_lock(&run->scan->quiet);
    *ret = (struct scan_mark){0};
    if (input)
        add_sample(input, &ret->input);
    run->scan->held_before = run->hold ? hold_counts(run->hold).put : 0;
    for (int d = 0; d < SIDES; d++) {
        size_t peak;
        struct hf_device *of = device_of(run, (enum side)d);
        of->methods->memory(of, 1, &ret->before[d], &peak);
    }
}

/* Slices of the sample, those that are marked. */
static int64_t slices_of(const struct hf_sample *s) {
    const struct hf_tensor *marks = hf_sample_get(s, "slices");
    int64_t n = 0;
    if (!marks || marks->dtype != HF_U8 || !marks->device->host_memory)
        return s->grid.size[0];
    if (tensor_wait(marks, NULL) != HF_OK)
        return s->grid.size[0];
    for (int64_t i = 0; i < hf_tensor_count(marks); i++)
        n += HF_DATA(uint8_t, marks)[i] != 0;
    return n;
}

static void raise_to(int64_t *most, int64_t n) {
    if (*most < n)
        *most = n;
}

void scan_note(const struct node *n, int link, const struct samples *out) {
    struct run *run = n->job->run;
    struct use *u = &run->scan->m->stage[n->link[link]];
    struct bytes ticket = {0};
    int64_t whole = 0;
    for (int i = 0; i < out->count; i++) {
        const struct hf_sample *s = out->item[i];
        add_sample(s, &ticket);
        whole += sample_bytes(s);
        for (int32_t f = 0; f < s->fields; f++) {
            const struct hf_tensor *t = s->field[f].tensor;
            extent_take(&u->extent, s->field[f].name, s->field[f].place, t->dtype, t->dl.ndim,
                        t->shape);
        }
    }
    for (int s = 0; s < SHARES; s++)
        for (int d = 0; d < SIDES; d++)
            raise_to(&u->ticket.of[s][d], ticket.of[s][d]);
    if (out->count > 0 && whole < u->least)
        u->least = whole;
    raise_to(&u->most, whole);
    u->known = true;
    if (n->passed || (u->counted && (u->counted != n || u->counted_job != n->job->index)))
        return;
    if (!u->counted)
        u->samples = u->slices = 0;
    u->counted = n;
    u->counted_job = n->job->index;
    u->samples += out->count;
    for (int i = 0; i < out->count; i++)
        u->slices += slices_of(out->item[i]);
}

void scan_end(struct run *run, const struct node *n, const struct scan_mark *mark) {
    int last = n->link[n->links - 1];
    struct use *u = n->links > 1 ? &run->scan->m->chain[last] : &run->scan->m->stage[last];
    int64_t kept = run->hold ? hold_counts(run->hold).put - run->scan->held_before : 0;
    for (int d = 0; d < SIDES; d++) {
        size_t now, peak = 0;
        struct hf_device *of = device_of(run, (enum side)d);
        if (d == SIDE_HOST || run->scan->m->device)
            of->methods->memory(of, 0, &now, &peak);
        int64_t made = peak > mark->before[d] ? (int64_t)(peak - mark->before[d]) : 0;
        for (int s = 0; s < SHARES; s++)
            raise_to(&u->work.of[s][d],
                     mark->input.of[s][d] + made - (s == SHARE_OWN && d == SIDE_HOST ? kept : 0));
    }
    pthread_mutex_unlock(&run->scan->quiet);
}

/* ---- in place of models and sinks ---- */

static enum hf_status empty_field(struct instance *in, const struct plan_field *f,
                                  const struct hf_sample *s, struct hf_tensor **ret,
                                  struct hf_error *e) {
    const struct hf_host *h = in->stage.host;
    const struct hf_grid *g = f->place == HF_ON_CANONICAL ? &s->canonical : &s->grid;
    const int64_t shape[4] = {f->shape[0] > 0 ? f->shape[0] : 1, g->size[0], g->size[1],
                              g->size[2]};
    struct hf_tensor *t = NULL;
    enum hf_status st = tensor_new(h, h->host_device(h), NULL, f->dtype,
                                   f->place == HF_ON_HOST ? 1 : 4, shape, &t, e);
    if (st != HF_OK)
        return st;
    memset(t->dl.data, 0, t->bytes);
    st =
        f->place == HF_ON_GRID ? tensor_to(h, t, in->stage.device, in->stage.queue, ret, e) : HF_OK;
    if (f->place == HF_ON_GRID)
        tensor_unref(t);
    else
        *ret = t;
    return st;
}

enum hf_status scan_pretend(struct instance *in, const struct hf_sample *s, struct hf_error *e) {
    const struct plan_stage *ps = &in->job->run->plan->stage[in->index];
    struct hf_sample *out = NULL;
    enum hf_status st = sample_derive(in->stage.host, s, NULL, &out, e);
    for (int i = 0; st == HF_OK && i < ps->fields; i++) {
        struct hf_tensor *t = NULL;
        if (!ps->field[i].written)
            continue;
        st = empty_field(in, &ps->field[i], s, &t, e);
        if (st == HF_OK)
            st = sample_set(out, ps->field[i].name, ps->field[i].place, t, e);
    }
    if (st == HF_OK)
        return in->stage.host->emit(&in->stage, out, e);
    sample_unref(out);
    return st;
}

enum hf_status scan_drain(struct sink *k, struct hf_error *e) {
    struct run *run = k->job->run;
    const struct hf_sample *s;
    enum hf_status st = HF_OK;
    while (st == HF_OK && run->plan->stage[k->instance.index].inputs > 0) {
        pthread_mutex_lock(&run->scan->quiet);
        sample_unref(k->current);
        k->current = NULL;
        pthread_mutex_unlock(&run->scan->quiet);
        st = k->stream.next(&k->stream, &s, e);
    }
    return st == HF_END ? HF_OK : st;
}

void scan_job_done(struct run *run, int job) {
    run->scan->held[job] = run->hold ? hold_counts(run->hold).bytes : 0;
}

enum hf_status scan_finish(struct run *run, struct hf_error *e) {
    struct memory *m = run->scan->m;
    struct hold_counts counts = run->hold ? hold_counts(run->hold) : (struct hold_counts){0};
    for (int i = 0; i < m->stages; i++)
        m->stage[i].known = true; /* nothing has come to those that were not measured */
    for (int j = 0; j < m->jobs && run->plan->jobs_at_once > 1; j++)
        run->scan->held[j] = counts.put < run->plan->hold ? counts.put : run->plan->hold;
    enum hf_status st = memory_ask(run, m, e);
    run->workers = m->workers;
    return st == HF_OK ? memory_bound(run, m, run->scan->held, counts.refused == 0, e) : st;
}

/* ---- asking ---- */

static enum hf_status scan_plan(struct hf_engine *engine, struct hf_plan *plan, struct memory *m,
                                struct hf_error *e) {
    struct hf_run_options options = {.out_dir = ".", .workers = 1, .seed = -1};
    struct scan scan = {.m = m};
    scan.held = calloc((size_t)plan->jobs + 1, sizeof *scan.held);
    if (!scan.held)
        return hf_fail(e, HF_NO_MEMORY, "no memory to scan");
    pthread_mutex_init(&scan.quiet, NULL);
    m->scanned = true;
    enum hf_status st = run_plan(engine, plan, &options, &scan, e);
    pthread_mutex_destroy(&scan.quiet);
    free(scan.held);
    return st;
}

/* As much of a run as it takes to ask, without devices. */
static enum hf_status ask_plan(struct hf_engine *engine, struct hf_plan *plan, struct memory *m,
                               struct hf_error *e) {
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return hf_fail(e, HF_NO_MEMORY, "no memory to ask how much a run takes");
    *run = (struct run){.engine = engine,
                        .plan = plan,
                        .services = services_of(engine->host),
                        .workers = m->workers,
                        .seed = plan->seed,
                        .out_dir = "."};
    run->model = calloc((size_t)plan->stages + 1, sizeof *run->model);
    enum hf_status st =
        run->model ? hold_new(plan, &run->hold, e) : hf_fail(e, HF_NO_MEMORY, "no memory to ask");
    if (st == HF_OK)
        st = memory_ask(run, m, e);
    if (st == HF_OK)
        st = memory_bound(run, m, NULL, false, e);
    for (int i = 0; run->model && i < plan->stages; i++)
        if (run->model[i])
            hf_model_unref(run->model[i]);
    hold_free(run->hold);
    free(run->model);
    free(run);
    return st;
}

enum hf_status hf_plan_measure(struct hf_plan *plan, int32_t workers, int32_t scan,
                               struct hf_error *e) {
    struct hf_error mine;
    struct memory *m = NULL;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    e = e ? e : &mine;
    enum hf_status st = memory_new(plan, workers > 0 ? workers : cores > 0 ? (int)cores : 1, &m, e);
    if (st != HF_OK)
        return st;
    m->device = strcmp(plan->runs_on, "cpu") != 0;
    st = scan ? scan_plan(plan->engine, plan, m, e) : ask_plan(plan->engine, plan, m, e);
    if (st != HF_OK) {
        memory_free(m);
        return st;
    }
    memory_free(plan->memory);
    plan->memory = m;
    return HF_OK;
}
