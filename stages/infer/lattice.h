/**
 * lattice.h - where the tiles lie that a network runs over, and what each counts for.
 */
#ifndef HF_STAGES_INFER_LATTICE_H
#define HF_STAGES_INFER_LATTICE_H

#include <hepaflow/base.h>

#include "elem.h"

enum infer_weighting {
    INFER_GAUSSIAN,
    INFER_UNIFORM
};

/** Tiles that overlap by at least that share of their size; all of `size` and `tile` at least 1. */
struct infer_lattice infer_lattice_make(const int64_t size[3], const int64_t tile[3],
                                        double overlap);

int64_t infer_lattice_tiles(const struct infer_lattice *l);

/** Floats that infer_weights writes. */
int64_t infer_weights_count(const struct infer_lattice *l);

/**
 * What a voxel of a tile counts for is the product of a weight along each axis. For each axis, for
 * each place on it: the weights of the tile's voxels, before share by share of all that cover the
 * same voxel of the volume, so that these sum to 1.
 */
void infer_weights(const struct infer_lattice *l, enum infer_weighting by, float *ret);

#endif
