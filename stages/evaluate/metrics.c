/**
 * metrics.c - the measures of a segmentation.
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
    return relative(o.truth, o.predicted);
}

/* ---- lesions ---- */

/* Common voxels of a true component, or a group of them, and a predicted one. */
struct pair {
    int32_t truth, predicted;
    int64_t voxels;
};

struct pairs {
    struct pair *item;
    size_t count, capacity;
};

static int pair_push(struct pairs *list, int32_t truth, int32_t predicted) {
    if (list->count == list->capacity) {
        size_t more = list->capacity ? 2 * list->capacity : 256;
        struct pair *item = realloc(list->item, more * sizeof *item);
        if (!item)
            return 0;
        list->item = item;
        list->capacity = more;
    }
    list->item[list->count++] = (struct pair){truth, predicted, 1};
    return 1;
}

static int by_prediction(const void *pa, const void *pb) {
    const struct pair *a = pa, *b = pb;
    if (a->predicted != b->predicted)
        return a->predicted < b->predicted ? -1 : 1;
    return (a->truth > b->truth) - (a->truth < b->truth);
}

/** Sorts by prediction, then truth, and adds up what stands twice. */
static void pairs_fold(struct pairs *list) {
    size_t kept = 0;
    if (list->count == 0)
        return;
    qsort(list->item, list->count, sizeof *list->item, by_prediction);
    for (size_t i = 1; i < list->count; i++) {
        if (by_prediction(&list->item[kept], &list->item[i]) == 0)
            list->item[kept].voxels += list->item[i].voxels;
        else
            list->item[++kept] = list->item[i];
    }
    list->count = kept + 1;
}

static int pairs_find(const int32_t *truth, const int32_t *predicted, int64_t n,
                      struct pairs *list) {
    for (int64_t i = 0; i < n; i++) {
        if (!truth[i] || !predicted[i])
            continue;
        struct pair *last = list->count ? &list->item[list->count - 1] : NULL;
        if (last && last->truth == truth[i] && last->predicted == predicted[i])
            last->voxels++;
        else if (!pair_push(list, truth[i], predicted[i]))
            return 0;
    }
    pairs_fold(list);
    return 1;
}

/* A component, by its label. */
struct component {
    int64_t voxels;
    int64_t common; /* with `best` */
    int32_t best;   /* the other it has most voxels in common with; of equals the first; 0: none */
    int32_t group;  /* truth: the lowest label of the group; predicted: the group it makes */
};

/* A group of true components, with all the predictions that go with it. */
struct group {
    int64_t truth, predicted, common;
};

static void best_of(struct component *c, int32_t other, int64_t voxels) {
    if (voxels > c->common) {
        c->common = voxels;
        c->best = other;
    }
}

/** True components whose best is the same prediction become one group in the pairs, too. */
static void group_truth(struct pairs *list, struct component *truth, int32_t truth_count,
                        struct component *predicted) {
    for (size_t i = 0; i < list->count; i++)
        best_of(&truth[list->item[i].truth], list->item[i].predicted, list->item[i].voxels);
    for (int32_t t = 1; t <= truth_count; t++) {
        int32_t p = truth[t].best;
        if (p && !predicted[p].group)
            predicted[p].group = t;
        truth[t].group = p ? predicted[p].group : t;
    }
    for (size_t i = 0; i < list->count; i++)
        list->item[i].truth = truth[list->item[i].truth].group;
    pairs_fold(list);
}

static void match_half(struct pairs *list, struct component *truth, int32_t truth_count,
                       struct component *predicted, int32_t predicted_count, struct group *group,
                       struct metrics_lesions *ret) {
    group_truth(list, truth, truth_count, predicted);
    for (size_t i = 0; i < list->count; i++)
        best_of(&predicted[list->item[i].predicted], list->item[i].truth, list->item[i].voxels);
    for (int32_t t = 1; t <= truth_count; t++)
        group[truth[t].group].truth += truth[t].voxels;
    for (int32_t p = 1; p <= predicted_count; p++) {
        struct group *g = &group[predicted[p].best];
        g->predicted += predicted[p].best ? predicted[p].voxels : 0;
        g->common += predicted[p].common;
    }
    for (int32_t t = 1; t <= truth_count; t++) {
        const struct group *g = &group[truth[t].group];
        ret->found[METRICS_HALF] += 2 * g->common > g->truth + g->predicted - g->common;
    }
    for (int32_t p = 1; p <= predicted_count; p++) {
        const struct group *g = &group[predicted[p].best];
        ret->right[METRICS_HALF] +=
            predicted[p].best && 2 * g->common > g->truth + g->predicted - g->common;
    }
}

static void match_touch(const struct pairs *list, struct component *truth,
                        struct component *predicted, struct metrics_lesions *ret) {
    for (size_t i = 0; i < list->count; i++) {
        struct component *t = &truth[list->item[i].truth];
        struct component *p = &predicted[list->item[i].predicted];
        ret->found[METRICS_TOUCH] += !t->group;
        ret->right[METRICS_TOUCH] += !p->group;
        t->group = p->group = 1; /* seen */
    }
    for (size_t i = 0; i < list->count; i++)
        truth[list->item[i].truth].group = predicted[list->item[i].predicted].group = 0;
}

enum hf_status metrics_match(const int32_t *truth, int32_t truth_count, const int32_t *predicted,
                             int32_t predicted_count, int64_t n, struct metrics_lesions *ret,
                             struct hf_error *e) {
    struct metrics_lesions m = {.truth = truth_count, .predicted = predicted_count};
    struct pairs list = {NULL, 0, 0};
    struct component *t = calloc((size_t)truth_count + 1, sizeof *t);
    struct component *p = calloc((size_t)predicted_count + 1, sizeof *p);
    struct group *group = calloc((size_t)truth_count + 1, sizeof *group);
    enum hf_status st = HF_OK;
    if (t && p && group && pairs_find(truth, predicted, n, &list)) {
        for (int64_t i = 0; i < n; i++) {
            t[truth[i]].voxels++;
            p[predicted[i]].voxels++;
        }
        match_touch(&list, t, p, &m);
        match_half(&list, t, truth_count, p, predicted_count, group, &m);
        *ret = m;
    } else {
        st = hf_fail(e, HF_NO_MEMORY, "no memory to match %d and %d lesions", (int)truth_count,
                     (int)predicted_count);
    }
    free(list.item);
    free(t);
    free(p);
    free(group);
    return st;
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

/** Linear between the sorted values; n >= 1. */
static double percentile(const float *sorted, int64_t n, double percent) {
    double at = percent / 100 * (double)(n - 1);
    int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    double weight = at - (double)low;
    return (double)sorted[low] * (1 - weight) + (double)sorted[high] * weight;
}

enum hf_status metrics_distances(const uint8_t *truth, const float *distance_truth,
                                 const uint8_t *predicted, const float *distance_predicted,
                                 int64_t n, struct metrics_surfaces *ret, struct hf_error *e) {
    const uint8_t *surface[2] = {truth, predicted};
    const float *distance[2] = {distance_predicted, distance_truth};
    struct metrics_surfaces m = {0, 0, 0};
    double sum = 0;
    int64_t total = 0;
    float *list = malloc((size_t)n * sizeof *list + 1);
    if (!list)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the distances between surfaces");
    for (int i = 0; i < 2; i++) {
        int64_t count = gather(surface[i], distance[i], n, list);
        if (count == 0) {
            *ret = (struct metrics_surfaces){NAN, NAN, NAN};
            free(list);
            return HF_OK;
        }
        for (int64_t k = 0; k < count; k++)
            sum += (double)list[k];
        total += count;
        m.hd95 = fmax(m.hd95, percentile(list, count, 95));
        m.hd = fmax(m.hd, (double)list[count - 1]);
    }
    m.assd = sum / (double)total;
    free(list);
    *ret = m;
    return HF_OK;
}
