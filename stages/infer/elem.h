/**
 * elem.h - where tiles lie in a volume, and what makes a network's output a value. Inputs enter as
 * they are, as in `train`.
 */
#ifndef HF_STAGES_INFER_ELEM_H
#define HF_STAGES_INFER_ELEM_H

#include <math.h>
#include <stdint.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/* ---- tiles ---- */

/** Tiles in even distances over a volume; D, H, W. */
struct infer_lattice {
    int64_t size[3], tile[3];
    int64_t count[3]; /* places of the tile along each axis */
};

/** First voxel of the tile at a place of an axis; negative where the tile is larger than the
 * volume, which then lies in its middle. */
HF_DEVICE static inline int64_t infer_start(const struct infer_lattice *l, int axis,
                                            int64_t place) {
    int64_t slack = l->size[axis] - l->tile[axis], gaps = l->count[axis] - 1;
    return slack < 0 ? -(-slack / 2) : gaps > 0 ? (2 * place * slack + gaps) / (2 * gaps) : 0;
}

/** The places along D, H, W of tile `k`. */
HF_DEVICE static inline void infer_places(const struct infer_lattice *l, int64_t k,
                                          int64_t ret[3]) {
    ret[2] = k % l->count[2];
    ret[1] = k / l->count[2] % l->count[1];
    ret[0] = k / l->count[2] / l->count[1];
}

/** Mirrored axes, a bit each. */
enum infer_flip {
    INFER_FLIP_W = 1,
    INFER_FLIP_H = 2,
    INFER_FLIP_D = 4
};

/** Whether an axis (0 to 2: D, H, W) is mirrored. */
HF_DEVICE static inline int infer_flips(int32_t flip, int axis) {
    return flip >> (2 - axis) & 1;
}

/** Where voxel i along an axis of a tile stands in the batch. */
HF_DEVICE static inline int64_t infer_mirrored(int32_t flip, int axis, int64_t tile, int64_t i) {
    return infer_flips(flip, axis) ? tile - 1 - i : i;
}

HF_DEVICE static inline int infer_inside(int64_t i, int64_t size) {
    return i >= 0 && i < size;
}

/** The voxel of an axis that stands for one beyond it: the nearest. */
HF_DEVICE static inline int64_t infer_clamp(int64_t i, int64_t size) {
    return i < 0 ? 0 : i < size ? i : size - 1;
}

/* ---- values ---- */

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
