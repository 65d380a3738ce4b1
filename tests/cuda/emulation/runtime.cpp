/*
 * runtime.cpp - the part of CUDA's runtime that hepaflow uses, on the CPU.
 */
#include "kernel.h"

namespace {

thread_local cudaError_t last;
thread_local std::string last_text;

} // namespace

void emulation::launch(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> body) {
    (void)stream;
    run_kernel(grid, block, body);
    if (take_fault(&last_text))
        last = cudaErrorLaunchFailure;
}

cudaError_t cudaGetLastError(void) {
    cudaError_t error = last;
    last = cudaSuccess;
    return error;
}

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorNoDevice:
        return "no CUDA-capable device is detected";
    case cudaErrorNotReady:
        return "device not ready";
    default:
        return last_text.c_str();
    }
}
