/**
 * encode.c - see encode.h.
 */
#include "encode.h"

#include <stdbool.h>
#include <stdlib.h>

#include <png.h>

enum hf_status encode_png(const struct pixels *p, void **ret_png, size_t *ret_size,
                          struct hf_error *e) {
    static const png_uint_32 format[] = {PNG_FORMAT_RGB, PNG_FORMAT_GRAY, PNG_FORMAT_RGBA_COLORMAP};
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)p->width,
                       .height = (png_uint_32)p->height,
                       .format = format[p->kind],
                       .colormap_entries = (png_uint_32)p->colours};
    png_alloc_size_t size = 0;
    void *png = NULL;
    bool done = png_image_write_to_memory(&image, NULL, &size, 0, p->at, p->stride, p->colour);
    if (done) {
        png = malloc(size);
        if (!png)
            return hf_fail(e, HF_NO_MEMORY, "no memory for a picture of %d x %d pixels", p->width,
                           p->height);
        done = png_image_write_to_memory(&image, png, &size, 0, p->at, p->stride, p->colour);
    }
    if (!done) {
        free(png);
        return hf_fail(e, HF_INVALID, "a picture of %d x %d pixels cannot be written as PNG: %s",
                       p->width, p->height, image.message);
    }
    *ret_png = png;
    *ret_size = size;
    return HF_OK;
}
