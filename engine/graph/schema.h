/* schema.h - the JSON Schema of graphs, with the stages and networks that the modules bring. */
#ifndef HEPAFLOW_GRAPH_SCHEMA_H
#define HEPAFLOW_GRAPH_SCHEMA_H

#include "engine.h"

/* In malloc'd memory; NULL: no memory. */
char *graph_schema(const struct hf_engine *en);

/* ---- the engine's own keys (schema_keys.c) ---- */

/* A piece of JSON as text. */
#define JSON(...) #__VA_ARGS__

struct schema_key {
    const char *name;
    const char *help;   /* NULL: none */
    const char *schema; /* NULL: schema.c makes it */
};

/* Each ends with `name` NULL. */
extern const struct schema_key schema_graph_keys[], schema_stage_keys[];
/* What the schemas of keys and options refer to. */
extern const struct schema_key schema_definitions[];
/* The help of a key; NULL: the table does not know it. */
const char *schema_key_help(const struct schema_key *table, const char *key);

#endif
