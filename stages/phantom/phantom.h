/**
 * phantom.h - phantom cases: from options, a seed and a case number to a CT volume with its masks.
 *
 * Pure functions: no engine, no files, no clock. A case depends on the options, the seed and its id
 * alone, so any case can be made at any time by any thread.
 */
#ifndef HF_PHANTOM_H
#define HF_PHANTOM_H

#include <hepaflow/sample.h>

#include "anatomy.h"
#include "fields.h"
#include "tumor.h"

#define PHANTOM_TUMORS_MAX 8

struct phantom_params {
    int64_t cases;
    double test;         /* share of the cases that are test cases */
    double healthy;      /* share of the training cases without a tumor */
    double test_healthy; /* the same of the test cases */
    int32_t tumors[2];   /* fewest and most in a diseased case */
    double spacing[2];   /* in-plane, mm */
    double slice[2];     /* slice distance, mm */
    int32_t turned;      /* files in varied orientations, else RAS */
    double noise[2];     /* standard deviation in HU at 2 x 2 x 4 mm */
    double contrast[2];  /* HU of dark tumors against the liver, strongest first */
    double bright;       /* share of bright tumors among all but the first of a case */
    double min_volume;   /* mm3 of tumor that make a segment annotated */
    double deform;       /* 1: the usual; 0: anatomies as they are */
};

/** What is settled about a case before anything is drawn. */
struct phantom_plan {
    char id[24];      /* "train-003", "test-000" */
    char patient[32]; /* the anatomy: "ircadb-05" */
    int32_t anatomy;  /* into phantom_anatomy_names */
    int32_t test;
    int32_t healthy;
    float uptake; /* 0..1: how much contrast the liver took up, spread evenly over a split */
};

struct phantom_case {
    struct phantom_plan plan;
    struct phantom_grid grid;
    struct hf_grid canonical; /* RAS, of the arrays below */
    struct hf_grid file;      /* the same voxels as a file of this case stores them */
    int16_t *image;
    uint8_t *liver, *couinaud, *tumor;
    uint8_t annotation[9]; /* 0: annotated at all; k: segment k holds min_volume of tumor */
    int32_t tumor_count;
    struct phantom_tumor tumors[PHANTOM_TUMORS_MAX];
};

/** How many of the cases are training cases; they come first. */
int64_t phantom_train_count(const struct phantom_params *p);

struct phantom_plan phantom_case_plan(const struct phantom_params *p, uint64_t seed, int64_t index);

/** The canonical grid that the case of a plan will have. */
struct hf_grid phantom_case_grid(const struct phantom_params *p,
                                 const struct phantom_anatomy *anatomy,
                                 const struct phantom_plan *plan, uint64_t seed);

/** Makes the case of a plan from its anatomy; freed by phantom_case_free. */
enum hf_status phantom_case_make(const struct phantom_params *p,
                                 const struct phantom_anatomy *anatomy,
                                 const struct phantom_plan *plan, uint64_t seed,
                                 struct phantom_case *ret, struct hf_error *e);
void phantom_case_free(struct phantom_case *c);

/* ---- the parts of phantom_case_make ---- */

/** Draws spacing, origin and orientation of a volume of `extent` mm (x, y, z). */
void phantom_grids_draw(const struct phantom_params *p, const float extent[3], struct hf_rng rng,
                        struct phantom_case *c);

/** The file grid of `canonical` for an orientation code such as "LPS" (axes from the fastest). */
void phantom_grid_turn(const struct hf_grid *canonical, const char *code, struct hf_grid *ret);

/**
 * Draws the tumors of a diseased case into c->tumors and c->tumor; `change` gets the HU to add
 * and `keep` the share of the vessels that is left, both for every voxel.
 */
enum hf_status phantom_tumors_place(const struct phantom_params *p, uint64_t seed,
                                    struct phantom_case *c, float *change, float *keep,
                                    struct hf_error *e);

#endif
