/*
 * reuse_keep.c - keeps the results that were made, where they are certain (see reuse.h).
 */
#include "reuse_of.h"

#include <stdlib.h>

#include "nn/model.h"
#include "trace.h"

void reuse_doubt(struct run *run, int stage) {
    pthread_mutex_lock(&run->notes_lock);
    if (run->reuse)
        run->reuse->doubted[stage] = true;
    pthread_mutex_unlock(&run->notes_lock);
}

bool reuse_is_certain(struct run *run, int stage, int64_t item) {
    const struct reuse *r = run->reuse;
    bool *cone = calloc((size_t)run->plan->stages + 1, sizeof *cone);
    bool ret = cone;
    if (cone)
        keys_cone(run->plan, stage, true, cone);
    for (int i = 0; ret && i <= stage; i++) {
        const struct terms *all = &r->keys->stage[i];
        if (!cone[i])
            continue;
        pthread_mutex_lock(&run->notes_lock);
        ret = !r->doubted[i];
        pthread_mutex_unlock(&run->notes_lock);
        for (int k = 0; ret && k < all->count; k++) {
            struct term *t = &all->term[k];
            if (t->kind == TERM_FILE && (t->item < 0 || t->item == item))
                ret = !inputs_changed(r->inputs, &(const struct terms){.count = 1, .term = t});
        }
    }
    free(cone);
    return ret;
}

/* Why the result cannot be kept, or NULL. What depends on it cannot either. */
static const char *why_not(struct sink *k, const struct terms *terms, bool *cone, char *text,
                           size_t size) {
    struct run *run = k->job->run;
    struct reuse *r = run->reuse;
    int own = k->instance.index;
    const char *changed = inputs_changed(r->inputs, terms), *ret = NULL;
    if (changed) {
        (void)snprintf(text, size, "%s changed while the run went", changed);
        ret = text;
    }
    keys_cone(run->plan, own, true, cone);
    pthread_mutex_lock(&run->notes_lock);
    for (int i = 0; i <= own && !ret; i++)
        if (cone[i] && r->doubted[i]) {
            (void)snprintf(text, size, "what comes of '%s' is not certain to come again",
                           run->plan->stage[i].name);
            ret = text;
        }
    if (!ret && k->made.lost)
        ret = "it wrote outside of the results folder, or no memory was left";
    r->doubted[own] = r->doubted[own] || ret;
    pthread_mutex_unlock(&run->notes_lock);
    return ret;
}

/* The ledger's lines of what the stage took samples from. */
static bool take_ledger(struct sink *k) {
    struct run *run = k->job->run;
    struct ledger *all = &run->results.ledger, *own = &k->made.entry.ledger;
    bool *tree = calloc((size_t)run->plan->stages + 1, sizeof *tree), first;
    if (!tree)
        return false;
    keys_cone(run->plan, k->instance.index, false, tree);
    int wanted = 0;
    pthread_mutex_lock(&run->notes_lock);
    for (int i = 0; i < all->count; i++)
        if (all->line[i].job == k->job->index && tree[all->line[i].stage] &&
            all->line[i].outcome != LEDGER_FAILED) {
            ledger_add(own, &all->line[i], &first);
            wanted++;
        }
    pthread_mutex_unlock(&run->notes_lock);
    free(tree);
    return own->count == wanted;
}

static enum hf_status save(struct sink *k, const struct terms *terms, struct hf_error *e) {
    struct run *run = k->job->run;
    const struct hf_model *model = k->job->model;
    struct made *made = &k->made;
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st = HF_OK;
    made->entry.stage = strdup(k->instance.stage.name);
    made->entry.graph = strdup(run->plan->name);
    made->entry.seconds = (double)(trace_now() - k->job->began) * 1e-9;
    if (!made->entry.stage || !made->entry.graph || !take_ledger(k))
        return hf_fail(e, HF_NO_MEMORY, "no memory is left");
    if (model && made->model == model)
        made->entry.file[made->model_file].model = true;
    else if (model)
        st = hf_model_write(model, "{}", &bytes, &size, e);
    if (st == HF_OK)
        st = entry_save(run->reuse->store, run->reuse->keys->key[k->instance.index], &made->entry,
                        terms, run->out_dir, bytes, size, run->options->fresh, e);
    free(bytes);
    return st;
}

void reuse_keep(struct sink *k) {
    struct run *run = k->job->run;
    struct reuse *r = run->reuse;
    struct terms terms = {0};
    struct hf_error e = {0};
    char text[1024], line[3200];
    if (!r || !r->store || !r->keyed || reuse_is_partial(run, k->instance.index))
        return;
    pthread_mutex_lock(&run->notes_lock);
    k->made.closed = true;
    pthread_mutex_unlock(&run->notes_lock);
    bool *cone = calloc((size_t)run->plan->stages + 1, sizeof *cone);
    enum hf_status st = cone ? keys_terms(run->plan, r->keys, k->instance.index, &terms, &e)
                             : hf_fail(&e, HF_NO_MEMORY, "no memory is left");
    const char *why = st == HF_OK ? why_not(k, &terms, cone, text, sizeof text) : e.text;
    if (!why && save(k, &terms, &e) != HF_OK)
        why = e.text;
    free(cone);
    terms_clear(&terms);
    if (!why)
        return;
    (void)snprintf(line, sizeof line, "%s: its result is not kept: %s", k->instance.stage.name,
                   why);
    run_note(
        run,
        &(struct hf_run_event){
            .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = k->job->plan->name, .text = line},
        NULL);
}
