/**
 * net.h - a network compiled for a GPU: its memory, its steps and how they run. Internal to nn/.
 *
 * Everything runs on a stream of the executable's own, between two events that put it in the order
 * of the queue. What stays the same from call to call is captured into a CUDA graph at the second
 * call and replayed from then on; what differs - where the tensors are, the learning rate - is
 * brought to a fixed place before.
 */
#ifndef HEPAFLOW_CUDA_NET_H
#define HEPAFLOW_CUDA_NET_H

#include "../../nn/graph.h"
#include "../device.h"
#include "conv.h"
#include "kern.h"

#define NET_ALIGN 256 /* of every tensor and every parameter: what the widest loads like */

/** A convolution of a layer, and what its weight gradient needs beside cuDNN. */
struct net_conv {
    struct cv_conv *cv;
    int64_t rows, co; /* of dy, tap by tap */
    size_t scratch[NN_PASSES];
    size_t dbias; /* NN_BACKWARD_WEIGHTS: bytes from the workspace to the bias's scratch */
};

struct conv_args {
    struct cv_buffers buffers;
    struct ck_bias bias; /* c = 0: none to do */
};

/** The arguments of a step's kernels. Which one a step has, its op says. */
union step_args {
    struct ck_norm norm;
    struct ck_point point;
    struct ck_space space;
    struct ck_layout layout;
    struct ck_loss loss;
    struct ck_shrink shrink;
    struct conv_args conv;
    struct ck_bias bias;
};

/**
 * The memory, one block of the device's. Vectors of parameters are in the device's order, the
 * weights of convolutions first: cuDNN makes their gradients in the type of activations.
 */
struct store {
    union step_args *args; /* of each step */
    int64_t *place;        /* of each parameter, in the vectors */
    int64_t floats;        /* of a vector; gaps are zero and stay so */
    int64_t weights;       /* of these, of convolutions' weights */
    void *block;
    size_t block_bytes, arena_bytes;
    char *arena;
    struct up_range *range; /* of parameters that are updated */
    int32_t ranges;
    float *param, *gradient, *moment, *variance; /* the last three in mode TRAIN */
    float *average;                              /* of the parameters, or NULL */
    void *copy;                                  /* bfloat16 of the parameters, or NULL */
    void *dweight;                               /* bfloat16 gradients of weights, or NULL */
    void *update;                                /* scratch of the optimiser */
    struct up_done *done;                        /* so far */
    float *rate, *loss, *target, *weight;
};

enum verb {
    VERB_FORWARD,
    VERB_STEP,
    VERB_EVALUATE,
    VERBS
};

/** The steps of a verb, with weights or without. They run plainly once, before they are captured:
 *  CUDA loads kernels at their first launch, which a capture does not allow. */
struct replay {
    cudaGraphExec_t exec;
    int32_t ran;
};

enum capture {
    CAPTURE_OFF,
    CAPTURE_ON,      /* and off from the first failure on */
    CAPTURE_REQUIRED /* a failure is an error */
};

struct cuda_net {
    struct hf_executable head;
    struct hf_device *device;
    struct hf_queue *queue;
    cudaStream_t work;
    cudaEvent_t begin, end;
    struct cv_context *cudnn;
    enum ck_type type;
    struct graph graph;
    struct store store;
    enum capture capture;
    struct replay replay[VERBS][2];
};

/* bind.c */
/** Lowers, allocates and binds. */
enum hf_status net_build(struct cuda_net *n, const struct hf_host *host, const struct hf_net *net,
                         const struct hf_exec_spec *spec, struct hf_error *e);
void net_unbuild(struct cuda_net *n);

/* run.c */
/** Enqueues a verb's steps between the input and the output, by a replay where that works. */
enum hf_status net_run(struct cuda_net *n, enum verb verb, int weighted, struct hf_error *e);
void net_forget(struct cuda_net *n);

/* params.c: parameters in host memory are the flat vector of network.h. Both wait. */
enum hf_status net_put(struct cuda_net *n, const float *params, struct hf_error *e);
/** `from` is one of the store's vectors. */
enum hf_status net_get(struct cuda_net *n, const float *from, float *params, struct hf_error *e);

#endif
