/*
 * trace.h - what a run did and when, as a file that Perfetto (ui.perfetto.dev) and Chrome's
 * about:tracing open: the JSON form of the Trace Event Format. A job is a process there, an
 * instance of a stage a track; edges are counters.
 *
 * All calls may come from any thread, and take NULL for a trace that nobody asked for.
 */
#ifndef HEPAFLOW_RUN_TRACE_H
#define HEPAFLOW_RUN_TRACE_H

#include <hepaflow/base.h>

struct trace;

/* Begins the file, aside: it has its name when trace_close has written it whole. */
enum hf_status trace_open(const char *path, struct trace **ret, struct hf_error *e);
/* Ends the file and frees the trace, also on failure. */
enum hf_status trace_close(struct trace *t, struct hf_error *e);

/* Takes the unfinished file away, when the process is about to end. */
void trace_abandon(struct trace *t);

/* Nanoseconds of a clock that only runs forward. */
int64_t trace_now(void);

void trace_job(struct trace *t, int job, const char *name);
/* A new track of the job; `replica` < 0: the stage has one instance only. */
int trace_track(struct trace *t, int job, const char *stage, int replica);
/* Something that took from `from` to `to`; `id` of the sample, or NULL; epoch < 0: of none. */
void trace_span(struct trace *t, int job, int track, const char *what, const char *id,
                int64_t epoch, int64_t from, int64_t to);
/* A counter as it is now. Does not write, so that a lock may be held; `what` lives until the trace
 * is closed. */
void trace_count(struct trace *t, int job, const char *what, int64_t count, int64_t bytes);

#endif
