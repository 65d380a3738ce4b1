/**
 * check.h - does a case's geometry make sense: labels that lie on the image, a liver on the right.
 */
#ifndef HF_LOAD_CHECK_H
#define HF_LOAD_CHECK_H

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

/** Notes a spacing of exactly 1 mm on an image as large as a CT's. */
void hf_check_image(const struct hf_nifti *image, struct hf_notes *notes);

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

#ifdef __cplusplus
}
#endif
#endif
