/**
 * dnnl.h - convolutions; the only door to oneDNN.
 *
 * A convolution is planned once (primitives, weight formats, scratch sizes), bound to its buffers
 * once the arena is laid out, and then run. Activations are channels-last and dense, parameters
 * and their gradients in the order of network.h. All calls belong on the executor's thread.
 *
 * A transposed convolution is a 1x1 convolution, see target.h: oneDNN's own is several times
 * slower, above all where it adds a bias.
 */
#ifndef HEPAFLOW_CPU_DNNL_H
#define HEPAFLOW_CPU_DNNL_H

#include "target.h"

struct dn_context;
struct dn_conv;

/** Buffers of a pass: src and dst are x and y, dy and dx, or x and dy; weight is what it reads. */
struct dn_buffers {
    float *src, *dst;
    float *weight, *bias; /* NN_BACKWARD_WEIGHTS: their gradients, written */
    void *scratch;        /* dn_conv_scratch bytes, 64-byte aligned; contents may be lost between */
};

enum hf_status dn_context_new(struct dn_context **ret, struct hf_error *e);
void dn_context_free(struct dn_context *ctx);
/** Writes "oneDNN 2.6.3 on avx512_core" and returns `text`. */
const char *dn_describe(char *text, size_t size);

enum hf_status dn_conv_new(struct dn_context *ctx, const struct nn_conv_spec *spec,
                           struct dn_conv **ret, struct hf_error *e);
void dn_conv_free(struct dn_conv *c);
/** Scratch bytes of a pass, shared freely between passes and convolutions. */
size_t dn_conv_scratch(const struct dn_conv *c, enum nn_pass pass);
/** Bytes that stay allocated: weights in oneDNN's own formats. */
size_t dn_conv_bytes(const struct dn_conv *c);
/** The implementation that oneDNN chose, for tests and traces. */
const char *dn_conv_impl(const struct dn_conv *c, enum nn_pass pass);
enum hf_status dn_conv_bind(struct dn_conv *c, enum nn_pass pass, const struct dn_buffers *b,
                            struct hf_error *e);
/** Brings oneDNN's copies of the weights up to date; after every change of the parameters. */
enum hf_status dn_conv_refresh(struct dn_conv *c, struct hf_error *e);
enum hf_status dn_conv_run(struct dn_conv *c, enum nn_pass pass, struct hf_error *e);

#endif
