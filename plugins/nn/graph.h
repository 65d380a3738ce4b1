/**
 * graph.h - a lowered network: the list of steps that a description becomes.
 *
 * Shared by the devices that compile networks. lower.c turns layers into steps over blocks of
 * memory; a device lays the blocks into an arena, binds the steps to addresses and runs them.
 */
#ifndef HEPAFLOW_NN_GRAPH_H
#define HEPAFLOW_NN_GRAPH_H

#include <hepaflow/plugin.h>

#include "arena.h"
#include "loss.h"
#include "target.h"

enum op {
    OP_INPUT,
    OP_OUTPUT,
    OP_SHRINK, /* target and weight to the size of a supervised layer */
    OP_LOSS,
    OP_CONV,
    OP_CONV_DATA,
    OP_CONV_WEIGHT,
    OP_NORM,
    OP_NORM_BACK,
    OP_ACT,
    OP_ACT_BACK,
    OP_GATE,
    OP_GATE_BACK,
    OP_COPY,
    OP_ADD,
    OP_POOL,
    OP_POOL_BACK,
    OP_UP,
    OP_UP_BACK,
    OP_SPREAD, /* of a transposed convolution's taps over the voxels */
    OP_SPREAD_BACK,
    OP_REFLECT,
    OP_REFLECT_BACK,
    OP_MASK,
    OP_WINDOW,
    OP_SCALE,
    OP_SCALE_BACK,
    OP_SCALE_BIAS /* its gradient */
};

/** A tensor inside a block. block < 0: there is none. */
struct slot {
    int32_t block;
    int64_t offset; /* elements */
    int64_t step;   /* elements from voxel to voxel */
};

struct step {
    enum op op;
    int32_t layer;
    int32_t accumulate;
    int32_t group;                          /* LOSS: of the terms */
    int64_t channels;                       /* COPY, ADD */
    int64_t rows;                           /* pointwise */
    struct slot x, y, dy, dx, aux, scratch; /* aux: statistics, indices, the second operand, and
                                               float32 shrunk targets, with weights behind them */
    void *conv;                             /* CONV, CONV_DATA, CONV_WEIGHT */
};

/** The activation that leaves a layer, and its gradient. */
struct value {
    int64_t shape[5];
    int64_t voxels; /* of one sample */
    int32_t uses;   /* by live layers, and by the loss or the output */
    int32_t live;   /* leads to the output or to a loss */
    int32_t fused;  /* NORM: the ACT that its step also does; ACT: the NORM that does it; else -1 */
    int32_t trains; /* has parameters that the optimiser updates */
    int32_t needs_gradient;
    int32_t gradient_written;
    int32_t concat; /* CONCAT whose block holds this value, -1: none */
    struct slot slot, gradient;
};

struct graph {
    const struct hf_host *host;
    struct nn_target target;
    struct hf_net *net; /* a copy */
    struct hf_exec_spec spec;
    struct hf_param *param;
    int32_t params;
    int64_t param_floats;
    int32_t *first_param; /* of each layer, -1: none */
    struct value *value;  /* of each layer */
    void **conv;          /* of each layer, NULL: none */
    struct step *step;
    int32_t steps, step_capacity;
    /* Steps [0, forward_end), then OUTPUT, then the losses [loss_at, loss_end), then back. */
    int32_t forward_end, loss_at, loss_end;
    struct loss_group group[HF_MAX_LOSS_TERMS];
    int32_t groups;
    struct ar_block *block;
    int32_t blocks, block_capacity;
};

/**
 * Checks and copies net and spec and lowers them; `g` is zeroed before. `host` and the target's
 * context must outlive the graph. graph_clear frees it, also after a failure.
 */
enum hf_status graph_lower(struct graph *g, const struct nn_target *target,
                           const struct hf_host *host, const struct hf_net *net,
                           const struct hf_exec_spec *spec, struct hf_error *e);
void graph_clear(struct graph *g);

/** Parameter `k` of a layer; NULL if the layer has none such. */
const struct hf_param *graph_param(const struct graph *g, int32_t layer, int32_t k);
/** Where a slot begins in the arena, in bytes; the slot must be there. */
size_t graph_offset(const struct graph *g, const struct slot *s);
/** Whether the layer's output has losses of its own. */
int graph_is_head(const struct graph *g, int32_t layer);
/** The output's shape. */
const int64_t *graph_output(const struct graph *g);
/** Fails unless `t` is f32 of that shape; `verb` and `what` are for the message. */
enum hf_status graph_check_tensor(const char *verb, const char *what, const struct hf_tensor *t,
                                  const int64_t shape[5], struct hf_error *e);
/** Checks the operands of a step or an evaluation; `weight` may be NULL. */
enum hf_status graph_check_train(const struct graph *g, const char *verb,
                                 const struct hf_tensor *input, const struct hf_tensor *target,
                                 const struct hf_tensor *weight, const struct hf_tensor *loss,
                                 struct hf_error *e);

/* What lower.c and lower_back.c share. */
enum hf_status graph_block(struct graph *g, size_t bytes, int32_t *ret, struct hf_error *e);
enum hf_status graph_slot(struct graph *g, int64_t voxels, int64_t channels, struct slot *ret,
                          struct hf_error *e);
enum hf_status graph_scratch(struct graph *g, size_t bytes, struct slot *ret, struct hf_error *e);
struct step graph_step(enum op op, int32_t layer);
enum hf_status graph_push(struct graph *g, const struct step *s, struct hf_error *e);
/** Channels and voxels of all samples of a layer's output. */
int64_t graph_channels(const struct graph *g, int32_t layer);
int64_t graph_rows(const struct graph *g, int32_t layer);
/** Spatial size of a convolution's input after its reflected border. */
void graph_padded(const struct graph *g, int32_t layer, int64_t ret[3], int64_t ret_low[3]);
int graph_is_reflected(const struct graph *g, int32_t layer);
enum hf_status graph_lower_back(struct graph *g, struct hf_error *e);

#endif
