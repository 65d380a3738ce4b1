/**
 * csv.c - reads lines of entries; what cannot be one is an error with its line and column.
 */
#include "csv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hf_status hf_csv_open(const char *text, size_t size, const char *path, const char *what,
                           struct hf_csv *ret, struct hf_error *e) {
    memset(ret, 0, sizeof *ret);
    ret->path = path;
    ret->at = text;
    ret->end = text + size;
    ret->error = e;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        ret->at += 3;
    if (ret->at == ret->end)
        return hf_fail(e, HF_INVALID, "%s: the file is empty; expected %s", path, what);
    if (memchr(text, 0, size))
        return hf_fail(e, HF_INVALID, "%s: not a text file; expected %s", path, what);
    ret->buffer = malloc(2 * size + 2); /* each entry takes at most its text, a comma, and a NUL */
    return ret->buffer ? HF_OK
                       : hf_fail(e, HF_NO_MEMORY, "%s: no memory for its %zu bytes", path, size);
}

void hf_csv_close(struct hf_csv *csv) {
    free(csv->buffer);
    csv->buffer = NULL;
}

enum hf_status hf_csv_fail(const struct hf_csv *csv, int32_t column, const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return hf_fail(csv->error, HF_INVALID, "%s:%d:%d: %s", csv->path, (int)csv->line, (int)column,
                   text);
}

static int is_space(char c) {
    return c == ' ' || c == '\t';
}

static int at_end(const struct hf_csv *csv) {
    return csv->at == csv->end || *csv->at == '\n' || *csv->at == '\r';
}

/** Reads a quoted entry from behind its quote; two quotes are one. */
static enum hf_status read_quoted(struct hf_csv *csv, int32_t column, char **to) {
    for (;;) {
        if (at_end(csv))
            return hf_csv_fail(csv, column, "a quote that the line does not close");
        char c = *csv->at++;
        if (c == '"') {
            if (csv->at == csv->end || *csv->at != '"')
                break;
            csv->at++;
        }
        *(*to)++ = c;
    }
    while (!at_end(csv) && is_space(*csv->at))
        csv->at++;
    if (!at_end(csv) && *csv->at != ',')
        return hf_csv_fail(csv, (int32_t)(csv->at - csv->line_start) + 1,
                           "text after a closing quote; expected a comma");
    return HF_OK;
}

/** Reads a line's entries; leaves `at` at the next line. A blank line has no entries. */
static enum hf_status read_record(struct hf_csv *csv) {
    char *to = csv->buffer;
    csv->line_start = csv->at;
    csv->line++;
    csv->entries = 0;
    int more = 1;
    while (more) {
        while (!at_end(csv) && is_space(*csv->at))
            csv->at++;
        if (csv->entries == 0 && at_end(csv))
            break;
        int32_t column = (int32_t)(csv->at - csv->line_start) + 1;
        if (csv->entries == HF_CSV_COLUMNS)
            return hf_csv_fail(csv, column, "more than %d columns", HF_CSV_COLUMNS);
        csv->entry[csv->entries].text = to;
        csv->entry[csv->entries++].column = column;
        char *begin = to;
        if (!at_end(csv) && *csv->at == '"') {
            csv->at++;
            enum hf_status st = read_quoted(csv, column, &to);
            if (st != HF_OK)
                return st;
        } else {
            while (!at_end(csv) && *csv->at != ',')
                *to++ = *csv->at++;
            while (to > begin && is_space(to[-1]))
                to--;
        }
        *to++ = '\0';
        more = !at_end(csv);
        if (more)
            csv->at++; /* the comma */
    }
    if (csv->at < csv->end && *csv->at == '\r')
        csv->at++;
    if (csv->at < csv->end && *csv->at == '\n')
        csv->at++;
    return HF_OK;
}

enum hf_status hf_csv_header(struct hf_csv *csv, const char *const *names, const char *required,
                             int32_t count, const char *example, int32_t *ret_place) {
    do {
        enum hf_status st = read_record(csv);
        if (st != HF_OK)
            return st;
    } while (csv->entries == 0 && csv->at < csv->end);
    csv->width = csv->entries;
    for (int32_t c = 0; c < count; c++) {
        ret_place[c] = -1;
        for (int32_t i = 0; i < csv->entries; i++) {
            if (strcmp(csv->entry[i].text, names[c]) != 0)
                continue;
            if (ret_place[c] >= 0)
                return hf_csv_fail(csv, csv->entry[i].column, "a second column '%s'", names[c]);
            ret_place[c] = i;
        }
    }
    for (int32_t c = 0; c < count; c++)
        if (required[c] && ret_place[c] < 0)
            return hf_csv_fail(csv, 1, "no column '%s'; expected a header line like %s", names[c],
                               example);
    return HF_OK;
}

enum hf_status hf_csv_next(struct hf_csv *csv, int *ret_more) {
    *ret_more = 0;
    while (csv->at < csv->end) {
        enum hf_status st = read_record(csv);
        if (st != HF_OK)
            return st;
        if (csv->entries == 0)
            continue;
        if (csv->entries != csv->width)
            return hf_csv_fail(csv, 1, "%d entries; the header has %d columns", (int)csv->entries,
                               (int)csv->width);
        *ret_more = 1;
        break;
    }
    return HF_OK;
}

enum hf_status hf_csv_segments(const struct hf_csv *csv, const struct hf_csv_entry *entry,
                               uint8_t ret[9]) {
    const char *at = entry->text;
    ret[0] = 1;
    if (strcmp(at, "none") == 0)
        return HF_OK;
    for (;;) {
        while (is_space(*at))
            at++;
        size_t length = strcspn(at, ";");
        const char *next = at + length;
        while (length > 0 && is_space(at[length - 1]))
            length--;
        if (length != 1 || *at < '1' || *at > '8')
            return hf_csv_fail(csv, entry->column + (int32_t)(at - entry->text),
                               "segment '%.*s'; expected 1 to 8, as in 2;4;5, or none",
                               (int)(length > 40 ? 40 : length), at);
        ret[*at - '0'] = 1;
        if (!*next)
            return HF_OK;
        at = next + 1;
    }
}
