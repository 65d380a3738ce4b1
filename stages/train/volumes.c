/*
 * volumes.c - volumes to slices and patches.
 */
#include "ops.h"
#include "trainer.h"

int32_t train_slice_channels(const struct trainer *t) {
    return t->inputs + t->targets + t->rebuilt + (t->o->weight ? 1 : 0);
}

/* The fields that a slice is made of, in the order of its channels; returns how many. */
static int32_t list_fields(const struct trainer *t, const struct hf_sample *sample,
                           const struct hf_tensor *ret[TRAIN_FIELDS]) {
    int32_t n = 0;
    for (int32_t i = 0; i < t->o->inputs.count; i++)
        ret[n++] = hf_sample_get(sample, t->o->inputs.name[i]);
    ret[n++] = hf_sample_get(sample, t->o->target);
    if (t->o->rebuild)
        ret[n++] = hf_sample_get(sample, t->o->rebuild);
    if (t->o->weight)
        ret[n++] = hf_sample_get(sample, t->o->weight);
    return n;
}

/* The patch that begins at `start`. */
static enum hf_status take_patch(struct trainer *t, const struct hf_sample *sample,
                                 const int64_t start[3], struct hf_tensor **ret) {
    const struct hf_tensor *field[TRAIN_FIELDS];
    int32_t fields = list_fields(t, sample, field), target = t->o->inputs.count, channel = 0;
    int32_t classes = t->o->classes >= 2 ? t->targets : 0,
            weight = target + (t->o->rebuild ? 2 : 1);
    int64_t shape[4] = {train_slice_channels(t), t->size[0], t->size[1], t->size[2]};
    struct hf_tensor *patch = NULL;
    enum hf_status st = hf_tensor_new(t->s, HF_F32, 4, shape, &patch, t->err);
    for (int32_t k = 0; st == HF_OK && k < fields;) {
        struct train_take_params p = {
            {start[0], start[1], start[2]}, channel, classes, target - k, weight - k};
        struct hf_op_call call = {
            .out = {patch}, .outputs = 1, .params = &p, .params_size = sizeof p};
        for (; k < fields && call.inputs < HF_OP_MAX_TENSORS; k++) {
            call.in[call.inputs++] = field[k];
            channel += k == target && classes ? classes : (int32_t)field[k]->shape[0];
        }
        st = hf_launch(t->s, "train.take", &call, t->err);
    }
    if (st == HF_OK)
        *ret = patch;
    else
        t->host->tensor_unref(patch);
    return st;
}

enum hf_status train_ask(struct trainer *t, const char *op, const struct hf_op_call *call,
                         enum hf_dtype dtype, int64_t count, struct hf_tensor **ret) {
    struct hf_device *d = t->s->device;
    const struct hf_op *found = t->host->op_find(t->host, d, op);
    struct hf_op_call mine = *call;
    struct hf_tensor *out = NULL;
    enum hf_status st = t->side ? HF_OK : d->methods->queue_new(d, &t->side, t->err);
    if (st == HF_OK && !found)
        st = hf_fail(t->err, HF_NOT_FOUND, "the device has no op '%s'", op);
    if (st == HF_OK)
        st = t->host->tensor_new(t->host, d, t->side, dtype, 1, &count, &out, t->err);
    mine.out[0] = out;
    mine.outputs = 1;
    if (st == HF_OK)
        st = t->host->launch(t->host, d, t->side, found, &mine, t->err);
    if (st == HF_OK)
        st = hf_tensor_read(t->s, out, ret, t->err);
    t->host->tensor_unref(out);
    return st;
}

enum hf_status train_read_profile(struct trainer *t, const struct hf_sample *sample,
                                  struct hf_tensor **ret) {
    const struct hf_tensor *target = hf_sample_get(sample, t->o->target);
    struct hf_op_call call = {.in = {target}, .inputs = 1};
    return train_ask(t, "train.profile", &call, HF_F32, target->shape[1], ret);
}

static bool is_validation(const struct trainer *t, const char *patient) {
    struct hf_rng r = hf_rng_init(t->s->seed, "validation", patient, 0);
    return (double)hf_rng_uniform(&r) < t->o->validate;
}

/* Keeps a patch for what it is for: to validate with, or in a pool. */
static enum hf_status keep(struct trainer *t, struct hf_tensor *patch, bool validation, int pool) {
    if (validation) {
        t->validation[t->validation_count++] = patch;
        return HF_OK;
    }
    pool_add(&t->pool[pool], patch);
    t->arrived++;
    return train_steps(t, false);
}

static bool enough(const struct trainer *t, bool validation) {
    return t->steps >= t->most_steps ||
           (validation && t->validation_count == t->o->validation_slices);
}

/* Takes the slices of a volume that `wanted` (NULL: all) names. */
static enum hf_status take_slices(struct trainer *t, const struct hf_sample *sample,
                                  const uint8_t *wanted, bool validation) {
    int64_t depth = hf_sample_get(sample, t->o->target)->shape[1];
    struct hf_tensor *profile = NULL;
    enum hf_status st = t->o->positive > 0 ? train_read_profile(t, sample, &profile) : HF_OK;
    for (int64_t d = 0; st == HF_OK && d < depth && !enough(t, validation); d++) {
        if (wanted && !wanted[d])
            continue;
        struct hf_tensor *slice = NULL;
        bool positive = profile && HF_DATA(float, profile)[d] > 0;
        st = take_patch(t, sample, (int64_t[]){d, 0, 0}, &slice);
        if (st == HF_OK)
            st = keep(t, slice, validation, positive ? POSITIVE : OTHER);
    }
    t->host->tensor_unref(profile);
    return st;
}

static enum hf_status take_patches(struct trainer *t, const struct hf_sample *sample,
                                   const uint8_t *wanted, bool validation) {
    int64_t start[TRAIN_MAX_PATCHES][3];
    bool foreground[TRAIN_MAX_PATCHES];
    int64_t count = 0;
    enum hf_status st =
        train_draw_patches(t, sample, wanted, validation, start, foreground, &count);
    for (int64_t i = 0; st == HF_OK && i < count && !enough(t, validation); i++) {
        struct hf_tensor *patch = NULL;
        st = take_patch(t, sample, start[i], &patch);
        if (st == HF_OK)
            st = keep(t, patch, validation, foreground[i] ? FOREGROUND : OTHER);
    }
    return st;
}

enum hf_status train_take_volume(struct trainer *t, const struct hf_sample *sample) {
    bool validation = is_validation(t, sample->patient);
    if (validation && t->s->epoch > 0)
        return HF_OK; /* fixed in the first epoch */
    struct hf_tensor *slices = hf_sample_get(sample, "slices"), *wanted = NULL;
    enum hf_status st = slices ? hf_tensor_read(t->s, slices, &wanted, t->err) : HF_OK;
    const uint8_t *named = wanted ? HF_DATA(uint8_t, wanted) : NULL;
    if (st == HF_OK)
        st = train_on_patches(t) ? take_patches(t, sample, named, validation)
                                 : take_slices(t, sample, named, validation);
    t->host->tensor_unref(wanted);
    return st;
}
