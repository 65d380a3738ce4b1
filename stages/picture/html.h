/**
 * html.h - a growing text in HTML. A failed allocation is remembered, not reported at each call.
 */
#ifndef HF_STAGES_PICTURE_HTML_H
#define HF_STAGES_PICTURE_HTML_H

#include <stddef.h>
#include <stdint.h>

/** Zeroed at first; `text` is NUL-terminated and freed by the owner. */
struct html {
    char *text;
    size_t size, room;
    int failed;
};

/** Adds markup as it is. */
void html_text(struct html *h, const char *text);

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void html_format(struct html *h, const char *format, ...);

/** Adds text that may hold characters with a meaning in HTML. */
void html_escaped(struct html *h, const char *text);

void html_base64(struct html *h, const void *bytes, size_t size);

/** Adds a coloured square and its name. */
void html_swatch(struct html *h, const uint8_t colour[3], const char *name);

#endif
