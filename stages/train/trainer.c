/*
 * trainer.c - the training loop: volumes to slices, slices to batches, batches to steps.
 *
 * Two batches are in flight: while the device runs one step, the next batch is put together. The
 * loss of a step is read when the one after it has been handed over, so the host never waits for
 * a step that it has just begun. What a volume is asked for goes on a queue of its own, and so does
 * not wait for steps either.
 */
#include "train.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "curve.h"
#include "ops.h"
#include "pace.h"
#include "slices.h"

enum {
    POSITIVE,
    OTHER,
    POOLS
};

enum {
    TRAIN_FIELDS = HF_OPTION_ITEMS + 2 /* inputs, target, weight */
};

/* A batch that the device may still be reading. */
struct flight {
    struct hf_tensor *input, *target, *weight, *loss;
    int64_t step; /* 0: nothing in flight */
    double rate;
};

struct trainer {
    struct hf_stage *s;
    const struct hf_host *host;
    const struct train_options *o;
    struct hf_error *err;

    /* known from the first sample on */
    struct hf_net *net;
    struct hf_executable *x;
    struct hf_queue *side; /* for what the host asks about volumes */
    int64_t param_count;
    int32_t inputs, targets; /* channels */
    int64_t height, width;

    struct pool pool[POOLS];
    struct hf_tensor **validation;
    int64_t validation_count;
    int64_t arrived; /* slices since the last step, where pools are drawn from again and again */
    int64_t steps, most_steps;
    int64_t planned; /* steps in all, for schedule and progress; 0: not known in the first epoch */

    struct flight flight;
    struct curve curve;
    struct pace pace;
    float *best;
    double best_loss;
    int64_t best_step;
};

/* Channels of a slice: inputs, target, weight. */
static int32_t slice_channels(const struct trainer *t) {
    return t->inputs + t->targets + (t->o->weight ? 1 : 0);
}

/* ---- set-up, when the first sample tells the sizes ---- */

static int32_t field_channels(const struct hf_sample *sample, const char *name) {
    const struct hf_tensor *f = hf_sample_get(sample, name);
    return f ? (int32_t)f->shape[0] : 0;
}

static const char *const loss_names[HF_LOSS_KINDS] = {"l1",   "bce",   "ce",
                                                      "dice", "focal", "tversky"};

static struct hf_exec_spec make_spec(const struct trainer *t) {
    const struct train_options *o = t->o;
    struct hf_exec_spec spec = {
        .mode = HF_EXEC_TRAIN,
        .precision = (enum hf_precision)o->precision,
        .shape = {o->batch, t->inputs, 1, t->height, t->width},
        .optimizer = {.kind = (enum hf_optimizer_kind)o->optimizer,
                      .beta1 = (float)o->beta1,
                      .beta2 = (float)o->beta2,
                      .epsilon = 1e-8f,
                      .momentum = (float)o->momentum,
                      .nesterov = o->nesterov,
                      .weight_decay = (float)o->weight_decay,
                      .clip = (float)o->clip},
    };
    for (int32_t i = 0; i < o->loss.count && i < HF_MAX_LOSS_TERMS; i++)
        for (int k = 0; k < HF_LOSS_KINDS; k++)
            if (strcmp(o->loss.name[i], loss_names[k]) == 0)
                spec.loss[spec.loss_terms++] =
                    (struct hf_loss_term){.kind = (enum hf_loss_kind)k,
                                          .factor = (float)o->loss.value[i],
                                          .pos_weight = (float)o->pos_weight};
    return spec;
}

static enum hf_status compile(struct trainer *t) {
    const struct hf_network_choice *n = &t->o->network;
    enum hf_status st =
        n->network->build(t->host, n->options, t->inputs, t->targets, &t->net, t->err);
    if (st != HF_OK)
        return hf_fail_in(t->err, "network '%s'", n->network->name);
    struct hf_param *params = NULL;
    int32_t count = 0;
    st = t->host->net_params(t->net, &params, &count, &t->param_count, t->err);
    t->host->free_(params);
    if (st != HF_OK)
        return st;
    t->best = malloc((size_t)t->param_count * sizeof *t->best);
    if (!t->best)
        return hf_fail(t->err, HF_NO_MEMORY, "no memory for %lld parameters",
                       (long long)t->param_count);
    struct hf_exec_spec spec = make_spec(t);
    st = t->host->net_init(t->net, hf_rng_init(t->s->seed, t->s->name, "parameters", 0), t->best,
                           t->err);
    if (st == HF_OK)
        st = hf_compile(t->s, t->net, &spec, &t->x, t->err);
    if (st == HF_OK)
        st = t->x->methods->set_params(t->x, t->best, t->err);
    return st;
}

static enum hf_status begin(struct trainer *t, const struct hf_sample *first) {
    const struct hf_tensor *image = hf_sample_get(first, t->o->inputs.name[0]);
    t->height = image->shape[2];
    t->width = image->shape[3];
    for (int32_t i = 0; i < t->o->inputs.count; i++)
        t->inputs += field_channels(first, t->o->inputs.name[i]);
    t->targets = train_output_channels(t->o, field_channels(first, t->o->target));
    return compile(t);
}

/* A field that the ops can take; `name` NULL: none is asked for. */
static enum hf_status check_field(const struct trainer *t, const struct hf_sample *sample,
                                  const char *name) {
    const struct hf_tensor *f = name ? hf_sample_get(sample, name) : NULL;
    if (!name || (f && (f->dtype == HF_F32 || f->dtype == HF_U8)))
        return HF_OK;
    if (!f)
        return hf_fail(t->err, HF_INVALID, "case '%s': the field '%s' is missing", sample->case_id,
                       name);
    return hf_fail(t->err, HF_INVALID, "case '%s': the field '%s' is %s; expected f32 or u8",
                   sample->case_id, name, hf_dtype_name(f->dtype));
}

static enum hf_status check_fields(const struct trainer *t, const struct hf_sample *sample) {
    enum hf_status st = check_field(t, sample, t->o->target);
    for (int32_t i = 0; st == HF_OK && i < t->o->inputs.count; i++)
        st = check_field(t, sample, t->o->inputs.name[i]);
    return st == HF_OK ? check_field(t, sample, t->o->weight) : st;
}

/* What the first sample settled holds for all: slices are copied into places of that size. */
static enum hf_status check_sizes(const struct trainer *t, const struct hf_sample *sample) {
    const struct train_options *o = t->o;
    const struct hf_tensor *image = hf_sample_get(sample, o->inputs.name[0]);
    const struct hf_tensor *slices = hf_sample_get(sample, "slices");
    int32_t inputs = 0;
    for (int32_t i = 0; i < o->inputs.count; i++)
        inputs += field_channels(sample, o->inputs.name[i]);
    if (inputs != t->inputs ||
        train_output_channels(o, field_channels(sample, o->target)) != t->targets ||
        (o->weight && field_channels(sample, o->weight) != 1))
        return hf_fail(t->err, HF_INVALID,
                       "case '%s': its fields have other channels than the first case's, or its "
                       "weight more than one",
                       sample->case_id);
    if (slices && hf_tensor_count(slices) != image->shape[1])
        return hf_fail(t->err, HF_INVALID, "case '%s': 'slices' has %lld entries for %lld slices",
                       sample->case_id, (long long)hf_tensor_count(slices),
                       (long long)image->shape[1]);
    if (image->shape[2] == t->height && image->shape[3] == t->width)
        return HF_OK;
    return hf_fail(t->err, HF_INVALID,
                   "case '%s': its slices are %lld x %lld, the first case's %lld x %lld; a network "
                   "is trained on one size: set `size` in `prepare`",
                   sample->case_id, (long long)image->shape[2], (long long)image->shape[3],
                   (long long)t->height, (long long)t->width);
}

/* ---- volumes to slices ---- */

/* The fields that a slice is made of, in the order of its channels; returns how many. */
static int32_t list_fields(const struct trainer *t, const struct hf_sample *sample,
                           const struct hf_tensor *ret[TRAIN_FIELDS]) {
    int32_t n = 0;
    for (int32_t i = 0; i < t->o->inputs.count; i++)
        ret[n++] = hf_sample_get(sample, t->o->inputs.name[i]);
    ret[n++] = hf_sample_get(sample, t->o->target);
    if (t->o->weight)
        ret[n++] = hf_sample_get(sample, t->o->weight);
    return n;
}

static enum hf_status take_slice(struct trainer *t, const struct hf_sample *sample, int64_t d,
                                 struct hf_tensor **ret) {
    const struct hf_tensor *field[TRAIN_FIELDS];
    int32_t fields = list_fields(t, sample, field), target = t->o->inputs.count, channel = 0;
    int32_t classes = t->o->classes >= 2 ? t->targets : 0;
    int64_t shape[3] = {slice_channels(t), t->height, t->width};
    struct hf_tensor *slice = NULL;
    enum hf_status st = hf_tensor_new(t->s, HF_F32, 3, shape, &slice, t->err);
    for (int32_t k = 0; st == HF_OK && k < fields;) {
        struct train_take_params p = {d, channel, classes, target - k};
        struct hf_op_call call = {
            .out = {slice}, .outputs = 1, .params = &p, .params_size = sizeof p};
        for (; k < fields && call.inputs < HF_OP_MAX_TENSORS; k++) {
            call.in[call.inputs++] = field[k];
            channel += k == target && classes ? classes : (int32_t)field[k]->shape[0];
        }
        st = hf_launch(t->s, "train.take", &call, t->err);
    }
    if (st == HF_OK)
        *ret = slice;
    else
        t->host->tensor_unref(slice);
    return st;
}

/* Voxels of the target above one half in each slice, on the host; NULL where nobody asks. */
static enum hf_status read_profile(struct trainer *t, const struct hf_sample *sample,
                                   struct hf_tensor **ret) {
    *ret = NULL;
    if (t->o->positive <= 0)
        return HF_OK;
    struct hf_device *d = t->s->device;
    const struct hf_tensor *target = hf_sample_get(sample, t->o->target);
    const struct hf_op *op = t->host->op_find(t->host, d, "train.profile");
    struct hf_tensor *sums = NULL;
    enum hf_status st = t->side ? HF_OK : d->methods->queue_new(d, &t->side, t->err);
    if (st == HF_OK && !op)
        st = hf_fail(t->err, HF_NOT_FOUND, "the device has no op 'train.profile'");
    if (st == HF_OK)
        st = t->host->tensor_new(t->host, d, t->side, HF_F32, 1, &target->shape[1], &sums, t->err);
    struct hf_op_call call = {.in = {target}, .out = {sums}, .inputs = 1, .outputs = 1};
    if (st == HF_OK)
        st = t->host->launch(t->host, d, t->side, op, &call, t->err);
    if (st == HF_OK)
        st = hf_tensor_read(t->s, sums, ret, t->err);
    t->host->tensor_unref(sums);
    return st;
}

static bool is_validation(const struct trainer *t, const char *patient) {
    struct hf_rng r = hf_rng_init(t->s->seed, "validation", patient, 0);
    return (double)hf_rng_uniform(&r) < t->o->validate;
}

static enum hf_status train_while_full(struct trainer *t);

/* Takes the slices of a volume that `wanted` (NULL: all) names. */
static enum hf_status take_slices(struct trainer *t, const struct hf_sample *sample,
                                  const struct hf_tensor *wanted, const struct hf_tensor *profile) {
    bool validation = is_validation(t, sample->patient);
    int64_t depth = hf_sample_get(sample, t->o->target)->shape[1];
    enum hf_status st = HF_OK;
    for (int64_t d = 0; st == HF_OK && d < depth && t->steps < t->most_steps; d++) {
        if (wanted && !HF_DATA(uint8_t, wanted)[d])
            continue;
        if (validation && t->validation_count == t->o->validation_slices)
            break;
        struct hf_tensor *slice = NULL;
        st = take_slice(t, sample, d, &slice);
        if (st != HF_OK)
            break;
        if (validation) {
            t->validation[t->validation_count++] = slice;
            continue;
        }
        bool positive = profile && HF_DATA(float, profile)[d] > 0;
        pool_add(&t->pool[positive ? POSITIVE : OTHER], slice);
        t->arrived++;
        st = train_while_full(t);
    }
    return st;
}

static enum hf_status take_volume(struct trainer *t, const struct hf_sample *sample) {
    if (is_validation(t, sample->patient) && t->s->epoch > 0)
        return HF_OK; /* fixed in the first epoch */
    struct hf_tensor *slices = hf_sample_get(sample, "slices"), *wanted = NULL, *profile = NULL;
    enum hf_status st = slices ? hf_tensor_read(t->s, slices, &wanted, t->err) : HF_OK;
    if (st == HF_OK)
        st = read_profile(t, sample, &profile);
    if (st == HF_OK)
        st = take_slices(t, sample, wanted, profile);
    t->host->tensor_unref(wanted);
    t->host->tensor_unref(profile);
    return st;
}

/* ---- slices to batches ---- */

/* The device reads a batch until its loss is there, also where an error or a cancel comes first. */
static void flight_clear(const struct hf_host *host, struct flight *f) {
    struct hf_tensor *all[] = {f->input, f->target, f->weight, f->loss};
    if (f->loss)
        (void)host->tensor_wait(f->loss, NULL);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        host->tensor_unref(all[i]);
    *f = (struct flight){0};
}

static enum hf_status put_part(struct trainer *t, struct hf_tensor *const *slices, int32_t first,
                               int32_t channels, struct hf_tensor **ret) {
    int64_t shape[5] = {t->o->batch, channels, 1, t->height, t->width};
    enum hf_status st = hf_tensor_new(t->s, HF_F32, 5, shape, ret, t->err);
    for (int64_t n = 0; st == HF_OK && n < t->o->batch;) {
        struct train_put_params p = {n, first};
        struct hf_op_call call = {
            .out = {*ret}, .outputs = 1, .params = &p, .params_size = sizeof p};
        while (n < t->o->batch && call.inputs < HF_OP_MAX_TENSORS)
            call.in[call.inputs++] = slices[n++];
        st = hf_launch(t->s, "train.put", &call, t->err);
    }
    return st;
}

static enum hf_status put_batch(struct trainer *t, struct hf_tensor *const *slices,
                                struct flight *ret) {
    int64_t losses = 1 + t->o->loss.count;
    enum hf_status st = put_part(t, slices, 0, t->inputs, &ret->input);
    if (st == HF_OK)
        st = put_part(t, slices, t->inputs, t->targets, &ret->target);
    if (st == HF_OK && t->o->weight)
        st = put_part(t, slices, t->inputs + t->targets, 1, &ret->weight);
    if (st == HF_OK)
        st = hf_tensor_new(t->s, HF_F32, 1, &losses, &ret->loss, t->err);
    return st;
}

static enum hf_status read_loss(struct trainer *t, struct hf_tensor *loss, double *ret) {
    struct hf_tensor *host = NULL;
    enum hf_status st = hf_tensor_read(t->s, loss, &host, t->err);
    if (st == HF_OK) {
        *ret = (double)HF_DATA(float, host)[0];
        t->host->tensor_unref(host);
    }
    return st;
}

/* ---- batches to steps ---- */

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

/* Waits for the step in flight and takes down its loss. */
static enum hf_status land(struct trainer *t) {
    struct flight *f = &t->flight;
    if (f->step == 0)
        return HF_OK;
    double loss = 0;
    enum hf_status st = read_loss(t, f->loss, &loss);
    pace_step(&t->pace);
    if (st == HF_OK && !isfinite(loss))
        st = hf_fail(t->err, HF_INVALID,
                     "the loss is no longer finite at step %lld; a lower `rate` or a `clip` helps",
                     (long long)f->step);
    if (st == HF_OK)
        st = curve_add(&t->curve, (struct curve_point){f->step, loss, f->rate, NAN}, t->err);
    if (st == HF_OK)
        t->host->progress(t->s, (double)f->step, (double)t->planned, loss);
    flight_clear(t->host, f);
    return st;
}

static enum hf_status step(struct trainer *t, struct hf_tensor *const *slices) {
    struct flight next = {.rate = rate_at(t->o, t->steps, t->planned)};
    enum hf_status st = put_batch(t, slices, &next);
    if (st == HF_OK)
        st = t->x->methods->step(t->x, next.input, next.target, next.weight, (float)next.rate,
                                 next.loss, t->err);
    if (st == HF_OK) {
        next.step = ++t->steps;
        st = land(t);
    }
    if (st != HF_OK) {
        flight_clear(t->host, &next);
        return st;
    }
    t->flight = next;
    return HF_OK;
}

/* How many of a batch come from the positive slices. */
static int64_t positive_share(const struct trainer *t) {
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
        return t->arrived >= t->o->batch && (ending || held >= t->o->shuffle / 4);
    return ending || held >= t->pool[OTHER].capacity;
}

static enum hf_status train_steps(struct trainer *t, bool ending) {
    enum hf_status st = HF_OK;
    while (st == HF_OK && can_step(t, ending)) {
        t->arrived -= t->o->batch;
        st = train_batch(t);
    }
    return st;
}

static enum hf_status train_while_full(struct trainer *t) {
    return train_steps(t, false);
}

/* ---- validation ---- */

/* Adds the loss of a batch that is in flight, if there is one. */
static enum hf_status validation_land(struct trainer *t, struct flight *f, double *sum) {
    double loss = 0;
    enum hf_status st = f->loss ? read_loss(t, f->loss, &loss) : HF_OK;
    *sum += loss;
    flight_clear(t->host, f);
    return st;
}

/* The batch is handed over before the one ahead of it is waited for. */
static enum hf_status validation_batch(struct trainer *t, int64_t from, struct flight *ahead,
                                       double *sum) {
    struct flight f = {0};
    enum hf_status st = put_batch(t, t->validation + from, &f);
    if (st == HF_OK)
        st = t->x->methods->evaluate(t->x, f.input, f.target, f.weight, f.loss, t->err);
    if (st == HF_OK)
        st = land(t);
    if (st == HF_OK)
        st = validation_land(t, ahead, sum);
    if (st == HF_OK)
        *ahead = f;
    else
        flight_clear(t->host, &f);
    return st;
}

/* Runs over whole batches only, so that each loss has the same weight. */
static enum hf_status validate(struct trainer *t) {
    int64_t batches = t->validation_count / t->o->batch;
    struct flight ahead = {0};
    double sum = 0;
    enum hf_status st = HF_OK;
    for (int64_t i = 0; st == HF_OK && i < batches; i++)
        st = validation_batch(t, i * t->o->batch, &ahead, &sum);
    if (st == HF_OK)
        st = validation_land(t, &ahead, &sum);
    flight_clear(t->host, &ahead);
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

/* ---- epochs ---- */

static enum hf_status train_epoch(struct trainer *t, struct hf_stream *in) {
    enum hf_status st = HF_OK;
    while (st == HF_OK && t->steps < t->most_steps) {
        const struct hf_sample *sample = NULL;
        st = t->host->next(in, &sample, t->err);
        if (st == HF_END)
            break;
        if (st == HF_OK)
            st = check_fields(t, sample);
        if (st == HF_OK && !t->x)
            st = begin(t, sample);
        if (st == HF_OK)
            st = check_sizes(t, sample);
        if (st == HF_OK)
            pace_sample(&t->pace);
        if (st == HF_OK)
            st = take_volume(t, sample);
    }
    if (st == HF_END)
        st = train_steps(t, true);
    return st == HF_OK ? validate(t) : st;
}

/* A share of few patients may be none of them: then nothing is validated, and nobody would know. */
static void warn_unvalidated(const struct trainer *t) {
    char line[256];
    if (t->o->validate <= 0 || t->validation_count >= t->o->batch)
        return;
    (void)snprintf(line, sizeof line,
                   "only %lld slices are in the validation share, less than a batch: nothing is "
                   "validated and the last parameters are kept; a larger `validate` helps",
                   (long long)t->validation_count);
    t->host->log(t->s, HF_LOG_WARNING, line);
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
                           "epoch %lld brought less than one batch of %lld slices to train on; "
                           "give more cases or a smaller `batch`",
                           (long long)epoch, (long long)t->o->batch);
        if (st == HF_OK && epoch == 0)
            warn_unvalidated(t);
        if (t->planned == 0)
            t->planned = t->steps * epochs;
        if (t->steps >= t->most_steps)
            break;
    }
    return st;
}

/* ---- results ---- */

static enum hf_status write_text(struct trainer *t, const char *folder, const char *name,
                                 const char *text) {
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return hf_fail(t->err, HF_INVALID, "%s: the path is too long", folder);
    return t->host->write_file(path, text, strlen(text), t->err);
}

static enum hf_status write_curve(struct trainer *t, const char *folder) {
    char *csv = curve_csv(&t->curve), *svg = curve_svg(&t->curve);
    enum hf_status st = csv && svg ? HF_OK : hf_fail(t->err, HF_NO_MEMORY, "no memory for a curve");
    char title[128];
    (void)snprintf(title, sizeof title, "Training of %s", t->s->name);
    if (st == HF_OK)
        st = write_text(t, folder, "loss.csv", csv);
    if (st == HF_OK)
        st = t->host->report(t->s, title, svg, t->err);
    free(csv);
    free(svg);
    return st;
}

/* A text as it stands between the quotes of JSON; what does not fit is left out. */
static void escape(const char *text, char *ret, size_t size) {
    size_t used = 0;
    for (; *text && used + 7 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20)
            used += (size_t)snprintf(ret + used, size - used, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            used += (size_t)snprintf(ret + used, size - used, "\\%c", c);
        else
            ret[used++] = (char)c;
    }
    ret[used] = 0;
}

static void describe(const struct trainer *t, char *ret, size_t size) {
    char device[512];
    escape(t->s->device->methods->describe(t->s->device), device, sizeof device);
    (void)snprintf(ret, size,
                   "{\"steps\":%lld,\"kept_step\":%lld,\"seed\":%llu,\"batch\":%lld,"
                   "\"size\":[%lld,%lld],\"precision\":\"%s\",\"device\":\"%s\"}",
                   (long long)t->steps, (long long)t->best_step, (unsigned long long)t->s->seed,
                   (long long)t->o->batch, (long long)t->height, (long long)t->width,
                   hf_precision_name((enum hf_precision)t->o->precision), device);
}

static enum hf_status make_model(struct trainer *t, struct hf_model **ret) {
    struct hf_model_info info = train_describe(t->o, t->s->name, t->inputs, t->targets);
    info.dims = t->net->dims;
    memcpy(info.patch, (int64_t[]){1, t->height, t->width}, sizeof info.patch);
    return t->host->model_new(&info, t->net, t->best, ret, t->err);
}

static enum hf_status finish(struct trainer *t) {
    enum hf_status st = land(t);
    if (st == HF_OK && t->best_step == 0) { /* never validated */
        t->best_step = t->steps;
        st = t->x->methods->get_params(t->x, t->best, t->err);
    }
    struct hf_model *model = NULL;
    char folder[4096], path[4200], notes[1024];
    if (st == HF_OK)
        st = make_model(t, &model);
    if (st == HF_OK)
        st = t->host->folder(t->s, t->s->name, folder, sizeof folder, t->err);
    if (st == HF_OK)
        st = write_curve(t, folder);
    if (st == HF_OK) {
        describe(t, notes, sizeof notes);
        (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
        st = t->host->model_save(model, notes, path, t->err);
    }
    if (st == HF_OK)
        st = t->host->publish(t->s, model, t->err);
    if (st == HF_OK) {
        pace_describe(&t->pace, notes, sizeof notes);
        t->host->log(t->s, HF_LOG_INFO, notes);
    }
    t->host->model_unref(model);
    return st;
}

static void clear(struct trainer *t) {
    flight_clear(t->host, &t->flight);
    for (int i = 0; i < POOLS; i++)
        pool_clear(&t->pool[i]);
    for (int64_t i = 0; i < t->validation_count; i++)
        t->host->tensor_unref(t->validation[i]);
    free(t->validation);
    if (t->x)
        t->x->methods->destroy(t->x);
    if (t->side)
        t->s->device->methods->queue_free(t->s->device, t->side);
    if (t->net)
        t->host->net_free(t->net);
    free(t->best);
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
        st = pool_init(&t.pool[i], s->host, o->shuffle > o->batch ? o->shuffle : o->batch,
                       hf_rng_init(s->seed, s->name, i == POSITIVE ? "positive" : "other", 0), e);
    if (st == HF_OK)
        st = train_epochs(&t, in);
    if (st == HF_OK)
        st = finish(&t);
    clear(&t);
    return st;
}
