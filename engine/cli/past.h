/* past.h - a run that is over, as its folder tells of it, and how two of them differ. */
#ifndef HEPAFLOW_CLI_PAST_H
#define HEPAFLOW_CLI_PAST_H

#include <stdbool.h>

#include "store/store.h"

struct cJSON;

struct past {
    const char *folder;
    struct cJSON *record, *scores; /* run.json; scores.json, NULL: there is none */
    struct terms options;          /* "stage.option", and the graph's own keys */
};

/* False after it has said what is wrong with the folder. */
bool past_read(const char *command, const char *folder, struct past *ret);
void past_clear(struct past *p);
/* A text of the record; NULL: it has none. */
const char *past_text(const struct past *p, const char *key);

/* Each prints a line for every difference, and says how many there are. */
int past_made_of(const struct cJSON *before, const struct cJSON *now); /* versions, inputs, ... */
int past_options(const struct past *a, const struct past *b);
int past_scores(const struct past *a, const struct past *b);
/* What stages wrote; `scores`: also the bytes of scores.json. -1: a folder cannot be read. */
int past_files(const char *a, const char *b, bool scores);

#endif
