/**
 * kern_loss.c - losses and their gradient with respect to a layer's output.
 *
 * A first pass adds up every term over blocks of voxels, a second one, which knows the totals that
 * Dice and the weights' sum need, writes the gradient. Blocks are cut into short tiles for which
 * the softmax's normaliser stands in L1.
 */
#include "kern_isa.h"

#define TILE 64 /* voxels */

/* Sums over voxels, before the two sums a channel of DICE or TVERSKY (see loss.h). */
enum {
    SUM_WEIGHT,
    SUM_L1,
    SUM_LOGIT,
    SUM_CE,
    SUM_OVERLAP
};

/** The channels that a group of terms looks at, and what it asks for. */
struct work {
    const struct kn_loss *a;
    struct loss_wants want;
    int64_t c, step; /* channels; floats from voxel to voxel of z */
    int64_t counted; /* first channel that DICE and TVERSKY count */
};

/** `count` voxels of sample `n` from voxel `first`. */
struct tile {
    const float *z, *t; /* voxel 0; channel c at z[v * step + c] and t[c * S + v] */
    float *dz;
    int64_t count;
    float weight[TILE], normaliser[TILE]; /* log of the sum of exponentials */
};

static void tile_load(const struct work *w, int64_t n, int64_t first, int64_t end, struct tile *k) {
    const struct kn_loss *a = w->a;
    int64_t row = n * a->s + first, step = w->step;
    k->count = end - first < TILE ? end - first : TILE;
    k->z = a->z.data + row * step + a->group.first;
    k->t = a->target + (n * a->c + a->group.first) * a->s + first;
    k->dz = a->dz.data ? a->dz.data + row * a->dz.step + a->group.first : NULL;
    for (int64_t v = 0; v < k->count; v++)
        k->weight[v] = a->weight ? a->weight[row + v] : 1.0f;
    if (!w->want.softmax)
        return;
    float top[TILE], sum[TILE];
    for (int64_t v = 0; v < k->count; v++) {
        top[v] = k->z[v * step];
        sum[v] = 0;
    }
    for (int64_t c = 1; c < w->c; c++)
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            top[v] = k->z[v * step + c] > top[v] ? k->z[v * step + c] : top[v];
    for (int64_t c = 0; c < w->c; c++)
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            sum[v] += el_exp(k->z[v * step + c] - top[v]);
#pragma omp simd
    for (int64_t v = 0; v < k->count; v++)
        k->normaliser[v] = top[v] + el_log(sum[v]);
}

/** Probability of one channel over a tile. */
static void tile_probability(const struct work *w, const struct tile *k, int64_t c, float *q) {
    int64_t step = w->step;
    if (w->c == 1) {
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            q[v] = el_sigmoid(k->z[v * step]);
        return;
    }
#pragma omp simd
    for (int64_t v = 0; v < k->count; v++)
        q[v] = el_exp(k->z[v * step + c] - k->normaliser[v]);
}

/* ---- the sums ---- */

static void add_overlap(const struct work *w, const struct tile *k, int64_t c, double *sum) {
    const float *t = k->t + c * w->a->s;
    struct loss_wants want = w->want;
    float q[TILE], both = 0, misses = 0;
    tile_probability(w, k, c, q);
    if (want.dice) {
#pragma omp simd reduction(+ : both, misses)
        for (int64_t v = 0; v < k->count; v++) {
            both += k->weight[v] * q[v] * t[v];
            misses += k->weight[v] * (q[v] + t[v]);
        }
    } else {
#pragma omp simd reduction(+ : both, misses)
        for (int64_t v = 0; v < k->count; v++) {
            both += k->weight[v] * q[v] * t[v];
            misses += k->weight[v] * loss_misses(&want, q[v], t[v]);
        }
    }
    sum[SUM_OVERLAP + 2 * c] += (double)both;
    sum[SUM_OVERLAP + 2 * c + 1] += (double)misses;
}

static void add_channel(const struct work *w, const struct tile *k, int64_t c, double *sum) {
    const float *z = k->z + c, *t = k->t + c * w->a->s;
    int64_t count = k->count, step = w->step;
    float l1 = 0, logit = 0, ce = 0, p = w->want.pos_weight, gamma = w->want.gamma;
    if (w->want.l1) {
#pragma omp simd reduction(+ : l1)
        for (int64_t v = 0; v < count; v++) {
            float d = z[v * step] - t[v];
            l1 += k->weight[v] * (d < 0 ? -d : d);
        }
    }
    if (w->want.bce) {
#pragma omp simd reduction(+ : logit)
        for (int64_t v = 0; v < count; v++)
            logit += k->weight[v] * el_bce(z[v * step], t[v], p);
    } else if (w->want.focal) {
#pragma omp simd reduction(+ : logit)
        for (int64_t v = 0; v < count; v++)
            logit += k->weight[v] * el_focal(z[v * step], t[v], p, gamma);
    }
    if (w->want.ce && w->c == 1) {
#pragma omp simd reduction(+ : ce)
        for (int64_t v = 0; v < count; v++)
            ce += k->weight[v] * el_bce(z[v * step], t[v], 1.0f);
    } else if (w->want.ce) {
#pragma omp simd reduction(+ : ce)
        for (int64_t v = 0; v < count; v++)
            ce += k->weight[v] * t[v] * (k->normaliser[v] - z[v * step]);
    }
    sum[SUM_L1] += (double)l1;
    sum[SUM_LOGIT] += (double)logit;
    sum[SUM_CE] += (double)ce;
    if ((w->want.dice || w->want.tversky) && c >= w->counted)
        add_overlap(w, k, c, sum);
}

static void sum_block(const struct work *w, int64_t n, int64_t first, int64_t end, double *sum) {
    for (int64_t i = 0; i < SUM_OVERLAP + 2 * w->c; i++)
        sum[i] = 0;
    for (; first < end; first += TILE) {
        struct tile k;
        tile_load(w, n, first, end, &k);
        for (int64_t v = 0; v < k.count; v++)
            sum[SUM_WEIGHT] += (double)k.weight[v];
        for (int64_t c = 0; c < w->c; c++)
            add_channel(w, &k, c, sum);
    }
}

/** Writes total and terms; returns the weights' sum, at least 1e-6. */
static double finish(const struct work *w, const double *sum) {
    const struct loss_group *g = &w->a->group;
    double weight = sum[SUM_WEIGHT] > 1e-6 ? sum[SUM_WEIGHT] : 1e-6, total = 0;
    for (int32_t i = 0; i < g->terms; i++) {
        double value = 0;
        switch (loss_sum_of(g->term[i].kind)) {
        case LOSS_SUM_L1:
            value = sum[SUM_L1] / (weight * (double)w->c);
            break;
        case LOSS_SUM_LOGIT:
            value = sum[SUM_LOGIT] / (weight * (double)w->c);
            break;
        case LOSS_SUM_CE:
            value = sum[SUM_CE] / weight;
            break;
        default:
            for (int64_t c = w->counted; c < w->c; c++)
                value += loss_overlap(&w->want, sum + SUM_OVERLAP + 2 * c);
            value = 1 - value / (double)(w->c - w->counted);
        }
        if (w->a->tells)
            w->a->out[1 + g->number[i]] = (float)value;
        total += (double)w->a->scale * (double)g->term[i].factor * value;
    }
    w->a->out[0] = (float)total + (w->a->adds ? w->a->out[0] : 0.0f);
    return weight;
}

/* ---- the gradient ---- */

static void overlap_slope(const struct work *w, const double *sum, int64_t c, float *on_target,
                          float *constant) {
    *on_target = *constant = 0;
    if ((w->want.dice || w->want.tversky) && c >= w->counted)
        loss_overlap_slope(&w->want, sum + SUM_OVERLAP + 2 * c, w->c - w->counted, on_target,
                           constant);
}

/** What of the gradient depends on one channel alone: L1, BCE, FOCAL and CE of one channel. */
static void channel_gradient(const struct work *w, const struct tile *k, int64_t c, double weight,
                             float *g) {
    const float *z = k->z + c, *t = k->t + c * w->a->s;
    const struct loss_wants *want = &w->want;
    int64_t step = w->step;
    float l1 = (float)((double)want->l1_factor / (weight * (double)w->c));
    float logit = (float)((double)want->logit_factor / (weight * (double)w->c));
    float ce = w->c == 1 ? (float)((double)want->ce_factor / weight) : 0.0f;
    float p = want->pos_weight, gamma = want->gamma;
    for (int64_t v = 0; v < k->count; v++)
        g[v] = 0;
    if (want->l1) {
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++) {
            float d = z[v * step] - t[v];
            g[v] += l1 * (d > 0 ? 1.0f : d < 0 ? -1.0f : 0.0f);
        }
    }
    if (want->focal) {
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            g[v] += logit * el_focal_slope(z[v * step], t[v], p, gamma);
    }
    if (want->bce || (want->ce && w->c == 1)) {
        logit = want->bce ? logit : 0.0f;
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++) {
            float q = el_sigmoid(z[v * step]);
            g[v] += logit * ((1.0f - t[v]) * q - p * t[v] * (1.0f - q)) + ce * (q - t[v]);
        }
    }
}

/** Writes what stands beside the range of channels. */
static void clear_others(const struct work *w, const struct tile *k) {
    const struct kn_loss *a = w->a;
    for (int64_t v = 0; v < k->count; v++) {
        float *row = k->dz + v * a->dz.step - a->group.first;
        for (int64_t c = 0; c < a->c; c++)
            row[c] = c < a->group.first || c >= a->group.first + w->c ? 0.0f : row[c];
    }
}

static void tile_gradient(const struct work *w, struct tile *k, const double *sum, double weight) {
    const struct kn_loss *a = w->a;
    float mean[TILE] = {0}, mass[TILE] = {0}; /* sum of q dloss/dq, sum of targets */
    float q[TILE], g[TILE], ce = (float)((double)w->want.ce_factor / weight), on_target, constant;
    int overlaps = w->want.dice || w->want.tversky;
    int64_t step = a->dz.step;
    for (int64_t c = 0; w->want.softmax && c < w->c; c++) {
        const float *t = k->t + c * a->s;
        overlap_slope(w, sum, c, &on_target, &constant);
        tile_probability(w, k, c, q);
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++) {
            mean[v] += q[v] * (on_target * t[v] + constant);
            mass[v] += t[v];
        }
    }
    for (int64_t c = 0; c < w->c; c++) {
        const float *t = k->t + c * a->s;
        channel_gradient(w, k, c, weight, g);
        if (w->want.softmax || overlaps) {
            overlap_slope(w, sum, c, &on_target, &constant);
            tile_probability(w, k, c, q);
        }
        if (w->want.softmax) {
#pragma omp simd
            for (int64_t v = 0; v < k->count; v++)
                g[v] +=
                    q[v] * (on_target * t[v] + constant - mean[v]) + ce * (q[v] * mass[v] - t[v]);
        } else if (overlaps) {
#pragma omp simd
            for (int64_t v = 0; v < k->count; v++)
                g[v] += (on_target * t[v] + constant) * q[v] * (1.0f - q[v]);
        }
        if (a->accumulate) {
#pragma omp simd
            for (int64_t v = 0; v < k->count; v++)
                k->dz[v * step + c] += g[v] * k->weight[v];
        } else {
#pragma omp simd
            for (int64_t v = 0; v < k->count; v++)
                k->dz[v * step + c] = g[v] * k->weight[v];
        }
    }
    if (!a->accumulate && w->c < a->c)
        clear_others(w, k);
}

void KN(kn_loss)(const struct kn_loss *a) {
    struct work w = {.a = a,
                     .want = loss_wants_of(&a->group, a->scale),
                     .c = a->group.channels,
                     .step = a->z.step,
                     .counted = a->group.channels > 1};
    int64_t blocks = kn_blocks(a->s, KN_LOSS_BLOCK), sums = SUM_OVERLAP + 2 * w.c;
    double *part = a->scratch, *total = part + a->n * blocks * sums;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < a->n * blocks; t++) {
        int64_t first = t % blocks * KN_LOSS_BLOCK;
        int64_t end = first + KN_LOSS_BLOCK < a->s ? first + KN_LOSS_BLOCK : a->s;
        sum_block(&w, t / blocks, first, end, part + t * sums);
    }
    for (int64_t i = 0; i < sums; i++) {
        total[i] = 0;
        for (int64_t t = 0; t < a->n * blocks; t++)
            total[i] += part[t * sums + i];
    }
    double weight = finish(&w, total);
    if (!a->dz.data)
        return;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < a->n * blocks; t++) {
        int64_t first = t % blocks * KN_LOSS_BLOCK;
        int64_t end = first + KN_LOSS_BLOCK < a->s ? first + KN_LOSS_BLOCK : a->s;
        for (; first < end; first += TILE) {
            struct tile k;
            tile_load(&w, t / blocks, first, end, &k);
            tile_gradient(&w, &k, total, weight);
        }
    }
}

/* ---- targets of supervised layers ---- */

void KN(kn_shrink)(const struct kn_shrink *a) {
    int64_t block[3], d = a->out[0], h = a->out[1], w = a->out[2];
    for (int i = 0; i < 3; i++)
        block[i] = a->in[i] / a->out[i];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < a->n * d * h; row++) {
        int64_t z = row / h % d * block[0] + block[0] / 2, y = row % h * block[1] + block[1] / 2;
        const float *from = a->from + ((row / (d * h) * a->in[0] + z) * a->in[1] + y) * a->in[2];
        for (int64_t x = 0; x < w; x++)
            a->to[row * w + x] = from[x * block[2] + block[2] / 2];
    }
}
