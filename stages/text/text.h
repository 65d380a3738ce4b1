/**
 * text.h - text that grows, in JSON and CSV: a piece that does not fit in memory is
 * remembered as a failure, not reported at each call.
 */
#ifndef HF_STAGES_TEXT_H
#define HF_STAGES_TEXT_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <hepaflow/base.h>

/** Zeroed at first; `bytes` is NUL-terminated once something was added, and freed by the owner. */
struct text {
    char *bytes;
    size_t size, capacity;
    int failed;
};

/** Room for `more` bytes that the caller fills; NULL if there is none. */
static inline char *text_room(struct text *t, size_t more) {
    if (!t->failed && t->size + more + 1 > t->capacity) {
        size_t capacity = 2 * (t->size + more + 1);
        char *bytes = realloc(t->bytes, capacity);
        t->failed = !bytes;
        t->bytes = bytes ? bytes : t->bytes;
        t->capacity = bytes ? capacity : t->capacity;
    }
    if (t->failed)
        return NULL;
    char *at = t->bytes + t->size;
    t->size += more;
    t->bytes[t->size] = '\0';
    return at;
}

HF_PRINTF(2, 3)
static inline void text_add(struct text *t, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *at = n >= 0 ? text_room(t, (size_t)n) : NULL;
    if (at)
        (void)vsnprintf(at, (size_t)n + 1, fmt, again);
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
