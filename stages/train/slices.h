/**
 * slices.h - the deterministic bounded shuffle between volumes and batches.
 *
 * A slice is a copy [K,H,W] of what the training needs of one slice of a volume (inputs, target,
 * weight), so that a few shuffled slices do not pin volumes. A pool hands them out at random, in an
 * order that depends on nothing but its random stream and the order of arrival.
 */
#ifndef TRAIN_SLICES_H
#define TRAIN_SLICES_H

#include <hepaflow/plugin.h>

struct pool {
    const struct hf_host *host;
    struct hf_tensor **slice;
    int64_t count, capacity;
    struct hf_rng rng;
};

enum hf_status pool_init(struct pool *p, const struct hf_host *host, int64_t capacity,
                         struct hf_rng rng, struct hf_error *e);
void pool_clear(struct pool *p);
/** Takes a slice (consumes the reference); in a full pool it takes the place of a random one. */
void pool_add(struct pool *p, struct hf_tensor *slice);
/**
 * Draws `n` different slices, n <= count, into `ret`, with a reference each. They leave the pool
 * unless `keep`.
 */
void pool_draw(struct pool *p, int64_t n, int keep, struct hf_tensor **ret);

#endif
