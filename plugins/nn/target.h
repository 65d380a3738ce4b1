/**
 * target.h - what the lowering of networks asks of a device.
 *
 * Activations are channels-last: channel c of voxel s of sample n is element
 * (n * S + s) * step + c of its tensor. What an element is (float32, bfloat16) is the device's
 * choice; statistics, parameters and losses are float32.
 */
#ifndef HEPAFLOW_NN_TARGET_H
#define HEPAFLOW_NN_TARGET_H

#include <hepaflow/network.h>

enum nn_pass {
    NN_FORWARD,
    NN_BACKWARD_DATA,
    NN_BACKWARD_WEIGHTS,
    NN_PASSES
};

/**
 * A convolution over dense tensors. A transposed convolution whose kernel is its stride is a 1x1
 * convolution to `taps` times its channels, tap by tap, that a step then spreads over the voxels.
 */
struct nn_conv_spec {
    const char *name; /* for messages; copied into them only */
    int32_t dims;
    int32_t taps; /* of a transposed convolution, with weights [ci][co][taps]; else 1 */
    int32_t bias;
    int32_t train;         /* plan NN_BACKWARD_WEIGHTS */
    int32_t data_gradient; /* plan NN_BACKWARD_DATA */
    int64_t n, ci, co;     /* taps * co channels leave the convolution */
    int64_t in[3], out[3];
    int32_t kernel[3], stride[3], dilation[3];
    int64_t pad_low[3], pad_high[3];
};

/** A device's answers. A convolution is an object of the device's own. */
struct nn_target {
    void *context;  /* of conv_new */
    size_t element; /* bytes of an element of an activation */
    size_t align;   /* the sizes of blocks become multiples of it; 1: as they are */
    enum hf_status (*conv_new)(void *context, const struct nn_conv_spec *spec, void **ret,
                               struct hf_error *e);
    void (*conv_free)(void *conv); /* NULL is allowed */
    /** Scratch bytes, of a pass of a convolution, of a normalisation, of the loss; 0: none. */
    size_t (*conv_scratch)(const void *conv, enum nn_pass pass);
    size_t (*norm_scratch)(int64_t n, int64_t s, int64_t c);
    size_t (*bias_scratch)(int64_t rows, int64_t c); /* of the gradient of a SCALE's bias */
    size_t (*loss_scratch)(int64_t n, int64_t s, int64_t c);
};

#endif
