/* print.h - the plan as text, dot and JSON; each in malloc'd memory, NULL: no memory. */
#ifndef HEPAFLOW_GRAPH_PRINT_H
#define HEPAFLOW_GRAPH_PRINT_H

#include "engine.h"

char *plan_print_text(const struct hf_plan *p);
char *plan_print_dot(const struct hf_plan *p);
char *plan_print_json(const struct hf_plan *p);
char *plan_print_yaml(const struct hf_plan *p);
struct node;
/* A node as YAML that reads as the same, on one line. */
void print_node(FILE *out, const struct node *n);

const char *stage_kind_name(enum hf_stage_kind kind);
const char *place_name(enum hf_place place);
/* "[1,D,H,W]", "table" for what is no image. */
const char *shape_print(const struct plan_field *f, char *buffer, size_t size);

#define ON_ERROR_TEXT 48
/* As it is written in a graph. */
const char *on_error_shown(const struct on_error *on, char text[ON_ERROR_TEXT]);

/* The fields of sources that a model learns from, and how. */
struct leaf {
    const char *field;
    int stage;
    enum plan_reach how;
};
#define MAX_LEAVES 256
int plan_leaves(const struct hf_plan *p, int stage, struct leaf leaf[MAX_LEAVES]);

#endif
