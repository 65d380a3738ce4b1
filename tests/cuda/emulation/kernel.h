/**
 * kernel.h - what the emulated runtime asks of the emulated kernels.
 */
#ifndef EMULATION_KERNEL_H
#define EMULATION_KERNEL_H

#include <string>

#include "cuda_runtime.h"

namespace emulation {

/** Runs a kernel to its end or its first fault. */
void run_kernel(dim3 grid, dim3 block, const std::function<void()> &body);
/** Takes the fault that a kernel left, if any. */
bool take_fault(std::string *text);

} // namespace emulation

#endif
