/**
 * body.h - everything that is not liver: skin, fat, wall and ribs, lungs, spine, vessels, organs.
 *
 * Coordinates are mm from the centre of the liver's box: x to the right, y forward, z up.
 */
#ifndef HF_PHANTOM_BODY_H
#define HF_PHANTOM_BODY_H

#include <hepaflow/rng.h>

#define PHANTOM_ORGANS 20

struct phantom_organ {
    float centre[3], radius[3]; /* x, y, z */
    float tilt;                 /* how far x moves for each mm up */
    float hu;
    float shell, shell_hu; /* an outer layer, mm and HU; 0: none */
};

struct phantom_body {
    float centre[2], radius[2]; /* of the outline, x, y */
    float low, high;            /* z of the canvas */
    float fat, wall;            /* thickness of the layers, mm */
    float fat_hu, muscle_hu;
    float rib_phase;
    int organs;
    struct phantom_organ organ[PHANTOM_ORGANS]; /* later ones lie over earlier ones */
};

/** What is known of a voxel outside the liver. */
struct phantom_spot {
    float x, y, z;
    float width;     /* of the voxel, mm: how soft borders are */
    float outside;   /* mm from the liver */
    float diaphragm; /* z of the lung's base above this point */
    float texture;   /* smooth random number, sd 1, a few mm */
    float bowel;     /* smooth random number, sd 1, a few cm */
};

/** A body around a liver whose box has the half sizes `half` (x, y, z). */
void phantom_body_draw(const float half[3], struct hf_rng rng, struct phantom_body *ret);

/** mm inside the skin. */
float phantom_body_depth(const struct phantom_body *b, float x, float y, float outside);

float phantom_body_hu(const struct phantom_body *b, const struct phantom_spot *at);

#endif
