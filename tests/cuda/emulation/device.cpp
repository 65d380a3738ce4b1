/*
 * device.cpp - which GPUs there are in the emulation, and the runtime's errors.
 */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>

using namespace emulation;

namespace {

std::string first_fault;
thread_local cudaError_t last;
thread_local std::string told;

int environment(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int driver() {
    return environment("HEPAFLOW_EMULATED_DRIVER", 13000);
}

} // namespace

std::recursive_mutex emulation::one;
std::string emulation::launch_failure;
cudaError_t emulation::device_error;
thread_local int emulation::current_device;
thread_local bool emulation::in_host_function;

int emulation::gpus() {
    return driver() < 13000 ? 0 : environment("HEPAFLOW_EMULATED_GPUS", 1);
}

bool emulation::can_capture() {
    return environment("HEPAFLOW_EMULATED_CAPTURE", 1) != 0;
}

cudaError_t emulation::outcome(cudaError_t error) {
    if (error != cudaSuccess)
        last = error;
    return error;
}

cudaError_t emulation::wrong(cudaError_t error, const std::string &text) {
    fault(text);
    return outcome(error);
}

bool emulation::strict() {
    return environment("HEPAFLOW_EMULATION_STRICT", 0) != 0;
}

void emulation::fault(const std::string &text) {
    if (strict()) {
        fprintf(stderr, "emulation: %s\n", text.c_str());
        abort();
    }
    if (first_fault.empty())
        first_fault = text;
}

/* ---- errors, versions, devices ---- */

cudaError_t cudaGetLastError(void) {
    cudaError_t error = last;
    last = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void) {
    return last;
}

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorInvalidConfiguration:
        return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
        return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
        return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
        return "invalid device ordinal";
    case cudaErrorNotReady:
        return "device not ready";
    case cudaErrorIllegalAddress:
        return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure: {
        std::lock_guard<std::recursive_mutex> lock(one);
        told = "unspecified launch failure: " + launch_failure;
        return told.c_str();
    }
    default:
        told = "error " + std::to_string((int)error);
        return told.c_str();
    }
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = driver();
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    BEGIN;
    *count = 0;
    if (driver() < 13000)
        return outcome(cudaErrorInsufficientDriver);
    if (gpus() <= 0)
        return outcome(cudaErrorNoDevice);
    *count = gpus();
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    BEGIN;
    *device = current_device;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    BEGIN;
    if (device < 0 || device >= gpus())
        return outcome(cudaErrorInvalidDevice);
    current_device = device;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    BEGIN;
    if (device < 0 || device >= gpus())
        return outcome(cudaErrorInvalidDevice);
    int capability = environment("HEPAFLOW_EMULATED_CAPABILITY", 90);
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
        *value = 4;
        break;
    case cudaDevAttrL2CacheSize:
        *value = 4 << 20;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = capability / 10;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = capability % 10;
        break;
    case cudaDevAttrMemoryPoolsSupported:
        *value = 1;
        break;
    default:
        return outcome(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device) {
    BEGIN;
    if (device < 0 || device >= gpus())
        return outcome(cudaErrorInvalidDevice);
    int capability = environment("HEPAFLOW_EMULATED_CAPABILITY", 90);
    *prop = {};
    strcpy(prop->name, "emulated GPU");
    prop->totalGlobalMem = memory_total();
    prop->major = capability / 10;
    prop->minor = capability % 10;
    prop->multiProcessorCount = 4;
    return cudaSuccess;
}

const char *emulation_fault(void) {
    std::lock_guard<std::recursive_mutex> lock(one);
    told = first_fault;
    first_fault.clear();
    device_error = cudaSuccess;
    last = cudaSuccess;
    return told.empty() ? nullptr : told.c_str();
}
