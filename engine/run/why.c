/*
 * why.c - what a run would do with the store as it is: which results are there, and what has
 * changed since the last run where they are not.
 */
#include "exec.h"

#include <stdlib.h>

static int stage_named(const struct hf_plan *plan, const char *name) {
    int i = 0;
    while (i < plan->stages && strcmp(plan->stage[i].name, name) != 0)
        i++;
    return i < plan->stages ? i : -1;
}

static bool is_end(const struct plan_stage *ps) {
    return ps->cls->kind == HF_SINK || ps->cls->kind == HF_MODEL;
}

/* ---- which are there ---- */

static enum hf_status mark(struct run *run, void *arg, struct hf_error *e) {
    struct hf_plan *plan = arg;
    (void)e;
    for (int i = 0; i < plan->stages; i++)
        plan->stored[i] = is_end(&plan->stage[i]) && reuse_has(run->reuse, i);
    return HF_OK;
}

enum hf_status hf_plan_stored(struct hf_plan *plan, const char *store, struct hf_error *e) {
    struct hf_error mine;
    if (plan->no_store || !store_knows(store, plan->name))
        return HF_OK;
    bool *stored = calloc((size_t)plan->stages + 1, sizeof *stored);
    e = e ? e : &mine;
    if (!stored)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    free(plan->stored);
    plan->stored = stored;
    enum hf_status st = run_look(plan, store, mark, plan, e);
    if (st != HF_OK) {
        free(plan->stored);
        plan->stored = NULL;
    }
    return st;
}

/* ---- why ---- */

struct question {
    int stage;
    FILE *out;
    bool *cone;
};

/* Whether `end` takes samples (or `models`: models as well) that `stage` has a part in. */
static bool takes_part(struct question *q, const struct hf_plan *plan, int end, bool models) {
    memset(q->cone, 0, (size_t)plan->stages * sizeof *q->cone);
    keys_cone(plan, end, models, q->cone);
    return q->cone[q->stage];
}

static void list(struct question *q, struct run *run, bool there, const char *title) {
    const char *comma = title;
    for (int i = 0; i < run->plan->stages; i++)
        if (is_end(&run->plan->stage[i]) && takes_part(q, run->plan, i, true) &&
            reuse_has(run->reuse, i) == there) {
            fprintf(q->out, "%s%s", comma, run->plan->stage[i].name);
            comma = ", ";
        }
    if (comma != title)
        fputc('\n', q->out);
}

/* The first difference to the last run in what `stage` depends on. */
static enum hf_status differs(struct run *run, int stage, const struct terms *last, bool *ret,
                              char *text, size_t size, struct hf_error *e) {
    struct terms now;
    enum hf_status st = reuse_terms(run->reuse, stage, &now, e);
    if (st != HF_OK)
        return st;
    *ret = terms_difference(last, &now, text, size);
    terms_clear(&now);
    return HF_OK;
}

static enum hf_status explain(struct question *q, struct run *run, const struct terms *last,
                              char *text, size_t size, struct hf_error *e) {
    const struct hf_plan *plan = run->plan;
    enum hf_status st = HF_OK;
    bool missing = false, found = false;
    char use[256];
    for (int i = 0; i < plan->stages; i++)
        missing = missing || (is_end(&plan->stage[i]) && takes_part(q, plan, i, false) &&
                              !reuse_has(run->reuse, i));
    (void)snprintf(use, sizeof use, "%.200s.use", plan->stage[q->stage].name);
    if (!missing) {
        (void)snprintf(text, size, "nothing: it is in the store");
        return HF_OK;
    }
    if (!terms_find(last, use)) {
        (void)snprintf(text, size, "never run before");
        return HF_OK;
    }
    st = differs(run, q->stage, last, &found, text, size, e);
    for (int i = 0; st == HF_OK && !found && i < plan->stages; i++)
        if (is_end(&plan->stage[i]) && takes_part(q, plan, i, false) && !reuse_has(run->reuse, i))
            st = differs(run, i, last, &found, text, size, e);
    if (st == HF_OK && !found)
        (void)snprintf(text, size,
                       "nothing has changed, but it is not in the store: it was not finished, or "
                       "has been removed");
    return st;
}

static enum hf_status answer(struct run *run, void *arg, struct hf_error *e) {
    struct question *q = arg;
    struct terms last = {0};
    char text[2048] = "";
    (void)reuse_last(run->reuse, &last);
    enum hf_status st = explain(q, run, &last, text, sizeof text, e);
    terms_clear(&last);
    if (st != HF_OK)
        return st;
    fprintf(q->out, "%s: %s\n", run->plan->stage[q->stage].name, text);
    list(q, run, false, "  would run: ");
    list(q, run, true, "  in the store: ");
    return HF_OK;
}

enum hf_status hf_plan_why(struct hf_plan *plan, const char *store, const char *stage,
                           char **ret_text, struct hf_error *e) {
    struct hf_error mine;
    struct question q = {.stage = stage_named(plan, stage)};
    char *text = NULL;
    size_t size = 0;
    e = e ? e : &mine;
    if (q.stage < 0)
        return hf_fail(e, HF_NOT_FOUND, "%s: the graph has no stage '%.60s'", plan->path, stage);
    q.cone = calloc((size_t)plan->stages + 1, sizeof *q.cone);
    q.out = open_memstream(&text, &size);
    enum hf_status st = q.cone && q.out ? run_look(plan, store, answer, &q, e)
                                        : hf_fail(e, HF_NO_MEMORY, "no memory for an answer");
    if (q.out && fclose(q.out) != 0 && st == HF_OK)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for an answer");
    free(q.cone);
    if (st == HF_OK)
        *ret_text = text;
    else
        free(text);
    return st;
}
