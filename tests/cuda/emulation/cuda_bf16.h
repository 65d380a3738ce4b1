/**
 * cuda_bf16.h - stands in for CUDA's own header of that name: bfloat16 as 16 bits, rounded to the
 * nearest even.
 */
#ifndef EMULATION_CUDA_BF16_H
#define EMULATION_CUDA_BF16_H

#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 {
    uint16_t bits;
};

struct __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

static inline __nv_bfloat16 __float2bfloat16_rn(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (f != f)
        return {0x7FFF};
    bits += 0x7FFFu + (bits >> 16 & 1u);
    return {(uint16_t)(bits >> 16)};
}

static inline float __bfloat162float(__nv_bfloat16 b) {
    uint32_t bits = (uint32_t)b.bits << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}

#endif
