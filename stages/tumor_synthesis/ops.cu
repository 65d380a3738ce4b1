/**
 * ops.cu - "tumor_synthesis.draw" on CUDA: random lesions in each slice of a volume.
 *
 * What is random of the lesions comes first, a block for each slice, in the CPU's order. Then the
 * lesions of all slices take their outlines (a block each) and their masks and textures (all voxels
 * of the boxes around them), for none of this depends on another lesion. Last they are put into the
 * image one after the other, as a lesion dims what is there, and that may be another lesion.
 */
#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "../shapes/allow_cuda.h"
#include "../shapes/shapes_cuda.h"
#include "lesion.h"
#include "ops.h"

#define OUTLINE_THREADS 512
#define EACH            4 /* voxels of a thread that look for their superpixel side by side */

/* The slices whose masks and textures are made at once have planes of so much memory. */
#ifdef SMALL_SCRATCH /* tests: slices take turns in small volumes too */
#define PLANES_BYTES ((size_t)1 << 20)
#else
#define PLANES_BYTES ((size_t)256 << 20)
#endif

#include "ellipsoid_cuda.h"

enum blur {
    BLUR_ELASTIC,
    BLUR_TEXTURE,
    BLUR_EDGE,
    BLUR_DAMP,
    BLURS
};

/* Planes of a lesion, each for several things in turn. What is blurred along W is in the second
 * half. */
enum plane {
    PLANE_SHIFT_W,
    PLANE_SHIFT_H,
    PLANE_TEXTURE,
    PLANE_W_SHIFT_W,
    PLANE_W_SHIFT_H,
    PLANE_W_TEXTURE,
    PLANES,
    PLANE_MASK = PLANE_SHIFT_W,
    PLANE_W_MASK = PLANE_W_SHIFT_W,
    PLANE_LOW = PLANE_SHIFT_H, /* the smoothed image */
    PLANE_W_IMAGE = PLANE_W_SHIFT_W,
    PLANE_W_LIVER = PLANE_W_SHIFT_H
};

/* What is drawn for a slice. */
struct slice {
    struct hf_rng rng;
    int32_t count[SHAPES_SEGMENTS]; /* region voxels of each segment */
    int32_t voxels;                 /* of the region */
    int32_t enough, lesions;
    uint32_t touched; /* segments, a bit each */
};

/* A lesion and what comes of it. */
struct tumor {
    struct lesion drawn;
    struct ellipse outline;
    struct box box;
    int32_t radius[BLURS][2]; /* of the kernels along H, W */
    float scale;              /* see elastic_scale */
    float texture_gain;
    unsigned long long mask_sum, low_sum; /* shapes_fixed */
};

/* The operands, and the parts of scratch. A lesion's index is slice * lesions + its number. */
struct work {
    struct synthesis_params p;
    int64_t depth;
    int32_t h, w;
    int32_t lesions; /* at most, of a slice */
    const float *healthy;
    const uint8_t *liver, *region, *couinaud; /* couinaud: NULL = one segment */
    float *image, *lesion;
    uint8_t *hole, *drawn;
    struct slice *slice; /* [depth] */
    struct tumor *tumor; /* [depth][lesions] */
    int32_t *seed;       /* [depth][lesions][MAX_SUPERPIXELS] */
    float *tap;          /* [depth][lesions][BLURS][2][MAX_TAPS] */
    uint32_t *word;      /* [depth][words]: the region */
    int32_t *before;     /* [depth][words] */
    int32_t *voxel;      /* [depth][h * w]: the region's voxels */
    float *plane;        /* [at_once][lesions][PLANES][h][w] */
    int64_t first, at_once;
};

static size_t lay_out(const struct hf_op_call *call, void *scratch, struct work *w) {
    const struct synthesis_params *p = (const struct synthesis_params *)call->params;
    const int64_t *shape = call->in[0]->shape;
    int64_t plane = shape[2] * shape[3], words = voxel_set_words(plane);
    size_t bytes = 0;
    w->p = *p;
    w->depth = shape[1];
    w->h = (int32_t)shape[2];
    w->w = (int32_t)shape[3];
    w->lesions = (int32_t)(p->lesions.high + 0.5f);
    w->lesions = w->lesions > 1 ? w->lesions : 1;
    int64_t tumors = w->depth * w->lesions;
    size_t each = (size_t)(w->lesions * PLANES * plane) * sizeof(float);
    w->at_once = each < PLANES_BYTES ? (int64_t)(PLANES_BYTES / each) : 1;
    w->at_once = w->at_once < w->depth ? w->at_once : w->depth;
    w->first = 0;
    w->slice = shapes_take<struct slice>(scratch, &bytes, w->depth);
    w->tumor = shapes_take<struct tumor>(scratch, &bytes, tumors);
    w->seed = shapes_take<int32_t>(scratch, &bytes, tumors * MAX_SUPERPIXELS);
    w->tap = shapes_take<float>(scratch, &bytes, tumors * BLURS * 2 * MAX_TAPS);
    w->word = shapes_take<uint32_t>(scratch, &bytes, w->depth * words);
    w->before = shapes_take<int32_t>(scratch, &bytes, w->depth * words);
    w->voxel = shapes_take<int32_t>(scratch, &bytes, w->depth * plane);
    w->plane = shapes_take<float>(scratch, &bytes, w->at_once * w->lesions * PLANES * plane);
    return bytes;
}

static size_t draw_scratch(const struct hf_op_call *call) {
    struct work w;
    return lay_out(call, NULL, &w);
}

static __device__ int segment_at(const struct work &w, int64_t i) {
    return w.couinaud ? segment_of(w.couinaud[i]) : 1;
}

/* ---- what is random ---- */

static __global__ void copy_image(struct work w) {
    HF_CUDA_EACH(i, w.depth * w.h * w.w) {
        w.image[i] = w.healthy[i];
        w.lesion[i] = 0;
    }
}

/* The region's voxels in scan order. */
static __device__ int32_t list_region(const struct work &w, int64_t d) {
    int32_t plane = w.h * w.w, words = voxel_set_words(plane), lane = (int32_t)threadIdx.x % 32;
    struct voxel_set set = {w.word + d * words, w.before + d * words, words};
    int32_t voxels = voxel_set_fill(
        &set, plane, [&](int32_t i) { return w.liver[d * plane + i] && w.region[d * plane + i]; });
    for (int32_t k = (int32_t)threadIdx.x / 32; k < words; k += SHAPES_THREADS / 32) {
        uint32_t bits = set.word[k];
        if (bits >> lane & 1)
            w.voxel[d * plane + set.before[k] + __popc(bits & ((1u << lane) - 1))] = k * 32 + lane;
    }
    return voxels;
}

static __global__ void __launch_bounds__(SHAPES_THREADS) draw_slices(struct work w) {
    __shared__ int32_t count[SHAPES_SEGMENTS];
    int32_t plane = w.h * w.w;
    for (int64_t d = blockIdx.x; d < w.depth; d += gridDim.x) {
        count_segments(
            plane,
            [&](int32_t i) {
                int64_t at = d * plane + i;
                return w.liver[at] && w.region[at] ? segment_at(w, at) : -1;
            },
            count);
        int32_t voxels = list_region(w, d);
        if (threadIdx.x == 0) {
            struct slice s;
            s.rng = shapes_stream(&w.p.rng, (uint32_t)d);
            s.voxels = voxels;
            s.touched = 0;
            s.enough = is_enough(&w.p, voxels);
            s.lesions = s.enough ? draw_lesions(&s.rng, &w.p) : 0;
            for (int k = 0; k < SHAPES_SEGMENTS; k++)
                s.count[k] = count[k];
            for (int32_t n = 0; n < s.lesions; n++) {
                int64_t t = d * w.lesions + n;
                w.tumor[t].drawn = draw_lesion(&s.rng, &w.p, voxels, w.seed + t * MAX_SUPERPIXELS);
                w.tumor[t].mask_sum = w.tumor[t].low_sum = 0;
            }
            w.slice[d] = s;
            w.drawn[d] = (uint8_t)s.enough;
        }
        __syncthreads();
    }
}

/* ---- outlines ---- */

#define SUMS 7 /* of struct superpixel */

/* Sums that threads add to: the words of the 64-bit numbers, low before high. */
union sums {
    struct superpixel s;
    uint32_t word[2 * SUMS];
};
static_assert(sizeof(union sums) == sizeof(struct superpixel), "an array of one is one of both");

/* GPUs add to 32 bits of shared memory in one step, but to 64 only by trying. */
static __device__ void add_to(uint32_t *word, int64_t v) {
    uint32_t low = (uint32_t)v, high = (uint32_t)((uint64_t)v >> 32);
    uint32_t old = atomicAdd(&word[0], low);
    high += old + low < old;
    if (high)
        atomicAdd(&word[1], high);
}

static __device__ void add_sums(union sums *to, const struct superpixel &s, bool moments) {
    add_to(to->word, s.n);
    add_to(to->word + 2, s.x);
    add_to(to->word + 4, s.y);
    add_to(to->word + 6, s.value);
    if (moments) {
        add_to(to->word + 8, s.xx);
        add_to(to->word + 10, s.xy);
        add_to(to->word + 12, s.yy);
    }
}

/* Adds the region's voxels to the superpixels whose centres are the nearest. */
static __device__ void assign(const struct work &w, int64_t d, int32_t voxels,
                              const struct centre *centre, int32_t n, bool moments,
                              union sums *sum) {
    const int32_t *voxel = w.voxel + d * w.h * w.w;
    const float *healthy = w.healthy + d * w.h * w.w;
    float pitch = superpixel_pitch(w.p.spacing, voxels, n);
    for (int32_t j = (int32_t)threadIdx.x * EACH; j < voxels; j += OUTLINE_THREADS * EACH) {
        int32_t x[EACH], y[EACH], near[EACH];
        float along_w[EACH], along_h[EACH], value[EACH], best[EACH];
        for (int l = 0; l < EACH; l++) {
            int32_t i = voxel[j + l < voxels ? j + l : j];
            x[l] = i % w.w;
            y[l] = i / w.w;
            along_w[l] = (float)x[l] * w.p.spacing[1];
            along_h[l] = (float)y[l] * w.p.spacing[0];
            value[l] = healthy[i];
            best[l] = INFINITY;
            near[l] = 0;
        }
        for (int32_t k = 0; k < n; k++) {
            const struct centre c = centre[k];
            for (int l = 0; l < EACH; l++) {
                float far = superpixel_distance2(along_w[l] - c.x, along_h[l] - c.y, pitch,
                                                 value[l] - c.value, w.p.compactness);
                near[l] = far < best[l] ? k : near[l];
                best[l] = far < best[l] ? far : best[l];
            }
        }
        /* Neighbours are mostly of one superpixel, and are added together. */
        struct superpixel run = {0, 0, 0, 0, 0, 0, 0};
        for (int l = 0; l < EACH; l++) {
            if (j + l >= voxels)
                break;
            add_voxel(&run, x[l], y[l], value[l]);
            if (l + 1 == EACH || j + l + 1 == voxels || near[l + 1 < EACH ? l + 1 : l] != near[l]) {
                add_sums(&sum[near[l]], run, moments);
                run = {0, 0, 0, 0, 0, 0, 0};
            }
        }
    }
}

/* Cuts the region into superpixels. The block shares `sum` and `centre`. */
static __device__ void cluster(const struct work &w, int64_t d, int32_t voxels, const int32_t *seed,
                               int32_t n, struct centre *centre, union sums *sum) {
    int32_t t = (int32_t)threadIdx.x;
    for (int32_t k = t; k < n; k += OUTLINE_THREADS) {
        int32_t i = w.voxel[d * w.h * w.w + seed[k]];
        centre[k] = {(float)(i % w.w) * w.p.spacing[1], (float)(i / w.w) * w.p.spacing[0],
                     w.healthy[d * w.h * w.w + i]};
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int32_t k = t; k < n; k += OUTLINE_THREADS) {
            if (round > 0)
                move_centre(w.p.spacing, &sum[k].s, &centre[k]);
            sum[k].s = {0, 0, 0, 0, 0, 0, 0};
        }
        __syncthreads();
        assign(w, d, voxels, centre, n, round + 1 == ROUNDS, sum);
        __syncthreads();
    }
}

/* The sums over the whole region, as one superpixel. */
static __device__ void sum_region(const struct work &w, int64_t d, int32_t voxels,
                                  union sums *sum) {
    struct superpixel mine = {0, 0, 0, 0, 0, 0, 0};
    for (int32_t j = (int32_t)threadIdx.x; j < voxels; j += OUTLINE_THREADS) {
        int32_t i = w.voxel[d * w.h * w.w + j];
        add_voxel(&mine, i % w.w, i / w.w, 0);
    }
    if (threadIdx.x == 0)
        sum->s = {0, 0, 0, 0, 0, 0, 0};
    __syncthreads();
    add_sums(sum, mine, true);
    __syncthreads();
}

static __device__ struct ellipse outline_of(const struct work &w, int64_t d, const struct lesion &l,
                                            const union sums *sum) {
    if (w.p.method == METHOD_ELLIPSE) {
        struct ellipse e = l.ellipse;
        int32_t i = w.voxel[d * w.h * w.w + l.at];
        e.x = (float)(i % w.w) * w.p.spacing[1];
        e.y = (float)(i / w.w) * w.p.spacing[0];
        return e;
    }
    return fit_ellipse(&w.p, &sum[pick_superpixel(&l, &sum->s)].s);
}

static __global__ void __launch_bounds__(OUTLINE_THREADS) make_outlines(struct work w) {
    __shared__ union sums sum[MAX_SUPERPIXELS];
    __shared__ struct centre centre[MAX_SUPERPIXELS];
    __shared__ float tap[BLURS * 2][MAX_TAPS], gain[BLURS * 2];
    for (int64_t t = blockIdx.x; t < w.depth * w.lesions; t += gridDim.x) {
        int64_t d = t / w.lesions;
        int32_t voxels = w.slice[d].voxels;
        if (t % w.lesions >= w.slice[d].lesions)
            continue;
        struct tumor &tumor = w.tumor[t];
        const struct lesion &l = tumor.drawn;
        if (w.p.method == METHOD_SUPERPIXEL && l.superpixels > 0)
            cluster(w, d, voxels, w.seed + t * MAX_SUPERPIXELS, l.superpixels, centre, sum);
        else if (w.p.method == METHOD_SUPERPIXEL)
            sum_region(w, d, voxels, sum);
        if (threadIdx.x < BLURS * 2) {
            const float mm[BLURS] = {l.elastic_size, l.texture_size, l.edge, w.p.damp_size};
            int blur = (int)threadIdx.x / 2, axis = (int)threadIdx.x % 2;
            float sigma = mm[blur] / w.p.spacing[axis];
            gain[threadIdx.x] = blur_taps(sigma, tap[threadIdx.x]);
            tumor.radius[blur][axis] = blur_radius(sigma);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            tumor.outline = outline_of(w, d, l, sum);
            tumor.box = box_around(&w.p, w.h, w.w, &tumor.outline);
            tumor.scale =
                elastic_scale(l.elastic_shift, gain[2 * BLUR_ELASTIC + 1] * gain[2 * BLUR_ELASTIC]);
            tumor.texture_gain = gain[2 * BLUR_TEXTURE + 1] * gain[2 * BLUR_TEXTURE];
        }
        for (int32_t k = 0; k < BLURS * 2; k++)
            for (int32_t i = (int32_t)threadIdx.x; i <= 2 * tumor.radius[k / 2][k % 2];
                 i += OUTLINE_THREADS)
                w.tap[(t * BLURS * 2 + k) * MAX_TAPS + i] = tap[k][i];
        __syncthreads();
    }
}

/* ---- masks and textures ---- */

/* Walks over the voxels of a box with the grid's first dimension: `i` is the voxel's place in the
 * plane, `x` and `y` its column and row. */
#define BOX_EACH(i, x, y, box, w)                                                                  \
    HF_CUDA_EACH(i##_in_, (int64_t)((box).x1 - (box).x0) * ((box).y1 - (box).y0))                  \
        for (int32_t x = (box).x0 + (int32_t)i##_in_ % ((box).x1 - (box).x0),                      \
                     y = (box).y0 + (int32_t)i##_in_ / ((box).x1 - (box).x0), i = y * (w) + x,     \
                     i##_once_ = 1;                                                                \
             i##_once_; i##_once_ = 0)

/* A lesion that is worked on, and where it is. */
struct place {
    struct tumor *tumor; /* NULL: there is none */
    int64_t slice, number;
    float *plane; /* [PLANES][h][w] */
    int64_t at;   /* of the slice's first voxel */
    struct box box;
};

/* `k` counts the lesions of the slices that are worked on at once. */
static __device__ struct place place_of(const struct work &w, int64_t k) {
    struct place a;
    a.slice = w.first + k / w.lesions;
    a.number = k % w.lesions;
    a.tumor = NULL;
    a.at = a.slice * w.h * w.w;
    a.plane = w.plane + k * PLANES * w.h * w.w;
    if (a.slice < w.depth && a.number < w.slice[a.slice].lesions) {
        a.tumor = w.tumor + a.slice * w.lesions + a.number;
        a.box = a.tumor->box;
    }
    return a;
}

static __device__ float *plane_of(const struct work &w, const struct place &a, enum plane which) {
    return a.plane + (int64_t)which * w.h * w.w;
}

/* One axis of a blur over a lesion's box, as blur_axis on the CPU. */
struct axis {
    const float *tap; /* the middle one */
    int32_t radius;
    int32_t step;      /* from one voxel to the next */
    int32_t low, high; /* of the box, along the axis */
};

static __device__ struct axis axis_of(const struct work &w, const struct place &a, enum blur blur,
                                      int along_w) {
    struct axis axis;
    axis.radius = a.tumor->radius[blur][along_w];
    axis.tap =
        w.tap + (((a.tumor - w.tumor) * BLURS + blur) * 2 + along_w) * MAX_TAPS + axis.radius;
    axis.step = along_w ? 1 : w.w;
    axis.low = along_w ? a.box.x0 : a.box.y0;
    axis.high = along_w ? a.box.x1 : a.box.y1;
    return axis;
}

/* `read(i)` is the plane at voxel i; `at` is where the voxel is on the axis. */
template <typename Read>
static __device__ float blur_voxel(const struct axis &axis, int32_t i, int32_t at, Read read) {
    int32_t low = axis.low - at, high = axis.high - 1 - at;
    int32_t from = low > -axis.radius ? low : -axis.radius;
    int32_t to = high < axis.radius ? high : axis.radius;
    float v = 0, weight = 0;
    for (int32_t k = from; k <= to; k++) {
        v += axis.tap[k] * read(i + k * axis.step);
        weight += axis.tap[k];
    }
    return v / weight;
}

static __device__ float blur_plane(const struct axis &axis, int32_t i, int32_t at,
                                   const float *plane) {
    return blur_voxel(axis, i, at, [=](int32_t k) { return plane[k]; });
}

#define LESIONS_EACH(a, k, w)                                                                      \
    CUDA_ROWS_EACH(k, (w).at_once *(w).lesions)                                                    \
    for (struct place a = place_of(w, k); a.tumor; a.tumor = NULL)

static __global__ void make_noise(struct work w) {
    LESIONS_EACH(a, k, w) {
        const struct hf_rng rng = w.slice[a.slice].rng;
        uint32_t number = (uint32_t)a.number * NOISE_PLANES;
        float *shift_w = plane_of(w, a, PLANE_SHIFT_W), *shift_h = plane_of(w, a, PLANE_SHIFT_H);
        float *texture = plane_of(w, a, PLANE_TEXTURE);
        BOX_EACH(i, x, y, a.box, w.w) {
            float f[4];
            shapes_noise(&rng, number + NOISE_SHIFT, (uint32_t)i, f);
            shift_w[i] = 2 * f[0] - 1;
            shift_h[i] = 2 * f[1] - 1;
            shapes_noise(&rng, number + NOISE_TEXTURE, (uint32_t)i, f);
            texture[i] = shapes_normal(f[0], f[1]);
        }
    }
}

static __global__ void blur_noise(struct work w) {
    LESIONS_EACH(a, k, w) {
        struct axis elastic = axis_of(w, a, BLUR_ELASTIC, 1);
        struct axis texture = axis_of(w, a, BLUR_TEXTURE, 1);
        BOX_EACH(i, x, y, a.box, w.w) {
            plane_of(w, a, PLANE_W_SHIFT_W)[i] =
                blur_plane(elastic, i, x, plane_of(w, a, PLANE_SHIFT_W));
            plane_of(w, a, PLANE_W_SHIFT_H)[i] =
                blur_plane(elastic, i, x, plane_of(w, a, PLANE_SHIFT_H));
            plane_of(w, a, PLANE_W_TEXTURE)[i] =
                blur_plane(texture, i, x, plane_of(w, a, PLANE_TEXTURE));
        }
    }
}

/* The masks with hard edges. */
static __global__ void shape_masks(struct work w) {
    LESIONS_EACH(a, k, w) {
        struct axis elastic = axis_of(w, a, BLUR_ELASTIC, 0);
        struct axis texture = axis_of(w, a, BLUR_TEXTURE, 0);
        const struct ellipse e = a.tumor->outline;
        float scale = a.tumor->scale;
        BOX_EACH(i, x, y, a.box, w.w) {
            float along_w = blur_plane(elastic, i, y, plane_of(w, a, PLANE_W_SHIFT_W));
            float along_h = blur_plane(elastic, i, y, plane_of(w, a, PLANE_W_SHIFT_H));
            plane_of(w, a, PLANE_MASK)[i] = mask_voxel(&w.p, &e, x, y, scale, along_w, along_h);
            plane_of(w, a, PLANE_TEXTURE)[i] =
                blur_plane(texture, i, y, plane_of(w, a, PLANE_W_TEXTURE));
        }
    }
}

static __global__ void blur_edges(struct work w) {
    LESIONS_EACH(a, k, w) {
        struct axis edge = axis_of(w, a, BLUR_EDGE, 1);
        BOX_EACH(i, x, y, a.box, w.w) {
            plane_of(w, a, PLANE_W_MASK)[i] = blur_plane(edge, i, x, plane_of(w, a, PLANE_MASK));
        }
    }
}

/* A block's part of a sum. */
static __device__ void add_block(unsigned long long *to, int64_t mine) {
    int64_t sum = hf_cuda_block_sum<HF_CUDA_THREADS>(mine);
    if (threadIdx.x == 0 && sum != 0)
        atomicAdd(to, (unsigned long long)sum);
}

static __global__ void finish_masks(struct work w) {
    LESIONS_EACH(a, k, w) {
        struct axis edge = axis_of(w, a, BLUR_EDGE, 0);
        int64_t mine = 0;
        BOX_EACH(i, x, y, a.box, w.w) {
            float mask = blur_plane(edge, i, y, plane_of(w, a, PLANE_W_MASK));
            mask = w.liver[a.at + i] && w.region[a.at + i] ? mask : 0;
            plane_of(w, a, PLANE_MASK)[i] = mask;
            mine += shapes_fixed(mask);
        }
        add_block(&a.tumor->mask_sum, mine);
    }
}

/* ---- into the image: the lesions of one number in all slices ---- */

#define VISIBLE_EACH(a, k, w, number)                                                              \
    CUDA_ROWS_EACH(k, (w).at_once)                                                                 \
    for (struct place a = place_of(w, k * (w).lesions + (number));                                 \
         a.tumor && is_visible((int64_t)a.tumor->mask_sum); a.tumor = NULL)

static __global__ void smooth_along_w(struct work w, int32_t number) {
    VISIBLE_EACH(a, k, w, number) {
        struct axis damp = axis_of(w, a, BLUR_DAMP, 1);
        const uint8_t *liver = w.liver + a.at;
        const float *image = w.image + a.at;
        BOX_EACH(i, x, y, a.box, w.w) {
            plane_of(w, a, PLANE_W_IMAGE)[i] =
                blur_voxel(damp, i, x, [=](int32_t at) { return liver[at] ? image[at] : 0.0f; });
            plane_of(w, a, PLANE_W_LIVER)[i] =
                blur_voxel(damp, i, x, [=](int32_t at) { return liver[at] ? 1.0f : 0.0f; });
        }
    }
}

static __global__ void smooth_along_h(struct work w, int32_t number) {
    VISIBLE_EACH(a, k, w, number) {
        struct axis damp = axis_of(w, a, BLUR_DAMP, 0);
        int64_t mine = 0;
        BOX_EACH(i, x, y, a.box, w.w) {
            float sum = blur_plane(damp, i, y, plane_of(w, a, PLANE_W_IMAGE));
            float weight = blur_plane(damp, i, y, plane_of(w, a, PLANE_W_LIVER));
            float low = weight > 0 ? sum / weight : 0;
            plane_of(w, a, PLANE_LOW)[i] = low;
            mine += shapes_fixed(plane_of(w, a, PLANE_MASK)[i] * low);
        }
        add_block(&a.tumor->low_sum, mine);
    }
}

static __global__ void add_lesions(struct work w, int32_t number) {
    __shared__ uint32_t touched;
    VISIBLE_EACH(a, k, w, number) {
        const struct lesion l = a.tumor->drawn;
        float gain = a.tumor->texture_gain;
        float mean = mean_under((int64_t)a.tumor->low_sum, (int64_t)a.tumor->mask_sum);
        uint32_t mine = 0;
        if (threadIdx.x == 0)
            touched = 0;
        __syncthreads();
        BOX_EACH(i, x, y, a.box, w.w) {
            float mask = plane_of(w, a, PLANE_MASK)[i];
            if (mask > 0) {
                float *image = w.image + a.at + i, *lesion = w.lesion + a.at + i;
                float texture = l.texture * plane_of(w, a, PLANE_TEXTURE)[i] / gain;
                *image = lesion_voxel(*image, mask, l.contrast, texture,
                                      plane_of(w, a, PLANE_LOW)[i], mean, w.p.damp);
                *lesion = fmaxf(*lesion, mask);
                if (mask >= LESION_TOUCHES)
                    mine |= 1u << segment_at(w, a.at + i);
            }
        }
        if (mine)
            atomicOr(&touched, mine);
        __syncthreads();
        if (threadIdx.x == 0 && touched)
            atomicOr(&w.slice[a.slice].touched, touched);
        __syncthreads();
    }
}

static __global__ void hide(struct work w) {
    __shared__ uint32_t taken;
    int32_t plane = w.h * w.w;
    CUDA_ROWS_EACH(d, w.depth) {
        int32_t enough = w.slice[d].enough;
        if (threadIdx.x == 0 && enough) {
            struct hf_rng rng = w.slice[d].rng;
            taken = draw_segments(&rng, &w.p, w.slice[d].count, w.slice[d].touched);
        }
        __syncthreads();
        HF_CUDA_EACH(i, plane) {
            int64_t at = d * plane + i;
            w.hole[at] = enough && is_hidden(w.liver[at], w.region[at], segment_at(w, at), taken);
        }
        __syncthreads();
    }
}

static enum hf_status draw(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    struct work w;
    lay_out(call, scratch, &w);
    w.healthy = HF_DATA(const float, call->in[0]);
    w.liver = HF_DATA(const uint8_t, call->in[1]);
    w.region = HF_DATA(const uint8_t, call->in[2]);
    w.couinaud = call->inputs > 3 ? HF_DATA(const uint8_t, call->in[3]) : NULL;
    w.image = HF_DATA(float, call->out[0]);
    w.lesion = HF_DATA(float, call->out[1]);
    w.hole = HF_DATA(uint8_t, call->out[2]);
    w.drawn = HF_DATA(uint8_t, call->out[3]);
    int64_t plane = (int64_t)w.h * w.w;
    /* A lesion's box is a part of the plane: a thread has some voxels of it. */
    int64_t blocks = plane / (8 * HF_CUDA_THREADS) + 1;
    dim3 each = cuda_rows_grid(w.at_once * w.lesions, 1), one = cuda_rows_grid(w.at_once, 1);
    each.x = one.x = (unsigned)(blocks < 128 ? blocks : 128);

    HF_CUDA_LAUNCH(copy_image, hf_cuda_grid(w.depth * plane), HF_CUDA_THREADS, stream, w);
    HF_CUDA_LAUNCH(draw_slices, cuda_count_grid(w.depth), SHAPES_THREADS, stream, w);
    HF_CUDA_LAUNCH(make_outlines, cuda_count_grid(w.depth * w.lesions), OUTLINE_THREADS, stream, w);
    for (w.first = 0; w.first < w.depth; w.first += w.at_once) {
        HF_CUDA_LAUNCH(make_noise, each, HF_CUDA_THREADS, stream, w);
        HF_CUDA_LAUNCH(blur_noise, each, HF_CUDA_THREADS, stream, w);
        HF_CUDA_LAUNCH(shape_masks, each, HF_CUDA_THREADS, stream, w);
        HF_CUDA_LAUNCH(blur_edges, each, HF_CUDA_THREADS, stream, w);
        HF_CUDA_LAUNCH(finish_masks, each, HF_CUDA_THREADS, stream, w);
        for (int32_t n = 0; n < w.lesions; n++) {
            HF_CUDA_LAUNCH(smooth_along_w, one, HF_CUDA_THREADS, stream, w, n);
            HF_CUDA_LAUNCH(smooth_along_h, one, HF_CUDA_THREADS, stream, w, n);
            HF_CUDA_LAUNCH(add_lesions, one, HF_CUDA_THREADS, stream, w, n);
        }
    }
    HF_CUDA_LAUNCH(hide, cuda_rows_grid(w.depth, plane), HF_CUDA_THREADS, stream, w);
    return hf_cuda_launched("tumor_synthesis.draw", e);
}

HF_CUDA_MODULE("tumor_synthesis.cuda", {"tumor_synthesis.draw", HF_KIND_CUDA, draw, draw_scratch},
               {"tumor_synthesis.ellipsoid", HF_KIND_CUDA, grow, grow_scratch},
               ALLOW_CUDA_OP("tumor_synthesis"))
