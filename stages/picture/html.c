/**
 * html.c - pieces of HTML that pictures need.
 */
#include "html.h"

void html_base64(struct text *t, const void *bytes, size_t size) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *b = bytes;
    char *at = text_room(t, (size + 2) / 3 * 4);
    if (!at)
        return;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)b[i] << 16;
        if (i + 1 < size)
            three |= (uint32_t)b[i + 1] << 8;
        if (i + 2 < size)
            three |= b[i + 2];
        *at++ = digit[three >> 18];
        *at++ = digit[three >> 12 & 63];
        *at++ = i + 1 < size ? digit[three >> 6 & 63] : '=';
        *at++ = i + 2 < size ? digit[three & 63] : '=';
    }
}

void html_swatch(struct text *t, const uint8_t colour[3], const char *name) {
    text_add(t,
             "<span style=\"display:inline-block;width:.8em;height:.8em;background:"
             "rgb(%d,%d,%d)\"></span> %s ",
             colour[0], colour[1], colour[2], name);
}
