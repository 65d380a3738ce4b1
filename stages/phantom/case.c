/**
 * case.c - makes a phantom case: an anatomy deformed onto a new grid, a body around it, contrast,
 * tumors, blur and noise.
 */
#include "phantom.h"

#include <stdlib.h>

#include "body.h"
#include "elem.h"

/** Half the size of the largest liver's box along any axis, mm. */
#define WIDEST 112.0f

/** Where a point of the case lies in its anatomy. */
struct warp {
    float from[3];    /* x, y, z of the first voxel, mm from the liver's centre */
    float turn[3][3]; /* rotation and scale */
    float half[3];    /* of the liver's box in the case, roughly */
    float *shift[3];  /* x, y, z, mm, for every voxel */
};

/** Work arrays, one value a voxel. */
struct fields {
    float *cover;  /* share of the voxel that is liver */
    float *vessel; /* share that is vessel */
    float *far;    /* mm to the liver's border, both sides */
    float *change; /* HU that tumors add */
    float *keep;   /* share of the vessels that tumors leave */
    float *hu;
    float *a, *b; /* for a moment */
    float *base;  /* [H,W]: z of the lung's base */
};

static float between(struct hf_rng *r, float lo, float hi) {
    return lo + (hi - lo) * hf_rng_uniform(r);
}

static struct hf_rng stream(const struct phantom_case *c, uint64_t seed, const char *what) {
    return hf_rng_init(seed, what, c->plan.id, 0);
}

/** Draws a small rotation and a scale along each axis. */
static void draw_turn(const struct phantom_anatomy *a, float strength, struct hf_rng *r,
                      struct warp *w) {
    float angle[3], size[3], all = 1.0f + strength * between(r, -0.09f, 0.09f);
    for (int k = 0; k < 3; k++) {
        angle[k] = strength * between(r, -0.12f, 0.12f);
        size[k] = all * (1.0f + strength * between(r, -0.06f, 0.06f));
        if (strength > 0.0f)
            size[k] = fminf(size[k], WIDEST / a->half[k]);
        w->half[k] = a->half[k] * size[k] + 4.0f * strength;
    }
    const float sx = sinf(angle[0]), cx = cosf(angle[0]), sy = sinf(angle[1]), cy = cosf(angle[1]),
                sz = sinf(angle[2]), cz = cosf(angle[2]);
    const float m[3][3] = {{cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz},
                           {cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz},
                           {-sy, sx * cy, cx * cy}};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            w->turn[i][k] = m[i][k] / size[i];
}

/** The eight voxels around a point of the anatomy and their weights; 0 if outside. */
static int corners(const struct phantom_anatomy *a, const float p[3], size_t at[8], float w[8]) {
    int32_t low[3];
    float t[3];
    for (int k = 0; k < 3; k++) {
        float x = p[k] / a->spacing[k];
        if (!(x >= 0.0f) || x >= (float)(a->size[k] - 1))
            return 0;
        low[k] = (int32_t)x;
        t[k] = x - (float)low[k];
    }
    for (int i = 0; i < 8; i++) {
        size_t x = (size_t)(low[0] + (i & 1)), y = (size_t)(low[1] + (i >> 1 & 1));
        size_t z = (size_t)(low[2] + (i >> 2));
        at[i] = (z * (size_t)a->size[1] + y) * (size_t)a->size[0] + x;
        w[i] =
            (i & 1 ? t[0] : 1 - t[0]) * (i >> 1 & 1 ? t[1] : 1 - t[1]) * (i >> 2 ? t[2] : 1 - t[2]);
    }
    return 1;
}

/** The point of the anatomy that voxel `at` shows, `up` mm above the voxel's centre. */
static void warp_point(const struct phantom_anatomy *a, const struct warp *w, const float p[3],
                       size_t at, float up, float out[3]) {
    const float q[3] = {p[0] + w->shift[0][at], p[1] + w->shift[1][at],
                        p[2] + w->shift[2][at] + up};
    for (int k = 0; k < 3; k++)
        out[k] = a->centre[k] + w->turn[k][0] * q[0] + w->turn[k][1] * q[1] + w->turn[k][2] * q[2];
}

static uint8_t vote(const struct phantom_anatomy *a, const size_t at[8], const float w[8]) {
    float votes[9] = {0};
    uint8_t best = 0;
    for (int i = 0; i < 8; i++)
        votes[a->segment[at[i]]] += w[i];
    for (uint8_t k = 1; k <= 8; k++)
        if (votes[k] > (best ? votes[best] : 0.0f))
            best = k;
    return best;
}

/** Fills liver, segments, coverage and vessels. `slip` moves the labels' border off the true one,
 * as an annotator's hand does. */
static void sample_anatomy(const struct phantom_anatomy *a, const struct warp *w,
                           struct phantom_case *c, struct fields *f, const float *slip) {
    const struct phantom_grid *g = &c->grid;
    size_t voxel = 0;
    for (int32_t d = 0; d < g->n[0]; d++)
        for (int32_t h = 0; h < g->n[1]; h++)
            for (int32_t x = 0; x < g->n[2]; x++, voxel++) {
                const float p[3] = {w->from[0] + (float)x * g->mm[2],
                                    w->from[1] + (float)h * g->mm[1],
                                    w->from[2] + (float)d * g->mm[0]};
                float liver = 0.0f, vessel = 0.0f, cover = 0.0f, weight[8], q[3];
                uint8_t label = 0;
                for (int i = 0; i < 2; i++) {
                    size_t at[8];
                    float own = 0.0f;
                    warp_point(a, w, p, voxel, (i ? 0.25f : -0.25f) * g->mm[0], q);
                    if (!corners(a, q, at, weight))
                        continue;
                    for (int k = 0; k < 8; k++) {
                        own += weight[k] * a->liver[at[k]];
                        vessel += 0.5f * weight[k] * a->vessel[at[k]];
                    }
                    if (own <= 0.0f)
                        continue;
                    liver += 0.5f * own;
                    /* the smoothed mask rises by about a quarter in each mm */
                    cover += 0.5f * phantom_cover(4.0f * (own - 0.5f), g->mm[2]);
                    if (!label)
                        label = vote(a, at, weight);
                }
                float border = 0.57f + phantom_clamp(0.17f * slip[voxel], -0.38f, 0.34f);
                f->cover[voxel] = cover;
                f->vessel[voxel] = vessel;
                c->couinaud[voxel] = liver > border ? label : 0;
                c->liver[voxel] = c->couinaud[voxel] > 0;
            }
}

/** Smooths the tops of the liver's columns into the height of the lung's base everywhere. */
static enum hf_status draw_diaphragm(const struct phantom_case *c, const struct warp *w,
                                     struct fields *f, struct hf_error *e) {
    const struct phantom_grid *g = &c->grid;
    const struct phantom_grid plane = {{1, g->n[1], g->n[2]}, {1.0f, g->mm[1], g->mm[2]}};
    size_t area = phantom_count(&plane);
    const float usual = 0.55f * w->half[2], trust = 0.03f;
    float *known = malloc(area * sizeof *known);
    if (!known)
        return hf_fail(e, HF_NO_MEMORY, "phantom: no memory for the diaphragm");
    for (size_t i = 0; i < area; i++) {
        f->base[i] = usual * trust;
        known[i] = trust;
        for (int32_t d = g->n[0] - 1; d >= 0; d--)
            if (f->cover[(size_t)d * area + i] > 0.5f) {
                f->base[i] = w->from[2] + ((float)d + 0.5f) * g->mm[0] + 5.0f;
                known[i] = 1.0f;
                break;
            }
    }
    enum hf_status st = HF_OK;
    const float sigma[3] = {0, fminf(7.0f / g->mm[1], 3.0f), fminf(7.0f / g->mm[2], 3.0f)};
    for (int i = 0; i < 4 && st == HF_OK; i++) {
        st = phantom_blur(&plane, sigma, f->base, e);
        if (st == HF_OK)
            st = phantom_blur(&plane, sigma, known, e);
    }
    for (size_t i = 0; i < area; i++)
        f->base[i] /= known[i];
    free(known);
    return st;
}

/** HU of the liver in portal-venous phase before blur and noise, into f->hu. */
static enum hf_status paint_liver(struct phantom_case *c, uint64_t seed, struct fields *f,
                                  struct hf_error *e) {
    const struct phantom_grid *g = &c->grid;
    size_t count = phantom_count(g);
    struct hf_rng rng = stream(c, seed, "phantom.liver"), *r = &rng;
    float level = phantom_mix(88.0f, 130.0f, c->plan.uptake), veins = between(r, 42.0f, 72.0f);
    float twigs = hf_rng_uniform(r) < 0.5f ? between(r, -32.0f, -18.0f) : 0.55f * veins;
    float slow = between(r, 4.0f, 7.0f), patchy = between(r, 1.5f, 3.0f);
    enum hf_status st = phantom_field_smooth(g, 45.0f, stream(c, seed, "phantom.slow"), f->a, e);
    for (size_t i = 0; st == HF_OK && i < count; i++) {
        /* where the liver takes up less contrast its veins do too */
        f->hu[i] = level + slow * f->a[i];
        f->vessel[i] *= f->keep[i] * veins * phantom_clamp(0.9f + 0.15f * f->a[i], 0.6f, 1.2f);
    }
    if (st == HF_OK)
        st = phantom_field_smooth(g, 13.0f, stream(c, seed, "phantom.patchy"), f->a, e);
    for (size_t i = 0; st == HF_OK && i < count; i++)
        f->hu[i] += patchy * f->a[i] + f->change[i];
    /* twigs that no vessel mask shows: the lines along which two smooth fields are both zero; in
     * some cases they are veins that the contrast has not reached yet, darker than the liver */
    if (st == HF_OK)
        st = phantom_field_smooth(g, 21.0f, stream(c, seed, "phantom.twigs"), f->a, e);
    if (st == HF_OK)
        st = phantom_field_smooth(g, 21.0f, stream(c, seed, "phantom.branches"), f->b, e);
    for (size_t i = 0; st == HF_OK && i < count; i++) {
        float off = f->a[i] * f->a[i] + f->b[i] * f->b[i];
        float twig = off < 0.15f ? twigs * expf(-off / 0.025f) * f->keep[i] : 0.0f;
        f->hu[i] += f->vessel[i] > 2.0f ? fmaxf(f->vessel[i], twig) : twig;
    }
    return st;
}

/** Paints the body around the liver and mixes both where a voxel holds both. */
static enum hf_status paint_body(struct phantom_case *c, const struct phantom_body *body,
                                 const struct warp *w, uint64_t seed, struct fields *f,
                                 struct hf_error *e) {
    const struct phantom_grid *g = &c->grid;
    size_t area = (size_t)g->n[1] * (size_t)g->n[2], voxel = 0;
    enum hf_status st = phantom_field_smooth(g, 7.0f, stream(c, seed, "phantom.texture"), f->a, e);
    if (st == HF_OK)
        st = phantom_field_smooth(g, 28.0f, stream(c, seed, "phantom.bowel"), f->b, e);
    for (int32_t d = 0; st == HF_OK && d < g->n[0]; d++)
        for (int32_t h = 0; h < g->n[1]; h++)
            for (int32_t x = 0; x < g->n[2]; x++, voxel++) {
                if (f->cover[voxel] >= 1.0f)
                    continue;
                struct phantom_spot spot = {
                    .x = w->from[0] + (float)x * g->mm[2],
                    .y = w->from[1] + (float)h * g->mm[1],
                    .z = w->from[2] + (float)d * g->mm[0],
                    .width = g->mm[2],
                    .outside = c->liver[voxel] ? 0.0f : f->far[voxel],
                    .diaphragm = f->base[voxel % area],
                    .texture = f->a[voxel],
                    .bowel = f->b[voxel],
                };
                float other = phantom_body_hu(body, &spot);
                f->hu[voxel] = phantom_mix(other, f->hu[voxel], f->cover[voxel]);
            }
    return st;
}

/** The scanner: blur, noise, whole numbers. */
static enum hf_status finish(const struct phantom_params *p, struct phantom_case *c, uint64_t seed,
                             struct fields *f, struct hf_error *e) {
    const struct phantom_grid *g = &c->grid;
    size_t count = phantom_count(g);
    struct hf_rng rng = stream(c, seed, "phantom.scanner"), *r = &rng;
    float sd = between(r, (float)p->noise[0], (float)p->noise[1]);
    /* thinner voxels are noisier, less than for white noise since the noise is correlated */
    sd *= powf(16.0f / (g->mm[0] * g->mm[1] * g->mm[2]), 0.35f);
    float fine = between(r, 0.8f, 1.2f), share = between(r, 0.35f, 0.6f);
    const float psf[3] = {0.25f, 1.05f / g->mm[1], 1.05f / g->mm[2]};
    const float grain[3] = {0.3f, fine / g->mm[1], fine / g->mm[2]};
    const float clump[3] = {0.5f, 2.4f / g->mm[1], 2.4f / g->mm[2]};
    enum hf_status st = phantom_blur(g, psf, f->hu, e);
    if (st == HF_OK)
        st = phantom_field_noise(g, grain, stream(c, seed, "phantom.grain"), f->a, e);
    if (st == HF_OK)
        st = phantom_field_noise(g, clump, stream(c, seed, "phantom.clump"), f->b, e);
    float of_a = sd * sqrtf(1.0f - share), of_b = sd * sqrtf(share);
    for (size_t i = 0; st == HF_OK && i < count; i++) {
        float damp = f->hu[i] < -300.0f ? 0.6f : 1.0f;
        c->image[i] = (int16_t)phantom_hu(f->hu[i] + damp * (of_a * f->a[i] + of_b * f->b[i]));
    }
    return st;
}

static void annotate(const struct phantom_params *p, struct phantom_case *c) {
    const struct phantom_grid *g = &c->grid;
    size_t count = phantom_count(g), voxels[9] = {0};
    for (size_t i = 0; i < count; i++)
        voxels[c->couinaud[i]] += c->tumor[i];
    double mm3 = (double)g->mm[0] * (double)g->mm[1] * (double)g->mm[2];
    c->annotation[0] = 1;
    for (int k = 1; k <= 8; k++)
        c->annotation[k] = voxels[k] > 0 && (double)voxels[k] * mm3 >= p->min_volume;
}

static enum hf_status make(const struct phantom_params *p, const struct phantom_anatomy *a,
                           uint64_t seed, struct phantom_case *c, const struct phantom_body *body,
                           struct warp *w, struct fields *f, struct hf_error *e) {
    static const char *const axis[3] = {"phantom.x", "phantom.y", "phantom.z"};
    size_t count = phantom_count(&c->grid);
    float strength = 5.5f * (float)p->deform;
    enum hf_status st = HF_OK;
    for (int k = 0; k < 3 && st == HF_OK; k++) {
        w->shift[k] = k == 0 ? f->hu : k == 1 ? f->b : f->far;
        st = phantom_field_smooth(&c->grid, 52.0f, stream(c, seed, axis[k]), w->shift[k], e);
        for (size_t i = 0; st == HF_OK && i < count; i++)
            w->shift[k][i] = strength * phantom_clamp(w->shift[k][i], -2.5f, 2.5f);
    }
    if (st == HF_OK)
        st = phantom_field_smooth(&c->grid, 15.0f, stream(c, seed, "phantom.slip"), f->a, e);
    if (st != HF_OK)
        return st;
    sample_anatomy(a, w, c, f, f->a);
    phantom_border_distance(&c->grid, c->liver, f->far);
    st = draw_diaphragm(c, w, f, e);
    for (size_t i = 0; i < count; i++) {
        f->change[i] = 0.0f;
        f->keep[i] = 1.0f;
        c->tumor[i] = 0;
    }
    if (st == HF_OK && !c->plan.healthy)
        st = phantom_tumors_place(p, seed, c, f->change, f->keep, e);
    if (st == HF_OK)
        st = paint_liver(c, seed, f, e);
    if (st == HF_OK)
        st = paint_body(c, body, w, seed, f, e);
    if (st == HF_OK)
        st = finish(p, c, seed, f, e);
    annotate(p, c);
    return st;
}

/* Draws shape, body and grid of a case; `from` of `w` is where the volume begins. */
static void draw_frame(const struct phantom_params *p, const struct phantom_anatomy *anatomy,
                       uint64_t seed, struct phantom_case *c, struct phantom_body *body,
                       struct warp *w) {
    struct hf_rng rng = stream(c, seed, "phantom.shape");
    draw_turn(anatomy, (float)p->deform, &rng, w);
    phantom_body_draw(w->half, stream(c, seed, "phantom.body"), body);
    const float margin = 8.0f;
    w->from[0] = body->centre[0] - body->radius[0] - margin;
    w->from[1] = body->centre[1] - body->radius[1] - margin;
    w->from[2] = body->low;
    const float extent[3] = {2 * (body->radius[0] + margin), 2 * (body->radius[1] + margin),
                             body->high - body->low};
    phantom_grids_draw(p, extent, stream(c, seed, "phantom.grid"), c);
}

struct hf_grid phantom_case_grid(const struct phantom_params *p,
                                 const struct phantom_anatomy *anatomy,
                                 const struct phantom_plan *plan, uint64_t seed) {
    struct phantom_case c = {.plan = *plan};
    struct warp w = {{0}, {{0}}, {0}, {0}};
    struct phantom_body body;
    draw_frame(p, anatomy, seed, &c, &body, &w);
    return c.canonical;
}

enum hf_status phantom_case_make(const struct phantom_params *p,
                                 const struct phantom_anatomy *anatomy,
                                 const struct phantom_plan *plan, uint64_t seed,
                                 struct phantom_case *ret, struct hf_error *e) {
    struct phantom_case c = {.plan = *plan};
    struct warp w = {{0}, {{0}}, {0}, {0}};
    struct phantom_body body;
    draw_frame(p, anatomy, seed, &c, &body, &w);

    size_t count = phantom_count(&c.grid), area = (size_t)c.grid.n[1] * (size_t)c.grid.n[2];
    float *work = malloc((8 * count + area) * sizeof *work);
    c.image = malloc(count * sizeof *c.image);
    c.liver = malloc(count);
    c.couinaud = malloc(count);
    c.tumor = malloc(count);
    enum hf_status st;
    if (work && c.image && c.liver && c.couinaud && c.tumor) {
        struct fields f = {work,
                           work + count,
                           work + 2 * count,
                           work + 3 * count,
                           work + 4 * count,
                           work + 5 * count,
                           work + 6 * count,
                           work + 7 * count,
                           work + 8 * count};
        st = make(p, anatomy, seed, &c, &body, &w, &f, e);
    } else {
        st = hf_fail(e, HF_NO_MEMORY, "phantom case %s: no memory for %zu voxels", plan->id, count);
    }
    free(work);
    if (st == HF_OK)
        *ret = c;
    else
        phantom_case_free(&c);
    return st;
}

void phantom_case_free(struct phantom_case *c) {
    free(c->image);
    free(c->liver);
    free(c->couinaud);
    free(c->tumor);
    c->image = NULL;
    c->liver = c->couinaud = c->tumor = NULL;
}
