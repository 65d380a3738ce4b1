/**
 * conv_cudnn.h - what the files of conv.h's cuDNN side share: operation graphs (conv_graph.c), the
 * engines that run them (conv_plan.c), and the choice among those (conv_choice.c).
 *
 * Nothing here but cv_context_new and running a plan needs a GPU: a target may be the description
 * of a device (cuDNN 9.8), so that tests plan for GPUs that are not there.
 */
#ifndef HEPAFLOW_CUDA_CONV_CUDNN_H
#define HEPAFLOW_CUDA_CONV_CUDNN_H

#include <cudnn_graph.h>

#include "conv.h"

#define CV_MAX_WORKSPACE ((int64_t)256 << 20)

enum {
    CV_GRAPH_ITEMS = 12,
    CV_MAX_PLANS = 10, /* engine configurations that are compared */
    CV_TAG = 256,
    CV_PROBLEM = 448
};

/** What a tensor is called in an operation graph. */
enum cv_uid {
    CV_UID_X = 1,
    CV_UID_W,
    CV_UID_Y,
    CV_UID_BIAS,
    CV_UID_SUM /* the convolution before its bias: virtual, never in memory */
};

/** Descriptors in the order in which they were made. */
struct cv_graph {
    cudnnBackendDescriptor_t item[CV_GRAPH_ITEMS];
    int32_t items;
    cudnnBackendDescriptor_t graph; /* one of them */
    int32_t fused;                  /* adds the bias */
};

/** Where plans are to run: a handle's device, or a description (CUDNN_BACKEND_DEVICEPROP). */
struct cv_target {
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t device; /* where there is no handle */
};

struct cv_plan {
    cudnnBackendDescriptor_t config, plan;
    int64_t workspace;
    char tag[CV_TAG]; /* engine and knobs */
};

/** Writes "forward bf16 2D 8x1x128x128 to 32x128x128, kernel 3x3, ..." and returns `text`. */
const char *cv_problem(const struct cv_spec *spec, enum cv_pass pass, char text[CV_PROBLEM]);

/** "network layer "x": cuDNN cannot <what>: <why> (<problem>)", of a status that is no success. */
enum hf_status cv_failed(const struct cv_spec *spec, enum cv_pass pass, cudnnStatus_t s,
                         const char *what, struct hf_error *e);

/** The operations of a pass; `fused` with the bias, which must be CV_FORWARD's. */
enum hf_status cv_graph_new(const struct cv_spec *spec, enum cv_pass pass, int fused,
                            cudnnHandle_t handle, struct cv_graph *ret, struct hf_error *e);
void cv_graph_free(struct cv_graph *g);

/**
 * Plans of engines that compute the graph with the same bits every time, in that precision, within
 * CV_MAX_WORKSPACE: at most CV_MAX_PLANS, in the order of cuDNN's heuristics. Returns how many.
 */
int32_t cv_plans_find(const struct cv_target *t, const struct cv_graph *g,
                      enum hf_precision precision, struct cv_plan *ret);
void cv_plan_free(struct cv_plan *p);

/**
 * The index of the plan for the problem `key`, a line of text: the remembered one; else the one
 * that `measure` finds to be the fastest, remembered from now on; else, where it cannot be
 * remembered or measured, the first. `measure` answers an index, or a negative number if it cannot
 * tell.
 */
int32_t cv_choices_pick(struct cv_choices *choices, const char *key, const struct cv_plan *plans,
                        int32_t count, int32_t (*measure)(void *arg), void *arg);

#endif
