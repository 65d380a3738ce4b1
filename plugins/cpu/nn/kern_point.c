/**
 * kern_point.c - pointwise kernels: activations, gates, copies, sums, scales, layouts, optimisers.
 */
#include "kern_isa.h"
#include "../../nn/elem.h"

#include <math.h>

/**
 * The rows of one task. Where every view is dense the rows of a task are one long row, so that
 * narrow tensors vectorise as well as wide ones.
 */
struct span {
    int64_t first, rows, width;
};

static int64_t tasks_of(const struct kn_point *a) {
    return kn_blocks(a->rows, kn_block_voxels(a->c));
}

static struct span span_of(const struct kn_point *a, int64_t task, int dense) {
    int64_t block = kn_block_voxels(a->c);
    struct span s = {.first = task * block, .width = a->c};
    s.rows = a->rows - s.first < block ? a->rows - s.first : block;
    if (dense) {
        s.width *= s.rows;
        s.rows = 1;
    }
    return s;
}

/* ---- activations ---- */

static void act_row(enum hf_act act, float slope, const float *x, float *y, int64_t n) {
    switch (act) {
    case HF_ACT_SIGMOID:
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            y[j] = el_sigmoid(x[j]);
        return;
    case HF_ACT_TANH:
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            y[j] = el_tanh(x[j]);
        return;
    default:
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            y[j] = el_leaky(x[j], slope);
    }
}

/** RELU and NONE are LEAKY with slopes 0 and 1. */
static float slope_of(const struct kn_point *a) {
    return a->act == HF_ACT_LEAKY ? a->slope : a->act == HF_ACT_NONE ? 1.0f : 0.0f;
}

void KN(kn_act_forward)(const struct kn_point *a) {
    int dense = a->x.step == a->c && a->y.step == a->c;
    float slope = slope_of(a);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, dense);
        for (int64_t r = s.first; r < s.first + s.rows; r++)
            act_row(a->act, slope, a->x.data + r * a->x.step, a->y.data + r * a->y.step, s.width);
    }
}

/** All derivatives follow from y. */
static void act_gradient(enum hf_act act, float slope, const float *y, const float *dy, float *dx,
                         int64_t n, int accumulate) {
    if (act == HF_ACT_SIGMOID) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            dx[j] = (accumulate ? dx[j] : 0.0f) + dy[j] * y[j] * (1.0f - y[j]);
    } else if (act == HF_ACT_TANH) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            dx[j] = (accumulate ? dx[j] : 0.0f) + dy[j] * (1.0f - y[j] * y[j]);
    } else if (accumulate) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            dx[j] += y[j] > 0 ? dy[j] : dy[j] * slope;
    } else {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            dx[j] = y[j] > 0 ? dy[j] : dy[j] * slope;
    }
}

void KN(kn_act_backward)(const struct kn_point *a) {
    int dense = a->y.step == a->c && a->dy.step == a->c && a->dx.step == a->c;
    float slope = slope_of(a);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, dense);
        for (int64_t r = s.first; r < s.first + s.rows; r++)
            act_gradient(a->act, slope, a->y.data + r * a->y.step, a->dy.data + r * a->dy.step,
                         a->dx.data + r * a->dx.step, s.width, a->accumulate);
    }
}

/* ---- gates ---- */

void KN(kn_gate_forward)(const struct kn_point *a) {
    int64_t c = a->c;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, 0);
        for (int64_t r = s.first; r < s.first + s.rows; r++) {
            const float *x = a->x.data + r * a->x.step;
            float *y = a->y.data + r * a->y.step;
#pragma omp simd
            for (int64_t j = 0; j < c; j++)
                y[j] = x[j] * el_sigmoid(x[c + j]);
        }
    }
}

void KN(kn_gate_backward)(const struct kn_point *a) {
    int64_t c = a->c;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, 0);
        for (int64_t r = s.first; r < s.first + s.rows; r++) {
            const float *x = a->x.data + r * a->x.step, *dy = a->dy.data + r * a->dy.step;
            float *dx = a->dx.data + r * a->dx.step;
            int accumulate = a->accumulate;
#pragma omp simd
            for (int64_t j = 0; j < c; j++) {
                float q = el_sigmoid(x[c + j]), g = dy[j];
                float feature = g * q, gate = g * x[j] * q * (1.0f - q);
                dx[j] = (accumulate ? dx[j] : 0.0f) + feature;
                dx[c + j] = (accumulate ? dx[c + j] : 0.0f) + gate;
            }
        }
    }
}

/* ---- copies and sums ---- */

void KN(kn_copy)(const struct kn_point *a) {
    int dense = a->x.step == a->c && a->y.step == a->c;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, dense);
        for (int64_t r = s.first; r < s.first + s.rows; r++) {
            const float *x = a->x.data + r * a->x.step;
            float *y = a->y.data + r * a->y.step;
            if (a->accumulate) {
#pragma omp simd
                for (int64_t j = 0; j < s.width; j++)
                    y[j] += x[j];
            } else {
#pragma omp simd
                for (int64_t j = 0; j < s.width; j++)
                    y[j] = x[j];
            }
        }
    }
}

void KN(kn_add)(const struct kn_point *a) {
    int dense = a->x.step == a->c && a->y.step == a->c && a->other_step == a->c;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, dense);
        for (int64_t r = s.first; r < s.first + s.rows; r++) {
            const float *x = a->x.data + r * a->x.step, *other = a->other + r * a->other_step;
            float *y = a->y.data + r * a->y.step;
#pragma omp simd
            for (int64_t j = 0; j < s.width; j++)
                y[j] = x[j] + other[j];
        }
    }
}

/* ---- masks and scales ---- */

void KN(kn_mask)(const struct kn_point *a) {
    float above = a->invert ? 0.0f : 1.0f;
#pragma omp parallel for simd schedule(static)
    for (int64_t r = 0; r < a->rows; r++)
        a->y.data[r * a->y.step] = a->x.data[r * a->x.step] > 0 ? above : 1.0f - above;
}

void KN(kn_scale)(const struct kn_point *a) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, 0);
        for (int64_t r = s.first; r < s.first + s.rows; r++) {
            const float *x = a->x.data + r * a->x.step, *bias = a->bias;
            float *y = a->y.data + r * a->y.step, by = a->other[r * a->other_step];
            if (bias && by > 0) {
#pragma omp simd
                for (int64_t j = 0; j < a->c; j++)
                    y[j] = x[j] * by + bias[j];
            } else {
#pragma omp simd
                for (int64_t j = 0; j < a->c; j++)
                    y[j] = x[j] * by;
            }
        }
    }
}

void KN(kn_scale_backward)(const struct kn_point *a) {
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks_of(a); t++) {
        struct span s = span_of(a, t, 0);
        for (int64_t r = s.first; r < s.first + s.rows; r++) {
            const float *dy = a->dy.data + r * a->dy.step;
            float *dx = a->dx.data + r * a->dx.step, by = a->other[r * a->other_step];
            if (a->accumulate) {
#pragma omp simd
                for (int64_t j = 0; j < a->c; j++)
                    dx[j] += dy[j] * by;
            } else {
#pragma omp simd
                for (int64_t j = 0; j < a->c; j++)
                    dx[j] = dy[j] * by;
            }
        }
    }
}

/** The sums of each block, then theirs in order. */
void KN(kn_scale_bias)(const struct kn_point *a) {
    double *part = a->scratch;
    int64_t tasks = tasks_of(a);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < tasks; t++) {
        struct span s = span_of(a, t, 0);
        double *sum = part + t * a->c;
        for (int64_t j = 0; j < a->c; j++)
            sum[j] = 0;
        for (int64_t r = s.first; r < s.first + s.rows; r++) {
            const float *dy = a->dy.data + r * a->dy.step;
            if (!(a->other[r * a->other_step] > 0))
                continue;
#pragma omp simd
            for (int64_t j = 0; j < a->c; j++)
                sum[j] += (double)dy[j];
        }
    }
    for (int64_t j = 0; j < a->c; j++) {
        double sum = 0;
        for (int64_t t = 0; t < tasks; t++)
            sum += part[t * a->c + j];
        a->dbias[j] = (float)sum;
    }
}

/* ---- layouts ---- */

#define LAYOUT_BLOCK 256 /* voxels */

/** Moves [outer][inner] to [inner][outer] by blocks of voxels; one side has a unit voxel stride. */
static void transpose(const struct kn_layout *a, int64_t from_voxel, int64_t from_channel,
                      int64_t to_voxel, int64_t to_channel) {
    int64_t blocks = kn_blocks(a->s, LAYOUT_BLOCK);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < a->n * blocks; t++) {
        int64_t base = t / blocks * a->s * a->c, first = t % blocks * LAYOUT_BLOCK;
        int64_t end = first + LAYOUT_BLOCK < a->s ? first + LAYOUT_BLOCK : a->s;
        for (int64_t c = 0; c < a->c; c++) {
            const float *from = a->from + base + c * from_channel;
            float *to = a->to + base + c * to_channel;
#pragma omp simd
            for (int64_t v = first; v < end; v++)
                to[v * to_voxel] = from[v * from_voxel];
        }
    }
}

void KN(kn_to_last)(const struct kn_layout *a) {
    transpose(a, 1, a->s, a->c, 1);
}

void KN(kn_to_first)(const struct kn_layout *a) {
    transpose(a, a->c, 1, 1, a->s);
}

/* ---- optimisers ---- */

static double gradient_norm(const struct kn_update *a) {
    int64_t blocks = kn_blocks(a->count, KN_UPDATE_BLOCK);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < blocks; t++) {
        int64_t first = t * KN_UPDATE_BLOCK;
        int64_t end = first + KN_UPDATE_BLOCK < a->count ? first + KN_UPDATE_BLOCK : a->count;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = first; i < end; i++)
            sum += (double)a->grad[i] * (double)a->grad[i];
        a->scratch[t] = sum;
    }
    double sum = 0;
    for (int64_t t = 0; t < blocks; t++)
        sum += a->scratch[t];
    return sqrt(sum);
}

static void adam(const struct kn_update *a, const struct up_range *r, struct up_factors f) {
    const struct hf_optimizer o = *a->optimizer;
    int64_t end = r->first + r->count;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = r->first; i < end; i++) {
        float m = a->m[i], v = a->v[i];
        a->param[i] = up_adam(&o, &f, a->param[i], a->grad[i], &m, &v);
        a->m[i] = m;
        a->v[i] = v;
    }
}

static void sgd(const struct kn_update *a, const struct up_range *r, struct up_factors f) {
    const struct hf_optimizer o = *a->optimizer;
    int64_t end = r->first + r->count;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = r->first; i < end; i++) {
        float m = a->m[i];
        a->param[i] = up_sgd(&o, &f, a->param[i], a->grad[i], &m);
        a->m[i] = m;
    }
}

static void average(const struct kn_update *a, const struct up_range *r, struct up_factors f) {
    int64_t end = r->first + r->count;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = r->first; i < end; i++)
        a->average[i] = up_average(&f, a->average[i], a->param[i]);
}

void KN(kn_update)(const struct kn_update *a) {
    double norm = a->optimizer->clip > 0 ? gradient_norm(a) : 0;
    struct up_factors f = up_factors_of(a->optimizer, norm, &a->done, a->rate);
    for (int32_t k = 0; k < a->ranges; k++) {
        if (a->optimizer->kind == HF_OPT_SGD)
            sgd(a, &a->range[k], f);
        else
            adam(a, &a->range[k], f);
        if (a->average)
            average(a, &a->range[k], f);
    }
}
