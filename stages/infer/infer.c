/**
 * infer.c - runs a trained 2D network over the slices of a volume.
 */
#include "infer.h"

enum infer_activation infer_activation_of(const struct hf_model_info *model) {
    if (strcmp(model->activation, "softmax") == 0)
        return INFER_SOFTMAX;
    return strcmp(model->activation, "sigmoid") == 0 ? INFER_SIGMOID : INFER_NONE;
}

int32_t infer_channels(const struct hf_model_info *model) {
    return model->output_channels - (infer_activation_of(model) == INFER_SOFTMAX);
}

static int is_own(const char *const *own, const char *name) {
    for (; own && *own; own++)
        if (strcmp(*own, name) == 0)
            return 1;
    return 0;
}

enum hf_status infer_declare(struct hf_io *io, const char *const *own, struct hf_error *e) {
    const struct hf_model_info *m = io->model;
    if (!m)
        return hf_fail(e, HF_INVALID, "needs `model:`, the stage that trains or loads a model");
    if (m->inputs.count > HF_OP_MAX_TENSORS)
        return hf_fail(e, HF_INVALID, "the model of '%s' takes %d inputs, at most %d are possible",
                       m->stage, m->inputs.count, HF_OP_MAX_TENSORS);
    for (int32_t i = 0; i < m->inputs.count; i++)
        if (!is_own(own, m->inputs.name[i]))
            io->read(io, m->inputs.name[i], HF_DTYPES, HF_ON_GRID, 0);
    return HF_OK;
}

static void drop_exec(struct infer *x) {
    if (x->exec)
        x->exec->methods->destroy(x->exec);
    x->exec = NULL;
}

void infer_close(struct infer *x) {
    drop_exec(x);
    if (x->side)
        x->device->methods->queue_free(x->device, x->side);
    x->side = NULL;
}

/* The network for slices of this size, compiled if it is not yet. */
static enum hf_status prepare_exec(struct hf_stage *s, struct infer *x, int32_t precision,
                                   const int64_t shape[5], struct hf_error *e) {
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD, .precision = (enum hf_precision)precision};
    if (x->exec && memcmp(x->shape, shape, sizeof x->shape) == 0)
        return HF_OK;
    if (s->model->net->dims != 2)
        return hf_fail(e, HF_UNSUPPORTED,
                       "the model of '%s' is %d-dimensional; only 2D networks run over "
                       "slices",
                       s->model->info.stage, s->model->net->dims);
    drop_exec(x);
    memcpy(spec.shape, shape, sizeof spec.shape);
    enum hf_status st = hf_compile(s, s->model->net, &spec, &x->exec, e);
    if (st == HF_OK)
        st = x->exec->methods->set_params(x->exec, s->model->params, e);
    if (st != HF_OK) {
        drop_exec(x);
        return hf_fail_in(e, "model of '%s' on slices of %lld x %lld", s->model->info.stage,
                          (long long)shape[3], (long long)shape[4]);
    }
    memcpy(x->shape, shape, sizeof x->shape);
    return HF_OK;
}

/* The model's inputs, in its order, as the operands of "gather". */
static enum hf_status find_inputs(const struct hf_stage *s, const struct infer_job *job,
                                  struct hf_op_call *call, int64_t *ret_channels,
                                  struct hf_error *e) {
    const struct hf_model_info *m = &s->model->info;
    const int64_t *size = job->within->shape;
    int64_t channels = 0;
    for (int32_t i = 0; i < m->inputs.count; i++) {
        const char *name = m->inputs.name[i];
        struct hf_tensor *t = hf_sample_get(job->sample, name);
        for (size_t k = 0; k < sizeof job->given / sizeof *job->given; k++)
            if (job->given[k].name && strcmp(job->given[k].name, name) == 0)
                t = job->given[k].tensor;
        if (!t)
            return hf_fail(e, HF_INVALID, "the model of '%s' needs the field '%s'", m->stage, name);
        if ((t->dtype != HF_F32 && t->dtype != HF_U8) || t->dl.ndim != 4 ||
            memcmp(t->shape + 1, size + 1, 3 * sizeof *size) != 0)
            return hf_fail(e, HF_INVALID,
                           "the field '%s' is no f32 or u8 volume on the image's grid", name);
        call->in[call->inputs++] = t;
        channels += t->shape[0];
    }
    if (channels != m->input_channels)
        return hf_fail(e, HF_INVALID,
                       "the inputs of the model of '%s' have %lld channels, it was trained with "
                       "%d",
                       m->stage, (long long)channels, m->input_channels);
    *ret_channels = channels;
    return HF_OK;
}

/* One batch: gather, forward, scatter. */
static enum hf_status run_batch(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                                struct hf_op_call *gather, const int32_t *slice,
                                struct hf_tensor *volume, struct hf_error *e) {
    struct hf_tensor *in = NULL, *out = NULL;
    struct infer_scatter_params after = {.activation = infer_activation_of(&s->model->info)};
    int64_t shape[5];
    memcpy(shape, x->shape, sizeof shape);
    memcpy(after.slice, slice, sizeof after.slice);
    enum hf_status st = hf_tensor_new(s, HF_F32, 5, shape, &in, e);
    if (st == HF_OK) {
        gather->out[0] = in;
        gather->outputs = 1;
        st = hf_launch(s, job->gather, gather, e);
    }
    shape[1] = s->model->info.output_channels;
    if (st == HF_OK)
        st = hf_tensor_new(s, HF_F32, 5, shape, &out, e);
    if (st == HF_OK)
        st = x->exec->methods->forward(x->exec, in, out, e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {out, job->within},
                                  .out = {volume},
                                  .inputs = job->gated ? 2 : 1,
                                  .outputs = 1,
                                  .params = &after,
                                  .params_size = sizeof after};
        st = hf_launch(s, job->scatter, &call, e);
    }
    if (st != HF_OK && out) /* the network may still be reading `in` */
        (void)s->host->tensor_wait(out, NULL);
    s->host->tensor_unref(in);
    s->host->tensor_unref(out);
    return st;
}

/* All slices that have something of `within`, batch by batch. */
static enum hf_status run_slices(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                                 const uint8_t *occupied, struct hf_tensor *volume,
                                 struct hf_error *e) {
    struct infer_gather_params params;
    struct hf_op_call gather = {.params = &params, .params_size = sizeof params};
    const int64_t *size = job->within->shape;
    int64_t channels = 0, d = 0;
    enum hf_status st = find_inputs(s, job, &gather, &channels, e);
    while (st == HF_OK) {
        int64_t n = 0;
        for (int i = 0; i < INFER_MAX_BATCH; i++)
            params.slice[i] = -1;
        for (; d < size[1] && n < job->batch; d++)
            if (occupied[d])
                params.slice[n++] = (int32_t)d;
        if (n == 0)
            break;
        if (s->host->canceled(s))
            return hf_fail(e, HF_CANCELED, "canceled");
        int64_t shape[5] = {job->batch, channels, 1, size[2], size[3]};
        st = prepare_exec(s, x, job->precision, shape, e);
        if (st == HF_OK)
            st = run_batch(s, x, job, &gather, params.slice, volume, e);
    }
    return st;
}

/* Which slices have something of `within`, and the volume, still empty. */
static enum hf_status survey(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                             struct hf_tensor **ret_occupied, struct hf_tensor **ret_volume,
                             struct hf_error *e) {
    const struct hf_host *h = s->host;
    const struct hf_op *op = h->op_find(h, s->device, job->survey);
    const int64_t *size = job->within->shape;
    int64_t shape[4] = {infer_channels(&s->model->info), size[1], size[2], size[3]};
    struct hf_tensor *flags = NULL;
    enum hf_status st = HF_OK;
    x->device = s->device;
    if (!op)
        return hf_fail(e, HF_NOT_FOUND, "the device has no op '%s'", job->survey);
    if (!x->side)
        st = s->device->methods->queue_new(s->device, &x->side, e);
    if (st == HF_OK)
        st = h->tensor_new(h, s->device, x->side, HF_U8, 1, size + 1, &flags, e);
    if (st == HF_OK)
        st = h->tensor_new(h, s->device, x->side, HF_F32, 4, shape, ret_volume, e);
    if (st == HF_OK) {
        struct hf_op_call call = {
            .in = {job->within}, .out = {flags, *ret_volume}, .inputs = 1, .outputs = 2};
        st = h->launch(h, s->device, x->side, op, &call, e);
    }
    if (st == HF_OK)
        st = hf_tensor_read(s, flags, ret_occupied, e);
    h->tensor_unref(flags);
    return st;
}

enum hf_status infer_volume(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                            struct hf_tensor **ret, struct hf_error *e) {
    struct hf_tensor *occupied = NULL, *volume = NULL;
    enum hf_status st = survey(s, x, job, &occupied, &volume, e);
    if (st == HF_OK)
        st = run_slices(s, x, job, HF_DATA(uint8_t, occupied), volume, e);
    s->host->tensor_unref(occupied);
    if (st == HF_OK)
        *ret = volume;
    else if (volume)
        s->host->tensor_unref(volume);
    return st;
}
