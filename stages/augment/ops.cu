/**
 * ops.cu - the ops of `augment` on CUDA.
 */
#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "ops.h"

static int64_t voxels_of(const struct hf_tensor *t) {
    return t->shape[1] * t->shape[2] * t->shape[3];
}

static const struct augment_stats *stats_of(const struct hf_op_call *call, int32_t k) {
    return call->inputs > k ? HF_DATA(const struct augment_stats, call->in[k]) : NULL;
}

/* The grid of a kernel whose rows are channels. */
static dim3 channels_grid(const struct hf_tensor *t) {
    return cuda_rows_grid(t->shape[0], voxels_of(t));
}

/* ---- stats ----
 *
 * Blocks sum fixed stretches of a channel, one thread sums those: an order that depends on the
 * volume's size alone.
 */

#define STATS_MOST_BLOCKS 128

struct stats_part {
    double sum, squares;
    int64_t count;
    float low, high;
};

/* Of each channel. */
static unsigned stats_blocks(const struct hf_op_call *call) {
    unsigned blocks = hf_cuda_grid(voxels_of(call->in[0]));
    return blocks < STATS_MOST_BLOCKS ? blocks : STATS_MOST_BLOCKS;
}

static size_t stats_scratch(const struct hf_op_call *call) {
    return (size_t)call->in[0]->shape[0] * stats_blocks(call) * sizeof(struct stats_part);
}

static __device__ float block_extreme(float value, bool largest) {
    __shared__ float part[HF_CUDA_THREADS];
    unsigned t = threadIdx.x;
    __syncthreads();
    part[t] = value;
    __syncthreads();
    for (unsigned half = HF_CUDA_THREADS / 2; half > 0; half /= 2) {
        if (t < half && (largest ? part[t + half] > part[t] : part[t + half] < part[t]))
            part[t] = part[t + half];
        __syncthreads();
    }
    return part[0];
}

static __global__ void stats_sum(const float *in, const uint8_t *mask, int64_t voxels,
                                 struct stats_part *parts) {
    const float *x = in + blockIdx.y * voxels;
    double sum = 0;
    int64_t count = 0;
    float low = INFINITY, high = -INFINITY;
    HF_CUDA_EACH(i, voxels) {
        if (mask && !mask[i])
            continue;
        sum += (double)x[i];
        count++;
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    struct stats_part all = {hf_cuda_block_sum<HF_CUDA_THREADS>(sum), 0,
                             hf_cuda_block_sum<HF_CUDA_THREADS>(count), block_extreme(low, false),
                             block_extreme(high, true)};
    if (threadIdx.x == 0)
        parts[blockIdx.y * gridDim.x + blockIdx.x] = all;
}

static __device__ double stats_mean(const struct stats_part *parts, unsigned blocks,
                                    int64_t *ret_count) {
    double sum = 0;
    *ret_count = 0;
    for (unsigned k = 0; k < blocks; k++) {
        sum += parts[k].sum;
        *ret_count += parts[k].count;
    }
    return *ret_count > 0 ? sum / (double)*ret_count : 0;
}

static __global__ void stats_squares(const float *in, const uint8_t *mask, int64_t voxels,
                                     struct stats_part *parts) {
    const float *x = in + blockIdx.y * voxels;
    struct stats_part *mine = parts + blockIdx.y * gridDim.x;
    int64_t count;
    double mean = stats_mean(mine, gridDim.x, &count), squares = 0;
    HF_CUDA_EACH(i, voxels) {
        double v = mask && !mask[i] ? 0 : (double)x[i] - mean;
        squares += v * v;
    }
    squares = hf_cuda_block_sum<HF_CUDA_THREADS>(squares);
    if (threadIdx.x == 0)
        mine[blockIdx.x].squares = squares;
}

static __global__ void stats_finish(const struct stats_part *parts, int64_t channels,
                                    unsigned blocks, struct augment_stats *out) {
    HF_CUDA_EACH(c, channels) {
        const struct stats_part *mine = parts + c * blocks;
        int64_t count;
        double mean = stats_mean(mine, blocks, &count), squares = 0;
        float low = INFINITY, high = -INFINITY;
        for (unsigned k = 0; k < blocks; k++) {
            squares += mine[k].squares;
            low = mine[k].low < low ? mine[k].low : low;
            high = mine[k].high > high ? mine[k].high : high;
        }
        if (count > 0)
            out[c] = {(float)mean, (float)sqrt(squares / (double)count), low, high};
        else
            out[c] = {0, 0, 0, 0};
    }
}

static enum hf_status launch_stats(const struct hf_op_call *call, void *scratch, void *stream,
                                   struct hf_error *e) {
    const float *in = HF_DATA(const float, call->in[0]);
    const uint8_t *mask = call->inputs > 1 ? HF_DATA(const uint8_t, call->in[1]) : NULL;
    struct stats_part *parts = (struct stats_part *)scratch;
    struct augment_stats *out = HF_DATA(struct augment_stats, call->out[0]);
    int64_t channels = call->in[0]->shape[0], voxels = voxels_of(call->in[0]);
    dim3 grid(stats_blocks(call), (unsigned)channels);
    HF_CUDA_LAUNCH(stats_sum, grid, HF_CUDA_THREADS, stream, in, mask, voxels, parts);
    HF_CUDA_LAUNCH(stats_squares, grid, HF_CUDA_THREADS, stream, in, mask, voxels, parts);
    HF_CUDA_LAUNCH(stats_finish, hf_cuda_grid(channels), HF_CUDA_THREADS, stream, parts, channels,
                   stats_blocks(call), out);
    return hf_cuda_launched("augment.stats", e);
}

/* ---- values ---- */

static __global__ void shade(const float *in, const struct augment_stats *stats, int64_t voxels,
                             int64_t channels, struct augment_shade_params p, float *out) {
    CUDA_ROWS_EACH(c, channels) {
        struct augment_stats s = {0, 0, 0, 0};
        if (stats)
            s = stats[c];
        HF_CUDA_EACH(i, voxels) {
            out[c * voxels + i] = augment_shade(in[c * voxels + i], s, p);
        }
    }
}

static enum hf_status launch_shade(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    struct augment_shade_params p = *(const struct augment_shade_params *)call->params;
    HF_CUDA_LAUNCH(shade, channels_grid(call->in[0]), HF_CUDA_THREADS, stream,
                   HF_DATA(const float, call->in[0]), stats_of(call, 1), voxels_of(call->in[0]),
                   call->in[0]->shape[0], p, HF_DATA(float, call->out[0]));
    return hf_cuda_launched("augment.shade", e);
}

static __global__ void noise(const float *in, const struct augment_stats *stats, int64_t voxels,
                             int64_t channels, struct augment_noise_params p, float *out) {
    CUDA_ROWS_EACH(c, channels) {
        float sd = p.share * stats[c].sd;
        HF_CUDA_EACH(i, voxels) {
            int64_t at = c * voxels + i;
            out[at] = in[at] + augment_noise(&p.stream, at) * sd;
        }
    }
}

static enum hf_status launch_noise(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    struct augment_noise_params p = *(const struct augment_noise_params *)call->params;
    HF_CUDA_LAUNCH(noise, channels_grid(call->in[0]), HF_CUDA_THREADS, stream,
                   HF_DATA(const float, call->in[0]), stats_of(call, 1), voxels_of(call->in[0]),
                   call->in[0]->shape[0], p, HF_DATA(float, call->out[0]));
    return hf_cuda_launched("augment.noise", e);
}

static __global__ void gamma_power(const float *in, const struct augment_stats *stats,
                                   int64_t voxels, int64_t channels, struct augment_gamma_params p,
                                   float *out) {
    CUDA_ROWS_EACH(c, channels) {
        HF_CUDA_EACH(i, voxels) {
            int64_t at = c * voxels + i;
            out[at] = augment_gamma(in[at], stats[c], p.gamma, p.inverted);
        }
    }
}

static enum hf_status launch_gamma(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    struct augment_gamma_params p = *(const struct augment_gamma_params *)call->params;
    HF_CUDA_LAUNCH(gamma_power, channels_grid(call->in[0]), HF_CUDA_THREADS, stream,
                   HF_DATA(const float, call->in[0]), stats_of(call, 1), voxels_of(call->in[0]),
                   call->in[0]->shape[0], p, HF_DATA(float, call->out[0]));
    return hf_cuda_launched("augment.gamma", e);
}

static __global__ void restore(const float *in, const struct augment_stats *from,
                               const struct augment_stats *to, int64_t voxels, int64_t channels,
                               float *out) {
    CUDA_ROWS_EACH(c, channels) {
        HF_CUDA_EACH(i, voxels) {
            out[c * voxels + i] = augment_restore(in[c * voxels + i], from[c], to[c]);
        }
    }
}

static enum hf_status launch_restore(const struct hf_op_call *call, void *, void *stream,
                                     struct hf_error *e) {
    HF_CUDA_LAUNCH(restore, channels_grid(call->in[0]), HF_CUDA_THREADS, stream,
                   HF_DATA(const float, call->in[0]), stats_of(call, 1), stats_of(call, 2),
                   voxels_of(call->in[0]), call->in[0]->shape[0], HF_DATA(float, call->out[0]));
    return hf_cuda_launched("augment.restore", e);
}

static __global__ void merge(const float *before, const float *after, const uint8_t *mask,
                             int64_t voxels, int64_t channels, struct augment_merge_params p,
                             float *out) {
    CUDA_ROWS_EACH(c, channels) {
        HF_CUDA_EACH(i, voxels) {
            int64_t at = c * voxels + i;
            out[at] = mask && !mask[i] ? before[at] : augment_clip(after[at], p.low, p.high);
        }
    }
}

static enum hf_status launch_merge(const struct hf_op_call *call, void *, void *stream,
                                   struct hf_error *e) {
    struct augment_merge_params p = *(const struct augment_merge_params *)call->params;
    const uint8_t *mask = call->inputs > 2 ? HF_DATA(const uint8_t, call->in[2]) : NULL;
    HF_CUDA_LAUNCH(merge, channels_grid(call->in[0]), HF_CUDA_THREADS, stream,
                   HF_DATA(const float, call->in[0]), HF_DATA(const float, call->in[1]), mask,
                   voxels_of(call->in[0]), call->in[0]->shape[0], p, HF_DATA(float, call->out[0]));
    return hf_cuda_launched("augment.merge", e);
}

/* ---- warp ---- */

struct warp_size {
    int64_t axis[3]; /* W, H, D */
    int64_t voxels, channels;
};

static __device__ float warp_value(const float *in, const double at[3], const int64_t size[3]) {
    return augment_linear(in, at, size);
}

static __device__ uint8_t warp_value(const uint8_t *in, const double at[3], const int64_t size[3]) {
    return in[augment_nearest(at, size)];
}

template <typename T>
static __global__ void warp(const T *in, const float *control, struct warp_size size,
                            struct augment_warp_params p, T *out) {
    HF_CUDA_EACH(i, size.voxels) {
        const int64_t voxel[3] = {i % size.axis[0], i / size.axis[0] % size.axis[1],
                                  i / size.axis[0] / size.axis[1]};
        double at[3];
        augment_place(&p, control, voxel, at);
        int outside = augment_outside(at, size.axis);
        for (int64_t c = 0; c < size.channels; c++)
            out[c * size.voxels + i] =
                outside ? (T)p.fill : warp_value(in + c * size.voxels, at, size.axis);
    }
}

static enum hf_status launch_warp(const struct hf_op_call *call, void *, void *stream,
                                  struct hf_error *e) {
    struct augment_warp_params p = *(const struct augment_warp_params *)call->params;
    const struct hf_tensor *in = call->in[0];
    const float *control = HF_DATA(const float, call->in[1]);
    struct warp_size size = {
        {in->shape[3], in->shape[2], in->shape[1]}, voxels_of(in), in->shape[0]};
    if (in->dtype == HF_F32)
        HF_CUDA_LAUNCH(warp<float>, hf_cuda_grid(size.voxels), HF_CUDA_THREADS, stream,
                       HF_DATA(const float, in), control, size, p, HF_DATA(float, call->out[0]));
    else
        HF_CUDA_LAUNCH(warp<uint8_t>, hf_cuda_grid(size.voxels), HF_CUDA_THREADS, stream,
                       HF_DATA(const uint8_t, in), control, size, p,
                       HF_DATA(uint8_t, call->out[0]));
    return hf_cuda_launched("augment.warp", e);
}

HF_CUDA_MODULE("augment.cuda", {"augment.stats", HF_KIND_CUDA, launch_stats, stats_scratch},
               {"augment.shade", HF_KIND_CUDA, launch_shade, NULL},
               {"augment.noise", HF_KIND_CUDA, launch_noise, NULL},
               {"augment.gamma", HF_KIND_CUDA, launch_gamma, NULL},
               {"augment.restore", HF_KIND_CUDA, launch_restore, NULL},
               {"augment.merge", HF_KIND_CUDA, launch_merge, NULL},
               {"augment.warp", HF_KIND_CUDA, launch_warp, NULL})
