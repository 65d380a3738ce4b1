/**
 * ops_cpu.c - "parts.cut" on the CPU: superpixels of a region, and the turn of each.
 */
#include "../shapes/superpixels_cpu.h"
#include "ops.h"

#define WORDS (MAX_SUPERPIXELS / 32)

/* One slice. */
struct cut {
    const struct cut_params *p;
    int32_t h, w;
    const float *image;
    const uint8_t *region;
    uint8_t *turn;
    int32_t *voxel, voxels; /* of the region */
    uint8_t *label;         /* of these */
    int32_t seed[MAX_SUPERPIXELS];
    int32_t seeds;
};

static size_t cut_scratch(const struct hf_op_call *call) {
    const int64_t *shape = call->in[0]->shape;
    return (size_t)(shape[2] * shape[3]) * (sizeof(int32_t) + 1);
}

/* The region's voxels; those in the middles of a grid's squares are seeds. */
static void collect(struct cut *s) {
    int32_t step[2];
    s->voxels = s->seeds = 0;
    for (int a = 0; a < 2; a++) {
        step[a] = (int32_t)(s->p->size / s->p->spacing[a] + 0.5f);
        step[a] = step[a] > 1 ? step[a] : 1;
    }
    for (int32_t i = 0; i < s->h * s->w; i++) {
        int32_t y = i / s->w, x = i % s->w;
        if (!s->region[i])
            continue;
        if (y % step[0] == step[0] / 2 && x % step[1] == step[1] / 2 && s->seeds < MAX_SUPERPIXELS)
            s->seed[s->seeds++] = s->voxels;
        s->voxel[s->voxels++] = i;
    }
}

/* Which superpixels touch which, a bit each; `turn` holds the labels. */
static void find_neighbours(const struct cut *s, uint32_t touch[MAX_SUPERPIXELS][WORDS]) {
    static const int32_t beside[4][2] = {{0, 1}, {1, -1}, {1, 0}, {1, 1}};
    for (int32_t j = 0; j < s->voxels; j++) {
        int32_t i = s->voxel[j], y = i / s->w, x = i % s->w;
        for (int k = 0; k < 4; k++) {
            int32_t y2 = y + beside[k][0], x2 = x + beside[k][1], other = y2 * s->w + x2;
            if (y2 >= s->h || x2 < 0 || x2 >= s->w || !s->region[other])
                continue;
            uint8_t a = s->turn[i], b = s->turn[other];
            touch[a][b / 32] |= 1u << b % 32;
            touch[b][a / 32] |= 1u << a % 32;
        }
    }
}

/* Each superpixel has the first turn that none has which it touches. */
static void give_turns(const struct cut *s, uint32_t touch[MAX_SUPERPIXELS][WORDS],
                       uint8_t turn[MAX_SUPERPIXELS]) {
    for (int k = 0; k < s->seeds; k++) {
        uint32_t used = 0;
        for (int j = 0; j < k; j++)
            if (touch[k][j / 32] >> j % 32 & 1)
                used |= 1u << turn[j];
        turn[k] = 1;
        while (turn[k] < PARTS_TURNS && used >> turn[k] & 1)
            turn[k]++;
    }
}

static void cut_slice(struct cut *s) {
    struct superpixel sum[MAX_SUPERPIXELS];
    uint32_t touch[MAX_SUPERPIXELS][WORDS];
    uint8_t turn[MAX_SUPERPIXELS];
    memset(s->turn, 0, (size_t)(s->h * s->w));
    collect(s);
    if (s->seeds < 2) {
        for (int32_t j = 0; j < s->voxels; j++)
            s->turn[s->voxel[j]] = 1;
        return;
    }
    const struct clusters c = {
        s->image,          s->voxel, s->voxels, s->w, {s->p->spacing[0], s->p->spacing[1]},
        s->p->compactness, s->label};
    clusters_make(&c, s->seed, sum, s->seeds);
    for (int32_t j = 0; j < s->voxels; j++)
        s->turn[s->voxel[j]] = s->label[j];
    memset(touch, 0, sizeof touch);
    find_neighbours(s, touch);
    give_turns(s, touch, turn);
    for (int32_t j = 0; j < s->voxels; j++)
        s->turn[s->voxel[j]] = turn[s->label[j]];
}

static enum hf_status cut(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)stream;
    (void)e;
    const int64_t *shape = call->in[0]->shape;
    int64_t plane = shape[2] * shape[3];
    for (int64_t d = 0; d < shape[1]; d++) {
        struct cut s = {.p = call->params, .h = (int32_t)shape[2], .w = (int32_t)shape[3]};
        s.image = HF_DATA(float, call->in[0]) + d * plane;
        s.region = HF_DATA(uint8_t, call->in[1]) + d * plane;
        s.turn = HF_DATA(uint8_t, call->out[0]) + d * plane;
        s.voxel = scratch;
        s.label = (uint8_t *)(s.voxel + plane);
        cut_slice(&s);
    }
    return HF_OK;
}

const struct hf_op parts_cut_cpu = {"parts.cut", HF_KIND_CPU, cut, cut_scratch};
