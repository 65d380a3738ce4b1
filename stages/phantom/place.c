/**
 * place.c - where the tumors of a phantom case sit, and what they do to its voxels.
 */
#include "phantom.h"

#include <stdio.h>
#include <stdlib.h>

#include "elem.h"

enum {
    TARGETS = 3,       /* segments that the tumors of a case are meant for */
    ATTEMPTS = 12,     /* places tried for one tumor */
    FEWEST_VOXELS = 6, /* that a tumor must keep */
    CANDIDATES = 14
};

/** What placing needs to know of the liver. */
struct places {
    const struct phantom_case *c;
    const float *depth; /* mm to the next voxel of another segment */
    uint32_t *voxel;    /* voxels of segment k: voxel[start[k]] .. voxel[start[k + 1] - 1] */
    uint32_t start[10];
    float deepest[9];
};

/** Sorts the liver's voxels by segment. */
static void sort_voxels(struct places *s) {
    const uint8_t *couinaud = s->c->couinaud;
    size_t count = phantom_count(&s->c->grid), at = 0;
    for (uint8_t k = 1; k <= 8; k++) {
        s->start[k] = (uint32_t)at;
        s->deepest[k] = 0;
        for (size_t i = 0; i < count; i++)
            if (couinaud[i] == k) {
                s->voxel[at++] = (uint32_t)i;
                s->deepest[k] = fmaxf(s->deepest[k], s->depth[i]);
            }
        s->start[k + 1] = (uint32_t)at;
    }
}

static void centre_of(const struct phantom_grid *g, uint32_t voxel, float centre[3]) {
    uint32_t w = (uint32_t)g->n[2], h = (uint32_t)g->n[1];
    centre[0] = (float)(voxel / (w * h)) * g->mm[0];
    centre[1] = (float)(voxel / w % h) * g->mm[1];
    centre[2] = (float)(voxel % w) * g->mm[2];
}

/** A segment with room for a tumor of that radius, large segments more often. */
static int draw_segment(const struct places *s, float radius, struct hf_rng *r) {
    int best = 1;
    for (int k = 2; k <= 8; k++)
        best = s->deepest[k] > s->deepest[best] ? k : best;
    for (int i = 0; i < ATTEMPTS; i++) {
        uint32_t voxel = s->voxel[hf_rng_below(r, s->start[9])];
        int k = s->c->couinaud[voxel];
        if (s->deepest[k] >= 0.6f * radius)
            return k;
    }
    return best;
}

/** The best of some random places in segment k: inside it, and clear of the tumors before. */
static void draw_centre(const struct places *s, int k, float radius, struct hf_rng *r,
                        float centre[3]) {
    uint32_t n = s->start[k + 1] - s->start[k];
    int tries = 4 + (int)hf_rng_below(r, CANDIDATES);
    float best = -1e9f;
    for (int i = 0; i < tries; i++) {
        uint32_t voxel = s->voxel[s->start[k] + hf_rng_below(r, n)];
        float at[3];
        centre_of(&s->c->grid, voxel, at);
        float score = fminf(s->depth[voxel], radius);
        for (int32_t j = 0; j < s->c->tumor_count; j++) {
            const struct phantom_tumor *l = &s->c->tumors[j];
            float d = at[0] - l->centre[0], h = at[1] - l->centre[1], w = at[2] - l->centre[2];
            float gap = sqrtf(d * d + h * h + w * w) - radius - l->radius - 3.0f;
            score += 2.0f * fminf(gap, 0.0f);
        }
        if (score > best) {
            best = score;
            for (int a = 0; a < 3; a++)
                centre[a] = at[a];
        }
    }
}

/** The voxels that the tumor may touch, first and one past the last, along each axis. */
static void tumor_box(const struct phantom_grid *g, const struct phantom_tumor *l, int32_t lo[3],
                      int32_t hi[3]) {
    float reach = phantom_tumor_reach(l);
    for (int a = 0; a < 3; a++) {
        int32_t first = (int32_t)floorf((l->centre[a] - reach) / g->mm[a]);
        int32_t last = (int32_t)ceilf((l->centre[a] + reach) / g->mm[a]) + 1;
        lo[a] = first < 0 ? 0 : first;
        hi[a] = last > g->n[a] ? g->n[a] : last;
    }
}

/** What a tumor does to one voxel, averaged over 2 x 2 x 3 points in it. */
struct touch {
    float hu, inside, core; /* core: share of the voxel that lies within the tumor's surface */
};

static struct touch touch_voxel(const struct phantom_grid *g, const struct phantom_tumor *l,
                                int32_t d, int32_t h, int32_t w) {
    static const float third[3] = {-1.0f / 3.0f, 0.0f, 1.0f / 3.0f};
    struct touch t = {0, 0, 0};
    for (int i = 0; i < 12; i++) {
        const float p[3] = {((float)d + third[i % 3]) * g->mm[0] - l->centre[0],
                            ((float)h + (i / 3 % 2 ? 0.25f : -0.25f)) * g->mm[1] - l->centre[1],
                            ((float)w + (i / 6 ? 0.25f : -0.25f)) * g->mm[2] - l->centre[2]};
        float inside, depth = phantom_tumor_depth(l, p);
        t.hu += phantom_tumor_hu(l, p, depth, &inside) / 12.0f;
        t.inside += inside / 12.0f;
        t.core += depth > 0 ? 1.0f / 12.0f : 0.0f;
    }
    return t;
}

/** Paints a tumor into the arrays (or, with `change` NULL, only counts); its voxels of liver. */
static int64_t paint(struct phantom_case *c, const struct phantom_tumor *l, float *change,
                     float *keep) {
    const struct phantom_grid *g = &c->grid;
    int32_t lo[3], hi[3];
    int64_t own = 0;
    tumor_box(g, l, lo, hi);
    for (int32_t d = lo[0]; d < hi[0]; d++)
        for (int32_t h = lo[1]; h < hi[1]; h++)
            for (int32_t w = lo[2]; w < hi[2]; w++) {
                size_t at = ((size_t)d * (size_t)g->n[1] + (size_t)h) * (size_t)g->n[2] + (size_t)w;
                if (!change) {
                    const float p[3] = {(float)d * g->mm[0] - l->centre[0],
                                        (float)h * g->mm[1] - l->centre[1],
                                        (float)w * g->mm[2] - l->centre[2]};
                    own += c->liver[at] && !c->tumor[at] && phantom_tumor_depth(l, p) > 0;
                    continue;
                }
                struct touch t = touch_voxel(g, l, d, h, w);
                change[at] = change[at] * (1.0f - t.inside) + t.hu;
                keep[at] *= 1.0f - 0.85f * t.inside;
                if (c->liver[at] && !c->tumor[at] && t.core >= 0.5f) {
                    c->tumor[at] = 1;
                    own++;
                }
            }
    return own;
}

/** Finds a place where the tumor keeps enough of itself, and paints it there. */
static void place_one(const struct places *s, struct phantom_case *c, int segment,
                      struct phantom_tumor *l, struct hf_rng *r, float *change, float *keep) {
    const struct phantom_grid *g = &c->grid;
    float ball = 4.18879f * l->radius * l->radius * l->radius;
    float wanted = 0.4f * ball / (g->mm[0] * g->mm[1] * g->mm[2]);
    float best[3] = {0, 0, 0};
    int64_t most = -1;
    for (int i = 0; i < ATTEMPTS; i++) {
        draw_centre(s, segment, l->radius, r, l->centre);
        int64_t own = paint(c, l, NULL, NULL);
        if (own > most) {
            most = own;
            for (int a = 0; a < 3; a++)
                best[a] = l->centre[a];
        }
        if (own >= FEWEST_VOXELS && (float)own >= wanted)
            break;
    }
    if (most < FEWEST_VOXELS)
        return;
    for (int a = 0; a < 3; a++)
        l->centre[a] = best[a];
    l->voxels = paint(c, l, change, keep);
    c->tumors[c->tumor_count++] = *l;
}

enum hf_status phantom_tumors_place(const struct phantom_params *p, uint64_t seed,
                                    struct phantom_case *c, float *change, float *keep,
                                    struct hf_error *e) {
    size_t count = phantom_count(&c->grid);
    float *depth = malloc(count * sizeof *depth);
    struct places s = {c, depth, malloc(count * sizeof *s.voxel), {0}, {0}};
    enum hf_status st = HF_OK;
    if (depth && s.voxel) {
        struct hf_rng rng = hf_rng_init(seed, "phantom.place", c->plan.id, 0), *r = &rng;
        phantom_border_distance(&c->grid, c->couinaud, depth);
        sort_voxels(&s);
        int32_t span = p->tumors[1] - p->tumors[0] + 1;
        int32_t wanted = p->tumors[0] + (int32_t)hf_rng_below(r, (uint32_t)span);
        float most = hf_rng_uniform(r);
        int targets = most < 0.5f ? 1 : most < 0.9f ? 2 : TARGETS;
        int target[TARGETS];
        struct phantom_tumor_range range = {
            {(float)p->contrast[0], (float)p->contrast[1]}, (float)p->bright, 1};
        for (int32_t i = 0; i < wanted && i < PHANTOM_TUMORS_MAX; i++) {
            /* the first is large and dark, so that every diseased case holds one worth finding */
            float u = hf_rng_uniform(r);
            float radius = i == 0 ? 10.0f + 12.0f * u : 5.0f * powf(5.0f, u);
            char name[40];
            (void)snprintf(name, sizeof name, "%s/%d", c->plan.id, (int)i);
            struct phantom_tumor l;
            range.dark_only = i == 0;
            /* Under another name the stream would draw other tumors for the same seed. */
            phantom_tumor_draw(&range, radius, hf_rng_init(seed, "phantom.lesion", name, 0), &l);
            if (i < targets)
                target[i] = draw_segment(&s, radius, r);
            place_one(&s, c, target[i % targets], &l, r, change, keep);
        }
    } else {
        st = hf_fail(e, HF_NO_MEMORY, "phantom case %s: no memory for its tumors", c->plan.id);
    }
    free(depth);
    free(s.voxel);
    return st;
}
