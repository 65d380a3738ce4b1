/**
 * elem.h - the arithmetic of holes on one voxel, and the operands of its op.
 *
 * "holes.draw": in[0] image f32, in[1] liver u8, in[2] the clean region u8, in[3] couinaud u8, all
 * [1,D,H,W]; out[0] hole u8, out[1] hole_weight u8, out[2] masked f32, out[3] u8 [D]: 1 where the
 * slice has a hole to learn from.
 */
#ifndef HF_STAGES_HOLES_ELEM_H
#define HF_STAGES_HOLES_ELEM_H

#include "../shapes/shapes.h"

enum hole_kind {
    HOLE_SEGMENT,
    HOLE_ELLIPSE,
    HOLE_STROKES,
    HOLE_KINDS
};

struct holes_params {
    struct hf_rng rng;     /* of the sample */
    float mix[HOLE_KINDS]; /* shares, of sum 1 */
    float spacing[2];      /* mm along H, W */
    struct range segments; /* how many segments a hole takes */
    struct range dilate;   /* px */
    struct range radius;   /* mm */
    struct range strokes;  /* how many */
    struct range vertices; /* of a stroke */
    struct range length;   /* mm between vertices */
    struct range width;    /* mm */
    float min_area;        /* mm2 */
    float blank;           /* what a blanked voxel holds */
};

HF_DEVICE static inline int draw_kind(struct hf_rng *r, const float mix[HOLE_KINDS]) {
    float u = hf_rng_uniform(r);
    for (int kind = 0; kind < HOLE_KINDS - 1; kind++) {
        if (u < mix[kind])
            return kind;
        u -= mix[kind];
    }
    /* The last kind takes what rounding leaves over, unless its share is nothing. */
    int kind = HOLE_KINDS - 1;
    while (mix[kind] <= 0.0f && kind > 0)
        kind--;
    return kind;
}

/** 1 if the inpainter has to fill the voxel: the drawn hole, and all liver that is not clean. */
HF_DEVICE static inline uint8_t hole_voxel(uint8_t drawn, uint8_t liver, uint8_t clean) {
    return liver && (drawn || !clean);
}

/** 1 if the loss counts the voxel: what lies under an annotated segment is not known healthy. */
HF_DEVICE static inline uint8_t weight_voxel(uint8_t drawn, uint8_t liver, uint8_t clean) {
    return liver && drawn && clean;
}

#endif
