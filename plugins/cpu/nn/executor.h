/**
 * executor.h - the CPU device's executor thread and its events.
 *
 * One thread owns the OpenMP team (nn_threads wide, fixed when the device opens) and runs the
 * closures handed to it in order. An event is a mark behind one closure; it is also the CPU
 * device's `struct hf_event`. The team's size is part of the result's bits: everything that
 * computes with OpenMP or oneDNN, compiling included, runs on this thread.
 */
#ifndef HEPAFLOW_CPU_EXECUTOR_H
#define HEPAFLOW_CPU_EXECUTOR_H

#include <hepaflow/tensor.h>

struct cpu_executor;

/** Starts the thread; `threads` 0 means all cores that this process may use. */
enum hf_status cpu_executor_open(int32_t threads, struct cpu_executor **ret, struct hf_error *e);
/** Finishes everything that was submitted, then stops the thread. */
void cpu_executor_close(struct cpu_executor *ex);
int32_t cpu_executor_threads(const struct cpu_executor *ex);
struct meter;
/** What the device and its networks have in use. */
struct meter *cpu_executor_meter(struct cpu_executor *ex);

/**
 * Enqueues `fn(arg)`, whose status and message go to its event; it runs exactly once, also when the
 * executor is being closed. `ret_event` (may be NULL) receives an event with one reference. On
 * failure nothing is enqueued and `arg` stays the caller's. May be called from any thread but the
 * executor's own.
 */
enum hf_status cpu_executor_submit(struct cpu_executor *ex,
                                   enum hf_status (*fn)(void *arg, struct hf_error *e), void *arg,
                                   struct hf_event **ret_event, struct hf_error *e);
/** Enqueues and waits. */
enum hf_status cpu_executor_call(struct cpu_executor *ex,
                                 enum hf_status (*fn)(void *arg, struct hf_error *e), void *arg,
                                 struct hf_error *e);
/** An event behind everything submitted so far, with one reference; NULL if all is done. */
struct hf_event *cpu_executor_record(struct cpu_executor *ex);

void cpu_event_ref(struct hf_event *ev);
/** Drops a reference; NULL is allowed. */
void cpu_event_unref(struct hf_event *ev);
/** Blocks until the closure has run; returns its status and message. NULL is ready: HF_OK. */
enum hf_status cpu_event_sync(struct hf_event *ev, struct hf_error *e);
int cpu_event_is_done(struct hf_event *ev);

#endif
