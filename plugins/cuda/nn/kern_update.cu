/*
 * kern_update.cu - the optimiser: one pass over all parameters, which lie in one flat vector.
 *
 * Learning rate and count of steps stand in device memory, so that a captured step can be replayed.
 * Before the pass one block turns them, and the norm of the gradients, into three factors.
 */
#include "kern_dev.h"

#define NORM_BLOCK 8192 /* parameters */

static int64_t norm_blocks(int64_t count) {
    return (count + NORM_BLOCK - 1) / NORM_BLOCK;
}

/** What the pass multiplies with. */
struct factors {
    float clip; /* gradients */
    float rate; /* the update */
    float root; /* Adam: the root of the variance */
};

/** The parts of ck_update's scratch. */
struct update_parts {
    struct factors *factors;
    double *part; /* [norm_blocks]: sums of squares */
};

static struct update_parts parts_of(void *scratch) {
    struct update_parts p;
    p.factors = (struct factors *)scratch;
    p.part = (double *)((char *)scratch + 16);
    return p;
}

extern "C" size_t ck_update_scratch(int64_t count) {
    return 16 + (size_t)norm_blocks(count) * sizeof(double);
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
    struct factors f = {1.0f, *a.rate, 1.0f};
    double step = (double)++*a.step;
    if (blocks > 0) {
        double limit = (double)a.optimizer.clip / (sqrt(sum) + 1e-6);
        f.clip = limit < 1.0 ? (float)limit : 1.0f;
    }
    if (a.optimizer.kind == HF_OPT_ADAM) {
        f.rate = (float)((double)f.rate / (1.0 - pow((double)a.optimizer.beta1, step)));
        f.root = (float)(1.0 / sqrt(1.0 - pow((double)a.optimizer.beta2, step)));
    }
    *parts.factors = f;
}

/** One parameter; m and v are updated in place. */
static __device__ inline float adam(const struct hf_optimizer &o, const struct factors &f, float p,
                                    float grad, float *m, float *v) {
    float g = grad * f.clip + o.weight_decay * p;
    *m = o.beta1 * *m + (1.0f - o.beta1) * g;
    *v = o.beta2 * *v + (1.0f - o.beta2) * g * g;
    return p - f.rate * *m / (sqrtf(*v) * f.root + o.epsilon);
}

static __device__ inline float sgd(const struct hf_optimizer &o, const struct factors &f, float p,
                                   float grad, float *m) {
    float g = grad * f.clip + o.weight_decay * p;
    *m = o.momentum * *m + g;
    return p - f.rate * (o.nesterov ? g + o.momentum * *m : *m);
}

/** V parameters from number `i`. */
template <int V, bool ADAM>
static __device__ inline void update_at(const struct ck_update &a, const struct factors &f,
                                        int64_t i) {
    float p[V], g[V], m[V], v[V];
    ck_load<V>((const float *)a.param + i, p);
    ck_load<V>(a.grad + i, g);
    ck_load<V>((const float *)a.m + i, m);
    if (ADAM)
        ck_load<V>((const float *)a.v + i, v);
#pragma unroll
    for (int j = 0; j < V; j++)
        p[j] = ADAM ? adam(a.optimizer, f, p[j], g[j], &m[j], &v[j])
                    : sgd(a.optimizer, f, p[j], g[j], &m[j]);
    ck_store<V>(a.param + i, p);
    ck_store<V>(a.m + i, m);
    if (ADAM)
        ck_store<V>(a.v + i, v);
    if (a.copy)
        ck_store<V>((__nv_bfloat16 *)a.copy + i, p);
}

template <int V, bool ADAM>
static __global__ void __launch_bounds__(CK_THREADS)
    update(struct ck_update a, const struct factors *factors) {
    struct factors f = *factors;
    HF_CUDA_EACH(k, (a.count + V - 1) / V) {
        if (k * V + V <= a.count) {
            update_at<V, ADAM>(a, f, k * V);
            continue;
        }
        for (int64_t i = k * V; i < a.count; i++)
            update_at<1, ADAM>(a, f, i);
    }
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
    bool adams = a.optimizer.kind == HF_OPT_ADAM;
    uintptr_t bits = (uintptr_t)a.param | (uintptr_t)a.grad | (uintptr_t)a.m | (uintptr_t)a.copy |
                     (adams ? (uintptr_t)a.v : 0);
    bool wide = bits % 16 == 0;
    auto kernel = wide ? (adams ? update<4, true> : update<4, false>)
                       : (adams ? update<1, true> : update<1, false>);
    int64_t groups = wide ? (a.count + 3) / 4 : a.count;
    HF_CUDA_LAUNCH(kernel, hf_cuda_grid(groups), CK_THREADS, stream, a, parts.factors);
    return hf_cuda_launched("update", e);
}
