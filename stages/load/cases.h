/**
 * cases.h - the manifest cases.csv: which files make up a case, and its image-level annotation.
 *
 * Columns by header name, in any order: case, image (required); patient, split, liver, couinaud,
 * tumor, segments. Paths are relative to the manifest. An empty entry is not there. Others are
 * ignored. `segments` holds segments or the path of a table of slices (slices.h).
 */
#ifndef HF_LOAD_CASES_H
#define HF_LOAD_CASES_H

#include <hepaflow/rng.h>
#include <hepaflow/base.h>

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

struct hf_case {
    char *name;
    char *patient; /* the case's name where none is given */
    enum hf_split split;
    char *path[HF_CASE_FILES];     /* NULL: not there */
    int32_t column[HF_CASE_FILES]; /* where the path stands, from 1 */
    int32_t annotated;             /* 1: segments are given, perhaps as `none` */
    uint8_t segment[9];            /* entry k: segment k holds a tumor; entry 0: annotated */
    char *slices;                  /* a table of slices in place of `segment`; NULL: none */
    int32_t slices_column;         /* where the annotation stands, from 1 */
    int32_t line;
};

struct hf_cases {
    int32_t count;
    struct hf_case *item;
    int32_t header_line;
    uint8_t has[HF_CASE_FILES + 1]; /* 1: the header has the file's column; the last: segments */
    char unknown[64];               /* its first column that has no meaning; empty: none */
};

/**
 * Parses `size` bytes of a manifest; `path` is its path, for messages and relative paths. Errors
 * begin with path:line:column.
 */
enum hf_status hf_cases_parse(const char *text, size_t size, const char *path, struct hf_cases *ret,
                              struct hf_error *e);
void hf_cases_free(struct hf_cases *c);

/** The split of a patient whom the manifest leaves open: one in five, by a hash, is for testing. */
static inline enum hf_split hf_split_of(const char *patient) {
    struct hf_rng r = hf_rng_init(0, "split", patient, 0);
    return hf_rng_uniform(&r) < 0.2f ? HF_SPLIT_TEST : HF_SPLIT_TRAIN;
}

#ifdef __cplusplus
}
#endif
#endif
