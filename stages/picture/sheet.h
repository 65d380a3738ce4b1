/**
 * sheet.h - slices of one field of a volume side by side in one picture, a sheet: what the report's
 * viewer lays over each other. Masks, labels and values are indices of a few colours, as opaque as
 * the value is large, so that sheets are small and a browser needs no more than to draw them.
 */
#ifndef HF_STAGES_PICTURE_SHEET_H
#define HF_STAGES_PICTURE_SHEET_H

#include <hepaflow/base.h>

#include "draw.h"

struct sheet {
    enum panel_kind kind;
    int32_t width, height; /* of a slice */
    int32_t columns, count;
    uint8_t colour[3]; /* MASK */
    uint8_t *pixel;
};

/** An empty sheet for `count` slices of one kind; freed with sheet_clear. */
enum hf_status sheet_init(struct sheet *s, enum panel_kind kind, int32_t width, int32_t height,
                          int32_t count, struct hf_error *e);
void sheet_clear(struct sheet *s);
/** How many slices lie side by side: about as many as below each other. */
int32_t sheet_columns(int32_t count);
/** Draws the panel, of the sheet's kind, as its slice `at`. */
void sheet_draw(struct sheet *s, int32_t at, const struct panel *p);
/** The sheet as a PNG file; *ret_png is freed by the caller. */
enum hf_status sheet_encode(const struct sheet *s, void **ret_png, size_t *ret_size,
                            struct hf_error *e);
/** "grey", "mask", ... */
const char *sheet_look(enum panel_kind kind);

#endif
