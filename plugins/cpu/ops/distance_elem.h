/**
 * distance_elem.h - the lower envelope of parabolas along a line (Felzenszwalb and Huttenlocher,
 * "Distance transforms of sampled functions", 2012): turns squared distances within the planes
 * across a line into squared distances in the volume.
 */
#ifndef HF_DISTANCE_ELEM_H
#define HF_DISTANCE_ELEM_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/**
 * value[i] = min over j of value[j] + (step (i - j))^2, in place; +infinity entries take no part.
 * `site` (n), `from` (n) and `height` (n) are room to work in.
 */
HF_DEVICE static inline void distance_line(double *value, int64_t n, double step, int32_t *site,
                                           double *from, double *height) {
    int64_t top = -1;
    for (int64_t i = 0; i < n; i++) {
        if (value[i] == INFINITY)
            continue;
        double x = (double)i * step, start = -INFINITY;
        while (top >= 0) {
            double y = (double)site[top] * step;
            start = ((value[i] + x * x) - (height[top] + y * y)) / (2 * (x - y));
            if (start > from[top])
                break;
            top--;
        }
        if (top < 0)
            start = -INFINITY;
        top++;
        site[top] = (int32_t)i;
        from[top] = start;
        height[top] = value[i];
    }
    if (top < 0)
        return;
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)i * step;
        while (k < top && from[k + 1] < x)
            k++;
        double away = (double)(i - site[k]) * step;
        value[i] = height[k] + away * away;
    }
}

#endif
