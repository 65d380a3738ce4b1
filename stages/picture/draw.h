/**
 * draw.h - one slice of one field as a picture in true colour, as radiologists look at it: from
 * below, so that the patient's right is on the left, and anterior is up.
 */
#ifndef HF_STAGES_PICTURE_DRAW_H
#define HF_STAGES_PICTURE_DRAW_H

#include <hepaflow/sample.h>

/** Part of a slice: columns w0..w1-1, rows h0..h1-1 of the voxels. */
struct crop {
    int64_t w0, h0, w1, h1;
};

/** A picture that panels are drawn into: rows of `width` pixels of three bytes. */
struct canvas {
    uint8_t *rgb;
    int32_t width, height;
};

/** How a field is shown. */
enum panel_kind {
    PANEL_GREY,       /* intensities */
    PANEL_DIFFERENCE, /* signed: blue is darker, red is brighter */
    PANEL_HEAT,       /* a probability over the image */
    PANEL_LABELS,     /* Couinaud segments over the image */
    PANEL_MASK        /* a mask over the image */
};

/** What a panel is drawn from: planes of h * w voxels; NULL where there is none. */
struct panel {
    enum panel_kind kind;
    int64_t h, w;
    struct crop crop;
    const float *image;   /* beneath HEAT, LABELS and MASK */
    const float *value;   /* GREY, DIFFERENCE, HEAT */
    const uint8_t *label; /* LABELS, MASK */
    const uint8_t *liver; /* outlined in blue */
    const uint8_t *truth; /* outlined in green */
    uint8_t colour[3];    /* MASK */
    float black, white;   /* values of intensities */
    float extreme;        /* DIFFERENCE: the value of full colour */
};

extern const uint8_t draw_segment_colour[9][3];
extern const uint8_t draw_liver_colour[3];
extern const uint8_t draw_truth_colour[3];
extern const uint8_t draw_bright_colour[3], draw_dark_colour[3]; /* of differences */
/** The colour of a probability. */
void draw_heat(float v, uint8_t ret[3]);

/** mm between voxels along D, H, W; 1 where a grid, which any stage may have made, has no length
 *  that a picture could be drawn to. */
void draw_spacing(const struct hf_grid *g, double ret[3]);
/** Where a pixel of a panel lies, in voxels, whose centres are whole numbers. */
void draw_place(const struct panel *p, int32_t width, int32_t height, int32_t x, int32_t y,
                float *ret_w, float *ret_h);
/** What is there, between voxels: a value, whether a mask is, a label. */
float draw_value(const struct panel *p, const float *plane, float w, float h);
int draw_inside(const struct panel *p, const uint8_t *plane, float w, float h);
uint8_t draw_label(const struct panel *p, float w, float h);

/** Draws the panel into columns x0.. of the canvas, `width` wide and as high as the canvas. */
void draw_panel(const struct panel *p, const struct canvas *c, int32_t x0, int32_t width);

#endif
