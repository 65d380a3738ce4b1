/**
 * sweep.c - the best single threshold: a histogram of each case is enough to score them all.
 */
#include <math.h>
#include <stdlib.h>

#include "evaluate.h"

double sweep_threshold(const struct sweep *sw, int32_t step) {
    return sw->low + (sw->high - sw->low) * step / sw->steps;
}

/** How many thresholds lie at or below a value. */
static int32_t bin_of(const struct sweep *sw, float value) {
    double at = ((double)value - sw->low) / (sw->high - sw->low) * sw->steps;
    return at < 0 ? 0 : at >= sw->steps ? sw->steps + 1 : (int32_t)at + 1;
}

static enum hf_status case_new(struct sweep *sw, int32_t lesions, struct sweep_case **ret,
                               struct hf_error *e) {
    if (sw->count == sw->capacity) {
        int32_t more = sw->capacity ? 2 * sw->capacity : 16;
        struct sweep_case *item = realloc(sw->item, (size_t)more * sizeof *item);
        if (!item)
            return hf_fail(e, HF_NO_MEMORY, "no memory for a sweep over %d cases", (int)more);
        sw->item = item;
        sw->capacity = more;
    }
    size_t bins = (size_t)sw->steps + 2;
    struct sweep_case c = {.background = calloc(bins, sizeof *c.background),
                           .truth = calloc(bins, sizeof *c.truth),
                           .lesions = lesions,
                           .low = calloc((size_t)lesions + 1, sizeof *c.low),
                           .high = calloc((size_t)lesions + 1, sizeof *c.high)};
    sw->item[sw->count++] = c;
    if (!c.background || !c.truth || !c.low || !c.high)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the histogram of a case");
    for (int32_t i = 0; i <= lesions; i++) {
        c.low[i] = INT32_MAX;
        c.high[i] = -1;
    }
    *ret = &sw->item[sw->count - 1];
    return HF_OK;
}

enum hf_status sweep_add(struct sweep *sw, const float *values, const uint8_t *gate,
                         const int32_t *labels, int32_t lesions, int64_t n, struct hf_error *e) {
    struct sweep_case *c = NULL;
    enum hf_status st = case_new(sw, lesions, &c, e);
    for (int64_t i = 0; st == HF_OK && i < n; i++) {
        c->truth_voxels += labels[i] != 0;
        if (isnan(values[i]) || (gate && !gate[i]))
            continue;
        int32_t bin = bin_of(sw, values[i]);
        (labels[i] ? c->truth : c->background)[bin]++;
        if (bin < c->low[labels[i]])
            c->low[labels[i]] = bin;
        if (bin > c->high[labels[i]])
            c->high[labels[i]] = bin;
    }
    return st;
}

void sweep_free(struct sweep *sw) {
    for (int32_t i = 0; i < sw->count; i++) {
        free(sw->item[i].background);
        free(sw->item[i].truth);
        free(sw->item[i].low);
        free(sw->item[i].high);
    }
    free(sw->item);
    sw->item = NULL;
    sw->count = sw->capacity = 0;
}

struct metrics_overlap sweep_overlap(const struct sweep *sw, int32_t item, int32_t step,
                                     int below) {
    const struct sweep_case *c = &sw->item[item];
    struct metrics_overlap o = {.truth = c->truth_voxels};
    int32_t first = below ? 0 : step + 1, last = below ? step : sw->steps + 1;
    for (int32_t b = first; b <= last; b++) {
        o.both += c->truth[b];
        o.predicted += c->truth[b] + c->background[b];
    }
    return o;
}

int32_t sweep_found(const struct sweep *sw, int32_t item, int32_t step, int below) {
    const struct sweep_case *c = &sw->item[item];
    int32_t found = 0;
    for (int32_t i = 1; i <= c->lesions; i++)
        found += below ? c->low[i] <= step : c->high[i] > step;
    return found;
}

void sweep_best(const struct sweep *sw, int32_t *ret_step, int *ret_below) {
    double best = -1;
    for (int below = 1; below >= 0; below--)
        for (int32_t step = 0; step <= sw->steps; step++) {
            double sum = 0;
            for (int32_t i = 0; i < sw->count; i++)
                sum += metrics_dice(sweep_overlap(sw, i, step, below));
            if (sum > best) {
                best = sum;
                *ret_step = step;
                *ret_below = below;
            }
        }
}
