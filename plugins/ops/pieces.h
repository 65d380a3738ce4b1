/**
 * pieces.h - a block of memory, such as an op's scratch, in pieces that begin at whole lines of the
 * cache.
 */
#ifndef HF_PLUGINS_OPS_PIECES_H
#define HF_PLUGINS_OPS_PIECES_H

#include <stddef.h>

#define PIECE_LINE 64

/** What a piece of so many bytes takes of the block. */
static inline size_t piece_bytes(size_t bytes) {
    return (bytes + PIECE_LINE - 1) / PIECE_LINE * PIECE_LINE;
}

/** Hands out pieces one after the other; with base NULL it only counts. */
struct pieces {
    char *base;
    size_t used;
};

static inline void *piece(struct pieces *p, size_t bytes) {
    void *at = p->base ? p->base + p->used : NULL;
    p->used += piece_bytes(bytes);
    return at;
}

#endif
