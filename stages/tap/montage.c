/**
 * montage.c - a volume as one picture (see montage.h).
 */
#include "montage.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../picture/draw.h"
#include "../picture/encode.h"

#define MAX_SLICES 20
#define COLUMNS    5
#define GAP        4   /* pixels between slices */
#define TILE       200 /* pixels that a slice is wide, of several */
#define ALONE      480 /* of one */
#define BINS       4096

/* What is black and white of a CT in HU, which shows livers. */
#define HU_BLACK (-150.0f)
#define HU_WHITE 250.0f

/* The value below which a share of the finite values lies, to 1/BINS of their range. */
static double quantile(const struct volume *v, double share) {
    const float *data = v->data;
    int64_t count = v->d * v->h * v->w, bin[BINS] = {0}, finite = 0, below = 0;
    double width = v->max - v->min;
    for (int64_t i = 0; i < count && width > 0; i++)
        if (isfinite(data[i])) {
            bin[(int)fmin(((double)data[i] - v->min) / width * BINS, BINS - 1)]++;
            finite++;
        }
    for (int k = 0; k < BINS; k++) {
        below += bin[k];
        if ((double)below >= share * (double)finite)
            return v->min + width * (k + 1) / BINS;
    }
    return v->max;
}

static void set_window(const struct volume *v, float *ret_black, float *ret_white) {
    double low = quantile(v, 0.005), high = quantile(v, 0.995);
    if (v->min >= 0 && v->max <= 1) {
        low = 0;
        high = 1;
    } else if (v->min < -300 && v->max > 100) {
        low = (double)HU_BLACK;
        high = (double)HU_WHITE;
    }
    *ret_black = (float)low;
    *ret_white = high > low ? (float)high : (float)low + 1;
}

/* What all slices have in common. `dark` is a plane of zeros. */
static struct panel panel_of(const struct volume *v, const struct volume *under,
                             const float *dark) {
    struct panel p = {.h = v->h, .w = v->w, .crop = {0, 0, v->w, v->h}, .black = 0, .white = 1};
    static const uint8_t colour[3] = {255, 150, 0};
    if (v->dtype == HF_U8) {
        p.kind = v->max > 1 ? PANEL_LABELS : PANEL_MASK;
        for (int k = 0; k < 3; k++)
            p.colour[k] = colour[k];
        p.image = dark;
        if (under)
            set_window(under, &p.black, &p.white);
        return p;
    }
    double low = quantile(v, 0.002), high = quantile(v, 0.998);
    double extreme = fmax(fabs(low), fabs(high));
    bool both_signs = v->min >= -300 && low < -0.1 * extreme && high > 0.1 * extreme;
    p.kind = both_signs ? PANEL_DIFFERENCE : PANEL_GREY;
    p.extreme = (float)extreme;
    if (!both_signs)
        set_window(v, &p.black, &p.white);
    return p;
}

static void set_slice(struct panel *p, const struct volume *v, const struct volume *under,
                      int64_t d) {
    int64_t at = d * v->h * v->w;
    if (v->dtype == HF_U8) {
        p->label = (const uint8_t *)v->data + at;
        if (under)
            p->image = (const float *)under->data + at;
    } else {
        p->value = (const float *)v->data + at;
    }
}

enum hf_status montage_draw(const struct volume *v, const struct volume *under, void **ret_png,
                            size_t *ret_size, struct hf_error *e) {
    int slices = (int)(v->d < MAX_SLICES ? v->d : MAX_SLICES);
    int columns = slices < COLUMNS ? slices : COLUMNS, rows = (slices + columns - 1) / columns;
    int width = slices == 1 ? ALONE : TILE;
    double ratio = (double)v->h * v->spacing[1] / ((double)v->w * v->spacing[2]);
    int height = (int)fmin(fmax(round(width * ratio), 1), 8.0 * width);
    struct canvas c = {NULL, columns * (width + GAP) - GAP, rows * (height + GAP) - GAP};
    size_t bytes = (size_t)c.width * (size_t)c.height * 3;
    float *dark = calloc((size_t)(v->h * v->w), sizeof *dark);
    c.rgb = malloc(bytes);
    if (!c.rgb || !dark) {
        free(c.rgb);
        free(dark);
        return hf_fail(e, HF_NO_MEMORY, "no memory for a picture of %d x %d pixels", c.width,
                       c.height);
    }
    memset(c.rgb, 64, bytes);
    struct panel p = panel_of(v, under, dark);
    for (int i = 0; i < slices; i++) {
        size_t above = (size_t)(i / columns * (height + GAP)) * (size_t)c.width * 3;
        struct canvas row = {c.rgb + above, c.width, height};
        set_slice(&p, v, under, slices == v->d ? i : (2 * i + 1) * v->d / (2 * slices));
        draw_panel(&p, &row, i % columns * (width + GAP), width);
    }
    const struct pixels pixels = {c.rgb, c.width, c.height, 3 * c.width, PIXELS_RGB, NULL, 0};
    enum hf_status st = encode_png(&pixels, ret_png, ret_size, e);
    free(c.rgb);
    free(dark);
    return st;
}
