/**
 * state.h - what the emulated runtime's functions have in common: the lock, errors, the thread's
 * device.
 */
#ifndef EMULATION_STATE_H
#define EMULATION_STATE_H

#include <mutex>

#include "memory.h"

namespace emulation {

extern std::recursive_mutex one;
extern std::string launch_failure;
extern cudaError_t device_error; /* of work that failed: everything after it fails alike */
extern thread_local int current_device;
extern thread_local bool in_host_function;

int gpus();
bool strict();
/** Whether captures succeed. */
bool can_capture();
/** Leaves an error for cudaGetLastError and returns it. */
cudaError_t outcome(cudaError_t error);
/** The same for what is done wrong. */
cudaError_t wrong(cudaError_t error, const std::string &text);

/* Every function begins with this. */
#define BEGIN                                                                                      \
    std::lock_guard<std::recursive_mutex> lock(one);                                               \
    if (in_host_function)                                                                          \
    return wrong(cudaErrorNotPermitted, std::string("a host function calls ") + __func__)

} // namespace emulation

#endif
