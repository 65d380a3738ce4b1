/* check.h - a graph on its way from a tree to a plan. */
#ifndef HEPAFLOW_GRAPH_CHECK_H
#define HEPAFLOW_GRAPH_CHECK_H

#include "graph/options.h"

#define MAX_STAGES    1000
#define DEFAULT_DEPTH 2
#define DEFAULT_HOLD  ((int64_t)1000000000)

/* A stage while it is checked, in the order of the file. */
struct draft {
    const struct node *key;
    const struct node *map;   /* as it stands, with `like` left to do; NULL: no map */
    const struct node *use;   /* its own or that of the stage it is like; NULL: none */
    const struct node *given; /* options of the class, those of `like` below; NULL: not known */
    const struct node *from[PLAN_MAX_INPUTS];
    const struct node *model; /* value of `model:`, or NULL */
    const struct node *hold, *cache;
    int input[PLAN_MAX_INPUTS]; /* indices of drafts; -1 after an error */
    int inputs;
    int model_of; /* draft, or -1 */
    int like;     /* 0 not yet, 1 at it, 2 done */
    int placed;   /* index in the plan, or -1 */
    bool bad;     /* something of its own is wrong: nobody asks what leaves it */
    bool fields_known;
    int64_t grid[3];          /* of the samples that leave it */
    const struct draft *made; /* the stage that fixed these sizes; NULL: none did */
    const char *made_by;      /* its option */
    struct plan_stage plan;
};

struct checker {
    struct messages *m;
    struct arena *arena;
    const struct hf_engine *engine;
    struct hf_plan *plan;
    const struct node *root;
    int drafts;
    struct draft *draft;
    int *order;               /* of the plan's stages: draft indices */
    struct flow *flow;        /* room for the stage that fields.c is at */
    struct on_error on_error; /* of stages that do not say */
};

/* The keys that stages and graphs have of their own, ended by a NULL; schema.c says what they take.
 */
extern const char *const stage_keys[], *const graph_keys[];

/* What `on_error` says, of the graph or a stage; false after an error (onerror.c). */
bool on_error_parse(struct messages *m, const struct node *n, struct on_error *ret);
/* The stage's own `on_error`, or the graph's. */
void on_error_check(struct checker *c, struct draft *d);
/* The stage's options without those that only the class takes which another `use` has replaced;
 * takes such engine keys from its map (swap.c). */
const struct node *swap_options(struct checker *c, struct draft *d);
/* Works out what leaves the plan's stage `at`, from what enters it (fields.c). */
void fields_flow(struct checker *c, int at);
/* Fills in the plan's jobs; says which stages nothing uses (jobs.c). */
void jobs_make(struct checker *c, struct location stages);

#endif
