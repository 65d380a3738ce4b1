/**
 * rng.h - counter-based random numbers: the same draw for any number of workers and replicas.
 *
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A stream
 * is named by what it is for, not by who draws: `hf_rng_init` hashes (seed, stage name, sample id,
 * epoch) to the key; the counter is the number of the draw. Header only, no state outside the
 * struct; a struct must not be shared between threads. The functions compile for the host and,
 * with HF_DEVICE defined to `__host__ __device__`, under nvcc.
 */
#ifndef HEPAFLOW_RNG_H
#define HEPAFLOW_RNG_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct hf_rng {
    uint32_t key[2];
    uint64_t stream; /* upper half of the counter */
    uint64_t draw;   /* lower half of the counter: blocks of four drawn so far */
    uint32_t block[4];
    uint32_t left; /* unused words of `block` */
};

/** One Philox4x32-10 block: counter (4 words) and key (2 words) to 4 random words. */
HF_DEVICE static inline void hf_philox(const uint32_t counter[4], const uint32_t key[2],
                                       uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/** FNV-1a continued from `h` over a NUL-terminated string and its terminator. */
static inline uint64_t hf_rng_hash(uint64_t h, const char *text) {
    do {
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001B3);
    } while (*text++);
    return h;
}

/** The stream of (seed, stage, sample, epoch). */
static inline struct hf_rng hf_rng_init(uint64_t seed, const char *stage, const char *sample,
                                        uint64_t epoch) {
    uint64_t h = hf_rng_hash(UINT64_C(0xCBF29CE484222325) ^ seed, stage);
    h = hf_rng_hash(h, sample);
    struct hf_rng r = {{(uint32_t)h, (uint32_t)(h >> 32)}, epoch ^ (seed << 32), 0, {0}, 0};
    return r;
}

HF_DEVICE static inline uint32_t hf_rng_u32(struct hf_rng *r) {
    if (r->left == 0) {
        uint32_t counter[4] = {(uint32_t)r->draw, (uint32_t)(r->draw >> 32), (uint32_t)r->stream,
                               (uint32_t)(r->stream >> 32)};
        hf_philox(counter, r->key, r->block);
        r->draw++;
        r->left = 4;
    }
    return r->block[--r->left];
}

/** Uniform in [0, 1), 24 bits. */
HF_DEVICE static inline float hf_rng_uniform(struct hf_rng *r) {
    return (float)(hf_rng_u32(r) >> 8) * 0x1p-24f;
}

/** Uniform integer in [0, n), n >= 1 (multiply-shift; bias below n / 2^32). */
HF_DEVICE static inline uint32_t hf_rng_below(struct hf_rng *r, uint32_t n) {
    return (uint32_t)(((uint64_t)hf_rng_u32(r) * n) >> 32);
}

/** Standard normal (Box-Muller, two uniforms a draw). */
HF_DEVICE static inline float hf_rng_normal(struct hf_rng *r) {
    float u = 1.0f - hf_rng_uniform(r);
    float v = hf_rng_uniform(r);
    return sqrtf(-2.0f * logf(u)) * cosf(6.28318530718f * v);
}

#ifdef __cplusplus
}
#endif
#endif
