/**
 * dnnl.c - convolutions; the only door to oneDNN, 2.6 to 3.x.
 *
 * Activations are NHWC or NDHWC at fixed addresses, so every primitive is created, and its memory
 * objects are bound, once. Weights stay in the formats that oneDNN picks and are reordered when the
 * parameters change. The reference implementations ("ref:any") are orders of magnitude slower than
 * any other; a convolution that has no other is refused with HF_UNSUPPORTED.
 *
 * Where oneDNN has Winograd's algorithm (AVX-512, up to 3.1) it reads and writes blocks of 16
 * channels. A convolution whose shape makes it pay runs in it, a part of the batch at a time, on
 * blocked copies in the scratch. Shapes alone decide, so that the same bits come out every time.
 */
#include "dnnl.h"
#include "winograd.h"

#include <oneapi/dnnl/dnnl.h>

#include <stdlib.h>
#include <string.h>

/* From 3.0 on a memory descriptor is an opaque pointer, and primitive descriptors are made
 * directly. */
#if DNNL_VERSION_MAJOR >= 3
#define MD(m)           ((m).desc)
#define CONST_MD        const_dnnl_memory_desc_t
#define APPEND_SUM(ops) dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef)
#else
#define MD(m)           (&(m).desc)
#define CONST_MD        const dnnl_memory_desc_t *
#define APPEND_SUM(ops) dnnl_post_ops_append_sum(ops, 1.0f)
#endif

struct md {
    dnnl_memory_desc_t desc;
    int set;
};

struct dn_context {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int winograd;
};

struct reorder {
    dnnl_primitive_t primitive;
    dnnl_memory_t from, to;
};

/** One operand of a convolution by Winograd's algorithm. */
struct blocked {
    struct reorder reorder; /* into or out of the blocked copy, of one part of the batch */
    float *data;            /* the whole batch, channels-last */
    size_t offset, stride;  /* of the copy in the scratch; bytes from part to part of `data` */
};

struct pass {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_memory_t src, dst, weight, bias, scratch;
    dnnl_exec_arg_t arg[5];
    int args;
    struct reorder reorder; /* forward, data: of the plain weight; weights: to the plain gradient */
    struct reorder sum;     /* weights: adds to the plain gradient, after the first part */
    float *own_weight;      /* in oneDNN's format; forward and data passes that reorder */
    int64_t parts;          /* of the batch, of equal size; 0: all at once, direct */
    struct blocked block[2]; /* src and dst */
    size_t blocks;           /* bytes of their copies */
    /* Scratch: the scratchpad, the gradient in oneDNN's format, the staged gradient and bias. */
    size_t scratchpad, gradient, staged;
};

struct dn_conv {
    struct dn_context *ctx;
    struct nn_conv_spec spec;
    char name[HF_NET_NAME];
    struct md plain_weight;
    struct pass pass[NN_PASSES];
    /* With several taps: weights [taps][co][ci] and biases [taps][co], and where they come from. */
    float *stage;
    const float *weight, *bias;
    float *weight_gradient, *bias_gradient, *staged_gradient;
};

static int64_t stage_weights(const struct nn_conv_spec *c) {
    return c->taps * c->co * c->ci;
}

static enum hf_status failed(struct hf_error *e, dnnl_status_t s, const char *what,
                             const char *name) {
    return hf_fail(e, s == dnnl_out_of_memory ? HF_NO_MEMORY : HF_UNSUPPORTED,
                   "network layer \"%s\": oneDNN cannot %s (status %d)", name, what, (int)s);
}

static const dnnl_query_t src_md[NN_PASSES] = {dnnl_query_src_md, dnnl_query_diff_dst_md,
                                               dnnl_query_src_md};
static const dnnl_query_t dst_md[NN_PASSES] = {dnnl_query_dst_md, dnnl_query_diff_src_md,
                                               dnnl_query_diff_dst_md};

static size_t round_up(size_t n) {
    return (n + 63) & ~(size_t)63;
}

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

/* ---- memory descriptors ---- */

static void md_free(struct md *m) {
#if DNNL_VERSION_MAJOR >= 3
    if (m->set)
        dnnl_memory_desc_destroy(m->desc);
#endif
    m->set = 0;
}

static dnnl_status_t md_tag(struct md *m, int nd, const dnnl_dim_t *dims, dnnl_format_tag_t tag) {
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t s = dnnl_memory_desc_create_with_tag(&m->desc, nd, dims, dnnl_f32, tag);
#else
    dnnl_status_t s = dnnl_memory_desc_init_by_tag(&m->desc, nd, dims, dnnl_f32, tag);
#endif
    m->set = s == dnnl_success;
    return s;
}

/** What a primitive descriptor wants; the descriptors handed to its maker. */
struct shapes {
    int nd;
    dnnl_alg_kind_t alg;
    struct md src, dst, weight, bias;
    dnnl_dims_t stride, dilation, low, high;
};

static void shapes_free(struct shapes *s) {
    md_free(&s->src);
    md_free(&s->dst);
    md_free(&s->weight);
    md_free(&s->bias);
}

static dnnl_format_tag_t channels_last(const struct nn_conv_spec *c) {
    return c->dims == 2 ? dnnl_nhwc : dnnl_ndhwc;
}

static dnnl_status_t shapes_make(const struct nn_conv_spec *c, int64_t n, dnnl_alg_kind_t alg,
                                 dnnl_format_tag_t src_tag, dnnl_format_tag_t dst_tag,
                                 struct shapes *r) {
    *r = (struct shapes){.nd = 2 + c->dims, .alg = alg};
    int64_t co = c->taps * c->co;
    dnnl_dims_t src = {n, c->ci}, dst = {n, co}, weight = {co, c->ci};
    for (int a = 0; a < c->dims; a++) {
        int from = 3 - c->dims + a;
        src[2 + a] = c->in[from];
        dst[2 + a] = c->out[from];
        weight[2 + a] = c->kernel[from];
        r->stride[a] = c->stride[from];
        r->dilation[a] = c->dilation[from] - 1;
        r->low[a] = c->pad_low[from];
        r->high[a] = c->pad_high[from];
    }
    dnnl_dims_t bias = {co};
    dnnl_status_t s = md_tag(&r->src, r->nd, src, src_tag);
    if (s == dnnl_success)
        s = md_tag(&r->dst, r->nd, dst, dst_tag);
    if (s == dnnl_success)
        s = md_tag(&r->weight, r->nd, weight, dnnl_format_tag_any);
    if (s == dnnl_success && c->bias)
        s = md_tag(&r->bias, 1, bias, dnnl_a);
    return s;
}

/** The parameters' own order, [Co,Ci,k...], which staging brings about where there are taps. */
static dnnl_status_t plain_weight(const struct nn_conv_spec *c, struct md *ret) {
    dnnl_dims_t dims = {c->taps * c->co, c->ci};
    for (int a = 0; a < c->dims; a++)
        dims[2 + a] = c->kernel[3 - c->dims + a];
    return md_tag(ret, 2 + c->dims, dims, c->dims == 2 ? dnnl_abcd : dnnl_abcde);
}

/* ---- choosing an implementation ---- */

static int is_reference(dnnl_primitive_desc_t pd) {
    const char *impl = NULL;
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &impl) != dnnl_success || !impl)
        return 1;
    return strncmp(impl, "ref", 3) == 0;
}

static dnnl_prop_kind_t forward_kind(const struct dn_conv *c) {
    return c->spec.train || c->spec.data_gradient ? dnnl_forward_training : dnnl_forward_inference;
}

#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t first_pd(const struct dn_conv *c, enum nn_pass pass, const struct shapes *s,
                              dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret) {
    dnnl_engine_t engine = c->ctx->engine;
    dnnl_primitive_desc_t hint = c->pass[NN_FORWARD].pd;
    dnnl_prop_kind_t kind = forward_kind(c);
    CONST_MD bias = s->bias.set ? s->bias.desc : NULL;
    if (pass == NN_FORWARD)
        return dnnl_convolution_forward_primitive_desc_create(
            ret, engine, kind, s->alg, s->src.desc, s->weight.desc, bias, s->dst.desc, s->stride,
            s->dilation, s->low, s->high, attr);
    if (pass == NN_BACKWARD_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            ret, engine, s->alg, s->src.desc, s->weight.desc, s->dst.desc, s->stride, s->dilation,
            s->low, s->high, hint, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(
        ret, engine, s->alg, s->src.desc, s->weight.desc, bias, s->dst.desc, s->stride, s->dilation,
        s->low, s->high, hint, attr);
}

/** The first implementation that is not a reference one, if any; else dnnl_unimplemented. */
static dnnl_status_t fast_pd(const struct dn_conv *c, enum nn_pass pass, const struct shapes *s,
                             dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret) {
    dnnl_primitive_desc_t pd;
    dnnl_status_t status = first_pd(c, pass, s, attr, &pd);
    if (status != dnnl_success)
        return status;
    while (is_reference(pd)) {
        status = dnnl_primitive_desc_next_impl(pd);
        if (status != dnnl_success) {
            dnnl_primitive_desc_destroy(pd);
            return dnnl_unimplemented;
        }
    }
    *ret = pd;
    return dnnl_success;
}

#else

static dnnl_status_t describe(const struct dn_conv *c, enum nn_pass pass, const struct shapes *s,
                              dnnl_convolution_desc_t *d) {
    dnnl_prop_kind_t kind = forward_kind(c);
    CONST_MD bias = s->bias.set ? MD(s->bias) : NULL;
    if (pass == NN_FORWARD)
        return dnnl_dilated_convolution_forward_desc_init(d, kind, s->alg, MD(s->src),
                                                          MD(s->weight), bias, MD(s->dst),
                                                          s->stride, s->dilation, s->low, s->high);
    if (pass == NN_BACKWARD_DATA)
        return dnnl_dilated_convolution_backward_data_desc_init(
            d, s->alg, MD(s->src), MD(s->weight), MD(s->dst), s->stride, s->dilation, s->low,
            s->high);
    return dnnl_dilated_convolution_backward_weights_desc_init(d, s->alg, MD(s->src), MD(s->weight),
                                                               bias, MD(s->dst), s->stride,
                                                               s->dilation, s->low, s->high);
}

/** The first implementation that is not a reference one, if any; else dnnl_unimplemented. */
static dnnl_status_t fast_pd(const struct dn_conv *c, enum nn_pass pass, const struct shapes *s,
                             dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret) {
    dnnl_convolution_desc_t d;
    dnnl_status_t status = describe(c, pass, s, &d);
    if (status != dnnl_success)
        return status;
    dnnl_primitive_desc_iterator_t it;
    status =
        dnnl_primitive_desc_iterator_create(&it, &d, attr, c->ctx->engine, c->pass[NN_FORWARD].pd);
    if (status != dnnl_success)
        return status;
    dnnl_primitive_desc_t pd = NULL;
    do {
        if (pd)
            dnnl_primitive_desc_destroy(pd);
        pd = dnnl_primitive_desc_iterator_fetch(it);
    } while (pd && is_reference(pd) &&
             (status = dnnl_primitive_desc_iterator_next(it)) == dnnl_success);
    dnnl_primitive_desc_iterator_destroy(it);
    if (pd && is_reference(pd)) {
        dnnl_primitive_desc_destroy(pd);
        pd = NULL;
    }
    *ret = pd;
    return pd ? dnnl_success : dnnl_unimplemented;
}

#endif

/** Tries every layout, NHWC or NCHW, that names the same memory; a tensor of one channel has two.
 */
static dnnl_status_t choose_pd(struct dn_conv *c, enum nn_pass pass, dnnl_primitive_attr_t attr) {
    dnnl_status_t status = dnnl_unimplemented;
    for (int variant = 0; variant < 4 && !c->pass[pass].pd; variant++) {
        int plain_src = variant & 1, plain_dst = variant >> 1;
        if ((plain_src && c->spec.ci != 1) || (plain_dst && c->spec.taps * c->spec.co != 1))
            continue;
        struct shapes s;
        dnnl_format_tag_t last = channels_last(&c->spec);
        dnnl_format_tag_t plain = c->spec.dims == 2 ? dnnl_nchw : dnnl_ncdhw;
        dnnl_status_t made = shapes_make(&c->spec, c->spec.n, dnnl_convolution_direct,
                                         plain_src ? plain : last, plain_dst ? plain : last, &s);
        if (made == dnnl_success)
            made = fast_pd(c, pass, &s, attr, &c->pass[pass].pd);
        shapes_free(&s);
        if (made != dnnl_unimplemented)
            status = made;
    }
    return status;
}

static CONST_MD query(const struct pass *p, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(p->pd, what, 0);
}

/** Its memory objects have no data yet. */
static dnnl_status_t reorder_make(struct dn_context *ctx, CONST_MD from, CONST_MD to, int adds,
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

/* ---- Winograd's algorithm ---- */

/** Leaves the pass as it was where oneDNN has no such convolution. */
static dnnl_status_t choose_winograd(struct dn_conv *c, enum nn_pass pass,
                                     dnnl_primitive_attr_t attr) {
    struct pass *p = &c->pass[pass];
    int64_t parts = winograd_parts(&c->spec, pass);
    struct shapes s, last;
    dnnl_status_t status = shapes_make(&c->spec, c->spec.n / parts, dnnl_convolution_winograd,
                                       dnnl_nChw16c, dnnl_nChw16c, &s);
    if (status == dnnl_success)
        status = fast_pd(c, pass, &s, attr, &p->pd);
    shapes_free(&s);
    if (status != dnnl_success)
        return dnnl_unimplemented;
    status = shapes_make(&c->spec, c->spec.n / parts, dnnl_convolution_winograd, dnnl_nhwc,
                         dnnl_nhwc, &last);
    for (int i = 0; i < 2 && status == dnnl_success; i++) {
        int is_src = (pass == NN_BACKWARD_DATA) == (i == 1); /* the convolution's, not the pass's */
        int in = i == 0 || pass == NN_BACKWARD_WEIGHTS;
        CONST_MD plain = is_src ? MD(last.src) : MD(last.dst);
        CONST_MD blocked = query(p, i == 0 ? src_md[pass] : dst_md[pass]);
        struct blocked *b = &p->block[i];
        b->stride = dnnl_memory_desc_get_size(plain);
        b->offset = p->blocks;
        p->blocks += round_up(dnnl_memory_desc_get_size(blocked));
        status = reorder_make(c->ctx, in ? plain : blocked, in ? blocked : plain, 0, &b->reorder);
    }
    shapes_free(&last);
    p->parts = parts;
    return status;
}

/* ---- planning ---- */

static enum hf_status plan_pass(struct dn_conv *c, enum nn_pass pass, struct hf_error *e) {
    static const char *const what[NN_PASSES] = {"run this convolution", "run its data gradient",
                                                "run its weight gradient"};
    struct pass *p = &c->pass[pass];
    dnnl_primitive_attr_t attr;
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (s != dnnl_success)
        return failed(e, s, what[pass], c->name);
    s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success) {
        s = c->ctx->winograd && winograd_pays(&c->spec) ? choose_winograd(c, pass, attr)
                                                        : dnnl_unimplemented;
        if (s == dnnl_unimplemented)
            s = choose_pd(c, pass, attr);
    }
    dnnl_primitive_attr_destroy(attr);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&p->primitive, p->pd);
    if (s != dnnl_success)
        return failed(e, s, what[pass], c->name);
    p->scratchpad = round_up(dnnl_memory_desc_get_size(query(p, dnnl_query_scratchpad_md)));
    if (pass == NN_BACKWARD_WEIGHTS && c->spec.taps > 1)
        p->staged =
            round_up((size_t)(stage_weights(&c->spec) + c->spec.taps * c->spec.co) * sizeof(float));
    CONST_MD weight =
        query(p, pass == NN_BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    if (p->parts < 2 && dnnl_memory_desc_equal(weight, MD(c->plain_weight)))
        return HF_OK;
    size_t bytes = round_up(dnnl_memory_desc_get_size(weight));
    if (pass == NN_BACKWARD_WEIGHTS) {
        p->gradient = bytes;
        s = reorder_make(c->ctx, weight, MD(c->plain_weight), 0, &p->reorder);
        if (s == dnnl_success && p->parts > 1)
            s = reorder_make(c->ctx, weight, MD(c->plain_weight), 1, &p->sum);
    } else {
        p->own_weight = aligned_alloc(64, bytes);
        if (!p->own_weight)
            return hf_fail(e, HF_NO_MEMORY, "network layer \"%s\": out of memory", c->name);
        memset(p->own_weight, 0, bytes);
        s = reorder_make(c->ctx, MD(c->plain_weight), weight, 0, &p->reorder);
    }
    return s == dnnl_success ? HF_OK : failed(e, s, "reorder its weights", c->name);
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
        made == dnnl_success ? HF_OK : failed(e, made, "describe its weights", c->name);
    if (s == HF_OK && spec->taps > 1) {
        c->stage = malloc((size_t)(stage_weights(spec) + spec->taps * spec->co) * sizeof(float));
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

static void reorder_free(struct reorder *r) {
    if (r->from)
        dnnl_memory_destroy(r->from);
    if (r->to)
        dnnl_memory_destroy(r->to);
    if (r->primitive)
        dnnl_primitive_destroy(r->primitive);
}

static void pass_free(struct pass *p) {
    dnnl_memory_t memory[5] = {p->src, p->dst, p->weight, p->bias, p->scratch};
    for (int i = 0; i < 5; i++)
        if (memory[i])
            dnnl_memory_destroy(memory[i]);
    reorder_free(&p->reorder);
    reorder_free(&p->sum);
    reorder_free(&p->block[0].reorder);
    reorder_free(&p->block[1].reorder);
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
    md_free(&c->plain_weight);
    free(c->stage);
    free(c);
}

size_t dn_conv_scratch(const struct dn_conv *c, enum nn_pass pass) {
    const struct pass *p = &c->pass[pass];
    return p->scratchpad + p->gradient + p->staged + p->blocks;
}

size_t dn_conv_bytes(const struct dn_conv *c) {
    size_t bytes = c->stage ? (size_t)stage_weights(&c->spec) * sizeof(float) : 0;
    for (int i = 0; i < NN_BACKWARD_WEIGHTS; i++)
        if (c->pass[i].own_weight)
            bytes += round_up(dnnl_memory_desc_get_size(query(&c->pass[i], dnnl_query_weights_md)));
    return bytes;
}

const char *dn_conv_impl(const struct dn_conv *c, enum nn_pass pass) {
    const char *impl = NULL;
    if (c->pass[pass].pd)
        dnnl_primitive_desc_query(c->pass[pass].pd, dnnl_query_impl_info_str, 0, &impl);
    return impl ? impl : "";
}

/* ---- binding and running ---- */

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
    CONST_MD weight = query(p, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    float *plain = b->weight, *bias = b->bias;
    if (c->stage && gradient) {
        c->weight_gradient = b->weight;
        c->bias_gradient = b->bias;
        c->staged_gradient = (float *)((char *)b->scratch + p->scratchpad + p->gradient);
        plain = c->staged_gradient;
        bias = plain + stage_weights(&c->spec);
    } else if (c->stage) {
        c->weight = b->weight;
        c->bias = b->bias;
        plain = c->stage;
        bias = plain + stage_weights(&c->spec);
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
        s = add_arg(c, p, src_id[pass], query(p, src_md[pass]), operand[0], &p->src);
    if (s == dnnl_success)
        s = add_arg(c, p, dst_id[pass], query(p, dst_md[pass]), operand[1], &p->dst);
    if (s == dnnl_success)
        s = add_arg(c, p, gradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, weight, internal,
                    &p->weight);
    if (s == dnnl_success && c->spec.bias && pass != NN_BACKWARD_DATA)
        s = add_arg(c, p, gradient ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS,
                    dnnl_primitive_desc_query_md(
                        p->pd, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 1),
                    bias, &p->bias);
    if (s == dnnl_success && p->scratchpad)
        s = add_arg(c, p, DNNL_ARG_SCRATCHPAD, query(p, dnnl_query_scratchpad_md), b->scratch,
                    &p->scratch);
    return s == dnnl_success ? HF_OK : failed(e, s, "bind its buffers", c->name);
}

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
        c->stage[stage_weights(&c->spec) + o] = c->bias[o % co];
}

static void unstage_gradient(struct dn_conv *c) {
    int64_t taps = c->spec.taps, co = c->spec.co, ci = c->spec.ci;
    const float *weight = c->staged_gradient, *bias = weight + stage_weights(&c->spec);
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
            return failed(e, s, "reorder its weights", c->name);
    }
    return HF_OK;
}

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
        return s == dnnl_success ? HF_OK : failed(e, s, "run", c->name);
    }
    dnnl_status_t s = dnnl_primitive_execute(p->primitive, c->ctx->stream, p->args, p->arg);
    if (s == dnnl_success && pass == NN_BACKWARD_WEIGHTS && p->reorder.primitive)
        s = run_reorder(c, &p->reorder);
    if (s == dnnl_success && pass == NN_BACKWARD_WEIGHTS && c->stage)
        unstage_gradient(c);
    return s == dnnl_success ? HF_OK : failed(e, s, "run", c->name);
}
