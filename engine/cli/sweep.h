/* sweep.h - what the files of `hepaflow sweep` share. */
#ifndef HEPAFLOW_CLI_SWEEP_H
#define HEPAFLOW_CLI_SWEEP_H

#include "cli/cli.h"
#include "sweep/share.h"
#include "sweep/sweep.h"

/* How the runs of a sweep are started. */
struct sweep_start {
    const char *graph, *out;
    const struct sets *sets; /* of all arms */
    int64_t workers;         /* of each run; 0: the cores, shared by those at once */
    int64_t at_once;
    const char *store;   /* NULL: none */
    struct share *share; /* NULL: no run waits for another */
};

/* Runs all that wait, each in a process of its own, and shows how it goes (sweep_run.c). False
 * after it has said why not; a run that fails is no such reason. */
bool sweep_run_all(const struct sweep *sw, struct sweep_run *run, const struct sweep_start *how);

/* For each score a table of the arms; `metric` NULL: the first that cases have (sweep_table.c). */
void sweep_print(const struct sweep *sw, const struct sweep_run *run, const struct sweep_table *t,
                 const char *metric);

#endif
