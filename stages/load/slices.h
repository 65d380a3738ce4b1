/**
 * slices.h - an annotation slice by slice: a CSV file with the columns `slice`, counted from 0
 * along the image file's third axis as stored, and `segments`. A slice that is not listed is not
 * annotated.
 */
#ifndef HF_LOAD_SLICES_H
#define HF_LOAD_SLICES_H

#include "grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A line of the file. */
struct hf_slice {
    int64_t slice;
    uint8_t segment[9]; /* entry 0: 1; entry k: segment k holds a tumor */
    int32_t line, column;
};

struct hf_slices {
    int32_t count;
    struct hf_slice *item; /* in the order of the slices, none twice */
};

/** Parses a file's bytes; errors begin with path:line:column. */
enum hf_status hf_slices_parse(const char *text, size_t size, const char *path,
                               struct hf_slices *ret, struct hf_error *e);
void hf_slices_free(struct hf_slices *s);

/**
 * The rows [D][9] of the canonical slices of an image that is stored on grid `file` and turned by
 * `turn`. Refuses slices that the image has not, and images whose third stored axis does not
 * become the canonical one.
 */
enum hf_status hf_slices_turn(const struct hf_slices *s, const char *path,
                              const struct hf_grid *file, const struct hf_turn *turn, uint8_t *ret,
                              struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
