/**
 * html.c - a growing text in HTML.
 */
#include "html.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for so many more characters and the end; NULL if there is none. */
static char *html_room(struct html *h, size_t more) {
    if (h->failed)
        return NULL;
    if (h->size + more + 1 > h->room) {
        size_t room = 2 * h->room + more + 1024;
        char *text = realloc(h->text, room);
        if (!text) {
            h->failed = 1;
            return NULL;
        }
        h->text = text;
        h->room = room;
    }
    char *at = h->text + h->size;
    h->size += more;
    h->text[h->size] = '\0';
    return at;
}

static void html_bytes(struct html *h, const char *text, size_t n) {
    char *at = html_room(h, n);
    if (at)
        memcpy(at, text, n);
}

void html_text(struct html *h, const char *text) {
    html_bytes(h, text, strlen(text));
}

void html_format(struct html *h, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    html_text(h, line);
}

void html_escaped(struct html *h, const char *text) {
    for (; *text; text++) {
        if (*text == '&')
            html_text(h, "&amp;");
        else if (*text == '<')
            html_text(h, "&lt;");
        else if (*text == '>')
            html_text(h, "&gt;");
        else if (*text == '"')
            html_text(h, "&quot;");
        else
            html_bytes(h, text, 1);
    }
}

void html_base64(struct html *h, const void *bytes, size_t size) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *b = bytes;
    char *at = html_room(h, (size + 2) / 3 * 4);
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

void html_swatch(struct html *h, const uint8_t colour[3], const char *name) {
    html_format(h,
                "<span style=\"display:inline-block;width:.8em;height:.8em;background:"
                "rgb(%d,%d,%d)\"></span> %s ",
                colour[0], colour[1], colour[2], name);
}
