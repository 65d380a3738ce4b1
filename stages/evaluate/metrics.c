/**
 * metrics.c - the measures of a segmentation: overlap and surfaces.
 */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>

/* ---- overlap ---- */

struct metrics_overlap metrics_count(const uint8_t *truth, const uint8_t *predicted, int64_t n) {
    struct metrics_overlap o = {0, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        o.truth += truth[i] != 0;
        o.predicted += predicted[i] != 0;
        o.both += truth[i] && predicted[i];
    }
    return o;
}

double metrics_dice(struct metrics_overlap o) {
    int64_t sum = o.truth + o.predicted;
    return sum > 0 ? 2.0 * (double)o.both / (double)sum : 1;
}

double metrics_jaccard(struct metrics_overlap o) {
    int64_t either = o.truth + o.predicted - o.both;
    return either > 0 ? (double)o.both / (double)either : 1;
}

double metrics_voe(struct metrics_overlap o) {
    int64_t either = o.truth + o.predicted - o.both;
    return either > 0 ? 1 - (double)o.both / (double)either : 0;
}

static double relative(int64_t value, int64_t reference) {
    if (reference == 0)
        return value == 0 ? 0 : NAN;
    return (double)(value - reference) / (double)reference;
}

double metrics_rvd(struct metrics_overlap o) {
    return relative(o.predicted, o.truth);
}

double metrics_rvd_lits(struct metrics_overlap o) {
    return o.truth > 0 && o.predicted > 0 ? relative(o.truth, o.predicted) : METRICS_LARGE;
}

/* ---- surfaces ---- */

static int is_inside(const uint8_t *mask, const int64_t size[3], const int64_t at[3]) {
    for (int dd = -1; dd <= 1; dd++)
        for (int dh = -1; dh <= 1; dh++)
            for (int dw = -1; dw <= 1; dw++) {
                int64_t d = at[0] + dd, h = at[1] + dh, w = at[2] + dw;
                if ((dd != 0) + (dh != 0) + (dw != 0) > 2)
                    continue;
                if (d < 0 || d >= size[0] || h < 0 || h >= size[1] || w < 0 || w >= size[2] ||
                    !mask[(d * size[1] + h) * size[2] + w])
                    return 0;
            }
    return 1;
}

void metrics_surface(const uint8_t *mask, const int64_t size[3], uint8_t *ret) {
    int64_t at[3], i = 0;
    for (at[0] = 0; at[0] < size[0]; at[0]++)
        for (at[1] = 0; at[1] < size[1]; at[1]++)
            for (at[2] = 0; at[2] < size[2]; at[2]++, i++)
                ret[i] = mask[i] && !is_inside(mask, size, at);
}

static int by_value(const void *pa, const void *pb) {
    float a = *(const float *)pa, b = *(const float *)pb;
    return (a > b) - (a < b);
}

/** The distances on a surface, sorted; how many. */
static int64_t gather(const uint8_t *surface, const float *distance, int64_t n, float *ret) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (surface[i])
            ret[count++] = distance[i];
    qsort(ret, (size_t)count, sizeof *ret, by_value);
    return count;
}

struct metrics_surfaces metrics_no_surfaces(void) {
    return (struct metrics_surfaces){NAN, NAN, NAN, NAN, NAN};
}

/** Linear between the sorted values; n >= 1. */
static double percentile(const float *sorted, int64_t n, double percent) {
    double at = percent / 100 * (double)(n - 1);
    int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    double weight = at - (double)low;
    return (double)sorted[low] * (1 - weight) + (double)sorted[high] * weight;
}

enum hf_status metrics_distances(const uint8_t *truth, const float *distance_truth,
                                 const uint8_t *predicted, const float *distance_predicted,
                                 int64_t n, double tolerance, struct metrics_surfaces *ret,
                                 struct hf_error *e) {
    const uint8_t *surface[2] = {truth, predicted};
    const float *distance[2] = {distance_predicted, distance_truth};
    struct metrics_surfaces m = {0, 0, 0, 0, 0};
    double sum = 0, squares = 0;
    int64_t total = 0, close = 0;
    int empty = 0;
    float *list = malloc((size_t)n * sizeof *list + 1);
    if (!list)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the distances between surfaces");
    for (int i = 0; i < 2; i++) {
        int64_t count = gather(surface[i], distance[i], n, list);
        for (int64_t k = 0; k < count; k++) {
            sum += (double)list[k];
            squares += (double)list[k] * (double)list[k];
            close += (double)list[k] <= tolerance;
        }
        if (count > 0) {
            m.hd95 = fmax(m.hd95, percentile(list, count, 95));
            m.msd = fmax(m.msd, (double)list[count - 1]);
        }
        empty += count == 0;
        total += count;
    }
    free(list);
    m.assd = sum / (double)total;
    m.rmsd = sqrt(squares / (double)total);
    m.nsd = (double)close / (double)total;
    *ret = empty ? metrics_no_surfaces() : m;
    if (empty == 1)
        ret->nsd = 0;
    return HF_OK;
}
