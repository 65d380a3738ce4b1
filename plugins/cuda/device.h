/**
 * device.h - what the parts of the CUDA module share: a queue's stream, the current device of a
 * thread, messages of CUDA's errors. Everything else goes through the device's methods (alloc,
 * free, record, wait, sync).
 *
 * Rules of every part: nothing runs on the default stream; nothing waits for the whole device. Work
 * that is captured is captured on a stream of one's own, in a thread-local or relaxed mode, never
 * on a queue's: other threads record events there, to give memory back. Work on a stream of one's
 * own must be waited for by a queue's stream before its operands are freed.
 */
#ifndef HEPAFLOW_CUDA_DEVICE_H
#define HEPAFLOW_CUDA_DEVICE_H

#include <cuda_runtime.h>

#include <hepaflow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cv_choices;

/**
 * Makes the device current in the calling thread; the result is the device to give to cuda_leave,
 * which puts back what was current. The device's methods do this by themselves; what else calls
 * CUDA (an executable's methods, which any thread may call) does so first.
 */
int cuda_enter(const struct hf_device *d);
void cuda_leave(const struct hf_device *d, int was);

/**
 * The stream of a queue. Whoever enqueues on it calls cuda_queue_used after the last enqueueing,
 * also after a failure, and before the device's record: the queue is no longer done by then, and
 * memory that is given back must wait for it.
 */
cudaStream_t cuda_queue_stream(struct hf_queue *q);
void cuda_queue_used(struct hf_queue *q);

const struct hf_host *cuda_host(const struct hf_device *d);
/** The convolutions' engines chosen so far, made at the first call. */
enum hf_status cuda_choices(struct hf_device *d, struct cv_choices **ret, struct hf_error *e);

/**
 * Page-locked host memory, that copies reach without staging. Expensive to make: for buffers that
 * stay. Freed once no work uses it any more.
 */
enum hf_status cuda_pinned_new(struct hf_device *d, size_t bytes, void **ret, struct hf_error *e);
void cuda_pinned_free(struct hf_device *d, void *data);

/** HF_OK, or the message "cuda: <what> failed: <why>"; clears the thread's last error. */
enum hf_status cuda_check(cudaError_t error, const char *what, struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
