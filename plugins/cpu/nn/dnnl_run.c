/**
 * dnnl_run.c - convolutions that are planned: bound to their buffers, and run, whole or by parts of
 * the batch.
 */
#include "dnnl_conv.h"

/* ---- binding ---- */

static dnnl_status_t add_arg(struct dn_conv *c, struct pass *p, int id, CONST_MD md, void *data,
                             dnnl_memory_t *ret) {
    dnnl_status_t s = dnnl_memory_create(ret, md, c->ctx->engine, data);
    if (s == dnnl_success)
        p->arg[p->args++] = (dnnl_exec_arg_t){id, *ret};
    return s;
}

static dnnl_status_t bind_reorder(struct reorder *r, void *from, void *to) {
    dnnl_status_t s = dnnl_memory_set_data_handle(r->from, from);
    return s == dnnl_success ? dnnl_memory_set_data_handle(r->to, to) : s;
}

enum hf_status dn_conv_bind(struct dn_conv *c, enum nn_pass pass, const struct dn_buffers *b,
                            struct hf_error *e) {
    static const int src_id[NN_PASSES] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_SRC};
    static const int dst_id[NN_PASSES] = {DNNL_ARG_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_DST};
    struct pass *p = &c->pass[pass];
    int gradient = pass == NN_BACKWARD_WEIGHTS;
    CONST_MD weight = dn_query(p, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    float *plain = b->weight, *bias = b->bias;
    if (c->stage && gradient) {
        c->weight_gradient = b->weight;
        c->bias_gradient = b->bias;
        c->staged_gradient = (float *)((char *)b->scratch + p->scratchpad + p->gradient);
        plain = c->staged_gradient;
        bias = plain + dn_stage_weights(&c->spec);
    } else if (c->stage) {
        c->weight = b->weight;
        c->bias = b->bias;
        plain = c->stage;
        bias = plain + dn_stage_weights(&c->spec);
    }
    float *internal = plain, *operand[2] = {b->src, b->dst};
    dnnl_status_t s = dnnl_success;
    if (p->reorder.primitive && gradient) {
        internal = (float *)((char *)b->scratch + p->scratchpad);
        s = bind_reorder(&p->reorder, internal, plain);
        if (s == dnnl_success && p->sum.primitive)
            s = bind_reorder(&p->sum, internal, plain);
    } else if (p->reorder.primitive) {
        internal = p->own_weight;
        s = bind_reorder(&p->reorder, plain, internal);
    }
    for (int i = 0; i < 2 && p->parts; i++) {
        p->block[i].data = operand[i];
        operand[i] = (float *)((char *)b->scratch + p->scratchpad + p->gradient + p->staged +
                               p->block[i].offset);
    }
    if (s == dnnl_success)
        s = add_arg(c, p, src_id[pass], dn_query(p, dn_src_md(pass)), operand[0], &p->src);
    if (s == dnnl_success)
        s = add_arg(c, p, dst_id[pass], dn_query(p, dn_dst_md(pass)), operand[1], &p->dst);
    if (s == dnnl_success)
        s = add_arg(c, p, gradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, weight, internal,
                    &p->weight);
    if (s == dnnl_success && c->spec.bias && pass != NN_BACKWARD_DATA)
        s = add_arg(c, p, gradient ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS,
                    dnnl_primitive_desc_query_md(
                        p->pd, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 1),
                    bias, &p->bias);
    if (s == dnnl_success && p->scratchpad)
        s = add_arg(c, p, DNNL_ARG_SCRATCHPAD, dn_query(p, dnnl_query_scratchpad_md), b->scratch,
                    &p->scratch);
    return s == dnnl_success ? HF_OK : dn_failed(e, s, "bind its buffers", c->name);
}

/* ---- weights ---- */

static dnnl_status_t run_reorder(struct dn_conv *c, const struct reorder *r) {
    dnnl_exec_arg_t arg[2] = {{DNNL_ARG_FROM, r->from}, {DNNL_ARG_TO, r->to}};
    return dnnl_primitive_execute(r->primitive, c->ctx->stream, 2, arg);
}

/** Between [ci][co][taps], as network.h has it, and [taps][co][ci], as a convolution reads it. */
static void stage(struct dn_conv *c) {
    int64_t taps = c->spec.taps, co = c->spec.co, ci = c->spec.ci;
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < taps * co; o++)
        for (int64_t i = 0; i < ci; i++)
            c->stage[o * ci + i] = c->weight[(i * co + o % co) * taps + o / co];
    for (int64_t o = 0; c->spec.bias && o < taps * co; o++)
        c->stage[dn_stage_weights(&c->spec) + o] = c->bias[o % co];
}

static void unstage_gradient(struct dn_conv *c) {
    int64_t taps = c->spec.taps, co = c->spec.co, ci = c->spec.ci;
    const float *weight = c->staged_gradient, *bias = weight + dn_stage_weights(&c->spec);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < ci; i++)
        for (int64_t o = 0; o < taps * co; o++)
            c->weight_gradient[(i * co + o % co) * taps + o / co] = weight[o * ci + i];
    for (int64_t k = 0; c->spec.bias && k < co; k++) {
        float sum = 0;
        for (int64_t t = 0; t < taps; t++)
            sum += bias[t * co + k];
        c->bias_gradient[k] = sum;
    }
}

enum hf_status dn_conv_refresh(struct dn_conv *c, struct hf_error *e) {
    if (c->stage)
        stage(c);
    for (int i = 0; i < NN_BACKWARD_WEIGHTS; i++) {
        struct pass *p = &c->pass[i];
        dnnl_status_t s = p->reorder.to ? run_reorder(c, &p->reorder) : dnnl_success;
        if (s != dnnl_success)
            return dn_failed(e, s, "reorder its weights", c->name);
    }
    return HF_OK;
}

/* ---- running ---- */

/** Operand `i` of a part of the batch, into its blocked copy or out of it. */
static dnnl_status_t run_block(struct dn_conv *c, struct pass *p, int i, int64_t part, int in) {
    struct blocked *b = &p->block[i];
    char *data = (char *)b->data + (size_t)part * b->stride;
    void *copy = NULL;
    dnnl_status_t s = dnnl_memory_get_data_handle(i == 0 ? p->src : p->dst, &copy);
    if (s == dnnl_success)
        s = in ? bind_reorder(&b->reorder, data, copy) : bind_reorder(&b->reorder, copy, data);
    return s == dnnl_success ? run_reorder(c, &b->reorder) : s;
}

static dnnl_status_t run_parts(struct dn_conv *c, enum nn_pass pass) {
    struct pass *p = &c->pass[pass];
    int gradient = pass == NN_BACKWARD_WEIGHTS;
    dnnl_status_t s = dnnl_success;
    for (int64_t part = 0; part < p->parts && s == dnnl_success; part++) {
        s = run_block(c, p, 0, part, 1);
        if (s == dnnl_success && gradient)
            s = run_block(c, p, 1, part, 1);
        if (s == dnnl_success)
            s = dnnl_primitive_execute(p->primitive, c->ctx->stream, p->args, p->arg);
        if (s == dnnl_success && !gradient)
            s = run_block(c, p, 1, part, 0);
        if (s == dnnl_success && gradient && p->reorder.primitive)
            s = run_reorder(c, part == 0 ? &p->reorder : &p->sum);
    }
    return s;
}

enum hf_status dn_conv_run(struct dn_conv *c, enum nn_pass pass, struct hf_error *e) {
    struct pass *p = &c->pass[pass];
    if (p->parts) {
        dnnl_status_t s = run_parts(c, pass);
        return s == dnnl_success ? HF_OK : dn_failed(e, s, "run", c->name);
    }
    dnnl_status_t s = dnnl_primitive_execute(p->primitive, c->ctx->stream, p->args, p->arg);
    if (s == dnnl_success && pass == NN_BACKWARD_WEIGHTS && p->reorder.primitive)
        s = run_reorder(c, &p->reorder);
    if (s == dnnl_success && pass == NN_BACKWARD_WEIGHTS && c->stage)
        unstage_gradient(c);
    return s == dnnl_success ? HF_OK : dn_failed(e, s, "run", c->name);
}
