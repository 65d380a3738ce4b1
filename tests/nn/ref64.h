/*
 * ref64.h - networks and losses in float64, written for clarity: what the device is compared with.
 */
#ifndef TESTS_NN_REF64_H
#define TESTS_NN_REF64_H

#include "../../engine/nn/net.h"

/* The output [N,C,D,H,W] for flat parameters; freed with free(). */
double *ref64_forward(const struct hf_net *net, const int64_t shape[5], const double *params,
                      const double *input, int64_t ret_shape[5]);

/* The loss of a layer's output alone, without its factor as a supervised layer; `terms` (may be
 * NULL) receives each term before its factor. */
double ref64_loss(const struct hf_exec_spec *spec, const int64_t shape[5], const double *z,
                  const double *target, const double *weight, double *terms);

/* The total loss of a network, with those of its supervised layers; `terms` are the output's. */
double ref64_total(const struct hf_net *net, const struct hf_exec_spec *spec, const double *params,
                   const double *input, const double *target, const double *weight, double *terms);

#endif
