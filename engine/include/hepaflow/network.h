/**
 * network.h - networks as descriptions, and the executables that a device compiles from them.
 *
 * A network plugin writes a description: a list of layers, each naming earlier layers as inputs.
 * A device compiles a description for a batch shape and a mode into an executable. Descriptions are
 * plain data, without pointers to code: they travel in checkpoints (as JSON) and between devices.
 *
 * Shapes: activations are [N,C,D,H,W] at every boundary, C-contiguous float32; a 2D network has
 * dims = 2 and requires D = 1. What layout a device uses inside is its own matter. Parameters are
 * float32: convolution weights [Co,Ci,kD,kH,kW], transposed convolution weights [Ci,Co,kD,kH,kW]
 * (as PyTorch's), with the kD axis left out when dims = 2; bias, scale and shift are [C].
 */
#ifndef HEPAFLOW_NETWORK_H
#define HEPAFLOW_NETWORK_H

#include <hepaflow/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_NET_MAX_INPUTS 4
#define HF_NET_NAME       48

/**
 * Layer kinds. C is the number of channels that leaves the layer.
 * INPUT      the batch; `channels` C.
 * CONV       y = W * x + b. `kernel`, `stride`, `dilation` per spatial axis; padding keeps
 *            size ceil(in / stride), see hf_layer_conv_pad.
 * DECONV     transposed convolution, kernel = stride (out = in * stride), no padding.
 * NORM       instance normalisation over the spatial axes, per sample and channel:
 *            y = (x - mean) / sqrt(var + epsilon) * scale + shift (biased variance).
 * ACT        pointwise `act`.
 * GATE       input [2C]: y = x[0:C] * sigmoid(x[C:2C]).
 * POOL       max pooling, kernel = stride = `stride`.
 * UP         nearest-neighbour upsampling by `stride`.
 * CONCAT     channels of all inputs, in order.
 * ADD        sum of two inputs of one shape.
 * MASK       one channel: 1 where input channel `channel` is above 0, else 0; with `invert`, 1
 *            where it is not. No gradient.
 * WINDOW     of a map of one channel: voxels of a convolution's window over those in which the map
 *            is above 0, 0 where there are none. `kernel`, `stride`, `dilation`, `pad` as CONV's;
 *            zero padding is not above 0. No gradient.
 * SCALE      input [C] and a map r of one channel, made by MASK or WINDOW (and POOL or UP of such):
 *            y = r x, plus the bias where r > 0.
 * TAKE       `channels` channels of the INPUT, from `channel` on.
 *
 * Together MASK to SCALE make a partial convolution (Liu et al., ECCV 2018), where m is the mask of
 * what is known: y = W * (m x) window / (sum of m in the window) + b where that sum is above 0,
 * else 0; the mask behind it is 1 where the sum is above 0: SCALE by m, CONV without bias, SCALE by
 * WINDOW(m) with the bias, and MASK of WINDOW(m).
 */
enum hf_layer_kind {
    HF_LAYER_INPUT,
    HF_LAYER_CONV,
    HF_LAYER_DECONV,
    HF_LAYER_NORM,
    HF_LAYER_ACT,
    HF_LAYER_GATE,
    HF_LAYER_POOL,
    HF_LAYER_UP,
    HF_LAYER_CONCAT,
    HF_LAYER_ADD,
    HF_LAYER_MASK,
    HF_LAYER_WINDOW,
    HF_LAYER_SCALE,
    HF_LAYER_TAKE,
    HF_LAYER_KINDS
};

enum hf_act {
    HF_ACT_NONE,
    HF_ACT_RELU,
    HF_ACT_LEAKY, /* slope on the negative side */
    HF_ACT_SIGMOID,
    HF_ACT_TANH,
    HF_ACTS
};

enum hf_pad {
    HF_PAD_ZERO,
    HF_PAD_REFLECT, /* mirror without repeating the border voxel */
    HF_PADS
};

/** Spatial triples are in the order D, H, W; D entries are 1 when dims = 2. */
struct hf_layer {
    enum hf_layer_kind kind;
    char name[HF_NET_NAME]; /* unique in the network; names its parameters: "<name>.weight" ... */
    int32_t inputs;
    int32_t input[HF_NET_MAX_INPUTS]; /* indices of earlier layers */
    int32_t channels;                 /* that leave the layer */
    int32_t kernel[3], stride[3], dilation[3];
    enum hf_pad pad;
    enum hf_act act;
    float slope;   /* LEAKY */
    float epsilon; /* NORM */
    int32_t bias;  /* CONV, DECONV: has a bias; NORM: has scale and shift; SCALE: a bias */
    /**
     * Deep supervision: above 0, the losses are also taken of this layer's output z', as of a head,
     * times this. Target and weight are brought to its grid by taking the voxel at the middle of
     * each block (index b / 2 of a block of b voxels); its size divides the output's, its channels
     * are the output's. Not of the output itself, nor of the INPUT. FORWARD leaves such layers out
     * unless the output needs them.
     */
    float supervise;
    int32_t channel, invert; /* MASK; TAKE: `channel` */
};

/** A network: layers in topological order; layer 0 is the INPUT, the last one is the output. */
struct hf_net {
    int32_t dims; /* 2 or 3 */
    int32_t layers;
    int32_t capacity;
    struct hf_layer *layer; /* owned by the engine; add through hf_net_add */
};

/** Output size of a CONV axis (0 to 2: D, H, W) of `in` voxels. */
static inline int64_t hf_layer_conv_size(const struct hf_layer *l, int axis, int64_t in) {
    return (in + l->stride[axis] - 1) / l->stride[axis];
}

/**
 * Padding of a CONV axis of `in` voxels. With k = dilation * (kernel - 1) + 1 and stride s: low =
 * (k - s + 1) / 2, at least 0, and with s = 1 half of k - 1, rounded down; high is what the last
 * window still needs, negative where the kernel is shorter than the stride.
 */
static inline void hf_layer_conv_pad(const struct hf_layer *l, int axis, int64_t in,
                                     int64_t *ret_low, int64_t *ret_high) {
    int64_t s = l->stride[axis], k = (int64_t)l->dilation[axis] * (l->kernel[axis] - 1) + 1;
    int64_t low = s == 1 ? (k - 1) / 2 : (k > s ? (k - s + 1) / 2 : 0);
    *ret_low = low;
    *ret_high = (hf_layer_conv_size(l, axis, in) - 1) * s + k - in - low;
}

/** One parameter tensor of a network, in the order of the layers. */
struct hf_param {
    char name[HF_NET_NAME + 16]; /* "<layer>.weight", ".bias", ".scale", ".shift" */
    int32_t layer;
    int32_t ndim;
    int64_t shape[HF_MAX_DIMS];
    int64_t count;
    int64_t offset; /* in floats, into the flat parameter vector */
};

/* ---- losses and optimisers: what `train` appends to a description ---- */

/**
 * Losses over the output z [N,C,D,H,W], target t of the same shape, weight w [N,1,D,H,W] (1 where
 * none is given); sums run over all voxels, W = sum of w (at least 1e-6).
 * L1     sum w |z - t| / (C W)
 * BCE    on logits: sum w (p t softplus(-z) + (1 - t) softplus(z)) / (C W), p = pos_weight
 * CE     C >= 2: softmax cross-entropy, t one-hot (or soft) over channels: -sum w t log q / W;
 *        C = 1: BCE with pos_weight 1.
 * DICE   soft Dice over the batch: q = softmax(z), channel 0 left out, for C >= 2, sigmoid(z) for
 *        C = 1; 1 - mean over channels of (2 sum w q t + e) / (sum w q + sum w t + e), e = 1.
 * FOCAL  (Lin et al., ICCV 2017) on logits, each channel for itself, q = sigmoid(z):
 *        sum w (p t (1 - q)^g softplus(-z) + (1 - t) q^g softplus(z)) / (C W), g = gamma,
 *        p = pos_weight.
 * TVERSKY (Salehi et al., MLMI 2017) with DICE's q, channels and e: 1 - mean over channels of
 *        (sum w q t + e) / (sum w q t + a sum w q (1 - t) + b sum w (1 - q) t + e), a = alpha
 *        (false positives), b = beta (false negatives).
 * A term may be restricted to a range of channels; C, softmax and "channel 0" are then those of the
 * range. Terms may be of one kind, and ranges may overlap.
 */
enum hf_loss_kind {
    HF_LOSS_L1,
    HF_LOSS_BCE,
    HF_LOSS_CE,
    HF_LOSS_DICE,
    HF_LOSS_FOCAL,
    HF_LOSS_TVERSKY,
    HF_LOSS_KINDS
};

struct hf_loss_term {
    enum hf_loss_kind kind;
    float factor;
    float pos_weight;        /* BCE, FOCAL */
    float gamma;             /* FOCAL */
    float alpha, beta;       /* TVERSKY */
    int32_t first, channels; /* the channels that it looks at; channels 0: all from `first` on */
};

#define HF_MAX_LOSS_TERMS 4

enum hf_optimizer_kind {
    HF_OPT_ADAM,
    HF_OPT_SGD,
    HF_OPT_ADAMW, /* Loshchilov and Hutter, ICLR 2019: x -= rate * weight_decay * x, beside Adam */
    HF_OPTS
};

struct hf_optimizer {
    enum hf_optimizer_kind kind;
    float beta1, beta2, epsilon; /* ADAM, ADAMW */
    float momentum;              /* SGD */
    int32_t nesterov;            /* SGD */
    float weight_decay;          /* ADAM, SGD: L2, added to the gradient */
    float clip;                  /* global gradient norm; 0 = off */
    /** Decay d in [0, 1) of an average of the parameters; 0 = off. It starts at those that
     * set_params sets; after step n from there (n from 1) a = d' a + (1 - d') x, d' = min(d, (1 +
     * n) / (10 + n)), so that the start is soon forgotten (the warm-up of TensorFlow's
     * ExponentialMovingAverage). */
    float average;
};

enum hf_exec_mode {
    HF_EXEC_FORWARD,
    HF_EXEC_TRAIN
};

/**
 * Arithmetic inside an executable; its boundary (input, output, parameters, loss) is float32
 * always. A device without the precision that is asked for answers HF_UNSUPPORTED.
 */
enum hf_precision {
    /** The device's choice: BF16 on a GPU that has it, else F32. */
    HF_PRECISION_AUTO,
    /** float32 throughout. */
    HF_PRECISION_F32,
    /** Convolutions may round their operands to 10 bits of mantissa; the rest is float32. */
    HF_PRECISION_TF32,
    /** Activations and the operands of convolutions are bfloat16; sums, statistics, losses, the
     *  parameters that the optimiser updates and its state are float32. */
    HF_PRECISION_BF16,
    HF_PRECISIONS
};

/** The word of a precision in graphs and messages. */
static inline const char *hf_precision_name(enum hf_precision p) {
    static const char *const name[HF_PRECISIONS] = {"auto", "f32", "tf32", "bf16"};
    return name[p];
}

/** What a description is compiled for. */
struct hf_exec_spec {
    enum hf_exec_mode mode;
    enum hf_precision precision;
    int64_t shape[5]; /* N, C, D, H, W of the input batch; fixed */
    int32_t loss_terms;
    struct hf_loss_term loss[HF_MAX_LOSS_TERMS]; /* TRAIN */
    struct hf_optimizer optimizer;               /* TRAIN */
    /** TRAIN: only parameters of layers whose name begins with this are updated; "": all. Of the
     *  others no gradient is computed, so that the clipped norm is of these alone. */
    char trained[HF_NET_NAME];
};

struct hf_executable;

/**
 * The executable's methods. One executable is used from one thread at a time; calls return when
 * the work is enqueued, on the queue that it was compiled for and behind the inputs' events. The
 * caller keeps all tensors that it handed in until the output's event, also after an error. All
 * outputs get their `ready` event. Errors: HF_UNSUPPORTED for a layer that the device lacks.
 */
struct hf_executable_methods {
    uint32_t size; /* of this table */
    void (*destroy)(struct hf_executable *x);
    /** Copies the flat parameter vector (params.offset order, host memory) in or out. Setting them
     *  starts the average anew, and leaves the optimiser's state. */
    enum hf_status (*set_params)(struct hf_executable *x, const float *params, struct hf_error *e);
    enum hf_status (*get_params)(struct hf_executable *x, float *params, struct hf_error *e);
    /** output = net(input); both [N,C,D,H,W] float32 on the executable's device. */
    enum hf_status (*forward)(struct hf_executable *x, const struct hf_tensor *input,
                              struct hf_tensor *output, struct hf_error *e);
    /**
     * One optimisation step: forward, loss, backward, clip, update with learning rate `rate`.
     * `weight` may be NULL. `loss` is f32 [1 + loss_terms] on the device: the total, then each term
     * of the output, before its factor. The total is the sum of factor times term of the output
     * and, times their `supervise`, of the supervised layers. Mode TRAIN only.
     */
    enum hf_status (*step)(struct hf_executable *x, const struct hf_tensor *input,
                           const struct hf_tensor *target, const struct hf_tensor *weight,
                           float rate, struct hf_tensor *loss, struct hf_error *e);
    /** The loss that `step` would report, supervised layers and all, without an update
     *  (validation). Mode TRAIN only. */
    enum hf_status (*evaluate)(struct hf_executable *x, const struct hf_tensor *input,
                               const struct hf_tensor *target, const struct hf_tensor *weight,
                               struct hf_tensor *loss, struct hf_error *e);
    /** Gradients of the last step before clipping, flat, to host memory (tests); 0 of parameters
     *  that are not updated. */
    enum hf_status (*get_gradients)(struct hf_executable *x, float *grads, struct hf_error *e);
    /** Peak bytes of the activation arena and of everything. */
    void (*memory)(const struct hf_executable *x, size_t *ret_arena, size_t *ret_total);
    /** The average that `optimizer.average` asks for, as get_params. HF_INVALID without one. */
    enum hf_status (*get_average)(struct hf_executable *x, float *params, struct hf_error *e);
    /** The optimiser as it was at first: no moments, no step taken. Parameters stay, and so does
     *  their average. Mode TRAIN only. */
    enum hf_status (*reset)(struct hf_executable *x, struct hf_error *e);
};

struct hf_executable {
    const struct hf_executable_methods *methods;
};

#ifdef __cplusplus
}
#endif
#endif
