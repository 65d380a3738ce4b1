/*
 * batches.c - slices to batches.
 */
#include "ops.h"
#include "trainer.h"

void train_flight_clear(const struct hf_host *host, struct flight *f) {
    struct hf_tensor *all[] = {f->input, f->target, f->weight, f->loss};
    if (f->loss)
        (void)host->tensor_wait(f->loss, NULL);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        host->tensor_unref(all[i]);
    *f = (struct flight){0};
}

static enum hf_status put_part(struct trainer *t, struct hf_tensor *const *slices, int32_t first,
                               int32_t channels, struct hf_tensor **ret) {
    int64_t shape[5] = {t->o->batch, channels, t->size[0], t->size[1], t->size[2]};
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

enum hf_status train_put_batch(struct trainer *t, struct hf_tensor *const *slices,
                               struct flight *ret) {
    int64_t losses = 1 + t->o->loss.count + (t->rebuilt > 0);
    enum hf_status st = put_part(t, slices, 0, t->inputs, &ret->input);
    if (st == HF_OK)
        st = put_part(t, slices, t->inputs, t->targets + t->rebuilt, &ret->target);
    if (st == HF_OK && t->o->weight)
        st = put_part(t, slices, t->inputs + t->targets + t->rebuilt, 1, &ret->weight);
    if (st == HF_OK)
        st = hf_tensor_new(t->s, HF_F32, 1, &losses, &ret->loss, t->err);
    return st;
}

enum hf_status train_read_loss(struct trainer *t, struct hf_tensor *loss, double *ret) {
    struct hf_tensor *host = NULL;
    enum hf_status st = hf_tensor_read(t->s, loss, &host, t->err);
    if (st == HF_OK) {
        *ret = (double)HF_DATA(float, host)[0];
        t->host->tensor_unref(host);
    }
    return st;
}
