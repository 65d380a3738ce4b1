/*
 * ledger.h - what failed and what became of it: a line for each sample that was tried again, left
 * out, or ended the run. In memory while the run goes, then ledger.csv in the results folder.
 */
#ifndef HEPAFLOW_RUN_LEDGER_H
#define HEPAFLOW_RUN_LEDGER_H

#include <stdbool.h>

#include <hepaflow/base.h>

enum ledger_outcome {
    LEDGER_RECOVERED, /* a later attempt succeeded */
    LEDGER_SKIPPED,   /* the sample was left out of this pass */
    LEDGER_FAILED     /* the run ended */
};

struct ledger_line {
    int job, stage; /* of the plan */
    uint64_t epoch;
    int64_t ticket;         /* place among what the stage takes in the pass */
    char *job_name, *name;  /* of the stage */
    char *case_id, *sample; /* "": not known */
    int attempts;
    enum ledger_outcome outcome;
    char *error;   /* of the last attempt that failed */
    bool repeated; /* it is of the run that made a result which this one reuses */
};

/* Not safe by itself: whoever shares one brings a lock. */
struct ledger {
    int count, capacity;
    struct ledger_line *line;
    int64_t outcomes[3]; /* in all, also of lines that there was no room for */
};

/* Copies the texts. *ret_first: no line of that stage, sample and outcome was there. Without memory
 * it is only counted, and past a great many it is not called a first one either. */
void ledger_add(struct ledger *l, const struct ledger_line *line, bool *ret_first);
/* Adds a line of an earlier run, once; it gives way to the same one of this run. */
void ledger_repeat(struct ledger *l, const struct ledger_line *line);
/* The line of that stage in that job which stands last in order, whoever was first; or NULL. */
const struct ledger_line *ledger_last(const struct ledger *l, int job, int stage);
/* "2 samples were skipped, 1 succeeded when tried again"; "" if there is nothing to say. */
void ledger_sum(const struct ledger *l, char *text, size_t size);
const char *ledger_outcome_name(enum ledger_outcome o);
/* In the order of jobs, stages, epochs and samples, whatever the workers did. */
void ledger_sort(struct ledger *l);
/* Writes FOLDER/ledger.csv of a sorted ledger, or with `fresh` removes that of an earlier run if
 * nothing failed. */
enum hf_status ledger_write(const struct ledger *l, uint64_t seed, const char *folder, bool fresh,
                            struct hf_error *e);
void ledger_clear(struct ledger *l);

#endif
