/*
 * results.h - what stages say about their work: JSON for scores.json, HTML for report.html.
 *
 * Kept in memory, in the order of the graph's stages, and written whole when the run is over. The
 * scores stand under the stage's name, or under the "name" that they carry.
 */
#ifndef HEPAFLOW_RUN_RESULTS_H
#define HEPAFLOW_RUN_RESULTS_H

#include "ledger.h"

struct section {
    char *title, *html;
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
/* One more section of the report. */
enum hf_status results_add(struct results *r, int stage, const char *title, const char *html,
                           struct hf_error *e);
/* Writes scores.json if there is a score, and report.html if there is anything, into the folder,
 * both with what the ledger has to say. `device` is a line about what it ran on. */
enum hf_status results_write(struct results *r, const char *graph, uint64_t seed,
                             const char *device, const char *folder, struct hf_error *e);

#endif
