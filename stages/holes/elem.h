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
    HOLE_LIVER,
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

/** Clean voxels that make a segment worth drawing from. */
HF_DEVICE static inline int32_t least_voxels(const struct holes_params *p) {
    return (int32_t)fmaxf(1, p->min_area / (p->spacing[0] * p->spacing[1]));
}

/** 1 if a segment is large enough for any hole. */
HF_DEVICE static inline int any_segment(const int32_t count[SHAPES_SEGMENTS], int32_t least) {
    int enough = 0;
    for (int k = 1; k < SHAPES_SEGMENTS; k++)
        enough |= count[k] >= least;
    return enough;
}

/** The segments of a hole that is made of whole ones, a bit each: those drawn, or all of the clean
 *  liver, what is in no segment too. */
HF_DEVICE static inline uint32_t draw_taken(struct hf_rng *r, const struct holes_params *p,
                                            int kind, const int32_t count[SHAPES_SEGMENTS],
                                            int32_t least) {
    uint32_t taken = 0;
    if (kind == HOLE_LIVER)
        return (1u << SHAPES_SEGMENTS) - 1;
    for (int n = draw_whole(r, p->segments); n > 0; n--)
        taken |= 1u << draw_segment(r, count, least, taken);
    return taken & ~1u;
}

HF_DEVICE static inline int is_taken(uint32_t taken, uint8_t couinaud) {
    return couinaud < SHAPES_SEGMENTS && (taken >> couinaud & 1);
}

HF_DEVICE static inline int in_ellipse(const struct ellipse *e, const float spacing[2], int32_t x,
                                       int32_t y) {
    return ellipse_depth(e, (float)x * spacing[1], (float)y * spacing[0]) >= 0;
}

/** A straight part of a stroke, and the voxels x0..x1, y0..y1 that it may cover. */
struct line {
    float from[2], to[2]; /* mm along W, H */
    float reach2;         /* half the width, squared */
    int32_t x0, y0, x1, y1;
};

HF_DEVICE static inline struct line make_line(const struct holes_params *p, int32_t h, int32_t w,
                                              const float from[2], const float to[2], float width) {
    float dy = p->spacing[0], dx = p->spacing[1], half = width / 2;
    struct line l = {{from[0], from[1]},
                     {to[0], to[1]},
                     half * half,
                     (int32_t)fmaxf(0, ceilf((fminf(from[0], to[0]) - half) / dx)),
                     (int32_t)fmaxf(0, ceilf((fminf(from[1], to[1]) - half) / dy)),
                     (int32_t)fminf((float)(w - 1), floorf((fmaxf(from[0], to[0]) + half) / dx)),
                     (int32_t)fminf((float)(h - 1), floorf((fmaxf(from[1], to[1]) + half) / dy))};
    return l;
}

HF_DEVICE static inline int on_line(const struct line *l, const float spacing[2], int32_t x,
                                    int32_t y) {
    return x >= l->x0 && x <= l->x1 && y >= l->y0 && y <= l->y1 &&
           line_distance2((float)x * spacing[1], (float)y * spacing[0], l->from[0], l->from[1],
                          l->to[0], l->to[1]) <= l->reach2;
}

/** What is drawn of a straight part: its length in mm, and by how much the next one turns. */
struct part {
    float length, turn;
};

HF_DEVICE static inline struct part draw_part(struct hf_rng *r, const struct holes_params *p) {
    struct part part;
    part.length = draw_range(r, p->length);
    part.turn = 0.8f * hf_rng_normal(r);
    return part;
}

/** Where a part that goes from `from` at an angle ends. */
HF_DEVICE static inline void part_end(const float from[2], float angle, float length, float to[2]) {
    to[0] = from[0] + length * cosf(angle);
    to[1] = from[1] + length * sinf(angle);
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
