/*
 * kern_loss.cu - losses and their gradient with respect to a layer's output.
 *
 * A first pass adds up every term over blocks of voxels, one block adds the blocks and knows the
 * totals that Dice and the weights' sum need, a second pass writes the gradient. A thread takes
 * whole voxels; the sums of Dice, two a channel, are taken for a few channels at a time.
 */
#include "kern_dev.h"

#define VOXELS   2048 /* of a block */
#define CHANNELS 8    /* at a time */

/* Sums over voxels; for each of CHANNELS the two of DICE or TVERSKY (see loss.h). */
enum {
    SUM_WEIGHT,
    SUM_L1,
    SUM_LOGIT,
    SUM_CE,
    SUM_OVERLAP,
    SUMS = SUM_OVERLAP + 2 * CHANNELS
};

#define PARTS (CK_THREADS / SUMS) /* threads that share a sum */

/** What the terms ask for, and how the work is cut up. Channels are those of the range. */
struct want : loss_wants {
    int32_t overlaps; /* DICE or TVERSKY */
    int32_t c, begin; /* the range: how many, from which of the layer on */
    int32_t blocks;   /* of a sample */
    int32_t groups;   /* of CHANNELS */
    int32_t first;    /* channel that DICE and TVERSKY count */
};

static struct want want_of(const struct ck_loss *a) {
    struct want w = {};
    static_cast<struct loss_wants &>(w) = loss_wants_of(&a->group, a->scale);
    w.overlaps = w.dice || w.tversky;
    w.c = (int32_t)a->group.channels;
    w.begin = (int32_t)a->group.first;
    w.blocks = (int32_t)((a->s + VOXELS - 1) / VOXELS);
    w.groups = (w.c + CHANNELS - 1) / CHANNELS;
    w.first = w.c > 1 ? 1 : 0;
    return w;
}

/** The parts of ck_loss's scratch. */
struct loss_parts {
    double *part;  /* [n * blocks][groups][SUMS] */
    double *total; /* [SUM_OVERLAP], then [c][2] */
    float *slope;  /* of L1, BCE or FOCAL, CE; then [c][2]: on the target, constant */
};

static size_t total_count(int64_t c) {
    return SUM_OVERLAP + 2 * (size_t)c;
}

static size_t part_count(int64_t n, int64_t s, int64_t c) {
    return (size_t)n * (size_t)((s + VOXELS - 1) / VOXELS) * SUMS *
           (size_t)((c + CHANNELS - 1) / CHANNELS);
}

extern "C" size_t ck_loss_scratch(int64_t n, int64_t s, int64_t c) {
    return (part_count(n, s, c) + total_count(c)) * sizeof(double) + total_count(c) * sizeof(float);
}

/** One voxel. */
template <typename T> struct voxel {
    const T *z;               /* channels side by side */
    const float *t;           /* channels S apart */
    float weight, normaliser; /* log of the sum of exponentials */
};

template <typename T>
static __device__ inline struct voxel<T> voxel_at(const struct ck_loss &a, const struct want &want,
                                                  int64_t n, int64_t s) {
    struct voxel<T> v;
    v.z = ck_at<const T>(a.z, n *a.s + s, want.begin);
    v.t = a.target + (n * a.c + want.begin) * a.s + s;
    v.weight = a.weight ? a.weight[n * a.s + s] : 1.0f;
    v.normaliser = 0;
    if (!want.softmax)
        return v;
    float top = ck_get(v.z), sum = 0;
    for (int32_t c = 1; c < want.c; c++) {
        float z = ck_get(v.z + c);
        top = z > top ? z : top;
    }
    for (int32_t c = 0; c < want.c; c++)
        sum += el_exp(ck_get(v.z + c) - top);
    v.normaliser = top + el_log(sum);
    return v;
}

static __device__ inline float
probability(const struct want &want, float z, float normaliser) {
    return want.softmax ? el_exp(z - normaliser) : el_sigmoid(z);
}

/* ---- the sums ---- */

/** Adds one channel of a voxel; `overlap` are the channel's two sums. */
static __device__ inline void add_channel(const struct want &want, float z, float t, float weight,
                                          float normaliser, float *sum, float *overlap) {
    if (want.l1)
        sum[SUM_L1] += weight * fabsf(z - t);
    if (want.bce)
        sum[SUM_LOGIT] += weight * el_bce(z, t, want.pos_weight);
    if (want.focal)
        sum[SUM_LOGIT] += weight * el_focal(z, t, want.pos_weight, want.gamma);
    if (want.ce)
        sum[SUM_CE] += weight * (want.softmax ? t * (normaliser - z) : el_bce(z, t, 1.0f));
    if (want.overlaps) {
        float q = probability(want, z, normaliser);
        overlap[0] += weight * q * t;
        overlap[1] += weight * loss_misses(&want, q, t);
    }
}

template <typename T>
static __global__ void __launch_bounds__(CK_THREADS)
    sum_terms(struct ck_loss a, struct want want, double *part) {
    __shared__ float all[SUMS * CK_THREADS];
    __shared__ double some[SUMS * PARTS];
    int32_t group = (int32_t)blockIdx.y, t = (int32_t)threadIdx.x;
    int64_t n = blockIdx.x / (unsigned)want.blocks;
    int64_t first = blockIdx.x % (unsigned)want.blocks * (int64_t)VOXELS;
    int64_t end = first + VOXELS < a.s ? first + VOXELS : a.s;
    float sum[SUMS] = {0};
    for (int64_t s = first + t; s < end; s += CK_THREADS) {
        struct voxel<T> v = voxel_at<T>(a, want, n, s);
        sum[SUM_WEIGHT] += group == 0 ? v.weight : 0.0f;
#pragma unroll
        for (int32_t k = 0; k < CHANNELS; k++) {
            int32_t c = group * CHANNELS + k;
            if (c < want.c)
                add_channel(want, ck_get(v.z + c), v.t[c * a.s], v.weight, v.normaliser, sum,
                            sum + SUM_OVERLAP + 2 * k);
        }
    }
#pragma unroll
    for (int32_t q = 0; q < SUMS; q++)
        all[q * CK_THREADS + t] = sum[q];
    __syncthreads();
    int32_t q = t / PARTS, share = t % PARTS;
    if (q < SUMS) {
        double d = 0;
        for (int32_t i = share; i < CK_THREADS; i += PARTS)
            d += (double)all[q * CK_THREADS + i];
        some[t] = d;
    }
    __syncthreads();
    if (t >= SUMS)
        return;
    double d = 0;
    for (int32_t i = 0; i < PARTS; i++)
        d += some[t * PARTS + i];
    part[((int64_t)blockIdx.x * want.groups + group) * SUMS + t] = d;
}

/** Writes total and terms, and what the gradient multiplies with. */
static __device__ void finish(const struct ck_loss &a, const struct want &want,
                              const struct loss_parts &parts) {
    const double *sum = parts.total;
    double weight = sum[SUM_WEIGHT] > 1e-6 ? sum[SUM_WEIGHT] : 1e-6, total = 0;
    double c = (double)want.c, counted = (double)(want.c - want.first), overlap = 0;
    for (int32_t k = 0; k < want.c; k++) {
        const double *s = sum + SUM_OVERLAP + 2 * k;
        float *slope = parts.slope + SUM_OVERLAP + 2 * k;
        slope[0] = slope[1] = 0;
        if (!want.overlaps || k < want.first)
            continue;
        overlap += loss_overlap(&want, s);
        loss_overlap_slope(&want, s, want.c - want.first, slope, slope + 1);
    }
    for (int32_t i = 0; i < a.group.terms; i++) {
        enum loss_sum kind = loss_sum_of(a.group.term[i].kind);
        double value = kind == LOSS_SUM_L1      ? sum[SUM_L1] / (weight * c)
                       : kind == LOSS_SUM_LOGIT ? sum[SUM_LOGIT] / (weight * c)
                       : kind == LOSS_SUM_CE    ? sum[SUM_CE] / weight
                                                : 1 - overlap / counted;
        if (a.tells)
            a.out[1 + a.group.number[i]] = (float)value;
        total += (double)a.scale * (double)a.group.term[i].factor * value;
    }
    a.out[0] = (float)total + (a.adds ? a.out[0] : 0.0f);
    parts.slope[SUM_L1] = (float)((double)want.l1_factor / (weight * c));
    parts.slope[SUM_LOGIT] = (float)((double)want.logit_factor / (weight * c));
    parts.slope[SUM_CE] = (float)((double)want.ce_factor / weight);
}

static __global__ void __launch_bounds__(CK_THREADS)
    finish_terms(struct ck_loss a, struct want want, struct loss_parts parts) {
    __shared__ double some[SUMS * PARTS];
    int32_t t = (int32_t)threadIdx.x, q = t % SUMS;
    int64_t blocks = a.n * want.blocks;
    double scalar = 0;
    for (int32_t group = 0; group < want.groups; group++) {
        if (t < SUMS * PARTS) {
            double d = 0;
#pragma unroll 8
            for (int64_t i = t / SUMS; i < blocks; i += PARTS)
                d += parts.part[(i * want.groups + group) * SUMS + q];
            some[t] = d;
        }
        __syncthreads();
        if (t < SUMS) {
            double d = 0;
            for (int32_t i = 0; i < PARTS; i++)
                d += some[i * SUMS + t];
            int64_t at = (int64_t)group * 2 * CHANNELS + t;
            if (t < SUM_OVERLAP)
                parts.total[t] = scalar += d;
            else if (at < SUM_OVERLAP + 2 * want.c)
                parts.total[at] = d;
        }
        __syncthreads();
    }
    if (t == 0)
        finish(a, want, parts);
}

/* ---- the gradient ---- */

/** What of the gradient of a channel depends on it alone, before the voxel's weight. */
static __device__ inline float channel_gradient(const struct want &want, const float *slope,
                                                float z, float t) {
    float g = 0, d = z - t, p = want.pos_weight;
    if (want.l1)
        g += slope[SUM_L1] * (d > 0 ? 1.0f : d < 0 ? -1.0f : 0.0f);
    if (want.focal)
        g += slope[SUM_LOGIT] * el_focal_slope(z, t, p, want.gamma);
    if (want.bce || (want.ce && !want.softmax)) {
        float q = el_sigmoid(z);
        g += want.bce ? slope[SUM_LOGIT] * ((1.0f - t) * q - p * t * (1.0f - q)) : 0.0f;
        g += want.softmax || !want.ce ? 0.0f : slope[SUM_CE] * (q - t);
    }
    return g;
}

template <typename T>
static __global__ void __launch_bounds__(CK_THREADS)
    write_gradient(struct ck_loss a, struct want want, const float *slope) {
    float ce = slope[SUM_CE];
    const float *overlap = slope + SUM_OVERLAP;
    HF_CUDA_EACH(i, a.n * a.s) {
        int64_t n = (uint32_t)i / (uint32_t)a.s;
        struct voxel<T> v = voxel_at<T>(a, want, n, i - n * a.s);
        float mean = 0, mass = 0; /* sum of q dloss/dq, sum of targets */
        for (int32_t c = 0; want.softmax && c < want.c; c++) {
            float t = v.t[c * a.s], q = probability(want, ck_get(v.z + c), v.normaliser);
            mean += q * (overlap[2 * c] * t + overlap[2 * c + 1]);
            mass += t;
        }
        T *dz = ck_at<T>(a.dz, i, want.begin);
        for (int32_t c = 0; c < want.c; c++) {
            float z = ck_get(v.z + c), t = v.t[c * a.s];
            float g = channel_gradient(want, slope, z, t);
            float slope_of_q = overlap[2 * c] * t + overlap[2 * c + 1];
            if (want.softmax) {
                float q = probability(want, z, v.normaliser);
                g += q * (slope_of_q - mean) + ce * (q * mass - t);
            } else if (want.overlaps) {
                float q = probability(want, z, v.normaliser);
                g += slope_of_q * q * (1.0f - q);
            }
            ck_put(dz + c, g * v.weight + (a.accumulate ? ck_get(dz + c) : 0.0f));
        }
        for (int32_t c = -want.begin; !a.accumulate && c < (int32_t)a.c - want.begin; c++)
            if (c < 0 || c >= want.c)
                ck_put(dz + c, 0.0f);
    }
}

template <typename T>
static enum hf_status loss(const struct ck_loss *args, void *stream, struct hf_error *e) {
    struct ck_loss a = *args;
    struct want want = want_of(&a);
    struct loss_parts parts;
    parts.part = (double *)a.scratch;
    parts.total = parts.part + part_count(a.n, a.s, want.c);
    parts.slope = (float *)(parts.total + total_count(want.c));
    auto sums = sum_terms<T>;
    auto gradient = write_gradient<T>;
    dim3 grid((unsigned)(a.n * want.blocks), (unsigned)want.groups);
    HF_CUDA_LAUNCH(sums, grid, CK_THREADS, stream, a, want, parts.part);
    HF_CUDA_LAUNCH(finish_terms, 1, CK_THREADS, stream, a, want, parts);
    if (a.dz.data)
        HF_CUDA_LAUNCH(gradient, hf_cuda_grid(a.n * a.s), CK_THREADS, stream, a, want, parts.slope);
    return hf_cuda_launched("loss", e);
}

extern "C" enum hf_status ck_loss(const struct ck_loss *a, void *stream, struct hf_error *e) {
    enum hf_status s = ck_check("loss", a->n * a->s, a->c, e);
    if (s != HF_OK)
        return s;
    return a->type == CK_BF16 ? loss<__nv_bfloat16>(a, stream, e) : loss<float>(a, stream, e);
}

/* ---- targets of supervised layers ---- */

static __global__ void __launch_bounds__(CK_THREADS) shrink(struct ck_shrink a) {
    int64_t voxels = a.out[0] * a.out[1] * a.out[2];
    HF_CUDA_EACH(i, a.n * voxels) {
        int64_t left = i, at[3];
        for (int k = 2; k >= 0; k--) {
            int64_t block = a.in[k] / a.out[k];
            at[k] = left % a.out[k] * block + block / 2;
            left /= a.out[k];
        }
        a.to[i] = a.from[((left * a.in[0] + at[0]) * a.in[1] + at[1]) * a.in[2] + at[2]];
    }
}

extern "C" enum hf_status ck_shrink(const struct ck_shrink *a, void *stream, struct hf_error *e) {
    HF_CUDA_LAUNCH(shrink, hf_cuda_grid(a->n * a->out[0] * a->out[1] * a->out[2]), CK_THREADS,
                   stream, *a);
    return hf_cuda_launched("shrinking of targets", e);
}
