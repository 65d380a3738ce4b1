/*
 * slices.c - see slices.h.
 */
#include "slices.h"

#include <stdlib.h>

enum hf_status pool_init(struct pool *p, const struct hf_host *host, int64_t capacity,
                         struct hf_rng rng, struct hf_error *e) {
    *p = (struct pool){.host = host, .capacity = capacity, .rng = rng};
    p->slice = calloc((size_t)capacity, sizeof *p->slice);
    if (!p->slice)
        return hf_fail(e, HF_NO_MEMORY, "no memory to shuffle %lld slices", (long long)capacity);
    return HF_OK;
}

void pool_clear(struct pool *p) {
    for (int64_t i = 0; i < p->count; i++)
        p->host->tensor_unref(p->slice[i]);
    free(p->slice);
    *p = (struct pool){0};
}

void pool_add(struct pool *p, struct hf_tensor *slice) {
    if (p->count < p->capacity) {
        p->slice[p->count++] = slice;
        return;
    }
    uint32_t i = hf_rng_below(&p->rng, (uint32_t)p->count);
    p->host->tensor_unref(p->slice[i]);
    p->slice[i] = slice;
}

void pool_draw(struct pool *p, int64_t n, int keep, struct hf_tensor **ret) {
    for (int64_t k = 0; k < n; k++) {
        /* The last k slices of the pool are those already drawn. */
        int64_t last = p->count - 1 - k;
        int64_t i = hf_rng_below(&p->rng, (uint32_t)(last + 1));
        struct hf_tensor *drawn = p->slice[i];
        p->slice[i] = p->slice[last];
        p->slice[last] = drawn;
        ret[k] = drawn;
        if (keep)
            p->host->tensor_ref(drawn);
    }
    if (!keep)
        p->count -= n;
}
