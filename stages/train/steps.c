/*
 * steps.c - batches to steps.
 */
#include <math.h>
#include <stdlib.h>

#include "trainer.h"

static double rate_at(const struct train_options *o, int64_t step, int64_t total) {
    double warm = step < o->warmup ? (double)(step + 1) / (double)(o->warmup + 1) : 1;
    double done = total > 1 ? fmin((double)step / (double)(total - 1), 1) : 0, share = 1;
    switch ((enum train_schedule)o->schedule) {
    case SCHEDULE_CONSTANT:
        break;
    case SCHEDULE_COSINE:
        share = o->final_rate + (1 - o->final_rate) * 0.5 * (1 + cos(3.14159265358979 * done));
        break;
    case SCHEDULE_POLY:
        share = o->final_rate + (1 - o->final_rate) * pow(1 - done, o->poly_power);
        break;
    case SCHEDULE_STEP:
        share = o->step_every ? pow(o->step_factor, (double)(step / o->step_every)) : 1;
        break;
    }
    return o->rate * warm * share;
}

enum hf_status train_land(struct trainer *t) {
    struct flight *f = &t->flight;
    if (f->step == 0)
        return HF_OK;
    double loss = 0;
    enum hf_status st = train_read_loss(t, f->loss, &loss);
    pace_step(&t->pace);
    if (st == HF_OK && !isfinite(loss))
        st = hf_fail(t->err, HF_INVALID,
                     "the loss is no longer finite at step %lld; a lower `rate` or a `clip` helps",
                     (long long)f->step);
    if (st == HF_OK)
        st = curve_add(&t->curve, (struct curve_point){f->step, loss, f->rate, NAN}, t->err);
    if (st == HF_OK)
        t->host->progress(t->s, (double)f->step, (double)t->planned, loss);
    train_flight_clear(t->host, f);
    return st;
}

static enum hf_status step(struct trainer *t, struct hf_tensor *const *slices) {
    struct flight next = {.rate = rate_at(t->o, t->steps, t->planned)};
    enum hf_status st = train_put_batch(t, slices, &next);
    if (st == HF_OK)
        st = t->x->methods->step(t->x, next.input, next.target, next.weight, (float)next.rate,
                                 next.loss, t->err);
    if (st == HF_OK) {
        next.step = ++t->steps;
        st = train_land(t);
    }
    if (st != HF_OK) {
        train_flight_clear(t->host, &next);
        return st;
    }
    t->flight = next;
    return HF_OK;
}

/* How many of a batch come from the first pool. Of patches that many are there: see patches.c. */
static int64_t positive_share(const struct trainer *t) {
    if (train_on_patches(t))
        return train_foreground_share(t);
    int64_t n = llround(t->o->positive * (double)t->o->batch);
    int64_t rest = t->o->batch - n;
    if (n > t->pool[POSITIVE].count)
        n = t->pool[POSITIVE].count;
    if (rest > t->pool[OTHER].count)
        n = t->o->batch - t->pool[OTHER].count;
    return n;
}

static enum hf_status train_batch(struct trainer *t) {
    struct hf_tensor **slices = calloc((size_t)t->o->batch, sizeof *slices);
    if (!slices)
        return hf_fail(t->err, HF_NO_MEMORY, "no memory for a batch");
    bool again = t->o->positive > 0;
    int64_t n = positive_share(t);
    pool_draw(&t->pool[POSITIVE], n, again, slices);
    pool_draw(&t->pool[OTHER], t->o->batch - n, again, slices + n);
    enum hf_status st = step(t, slices);
    for (int64_t i = 0; i < t->o->batch; i++)
        t->host->tensor_unref(slices[i]);
    free(slices);
    if (st == HF_OK && t->host->canceled(t->s))
        st = hf_fail(t->err, HF_CANCELED, "canceled");
    return st;
}

/*
 * Without `positive` every slice is trained on once: it leaves the pool when drawn, and a step runs
 * when the pool is full. With it slices stay, the pools hold the latest ones, and a step runs for
 * every batch that arrives.
 */
static bool can_step(const struct trainer *t, bool ending) {
    int64_t held = t->pool[POSITIVE].count + t->pool[OTHER].count;
    if (t->steps >= t->most_steps || held < t->o->batch)
        return false;
    if (t->o->positive > 0)
        return t->arrived >= t->o->batch && (ending || held >= train_pool_size(t->o) / 4);
    return ending || held >= t->pool[OTHER].capacity;
}

enum hf_status train_steps(struct trainer *t, bool ending) {
    enum hf_status st = HF_OK;
    while (st == HF_OK && can_step(t, ending)) {
        t->arrived -= t->o->batch;
        st = train_batch(t);
    }
    return st;
}
