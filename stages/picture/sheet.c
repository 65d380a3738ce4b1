/**
 * sheet.c - see sheet.h.
 */
#include "sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"

enum {
    GREYS = 64,
    HEATS = 16,
    SIDE = 7 /* steps of a difference to either side of none */
};

const char *sheet_look(enum panel_kind kind) {
    static const char *const name[] = {"grey", "difference", "heat", "labels", "mask"};
    return name[kind];
}

int32_t sheet_columns(int32_t count) {
    return (int32_t)ceil(sqrt((double)count));
}

static int32_t rows(const struct sheet *s) {
    return (s->count + s->columns - 1) / s->columns;
}

enum hf_status sheet_init(struct sheet *s, enum panel_kind kind, int32_t width, int32_t height,
                          int32_t count, struct hf_error *e) {
    *s = (struct sheet){.kind = kind,
                        .width = width,
                        .height = height,
                        .columns = sheet_columns(count),
                        .count = count};
    s->pixel = calloc((size_t)rows(s) * (size_t)height, (size_t)s->columns * (size_t)width);
    return s->pixel ? HF_OK
                    : hf_fail(e, HF_NO_MEMORY, "out of memory for %d pictures of %d x %d pixels",
                              count, width, height);
}

void sheet_clear(struct sheet *s) {
    free(s->pixel);
    s->pixel = NULL;
}

static float unit(float v) {
    return fminf(fmaxf(v, 0), 1);
}

static uint8_t value_of(const struct panel *p, float w, float h) {
    switch (p->kind) {
    case PANEL_GREY: {
        float v = (draw_value(p, p->value, w, h) - p->black) / (p->white - p->black);
        return (uint8_t)(roundf(unit(v) * (GREYS - 1)) * 255 / (GREYS - 1));
    }
    case PANEL_DIFFERENCE: {
        float v = draw_value(p, p->value, w, h) / p->extreme;
        return (uint8_t)(SIDE + roundf(fmaxf(fminf(v, 1), -1) * SIDE));
    }
    case PANEL_HEAT:
        return (uint8_t)roundf(unit(draw_value(p, p->value, w, h)) * (HEATS - 1));
    case PANEL_LABELS: {
        uint8_t k = draw_label(p, w, h);
        return k <= 8 ? k : 0;
    }
    case PANEL_MASK:
        return (uint8_t)draw_inside(p, p->label, w, h);
    }
    return 0;
}

void sheet_draw(struct sheet *s, int32_t at, const struct panel *p) {
    int64_t stride = (int64_t)s->columns * s->width;
    uint8_t *to = s->pixel + (int64_t)(at / s->columns) * s->height * stride +
                  (int64_t)(at % s->columns) * s->width;
    if (p->kind == PANEL_MASK)
        memcpy(s->colour, p->colour, sizeof s->colour);
    for (int32_t y = 0; y < s->height; y++)
        for (int32_t x = 0; x < s->width; x++) {
            float w, h;
            draw_place(p, s->width, s->height, x, y, &w, &h);
            to[y * stride + x] = value_of(p, w, h);
        }
}

/* The colours that the indices stand for; returns how many, 0: the sheet is grey. */
static int32_t palette(const struct sheet *s, uint8_t ret[16][4]) {
    memset(ret, 0, sizeof(uint8_t[16][4]));
    switch (s->kind) {
    case PANEL_GREY:
        break;
    case PANEL_DIFFERENCE:
        for (int k = -SIDE; k <= SIDE; k++) {
            memcpy(ret[SIDE + k], k > 0 ? draw_bright_colour : draw_dark_colour, 3);
            ret[SIDE + k][3] = (uint8_t)(abs(k) * 255 / SIDE);
        }
        return 2 * SIDE + 1;
    case PANEL_HEAT:
        for (int k = 0; k < HEATS; k++) {
            draw_heat((float)k / (HEATS - 1), ret[k]);
            ret[k][3] = (uint8_t)(k * 255 / (HEATS - 1));
        }
        return HEATS;
    case PANEL_LABELS:
        for (int k = 1; k <= 8; k++) {
            memcpy(ret[k], draw_segment_colour[k], 3);
            ret[k][3] = 255;
        }
        return 9;
    case PANEL_MASK:
        memcpy(ret[1], s->colour, 3);
        ret[1][3] = 255;
        return 2;
    }
    return 0;
}

enum hf_status sheet_encode(const struct sheet *s, void **ret_png, size_t *ret_size,
                            struct hf_error *e) {
    uint8_t colour[16][4];
    int32_t colours = palette(s, colour), stride = s->columns * s->width;
    const struct pixels p = {.at = s->pixel,
                             .width = stride,
                             .height = rows(s) * s->height,
                             .stride = stride,
                             .kind = colours ? PIXELS_INDEX : PIXELS_GREY,
                             .colour = (const uint8_t(*)[4])colour,
                             .colours = colours};
    return encode_png(&p, ret_png, ret_size, e);
}
