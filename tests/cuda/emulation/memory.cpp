/*
 * memory.cpp - the emulated GPU's memory (see memory.h).
 */
#include "memory.h"

#include <deque>
#include <map>

#include <stdlib.h>
#include <sys/mman.h>

#include "asan.h"

namespace emulation {

namespace {

constexpr size_t address_space = size_t(1) << 38;
constexpr size_t page = 4096, guard = 256;
constexpr size_t quarantine_bytes = size_t(16) << 20;
/* Closing takes a while: above so many bytes it is left out, and after so many times mostly. */
constexpr size_t closed_bytes = size_t(24) << 20;
constexpr int always_closed = 256, sometimes_closed = 64;
constexpr unsigned char fresh = 0xA5, released = 0xDB, margin = 0xC7;

char *base, *top;
size_t total = size_t(1) << 30, used, most_used;
std::map<const char *, std::shared_ptr<block>> blocks; /* by the end of their data */
std::deque<std::shared_ptr<block>> quarantine;
size_t quarantined;
int depth;
bool closed;
int closings;

bool all_are(const char *p, size_t n, unsigned char value) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] != value)
            return false;
    return true;
}

size_t padded(size_t bytes) {
    return (bytes + guard - 1) / guard * guard;
}

void close_all() {
    if (top == base || closed || used + quarantined > closed_bytes)
        return;
    closings++;
    if (closings <= always_closed || closings % sometimes_closed == 0)
        closed = mprotect(base, (size_t)(top - base), PROT_NONE) == 0;
}

void open_all() {
    if (closed && mprotect(base, (size_t)(top - base), PROT_READ | PROT_WRITE) == 0)
        closed = false;
}

void check_guards(const block &b) {
#if ADDRESS_SANITIZER
    (void)b; /* the sanitizer has told, and at once */
#else
    if (!all_are(b.data - guard, guard, margin))
        fault("memory before a block of " + std::to_string(b.bytes) + " bytes was written");
    if (!all_are(b.data + b.bytes, padded(b.bytes) - b.bytes + guard, margin))
        fault("memory behind a block of " + std::to_string(b.bytes) + " bytes was written");
#endif
}

/* The oldest block goes for good. */
void evict() {
    std::shared_ptr<block> b = quarantine.front();
    quarantine.pop_front();
    quarantined -= b->bytes;
    ASAN_UNPOISON_MEMORY_REGION(b->data, b->bytes);
    if (!all_are(b->data, b->bytes, released))
        fault("a block of " + std::to_string(b->bytes) +
              " bytes was written after it had been released");
    blocks.erase(b->data + b->bytes);
    size_t from = ((size_t)b->data + page - 1) / page * page;
    size_t to = ((size_t)b->data + b->bytes) / page * page;
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
    ASAN_POISON_MEMORY_REGION(b->data, b->bytes);
}

} // namespace

access::access() {
    if (depth++ == 0)
        open_all();
}

access::~access() {
    if (--depth == 0)
        close_all();
}

no_access::no_access() {
    close_all();
}

no_access::~no_access() {
    open_all();
}

std::shared_ptr<block> block_new(size_t bytes, cudaMemPool_t pool) {
    if (!base) {
        void *range = mmap(nullptr, address_space, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED)
            return nullptr;
        base = top = (char *)range;
    }
    size_t span = padded(bytes) + 2 * guard;
    if (bytes == 0 || bytes > total - used || span > address_space - (size_t)(top - base))
        return nullptr;
    auto b = std::make_shared<block>();
    *b = {top + guard, bytes, pool, false, false, false};
    access here;
    char *first = base + (size_t)(top - base) / page * page;
    if (mprotect(first, (size_t)(top + span - first), PROT_READ | PROT_WRITE) != 0)
        return nullptr;
    top += span;
    used += bytes;
    if (used > most_used)
        most_used = used;
    blocks[b->data + bytes] = b;
    ASAN_UNPOISON_MEMORY_REGION(b->data - guard, span);
    memset(b->data - guard, margin, guard);
    memset(b->data + bytes, margin, padded(bytes) - bytes + guard);
    ASAN_POISON_MEMORY_REGION(b->data - guard, span);
    ASAN_UNPOISON_MEMORY_REGION(b->data, bytes);
    return b;
}

void block_begin(block &b) {
    access here;
    b.begun = true;
    if (!b.ended)
        memset(b.data, fresh, b.bytes);
}

void block_end(const std::shared_ptr<block> &b) {
    access here;
    check_guards(*b);
    b->ended = true;
    used -= b->bytes;
    memset(b->data, released, b->bytes);
    ASAN_POISON_MEMORY_REGION(b->data, b->bytes);
    quarantine.push_back(b);
    quarantined += b->bytes;
    while (quarantined > quarantine_bytes)
        evict();
}

bool in_memory(const void *p) {
    return base && (const char *)p >= base && (const char *)p < base + address_space;
}

std::shared_ptr<block> block_of(const void *p, size_t bytes) {
    auto at = blocks.upper_bound((const char *)p);
    if (at == blocks.end() || (const char *)p < at->second->data ||
        bytes > (size_t)(at->first - (const char *)p))
        return nullptr;
    return at->second;
}

bool pool_in_use(cudaMemPool_t pool) {
    for (auto &b : blocks)
        if (b.second->pool == pool && !b.second->given_back)
            return true;
    return false;
}

size_t memory_total() {
    return total;
}

size_t memory_used() {
    return used;
}

size_t memory_most_used() {
    return most_used;
}

void memory_size(size_t bytes) {
    total = bytes;
    most_used = used;
}

} // namespace emulation
