/**
 * ops.cu - "holes.draw" on CUDA: a random hole in each slice of a volume.
 *
 * A block for each slice draws the shape from the slice's stream, one thread in the CPU's order;
 * all voxels of the volume then ask at once whether they are in it. Growing by a disc takes two
 * steps: how far in its row each voxel is from the shape, then a column of these distances.
 */
#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "../shapes/allow_cuda.h"
#include "../shapes/shapes_cuda.h"
#include "ops.h"

#define NO_HOLE  (-1)
#define NO_VOXEL (-1)

/* What is drawn for a slice. */
struct shape {
    int32_t kind;    /* enum hole_kind, or NO_HOLE */
    int32_t radius;  /* px that it grows by */
    uint32_t taken;  /* segments: a bit each */
    int32_t segment; /* ellipse: where it lies */
    int32_t at;      /* ellipse: the voxel in its middle */
    struct ellipse ellipse;
    int32_t strokes, lines;
};

struct stroke {
    int32_t rank; /* of its first voxel among the clean ones */
    float width, angle;
    int32_t first, lines;
};

/* A part of a stroke: as drawn, then as a line on the plane. */
struct piece {
    struct part part;
    struct line line;
    int32_t at; /* a stroke's first voxel, or NO_VOXEL */
};

/* The operands, and the parts of scratch. */
struct work {
    struct holes_params p;
    int64_t depth;
    int32_t h, w;
    const float *image;
    const uint8_t *liver, *clean, *couinaud;
    uint8_t *hole, *weight, *drawn;
    float *masked;
    struct shape *shape;     /* [depth] */
    struct stroke *stroke;   /* [depth][strokes] */
    struct piece *piece;     /* [depth][pieces] */
    int32_t strokes, pieces; /* at most so many */
    uint32_t *word;          /* [depth][words] */
    int32_t *before;         /* [depth][words] */
    uint8_t *along; /* [depth][h][w]: px to the shape in the voxel's row; radii are below 255 */
};

static size_t lay_out(const struct hf_op_call *call, void *scratch, struct work *w) {
    const struct holes_params *p = (const struct holes_params *)call->params;
    const int64_t *shape = call->in[0]->shape;
    int64_t plane = shape[2] * shape[3], words = voxel_set_words(plane);
    size_t bytes = 0;
    w->p = *p;
    w->depth = shape[1];
    w->h = (int32_t)shape[2];
    w->w = (int32_t)shape[3];
    w->strokes = (int32_t)(p->strokes.high + 0.5f);
    w->pieces = w->strokes * (int32_t)(p->vertices.high + 0.5f);
    w->shape = shapes_take<struct shape>(scratch, &bytes, w->depth);
    w->stroke = shapes_take<struct stroke>(scratch, &bytes, w->depth * w->strokes);
    w->piece = shapes_take<struct piece>(scratch, &bytes, w->depth * w->pieces);
    w->word = shapes_take<uint32_t>(scratch, &bytes, w->depth * words);
    w->before = shapes_take<int32_t>(scratch, &bytes, w->depth * words);
    w->along = shapes_take<uint8_t>(scratch, &bytes, w->depth * plane);
    return bytes;
}

static size_t draw_scratch(const struct hf_op_call *call) {
    struct work w;
    return lay_out(call, NULL, &w);
}

/* One slice of the inputs. */
struct slice {
    const uint8_t *liver, *clean, *couinaud;
};

static __device__ struct slice slice_of(const struct work &w, int64_t d) {
    int64_t at = d * w.h * w.w;
    struct slice s = {w.liver + at, w.clean + at, w.couinaud + at};
    return s;
}

static __device__ bool in_segment(const struct slice &s, int32_t i, int32_t segment) {
    return s.liver[i] && s.clean[i] && (segment == 0 || s.couinaud[i] == segment);
}

/* All that is random of a slice's strokes; one thread. */
static __device__ void draw_strokes(const struct work &w, int32_t clean, struct hf_rng *r,
                                    struct shape *shape, struct stroke *stroke,
                                    struct piece *piece) {
    shape->strokes = draw_whole(r, w.p.strokes);
    shape->lines = 0;
    for (int32_t n = 0; n < shape->strokes; n++) {
        stroke[n].rank = (int32_t)hf_rng_below(r, (uint32_t)clean);
        stroke[n].width = draw_range(r, w.p.width);
        stroke[n].angle = 6.28318530718f * hf_rng_uniform(r);
        stroke[n].first = shape->lines;
        stroke[n].lines = draw_whole(r, w.p.vertices);
        for (int32_t v = 0; v < stroke[n].lines; v++)
            piece[shape->lines++].part = draw_part(r, &w.p);
    }
}

/* Where a stroke runs. */
static __device__ void lay_stroke(const struct work &w, const struct voxel_set &set,
                                  const struct stroke &stroke, struct piece *piece) {
    int32_t at = voxel_set_at(&set, stroke.rank);
    float from[2] = {(float)(at % w.w) * w.p.spacing[1], (float)(at / w.w) * w.p.spacing[0]};
    float angle = stroke.angle;
    for (int32_t v = stroke.first; v < stroke.first + stroke.lines; v++) {
        float to[2];
        part_end(from, angle, piece[v].part.length, to);
        piece[v].line = make_line(&w.p, w.h, w.w, from, to, stroke.width);
        piece[v].at = v == stroke.first ? at : NO_VOXEL;
        from[0] = to[0];
        from[1] = to[1];
        angle += piece[v].part.turn;
    }
}

static __device__ void draw_slice(const struct work &w, int64_t d) {
    __shared__ int32_t count[SHAPES_SEGMENTS];
    __shared__ struct shape shape;
    __shared__ struct hf_rng rng;
    __shared__ int32_t rank;
    const struct slice s = slice_of(w, d);
    int32_t plane = w.h * w.w, words = voxel_set_words(plane);
    struct voxel_set set = {w.word + d * words, w.before + d * words, words};
    struct stroke *stroke = w.stroke + d * w.strokes;
    struct piece *piece = w.piece + d * w.pieces;

    count_segments(
        plane,
        [&](int32_t i) {
            return in_segment(s, i, 0) && s.couinaud[i] < SHAPES_SEGMENTS ? s.couinaud[i] : -1;
        },
        count);
    if (threadIdx.x == 0) {
        int32_t least = least_voxels(&w.p), clean = 0;
        rng = shapes_stream(&w.p.rng, (uint32_t)d);
        shape.kind = NO_HOLE;
        if (any_segment(count, least)) {
            for (int k = 0; k < SHAPES_SEGMENTS; k++)
                clean += count[k];
            shape.kind = draw_kind(&rng, w.p.mix);
            shape.radius = draw_whole(&rng, w.p.dilate);
            shape.segment = 0;
            if (shape.kind == HOLE_SEGMENT || shape.kind == HOLE_LIVER) {
                shape.taken = draw_taken(&rng, &w.p, shape.kind, count, least);
                shape.kind = HOLE_SEGMENT;
            } else if (shape.kind == HOLE_ELLIPSE) {
                shape.segment = draw_segment(&rng, count, least, 0);
                rank = (int32_t)hf_rng_below(&rng, (uint32_t)count[shape.segment]);
            } else {
                draw_strokes(w, clean, &rng, &shape, stroke, piece);
            }
        }
        w.drawn[d] = 0;
    }
    __syncthreads();
    if (shape.kind == HOLE_ELLIPSE || shape.kind == HOLE_STROKES)
        voxel_set_fill(&set, plane, [&](int32_t i) { return in_segment(s, i, shape.segment); });
    if (shape.kind == HOLE_ELLIPSE && threadIdx.x == 0) {
        int32_t at = voxel_set_at(&set, rank);
        shape.at = at;
        shape.ellipse = draw_ellipse(&rng, (float)(at % w.w) * w.p.spacing[1],
                                     (float)(at / w.w) * w.p.spacing[0], w.p.radius);
    }
    if (shape.kind == HOLE_STROKES)
        for (int32_t n = (int32_t)threadIdx.x; n < shape.strokes; n += SHAPES_THREADS)
            lay_stroke(w, set, stroke[n], piece);
    if (threadIdx.x == 0)
        w.shape[d] = shape;
    __syncthreads();
}

static __global__ void __launch_bounds__(SHAPES_THREADS) draw_shapes(struct work w) {
    for (int64_t d = blockIdx.x; d < w.depth; d += gridDim.x)
        draw_slice(w, d);
}

static __device__ bool in_shape(const struct work &w, int64_t d, const struct slice &s, int32_t i) {
    const struct shape &shape = w.shape[d];
    if (!in_segment(s, i, 0))
        return false;
    if (shape.kind == HOLE_SEGMENT)
        return is_taken(shape.taken, s.couinaud[i]);
    int32_t x = i % w.w, y = i / w.w;
    if (shape.kind == HOLE_ELLIPSE)
        return i == shape.at ||
               (s.couinaud[i] == shape.segment && in_ellipse(&shape.ellipse, w.p.spacing, x, y));
    const struct piece *piece = w.piece + d * w.pieces;
    for (int32_t n = 0; n < shape.lines; n++)
        if (piece[n].at == i || on_line(&piece[n].line, w.p.spacing, x, y))
            return true;
    return false;
}

/* The shapes as they are drawn, into what will be the holes. */
static __global__ void fill_shapes(struct work w) {
    int32_t plane = w.h * w.w;
    CUDA_ROWS_EACH(d, w.depth) {
        if (w.shape[d].kind == NO_HOLE)
            continue;
        struct slice s = slice_of(w, d);
        HF_CUDA_EACH(i, plane) {
            w.hole[d * plane + i] = in_shape(w, d, s, (int32_t)i);
        }
    }
}

static __global__ void measure_rows(struct work w) {
    int32_t plane = w.h * w.w;
    CUDA_ROWS_EACH(d, w.depth) {
        if (w.shape[d].kind == NO_HOLE)
            continue;
        const uint8_t *drawn = w.hole + d * plane;
        int32_t radius = w.shape[d].radius;
        HF_CUDA_EACH(i, plane) {
            int32_t x = (int32_t)i % w.w, far = 0;
            while (far <= radius &&
                   !((x >= far && drawn[i - far]) || (x + far < w.w && drawn[i + far])))
                far++;
            w.along[d * plane + i] = (uint8_t)far;
        }
    }
}

/* 1 if the voxel is within the radius of the shape. */
static __device__ bool is_grown(const uint8_t *along, int32_t i, int32_t h, int32_t w,
                                int32_t radius) {
    int32_t y = i / w;
    for (int32_t j = 0; j <= radius; j++) {
        int32_t above = y >= j ? along[i - j * w] : radius + 1;
        int32_t below = y + j < h ? along[i + j * w] : radius + 1;
        int32_t far = above < below ? above : below;
        if (far * far + j * j <= radius * radius)
            return true;
    }
    return false;
}

static __global__ void finish(struct work w) {
    int32_t plane = w.h * w.w;
    CUDA_ROWS_EACH(d, w.depth) {
        int32_t kind = w.shape[d].kind, radius = kind == NO_HOLE ? 0 : w.shape[d].radius;
        HF_CUDA_EACH(i, plane) {
            int64_t at = d * plane + i;
            uint8_t liver = w.liver[at], clean = w.clean[at];
            uint8_t grown = liver && kind != NO_HOLE &&
                            is_grown(w.along + d * plane, (int32_t)i, w.h, w.w, radius);
            uint8_t hole = hole_voxel(grown, liver, clean);
            uint8_t weight = weight_voxel(grown, liver, clean);
            w.hole[at] = hole;
            w.weight[at] = weight;
            w.masked[at] = hole ? w.p.blank : w.image[at];
            if (weight)
                w.drawn[d] = 1; /* whoever comes writes the same */
        }
    }
}

static enum hf_status draw(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    struct work w;
    lay_out(call, scratch, &w);
    w.image = HF_DATA(const float, call->in[0]);
    w.liver = HF_DATA(const uint8_t, call->in[1]);
    w.clean = HF_DATA(const uint8_t, call->in[2]);
    w.couinaud = HF_DATA(const uint8_t, call->in[3]);
    w.hole = HF_DATA(uint8_t, call->out[0]);
    w.weight = HF_DATA(uint8_t, call->out[1]);
    w.masked = HF_DATA(float, call->out[2]);
    w.drawn = HF_DATA(uint8_t, call->out[3]);
    dim3 grid = cuda_rows_grid(w.depth, (int64_t)w.h * w.w);
    HF_CUDA_LAUNCH(draw_shapes, cuda_count_grid(w.depth), SHAPES_THREADS, stream, w);
    HF_CUDA_LAUNCH(fill_shapes, grid, HF_CUDA_THREADS, stream, w);
    HF_CUDA_LAUNCH(measure_rows, grid, HF_CUDA_THREADS, stream, w);
    HF_CUDA_LAUNCH(finish, grid, HF_CUDA_THREADS, stream, w);
    return hf_cuda_launched("holes.draw", e);
}

HF_CUDA_MODULE("holes.cuda", {"holes.draw", HF_KIND_CUDA, draw, draw_scratch},
               ALLOW_CUDA_OP("holes"))
