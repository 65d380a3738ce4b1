/**
 * geometry.h - lengths and index maps of grids, for the stages that need them.
 */
#ifndef HF_STAGES_GEOMETRY_H
#define HF_STAGES_GEOMETRY_H

#include <math.h>

#include <hepaflow/sample.h>

/** mm between voxels along D, H, W. */
static inline void geometry_spacing(const struct hf_grid *g, double ret[3]) {
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int r = 0; r < 3; r++)
            sum += g->affine[r][2 - i] * g->affine[r][2 - i];
        ret[i] = sqrt(sum);
    }
}

/** mm2 of a voxel within its slice. */
static inline double geometry_area(const struct hf_grid *g) {
    double spacing[3];
    geometry_spacing(g, spacing);
    return spacing[1] * spacing[2];
}

static inline double geometry_determinant(const double a[3][4]) {
    return a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
           a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
           a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
}

/** ml of a voxel, also where a tilted gantry has sheared the axes. */
static inline double geometry_volume(const struct hf_grid *g) {
    return fabs(geometry_determinant(g->affine)) / 1000;
}

/** ret = a * b, as 4x4 matrices with the last row 0 0 0 1. */
static inline void geometry_multiply(const double a[3][4], const double b[3][4], double ret[3][4]) {
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            ret[r][c] =
                a[r][0] * b[0][c] + a[r][1] * b[1][c] + a[r][2] * b[2][c] + (c == 3 ? a[r][3] : 0);
}

static inline void geometry_invert(const double a[3][4], double ret[3][4]) {
    double determinant = geometry_determinant(a);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) {
            int r1 = (r + 1) % 3, r2 = (r + 2) % 3, c1 = (c + 1) % 3, c2 = (c + 2) % 3;
            ret[c][r] = a[r1][c1] * a[r2][c2] - a[r1][c2] * a[r2][c1];
        }
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++)
            ret[r][c] /= determinant;
        ret[r][3] = -(ret[r][0] * a[0][3] + ret[r][1] * a[1][3] + ret[r][2] * a[2][3]);
    }
}

/** The matrix that maps an index (w, h, d) of `to` to the index of `from` at the same place. */
static inline void geometry_map(const struct hf_grid *to, const struct hf_grid *from,
                                double ret[3][4]) {
    double inverse[3][4];
    geometry_invert(from->affine, inverse);
    geometry_multiply(inverse, to->affine, ret);
}

/** `ret` = the grid that begins at the (fractional) index (w, h, d) `at` of `g`, `step` apart. */
static inline void geometry_regrid(const struct hf_grid *g, const double at[3],
                                   const double step[3], const int64_t size[3],
                                   struct hf_grid *ret) {
    double matrix[3][4] = {{0}}, affine[3][4];
    for (int a = 0; a < 3; a++) {
        matrix[a][a] = step[a];
        matrix[a][3] = at[a];
    }
    geometry_multiply(g->affine, matrix, affine);
    memcpy(ret->affine, affine, sizeof affine);
    memcpy(ret->size, size, sizeof ret->size);
}

#endif
