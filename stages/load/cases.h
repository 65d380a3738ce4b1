/**
 * cases.h - the manifest cases.csv: which files make up a case, and its image-level annotation.
 *
 * Columns by header name, in any order: case, image (required); patient, split, liver, couinaud,
 * tumor, segments, spacing, orientation, flip. Paths are relative to the manifest. An empty entry
 * is not there. Others are ignored. `segments` holds segments or the path of a table of slices
 * (slices.h); the last three override the geometry of the files (override.h).
 *
 * Cases that come from elsewhere (folder.h) have no line. A table of remarks has the same columns
 * but the files', and tells more of them.
 */
#ifndef HF_LOAD_CASES_H
#define HF_LOAD_CASES_H

#include <hepaflow/rng.h>
#include <hepaflow/base.h>

#include "override.h"

#ifdef __cplusplus
extern "C" {
#endif

enum hf_split {
    HF_SPLIT_TRAIN,
    HF_SPLIT_TEST
};

enum hf_case_file {
    HF_CASE_IMAGE,
    HF_CASE_LIVER,
    HF_CASE_COUINAUD,
    HF_CASE_TUMOR,
    HF_CASE_FILES
};

/** Name of the column, and of the field. */
const char *hf_case_file_name(enum hf_case_file f);

/** Where something stands, for messages. */
struct hf_origin {
    const char *file; /* borrowed */
    int32_t line;     /* 0: in no file of cases */
};

struct hf_case {
    char *name;
    char *patient; /* the case's name where none is given */
    enum hf_split split;
    int32_t given;                 /* the split that the line gives; -1: none */
    char *path[HF_CASE_FILES];     /* NULL: not there */
    int32_t column[HF_CASE_FILES]; /* where the path stands, from 1 */
    int32_t annotated;             /* 1: segments are given, perhaps as `none` */
    uint8_t segment[9];            /* entry k: segment k holds a tumor; entry 0: annotated */
    char *slices;                  /* a table of slices in place of `segment`; NULL: none */
    int32_t slices_column;         /* where the annotation stands, from 1 */
    /** Of the image and all labels with the image's header; of one label, which goes first. */
    struct hf_override geometry[HF_CASE_FILES];
    struct hf_origin at, split_at, slices_at;
};

/** What becomes of each value of a label file. */
struct hf_values {
    int32_t given;   /* 0: a mask is 0 and 1, a Couinaud map is taken as it is */
    int32_t largest; /* larger values are an error */
    uint8_t to[256];
};

struct hf_cases {
    int32_t count;
    struct hf_case *item;
    int32_t header_line;
    uint8_t has[HF_CASE_FILES + 1]; /* 1: the header has the file's column; the last: segments */
    char unknown[64];               /* its first column that has no meaning; empty: none */
    struct hf_values values[HF_CASE_FILES];
    char labels[256];  /* the label names that a folder's dataset.json has, for messages */
    int32_t unlabeled; /* 1: the folder of its label files is not there */
};

/**
 * Parses `size` bytes of a manifest; `path` is its path, for messages and relative paths. Errors
 * begin with path:line:column.
 */
enum hf_status hf_cases_parse(const char *text, size_t size, const char *path, struct hf_cases *ret,
                              struct hf_error *e);
void hf_cases_free(struct hf_cases *c);

/**
 * A table of remarks on cases, `size` bytes of it: `case` is a name or a pattern with `*` and `?`.
 * Adds to each case what its lines tell, the first line first; `path` must outlive the cases.
 * ret_unused: which lines fit no case, in words; empty: each fits one.
 */
enum hf_status hf_cases_remark(struct hf_cases *c, const char *text, size_t size, const char *path,
                               char *ret_unused, size_t unused_size, struct hf_error *e);

/**
 * One split a patient: the one that any of the patient's cases is given, or else by a hash of the
 * patient's name, which puts the share `test` into HF_SPLIT_TEST. `path` stands in messages.
 */
enum hf_status hf_cases_split(struct hf_cases *c, double test, const char *path,
                              struct hf_error *e);

/** The split of a patient for whom none is given. */
static inline enum hf_split hf_split_of(const char *patient, double test) {
    struct hf_rng r = hf_rng_init(0, "split", patient, 0);
    return hf_rng_uniform(&r) < (float)test ? HF_SPLIT_TEST : HF_SPLIT_TRAIN;
}

#define HF_SPLIT_SHARE 0.2

#ifdef __cplusplus
}
#endif
#endif
