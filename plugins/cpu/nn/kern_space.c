/**
 * kern_space.c - kernels that move between voxels: pooling, upsampling, taps, borders, windows.
 *
 * Each walks over rows along W of the tensor that it writes or, for pooling, of the smaller one;
 * every voxel is written by exactly one task.
 */
#include "kern_isa.h"

/** Position of row `t` of a tensor of spatial size `size`: sample, d and h. */
struct row {
    int64_t n, d, h;
};

static struct row row_of(int64_t t, const int64_t size[3]) {
    return (struct row){t / (size[0] * size[1]), t / size[1] % size[0], t % size[1]};
}

static inline int64_t voxel(struct row r, const int64_t size[3], int64_t w) {
    return ((r.n * size[0] + r.d) * size[1] + r.h) * size[2] + w;
}

/* ---- max pooling ---- */

/** Voxel of the input that is number `k` of the window of output voxel (r, w). */
static inline int64_t window_voxel(const struct kn_space *a, struct row r, int64_t w, int64_t k) {
    const int32_t *s = a->stride;
    struct row in = {r.n, r.d * s[0] + k / (s[1] * s[2]), r.h * s[1] + k / s[2] % s[1]};
    return voxel(in, a->in, w * s[2] + k % s[2]);
}

static void max_first(const float *x, float *y, uint16_t *index, int64_t c) {
#pragma omp simd
    for (int64_t j = 0; j < c; j++)
        y[j] = x[j];
    if (index) {
#pragma omp simd
        for (int64_t j = 0; j < c; j++)
            index[j] = 0;
    }
}

static void max_next(const float *x, float *y, uint16_t *index, int64_t c, uint16_t k) {
    if (!index) {
#pragma omp simd
        for (int64_t j = 0; j < c; j++)
            y[j] = x[j] > y[j] ? x[j] : y[j];
        return;
    }
#pragma omp simd
    for (int64_t j = 0; j < c; j++) {
        index[j] = x[j] > y[j] ? k : index[j];
        y[j] = x[j] > y[j] ? x[j] : y[j];
    }
}

/** A window of 2 x 2, which nearly every pooling has, in one go. */
static void max_four(const float *x0, const float *x1, const float *x2, const float *x3, float *y,
                     uint16_t *index, int64_t c) {
#pragma omp simd
    for (int64_t j = 0; j < c; j++) {
        float a = x1[j] > x0[j] ? x1[j] : x0[j], b = x3[j] > x2[j] ? x3[j] : x2[j];
        int32_t i = x1[j] > x0[j] ? 1 : 0, k = x3[j] > x2[j] ? 3 : 2;
        y[j] = b > a ? b : a;
        index[j] = (uint16_t)(b > a ? k : i);
    }
}

void KN(kn_pool_forward)(const struct kn_space *a) {
    int64_t rows = a->n * a->out[0] * a->out[1];
    int64_t window = (int64_t)a->stride[0] * a->stride[1] * a->stride[2];
    int four = a->stride[0] == 1 && a->stride[1] == 2 && a->stride[2] == 2 && a->index;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->out);
        for (int64_t w = 0; w < a->out[2]; w++) {
            int64_t v = voxel(r, a->out, w);
            float *y = a->y.data + v * a->y.step;
            uint16_t *index = a->index ? a->index + v * a->c : NULL;
            const float *x = a->x.data + window_voxel(a, r, w, 0) * a->x.step;
            if (four) {
                const float *below = x + a->in[2] * a->x.step;
                max_four(x, x + a->x.step, below, below + a->x.step, y, index, a->c);
                continue;
            }
            max_first(x, y, index, a->c);
            for (int64_t k = 1; k < window; k++)
                max_next(a->x.data + window_voxel(a, r, w, k) * a->x.step, y, index, a->c,
                         (uint16_t)k);
        }
    }
}

static void scatter(const float *dy, const uint16_t *index, float *dx, int64_t c, uint16_t k,
                    int accumulate) {
    if (accumulate) {
#pragma omp simd
        for (int64_t j = 0; j < c; j++)
            dx[j] += index[j] == k ? dy[j] : 0.0f;
    } else {
#pragma omp simd
        for (int64_t j = 0; j < c; j++)
            dx[j] = index[j] == k ? dy[j] : 0.0f;
    }
}

void KN(kn_pool_backward)(const struct kn_space *a) {
    int64_t rows = a->n * a->out[0] * a->out[1];
    int64_t window = (int64_t)a->stride[0] * a->stride[1] * a->stride[2];
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->out);
        for (int64_t w = 0; w < a->out[2]; w++) {
            int64_t v = voxel(r, a->out, w);
            for (int64_t k = 0; k < window; k++)
                scatter(a->dy.data + v * a->dy.step, a->index + v * a->c,
                        a->dx.data + window_voxel(a, r, w, k) * a->dx.step, a->c, (uint16_t)k,
                        a->accumulate);
        }
    }
}

/* ---- nearest-neighbour upsampling ---- */

static void put(const float *from, float *to, int64_t c, int accumulate) {
    if (accumulate) {
#pragma omp simd
        for (int64_t j = 0; j < c; j++)
            to[j] += from[j];
    } else {
#pragma omp simd
        for (int64_t j = 0; j < c; j++)
            to[j] = from[j];
    }
}

void KN(kn_up_forward)(const struct kn_space *a) {
    int64_t rows = a->n * a->out[0] * a->out[1];
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->out);
        struct row in = {r.n, r.d / a->stride[0], r.h / a->stride[1]};
        const float *x = a->x.data + voxel(in, a->in, 0) * a->x.step;
        float *y = a->y.data + voxel(r, a->out, 0) * a->y.step;
        for (int64_t w = 0; w < a->in[2]; w++, x += a->x.step)
            for (int32_t k = 0; k < a->stride[2]; k++, y += a->y.step)
                put(x, y, a->c, 0);
    }
}

void KN(kn_up_backward)(const struct kn_space *a) {
    int64_t rows = a->n * a->in[0] * a->in[1];
    int64_t window = (int64_t)a->stride[0] * a->stride[1] * a->stride[2];
    const int32_t *s = a->stride;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->in);
        for (int64_t w = 0; w < a->in[2]; w++) {
            float *dx = a->dx.data + voxel(r, a->in, w) * a->dx.step;
            for (int64_t k = 0; k < window; k++) {
                struct row out = {r.n, r.d * s[0] + k / (s[1] * s[2]),
                                  r.h * s[1] + k / s[2] % s[1]};
                int64_t v = voxel(out, a->out, w * s[2] + k % s[2]);
                put(a->dy.data + v * a->dy.step, dx, a->c, a->accumulate || k > 0);
            }
        }
    }
}

/* ---- transposed convolutions: a window of taps at every voxel, spread over voxels ---- */

void KN(kn_taps_to_voxels)(const struct kn_space *a) {
    int64_t rows = a->n * a->out[0] * a->out[1];
    const int32_t *s = a->stride;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->out);
        struct row in = {r.n, r.d / s[0], r.h / s[1]};
        int64_t tap = (r.d % s[0] * s[1] + r.h % s[1]) * s[2];
        const float *x = a->x.data + voxel(in, a->in, 0) * a->x.step + tap * a->c;
        float *y = a->y.data + voxel(r, a->out, 0) * a->y.step;
        for (int64_t w = 0; w < a->in[2]; w++, x += a->x.step)
            for (int32_t k = 0; k < s[2]; k++, y += a->y.step)
                put(x + k * a->c, y, a->c, 0);
    }
}

void KN(kn_voxels_to_taps)(const struct kn_space *a) {
    int64_t rows = a->n * a->out[0] * a->out[1];
    const int32_t *s = a->stride;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->out);
        struct row in = {r.n, r.d / s[0], r.h / s[1]};
        int64_t tap = (r.d % s[0] * s[1] + r.h % s[1]) * s[2];
        float *dx = a->dx.data + voxel(in, a->in, 0) * a->dx.step + tap * a->c;
        const float *dy = a->dy.data + voxel(r, a->out, 0) * a->dy.step;
        for (int64_t w = 0; w < a->in[2]; w++, dx += a->dx.step)
            for (int32_t k = 0; k < s[2]; k++, dy += a->dy.step)
                put(dy, dx + k * a->c, a->c, 0);
    }
}

/* ---- reflected borders ---- */

/** Where position `p` of the padded axis comes from. */
static int64_t reflect(int64_t p, int64_t low, int64_t size) {
    int64_t i = p - low;
    i = i < 0 ? -i : i;
    return i < size ? i : 2 * (size - 1) - i;
}

void KN(kn_reflect_forward)(const struct kn_space *a) {
    int64_t rows = a->n * a->out[0] * a->out[1];
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->out);
        struct row in = {r.n, reflect(r.d, a->low[0], a->in[0]), reflect(r.h, a->low[1], a->in[1])};
        for (int64_t w = 0; w < a->out[2]; w++)
            put(a->x.data + voxel(in, a->in, reflect(w, a->low[2], a->in[2])) * a->x.step,
                a->y.data + voxel(r, a->out, w) * a->y.step, a->c, 0);
    }
}

/** The padded positions that come from position `i`, at most three. */
static int sources(int64_t i, int64_t low, int64_t size, int64_t padded, int64_t ret[3]) {
    int64_t candidate[3] = {low + i, low - i, low + 2 * (size - 1) - i};
    int count = 0;
    for (int k = 0; k < 3; k++) {
        int64_t p = candidate[k];
        int repeated = (k == 1 && i == 0) || (k == 2 && i == size - 1);
        if (p >= 0 && p < padded && !repeated && reflect(p, low, size) == i)
            ret[count++] = p;
    }
    return count;
}

void KN(kn_reflect_backward)(const struct kn_space *a) {
    int64_t rows = a->n * a->in[0] * a->in[1];
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->in);
        int64_t d[3], h[3], w[3];
        int nd = sources(r.d, a->low[0], a->in[0], a->out[0], d);
        int nh = sources(r.h, a->low[1], a->in[1], a->out[1], h);
        for (int64_t i = 0; i < a->in[2]; i++) {
            float *dx = a->dx.data + voxel(r, a->in, i) * a->dx.step;
            int nw = sources(i, a->low[2], a->in[2], a->out[2], w);
            int written = a->accumulate;
            for (int k = 0; k < nd * nh * nw; k++) {
                struct row out = {r.n, d[k / (nh * nw)], h[k / nw % nh]};
                put(a->dy.data + voxel(out, a->out, w[k % nw]) * a->dy.step, dx, a->c, written);
                written = 1;
            }
            if (!written)
                for (int64_t j = 0; j < a->c; j++)
                    dx[j] = 0;
        }
    }
}

/* ---- windows ---- */

/** Where tap `k` of output position `p` of an axis looks; -1: past the border. */
static int64_t tapped(const struct kn_space *a, int axis, int64_t p, int64_t k) {
    int64_t at = p * a->stride[axis] + k * a->dilation[axis];
    if (a->mirrored)
        return reflect(at, a->low[axis], a->in[axis]);
    at -= a->low[axis];
    return at >= 0 && at < a->in[axis] ? at : -1;
}

/** Voxels above 0 in the window of output voxel (r, w). */
static int64_t count_window(const struct kn_space *a, struct row r, int64_t w) {
    int64_t count = 0;
    for (int64_t kd = 0; kd < a->kernel[0]; kd++)
        for (int64_t kh = 0; kh < a->kernel[1]; kh++) {
            struct row in = {r.n, tapped(a, 0, r.d, kd), tapped(a, 1, r.h, kh)};
            for (int64_t kw = 0; kw < a->kernel[2] && in.d >= 0 && in.h >= 0; kw++) {
                int64_t at = tapped(a, 2, w, kw);
                count += at >= 0 && a->x.data[voxel(in, a->in, at) * a->x.step] > 0;
            }
        }
    return count;
}

void KN(kn_window)(const struct kn_space *a) {
    int64_t rows = a->n * a->out[0] * a->out[1];
    float all = (float)((int64_t)a->kernel[0] * a->kernel[1] * a->kernel[2]);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < rows; t++) {
        struct row r = row_of(t, a->out);
        for (int64_t w = 0; w < a->out[2]; w++) {
            int64_t count = count_window(a, r, w);
            a->y.data[voxel(r, a->out, w) * a->y.step] = count ? all / (float)count : 0.0f;
        }
    }
}
