/*
 * kern_norm.cu - instance normalisation with a fused leaky ReLU, and sums over voxels.
 *
 * Forward and backward are two passes each: sums of blocks of voxels, which a small kernel adds up
 * in their order, then the elements. float32 in a thread and a block, double beyond.
 */
#include "kern_dev.h"

/* Loads of a thread under way at once: the passes wait for memory and little else. */
#define SUM_BATCH   4
#define APPLY_BATCH 2

/** The parts of ck_norm's scratch. */
struct norm_parts {
    double *part;  /* [n][chunks][2][c] */
    double *total; /* [n][2][c] */
    float *mean;   /* [n][2][c]: backward's totals over s */
};

static struct norm_parts parts_of(const struct ck_norm *a) {
    struct norm_parts p;
    p.part = (double *)a->scratch;
    p.total = p.part + a->n * ck_sum_chunks_of(a->n, a->s, a->c) * 2 * a->c;
    p.mean = (float *)(p.total + a->n * 2 * a->c);
    return p;
}

extern "C" size_t ck_norm_scratch(int64_t n, int64_t s, int64_t c) {
    size_t row = (size_t)n * 2 * (size_t)c;
    return row * ((size_t)ck_sum_chunks_of(n, s, c) + 1) * sizeof(double) + row * sizeof(float);
}

/** Leaves a block's sums in `part`. */
template <int V>
static __device__ inline void leave_sums(const struct ck_walk &w, const struct ck_spot &p,
                                         float (&sum)[2 * V], double *part) {
    ck_sum_rows<2 * V>(sum, w.lanes, w.high);
    if (!p.active || p.row != 0)
        return;
    double *to = part + (p.sample * w.chunks + p.chunk) * 2 * w.columns + p.column;
#pragma unroll
    for (int j = 0; j < V; j++) {
        to[j] = (double)sum[j];
        to[w.columns + j] = (double)sum[V + j];
    }
}

/* ---- forward ---- */

/** Sums of x - center and of its square; the first voxel is the center, against cancellation. */
template <typename T, int V>
static __global__ void __launch_bounds__(CK_THREADS)
    sum_forward(struct ck_norm a, struct ck_walk w, double *part) {
    struct ck_spot p = ck_stand<V>(w);
    float sum[2 * V] = {0}, center[V];
    if (p.active) {
        const T *x = ck_at<const T>(a.x, p.sample * a.s, p.column);
        ck_load<V>(x, center);
        int64_t stride = w.high * a.x.step;
        x += p.first * a.x.step;
        for (int64_t r = p.first; r < p.end; r += (int64_t)SUM_BATCH * w.high) {
            ck_raw<T, V> raw[SUM_BATCH];
#pragma unroll
            for (int k = 0; k < SUM_BATCH; k++, x += stride)
                if (r + (int64_t)k * w.high < p.end)
                    ck_fetch<V>(x, raw[k]);
#pragma unroll
            for (int k = 0; k < SUM_BATCH; k++)
                if (r + (int64_t)k * w.high < p.end) {
                    float value[V];
                    ck_unpack(raw[k], value);
#pragma unroll
                    for (int j = 0; j < V; j++) {
                        float v = value[j] - center[j];
                        sum[j] += v;
                        sum[V + j] += v * v;
                    }
                }
        }
    }
    leave_sums<V>(w, p, sum, part);
}

template <typename T>
static __global__ void __launch_bounds__(CK_THREADS)
    finish_forward(struct ck_norm a, int32_t chunks, const double *part) {
    int64_t n = blockIdx.x;
    int32_t c = (int32_t)a.c,
            j = (int32_t)(blockIdx.y * CK_FINISH_LANES) + (int32_t)threadIdx.x % CK_FINISH_LANES;
    double sum[2];
    ck_sum_chunks<2>(part + n * chunks * 2 * c, chunks, c, j, sum);
    if ((int)threadIdx.x >= CK_FINISH_LANES || j >= c)
        return;
    double mean = sum[0] / (double)a.s, variance = sum[1] / (double)a.s - mean * mean;
    float *stat = a.stat + n * 2 * c;
    stat[j] = (float)((double)ck_get(ck_at<const T>(a.x, n * a.s, j)) + mean);
    stat[c + j] = (float)(1.0 / sqrt((variance > 0 ? variance : 0) + (double)a.epsilon));
}

/** mean, scale / deviation and shift of a thread's channels. */
template <int V>
static __device__ inline void affine(const struct ck_norm &a, const struct ck_spot &p,
                                     float (&mean)[V], float (&slope)[V], float (&shift)[V]) {
    const float *stat = a.stat + p.sample * 2 * a.c + p.column;
#pragma unroll
    for (int j = 0; j < V; j++) {
        mean[j] = stat[j];
        slope[j] = stat[a.c + j] * (a.scale ? a.scale[p.column + j] : 1.0f);
        shift[j] = a.scale ? a.shift[p.column + j] : 0.0f;
    }
}

template <typename T, int V>
static __global__ void __launch_bounds__(CK_THREADS)
    apply_forward(struct ck_norm a, struct ck_walk w) {
    struct ck_spot p = ck_stand<V>(w);
    if (!p.active)
        return;
    float mean[V], slope[V], shift[V];
    affine<V>(a, p, mean, slope, shift);
    int64_t base = p.sample * a.s;
    for (int64_t r = p.first; r < p.end; r += (int64_t)APPLY_BATCH * w.high) {
        ck_raw<T, V> raw[APPLY_BATCH];
#pragma unroll
        for (int k = 0; k < APPLY_BATCH; k++)
            if (r + (int64_t)k * w.high < p.end)
                ck_fetch<V>(ck_at<const T>(a.x, base + r + (int64_t)k * w.high, p.column), raw[k]);
#pragma unroll
        for (int k = 0; k < APPLY_BATCH; k++)
            if (r + (int64_t)k * w.high < p.end) {
                float value[V];
                ck_unpack(raw[k], value);
#pragma unroll
                for (int j = 0; j < V; j++)
                    value[j] = el_leaky((value[j] - mean[j]) * slope[j] + shift[j], a.slope);
                ck_store<V>(ck_at<T>(a.y, base + r + (int64_t)k * w.high, p.column), value);
            }
    }
}

template <typename T, int V>
static enum hf_status norm_forward(const struct ck_norm *args, cudaStream_t stream,
                                   struct hf_error *e) {
    struct ck_norm a = *args;
    struct norm_parts parts = parts_of(&a);
    double *part = parts.part;
    struct ck_walk w = ck_walk_of(a.s, a.c, V, ck_sum_chunk(a.n, a.s, a.c));
    dim3 grid = ck_grid(w, a.n), finish((unsigned)a.n, ck_finish_tiles(a.c));
    auto sums = sum_forward<T, V>;
    auto stat = finish_forward<T>;
    auto apply = apply_forward<T, V>;
    HF_CUDA_LAUNCH(sums, grid, CK_THREADS, stream, a, w, part);
    HF_CUDA_LAUNCH(stat, finish, CK_THREADS, stream, a, w.chunks, part);
    w.backwards = 1;
    HF_CUDA_LAUNCH(apply, grid, CK_THREADS, stream, a, w);
    return hf_cuda_launched("norm", e);
}

extern "C" enum hf_status ck_norm_forward(const struct ck_norm *a, void *stream,
                                          struct hf_error *e) {
    enum hf_status s = ck_check("norm", a->n * a->s, a->c, e);
    if (s != HF_OK)
        return s;
    bool wide =
        a->c % ck_width(a->type) == 0 && ck_is_wide(a->type, a->x) && ck_is_wide(a->type, a->y);
    return CK_DISPATCH(a->type, wide, norm_forward, a, (cudaStream_t)stream, e);
}

/* ---- backward ---- */

/** Sums of g and of g (x - mean), g = dy times the activation's slope. */
template <typename T, int V>
static __global__ void __launch_bounds__(CK_THREADS)
    sum_backward(struct ck_norm a, struct ck_walk w, double *part) {
    struct ck_spot p = ck_stand<V>(w);
    float sum[2 * V] = {0};
    if (p.active) {
        float mean[V], slope[V], shift[V];
        affine<V>(a, p, mean, slope, shift);
        int64_t base = p.sample * a.s;
        for (int64_t r = p.first; r < p.end; r += (int64_t)APPLY_BATCH * w.high) {
            ck_raw<T, V> raw_x[APPLY_BATCH], raw_dy[APPLY_BATCH];
#pragma unroll
            for (int k = 0; k < APPLY_BATCH; k++)
                if (r + (int64_t)k * w.high < p.end) {
                    int64_t row = base + r + (int64_t)k * w.high;
                    ck_fetch<V>(ck_at<const T>(a.x, row, p.column), raw_x[k]);
                    ck_fetch<V>(ck_at<const T>(a.dy, row, p.column), raw_dy[k]);
                }
#pragma unroll
            for (int k = 0; k < APPLY_BATCH; k++)
                if (r + (int64_t)k * w.high < p.end) {
                    float x[V], dy[V];
                    ck_unpack(raw_x[k], x);
                    ck_unpack(raw_dy[k], dy);
#pragma unroll
                    for (int j = 0; j < V; j++) {
                        float v = x[j] - mean[j];
                        float g = v * slope[j] + shift[j] > 0 ? dy[j] : dy[j] * a.slope;
                        sum[j] += g;
                        sum[V + j] += g * v;
                    }
                }
        }
    }
    leave_sums<V>(w, p, sum, part);
}

static __global__ void __launch_bounds__(CK_THREADS)
    finish_backward(struct ck_norm a, int32_t chunks, struct norm_parts parts) {
    int64_t n = blockIdx.x;
    int32_t c = (int32_t)a.c,
            j = (int32_t)(blockIdx.y * CK_FINISH_LANES) + (int32_t)threadIdx.x % CK_FINISH_LANES;
    double sum[2];
    ck_sum_chunks<2>(parts.part + n * chunks * 2 * c, chunks, c, j, sum);
    if ((int)threadIdx.x >= CK_FINISH_LANES || j >= c)
        return;
    sum[1] *= (double)a.stat[(n * 2 + 1) * c + j];
    for (int q = 0; q < 2; q++) {
        parts.total[(n * 2 + q) * c + j] = sum[q];
        parts.mean[(n * 2 + q) * c + j] = (float)(sum[q] / (double)a.s);
    }
}

/** Gradients of scale and shift, which the first blocks write beside their other work. */
static __device__ inline void parameter_gradients(const struct ck_norm &a, const struct ck_walk &w,
                                                  int width, const double *total) {
    int32_t columns = w.lanes * width, tile = (int32_t)blockIdx.y * columns;
    for (int32_t i = (int32_t)threadIdx.x; i < columns && tile + i < w.columns; i += CK_THREADS) {
        int32_t j = tile + i;
        double shift = 0, scale = 0;
        for (int64_t n = 0; n < a.n; n++) {
            shift += total[n * 2 * a.c + j];
            scale += total[(n * 2 + 1) * a.c + j];
        }
        a.dshift[j] = (float)shift;
        a.dscale[j] = (float)scale;
    }
}

template <typename T, int V>
static __global__ void __launch_bounds__(CK_THREADS)
    apply_backward(struct ck_norm a, struct ck_walk w, struct norm_parts parts) {
    if (blockIdx.x == 0 && a.dscale)
        parameter_gradients(a, w, V, parts.total);
    struct ck_spot p = ck_stand<V>(w);
    if (!p.active)
        return;
    float mean[V], slope[V], shift[V], linear[V], constant[V];
    affine<V>(a, p, mean, slope, shift);
    int64_t at = p.sample * 2 * a.c + p.column, base = p.sample * a.s;
#pragma unroll
    for (int j = 0; j < V; j++) {
        constant[j] = -slope[j] * parts.mean[at + j];
        linear[j] = -slope[j] * parts.mean[at + a.c + j] * a.stat[at + a.c + j];
    }
    for (int64_t r = p.first; r < p.end; r += (int64_t)APPLY_BATCH * w.high) {
        ck_raw<T, V> raw_x[APPLY_BATCH], raw_dy[APPLY_BATCH];
#pragma unroll
        for (int k = 0; k < APPLY_BATCH; k++)
            if (r + (int64_t)k * w.high < p.end) {
                int64_t row = base + r + (int64_t)k * w.high;
                ck_fetch<V>(ck_at<const T>(a.x, row, p.column), raw_x[k]);
                ck_fetch<V>(ck_at<const T>(a.dy, row, p.column), raw_dy[k]);
            }
#pragma unroll
        for (int k = 0; k < APPLY_BATCH; k++)
            if (r + (int64_t)k * w.high < p.end) {
                float x[V], dy[V];
                ck_unpack(raw_x[k], x);
                ck_unpack(raw_dy[k], dy);
#pragma unroll
                for (int j = 0; j < V; j++) {
                    float v = x[j] - mean[j];
                    float g = v * slope[j] + shift[j] > 0 ? dy[j] : dy[j] * a.slope;
                    dy[j] = g * slope[j] + (v * linear[j] + constant[j]);
                }
                ck_give<V>(ck_at<T>(a.dx, base + r + (int64_t)k * w.high, p.column), dy,
                           a.accumulate);
            }
    }
}

template <typename T, int V>
static enum hf_status norm_backward(const struct ck_norm *args, cudaStream_t stream,
                                    struct hf_error *e) {
    struct ck_norm a = *args;
    struct norm_parts parts = parts_of(&a);
    struct ck_walk w = ck_walk_of(a.s, a.c, V, ck_sum_chunk(a.n, a.s, a.c));
    dim3 grid = ck_grid(w, a.n), finish((unsigned)a.n, ck_finish_tiles(a.c));
    auto sums = sum_backward<T, V>;
    auto apply = apply_backward<T, V>;
    HF_CUDA_LAUNCH(sums, grid, CK_THREADS, stream, a, w, parts.part);
    HF_CUDA_LAUNCH(finish_backward, finish, CK_THREADS, stream, a, w.chunks, parts);
    w.backwards = 1;
    HF_CUDA_LAUNCH(apply, grid, CK_THREADS, stream, a, w, parts);
    return hf_cuda_launched("norm backward", e);
}

extern "C" enum hf_status ck_norm_backward(const struct ck_norm *a, void *stream,
                                           struct hf_error *e) {
    enum hf_status s = ck_check("norm", a->n * a->s, a->c, e);
    if (s != HF_OK)
        return s;
    bool wide = a->c % ck_width(a->type) == 0 && ck_is_wide(a->type, a->x) &&
                ck_is_wide(a->type, a->dy) && ck_is_wide(a->type, a->dx);
    return CK_DISPATCH(a->type, wide, norm_backward, a, (cudaStream_t)stream, e);
}

/* ---- the gradient of a bias ---- */

template <typename T, int V>
static __global__ void __launch_bounds__(CK_THREADS)
    sum_bias(struct ck_bias a, struct ck_walk w, double *part) {
    struct ck_spot p = ck_stand<V>(w);
    float sum[V] = {0};
    if (p.active) {
        const T *dy = ck_at<const T>(a.dy, p.first, p.column);
        int64_t stride = w.high * a.dy.step;
#pragma unroll 4
        for (int64_t r = p.first; r < p.end; r += w.high, dy += stride) {
            float value[V];
            if (a.map.data && !(ck_get(ck_at<const T>(a.map, r, 0)) > 0.0f))
                continue;
            ck_load<V>(dy, value);
#pragma unroll
            for (int j = 0; j < V; j++)
                sum[j] += value[j];
        }
    }
    ck_sum_rows<V>(sum, w.lanes, w.high);
    if (!p.active || p.row != 0)
        return;
#pragma unroll
    for (int j = 0; j < V; j++)
        part[(int64_t)p.chunk * w.columns + p.column + j] = (double)sum[j];
}

static __global__ void __launch_bounds__(CK_THREADS)
    finish_bias(float *dbias, int32_t c, int32_t chunks, const double *part) {
    int32_t j = (int32_t)(blockIdx.x * CK_FINISH_LANES) + (int32_t)threadIdx.x % CK_FINISH_LANES;
    double sum[1];
    ck_sum_chunks<1>(part, chunks, c, j, sum);
    if ((int)threadIdx.x < CK_FINISH_LANES && j < c)
        dbias[j] = (float)sum[0];
}

template <typename T, int V>
static enum hf_status bias_gradient(const struct ck_bias *args, cudaStream_t stream,
                                    struct hf_error *e) {
    struct ck_bias a = *args;
    double *part = (double *)a.scratch;
    struct ck_walk w = ck_walk_of(a.rows, a.c, V, ck_sum_chunk(1, a.rows, a.c));
    auto sums = sum_bias<T, V>;
    HF_CUDA_LAUNCH(sums, ck_grid(w, 1), CK_THREADS, stream, a, w, part);
    HF_CUDA_LAUNCH(finish_bias, ck_finish_tiles(a.c), CK_THREADS, stream, a.dbias, (int32_t)a.c,
                   w.chunks, part);
    return hf_cuda_launched("bias gradient", e);
}

extern "C" size_t ck_bias_scratch(int64_t rows, int64_t c) {
    return (size_t)ck_sum_chunks_of(1, rows, c) * (size_t)c * sizeof(double);
}

extern "C" enum hf_status ck_bias_gradient(const struct ck_bias *a, void *stream,
                                           struct hf_error *e) {
    enum hf_status s = ck_check("bias", a->rows, a->c, e);
    if (s != HF_OK)
        return s;
    bool wide = a->c % ck_width(a->type) == 0 && ck_is_wide(a->type, a->dy);
    return CK_DISPATCH(a->type, wide, bias_gradient, a, (cudaStream_t)stream, e);
}
