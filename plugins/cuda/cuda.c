/*
 * cuda - an NVIDIA GPU as a device: a stream a queue, memory from a stream-ordered pool (memory.c),
 * page-locked staging (copy.c), ops in ops/, networks in nn/.
 */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "nn/conv.h"
#include "nn/nn.h"
#include "ops/ops.h"

#define OLDEST_CAPABILITY 80

/* ---- what the other parts share ---- */

int cuda_enter(const struct hf_device *d) {
    const struct cuda *c = (const struct cuda *)d;
    int was = c->id;
    if (cudaGetDevice(&was) != cudaSuccess || was != c->id)
        (void)cudaSetDevice(c->id);
    return was;
}

void cuda_leave(const struct hf_device *d, int was) {
    const struct cuda *c = (const struct cuda *)d;
    if (was != c->id)
        (void)cudaSetDevice(was);
}

const struct hf_host *cuda_host(const struct hf_device *d) {
    return ((const struct cuda *)d)->host;
}

enum hf_status cuda_choices(struct hf_device *d, struct cv_choices **ret, struct hf_error *e) {
    struct cuda *c = cuda_of(d);
    enum hf_status st = HF_OK;
    pthread_mutex_lock(&c->lock);
    if (!c->choices)
        st = cv_choices_new(c->host, &c->choices, e);
    if (st == HF_OK)
        *ret = c->choices;
    pthread_mutex_unlock(&c->lock);
    return st;
}

enum hf_status cuda_pinned_new(struct hf_device *d, size_t bytes, void **ret, struct hf_error *e) {
    int was = cuda_enter(d);
    void *data = NULL;
    cudaError_t error = cudaHostAlloc(&data, bytes, cudaHostAllocDefault);
    cuda_leave(d, was);
    if (error == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return hf_fail(e, HF_NO_MEMORY, "cuda: no page-locked host memory for %zu bytes", bytes);
    }
    enum hf_status st = cuda_check(error, "locking host memory", e);
    if (st == HF_OK)
        *ret = data;
    return st;
}

void cuda_pinned_free(struct hf_device *d, void *data) {
    int was = cuda_enter(d);
    (void)cudaFreeHost(data);
    cuda_leave(d, was);
}

enum hf_status cuda_check(cudaError_t error, const char *what, struct hf_error *e) {
    if (error == cudaSuccess)
        return HF_OK;
    (void)cudaGetLastError();
    enum hf_status st = error == cudaErrorMemoryAllocation ? HF_NO_MEMORY : HF_IO;
    return hf_fail(e, st, "cuda: %s failed: %s", what, cudaGetErrorString(error));
}

/* ---- the device ---- */

static enum hf_status cuda_compile(struct hf_device *d, struct hf_queue *q,
                                   const struct hf_net *net, const struct hf_exec_spec *spec,
                                   struct hf_executable **ret, struct hf_error *e) {
    return cuda_nn_compile(d, q, cuda_host(d), net, spec, ret, e);
}

static const char *cuda_describe(struct hf_device *d) {
    return cuda_of(d)->description;
}

static void cuda_destroy(struct hf_device *d) {
    struct cuda *c = cuda_of(d);
    int was = cuda_enter(d);
    cuda_memory_close(c);
    cuda_staging_close(c);
    cuda_events_close(c);
    cv_choices_free(c->choices);
    cuda_leave(d, was);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static const struct hf_device_methods methods = {
    .size = sizeof(struct hf_device_methods),
    .destroy = cuda_destroy,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .queue_new = cuda_queue_new,
    .queue_free = cuda_queue_free,
    .launch = cuda_launch,
    .copy = cuda_copy,
    .record = cuda_record,
    .wait = cuda_wait,
    .sync = cuda_sync,
    .event_ref = cuda_event_ref,
    .event_unref = cuda_event_unref,
    .compile = cuda_compile,
    .describe = cuda_describe,
    .memory = cuda_memory,
};

/* ---- opening ---- */

/* Why there is no GPU, and what to do; the engine adds what else there is. */
static enum hf_status no_gpu(cudaError_t error, int driver, int runtime, struct hf_error *e) {
    if (driver == 0)
        return hf_fail(e, HF_UNSUPPORTED,
                       "no NVIDIA driver is loaded on this machine: install one that knows CUDA "
                       "%d.%d",
                       runtime / 1000, runtime % 1000 / 10);
    if (error == cudaErrorInsufficientDriver)
        return hf_fail(e, HF_UNSUPPORTED,
                       "the NVIDIA driver knows CUDA %d.%d, expected %d.%d or newer: update it",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (error == cudaErrorNoDevice || error == cudaSuccess)
        return hf_fail(e, HF_UNSUPPORTED,
                       "the NVIDIA driver shows no GPU: see what nvidia-smi and the variable "
                       "CUDA_VISIBLE_DEVICES say");
    return hf_fail(e, HF_UNSUPPORTED, "the NVIDIA driver does not work: %s; see nvidia-smi",
                   cudaGetErrorString(error));
}

static enum hf_status find_gpu(int id, struct cudaDeviceProp *ret, int *ret_driver,
                               int *ret_runtime, struct hf_error *e) {
    int count = 0;
    (void)cudaDriverGetVersion(ret_driver);
    (void)cudaRuntimeGetVersion(ret_runtime);
    cudaError_t error = cudaGetDeviceCount(&count);
    (void)cudaGetLastError();
    if (error != cudaSuccess || count == 0)
        return no_gpu(error, *ret_driver, *ret_runtime, e);
    if (id < 0 || id >= count)
        return hf_fail(e, HF_UNSUPPORTED,
                       "there is no GPU %d: the NVIDIA driver shows %d, counted from 0; see "
                       "CUDA_VISIBLE_DEVICES",
                       id, count);
    enum hf_status st =
        cuda_check(cudaGetDeviceProperties(ret, id), "asking for the GPU's properties", e);
    if (st == HF_OK && 10 * ret->major + ret->minor < OLDEST_CAPABILITY)
        st = hf_fail(e, HF_UNSUPPORTED,
                     "GPU %d, %.64s, has compute capability %d.%d, expected %d.%d or newer: choose "
                     "another with CUDA_VISIBLE_DEVICES",
                     id, ret->name, ret->major, ret->minor, OLDEST_CAPABILITY / 10,
                     OLDEST_CAPABILITY % 10);
    return st;
}

static enum hf_status cuda_probe(struct hf_error *e) {
    struct cudaDeviceProp prop;
    int driver = 0, runtime = 0;
    return find_gpu(0, &prop, &driver, &runtime, e);
}

static enum hf_status cuda_open(const struct hf_device_options *options, struct hf_device **ret,
                                struct hf_error *e) {
    struct cudaDeviceProp prop;
    char cudnn[64];
    int driver = 0, runtime = 0;
    enum hf_status st = find_gpu(options->device_id, &prop, &driver, &runtime, e);
    if (st != HF_OK)
        return st;
    struct cuda *c = calloc(1, sizeof *c);
    if (!c)
        return hf_fail(e, HF_NO_MEMORY, "cuda: no memory for the device");
    c->pub = (struct hf_device){&methods, HF_KIND_CUDA, options->device_id, 0, HF_KIND_CUDA};
    c->host = options->host;
    c->id = options->device_id;
    (void)pthread_mutex_init(&c->lock, NULL);
    cuda_staging_open(c);
    (void)snprintf(c->description, sizeof c->description,
                   "cuda: %.128s, %d.%d, driver %d.%d, runtime %d.%d, %s", prop.name, prop.major,
                   prop.minor, driver / 1000, driver % 1000 / 10, runtime / 1000,
                   runtime % 1000 / 10, cv_describe(cudnn, sizeof cudnn));
    int was = cuda_enter(&c->pub);
    st = cuda_memory_open(c, e);
    cuda_leave(&c->pub, was);
    if (st == HF_OK)
        *ret = &c->pub;
    else
        cuda_destroy(&c->pub);
    return st;
}

static const struct hf_device_class cuda_class = {
    .name = "cuda",
    .help = "An NVIDIA GPU of compute capability 8.0 or newer: ops as kernels, networks through "
            "cuDNN.",
    .kind = HF_KIND_CUDA,
    .op_kind = HF_KIND_CUDA,
    .priority = 10,
    .precisions = 1u << HF_PRECISION_AUTO | 1u << HF_PRECISION_F32 | 1u << HF_PRECISION_TF32 |
                  1u << HF_PRECISION_BF16,
    .open = cuda_open,
    .probe = cuda_probe,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "cuda",
    .version = "0.1.0",
    .ops = cuda_ops,
    .devices = (const struct hf_device_class *const[]){&cuda_class, NULL},
};
