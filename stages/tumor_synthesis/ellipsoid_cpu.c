/**
 * ellipsoid_cpu.c - "tumor_synthesis.ellipsoid" on the CPU: lesions one after the other, each in
 * the box that it may be seen in. Loops run along W, so that they take several voxels at once.
 */
#include <string.h>

#include "ellipsoid.h"
#include "ops.h"

/* A lattice of random numbers and what it is summed to, axis by axis. */
struct lattice {
    int32_t first[3], count[3]; /* points */
    float *point;               /* [count 0][count 1][count 2] */
};

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

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static void *take(char *base, size_t *offset, int64_t count, size_t size) {
    size_t at = *offset;
    *offset = (at + (size_t)count * size + 63) / 64 * 64;
    return base ? base + at : NULL;
}

static float *take_floats(char *base, size_t *offset, int64_t count) {
    return take(base, offset, count, sizeof(float));
}

static struct places take_places(char *base, size_t *offset, int64_t count) {
    struct places p;
    p.first = take(base, offset, count, sizeof(int32_t));
    p.tap = take_floats(base, offset, count * LATTICE_TAPS);
    return p;
}

/* Lays scratch out; `base` NULL: only says how much there has to be. */
static size_t lay_out(const struct hf_op_call *call, char *base, struct parts *of) {
    const struct ellipsoid_params *p = call->params;
    const int64_t *shape = call->in[0]->shape + 1;
    int64_t box[3], coarse[3], fine[3];
    size_t bytes = 0;
    for (int a = 0; a < 3; a++)
        box[a] = most_voxels(p, a, (int32_t)shape[a]);
    most_points(p, box, coarse, fine);
    int64_t voxels = box[0] * box[1] * box[2];
    of->count = take(base, &bytes, shape[0] * SHAPES_SEGMENTS, sizeof(int32_t));
    of->touched = take(base, &bytes, shape[0], sizeof(uint32_t));
    of->inner = take(base, &bytes, 2 * shape[1] * shape[2], 1);
    of->hard = take_floats(base, &bytes, voxels);
    of->rim = take_floats(base, &bytes, p->rim > 0 ? voxels : 0);
    of->a = take_floats(base, &bytes, voxels);
    of->b = take_floats(base, &bytes, voxels);
    of->column = take_floats(base, &bytes, COLUMN_TABLES * box[2]);
    of->coarse = take_floats(base, &bytes, coarse[0] * coarse[1] * coarse[2]);
    of->coarse_w = take_floats(base, &bytes, coarse[0] * coarse[1] * fine[2]);
    of->coarse_h = take_floats(base, &bytes, coarse[0] * fine[1] * fine[2]);
    of->fine = take_floats(base, &bytes, fine[0] * fine[1] * fine[2]);
    of->fine_w = take_floats(base, &bytes, fine[0] * fine[1] * box[2]);
    of->fine_h = take_floats(base, &bytes, fine[0] * box[1] * box[2]);
    for (int a = 0; a < 3; a++) {
        of->cell[a] = take_places(base, &bytes, fine[a]);
        of->voxel[a] = take_places(base, &bytes, box[a]);
    }
    return bytes;
}

static size_t grow_scratch(const struct hf_op_call *call) {
    struct parts of;
    return lay_out(call, NULL, &of);
}

/* ---- the liver ---- */

static int segment_at(const struct volume *v, int64_t i) {
    return v->couinaud ? segment_of(v->couinaud[i]) : 1;
}

/* Finds the next run of liver voxels, *i..*ret_end - 1, fast over what is none; 0: there is none.
 */
static int next_run(const uint8_t *liver, int64_t *i, int64_t to, int64_t *ret_end) {
    int64_t at = *i;
    while (at < to && !liver[at]) {
        uint64_t eight = 0;
        if (at + 8 <= to)
            memcpy(&eight, liver + at, 8);
        at += at + 8 <= to && eight == 0 ? 8 : 1;
    }
    *i = at;
    for (uint64_t eight = 0; at + 8 <= to; at += 8) { /* none of them is 0 */
        memcpy(&eight, liver + at, 8);
        if ((eight - 0x0101010101010101u) & ~eight & 0x8080808080808080u)
            break;
    }
    while (at < to && liver[at])
        at++;
    *ret_end = at;
    return *i < to;
}

/* Walks over runs of liver voxels: i..end - 1. */
#define LIVER_RUNS(i, end, liver, from, to)                                                        \
    for (int64_t i = (from), end = 0; next_run(liver, &i, to, &end); i = end)

/* Counts a run's region voxels by segment; returns how many there are. */
static int32_t count_run(const struct volume *v, int64_t i, int64_t end, int32_t *count) {
    int32_t part[2][SHAPES_SEGMENTS] = {{0}}, all = 0; /* neighbours do not wait for each other */
    for (int64_t k = i; k < end; k++)
        part[k & 1][segment_at(v, k)] += v->region[k] != 0;
    for (int k = 0; k < SHAPES_SEGMENTS; k++) {
        count[k] += part[0][k] + part[1][k];
        all += part[0][k] + part[1][k];
    }
    return all;
}

/* Counts the region's voxels by slice and segment, and finds where it is. */
static void survey(struct volume *v) {
    int64_t plane = (int64_t)v->size[1] * v->size[2];
    v->within = (struct grown_box){{v->size[0], v->size[1], v->size[2]}, {0, 0, 0}};
    v->first = v->size[0];
    v->last = -1;
    memset(v->of.count, 0, (size_t)v->size[0] * SHAPES_SEGMENTS * sizeof(int32_t));
    for (int32_t d = 0; d < v->size[0]; d++) {
        int32_t *count = v->of.count + (int64_t)d * SHAPES_SEGMENTS;
        int liver = 0, region = 0;
        for (int32_t y = 0; y < v->size[1]; y++) {
            int64_t row = d * plane + (int64_t)y * v->size[2], left = -1, right = -1;
            LIVER_RUNS(i, end, v->liver, row, row + v->size[2]) {
                liver = 1;
                if (count_run(v, i, end, count) == 0)
                    continue;
                for (int64_t k = i; left < 0; k++)
                    left = v->region[k] ? k - row : -1;
                for (right = end - 1 - row; !v->region[row + right];)
                    right--;
            }
            if (left < 0)
                continue;
            region = 1;
            v->within.low[1] = y < v->within.low[1] ? y : v->within.low[1];
            v->within.high[1] = y + 1 > v->within.high[1] ? y + 1 : v->within.high[1];
            v->within.low[2] = (int32_t)(left < v->within.low[2] ? left : v->within.low[2]);
            v->within.high[2] = (int32_t)most(right + 1, v->within.high[2]);
        }
        if (liver) {
            v->first = d < v->first ? d : v->first;
            v->last = d;
        }
        if (region) {
            v->within.low[0] = d < v->within.low[0] ? d : v->within.low[0];
            v->within.high[0] = d + 1;
        }
    }
}

static int32_t region_voxels(const int32_t *count) {
    int32_t all = 0;
    for (int k = 0; k < SHAPES_SEGMENTS; k++)
        all += count[k];
    return all;
}

/* out[i] = 1 where all of in[i - reach * step] ... in[i + reach * step] are; 0 at the ends. */
static void erode(const uint8_t *restrict in, uint8_t *restrict out, int64_t n, int64_t step,
                  int64_t reach) {
    int64_t margin = reach * step < n ? reach * step : n;
    memset(out, 0, (size_t)n);
    if (2 * margin >= n)
        return;
    memcpy(out + margin, in + margin, (size_t)(n - 2 * margin));
    for (int64_t k = -reach; k <= reach; k++)
        for (int64_t i = margin; i < n - margin; i++)
            out[i] &= in[i + k * step];
}

/* The slice's region, away from the liver's edge, or all of it where nothing is (as near_edge has
 * it); returns how many voxels that are. */
static int32_t find_inner(const struct volume *v, int64_t from, uint8_t *inner) {
    int64_t h = v->size[1], w = v->size[2], n = h * w;
    const uint8_t *liver = v->liver + from, *region = v->region + from;
    uint8_t *other = inner + n;
    int32_t reach[2], count = 0;
    inset_reach(v->p, reach);
    for (int64_t i = 0; i < n; i++)
        inner[i] = liver[i] != 0;
    for (int64_t y = 0; y < h; y++)
        erode(inner + y * w, other + y * w, w, 1, reach[1]);
    erode(other, inner, n, w, reach[0]);
    for (int64_t i = 0; i < n; i++)
        inner[i] &= region[i] != 0;
    for (int64_t i = 0; i < n; i++)
        count += inner[i];
    if (count > 0)
        return count;
    for (int64_t i = 0; i < n; i++) {
        inner[i] = liver[i] && region[i];
        count += inner[i];
    }
    return count;
}

/* The voxel that a lesion's pick means. */
static void place(const struct volume *v, const struct grown *l, int32_t at[3]) {
    int64_t plane = (int64_t)v->size[1] * v->size[2], i = 0;
    uint8_t *inner = v->of.inner;
    int32_t left = shapes_below(l->pick, find_inner(v, l->slice * plane, inner));
    while (i < plane - 1 && (!inner[i] || left-- > 0))
        i++;
    at[0] = l->slice;
    at[1] = (int32_t)(i / v->size[2]);
    at[2] = (int32_t)(i % v->size[2]);
}

/* ---- the outline ---- */

/* What of a plane's columns does not depend on the row. */
static void fill_columns(const struct volume *v, const struct grown *l, float d, int32_t low,
                         int32_t middle, int32_t n) {
    const struct grown_plane plane = grown_plane_at(l, d);
    float dx = v->p->base.spacing[1], *to = v->of.column;
    for (int32_t i = 0; i < n; i++) {
        struct grown_column c = grown_column_at(l, &plane, (float)(low + i - middle) * dx);
        to[COLUMN_D * n + i] = c.d;
        to[COLUMN_W * n + i] = c.w;
        to[COLUMN_EVEN * n + i] = c.even;
        to[COLUMN_ODD * n + i] = c.odd;
        for (int k = 0; k < 3; k++) {
            to[(COLUMN_ON_D + k) * n + i] = c.on_d[k];
            to[(COLUMN_ON_H + k) * n + i] = c.on_h[k];
        }
    }
}

/* The levels of a row's voxels; returns 0 if none is inside. */
static int fill_levels(const struct grown *l, const struct grown_row *row, const float *restrict c,
                       int32_t n, float *restrict level) {
    const struct grown_row r = *row;
    const float inverse[3] = {1 / l->radius[0], 1 / l->radius[1], 1 / l->radius[2]};
    float half = 0.5f / l->radius[1];
    for (int32_t i = 0; i < n; i++) {
        struct grown_column one = {
            c[COLUMN_D * n + i],
            c[COLUMN_W * n + i],
            c[COLUMN_EVEN * n + i],
            c[COLUMN_ODD * n + i],
            {c[COLUMN_ON_D * n + i], c[(COLUMN_ON_D + 1) * n + i], c[(COLUMN_ON_D + 2) * n + i]},
            {c[COLUMN_ON_H * n + i], c[(COLUMN_ON_H + 1) * n + i], c[(COLUMN_ON_H + 2) * n + i]}};
        level[i] = grown_level(&r, &one, half, inverse);
    }
    int any = 0;
    for (int32_t i = 0; i < n; i++)
        any |= -(level[i] <= 1);
    return any;
}

/* The levels of a lesion in the box, into v->of.a; returns the part of it where they are below 1
 * within the region. */
static struct grown_box carve(const struct volume *v, const struct grown *l, const int32_t at[3],
                              const struct grown_box *b) {
    struct grown_box seen = {{v->size[0], v->size[1], v->size[2]}, {0, 0, 0}};
    int32_t n = b->high[2] - b->low[2];
    float *level = v->of.a;
    for (int32_t d = b->low[0]; d < b->high[0]; d++) {
        fill_columns(v, l, (float)(d - at[0]) * v->p->spacing_d, b->low[2], at[2], n);
        for (int32_t y = b->low[1]; y < b->high[1]; y++, level += n) {
            struct grown_row row = grown_row_at(l, (float)(y - at[1]) * v->p->base.spacing[0]);
            int any = fill_levels(l, &row, v->of.column, n, level);
            int64_t from = ((int64_t)d * v->size[1] + y) * v->size[2] + b->low[2];
            int32_t left = n, right = -1;
            for (int32_t i = 0; i < (any ? n : 0); i++)
                if (level[i] <= 1 && v->liver[from + i] && v->region[from + i]) {
                    left = i < left ? i : left;
                    right = i;
                }
            if (right < 0)
                continue;
            seen.low[0] = d < seen.low[0] ? d : seen.low[0];
            seen.high[0] = d + 1;
            seen.low[1] = y < seen.low[1] ? y : seen.low[1];
            seen.high[1] = y + 1 > seen.high[1] ? y + 1 : seen.high[1];
            seen.low[2] = b->low[2] + left < seen.low[2] ? b->low[2] + left : seen.low[2];
            seen.high[2] =
                b->low[2] + right + 1 > seen.high[2] ? b->low[2] + right + 1 : seen.high[2];
        }
    }
    return seen;
}

/* The masks of the lesion and of its rim over `to`, from the levels over `b`. */
static void fill_masks(const struct volume *v, const struct grown *l, const struct grown_box *b,
                       const struct grown_box *seen, const struct grown_box *to) {
    int32_t n = to->high[2] - to->low[2], rows = to->high[1] - to->low[1];
    int32_t from_n = b->high[2] - b->low[2], from_rows = b->high[1] - b->low[1];
    float rim = rim_level(l, v->p->dims);
    size_t bytes = (size_t)(to->high[0] - to->low[0]) * (size_t)rows * (size_t)n * sizeof(float);
    memset(v->of.hard, 0, bytes);
    if (l->rim_width > 0)
        memset(v->of.rim, 0, bytes);
    for (int32_t d = seen->low[0]; d < seen->high[0]; d++)
        for (int32_t y = seen->low[1]; y < seen->high[1]; y++) {
            int64_t out = ((int64_t)(d - to->low[0]) * rows + y - to->low[1]) * n - to->low[2];
            int64_t in =
                ((int64_t)(d - b->low[0]) * from_rows + y - b->low[1]) * from_n - b->low[2];
            int64_t row = ((int64_t)d * v->size[1] + y) * v->size[2];
            for (int32_t x = seen->low[2]; x < seen->high[2]; x++) {
                float level = v->of.a[in + x];
                int hard = level <= 1 && v->liver[row + x] && v->region[row + x];
                v->of.hard[out + x] = (float)hard;
                if (l->rim_width > 0)
                    v->of.rim[out + x] = (float)(hard && level > rim);
            }
        }
}

/* ---- blur, of a box that is 0 where the blur would reach beyond it ---- */

/* out[i] = sum over k of tap[k] * in[i + k * step], for lines of `n` voxels side by side. */
static void blur_lines(const float *restrict in, float *restrict out, int64_t n, int64_t step,
                       const float *restrict tap, int64_t from, int64_t to) {
    for (int64_t x = 0; x < n; x++)
        out[x] = 0;
    for (int64_t k = from; k <= to; k++)
        for (int64_t x = 0; x < n; x++)
            out[x] += tap[k] * in[x + k * step];
}

static void blur_along_w(const float *in, float *out, int64_t rows, int64_t n, const float *tap,
                         int64_t radius) {
    for (int64_t r = 0; r < rows; r++, in += n, out += n) {
        memset(out, 0, (size_t)n * sizeof *out);
        for (int64_t k = -radius; k <= radius; k++) {
            int64_t low = k < 0 ? -k : 0, high = k > 0 ? n - k : n;
            for (int64_t x = low; x < high; x++)
                out[x] += tap[k] * in[x + k];
        }
    }
}

/* Along an axis of `n` whose elements are lines of `step` voxels. */
static void blur_along(const float *in, float *out, int64_t n, int64_t step, const float *tap,
                       int64_t radius) {
    for (int64_t i = 0; i < n; i++)
        blur_lines(in + i * step, out + i * step, step, step, tap, i < radius ? -i : -radius,
                   n - 1 - i < radius ? n - 1 - i : radius);
}

/* Blurs `in` by way of `other`; returns the one that holds the result, which `in` may be. */
static float *blur_mask(const struct volume *v, float edge, const struct grown_box *b,
                        const float *in, float *one, float *other) {
    const float *spacing = v->p->base.spacing;
    float tap[MAX_TAPS];
    int64_t d = b->high[0] - b->low[0], h = b->high[1] - b->low[1], w = b->high[2] - b->low[2];
    (void)blur_taps(edge / spacing[1], tap);
    int64_t radius = blur_radius(edge / spacing[1]);
    blur_along_w(in, one, d * h, w, tap + radius, radius);
    (void)blur_taps(edge / spacing[0], tap);
    radius = blur_radius(edge / spacing[0]);
    for (int64_t i = 0; i < d; i++)
        blur_along(one + i * h * w, other + i * h * w, h, w, tap + radius, radius);
    if (v->p->dims == 2)
        return other;
    (void)blur_taps(edge / v->p->spacing_d, tap);
    radius = blur_radius(edge / v->p->spacing_d);
    blur_along(other, one, d, h * w, tap + radius, radius);
    return one;
}

/* ---- texture ---- */

static void fill_places(const struct places *to, int32_t n, float first_at, float step, float grain,
                        float pitch, int unit_variance) {
    int32_t half = lattice_half(grain, pitch);
    for (int32_t i = 0; i < n; i++) {
        float at = (first_at + (float)i) * step;
        to->first[i] = lattice_first(at, pitch, half);
        lattice_taps(at, grain, pitch, half, unit_variance, to->tap + (int64_t)i * LATTICE_TAPS);
    }
}

/* out[o][i][x] = sum of tap[k] * in[o][first + k][x]: places along the middle axis. */
static void sum_lines(const struct places *at, int32_t places, int32_t origin, int32_t taps,
                      const float *restrict in, int64_t in_count, float *restrict out,
                      int64_t outer, int64_t n) {
    for (int64_t o = 0; o < outer; o++)
        for (int32_t i = 0; i < places; i++, out += n) {
            const float *from = in + (o * in_count + at->first[i] - origin) * n;
            const float *tap = at->tap + (int64_t)i * LATTICE_TAPS;
            for (int64_t x = 0; x < n; x++)
                out[x] = 0;
            for (int32_t k = 0; k < taps; k++)
                for (int64_t x = 0; x < n; x++)
                    out[x] += tap[k] * from[k * n + x];
        }
}

/* The same along the last axis. */
static void sum_points(const struct places *at, int32_t places, int32_t origin, int32_t taps,
                       const float *restrict in, int64_t in_count, float *restrict out,
                       int64_t rows) {
    for (int64_t r = 0; r < rows; r++, in += in_count)
        for (int32_t i = 0; i < places; i++) {
            const float *tap = at->tap + (int64_t)i * LATTICE_TAPS;
            const float *from = in + at->first[i] - origin;
            float sum = 0;
            for (int32_t k = 0; k < taps; k++)
                sum += tap[k] * from[k];
            *out++ = sum;
        }
}

/* The lattice that covers `places` of each axis. */
static struct lattice cover(const struct places at[3], const int32_t places[3], int32_t taps,
                            float *point) {
    struct lattice l = {.point = point};
    for (int a = 0; a < 3; a++) {
        l.first[a] = at[a].first[0];
        l.count[a] = at[a].first[places[a] - 1] + taps - l.first[a];
    }
    return l;
}

/* The lattice of single draws, from the coarse field. */
static void fill_fine(const struct volume *v, const struct hf_rng *rng, const struct grown *l,
                      int32_t number, const struct lattice *fine) {
    const struct parts *of = &v->of;
    float pitch = lattice_pitch(l->coarse, l->fine);
    int32_t taps = 2 * lattice_half(l->coarse, l->coarse) + 2;
    for (int a = 0; a < 3; a++)
        fill_places(&of->cell[a], fine->count[a], (float)fine->first[a], pitch, l->coarse,
                    l->coarse, 1);
    struct lattice coarse = cover(of->cell, fine->count, taps, of->coarse);
    float *to = coarse.point;
    for (int32_t i = 0; i < coarse.count[0]; i++)
        for (int32_t j = 0; j < coarse.count[1]; j++)
            for (int32_t k = 0; k < coarse.count[2]; k++)
                *to++ = 1.7320508f * lattice_noise(rng, coarse_noise(number), coarse.first[0] + i,
                                                   coarse.first[1] + j, coarse.first[2] + k);
    sum_points(&of->cell[2], fine->count[2], coarse.first[2], taps, coarse.point, coarse.count[2],
               of->coarse_w, (int64_t)coarse.count[0] * coarse.count[1]);
    sum_lines(&of->cell[1], fine->count[1], coarse.first[1], taps, of->coarse_w, coarse.count[1],
              of->coarse_h, coarse.count[0], fine->count[2]);
    sum_lines(&of->cell[0], fine->count[0], coarse.first[0], taps, of->coarse_h, coarse.count[0],
              fine->point, 1, (int64_t)fine->count[1] * fine->count[2]);
    to = fine->point;
    for (int32_t i = 0; i < fine->count[0]; i++)
        for (int32_t j = 0; j < fine->count[1]; j++)
            for (int32_t k = 0; k < fine->count[2]; k++, to++)
                *to = cloud_hits(cloud_share(l, *to), pitch,
                                 lattice_noise(rng, fine_noise(number), fine->first[0] + i,
                                               fine->first[1] + j, fine->first[2] + k));
}

/* Sums the texture along W and H, into v->of.fine_h; along D it is summed where it is needed. */
static struct lattice fill_texture(const struct volume *v, const struct hf_rng *rng,
                                   const struct grown *l, int32_t number, const int32_t at[3],
                                   const struct grown_box *b) {
    const struct parts *of = &v->of;
    float pitch = lattice_pitch(l->coarse, l->fine);
    int32_t taps = 2 * lattice_half(l->fine, pitch) + 2, n[3];
    for (int a = 0; a < 3; a++) {
        n[a] = b->high[a] - b->low[a];
        fill_places(&of->voxel[a], n[a], (float)(b->low[a] - at[a]), grown_spacing(v->p, a),
                    l->fine, pitch, 0);
    }
    struct lattice fine = cover(of->voxel, n, taps, of->fine);
    fill_fine(v, rng, l, number, &fine);
    sum_points(&of->voxel[2], n[2], fine.first[2], taps, fine.point, fine.count[2], of->fine_w,
               (int64_t)fine.count[0] * fine.count[1]);
    sum_lines(&of->voxel[1], n[1], fine.first[1], taps, of->fine_w, fine.count[1], of->fine_h,
              fine.count[0], n[2]);
    return fine;
}

/* ---- a lesion ---- */

/* A row of the lesion, into the image. */
static void blend_row(const struct volume *v, const struct grown *l, int64_t row, int32_t n,
                      const float *hard, const float *mask, const float *rim, const float *texture,
                      uint32_t *touched) {
    for (int32_t x = 0; x < n; x++) {
        int64_t i = row + x;
        float m = grown_mask(mask[x]);
        if (m <= 0 || !v->liver[i] || !v->region[i])
            continue;
        v->image[i] = grown_voxel(l, v->image[i], v->healthy[i], m, rim ? rim[x] : 0,
                                  cloud_voxel(l, texture[x]));
        float new = v->p->soft ? m : hard[x];
        v->lesion[i] = new > v->lesion[i] ? new : v->lesion[i];
        if (m >= LESION_TOUCHES)
            *touched |= 1u << segment_at(v, i);
    }
}

/* What is blended into the image: the masks over a box, and the texture summed along W and H over
 * the part of it that is in the volume. */
struct blend {
    struct grown_box box, inner;
    const float *hard, *mask, *rim; /* rim: NULL: none */
    struct lattice fine;
    int32_t taps;
};

static void blend(const struct volume *v, const struct grown *l, const struct blend *b) {
    int64_t n = b->box.high[2] - b->box.low[2], rows = b->box.high[1] - b->box.low[1];
    int64_t inner_n = b->inner.high[2] - b->inner.low[2];
    int64_t plane = (b->inner.high[1] - b->inner.low[1]) * inner_n;
    float *texture = v->of.column; /* its tables are no longer needed */
    for (int32_t d = b->inner.low[0]; d < b->inner.high[0]; d++) {
        int32_t k = d - b->inner.low[0];
        const float *tap = v->of.voxel[0].tap + (int64_t)k * LATTICE_TAPS;
        const float *points = v->of.fine_h + (v->of.voxel[0].first[k] - b->fine.first[0]) * plane;
        for (int32_t y = b->inner.low[1]; y < b->inner.high[1]; y++, points += inner_n) {
            int64_t i = ((d - b->box.low[0]) * rows + y - b->box.low[1]) * n + b->inner.low[2] -
                        b->box.low[2];
            int64_t first = 0, end = inner_n;
            while (first < end && b->mask[i + first] <= 0)
                first++;
            while (end > first && b->mask[i + end - 1] <= 0)
                end--;
            if (first == end)
                continue;
            i += first;
            blur_lines(points + first, texture, end - first, plane, tap, 0, b->taps - 1);
            blend_row(v, l, ((int64_t)d * v->size[1] + y) * v->size[2] + b->inner.low[2] + first,
                      (int32_t)(end - first), b->hard + i, b->mask + i, b->rim ? b->rim + i : NULL,
                      texture, &v->of.touched[d]);
        }
    }
}

static void add_lesion(struct volume *v, const struct hf_rng *rng, const struct grown *l,
                       int32_t number) {
    const struct parts *of = &v->of;
    struct blend b = {.hard = of->hard};
    int32_t at[3];
    place(v, l, at);
    struct grown_box reach = grown_reach(v->p, l, at, &v->within);
    struct grown_box seen = carve(v, l, at, &reach);
    if (seen.low[0] >= seen.high[0])
        return;
    for (int a = 0; a < 3; a++) {
        int32_t pad = grown_pad(v->p, l->edge, a);
        b.box.low[a] = seen.low[a] - pad;
        b.box.high[a] = seen.high[a] + pad;
        b.inner.low[a] = b.box.low[a] > v->within.low[a] ? b.box.low[a] : v->within.low[a];
        b.inner.high[a] = b.box.high[a] < v->within.high[a] ? b.box.high[a] : v->within.high[a];
    }
    fill_masks(v, l, &reach, &seen, &b.box);
    b.mask = blur_mask(v, l->edge, &b.box, of->hard, of->a, of->b);
    if (l->rim_width > 0)
        b.rim = blur_mask(v, l->edge, &b.box, of->rim, b.mask == of->a ? of->b : of->a, of->rim);
    b.taps = 2 * lattice_half(l->fine, lattice_pitch(l->coarse, l->fine)) + 2;
    b.fine = fill_texture(v, rng, l, number, at, &b.inner);
    blend(v, l, &b);
}

/* ---- all of them ---- */

static void grow_slice(struct volume *v, int32_t d, struct hf_rng *r) {
    int32_t sizes[GROWN_SIZES], all = draw_sizes(r, v->p, sizes);
    for (int32_t n = 0; n < all; n++) {
        const struct grown l = draw_grown(r, v->p, size_of(sizes, n), d);
        v->within.low[0] = d;
        v->within.high[0] = d + 1;
        add_lesion(v, r, &l, n);
    }
}

/* The n-th slice that a lesion may begin in (n < 0: how many there are), of those in the liver's
 * middle, or of all (`all`). */
static int32_t find_slice(const struct volume *v, int all, int32_t n) {
    int32_t count = 0;
    for (int32_t d = 0; d < v->size[0]; d++)
        if (v->drawn[d] && (all || in_extent(v->p, d, v->first, v->last)) && count++ == n)
            return d;
    return count;
}

static void grow_volume(struct volume *v, struct hf_rng *r) {
    int all = find_slice(v, 0, -1) == 0;
    int32_t slices = find_slice(v, all, -1), sizes[GROWN_SIZES];
    if (slices == 0)
        return;
    int32_t lesions = draw_sizes(r, v->p, sizes);
    for (int32_t n = 0; n < lesions; n++) {
        int32_t d = find_slice(v, all, (int32_t)hf_rng_below(r, (uint32_t)slices));
        const struct grown l = draw_grown(r, v->p, size_of(sizes, n), d);
        add_lesion(v, r, &l, n);
    }
}

/* Adds the voxels of a run whose map holds low..high to the hole. */
static void hide_run(uint8_t *restrict hole, const uint8_t *restrict couinaud, int64_t n,
                     uint8_t low, uint8_t high) {
    for (int64_t i = 0; i < n; i++)
        hole[i] |= (uint8_t)(couinaud[i] - low) <= (uint8_t)(high - low);
}

/* The hole of a slice where the segments `taken` are hidden: as is_hidden has it. */
static void hide(const struct volume *v, int32_t d, uint32_t taken) {
    int64_t plane = (int64_t)v->size[1] * v->size[2];
    if (!v->drawn[d] && !v->of.touched[d])
        return;
    LIVER_RUNS(i, end, v->liver, d * plane, (d + 1) * plane) {
        for (int64_t k = i; k < end; k++)
            v->hole[k] = v->region[k] == 0;
        for (uint8_t k = 0; k < SHAPES_SEGMENTS; k++) {
            if (!(taken >> k & 1))
                continue;
            if (v->couinaud)
                hide_run(v->hole + i, v->couinaud + i, end - i, k, k);
            else if (k == 1)
                memset(v->hole + i, 1, (size_t)(end - i));
            if (v->couinaud && k == 0) /* what is no segment counts as none */
                hide_run(v->hole + i, v->couinaud + i, end - i, SHAPES_SEGMENTS, 255);
        }
    }
}

static void hide_volume(struct volume *v, struct hf_rng *r) {
    int32_t count[SHAPES_SEGMENTS] = {0};
    uint32_t taken = 0;
    for (int32_t d = 0; d < v->size[0]; d++) {
        taken |= v->of.touched[d];
        for (int k = 0; k < SHAPES_SEGMENTS; k++)
            count[k] += v->of.count[(int64_t)d * SHAPES_SEGMENTS + k];
    }
    taken = draw_segments(r, &v->p->base, count, taken);
    for (int32_t d = 0; d < v->size[0]; d++)
        hide(v, d, taken);
}

static enum hf_status grow(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const struct ellipsoid_params *p = call->params;
    const int64_t *shape = call->in[0]->shape + 1;
    struct volume v = {.p = p, .size = {(int32_t)shape[0], (int32_t)shape[1], (int32_t)shape[2]}};
    (void)lay_out(call, scratch, &v.of);
    v.healthy = HF_DATA(float, call->in[0]);
    v.liver = HF_DATA(uint8_t, call->in[1]);
    v.region = HF_DATA(uint8_t, call->in[2]);
    v.couinaud = call->inputs > 3 ? HF_DATA(uint8_t, call->in[3]) : NULL;
    v.image = HF_DATA(float, call->out[0]);
    v.lesion = HF_DATA(float, call->out[1]);
    v.hole = HF_DATA(uint8_t, call->out[2]);
    v.drawn = HF_DATA(uint8_t, call->out[3]);
    memcpy(v.image, v.healthy, call->out[0]->bytes);
    memset(v.lesion, 0, call->out[1]->bytes);
    memset(v.hole, 0, call->out[2]->bytes);
    memset(v.of.touched, 0, (size_t)v.size[0] * sizeof(uint32_t));
    survey(&v);
    for (int32_t d = 0; d < v.size[0]; d++)
        v.drawn[d] =
            (uint8_t)is_enough(&p->base, region_voxels(v.of.count + (int64_t)d * SHAPES_SEGMENTS));

    struct hf_rng whole = shapes_stream(&p->base.rng, VOLUME_STREAM);
    if (p->dims == 3)
        grow_volume(&v, &whole);
    for (int32_t d = 0; d < v.size[0]; d++) {
        struct hf_rng r = shapes_stream(&p->base.rng, (uint32_t)d);
        if (p->dims == 2 && v.drawn[d])
            grow_slice(&v, d, &r);
        if (p->hide == HIDE_SLICE)
            hide(&v, d,
                 draw_segments(&r, &p->base, v.of.count + (int64_t)d * SHAPES_SEGMENTS,
                               v.of.touched[d]));
    }
    if (p->hide == HIDE_VOLUME)
        hide_volume(&v, &whole);
    return HF_OK;
}

const struct hf_op tumor_synthesis_ellipsoid_cpu = {"tumor_synthesis.ellipsoid", HF_KIND_CPU, grow,
                                                    grow_scratch};
