/*
 * flow.h - one stage of a graph while its fields are worked out: what enters it, what its class
 * declares, what leaves it.
 */
#ifndef HEPAFLOW_GRAPH_FLOW_H
#define HEPAFLOW_GRAPH_FLOW_H

#include "graph/check.h"

#define MAX_ENTRIES 128
#define LONG_NAME   64

struct edge {
    int fields;
    struct plan_field field[HF_MAX_FIELDS];
    int64_t grid[3];
    const struct draft *made; /* as a draft's */
    const char *made_by;
};

enum entry_kind {
    ENTRY_READ,
    ENTRY_WRITE,
    ENTRY_DROP,
    ENTRY_REGRID
};

/* One call that a class's `declare` made. */
struct entry {
    enum entry_kind kind;
    char field[LONG_NAME];
    enum hf_dtype dtype;
    enum hf_place place;
    uint32_t flags;
    int64_t channels, grid[3];
    bool from_all, blanked;
    double blank;
    char from[256];
    const char *option; /* REGRID */
};

struct declaration {
    struct hf_io io;
    const struct edge *first;                   /* the first incoming edge */
    char input[HF_OPTION_ITEMS][HF_FIELD_NAME]; /* names that io_model_info gave out */
    int entries;
    bool overflow;
    struct entry entry[MAX_ENTRIES];
};

/* Everything about one stage while its fields are worked out. */
struct flow {
    struct checker *c;
    struct draft *draft;
    struct plan_stage *stage;
    int at;
    struct edge in; /* what enters: of a mix, what all inputs have */
    struct edge out;
    struct declaration decl;
    const struct hf_net
        *net; /* what `fits` asks: the stage's own, or its model's; NULL: not known */
    const struct node *blamed; /* what the error of a network is about; NULL: nothing yet */
    int errors_before;
};

const struct plan_field *edge_find(const struct edge *e, const char *name);
/* What leaves a stage of the plan. */
void edge_of(const struct checker *c, int stage, struct edge *ret);

/* ---- declared.c: the calls that a class's `declare` makes ---- */

/* Readies the flow's `io`. */
void declared_begin(struct flow *f, const struct edge *first);
bool declared(const struct flow *f, const char *field);

/* ---- networks.c: the networks that it names ---- */

enum hf_status io_build(struct hf_io *io, const struct hf_network_choice *network,
                        int32_t input_channels, int32_t output_channels, struct hf_error *e);
enum hf_status io_fits(struct hf_io *io, const int64_t size[3], const char *option,
                       struct hf_error *e);
/* The stage's network becomes this one, which is consumed. */
void keep_net(struct flow *f, struct hf_net *net);

/* ---- reads.c: what it reads, against what enters ---- */

/* The node of an option that names this field, for the caret; NULL: a default, or none does. */
const struct node *naming_node(const struct flow *f, const char *field);
const char *place_shown(enum hf_place place);
void reads_check(struct flow *f);
/* Options that name fields which `declare` said nothing of: they must at least be there. */
void reads_check_options(struct flow *f);
/* Keeps in the plan what is read on the grid. */
void reads_keep(struct flow *f);

/* ---- leaves.c: what enters a mix, and what leaves a stage ---- */

void enter_mix(struct flow *f);
void leave(struct flow *f);

/* ---- learns.c ---- */

/* What the stage's model learns from. */
void model_keep(struct flow *f);

#endif
