/**
 * raw.h - NIfTI files for the tests, written byte by byte from the published layout, without the
 * code that is tested.
 */
#ifndef TEST_NIFTI_RAW_H
#define TEST_NIFTI_RAW_H

#include <stddef.h>
#include <stdint.h>

enum raw_container {
    RAW_NII,
    RAW_GZ,       /* one gzip member */
    RAW_GZ_SPLIT, /* two members */
    RAW_PAIR,
    RAW_CONTAINERS
};

struct raw_type {
    const char *name;
    int code, bytes;
    char kind; /* 'u', 'i', 'f' */
};

#define RAW_TYPES 10
extern const struct raw_type raw_types[RAW_TYPES];

struct raw_image {
    int version; /* 1 or 2 */
    int big_endian;
    int type; /* index into raw_types */
    int code; /* datatype code if not 0, instead of the type's */
    int64_t dim[8];
    double pixdim[8];
    double slope, inter;
    int qform, sform;
    double quatern[3], shift[3];
    double srow[3][4];
    int units;
    double offset;     /* vox_offset if not 0 */
    const char *magic; /* if not NULL */
};

struct raw_bytes {
    uint8_t *data;
    size_t size;
};

/** An image of nx x ny x nz voxels, 1 mm, sform identity. */
struct raw_image raw_default(int64_t nx, int64_t ny, int64_t nz);

/** Header and voxels as a file's bytes; `values` are in file order (x fastest), as stored. */
struct raw_bytes raw_single(const struct raw_image *r, const double *values);
struct raw_bytes raw_header(const struct raw_image *r, int pair);
struct raw_bytes raw_voxels(const struct raw_image *r, const double *values);

/** A gzip file of the bytes in so many members. */
struct raw_bytes raw_gzip(const void *data, size_t size, int members);
struct raw_bytes raw_copy(const void *data, size_t size);
void raw_free(struct raw_bytes *b);

void raw_write(const char *path, const void *data, size_t size);
/** A fresh folder under TMPDIR; removed with raw_folder_remove. */
void raw_folder(char ret_path[256]);
void raw_folder_remove(const char *path);

#endif
