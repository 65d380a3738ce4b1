/* record.h - what a run leaves for its report: report.json, and the page made from it. */
#ifndef HEPAFLOW_RUN_RECORD_H
#define HEPAFLOW_RUN_RECORD_H

#include <stdbool.h>
#include <time.h>

#include <hepaflow/base.h>

struct cJSON;
struct job;
struct run;

/* The times of its jobs. */
void record_job_start(struct run *run, int job);
void record_job_end(struct run *run, const struct job *job, bool done);

/* "2026-01-31T08:59:00Z" */
/* A seed as JSON: text, where it is larger than what a number of JSON holds. NULL: no memory. */
struct cJSON *record_seed(uint64_t seed);
void record_time(struct cJSON *o, const char *name, time_t when);

/* Written once the run has succeeded, and where it ended with `status` and `why` if any stage had
 * something to say by then: else the report of an earlier run stands. */
enum hf_status record_write(struct run *run, enum hf_status status, const struct hf_error *why,
                            struct hf_error *e);

#endif
