/**
 * multigrid.h - the Laplace equation on a set of voxels: conjugate gradients, preconditioned by a
 * V-cycle of multigrid.
 *
 * The voxels are a graph whose edges join neighbours of the set; an edge to a known voxel adds to
 * the diagonal and to the right side alone. The next coarser level joins boxes of 2 x 2 (x 2)
 * nodes to one and adds up their edges, so it is such a graph again, whatever the shape of the
 * set. All sums run in one order: the same bits everywhere.
 */
#ifndef HF_PLUGINS_LAPLACE_MULTIGRID_H
#define HF_PLUGINS_LAPLACE_MULTIGRID_H

#include <stddef.h>
#include <stdint.h>

#include "../ops/pieces.h"

#define GRID_LEVELS 24

struct grid_level {
    int32_t nodes;
    int32_t size[3];  /* of the box that the nodes lie in */
    int32_t *at;      /* where in it */
    int32_t *next[3]; /* the neighbour up the axis; -1: none */
    int32_t *previous[3];
    float *weight[3]; /* of the edge to `next` */
    double *diagonal;
    double *right, *value; /* of a V-cycle */
    int32_t *parent;       /* node of the coarser level */
};

struct grid_problem {
    int32_t levels;
    struct grid_level level[GRID_LEVELS];
    double *x, *right, *search, *image; /* of level 0: solution, right side, and the iteration's */
    int32_t *map;                       /* scratch: as many as level 0's box has voxels */
    struct pieces room;                 /* what is left of it is for more levels */
    size_t room_bytes;
    int32_t rounds; /* that the solution took */
    double change;  /* of a node, at most, by the last V-cycle */
};

/** Bytes for a problem of at most so many nodes in a box of so many voxels: whole lines of 64. */
size_t grid_bytes(int64_t nodes, int64_t voxels);

/** Lays out level 0 in `memory`; `x`, `right` and the level's arrays are then to be filled in. */
void grid_begin(struct grid_problem *g, void *memory, int32_t nodes, const int32_t size[3]);

/** Adds the coarser levels; `spacing` of level 0 says along which axes it coarsens first. */
void grid_coarsen(struct grid_problem *g, const float spacing[3]);

/** Solves from the x that is there, until what a V-cycle would still change is `tolerance` at most
 *  at every node. 0: it did not come there, in so many rounds or before numbers ran out. */
int grid_solve(struct grid_problem *g, double tolerance, int32_t most_rounds);

#endif
