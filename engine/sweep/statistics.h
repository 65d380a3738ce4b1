/* statistics.h - how scores spread over cases and seeds, and how two arms differ. */
#ifndef HEPAFLOW_SWEEP_STATISTICS_H
#define HEPAFLOW_SWEEP_STATISTICS_H

#include <hepaflow/base.h>

struct spread {
    double mean, sd; /* NaN: not known; sd by n - 1 */
    int n;
};

/* Of those values that are finite. */
struct spread spread_of(const double *value, int count);

struct difference {
    double mean;      /* NaN: there is no pair */
    double low, high; /* 95 % of the bootstrap's means; NaN: fewer than two cases */
    int cases;
};

#define BOOTSTRAP_MEANS 10000

/*
 * The mean over cases of `arm` minus `baseline`, both [cases][seeds], of a case its mean over those
 * seeds for which both are finite; and the percentile interval of that mean under resampling of the
 * cases. The draws depend on the number of cases alone, so that the same values give the same
 * interval and arms are compared on the same resamples.
 */
enum hf_status difference_of(const double *arm, const double *baseline, int cases, int seeds,
                             struct difference *ret, struct hf_error *e);

#endif
