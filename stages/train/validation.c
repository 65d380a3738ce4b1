/*
 * validation.c - the loss over slices that are never trained on.
 */
#include <stdlib.h>

#include "trainer.h"

enum hf_status train_get_params(struct trainer *t, float *ret) {
    if (t->o->average > 0)
        return t->x->methods->get_average(t->x, ret, t->err);
    return t->x->methods->get_params(t->x, ret, t->err);
}

/* Where the loss is measured. The average has an executable of its own: setting parameters would
 * start the training's average anew. */
static enum hf_status measured(struct trainer *t, struct hf_executable **ret) {
    *ret = t->x;
    if (t->o->average <= 0)
        return HF_OK;
    enum hf_status st = t->averaged ? HF_OK : train_compile(t, &t->averaged);
    if (st == HF_OK && !t->latest)
        t->latest = malloc((size_t)t->param_count * sizeof *t->latest);
    if (st == HF_OK && !t->latest)
        return hf_fail(t->err, HF_NO_MEMORY, "no memory for %lld parameters",
                       (long long)t->param_count);
    if (st == HF_OK)
        st = train_get_params(t, t->latest);
    *ret = t->averaged;
    return st == HF_OK ? t->averaged->methods->set_params(t->averaged, t->latest, t->err) : st;
}

/* Adds the loss of a batch that is in flight, if there is one. */
static enum hf_status validation_land(struct trainer *t, struct flight *f, double *sum) {
    double loss = 0;
    enum hf_status st = f->loss ? train_read_loss(t, f->loss, &loss) : HF_OK;
    *sum += loss;
    train_flight_clear(t->host, f);
    return st;
}

/* The batch is handed over before the one ahead of it is waited for. */
static enum hf_status validation_batch(struct trainer *t, struct hf_executable *x, int64_t from,
                                       struct flight *ahead, double *sum) {
    struct flight f = {0};
    enum hf_status st = train_put_batch(t, t->validation + from, &f);
    if (st == HF_OK)
        st = x->methods->evaluate(x, f.input, f.target, f.weight, f.loss, t->err);
    if (st == HF_OK)
        st = train_land(t);
    if (st == HF_OK)
        st = validation_land(t, ahead, sum);
    if (st == HF_OK)
        *ahead = f;
    else
        train_flight_clear(t->host, &f);
    return st;
}

/* Keeps the parameters of the best validation so far. */
static enum hf_status compare(struct trainer *t, double loss) {
    t->stale++;
    if (!(loss < t->best_loss))
        return HF_OK;
    t->best_loss = loss;
    t->best_seen = t->steps;
    t->stale = 0;
    if (t->o->keep != KEEP_BEST)
        return HF_OK;
    t->best_step = t->steps;
    return train_get_params(t, t->best);
}

enum hf_status train_validate(struct trainer *t) {
    int64_t batches = t->validation_count / t->o->batch;
    struct flight ahead = {0};
    double sum = 0;
    struct hf_executable *x = NULL;
    enum hf_status st = batches > 0 ? measured(t, &x) : HF_OK;
    for (int64_t i = 0; st == HF_OK && i < batches; i++)
        st = validation_batch(t, x, i * t->o->batch, &ahead, &sum);
    if (st == HF_OK)
        st = validation_land(t, &ahead, &sum);
    train_flight_clear(t->host, &ahead);
    if (st != HF_OK || batches == 0 || t->curve.count == 0)
        return st;
    double loss = sum / (double)batches;
    t->curve.point[t->curve.count - 1].validation = loss;
    return compare(t, loss);
}
