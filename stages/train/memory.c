/*
 * memory.c - how much memory a training takes, for `plan`: its network, the pools of slices, those
 * to validate with, and two batches in flight.
 */
#include <stdlib.h>

#include "trainer.h"

#define SMALL_BYTES 8192 /* losses, profiles of volumes, and what patches are asked for */

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Slices, or patches, that a pass brings; -1: not known. */
static int64_t arriving(const struct trainer *t, const struct hf_memory_query *q) {
    if (!train_on_patches(t))
        return q->slices;
    return q->samples < 0 ? -1 : q->samples * t->o->patches;
}

/* Slices that the pools hold at most: what a pass leaves over is less than a batch. Where they are
 * drawn from again and again, both fill up. */
static int64_t pooled(const struct trainer *t, int64_t pass) {
    const struct train_options *o = t->o;
    int64_t room = train_pool_size(o), most = pass < 0 ? INT64_MAX : pass + o->batch;
    if (o->positive > 0) {
        room = 2 * room;
        if (o->steps > 0)
            most = larger(room / 8, (o->steps + 1) * o->batch);
        else
            most = pass < 0 ? INT64_MAX : o->epochs * pass;
    }
    return (most < room ? most : room) + 1; /* and the one that is just being taken */
}

/* A model like the one that the training will yield. */
static enum hf_status publish(struct trainer *t) {
    struct hf_model *model = NULL;
    t->best = calloc((size_t)t->param_count, sizeof *t->best);
    enum hf_status st = t->best ? HF_OK : hf_fail(t->err, HF_NO_MEMORY, "no memory for a model");
    if (st == HF_OK)
        st = train_make_model(t, &model);
    if (st == HF_OK)
        st = t->host->publish(t->s, model, t->err);
    t->host->model_unref(model);
    return st;
}

enum hf_status train_memory(struct hf_stage *s, const struct hf_memory_query *q,
                            struct hf_memory *ret, struct hf_error *e) {
    struct trainer t = {.s = s, .host = s->host, .o = s->options, .err = e};
    int64_t network = 0;
    enum hf_status st = train_check_fields(&t, q->largest);
    if (st == HF_OK) {
        train_settle(&t, q->largest);
        st = train_build(&t);
    }
    if (st == HF_OK) {
        struct hf_exec_spec spec = train_spec(&t);
        st = hf_net_memory(s, q, t.net, &spec, &network, e);
        if (st == HF_INVALID)
            st = train_fail_on_size(&t);
    }
    if (st == HF_OK) {
        const struct train_options *o = t.o;
        int64_t slice =
            (int64_t)sizeof(float) * train_slice_channels(&t) * t.size[0] * t.size[1] * t.size[2];
        int64_t pass = arriving(&t, q), kept = o->validate > 0 ? o->validation_slices : 0;
        int64_t depth = hf_sample_get(q->largest, o->target)->shape[1];
        kept = pass >= 0 && pass < kept ? pass : kept;
        ret->work = 0;
        ret->held = network * (o->average > 0 && o->validate > 0 ? 2 : 1) +
                    slice * (pooled(&t, pass) + kept + 2 * o->batch) + 8 * depth + SMALL_BYTES;
        st = publish(&t);
    }
    free(t.best);
    if (t.net)
        s->host->net_free(t.net);
    return st;
}
