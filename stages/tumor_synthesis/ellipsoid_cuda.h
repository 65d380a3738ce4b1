/**
 * ellipsoid_cuda.h - "tumor_synthesis.ellipsoid" on CUDA.
 *
 * What is random of the lesions comes first, in the CPU's order: a thread for the volume, or for
 * each slice where slices stand for themselves. Then lesions are added one after the other, as one
 * covers what is there; with slices for themselves, those of one number in all slices at once. All
 * voxels of a lesion's box are worked on side by side.
 */
#ifndef HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_CUDA_H
#define HF_STAGES_TUMOR_SYNTHESIS_ELLIPSOID_CUDA_H

#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "../shapes/shapes_cuda.h"
#include "ellipsoid.h"

/* Planes of a lesion's box. */
enum grow_plane {
    GROW_HARD,
    GROW_A,
    GROW_B,
    GROW_RIM,
    GROW_PLANES
};

/* A volume or a slice that stands for itself. */
struct grow_group {
    struct hf_rng rng; /* as it stands when all is drawn */
    int32_t lesions;
};

struct grow_lesion {
    struct grown drawn;
    int32_t at[3]; /* its middle */
};

/* Places that a lattice is summed at, along an axis. */
struct grow_places {
    int32_t *first; /* [at_once][most] */
    float *tap;     /* [at_once][most][LATTICE_TAPS] */
    int64_t most;
};

/* Memory of each of the lesions that are worked on at once. */
struct grow_buffer {
    float *data;
    int64_t each;
};

struct grow_work {
    struct ellipsoid_params p;
    int32_t size[3];
    int32_t groups, lesions; /* of a group, at most */
    const float *healthy;
    const uint8_t *liver, *region, *couinaud; /* couinaud: NULL = one segment */
    float *image, *lesion;
    uint8_t *hole, *drawn;
    int32_t *count;            /* [depth][SHAPES_SEGMENTS] */
    int32_t *has_liver;        /* [depth] */
    uint32_t *touched, *taken; /* [depth] */
    struct grow_group *group;  /* [groups] */
    struct grow_lesion *grown; /* [groups][lesions] */
    uint32_t *word;            /* [groups][lesions][words] */
    int32_t *before;           /* [groups][lesions][words] */
    float *blur;               /* [at_once][3][MAX_TAPS] */
    struct grow_buffer plane[GROW_PLANES];
    struct grow_buffer coarse, coarse_w, coarse_h, fine, fine_w, fine_h;
    struct grow_places cell[3], voxel[3];
    int32_t first, at_once; /* groups */
};

static inline struct grow_buffer grow_take(void *base, size_t *offset, int64_t count,
                                           int64_t at_once) {
    struct grow_buffer b = {NULL, count};
    b.data = shapes_take<float>(base, offset, count * at_once);
    return b;
}

static inline struct grow_places grow_take_places(void *base, size_t *offset, int64_t most,
                                                  int64_t at_once) {
    struct grow_places p = {NULL, NULL, most};
    p.first = shapes_take<int32_t>(base, offset, most * at_once);
    p.tap = shapes_take<float>(base, offset, most * LATTICE_TAPS * at_once);
    return p;
}

/* The buffers of the lesions that are worked on at once. */
static inline size_t grow_lay_buffers(struct grow_work *w, void *scratch, size_t bytes,
                                      int64_t at_once) {
    int64_t box[3], coarse[3], fine[3];
    for (int a = 0; a < 3; a++)
        box[a] = most_voxels(&w->p, a, w->size[a]);
    most_points(&w->p, box, coarse, fine);
    w->blur = shapes_take<float>(scratch, &bytes, 3 * MAX_TAPS * at_once);
    for (int k = 0; k < GROW_PLANES; k++)
        if (k != GROW_RIM || w->p.rim > 0)
            w->plane[k] = grow_take(scratch, &bytes, box[0] * box[1] * box[2], at_once);
    w->coarse = grow_take(scratch, &bytes, coarse[0] * coarse[1] * coarse[2], at_once);
    w->coarse_w = grow_take(scratch, &bytes, coarse[0] * coarse[1] * fine[2], at_once);
    w->coarse_h = grow_take(scratch, &bytes, coarse[0] * fine[1] * fine[2], at_once);
    w->fine = grow_take(scratch, &bytes, fine[0] * fine[1] * fine[2], at_once);
    w->fine_w = grow_take(scratch, &bytes, fine[0] * fine[1] * box[2], at_once);
    w->fine_h = grow_take(scratch, &bytes, fine[0] * box[1] * box[2], at_once);
    for (int a = 0; a < 3; a++) {
        w->cell[a] = grow_take_places(scratch, &bytes, fine[a], at_once);
        w->voxel[a] = grow_take_places(scratch, &bytes, box[a], at_once);
    }
    return bytes;
}

static inline size_t grow_lay_out(const struct hf_op_call *call, void *scratch,
                                  struct grow_work *w) {
    const int64_t *shape = call->in[0]->shape + 1;
    size_t bytes = 0;
    memset(w, 0, sizeof *w);
    w->p = *(const struct ellipsoid_params *)call->params;
    for (int a = 0; a < 3; a++)
        w->size[a] = (int32_t)shape[a];
    w->groups = w->p.dims == 2 ? w->size[0] : 1;
    w->lesions = most_lesions(&w->p);
    int64_t all = (int64_t)w->groups * w->lesions, words = voxel_set_words(shape[1] * shape[2]);
    w->count = shapes_take<int32_t>(scratch, &bytes, shape[0] * SHAPES_SEGMENTS);
    w->has_liver = shapes_take<int32_t>(scratch, &bytes, shape[0]);
    w->touched = shapes_take<uint32_t>(scratch, &bytes, shape[0]);
    w->taken = shapes_take<uint32_t>(scratch, &bytes, shape[0]);
    w->group = shapes_take<struct grow_group>(scratch, &bytes, w->groups);
    w->grown = shapes_take<struct grow_lesion>(scratch, &bytes, all);
    w->word = shapes_take<uint32_t>(scratch, &bytes, all * words);
    w->before = shapes_take<int32_t>(scratch, &bytes, all * words);
    size_t each = grow_lay_buffers(w, NULL, 0, 1);
    int64_t fit = each < PLANES_BYTES ? (int64_t)(PLANES_BYTES / each) : 1;
    w->at_once = fit < w->groups ? (int32_t)fit : w->groups;
    return grow_lay_buffers(w, scratch, bytes, w->at_once);
}

static inline size_t grow_scratch(const struct hf_op_call *call) {
    struct grow_work w;
    return grow_lay_out(call, NULL, &w);
}

static __device__ int grow_segment(const struct grow_work &w, int64_t i) {
    return w.couinaud ? segment_of(w.couinaud[i]) : 1;
}

/* ---- what is random ---- */

static __global__ void grow_copy(struct grow_work w) {
    HF_CUDA_EACH(i, (int64_t)w.size[0] * w.size[1] * w.size[2]) {
        w.image[i] = w.healthy[i];
        w.lesion[i] = 0;
    }
}

static __global__ void __launch_bounds__(SHAPES_THREADS) grow_survey(struct grow_work w) {
    __shared__ int32_t count[SHAPES_SEGMENTS];
    int32_t plane = w.size[1] * w.size[2];
    for (int64_t d = blockIdx.x; d < w.size[0]; d += gridDim.x) {
        const uint8_t *liver = w.liver + d * plane, *region = w.region + d * plane;
        count_segments(
            plane,
            [&](int32_t i) { return liver[i] && region[i] ? grow_segment(w, d * plane + i) : -1; },
            count);
        int32_t mine = 0;
        for (int32_t i = (int32_t)threadIdx.x; i < plane; i += SHAPES_THREADS)
            mine |= liver[i] != 0;
        int32_t any = hf_cuda_block_sum<SHAPES_THREADS>(mine);
        if (threadIdx.x == 0) {
            int32_t voxels = 0;
            for (int k = 0; k < SHAPES_SEGMENTS; k++) {
                w.count[d * SHAPES_SEGMENTS + k] = count[k];
                voxels += count[k];
            }
            w.has_liver[d] = any > 0;
            w.touched[d] = 0;
            w.drawn[d] = (uint8_t)is_enough(&w.p.base, voxels);
        }
        __syncthreads();
    }
}

/* As find_slice on the CPU. */
static __device__ int32_t grow_find(const struct grow_work &w, int32_t first, int32_t last,
                                    bool all, int32_t n) {
    int32_t count = 0;
    for (int32_t d = 0; d < w.size[0]; d++)
        if (w.drawn[d] && (all || in_extent(&w.p, d, first, last)) && count++ == n)
            return d;
    return count;
}

static __global__ void grow_draw(struct grow_work w) {
    HF_CUDA_EACH(g, w.groups) {
        struct grow_group group;
        struct grow_lesion *to = w.grown + g * w.lesions;
        int32_t sizes[GROWN_SIZES], first = w.size[0], last = -1, slices = 0;
        bool all = false;
        group.rng =
            shapes_stream(&w.p.base.rng, w.p.dims == 2 ? (uint32_t)g : (uint32_t)VOLUME_STREAM);
        group.lesions = 0;
        if (w.p.dims == 3) {
            for (int32_t d = 0; d < w.size[0]; d++) {
                if (w.has_liver[d]) {
                    first = d < first ? d : first;
                    last = d;
                }
            }
            all = grow_find(w, first, last, false, -1) == 0;
            slices = grow_find(w, first, last, all, -1);
        }
        if (w.p.dims == 2 ? w.drawn[g] : slices > 0)
            group.lesions = draw_sizes(&group.rng, &w.p, sizes);
        for (int32_t n = 0; n < group.lesions; n++) {
            int32_t d = (int32_t)g;
            if (w.p.dims == 3)
                d = grow_find(w, first, last, all,
                              (int32_t)hf_rng_below(&group.rng, (uint32_t)slices));
            to[n].drawn = draw_grown(&group.rng, &w.p, size_of(sizes, n), d);
        }
        w.group[g] = group;
    }
}

/* The voxels that the picks mean. */
static __global__ void __launch_bounds__(SHAPES_THREADS) grow_place(struct grow_work w) {
    int32_t h = w.size[1], width = w.size[2], plane = h * width, words = voxel_set_words(plane);
    int32_t reach[2];
    inset_reach(&w.p, reach);
    for (int64_t k = blockIdx.x; k < (int64_t)w.groups * w.lesions; k += gridDim.x) {
        if (k % w.lesions >= w.group[k / w.lesions].lesions)
            continue;
        struct grow_lesion *lesion = w.grown + k;
        struct voxel_set set = {w.word + k * words, w.before + k * words, words};
        int64_t from = (int64_t)lesion->drawn.slice * plane;
        const uint8_t *liver = w.liver + from, *region = w.region + from;
        int32_t voxels = voxel_set_fill(&set, plane, [&](int32_t i) {
            return liver[i] && region[i] &&
                   !near_edge(liver, h, width, i / width, i % width, reach);
        });
        if (voxels == 0)
            voxels = voxel_set_fill(&set, plane, [&](int32_t i) { return liver[i] && region[i]; });
        if (threadIdx.x == 0) {
            int32_t i = voxel_set_at(&set, shapes_below(lesion->drawn.pick, voxels));
            lesion->at[0] = lesion->drawn.slice;
            lesion->at[1] = i / width;
            lesion->at[2] = i % width;
        }
        __syncthreads();
    }
}

/* ---- one lesion ---- */

/* A lesion that is worked on, and where. */
struct grow_task {
    const struct grow_lesion *lesion; /* NULL: there is none */
    int64_t k;                        /* its place in the buffers */
    int64_t group;
    int32_t number;
    struct grown_box reach, box, inner; /* the outline's; with pads; what of that is volume */
    int32_t n[3], inner_n[3];           /* voxels of box and inner */
    int32_t fine_first[3], fine_n[3], coarse_first[3], coarse_n[3];
    int32_t fine_taps, coarse_taps;
    float pitch;
};

static __device__ struct grow_task grow_task_of(const struct grow_work &w, int64_t k,
                                                int32_t number) {
    struct grow_task t;
    t.k = k;
    t.group = w.first + k;
    t.number = number;
    t.lesion = NULL;
    if (t.group >= w.groups || number >= w.group[t.group].lesions)
        return t;
    t.lesion = w.grown + t.group * w.lesions + number;
    const struct grown *l = &t.lesion->drawn;
    struct grown_box whole = {{0, 0, 0}, {w.size[0], w.size[1], w.size[2]}};
    t.reach = grown_reach(&w.p, l, t.lesion->at, &whole);
    t.pitch = lattice_pitch(l->coarse, l->fine);
    int32_t half = lattice_half(l->fine, t.pitch), wide = lattice_half(l->coarse, l->coarse);
    t.fine_taps = 2 * half + 2;
    t.coarse_taps = 2 * wide + 2;
    for (int a = 0; a < 3; a++) {
        int32_t pad = grown_pad(&w.p, l->edge, a);
        float step = grown_spacing(&w.p, a);
        t.box.low[a] = t.reach.low[a] - pad;
        t.box.high[a] = t.reach.high[a] + pad;
        t.inner.low[a] = t.box.low[a] > 0 ? t.box.low[a] : 0;
        t.inner.high[a] = t.box.high[a] < w.size[a] ? t.box.high[a] : w.size[a];
        t.n[a] = t.box.high[a] - t.box.low[a];
        t.inner_n[a] = t.inner.high[a] - t.inner.low[a];
        float low = (float)(t.inner.low[a] - t.lesion->at[a]) * step;
        float high = (float)(t.inner.high[a] - 1 - t.lesion->at[a]) * step;
        t.fine_first[a] = lattice_first(low, t.pitch, half);
        t.fine_n[a] = lattice_first(high, t.pitch, half) + t.fine_taps - t.fine_first[a];
        low = (float)t.fine_first[a] * t.pitch;
        high = (float)(t.fine_first[a] + t.fine_n[a] - 1) * t.pitch;
        t.coarse_first[a] = lattice_first(low, l->coarse, wide);
        t.coarse_n[a] = lattice_first(high, l->coarse, wide) + t.coarse_taps - t.coarse_first[a];
    }
    return t;
}

static __device__ float *grow_data(const struct grow_buffer &b, const struct grow_task &t) {
    return b.data + t.k * b.each;
}

#define GROW_EACH(t, k, w, number)                                                                 \
    CUDA_ROWS_EACH(k, (w).at_once)                                                                 \
    for (struct grow_task t = grow_task_of(w, k, number); t.lesion; t.lesion = NULL)

/* Splits the index of an element of [..][b][c]. */
static __device__ void grow_split(int64_t i, int32_t b, int32_t c, int32_t at[3]) {
    at[2] = (int32_t)(i % c);
    at[1] = (int32_t)(i / c % b);
    at[0] = (int32_t)(i / c / b);
}

static __device__ int64_t grow_count(const int32_t n[3]) {
    return (int64_t)n[0] * n[1] * n[2];
}

/* The weights of the blurs and of the lattices. */
static __global__ void grow_tables(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        const struct grown *l = &t.lesion->drawn;
        HF_CUDA_EACH(i, 3) {
            (void)blur_taps(l->edge / grown_spacing(&w.p, (int)i),
                            w.blur + (t.k * 3 + i) * MAX_TAPS);
        }
        for (int a = 0; a < 3; a++) {
            const struct grow_places *v = &w.voxel[a], *c = &w.cell[a];
            HF_CUDA_EACH(i, t.inner_n[a]) {
                float at =
                    ((float)(t.inner.low[a] - t.lesion->at[a]) + (float)i) * grown_spacing(&w.p, a);
                int32_t half = lattice_half(l->fine, t.pitch);
                v->first[t.k * v->most + i] = lattice_first(at, t.pitch, half);
                lattice_taps(at, l->fine, t.pitch, half, 0,
                             v->tap + (t.k * v->most + i) * LATTICE_TAPS);
            }
            HF_CUDA_EACH(i, t.fine_n[a]) {
                float at = ((float)t.fine_first[a] + (float)i) * t.pitch;
                int32_t half = lattice_half(l->coarse, l->coarse);
                c->first[t.k * c->most + i] = lattice_first(at, l->coarse, half);
                lattice_taps(at, l->coarse, l->coarse, half, 1,
                             c->tap + (t.k * c->most + i) * LATTICE_TAPS);
            }
        }
    }
}

/* The masks with hard edges. */
static __global__ void grow_carve(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        const struct grown *l = &t.lesion->drawn;
        const float inverse[3] = {1 / l->radius[0], 1 / l->radius[1], 1 / l->radius[2]};
        float half = 0.5f / l->radius[1], rim = rim_level(l, w.p.dims);
        float *hard = grow_data(w.plane[GROW_HARD], t), *rims = grow_data(w.plane[GROW_RIM], t);
        HF_CUDA_EACH(i, grow_count(t.n)) {
            int32_t at[3];
            bool in = true;
            float level = 2;
            grow_split(i, t.n[1], t.n[2], at);
            for (int a = 0; a < 3; a++) {
                at[a] += t.box.low[a];
                in = in && at[a] >= t.reach.low[a] && at[a] < t.reach.high[a];
            }
            int64_t voxel = ((int64_t)at[0] * w.size[1] + at[1]) * w.size[2] + at[2];
            if (in && w.liver[voxel] && w.region[voxel]) {
                const struct grown_plane plane =
                    grown_plane_at(l, (float)(at[0] - t.lesion->at[0]) * w.p.spacing_d);
                const struct grown_row row =
                    grown_row_at(l, (float)(at[1] - t.lesion->at[1]) * w.p.base.spacing[0]);
                const struct grown_column column = grown_column_at(
                    l, &plane, (float)(at[2] - t.lesion->at[2]) * w.p.base.spacing[1]);
                level = grown_level(&row, &column, half, inverse);
            }
            hard[i] = level <= 1 ? 1.0f : 0.0f;
            if (w.p.rim > 0)
                rims[i] = level <= 1 && level > rim ? 1.0f : 0.0f;
        }
    }
}

/* Blurs one plane into another along an axis. */
static __global__ void grow_blur(struct grow_work w, int32_t number, int axis, int from, int to) {
    GROW_EACH(t, k, w, number) {
        int32_t radius = blur_radius(t.lesion->drawn.edge / grown_spacing(&w.p, axis));
        const float *tap = w.blur + (t.k * 3 + axis) * MAX_TAPS + radius;
        const float *in = grow_data(w.plane[from], t);
        float *out = grow_data(w.plane[to], t);
        int64_t step = axis == 2 ? 1 : axis == 1 ? t.n[2] : (int64_t)t.n[1] * t.n[2];
        HF_CUDA_EACH(i, grow_count(t.n)) {
            int32_t at[3];
            float sum = 0;
            grow_split(i, t.n[1], t.n[2], at);
            int32_t low = at[axis] < radius ? -at[axis] : -radius;
            int32_t high = t.n[axis] - 1 - at[axis] < radius ? t.n[axis] - 1 - at[axis] : radius;
            for (int32_t j = low; j <= high; j++)
                sum += tap[j] * in[i + j * step];
            out[i] = sum;
        }
    }
}

static __global__ void grow_coarse(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        const struct hf_rng rng = w.group[t.group].rng;
        float *out = grow_data(w.coarse, t);
        HF_CUDA_EACH(i, grow_count(t.coarse_n)) {
            int32_t at[3];
            grow_split(i, t.coarse_n[1], t.coarse_n[2], at);
            out[i] =
                1.7320508f * lattice_noise(&rng, coarse_noise(number), t.coarse_first[0] + at[0],
                                           t.coarse_first[1] + at[1], t.coarse_first[2] + at[2]);
        }
    }
}

/* The sum of a lattice at place `i` of an axis, whose points are `step` apart in `in`. */
static __device__ float grow_sum(const struct grow_places &p, int64_t k, int32_t i, int32_t origin,
                                 int32_t taps, const float *in, int64_t step) {
    const float *tap = p.tap + (k * p.most + i) * LATTICE_TAPS;
    float sum = 0;
    in += (p.first[k * p.most + i] - origin) * step;
    for (int32_t j = 0; j < taps; j++)
        sum += tap[j] * in[j * step];
    return sum;
}

/* A lattice along W: from [a][b][points] to [a][b][places]. */
static __device__ void grow_sum_w(const struct grow_places &p, const struct grow_task &t,
                                  const int32_t points[3], int32_t origin, int32_t places,
                                  int32_t taps, const float *in, float *out) {
    HF_CUDA_EACH(i, (int64_t)points[0] * points[1] * places) {
        out[i] =
            grow_sum(p, t.k, (int32_t)(i % places), origin, taps, in + i / places * points[2], 1);
    }
}

/* Along H: from [a][points][c] to [a][places][c]. */
static __device__ void grow_sum_h(const struct grow_places &p, const struct grow_task &t,
                                  const int32_t points[3], int32_t origin, int32_t places,
                                  int32_t c, int32_t taps, const float *in, float *out) {
    HF_CUDA_EACH(i, (int64_t)points[0] * places * c) {
        int32_t at[3];
        grow_split(i, places, c, at);
        out[i] =
            grow_sum(p, t.k, at[1], origin, taps, in + (int64_t)at[0] * points[1] * c + at[2], c);
    }
}

static __global__ void grow_coarse_w(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        grow_sum_w(w.cell[2], t, t.coarse_n, t.coarse_first[2], t.fine_n[2], t.coarse_taps,
                   grow_data(w.coarse, t), grow_data(w.coarse_w, t));
    }
}

static __global__ void grow_coarse_h(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        grow_sum_h(w.cell[1], t, t.coarse_n, t.coarse_first[1], t.fine_n[1], t.fine_n[2],
                   t.coarse_taps, grow_data(w.coarse_w, t), grow_data(w.coarse_h, t));
    }
}

/* The single draws. */
static __global__ void grow_fine(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        const struct grown *l = &t.lesion->drawn;
        const struct hf_rng rng = w.group[t.group].rng;
        const float *in = grow_data(w.coarse_h, t);
        float *out = grow_data(w.fine, t);
        int64_t plane = (int64_t)t.fine_n[1] * t.fine_n[2];
        HF_CUDA_EACH(i, grow_count(t.fine_n)) {
            int32_t at[3];
            grow_split(i, t.fine_n[1], t.fine_n[2], at);
            float field = grow_sum(w.cell[0], t.k, at[0], t.coarse_first[0], t.coarse_taps,
                                   in + i % plane, plane);
            out[i] = cloud_hits(cloud_share(l, field), t.pitch,
                                lattice_noise(&rng, fine_noise(number), t.fine_first[0] + at[0],
                                              t.fine_first[1] + at[1], t.fine_first[2] + at[2]));
        }
    }
}

static __global__ void grow_fine_w(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        grow_sum_w(w.voxel[2], t, t.fine_n, t.fine_first[2], t.inner_n[2], t.fine_taps,
                   grow_data(w.fine, t), grow_data(w.fine_w, t));
    }
}

static __global__ void grow_fine_h(struct grow_work w, int32_t number) {
    GROW_EACH(t, k, w, number) {
        grow_sum_h(w.voxel[1], t, t.fine_n, t.fine_first[1], t.inner_n[1], t.inner_n[2],
                   t.fine_taps, grow_data(w.fine_w, t), grow_data(w.fine_h, t));
    }
}

static __global__ void grow_blend(struct grow_work w, int32_t number, int mask_plane,
                                  int rim_plane) {
    GROW_EACH(t, k, w, number) {
        const struct grown *l = &t.lesion->drawn;
        const float *hard = grow_data(w.plane[GROW_HARD], t);
        const float *masks = grow_data(w.plane[mask_plane], t);
        const float *rims = l->rim_width > 0 ? grow_data(w.plane[rim_plane], t) : NULL;
        const float *points = grow_data(w.fine_h, t);
        int64_t plane = (int64_t)t.inner_n[1] * t.inner_n[2];
        HF_CUDA_EACH(i, grow_count(t.inner_n)) {
            int32_t at[3];
            grow_split(i, t.inner_n[1], t.inner_n[2], at);
            int64_t place = at[0] + t.inner.low[0] - t.box.low[0];
            place = place * t.n[1] + at[1] + t.inner.low[1] - t.box.low[1];
            place = place * t.n[2] + at[2] + t.inner.low[2] - t.box.low[2];
            int32_t d = at[0] + t.inner.low[0];
            int64_t voxel = ((int64_t)d * w.size[1] + at[1] + t.inner.low[1]) * w.size[2] + at[2] +
                            t.inner.low[2];
            float mask = grown_mask(masks[place]);
            if (mask <= 0 || !w.liver[voxel] || !w.region[voxel])
                continue;
            float texture = cloud_voxel(l, grow_sum(w.voxel[0], t.k, at[0], t.fine_first[0],
                                                    t.fine_taps, points + i % plane, plane));
            float now = w.p.soft ? mask : hard[place];
            w.image[voxel] = grown_voxel(l, w.image[voxel], w.healthy[voxel], mask,
                                         rims ? rims[place] : 0, texture);
            w.lesion[voxel] = now > w.lesion[voxel] ? now : w.lesion[voxel];
            uint32_t bit = 1u << grow_segment(w, voxel);
            if (mask >= LESION_TOUCHES && !(*(volatile uint32_t *)&w.touched[d] & bit))
                atomicOr(&w.touched[d], bit);
        }
    }
}

/* ---- the hole ---- */

static __global__ void grow_taken(struct grow_work w) {
    HF_CUDA_EACH(d, w.p.hide == HIDE_SLICE ? w.size[0] : 1) {
        struct hf_rng rng = shapes_stream(&w.p.base.rng, (uint32_t)d);
        if (w.p.hide == HIDE_SLICE) {
            if (w.p.dims == 2)
                rng = w.group[d].rng;
            w.taken[d] =
                draw_segments(&rng, &w.p.base, w.count + d * SHAPES_SEGMENTS, w.touched[d]);
        } else {
            int32_t count[SHAPES_SEGMENTS] = {0};
            uint32_t taken = 0;
            for (int32_t s = 0; s < w.size[0]; s++) {
                taken |= w.touched[s];
                for (int k = 0; k < SHAPES_SEGMENTS; k++)
                    count[k] += w.count[(int64_t)s * SHAPES_SEGMENTS + k];
            }
            rng = w.p.dims == 3 ? w.group[0].rng
                                : shapes_stream(&w.p.base.rng, (uint32_t)VOLUME_STREAM);
            taken = draw_segments(&rng, &w.p.base, count, taken);
            for (int32_t s = 0; s < w.size[0]; s++)
                w.taken[s] = taken;
        }
    }
}

static __global__ void grow_hide(struct grow_work w) {
    int64_t plane = (int64_t)w.size[1] * w.size[2];
    CUDA_ROWS_EACH(d, w.size[0]) {
        uint32_t taken = w.taken[d];
        bool any = w.drawn[d] || w.touched[d];
        HF_CUDA_EACH(i, plane) {
            int64_t at = d * plane + i;
            w.hole[at] = any && is_hidden(w.liver[at], w.region[at], grow_segment(w, at), taken);
        }
    }
}

/* A lesion of each of the groups from w.first on. */
static inline void grow_add(const struct grow_work &w, int32_t n, dim3 grid, void *stream) {
    int mask = w.p.dims == 3 ? GROW_A : GROW_B, rim = w.p.dims == 3 ? GROW_B : GROW_RIM;
    HF_CUDA_LAUNCH(grow_tables, dim3(1, grid.y), HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_carve, grid, HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_blur, grid, HF_CUDA_THREADS, stream, w, n, 2, GROW_HARD, GROW_A);
    HF_CUDA_LAUNCH(grow_blur, grid, HF_CUDA_THREADS, stream, w, n, 1, GROW_A, GROW_B);
    if (w.p.dims == 3)
        HF_CUDA_LAUNCH(grow_blur, grid, HF_CUDA_THREADS, stream, w, n, 0, GROW_B, GROW_A);
    if (w.p.rim > 0) {
        int other = mask == GROW_A ? GROW_B : GROW_A;
        HF_CUDA_LAUNCH(grow_blur, grid, HF_CUDA_THREADS, stream, w, n, 2, GROW_RIM, other);
        HF_CUDA_LAUNCH(grow_blur, grid, HF_CUDA_THREADS, stream, w, n, 1, other, GROW_RIM);
        if (w.p.dims == 3)
            HF_CUDA_LAUNCH(grow_blur, grid, HF_CUDA_THREADS, stream, w, n, 0, GROW_RIM, other);
    }
    HF_CUDA_LAUNCH(grow_coarse, grid, HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_coarse_w, grid, HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_coarse_h, grid, HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_fine, grid, HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_fine_w, grid, HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_fine_h, grid, HF_CUDA_THREADS, stream, w, n);
    HF_CUDA_LAUNCH(grow_blend, grid, HF_CUDA_THREADS, stream, w, n, mask, rim);
}

static inline enum hf_status grow(const struct hf_op_call *call, void *scratch, void *stream,
                                  struct hf_error *e) {
    struct grow_work w;
    (void)grow_lay_out(call, scratch, &w);
    w.healthy = HF_DATA(const float, call->in[0]);
    w.liver = HF_DATA(const uint8_t, call->in[1]);
    w.region = HF_DATA(const uint8_t, call->in[2]);
    w.couinaud = call->inputs > 3 ? HF_DATA(const uint8_t, call->in[3]) : NULL;
    w.image = HF_DATA(float, call->out[0]);
    w.lesion = HF_DATA(float, call->out[1]);
    w.hole = HF_DATA(uint8_t, call->out[2]);
    w.drawn = HF_DATA(uint8_t, call->out[3]);
    int64_t plane = (int64_t)w.size[1] * w.size[2], slots = (int64_t)w.groups * w.lesions;
    dim3 grid = cuda_rows_grid(w.at_once, w.plane[GROW_HARD].each / 4);

    HF_CUDA_LAUNCH(grow_copy, hf_cuda_grid(w.size[0] * plane), HF_CUDA_THREADS, stream, w);
    HF_CUDA_LAUNCH(grow_survey, cuda_count_grid(w.size[0]), SHAPES_THREADS, stream, w);
    HF_CUDA_LAUNCH(grow_draw, hf_cuda_grid(w.groups), HF_CUDA_THREADS, stream, w);
    HF_CUDA_LAUNCH(grow_place, cuda_count_grid(slots), SHAPES_THREADS, stream, w);
    for (w.first = 0; w.first < w.groups; w.first += w.at_once)
        for (int32_t n = 0; n < w.lesions; n++)
            grow_add(w, n, grid, stream);
    HF_CUDA_LAUNCH(grow_taken, hf_cuda_grid(w.size[0]), HF_CUDA_THREADS, stream, w);
    HF_CUDA_LAUNCH(grow_hide, cuda_rows_grid(w.size[0], plane), HF_CUDA_THREADS, stream, w);
    return hf_cuda_launched("tumor_synthesis.ellipsoid", e);
}

#endif
