/**
 * loss.h - what the terms of a loss ask of a kernel, all together.
 */
#ifndef HEPAFLOW_NN_LOSS_H
#define HEPAFLOW_NN_LOSS_H

#include <string.h>

#include <hepaflow/network.h>

/** Which terms there are, and the sum of the factors of each kind. */
struct loss_wants {
    int32_t l1, bce, ce, dice, softmax;
    float l1_factor, bce_factor, ce_factor, dice_factor, pos_weight;
};

static inline struct loss_wants loss_wants_of(const struct hf_loss_term *term, int32_t terms,
                                              int64_t channels) {
    struct loss_wants w;
    memset(&w, 0, sizeof w);
    w.pos_weight = 1.0f;
    for (const struct hf_loss_term *t = term; t < term + terms; t++) {
        switch (t->kind) {
        case HF_LOSS_L1:
            w.l1 = 1;
            w.l1_factor += t->factor;
            break;
        case HF_LOSS_DICE:
            w.dice = 1;
            w.dice_factor += t->factor;
            break;
        case HF_LOSS_BCE:
            w.bce = 1;
            w.bce_factor += t->factor;
            w.pos_weight = t->pos_weight;
            break;
        default:
            w.ce = 1;
            w.ce_factor += t->factor;
        }
    }
    w.softmax = (w.ce || w.dice) && channels > 1;
    return w;
}

#endif
