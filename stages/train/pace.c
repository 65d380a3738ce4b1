/*
 * pace.c - see pace.h.
 */
#include "pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void pace_step(struct pace *p) {
    double at = now();
    if (p->steps > 0)
        p->ms[(p->steps - 1) % PACE_KEPT] = at - p->last;
    p->steps++;
    p->last = at;
}

void pace_sample(struct pace *p) {
    if (p->samples++ == 0)
        p->first = now();
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void pace_describe(const struct pace *p, char *ret, size_t size) {
    double ms[PACE_KEPT];
    int64_t n = p->steps - 1 < PACE_KEPT ? p->steps - 1 : PACE_KEPT;
    int written = snprintf(ret, size, "%lld step%s", (long long)p->steps, p->steps == 1 ? "" : "s");
    if (n < 1 || p->last <= p->first || written < 0 || (size_t)written >= size)
        return;
    /* Volumes come in bursts: what a step waits for on average is not in the median. */
    double sum = 0;
    for (int64_t i = n / 2; i < n; i++)
        sum += p->ms[(p->steps - 1 - n + i) % PACE_KEPT];
    memcpy(ms, p->ms, (size_t)n * sizeof *ms);
    qsort(ms, (size_t)n, sizeof *ms, by_value);
    (void)snprintf(ret + written, size - (size_t)written,
                   ", median %.2f ms a step, mean %.2f over the later half, %.2f samples/s",
                   ms[n / 2], sum / (double)(n - n / 2),
                   1e3 * (double)(p->samples - 1) / (p->last - p->first));
}
