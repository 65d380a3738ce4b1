/**
 * ops.cu - the ops of threshold on CUDA.
 *
 * How many components there are, and where a segment's likeliest voxel lies, is known on the device
 * alone: later kernels read it there.
 */
#include <hepaflow/cuda.h>

#include "../../plugins/ops/pieces.h"
#include "ops.h"

/* Masks that all must be set; by value in a kernel's arguments. */
struct gates {
    const uint8_t *mask[HF_OP_MAX_TENSORS];
    int32_t count;
};

static struct gates gates_from(const struct hf_op_call *call, int32_t first) {
    struct gates g = {};
    for (int32_t k = first; k < call->inputs; k++)
        g.mask[g.count++] = HF_DATA(const uint8_t, call->in[k]);
    return g;
}

static __forceinline__ __device__ bool passes(const struct gates &g, int64_t i) {
    for (int32_t k = 0; k < g.count; k++)
        if (!g.mask[k][i])
            return false;
    return true;
}

/* ---- cut ---- */

static __global__ void cut(const float *field, const __grid_constant__ struct gates g, int64_t n,
                           struct cut_params p, uint8_t *mask) {
    HF_CUDA_EACH(i, n) {
        mask[i] = cut_voxel(field[i], p.value, p.side) && passes(g, i);
    }
}

static enum hf_status launch_cut(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    struct cut_params p = *(const struct cut_params *)call->params;
    struct gates g = gates_from(call, 1);
    const float *field = HF_DATA(const float, call->in[0]);
    uint8_t *mask = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    HF_CUDA_LAUNCH(cut, hf_cuda_grid(n), HF_CUDA_THREADS, stream, field, g, n, p, mask);
    return hf_cuda_launched("threshold.cut", e);
}

/* ---- otsu ----
 *
 * Counts and extremes do not depend on the order of the threads.
 */

/* In the scratch, before the histogram: the extremes as keys that are ordered as the floats. */
struct otsu_range {
    unsigned low, high;
};

static size_t otsu_scratch(const struct hf_op_call *call) {
    return sizeof(struct otsu_range) +
           (size_t)((const struct otsu_params *)call->params)->bins * sizeof(int32_t);
}

static __device__ unsigned otsu_key(float v) {
    uint32_t bits;
    v += 0.0f; /* -0 is 0 */
    memcpy(&bits, &v, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static __device__ float otsu_value(unsigned key) {
    uint32_t bits = key >> 31 ? key & 0x7FFFFFFFu : ~key;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static __global__ void otsu_begin(struct otsu_range *range, int32_t *count, int32_t bins) {
    HF_CUDA_EACH(k, bins) {
        count[k] = 0;
        if (k == 0)
            *range = {0xFFFFFFFFu, 0};
    }
}

static __global__ void otsu_extremes(const float *field, const __grid_constant__ struct gates g,
                                     int64_t n, int32_t side, struct otsu_range *range) {
    __shared__ unsigned low[HF_CUDA_THREADS], high[HF_CUDA_THREADS];
    unsigned t = threadIdx.x, least = 0xFFFFFFFFu, most = 0;
    HF_CUDA_EACH(i, n) {
        float v = otsu_measure(field[i], side);
        if (otsu_counts(v) && passes(g, i)) {
            unsigned key = otsu_key(v);
            least = key < least ? key : least;
            most = key > most ? key : most;
        }
    }
    low[t] = least;
    high[t] = most;
    __syncthreads();
    for (unsigned half = HF_CUDA_THREADS / 2; half > 0; half /= 2) {
        if (t < half) {
            low[t] = low[t + half] < low[t] ? low[t + half] : low[t];
            high[t] = high[t + half] > high[t] ? high[t + half] : high[t];
        }
        __syncthreads();
    }
    if (t == 0) {
        atomicMin(&range->low, low[0]);
        atomicMax(&range->high, high[0]);
    }
}

static __global__ void otsu_count(const float *field, const __grid_constant__ struct gates g,
                                  int64_t n, struct otsu_params p, const struct otsu_range *range,
                                  int32_t *count) {
    if (range->low >= range->high)
        return;
    float low = otsu_value(range->low), high = otsu_value(range->high);
    HF_CUDA_EACH(i, n) {
        float v = otsu_measure(field[i], p.side);
        if (otsu_counts(v) && passes(g, i))
            atomicAdd(&count[otsu_bin(v, low, high, p.bins)], 1);
    }
}

static __global__ void otsu_finish(const int32_t *count, int32_t bins,
                                   const struct otsu_range *range, float *level) {
    if (blockIdx.x == 0 && threadIdx.x == 0)
        *level = range->low < range->high
                     ? otsu_level(count, bins, otsu_value(range->low), otsu_value(range->high))
                     : INFINITY;
}

static enum hf_status launch_otsu(const struct hf_op_call *call, void *scratch, void *stream,
                                  struct hf_error *e) {
    struct otsu_params p = *(const struct otsu_params *)call->params;
    struct gates g = gates_from(call, 1);
    const float *field = HF_DATA(const float, call->in[0]);
    float *level = HF_DATA(float, call->out[0]);
    struct otsu_range *range = (struct otsu_range *)scratch;
    int32_t *count = (int32_t *)(range + 1);
    int64_t n = hf_tensor_count(call->in[0]);
    HF_CUDA_LAUNCH(otsu_begin, hf_cuda_grid(p.bins), HF_CUDA_THREADS, stream, range, count, p.bins);
    HF_CUDA_LAUNCH(otsu_extremes, hf_cuda_grid(n), HF_CUDA_THREADS, stream, field, g, n, p.side,
                   range);
    HF_CUDA_LAUNCH(otsu_count, hf_cuda_grid(n), HF_CUDA_THREADS, stream, field, g, n, p, range,
                   count);
    HF_CUDA_LAUNCH(otsu_finish, 1, 32, stream, count, p.bins, range, level);
    return hf_cuda_launched("threshold.otsu", e);
}

/* ---- keep ---- */

/* A component has at least one voxel. */
static size_t keep_most(const struct hf_op_call *call) {
    return (size_t)hf_tensor_count(call->in[0]) + 1;
}

static size_t keep_scratch(const struct hf_op_call *call) {
    return keep_most(call) * (sizeof(int32_t) + (call->inputs > 2));
}

static __global__ void keep_begin(const int32_t *labels, int32_t *size, uint8_t *has_strong) {
    HF_CUDA_EACH(k, (int64_t)*labels + 1) {
        size[k] = 0;
        if (has_strong)
            has_strong[k] = 0;
    }
}

static __global__ void keep_measure(const int32_t *label, const uint8_t *strong, int64_t n,
                                    int32_t *size, uint8_t *has_strong) {
    HF_CUDA_EACH(i, n) {
        if (label[i] <= 0)
            continue;
        atomicAdd(&size[label[i]], 1);
        if (strong && strong[i])
            has_strong[label[i]] = 1; /* whoever writes writes 1 */
    }
}

static __global__ void keep_large(const int32_t *label, const int32_t *size,
                                  const uint8_t *has_strong, int64_t n, int64_t least,
                                  uint8_t *mask) {
    HF_CUDA_EACH(i, n) {
        mask[i] = label[i] > 0 && size[label[i]] >= least && (!has_strong || has_strong[label[i]]);
    }
}

static enum hf_status launch_keep(const struct hf_op_call *call, void *scratch, void *stream,
                                  struct hf_error *e) {
    int64_t least = ((const struct keep_params *)call->params)->least;
    const int32_t *label = HF_DATA(const int32_t, call->in[0]);
    const int32_t *labels = HF_DATA(const int32_t, call->in[1]);
    uint8_t *mask = HF_DATA(uint8_t, call->out[0]);
    const uint8_t *strong = call->inputs > 2 ? HF_DATA(const uint8_t, call->in[2]) : NULL;
    int32_t *size = (int32_t *)scratch;
    uint8_t *has_strong = strong ? (uint8_t *)(size + keep_most(call)) : NULL;
    int64_t n = hf_tensor_count(call->in[0]);
    HF_CUDA_LAUNCH(keep_begin, hf_cuda_grid(n), HF_CUDA_THREADS, stream, labels, size, has_strong);
    HF_CUDA_LAUNCH(keep_measure, hf_cuda_grid(n), HF_CUDA_THREADS, stream, label, strong, n, size,
                   has_strong);
    HF_CUDA_LAUNCH(keep_large, hf_cuda_grid(n), HF_CUDA_THREADS, stream, label, size, has_strong, n,
                   least, mask);
    return hf_cuda_launched("threshold.keep", e);
}

/* ---- best ----
 *
 * First each wanted segment's likeliest voxel and whether the mask has something in it; then the
 * components of what may be grown, by union-find over all segments at once; then those that hold a
 * likeliest voxel. A component's root is its first voxel, whatever the order of the threads.
 */

#define BEST_BLOCKS 128

/* The start of the scratch; the union-find's parents follow it. */
struct best_found {
    unsigned long long seed[BEST_SEGMENTS]; /* see best_key; 0: none */
    unsigned found;                         /* segments in which the mask has something */
};

/* What the kernels share. */
struct best_volume {
    const float *field;
    const uint8_t *couinaud, *mask;
    struct gates gates;
    int64_t size[3], voxels;
    struct best_params p;
};

static size_t best_offset(void) {
    return piece_bytes(sizeof(struct best_found));
}

static size_t best_scratch(const struct hf_op_call *call) {
    return best_offset() + (size_t)hf_tensor_count(call->in[0]) * sizeof(int32_t);
}

/* The larger, the likelier, and of those alike the first. Never 0. */
static __device__ unsigned long long best_key(float measure, int64_t voxel) {
    uint32_t bits;
    measure += 0.0f; /* -0 is 0 */
    memcpy(&bits, &measure, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | 0x80000000u;
    return (unsigned long long)bits << 32 | (0xFFFFFFFFu - (uint32_t)voxel);
}

static __device__ int64_t best_voxel(unsigned long long key) {
    return 0xFFFFFFFFu - (uint32_t)key;
}

static __global__ void best_begin(struct best_found *f) {
    if (threadIdx.x < BEST_SEGMENTS)
        f->seed[threadIdx.x] = 0;
    if (threadIdx.x == BEST_SEGMENTS)
        f->found = 0;
}

/* Segments lie along the grid's y; the largest key does not depend on the order of the blocks. */
static __global__ void best_search(struct best_volume v, struct best_found *f) {
    __shared__ unsigned long long part[HF_CUDA_THREADS];
    __shared__ int any[HF_CUDA_THREADS];
    int k = (int)blockIdx.y, t = (int)threadIdx.x;
    if (!(v.p.segments >> k & 1))
        return;
    unsigned long long most = 0;
    int found = 0;
    HF_CUDA_EACH(i, v.voxels) {
        if (best_segment(v.couinaud[i]) != k)
            continue;
        float measure = cut_measure(v.field[i], v.p.side);
        found |= v.mask[i] != 0;
        if (passes(v.gates, i) && !isnan(measure)) {
            unsigned long long key = best_key(measure, i);
            most = key > most ? key : most;
        }
    }
    part[t] = most;
    any[t] = found;
    __syncthreads();
    for (int half = HF_CUDA_THREADS / 2; half > 0; half /= 2) {
        if (t < half) {
            part[t] = part[t + half] > part[t] ? part[t + half] : part[t];
            any[t] |= any[t + half];
        }
        __syncthreads();
    }
    if (t == 0) {
        atomicMax(&f->seed[k], part[0]);
        if (any[0])
            atomicOr(&f->found, 1u << k);
    }
}

/* Whether voxel i hangs together with its like: it lies in a segment that is grown, high enough. */
static __device__ bool best_member(const struct best_volume &v, const struct best_found *f,
                                   int64_t i) {
    int k = best_segment(v.couinaud[i]);
    if (k == 0 || !best_misses(&v.p, k, f->found) || f->seed[k] == 0)
        return false;
    float most = cut_measure(v.field[best_voxel(f->seed[k])], v.p.side);
    return best_grows(most, v.p.side) &&
           best_joins(cut_measure(v.field[i], v.p.side), best_level(most)) && passes(v.gates, i);
}

static __global__ void best_split(struct best_volume v, const struct best_found *f,
                                  int32_t *parent) {
    HF_CUDA_EACH(i, v.voxels) {
        parent[i] = best_member(v, f, i) ? (int32_t)i : -1;
    }
}

/* Halves the path on the way. A root that another thread has just hooked to a smaller one is found
 * a moment late, which best_unite sees. */
static __device__ int32_t best_root(volatile int32_t *parent, int32_t i) {
    for (int32_t up = parent[i]; up != i; up = parent[i]) {
        int32_t next = parent[up];
        if (next != up)
            parent[i] = next;
        i = up;
    }
    return i;
}

static __device__ void best_unite(int32_t *parent, int32_t a, int32_t b) {
    for (;;) {
        a = best_root(parent, a);
        b = best_root(parent, b);
        if (a == b)
            return;
        int32_t high = a > b ? a : b, low = a > b ? b : a;
        if (atomicCAS(&parent[high], high, low) == high)
            return;
    }
}

static __global__ void best_link(struct best_volume v, int32_t *parent) {
    const int64_t step[3] = {v.size[1] * v.size[2], v.size[2], 1};
    HF_CUDA_EACH(i, v.voxels) {
        if (parent[i] < 0)
            continue;
        for (int axis = 0; axis < 3; axis++) {
            int64_t before = i - step[axis];
            if (i / step[axis] % v.size[axis] > 0 && parent[before] >= 0 &&
                v.couinaud[before] == v.couinaud[i])
                best_unite(parent, (int32_t)i, (int32_t)before);
        }
    }
}

static __global__ void best_mark(struct best_volume v, const struct best_found *f, int32_t *parent,
                                 uint8_t *out) {
    HF_CUDA_EACH(i, v.voxels) {
        uint8_t set = v.mask[i];
        if (parent[i] >= 0) {
            int64_t seed = best_voxel(f->seed[best_segment(v.couinaud[i])]);
            if (best_root(parent, (int32_t)i) == best_root(parent, (int32_t)seed))
                set = 1;
        }
        out[i] = set;
    }
}

static enum hf_status launch_best(const struct hf_op_call *call, void *scratch, void *stream,
                                  struct hf_error *e) {
    const int64_t *shape = call->in[0]->shape;
    struct best_volume v = {
        HF_DATA(const float, call->in[0]),        HF_DATA(const uint8_t, call->in[2]),
        HF_DATA(const uint8_t, call->in[1]),      gates_from(call, 3),
        {shape[1], shape[2], shape[3]},           hf_tensor_count(call->in[0]),
        *(const struct best_params *)call->params};
    struct best_found *f = (struct best_found *)scratch;
    int32_t *parent = (int32_t *)((char *)scratch + best_offset());
    uint8_t *out = HF_DATA(uint8_t, call->out[0]);
    unsigned grid = hf_cuda_grid(v.voxels);
    dim3 search(grid < BEST_BLOCKS ? grid : BEST_BLOCKS, BEST_SEGMENTS);
    HF_CUDA_LAUNCH(best_begin, 1, 32, stream, f);
    HF_CUDA_LAUNCH(best_search, search, HF_CUDA_THREADS, stream, v, f);
    HF_CUDA_LAUNCH(best_split, grid, HF_CUDA_THREADS, stream, v, f, parent);
    HF_CUDA_LAUNCH(best_link, grid, HF_CUDA_THREADS, stream, v, parent);
    HF_CUDA_LAUNCH(best_mark, grid, HF_CUDA_THREADS, stream, v, f, parent, out);
    return hf_cuda_launched("threshold.best", e);
}

HF_CUDA_MODULE("threshold.cuda", {"threshold.cut", HF_KIND_CUDA, launch_cut, NULL},
               {"threshold.otsu", HF_KIND_CUDA, launch_otsu, otsu_scratch},
               {"threshold.keep", HF_KIND_CUDA, launch_keep, keep_scratch},
               {"threshold.best", HF_KIND_CUDA, launch_best, best_scratch})
