/*
 * mix.c - the order in which a mix takes from its inputs: a function of the inputs' lengths and
 * weights alone, never of who was faster.
 *
 * Without weights it takes one of each in turn until all have ended. With weights each input earns
 * its share at every step and the richest pays one (as Bresenham draws lines); an input that ends
 * before every other has ended once starts another pass, and the epoch is over when each has ended.
 */
#include "exec.h"

/* Passes of an epoch that have names of their own; a pass is an epoch to the input's stages. */
#define PASSES UINT64_C(1024)

static bool has_weights(const struct plan_stage *ps) {
    for (int i = 0; ps->cls->kind == HF_MIX && i < ps->inputs; i++)
        if (ps->mix_weight[i] > 0)
            return true;
    return false;
}

static const struct plan_stage *stage_of(const struct node *n) {
    return &n->job->run->plan->stage[n->link[0]];
}

void mix_reset(struct node *n) {
    n->mix = (struct mix){0};
}

uint64_t mix_epoch(const struct plan_stage *ps, uint64_t epoch) {
    return has_weights(ps) ? epoch * PASSES : epoch;
}

static enum mix_choice choose_in_turn(struct node *n, int *ret_input) {
    for (int tries = 0; tries < n->inputs; tries++) {
        struct edge *in = n->in[n->mix.turn];
        int input = n->mix.turn;
        if (in->count == 0 && !in->ended)
            return MIX_WAIT;
        n->mix.turn = (n->mix.turn + 1) % n->inputs;
        if (in->count > 0) {
            *ret_input = input;
            return MIX_TAKE;
        }
    }
    return MIX_FINISHED;
}

/* The input with the highest credit after this step's shares; -1 if no input counts. */
static int richest(const struct node *n, const struct plan_stage *ps, double *ret_sum) {
    int best = -1;
    *ret_sum = 0;
    for (int i = 0; i < n->inputs; i++)
        *ret_sum += ps->mix_weight[i];
    for (int i = 0; i < n->inputs; i++) {
        double credit = n->mix.credit[i] + ps->mix_weight[i] / *ret_sum;
        if (ps->mix_weight[i] > 0 &&
            (best < 0 || credit > n->mix.credit[best] + ps->mix_weight[best] / *ret_sum))
            best = i;
    }
    return best;
}

static bool all_ended(const struct node *n, const struct plan_stage *ps) {
    for (int i = 0; i < n->inputs; i++)
        if (ps->mix_weight[i] > 0 && !n->mix.ended[i])
            return false;
    return true;
}

/* Everybody earns a share, `k` pays one. */
static void step(struct node *n, const struct plan_stage *ps, int k, double sum) {
    for (int i = 0; i < n->inputs; i++)
        n->mix.credit[i] += ps->mix_weight[i] / sum;
    n->mix.credit[k] -= 1;
}

static enum mix_choice choose_by_weight(struct node *n, const struct plan_stage *ps, int *ret_input,
                                        uint64_t *ret_epoch) {
    for (;;) {
        double sum;
        int k = richest(n, ps, &sum);
        *ret_input = k;
        if (n->in[k]->count > 0) {
            step(n, ps, k, sum);
            n->mix.taken[k]++;
            return MIX_TAKE;
        }
        if (!n->in[k]->ended)
            return MIX_WAIT;
        n->mix.ended[k] = true;
        if (all_ended(n, ps))
            return MIX_FINISHED;
        if (n->mix.taken[k] > 0) {
            /* It has ended, but a mix upstream may have left a pass of an input at work. */
            if (!tree_is_quiet(n->in[k]))
                return MIX_WAIT;
            n->mix.taken[k] = 0;
            *ret_epoch = n->epoch * PASSES + ++n->mix.pass[k];
            return MIX_AGAIN;
        }
        step(n, ps, k, sum); /* a pass without a sample: its share goes to the others */
    }
}

enum mix_choice mix_choose(struct node *n, int *ret_input, uint64_t *ret_epoch) {
    const struct plan_stage *ps = stage_of(n);
    return has_weights(ps) ? choose_by_weight(n, ps, ret_input, ret_epoch)
                           : choose_in_turn(n, ret_input);
}
