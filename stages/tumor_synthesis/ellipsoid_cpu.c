/**
 * ellipsoid_cpu.c - "tumor_synthesis.ellipsoid" on the CPU: where in the liver lesions lie, one
 * after the other, and what of it is hidden for them.
 */
#include <string.h>

#include "../../plugins/ops/pieces.h"
#include "ellipsoid_cpu.h"
#include "ops.h"

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static void *take(struct pieces *memory, int64_t count, size_t size) {
    return piece(memory, (size_t)count * size);
}

static float *take_floats(struct pieces *memory, int64_t count) {
    return take(memory, count, sizeof(float));
}

static struct places take_places(struct pieces *memory, int64_t count) {
    struct places p;
    p.first = take(memory, count, sizeof(int32_t));
    p.tap = take_floats(memory, count * LATTICE_TAPS);
    return p;
}

/* Lays scratch out; `base` NULL: only says how much there has to be. */
static size_t lay_out(const struct hf_op_call *call, char *base, struct parts *of) {
    const struct ellipsoid_params *p = call->params;
    const int64_t *shape = call->in[0]->shape + 1;
    int64_t box[3], coarse[3], fine[3];
    struct pieces memory = {base, 0};
    for (int a = 0; a < 3; a++)
        box[a] = most_voxels(p, a, (int32_t)shape[a]);
    most_points(p, box, coarse, fine);
    int64_t voxels = box[0] * box[1] * box[2];
    of->count = take(&memory, shape[0] * SHAPES_SEGMENTS, sizeof(int32_t));
    of->touched = take(&memory, shape[0], sizeof(uint32_t));
    of->inner = take(&memory, 2 * shape[1] * shape[2], 1);
    of->hard = take_floats(&memory, voxels);
    of->rim = take_floats(&memory, p->rim > 0 ? voxels : 0);
    of->a = take_floats(&memory, voxels);
    of->b = take_floats(&memory, voxels);
    of->column = take_floats(&memory, COLUMN_TABLES * box[2]);
    of->coarse = take_floats(&memory, coarse[0] * coarse[1] * coarse[2]);
    of->coarse_w = take_floats(&memory, coarse[0] * coarse[1] * fine[2]);
    of->coarse_h = take_floats(&memory, coarse[0] * fine[1] * fine[2]);
    of->fine = take_floats(&memory, fine[0] * fine[1] * fine[2]);
    of->fine_w = take_floats(&memory, fine[0] * fine[1] * box[2]);
    of->fine_h = take_floats(&memory, fine[0] * box[1] * box[2]);
    for (int a = 0; a < 3; a++) {
        of->cell[a] = take_places(&memory, fine[a]);
        of->voxel[a] = take_places(&memory, box[a]);
    }
    return memory.used;
}

static size_t grow_scratch(const struct hf_op_call *call) {
    struct parts of;
    return lay_out(call, NULL, &of);
}

/* ---- the liver ---- */

/* Finds the next run of liver voxels, *i..*ret_end - 1, fast over what is none; 0: there is none.
 */
static int next_run(const uint8_t *liver, int64_t *i, int64_t to, int64_t *ret_end) {
    int64_t at = *i;
    while (at < to && !liver[at]) {
        uint64_t eight = 0;
        if (at + 8 <= to)
            memcpy(&eight, liver + at, 8);
        at += at + 8 <= to && eight == 0 ? 8 : 1;
    }
    *i = at;
    for (uint64_t eight = 0; at + 8 <= to; at += 8) { /* none of them is 0 */
        memcpy(&eight, liver + at, 8);
        if ((eight - 0x0101010101010101u) & ~eight & 0x8080808080808080u)
            break;
    }
    while (at < to && liver[at])
        at++;
    *ret_end = at;
    return *i < to;
}

/* Walks over runs of liver voxels: i..end - 1. */
#define LIVER_RUNS(i, end, liver, from, to)                                                        \
    for (int64_t i = (from), end = 0; next_run(liver, &i, to, &end); i = end)

/* Counts a run's region voxels by segment; returns how many there are. */
static int32_t count_run(const struct volume *v, int64_t i, int64_t end, int32_t *count) {
    int32_t part[2][SHAPES_SEGMENTS] = {{0}}, all = 0; /* neighbours do not wait for each other */
    for (int64_t k = i; k < end; k++)
        part[k & 1][segment_at(v, k)] += v->region[k] != 0;
    for (int k = 0; k < SHAPES_SEGMENTS; k++) {
        count[k] += part[0][k] + part[1][k];
        all += part[0][k] + part[1][k];
    }
    return all;
}

/* Counts the region's voxels by slice and segment, and finds where it is. */
static void survey(struct volume *v) {
    int64_t plane = (int64_t)v->size[1] * v->size[2];
    v->within = (struct grown_box){{v->size[0], v->size[1], v->size[2]}, {0, 0, 0}};
    v->first = v->size[0];
    v->last = -1;
    memset(v->of.count, 0, (size_t)v->size[0] * SHAPES_SEGMENTS * sizeof(int32_t));
    for (int32_t d = 0; d < v->size[0]; d++) {
        int32_t *count = v->of.count + (int64_t)d * SHAPES_SEGMENTS;
        int liver = 0, region = 0;
        for (int32_t y = 0; y < v->size[1]; y++) {
            int64_t row = d * plane + (int64_t)y * v->size[2], left = -1, right = -1;
            LIVER_RUNS(i, end, v->liver, row, row + v->size[2]) {
                liver = 1;
                if (count_run(v, i, end, count) == 0)
                    continue;
                for (int64_t k = i; left < 0; k++)
                    left = v->region[k] ? k - row : -1;
                for (right = end - 1 - row; !v->region[row + right];)
                    right--;
            }
            if (left < 0)
                continue;
            region = 1;
            v->within.low[1] = y < v->within.low[1] ? y : v->within.low[1];
            v->within.high[1] = y + 1 > v->within.high[1] ? y + 1 : v->within.high[1];
            v->within.low[2] = (int32_t)(left < v->within.low[2] ? left : v->within.low[2]);
            v->within.high[2] = (int32_t)most(right + 1, v->within.high[2]);
        }
        if (liver) {
            v->first = d < v->first ? d : v->first;
            v->last = d;
        }
        if (region) {
            v->within.low[0] = d < v->within.low[0] ? d : v->within.low[0];
            v->within.high[0] = d + 1;
        }
    }
}

static int32_t region_voxels(const int32_t *count) {
    int32_t all = 0;
    for (int k = 0; k < SHAPES_SEGMENTS; k++)
        all += count[k];
    return all;
}

/* out[i] = 1 where all of in[i - reach * step] ... in[i + reach * step] are; 0 at the ends. */
static void erode(const uint8_t *restrict in, uint8_t *restrict out, int64_t n, int64_t step,
                  int64_t reach) {
    int64_t margin = reach * step < n ? reach * step : n;
    memset(out, 0, (size_t)n);
    if (2 * margin >= n)
        return;
    memcpy(out + margin, in + margin, (size_t)(n - 2 * margin));
    for (int64_t k = -reach; k <= reach; k++)
        for (int64_t i = margin; i < n - margin; i++)
            out[i] &= in[i + k * step];
}

/* The slice's region, away from the liver's edge, or all of it where nothing is (as near_edge has
 * it); returns how many voxels that are. */
static int32_t find_inner(const struct volume *v, int64_t from, uint8_t *inner) {
    int64_t h = v->size[1], w = v->size[2], n = h * w;
    const uint8_t *liver = v->liver + from, *region = v->region + from;
    uint8_t *other = inner + n;
    int32_t reach[2], count = 0;
    inset_reach(v->p, reach);
    for (int64_t i = 0; i < n; i++)
        inner[i] = liver[i] != 0;
    for (int64_t y = 0; y < h; y++)
        erode(inner + y * w, other + y * w, w, 1, reach[1]);
    erode(other, inner, n, w, reach[0]);
    for (int64_t i = 0; i < n; i++)
        inner[i] &= region[i] != 0;
    for (int64_t i = 0; i < n; i++)
        count += inner[i];
    if (count > 0)
        return count;
    for (int64_t i = 0; i < n; i++) {
        inner[i] = liver[i] && region[i];
        count += inner[i];
    }
    return count;
}

/* The voxel that a lesion's pick means. */
static void place(const struct volume *v, const struct grown *l, int32_t at[3]) {
    int64_t plane = (int64_t)v->size[1] * v->size[2], i = 0;
    uint8_t *inner = v->of.inner;
    int32_t left = shapes_below(l->pick, find_inner(v, l->slice * plane, inner));
    while (i < plane - 1 && (!inner[i] || left-- > 0))
        i++;
    at[0] = l->slice;
    at[1] = (int32_t)(i / v->size[2]);
    at[2] = (int32_t)(i % v->size[2]);
}

/* ---- all of them ---- */

static void add_lesion(const struct volume *v, const struct hf_rng *r, const struct grown *l,
                       int32_t number) {
    int32_t at[3];
    place(v, l, at);
    ellipsoid_add(v, r, l, number, at);
}

static void grow_slice(struct volume *v, int32_t d, struct hf_rng *r) {
    int32_t sizes[GROWN_SIZES], all = draw_sizes(r, v->p, sizes);
    for (int32_t n = 0; n < all; n++) {
        const struct grown l = draw_grown(r, v->p, size_of(sizes, n), d);
        v->within.low[0] = d;
        v->within.high[0] = d + 1;
        add_lesion(v, r, &l, n);
    }
}

/* The n-th slice that a lesion may begin in (n < 0: how many there are), of those in the liver's
 * middle, or of all (`all`). */
static int32_t find_slice(const struct volume *v, int all, int32_t n) {
    int32_t count = 0;
    for (int32_t d = 0; d < v->size[0]; d++)
        if (v->drawn[d] && (all || in_extent(v->p, d, v->first, v->last)) && count++ == n)
            return d;
    return count;
}

static void grow_volume(struct volume *v, struct hf_rng *r) {
    int all = find_slice(v, 0, -1) == 0;
    int32_t slices = find_slice(v, all, -1), sizes[GROWN_SIZES];
    if (slices == 0)
        return;
    int32_t lesions = draw_sizes(r, v->p, sizes);
    for (int32_t n = 0; n < lesions; n++) {
        int32_t d = find_slice(v, all, (int32_t)hf_rng_below(r, (uint32_t)slices));
        const struct grown l = draw_grown(r, v->p, size_of(sizes, n), d);
        add_lesion(v, r, &l, n);
    }
}

/* Adds the voxels of a run whose map holds low..high to the hole. */
static void hide_run(uint8_t *restrict hole, const uint8_t *restrict couinaud, int64_t n,
                     uint8_t low, uint8_t high) {
    for (int64_t i = 0; i < n; i++)
        hole[i] |= (uint8_t)(couinaud[i] - low) <= (uint8_t)(high - low);
}

/* The hole of a slice where the segments `taken` are hidden: as is_hidden has it. */
static void hide(const struct volume *v, int32_t d, uint32_t taken) {
    int64_t plane = (int64_t)v->size[1] * v->size[2];
    if (!v->drawn[d] && !v->of.touched[d])
        return;
    LIVER_RUNS(i, end, v->liver, d * plane, (d + 1) * plane) {
        for (int64_t k = i; k < end; k++)
            v->hole[k] = v->region[k] == 0;
        for (uint8_t k = 0; k < SHAPES_SEGMENTS; k++) {
            if (!(taken >> k & 1))
                continue;
            if (v->couinaud)
                hide_run(v->hole + i, v->couinaud + i, end - i, k, k);
            else if (k == 1)
                memset(v->hole + i, 1, (size_t)(end - i));
            if (v->couinaud && k == 0) /* what is no segment counts as none */
                hide_run(v->hole + i, v->couinaud + i, end - i, SHAPES_SEGMENTS, 255);
        }
    }
}

static void hide_volume(struct volume *v, struct hf_rng *r) {
    int32_t count[SHAPES_SEGMENTS] = {0};
    uint32_t taken = 0;
    for (int32_t d = 0; d < v->size[0]; d++) {
        taken |= v->of.touched[d];
        for (int k = 0; k < SHAPES_SEGMENTS; k++)
            count[k] += v->of.count[(int64_t)d * SHAPES_SEGMENTS + k];
    }
    taken = draw_segments(r, &v->p->base, count, taken);
    for (int32_t d = 0; d < v->size[0]; d++)
        hide(v, d, taken);
}

static enum hf_status grow(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const struct ellipsoid_params *p = call->params;
    const int64_t *shape = call->in[0]->shape + 1;
    struct volume v = {.p = p, .size = {(int32_t)shape[0], (int32_t)shape[1], (int32_t)shape[2]}};
    (void)lay_out(call, scratch, &v.of);
    v.healthy = HF_DATA(float, call->in[0]);
    v.liver = HF_DATA(uint8_t, call->in[1]);
    v.region = HF_DATA(uint8_t, call->in[2]);
    v.couinaud = call->inputs > 3 ? HF_DATA(uint8_t, call->in[3]) : NULL;
    v.image = HF_DATA(float, call->out[0]);
    v.lesion = HF_DATA(float, call->out[1]);
    v.hole = HF_DATA(uint8_t, call->out[2]);
    v.drawn = HF_DATA(uint8_t, call->out[3]);
    memcpy(v.image, v.healthy, call->out[0]->bytes);
    memset(v.lesion, 0, call->out[1]->bytes);
    memset(v.hole, 0, call->out[2]->bytes);
    memset(v.of.touched, 0, (size_t)v.size[0] * sizeof(uint32_t));
    survey(&v);
    for (int32_t d = 0; d < v.size[0]; d++)
        v.drawn[d] =
            (uint8_t)is_enough(&p->base, region_voxels(v.of.count + (int64_t)d * SHAPES_SEGMENTS));

    struct hf_rng whole = shapes_stream(&p->base.rng, VOLUME_STREAM);
    if (p->dims == 3)
        grow_volume(&v, &whole);
    for (int32_t d = 0; d < v.size[0]; d++) {
        struct hf_rng r = shapes_stream(&p->base.rng, (uint32_t)d);
        if (p->dims == 2 && v.drawn[d])
            grow_slice(&v, d, &r);
        if (p->hide == HIDE_SLICE)
            hide(&v, d,
                 draw_segments(&r, &p->base, v.of.count + (int64_t)d * SHAPES_SEGMENTS,
                               v.of.touched[d]));
    }
    if (p->hide == HIDE_VOLUME)
        hide_volume(&v, &whole);
    return HF_OK;
}

const struct hf_op tumor_synthesis_ellipsoid_cpu = {"tumor_synthesis.ellipsoid", HF_KIND_CPU, grow,
                                                    grow_scratch};
