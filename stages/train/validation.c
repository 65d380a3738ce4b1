/*
 * validation.c - the loss over slices that are never trained on.
 */
#include "trainer.h"

/* Adds the loss of a batch that is in flight, if there is one. */
static enum hf_status validation_land(struct trainer *t, struct flight *f, double *sum) {
    double loss = 0;
    enum hf_status st = f->loss ? train_read_loss(t, f->loss, &loss) : HF_OK;
    *sum += loss;
    train_flight_clear(t->host, f);
    return st;
}

/* The batch is handed over before the one ahead of it is waited for. */
static enum hf_status validation_batch(struct trainer *t, int64_t from, struct flight *ahead,
                                       double *sum) {
    struct flight f = {0};
    enum hf_status st = train_put_batch(t, t->validation + from, &f);
    if (st == HF_OK)
        st = t->x->methods->evaluate(t->x, f.input, f.target, f.weight, f.loss, t->err);
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

enum hf_status train_validate(struct trainer *t) {
    int64_t batches = t->validation_count / t->o->batch;
    struct flight ahead = {0};
    double sum = 0;
    enum hf_status st = HF_OK;
    for (int64_t i = 0; st == HF_OK && i < batches; i++)
        st = validation_batch(t, i * t->o->batch, &ahead, &sum);
    if (st == HF_OK)
        st = validation_land(t, &ahead, &sum);
    train_flight_clear(t->host, &ahead);
    if (st != HF_OK || batches == 0 || t->curve.count == 0)
        return st;
    double loss = sum / (double)batches;
    t->curve.point[t->curve.count - 1].validation = loss;
    if (t->o->keep == KEEP_BEST && loss < t->best_loss) {
        t->best_loss = loss;
        t->best_step = t->steps;
        st = t->x->methods->get_params(t->x, t->best, t->err);
    }
    return st;
}
