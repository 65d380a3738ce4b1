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

enum hf_status train_begin(struct trainer *t, const struct hf_sample *first) {
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

enum hf_status train_check_fields(const struct trainer *t, const struct hf_sample *sample) {
    enum hf_status st = check_field(t, sample, t->o->target);
    for (int32_t i = 0; st == HF_OK && i < t->o->inputs.count; i++)
        st = check_field(t, sample, t->o->inputs.name[i]);
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
