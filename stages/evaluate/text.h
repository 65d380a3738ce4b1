/**
 * text.h - text that grows: a piece that does not fit in memory is remembered as a failure.
 */
#ifndef HF_EVALUATE_TEXT_H
#define HF_EVALUATE_TEXT_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <hepaflow/base.h>

struct text {
    char *bytes;
    size_t size, capacity;
    int failed;
};

HF_PRINTF(2, 3)
static inline void text_add(struct text *t, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && !t->failed && t->size + (size_t)n + 1 > t->capacity) {
        size_t capacity = 2 * (t->size + (size_t)n + 1);
        char *bytes = realloc(t->bytes, capacity);
        if (bytes) {
            t->bytes = bytes;
            t->capacity = capacity;
        } else {
            t->failed = 1;
        }
    }
    if (n >= 0 && !t->failed) {
        (void)vsnprintf(t->bytes + t->size, (size_t)n + 1, fmt, again);
        t->size += (size_t)n;
    }
    va_end(again);
}

/** A number, or `none` where it is not defined. */
static inline void text_number(struct text *t, double v, const char *none) {
    if (isfinite(v))
        text_add(t, "%.6g", v);
    else
        text_add(t, "%s", none);
}

/** Text inside the quotes of JSON. */
static inline void text_json(struct text *t, const char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_add(t, "\\%c", c);
        else if (c < 0x20)
            text_add(t, "\\u%04x", c);
        else
            text_add(t, "%c", c);
    }
}

static inline void text_html(struct text *t, const char *s) {
    for (; *s; s++) {
        if (*s == '<')
            text_add(t, "&lt;");
        else if (*s == '>')
            text_add(t, "&gt;");
        else if (*s == '&')
            text_add(t, "&amp;");
        else if (*s == '"')
            text_add(t, "&quot;");
        else
            text_add(t, "%c", *s);
    }
}

/** A CSV entry: quoted where it must be. */
static inline void text_csv(struct text *t, const char *s) {
    int quote = 0;
    for (const char *c = s; *c; c++)
        quote |= *c == ',' || *c == '"' || *c == '\n' || *c == '\r';
    if (!quote) {
        text_add(t, "%s", s);
        return;
    }
    text_add(t, "\"");
    for (const char *c = s; *c; c++)
        text_add(t, *c == '"' ? "\"\"" : "%c", *c);
    text_add(t, "\"");
}

#endif
