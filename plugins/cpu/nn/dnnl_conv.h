/**
 * dnnl_conv.h - what the files behind dnnl.h share: a convolution as it is planned, and what the
 * releases of oneDNN spell differently.
 */
#ifndef HEPAFLOW_CPU_DNNL_CONV_H
#define HEPAFLOW_CPU_DNNL_CONV_H

#include "dnnl.h"

#include <oneapi/dnnl/dnnl.h>

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

/** Floats of the weights, and of what they are staged in where there are taps. */
static inline int64_t dn_stage_weights(const struct nn_conv_spec *c) {
    return c->taps * c->co * c->ci;
}

/** A descriptor of a pass that was chosen. */
static inline CONST_MD dn_query(const struct pass *p, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(p->pd, what, 0);
}

/** As what oneDNN knows the operands of a pass. */
static inline dnnl_query_t dn_src_md(enum nn_pass pass) {
    return pass == NN_BACKWARD_DATA ? dnnl_query_diff_dst_md : dnnl_query_src_md;
}

static inline dnnl_query_t dn_dst_md(enum nn_pass pass) {
    return pass == NN_FORWARD         ? dnnl_query_dst_md
           : pass == NN_BACKWARD_DATA ? dnnl_query_diff_src_md
                                      : dnnl_query_diff_dst_md;
}

enum hf_status dn_failed(struct hf_error *e, dnnl_status_t s, const char *what, const char *name);

dnnl_status_t dn_md_tag(struct md *m, int nd, const dnnl_dim_t *dims, dnnl_format_tag_t tag);
void dn_md_free(struct md *m);

/** Its memory objects have no data yet. `adds`: to what is there. */
dnnl_status_t dn_reorder_make(struct dn_context *ctx, CONST_MD from, CONST_MD to, int adds,
                              struct reorder *r);
void dn_reorder_free(struct reorder *r);

/** Chooses the implementation of a pass (dnnl_choose.c): its `pd`, and where it runs by Winograd's
 *  algorithm the blocks. */
dnnl_status_t dn_choose(struct dn_conv *c, enum nn_pass pass, dnnl_primitive_attr_t attr);

#endif
