/*
 * kern_update.cu - the optimiser: one pass over all parameters, which lie in one flat vector.
 *
 * Learning rate and count of steps stand in device memory, so that a captured step can be replayed.
 * Before the pass one block turns them, and the norm of the gradients, into three factors.
 */
#include "kern_dev.h"

#define NORM_BLOCK 8192 /* parameters */
#define FACTORS    32   /* bytes of the factors in the scratch */

static int64_t norm_blocks(int64_t count) {
    return (count + NORM_BLOCK - 1) / NORM_BLOCK;
}

/** The parts of ck_update's scratch. */
struct update_parts {
    struct up_factors *factors;
    double *part; /* [norm_blocks]: sums of squares */
};

static struct update_parts parts_of(void *scratch) {
    struct update_parts p;
    p.factors = (struct up_factors *)scratch;
    p.part = (double *)((char *)scratch + FACTORS);
    return p;
}

extern "C" size_t ck_update_scratch(int64_t count) {
    return FACTORS + (size_t)norm_blocks(count) * sizeof(double);
}

static __global__ void __launch_bounds__(CK_THREADS)
    sum_squares(const float *grad, int64_t count, double *part) {
    int64_t first = (int64_t)blockIdx.x * NORM_BLOCK;
    int64_t end = first + NORM_BLOCK < count ? first + NORM_BLOCK : count;
    double sum = 0;
#pragma unroll 8
    for (int64_t i = first + threadIdx.x; i < end; i += CK_THREADS) {
        double g = (double)grad[i];
        sum += g * g;
    }
    sum = hf_cuda_block_sum<CK_THREADS>(sum);
    if (threadIdx.x == 0)
        part[blockIdx.x] = sum;
}

static __global__ void __launch_bounds__(CK_THREADS)
    prepare(struct ck_update a, int64_t blocks, struct update_parts parts) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < blocks; i += CK_THREADS)
        sum += parts.part[i];
    sum = hf_cuda_block_sum<CK_THREADS>(sum);
    if (threadIdx.x > 0)
        return;
    a.done->steps++;
    a.done->averaged++;
    *parts.factors = up_factors_of(&a.optimizer, sqrt(sum), a.done, *a.rate);
}

/** V parameters from number `i`. */
template <int V, bool ADAM>
static __device__ inline void update_at(const struct ck_update &a, const struct up_factors &f,
                                        int64_t i) {
    float p[V], g[V], m[V], v[V];
    ck_load<V>((const float *)a.param + i, p);
    ck_load<V>(a.grad + i, g);
    ck_load<V>((const float *)a.m + i, m);
    if (ADAM)
        ck_load<V>((const float *)a.v + i, v);
#pragma unroll
    for (int j = 0; j < V; j++)
        p[j] = ADAM ? up_adam(&a.optimizer, &f, p[j], g[j], &m[j], &v[j])
                    : up_sgd(&a.optimizer, &f, p[j], g[j], &m[j]);
    ck_store<V>(a.param + i, p);
    ck_store<V>(a.m + i, m);
    if (ADAM)
        ck_store<V>(a.v + i, v);
    if (a.copy)
        ck_store<V>((__nv_bfloat16 *)a.copy + i, p);
    if (!a.average)
        return;
    float average[V];
    ck_load<V>((const float *)a.average + i, average);
#pragma unroll
    for (int j = 0; j < V; j++)
        average[j] = up_average(&f, average[j], p[j]);
    ck_store<V>(a.average + i, average);
}

template <int V, bool ADAM>
static __global__ void __launch_bounds__(CK_THREADS)
    update(struct ck_update a, const struct up_factors *factors) {
    struct up_factors f = *factors;
    HF_CUDA_EACH(k, (a.count + V - 1) / V) {
        if (k * V + V <= a.count) {
            update_at<V, ADAM>(a, f, k * V);
            continue;
        }
        for (int64_t i = k * V; i < a.count; i++)
            update_at<1, ADAM>(a, f, i);
    }
}

/** The same step over a part of the vectors. */
static struct ck_update part_of(const struct ck_update &all, const struct up_range &r) {
    struct ck_update a = all;
    a.count = r.count;
    a.param += r.first;
    a.m += r.first;
    a.grad += r.first;
    a.v = a.v ? a.v + r.first : NULL;
    a.average = a.average ? a.average + r.first : NULL;
    a.copy = a.copy ? (__nv_bfloat16 *)a.copy + r.first : NULL;
    return a;
}

static void launch(const struct ck_update &a, const struct up_factors *factors, void *stream) {
    bool adams = a.optimizer.kind != HF_OPT_SGD;
    uintptr_t bits = (uintptr_t)a.param | (uintptr_t)a.grad | (uintptr_t)a.m | (uintptr_t)a.copy |
                     (uintptr_t)a.average | (adams ? (uintptr_t)a.v : 0);
    bool wide = bits % 16 == 0;
    auto kernel = wide ? (adams ? update<4, true> : update<4, false>)
                       : (adams ? update<1, true> : update<1, false>);
    int64_t groups = wide ? (a.count + 3) / 4 : a.count;
    HF_CUDA_LAUNCH(kernel, hf_cuda_grid(groups), CK_THREADS, stream, a, factors);
}

extern "C" enum hf_status ck_update(const struct ck_update *args, void *stream,
                                    struct hf_error *e) {
    struct ck_update a = *args;
    if (a.count < 1)
        return HF_OK;
    struct update_parts parts = parts_of(a.scratch);
    int64_t blocks = a.optimizer.clip > 0 ? norm_blocks(a.count) : 0;
    if (blocks > 0)
        HF_CUDA_LAUNCH(sum_squares, (unsigned)blocks, CK_THREADS, stream, a.grad, a.count,
                       parts.part);
    HF_CUDA_LAUNCH(prepare, 1, CK_THREADS, stream, a, blocks, parts);
    for (int32_t i = 0; i < a.ranges; i++)
        launch(part_of(a, a.range[i]), parts.factors, stream);
    return hf_cuda_launched("update", e);
}
