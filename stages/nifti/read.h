/**
 * read.h - NIfTI volumes from memory or disk, as canonical (RAS+) arrays.
 *
 * Open checks the header against what is really there before it allocates, and inflates; read
 * converts, scales and turns the voxels in one pass into the caller's array [D,H,W].
 */
#ifndef HF_NIFTI_READ_H
#define HF_NIFTI_READ_H

#include "grid.h"
#include "header.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where the content of packed files goes: `take` gives NULL if there is no more. */
struct hf_nifti_memory {
    void *(*take)(void *arg, size_t size);
    void (*give)(void *arg, void *data);
    void *arg;
};

/** An open volume. `name`, the memory and the bytes handed to open are borrowed until close. */
struct hf_nifti {
    const char *name;
    struct hf_nifti_header header; /* header.grid: the grid as stored */
    struct hf_turn turn;
    struct hf_grid canonical;
    struct hf_notes notes;
    const uint8_t *voxels; /* as stored */
    const struct hf_nifti_memory *memory;
    void *owned; /* inflated content, or NULL */
};

/** The content of a file: freed with hf_nifti_bytes_free. Directories and empty files are errors.
 */
struct hf_nifti_bytes {
    void *data;
    size_t size;
};

enum hf_nonfinite {
    HF_NONFINITE_REFUSE,
    HF_NONFINITE_CLEAR /* to the background; how many goes into the notes */
};

/**
 * The files that a path stands for. An .hdr or .img names a pair: ret_header and ret_image get its
 * two paths. Anything else is a single file: ret_image becomes "". Both have room for `size` bytes.
 */
enum hf_status hf_nifti_paths(const char *path, char *ret_header, char *ret_image, size_t size,
                              struct hf_error *e);

enum hf_status hf_nifti_bytes_read(const char *path, struct hf_nifti_bytes *ret,
                                   struct hf_error *e);
void hf_nifti_bytes_free(struct hf_nifti_bytes *b);

/** `image` is NULL for a single file. `name` stands in messages. */
enum hf_status hf_nifti_open(const void *header, size_t header_size, const void *image,
                             size_t image_size, const char *name, struct hf_nifti *ret,
                             struct hf_error *e);
/** The same, inflated into memory of the caller's kind. */
enum hf_status hf_nifti_open_into(const struct hf_nifti_memory *memory, const void *header,
                                  size_t header_size, const void *image, size_t image_size,
                                  const char *name, struct hf_nifti *ret, struct hf_error *e);
void hf_nifti_close(struct hf_nifti *n);

/** The header and the grids of a file without its voxels, from its first bytes; nothing is to be
 *  closed. */
enum hf_status hf_nifti_peek(const char *path, struct hf_nifti *ret, struct hf_error *e);

/** Gives an open volume another grid as stored, of the same size, and turns it as that asks. */
void hf_nifti_regrid(struct hf_nifti *n, const struct hf_grid *stored);

/** The voxels as float32, scaled, canonical. */
enum hf_status hf_nifti_read_f32(struct hf_nifti *n, enum hf_nonfinite nonfinite, float background,
                                 float *out, struct hf_error *e);

/** The voxels as labels: every value must be whole and in [0, max] (u8) or an int32. */
enum hf_status hf_nifti_read_u8(struct hf_nifti *n, int32_t max, uint8_t *out, struct hf_error *e);
enum hf_status hf_nifti_read_i32(struct hf_nifti *n, int32_t *out, struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
