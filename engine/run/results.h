/*
 * results.h - what stages say about their work: JSON for scores.json, and sections of the report.
 *
 * Kept in memory, in the order of the graph's stages, and written whole when the run is over. The
 * scores stand under the stage's name, or under the "name" that they carry.
 */
#ifndef HEPAFLOW_RUN_RESULTS_H
#define HEPAFLOW_RUN_RESULTS_H

#include "ledger.h"

struct cJSON;

struct section {
    char *title, *json; /* an object with a "kind" that is known */
};

struct result {
    const char *name; /* of the stage */
    char *json;       /* NULL: none */
    struct section *section;
    int sections;
};

struct results {
    int stages;
    struct result *stage;
    struct ledger ledger;
};

enum hf_status results_init(struct results *r, int stages, struct hf_error *e);
void results_clear(struct results *r);
/* The stage's JSON, in place of what it gave before; refused if it is none. */
enum hf_status results_set(struct results *r, int stage, const char *json, struct hf_error *e);
/* One more section of the report; refused if it is none. */
enum hf_status results_add(struct results *r, int stage, const char *title, const char *json,
                           struct hf_error *e);
/* Whether any stage has said anything. */
bool results_any(const struct results *r);
/* All scores as an object; NULL: no memory. */
struct cJSON *results_scores(const struct results *r);
/* Writes scores.json into the folder, with what the ledger counts, if there is a score: a run that
 * stopped before its first one leaves those of an earlier one alone. */
enum hf_status results_write(const struct results *r, const char *folder, bool fresh,
                             struct hf_error *e);

#endif
