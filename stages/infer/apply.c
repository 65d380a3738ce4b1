/**
 * apply.c - what spot and segment are: a model over a volume, its output as a probability field.
 */
#include "apply.h"

#include "adapt.h"

enum hf_status apply_declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct apply_options *o = options;
    enum hf_status st = infer_declare(&o->infer, io, NULL, e);
    if (st != HF_OK)
        return st;
    if (infer_activation_of(io->model) == INFER_NONE)
        return hf_fail(e, HF_INVALID,
                       "the model of '%s' yields plain values, not probabilities; train it with a "
                       "loss on probabilities (bce, ce, dice)",
                       io->model->stage);
    st = infer_adapt_declare(&o->adapt, io, e);
    if (st != HF_OK)
        return st;
    io->read(io, o->within, HF_U8, HF_ON_GRID, 0);
    io->write(io, o->output, HF_F32, HF_ON_GRID, infer_channels(io->model), NULL);
    return HF_OK;
}

enum hf_status apply_process(struct hf_stage *s, const struct hf_sample *in,
                             const char *const ops[4], struct hf_error *e) {
    struct apply_state *state = s->state;
    const struct apply_options *o = s->options;
    struct infer_job job = {.survey = ops[0],
                            .gather = ops[1],
                            .add = ops[2],
                            .finish = ops[3],
                            .options = &o->infer,
                            .adapt = &o->adapt,
                            .sample = in,
                            .within = hf_sample_get(in, o->within)};
    struct hf_tensor *made = NULL;
    struct hf_sample *out = NULL;
    enum hf_status st = infer_volume(s, &state->infer, &job, &made, e);
    if (st != HF_OK)
        return st;
    st = s->host->sample_derive(s->host, in, in->id, &out, e);
    if (st != HF_OK) {
        s->host->tensor_unref(made);
        return st;
    }
    st = hf_sample_set(s, out, o->output, made, e);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

void apply_stop(struct hf_stage *s) {
    struct apply_state *state = s->state;
    infer_close(&state->infer);
}

enum hf_status apply_memory(struct hf_stage *s, const struct hf_memory_query *q,
                            struct hf_memory *ret, struct hf_error *e) {
    const struct apply_options *o = s->options;
    return infer_memory(s, q, &o->infer, &o->adapt, q->largest->grid.size, ret, e);
}
