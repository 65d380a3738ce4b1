/**
 * adapt.c - see adapt.h.
 */
#include "adapt.h"

enum hf_status infer_adapt_declare(const struct infer_adapt *a, struct hf_io *io,
                                   struct hf_error *e) {
    const struct hf_model_info *m = io->model;
    if (a->steps == 0)
        return HF_OK;
    if (m->rebuilt_channels == 0)
        return hf_fail(e, HF_INVALID,
                       "option 'adapt': the model of '%s' rebuilds nothing that it could learn by; "
                       "train it with `rebuild: image`, a network as twin_unet",
                       m->stage);
    if (m->output_channels >= HF_OP_MAX_TENSORS)
        return hf_fail(e, HF_INVALID,
                       "option 'adapt': the model of '%s' answers in %d channels, at most %d are "
                       "possible",
                       m->stage, m->output_channels, HF_OP_MAX_TENSORS - 1);
    io->read(io, m->rebuilds, HF_DTYPES, HF_ON_GRID, 0);
    return HF_OK;
}

enum hf_status infer_adapt_spec(const struct hf_model *m, struct hf_exec_spec *spec,
                                struct hf_error *e) {
    int32_t learning = 0;
    for (int32_t i = 0; i < m->net->layers; i++)
        learning += strncmp(m->net->layer[i].name, HF_NET_ANSWER, sizeof HF_NET_ANSWER - 1) == 0;
    if (learning == 0)
        return hf_fail(
            e, HF_INVALID,
            "the model of '%s' has no layer '%s...' that could adapt; expected a network "
            "as twin_unet",
            m->info.stage, HF_NET_ANSWER);
    spec->mode = HF_EXEC_TRAIN;
    spec->loss_terms = 1;
    spec->loss[0] = (struct hf_loss_term){.kind = HF_LOSS_L1,
                                          .factor = 1,
                                          .pos_weight = 1,
                                          .first = m->info.output_channels,
                                          .channels = m->info.rebuilt_channels};
    spec->optimizer = (struct hf_optimizer){
        .kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f};
    (void)snprintf(spec->trained, sizeof spec->trained, "%s", HF_NET_ANSWER);
    return HF_OK;
}

struct hf_net infer_net(const struct hf_model *m, const struct infer_adapt *a) {
    struct hf_net net = *m->net;
    const struct hf_layer *last = &net.layer[net.layers - 1];
    int32_t answer = last->input[0];
    if (!infer_adapts(a) && m->info.rebuilt_channels > 0 && last->kind == HF_LAYER_CONCAT &&
        answer > 0 && net.layer[answer].channels == m->info.output_channels)
        net.layers = answer + 1;
    return net;
}

enum hf_status infer_adapt_begin(const struct infer_adapt_job *j, struct hf_error *e) {
    enum hf_status st = j->exec->methods->set_params(j->exec, j->s->model->params, e);
    return st == HF_OK ? j->exec->methods->reset(j->exec, e) : st;
}

/* Tiles of the fields in[], one behind the other in the channels of *ret. */
static enum hf_status gather(const struct infer_adapt_job *j, const struct infer_batch *batch,
                             const struct hf_op_call *fields, struct hf_tensor **ret,
                             struct hf_error *e) {
    struct hf_op_call call = *fields;
    int64_t shape[5];
    memcpy(shape, j->shape, sizeof shape);
    shape[1] = 0;
    for (int32_t i = 0; i < call.inputs; i++)
        shape[1] += call.in[i]->shape[0];
    enum hf_status st = hf_tensor_new(j->s, HF_F32, 5, shape, ret, e);
    call.out[0] = *ret;
    call.outputs = 1;
    call.params = batch;
    call.params_size = sizeof *batch;
    return st == HF_OK ? hf_launch(j->s, j->gather, &call, e) : st;
}

/* The loss that the last step began from, once it is there: all steps are done then. */
static enum hf_status check_loss(const struct infer_adapt_job *j, struct hf_tensor *loss,
                                 struct hf_error *e) {
    struct hf_tensor *host = NULL;
    enum hf_status st = hf_tensor_read(j->s, loss, &host, e);
    if (st == HF_OK && !isfinite(HF_DATA(float, host)[0]))
        st = hf_fail(e, HF_INVALID,
                     "the loss of what is rebuilt is no longer finite; a lower `adapt_rate` helps");
    j->s->host->tensor_unref(host);
    return st;
}

enum hf_status infer_adapt_steps(const struct infer_adapt_job *j, const struct infer_batch *batch,
                                 const struct hf_tensor *input, int64_t steps, double rate,
                                 struct hf_error *e) {
    const struct hf_host *h = j->s->host;
    struct hf_op_call fields = {0}, region = {.in = {j->within}, .inputs = 1};
    struct hf_tensor *target = NULL, *weight = NULL, *loss = NULL;
    struct infer_batch ending = *batch;
    const int64_t losses = 2;
    ending.ends = 1; /* what lies beyond the volume has no part in the loss */
    /* The loss does not look at the answer's channels of the target: anything fills them. */
    for (int32_t i = 0; i < j->s->model->info.output_channels; i++)
        fields.in[fields.inputs++] = j->within;
    fields.in[fields.inputs++] = j->rebuilt;
    enum hf_status st = gather(j, batch, &fields, &target, e);
    if (st == HF_OK)
        st = gather(j, &ending, &region, &weight, e);
    if (st == HF_OK)
        st = hf_tensor_new(j->s, HF_F32, 1, &losses, &loss, e);
    for (int64_t i = 0; st == HF_OK && i < steps; i++)
        st = j->exec->methods->step(j->exec, input, target, weight, (float)rate, loss, e);
    if (st == HF_OK)
        st = check_loss(j, loss, e);
    else if (loss) /* steps may still be reading the tensors */
        (void)h->tensor_wait(loss, NULL);
    h->tensor_unref(target);
    h->tensor_unref(weight);
    h->tensor_unref(loss);
    return st;
}
