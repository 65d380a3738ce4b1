/**
 * dnnl_choose.c - which of oneDNN's implementations a convolution runs in.
 *
 * The reference implementations ("ref:any") are orders of magnitude slower than any other; a
 * convolution that has no other is refused with HF_UNSUPPORTED.
 *
 * Where oneDNN has Winograd's algorithm (AVX-512, up to 3.1) it reads and writes blocks of 16
 * channels. A convolution whose shape makes it pay runs in it, a part of the batch at a time, on
 * blocked copies in the scratch. Shapes alone decide, so that the same bits come out every time.
 */
#include "dnnl_conv.h"

#include <string.h>

#include "../../ops/pieces.h"
#include "winograd.h"

/* ---- what is asked for ---- */

/** What a primitive descriptor wants; the descriptors handed to its maker. */
struct shapes {
    int nd;
    dnnl_alg_kind_t alg;
    struct md src, dst, weight, bias;
    dnnl_dims_t stride, dilation, low, high;
};

static void shapes_free(struct shapes *s) {
    dn_md_free(&s->src);
    dn_md_free(&s->dst);
    dn_md_free(&s->weight);
    dn_md_free(&s->bias);
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
    dnnl_status_t s = dn_md_tag(&r->src, r->nd, src, src_tag);
    if (s == dnnl_success)
        s = dn_md_tag(&r->dst, r->nd, dst, dst_tag);
    if (s == dnnl_success)
        s = dn_md_tag(&r->weight, r->nd, weight, dnnl_format_tag_any);
    if (s == dnnl_success && c->bias)
        s = dn_md_tag(&r->bias, 1, bias, dnnl_a);
    return s;
}

/* ---- implementations ---- */

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
        CONST_MD blocked = dn_query(p, i == 0 ? dn_src_md(pass) : dn_dst_md(pass));
        struct blocked *b = &p->block[i];
        b->stride = dnnl_memory_desc_get_size(plain);
        b->offset = p->blocks;
        p->blocks += piece_bytes(dnnl_memory_desc_get_size(blocked));
        status =
            dn_reorder_make(c->ctx, in ? plain : blocked, in ? blocked : plain, 0, &b->reorder);
    }
    shapes_free(&last);
    p->parts = parts;
    return status;
}

dnnl_status_t dn_choose(struct dn_conv *c, enum nn_pass pass, dnnl_primitive_attr_t attr) {
    dnnl_status_t s = dnnl_unimplemented;
    if (c->ctx->winograd && winograd_pays(&c->spec))
        s = choose_winograd(c, pass, attr);
    return s == dnnl_unimplemented ? choose_pd(c, pass, attr) : s;
}
