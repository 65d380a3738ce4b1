/**
 * noise.c - errors of an annotator. An annotation is a fact of its case, so the errors are neither
 * drawn anew in each epoch nor by each stage: the stream is named by the case alone.
 */
#include "noise.h"

#include <string.h>

#include <hepaflow/rng.h>

static void touch(uint8_t a, uint8_t b, uint8_t ret[NOISE_SEGMENTS]) {
    if (a == b || a < 1 || a > NOISE_SEGMENTS || b < 1 || b > NOISE_SEGMENTS)
        return;
    ret[a - 1] |= (uint8_t)(1 << (b - 1));
    ret[b - 1] |= (uint8_t)(1 << (a - 1));
}

void noise_neighbours(const uint8_t *couinaud, int64_t depth, int64_t rows, int64_t columns,
                      uint8_t ret[NOISE_SEGMENTS]) {
    int64_t slice = rows * columns;
    memset(ret, 0, NOISE_SEGMENTS);
    for (int64_t d = 0; d < depth; d++)
        for (int64_t h = 0; h < rows; h++)
            for (int64_t w = 0; w < columns; w++) {
                const uint8_t *at = couinaud + d * slice + h * columns + w;
                if (!*at)
                    continue;
                touch(*at, w + 1 < columns ? at[1] : 0, ret);
                touch(*at, h + 1 < rows ? at[columns] : 0, ret);
                touch(*at, d + 1 < depth ? at[slice] : 0, ret);
            }
}

/** Of the set bits, the one that the draw chooses; 0: there is none. */
static int pick(uint8_t bits, uint32_t draw) {
    uint32_t count = 0;
    for (int k = 0; k < NOISE_SEGMENTS; k++)
        count += bits >> k & 1;
    uint32_t left = (uint32_t)(((uint64_t)draw * count) >> 32);
    for (int k = 0; k < NOISE_SEGMENTS; k++)
        if ((bits >> k & 1) && left-- == 0)
            return k + 1;
    return 0;
}

void noise_row(const struct noise *noise, uint64_t seed, const char *case_id, int64_t row,
               const uint8_t neighbours[NOISE_SEGMENTS], const uint8_t from[NOISE_ENTRIES],
               uint8_t ret[NOISE_ENTRIES]) {
    struct hf_rng r = hf_rng_init(seed, "annotation", case_id, (uint64_t)row);
    uint8_t out[NOISE_ENTRIES] = {from[0]};
    for (int k = 1; from[0] && k < NOISE_ENTRIES; k++) {
        /* All are drawn whatever is needed: one option does not change what another does. */
        double lost = (double)hf_rng_uniform(&r), moved = (double)hf_rng_uniform(&r);
        double added = (double)hf_rng_uniform(&r);
        uint32_t where = hf_rng_u32(&r);
        if (!from[k]) {
            out[k] |= added < noise->add;
            continue;
        }
        if (lost < noise->drop)
            continue;
        int other = moved < noise->swap ? pick(neighbours[k - 1], where) : 0;
        out[other ? other : k] = 1;
    }
    memcpy(ret, out, sizeof out);
}
