/**
 * allow.h - the op "<stage>.allow" of stages that draw shapes: in[0] u8 [D], where something was
 * drawn, in[1] u8 [D], from which slices a training may draw; out[0] u8 [D]: both.
 */
#ifndef HF_STAGES_ALLOW_H
#define HF_STAGES_ALLOW_H

#include <hepaflow/rng.h>

HF_DEVICE static inline uint8_t allow_slice(uint8_t drawn, uint8_t allowed) {
    return drawn && allowed;
}

#endif
