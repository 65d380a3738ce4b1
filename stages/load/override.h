/**
 * override.h - geometry that a person knows better than a file's header: spacing, orientation, and
 * mirrored axes of a case or of one of its files.
 */
#ifndef HF_LOAD_OVERRIDE_H
#define HF_LOAD_OVERRIDE_H

#include "csv.h"
#include "grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is not given stays as in the header. */
struct hf_override {
    double spacing[3];   /* mm along the stored axes; 0: not given */
    char orientation[4]; /* where the stored axes run to, as "LPS"; empty: not given */
    uint8_t flip[3];     /* 1: the header mirrors this axis of the world (x, y, z) */
};

static inline int hf_override_given(const struct hf_override *o) {
    return o->spacing[0] > 0 || o->orientation[0] || o->flip[0] || o->flip[1] || o->flip[2];
}

/** Parses the entries of a line: `0.7;0.7;1.5`, `LPS`, `x` or `x;z`; empty ones are not given. */
enum hf_status hf_override_parse(const struct hf_csv *csv, const struct hf_csv_entry *spacing,
                                 const struct hf_csv_entry *orientation,
                                 const struct hf_csv_entry *flip, struct hf_override *ret);

/** Changes a grid as stored; its centre stays where it is. */
void hf_override_apply(const struct hf_override *o, struct hf_grid *grid);

/**
 * The same for a label file whose own header is wrong. What has as many voxels as the image takes
 * its spacing, where none is given, and its place.
 */
void hf_override_apply_label(const struct hf_override *o, const struct hf_grid *image,
                             struct hf_grid *grid);

/** The override as text, for messages. */
void hf_override_text(const struct hf_override *o, char *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
