/*
 * kern_space.cu - kernels that move between voxels: pooling, upsampling, taps, borders, windows.
 *
 * A thread takes a vector of channels of a voxel of the tensor that it writes or, for pooling and
 * taps, of the one that is not cut into windows; every element is written by exactly one thread.
 */
#include "kern_dev.h"

/** Where a voxel is; 32 bits, for the divisions. */
struct place {
    uint32_t n, d, h, w;
};

static __device__ inline struct place place_of(int64_t row, const int64_t size[3]) {
    uint32_t r = (uint32_t)row, d = (uint32_t)size[0], h = (uint32_t)size[1], w = (uint32_t)size[2];
    struct place p;
    p.w = r % w;
    r /= w;
    p.h = r % h;
    r /= h;
    p.d = r % d;
    p.n = r / d;
    return p;
}

static __device__ inline int64_t row_of(uint32_t n, int64_t d, int64_t h, int64_t w,
                                        const int64_t size[3]) {
    return ((n * size[0] + d) * size[1] + h) * size[2] + w;
}

/* ---- windows: voxels of the larger tensor that belong to one of the smaller ---- */

/** The size of a window: of the layer (0), or known to the compiler, which then unrolls. */
template <int D, int H, int W> struct window {
    int32_t depth, height, width;
    int64_t first, down, deep; /* rows of the larger tensor: of voxel 0; to the next along H, D */

    __device__ inline window(const struct ck_space &a, const struct place &p,
                             const int64_t large[3])
        : depth(D ? D : a.stride[0]), height(H ? H : a.stride[1]), width(W ? W : a.stride[2]) {
        first =
            row_of(p.n, (int64_t)p.d * depth, (int64_t)p.h * height, (int64_t)p.w * width, large);
        down = large[2];
        deep = large[1] * large[2];
    }
    /** Calls visit(number of the voxel in the window, its row). */
    template <typename Visit> __device__ inline void each(Visit visit) const {
        for (int32_t d = 0, k = 0; d < depth; d++)
            for (int32_t h = 0; h < height; h++)
                for (int32_t w = 0; w < width; w++, k++)
                    visit(k, first + d * deep + h * down + w);
    }
};

template <int V> using index_pack = ck_pack<uint16_t, V>;

template <typename Window> struct pool_forward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        Window window(a, place_of(r, a.out), a.in);
        float best[V] = {0};
        index_pack<V> index = {};
        window.each([&](int32_t k, int64_t row) {
            float x[V];
            ck_load<V>(ck_at<const T>(a.x, row, column), x);
#pragma unroll
            for (int j = 0; j < V; j++) {
                bool more = k == 0 || x[j] > best[j];
                index.v[j] = more ? (uint16_t)k : index.v[j];
                best[j] = more ? x[j] : best[j];
            }
        });
        ck_store<V>(ck_at<T>(a.y, r, column), best);
        if (a.index)
            *(index_pack<V> *)(a.index + r * a.c + column) = index;
    }
};

template <typename Window> struct pool_backward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        Window window(a, place_of(r, a.out), a.in);
        float dy[V];
        ck_load<V>(ck_at<const T>(a.dy, r, column), dy);
        index_pack<V> index = *(const index_pack<V> *)(a.index + r * a.c + column);
        window.each([&](int32_t k, int64_t row) {
            float dx[V];
#pragma unroll
            for (int j = 0; j < V; j++)
                dx[j] = index.v[j] == k ? dy[j] : 0.0f;
            ck_give<V>(ck_at<T>(a.dx, row, column), dx, a.accumulate);
        });
    }
};

struct up_forward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        struct place p = place_of(r, a.out);
        uint32_t d = p.d / (uint32_t)a.stride[0], h = p.h / (uint32_t)a.stride[1];
        uint32_t w = p.w / (uint32_t)a.stride[2];
        float x[V];
        ck_load<V>(ck_at<const T>(a.x, row_of(p.n, d, h, w, a.in), column), x);
        ck_store<V>(ck_at<T>(a.y, r, column), x);
    }
};

template <typename Window> struct up_backward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        Window window(a, place_of(r, a.in), a.out);
        float sum[V] = {0};
        window.each([&](int32_t, int64_t row) {
            float dy[V];
            ck_load<V>(ck_at<const T>(a.dy, row, column), dy);
#pragma unroll
            for (int j = 0; j < V; j++)
                sum[j] += dy[j];
        });
        ck_give<V>(ck_at<T>(a.dx, r, column), sum, a.accumulate);
    }
};

/* ---- transposed convolutions: a window of taps at every voxel, spread over voxels ---- */

/** Row of the tensor of taps, and the first column of the tap, of a voxel of the output. */
static __device__ inline int64_t tap_of(const struct ck_space &a, int64_t r, int64_t *ret_column) {
    struct place p = place_of(r, a.out);
    uint32_t s0 = (uint32_t)a.stride[0], s1 = (uint32_t)a.stride[1], s2 = (uint32_t)a.stride[2];
    uint32_t tap = (p.d % s0 * s1 + p.h % s1) * s2 + p.w % s2;
    *ret_column = tap * a.c;
    return row_of(p.n, p.d / s0, p.h / s1, p.w / s2, a.in);
}

struct taps_to_voxels {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        int64_t tap, row = tap_of(a, r, &tap);
        float f[V];
        ck_load<V>(ck_at<const T>(a.x, row, tap + column), f);
        if (a.bias) {
#pragma unroll
            for (int j = 0; j < V; j++)
                f[j] += a.bias[column + j];
        }
        ck_store<V>(ck_at<T>(a.y, r, column), f);
    }
};

struct voxels_to_taps {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        int64_t tap, row = tap_of(a, r, &tap);
        float f[V];
        ck_load<V>(ck_at<const T>(a.dy, r, column), f);
        ck_store<V>(ck_at<T>(a.dx, row, tap + column), f);
    }
};

/* ---- reflected borders ---- */

/** Where position `p` of the padded axis comes from. */
static __device__ inline int64_t reflect(int64_t p, int64_t low, int64_t size) {
    int64_t i = p - low;
    i = i < 0 ? -i : i;
    return i < size ? i : 2 * (size - 1) - i;
}

struct reflect_forward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        struct place p = place_of(r, a.out);
        int64_t row = row_of(p.n, reflect(p.d, a.low[0], a.in[0]), reflect(p.h, a.low[1], a.in[1]),
                             reflect(p.w, a.low[2], a.in[2]), a.in);
        float f[V];
        ck_load<V>(ck_at<const T>(a.x, row, column), f);
        ck_store<V>(ck_at<T>(a.y, r, column), f);
    }
};

/** Number `k`, of three, of the padded positions that come from position `i`; -1: there is none. */
static __device__ inline int64_t source(int64_t i, int k, int64_t low, int64_t size,
                                        int64_t padded) {
    if ((k == 1 && i == 0) || (k == 2 && i == size - 1))
        return -1; /* the same as number 0 */
    int64_t p = k == 0 ? low + i : k == 1 ? low - i : low + 2 * (size - 1) - i;
    return p >= 0 && p < padded && reflect(p, low, size) == i ? p : -1;
}

struct reflect_backward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        struct place p = place_of(r, a.in);
        float sum[V] = {0}, dy[V];
        for (int k = 0; k < 27; k++) {
            int64_t d = source(p.d, k / 9, a.low[0], a.in[0], a.out[0]);
            int64_t h = source(p.h, k / 3 % 3, a.low[1], a.in[1], a.out[1]);
            int64_t w = source(p.w, k % 3, a.low[2], a.in[2], a.out[2]);
            if (d < 0 || h < 0 || w < 0)
                continue;
            ck_load<V>(ck_at<const T>(a.dy, row_of(p.n, d, h, w, a.out), column), dy);
#pragma unroll
            for (int j = 0; j < V; j++)
                sum[j] += dy[j];
        }
        ck_give<V>(ck_at<T>(a.dx, r, column), sum, a.accumulate);
    }
};

/* ---- windows of a convolution over a map of one channel ---- */

/** Where tap `k` of output position `p` of an axis looks; -1: past the border. */
static __device__ inline int64_t tapped(const struct ck_space &a, int axis, int64_t p, int64_t k) {
    int64_t at = p * a.stride[axis] + k * a.dilation[axis];
    if (a.mirrored)
        return reflect(at, a.low[axis], a.in[axis]);
    at -= a.low[axis];
    return at >= 0 && at < a.in[axis] ? at : -1;
}

struct count_window {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_space &a, int64_t r, int32_t column) {
        struct place p = place_of(r, a.out);
        int32_t count = 0;
        for (int32_t kd = 0; kd < a.kernel[0]; kd++)
            for (int32_t kh = 0; kh < a.kernel[1]; kh++)
                for (int32_t kw = 0; kw < a.kernel[2]; kw++) {
                    int64_t d = tapped(a, 0, p.d, kd), h = tapped(a, 1, p.h, kh);
                    int64_t w = tapped(a, 2, p.w, kw);
                    if (d >= 0 && h >= 0 && w >= 0 &&
                        ck_get(ck_at<const T>(a.x, row_of(p.n, d, h, w, a.in), column)) > 0.0f)
                        count++;
                }
        float all = (float)(a.kernel[0] * a.kernel[1] * a.kernel[2]);
        ck_put(ck_at<T>(a.y, r, column), count ? all / (float)count : 0.0f);
    }
};

/* ---- launching them ---- */

template <typename Body> struct over {
    template <typename T, int V>
    static enum hf_status launch(const struct ck_space *args, const int64_t size[3],
                                 const char *what, void *stream, struct hf_error *e) {
        struct ck_space a = *args;
        struct ck_walk w = ck_walk_rows(a.n * size[0] * size[1] * size[2], a.c, V);
        auto kernel = ck_each<T, V, Body, struct ck_space>;
        HF_CUDA_LAUNCH(kernel, ck_grid(w, 1), CK_THREADS, stream, a, w);
        return hf_cuda_launched(what, e);
    }
};

/** Runs Body over the voxels of a tensor of spatial size `size`. */
template <typename Body>
static enum hf_status run(const struct ck_space *a, const int64_t size[3], const struct ck_view &v,
                          const struct ck_view &other, const char *what, void *stream,
                          struct hf_error *e) {
    enum hf_status s = ck_check(what, a->n * a->in[0] * a->in[1] * a->in[2], a->c, e);
    if (s == HF_OK)
        s = ck_check(what, a->n * a->out[0] * a->out[1] * a->out[2], a->c, e);
    if (s != HF_OK)
        return s;
    bool wide = a->c % ck_width(a->type) == 0 && ck_is_wide(a->type, v) &&
                ck_is_wide(a->type, other) && (uintptr_t)a->index % 16 == 0;
    return CK_DISPATCH(a->type, wide, over<Body>::template launch, a, size, what, stream, e);
}

/** The windows of nearly every network, and any other. */
template <template <typename> class Body>
static enum hf_status run_window(const struct ck_space *a, const int64_t size[3],
                                 const struct ck_view &v, const struct ck_view &other,
                                 const char *what, void *stream, struct hf_error *e) {
    const int32_t *s = a->stride;
    if (s[0] == 1 && s[1] == 2 && s[2] == 2)
        return run<Body<window<1, 2, 2>>>(a, size, v, other, what, stream, e);
    if (s[0] == 2 && s[1] == 2 && s[2] == 2)
        return run<Body<window<2, 2, 2>>>(a, size, v, other, what, stream, e);
    return run<Body<window<0, 0, 0>>>(a, size, v, other, what, stream, e);
}

extern "C" enum hf_status ck_pool_forward(const struct ck_space *a, void *stream,
                                          struct hf_error *e) {
    return run_window<pool_forward>(a, a->out, a->x, a->y, "pooling", stream, e);
}

extern "C" enum hf_status ck_pool_backward(const struct ck_space *a, void *stream,
                                           struct hf_error *e) {
    return run_window<pool_backward>(a, a->out, a->dy, a->dx, "pooling backward", stream, e);
}

extern "C" enum hf_status ck_up_forward(const struct ck_space *a, void *stream,
                                        struct hf_error *e) {
    return run<up_forward>(a, a->out, a->x, a->y, "upsampling", stream, e);
}

extern "C" enum hf_status ck_up_backward(const struct ck_space *a, void *stream,
                                         struct hf_error *e) {
    return run_window<up_backward>(a, a->in, a->dy, a->dx, "upsampling backward", stream, e);
}

extern "C" enum hf_status ck_taps_to_voxels(const struct ck_space *a, void *stream,
                                            struct hf_error *e) {
    return run<taps_to_voxels>(a, a->out, a->x, a->y, "taps", stream, e);
}

extern "C" enum hf_status ck_voxels_to_taps(const struct ck_space *a, void *stream,
                                            struct hf_error *e) {
    return run<voxels_to_taps>(a, a->out, a->dy, a->dx, "taps backward", stream, e);
}

extern "C" enum hf_status ck_reflect_forward(const struct ck_space *a, void *stream,
                                             struct hf_error *e) {
    return run<reflect_forward>(a, a->out, a->x, a->y, "reflected border", stream, e);
}

extern "C" enum hf_status ck_reflect_backward(const struct ck_space *a, void *stream,
                                              struct hf_error *e) {
    return run<reflect_backward>(a, a->in, a->dy, a->dx, "reflected border backward", stream, e);
}

extern "C" enum hf_status ck_window(const struct ck_space *a, void *stream, struct hf_error *e) {
    return run<count_window>(a, a->out, a->x, a->y, "window", stream, e);
}
