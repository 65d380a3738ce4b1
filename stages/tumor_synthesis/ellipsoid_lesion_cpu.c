/**
 * ellipsoid_lesion_cpu.c - one lesion of "tumor_synthesis.ellipsoid" on the CPU, in the box that it
 * may be seen in: outline, blur, texture. Loops run along W, so that they take several voxels at
 * once.
 */
#include <string.h>

#include "ellipsoid_cpu.h"

/* A lattice of random numbers and what it is summed to, axis by axis. */
struct lattice {
    int32_t first[3], count[3]; /* points */
    float *point;               /* [count 0][count 1][count 2] */
};

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

/* ---- into the image ---- */

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

void ellipsoid_add(const struct volume *v, const struct hf_rng *rng, const struct grown *l,
                   int32_t number, const int32_t at[3]) {
    const struct parts *of = &v->of;
    struct blend b = {.hard = of->hard};
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
