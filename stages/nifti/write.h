/**
 * write.h - NIfTI-1 files built in memory: the caller fills the voxels in place, then packs.
 */
#ifndef HF_NIFTI_WRITE_H
#define HF_NIFTI_WRITE_H

#include "grid.h"

#ifdef __cplusplus
extern "C" {
#endif

struct hf_nifti_out {
    uint8_t *bytes; /* the file, uncompressed */
    size_t size;
    void *voxels; /* within bytes: [D,H,W] of the dtype, to be filled; zeros at first */
};

/**
 * A single-file image (u8, i16 or f32) with the grid's affine as sform, and as qform where its
 * axes are orthogonal.
 */
enum hf_status hf_nifti_out_new(const struct hf_grid *grid, enum hf_dtype dtype,
                                struct hf_nifti_out *ret, struct hf_error *e);
void hf_nifti_out_free(struct hf_nifti_out *out);

/** The file as one gzip member; free the bytes with free(). */
enum hf_status hf_nifti_out_pack(const struct hf_nifti_out *out, void **ret_bytes, size_t *ret_size,
                                 struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
