/*
 * volumes.c - volumes to slices.
 */
#include "ops.h"
#include "trainer.h"

int32_t train_slice_channels(const struct trainer *t) {
    return t->inputs + t->targets + (t->o->weight ? 1 : 0);
}

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
    int64_t shape[3] = {train_slice_channels(t), t->height, t->width};
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
        st = train_steps(t, false);
    }
    return st;
}

enum hf_status train_take_volume(struct trainer *t, const struct hf_sample *sample) {
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
