/**
 * bind.h - the memory of a compiled network, and its steps bound to addresses.
 */
#ifndef HEPAFLOW_CPU_BIND_H
#define HEPAFLOW_CPU_BIND_H

#include "dnnl.h"
#include "graph.h"
#include "kern.h"

/** The arguments of a step's kernel. Which one a step has, its op says. */
union step_args {
    struct kn_norm norm;
    struct kn_point point;
    struct kn_space space;
    struct kn_layout layout;
    struct kn_loss loss;
    struct kn_shrink shrink;
};

/** What stays for the life of an executable. Vectors of parameters are in their flat order. */
struct store {
    union step_args *args; /* of each step */
    char *arena;
    size_t arena_bytes, total_bytes;
    float *param, *gradient, *moment, *variance; /* the last three in mode TRAIN */
    float *average;                              /* of the parameters, or NULL */
    struct up_range *range;                      /* of parameters that are updated */
    int32_t ranges;
    double *update; /* scratch of the optimiser */
};

/** Plans the arena, allocates everything and fills in the arguments of every step. */
enum hf_status store_make(struct store *s, struct graph *g, struct hf_error *e);
void store_clear(struct store *s);

#endif
