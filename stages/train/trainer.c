/*
 * trainer.c - the training loop over epochs.
 *
 * Two batches are in flight: while the device runs one step, the next batch is put together. The
 * loss of a step is read when the one after it has been handed over, so the host never waits for
 * a step that it has just begun. What a volume is asked for goes on a queue of its own, and so does
 * not wait for steps either.
 */
#include <math.h>
#include <stdlib.h>

#include "trainer.h"

static enum hf_status train_epoch(struct trainer *t, struct hf_stream *in) {
    enum hf_status st = HF_OK;
    while (st == HF_OK && t->steps < t->most_steps) {
        const struct hf_sample *sample = NULL;
        st = t->host->next(in, &sample, t->err);
        if (st == HF_END)
            break;
        if (st == HF_OK)
            st = train_check_fields(t, sample);
        if (st == HF_OK && !t->x)
            st = train_begin(t, sample);
        if (st == HF_OK)
            st = train_check_sizes(t, sample);
        if (st == HF_OK)
            pace_sample(&t->pace);
        if (st == HF_OK)
            st = train_take_volume(t, sample);
    }
    if (st == HF_END)
        st = train_steps(t, true);
    return st == HF_OK ? train_validate(t) : st;
}

/* A share of few patients may be none of them: then nothing is validated, and nobody would know. */
static void warn_unvalidated(const struct trainer *t) {
    char line[256];
    if (t->o->validate <= 0 || t->validation_count >= t->o->batch)
        return;
    (void)snprintf(line, sizeof line,
                   "only %lld %s are in the validation share, less than a batch: nothing is "
                   "validated and the last parameters are kept; a larger `validate` helps",
                   (long long)t->validation_count, train_on_patches(t) ? "patches" : "slices");
    t->host->log(t->s, HF_LOG_WARNING, line);
}

/* Whether validation has not been better for as long as `patience` allows. */
static bool gave_up(const struct trainer *t) {
    char line[160];
    if (t->o->patience == 0 || t->stale < t->o->patience)
        return false;
    (void)snprintf(line, sizeof line, "ended at step %lld: no better validation since step %lld",
                   (long long)t->steps, (long long)t->best_seen);
    t->host->log(t->s, HF_LOG_INFO, line);
    return true;
}

static enum hf_status train_epochs(struct trainer *t, struct hf_stream *in) {
    int64_t epochs = t->o->steps > 0 ? INT64_MAX : t->o->epochs;
    enum hf_status st = HF_OK;
    for (int64_t epoch = 0; st == HF_OK && epoch < epochs; epoch++) {
        int64_t before = t->steps;
        t->s->epoch = (uint64_t)epoch;
        if (epoch > 0)
            st = t->host->rewind(in, (uint64_t)epoch, t->err);
        if (st == HF_OK)
            st = train_epoch(t, in);
        if (st == HF_OK && t->steps == before)
            return hf_fail(t->err, HF_INVALID,
                           "epoch %lld brought less than one batch of %lld %s to train on; "
                           "give more cases or a smaller `batch`",
                           (long long)epoch, (long long)t->o->batch,
                           train_on_patches(t) ? "patches" : "slices");
        if (st == HF_OK && epoch == 0)
            warn_unvalidated(t);
        if (t->planned == 0)
            t->planned = t->steps * epochs;
        if (t->steps >= t->most_steps || st != HF_OK || gave_up(t))
            break;
    }
    return st;
}

static void clear(struct trainer *t) {
    train_flight_clear(t->host, &t->flight);
    for (int i = 0; i < POOLS; i++)
        pool_clear(&t->pool[i]);
    for (int64_t i = 0; i < t->validation_count; i++)
        t->host->tensor_unref(t->validation[i]);
    free(t->validation);
    if (t->averaged)
        t->averaged->methods->destroy(t->averaged);
    if (t->x)
        t->x->methods->destroy(t->x);
    if (t->side)
        t->s->device->methods->queue_free(t->s->device, t->side);
    if (t->net)
        t->host->net_free(t->net);
    free(t->best);
    free(t->latest);
    curve_clear(&t->curve);
}

enum hf_status train_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct train_options *o = s->options;
    struct trainer t = {.s = s, .host = s->host, .o = o, .err = e, .best_loss = INFINITY};
    t.most_steps = o->steps > 0 ? o->steps : INT64_MAX;
    t.planned = o->steps;
    t.validation = calloc((size_t)o->validation_slices, sizeof *t.validation);
    enum hf_status st = t.validation ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory to train");
    for (int i = 0; st == HF_OK && i < POOLS; i++)
        st = pool_init(&t.pool[i], s->host, train_pool_size(o),
                       hf_rng_init(s->seed, s->name, i == POSITIVE ? "positive" : "other", 0), e);
    if (st == HF_OK)
        st = train_epochs(&t, in);
    if (st == HF_OK)
        st = train_finish(&t);
    clear(&t);
    return st;
}
