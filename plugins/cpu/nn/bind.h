/**
 * bind.h - the memory of a compiled network, and its steps bound to addresses.
 */
#ifndef HEPAFLOW_CPU_BIND_H
#define HEPAFLOW_CPU_BIND_H

#include "graph.h"

/** What stays for the life of an executable. Vectors of parameters are in their flat order. */
struct store {
    char *arena;
    size_t arena_bytes, total_bytes;
    float *param, *gradient, *moment, *variance; /* the last three in mode TRAIN */
    double *update;                              /* scratch of the optimiser */
};

/** Plans the arena, allocates everything and fills in the arguments of every step. */
enum hf_status store_make(struct store *s, struct graph *g, struct hf_error *e);
void store_clear(struct store *s);

#endif
