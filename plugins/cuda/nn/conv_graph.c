/**
 * conv_graph.c - a convolution's passes as operation graphs of cuDNN.
 *
 * Tensors are described channels-last by their strides, in the order N, C, (D,) H, W that cuDNN
 * wants whatever the layout. A post-padding that hf_layer_conv_pad made negative becomes 0: the
 * number of windows is rounded down, so that they end where they did.
 */
#include "conv_cudnn.h"

#include <stdbool.h>

#define MAX_ND 5

/** Makes descriptors until the first failure, which it keeps. */
struct builder {
    const struct cv_spec *spec;
    struct cv_graph *g;
    cudnnStatus_t status;
};

static cudnnBackendDescriptor_t make(struct builder *b, cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t d = NULL;
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->status = cudnnBackendCreateDescriptor(type, &d);
    if (b->status != CUDNN_STATUS_SUCCESS)
        return NULL;
    b->g->item[b->g->items++] = d;
    return d;
}

static void set(struct builder *b, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->status = cudnnBackendSetAttribute(d, name, type, count, values);
}

static void set_descriptor(struct builder *b, cudnnBackendDescriptor_t d,
                           cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value) {
    set(b, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finish(struct builder *b, cudnnBackendDescriptor_t d) {
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->status = cudnnBackendFinalize(d);
}

/** A dense tensor [n][spatial...][c]; `axes` holds D, H, W. */
static cudnnBackendDescriptor_t tensor(struct builder *b, enum cv_uid uid, cudnnDataType_t type,
                                       int64_t n, int64_t c, const int64_t axes[3]) {
    int64_t nd = 2 + b->spec->dims, id = uid, alignment = 16, dims[MAX_ND] = {n, c};
    int64_t strides[MAX_ND] = {0, 1}, step = c;
    for (int64_t i = nd - 1; i >= 2; i--) {
        dims[i] = axes[3 - (nd - i)];
        strides[i] = step;
        step *= dims[i];
    }
    strides[0] = step;
    bool is_virtual = uid == CV_UID_SUM;
    cudnnBackendDescriptor_t d = make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(b, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(b, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(b, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, nd, dims);
    set(b, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, nd, strides);
    set(b, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    finish(b, d);
    return d;
}

static cudnnBackendDescriptor_t convolution(struct builder *b) {
    const struct cv_spec *s = b->spec;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    int64_t dims = s->dims, low[3], high[3], stride[3], dilation[3];
    for (int a = 0; a < s->dims; a++) {
        int from = 3 - s->dims + a;
        low[a] = s->pad_low[from];
        high[a] = s->pad_high[from] > 0 ? s->pad_high[from] : 0;
        stride[a] = s->stride[from];
        dilation[a] = s->dilation[from];
    }
    cudnnBackendDescriptor_t d = make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    set(b, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(b, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(b, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, dims, low);
    set(b, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, dims, high);
    set(b, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, dims, stride);
    set(b, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dims, dilation);
    finish(b, d);
    return d;
}

/** The names of a pass's operation and its attributes. */
static const struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
} operations[CV_PASSES] = {
    [CV_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [CV_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [CV_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

static cudnnBackendDescriptor_t operation(struct builder *b, enum cv_pass pass,
                                          cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t w,
                                          cudnnBackendDescriptor_t y) {
    double alpha = 1, beta = 0;
    cudnnBackendDescriptor_t c = convolution(b), d = make(b, operations[pass].type);
    set_descriptor(b, d, operations[pass].convolution, c);
    set_descriptor(b, d, operations[pass].x, x);
    set_descriptor(b, d, operations[pass].w, w);
    set_descriptor(b, d, operations[pass].y, y);
    set(b, d, operations[pass].alpha, CUDNN_TYPE_DOUBLE, 1, &alpha);
    set(b, d, operations[pass].beta, CUDNN_TYPE_DOUBLE, 1, &beta);
    finish(b, d);
    return d;
}

static cudnnBackendDescriptor_t addition(struct builder *b, cudnnBackendDescriptor_t sum,
                                         cudnnBackendDescriptor_t bias,
                                         cudnnBackendDescriptor_t y) {
    cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t add = make(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(b, add, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(b, add, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    finish(b, add);
    cudnnBackendDescriptor_t d = make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, add);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, sum);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finish(b, d);
    return d;
}

static void build(struct builder *b, enum cv_pass pass, int fused, cudnnHandle_t handle) {
    const struct cv_spec *s = b->spec;
    cudnnDataType_t type =
        s->precision == HF_PRECISION_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const int64_t kernel[3] = {s->kernel[0], s->kernel[1], s->kernel[2]}, one[3] = {1, 1, 1};
    cudnnBackendDescriptor_t x = tensor(b, CV_UID_X, type, s->n, s->ci, s->in);
    cudnnBackendDescriptor_t w = tensor(b, CV_UID_W, type, s->co, s->ci, kernel);
    cudnnBackendDescriptor_t y = tensor(b, CV_UID_Y, type, s->n, s->co, s->out), ops[2];
    if (fused) {
        cudnnBackendDescriptor_t bias = tensor(b, CV_UID_BIAS, type, 1, s->co, one);
        cudnnBackendDescriptor_t sum = tensor(b, CV_UID_SUM, CUDNN_DATA_FLOAT, s->n, s->co, s->out);
        ops[0] = operation(b, pass, x, w, sum);
        ops[1] = addition(b, sum, bias, y);
    } else {
        ops[0] = operation(b, pass, x, w, y);
    }
    b->g->graph = make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(b, b->g->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, fused ? 2 : 1,
        ops);
    if (handle) /* needed before cuDNN 9.8 */
        set(b, b->g->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    finish(b, b->g->graph);
    b->g->fused = fused;
}

enum hf_status cv_graph_new(const struct cv_spec *spec, enum cv_pass pass, int fused,
                            cudnnHandle_t handle, struct cv_graph *ret, struct hf_error *e) {
    struct cv_graph g = {.items = 0};
    struct builder b = {spec, &g, CUDNN_STATUS_SUCCESS};
    build(&b, pass, fused, handle);
    if (b.status != CUDNN_STATUS_SUCCESS) {
        enum hf_status st = cv_failed(spec, pass, b.status, "describe this convolution", e);
        cv_graph_free(&g);
        return st;
    }
    *ret = g;
    return HF_OK;
}

void cv_graph_free(struct cv_graph *g) {
    while (g->items)
        cudnnBackendDestroyDescriptor(g->item[--g->items]);
    g->graph = NULL;
}

/* ---- messages ---- */

static void axes_text(const struct cv_spec *s, const int32_t *axes, char *text, size_t size) {
    size_t used = 0;
    for (int a = 3 - s->dims; a < 3 && used < size; a++)
        used += (size_t)snprintf(text + used, size - used, used ? "x%d" : "%d", axes[a]);
}

static void sizes_text(const struct cv_spec *s, const int64_t *axes, char *text, size_t size) {
    size_t used = 0;
    for (int a = 3 - s->dims; a < 3 && used < size; a++)
        used +=
            (size_t)snprintf(text + used, size - used, used ? "x%lld" : "%lld", (long long)axes[a]);
}

const char *cv_problem(const struct cv_spec *s, enum cv_pass pass, char text[CV_PROBLEM]) {
    static const char *const passes[] = {"forward", "data gradient", "weight gradient"};
    char in[40], out[40], kernel[40], stride[40], dilation[40], low[40], high[40];
    sizes_text(s, s->in, in, sizeof in);
    sizes_text(s, s->out, out, sizeof out);
    axes_text(s, s->kernel, kernel, sizeof kernel);
    axes_text(s, s->stride, stride, sizeof stride);
    axes_text(s, s->dilation, dilation, sizeof dilation);
    sizes_text(s, s->pad_low, low, sizeof low);
    sizes_text(s, s->pad_high, high, sizeof high);
    (void)snprintf(text, CV_PROBLEM,
                   "%s%s %s %dD %lldx%lldx%s to %lldx%s, kernel %s, stride %s, dilation %s, "
                   "padding %s before, %s after",
                   passes[pass], pass == CV_FORWARD && s->bias ? " with bias" : "",
                   hf_precision_name(s->precision), s->dims, (long long)s->n, (long long)s->ci, in,
                   (long long)s->co, out, kernel, stride, dilation, low, high);
    return text;
}

enum hf_status cv_failed(const struct cv_spec *spec, enum cv_pass pass, cudnnStatus_t s,
                         const char *what, struct hf_error *e) {
    char why[512] = "", problem[CV_PROBLEM];
    cudnnGetLastErrorString(why, sizeof why);
    why[sizeof why - 1] = 0;
    for (char *c = why; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    enum hf_status st = HF_UNSUPPORTED;
    if (CUDNN_STATUS_CATEGORY(s) == CUDNN_STATUS_BAD_PARAM)
        st = HF_INVALID;
    else if (s == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
             s == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
        st = HF_NO_MEMORY;
    return hf_fail(e, st, "network layer \"%s\": cuDNN cannot %s: %s%s%s (%s)", spec->name, what,
                   cudnnGetErrorString(s), *why ? ", " : "", why, cv_problem(spec, pass, problem));
}
