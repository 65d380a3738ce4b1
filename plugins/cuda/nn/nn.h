/**
 * nn.h - networks on the CUDA device.
 */
#ifndef HEPAFLOW_CUDA_NN_H
#define HEPAFLOW_CUDA_NN_H

#include <hepaflow/plugin.h>

/**
 * Compiles a network into an executable that runs on the stream of `q`. The executable must be
 * destroyed before the queue and the device are; `host` must outlive the call only.
 */
enum hf_status cuda_nn_compile(struct hf_device *d, struct hf_queue *q, const struct hf_host *host,
                               const struct hf_net *net, const struct hf_exec_spec *spec,
                               struct hf_executable **ret, struct hf_error *e);

#endif
