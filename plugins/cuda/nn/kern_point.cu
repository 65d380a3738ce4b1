/*
 * kern_point.cu - pointwise kernels: activations, gates, copies, sums, scales, biases; layouts,
 * casts.
 */
#include "kern_dev.h"

/* ---- what happens to a vector of channels of one voxel ---- */

/** RELU and NONE are LEAKY with slopes 0 and 1. */
static __device__ inline float activate(const struct ck_point &a, float x) {
    switch (a.act) {
    case HF_ACT_SIGMOID:
        return el_sigmoid(x);
    case HF_ACT_TANH:
        return el_tanh(x);
    default:
        return el_leaky(x, a.slope);
    }
}

/** All derivatives follow from y. */
static __device__ inline float act_slope(const struct ck_point &a, float y) {
    switch (a.act) {
    case HF_ACT_SIGMOID:
        return y * (1.0f - y);
    case HF_ACT_TANH:
        return 1.0f - y * y;
    default:
        return y > 0 ? 1.0f : a.slope;
    }
}

struct act_forward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float f[V];
        ck_load<V>(ck_at<const T>(a.x, r, column), f);
#pragma unroll
        for (int j = 0; j < V; j++)
            f[j] = activate(a, f[j]);
        ck_store<V>(ck_at<T>(a.y, r, column), f);
    }
};

struct act_backward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float y[V], g[V];
        ck_load<V>(ck_at<const T>(a.y, r, column), y);
        ck_load<V>(ck_at<const T>(a.dy, r, column), g);
#pragma unroll
        for (int j = 0; j < V; j++)
            g[j] *= act_slope(a, y[j]);
        ck_give<V>(ck_at<T>(a.dx, r, column), g, a.accumulate);
    }
};

struct gate_forward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float x[V], q[V];
        ck_load<V>(ck_at<const T>(a.x, r, column), x);
        ck_load<V>(ck_at<const T>(a.x, r, a.c + column), q);
#pragma unroll
        for (int j = 0; j < V; j++)
            x[j] *= el_sigmoid(q[j]);
        ck_store<V>(ck_at<T>(a.y, r, column), x);
    }
};

struct gate_backward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float x[V], q[V], g[V];
        ck_load<V>(ck_at<const T>(a.x, r, column), x);
        ck_load<V>(ck_at<const T>(a.x, r, a.c + column), q);
        ck_load<V>(ck_at<const T>(a.dy, r, column), g);
#pragma unroll
        for (int j = 0; j < V; j++) {
            float open = el_sigmoid(q[j]), dy = g[j];
            g[j] = dy * open;
            q[j] = dy * x[j] * open * (1.0f - open);
        }
        ck_give<V>(ck_at<T>(a.dx, r, column), g, a.accumulate);
        ck_give<V>(ck_at<T>(a.dx, r, a.c + column), q, a.accumulate);
    }
};

struct copy {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float f[V];
        ck_load<V>(ck_at<const T>(a.x, r, column), f);
        ck_give<V>(ck_at<T>(a.y, r, column), f, a.accumulate);
    }
};

struct add {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float f[V], g[V];
        ck_load<V>(ck_at<const T>(a.x, r, column), f);
        ck_load<V>(ck_at<const T>(a.other, r, column), g);
#pragma unroll
        for (int j = 0; j < V; j++)
            f[j] += g[j];
        ck_store<V>(ck_at<T>(a.y, r, column), f);
    }
};

struct mask {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        bool above = ck_get(ck_at<const T>(a.x, r, column)) > 0.0f;
        ck_put(ck_at<T>(a.y, r, column), above != (a.invert != 0) ? 1.0f : 0.0f);
    }
};

struct scale {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float f[V], by = ck_get(ck_at<const T>(a.other, r, 0));
        ck_load<V>(ck_at<const T>(a.x, r, column), f);
        bool adds = a.bias && by > 0.0f;
#pragma unroll
        for (int j = 0; j < V; j++)
            f[j] = f[j] * by + (adds ? a.bias[column + j] : 0.0f);
        ck_store<V>(ck_at<T>(a.y, r, column), f);
    }
};

struct scale_backward {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_point &a, int64_t r, int32_t column) {
        float f[V], by = ck_get(ck_at<const T>(a.other, r, 0));
        ck_load<V>(ck_at<const T>(a.dy, r, column), f);
#pragma unroll
        for (int j = 0; j < V; j++)
            f[j] *= by;
        ck_give<V>(ck_at<T>(a.dx, r, column), f, a.accumulate);
    }
};

struct bias_add {
    template <typename T, int V>
    static __device__ inline void at(const struct ck_bias &a, int64_t r, int32_t column) {
        float f[V];
        ck_load<V>(ck_at<const T>(a.x, r, column), f);
#pragma unroll
        for (int j = 0; j < V; j++)
            f[j] += a.bias[column + j];
        ck_store<V>(ck_at<T>(a.y, r, column), f);
    }
};

/* ---- launching them ---- */

template <typename Body> struct pointwise {
    template <typename T, int V, typename Args>
    static enum hf_status launch(const Args *args, const char *what, void *stream,
                                 struct hf_error *e) {
        Args a = *args;
        struct ck_walk w = ck_walk_rows(a.rows, a.c, V);
        auto kernel = ck_each<T, V, Body, Args>;
        HF_CUDA_LAUNCH(kernel, ck_grid(w, 1), CK_THREADS, stream, a, w);
        return hf_cuda_launched(what, e);
    }
};

/** Runs Body over the views that it touches; where all are dense, narrow rows become wide ones. */
template <typename Body, int VIEWS>
static enum hf_status point(const struct ck_point *args,
                            struct ck_view ck_point::*const (&view)[VIEWS], bool fold,
                            const char *what, void *stream, struct hf_error *e) {
    struct ck_point a = *args;
    enum hf_status s = ck_check(what, a.rows, a.c, e);
    if (s != HF_OK)
        return s;
    a.slope = a.act == HF_ACT_LEAKY ? a.slope : a.act == HF_ACT_NONE ? 1.0f : 0.0f;
    for (int i = 0; i < VIEWS; i++)
        fold = fold && (a.*view[i]).step == a.c;
    while (fold && a.rows % 2 == 0 && a.c < CK_LANES * ck_width(a.type)) {
        a.rows /= 2;
        a.c *= 2;
    }
    bool wide = a.c % ck_width(a.type) == 0;
    for (int i = 0; i < VIEWS; i++) {
        if (fold)
            (a.*view[i]).step = a.c;
        wide = wide && ck_is_wide(a.type, a.*view[i]);
    }
    return CK_DISPATCH(a.type, wide, pointwise<Body>::template launch, &a, what, stream, e);
}

extern "C" enum hf_status ck_act_forward(const struct ck_point *a, void *stream,
                                         struct hf_error *e) {
    return point<act_forward>(a, {&ck_point::x, &ck_point::y}, true, "activation", stream, e);
}

extern "C" enum hf_status ck_act_backward(const struct ck_point *a, void *stream,
                                          struct hf_error *e) {
    return point<act_backward>(a, {&ck_point::y, &ck_point::dy, &ck_point::dx}, true,
                               "activation backward", stream, e);
}

extern "C" enum hf_status ck_gate_forward(const struct ck_point *a, void *stream,
                                          struct hf_error *e) {
    return point<gate_forward>(a, {&ck_point::x, &ck_point::y}, false, "gate", stream, e);
}

extern "C" enum hf_status ck_gate_backward(const struct ck_point *a, void *stream,
                                           struct hf_error *e) {
    return point<gate_backward>(a, {&ck_point::x, &ck_point::dy, &ck_point::dx}, false,
                                "gate backward", stream, e);
}

extern "C" enum hf_status ck_copy(const struct ck_point *a, void *stream, struct hf_error *e) {
    return point<copy>(a, {&ck_point::x, &ck_point::y}, true, "copy", stream, e);
}

extern "C" enum hf_status ck_add(const struct ck_point *a, void *stream, struct hf_error *e) {
    return point<add>(a, {&ck_point::x, &ck_point::other, &ck_point::y}, true, "add", stream, e);
}

/** One thread a voxel: vectors would hold one element. */
extern "C" enum hf_status ck_mask(const struct ck_point *args, void *stream, struct hf_error *e) {
    struct ck_point a = *args;
    enum hf_status s = ck_check("mask", a.rows, a.c, e);
    return s == HF_OK
               ? CK_DISPATCH(a.type, false, pointwise<mask>::template launch, &a, "mask", stream, e)
               : s;
}

extern "C" enum hf_status ck_scale(const struct ck_point *a, void *stream, struct hf_error *e) {
    return point<scale>(a, {&ck_point::x, &ck_point::y}, false, "scale", stream, e);
}

extern "C" enum hf_status ck_scale_backward(const struct ck_point *a, void *stream,
                                            struct hf_error *e) {
    return point<scale_backward>(a, {&ck_point::dy, &ck_point::dx}, false, "scale backward", stream,
                                 e);
}

extern "C" enum hf_status ck_bias_add(const struct ck_bias *a, void *stream, struct hf_error *e) {
    enum hf_status s = ck_check("bias", a->rows, a->c, e);
    if (s != HF_OK)
        return s;
    bool wide =
        a->c % ck_width(a->type) == 0 && ck_is_wide(a->type, a->x) && ck_is_wide(a->type, a->y);
    return CK_DISPATCH(a->type, wide, pointwise<bias_add>::template launch, a, "bias", stream, e);
}

/* ---- layouts ---- */

#define TILE_CHANNELS 32
#define TILE_ELEMENTS 1024

/** A tile of up to TILE_CHANNELS channels and as many voxels as then fit; tiles of one sample. */
struct tiling {
    int32_t channels, voxels;
    int32_t across, down; /* tiles over channels, over voxels */
};

static struct tiling tiling_of(int64_t s, int64_t c) {
    struct tiling t;
    t.channels = c < TILE_CHANNELS ? (int32_t)c : TILE_CHANNELS;
    t.voxels = TILE_ELEMENTS / t.channels / 32 * 32; /* whole warps read [N,C,S] */
    t.across = (int32_t)((c + t.channels - 1) / t.channels);
    t.down = (int32_t)((s + t.voxels - 1) / t.voxels);
    return t;
}

/** Turns a tile over in shared memory: both sides are read or written along their rows. */
template <typename T, int TO_LAST>
static __global__ void __launch_bounds__(CK_THREADS) turn(struct ck_layout a, struct tiling t) {
    __shared__ float tile[TILE_ELEMENTS + TILE_ELEMENTS / 2]; /* rows of an odd length */
    int32_t down = (int32_t)(blockIdx.x % (unsigned)t.down);
    int64_t n = blockIdx.x / (unsigned)t.down, first = (int64_t)down * t.voxels;
    int32_t base = (int32_t)blockIdx.y * t.channels;
    int32_t channels = a.c - base < t.channels ? (int32_t)a.c - base : t.channels;
    int32_t voxels = a.s - first < t.voxels ? (int32_t)(a.s - first) : t.voxels;
    int32_t row = channels | 1;
    float *there = a.first + (n * a.c + base) * a.s + first;
    T *here = ck_at<T>(a.last, n * a.s + first, base);
    for (int32_t i = (int32_t)threadIdx.x; i < channels * voxels; i += CK_THREADS) {
        int32_t v = TO_LAST ? i % voxels : i / channels, c = TO_LAST ? i / voxels : i % channels;
        tile[v * row + c] = TO_LAST ? there[c * a.s + v] : ck_get(here + v * a.last.step + c);
    }
    __syncthreads();
    for (int32_t i = (int32_t)threadIdx.x; i < channels * voxels; i += CK_THREADS) {
        int32_t v = TO_LAST ? i / channels : i % voxels, c = TO_LAST ? i % channels : i / voxels;
        if (TO_LAST)
            ck_put(here + v * a.last.step + c, tile[v * row + c]);
        else
            there[c * a.s + v] = tile[v * row + c];
    }
    if constexpr (TO_LAST) {
        int32_t extra = blockIdx.y == 0 ? (int32_t)(a.fill - a.c) : 0;
        for (int32_t i = (int32_t)threadIdx.x; i < extra * voxels; i += CK_THREADS)
            ck_put(here + i / extra * a.last.step + a.c + i % extra, 0.0f);
    }
}

template <int TO_LAST>
static enum hf_status layout(const struct ck_layout *args, void *stream, struct hf_error *e) {
    struct ck_layout a = *args;
    enum hf_status s = ck_check("layout", a.n * a.s, a.c, e);
    if (s != HF_OK)
        return s;
    struct tiling t = tiling_of(a.s, a.c);
    dim3 grid((unsigned)(a.n * t.down), (unsigned)t.across);
    auto kernel = a.type == CK_BF16 ? turn<__nv_bfloat16, TO_LAST> : turn<float, TO_LAST>;
    HF_CUDA_LAUNCH(kernel, grid, CK_THREADS, stream, a, t);
    return hf_cuda_launched("layout", e);
}

extern "C" enum hf_status ck_to_last(const struct ck_layout *a, void *stream, struct hf_error *e) {
    return layout<1>(a, stream, e);
}

extern "C" enum hf_status ck_to_first(const struct ck_layout *a, void *stream, struct hf_error *e) {
    return layout<0>(a, stream, e);
}

/* ---- casts ---- */

#define CAST_WIDTH 8

/** Groups of V; the last one may be short. */
template <typename From, typename To, int V>
static __global__ void cast(const From *from, To *to, int64_t count) {
    HF_CUDA_EACH(g, (count + V - 1) / V) {
        if (g * V + V <= count) {
            float f[V];
            if constexpr (V > 1 && sizeof(From) == 4) {
                ck_load<V / 2>(from + g * V, *(float(*)[V / 2]) f);
                ck_load<V / 2>(from + g * V + V / 2, *(float(*)[V / 2])(f + V / 2));
            } else {
                ck_load<V>(from + g * V, f);
            }
            if constexpr (V > 1 && sizeof(To) == 4) {
                ck_store<V / 2>(to + g * V, *(float(*)[V / 2]) f);
                ck_store<V / 2>(to + g * V + V / 2, *(float(*)[V / 2])(f + V / 2));
            } else {
                ck_store<V>(to + g * V, f);
            }
            continue;
        }
        for (int64_t i = g * V; i < count; i++)
            ck_put(to + i, ck_get(from + i));
    }
}

template <typename From, typename To>
static enum hf_status cast_all(const From *from, To *to, int64_t count, void *stream,
                               struct hf_error *e) {
    if (count < 1)
        return HF_OK;
    bool wide = (uintptr_t)from % 16 == 0 && (uintptr_t)to % 16 == 0;
    auto kernel = wide ? cast<From, To, CAST_WIDTH> : cast<From, To, 1>;
    int64_t groups = wide ? (count + CAST_WIDTH - 1) / CAST_WIDTH : count;
    HF_CUDA_LAUNCH(kernel, hf_cuda_grid(groups), HF_CUDA_THREADS, stream, from, to, count);
    return hf_cuda_launched("cast", e);
}

extern "C" enum hf_status ck_cast_to_bf16(const float *from, void *to, int64_t count, void *stream,
                                          struct hf_error *e) {
    return cast_all(from, (__nv_bfloat16 *)to, count, stream, e);
}

extern "C" enum hf_status ck_cast_to_f32(const void *from, float *to, int64_t count, void *stream,
                                         struct hf_error *e) {
    return cast_all((const __nv_bfloat16 *)from, to, count, stream, e);
}
