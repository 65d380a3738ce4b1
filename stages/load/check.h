/**
 * check.h - does a case's geometry make sense: labels that lie on the image, a liver on the right.
 */
#ifndef HF_LOAD_CHECK_H
#define HF_LOAD_CHECK_H

#include "cases.h"
#include "read.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Refuses labels that cannot belong to the image: as many voxels of another size (the header has
 * lost the geometry), or a box that hardly meets the image's.
 */
enum hf_status hf_check_label_grid(const struct hf_nifti *image, const struct hf_nifti *label,
                                   struct hf_error *e);

/**
 * Notes a spacing that cannot be: exactly 1 mm on an image as large as a CT's, steps below 0.1 or
 * above 20 mm, or more than 3 m from end to end. Names the file.
 */
void hf_check_image(const struct hf_nifti *image, struct hf_notes *notes);

/**
 * Notes labels of which a tenth or more of the volume lies outside the image: `in` on their own
 * grid, `out` on the image's.
 */
void hf_check_inside(const struct hf_grid *from, const uint8_t *in, const struct hf_grid *to,
                     const uint8_t *out, const char *name, struct hf_notes *notes);

/** Notes a liver of which more than half is air (below -300 HU). */
void hf_check_tissue(const struct hf_grid *grid, const float *image, const uint8_t *liver,
                     struct hf_notes *notes);

/**
 * Notes a Couinaud map whose segments stand the wrong way round by more than 10 mm: 2 and 3 to the
 * right of 6 and 7, or 7 and 8 below 5 and 6.
 */
void hf_check_order(const struct hf_grid *grid, const uint8_t *couinaud, struct hf_notes *notes);

/**
 * Whether the liver lies on the patient's right: compares its centre with that of the body (all
 * voxels above -300 HU). Fewer than 10 mm to the left raise no note: the image may be a crop.
 */
void hf_check_side(const struct hf_grid *grid, const float *image, const uint8_t *liver,
                   struct hf_notes *notes);

/** Notes a Couinaud map and a liver mask that agree with a Dice below 0.8. */
void hf_check_agreement(const struct hf_grid *grid, const uint8_t *liver, const uint8_t *couinaud,
                        struct hf_notes *notes);

/**
 * Notes segments that an annotation names and the Couinaud map lacks. The annotation has `count`
 * rows of 9: whether it is known, then segments 1 to 8.
 */
void hf_check_annotation(const struct hf_grid *grid, const uint8_t *couinaud, const uint8_t *rows,
                         int64_t count, struct hf_notes *notes);

/**
 * Turns mask labels to 0 and 1 in place. A mask has values 0 and 1, or 0 and 255; `lits` lets 2
 * through as well (1 liver, 2 tumor), and keeps only 2 if `only_tumor`. `name` stands in messages.
 */
enum hf_status hf_check_mask(uint8_t *mask, int64_t count, int lits, int only_tumor,
                             const char *name, int64_t *ret_set, struct hf_error *e);

/** Turns labels by the table in place; *ret_set counts those that are not 0 then. */
enum hf_status hf_check_values(uint8_t *labels, int64_t count, const struct hf_values *values,
                               const char *name, int64_t *ret_set, struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
