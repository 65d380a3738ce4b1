/* share.c - which results the runs of a sweep make, and which of them are being made (see share.h).
 */
#include "sweep/share.h"

#include <stdlib.h>
#include <string.h>

#include "store/store.h"

/* A result of an arm. Its key is that of the plan alone: arms read the same files. */
struct part {
    struct digest key;
    char *job;
};

struct arm_parts {
    int count;
    struct part *part;
};

struct share {
    const struct sweep *sw;
    struct inputs *inputs;
    struct arm_parts *arm;
    bool **making; /* [arms x seeds][parts of the arm]; NULL: the run is not at work */
};

static enum hf_status no_memory(struct hf_error *e) {
    return hf_fail(e, HF_NO_MEMORY, "no memory for the sweep");
}

enum hf_status share_new(const struct sweep *sw, struct share **ret, struct hf_error *e) {
    struct share *s = calloc(1, sizeof *s);
    if (!s)
        return no_memory(e);
    s->sw = sw;
    s->inputs = inputs_new(NULL);
    s->arm = calloc((size_t)sw->arms, sizeof *s->arm);
    s->making = calloc((size_t)(sw->arms * sw->seeds), sizeof *s->making);
    if (!s->inputs || !s->arm || !s->making) {
        share_free(s);
        return no_memory(e);
    }
    *ret = s;
    return HF_OK;
}

void share_free(struct share *s) {
    if (!s)
        return;
    for (int a = 0; s->arm && a < s->sw->arms; a++) {
        for (int i = 0; i < s->arm[a].count; i++)
            free(s->arm[a].part[i].job);
        free(s->arm[a].part);
    }
    for (int r = 0; s->making && r < s->sw->arms * s->sw->seeds; r++)
        free(s->making[r]);
    free(s->making);
    free(s->arm);
    inputs_free(s->inputs);
    free(s);
}

static enum hf_status add_job(struct arm_parts *to, const struct plan_job *job,
                              const struct keys *keys, struct hf_error *e) {
    for (int i = 0; i < job->sinks; i++) {
        char *name = strdup(job->name);
        if (!name)
            return no_memory(e);
        to->part[to->count++] = (struct part){keys->key[job->sink[i]], name};
    }
    return HF_OK;
}

enum hf_status share_add(struct share *s, int arm, struct hf_engine *engine,
                         const struct hf_plan *plan, struct hf_error *e) {
    /* All arms run on one device: what it says of itself tells none of them apart. */
    const struct key_scope scope = {.engine = engine,
                                    .plan = plan,
                                    .cpu = "",
                                    .device = "",
                                    .cpu_name = "cpu",
                                    .on_name = "cpu",
                                    .cpu_ops = HF_KIND_CPU,
                                    .on_ops = HF_KIND_CPU,
                                    .inputs = s->inputs};
    struct keys *keys = NULL;
    struct arm_parts *to = &s->arm[arm];
    enum hf_status st = keys_new(&scope, &keys, e);
    if (st == HF_OK)
        st = keys_finish(plan, keys, e);
    to->part = calloc((size_t)plan->stages + 1, sizeof *to->part);
    if (st == HF_OK && !to->part)
        st = no_memory(e);
    for (int j = 0; st == HF_OK && j < plan->jobs; j++)
        st = add_job(to, &plan->job[j], keys, e);
    keys_free(keys);
    return st;
}

static int index_of(const struct share *s, const struct sweep_run *run) {
    return run->arm * s->sw->seeds + run->seed;
}

/* A run of the same seed that is making the result. */
static bool is_made_now(const struct share *s, struct digest key, int seed) {
    for (int a = 0; a < s->sw->arms; a++) {
        const bool *making = s->making[a * s->sw->seeds + seed];
        for (int i = 0; making && i < s->arm[a].count; i++)
            if (making[i] && digest_same(s->arm[a].part[i].key, key))
                return true;
    }
    return false;
}

bool share_must_wait(const struct share *s, const struct sweep_run *run) {
    const struct arm_parts *parts = &s->arm[run->arm];
    for (int i = 0; i < parts->count; i++)
        if (is_made_now(s, parts->part[i].key, run->seed))
            return true;
    return false;
}

/* Without memory for it nobody waits for this run: work is done twice, and the results are right.
 */
void share_begins(struct share *s, const struct sweep_run *run) {
    const struct arm_parts *parts = &s->arm[run->arm];
    bool *making = s->making[index_of(s, run)] = calloc((size_t)parts->count + 1, sizeof *making);
    for (int i = 0; making && i < parts->count; i++)
        making[i] = true;
}

void share_made(struct share *s, const struct sweep_run *run, const char *job) {
    const struct arm_parts *parts = &s->arm[run->arm];
    bool *making = s->making[index_of(s, run)];
    for (int i = 0; making && i < parts->count; i++)
        if (strcmp(parts->part[i].job, job) == 0)
            making[i] = false;
}

void share_ends(struct share *s, const struct sweep_run *run) {
    free(s->making[index_of(s, run)]);
    s->making[index_of(s, run)] = NULL;
}
