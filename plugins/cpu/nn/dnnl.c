/**
 * dnnl.c - convolutions, planned: the primitives of a convolution, its memory and its weights in
 * oneDNN's formats. The only door to oneDNN, 2.6 to 3.x: dnnl_choose.c chooses implementations,
 * dnnl_run.c binds and runs them.
 *
 * Activations are NHWC or NDHWC at fixed addresses, so every primitive is created, and its memory
 * objects are bound, once. Weights stay in the formats that oneDNN picks and are reordered when the
 * parameters change.
 */
#include "dnnl_conv.h"

#include <stdlib.h>
#include <string.h>

#include "../../ops/pieces.h"

/* ---- context ---- */

/** HEPAFLOW_WINOGRAD=0: direct convolutions only. */
static int winograd_wanted(void) {
    const char *asked = getenv("HEPAFLOW_WINOGRAD");
    return !asked || strcmp(asked, "0") != 0;
}

enum hf_status dn_context_new(struct dn_context **ret, struct hf_error *e) {
    struct dn_context *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return hf_fail(e, HF_NO_MEMORY, "oneDNN: out of memory");
    ctx->winograd = winograd_wanted();
    dnnl_status_t s = dnnl_engine_create(&ctx->engine, dnnl_cpu, 0);
    if (s == dnnl_success)
        s = dnnl_stream_create(&ctx->stream, ctx->engine, dnnl_stream_default_flags);
    if (s != dnnl_success) {
        dn_context_free(ctx);
        return hf_fail(e, HF_UNSUPPORTED, "oneDNN: no CPU engine (status %d)", (int)s);
    }
    *ret = ctx;
    return HF_OK;
}

void dn_context_free(struct dn_context *ctx) {
    if (!ctx)
        return;
    if (ctx->stream)
        dnnl_stream_destroy(ctx->stream);
    if (ctx->engine)
        dnnl_engine_destroy(ctx->engine);
    free(ctx);
}

/** The instruction set that oneDNN limits itself to; its names grow with every release. */
static const char *isa_name(void) {
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if (isa == dnnl_cpu_isa_sse41)
        return "sse41";
    if (isa == dnnl_cpu_isa_avx)
        return "avx";
    if (isa == dnnl_cpu_isa_avx2)
        return "avx2";
    if (isa == dnnl_cpu_isa_avx512_core)
        return "avx512_core";
    return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? "avx512_core and more"
                                                                        : "its best";
}

const char *dn_describe(char *text, size_t size) {
    const dnnl_version_t *v = dnnl_version();
    (void)snprintf(text, size, "oneDNN %d.%d.%d on %s%s", v->major, v->minor, v->patch, isa_name(),
                   winograd_wanted() ? "" : ", no Winograd");
    return text;
}

/* ---- memory ---- */

enum hf_status dn_failed(struct hf_error *e, dnnl_status_t s, const char *what, const char *name) {
    return hf_fail(e, s == dnnl_out_of_memory ? HF_NO_MEMORY : HF_UNSUPPORTED,
                   "network layer \"%s\": oneDNN cannot %s (status %d)", name, what, (int)s);
}

dnnl_status_t dn_md_tag(struct md *m, int nd, const dnnl_dim_t *dims, dnnl_format_tag_t tag) {
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t s = dnnl_memory_desc_create_with_tag(&m->desc, nd, dims, dnnl_f32, tag);
#else
    dnnl_status_t s = dnnl_memory_desc_init_by_tag(&m->desc, nd, dims, dnnl_f32, tag);
#endif
    m->set = s == dnnl_success;
    return s;
}

void dn_md_free(struct md *m) {
#if DNNL_VERSION_MAJOR >= 3
    if (m->set)
        dnnl_memory_desc_destroy(m->desc);
#endif
    m->set = 0;
}

/** The parameters' own order, [Co,Ci,k...], which staging brings about where there are taps. */
static dnnl_status_t plain_weight(const struct nn_conv_spec *c, struct md *ret) {
    dnnl_dims_t dims = {c->taps * c->co, c->ci};
    for (int a = 0; a < c->dims; a++)
        dims[2 + a] = c->kernel[3 - c->dims + a];
    return dn_md_tag(ret, 2 + c->dims, dims, c->dims == 2 ? dnnl_abcd : dnnl_abcde);
}

dnnl_status_t dn_reorder_make(struct dn_context *ctx, CONST_MD from, CONST_MD to, int adds,
                              struct reorder *r) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dnnl_memory_create(&r->from, from, ctx->engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&r->to, to, ctx->engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success && adds)
        s = dnnl_primitive_attr_create(&attr);
    if (s == dnnl_success && adds)
        s = dnnl_post_ops_create(&ops);
    if (s == dnnl_success && adds)
        s = APPEND_SUM(ops);
    if (s == dnnl_success && adds)
        s = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (s == dnnl_success)
        s = dnnl_reorder_primitive_desc_create(&pd, from, ctx->engine, to, ctx->engine, attr);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&r->primitive, pd);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (ops)
        dnnl_post_ops_destroy(ops);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s;
}

void dn_reorder_free(struct reorder *r) {
    if (r->from)
        dnnl_memory_destroy(r->from);
    if (r->to)
        dnnl_memory_destroy(r->to);
    if (r->primitive)
        dnnl_primitive_destroy(r->primitive);
}

/* ---- planning ---- */

static enum hf_status plan_pass(struct dn_conv *c, enum nn_pass pass, struct hf_error *e) {
    static const char *const what[NN_PASSES] = {"run this convolution", "run its data gradient",
                                                "run its weight gradient"};
    struct pass *p = &c->pass[pass];
    dnnl_primitive_attr_t attr;
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (s != dnnl_success)
        return dn_failed(e, s, what[pass], c->name);
    s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success)
        s = dn_choose(c, pass, attr);
    dnnl_primitive_attr_destroy(attr);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&p->primitive, p->pd);
    if (s != dnnl_success)
        return dn_failed(e, s, what[pass], c->name);
    p->scratchpad = piece_bytes(dnnl_memory_desc_get_size(dn_query(p, dnnl_query_scratchpad_md)));
    if (pass == NN_BACKWARD_WEIGHTS && c->spec.taps > 1)
        p->staged = piece_bytes((size_t)(dn_stage_weights(&c->spec) + c->spec.taps * c->spec.co) *
                                sizeof(float));
    CONST_MD weight = dn_query(p, pass == NN_BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md
                                                              : dnnl_query_weights_md);
    if (p->parts < 2 && dnnl_memory_desc_equal(weight, MD(c->plain_weight)))
        return HF_OK;
    size_t bytes = piece_bytes(dnnl_memory_desc_get_size(weight));
    if (pass == NN_BACKWARD_WEIGHTS) {
        p->gradient = bytes;
        s = dn_reorder_make(c->ctx, weight, MD(c->plain_weight), 0, &p->reorder);
        if (s == dnnl_success && p->parts > 1)
            s = dn_reorder_make(c->ctx, weight, MD(c->plain_weight), 1, &p->sum);
    } else {
        p->own_weight = aligned_alloc(64, bytes);
        if (!p->own_weight)
            return hf_fail(e, HF_NO_MEMORY, "network layer \"%s\": out of memory", c->name);
        memset(p->own_weight, 0, bytes);
        s = dn_reorder_make(c->ctx, MD(c->plain_weight), weight, 0, &p->reorder);
    }
    return s == dnnl_success ? HF_OK : dn_failed(e, s, "reorder its weights", c->name);
}

enum hf_status dn_conv_new(struct dn_context *ctx, const struct nn_conv_spec *spec,
                           struct dn_conv **ret, struct hf_error *e) {
    struct dn_conv *c = calloc(1, sizeof *c);
    if (!c)
        return hf_fail(e, HF_NO_MEMORY, "network layer \"%s\": out of memory", spec->name);
    c->ctx = ctx;
    c->spec = *spec;
    (void)snprintf(c->name, sizeof c->name, "%s", spec->name);
    c->spec.name = c->name;
    dnnl_status_t made = plain_weight(spec, &c->plain_weight);
    enum hf_status s =
        made == dnnl_success ? HF_OK : dn_failed(e, made, "describe its weights", c->name);
    if (s == HF_OK && spec->taps > 1) {
        c->stage = malloc((size_t)(dn_stage_weights(spec) + spec->taps * spec->co) * sizeof(float));
        if (!c->stage)
            s = hf_fail(e, HF_NO_MEMORY, "network layer \"%s\": out of memory", c->name);
    }
    if (s == HF_OK)
        s = plan_pass(c, NN_FORWARD, e);
    if (s == HF_OK && spec->data_gradient)
        s = plan_pass(c, NN_BACKWARD_DATA, e);
    if (s == HF_OK && spec->train)
        s = plan_pass(c, NN_BACKWARD_WEIGHTS, e);
    if (s != HF_OK) {
        dn_conv_free(c);
        return s;
    }
    *ret = c;
    return HF_OK;
}

static void pass_free(struct pass *p) {
    dnnl_memory_t memory[5] = {p->src, p->dst, p->weight, p->bias, p->scratch};
    for (int i = 0; i < 5; i++)
        if (memory[i])
            dnnl_memory_destroy(memory[i]);
    dn_reorder_free(&p->reorder);
    dn_reorder_free(&p->sum);
    dn_reorder_free(&p->block[0].reorder);
    dn_reorder_free(&p->block[1].reorder);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->pd)
        dnnl_primitive_desc_destroy(p->pd);
    free(p->own_weight);
}

void dn_conv_free(struct dn_conv *c) {
    if (!c)
        return;
    for (int i = NN_PASSES - 1; i >= 0; i--)
        pass_free(&c->pass[i]);
    dn_md_free(&c->plain_weight);
    free(c->stage);
    free(c);
}

size_t dn_conv_scratch(const struct dn_conv *c, enum nn_pass pass) {
    const struct pass *p = &c->pass[pass];
    return p->scratchpad + p->gradient + p->staged + p->blocks;
}

size_t dn_conv_bytes(const struct dn_conv *c) {
    size_t bytes = c->stage ? (size_t)dn_stage_weights(&c->spec) * sizeof(float) : 0;
    for (int i = 0; i < NN_BACKWARD_WEIGHTS; i++)
        if (c->pass[i].own_weight)
            bytes += piece_bytes(
                dnnl_memory_desc_get_size(dn_query(&c->pass[i], dnnl_query_weights_md)));
    return bytes;
}

const char *dn_conv_impl(const struct dn_conv *c, enum nn_pass pass) {
    const char *impl = NULL;
    if (c->pass[pass].pd)
        dnnl_primitive_desc_query(c->pass[pass].pd, dnnl_query_impl_info_str, 0, &impl);
    return impl ? impl : "";
}
