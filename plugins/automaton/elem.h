/**
 * elem.h - a cellular automaton that grows lesions: what happens to one cell in one step, how its
 * state looks, and the operands of the ops.
 *
 * "automaton.grow": in[0] image f32, in[1] liver u8, in[2] the region that lesions may lie in u8,
 * in[3] couinaud u8 (or absent), all [1,D,H,W]; out[0] f32 contrast to the image, out[1] f32 how
 * far the cells are grown (0..1), out[2] hole u8, out[3] u8 [D]: 1 where the slice has enough of
 * the region. "automaton.noise": out[0] f32: standard normal, each voxel for itself.
 * "automaton.paint": in[0] image, in[1] contrast and in[2] growth, both perhaps blurred, in[3]
 * growth as it was, in[4] noise, all f32, in[5] liver u8, in[6] region u8; out[0] image f32, out[1]
 * lesion f32.
 *
 * A cell is a voxel. It is empty or was taken in some step, and grows by one a step from 1 to
 * AUTOMATON_GROWN; from AUTOMATON_SPREADS on it spreads to its empty neighbours. What was taken in
 * a step plays no part in that step, so cells can be visited in any order.
 */
#ifndef HF_PLUGINS_AUTOMATON_ELEM_H
#define HF_PLUGINS_AUTOMATON_ELEM_H

#include "../../stages/shapes/shapes.h"

#define AUTOMATON_GROWN   10
#define AUTOMATON_SPREADS 5
/* Steps that a lesion takes to grow by a voxel in soft tissue with the default chances: measured.
 * In a slice a cell has fewer neighbours to be taken by. */
#define AUTOMATON_PACE       7.0f
#define AUTOMATON_SLICE_PACE 10.0f
/* Steps are counted from here, so that 0 says that a cell is empty. */
#define AUTOMATON_FIRST 16

enum tissue {
    TISSUE_SOFT,
    TISSUE_MEDIUM,
    TISSUE_HARD,
    TISSUE_VESSEL, /* taken only under pressure */
    TISSUE_WALL    /* never taken */
};

struct automaton_params {
    struct hf_rng rng; /* of the sample */
    int32_t dims;      /* 2: in each slice for itself; 3: through the volume */
    float spacing[3];  /* mm, D, H, W */
    float unit;        /* what 1 HU is in the image's units */
    float share;       /* of slices, or volumes, that get lesions */
    struct range lesions;
    struct range radius; /* mm, in soft tissue */
    float satellite;     /* share of lesions that have some */
    struct range satellites;
    float spread[3];  /* chance a step that a cell takes a neighbour, by enum tissue */
    float denser[3];  /* HU over the region's mean, from which tissue is medium, hard, a vessel */
    int32_t pressure; /* steps beside a grown cell until a vessel gives way */
    float hyperdense; /* share of lesions brighter than the liver */
    struct range hypodense_contrast, hyperdense_contrast; /* HU */
    float necrosis;                 /* share of large lesions that have a dead core */
    float necrosis_radius;          /* mm that make a lesion large */
    struct range necrosis_contrast; /* HU, on top */
    struct range extra_segments;
    float min_area; /* mm2 */
};

struct paint_params {
    float texture; /* noise's standard deviation, in the image's units */
    int32_t soft;  /* lesion: as it looks, or cells at least half grown */
};

/** 0 (empty) to AUTOMATON_GROWN, of a cell taken in step `taken` (0: none), in step `now`. */
HF_DEVICE static inline int cell_state(uint16_t taken, int now) {
    int age = taken ? now - (int)taken + 1 : 0;
    return age < AUTOMATON_GROWN ? age : AUTOMATON_GROWN;
}

/** What a voxel's image makes of it. */
HF_DEVICE static inline int tissue_of(const struct automaton_params *p, float image, float mean) {
    float over = (image - mean) / p->unit;
    int kind = TISSUE_SOFT;
    while (kind < TISSUE_VESSEL && over >= p->denser[kind])
        kind++;
    return kind;
}

/** mm to the nearest neighbour. */
HF_DEVICE static inline float nearest(const struct automaton_params *p) {
    float least = fminf(p->spacing[1], p->spacing[2]);
    return p->dims == 3 ? fminf(least, p->spacing[0]) : least;
}

/** How much less likely a step to a neighbour is that lies farther away than the nearest. */
HF_DEVICE static inline float step_share(const struct automaton_params *p, int dz, int dy, int dx) {
    float z = (float)dz * p->spacing[0], y = (float)dy * p->spacing[1];
    float x = (float)dx * p->spacing[2];
    return nearest(p) / sqrtf(z * z + y * y + x * x);
}

/** The chance that a neighbour with such a share does not take the cell in a step. */
HF_DEVICE static inline float left_alone(const struct automaton_params *p, int kind, float share) {
    return 1.0f - p->spread[kind] * share;
}

/** Steps until a lesion has that radius in soft tissue. */
HF_DEVICE static inline int steps_of(const struct automaton_params *p, float radius) {
    float steps = (p->dims == 3 ? AUTOMATON_PACE : AUTOMATON_SLICE_PACE) * radius / nearest(p);
    return (int)fminf(fmaxf(steps, 1.0f), 60000.0f);
}

/** The contrast of a cell: by its state, and once more where it has been dead for long. */
HF_DEVICE static inline float cell_contrast(uint16_t taken, int now, int steps, float contrast,
                                            float necrosis) {
    float state = (float)cell_state(taken, now) / AUTOMATON_GROWN;
    int dead = 2 * (now - (int)taken) >= steps;
    return state * (contrast + (dead ? necrosis : 0.0f));
}

/** The image with a lesion, which stays where lesions may lie. */
HF_DEVICE static inline float painted_voxel(float image, float contrast, float growth, float noise,
                                            int inside, const struct paint_params *p) {
    float x = image + contrast + p->texture * growth * noise;
    if (!inside || growth <= 0.0f)
        return image;
    return fminf(fmaxf(x, 0.0f), 1.0f);
}

HF_DEVICE static inline float lesion_mask(float growth, float grown, int inside,
                                          const struct paint_params *p) {
    if (!inside)
        return 0.0f;
    return p->soft ? fminf(growth, 1.0f) : grown >= 0.5f ? 1.0f : 0.0f;
}

#endif
