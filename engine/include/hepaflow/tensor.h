/**
 * tensor.h - typed, reference-counted n-dimensional arrays on a device.
 *
 * A tensor is a DLPack tensor (`dl`) with the engine's ready event beside it. The structs below
 * are laid out as DLPack 1.0's DLTensor, so that `hf_tensor` can be lent to NumPy, PyTorch and
 * CuPy without a copy. Data are C-contiguous; `strides` is NULL.
 *
 * Ownership: tensors are reference-counted through the host table (plugin.h). After a tensor has
 * been put into a sample that was emitted, its data are immutable.
 *
 * Readiness: `ready` is NULL when the data are there already, else an event of the tensor's
 * device. The host may touch the data only after `hf_tensor_wait`. `hf_launch` waits for its
 * inputs on the device and leaves the event of its outputs here.
 */
#ifndef HEPAFLOW_TENSOR_H
#define HEPAFLOW_TENSOR_H

#include <hepaflow/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Image fields are [C,D,H,W]; a batch is [N,C,D,H,W]. */
#define HF_MAX_DIMS 5

enum hf_dtype {
    HF_U8,
    HF_I16,
    HF_I32,
    HF_I64,
    HF_F32,
    HF_F64,
    HF_DTYPES
};

/** DLPack device types that the engine knows (values fixed by DLPack). */
enum hf_device_kind {
    HF_KIND_CPU = 1,
    HF_KIND_CUDA = 2,
    HF_KIND_MOCK = 12 /* kDLExtDev */
};

struct hf_dl_device {
    int32_t device_type;
    int32_t device_id;
};

struct hf_dl_dtype {
    uint8_t code; /* 0 int, 1 uint, 2 float */
    uint8_t bits;
    uint16_t lanes;
};

struct hf_dl_tensor {
    void *data;
    struct hf_dl_device device;
    int32_t ndim;
    struct hf_dl_dtype dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
};

struct hf_event;
struct hf_device;

struct hf_tensor {
    struct hf_dl_tensor dl; /* dl.shape points at `shape` below */
    int64_t shape[HF_MAX_DIMS];
    enum hf_dtype dtype;
    size_t bytes;
    struct hf_device *device; /* that owns the data; the host device for host tensors */
    struct hf_event *ready;   /* NULL: ready */
};

static inline size_t hf_dtype_size(enum hf_dtype t) {
    static const uint8_t size[HF_DTYPES] = {1, 2, 4, 8, 4, 8};
    return size[t];
}

static inline const char *hf_dtype_name(enum hf_dtype t) {
    static const char *const name[HF_DTYPES] = {"u8", "i16", "i32", "i64", "f32", "f64"};
    return name[t];
}

static inline int64_t hf_tensor_count(const struct hf_tensor *t) {
    int64_t n = 1;
    for (int32_t i = 0; i < t->dl.ndim; i++)
        n *= t->shape[i];
    return n;
}

/** The data as TYPE; valid on the host only after hf_tensor_wait, and only for host memory. */
#define HF_DATA(TYPE, t) ((TYPE *)(t)->dl.data)

#ifdef __cplusplus
}
#endif
#endif
