/**
 * cuda_rows.h - kernels over volumes as rows of voxels (most often a row is a slice): a grid that
 * needs no division to tell row and voxel, and counts over rows.
 */
#ifndef HF_STAGES_CUDA_ROWS_H
#define HF_STAGES_CUDA_ROWS_H

#include <hepaflow/cuda.h>

/** For CUDA_ROWS_EACH over `rows`, and in it HF_CUDA_EACH over a row of `voxels`. */
static inline dim3 cuda_rows_grid(int64_t rows, int64_t voxels) {
    unsigned along = hf_cuda_grid(voxels);
    return dim3(along < 1024 ? along : 1024, (unsigned)(rows < 1       ? 1
                                                        : rows > 65535 ? 65535
                                                                       : rows));
}

#define CUDA_ROWS_EACH(r, rows) for (int64_t r = blockIdx.y; r < (rows); r += gridDim.y)

#define CUDA_COUNT_THREADS 512

/** Blocks for cuda_count_rows, which takes a row with each. */
static inline unsigned cuda_count_grid(int64_t rows) {
    return (unsigned)(rows < 1 ? 1 : rows > 65535 ? 65535 : rows);
}

/** out[r] = for how many voxels of row r `Test::of` holds. Launch with CUDA_COUNT_THREADS. */
template <typename Test, typename T, typename Count>
static __global__ void cuda_count_rows(const T *in, int64_t rows, int64_t voxels, Count *out) {
    for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
        int32_t mine = 0;
        for (int64_t i = threadIdx.x; i < voxels; i += CUDA_COUNT_THREADS)
            mine += Test::of(in[r * voxels + i]) ? 1 : 0;
        int32_t all = hf_cuda_block_sum<CUDA_COUNT_THREADS>(mine);
        if (threadIdx.x == 0)
            out[r] = Test::result(all);
    }
}

#endif
