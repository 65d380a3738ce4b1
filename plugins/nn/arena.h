/**
 * arena.h - lays blocks of memory with known lifetimes into one arena.
 */
#ifndef HEPAFLOW_NN_ARENA_H
#define HEPAFLOW_NN_ARENA_H

#include <hepaflow/base.h>

#define AR_ALIGN 64

/** A block is in use from step `first` to step `last`, both included. last < first: never. */
struct ar_block {
    size_t size;
    int32_t first, last;
    size_t offset; /* set by ar_plan; a multiple of AR_ALIGN */
};

/**
 * Gives every block an offset such that blocks in use at the same step do not overlap: largest
 * first, each into the smallest gap that holds it. Returns the arena's size through `ret_size`.
 */
enum hf_status ar_plan(struct ar_block *block, int32_t count, size_t *ret_size, struct hf_error *e);

#endif
