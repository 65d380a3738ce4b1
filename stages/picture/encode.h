/**
 * encode.h - pictures as PNG files in memory.
 */
#ifndef HF_STAGES_PICTURE_ENCODE_H
#define HF_STAGES_PICTURE_ENCODE_H

#include <hepaflow/base.h>

/** Pixels of a picture: RGB, one byte of grey, or with `colours` one byte that counts colours. */
struct pixels {
    const uint8_t *at;
    int32_t width, height;
    int32_t stride; /* bytes from row to row */
    enum {
        PIXELS_RGB,
        PIXELS_GREY,
        PIXELS_INDEX
    } kind;
    const uint8_t (*colour)[4]; /* INDEX: red, green, blue and how opaque */
    int32_t colours;
};

/** *ret_png is freed by the caller. */
enum hf_status encode_png(const struct pixels *p, void **ret_png, size_t *ret_size,
                          struct hf_error *e);

#endif
