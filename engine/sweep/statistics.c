/*
 * statistics.c - mean and standard deviation, and the paired difference of two arms with its
 * percentile bootstrap over cases.
 */
#include "sweep/statistics.h"

#include <math.h>
#include <stdlib.h>

#include <hepaflow/rng.h>

struct spread spread_of(const double *value, int count) {
    struct spread s = {NAN, NAN, 0};
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++)
        if (isfinite(value[i])) {
            sum += value[i];
            s.n++;
        }
    if (s.n > 0)
        s.mean = sum / s.n;
    for (int i = 0; i < count; i++)
        if (isfinite(value[i]))
            squares += (value[i] - s.mean) * (value[i] - s.mean);
    if (s.n > 1)
        s.sd = sqrt(squares / (s.n - 1));
    return s;
}

/* Of each case that has a pair, the mean of its differences; how many there are. */
static int pair_up(const double *arm, const double *baseline, int cases, int seeds, double *ret) {
    int n = 0;
    for (int c = 0; c < cases; c++) {
        double sum = 0;
        int pairs = 0;
        for (int s = c * seeds; s < (c + 1) * seeds; s++)
            if (isfinite(arm[s]) && isfinite(baseline[s])) {
                sum += arm[s] - baseline[s];
                pairs++;
            }
        if (pairs > 0)
            ret[n++] = sum / pairs;
    }
    return n;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Linear between the two nearest of the sorted values. */
static double quantile(const double *sorted, int count, double share) {
    double at = share * (count - 1);
    int below = (int)at;
    int above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

enum hf_status difference_of(const double *arm, const double *baseline, int cases, int seeds,
                             struct difference *ret, struct hf_error *e) {
    *ret = (struct difference){NAN, NAN, NAN, 0};
    double *of = calloc((size_t)cases + 1, sizeof *of);
    double *mean = calloc(BOOTSTRAP_MEANS, sizeof *mean);
    if (!of || !mean) {
        free(of);
        free(mean);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the differences of %d cases", cases);
    }
    int n = ret->cases = pair_up(arm, baseline, cases, seeds, of);
    if (n > 0)
        ret->mean = spread_of(of, n).mean;
    if (n > 1) {
        for (int b = 0; b < BOOTSTRAP_MEANS; b++) {
            struct hf_rng r = hf_rng_init(0, "sweep", "bootstrap", (uint64_t)b);
            double sum = 0;
            for (int i = 0; i < n; i++)
                sum += of[hf_rng_below(&r, (uint32_t)n)];
            mean[b] = sum / n;
        }
        qsort(mean, BOOTSTRAP_MEANS, sizeof *mean, compare);
        ret->low = quantile(mean, BOOTSTRAP_MEANS, 0.025);
        ret->high = quantile(mean, BOOTSTRAP_MEANS, 0.975);
    }
    free(of);
    free(mean);
    return HF_OK;
}
