/**
 * nn.h - networks on the CPU device.
 */
#ifndef HEPAFLOW_CPU_NN_H
#define HEPAFLOW_CPU_NN_H

#include <hepaflow/plugin.h>

#include "executor.h"
#include "kern.h"

/**
 * Compiles a network into an executable that runs on `ex`. Blocks until everything submitted to
 * the executor before is done. The executable must be destroyed before the executor is closed and
 * while `host` is there.
 */
enum hf_status cpu_nn_compile(struct cpu_executor *ex, const struct hf_host *host,
                              const struct hf_net *net, const struct hf_exec_spec *spec,
                              struct hf_executable **ret, struct hf_error *e);

/** The same with the kernels of one instruction set; HF_UNSUPPORTED where it is missing. */
enum hf_status cpu_nn_compile_for(struct cpu_executor *ex, enum kn_isa isa,
                                  const struct hf_host *host, const struct hf_net *net,
                                  const struct hf_exec_spec *spec, struct hf_executable **ret,
                                  struct hf_error *e);

/** "kernels avx512, oneDNN 2.6.3 on avx512_core": what a result's bits depend on. */
const char *cpu_nn_describe(char *text, size_t size);

#endif
