/**
 * grid.c - affine arithmetic, canonical orientation, and resampling between grids by world
 * position.
 */
#include "grid.h"

#include "../geometry/geometry.h"

#include <math.h>

#include <nifti2_io.h>

void hf_grid_world(const struct hf_grid *g, const double index[3], double ret_world[3]) {
    for (int r = 0; r < 3; r++)
        ret_world[r] = g->affine[r][0] * index[0] + g->affine[r][1] * index[1] +
                       g->affine[r][2] * index[2] + g->affine[r][3];
}

static double column_norm(const double a[3][4], int c) {
    return sqrt(a[0][c] * a[0][c] + a[1][c] * a[1][c] + a[2][c] * a[2][c]);
}

void hf_grid_spacing(const struct hf_grid *g, double ret_spacing[3]) {
    for (int c = 0; c < 3; c++)
        ret_spacing[c] = column_norm(g->affine, c);
}

int hf_affine_usable(const double affine[3][4]) {
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            if (!isfinite(affine[r][c]) || fabs(affine[r][c]) > 1e7)
                return 0;
    double box = 1;
    for (int c = 0; c < 3; c++) {
        double norm = column_norm(affine, c);
        if (norm < 1e-5)
            return 0;
        box *= norm;
    }
    return fabs(geometry_determinant(affine)) > 1e-3 * box;
}

void hf_grid_canonical(const struct hf_grid *g, struct hf_turn *ret_turn,
                       struct hf_grid *ret_canonical) {
    nifti_dmat44 m = {{{0}}};
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            m.m[r][c] = g->affine[r][c];
    m.m[3][3] = 1;
    int code[3];
    nifti_dmat44_to_orientation(m, &code[0], &code[1], &code[2]);
    struct hf_turn turn = {{0, 1, 2}, {0, 0, 0}};
    for (int c = 0; c < 3; c++) {
        /* The codes stand in pairs: 1, 2 along left-right, 3, 4 along back-front, 5, 6 upward. */
        int world = (code[c] - 1) / 2;
        turn.axis[world] = c;
        turn.flip[world] = (code[c] - 1) % 2;
    }
    struct hf_grid out;
    for (int r = 0; r < 3; r++)
        out.affine[r][3] = g->affine[r][3];
    for (int a = 0; a < 3; a++) {
        int c = turn.axis[a];
        out.size[2 - a] = hf_grid_extent(g, c);
        for (int r = 0; r < 3; r++) {
            double step = g->affine[r][c];
            if (turn.flip[a]) {
                out.affine[r][3] += step * (double)(hf_grid_extent(g, c) - 1);
                step = -step;
            }
            out.affine[r][a] = step;
        }
    }
    *ret_turn = turn;
    *ret_canonical = out;
}

int hf_grid_same(const struct hf_grid *a, const struct hf_grid *b) {
    double spacing[3];
    hf_grid_spacing(a, spacing);
    double tolerance = 0.1 * fmin(spacing[0], fmin(spacing[1], spacing[2]));
    for (int i = 0; i < 3; i++)
        if (a->size[i] != b->size[i])
            return 0;
    for (int corner = 0; corner < 8; corner++) {
        double index[3], wa[3], wb[3], sum = 0;
        for (int i = 0; i < 3; i++)
            index[i] = corner >> i & 1 ? (double)(hf_grid_extent(a, i) - 1) : 0.0;
        hf_grid_world(a, index, wa);
        hf_grid_world(b, index, wb);
        for (int i = 0; i < 3; i++)
            sum += (wa[i] - wb[i]) * (wa[i] - wb[i]);
        if (!(sqrt(sum) <= tolerance))
            return 0;
    }
    /* A single slice has no second corner along its axis: compare the step as well. */
    for (int c = 0; c < 3; c++)
        if (fabs(column_norm(b->affine, c) - spacing[c]) > 0.1 * spacing[c])
            return 0;
    return 1;
}

void hf_grid_box(const struct hf_grid *g, double ret_low[3], double ret_high[3]) {
    for (int corner = 0; corner < 8; corner++) {
        double index[3], world[3];
        for (int i = 0; i < 3; i++)
            index[i] = corner >> i & 1 ? (double)hf_grid_extent(g, i) - 0.5 : -0.5;
        hf_grid_world(g, index, world);
        for (int i = 0; i < 3; i++) {
            ret_low[i] = corner ? fmin(ret_low[i], world[i]) : world[i];
            ret_high[i] = corner ? fmax(ret_high[i], world[i]) : world[i];
        }
    }
}

double hf_grid_overlap(const struct hf_grid *a, const struct hf_grid *b) {
    double la[3], ha[3], lb[3], hb[3];
    hf_grid_box(a, la, ha);
    hf_grid_box(b, lb, hb);
    double common = 1, va = 1, vb = 1;
    for (int i = 0; i < 3; i++) {
        common *= fmax(0.0, fmin(ha[i], hb[i]) - fmax(la[i], lb[i]));
        va *= ha[i] - la[i];
        vb *= hb[i] - lb[i];
    }
    return common / fmin(va, vb);
}

/**
 * The part [ret_first, ret_last] of a row of x in which start + x * step stays within [-0.5,
 * size - 0.5) on every axis, a voxel to spare on either side; the caller still tests each voxel.
 */
static void clip_row(const double start[3], const double step[3], const struct hf_grid *from,
                     int64_t width, int64_t *ret_first, int64_t *ret_last) {
    double first = 0, last = (double)(width - 1);
    for (int i = 0; i < 3; i++) {
        double low = -0.5 - start[i], high = (double)hf_grid_extent(from, i) - 0.5 - start[i];
        if (fabs(step[i]) < 1e-12) {
            if (low > 0 || high < 0)
                last = -1;
            continue;
        }
        double a = low / step[i], b = high / step[i];
        first = fmax(first, floor(fmin(a, b)) - 1);
        last = fmin(last, ceil(fmax(a, b)) + 1);
    }
    if (first > last) {
        *ret_first = width;
        *ret_last = -1;
        return;
    }
    *ret_first = (int64_t)first;
    *ret_last = (int64_t)last;
}

/** Start and clipped extent of the row (y, z) of the grid that is filled. */
static void row_begin(const double map[3][4], const struct hf_grid *from, int64_t width, int64_t y,
                      int64_t z, double ret_start[3], int64_t *ret_first, int64_t *ret_last) {
    double step[3];
    for (int i = 0; i < 3; i++) {
        step[i] = map[i][0];
        ret_start[i] = map[i][1] * (double)y + map[i][2] * (double)z + map[i][3];
    }
    clip_row(ret_start, step, from, width, ret_first, ret_last);
}

void hf_grid_resample_u8(const struct hf_grid *from, const uint8_t *in, const struct hf_grid *to,
                         uint8_t *out) {
    double map[3][4];
    geometry_map(to, from, map);
    int64_t nx = from->size[2], ny = from->size[1], nz = from->size[0];
    for (int64_t z = 0; z < to->size[0]; z++) {
        for (int64_t y = 0; y < to->size[1]; y++) {
            uint8_t *row = out + (z * to->size[1] + y) * to->size[2];
            double start[3];
            int64_t first, last;
            row_begin(map, from, to->size[2], y, z, start, &first, &last);
            for (int64_t x = 0; x < to->size[2]; x++)
                row[x] = 0;
            for (int64_t x = first; x <= last; x++) {
                int64_t fx = (int64_t)floor(start[0] + map[0][0] * (double)x + 0.5);
                int64_t fy = (int64_t)floor(start[1] + map[1][0] * (double)x + 0.5);
                int64_t fz = (int64_t)floor(start[2] + map[2][0] * (double)x + 0.5);
                if (fx >= 0 && fx < nx && fy >= 0 && fy < ny && fz >= 0 && fz < nz)
                    row[x] = in[(fz * ny + fy) * nx + fx];
            }
        }
    }
}

/** The two voxels around a position on one axis and the upper one's weight; 0 if outside. */
static int bracket(double v, int64_t n, int64_t *ret_low, int64_t *ret_high, float *ret_weight) {
    if (!(v >= -0.5 && v < (double)n - 0.5))
        return 0;
    /* On the voxel itself but for rounding: take it alone, so that nothing leaks. */
    double nearest = floor(v + 0.5);
    double exact = fabs(v - nearest) < 1e-6 ? nearest : v;
    double clamped = fmin(fmax(exact, 0.0), (double)(n - 1));
    int64_t low = (int64_t)clamped;
    *ret_low = low;
    *ret_high = low + 1 < n ? low + 1 : low;
    *ret_weight = (float)(clamped - (double)low);
    return 1;
}

static float mix(float a, float b, float weight) {
    /* Without the test, 0 * inf would leak a voxel that has no share. */
    return weight > 0 ? a + (b - a) * weight : a;
}

void hf_grid_resample_f32(const struct hf_grid *from, const float *in, const struct hf_grid *to,
                          float outside, float *out) {
    double map[3][4];
    geometry_map(to, from, map);
    int64_t nx = from->size[2], ny = from->size[1], nz = from->size[0];
    for (int64_t z = 0; z < to->size[0]; z++) {
        for (int64_t y = 0; y < to->size[1]; y++) {
            float *row = out + (z * to->size[1] + y) * to->size[2];
            double start[3];
            int64_t first, last;
            row_begin(map, from, to->size[2], y, z, start, &first, &last);
            for (int64_t x = 0; x < to->size[2]; x++)
                row[x] = outside;
            for (int64_t x = first; x <= last; x++) {
                int64_t x0, x1, y0, y1, z0, z1;
                float wx, wy, wz;
                if (!bracket(start[0] + map[0][0] * (double)x, nx, &x0, &x1, &wx) ||
                    !bracket(start[1] + map[1][0] * (double)x, ny, &y0, &y1, &wy) ||
                    !bracket(start[2] + map[2][0] * (double)x, nz, &z0, &z1, &wz))
                    continue;
                const float *a = in + (z0 * ny + y0) * nx, *b = in + (z0 * ny + y1) * nx;
                const float *c = in + (z1 * ny + y0) * nx, *d = in + (z1 * ny + y1) * nx;
                float low = mix(mix(a[x0], a[x1], wx), mix(b[x0], b[x1], wx), wy);
                float high = mix(mix(c[x0], c[x1], wx), mix(d[x0], d[x1], wx), wy);
                row[x] = mix(low, high, wz);
            }
        }
    }
}
