/**
 * slices.c - reads a table of slices, and lays its rows along the canonical slices of an image.
 */
#include "slices.h"

#include <stdlib.h>
#include <string.h>

#include "csv.h"

enum {
    COLUMN_SLICE,
    COLUMN_SEGMENTS,
    COLUMNS
};

/** A count from 0, of few enough digits that it cannot overflow. */
static enum hf_status read_slice(const struct hf_csv *csv, const struct hf_csv_entry *entry,
                                 int64_t *ret) {
    size_t digits = strspn(entry->text, "0123456789");
    if (digits == 0 || digits > 9 || entry->text[digits])
        return hf_csv_fail(csv, entry->column,
                           "slice '%.40s'; expected a whole number, 0 for the first slice",
                           entry->text);
    *ret = strtol(entry->text, NULL, 10);
    return HF_OK;
}

static enum hf_status read_row(const struct hf_csv *csv, const int32_t *place,
                               struct hf_slice *ret) {
    const struct hf_csv_entry *slice = &csv->entry[place[COLUMN_SLICE]];
    const struct hf_csv_entry *segments = &csv->entry[place[COLUMN_SEGMENTS]];
    *ret = (struct hf_slice){.line = csv->line, .column = slice->column};
    enum hf_status st = read_slice(csv, slice, &ret->slice);
    if (st == HF_OK && !segments->text[0])
        st = hf_csv_fail(csv, segments->column,
                         "slice %lld has no segments; expected them as in 2;4;5, or none; leave "
                         "the line out if nobody has looked at the slice",
                         (long long)ret->slice);
    return st == HF_OK ? hf_csv_segments(csv, segments, ret->segment) : st;
}

static enum hf_status read_rows(struct hf_csv *csv, const int32_t *place, struct hf_slices *s) {
    int32_t room = 0;
    for (;;) {
        int more = 0;
        enum hf_status st = hf_csv_next(csv, &more);
        if (st != HF_OK || !more)
            return st;
        if (s->count == room) {
            room = room ? 2 * room : 64;
            struct hf_slice *item = realloc(s->item, (size_t)room * sizeof *item);
            if (!item)
                return hf_fail(csv->error, HF_NO_MEMORY, "%s: no memory for its slices", csv->path);
            s->item = item;
        }
        st = read_row(csv, place, &s->item[s->count]);
        if (st != HF_OK)
            return st;
        s->count++;
    }
}

static int by_slice(const void *a, const void *b) {
    const struct hf_slice *x = a, *y = b;
    if (x->slice != y->slice)
        return x->slice < y->slice ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static enum hf_status settle(struct hf_csv *csv, struct hf_slices *s) {
    if (s->count == 0)
        return hf_fail(csv->error, HF_INVALID, "%s: a header line but no slice", csv->path);
    qsort(s->item, (size_t)s->count, sizeof *s->item, by_slice);
    for (int32_t i = 1; i < s->count; i++)
        if (s->item[i].slice == s->item[i - 1].slice) {
            csv->line = s->item[i].line;
            return hf_csv_fail(csv, s->item[i].column, "slice %lld stands in line %d already",
                               (long long)s->item[i].slice, (int)s->item[i - 1].line);
        }
    return HF_OK;
}

enum hf_status hf_slices_parse(const char *text, size_t size, const char *path,
                               struct hf_slices *ret, struct hf_error *e) {
    static const char *const names[COLUMNS] = {"slice", "segments"};
    static const char required[COLUMNS] = {1, 1};
    struct hf_slices s = {0, NULL};
    struct hf_csv csv;
    int32_t place[COLUMNS];
    enum hf_status st = hf_csv_open(text, size, path, "slices and their segments", &csv, e);
    if (st == HF_OK)
        st = hf_csv_header(&csv, names, required, COLUMNS, "slice,segments", place);
    if (st == HF_OK)
        st = read_rows(&csv, place, &s);
    if (st == HF_OK)
        st = settle(&csv, &s);
    hf_csv_close(&csv);
    if (st == HF_OK)
        *ret = s;
    else
        hf_slices_free(&s);
    return st;
}

void hf_slices_free(struct hf_slices *s) {
    free(s->item);
    s->item = NULL;
    s->count = 0;
}

enum hf_status hf_slices_turn(const struct hf_slices *s, const char *path,
                              const struct hf_grid *file, const struct hf_turn *turn, uint8_t *ret,
                              struct hf_error *e) {
    static const char *const along[3] = {"left and right", "front and back", "head and foot"};
    int64_t slices = hf_grid_extent(file, 2);
    for (int a = 0; a < 2; a++)
        if (turn->axis[a] == 2)
            return hf_fail(e, HF_INVALID,
                           "%s: it counts slices along the image's third stored axis, but that "
                           "runs between %s, not %s; store the image with axial slices",
                           path, along[a], along[2]);
    memset(ret, 0, (size_t)slices * 9);
    for (int32_t i = 0; i < s->count; i++) {
        const struct hf_slice *row = &s->item[i];
        if (row->slice >= slices)
            return hf_fail(e, HF_INVALID, "%s:%d:%d: slice %lld; the image has slices 0 to %lld",
                           path, (int)row->line, (int)row->column, (long long)row->slice,
                           (long long)slices - 1);
        int64_t d = turn->flip[2] ? slices - 1 - row->slice : row->slice;
        memcpy(ret + d * 9, row->segment, 9);
    }
    return HF_OK;
}
