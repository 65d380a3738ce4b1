/**
 * draw.c - one slice of one field as a picture (see draw.h).
 */
#include "draw.h"

#include <math.h>

#include "../geometry/geometry.h"

const uint8_t draw_segment_colour[9][3] = {{0, 0, 0},      {230, 60, 60},  {245, 150, 40},
                                           {240, 225, 60}, {110, 200, 70}, {40, 190, 180},
                                           {60, 120, 230}, {140, 80, 210}, {230, 90, 190}};
const uint8_t draw_liver_colour[3] = {90, 160, 255};
const uint8_t draw_truth_colour[3] = {40, 230, 90};

const uint8_t draw_bright_colour[3] = {255, 60, 40};
const uint8_t draw_dark_colour[3] = {60, 110, 255};

void draw_spacing(const struct hf_grid *g, double ret[3]) {
    geometry_spacing(g, ret);
    for (int i = 0; i < 3; i++)
        if (!(ret[i] > 1e-6 && ret[i] < 1e6))
            ret[i] = 1;
}

/* The left column is the patient's right (largest w), the upper row is anterior (largest h). */
void draw_place(const struct panel *p, int32_t width, int32_t height, int32_t x, int32_t y,
                float *ret_w, float *ret_h) {
    const struct crop *c = &p->crop;
    *ret_w = (float)c->w1 - ((float)x + 0.5f) / (float)width * (float)(c->w1 - c->w0) - 0.5f;
    *ret_h = (float)c->h1 - ((float)y + 0.5f) / (float)height * (float)(c->h1 - c->h0) - 0.5f;
}

static int64_t inside(int64_t i, int64_t n) {
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* The four voxels around a place and how much of the second of each pair counts. */
struct corners {
    int64_t at[4];
    float fw, fh;
};

static struct corners corners_of(const struct panel *p, float w, float h) {
    int64_t w0 = (int64_t)floorf(w), h0 = (int64_t)floorf(h);
    struct corners c = {.fw = w - (float)w0, .fh = h - (float)h0};
    for (int k = 0; k < 4; k++)
        c.at[k] = inside(h0 + k / 2, p->h) * p->w + inside(w0 + k % 2, p->w);
    return c;
}

static float blend(const struct corners *c, const float v[4]) {
    float low = v[0] + c->fw * (v[1] - v[0]), high = v[2] + c->fw * (v[3] - v[2]);
    return low + c->fh * (high - low);
}

float draw_value(const struct panel *p, const float *plane, float w, float h) {
    struct corners c = corners_of(p, w, h);
    float v[4];
    for (int k = 0; k < 4; k++)
        v[k] = plane[c.at[k]];
    return blend(&c, v);
}

int draw_inside(const struct panel *p, const uint8_t *plane, float w, float h) {
    struct corners c = corners_of(p, w, h);
    float v[4];
    for (int k = 0; k < 4; k++)
        v[k] = plane[c.at[k]] ? 1 : 0;
    return blend(&c, v) >= 0.5f;
}

uint8_t draw_label(const struct panel *p, float w, float h) {
    int64_t x = inside((int64_t)floorf(w + 0.5f), p->w);
    int64_t y = inside((int64_t)floorf(h + 0.5f), p->h);
    return p->label[y * p->w + x];
}

static uint8_t to_byte(float v) {
    return (uint8_t)(fminf(fmaxf(v, 0), 1) * 255 + 0.5f);
}

void draw_heat(float v, uint8_t ret[3]) {
    ret[0] = 255;
    ret[1] = to_byte(0.85f - 0.6f * v);
    ret[2] = 20;
}

static void lay_over(uint8_t rgb[3], const uint8_t colour[3], float share) {
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)((float)rgb[k] + share * ((float)colour[k] - (float)rgb[k]) + 0.5f);
}

static void grey(const struct panel *p, const float *plane, float w, float h, uint8_t rgb[3]) {
    float v = (draw_value(p, plane, w, h) - p->black) / (p->white - p->black);
    rgb[0] = rgb[1] = rgb[2] = to_byte(v);
}

static void draw_pixel(const struct panel *p, float w, float h, uint8_t rgb[3]) {
    if (p->kind == PANEL_GREY) {
        grey(p, p->value, w, h, rgb);
    } else if (p->kind == PANEL_DIFFERENCE) {
        float v = draw_value(p, p->value, w, h) / p->extreme;
        rgb[0] = rgb[1] = rgb[2] = 24;
        lay_over(rgb, v > 0 ? draw_bright_colour : draw_dark_colour, fminf(fabsf(v), 1));
    } else {
        grey(p, p->image, w, h, rgb);
    }
    if (p->kind == PANEL_HEAT) {
        float v = fminf(fmaxf(draw_value(p, p->value, w, h), 0), 1);
        uint8_t heat[3];
        draw_heat(v, heat);
        lay_over(rgb, heat, 0.75f * v);
    } else if (p->kind == PANEL_LABELS) {
        uint8_t k = draw_label(p, w, h);
        if (k >= 1 && k <= 8)
            lay_over(rgb, draw_segment_colour[k], 0.5f);
    }
}

/* Fills a mask by `fill` and draws its outline, one pixel wide. */
static void draw_mask(const struct panel *p, const struct canvas *c, int32_t x0, int32_t width,
                      const uint8_t *mask, const uint8_t colour[3], float fill) {
    for (int32_t y = 0; y < c->height; y++) {
        for (int32_t x = 0; x < width; x++) {
            static const int32_t step[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
            float w, h;
            int edge = 0;
            draw_place(p, width, c->height, x, y, &w, &h);
            if (!draw_inside(p, mask, w, h))
                continue;
            for (int k = 0; k < 4 && !edge; k++) {
                draw_place(p, width, c->height, x + step[k][0], y + step[k][1], &w, &h);
                edge = !draw_inside(p, mask, w, h);
            }
            lay_over(c->rgb + 3 * ((int64_t)y * c->width + x0 + x), colour, edge ? 1 : fill);
        }
    }
}

void draw_panel(const struct panel *p, const struct canvas *c, int32_t x0, int32_t width) {
    for (int32_t y = 0; y < c->height; y++) {
        for (int32_t x = 0; x < width; x++) {
            float w, h;
            draw_place(p, width, c->height, x, y, &w, &h);
            draw_pixel(p, w, h, c->rgb + 3 * ((int64_t)y * c->width + x0 + x));
        }
    }
    if (p->liver)
        draw_mask(p, c, x0, width, p->liver, draw_liver_colour, 0);
    if (p->kind == PANEL_MASK)
        draw_mask(p, c, x0, width, p->label, p->colour, 0.35f);
    if (p->truth)
        draw_mask(p, c, x0, width, p->truth, draw_truth_colour, 0);
}
