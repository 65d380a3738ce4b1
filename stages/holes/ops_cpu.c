/**
 * ops_cpu.c - "holes.draw" on the CPU: a random hole in each slice of a volume.
 */
#include <string.h>

#include "ops.h"

/* One slice: what the shapes are cut from, and the plane that they are drawn on. */
struct plane {
    const struct holes_params *p;
    int64_t h, w;
    const uint8_t *liver, *clean, *couinaud;
    uint8_t *drawn;
    int32_t count[SHAPES_SEGMENTS]; /* clean voxels of each segment */
    int32_t least;                  /* voxels that make a segment worth drawing from */
};

static size_t draw_scratch(const struct hf_op_call *call) {
    const int64_t *shape = call->in[0]->shape;
    return 2 * (size_t)(shape[2] * shape[3]);
}

static int in_segment(const struct plane *s, int64_t i, int segment) {
    return s->liver[i] && s->clean[i] && (segment == 0 || s->couinaud[i] == segment);
}

/* A random clean voxel of the segment (0: of any), which has `count` of them. */
static int64_t draw_voxel(const struct plane *s, struct hf_rng *r, int segment, int32_t count) {
    int32_t left = (int32_t)hf_rng_below(r, (uint32_t)count);
    for (int64_t i = 0; i < s->h * s->w; i++)
        if (in_segment(s, i, segment) && left-- == 0)
            return i;
    return 0;
}

static void draw_segments(struct plane *s, struct hf_rng *r, int kind) {
    uint32_t taken = draw_taken(r, s->p, kind, s->count, s->least);
    for (int64_t i = 0; i < s->h * s->w; i++)
        s->drawn[i] = in_segment(s, i, 0) && is_taken(taken, s->couinaud[i]);
}

static void draw_one_ellipse(struct plane *s, struct hf_rng *r) {
    int k = draw_segment(r, s->count, s->least, 0);
    int64_t at = draw_voxel(s, r, k, s->count[k]);
    float dy = s->p->spacing[0], dx = s->p->spacing[1];
    struct ellipse e =
        draw_ellipse(r, (float)(at % s->w) * dx, (float)(at / s->w) * dy, s->p->radius);
    for (int32_t y = 0; y < s->h; y++)
        for (int32_t x = 0; x < s->w; x++)
            if (in_segment(s, y * s->w + x, k) && in_ellipse(&e, s->p->spacing, x, y))
                s->drawn[y * s->w + x] = 1;
    s->drawn[at] = 1;
}

/* Marks the clean voxels on a line. */
static void mark_line(struct plane *s, const struct line *l) {
    for (int32_t y = l->y0; y <= l->y1; y++)
        for (int32_t x = l->x0; x <= l->x1; x++)
            if (in_segment(s, y * s->w + x, 0) && on_line(l, s->p->spacing, x, y))
                s->drawn[y * s->w + x] = 1;
}

static void draw_strokes(struct plane *s, struct hf_rng *r) {
    int32_t clean = 0;
    for (int k = 0; k < SHAPES_SEGMENTS; k++)
        clean += s->count[k];
    for (int n = draw_whole(r, s->p->strokes); n > 0; n--) {
        int64_t at = draw_voxel(s, r, 0, clean);
        float from[2] = {(float)(at % s->w) * s->p->spacing[1],
                         (float)(at / s->w) * s->p->spacing[0]};
        float width = draw_range(r, s->p->width);
        float angle = 6.28318530718f * hf_rng_uniform(r);
        s->drawn[at] = 1;
        for (int v = draw_whole(r, s->p->vertices); v > 0; v--) {
            struct part part = draw_part(r, s->p);
            float to[2];
            part_end(from, angle, part.length, to);
            struct line line = make_line(s->p, (int32_t)s->h, (int32_t)s->w, from, to, width);
            mark_line(s, &line);
            from[0] = to[0];
            from[1] = to[1];
            angle += part.turn;
        }
    }
}

/* Grows the drawn voxels by a disc of `radius` px into the liver; `grown` is another plane. */
static void dilate(const struct plane *s, int radius, uint8_t *grown) {
    memcpy(grown, s->drawn, (size_t)(s->h * s->w));
    for (int64_t y = 0; radius > 0 && y < s->h; y++) {
        for (int64_t x = 0; x < s->w; x++) {
            const uint8_t *at = s->drawn + y * s->w + x;
            int edge = *at && (y == 0 || y == s->h - 1 || x == 0 || x == s->w - 1 || !at[-1] ||
                               !at[1] || !at[-s->w] || !at[s->w]);
            if (!edge)
                continue;
            for (int64_t j = -radius; j <= radius; j++)
                for (int64_t i = -radius; i <= radius; i++)
                    if (i * i + j * j <= radius * radius && y + j >= 0 && y + j < s->h &&
                        x + i >= 0 && x + i < s->w)
                        grown[(y + j) * s->w + x + i] = 1;
        }
    }
    for (int64_t i = 0; i < s->h * s->w; i++)
        grown[i] = grown[i] && s->liver[i];
}

/* Counts what can be drawn from; 1 if there is a segment that is large enough. */
static int count_segments(struct plane *s) {
    for (int64_t i = 0; i < s->h * s->w; i++)
        if (in_segment(s, i, 0) && s->couinaud[i] < SHAPES_SEGMENTS)
            s->count[s->couinaud[i]]++;
    s->least = least_voxels(s->p);
    return any_segment(s->count, s->least);
}

static enum hf_status draw(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const struct holes_params *p = call->params;
    const int64_t *shape = call->in[0]->shape;
    int64_t plane = shape[2] * shape[3];
    uint8_t *raw = scratch, *grown = raw + plane;

    for (int64_t d = 0; d < shape[1]; d++) {
        struct plane s = {p,
                          shape[2],
                          shape[3],
                          HF_DATA(uint8_t, call->in[1]) + d * plane,
                          HF_DATA(uint8_t, call->in[2]) + d * plane,
                          HF_DATA(uint8_t, call->in[3]) + d * plane,
                          raw,
                          {0},
                          0};
        struct hf_rng r = shapes_stream(&p->rng, (uint32_t)d);
        memset(raw, 0, (size_t)(2 * plane));
        if (count_segments(&s)) {
            int kind = draw_kind(&r, p->mix);
            int radius = draw_whole(&r, p->dilate);
            if (kind == HOLE_SEGMENT || kind == HOLE_LIVER)
                draw_segments(&s, &r, kind);
            else if (kind == HOLE_ELLIPSE)
                draw_one_ellipse(&s, &r);
            else
                draw_strokes(&s, &r);
            dilate(&s, radius, grown);
        }
        const float *image = HF_DATA(float, call->in[0]) + d * plane;
        uint8_t *hole = HF_DATA(uint8_t, call->out[0]) + d * plane;
        uint8_t *weight = HF_DATA(uint8_t, call->out[1]) + d * plane;
        float *masked = HF_DATA(float, call->out[2]) + d * plane;
        uint8_t drawn = 0;
        for (int64_t i = 0; i < plane; i++) {
            hole[i] = hole_voxel(grown[i], s.liver[i], s.clean[i]);
            weight[i] = weight_voxel(grown[i], s.liver[i], s.clean[i]);
            masked[i] = hole[i] ? p->blank : image[i];
            drawn |= weight[i];
        }
        HF_DATA(uint8_t, call->out[3])[d] = drawn;
    }
    return HF_OK;
}

const struct hf_op holes_draw_cpu = {"holes.draw", HF_KIND_CPU, draw, draw_scratch};
