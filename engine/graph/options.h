/*
 * options.h - values of YAML nodes by a stage's or a network's option table.
 */
#ifndef HEPAFLOW_GRAPH_OPTIONS_H
#define HEPAFLOW_GRAPH_OPTIONS_H

#include "graph/tree.h"

struct cJSON;

struct option_scope {
    struct messages *m;
    const struct hf_engine *engine;
    const char *owner;       /* "stage 'pseudo'": whose options they are, for messages */
    struct location where;   /* of the owner */
    const char *const *also; /* other keys that the owner knows, for the nearest spelling */
};

/*
 * Fills `ret` (zeroed) by `table` from the map `given` (NULL: nothing is given) and the defaults.
 * False after errors; what could be read is there all the same.
 */
bool options_parse(const struct option_scope *scope, const struct hf_option *table,
                   const struct node *given, void *ret);
/* The same with what a required option needs made up: for `inspect`. */
bool options_example(const struct option_scope *scope, const struct hf_option *table, void *ret);

/* The resolved options as a JSON object; NULL: no memory. */
struct cJSON *options_json(const struct hf_option *table, const void *options);
const char *option_type_name(enum hf_option_type type);
/* "0 to 1", "at least 0 mm3", ... or "" where there is no range. */
const char *option_range(const struct hf_option *o, char *buffer, size_t size);

/* "12", "-1.5e3", "20 mm3": the number, and in *ret_unit what follows it. */
bool number_parse(const char *text, double *ret, const char **ret_unit);
/* The i-th unit of those that convert; NULL past the last. */
const char *unit_name(int i);
/* Converts from one unit to another of its kind; false: they are not of one kind. */
bool unit_convert(double *value, const char *from, const char *to);
/* A size in bytes ("2 GB"), said to be `key`'s in messages; false after an error. */
bool bytes_parse(struct messages *m, const struct node *n, const char *key, int64_t *ret);
/* Yes or no, said to be `key`'s. */
bool yes_parse(struct messages *m, const struct node *n, const char *key, bool *ret);
/* A whole number from min to max, said to be `key`'s. */
bool whole_parse(struct messages *m, const struct node *n, const char *key, int64_t min,
                 int64_t max, int64_t *ret);

#endif
