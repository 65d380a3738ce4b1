/**
 * kern_dev.h - what the network kernels share: elements, vectors of 16 bytes, how a block walks.
 *
 * A block of CK_THREADS threads stands over rows and columns: `lanes` threads side by side take the
 * vectors of a row, the others the next rows. So a thread keeps to its channels, whose coefficients
 * stay in registers, and neighbours read neighbouring addresses.
 */
#ifndef HEPAFLOW_CUDA_KERN_DEV_H
#define HEPAFLOW_CUDA_KERN_DEV_H

#include <hepaflow/cuda.h>
#include <cuda_bf16.h>

#include "kern.h"
#include "../../nn/elem.h"

#define CK_THREADS 256
#define CK_LANES   64 /* at most: more of them would leave a block few rows to add up */

/* ---- elements ---- */

static __device__ inline float ck_get(const float *p) {
    return *p;
}

static __device__ inline float ck_get(const __nv_bfloat16 *p) {
    return __bfloat162float(*p);
}

static __device__ inline void ck_put(float *p, float f) {
    *p = f;
}

static __device__ inline void ck_put(__nv_bfloat16 *p, float f) {
    *p = __float2bfloat16_rn(f);
}

/** V things that travel in one access: as they stand in memory. */
template <typename T, int V> struct alignas(V * sizeof(T)) ck_pack { T v[V]; };

/** What holds V elements T of a thread, V > 1: 16 bytes. bfloat16 stand in pairs. */
template <typename T, int V> struct ck_raw { ck_pack<T, V> k; };
template <int V> struct ck_raw<__nv_bfloat16, V> { ck_pack<uint32_t, V / 2> k; };
template <> struct ck_raw<__nv_bfloat16, 1> { ck_pack<__nv_bfloat16, 1> k; };

template <int V, typename T> static __device__ inline void ck_fetch(const T *p, ck_raw<T, V> &r) {
    r.k = *(const decltype(r.k) *)p;
}

template <typename T, int V>
static __device__ inline void ck_unpack(const ck_raw<T, V> &r, float (&f)[V]) {
    if constexpr (V > 1 && sizeof(T) == 2) {
#pragma unroll
        for (int j = 0; j < V / 2; j++) {
            f[2 * j] = el_from_bits(r.k.v[j] << 16);
            f[2 * j + 1] = el_from_bits(r.k.v[j] & 0xFFFF0000u);
        }
    } else {
#pragma unroll
        for (int j = 0; j < V; j++)
            f[j] = ck_get(&r.k.v[j]);
    }
}

template <int V, typename T> static __device__ inline void ck_load(const T *p, float (&f)[V]) {
    ck_raw<T, V> r;
    ck_fetch<V>(p, r);
    ck_unpack(r, f);
}

template <int V, typename T> static __device__ inline void ck_store(T *p, const float (&f)[V]) {
    ck_raw<T, V> r;
    if constexpr (V > 1 && sizeof(T) == 2) { /* one instruction rounds two */
#pragma unroll
        for (int j = 0; j < V / 2; j++) {
            __nv_bfloat162 two = __floats2bfloat162_rn(f[2 * j], f[2 * j + 1]);
            memcpy(&r.k.v[j], &two, sizeof two);
        }
    } else {
#pragma unroll
        for (int j = 0; j < V; j++)
            ck_put(&r.k.v[j], f[j]);
    }
    *(decltype(r.k) *)p = r.k;
}

/** Writes, or adds to what is there. */
template <int V, typename T>
static __device__ inline void ck_give(T *p, float (&f)[V], int32_t accumulate) {
    if (accumulate) {
        float old[V];
        ck_load<V>((const T *)p, old);
#pragma unroll
        for (int j = 0; j < V; j++)
            f[j] += old[j];
    }
    ck_store<V>(p, f);
}

template <typename T>
static __device__ inline T *ck_at(const struct ck_view &v, int64_t row, int64_t column) {
    return (T *)v.data + row * v.step + column;
}

/* ---- how a block walks ---- */

/** Blocks (x: parts of the rows, y: parts of the columns) and what one of them does. */
struct ck_walk {
    int64_t rows, chunk; /* of one sample; of one block */
    int32_t chunks;      /* of one sample */
    int32_t columns;     /* channels */
    int32_t lanes, high; /* vectors and rows that a block takes at once */
    int32_t tiles;       /* of the columns */
    int32_t backwards;   /* the last chunk first: a pass before left it in the cache */
};

/** A walk for vectors of `width` channels whose blocks take `chunk` rows. */
static inline struct ck_walk ck_walk_of(int64_t rows, int64_t c, int width, int64_t chunk) {
    struct ck_walk w;
    int64_t vectors = c / width;
    w.rows = rows;
    w.columns = (int32_t)c;
    w.tiles = (int32_t)((vectors + CK_LANES - 1) / CK_LANES);
    w.lanes = (int32_t)((vectors + w.tiles - 1) / w.tiles);
    w.high = CK_THREADS / w.lanes;
    w.chunk = chunk;
    w.chunks = (int32_t)((rows + chunk - 1) / chunk);
    w.backwards = 0;
    return w;
}

/** A walk without sums: each thread takes a few rows. */
static inline struct ck_walk ck_walk_rows(int64_t rows, int64_t c, int width) {
    struct ck_walk w = ck_walk_of(rows, c, width, 1);
    return ck_walk_of(rows, c, width, (int64_t)w.high * 4);
}

static inline dim3 ck_grid(const struct ck_walk &w, int64_t samples) {
    return dim3((unsigned)(samples * w.chunks), (unsigned)w.tiles);
}

/** Where a thread stands. */
struct ck_spot {
    int32_t lane, row;  /* in the block */
    int32_t column;     /* first channel */
    bool active;        /* has work at all */
    int64_t sample;     /* of the block */
    int32_t chunk;      /* of the sample */
    int64_t first, end; /* its rows in the sample: first, first + high, ... */
};

template <int V> static __device__ inline struct ck_spot ck_stand(const struct ck_walk &w) {
    struct ck_spot p;
    p.row = (int32_t)threadIdx.x / w.lanes;
    p.lane = (int32_t)threadIdx.x - p.row * w.lanes;
    p.column = ((int32_t)blockIdx.y * w.lanes + p.lane) * V;
    p.active = p.row < w.high && p.column < w.columns;
    unsigned block = w.backwards ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
    p.sample = block / (unsigned)w.chunks;
    p.chunk = (int32_t)(block % (unsigned)w.chunks);
    int64_t begin = (int64_t)p.chunk * w.chunk;
    p.first = begin + p.row;
    p.end = begin + w.chunk < w.rows ? begin + w.chunk : w.rows;
    return p;
}

/** Calls `Body::at<T, V>(a, row, column)` for each row and vector. */
template <typename T, int V, typename Body, typename Args>
static __global__ void __launch_bounds__(CK_THREADS) ck_each(Args a, struct ck_walk w) {
    struct ck_spot p = ck_stand<V>(w);
    if (!p.active)
        return;
    for (int64_t r = p.first; r < p.end; r += w.high)
        Body::template at<T, V>(a, r, p.column);
}

/* ---- sums ---- */

/**
 * Sums of Q values over the rows of a block: threads of row 0 get those of their lane. A tree of
 * fixed shape. All threads must call it.
 */
template <int Q, typename T>
static __device__ inline void ck_sum_rows(T (&value)[Q], int lanes, int high) {
    __shared__ T part[Q * CK_THREADS];
    int t = (int)threadIdx.x, row = t / lanes, half = 1;
    __syncthreads(); /* `part` may still be read from the call before */
#pragma unroll
    for (int q = 0; q < Q; q++)
        part[q * CK_THREADS + t] = value[q];
    while (half < high)
        half *= 2;
    for (half /= 2; half > 0; half /= 2) {
        __syncthreads();
        if (row < half && row + half < high) {
#pragma unroll
            for (int q = 0; q < Q; q++)
                part[q * CK_THREADS + t] += part[q * CK_THREADS + t + half * lanes];
        }
    }
    __syncthreads();
#pragma unroll
    for (int q = 0; q < Q; q++)
        value[q] = part[q * CK_THREADS + t];
}

#define CK_FINISH_LANES 8

/**
 * The last stage of sums over a sample's chunks: blocks of CK_FINISH_LANES columns. part is
 * [chunks][Q][columns]; row 0 gets the sums of column `first + lane`.
 */
template <int Q>
static __device__ inline void ck_sum_chunks(const double *part, int32_t chunks, int32_t columns,
                                            int32_t column, double (&sum)[Q]) {
    int row = (int)threadIdx.x / CK_FINISH_LANES;
    const int high = CK_THREADS / CK_FINISH_LANES;
    for (int q = 0; q < Q; q++)
        sum[q] = 0;
    if (column < columns) {
#pragma unroll 4
        for (int32_t i = row; i < chunks; i += high)
            for (int q = 0; q < Q; q++)
                sum[q] += part[((int64_t)i * Q + q) * columns + column];
    }
    ck_sum_rows<Q>(sum, CK_FINISH_LANES, high);
}

static inline unsigned ck_finish_tiles(int64_t c) {
    return (unsigned)((c + CK_FINISH_LANES - 1) / CK_FINISH_LANES);
}

/**
 * Rows of a chunk of sums over `s` rows of each of `n` samples of c channels: enough blocks for any
 * GPU, none of them too small, and not so long that float32 sums of a thread lose digits.
 */
static inline int64_t ck_sum_chunk(int64_t n, int64_t s, int64_t c) {
    int64_t chunks = n < 2048 ? 2048 / n : 1;
    int64_t rows = (s + chunks - 1) / chunks;
    int64_t least = (8192 + c - 1) / c, most = (1 << 19) / (c < 32 ? 32 : c);
    rows = rows < least ? least : rows;
    return rows > most && most > 0 ? most : rows;
}

static inline int64_t ck_sum_chunks_of(int64_t n, int64_t s, int64_t c) {
    int64_t chunk = ck_sum_chunk(n, s, c);
    return (s + chunk - 1) / chunk;
}

/* ---- what the host decides ---- */

/** Elements of a vector of 16 bytes. */
static inline int ck_width(enum ck_type type) {
    return type == CK_BF16 ? 8 : 4;
}

/** Whether a view can be taken in vectors. */
static inline bool ck_is_wide(enum ck_type type, const struct ck_view &v) {
    return v.step % ck_width(type) == 0 && (uintptr_t)v.data % 16 == 0;
}

/**
 * Calls `make<T, V>(...)`: the host function that launches for elements T and vectors of V.
 */
#define CK_DISPATCH(type, wide, make, ...)                                                         \
    ((type) == CK_BF16                                                                             \
         ? ((wide) ? make<__nv_bfloat16, 8>(__VA_ARGS__) : make<__nv_bfloat16, 1>(__VA_ARGS__))    \
         : ((wide) ? make<float, 4>(__VA_ARGS__) : make<float, 1>(__VA_ARGS__)))

/** Sizes that the kernels count with 32 bits. */
static inline enum hf_status ck_check(const char *what, int64_t rows, int64_t c,
                                      struct hf_error *e) {
    if (rows < 1 || c < 1 || rows > INT32_MAX || c > (1 << 18))
        return hf_fail(e, HF_UNSUPPORTED,
                       "network %s: %lld voxels of %lld channels; the CUDA device takes up to "
                       "2147483647 voxels of 262144 channels",
                       what, (long long)rows, (long long)c);
    return HF_OK;
}

#endif
