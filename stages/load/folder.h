/**
 * folder.h - data sets that come as a folder: LiTS (volume-N, segmentation-N), the Medical
 * Segmentation Decathlon and nnU-Net (dataset.json, imagesTr, labelsTr); and further folders of
 * labels, whose files are named after the cases.
 */
#ifndef HF_LOAD_FOLDER_H
#define HF_LOAD_FOLDER_H

#include "cases.h"

#ifdef __cplusplus
extern "C" {
#endif

enum hf_folder_kind {
    HF_FOLDER_NONE, /* nothing that is known */
    HF_FOLDER_MANIFEST,
    HF_FOLDER_JSON, /* MSD, nnU-Net */
    HF_FOLDER_LITS
};

/** What a folder is, by what is in it; ret_file is the manifest or dataset.json. */
enum hf_folder_kind hf_folder_kind(const char *path, char *ret_file, size_t size);

/** The cases of a LiTS folder and of the folders in it, in the order of their numbers. */
enum hf_status hf_folder_lits(const char *path, struct hf_cases *ret, struct hf_error *e);

/** The cases of a folder with a dataset.json, whose content is `text`; in natural order. */
enum hf_status hf_folder_json(const char *path, const char *text, size_t size, struct hf_cases *ret,
                              struct hf_error *e);

/**
 * Takes the files of a field from elsewhere: `pattern` is a path in which {case} stands for the
 * case's name and {number} for the last number in it, or else a folder of files that are called as
 * the cases are. Where no ending is given, .nii.gz or .nii is found. A case without a file has
 * none.
 */
enum hf_status hf_folder_pattern(const char *pattern, enum hf_case_file f, struct hf_cases *c,
                                 struct hf_error *e);

/** Compares names as people do: a number in them counts as a number. */
int hf_natural_order(const char *a, const char *b);

#ifdef __cplusplus
}
#endif
#endif
