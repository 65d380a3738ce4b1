/**
 * pace.h - how fast a training goes: the time from step to step, and the samples that it takes in.
 */
#ifndef TRAIN_PACE_H
#define TRAIN_PACE_H

#include <stddef.h>
#include <stdint.h>

#define PACE_KEPT 1024

struct pace {
    double ms[PACE_KEPT]; /* of the last steps */
    int64_t steps, samples;
    double first,
        last; /* when the first sample came, which does not count, and the last step was done; ms */
};

void pace_step(struct pace *p);
void pace_sample(struct pace *p);
/** "200 steps, median 41.30 ms a step, mean 43.10 over the later half, 12.40 samples/s". */
void pace_describe(const struct pace *p, char *ret, size_t size);

#endif
