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

/** A stream that work may be enqueued on. */
cudaError_t check_stream(cudaStream_t stream, const char *what);
#define CHECK_STREAM(stream, what)                                                                 \
    do {                                                                                           \
        cudaError_t wrong_ = check_stream(stream, what);                                           \
        if (wrong_ != cudaSuccess)                                                                 \
            return wrong_;                                                                         \
    } while (0)

/** Work in the stream's turn; `always`: also after an error, what the runtime itself does. */
void push(emulation_stream &stream, bool always, std::function<void()> what);
bool captured(cudaStream_t stream);
/** Does the work of streams that were destroyed, but for the last `keep` of them. */
void run_orphans(size_t keep);

} // namespace emulation

#endif
