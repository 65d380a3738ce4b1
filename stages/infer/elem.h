/**
 * elem.h - what makes a network's output a value. Inputs enter as they are, as in `train`.
 */
#ifndef HF_STAGES_INFER_ELEM_H
#define HF_STAGES_INFER_ELEM_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/** What makes a network's output a value. */
enum infer_activation {
    INFER_NONE,
    INFER_SIGMOID,
    INFER_SOFTMAX
};

HF_DEVICE static inline float infer_sigmoid(float z) {
    /* Both branches keep the exponential at most 1. */
    if (z >= 0.0f)
        return 1.0f / (1.0f + expf(-z));
    float t = expf(z);
    return t / (1.0f + t);
}

/** The softmax probability of channel `c`; channels are `stride` floats apart. */
HF_DEVICE static inline float infer_softmax(const float *z, int64_t stride, int32_t channels,
                                            int32_t c) {
    float most = z[0], sum = 0.0f;
    for (int32_t k = 1; k < channels; k++)
        most = fmaxf(most, z[k * stride]);
    for (int32_t k = 0; k < channels; k++)
        sum += expf(z[k * stride] - most);
    return expf(z[c * stride] - most) / sum;
}

/** The value of channel `c` of the volume; `z` is the network's first channel at the voxel. With
 * softmax that is the background, which the volume leaves out. */
HF_DEVICE static inline float infer_value(const float *z, int64_t stride, int32_t channels,
                                          int32_t c, int32_t activation) {
    if (activation == INFER_SOFTMAX)
        return infer_softmax(z, stride, channels, c + 1);
    return activation == INFER_SIGMOID ? infer_sigmoid(z[c * stride]) : z[c * stride];
}

#endif
