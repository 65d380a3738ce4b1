/**
 * evaluate.h - what the files of evaluate share: the score of a case, how it is measured, the sweep
 * over thresholds, and how scores are written.
 */
#ifndef HF_EVALUATE_H
#define HF_EVALUATE_H

#include <hepaflow/hepaflow.h>

#include "metrics.h"

enum {
    RANGE_FIELD,
    RANGE_HU
};

struct evaluate_options {
    const char *as;
    const char *field, *truth;
    struct hf_names gate;
    const char *liver; /* NULL: none */
    double threshold, min_volume, tolerance;
    int32_t surfaces, best_of;
    struct hf_reals range;
    int32_t range_in;
    int64_t steps;
};

/* ---- scores (scores.c) ---- */

/* True and predicted lesions that were matched at 0.5. */
struct lesion_score {
    int32_t truth, predicted; /* how many components of each */
    struct metrics_overlap overlap;
    struct metrics_surfaces surfaces;
};

struct score {
    char *case_id, *patient;
    double voxel; /* ml */
    struct metrics_overlap overlap;
    struct metrics_lesions lesions; /* predicted < 0: not known */
    struct metrics_surfaces surfaces;
    double burden_truth, burden_predicted; /* tumor / liver; NaN: not known */
    struct lesion_score *lesion;
    int32_t lesion_count;
};

struct scores {
    struct score *item;
    int32_t count, capacity;
    double threshold;
    int below;          /* the prediction is what lies below the threshold */
    int tuned_on_truth; /* the threshold was chosen on the very truth that it is scored on */
    const char *unit;   /* of the threshold; "" = the field's own */
};

/** Adds the score of a case, with nothing known but its name; *ret is valid until the next one is
 * added. */
enum hf_status scores_add(struct scores *list, const struct hf_sample *of, struct score **ret,
                          struct hf_error *e);
void scores_free(struct scores *list);
/** cases.csv, cases.json and lesions.csv in the stage's folder, the result, and the report's table.
 */
enum hf_status scores_write(const struct hf_stage *s, const struct scores *list,
                            struct hf_error *e);

/* ---- one case (measure.c) ---- */

/**
 * The part of the truth's grid that the prediction and the truth reach, with the prediction brought
 * there: host arrays of `size` voxels.
 */
struct view {
    struct hf_grid grid;
    struct hf_tensor *truth;  /* u8 [1,D,H,W] */
    struct hf_tensor *values; /* f32 or u8 [1,D,H,W]; NaN or 0 beyond the prediction */
    uint8_t *gate;            /* NULL: none */
    uint8_t *liver;           /* NULL: not known */
};

enum hf_status view_open(const struct hf_stage *s, const struct hf_sample *in, struct view *ret,
                         struct hf_error *e);
void view_close(const struct hf_stage *s, struct view *v);

/** Connected components (6 neighbours) of a u8 mask in host memory; *ret_labels i32 likewise. */
enum hf_status view_components(const struct hf_stage *s, struct hf_tensor *mask,
                               struct hf_tensor **ret_labels, int32_t *ret_count,
                               struct hf_error *e);

/** Scores what lies at or above the threshold. */
enum hf_status measure(const struct hf_stage *s, const struct view *v, struct score *ret,
                       struct hf_error *e);

/* ---- the best threshold (sweep.c) ---- */

/* How many voxels of a case lie in each bin; bin b holds values with b thresholds at or below. */
struct sweep_case {
    int64_t *background, *truth; /* [steps + 2], inside the gate */
    int64_t truth_voxels;        /* inside and outside the gate */
    int32_t lesions;
    int32_t *low, *high; /* of each lesion, the range of its bins; low > high: none in the gate */
};

struct sweep {
    double low, high; /* first and last threshold */
    int32_t steps;    /* intervals between them */
    struct sweep_case *item;
    int32_t count, capacity;
};

/** Adds a case: values (NaN: not predicted), gate (or NULL) and lesion labels of n voxels. */
enum hf_status sweep_add(struct sweep *sw, const float *values, const uint8_t *gate,
                         const int32_t *labels, int32_t lesions, int64_t n, struct hf_error *e);
void sweep_free(struct sweep *sw);
double sweep_threshold(const struct sweep *sw, int32_t step);
/** Overlap of a case for values below, or at and above, the threshold of a step. */
struct metrics_overlap sweep_overlap(const struct sweep *sw, int32_t item, int32_t step, int below);
/** Lesions of a case that such a prediction touches. */
int32_t sweep_found(const struct sweep *sw, int32_t item, int32_t step, int below);
/** The step and side with the best mean Dice; the first of equals. */
void sweep_best(const struct sweep *sw, int32_t *ret_step, int *ret_below);

#endif
