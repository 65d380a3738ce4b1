/*
 * schema_keys.c - what the engine's own keys of graphs and stages take, as pieces of JSON Schema;
 * what a piece lacks (the stages, the devices) schema.c adds.
 */
#include "graph/schema.h"

#include <string.h>

/* clang-format off */
const struct schema_key schema_graph_keys[] = {
    {"name", "Names the results folder, out/<name>. Default: the file's name.",
     JSON({"$ref": "#/definitions/text"})},
    {"seed", "Seed of everything that is drawn at random. Default: 0.",
     JSON({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"},
                     {"$ref": "#/definitions/open"}]})},
    {"device", "Where it runs: auto (the best device that opens), cpu, cuda, or one of your own. "
     "Default: auto.", NULL},
    {"vars", "Names and values for ${name}.", JSON({"type": ["object", "null"]})},
    {"include", "A graph, or a list of graphs, that this one builds on; paths are relative to this "
     "file.",
     JSON({"anyOf": [{"type": "string", "minLength": 1},
                     {"type": "array", "items": {"type": "string", "minLength": 1}}]})},
    {"hold", "Memory for held samples, in all. Default: 1 GB.",
     JSON({"anyOf": [{"$ref": "#/definitions/bytes"}, {"$ref": "#/definitions/open"}]})},
    {"nn_threads", "Threads of the networks on the CPU; 0: all cores. Default: 0.",
     JSON({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 1024},
                     {"$ref": "#/definitions/open"}]})},
    {"jobs", "Jobs that run at once. Default: 1.",
     JSON({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 64},
                     {"$ref": "#/definitions/open"}]})},
    {"on_error", "What becomes of a sample on which a stage fails, where the stage does not say: "
     "fail, skip, retry(n), [retry(n), skip]. Default: fail.",
     JSON({"$ref": "#/definitions/on_error"})},
    {"store", "Whether results are kept, and those of earlier runs reused. Default: yes.",
     JSON({"anyOf": [{"type": "boolean"}, {"enum": ["yes", "no", "on", "off"]},
                     {"$ref": "#/definitions/open"}]})},
    {"sweep", "What 'hepaflow sweep' runs it with; 'run' and 'plan' take no notice of it.",
     JSON({"type": ["object", "null"], "additionalProperties": false, "properties": {
             "axes": {"type": ["object", "null"], "propertyNames": {"pattern": "\\."},
                      "description": "Axes: stage.option: [values]. Each combination is an arm."},
             "arms": {"type": ["object", "null"],
                      "additionalProperties": {"type": ["object", "null"]},
                      "description": "Arms of several settings: name: {stage.option: value}."},
             "seeds": {"anyOf": [{"type": "integer", "minimum": 1},
                                 {"type": "array", "items": {"type": "integer", "minimum": 0},
                                  "minItems": 1, "uniqueItems": true},
                                 {"$ref": "#/definitions/open"}],
                       "description": "Seeds of each arm: how many, or which. Default: 1."},
             "baseline": {"type": ["string", "null"], "description":
                          "The arm that others are compared with. Default: the first."}}})},
    {"stages", "The stages: a map of names, each with what it is.", NULL},
    {NULL, NULL, NULL},
};

const struct schema_key schema_stage_keys[] = {
    {"use", "Which stage it is: 'hepaflow inspect' lists them.", NULL},
    {"from", "The stage whose samples it takes; a mix takes a list.",
     JSON({"anyOf": [{"$ref": "#/definitions/name"},
                     {"type": "array", "items": {"$ref": "#/definitions/name"}, "maxItems": 8,
                      "uniqueItems": true},
                     {"$ref": "#/definitions/open"}]})},
    {"model", "The stage whose trained model it uses.",
     JSON({"anyOf": [{"$ref": "#/definitions/name"}, {"$ref": "#/definitions/open"}]})},
    {"like", "A stage whose 'use' and options it shares, but for those it sets itself.",
     JSON({"anyOf": [{"$ref": "#/definitions/name"}, {"$ref": "#/definitions/open"}]})},
    {"weights", "Of a mix: a number for each input, such as [2, 1]. Default: one pass over each.",
     JSON({"anyOf": [{"type": "array", "minItems": 1, "maxItems": 8,
                      "items": {"anyOf": [{"type": "number", "exclusiveMinimum": 0,
                                           "maximum": 1000000},
                                          {"type": "string", "pattern": "^[0-9.]+[eE][-+]?[0-9]+$"},
                                          {"$ref": "#/definitions/var"}]}},
                     {"$ref": "#/definitions/open"}]})},
    {"replicas", "Instances that work side by side, or auto: as many as there are workers. "
     "Default: auto.",
     JSON({"anyOf": [{"enum": ["auto"]}, {"type": "integer", "minimum": 1, "maximum": 256},
                     {"$ref": "#/definitions/open"}]})},
    {"depth", "Samples that may wait on the edge behind it, or be at work there.",
     JSON({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 1024},
                     {"$ref": "#/definitions/open"}]})},
    {"hold", "Memory that may keep its output for later passes and jobs: 500 MB, or true for as "
     "much as the graph has; only before anything is drawn at random. Default: none.",
     JSON({"anyOf": [{"type": "boolean"}, {"enum": ["true", "yes", "false"]},
                     {"$ref": "#/definitions/bytes"}, {"$ref": "#/definitions/open"}]})},
    {"cache", "store: what it makes of each case is kept in the store, for later runs; only before "
     "anything is drawn at random. Default: no.",
     JSON({"anyOf": [{"enum": ["store", "no"]}, {"$ref": "#/definitions/open"}]})},
    {"on_error", "What becomes of a sample on which it fails: fail, skip, retry(n), "
     "[retry(n), skip]. Default: the graph's.",
     JSON({"$ref": "#/definitions/on_error"})},
    {"draws", "anew: other random numbers in every pass; once: those of the first pass again. "
     "Default: anew.",
     JSON({"anyOf": [{"enum": ["anew", "once"]}, {"$ref": "#/definitions/open"}]})},
    {NULL, NULL, NULL},
};

/* What the schemas of keys and options refer to. */
const struct schema_key schema_definitions[] = {
    {"var", NULL, JSON({"type": "string", "pattern": "\\$\\{[^}]+\\}"})},
    {"open", NULL, JSON({"anyOf": [{"type": "null"}, {"$ref": "#/definitions/var"}]})},
    {"text", NULL, JSON({"type": ["string", "number", "boolean", "null"]})},
    {"name", NULL, JSON({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,62}$"})},
    {"bytes", NULL,
     JSON({"anyOf": [{"type": "number", "minimum": 0},
                     {"type": "string", "pattern":
                      "^\\+?[0-9.]+([eE][-+]?[0-9]+)? *(B|kB|MB|GB|TB|KiB|MiB|GiB)?$"}]})},
    {"on_error", NULL,
     JSON({"anyOf": [{"enum": ["fail", "skip", "retry(1)", "retry(2)"]},
                     {"type": "string", "pattern": "^retry\\([1-9][0-9]?\\)$|^retry\\(100\\)$"},
                     {"type": "array", "minItems": 2, "maxItems": 2,
                      "items": [{"type": "string", "pattern": "^retry\\(|\\$\\{"},
                                {"type": "string", "pattern": "^(fail|skip)$|\\$\\{"}]},
                     {"$ref": "#/definitions/open"}]})},
    {NULL, NULL, NULL},
};
/* clang-format on */

const char *schema_key_help(const struct schema_key *table, const char *key) {
    while (table->name && strcmp(table->name, key) != 0)
        table++;
    return table->help;
}
