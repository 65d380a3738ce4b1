/**
 * metrics.h - the measures of a segmentation, as functions of plain arrays. docs/metrics.md says
 * where they come from and how they differ from other programs' of the same names.
 */
#ifndef HF_EVALUATE_METRICS_H
#define HF_EVALUATE_METRICS_H

#include <hepaflow/base.h>

/* ---- overlap ---- */

struct metrics_overlap {
    int64_t truth, predicted, both; /* voxels */
};

/** Voxels are set if not 0. */
struct metrics_overlap metrics_count(const uint8_t *truth, const uint8_t *predicted, int64_t n);

/** 2 both / (truth + predicted); 1 if both are empty. */
double metrics_dice(struct metrics_overlap o);
/** both / either; 1 if both are empty. */
double metrics_jaccard(struct metrics_overlap o);
/** Volumetric overlap error: 1 - both / either; 0 if both are empty. */
double metrics_voe(struct metrics_overlap o);
/** Relative volume difference as in textbooks: (predicted - truth) / truth; NaN without truth, but
 *  0 if both are empty. */
double metrics_rvd(struct metrics_overlap o);
/** The LiTS scorer's: (truth - predicted) / predicted; METRICS_LARGE if one or both are empty. */
double metrics_rvd_lits(struct metrics_overlap o);

/* What the LiTS scorer gives where a measure is not defined. */
#define METRICS_LARGE 9001.0

/* ---- lesions ---- */

enum {
    METRICS_TOUCH, /* any common voxel */
    METRICS_HALF,  /* IoU above 0.5 */
    METRICS_TAUS
};

struct metrics_lesions {
    int32_t truth, predicted;    /* connected components */
    int32_t found[METRICS_TAUS]; /* of `truth` */
    int32_t right[METRICS_TAUS]; /* of `predicted` */
    int32_t lits[METRICS_TAUS];  /* the LiTS scorer's true positives; can be negative */
};

/**
 * Matches components, given as labels 1..count (0 = none). TOUCH: a lesion is found, and a
 * predicted one right, if it has a common voxel with one of the others. HALF follows the LiTS
 * scorer: true lesions whose largest overlap is with the same prediction count as one, each
 * prediction goes with the lesion that it overlaps most, predictions that go with one lesion count
 * as one, and the pair matches if its IoU is above 0.5; all members of a matching pair are found or
 * right. The scorer itself counts each pair once, and for a pair that fails at 0.5 it takes away
 * as many as the pair has true lesions.
 *
 * `truth_pair` [truth_count + 1] and `predicted_pair` [predicted_count + 1], where not NULL, get of
 * each component the pair that it is in if that matches at 0.5, else 0. A pair has the number of
 * its first true lesion.
 */
enum hf_status metrics_match(const int32_t *truth, int32_t truth_count, const int32_t *predicted,
                             int32_t predicted_count, int64_t n, struct metrics_lesions *ret,
                             int32_t *truth_pair, int32_t *predicted_pair, struct hf_error *e);

/* ---- surfaces ---- */

/** The voxels of a mask with a voxel outside among their 18 neighbours; beyond the border is
 *  outside. */
void metrics_surface(const uint8_t *mask, const int64_t size[3], uint8_t *ret);

/** Distances in mm from one surface to the other, and back. */
struct metrics_surfaces {
    double assd; /* mean over both directions' distances */
    double rmsd; /* root of the mean of their squares */
    double msd;  /* the largest: Hausdorff's */
    double hd95; /* the larger of both directions' 95th percentiles */
    double nsd;  /* share of both surfaces that lies within the tolerance of the other */
};

/** All NaN. */
struct metrics_surfaces metrics_no_surfaces(void);

/**
 * From the surfaces of truth and prediction and the distances to them. If one is empty NSD is 0 and
 * all else NaN; if both are, NSD is NaN too. `distance_*` holds, at each voxel, the distance to
 * that surface; `tolerance` is in mm.
 */
enum hf_status metrics_distances(const uint8_t *truth, const float *distance_truth,
                                 const uint8_t *predicted, const float *distance_predicted,
                                 int64_t n, double tolerance, struct metrics_surfaces *ret,
                                 struct hf_error *e);

#endif
