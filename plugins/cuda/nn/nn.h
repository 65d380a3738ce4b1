/**
 * nn.h - networks on the CUDA device.
 */
#ifndef HEPAFLOW_CUDA_NN_H
#define HEPAFLOW_CUDA_NN_H

#include <hepaflow/plugin.h>

/**
 * Compiles a network into an executable that runs in the order of `q`. The executable must be
 * destroyed before the queue and the device are, and while `host` is there. Its steps are captured
 * into CUDA graphs where that works; HEPAFLOW_CUDA_GRAPHS in the environment says otherwise: 0 for
 * plain launches, 1 for an error where it does not work.
 */
enum hf_status cuda_nn_compile(struct hf_device *d, struct hf_queue *q, const struct hf_host *host,
                               const struct hf_net *net, const struct hf_exec_spec *spec,
                               struct hf_executable **ret, struct hf_error *e);

#endif
