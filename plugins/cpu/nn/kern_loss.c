/**
 * kern_loss.c - losses and their gradient with respect to the network's output.
 *
 * A first pass adds up every term over blocks of voxels, a second one, which knows the totals that
 * Dice and the weights' sum need, writes the gradient. Blocks are cut into short tiles for which
 * the softmax's normaliser stands in L1.
 */
#include "kern_isa.h"
#include "../../nn/elem.h"
#include "../../nn/loss.h"

#define TILE 64 /* voxels */

/* Sums over voxels, before the two sums a channel of Dice: sum w q t, sum w q + sum w t. */
enum {
    SUM_WEIGHT,
    SUM_L1,
    SUM_BCE,
    SUM_CE,
    SUM_DICE
};

static const double smooth = 1.0; /* of Dice */

/** `count` voxels of sample `n` from voxel `first`. */
struct tile {
    const float *z, *t; /* voxel 0; channel c at z[v * C + c] and t[c * S + v] */
    float *dz;
    int64_t count;
    float weight[TILE], normaliser[TILE]; /* log of the sum of exponentials */
};

static void tile_load(const struct kn_loss *a, const struct loss_wants *want, int64_t n,
                      int64_t first, int64_t end, struct tile *k) {
    k->count = end - first < TILE ? end - first : TILE;
    k->z = a->z + (n * a->s + first) * a->c;
    k->t = a->target + n * a->s * a->c + first;
    k->dz = a->dz ? a->dz + (n * a->s + first) * a->c : NULL;
    for (int64_t v = 0; v < k->count; v++)
        k->weight[v] = a->weight ? a->weight[n * a->s + first + v] : 1.0f;
    if (!want->softmax)
        return;
    float top[TILE], sum[TILE];
    for (int64_t v = 0; v < k->count; v++) {
        top[v] = k->z[v * a->c];
        sum[v] = 0;
    }
    for (int64_t c = 1; c < a->c; c++)
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            top[v] = k->z[v * a->c + c] > top[v] ? k->z[v * a->c + c] : top[v];
    for (int64_t c = 0; c < a->c; c++)
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            sum[v] += el_exp(k->z[v * a->c + c] - top[v]);
#pragma omp simd
    for (int64_t v = 0; v < k->count; v++)
        k->normaliser[v] = top[v] + el_log(sum[v]);
}

/** Probability of one channel over a tile. */
static void tile_probability(const struct kn_loss *a, const struct tile *k, int64_t c, float *q) {
    if (a->c == 1) {
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            q[v] = el_sigmoid(k->z[v]);
        return;
    }
#pragma omp simd
    for (int64_t v = 0; v < k->count; v++)
        q[v] = el_exp(k->z[v * a->c + c] - k->normaliser[v]);
}

/* ---- the sums ---- */

/** First channel that Dice counts. */
static int64_t dice_first(const struct kn_loss *a) {
    return a->c > 1 ? 1 : 0;
}

static float bce(float z, float t, float pos_weight) {
    return pos_weight * t * el_softplus(-z) + (1.0f - t) * el_softplus(z);
}

static void add_channel(const struct kn_loss *a, const struct loss_wants *want,
                        const struct tile *k, int64_t c, double *sum) {
    const float *z = k->z + c, *t = k->t + c * a->s;
    int64_t count = k->count, step = a->c;
    float l1 = 0, b = 0, ce = 0, both = 0, mass = 0;
    if (want->l1) {
#pragma omp simd reduction(+ : l1)
        for (int64_t v = 0; v < count; v++) {
            float d = z[v * step] - t[v];
            l1 += k->weight[v] * (d < 0 ? -d : d);
        }
    }
    if (want->bce) {
#pragma omp simd reduction(+ : b)
        for (int64_t v = 0; v < count; v++)
            b += k->weight[v] * bce(z[v * step], t[v], want->pos_weight);
    }
    if (want->ce && a->c == 1) {
#pragma omp simd reduction(+ : ce)
        for (int64_t v = 0; v < count; v++)
            ce += k->weight[v] * bce(z[v], t[v], 1.0f);
    } else if (want->ce) {
#pragma omp simd reduction(+ : ce)
        for (int64_t v = 0; v < count; v++)
            ce += k->weight[v] * t[v] * (k->normaliser[v] - z[v * step]);
    }
    if (want->dice && c >= dice_first(a)) {
        float q[TILE];
        tile_probability(a, k, c, q);
#pragma omp simd reduction(+ : both, mass)
        for (int64_t v = 0; v < count; v++) {
            both += k->weight[v] * q[v] * t[v];
            mass += k->weight[v] * (q[v] + t[v]);
        }
    }
    sum[SUM_L1] += (double)l1;
    sum[SUM_BCE] += (double)b;
    sum[SUM_CE] += (double)ce;
    sum[SUM_DICE + 2 * c] += (double)both;
    sum[SUM_DICE + 2 * c + 1] += (double)mass;
}

static void sum_block(const struct kn_loss *a, const struct loss_wants *want, int64_t n,
                      int64_t first, int64_t end, double *sum) {
    for (int64_t i = 0; i < SUM_DICE + 2 * a->c; i++)
        sum[i] = 0;
    for (; first < end; first += TILE) {
        struct tile k;
        tile_load(a, want, n, first, end, &k);
        for (int64_t v = 0; v < k.count; v++)
            sum[SUM_WEIGHT] += (double)k.weight[v];
        for (int64_t c = 0; c < a->c; c++)
            add_channel(a, want, &k, c, sum);
    }
}

static double dice_of(const double *sum) {
    return (2 * sum[0] + smooth) / (sum[1] + smooth);
}

/** Writes total and terms; returns the weights' sum, at least 1e-6. */
static double finish(const struct kn_loss *a, double *sum) {
    double weight = sum[SUM_WEIGHT] > 1e-6 ? sum[SUM_WEIGHT] : 1e-6, total = 0;
    int64_t channels = a->c - dice_first(a);
    for (int32_t i = 0; i < a->terms; i++) {
        double value = 0;
        switch (a->term[i].kind) {
        case HF_LOSS_L1:
            value = sum[SUM_L1] / (weight * (double)a->c);
            break;
        case HF_LOSS_BCE:
            value = sum[SUM_BCE] / (weight * (double)a->c);
            break;
        case HF_LOSS_CE:
            value = sum[SUM_CE] / weight;
            break;
        default:
            for (int64_t c = dice_first(a); c < a->c; c++)
                value += dice_of(sum + SUM_DICE + 2 * c);
            value = 1 - value / (double)channels;
        }
        a->out[1 + i] = (float)value;
        total += (double)a->term[i].factor * value;
    }
    a->out[0] = (float)total;
    return weight;
}

/* ---- the gradient ---- */

/** d(factor * loss)/dq = w (g_t t + g_1) for one channel, from Dice. */
static void dice_slope(const struct kn_loss *a, const struct loss_wants *want, const double *sum,
                       int64_t c, float *on_target, float *constant) {
    *on_target = *constant = 0;
    if (!want->dice || c < dice_first(a))
        return;
    const double *s = sum + SUM_DICE + 2 * c;
    double scale = (double)want->dice_factor / (double)(a->c - dice_first(a));
    *on_target = (float)(-2 * scale / (s[1] + smooth));
    *constant = (float)(scale * dice_of(s) / (s[1] + smooth));
}

/** What of the gradient depends on one channel alone: L1, BCE and CE of one channel. */
static void channel_gradient(const struct kn_loss *a, const struct loss_wants *want,
                             const struct tile *k, int64_t c, double weight, float *g) {
    const float *z = k->z + c, *t = k->t + c * a->s;
    int64_t step = a->c;
    float l1 = (float)((double)want->l1_factor / (weight * (double)a->c));
    float b = (float)((double)want->bce_factor / (weight * (double)a->c));
    float ce = a->c == 1 ? (float)((double)want->ce_factor / weight) : 0.0f;
    for (int64_t v = 0; v < k->count; v++)
        g[v] = 0;
    if (want->l1) {
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++) {
            float d = z[v * step] - t[v];
            g[v] += l1 * (d > 0 ? 1.0f : d < 0 ? -1.0f : 0.0f);
        }
    }
    if (want->bce || (want->ce && a->c == 1)) {
        float p = want->pos_weight;
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++) {
            float q = el_sigmoid(z[v * step]);
            g[v] += b * ((1.0f - t[v]) * q - p * t[v] * (1.0f - q)) + ce * (q - t[v]);
        }
    }
}

static void tile_gradient(const struct kn_loss *a, const struct loss_wants *want, struct tile *k,
                          const double *sum, double weight) {
    float mean[TILE] = {0}, mass[TILE] = {0}; /* sum of q dloss/dq, sum of targets */
    float q[TILE], g[TILE], ce = (float)((double)want->ce_factor / weight), on_target, constant;
    for (int64_t c = 0; want->softmax && c < a->c; c++) {
        const float *t = k->t + c * a->s;
        dice_slope(a, want, sum, c, &on_target, &constant);
        tile_probability(a, k, c, q);
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++) {
            mean[v] += q[v] * (on_target * t[v] + constant);
            mass[v] += t[v];
        }
    }
    for (int64_t c = 0; c < a->c; c++) {
        const float *t = k->t + c * a->s;
        channel_gradient(a, want, k, c, weight, g);
        if (want->softmax || want->dice) {
            dice_slope(a, want, sum, c, &on_target, &constant);
            tile_probability(a, k, c, q);
        }
        if (want->softmax) {
#pragma omp simd
            for (int64_t v = 0; v < k->count; v++)
                g[v] +=
                    q[v] * (on_target * t[v] + constant - mean[v]) + ce * (q[v] * mass[v] - t[v]);
        } else if (want->dice) {
#pragma omp simd
            for (int64_t v = 0; v < k->count; v++)
                g[v] += (on_target * t[v] + constant) * q[v] * (1.0f - q[v]);
        }
#pragma omp simd
        for (int64_t v = 0; v < k->count; v++)
            k->dz[v * a->c + c] = g[v] * k->weight[v];
    }
}

void KN(kn_loss)(const struct kn_loss *a) {
    struct loss_wants want = loss_wants_of(a->term, a->terms, a->c);
    int64_t blocks = kn_blocks(a->s, KN_LOSS_BLOCK), sums = SUM_DICE + 2 * a->c;
    double *part = a->scratch, *total = part + a->n * blocks * sums;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < a->n * blocks; t++) {
        int64_t first = t % blocks * KN_LOSS_BLOCK;
        int64_t end = first + KN_LOSS_BLOCK < a->s ? first + KN_LOSS_BLOCK : a->s;
        sum_block(a, &want, t / blocks, first, end, part + t * sums);
    }
    for (int64_t i = 0; i < sums; i++) {
        total[i] = 0;
        for (int64_t t = 0; t < a->n * blocks; t++)
            total[i] += part[t * sums + i];
    }
    double weight = finish(a, total);
    if (!a->dz)
        return;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < a->n * blocks; t++) {
        int64_t first = t % blocks * KN_LOSS_BLOCK;
        int64_t end = first + KN_LOSS_BLOCK < a->s ? first + KN_LOSS_BLOCK : a->s;
        for (; first < end; first += TILE) {
            struct tile k;
            tile_load(a, &want, t / blocks, first, end, &k);
            tile_gradient(a, &want, &k, total, weight);
        }
    }
}
