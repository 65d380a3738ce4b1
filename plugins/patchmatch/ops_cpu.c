/**
 * ops_cpu.c - "patchmatch.fill" on the CPU: fills the region of each slice out of known patches,
 * from the coarsest level of a pyramid to the finest (Wexler et al., "Space-time completion of
 * video", IEEE TPAMI 2007).
 */
#include "ops.h"

#include <string.h>

#include "../ops/pieces.h"
#include "nearest.h"

/* The volume, and a mark for each slice. */
struct volume {
    const struct patchmatch_params *p;
    int32_t d, h, w;
    const float *image;
    const uint8_t *region, *tissue; /* tissue: NULL = all */
    int32_t *sources;               /* patches of each slice that may be copied */
    float mean;                     /* of what is known */
};

/* ---- memory ---- */

static void lay_out(struct level *l, int32_t h, int32_t w, struct pieces *memory) {
    size_t n = (size_t)h * (size_t)w;
    l->to_value = piece(memory, n * sizeof(float));
    l->from_value = piece(memory, n * sizeof(float));
    l->distance = piece(memory, n * sizeof(float));
    l->spot = piece(memory, n * sizeof(int32_t));
    l->centre = piece(memory, n * sizeof(int32_t));
    l->nearest = piece(memory, n * sizeof(int32_t));
    l->inside = piece(memory, n * sizeof(uint16_t));
    l->to_pixel = piece(memory, n);
    l->from_pixel = piece(memory, n);
    l->source = piece(memory, n);
    l->is_centre = piece(memory, n);
    l->pixels = piece(memory, n);
    l->to = (struct plane){h, w, l->to_pixel, l->to_value};
    l->from = (struct plane){h, w, l->from_pixel, l->from_value};
}

size_t patchmatch_bytes(int64_t h, int64_t w, int32_t levels) {
    const size_t each = 6 * sizeof(float) + sizeof(uint16_t) + 5;
    size_t bytes = 0;
    for (int32_t k = 0; k < levels; k++) {
        bytes += (size_t)(h * w) * each + 12 * PIECE_LINE;
        h = (h + 1) / 2;
        w = (w + 1) / 2;
    }
    return piece_bytes(bytes);
}

/* ---- the pyramid ---- */

static uint8_t pixel_of(const struct volume *v, int64_t i) {
    if (v->region[i])
        return PIXEL_HOLE;
    return !v->tissue || v->tissue[i] ? PIXEL_KNOWN : PIXEL_OUTSIDE;
}

static void read_slice(const struct volume *v, int32_t d, uint8_t *pixel, float *value) {
    int64_t plane = (int64_t)v->h * v->w;
    for (int64_t i = 0; i < plane; i++) {
        pixel[i] = pixel_of(v, d * plane + i);
        value[i] = v->image[d * plane + i];
    }
}

static void make_coarser(const struct plane *fine, uint8_t *pixel, float *value) {
    int32_t h = (fine->h + 1) / 2, w = (fine->w + 1) / 2;
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++)
            pixel[y * w + x] = coarse_pixel(fine, y, x, &value[y * w + x]);
}

/* How deep the hole is: where a patch sees across it nothing coarser is needed. */
static int32_t hole_depth(const struct level *l) {
    int32_t most = 0;
    for (int32_t k = 0; k < l->centres; k++) {
        uint16_t inside = l->inside[l->centre[k]];
        most = inside != NOT_REACHED && inside > most ? inside : most;
    }
    return most;
}

/* Level 0 is there; adds coarser ones while there is something to copy on them. Returns how many
 * there are. */
static int32_t add_levels(struct level *l, const struct patchmatch_params *p,
                          struct pieces memory) {
    int32_t n = 1;
    while (n < p->levels && hole_depth(&l[n - 1]) > p->radius) {
        struct level *fine = &l[n - 1], *coarse = &l[n];
        *coarse = (struct level){.p = p, .number = n};
        lay_out(coarse, (fine->to.h + 1) / 2, (fine->to.w + 1) / 2, &memory);
        make_coarser(&fine->to, coarse->to_pixel, coarse->to_value);
        make_coarser(&fine->from, coarse->from_pixel, coarse->from_value);
        level_survey(coarse);
        if (coarse->spots == 0)
            break;
        n++;
    }
    return n;
}

/* ---- one slice ---- */

/* Layer by layer from what is known: the beginning of the coarsest level. */
static void fill_smoothly(struct level *l, float mean) {
    int32_t most = hole_depth(l), w = l->to.w;
    for (int32_t k = 0; k < l->centres; k++)
        if (l->to.pixel[l->centre[k]] == PIXEL_HOLE)
            l->to_value[l->centre[k]] = mean;
    for (int32_t depth = 1; depth <= most; depth++)
        for (int32_t k = 0; k < l->centres; k++) {
            static const int32_t beside[4][2] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}};
            int32_t i = l->centre[k];
            float sum = 0, n = 0;
            for (int j = 0; j < 4 && l->inside[i] == depth; j++) {
                int32_t y = i / w + beside[j][0], x = i % w + beside[j][1];
                if (y < 0 || x < 0 || y >= l->to.h || x >= w ||
                    l->to.pixel[y * w + x] == PIXEL_OUTSIDE || l->inside[y * w + x] >= depth)
                    continue;
                sum += l->to.value[y * w + x];
                n += 1;
            }
            if (n > 0)
                l->to_value[i] = sum / n;
        }
}

static void complete(struct level *l, int32_t levels, float mean) {
    for (int32_t k = levels - 1; k >= 0; k--) {
        nearest_begin(&l[k], k + 1 < levels ? &l[k + 1] : NULL);
        if (k + 1 == levels)
            fill_smoothly(&l[k], mean);
        else
            nearest_vote(&l[k]);
        for (int32_t round = 1; round <= l->p->rounds; round++) {
            nearest_search(&l[k], round);
            nearest_vote(&l[k]);
        }
    }
}

/* The slice to copy from: the nearest that has at least some patches, of two the lower one; else
 * the nearest that has any; -1: none has. */
static int32_t source_slice(const struct volume *v, int32_t d) {
    const int32_t wanted[2] = {(2 * v->p->radius + 1) * (2 * v->p->radius + 1), 1};
    for (int pass = 0; pass < 2; pass++)
        for (int32_t away = 0; away < v->d; away++) {
            if (d - away >= 0 && v->sources[d - away] >= wanted[pass])
                return d - away;
            if (d + away < v->d && v->sources[d + away] >= wanted[pass])
                return d + away;
        }
    return -1;
}

static void fill_slice(const struct volume *v, int32_t d, struct pieces memory, float *out) {
    int64_t plane = (int64_t)v->h * v->w;
    struct level level[PATCH_LEVELS] = {{.p = v->p}};
    struct patchmatch_params own = *v->p;
    int32_t from = source_slice(v, d);
    own.rng = shapes_stream(&v->p->rng, (uint32_t)d);
    if (from < 0) {
        for (int64_t i = 0; i < plane; i++)
            if (v->region[d * plane + i])
                out[i] = v->mean;
        return;
    }
    level[0].p = &own;
    lay_out(&level[0], v->h, v->w, &memory);
    read_slice(v, d, level[0].to_pixel, level[0].to_value);
    read_slice(v, from, level[0].from_pixel, level[0].from_value);
    level_survey(&level[0]);
    if (level[0].centres == 0)
        return;
    complete(level, add_levels(level, &own, memory), v->mean);
    for (int64_t i = 0; i < plane; i++)
        if (level[0].to_pixel[i] == PIXEL_HOLE)
            out[i] = level[0].to_value[i];
}

/* ---- the volume ---- */

static float mean_known(const struct volume *v) {
    int64_t n = (int64_t)v->d * v->h * v->w, count = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (pixel_of(v, i) == PIXEL_KNOWN) {
            sum += (double)v->image[i];
            count++;
        }
    return count > 0 ? (float)(sum / (double)count) : v->p->unknown;
}

/* Counts the patches of each slice that may be copied; `memory` is scratch. */
static void count_sources(const struct volume *v, struct pieces memory) {
    int64_t plane = (int64_t)v->h * v->w;
    float *value = piece(&memory, (size_t)plane * sizeof(float));
    uint8_t *pixel = piece(&memory, (size_t)plane);
    for (int32_t d = 0; d < v->d; d++) {
        const struct plane p = {v->h, v->w, pixel, value};
        read_slice(v, d, pixel, value);
        v->sources[d] = 0;
        for (int32_t i = 0; i < plane; i++)
            v->sources[d] += is_source(&p, v->p->radius, i / v->w, i % v->w);
    }
}

static size_t fill_scratch(const struct hf_op_call *call) {
    const struct patchmatch_params *p = call->params;
    const int64_t *shape = call->in[0]->shape;
    return patchmatch_bytes(shape[2], shape[3], p->levels) + (size_t)shape[1] * sizeof(int32_t);
}

static enum hf_status fill(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const int64_t *shape = call->in[0]->shape;
    int64_t plane = shape[2] * shape[3], all = hf_tensor_count(call->in[0]);
    float *out = HF_DATA(float, call->out[0]), *more = HF_DATA(float, call->out[1]);
    struct volume v = {.p = call->params,
                       .d = (int32_t)shape[1],
                       .h = (int32_t)shape[2],
                       .w = (int32_t)shape[3],
                       .image = HF_DATA(float, call->in[0]),
                       .region = HF_DATA(uint8_t, call->in[1]),
                       .tissue = call->inputs > 2 ? HF_DATA(uint8_t, call->in[2]) : NULL};
    struct pieces memory = {scratch, 0}; /* each slice has all of it */
    v.sources =
        (int32_t *)(void *)((char *)scratch + patchmatch_bytes(shape[2], shape[3], v.p->levels));
    v.mean = mean_known(&v);
    count_sources(&v, memory);
    memcpy(out, v.image, (size_t)all * sizeof *out);
    for (int32_t d = 0; d < v.d; d++)
        fill_slice(&v, d, memory, out + d * plane);
    for (int64_t i = 0; i < all; i++)
        more[i] = v.image[i] - out[i];
    return HF_OK;
}

const struct hf_op patchmatch_fill_cpu = {"patchmatch.fill", HF_KIND_CPU, fill, fill_scratch};
