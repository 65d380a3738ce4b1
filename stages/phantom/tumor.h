/**
 * tumor.h - one tumor of a phantom: an implicit shape, its depth anywhere, and what it does to HU.
 *
 * Shapes are clusters of soft balls, stars (a radius that depends on the direction) and thresholded
 * noise; none of them is an ellipse that was deformed, which is what stages train with.
 */
#ifndef HF_PHANTOM_TUMOR_H
#define HF_PHANTOM_TUMOR_H

#include <hepaflow/rng.h>

enum phantom_tumor_kind {
    PHANTOM_PLAIN,     /* evenly darker */
    PHANTOM_MIXED,     /* darker, blotchy */
    PHANTOM_RIM,       /* a brighter ring inside the border */
    PHANTOM_HALO,      /* a faint dark seam outside the border */
    PHANTOM_NECROTIC,  /* a darker core */
    PHANTOM_CALCIFIED, /* darker, with calcified specks */
    PHANTOM_BRIGHT,    /* brighter than the liver */
    PHANTOM_KINDS
};

enum phantom_shape {
    PHANTOM_BALLS,
    PHANTOM_STAR,
    PHANTOM_ROUGH,
    PHANTOM_SHAPES
};

#define PHANTOM_BALLS_MAX 5
#define PHANTOM_NOISE     8 /* lattice points along an axis of the tumor's own noise */

struct phantom_tumor {
    enum phantom_tumor_kind kind;
    enum phantom_shape shape;
    float centre[3];  /* D, H, W, mm from the first voxel */
    float radius;     /* mm */
    float turn[3][3]; /* mm from the centre to units of the radius */
    int balls;
    float ball[PHANTOM_BALLS_MAX][4]; /* position, size */
    float rough, frequency;
    float contrast, texture, grain; /* HU, HU, mm */
    float edge;                     /* mm over which the border fades */
    float layer, layer_hu;          /* rim, halo or core: mm and HU */
    float noise[PHANTOM_NOISE * PHANTOM_NOISE * PHANTOM_NOISE];
    int64_t voxels; /* of the tumor mask that are its own */
};

struct phantom_tumor_range {
    float contrast[2]; /* HU of dark ones, both negative, strongest first */
    float bright;      /* share of bright ones */
    int dark_only;     /* neither bright nor calcified nor among the faintest */
};

/** Draws everything but the centre. */
void phantom_tumor_draw(const struct phantom_tumor_range *range, float radius, struct hf_rng rng,
                        struct phantom_tumor *ret);

/** About how many mm a point lies inside; (d, h, w) in mm from the tumor's centre. */
float phantom_tumor_depth(const struct phantom_tumor *l, const float from_centre[3]);

/** No point further from the centre than this (mm) is touched, halo included. */
float phantom_tumor_reach(const struct phantom_tumor *l);

/** HU to add at a point of that depth; *ret_inside: 0 outside .. 1 inside. */
float phantom_tumor_hu(const struct phantom_tumor *l, const float from_centre[3], float depth,
                       float *ret_inside);

#endif
