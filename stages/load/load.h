/**
 * load.h - the parts of the stage `load`: choosing the cases, and opening one.
 */
#ifndef HF_LOAD_H
#define HF_LOAD_H

#include "cases.h"
#include "slices.h"

#include <hepaflow/plugin.h>

#define LOAD_PATH_BYTES 4096

enum load_split {
    SPLIT_TRAIN,
    SPLIT_TEST,
    SPLIT_ALL
};

enum load_geometry {
    GEOMETRY_WARN,
    GEOMETRY_REFUSE
};

struct load_options {
    const char *dataset;
    int32_t split;
    double test_share;
    const char *overrides;
    const char *liver, *couinaud, *tumor;
    struct hf_reals liver_values, couinaud_values, tumor_values;
    struct hf_names cases, omit;
    struct hf_names require;
    struct hf_names fields;
    int32_t geometry, nonfinite;
    double fill;
};

/** A chosen case. All of them stay in memory, so that what follows from one is found when it is
 *  opened. */
struct load_item {
    const struct hf_case *c;
    uint8_t reads[HF_CASE_FILES]; /* 1: has the file, and it is wanted */
};

/** The files that a path stands for. */
struct load_paths {
    char header[LOAD_PATH_BYTES];
    char image[LOAD_PATH_BYTES]; /* the voxels of a pair; empty: a single file */
};

struct load_state {
    char file[LOAD_PATH_BYTES]; /* the manifest, or what stands in its place */
    /* The peer's, if there is one. */
    struct hf_cases cases;
    struct load_item *item;
    int64_t items;
    struct load_paths asked[HF_CASE_FILES]; /* what `files` has last told of */
};

/** 1 if the options ask for the field. */
int load_wants(const struct load_options *o, enum hf_case_file f);

/** 1 if one file is read once for both fields, liver and tumor. */
int load_shared(const struct load_item *it);

/** Reads the dataset, and chooses the cases that the options want. */
enum hf_status load_choose(struct hf_stage *s, struct hf_error *e);

/** The files of a case's path, which are looked for. */
enum hf_status load_paths_of(const struct load_options *o, const struct hf_case *c,
                             enum hf_case_file f, struct load_paths *ret, struct hf_error *e);

/** The case's table of slices, read and parsed; it has one. */
enum hf_status load_slices_of(const struct hf_stage *s, const struct hf_case *c,
                              struct hf_slices *ret, struct hf_error *e);

/** The grid of a case's image, from its header. */
enum hf_status load_grid_of(struct hf_stage *s, int64_t i, struct hf_grid *ret, struct hf_error *e);

/** Opens a case and emits its sample. */
enum hf_status load_open(struct hf_stage *s, int64_t i, struct hf_error *e);

#endif
