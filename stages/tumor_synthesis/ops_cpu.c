/**
 * ops_cpu.c - "tumor_synthesis.draw" on the CPU: random lesions in each slice of a volume.
 */
#include <string.h>

#include "ops.h"

#define MAX_RADIUS      192 /* voxels of a blur's kernel to each side */
#define MAX_SUPERPIXELS 256
#define MIN_SUPERPIXEL  6 /* voxels that an ellipse can be fitted to */
#define ROUNDS          5 /* of the superpixels' clustering */

enum noise_plane {
    NOISE_SHIFT,
    NOISE_TEXTURE,
    NOISE_PLANES
};

/* Part of the plane: rows y0..y1-1, columns x0..x1-1. */
struct box {
    int64_t x0, y0, x1, y1;
};

/* One slice and its scratch planes, each of h * w. */
struct slice {
    const struct synthesis_params *p;
    struct hf_rng rng;
    int64_t h, w;
    const uint8_t *liver, *region, *couinaud; /* couinaud: NULL = one segment */
    float *image;                             /* lesions are added here */
    float *lesion;                            /* union of the lesions' soft masks */
    float *mask;                              /* of the lesion that is being made */
    float *a, *b, *c, *tmp;
    int32_t *voxel; /* indices of the region's voxels */
    uint8_t *label; /* superpixel of voxel[i] */
    int32_t voxels;
    int32_t count[SHAPES_SEGMENTS]; /* region voxels of each segment */
};

#define PLANES_F32 5

static size_t draw_scratch(const struct hf_op_call *call) {
    const int64_t *shape = call->in[0]->shape;
    return (size_t)(shape[2] * shape[3]) *
           (PLANES_F32 * sizeof(float) + sizeof(int32_t) + sizeof(uint8_t));
}

static int in_region(const struct slice *s, int64_t i) {
    return s->liver[i] && s->region[i];
}

static int segment_at(const struct slice *s, int64_t i) {
    int k = s->couinaud ? s->couinaud[i] : 1;
    return k < SHAPES_SEGMENTS ? k : 0;
}

/* One axis of a Gaussian blur over a box, renormalised at its borders. Returns the factor by which
 * it lowers the standard deviation of white noise. */
static float blur_axis(const float *in, float *out, const struct slice *s, struct box b,
                       float sigma, int along_w) {
    float kernel[2 * MAX_RADIUS + 1], sum = 0, energy = 0;
    int radius = (int)fminf(ceilf(3 * sigma), MAX_RADIUS);
    for (int i = -radius; i <= radius; i++) {
        kernel[i + radius] = sigma > 0 ? expf(-0.5f * (float)(i * i) / (sigma * sigma)) : 1;
        sum += kernel[i + radius];
    }
    for (int i = 0; i <= 2 * radius; i++) {
        kernel[i] /= sum;
        energy += kernel[i] * kernel[i];
    }
    int64_t step = along_w ? 1 : s->w;
    for (int64_t y = b.y0; y < b.y1; y++) {
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t low = along_w ? b.x0 - x : b.y0 - y;
            int64_t high = along_w ? b.x1 - 1 - x : b.y1 - 1 - y;
            int64_t from = low > -radius ? low : -radius, to = high < radius ? high : radius;
            const float *at = in + y * s->w + x;
            float v = 0, weight = 0;
            for (int64_t i = from; i <= to; i++) {
                v += kernel[i + radius] * at[i * step];
                weight += kernel[i + radius];
            }
            out[y * s->w + x] = v / weight;
        }
    }
    return sqrtf(energy);
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

struct centre {
    float x, y, value, n;
};

/* Clusters the region's voxels by place and intensity around `n` centres. */
static void cluster(struct slice *s, struct centre *centre, int n) {
    float dy = s->p->spacing[0], dx = s->p->spacing[1];
    float pitch = sqrtf((float)s->voxels * dx * dy / (float)n);
    for (int k = 0; k < n; k++) {
        int64_t i = s->voxel[hf_rng_below(&s->rng, (uint32_t)s->voxels)];
        centre[k] = (struct centre){(float)(i % s->w) * dx, (float)(i / s->w) * dy, s->image[i], 0};
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct centre sum[MAX_SUPERPIXELS];
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int32_t j = 0; j < s->voxels; j++) {
            int64_t i = s->voxel[j];
            float x = (float)(i % s->w) * dx, y = (float)(i / s->w) * dy, best = INFINITY;
            int near = 0;
            for (int k = 0; k < n; k++) {
                float d = superpixel_distance2(x - centre[k].x, y - centre[k].y, pitch,
                                               s->image[i] - centre[k].value, s->p->compactness);
                if (d < best) {
                    best = d;
                    near = k;
                }
            }
            s->label[j] = (uint8_t)near;
            sum[near].x += x;
            sum[near].y += y;
            sum[near].value += s->image[i];
            sum[near].n += 1;
        }
        for (int k = 0; k < n; k++) {
            if (sum[k].n > 0)
                centre[k] = (struct centre){sum[k].x / sum[k].n, sum[k].y / sum[k].n,
                                            sum[k].value / sum[k].n, 0};
            centre[k].n = sum[k].n;
        }
    }
}

/* The ellipse with the second moments of the voxels of a superpixel (-1: of the region). */
static struct ellipse fit_ellipse(const struct slice *s, int superpixel) {
    float dy = s->p->spacing[0], dx = s->p->spacing[1];
    double n = 0, mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
    for (int32_t j = 0; j < s->voxels; j++) {
        if (superpixel >= 0 && s->label[j] != superpixel)
            continue;
        double x = (double)(s->voxel[j] % s->w) * dx, y = (double)(s->voxel[j] / s->w) * dy;
        n++;
        mx += x;
        my += y;
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    mx /= n;
    my /= n;
    /* A voxel has an extent of its own: dx^2 / 12 along W. */
    xx = xx / n - mx * mx + dx * dx / 12;
    yy = yy / n - my * my + dy * dy / 12;
    xy = xy / n - mx * my;
    double middle = (xx + yy) / 2, spread = hypot((xx - yy) / 2, xy);
    double angle = 0.5 * atan2(2 * xy, xx - yy);
    double shorter = middle - spread, least = dx * dy / 12.0;
    struct ellipse e = {(float)mx,
                        (float)my,
                        (float)(2 * sqrt(middle + spread)),
                        (float)(2 * sqrt(shorter > least ? shorter : least)),
                        (float)cos(angle),
                        (float)sin(angle)};
    return e;
}

static struct ellipse draw_superpixel(struct slice *s) {
    struct centre centre[MAX_SUPERPIXELS];
    int n = draw_whole(&s->rng, s->p->superpixels), most = s->voxels / (2 * MIN_SUPERPIXEL);
    n = n < most ? n : most;
    n = n < MAX_SUPERPIXELS ? n : MAX_SUPERPIXELS;
    if (n < 2)
        return fit_ellipse(s, -1);
    cluster(s, centre, n);
    int candidate[MAX_SUPERPIXELS], candidates = 0;
    for (int k = 0; k < n; k++)
        if (centre[k].n >= MIN_SUPERPIXEL)
            candidate[candidates++] = k;
    if (candidates == 0)
        return fit_ellipse(s, -1);
    return fit_ellipse(s, candidate[hf_rng_below(&s->rng, (uint32_t)candidates)]);
}

static struct ellipse draw_free_ellipse(struct slice *s) {
    int64_t at = s->voxel[hf_rng_below(&s->rng, (uint32_t)s->voxels)];
    return draw_ellipse(&s->rng, (float)(at % s->w) * s->p->spacing[1],
                        (float)(at / s->w) * s->p->spacing[0], s->p->radius);
}

static struct box box_around(const struct slice *s, const struct ellipse *e, float margin) {
    float reach = fmaxf(e->a, e->b) + margin;
    float dy = s->p->spacing[0], dx = s->p->spacing[1];
    struct box b = {(int64_t)fmaxf(0, floorf((e->x - reach) / dx)),
                    (int64_t)fmaxf(0, floorf((e->y - reach) / dy)),
                    (int64_t)fminf((float)s->w, ceilf((e->x + reach) / dx) + 1),
                    (int64_t)fminf((float)s->h, ceilf((e->y + reach) / dy) + 1)};
    return b;
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
 * region. Returns its sum in voxels. */
static double shape_mask(struct slice *s, const struct ellipse *e, struct box b, uint32_t lesion) {
    const struct synthesis_params *p = s->p;
    float size = draw_range(&s->rng, p->elastic_size),
          shift = draw_range(&s->rng, p->elastic_shift);
    float edge = draw_range(&s->rng, p->edge);
    float voxel = sqrtf(p->spacing[0] * p->spacing[1]);
    double sum = 0;

    fill_noise(s, b, lesion * NOISE_PLANES + NOISE_SHIFT, s->a, s->b);
    float gain = blur(s, s->a, b, size);
    blur(s, s->b, b, size);
    /* 0.577: the standard deviation of a uniform number in -1..1. */
    float scale = shift / (0.57735f * gain);
    for (int64_t y = b.y0; y < b.y1; y++) {
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            float depth = ellipse_depth(e, (float)x * p->spacing[1] + scale * s->a[i],
                                        (float)y * p->spacing[0] + scale * s->b[i]);
            s->mask[i] = coverage(depth, voxel);
        }
    }
    if (edge > 0)
        blur(s, s->mask, b, edge);
    for (int64_t y = b.y0; y < b.y1; y++) {
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            if (!in_region(s, i))
                s->mask[i] = 0;
            sum += s->mask[i];
        }
    }
    return sum;
}

/* The image without detail, over the liver alone, into s->a; returns its mean under the mask. */
static float smooth_image(struct slice *s, struct box b, float mm, double mask_sum) {
    double mean = 0;
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
            mean += (double)s->mask[i] * s->a[i];
        }
    return (float)(mean / mask_sum);
}

static void add_lesion(struct slice *s, uint32_t lesion) {
    const struct synthesis_params *p = s->p;
    struct ellipse e = p->method == METHOD_SUPERPIXEL ? draw_superpixel(s) : draw_free_ellipse(s);
    struct box b = box_around(s, &e, 3 * p->elastic_shift.high + 3 * p->edge.high);
    double sum = shape_mask(s, &e, b, lesion);
    float contrast = draw_contrast(&s->rng, p) * p->unit;
    float texture = draw_range(&s->rng, p->texture) * p->unit;
    float texture_size = draw_range(&s->rng, p->texture_size);
    if (sum < 1)
        return;
    float mean = smooth_image(s, b, p->damp_size, sum);
    fill_noise(s, b, lesion * NOISE_PLANES + NOISE_TEXTURE, s->c, NULL);
    float gain = texture_size > 0 ? blur(s, s->c, b, texture_size) : 1;
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            int64_t i = y * s->w + x;
            if (s->mask[i] <= 0)
                continue;
            s->image[i] = lesion_voxel(s->image[i], s->mask[i], contrast, texture * s->c[i] / gain,
                                       s->a[i], mean, p->damp);
            s->lesion[i] = fmaxf(s->lesion[i], s->mask[i]);
        }
}

/* The segments that the inpainter will fill: those that a lesion touches and some others, or any
 * when there is no lesion; one bit each. */
static uint32_t draw_segments(struct slice *s) {
    uint32_t taken = 0;
    for (int32_t j = 0; j < s->voxels; j++)
        if (s->lesion[s->voxel[j]] >= LESION_TOUCHES)
            taken |= 1u << segment_at(s, s->voxel[j]);
    int extra = draw_whole(&s->rng, s->p->extra_segments);
    if (!taken && extra == 0)
        extra = 1;
    for (; extra > 0; extra--) {
        int k = draw_segment(&s->rng, s->count, 1, taken);
        if (k)
            taken |= 1u << k;
    }
    return taken;
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
        s.image = HF_DATA(float, call->out[0]) + d * plane;
        s.lesion = HF_DATA(float, call->out[1]) + d * plane;
        s.mask = f;
        s.a = f + plane;
        s.b = f + 2 * plane;
        s.c = f + 3 * plane;
        s.tmp = f + 4 * plane;
        s.voxel = (int32_t *)(f + PLANES_F32 * plane);
        s.label = (uint8_t *)(s.voxel + plane);

        memcpy(s.image, HF_DATA(float, call->in[0]) + d * plane, (size_t)plane * sizeof(float));
        memset(s.lesion, 0, (size_t)plane * sizeof(float));
        collect(&s);
        int enough = s.voxels > 0 && (float)s.voxels * p->spacing[0] * p->spacing[1] >= p->min_area;
        uint32_t taken = 0;
        if (enough) {
            int lesions = hf_rng_uniform(&s.rng) < p->share ? draw_whole(&s.rng, p->lesions) : 0;
            for (int i = 0; i < lesions; i++)
                add_lesion(&s, (uint32_t)i);
            taken = draw_segments(&s);
        }
        uint8_t *hole = HF_DATA(uint8_t, call->out[2]) + d * plane;
        for (int64_t i = 0; i < plane; i++)
            hole[i] = enough && s.liver[i] && (!s.region[i] || (taken >> segment_at(&s, i) & 1));
        HF_DATA(uint8_t, call->out[3])[d] = (uint8_t)enough;
    }
    return HF_OK;
}

const struct hf_op tumor_synthesis_draw_cpu = {"tumor_synthesis.draw", HF_KIND_CPU, draw,
                                               draw_scratch};
