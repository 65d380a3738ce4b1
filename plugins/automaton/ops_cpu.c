/**
 * ops_cpu.c - the ops of automaton on the CPU.
 */
#include "ops.h"

#include <string.h>

/* The stream of what goes through the volume: no slice has that number. */
#define VOLUME_STREAM 0xFFFFFFFFu
/* Draws until a lesion begins somewhere that it can grow. */
#define MOST_TRIES 32

struct volume {
    const struct automaton_params *p;
    int32_t size[3];
    const float *image;
    const uint8_t *liver, *region, *couinaud; /* couinaud: NULL = one segment */
    float mean;                               /* of the image in the region */
    float *contrast, *growth;
    uint8_t *hole, *drawn;
    int32_t *count;    /* [D][SHAPES_SEGMENTS]: region voxels */
    uint32_t *touched; /* [D]: segments with a lesion, a bit each */
    uint16_t *taken;   /* of the lesion that grows: step of each cell */
    uint8_t *pressed;  /* steps that a vessel was under pressure */
};

/* Voxels low..high - 1 along D, H, W. */
struct cells {
    int32_t low[3], high[3];
};

/* A lesion while it grows. */
struct growing {
    struct hf_rng rng;
    uint32_t number; /* among those of its stream */
    struct cells box;
    int steps;
    float contrast, necrosis; /* in the image's units */
};

static int64_t voxel_at(const struct volume *v, int32_t d, int32_t h, int32_t w) {
    return ((int64_t)d * v->size[1] + h) * v->size[2] + w;
}

static int in_region(const struct volume *v, int64_t i) {
    return v->liver[i] && v->region[i];
}

static int segment_at(const struct volume *v, int64_t i) {
    return v->couinaud ? segment_of(v->couinaud[i]) : 1;
}

/* What an empty cell is to the lesion that grows; others have been there before it. */
static int tissue_at(const struct volume *v, int64_t i) {
    if (!in_region(v, i) || v->growth[i] > 0)
        return TISSUE_WALL;
    int kind = tissue_of(v->p, v->image[i], v->mean);
    return kind == TISSUE_VESSEL && v->pressed[i] > v->p->pressure ? TISSUE_HARD : kind;
}

/* ---- growth ---- */

/* One step of an empty cell: whether its neighbours take it. */
static int is_taken(struct volume *v, const struct growing *l, const int32_t at[3], int now,
                    const float share[27]) {
    int64_t i = voxel_at(v, at[0], at[1], at[2]);
    int kind = TISSUE_WALL, pressed = 0, deep = v->p->dims == 3;
    float alone = 1, draw[4];
    for (int dz = -deep; dz <= deep; dz++)
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++) {
                int32_t d = at[0] + dz, h = at[1] + dy, w = at[2] + dx;
                if (d < 0 || h < 0 || w < 0 || d >= v->size[0] || h >= v->size[1] ||
                    w >= v->size[2])
                    continue;
                int state = cell_state(v->taken[voxel_at(v, d, h, w)], now);
                if (state < AUTOMATON_SPREADS)
                    continue;
                if (kind == TISSUE_WALL && (kind = tissue_at(v, i)) == TISSUE_WALL)
                    return 0;
                pressed = pressed || state == AUTOMATON_GROWN;
                if (kind < TISSUE_VESSEL)
                    alone *= left_alone(v->p, kind, share[(dz + 1) * 9 + (dy + 1) * 3 + dx + 1]);
            }
    if (kind == TISSUE_VESSEL)
        v->pressed[i] = (uint8_t)(v->pressed[i] + (pressed && v->pressed[i] < UINT8_MAX));
    if (!(alone < 1))
        return 0;
    shapes_noise(&l->rng, l->number << 16 | (uint32_t)now, (uint32_t)i, draw);
    return draw[0] >= alone;
}

/* Lets the box grow by a cell to each side. */
static void widen(const struct volume *v, struct cells *b) {
    for (int a = v->p->dims == 3 ? 0 : 1; a < 3; a++) {
        b->low[a] = b->low[a] > 0 ? b->low[a] - 1 : 0;
        b->high[a] = b->high[a] < v->size[a] ? b->high[a] + 1 : v->size[a];
    }
}

/* All steps from a cell that begins half grown. Returns the step that it ends in. */
static int grow_cells(struct volume *v, struct growing *l, const int32_t seed[3]) {
    float share[27];
    for (int k = 0; k < 27; k++)
        share[k] = k == 13 ? 0 : step_share(v->p, k / 9 - 1, k / 3 % 3 - 1, k % 3 - 1);
    int now = AUTOMATON_FIRST;
    v->taken[voxel_at(v, seed[0], seed[1], seed[2])] = AUTOMATON_FIRST + 1 - AUTOMATON_SPREADS;
    for (; now < AUTOMATON_FIRST + l->steps; now++) {
        struct cells wider = l->box;
        int32_t at[3], grew = 0;
        widen(v, &wider);
        for (at[0] = wider.low[0]; at[0] < wider.high[0]; at[0]++)
            for (at[1] = wider.low[1]; at[1] < wider.high[1]; at[1]++)
                for (at[2] = wider.low[2]; at[2] < wider.high[2]; at[2]++) {
                    int64_t i = voxel_at(v, at[0], at[1], at[2]);
                    if (v->taken[i] || !is_taken(v, l, at, now, share))
                        continue;
                    v->taken[i] = (uint16_t)(now + 1);
                    for (int a = 0; a < 3; a++)
                        grew |= at[a] < l->box.low[a] || at[a] >= l->box.high[a];
                }
        if (grew)
            l->box = wider;
    }
    return now;
}

/* What the lesion leaves in the fields; clears what it grew in. */
static void leave(struct volume *v, const struct growing *l, int now) {
    for (int32_t d = l->box.low[0]; d < l->box.high[0]; d++)
        for (int32_t h = l->box.low[1]; h < l->box.high[1]; h++)
            for (int32_t w = l->box.low[2]; w < l->box.high[2]; w++) {
                int64_t i = voxel_at(v, d, h, w);
                if (!v->taken[i])
                    continue;
                v->contrast[i] =
                    cell_contrast(v->taken[i], now, l->steps, l->contrast, l->necrosis);
                v->growth[i] = (float)cell_state(v->taken[i], now) / AUTOMATON_GROWN;
                v->touched[d] |= 1u << segment_at(v, i);
                v->taken[i] = 0;
            }
}

static void grow_lesion(struct volume *v, struct growing *l, float radius, const int32_t seed[3]) {
    l->steps = steps_of(v->p, radius);
    for (int a = 0; a < 3; a++) {
        l->box.low[a] = seed[a];
        l->box.high[a] = seed[a] + 1;
    }
    leave(v, l, grow_cells(v, l, seed));
}

/* ---- where lesions begin ---- */

/* The n-th region voxel of slices that are drawn from, low..high - 1. */
static int64_t region_voxel(const struct volume *v, int32_t low, int32_t high, int64_t n) {
    int64_t plane = (int64_t)v->size[1] * v->size[2];
    for (int32_t d = low; d < high; d++) {
        int64_t in_slice = 0;
        for (int k = 0; k < SHAPES_SEGMENTS; k++)
            in_slice += v->count[(int64_t)d * SHAPES_SEGMENTS + k];
        if (!v->drawn[d] || n >= in_slice) {
            n -= v->drawn[d] ? in_slice : 0;
            continue;
        }
        for (int64_t i = d * plane; i < (d + 1) * plane; i++)
            if (in_region(v, i) && n-- == 0)
                return i;
    }
    return -1;
}

static void place_at(const struct volume *v, int64_t i, int32_t ret[3]) {
    ret[2] = (int32_t)(i % v->size[2]);
    ret[1] = (int32_t)(i / v->size[2] % v->size[1]);
    ret[0] = (int32_t)(i / v->size[2] / v->size[1]);
}

/* Draws a voxel that a lesion can begin in; 0: none was found. */
static int draw_seed(const struct volume *v, struct hf_rng *r, int32_t low, int32_t high,
                     int32_t voxels, int32_t ret[3]) {
    for (int k = 0; k < MOST_TRIES; k++) {
        int64_t i = region_voxel(v, low, high, hf_rng_below(r, (uint32_t)voxels));
        if (i >= 0 && tissue_at(v, i) < TISSUE_VESSEL) {
            place_at(v, i, ret);
            return 1;
        }
    }
    return 0;
}

/* Smaller lesions around a large one, which share its contrast. */
static void add_satellites(struct volume *v, struct growing *l, struct hf_rng *r, float radius,
                           const int32_t middle[3]) {
    int n = draw_whole(r, v->p->satellites);
    for (int k = 0; k < n; k++) {
        const struct range away = {1.2f, 2.0f}, size = {0.15f, 0.4f};
        float along[3], length = 0, distance = radius * draw_range(r, away);
        float own = radius * draw_range(r, size);
        int32_t seed[3];
        int inside = 1;
        for (int a = 0; a < 3; a++) {
            along[a] = a > 0 || v->p->dims == 3 ? hf_rng_normal(r) : 0;
            length += along[a] * along[a];
        }
        for (int a = 0; a < 3; a++) {
            float voxels = distance * along[a] / (sqrtf(length) + 1e-20f) / v->p->spacing[a];
            seed[a] = middle[a] + (int32_t)lrintf(voxels);
            inside = inside && seed[a] >= 0 && seed[a] < v->size[a];
        }
        if (!inside || !v->drawn[seed[0]] ||
            tissue_at(v, voxel_at(v, seed[0], seed[1], seed[2])) >= TISSUE_VESSEL)
            continue;
        l->number++;
        l->necrosis = 0;
        grow_lesion(v, l, own, seed);
    }
}

/* All lesions of the slices low..high - 1. */
static void add_lesions(struct volume *v, struct hf_rng *r, int32_t low, int32_t high,
                        int32_t voxels) {
    const struct automaton_params *p = v->p;
    struct growing l = {.rng = *r};
    int n = hf_rng_uniform(r) < p->share ? draw_whole(r, p->lesions) : 0;
    for (int k = 0; k < n; k++) {
        int bright = hf_rng_uniform(r) < p->hyperdense;
        float radius = draw_log(r, p->radius);
        int dead = hf_rng_uniform(r) < p->necrosis && radius >= p->necrosis_radius;
        int satellites = hf_rng_uniform(r) < p->satellite;
        int32_t seed[3];
        l.number++;
        l.contrast =
            draw_range(r, bright ? p->hyperdense_contrast : p->hypodense_contrast) * p->unit;
        l.necrosis = draw_range(r, p->necrosis_contrast) * p->unit * (dead ? 1.0f : 0.0f);
        if (!draw_seed(v, r, low, high, voxels, seed))
            continue;
        grow_lesion(v, &l, radius, seed);
        if (satellites)
            add_satellites(v, &l, r, radius, seed);
    }
}

/* ---- the volume ---- */

static size_t grow_scratch(const struct hf_op_call *call) {
    const int64_t *shape = call->in[0]->shape;
    size_t voxels = (size_t)hf_tensor_count(call->in[0]);
    return (size_t)shape[1] * (SHAPES_SEGMENTS * sizeof(int32_t) + sizeof(uint32_t)) +
           voxels * (sizeof(uint16_t) + 1);
}

/* Counts the region by slice and segment, and finds its mean. Returns how many voxels of it lie in
 * slices with enough. */
static int32_t survey(struct volume *v) {
    int64_t plane = (int64_t)v->size[1] * v->size[2], sum = 0, all = 0;
    int32_t voxels = 0;
    for (int32_t d = 0; d < v->size[0]; d++) {
        int32_t n = 0, *count = v->count + (int64_t)d * SHAPES_SEGMENTS;
        for (int64_t i = d * plane; i < (d + 1) * plane; i++)
            if (in_region(v, i)) {
                count[segment_at(v, i)]++;
                sum += shapes_fixed(v->image[i]);
                n++;
            }
        all += n;
        v->drawn[d] = n > 0 && (float)n * v->p->spacing[1] * v->p->spacing[2] >= v->p->min_area;
        voxels += v->drawn[d] ? n : 0;
    }
    v->mean = all > 0 ? shapes_mean(sum, all) : 0;
    return voxels;
}

/* The hole of a slice where the segments `taken` are hidden. */
static void hide(const struct volume *v, int32_t d, uint32_t taken) {
    int64_t plane = (int64_t)v->size[1] * v->size[2];
    for (int64_t i = d * plane; i < (d + 1) * plane; i++)
        v->hole[i] = (v->drawn[d] || v->touched[d]) &&
                     is_hidden(v->liver[i], v->region[i], segment_at(v, i), taken);
}

static void grow_volume(struct volume *v, int32_t voxels) {
    struct hf_rng r = shapes_stream(&v->p->rng, VOLUME_STREAM);
    int32_t count[SHAPES_SEGMENTS] = {0};
    uint32_t taken = 0;
    if (voxels > 0)
        add_lesions(v, &r, 0, v->size[0], voxels);
    for (int32_t d = 0; d < v->size[0]; d++) {
        taken |= v->touched[d];
        for (int k = 0; k < SHAPES_SEGMENTS; k++)
            count[k] += v->count[(int64_t)d * SHAPES_SEGMENTS + k];
    }
    taken = draw_hidden(&r, v->p->extra_segments, count, taken);
    for (int32_t d = 0; d < v->size[0]; d++)
        hide(v, d, taken);
}

static void grow_slice(struct volume *v, int32_t d) {
    struct hf_rng r = shapes_stream(&v->p->rng, (uint32_t)d);
    const int32_t *count = v->count + (int64_t)d * SHAPES_SEGMENTS;
    int32_t voxels = 0;
    for (int k = 0; k < SHAPES_SEGMENTS; k++)
        voxels += count[k];
    if (v->drawn[d])
        add_lesions(v, &r, d, d + 1, voxels);
    hide(v, d, draw_hidden(&r, v->p->extra_segments, count, v->touched[d]));
}

static enum hf_status grow(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const int64_t *shape = call->in[0]->shape;
    size_t voxels = (size_t)hf_tensor_count(call->in[0]);
    struct volume v = {.p = call->params,
                       .size = {(int32_t)shape[1], (int32_t)shape[2], (int32_t)shape[3]}};
    memset(scratch, 0, grow_scratch(call));
    memset(call->out[0]->dl.data, 0, call->out[0]->bytes);
    memset(call->out[1]->dl.data, 0, call->out[1]->bytes);
    v.count = scratch;
    v.touched = (uint32_t *)(v.count + shape[1] * SHAPES_SEGMENTS);
    v.taken = (uint16_t *)(v.touched + shape[1]);
    v.pressed = (uint8_t *)(v.taken + voxels);
    v.image = HF_DATA(float, call->in[0]);
    v.liver = HF_DATA(uint8_t, call->in[1]);
    v.region = HF_DATA(uint8_t, call->in[2]);
    v.couinaud = call->inputs > 3 ? HF_DATA(uint8_t, call->in[3]) : NULL;
    v.contrast = HF_DATA(float, call->out[0]);
    v.growth = HF_DATA(float, call->out[1]);
    v.hole = HF_DATA(uint8_t, call->out[2]);
    v.drawn = HF_DATA(uint8_t, call->out[3]);
    int32_t region = survey(&v);
    if (v.p->dims == 3)
        grow_volume(&v, region);
    for (int32_t d = 0; d < v.size[0] && v.p->dims == 2; d++)
        grow_slice(&v, d);
    return HF_OK;
}

/* ---- what is seen of it ---- */

static enum hf_status noise(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct automaton_params *p = call->params;
    const int64_t *shape = call->out[0]->shape;
    int64_t plane = shape[2] * shape[3];
    for (int64_t d = 0; d < shape[1]; d++) {
        struct hf_rng slice = shapes_stream(&p->rng, (uint32_t)d);
        for (int64_t i = 0; i < plane; i++) {
            float f[4];
            shapes_noise(&slice, 0x7FFFFFFFu, (uint32_t)i, f);
            HF_DATA(float, call->out[0])[d * plane + i] = shapes_normal(f[0], f[1]);
        }
    }
    return HF_OK;
}

static enum hf_status paint(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct paint_params *p = call->params;
    const float *in[5];
    const uint8_t *liver = HF_DATA(uint8_t, call->in[5]), *region = HF_DATA(uint8_t, call->in[6]);
    int64_t n = hf_tensor_count(call->in[0]);
    for (int k = 0; k < 5; k++)
        in[k] = HF_DATA(float, call->in[k]);
    for (int64_t i = 0; i < n; i++) {
        int inside = liver[i] && region[i];
        HF_DATA(float, call->out[0])
        [i] = painted_voxel(in[0][i], in[1][i], in[2][i], in[4][i], inside, p);
        HF_DATA(float, call->out[1])[i] = lesion_mask(in[2][i], in[3][i], inside, p);
    }
    return HF_OK;
}

const struct hf_op automaton_grow_cpu = {"automaton.grow", HF_KIND_CPU, grow, grow_scratch};
const struct hf_op automaton_noise_cpu = {"automaton.noise", HF_KIND_CPU, noise, NULL};
const struct hf_op automaton_paint_cpu = {"automaton.paint", HF_KIND_CPU, paint, NULL};
