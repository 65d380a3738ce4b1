/**
 * folder_parts.h - what the readers of the kinds of folders share.
 */
#ifndef HF_LOAD_FOLDER_PARTS_H
#define HF_LOAD_FOLDER_PARTS_H

#include "folder.h"

#define HF_FOLDER_PATH 4096

enum hf_status hf_folder_no_memory(const char *path, struct hf_error *e);

int hf_is_file(const char *path);
int hf_is_folder(const char *path);

/** Length of a name without .nii or .nii.gz; 0 if it has neither. */
size_t hf_folder_stem(const char *name);

/** The case of a name, `n` bytes of it; a new one if there is none. NULL: no memory. */
struct hf_case *hf_folder_case(struct hf_cases *c, const char *name, size_t n);

/** Gives a case a file that it must not have yet. */
enum hf_status hf_folder_set(struct hf_case *c, enum hf_case_file f, const char *path,
                             struct hf_error *e);

/** Orders the cases, and notes which fields they have. */
void hf_folder_finish(struct hf_cases *c);

/** Calls for each entry but hidden ones; stops at the first status that is not HF_OK. */
enum hf_status hf_folder_each(const char *path,
                              enum hf_status (*call)(const char *path, const char *name,
                                                     void *context, struct hf_error *e),
                              void *context, struct hf_error *e);

#endif
