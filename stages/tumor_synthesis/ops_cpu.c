/**
 * ops_cpu.c - "tumor_synthesis.draw" on the CPU: random lesions in each slice of a volume.
 */
#include <string.h>

#include "../shapes/superpixels_cpu.h"
#include "lesion.h"
#include "ops.h"

/* One slice and its scratch planes, each of h * w. */
struct slice {
    const struct synthesis_params *p;
    struct hf_rng rng;
    int64_t h, w;
    const uint8_t *liver, *region, *couinaud; /* couinaud: NULL = one segment */
    const float *healthy;                     /* the image before any lesion */
    float *image;                             /* lesions are added here */
    float *lesion;                            /* union of the lesions' soft masks */
    float *mask;                              /* of the lesion that is being made */
    float *a, *b, *c, *tmp;
    int32_t *voxel; /* indices of the region's voxels */
    int32_t voxels;
    int32_t count[SHAPES_SEGMENTS]; /* region voxels of each segment */
};

#define PLANES_F32 5

static size_t draw_scratch(const struct hf_op_call *call) {
    const int64_t *shape = call->in[0]->shape;
    return (size_t)(shape[2] * shape[3]) * (PLANES_F32 * sizeof(float) + sizeof(int32_t));
}

static int in_region(const struct slice *s, int64_t i) {
    return s->liver[i] && s->region[i];
}

static int segment_at(const struct slice *s, int64_t i) {
    return s->couinaud ? segment_of(s->couinaud[i]) : 1;
}

/* Blurs voxels side by side that all have the taps from..to; `tap` points at the middle one. */
static void blur_run(const float *restrict in, float *restrict out, int64_t voxels, int64_t step,
                     const float *restrict tap, int64_t from, int64_t to) {
    float weight = 0;
    for (int64_t x = 0; x < voxels; x++)
        out[x] = 0;
    for (int64_t i = from; i <= to; i++) {
        const float *at = in + i * step;
        weight += tap[i];
        for (int64_t x = 0; x < voxels; x++)
            out[x] += tap[i] * at[x];
    }
    for (int64_t x = 0; x < voxels; x++)
        out[x] /= weight;
}

/* One axis of a Gaussian blur over a box, renormalised at its borders. Returns the factor by which
 * it lowers the standard deviation of white noise. */
static float blur_axis(const float *in, float *out, const struct slice *s, struct box b,
                       float sigma, int along_w) {
    float kernel[MAX_TAPS], gain = blur_taps(sigma, kernel);
    int64_t radius = blur_radius(sigma), step = along_w ? 1 : s->w;
    for (int64_t y = b.y0; y < b.y1; y++) {
        for (int64_t x = b.x0, voxels; x < b.x1; x += voxels) {
            int64_t low = along_w ? b.x0 - x : b.y0 - y;
            int64_t high = along_w ? b.x1 - 1 - x : b.y1 - 1 - y;
            int64_t from = low > -radius ? low : -radius, to = high < radius ? high : radius;
            /* Along W, voxels near the box's border have taps of their own. */
            voxels = !along_w ? b.x1 - x : low <= -radius && high >= radius ? high - radius + 1 : 1;
            blur_run(in + y * s->w + x, out + y * s->w + x, voxels, step, kernel + radius, from,
                     to);
        }
    }
    return gain;
}

/* Blurs a box of `plane` in place; `mm` is the Gaussian's sigma. Returns as blur_axis. */
static float blur(const struct slice *s, float *plane, struct box b, float mm) {
    float gain = blur_axis(plane, s->tmp, s, b, mm / s->p->spacing[1], 1);
    return gain * blur_axis(s->tmp, plane, s, b, mm / s->p->spacing[0], 0);
}

static void collect(struct slice *s) {
    memset(s->count, 0, sizeof s->count);
    s->voxels = 0;
    for (int64_t i = 0; i < s->h * s->w; i++) {
        if (!in_region(s, i))
            continue;
        s->voxel[s->voxels++] = (int32_t)i;
        s->count[segment_at(s, i)]++;
    }
}

/* The sums over the whole region. */
static struct superpixel sum_region(const struct slice *s) {
    struct superpixel sum = {0};
    for (int32_t j = 0; j < s->voxels; j++)
        add_voxel(&sum, s->voxel[j] % (int32_t)s->w, s->voxel[j] / (int32_t)s->w, 0);
    return sum;
}

/* The outline of a lesion, before it is deformed. */
static struct ellipse outline(const struct slice *s, const struct lesion *l, const int32_t *seed) {
    if (s->p->method == METHOD_ELLIPSE) {
        struct ellipse e = l->ellipse;
        e.x = (float)(s->voxel[l->at] % s->w) * s->p->spacing[1];
        e.y = (float)(s->voxel[l->at] / s->w) * s->p->spacing[0];
        return e;
    }
    struct superpixel sum[MAX_SUPERPIXELS];
    if (l->superpixels > 0)
        clusters_make(&(struct clusters){s->healthy,
                                         s->voxel,
                                         s->voxels,
                                         (int32_t)s->w,
                                         {s->p->spacing[0], s->p->spacing[1]},
                                         s->p->compactness,
                                         NULL},
                      seed, sum, l->superpixels);
    else
        sum[0] = sum_region(s);
    return fit_ellipse(s->p, &sum[pick_superpixel(l, sum)]);
}

/* White noise for the planes u and v (NULL: only u): uniform in -1..1, or normal. */
static void fill_noise(const struct slice *s, struct box b, uint32_t plane, float *u, float *v) {
    for (int64_t y = b.y0; y < b.y1; y++) {
        for (int64_t x = b.x0; x < b.x1; x++) {
            float f[4];
            int64_t i = y * s->w + x;
            shapes_noise(&s->rng, plane, (uint32_t)i, f);
            u[i] = v ? 2 * f[0] - 1 : shapes_normal(f[0], f[1]);
            if (v)
                v[i] = 2 * f[1] - 1;
        }
    }
}

/* The lesion's soft mask: the ellipse under an elastic deformation, its edge blurred, inside the
 * region. Returns its sum (shapes_fixed). */
static int64_t shape_mask(struct slice *s, const struct lesion *l, const struct ellipse *e,
                          struct box b, uint32_t number) {
    int64_t sum = 0;
    fill_noise(s, b, number * NOISE_PLANES + NOISE_SHIFT, s->a, s->b);
    float gain = blur(s, s->a, b, l->elastic_size);
    blur(s, s->b, b, l->elastic_size);
    float scale = elastic_scale(l->elastic_shift, gain);
    for (int32_t y = b.y0; y < b.y1; y++) {
        for (int32_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            s->mask[i] = mask_voxel(s->p, e, x, y, scale, s->a[i], s->b[i]);
        }
    }
    if (l->edge > 0)
        blur(s, s->mask, b, l->edge);
    for (int64_t y = b.y0; y < b.y1; y++) {
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            if (!in_region(s, i))
                s->mask[i] = 0;
            sum += shapes_fixed(s->mask[i]);
        }
    }
    return sum;
}

/* The image without detail, over the liver alone, into s->a; returns its mean under the mask. */
static float smooth_image(struct slice *s, struct box b, float mm, int64_t mask_sum) {
    int64_t sum = 0;
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            s->a[i] = s->liver[i] ? s->image[i] : 0;
            s->b[i] = s->liver[i] ? 1 : 0;
        }
    blur(s, s->a, b, mm);
    blur(s, s->b, b, mm);
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            s->a[i] = s->b[i] > 0 ? s->a[i] / s->b[i] : 0;
            sum += shapes_fixed(s->mask[i] * s->a[i]);
        }
    return mean_under(sum, mask_sum);
}

static void add_lesion(struct slice *s, uint32_t number) {
    const struct synthesis_params *p = s->p;
    int32_t seed[MAX_SUPERPIXELS];
    struct lesion l = draw_lesion(&s->rng, p, s->voxels, seed);
    struct ellipse e = outline(s, &l, seed);
    struct box b = box_around(p, (int32_t)s->h, (int32_t)s->w, &e);
    int64_t sum = shape_mask(s, &l, &e, b, number);
    if (!is_visible(sum))
        return;
    float mean = smooth_image(s, b, p->damp_size, sum);
    fill_noise(s, b, number * NOISE_PLANES + NOISE_TEXTURE, s->c, NULL);
    float gain = l.texture_size > 0 ? blur(s, s->c, b, l.texture_size) : 1;
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            if (s->mask[i] <= 0)
                continue;
            s->image[i] = lesion_voxel(s->image[i], s->mask[i], l.contrast,
                                       l.texture * s->c[i] / gain, s->a[i], mean, p->damp);
            s->lesion[i] = fmaxf(s->lesion[i], s->mask[i]);
        }
}

/* The segments that the inpainter will fill, one bit each. */
static uint32_t hide_segments(struct slice *s) {
    uint32_t taken = 0;
    for (int32_t j = 0; j < s->voxels; j++)
        if (s->lesion[s->voxel[j]] >= LESION_TOUCHES)
            taken |= 1u << segment_at(s, s->voxel[j]);
    return draw_segments(&s->rng, s->p, s->count, taken);
}

static enum hf_status draw(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const struct synthesis_params *p = call->params;
    const int64_t *shape = call->in[0]->shape;
    int64_t plane = shape[2] * shape[3];
    float *f = scratch;

    for (int64_t d = 0; d < shape[1]; d++) {
        struct slice s = {.p = p, .h = shape[2], .w = shape[3]};
        s.rng = shapes_stream(&p->rng, (uint32_t)d);
        s.liver = HF_DATA(uint8_t, call->in[1]) + d * plane;
        s.region = HF_DATA(uint8_t, call->in[2]) + d * plane;
        s.couinaud = call->inputs > 3 ? HF_DATA(uint8_t, call->in[3]) + d * plane : NULL;
        s.healthy = HF_DATA(float, call->in[0]) + d * plane;
        s.image = HF_DATA(float, call->out[0]) + d * plane;
        s.lesion = HF_DATA(float, call->out[1]) + d * plane;
        s.mask = f;
        s.a = f + plane;
        s.b = f + 2 * plane;
        s.c = f + 3 * plane;
        s.tmp = f + 4 * plane;
        s.voxel = (int32_t *)(f + PLANES_F32 * plane);

        memcpy(s.image, s.healthy, (size_t)plane * sizeof(float));
        memset(s.lesion, 0, (size_t)plane * sizeof(float));
        collect(&s);
        int enough = is_enough(p, s.voxels);
        uint32_t taken = 0;
        if (enough) {
            int lesions = draw_lesions(&s.rng, p);
            for (int i = 0; i < lesions; i++)
                add_lesion(&s, (uint32_t)i);
            taken = hide_segments(&s);
        }
        uint8_t *hole = HF_DATA(uint8_t, call->out[2]) + d * plane;
        for (int64_t i = 0; i < plane; i++)
            hole[i] = enough && is_hidden(s.liver[i], s.region[i], segment_at(&s, i), taken);
        HF_DATA(uint8_t, call->out[3])[d] = (uint8_t)enough;
    }
    return HF_OK;
}

const struct hf_op tumor_synthesis_draw_cpu = {"tumor_synthesis.draw", HF_KIND_CPU, draw,
                                               draw_scratch};
