/**
 * montage.h - a volume as one picture: slices from below to above in rows.
 */
#ifndef HF_STAGES_TAP_MONTAGE_H
#define HF_STAGES_TAP_MONTAGE_H

#include <hepaflow/sample.h>

/** One channel of a field, in host memory. */
struct volume {
    enum hf_dtype dtype; /* HF_U8 or HF_F32 */
    const void *data;
    int64_t d, h, w;
    double spacing[3]; /* mm between voxels along D, H, W */
    double min, max;
};

/**
 * Grey within a window that fits the values, blue and red where they have both signs; labels in
 * colour over `under` (f32, of the same size; NULL: over black). *ret_png is freed with free().
 */
enum hf_status montage_draw(const struct volume *v, const struct volume *under, void **ret_png,
                            size_t *ret_size, struct hf_error *e);

#endif
