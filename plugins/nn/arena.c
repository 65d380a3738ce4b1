/**
 * arena.c - lays blocks of memory with known lifetimes into one arena.
 */
#include "arena.h"

#include <stdlib.h>

static size_t rounded(size_t n) {
    return (n + AR_ALIGN - 1) / AR_ALIGN * AR_ALIGN;
}

/** Larger first; blocks of one size in the order of their use, so that plans repeat exactly. */
static int by_size(const void *a, const void *b) {
    const struct ar_block *x = *(struct ar_block *const *)a, *y = *(struct ar_block *const *)b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

/** The best offset for `b` among `placed`, which is in the order of offsets. */
static size_t best_offset(const struct ar_block *b, struct ar_block *const *placed, int32_t count) {
    size_t end = 0, best = 0, best_gap = SIZE_MAX, need = rounded(b->size);
    for (int32_t i = 0; i < count; i++) {
        const struct ar_block *p = placed[i];
        if (p->last < b->first || p->first > b->last)
            continue;
        size_t gap = p->offset > end ? p->offset - end : 0;
        if (gap >= need && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        if (p->offset + rounded(p->size) > end)
            end = p->offset + rounded(p->size);
    }
    return best_gap == SIZE_MAX ? end : best;
}

enum hf_status ar_plan(struct ar_block *block, int32_t count, size_t *ret_size,
                       struct hf_error *e) {
    struct ar_block **order = calloc((size_t)count + 1, sizeof(struct ar_block *));
    struct ar_block **placed = calloc((size_t)count + 1, sizeof(struct ar_block *));
    if (!order || !placed) {
        free(order);
        free(placed);
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    }
    for (int32_t i = 0; i < count; i++)
        order[i] = &block[i];
    qsort(order, (size_t)count, sizeof(struct ar_block *), by_size);
    size_t total = 0;
    int32_t done = 0;
    for (int32_t i = 0; i < count; i++) {
        struct ar_block *b = order[i];
        b->offset = 0;
        if (b->last < b->first || b->size == 0)
            continue;
        b->offset = best_offset(b, placed, done);
        if (b->offset + rounded(b->size) > total)
            total = b->offset + rounded(b->size);
        int32_t at = done++;
        for (; at > 0 && placed[at - 1]->offset > b->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = b;
    }
    free(order);
    free(placed);
    *ret_size = total;
    return HF_OK;
}
