/**
 * conv.h - convolutions of the CUDA device; the only door to cuDNN.
 *
 * A convolution is planned once, for one problem and one stream's context, and then run any number
 * of times: cv_conv_run only enqueues, so it may be captured into a CUDA graph, but only once every
 * pass has run outside of a capture (CUDA loads kernels at their first launch). It must outlive
 * what captured it. All tensors are dense and channels-last: x [n][in...][ci], y [n][out...][co],
 * w [co][kernel...][ci]; D stands first and is left out, being 1, where dims = 2. All pointers are
 * device memory, 16-byte aligned.
 *
 * Elements: float32 with F32 and TF32; bfloat16 with BF16, the bias and dw among them (cuDNN has no
 * precompiled engines for anything else), while all sums are float32.
 *
 * A transposed convolution whose kernel is its stride is a convolution turned round: plan one from
 * its large output (in) to its small input (out), with weights [ci][kernel...][co] in its own
 * terms; CV_DATA is then its forward pass, CV_FORWARD its data gradient, and CV_WEIGHTS its weight
 * gradient with x the gradient of its output and y its input. Set no bias: CV_DATA adds none.
 *
 * The same problem on the same GPU has the same bits, run after run: engines are deterministic, and
 * which one was found to be the fastest is remembered in a file (struct cv_choices).
 */
#ifndef HEPAFLOW_CUDA_CONV_H
#define HEPAFLOW_CUDA_CONV_H

#include <string.h>

#include <hepaflow/plugin.h>

#include "../../nn/target.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cv_choices;
struct cv_context;
struct cv_conv;

enum cv_pass {
    CV_FORWARD, /* y = w * x (+ bias) */
    CV_DATA,    /* dx of dy and w */
    CV_WEIGHTS, /* dw of x and dy */
    CV_PASSES
};

struct cv_spec {
    const char *name;            /* of the layer, for messages; copied */
    enum hf_precision precision; /* not AUTO */
    int32_t dims;                /* 2 or 3 */
    int32_t bias;                /* CV_FORWARD may add it: see cv_adds_bias */
    uint32_t passes;             /* bits 1u << CV_...: what is planned */
    int64_t n, ci, co;
    /* Triples are in the order D, H, W. pad_high may be negative, as hf_layer_conv_pad's. */
    int64_t in[3], out[3];
    int32_t kernel[3], stride[3], dilation[3];
    int64_t pad_low[3], pad_high[3];
};

/** What the lowering asks for. The bias of a transposed convolution is not the convolution's. */
static inline struct cv_spec cv_spec_of(const struct nn_conv_spec *s, enum hf_precision precision) {
    struct cv_spec spec;
    memset(&spec, 0, sizeof spec);
    spec.name = s->name;
    spec.precision = precision;
    spec.dims = s->dims;
    spec.bias = s->bias && s->taps == 1;
    spec.passes = 1u << CV_FORWARD;
    spec.passes |= s->data_gradient ? 1u << CV_DATA : 0;
    spec.passes |= s->train ? 1u << CV_WEIGHTS : 0;
    spec.n = s->n;
    spec.ci = s->ci;
    spec.co = s->taps * s->co;
    for (int a = 0; a < 3; a++) {
        spec.in[a] = s->in[a];
        spec.out[a] = s->out[a];
        spec.kernel[a] = s->kernel[a];
        spec.stride[a] = s->stride[a];
        spec.dilation[a] = s->dilation[a];
        spec.pad_low[a] = s->pad_low[a];
        spec.pad_high[a] = s->pad_high[a];
    }
    return spec;
}

/** The operands of a pass. What the pass makes is overwritten; what it has no use for is ignored.
 */
struct cv_buffers {
    void *x;          /* CV_DATA: dx, made */
    void *w;          /* CV_WEIGHTS: dw, made */
    void *y;          /* CV_FORWARD: made; else dy, read */
    const void *bias; /* [co], of the type of x: CV_FORWARD where cv_adds_bias */
    void *workspace;  /* cv_workspace bytes; contents may be lost between runs */
};

/**
 * The engines chosen so far: one for each device, shared by its contexts, from any thread. They are
 * remembered in <cache>/hepaflow/cudnn.txt, <cache> being $XDG_CACHE_HOME or ~/.cache. Where that
 * cannot be written, or HEPAFLOW_CUDNN_TIMING=0 stands in the environment, nothing is timed or
 * remembered: the heuristics' first engine is taken, which has the same bits in every run as well.
 */
enum hf_status cv_choices_new(const struct hf_host *host, struct cv_choices **ret,
                              struct hf_error *e);
void cv_choices_free(struct cv_choices *choices);

/**
 * A cuDNN handle on the calling thread's current device, for work on `stream` (a cudaStream_t). One
 * thread at a time uses a context and its convolutions, with that device current. The context must
 * outlive its convolutions, and the choices their contexts.
 */
enum hf_status cv_context_new(struct cv_choices *choices, void *stream, struct cv_context **ret,
                              struct hf_error *e);
void cv_context_free(struct cv_context *ctx);
/** Writes "cuDNN 9.19.0" (the library that is loaded) and returns `text`. */
const char *cv_describe(char *text, size_t size);

/**
 * Plans all passes of `spec`; may time engines on the stream and then waits for it, so not within a
 * capture. HF_UNSUPPORTED where no engine runs the problem in that precision.
 */
enum hf_status cv_conv_new(struct cv_context *ctx, const struct cv_spec *spec, struct cv_conv **ret,
                           struct hf_error *e);
void cv_conv_free(struct cv_conv *c);
/** Workspace bytes of a pass (at most 256 MiB), shared freely between passes and convolutions. */
size_t cv_workspace(const struct cv_conv *c, enum cv_pass pass);
/** 1 if CV_FORWARD adds the bias; 0: the caller does, afterwards. */
int cv_adds_bias(const struct cv_conv *c);
/** The engine of a pass, as "eng34_k2=1_k5=0", for tests and traces; "" if it is not planned. */
const char *cv_engine(const struct cv_conv *c, enum cv_pass pass);
/** Enqueues a pass on the context's stream. */
enum hf_status cv_conv_run(struct cv_conv *c, enum cv_pass pass, const struct cv_buffers *b,
                           struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
