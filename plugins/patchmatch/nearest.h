/**
 * nearest.h - the nearest-neighbour field of one level: for each patch that touches the hole, a
 * known patch that looks like it (Barnes et al., "PatchMatch", SIGGRAPH 2009).
 */
#ifndef HF_PLUGINS_PATCHMATCH_NEAREST_H
#define HF_PLUGINS_PATCHMATCH_NEAREST_H

#include <stddef.h>

#include "elem.h"

/* Steps from what is known: FARTHEST for that many and more, NOT_REACHED where no way leads. */
#define NOT_REACHED UINT16_MAX
#define FARTHEST    (NOT_REACHED - 1)

struct level {
    const struct patchmatch_params *p;
    int32_t number; /* 0: the finest */
    struct plane to, from;
    uint8_t *to_pixel, *from_pixel;
    float *to_value, *from_value;
    uint8_t *source; /* per pixel of `from`: its patch is known */
    int32_t *spot;   /* the pixels that are sources */
    int32_t spots;
    int32_t *centre; /* pixels of `to` whose patch touches the hole, in scan order */
    int32_t centres;
    uint8_t *is_centre;
    uint8_t *pixels;  /* per centre's pixel: tissue in its patch */
    uint16_t *inside; /* per pixel: steps from what is known */
    int32_t *nearest; /* per centre's pixel: the source */
    float *distance;  /* and how far it is */
};

/** Finds sources and centres. */
void level_survey(struct level *l);

/** A source for every centre: of `coarser` (may be NULL) the one that it found, else a random one.
 *  There must be a source. All distances are 0, so that a vote counts all alike. */
void nearest_begin(struct level *l, const struct level *coarser);

/** Measures anew, since the hole has changed, and searches: neighbours hand on what they found, and
 *  each looks around at random, ever closer. `round` keeps the draws of searches apart. */
void nearest_search(struct level *l, int32_t round);

/** Fills the hole: each pixel is the weighted mean of what the patches that cover it say. */
void nearest_vote(struct level *l);

#endif
