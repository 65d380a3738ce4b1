/**
 * ops.cu - "parts.cut" on CUDA: a block cuts a slice. What a voxel's part is stands in the output
 * until its turn takes that place, so that there is no scratch.
 */
#include <hepaflow/cuda.h>

#include "../geometry/cuda_rows.h"
#include "../shapes/superpixels.h"
#include "ops.h"

#define CUT_THREADS 256
#define WORDS       (MAX_SUPERPIXELS / 32)

/* One slice. */
struct slice {
    const float *image;
    const uint8_t *region;
    uint8_t *turn;
    int32_t h, w;
};

/* Where the part's sums end; its moments are not asked for. */
struct part {
    unsigned long long n, x, y, value;
};

/* What the threads of a block share. */
struct shared {
    int32_t seeds, seed[MAX_SUPERPIXELS]; /* indices in the slice */
    struct centre centre[MAX_SUPERPIXELS];
    struct part sum[MAX_SUPERPIXELS];
    uint32_t touch[MAX_SUPERPIXELS][WORDS];
    uint8_t turn[MAX_SUPERPIXELS];
};

/* The region's voxels in the middles of a grid's squares, in their order: one thread's work. */
static __device__ void find_seeds(const struct slice &s, const struct cut_params &p,
                                  struct shared *m) {
    int32_t step[2];
    m->seeds = 0;
    for (int a = 0; a < 2; a++) {
        step[a] = (int32_t)(p.size / p.spacing[a] + 0.5f);
        step[a] = step[a] > 1 ? step[a] : 1;
    }
    for (int32_t y = step[0] / 2; y < s.h && m->seeds < MAX_SUPERPIXELS; y += step[0])
        for (int32_t x = step[1] / 2; x < s.w && m->seeds < MAX_SUPERPIXELS; x += step[1])
            if (s.region[y * s.w + x])
                m->seed[m->seeds++] = y * s.w + x;
}

static __device__ int32_t nearest(const struct shared *m, float along_w, float along_h, float value,
                                  float pitch, float compactness) {
    float best = INFINITY;
    int32_t near = 0;
    for (int32_t k = 0; k < m->seeds; k++) {
        const struct centre c = m->centre[k];
        float far =
            superpixel_distance2(along_w - c.x, along_h - c.y, pitch, value - c.value, compactness);
        near = far < best ? k : near;
        best = far < best ? far : best;
    }
    return near;
}

static __device__ void add_to(struct part *to, int32_t x, int32_t y, float value) {
    atomicAdd(&to->n, 1ULL);
    atomicAdd(&to->x, (unsigned long long)x);
    atomicAdd(&to->y, (unsigned long long)y);
    atomicAdd(&to->value, (unsigned long long)shapes_fixed(value)); /* sums of whole numbers */
}

/* Clusters the region's voxels by place and intensity; `turn` then holds their superpixels. */
static __device__ void cluster(const struct slice &s, const struct cut_params &p, int32_t voxels,
                               struct shared *m) {
    float pitch = superpixel_pitch(p.spacing, voxels, m->seeds);
    for (int32_t k = (int32_t)threadIdx.x; k < m->seeds; k += CUT_THREADS) {
        int32_t i = m->seed[k];
        m->centre[k] = {(float)(i % s.w) * p.spacing[1], (float)(i / s.w) * p.spacing[0],
                        s.image[i]};
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int32_t k = (int32_t)threadIdx.x; k < m->seeds; k += CUT_THREADS) {
            const struct part &t = m->sum[k];
            const struct superpixel sum = {
                (int64_t)t.n, (int64_t)t.x, (int64_t)t.y, (int64_t)t.value, 0, 0, 0};
            if (round > 0)
                move_centre(p.spacing, &sum, &m->centre[k]);
            m->sum[k] = {0, 0, 0, 0};
        }
        __syncthreads();
        for (int32_t i = (int32_t)threadIdx.x; i < s.h * s.w; i += CUT_THREADS) {
            int32_t x = i % s.w, y = i / s.w;
            if (!s.region[i])
                continue;
            int32_t k = nearest(m, (float)x * p.spacing[1], (float)y * p.spacing[0], s.image[i],
                                pitch, p.compactness);
            s.turn[i] = (uint8_t)k;
            add_to(&m->sum[k], x, y, s.image[i]);
        }
        __syncthreads();
    }
}

/* Which superpixels touch which, a bit each. */
static __device__ void find_neighbours(const struct slice &s, struct shared *m) {
    const int32_t below[4] = {0, 1, 1, 1}, beside[4] = {1, -1, 0, 1};
    for (int32_t i = (int32_t)threadIdx.x; i < MAX_SUPERPIXELS * WORDS; i += CUT_THREADS)
        m->touch[i / WORDS][i % WORDS] = 0;
    __syncthreads();
    for (int32_t i = (int32_t)threadIdx.x; i < s.h * s.w; i += CUT_THREADS)
        for (int k = 0; k < 4 && s.region[i]; k++) {
            int32_t y = i / s.w + below[k], x = i % s.w + beside[k], other = y * s.w + x;
            if (y >= s.h || x < 0 || x >= s.w || !s.region[other])
                continue;
            uint8_t a = s.turn[i], b = s.turn[other];
            atomicOr(&m->touch[a][b / 32], 1u << b % 32);
            atomicOr(&m->touch[b][a / 32], 1u << a % 32);
        }
    __syncthreads();
}

/* Each superpixel has the first turn that none has which it touches: one thread's work. */
static __device__ void give_turns(struct shared *m) {
    for (int32_t k = 0; k < m->seeds; k++) {
        uint32_t used = 0;
        uint8_t turn = 1;
        for (int32_t j = 0; j < k; j++)
            if (m->touch[k][j / 32] >> j % 32 & 1)
                used |= 1u << m->turn[j];
        while (turn < PARTS_TURNS && used >> turn & 1)
            turn++;
        m->turn[k] = turn;
    }
}

static __global__ void __launch_bounds__(CUT_THREADS)
    cut(const float *image, const uint8_t *region, struct cut_params p, int64_t slices, int32_t h,
        int32_t w, uint8_t *turn) {
    __shared__ struct shared m;
    for (int64_t d = blockIdx.x; d < slices; d += gridDim.x) {
        int64_t from = d * h * w;
        const struct slice s = {image + from, region + from, turn + from, h, w};
        int32_t mine = 0;
        for (int32_t i = (int32_t)threadIdx.x; i < h * w; i += CUT_THREADS) {
            mine += s.region[i] != 0;
            s.turn[i] = s.region[i] != 0;
        }
        int32_t voxels = hf_cuda_block_sum<CUT_THREADS>(mine);
        if (threadIdx.x == 0)
            find_seeds(s, p, &m);
        __syncthreads();
        if (m.seeds >= 2) {
            cluster(s, p, voxels, &m);
            find_neighbours(s, &m);
            if (threadIdx.x == 0)
                give_turns(&m);
            __syncthreads();
            for (int32_t i = (int32_t)threadIdx.x; i < h * w; i += CUT_THREADS)
                if (s.region[i])
                    s.turn[i] = m.turn[s.turn[i]];
        }
        __syncthreads(); /* the next slice takes `m` */
    }
}

static enum hf_status launch_cut(const struct hf_op_call *call, void *, void *stream,
                                 struct hf_error *e) {
    struct cut_params p = *(const struct cut_params *)call->params;
    const float *image = HF_DATA(const float, call->in[0]);
    const uint8_t *region = HF_DATA(const uint8_t, call->in[1]);
    uint8_t *turn = HF_DATA(uint8_t, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    HF_CUDA_LAUNCH(cut, cuda_count_grid(shape[1]), CUT_THREADS, stream, image, region, p, shape[1],
                   (int32_t)shape[2], (int32_t)shape[3], turn);
    return hf_cuda_launched("parts.cut", e);
}

HF_CUDA_MODULE("parts.cuda", {"parts.cut", HF_KIND_CUDA, launch_cut, NULL})
