/**
 * ellipsoid_cpu.h - what the two halves of "tumor_synthesis.ellipsoid" on the CPU share: the volume
 * with its scratch, and drawing one lesion into it.
 */
#ifndef HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_CPU_H
#define HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_CPU_H

#include "ellipsoid.h"

/* Places along an axis that a lattice is summed at, and the weights of its points. */
struct places {
    int32_t *first;
    float *tap; /* [places][LATTICE_TAPS] */
};

/* The tables of the voxels in a row, for one plane. */
enum column_table {
    COLUMN_D,
    COLUMN_W,
    COLUMN_EVEN,
    COLUMN_ODD,
    COLUMN_ON_D,
    COLUMN_ON_H = COLUMN_ON_D + 3,
    COLUMN_TABLES = COLUMN_ON_H + 3
};

/* The parts of scratch. */
struct parts {
    int32_t *count;            /* [depth][SHAPES_SEGMENTS] */
    uint8_t *inner;            /* [2][h][w] */
    uint32_t *touched;         /* [depth] */
    float *hard, *rim, *a, *b; /* of a lesion's box */
    float *column;             /* [COLUMN_TABLES][w] */
    float *coarse, *coarse_w, *coarse_h;
    float *fine, *fine_w, *fine_h;
    struct places cell[3], voxel[3];
};

/* What lesions are drawn into. */
struct volume {
    const struct ellipsoid_params *p;
    int32_t size[3];
    const uint8_t *liver, *region, *couinaud; /* couinaud: NULL = one segment */
    const float *healthy;
    float *image, *lesion;
    uint8_t *hole, *drawn;
    struct grown_box within; /* where the region is */
    int32_t first, last;     /* slices with liver */
    struct parts of;
};

static inline int segment_at(const struct volume *v, int64_t i) {
    return v->couinaud ? segment_of(v->couinaud[i]) : 1;
}

/** Draws the lesion around the voxel `at` into image and lesion, and marks in `touched` the
 *  segments that it shows in; `number` keys its noise. */
void ellipsoid_add(const struct volume *v, const struct hf_rng *rng, const struct grown *l,
                   int32_t number, const int32_t at[3]);

#endif
