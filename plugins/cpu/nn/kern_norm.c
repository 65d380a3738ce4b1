/**
 * kern_norm.c - instance normalisation with a fused leaky ReLU, forward and backward.
 *
 * Each pass streams over blocks of voxels; blocks are cut into column tiles whose coefficients
 * stand in L1. Where rows are narrow and dense, several voxels are folded into one row, so that
 * inner loops are long. Samples are taken in groups that fit the L2 caches of the team: the second
 * pass then reads what the first one left there.
 */
#include "kern_isa.h"
#include "../../nn/elem.h"

#include <math.h>
#include <omp.h>

#define TILE        256       /* columns */
#define GROUP_BYTES (1 << 19) /* of each activation a thread; x and dy share a 1 MiB L2 */

/** How a sample is read: `repeat` voxels make a row of `width` floats. */
struct cut {
    int64_t repeat, width, block, blocks;
};

static struct cut cut_of(const struct kn_norm *a, int dense) {
    struct cut k = {.repeat = 1, .block = kn_block_voxels(a->c)};
    while (dense && a->c * k.repeat < KN_FOLD_FLOATS)
        k.repeat *= 2;
    k.width = a->c * k.repeat;
    k.blocks = kn_blocks(a->s, k.block);
    return k;
}

/** A block of one sample: `rows` whole rows and then `tail` floats of another. */
struct block {
    int64_t n, first, rows, tail;
};

static struct block block_of(const struct kn_norm *a, const struct cut *k, int64_t task) {
    struct block b = {.n = task / k->blocks};
    int64_t begin = task % k->blocks * k->block;
    int64_t count = a->s - begin < k->block ? a->s - begin : k->block;
    b.first = b.n * a->s + begin;
    b.rows = count / k->repeat;
    b.tail = count % k->repeat * a->c;
    return b;
}

/** Columns of row `r` of a tile of `w` columns from `j0`: all but in the tail. */
static inline int64_t columns(const struct block *b, int64_t r, int64_t j0, int64_t w) {
    if (r < b->rows)
        return w;
    int64_t left = b->tail - j0;
    return left < 0 ? 0 : left < w ? left : w;
}

/** Spreads `from`, one value a channel, over the columns of a tile. */
static void spread(float *to, const float *from, int64_t c, int64_t j0, int64_t w) {
    int64_t k = j0 % c;
    for (int64_t j = 0; j < w; j++) {
        to[j] = from[k];
        k = k + 1 == c ? 0 : k + 1;
    }
}

/** Adds the columns of a tile to their channels. */
static void gather(double *to, const float *from, int64_t c, int64_t j0, int64_t w) {
    int64_t k = j0 % c;
    for (int64_t j = 0; j < w; j++) {
        to[k] += (double)from[j];
        k = k + 1 == c ? 0 : k + 1;
    }
}

/* ---- forward ---- */

/** Sums of x - center and of its square; the first voxel is the center, against cancellation. */
static void sum_block(const struct kn_norm *a, const struct cut *k, struct block b, double *part) {
    for (int64_t j = 0; j < 2 * a->c; j++)
        part[j] = 0;
    for (int64_t j0 = 0; j0 < k->width; j0 += TILE) {
        int64_t w = k->width - j0 < TILE ? k->width - j0 : TILE;
        float center[TILE], sum[TILE] = {0}, square[TILE] = {0};
        spread(center, a->x.data + b.n * a->s * a->x.step, a->c, j0, w);
        for (int64_t r = 0; r <= b.rows; r++) {
            const float *x = a->x.data + (b.first + r * k->repeat) * a->x.step + j0;
            int64_t count = columns(&b, r, j0, w);
#pragma omp simd
            for (int64_t j = 0; j < count; j++) {
                float v = x[j] - center[j];
                sum[j] += v;
                square[j] += v * v;
            }
        }
        gather(part, sum, a->c, j0, w);
        gather(part + a->c, square, a->c, j0, w);
    }
}

/** Adds the blocks of a sample and leaves mean and 1/deviation. */
static void finish_stat(const struct kn_norm *a, const struct cut *k, int64_t n, double *part,
                        double *total) {
    for (int64_t j = 0; j < 2 * a->c; j++)
        total[j] = 0;
    for (int64_t i = 0; i < k->blocks; i++)
        for (int64_t j = 0; j < 2 * a->c; j++)
            total[j] += part[i * 2 * a->c + j];
    const float *center = a->x.data + n * a->s * a->x.step;
    float *stat = a->stat + n * 2 * a->c;
    for (int64_t j = 0; j < a->c; j++) {
        double mean = total[j] / (double)a->s;
        double variance = total[a->c + j] / (double)a->s - mean * mean;
        stat[j] = (float)((double)center[j] + mean);
        stat[a->c + j] = (float)(1.0 / sqrt((variance > 0 ? variance : 0) + (double)a->epsilon));
    }
}

/** mean, a = scale / deviation and shift of a tile's columns. */
static void affine(const struct kn_norm *a, int64_t n, int64_t j0, int64_t w, float *mean,
                   float *slope, float *shift) {
    const float *stat = a->stat + n * 2 * a->c;
    spread(mean, stat, a->c, j0, w);
    spread(slope, stat + a->c, a->c, j0, w);
    if (!a->scale) {
        for (int64_t j = 0; j < w; j++)
            shift[j] = 0;
        return;
    }
    float scale[TILE];
    spread(scale, a->scale, a->c, j0, w);
    spread(shift, a->shift, a->c, j0, w);
    for (int64_t j = 0; j < w; j++)
        slope[j] *= scale[j];
}

static void apply_block(const struct kn_norm *a, const struct cut *k, struct block b) {
    for (int64_t j0 = 0; j0 < k->width; j0 += TILE) {
        int64_t w = k->width - j0 < TILE ? k->width - j0 : TILE;
        float mean[TILE], slope[TILE], shift[TILE], leak = a->slope;
        affine(a, b.n, j0, w, mean, slope, shift);
        for (int64_t r = 0; r <= b.rows; r++) {
            const float *x = a->x.data + (b.first + r * k->repeat) * a->x.step + j0;
            float *y = a->y.data + (b.first + r * k->repeat) * a->y.step + j0;
            int64_t count = columns(&b, r, j0, w);
#pragma omp simd
            for (int64_t j = 0; j < count; j++)
                y[j] = el_leaky((x[j] - mean[j]) * slope[j] + shift[j], leak);
        }
    }
}

/** Samples whose activations fit the team's caches. */
static int64_t group_of(const struct kn_norm *a) {
    int64_t bytes = a->s * a->c * (int64_t)sizeof(float);
    int64_t group = (int64_t)GROUP_BYTES * omp_get_max_threads() / bytes;
    return group < 1 ? 1 : group > a->n ? a->n : group;
}

void KN(kn_norm_forward)(const struct kn_norm *a) {
    struct cut k = cut_of(a, a->x.step == a->c && a->y.step == a->c);
    double *part = a->scratch, *total = part + a->n * k.blocks * 2 * a->c;
    int64_t group = group_of(a);
#pragma omp parallel
    for (int64_t g = 0; g < a->n; g += group) {
        int64_t end = g + group < a->n ? g + group : a->n;
#pragma omp for schedule(static)
        for (int64_t t = g * k.blocks; t < end * k.blocks; t++)
            sum_block(a, &k, block_of(a, &k, t), part + t * 2 * a->c);
#pragma omp for schedule(static)
        for (int64_t n = g; n < end; n++)
            finish_stat(a, &k, n, part + n * k.blocks * 2 * a->c, total + n * 2 * a->c);
#pragma omp for schedule(static) nowait
        for (int64_t t = g * k.blocks; t < end * k.blocks; t++)
            apply_block(a, &k, block_of(a, &k, t));
    }
}

/* ---- backward ---- */

/** Sums of g and of g (x - mean), g = dy times the activation's slope. */
static void sum_gradient(const struct kn_norm *a, const struct cut *k, struct block b,
                         double *part) {
    for (int64_t j = 0; j < 2 * a->c; j++)
        part[j] = 0;
    for (int64_t j0 = 0; j0 < k->width; j0 += TILE) {
        int64_t w = k->width - j0 < TILE ? k->width - j0 : TILE;
        float mean[TILE], slope[TILE], shift[TILE], leak = a->slope;
        float sum[TILE] = {0}, product[TILE] = {0};
        affine(a, b.n, j0, w, mean, slope, shift);
        for (int64_t r = 0; r <= b.rows; r++) {
            const float *x = a->x.data + (b.first + r * k->repeat) * a->x.step + j0;
            const float *dy = a->dy.data + (b.first + r * k->repeat) * a->dy.step + j0;
            int64_t count = columns(&b, r, j0, w);
#pragma omp simd
            for (int64_t j = 0; j < count; j++) {
                float v = x[j] - mean[j];
                float g = v * slope[j] + shift[j] > 0 ? dy[j] : dy[j] * leak;
                sum[j] += g;
                product[j] += g * v;
            }
        }
        gather(part, sum, a->c, j0, w);
        gather(part + a->c, product, a->c, j0, w);
    }
}

static void finish_gradient(const struct kn_norm *a, const struct cut *k, int64_t n, double *part,
                            double *total) {
    const float *deviation = a->stat + (n * 2 + 1) * a->c;
    for (int64_t j = 0; j < 2 * a->c; j++)
        total[j] = 0;
    for (int64_t i = 0; i < k->blocks; i++)
        for (int64_t j = 0; j < 2 * a->c; j++)
            total[j] += part[i * 2 * a->c + j];
    for (int64_t j = 0; j < a->c; j++)
        total[a->c + j] *= (double)deviation[j];
}

static void apply_gradient(const struct kn_norm *a, const struct cut *k, struct block b,
                           const double *total) {
    for (int64_t j0 = 0; j0 < k->width; j0 += TILE) {
        int64_t w = k->width - j0 < TILE ? k->width - j0 : TILE;
        float mean[TILE], slope[TILE], shift[TILE], linear[TILE], constant[TILE], leak = a->slope;
        affine(a, b.n, j0, w, mean, slope, shift);
        spread(linear, a->stat + (b.n * 2 + 1) * a->c, a->c, j0, w);
        int64_t c = j0 % a->c;
        for (int64_t j = 0; j < w; j++) {
            constant[j] = -slope[j] * (float)(total[c] / (double)a->s);
            linear[j] *= -slope[j] * (float)(total[a->c + c] / (double)a->s);
            c = c + 1 == a->c ? 0 : c + 1;
        }
        for (int64_t r = 0; r <= b.rows; r++) {
            int64_t voxel = b.first + r * k->repeat;
            const float *x = a->x.data + voxel * a->x.step + j0;
            const float *dy = a->dy.data + voxel * a->dy.step + j0;
            float *dx = a->dx.data + voxel * a->dx.step + j0;
            int64_t count = columns(&b, r, j0, w);
            if (a->accumulate) {
#pragma omp simd
                for (int64_t j = 0; j < count; j++) {
                    float v = x[j] - mean[j];
                    float g = v * slope[j] + shift[j] > 0 ? dy[j] : dy[j] * leak;
                    dx[j] += g * slope[j] + (v * linear[j] + constant[j]);
                }
            } else {
#pragma omp simd
                for (int64_t j = 0; j < count; j++) {
                    float v = x[j] - mean[j];
                    float g = v * slope[j] + shift[j] > 0 ? dy[j] : dy[j] * leak;
                    dx[j] = g * slope[j] + (v * linear[j] + constant[j]);
                }
            }
        }
    }
}

void KN(kn_norm_backward)(const struct kn_norm *a) {
    struct cut k = cut_of(a, a->x.step == a->c && a->dy.step == a->c && a->dx.step == a->c);
    double *part = a->scratch, *total = part + a->n * k.blocks * 2 * a->c;
    int64_t group = group_of(a);
#pragma omp parallel
    for (int64_t g = 0; g < a->n; g += group) {
        int64_t end = g + group < a->n ? g + group : a->n;
#pragma omp for schedule(static)
        for (int64_t t = g * k.blocks; t < end * k.blocks; t++)
            sum_gradient(a, &k, block_of(a, &k, t), part + t * 2 * a->c);
#pragma omp for schedule(static)
        for (int64_t n = g; n < end; n++)
            finish_gradient(a, &k, n, part + n * k.blocks * 2 * a->c, total + n * 2 * a->c);
#pragma omp for schedule(static) nowait
        for (int64_t t = g * k.blocks; t < end * k.blocks; t++) {
            struct block b = block_of(a, &k, t);
            apply_gradient(a, &k, b, total + b.n * 2 * a->c);
        }
    }
    if (!a->dscale)
        return;
    for (int64_t j = 0; j < a->c; j++) {
        double shift = 0, scale = 0;
        for (int64_t n = 0; n < a->n; n++) {
            shift += total[n * 2 * a->c + j];
            scale += total[(n * 2 + 1) * a->c + j];
        }
        a->dshift[j] = (float)shift;
        a->dscale[j] = (float)scale;
    }
}
