/**
 * kern_select.c - picks the kernels for this machine, and the sizes of their scratch memory.
 */
#include "kern.h"

extern const struct kn_table kn_table_scalar;

#if defined(__x86_64__)
extern const struct kn_table kn_table_avx2;
extern const struct kn_table kn_table_avx512;

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

const struct kn_table *kn_select(enum kn_isa isa) {
    switch (isa) {
    case KN_SCALAR:
        return &kn_table_scalar;
    case KN_AVX2:
        return has_avx2() ? &kn_table_avx2 : NULL;
    case KN_AVX512:
        return has_avx512() ? &kn_table_avx512 : NULL;
    default:
        return has_avx512() ? &kn_table_avx512 : has_avx2() ? &kn_table_avx2 : &kn_table_scalar;
    }
}
#else
const struct kn_table *kn_select(enum kn_isa isa) {
    return isa == KN_AUTO || isa == KN_SCALAR ? &kn_table_scalar : NULL;
}
#endif

/** Two sums a channel of every block, then two of every sample. */
size_t kn_norm_scratch(int64_t n, int64_t s, int64_t c) {
    int64_t blocks = kn_blocks(s, kn_block_voxels(c));
    return (size_t)(n * (blocks + 1) * 2 * c) * sizeof(double);
}

/** Four sums of every block and, for Dice, two a channel; then the totals. */
size_t kn_loss_scratch(int64_t n, int64_t s, int64_t c) {
    return (size_t)((n * kn_blocks(s, KN_LOSS_BLOCK) + 1) * (4 + 2 * c)) * sizeof(double);
}

/** A sum a channel of every block. */
size_t kn_bias_scratch(int64_t rows, int64_t c) {
    return (size_t)(kn_blocks(rows, kn_block_voxels(c)) * c) * sizeof(double);
}

size_t kn_update_scratch(int64_t count) {
    return (size_t)kn_blocks(count, KN_UPDATE_BLOCK) * sizeof(double);
}
