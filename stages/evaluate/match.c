/**
 * match.c - which true and which predicted lesions are the same.
 */
#include <stdlib.h>

#include "metrics.h"

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
    int32_t group;  /* its group, by the lowest label of the true ones in it; 0: none */
};

/* A group of true components, with all the predictions that go with it. */
struct group {
    int64_t truth, predicted, common;
    int32_t members; /* true components */
};

static int is_half(const struct group *g) {
    return 2 * g->common > g->truth + g->predicted - g->common;
}

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
    for (int32_t t = 1; t <= truth_count; t++) {
        group[truth[t].group].truth += truth[t].voxels;
        group[truth[t].group].members++;
    }
    for (int32_t p = 1; p <= predicted_count; p++) {
        predicted[p].group = predicted[p].best;
        if (!predicted[p].group)
            continue;
        group[predicted[p].group].predicted += predicted[p].voxels;
        group[predicted[p].group].common += predicted[p].common;
    }
    for (int32_t t = 1; t <= truth_count; t++) {
        const struct group *g = &group[t];
        ret->found[METRICS_HALF] += is_half(&group[truth[t].group]);
        ret->lits[METRICS_TOUCH] += g->predicted > 0;
        if (g->predicted > 0)
            ret->lits[METRICS_HALF] += is_half(g) ? 1 : 1 - g->members;
    }
    for (int32_t p = 1; p <= predicted_count; p++)
        ret->right[METRICS_HALF] += predicted[p].group && is_half(&group[predicted[p].group]);
}

/** The matching pair of each component, or 0. */
static void pairs_name(const struct component *c, int32_t count, const struct group *group,
                       int32_t *ret) {
    for (int32_t i = 0; ret && i <= count; i++)
        ret[i] = c[i].group && is_half(&group[c[i].group]) ? c[i].group : 0;
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
                             int32_t *truth_pair, int32_t *predicted_pair, struct hf_error *e) {
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
        pairs_name(t, truth_count, group, truth_pair);
        pairs_name(p, predicted_count, group, predicted_pair);
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
