/**
 * ops_cpu.c - the ops of laplace on the CPU: a region as a graph of voxels, solved by multigrid.
 */
#include "ops.h"

#include <math.h>
#include <string.h>

#include "multigrid.h"

/* Of voxels in the map of what is filled; what has a number is a node. */
enum {
    OUTSIDE = -1,
    CUT_OFF = -2,
    REACHED = -3
};

/* What is filled at once: a slice or the volume. */
struct hole {
    const struct laplace_params *p;
    int32_t size[3];
    const float *image;
    const uint8_t *region, *tissue; /* tissue: NULL = all */
    int32_t *index;                 /* of each voxel */
    int32_t *queue;
};

static enum hf_status count(const struct hf_op_call *call, void *scratch, void *stream,
                            struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const int64_t *shape = call->in[0]->shape;
    int64_t plane = shape[2] * shape[3];
    for (int64_t d = 0; d < shape[1]; d++) {
        const uint8_t *region = HF_DATA(uint8_t, call->in[0]) + d * plane;
        int32_t n = 0;
        for (int64_t i = 0; i < plane; i++)
            n += region[i] != 0;
        HF_DATA(int32_t, call->out[0])[d] = n;
    }
    return HF_OK;
}

static int known(const struct hole *o, int64_t i) {
    return is_known(o->region[i], o->tissue ? o->tissue[i] : 1);
}

/* The voxel one up (or down) the axis; -1: beyond the hole's box. */
static int64_t beside(const struct hole *o, int64_t i, int axis, int up) {
    int64_t step = axis == 2 ? 1 : axis == 1 ? o->size[2] : (int64_t)o->size[1] * o->size[2];
    int64_t along = i / step % o->size[axis];
    if (up)
        return along + 1 < o->size[axis] ? i + step : -1;
    return along > 0 ? i - step : -1;
}

/* Which voxels hang together with a known one; returns how many, and puts them in scan order. */
static int32_t find_nodes(const struct hole *o) {
    int64_t voxels = (int64_t)o->size[0] * o->size[1] * o->size[2];
    int32_t reached = 0, nodes = 0;
    for (int64_t i = 0; i < voxels; i++)
        o->index[i] = o->region[i] ? CUT_OFF : OUTSIDE;
    for (int64_t i = 0; i < voxels; i++) {
        for (int k = 0; k < 6 && o->index[i] == CUT_OFF; k++) {
            int64_t j = beside(o, i, k / 2, k % 2);
            if (j >= 0 && known(o, j)) {
                o->index[i] = REACHED;
                o->queue[reached++] = (int32_t)i;
            }
        }
    }
    for (int32_t at = 0; at < reached; at++)
        for (int k = 0; k < 6; k++) {
            int64_t j = beside(o, o->queue[at], k / 2, k % 2);
            if (j >= 0 && o->index[j] == CUT_OFF) {
                o->index[j] = REACHED;
                o->queue[reached++] = (int32_t)j;
            }
        }
    for (int64_t i = 0; i < voxels; i++)
        if (o->index[i] == REACHED) {
            o->queue[nodes] = (int32_t)i;
            o->index[i] = nodes++;
        }
    return nodes;
}

/* The finest level: each node with its neighbours, and what known ones pull with. */
static void fill_in(const struct hole *o, struct grid_problem *g, double start) {
    struct grid_level *l = &g->level[0];
    for (int32_t n = 0; n < l->nodes; n++) {
        l->at[n] = o->queue[n];
        l->diagonal[n] = g->right[n] = 0;
        g->x[n] = start;
        for (int a = 0; a < 3; a++) {
            double weight = neighbour_weight(o->p, a);
            l->next[a][n] = l->previous[a][n] = -1;
            l->weight[a][n] = (float)weight;
            for (int up = 0; up < 2; up++) {
                int64_t j = beside(o, o->queue[n], a, up);
                if (j < 0 || (o->index[j] < 0 && !known(o, j)))
                    continue; /* nothing flows there */
                l->diagonal[n] += (double)l->weight[a][n];
                if (o->index[j] < 0)
                    g->right[n] += (double)l->weight[a][n] * (double)o->image[j];
                else if (up)
                    l->next[a][n] = o->index[j];
                else
                    l->previous[a][n] = o->index[j];
            }
        }
    }
}

static enum hf_status fill_hole(const struct hole *o, void *memory, float mean, float *out,
                                struct hf_error *e) {
    struct grid_problem g;
    int64_t voxels = (int64_t)o->size[0] * o->size[1] * o->size[2];
    int32_t nodes = find_nodes(o);
    if (nodes > 0) {
        grid_begin(&g, memory, nodes, o->size);
        fill_in(o, &g, (double)mean);
        grid_coarsen(&g, o->p->spacing);
        if (!grid_solve(&g, (double)o->p->tolerance, o->p->rounds))
            return hf_fail(e, HF_INVALID,
                           "no harmonic filling of %d voxels: after %d rounds one still changes by "
                           "%g; set 'tolerance', which is %g, higher",
                           nodes, g.rounds, g.change, (double)o->p->tolerance);
    }
    for (int64_t i = 0; i < voxels; i++)
        if (o->index[i] != OUTSIDE)
            out[i] = o->index[i] >= 0 ? (float)g.x[o->index[i]] : mean;
    return HF_OK;
}

/* The mean of what is known in the volume. */
static float mean_known(const struct hole *o, int64_t voxels) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < voxels; i++)
        if (known(o, i)) {
            sum += (double)o->image[i];
            n++;
        }
    return n > 0 ? (float)(sum / (double)n) : o->p->unknown;
}

static int64_t box_voxels(const struct hf_op_call *call) {
    const struct laplace_params *p = call->params;
    const int64_t *shape = call->in[0]->shape;
    return (p->dims == 3 ? shape[1] : 1) * shape[2] * shape[3];
}

static size_t fill_scratch(const struct hf_op_call *call) {
    const struct laplace_params *p = call->params;
    int64_t voxels = box_voxels(call);
    return grid_bytes(p->most, voxels) + (size_t)(voxels + p->most) * sizeof(int32_t);
}

static enum hf_status fill(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    const struct laplace_params *p = call->params;
    const int64_t *shape = call->in[0]->shape;
    int64_t all = hf_tensor_count(call->in[0]), voxels = box_voxels(call);
    char *memory = scratch;
    float *out = HF_DATA(float, call->out[0]), *more = HF_DATA(float, call->out[1]);
    struct hole whole = {
        .p = p,
        .size = {p->dims == 3 ? (int32_t)shape[1] : 1, (int32_t)shape[2], (int32_t)shape[3]},
        .image = HF_DATA(float, call->in[0]),
        .region = HF_DATA(uint8_t, call->in[1]),
        .tissue = call->inputs > 2 ? HF_DATA(uint8_t, call->in[2]) : NULL};
    whole.index = (int32_t *)(void *)(memory + grid_bytes(p->most, voxels));
    whole.queue = whole.index + voxels;
    float mean = mean_known(&whole, all);
    if (p->most > 0 && !isfinite(mean))
        return hf_fail(e, HF_INVALID,
                       "'image' is NaN or infinite in the tissue that the region is filled from");
    memcpy(out, whole.image, (size_t)all * sizeof *out);
    enum hf_status st = HF_OK;
    for (int64_t at = 0; at < all && st == HF_OK; at += voxels) {
        struct hole one = whole;
        one.image += at;
        one.region += at;
        one.tissue = whole.tissue ? whole.tissue + at : NULL;
        st = fill_hole(&one, memory, mean, out + at, e);
    }
    for (int64_t i = 0; i < all; i++)
        more[i] = whole.image[i] - out[i];
    return st;
}

const struct hf_op laplace_count_cpu = {"laplace.count", HF_KIND_CPU, count, NULL};
const struct hf_op laplace_fill_cpu = {"laplace.fill", HF_KIND_CPU, fill, fill_scratch};
