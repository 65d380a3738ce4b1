/**
 * components.cu - "components": labels of connected voxels, numbered in scan order.
 *
 * Union-find in the output itself, without locks: a cell holds the index, plus one, of a parent
 * that never comes later, so that the root of a component is its first voxel, whatever the order of
 * the threads. Rows are joined into runs first; then voxels are united with their neighbours before
 * them, by atomicMin; then roots are counted in blocks and numbered in scan order. No kernel waits
 * for another thread.
 */
#include <hepaflow/cuda.h>

#include "../../ops/check.h"
#include "../../ops/components_elem.h"
#include "ops.h"
#include "volume.h"

#define CHUNK 2048 /* voxels whose roots one block numbers */
#define SCAN  256  /* threads of the one block that sums over the chunks */

/* Each voxel of a run points at the run's first one. A warp takes a row. */
static __global__ void join_rows(const uint8_t *mask, int32_t *cell, int64_t rows, int64_t width) {
    int lane = (int)threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.x * VOLUME_HIGH + threadIdx.y; row < rows;
         row += (int64_t)gridDim.x * VOLUME_HIGH) {
        int64_t begin = row * width, run = begin; /* where a run begins that goes on */
        for (int64_t w = 0; w < width; w += VOLUME_WIDE) {
            int set = w + lane < width && mask[begin + w + lane];
            unsigned gaps = ~__ballot_sync(0xFFFFFFFFu, set);
            unsigned before = gaps & ((1u << lane) - 1);
            int64_t first = before ? begin + w + 32 - __clz((int)before) : run;
            if (w + lane < width)
                cell[begin + w + lane] = set ? (int32_t)(first + 1) : 0;
            run = gaps ? begin + w + 32 - __clz((int)gaps) : run;
        }
    }
}

/* Walks to the root, and shortens the way for who comes next. */
static __device__ int32_t find_root(int32_t *cell, int32_t v) {
    const volatile int32_t *now = cell;
    int32_t parent = now[v] - 1;
    while (parent != v) {
        int32_t next = now[parent] - 1;
        if (next != parent)
            atomicMin(&cell[v], next + 1);
        v = parent;
        parent = next;
    }
    return v;
}

/* A root that turns out to have a parent already leaves two trees to unite: those of the parents.
 */
static __device__ void unite(int32_t *cell, int32_t a, int32_t b) {
    for (;;) {
        a = find_root(cell, a);
        b = find_root(cell, b);
        if (a == b)
            return;
        int32_t low = a < b ? a : b, high = a < b ? b : a;
        int32_t had = atomicMin(&cell[high], low + 1) - 1;
        if (had == high)
            return;
        a = had;
        b = low;
    }
}

static __global__ void unite_rows(const uint8_t *mask, int32_t *cell, int64_t depth, int64_t height,
                                  int64_t width, int32_t connectivity) {
    VOLUME_EACH(d, h, w, depth, height, width) {
        int64_t v = (d * height + h) * width + w;
        if (!mask[v])
            continue;
        int inner = w > 0 && mask[v - 1]; /* the voxel before is of the same run */
        for (int k = 0; k < 12; k++) {    /* the 13th is the voxel before */
            int32_t step[3];
            if (!components_neighbour(k, connectivity, step))
                continue;
            int64_t nd = d + step[0], nh = h + step[1], nw = w + step[2];
            if (nd < 0 || nh < 0 || nh >= height || nw < 0 || nw >= width)
                continue;
            int64_t u = (nd * height + nh) * width + nw;
            /* Where both runs go on from the left, their voxels there have been united. */
            if (mask[u] && !(inner && nw > 0 && mask[u - 1]))
                unite(cell, (int32_t)v, (int32_t)u);
        }
    }
}

/* Each voxel points at its root, and the roots of each chunk are counted. */
static __global__ void flatten(int32_t *cell, int64_t n, int32_t *roots) {
    volatile int32_t *now = cell;
    int32_t count = 0;
    for (int64_t i = (int64_t)blockIdx.x * CHUNK + threadIdx.x;
         i < n && i < ((int64_t)blockIdx.x + 1) * CHUNK; i += HF_CUDA_THREADS) {
        int32_t root = now[i] - 1;
        if (root < 0)
            continue;
        for (int32_t next = now[root] - 1; next != root; next = now[root] - 1)
            root = next;
        now[i] = root + 1;
        count += root == (int32_t)i;
    }
    count = hf_cuda_block_sum<HF_CUDA_THREADS>(count);
    if (threadIdx.x == 0)
        roots[blockIdx.x] = count;
}

/* Turns the chunks' counts of roots into how many come before each; one block. */
static __global__ void sum_chunks(int32_t *roots, int64_t chunks, int32_t *total) {
    __shared__ int32_t part[SCAN];
    int64_t t = threadIdx.x, each = (chunks + SCAN - 1) / SCAN;
    int64_t first = t * each, last = first + each < chunks ? first + each : chunks;
    int32_t mine = 0;
    for (int64_t i = first; i < last; i++)
        mine += roots[i];
    part[t] = mine;
    __syncthreads();
    for (int64_t reach = 1; reach < SCAN; reach *= 2) {
        int32_t more = t >= reach ? part[t - reach] : 0;
        __syncthreads();
        part[t] += more;
        __syncthreads();
    }
    int32_t before = part[t] - mine;
    for (int64_t i = first; i < last; i++) {
        int32_t count = roots[i];
        roots[i] = before;
        before += count;
    }
    if (t == SCAN - 1)
        *total = part[t];
}

/* Roots take their number, negative. */
static __global__ void number_roots(int32_t *cell, int64_t n, const int32_t *before, int64_t chunks,
                                    const int32_t *total) {
    __shared__ int32_t of_warp[HF_CUDA_THREADS / 32];
    int64_t chunk = blockIdx.x, first = chunk * CHUNK;
    int32_t number = before[chunk];
    if (number == (chunk + 1 < chunks ? before[chunk + 1] : *total))
        return;
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int64_t at = first; at < first + CHUNK; at += HF_CUDA_THREADS) {
        int64_t i = at + threadIdx.x;
        int root = i < n && cell[i] == (int32_t)i + 1;
        unsigned roots = __ballot_sync(0xFFFFFFFFu, root);
        __syncthreads(); /* `of_warp` may still be read from the round before */
        if (lane == 0)
            of_warp[warp] = __popc(roots);
        __syncthreads();
        int32_t mine = number + __popc(roots & ((1u << lane) - 1));
        for (unsigned k = 0; k < HF_CUDA_THREADS / 32; k++) {
            mine += k < warp ? of_warp[k] : 0;
            number += of_warp[k];
        }
        if (root)
            cell[i] = -(mine + 1);
    }
}

/* Everyone takes the number of its root, which may have turned its own positive already. */
static __global__ void take_numbers(int32_t *cell, int64_t n) {
    volatile int32_t *now = cell;
    HF_CUDA_EACH(i, n) {
        int32_t mine = now[i];
        if (mine > 0)
            mine = now[mine - 1];
        if (mine != 0)
            now[i] = mine < 0 ? -mine : mine;
    }
}

static int64_t chunks_of(const struct hf_op_call *call) {
    return (hf_tensor_count(call->in[0]) + CHUNK - 1) / CHUNK;
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    return components_check(call, NULL) == HF_OK ? (size_t)chunks_of(call) * sizeof(int32_t) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    enum hf_status st = components_check(call, e);
    if (st != HF_OK)
        return st;
    const struct hf_components_params *params = (const struct hf_components_params *)call->params;
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[0]);
    int32_t *cell = HF_DATA(int32_t, call->out[0]), *total = HF_DATA(int32_t, call->out[1]);
    int32_t *roots = (int32_t *)scratch, connectivity = params->connectivity;
    const int64_t *shape = call->in[0]->shape;
    int64_t depth = shape[1], height = shape[2], width = shape[3], rows = depth * height;
    int64_t n = rows * width, chunks = chunks_of(call);
    if (n > 0) {
        HF_CUDA_LAUNCH(join_rows, hf_cuda_grid(rows * 32), volume_block(), stream, mask, cell, rows,
                       width);
        HF_CUDA_LAUNCH(unite_rows, volume_grid(depth, height, width), volume_block(), stream, mask,
                       cell, depth, height, width, connectivity);
        HF_CUDA_LAUNCH(flatten, (unsigned)chunks, HF_CUDA_THREADS, stream, cell, n, roots);
    }
    HF_CUDA_LAUNCH(sum_chunks, 1, SCAN, stream, roots, chunks, total);
    if (n > 0) {
        HF_CUDA_LAUNCH(number_roots, (unsigned)chunks, HF_CUDA_THREADS, stream, cell, n, roots,
                       chunks, total);
        HF_CUDA_LAUNCH(take_numbers, hf_cuda_grid(n), HF_CUDA_THREADS, stream, cell, n);
    }
    return hf_cuda_launched("components", e);
}

const struct hf_op cuda_op_components = {"components", HF_KIND_CUDA, launch, scratch_bytes};
