/*
 * setup.c - what the first sample settles: the sizes, the network, its parameters.
 */
#include <stdlib.h>
#include <string.h>

#include "trainer.h"

static int32_t field_channels(const struct hf_sample *sample, const char *name) {
    const struct hf_tensor *f = hf_sample_get(sample, name);
    return f ? (int32_t)f->shape[0] : 0;
}

static const char *const loss_names[HF_LOSS_KINDS] = {"l1",   "bce",   "ce",
                                                      "dice", "focal", "tversky"};

/* With deep supervision the weights of all heads sum to one. */
static double loss_weights(const struct hf_net *net) {
    double sum = 1;
    for (int32_t i = 0; i < net->layers; i++)
        sum += (double)net->layer[i].supervise;
    return sum;
}

struct hf_exec_spec train_spec(const struct trainer *t) {
    const struct train_options *o = t->o;
    struct hf_exec_spec spec = {
        .mode = HF_EXEC_TRAIN,
        .precision = (enum hf_precision)o->precision,
        .shape = {o->batch, t->inputs, t->size[0], t->size[1], t->size[2]},
        .optimizer = {.kind = (enum hf_optimizer_kind)o->optimizer,
                      .beta1 = (float)o->beta1,
                      .beta2 = (float)o->beta2,
                      .epsilon = 1e-8f,
                      .momentum = (float)o->momentum,
                      .nesterov = o->nesterov,
                      .weight_decay = (float)o->weight_decay,
                      .clip = (float)o->clip,
                      .average = (float)o->average},
    };
    double share = 1 / loss_weights(t->net);
    for (int32_t i = 0; i < o->loss.count && i < HF_MAX_LOSS_TERMS; i++)
        for (int k = 0; k < HF_LOSS_KINDS; k++)
            if (strcmp(o->loss.name[i], loss_names[k]) == 0)
                spec.loss[spec.loss_terms++] =
                    (struct hf_loss_term){.kind = (enum hf_loss_kind)k,
                                          .factor = (float)(o->loss.value[i] * share),
                                          .pos_weight = (float)o->pos_weight,
                                          .gamma = (float)o->focal_gamma,
                                          .alpha = (float)o->tversky_alpha,
                                          .beta = (float)o->tversky_beta,
                                          .channels = t->rebuilt > 0 ? t->targets : 0};
    if (t->rebuilt > 0)
        spec.loss[spec.loss_terms++] =
            (struct hf_loss_term){.kind = HF_LOSS_L1,
                                  .factor = (float)(o->rebuild_factor * share),
                                  .pos_weight = 1,
                                  .first = t->targets};
    return spec;
}

bool train_on_patches(const struct trainer *t) {
    return t->o->patch.count > 0;
}

/* A network that is none of what its class said when the graph was checked. */
static enum hf_status check_dims(const struct trainer *t) {
    if (t->net->dims == 2 && t->size[0] != 1)
        return hf_fail(t->err, HF_INVALID, "it is 2D: a `patch` of it has a depth of 1");
    if (t->net->dims == 3 && !train_on_patches(t))
        return hf_fail(t->err, HF_INVALID, "it is 3D: it needs `patch: [D, H, W]`");
    return HF_OK;
}

enum hf_status train_fail_on_size(const struct trainer *t) {
    const char *name = t->o->network.network->name;
    if (train_on_patches(t))
        return hf_fail_in(t->err, "network '%s' on patches of %lld x %lld x %lld (option 'patch')",
                          name, (long long)t->size[0], (long long)t->size[1],
                          (long long)t->size[2]);
    return hf_fail_in(t->err,
                      "network '%s' on slices of %lld x %lld (set `size` in `prepare`, or `patch`)",
                      name, (long long)t->size[1], (long long)t->size[2]);
}

enum hf_status train_compile(struct trainer *t, struct hf_executable **ret) {
    struct hf_exec_spec spec = train_spec(t);
    enum hf_status st = hf_compile(t->s, t->net, &spec, ret, t->err);
    return st == HF_INVALID ? train_fail_on_size(t) : st;
}

enum hf_status train_build(struct trainer *t) {
    const struct hf_network_choice *n = &t->o->network;
    enum hf_status st =
        n->network->build(t->host, n->options, t->inputs, t->targets + t->rebuilt, &t->net, t->err);
    if (st == HF_OK)
        st = check_dims(t);
    if (st != HF_OK)
        return hf_fail_in(t->err, "network '%s'", n->network->name);
    struct hf_param *params = NULL;
    int32_t count = 0;
    st = t->host->net_params(t->net, &params, &count, &t->param_count, t->err);
    t->host->free_(params);
    return st;
}

static enum hf_status compile(struct trainer *t) {
    enum hf_status st = train_build(t);
    if (st != HF_OK)
        return st;
    t->best = malloc((size_t)t->param_count * sizeof *t->best);
    if (!t->best)
        return hf_fail(t->err, HF_NO_MEMORY, "no memory for %lld parameters",
                       (long long)t->param_count);
    st = t->host->net_init(t->net, hf_rng_init(t->s->seed, t->s->name, "parameters", 0), t->best,
                           t->err);
    if (st == HF_OK)
        st = train_compile(t, &t->x);
    if (st == HF_OK)
        st = t->x->methods->set_params(t->x, t->best, t->err);
    return st;
}

void train_settle(struct trainer *t, const struct hf_sample *first) {
    const struct hf_tensor *image = hf_sample_get(first, t->o->inputs.name[0]);
    memcpy(t->size, (int64_t[]){1, image->shape[2], image->shape[3]}, sizeof t->size);
    for (int axis = 0; train_on_patches(t) && axis < 3; axis++)
        t->size[axis] = (int64_t)t->o->patch.value[axis];
    for (int32_t i = 0; i < t->o->inputs.count; i++)
        t->inputs += field_channels(first, t->o->inputs.name[i]);
    t->targets = train_output_channels(t->o, field_channels(first, t->o->target));
    t->rebuilt = t->o->rebuild ? field_channels(first, t->o->rebuild) : 0;
}

enum hf_status train_begin(struct trainer *t, const struct hf_sample *first) {
    train_settle(t, first);
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

enum hf_status train_check_fields(const struct trainer *t, const struct hf_sample *sample) {
    enum hf_status st = check_field(t, sample, t->o->target);
    for (int32_t i = 0; st == HF_OK && i < t->o->inputs.count; i++)
        st = check_field(t, sample, t->o->inputs.name[i]);
    if (st == HF_OK)
        st = check_field(t, sample, t->o->rebuild);
    return st == HF_OK ? check_field(t, sample, t->o->weight) : st;
}

enum hf_status train_check_sizes(const struct trainer *t, const struct hf_sample *sample) {
    const struct train_options *o = t->o;
    const struct hf_tensor *image = hf_sample_get(sample, o->inputs.name[0]);
    const struct hf_tensor *slices = hf_sample_get(sample, "slices");
    int32_t inputs = 0;
    for (int32_t i = 0; i < o->inputs.count; i++)
        inputs += field_channels(sample, o->inputs.name[i]);
    if (inputs != t->inputs ||
        train_output_channels(o, field_channels(sample, o->target)) != t->targets ||
        (o->rebuild && field_channels(sample, o->rebuild) != t->rebuilt) ||
        (o->weight && field_channels(sample, o->weight) != 1))
        return hf_fail(t->err, HF_INVALID,
                       "case '%s': its fields have other channels than the first case's, or its "
                       "weight more than one",
                       sample->case_id);
    if (slices && hf_tensor_count(slices) != image->shape[1])
        return hf_fail(t->err, HF_INVALID, "case '%s': 'slices' has %lld entries for %lld slices",
                       sample->case_id, (long long)hf_tensor_count(slices),
                       (long long)image->shape[1]);
    if (train_on_patches(t) || (image->shape[2] == t->size[1] && image->shape[3] == t->size[2]))
        return HF_OK;
    return hf_fail(t->err, HF_INVALID,
                   "case '%s': its slices are %lld x %lld, the first case's %lld x %lld; a network "
                   "is trained on one size: set `size` in `prepare`, or `patch`",
                   sample->case_id, (long long)image->shape[2], (long long)image->shape[3],
                   (long long)t->size[1], (long long)t->size[2]);
}
