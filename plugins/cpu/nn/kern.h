/**
 * kern.h - the CPU device's own kernels: everything of a network but the convolutions.
 *
 * One set of sources is compiled once per instruction set into a table of functions. Activations
 * are channels-last: channel c of voxel s of sample n is data[(n * S + s) * step + c], so a slice
 * of the channels of a concatenation is a view with a wider step. Kernels run on the calling
 * thread's OpenMP team. Work is cut into blocks that depend on the shape alone, and sums of blocks
 * are added in their order: the bits do not depend on the number of threads.
 */
#ifndef HEPAFLOW_CPU_KERN_H
#define HEPAFLOW_CPU_KERN_H

#include <hepaflow/network.h>

#include "../../nn/loss.h"
#include "../../nn/update.h"

enum kn_isa {
    KN_AUTO, /* the best that this machine runs */
    KN_SCALAR,
    KN_AVX2,
    KN_AVX512,
    KN_ISAS
};

struct kn_view {
    float *data;
    int64_t step; /* floats from one voxel to the next; >= channels */
};

/**
 * Instance normalisation and, fused, a leaky ReLU (slope 1: none). Forward: x to y (may be x),
 * leaving mean and 1/deviation in `stat`. Backward: dy to dx (may be dy), dscale and dshift.
 */
struct kn_norm {
    int64_t n, s, c;
    struct kn_view x, y, dy, dx;
    const float *scale, *shift; /* NULL: 1 and 0 */
    float *dscale, *dshift;     /* NULL: not asked for, as without a scale */
    float epsilon, slope;
    float *stat; /* [n][2][c] */
    void *scratch;
    int32_t accumulate; /* backward adds to dx */
};

/** Pointwise: rows voxels of c channels. */
struct kn_point {
    int64_t rows, c;
    struct kn_view x, y, dy, dx;
    const float *other; /* add: the second summand; scale: the map, of one channel */
    int64_t other_step;
    enum hf_act act;
    float slope;
    int32_t accumulate; /* backward, copy: adds to the destination */
    int32_t invert;     /* mask */
    const float *bias;  /* scale: NULL: none */
    float *dbias;
    void *scratch; /* kn_bias_scratch */
};

/** Pooling, upsampling, reflected borders and windows: spatial sizes of the layer's input and
 * output. */
struct kn_space {
    int64_t n, c;
    int64_t in[3], out[3];
    int32_t stride[3];
    int64_t low[3]; /* border before the first voxel; if reflected, out = in + low + high */
    struct kn_view x, y, dy, dx;
    uint16_t *index; /* pooling: which voxel of the window; NULL: not kept */
    int32_t accumulate;
    /* Windows: those of a convolution, mirrored at the border or with nothing behind it. */
    int32_t kernel[3], dilation[3], mirrored;
};

/** Between [N,C,S] at the boundary and [N,S,C] inside. */
struct kn_layout {
    int64_t n, s, c;
    const float *from;
    float *to;
};

/** One group of terms, of the output or of a supervised layer. */
struct kn_loss {
    int64_t n, s, c;     /* c: channels of the layer */
    struct kn_view z;    /* [n][s] */
    struct kn_view dz;   /* like z; data NULL: no gradient */
    const float *target; /* [n][c][s] */
    const float *weight; /* [n][s] or NULL */
    struct loss_group group;
    float scale;        /* of the total and the gradient */
    int32_t accumulate; /* adds to dz, which else is written whole */
    int32_t adds;       /* adds to the total, which else is written */
    int32_t tells;      /* writes the terms */
    float *out;         /* total, then the terms in the order of the loss */
    void *scratch;      /* kn_loss_scratch */
};

/** One voxel, at the middle, of each block of in / out voxels. */
struct kn_shrink {
    int64_t n, in[3], out[3]; /* n: samples times channels */
    const float *from;        /* [n][in] */
    float *to;                /* [n][out] */
};

struct kn_update {
    int64_t count;
    float *param, *m, *v; /* m: Adam's mean or SGD's momentum; v: Adam's */
    float *average;       /* of the parameters, or NULL */
    const float *grad;
    const struct up_range *range; /* updated; the gradient of all others is 0 */
    int32_t ranges;
    const struct hf_optimizer *optimizer;
    struct up_done done; /* this step too */
    float rate;
    double *scratch; /* kn_update_scratch */
};

struct kn_table {
    const char *name;
    void (*norm_forward)(const struct kn_norm *a);
    void (*norm_backward)(const struct kn_norm *a);
    void (*act_forward)(const struct kn_point *a);  /* x to y (may be x) */
    void (*act_backward)(const struct kn_point *a); /* y and dy to dx (may be dy) */
    void (*gate_forward)(const struct kn_point *a); /* c channels leave, 2c enter */
    void (*gate_backward)(const struct kn_point *a);
    void (*copy)(const struct kn_point *a); /* x to y */
    void (*add)(const struct kn_point *a);  /* x + other to y */
    void (*pool_forward)(const struct kn_space *a);
    void (*pool_backward)(const struct kn_space *a);
    void (*up_forward)(const struct kn_space *a);
    void (*up_backward)(const struct kn_space *a);
    void (*taps_to_voxels)(const struct kn_space *a); /* x [in][window * c] to y [out][c] */
    void (*voxels_to_taps)(const struct kn_space *a); /* dy [out][c] to dx [in][window * c] */
    void (*reflect_forward)(const struct kn_space *a);
    void (*reflect_backward)(const struct kn_space *a);
    void (*mask)(const struct kn_point *a);   /* x above 0 to y */
    void (*window)(const struct kn_space *a); /* x to y, one channel each */
    void (*scale)(const struct kn_point *a);  /* x (may be y) times other, and the bias, to y */
    void (*scale_backward)(const struct kn_point *a); /* dy times other to dx (may be dy) */
    void (*scale_bias)(const struct kn_point *a);     /* dbias, of dy and other */
    void (*to_last)(const struct kn_layout *a);       /* [N,C,S] to [N,S,C] */
    void (*to_first)(const struct kn_layout *a);      /* [N,S,C] to [N,C,S] */
    void (*loss)(const struct kn_loss *a);
    void (*shrink)(const struct kn_shrink *a);
    void (*update)(const struct kn_update *a);
};

/** NULL if this machine or this build lacks the instruction set. */
const struct kn_table *kn_select(enum kn_isa isa);

/** Scratch bytes of norm_forward and norm_backward, of scale_bias, of loss, and of update. */
size_t kn_norm_scratch(int64_t n, int64_t s, int64_t c);
size_t kn_bias_scratch(int64_t rows, int64_t c);
size_t kn_loss_scratch(int64_t n, int64_t s, int64_t c);
size_t kn_update_scratch(int64_t count);

/* ---- how work is cut; shared by the kernels and the scratch sizes ---- */

#define KN_BLOCK_FLOATS 8192 /* a block of a pass over an activation: 32 KiB, half an L1 cache */
#define KN_LOSS_BLOCK   2048 /* voxels */
#define KN_UPDATE_BLOCK 8192 /* parameters */
#define KN_FOLD_FLOATS  64   /* narrow rows are taken several voxels at a time up to this width */

static inline int64_t kn_blocks(int64_t count, int64_t block) {
    return (count + block - 1) / block;
}

/** Voxels of a block of a tensor of c channels; a multiple of every fold of it. */
static inline int64_t kn_block_voxels(int64_t c) {
    int64_t voxels = KN_BLOCK_FLOATS / c;
    return voxels < KN_FOLD_FLOATS ? KN_FOLD_FLOATS : voxels / KN_FOLD_FLOATS * KN_FOLD_FLOATS;
}

#endif
