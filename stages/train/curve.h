/**
 * curve.h - the record of a training: losses by step, as CSV and for the report.
 */
#ifndef TRAIN_CURVE_H
#define TRAIN_CURVE_H

#include <hepaflow/base.h>

struct curve_point {
    int64_t step;
    double loss, rate;
    double validation; /* NaN: none at this step */
};

struct curve {
    struct curve_point *point;
    int64_t count, capacity;
};

enum hf_status curve_add(struct curve *c, struct curve_point p, struct hf_error *e);
void curve_clear(struct curve *c);
/** "step,loss,rate,validation" lines; NULL when out of memory; free() it. */
char *curve_csv(const struct curve *c);
/** A section of the report: the smoothed training loss, the validation's points, and the step whose
 *  parameters were kept; NULL as above. */
char *curve_json(const struct curve *c, int64_t kept);

#endif
