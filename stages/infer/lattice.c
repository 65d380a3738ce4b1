/**
 * lattice.c - where the tiles lie that a network runs over, and what each counts for.
 */
#include "lattice.h"

struct infer_lattice infer_lattice_make(const int64_t size[3], const int64_t tile[3],
                                        double overlap) {
    struct infer_lattice l;
    for (int a = 0; a < 3; a++) {
        /* A hair more, so that the rounding of 1 - overlap takes no voxel off. */
        int64_t step = (int64_t)((double)tile[a] * (1 - overlap) + 1e-9);
        step = step < 1 ? 1 : step;
        l.size[a] = size[a];
        l.tile[a] = tile[a];
        l.count[a] = size[a] > tile[a] ? (size[a] - tile[a] + step - 1) / step + 1 : 1;
    }
    return l;
}

int64_t infer_lattice_tiles(const struct infer_lattice *l) {
    return l->count[0] * l->count[1] * l->count[2];
}

int64_t infer_weights_count(const struct infer_lattice *l) {
    int64_t n = 0;
    for (int a = 0; a < 3; a++)
        n += l->count[a] * l->tile[a];
    return n;
}

/* The weight of voxel i along an axis of a tile: sigma is an eighth of the tile. */
static double raw_weight(enum infer_weighting by, int64_t tile, int64_t i) {
    double from_middle = ((double)i - 0.5 * (double)(tile - 1)) / (0.125 * (double)tile);
    return by == INFER_GAUSSIAN ? exp(-0.5 * from_middle * from_middle) : 1;
}

/* The sum at voxel `v` of the volume over all places of the axis. */
static double covering(const struct infer_lattice *l, int axis, enum infer_weighting by,
                       int64_t v) {
    double sum = 0;
    for (int64_t p = 0; p < l->count[axis]; p++) {
        int64_t i = v - infer_start(l, axis, p);
        if (i >= 0 && i < l->tile[axis])
            sum += raw_weight(by, l->tile[axis], i);
    }
    return sum;
}

void infer_weights(const struct infer_lattice *l, enum infer_weighting by, float *ret) {
    for (int a = 0; a < 3; a++) {
        for (int64_t p = 0; p < l->count[a]; p++) {
            int64_t start = infer_start(l, a, p);
            for (int64_t i = 0; i < l->tile[a]; i++) {
                int64_t v = start + i;
                *ret++ = v < 0 || v >= l->size[a]
                             ? 0
                             : (float)(raw_weight(by, l->tile[a], i) / covering(l, a, by, v));
            }
        }
    }
}
