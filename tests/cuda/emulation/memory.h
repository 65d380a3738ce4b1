/**
 * memory.h - the emulated GPU's memory: one range of addresses that only running work may touch.
 *
 * Addresses are never handed out twice. A block lies between guards; what was given back stays,
 * poisoned, for a while, and is looked at once more before it goes. All of this is called under the
 * runtime's lock.
 */
#ifndef EMULATION_MEMORY_H
#define EMULATION_MEMORY_H

#include <memory>

#include "kernel.h"

namespace emulation {

struct block {
    char *data;
    size_t bytes;
    cudaMemPool_t pool; /* NULL: cudaMalloc's */
    bool given_back;    /* its release is enqueued, or done */
    bool begun, ended;  /* its allocation, its release has had its turn */
};

/** While one of these exists the memory can be touched. */
struct access {
    access();
    ~access();
};

/** While one of these exists it cannot, whatever `access` there is. */
struct no_access {
    no_access();
    ~no_access();
};

/** NULL: there is no memory left. The contents are set by `begin`. */
std::shared_ptr<block> block_new(size_t bytes, cudaMemPool_t pool);
void block_begin(block &b);
void block_end(const std::shared_ptr<block> &b);
bool in_memory(const void *p);
/** The block that holds p[0..bytes-1], or NULL. */
std::shared_ptr<block> block_of(const void *p, size_t bytes);
bool pool_in_use(cudaMemPool_t pool);
size_t memory_total(), memory_used(), memory_most_used();
void memory_size(size_t bytes);

/** Notes what was done wrong. */
void fault(const std::string &text);

} // namespace emulation

#endif
