/**
 * kern.h - the CUDA device's own network kernels: everything of a network but the convolutions.
 *
 * Activations are channels-last, float32 or bfloat16: channel c of voxel s of sample n is
 * data[(n * S + s) * step + c], so a slice of the channels of a concatenation is a view with a
 * wider step. Parameters, statistics, gradients of parameters and losses are float32, and all
 * arithmetic is. A function enqueues kernels on `stream` (a cudaStream_t) and returns: no
 * allocation, no waiting, nothing read from the host but its arguments, so that all of it can be
 * captured in a graph. All pointers are device memory; scratch is uninitialised, at least 16-byte
 * aligned.
 *
 * How work is cut depends on the shape alone and sums are added in a fixed order: the same inputs
 * give the same bits. Wide loads are taken where channels, steps and addresses are multiples of
 * 16 bytes. The kernels are bound by memory: "moves" says how many times the elements of the
 * (larger) activation travel, e = 4 or 2 bytes each.
 */
#ifndef HEPAFLOW_CUDA_KERN_H
#define HEPAFLOW_CUDA_KERN_H

#include <hepaflow/network.h>

#include "../../nn/loss.h"
#include "../../nn/update.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Elements of activations. */
enum ck_type {
    CK_F32,
    CK_BF16
};

static inline size_t ck_type_size(enum ck_type type) {
    return type == CK_BF16 ? 2 : 4;
}

struct ck_view {
    void *data;
    int64_t step; /* elements from one voxel to the next; >= channels */
};

/**
 * Instance normalisation and, fused, a leaky ReLU (slope 1: none; 0: ReLU). Forward: x to y (may be
 * x), leaving mean and 1/deviation in `stat`. Backward: dy to dx (may be dy), dscale and dshift.
 */
struct ck_norm {
    enum ck_type type;
    int64_t n, s, c;
    struct ck_view x, y, dy, dx;
    const float *scale, *shift; /* NULL: 1 and 0 */
    float *dscale, *dshift;     /* written, not added to; NULL: not asked for, as without a scale */
    float epsilon, slope;
    float *stat;        /* [n][2][c] */
    void *scratch;      /* ck_norm_scratch */
    int32_t accumulate; /* backward adds to dx */
};

/** Pointwise: rows voxels of c channels. */
struct ck_point {
    enum ck_type type;
    int64_t rows, c;
    struct ck_view x, y, dy, dx;
    struct ck_view other; /* ck_add: the second summand; ck_scale: the map, of one channel */
    enum hf_act act;
    float slope;
    int32_t accumulate; /* backward, copy: adds to the destination */
    int32_t invert;     /* ck_mask */
    const float *bias;  /* ck_scale: [c], NULL: none */
};

/** A bias of c channels over rows voxels. */
struct ck_bias {
    enum ck_type type;
    int64_t rows, c;
    struct ck_view x, y; /* add: x to y (may be x) */
    const float *bias;
    struct ck_view dy; /* gradient */
    struct ck_view
        map;       /* gradient: of one channel, only voxels where it is above 0; data NULL: all */
    float *dbias;  /* written, not added to */
    void *scratch; /* gradient: ck_bias_scratch */
};

/** Pooling, upsampling, reflected borders and windows: spatial sizes of the layer's input and
 * output. */
struct ck_space {
    enum ck_type type;
    int64_t n, c;
    int64_t in[3], out[3];
    int32_t stride[3];
    int64_t low[3]; /* border before the first voxel; if reflected, out = in + low + high */
    struct ck_view x, y, dy, dx;
    uint16_t *index;   /* pooling: which voxel of the window, [n][out][c]; NULL: not kept */
    const float *bias; /* ck_taps_to_voxels: [c], added to every voxel; NULL: none */
    int32_t accumulate;
    /* Windows: those of a convolution, mirrored at the border or with nothing behind it. */
    int32_t kernel[3], dilation[3], mirrored;
};

/**
 * Between float32 [N,C,S] and [N,S,C] of a type. At a network's boundary N is the batch; a weight
 * [Co,Ci,K] becomes [Co,K,Ci] with N = Co, C = Ci, S = K. `fill` (0: none) is the number of
 * channels, at least c, that ck_to_last writes: those from c on are zero.
 */
struct ck_layout {
    enum ck_type type;
    int64_t n, s, c, fill;
    float *first; /* [N,C,S] */
    struct ck_view last;
};

/** One group of terms, of the output or of a supervised layer. */
struct ck_loss {
    enum ck_type type;   /* of z and dz */
    int64_t n, s, c;     /* c: channels of the layer */
    struct ck_view z;    /* [n][s][c] */
    struct ck_view dz;   /* like z; data NULL: no gradient */
    const float *target; /* [n][c][s] */
    const float *weight; /* [n][s] or NULL */
    struct loss_group group;
    float scale;        /* of the total and the gradient */
    int32_t accumulate; /* adds to dz, which else is written whole */
    int32_t adds;       /* adds to the total, which else is written */
    int32_t tells;      /* writes the terms */
    float *out;         /* total, then the terms in the order of the loss */
    void *scratch;      /* ck_loss_scratch */
};

/** One voxel, at the middle, of each block of in / out voxels. */
struct ck_shrink {
    int64_t n, in[3], out[3]; /* n: samples times channels */
    const float *from;        /* [n][in] */
    float *to;                /* [n][out] */
};

/** One step of the optimiser over the flat parameters. */
struct ck_update {
    int64_t count;
    float *param, *m, *v; /* m: Adam's mean or SGD's momentum; v: Adam's, else NULL */
    float *average;       /* of the parameters, or NULL */
    const float *grad;
    const struct up_range *range; /* host memory: updated; the gradient of all others is 0 */
    int32_t ranges;
    void *copy; /* bfloat16 of the new parameters, [count]; NULL: none */
    struct hf_optimizer optimizer;
    struct up_done *done; /* device memory: so far; ck_update adds 1 */
    const float *rate;    /* device memory: the learning rate */
    void *scratch;        /* ck_update_scratch */
};

/* moves 3 e: x twice, y; less where the second pass finds the end of x in the cache */
enum hf_status ck_norm_forward(const struct ck_norm *a, void *stream, struct hf_error *e);
/* moves 5 e: x and dy twice, dx; 6 e if it accumulates */
enum hf_status ck_norm_backward(const struct ck_norm *a, void *stream, struct hf_error *e);
size_t ck_norm_scratch(int64_t n, int64_t s, int64_t c);

/* x to y (may be x); moves 2 e */
enum hf_status ck_act_forward(const struct ck_point *a, void *stream, struct hf_error *e);
/* y and dy to dx (may be dy); moves 3 e, 4 e if it accumulates */
enum hf_status ck_act_backward(const struct ck_point *a, void *stream, struct hf_error *e);
/* c channels leave, 2c enter; moves 3 e of y */
enum hf_status ck_gate_forward(const struct ck_point *a, void *stream, struct hf_error *e);
/* x and dy to dx (not dy); moves 5 e of dy, 7 e if it accumulates */
enum hf_status ck_gate_backward(const struct ck_point *a, void *stream, struct hf_error *e);
/* x to y; moves 2 e, 3 e if it accumulates */
enum hf_status ck_copy(const struct ck_point *a, void *stream, struct hf_error *e);
/* x + other to y; moves 3 e */
enum hf_status ck_add(const struct ck_point *a, void *stream, struct hf_error *e);

/* x above 0 to y, of one channel each; moves 2 e */
enum hf_status ck_mask(const struct ck_point *a, void *stream, struct hf_error *e);
/* x times other, plus the bias where other is above 0, to y (may be x); moves 2 e */
enum hf_status ck_scale(const struct ck_point *a, void *stream, struct hf_error *e);
/* dy times other to dx (may be dy); moves 2 e, 3 e if it accumulates */
enum hf_status ck_scale_backward(const struct ck_point *a, void *stream, struct hf_error *e);

/* moves 2 e */
enum hf_status ck_bias_add(const struct ck_bias *a, void *stream, struct hf_error *e);
/* moves e */
enum hf_status ck_bias_gradient(const struct ck_bias *a, void *stream, struct hf_error *e);
size_t ck_bias_scratch(int64_t rows, int64_t c);

/* moves x, y and 2 bytes an element of y for the index */
enum hf_status ck_pool_forward(const struct ck_space *a, void *stream, struct hf_error *e);
enum hf_status ck_pool_backward(const struct ck_space *a, void *stream, struct hf_error *e);
/* moves x once (it stays in the cache) and y */
enum hf_status ck_up_forward(const struct ck_space *a, void *stream, struct hf_error *e);
enum hf_status ck_up_backward(const struct ck_space *a, void *stream, struct hf_error *e);
/* x [in][window * c] to y [out][c], and dy to dx back; moves 2 e */
enum hf_status ck_taps_to_voxels(const struct ck_space *a, void *stream, struct hf_error *e);
enum hf_status ck_voxels_to_taps(const struct ck_space *a, void *stream, struct hf_error *e);
/* moves 2 e */
enum hf_status ck_reflect_forward(const struct ck_space *a, void *stream, struct hf_error *e);
enum hf_status ck_reflect_backward(const struct ck_space *a, void *stream, struct hf_error *e);

/* x to y, of one channel each: voxels of a window over those of them above 0, or 0; moves 2 e */
enum hf_status ck_window(const struct ck_space *a, void *stream, struct hf_error *e);

/* moves 4 + e bytes an element */
enum hf_status ck_to_last(const struct ck_layout *a, void *stream, struct hf_error *e);
enum hf_status ck_to_first(const struct ck_layout *a, void *stream, struct hf_error *e);
/* float32 to bfloat16 and back, [count]; moves 6 bytes an element */
enum hf_status ck_cast_to_bf16(const float *from, void *to, int64_t count, void *stream,
                               struct hf_error *e);
enum hf_status ck_cast_to_f32(const void *from, float *to, int64_t count, void *stream,
                              struct hf_error *e);

/* One float: what changes from one replay of a graph to the next. */
enum hf_status ck_set(float *to, float value, void *stream, struct hf_error *e);

/* moves z and target twice, dz once, twice if it accumulates */
enum hf_status ck_loss(const struct ck_loss *a, void *stream, struct hf_error *e);
size_t ck_loss_scratch(int64_t n, int64_t s, int64_t c); /* c: channels of the group */
enum hf_status ck_shrink(const struct ck_shrink *a, void *stream, struct hf_error *e);

/* Adam moves 28 bytes a parameter, SGD 20; with a copy 2, an average 8, a clip 4 more */
enum hf_status ck_update(const struct ck_update *a, void *stream, struct hf_error *e);
size_t ck_update_scratch(int64_t count);

#ifdef __cplusplus
}
#endif
#endif
