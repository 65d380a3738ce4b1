/**
 * dlpack.h - lending tensors to NumPy, PyTorch and CuPy without a copy.
 *
 * The struct below has the layout of `DLManagedTensorVersioned` of DLPack 1.0 (the header that
 * distributions ship is older): cast its address to that type, or put it into a Python capsule
 * named "dltensor_versioned".
 */
#ifndef HEPAFLOW_DLPACK_H
#define HEPAFLOW_DLPACK_H

#include <hepaflow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_DLPACK_MAJOR 1u
#define HF_DLPACK_MINOR 0u

#define HF_DLPACK_READ_ONLY UINT64_C(1)

struct hf_dl_managed {
    struct {
        uint32_t major, minor;
    } version;
    void *manager_ctx;
    void (*deleter)(struct hf_dl_managed *self);
    uint64_t flags;
    struct hf_dl_tensor tensor;
};

/**
 * Waits for the data and lends them, read-only, for they may be shared. The tensor lives until
 * the borrower calls `deleter`; that must happen before the run's devices are closed.
 */
HF_EXPORT enum hf_status hf_tensor_to_dlpack(struct hf_tensor *t, struct hf_dl_managed **ret,
                                             struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
