/**
 * loss.h - what the terms of a loss ask of a kernel, all together.
 *
 * A kernel takes a group of terms at a time: over one range of channels and, of each pair that adds
 * up in the same sums (BCE and FOCAL, DICE and TVERSKY, twice the same kind), one. So nearly every
 * loss is one group, whatever its terms.
 */
#ifndef HEPAFLOW_NN_LOSS_H
#define HEPAFLOW_NN_LOSS_H

#include <string.h>

#include <hepaflow/network.h>

#include "elem.h"

/** Terms that one run of a kernel computes. */
struct loss_group {
    int64_t first, channels; /* that they look at */
    int32_t terms;
    struct hf_loss_term term[HF_MAX_LOSS_TERMS];
    int32_t number[HF_MAX_LOSS_TERMS]; /* of the term in the loss, from 0 */
};

/** The sums that a term adds to. */
enum loss_sum {
    LOSS_SUM_L1,
    LOSS_SUM_LOGIT,
    LOSS_SUM_CE,
    LOSS_SUM_OVERLAP
};

HF_DEVICE static inline enum loss_sum loss_sum_of(enum hf_loss_kind kind) {
    switch (kind) {
    case HF_LOSS_L1:
        return LOSS_SUM_L1;
    case HF_LOSS_BCE:
    case HF_LOSS_FOCAL:
        return LOSS_SUM_LOGIT;
    case HF_LOSS_CE:
        return LOSS_SUM_CE;
    default:
        return LOSS_SUM_OVERLAP;
    }
}

/** Whether a term fits into a group. */
static inline int loss_fits(const struct loss_group *g, const struct hf_loss_term *t,
                            int64_t channels) {
    int fits = g->first == t->first && g->channels == channels;
    for (int32_t i = 0; i < g->terms; i++)
        fits &= loss_sum_of(g->term[i].kind) != loss_sum_of(t->kind);
    return fits;
}

/** The groups of a loss over an output of `channels` channels; how many there are. */
static inline int32_t loss_groups_of(const struct hf_loss_term *term, int32_t terms,
                                     int64_t channels, struct loss_group ret[HF_MAX_LOSS_TERMS]) {
    int32_t groups = 0;
    for (int32_t i = 0; i < terms; i++) {
        int64_t range = term[i].channels ? term[i].channels : channels - term[i].first;
        int32_t k = 0;
        while (k < groups && !loss_fits(&ret[k], &term[i], range))
            k++;
        if (k == groups) {
            memset(&ret[k], 0, sizeof ret[k]);
            ret[k].first = term[i].first;
            ret[k].channels = range;
            groups++;
        }
        ret[k].number[ret[k].terms] = i;
        ret[k].term[ret[k].terms++] = term[i];
    }
    return groups;
}

/** Which terms a group has, their options, and the factors of the sums. */
struct loss_wants {
    int32_t l1, bce, focal, ce, dice, tversky, softmax;
    float l1_factor, logit_factor, ce_factor, overlap_factor;
    float pos_weight, gamma, alpha, beta;
};

/** `scale` multiplies all factors. */
static inline struct loss_wants loss_wants_of(const struct loss_group *g, float scale) {
    struct loss_wants w;
    memset(&w, 0, sizeof w);
    w.pos_weight = 1.0f;
    for (const struct hf_loss_term *t = g->term; t < g->term + g->terms; t++) {
        float factor = t->factor * scale;
        switch (t->kind) {
        case HF_LOSS_L1:
            w.l1 = 1;
            w.l1_factor = factor;
            break;
        case HF_LOSS_BCE:
        case HF_LOSS_FOCAL:
            w.bce = t->kind == HF_LOSS_BCE;
            w.focal = !w.bce;
            w.logit_factor = factor;
            w.pos_weight = t->pos_weight;
            w.gamma = t->gamma;
            break;
        case HF_LOSS_CE:
            w.ce = 1;
            w.ce_factor = factor;
            break;
        default:
            w.dice = t->kind == HF_LOSS_DICE;
            w.tversky = !w.dice;
            w.overlap_factor = factor;
            w.alpha = t->alpha;
            w.beta = t->beta;
        }
    }
    w.softmax = (w.ce || w.dice || w.tversky) && g->channels > 1;
    return w;
}

/* ---- DICE and TVERSKY of one channel, from two sums over voxels ----
 *
 * sum[0] is that of w q t; sum[1] that of loss_misses. */

#define LOSS_SMOOTH 1.0

/** What a voxel adds to sum[1], before its weight: DICE's masses, or TVERSKY's errors. */
HF_DEVICE static inline float loss_misses(const struct loss_wants *w, float q, float t) {
    return w->dice ? q + t : w->alpha * q * (1.0f - t) + w->beta * (1.0f - q) * t;
}

/** The score, 1 where all is right. */
HF_DEVICE static inline double loss_overlap(const struct loss_wants *w, const double *sum) {
    return w->dice ? (2 * sum[0] + LOSS_SMOOTH) / (sum[1] + LOSS_SMOOTH)
                   : (sum[0] + LOSS_SMOOTH) / (sum[0] + sum[1] + LOSS_SMOOTH);
}

/** The loss's slope by a voxel's q is its weight times (on_target t + constant). */
HF_DEVICE static inline void loss_overlap_slope(const struct loss_wants *w, const double *sum,
                                                int64_t counted, float *on_target,
                                                float *constant) {
    double scale = (double)w->overlap_factor / (double)counted, score = loss_overlap(w, sum);
    if (w->dice) {
        *on_target = (float)(-2 * scale / (sum[1] + LOSS_SMOOTH));
        *constant = (float)(scale * score / (sum[1] + LOSS_SMOOTH));
        return;
    }
    double whole = sum[0] + sum[1] + LOSS_SMOOTH, a = (double)w->alpha, b = (double)w->beta;
    *on_target = (float)(scale * (score * (1 - a - b) - 1) / whole);
    *constant = (float)(scale * score * a / whole);
}

#endif
