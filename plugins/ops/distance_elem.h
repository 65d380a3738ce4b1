/**
 * distance_elem.h - squared distances within a row, and the lower envelope of parabolas along a
 * line across rows (Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions",
 * 2012), which turns squared distances within the planes across a line into those in the volume.
 */
#ifndef HF_DISTANCE_ELEM_H
#define HF_DISTANCE_ELEM_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/** Voxels from i back to the last set one, `last`; negative: there is none. */
HF_DEVICE static inline float distance_before(int64_t i, int64_t last) {
    return last < 0 ? INFINITY : (float)(i - last);
}

/** The squared distance in a row, from distance_before and the next set voxel; negative: none. */
HF_DEVICE static inline float distance_in_row(float before, int64_t i, int64_t next, double step) {
    double steps = next >= 0 && (float)(next - i) < before ? (double)(next - i) : (double)before;
    return (float)(steps * step * steps * step);
}

/** Room for the envelope of a line of n voxels: n of each, `stride` apart. */
struct distance_room {
    double *from;  /* where a parabola begins to be the lowest */
    float *height; /* its value at its site */
    int32_t *site;
    int64_t stride;
};

/** value[i] = min over j of value[j] + (step (i - j))^2, in place; values are `stride` apart and
 * +infinity takes no part. */
HF_DEVICE static inline void distance_line(float *value, int64_t n, int64_t stride, double step,
                                           struct distance_room r) {
    int64_t top = -1;
    for (int64_t i = 0; i < n; i++) {
        double here = (double)value[i * stride];
        if (here == INFINITY)
            continue;
        double x = (double)i * step, start = -INFINITY;
        while (top >= 0) {
            double y = (double)r.site[top * r.stride] * step;
            start = ((here + x * x) - ((double)r.height[top * r.stride] + y * y)) / (2 * (x - y));
            if (start > r.from[top * r.stride])
                break;
            top--;
        }
        if (top < 0)
            start = -INFINITY;
        top++;
        r.site[top * r.stride] = (int32_t)i;
        r.from[top * r.stride] = start;
        r.height[top * r.stride] = (float)here;
    }
    if (top < 0)
        return;
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)i * step;
        while (k < top && r.from[(k + 1) * r.stride] < x)
            k++;
        double away = (double)(i - r.site[k * r.stride]) * step;
        value[i * stride] = (float)((double)r.height[k * r.stride] + away * away);
    }
}

#endif
