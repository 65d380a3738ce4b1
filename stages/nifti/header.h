/**
 * header.h - a NIfTI-1 or NIfTI-2 header, either byte order, checked and brought to one form.
 */
#ifndef HF_NIFTI_HEADER_H
#define HF_NIFTI_HEADER_H

#include <hepaflow/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of the longest header (NIfTI-2). */
#define HF_NIFTI_HEADER_BYTES 540

/** Remarks on a file that was read all the same: one a line, without the file's name. */
struct hf_notes {
    size_t used;
    char text[1024];
};

HF_PRINTF(2, 3) void hf_note(struct hf_notes *notes, const char *fmt, ...);

struct hf_nifti_header {
    int32_t version;  /* 1 or 2 */
    int32_t pair;     /* 1: the voxels are in an .img file */
    int32_t swapped;  /* 1: the other byte order than this machine's */
    int32_t datatype; /* NIFTI_TYPE_... */
    int32_t voxel_bytes;
    int64_t offset;      /* of the first voxel in its file */
    double slope, inter; /* 1 and 0 when the file has none */
    struct hf_grid grid; /* as stored */
};

/**
 * Parses and checks the first bytes of a header file or single file (`size` of them are there).
 * `name` stands in messages. What can be lived with goes into `notes`.
 */
enum hf_status hf_nifti_header_parse(const void *bytes, size_t size, const char *name,
                                     struct hf_nifti_header *ret, struct hf_notes *notes,
                                     struct hf_error *e);

/** Name of a NIfTI datatype: "int16"; "unknown type 77" goes through `buffer`. */
const char *hf_nifti_type_name(int32_t datatype, char buffer[32]);

/** Bytes of all voxels; the parse has checked that this does not overflow. */
static inline int64_t hf_nifti_data_bytes(const struct hf_nifti_header *h) {
    return h->grid.size[0] * h->grid.size[1] * h->grid.size[2] * h->voxel_bytes;
}

#ifdef __cplusplus
}
#endif
#endif
