/**
 * noise.h - an annotator who errs: labels of an annotation that are dropped, added, or given to a
 * neighbouring segment.
 */
#ifndef HF_COUINAUD_MASK_NOISE_H
#define HF_COUINAUD_MASK_NOISE_H

#include <hepaflow/base.h>

#define NOISE_ENTRIES  9 /* of a row: annotated at all, segments 1 to 8 */
#define NOISE_SEGMENTS 8

struct noise {
    double drop, add, swap; /* probabilities, for each label */
};

/**
 * ret[k - 1] = the segments (bit j - 1 for j) that have a face of a voxel in common with segment k:
 * of depth slices of rows x columns voxels in all, or, with `depth` 1, in a slice.
 */
void noise_neighbours(const uint8_t *couinaud, int64_t depth, int64_t rows, int64_t columns,
                      uint8_t ret[NOISE_SEGMENTS]);

/**
 * One row of an annotation with its errors. A label of the row is dropped with the probability
 * `drop`, else it moves with the probability `swap` to one of its neighbours, each as likely; a
 * segment without a label gets one with the probability `add`. The draws depend on the seed, the
 * case and the number of the row alone.
 */
void noise_row(const struct noise *noise, uint64_t seed, const char *case_id, int64_t row,
               const uint8_t neighbours[NOISE_SEGMENTS], const uint8_t from[NOISE_ENTRIES],
               uint8_t ret[NOISE_ENTRIES]);

#endif
