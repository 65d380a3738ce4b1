/**
 * infer.c - runs a trained network over a volume: survey, then batch by batch of tiles gather,
 * forward, add, and last finish.
 */
#include "infer.h"

#include "adapt.h"
#include "fit.h"

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

/* Channels of the model's inputs, those that the stage makes included, which are made of `image`;
 * against what the model was trained with. */
static enum hf_status check_channels(struct hf_io *io, const char *const *own, struct hf_error *e) {
    const struct hf_model_info *m = io->model;
    int64_t all = 0;
    for (int32_t i = 0; i < m->inputs.count; i++) {
        const char *name = is_own(own, m->inputs.name[i]) ? "image" : m->inputs.name[i];
        int64_t channels = 0;
        if (!io->has(io, name, &channels) || channels < 1)
            return HF_OK;
        all += channels;
    }
    if (all == m->input_channels)
        return HF_OK;
    return hf_fail(
        e, HF_INVALID,
        "'model': the inputs of that of '%s' have %lld channels here, it was trained with "
        "%d",
        m->stage, (long long)all, m->input_channels);
}

/* An input on the edge is blanked as it was in training, as far as that is known. */
static enum hf_status check_blank(struct hf_io *io, const char *const *own, struct hf_error *e) {
    const struct hf_model_info *m = io->model;
    double blank = 0;
    if (!m->blanked[0] || is_own(own, m->blanked) || !io->blanked(io, m->blanked, &blank) ||
        (float)blank == (float)m->blank)
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "'model': that of '%s' was trained on '%s' blanked with %g; here it is blanked "
                   "with %g: blank both with the same value",
                   m->stage, m->blanked, m->blank, blank);
}

enum hf_status infer_declare(const struct infer_options *o, struct hf_io *io,
                             const char *const *own, struct hf_error *e) {
    const struct hf_model_info *m = io->model;
    if (!m)
        return hf_fail(e, HF_INVALID, "needs `model:`, the stage that trains or loads a model");
    if (m->inputs.count > HF_OP_MAX_TENSORS)
        return hf_fail(e, HF_INVALID, "the model of '%s' takes %d inputs, at most %d are possible",
                       m->stage, m->inputs.count, HF_OP_MAX_TENSORS);
    for (int32_t i = 0; i < m->inputs.count; i++)
        if (!is_own(own, m->inputs.name[i]))
            io->read(io, m->inputs.name[i], HF_DTYPES, HF_ON_GRID, 0);
    int64_t tile[3];
    enum hf_status st = check_channels(io, own, e);
    if (st == HF_OK)
        st = check_blank(io, own, e);
    if (st == HF_OK)
        st = infer_fit(o, m, m->dims, io->grid, tile, e);
    return st == HF_OK ? io->fits(io, tile, o->tile.count > 0 ? "tile" : NULL, e) : st;
}

/* ---- the network ---- */

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

/* The network for batches of this shape, compiled if it is not yet. */
static enum hf_status prepare_exec(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                                   const int64_t shape[5], struct hf_error *e) {
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD,
                                .precision = (enum hf_precision)job->options->precision};
    if (x->exec && memcmp(x->shape, shape, sizeof x->shape) == 0)
        return HF_OK;
    drop_exec(x);
    memcpy(spec.shape, shape, sizeof spec.shape);
    struct hf_net net = infer_net(s->model, job->adapt);
    enum hf_status st = infer_adapts(job->adapt) ? infer_adapt_spec(s->model, &spec, e) : HF_OK;
    if (st == HF_OK)
        st = hf_compile(s, &net, &spec, &x->exec, e);
    if (st == HF_OK)
        st = x->exec->methods->set_params(x->exec, s->model->params, e);
    if (st != HF_OK) {
        drop_exec(x);
        return infer_fail_on_size(s->model, shape + 2, e);
    }
    memcpy(x->shape, shape, sizeof x->shape);
    x->channels = net.layer[net.layers - 1].channels;
    return HF_OK;
}

/* ---- one volume ---- */

/* What its batches share; the tensors are owned. */
struct run {
    struct hf_stage *s;
    struct infer *x;
    const struct infer_job *job;
    struct infer_plan plan;
    struct hf_op_call gather; /* with the model's inputs, in its order */
    struct hf_tensor *sum, *weights;
    struct hf_tensor *rebuilt; /* the field that an adapting model learns to rebuild */
    int first;                 /* over a case: nothing was adapted to yet */
};

/* A field that the network's ops can take. */
static enum hf_status check_field(const struct run *r, const char *name, const struct hf_tensor *t,
                                  struct hf_error *e) {
    const int64_t *size = r->job->within->shape;
    if (!t)
        return hf_fail(e, HF_INVALID, "the model of '%s' needs the field '%s'",
                       r->s->model->info.stage, name);
    if ((t->dtype != HF_F32 && t->dtype != HF_U8) || t->dl.ndim != 4 ||
        memcmp(t->shape + 1, size + 1, 3 * sizeof *size) != 0)
        return hf_fail(e, HF_INVALID, "the field '%s' is no f32 or u8 volume on the image's grid",
                       name);
    return HF_OK;
}

static enum hf_status find_rebuilt(struct run *r, struct hf_error *e) {
    const struct hf_model_info *m = &r->s->model->info;
    if (!infer_adapts(r->job->adapt))
        return HF_OK;
    r->rebuilt = hf_sample_get(r->job->sample, m->rebuilds);
    enum hf_status st = check_field(r, m->rebuilds, r->rebuilt, e);
    if (st == HF_OK && r->rebuilt->shape[0] != m->rebuilt_channels)
        st = hf_fail(e, HF_INVALID,
                     "the field '%s' has %lld channels, the model of '%s' rebuilds %d", m->rebuilds,
                     (long long)r->rebuilt->shape[0], m->stage, m->rebuilt_channels);
    return st;
}

static enum hf_status find_inputs(struct run *r, int64_t *ret_channels, struct hf_error *e) {
    const struct hf_model_info *m = &r->s->model->info;
    const struct infer_job *job = r->job;
    int64_t channels = 0;
    for (int32_t i = 0; i < m->inputs.count; i++) {
        const char *name = m->inputs.name[i];
        struct hf_tensor *t = hf_sample_get(job->sample, name);
        for (size_t k = 0; k < sizeof job->given / sizeof *job->given; k++)
            if (job->given[k].name && strcmp(job->given[k].name, name) == 0)
                t = job->given[k].tensor;
        enum hf_status st = check_field(r, name, t, e);
        if (st != HF_OK)
            return st;
        r->gather.in[r->gather.inputs++] = t;
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

/* Which tiles have something of `within`, and the sum, still empty. */
static enum hf_status survey(struct run *r, struct hf_tensor **ret_occupied, struct hf_error *e) {
    struct hf_stage *s = r->s;
    const struct hf_host *h = s->host;
    const struct hf_op *op = h->op_find(h, s->device, r->job->survey);
    const int64_t *size = r->job->within->shape;
    int64_t tiles = infer_lattice_tiles(&r->plan.lattice);
    int64_t shape[4] = {s->model->info.output_channels, size[1], size[2], size[3]};
    struct hf_queue **side = &r->x->side;
    struct hf_tensor *flags = NULL;
    enum hf_status st = HF_OK;
    r->x->device = s->device;
    if (!op)
        return hf_fail(e, HF_NOT_FOUND, "the device has no op '%s'", r->job->survey);
    if (!*side)
        st = s->device->methods->queue_new(s->device, side, e);
    if (st == HF_OK)
        st = h->tensor_new(h, s->device, *side, HF_U8, 1, &tiles, &flags, e);
    if (st == HF_OK)
        st = h->tensor_new(h, s->device, *side, HF_F32, 4, shape, &r->sum, e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {r->job->within},
                                  .out = {flags, r->sum},
                                  .inputs = 1,
                                  .outputs = 2,
                                  .params = &r->plan.lattice,
                                  .params_size = sizeof r->plan.lattice};
        st = h->launch(h, s->device, *side, op, &call, e);
    }
    if (st == HF_OK)
        st = hf_tensor_read(s, flags, ret_occupied, e);
    h->tensor_unref(flags);
    return st;
}

static enum hf_status make_weights(struct run *r, struct hf_error *e) {
    struct hf_stage *s = r->s;
    struct hf_tensor *made = NULL;
    int64_t n = infer_weights_count(&r->plan.lattice);
    enum hf_status st = hf_tensor_new_host(s, HF_F32, 1, &n, &made, e);
    if (st != HF_OK)
        return st;
    infer_weights(&r->plan.lattice, (enum infer_weighting)r->job->options->weights,
                  HF_DATA(float, made));
    st = s->host->tensor_to(s->host, made, s->device, s->queue, &r->weights, e);
    s->host->tensor_unref(made);
    return st;
}

/* What is done with each batch of tiles. */
enum pass {
    PASS_ANSWER,
    PASS_ADAPT, /* only adapts to it */
    PASS_BOTH   /* adapts to it alone, then answers */
};

/* The steps on a batch. */
static enum hf_status adapt(struct run *r, enum pass pass, const struct infer_batch *batch,
                            const struct hf_tensor *in, struct hf_error *e) {
    const struct infer_adapt *a = r->job->adapt;
    struct infer_adapt_job job = {
        .s = r->s,
        .exec = r->x->exec,
        .shape = r->x->shape,
        .gather = r->job->gather,
        .rebuilt = r->rebuilt,
        .within = r->job->within,
    };
    enum hf_status st = pass == PASS_BOTH || r->first ? infer_adapt_begin(&job, e) : HF_OK;
    r->first = 0;
    return st == HF_OK
               ? infer_adapt_steps(&job, batch, in, pass == PASS_BOTH ? a->steps : 1, a->rate, e)
               : st;
}

/* One batch: gather, adapt, forward, add. */
static enum hf_status run_batch(struct run *r, enum pass pass, const struct infer_batch *batch,
                                struct hf_error *e) {
    struct hf_stage *s = r->s;
    struct infer *x = r->x;
    struct hf_tensor *in = NULL, *out = NULL;
    int64_t shape[5];
    memcpy(shape, x->shape, sizeof shape);
    enum hf_status st = hf_tensor_new(s, HF_F32, 5, shape, &in, e);
    if (st == HF_OK) {
        r->gather.out[0] = in;
        r->gather.outputs = 1;
        r->gather.params = batch;
        r->gather.params_size = sizeof *batch;
        st = hf_launch(s, r->job->gather, &r->gather, e);
    }
    if (st == HF_OK && pass != PASS_ANSWER)
        st = adapt(r, pass, batch, in, e);
    shape[1] = x->channels;
    if (st == HF_OK && pass != PASS_ADAPT)
        st = hf_tensor_new(s, HF_F32, 5, shape, &out, e);
    if (out)
        st = x->exec->methods->forward(x->exec, in, out, e);
    if (st == HF_OK && out) {
        struct hf_op_call call = {.in = {out, r->weights},
                                  .out = {r->sum},
                                  .inputs = 2,
                                  .outputs = 1,
                                  .params = batch,
                                  .params_size = sizeof *batch};
        st = hf_launch(s, r->job->add, &call, e);
    }
    if (st != HF_OK && out) /* the network may still be reading `in` */
        (void)s->host->tensor_wait(out, NULL);
    s->host->tensor_unref(in);
    s->host->tensor_unref(out);
    return st;
}

static int32_t count_bits(int32_t mask) {
    int32_t n = 0;
    for (; mask; mask &= mask - 1)
        n++;
    return n;
}

/* All tiles that have something of `within`, each in all its mirrorings, batch by batch. */
static enum hf_status run_tiles(struct run *r, enum pass pass, int64_t channels,
                                const uint8_t *occupied, struct hf_error *e) {
    const struct infer_lattice *l = &r->plan.lattice;
    const int64_t shape[5] = {r->plan.batch, channels, l->tile[0], l->tile[1], l->tile[2]};
    int64_t tiles = infer_lattice_tiles(l), tile = 0;
    int32_t flip = r->plan.flips; /* counts down through the subsets of the mask */
    struct infer_batch batch = {.lattice = *l,
                                .share = 1.0f / (float)(1 << count_bits(r->plan.flips))};
    for (;;) {
        int64_t n = 0, place[3];
        while (tile < tiles && n < r->plan.batch) {
            if (occupied[tile]) {
                infer_places(l, tile, place);
                batch.piece[n++] = (struct infer_piece){
                    {(int32_t)place[0], (int32_t)place[1], (int32_t)place[2]}, flip};
                if (flip > 0) {
                    flip = (flip - 1) & r->plan.flips;
                    continue;
                }
            }
            flip = r->plan.flips;
            tile++;
        }
        if (n == 0)
            return HF_OK;
        for (; n < INFER_MAX_BATCH; n++)
            batch.piece[n] = (struct infer_piece){{-1, 0, 0}, 0};
        if (r->s->host->canceled(r->s))
            return hf_fail(e, HF_CANCELED, "canceled");
        enum hf_status st = prepare_exec(r->s, r->x, r->job, shape, e);
        if (st == HF_OK)
            st = run_batch(r, pass, &batch, e);
        if (st != HF_OK)
            return st;
    }
}

/* Slice by slice an adapting network sees one at a time; over a case it first passes all of it. */
static enum hf_status run_passes(struct run *r, int64_t channels, const uint8_t *occupied,
                                 struct hf_error *e) {
    const struct infer_adapt *a = r->job->adapt;
    if (!infer_adapts(a))
        return run_tiles(r, PASS_ANSWER, channels, occupied, e);
    if (a->each == INFER_ADAPT_SLICE) {
        r->plan.batch = 1;
        return run_tiles(r, PASS_BOTH, channels, occupied, e);
    }
    enum hf_status st = HF_OK;
    r->first = 1;
    for (int64_t i = 0; st == HF_OK && i < a->steps; i++)
        st = run_tiles(r, PASS_ADAPT, channels, occupied, e);
    return st == HF_OK ? run_tiles(r, PASS_ANSWER, channels, occupied, e) : st;
}

/* The values of the finished sum. */
static enum hf_status finish(struct run *r, struct hf_tensor **ret, struct hf_error *e) {
    struct hf_stage *s = r->s;
    const struct hf_model_info *m = &s->model->info;
    struct infer_finish_params params = {infer_activation_of(m)};
    int64_t shape[4];
    enum hf_status st = HF_OK;
    memcpy(shape, r->sum->shape, sizeof shape);
    shape[0] = infer_channels(m);
    if (shape[0] != r->sum->shape[0]) {
        st = hf_tensor_new(s, HF_F32, 4, shape, ret, e);
    } else {
        s->host->tensor_ref(r->sum);
        *ret = r->sum;
    }
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {r->sum, r->job->within},
                              .out = {*ret},
                              .inputs = 2,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    st = hf_launch(s, r->job->finish, &call, e);
    if (st != HF_OK) {
        s->host->tensor_unref(*ret);
        *ret = NULL; /* callers drop what they got, also on failure */
    }
    return st;
}

enum hf_status infer_volume(struct hf_stage *s, struct infer *x, const struct infer_job *job,
                            struct hf_tensor **ret, struct hf_error *e) {
    struct run r = {.s = s, .x = x, .job = job};
    struct hf_tensor *occupied = NULL;
    int64_t channels = 0;
    enum hf_status st =
        infer_fit_volume(job->options, s->model, job->within->shape + 1, &r.plan, e);
    if (st == HF_OK)
        st = find_inputs(&r, &channels, e);
    if (st == HF_OK)
        st = find_rebuilt(&r, e);
    if (st == HF_OK)
        st = survey(&r, &occupied, e);
    if (st == HF_OK)
        st = make_weights(&r, e);
    if (st == HF_OK)
        st = run_passes(&r, channels, HF_DATA(uint8_t, occupied), e);
    if (st == HF_OK)
        st = finish(&r, ret, e);
    s->host->tensor_unref(occupied);
    s->host->tensor_unref(r.weights);
    s->host->tensor_unref(r.sum);
    return st;
}
