/*
 * sweep.h - a sweep: the arms that axes and a graph's `sweep:` block come to, what their runs
 * scored, and how that is written down.
 *
 * A run is one arm with one seed, in `<folder of the sweep>/<arm>/seed-<seed>`. Its scores are what
 * scores.json says, and of each case what cases.json in the folder of the stage that scored says: a
 * list of maps with "case" and numbers.
 */
#ifndef HEPAFLOW_SWEEP_H
#define HEPAFLOW_SWEEP_H

#include <stdbool.h>

#include <hepaflow/base.h>

#include "sweep/statistics.h"

/* ---- what runs (arms.c) ---- */

struct sweep_axis {
    const char *name; /* "stage.option" */
    int values;
    const char **value; /* YAML */
};

struct sweep_arm {
    const char *name; /* also of its folder */
    int sets;
    const char **set; /* "stage.option=value", as for `--set` */
};

struct sweep {
    struct arena *arena; /* owns all of it */
    const char *graph;   /* its name */
    int axes;
    struct sweep_axis *axis;
    int arms;
    struct sweep_arm *arm;
    int seeds;
    int64_t *seed;
    int baseline; /* an arm */
};

/* What the command line says of a sweep. */
struct sweep_options {
    const char *const *set; /* `--set`, for all arms */
    int sets;
    const char *const *axis; /* "stage.option=a,b": beside the axes of the file */
    int axes;
    int64_t seeds;        /* 0: what the file says */
    const char *baseline; /* NULL: what the file says */
};

/*
 * Reads a graph's `sweep:` block and the axes of the command line. On failure *ret_messages says
 * all that is wrong, to be freed; what the arms come to is not checked.
 */
enum hf_status sweep_load(const char *path, const struct sweep_options *options, struct sweep **ret,
                          char **ret_messages);
void sweep_free(struct sweep *sw);

/* ---- what the runs scored (scores.c) ---- */

enum sweep_state {
    SWEEP_WAITING,
    SWEEP_DONE,
    SWEEP_FAILED,
    SWEEP_CANCELED
};

const char *sweep_state_name(enum sweep_state state);

struct sweep_run {
    int arm, seed; /* indices */
    enum sweep_state state;
    char error[512]; /* FAILED: one line */
};

/* What one arm has of a metric. */
struct sweep_value {
    struct spread spread;         /* over cases and seeds; of pooled metrics over seeds */
    struct difference difference; /* to the baseline */
};

struct sweep_metric {
    char *name;
    bool pooled;               /* told for all cases as one */
    struct sweep_value *value; /* per arm */
};

struct sweep_score {
    char *name; /* as in scores.json */
    int metrics;
    struct sweep_metric *metric;
};

struct sweep_table {
    int scores;
    struct sweep_score *score;
};

/* Where a run's results are, below the folder of the sweep. */
enum hf_status sweep_folder(const struct sweep *sw, const struct sweep_run *run, char *ret,
                            size_t size, struct hf_error *e);
/* Before a run: removes what one before it has left there of scores, that it may not be taken for
 * this one's. */
enum hf_status sweep_forget(const struct sweep *sw, const struct sweep_run *run, const char *folder,
                            struct hf_error *e);
/* Reads the scores of all runs that are done and compares the arms. `run` has arms x seeds. */
enum hf_status sweep_compare(const struct sweep *sw, const struct sweep_run *run,
                             const char *folder, struct sweep_table *ret, struct hf_error *e);
void sweep_table_free(struct sweep_table *t);

/* The state of an arm is the worst of its runs'; *ret_error is that of the first that failed. */
enum sweep_state sweep_arm_state(const struct sweep *sw, const struct sweep_run *run, int arm,
                                 const char **ret_error);

/* ---- what is written (write.c) ---- */

/* sweep.csv and sweep.json in the folder. */
enum hf_status sweep_write(const struct sweep *sw, const struct sweep_run *run,
                           const struct sweep_table *t, const char *folder, struct hf_error *e);

#endif
