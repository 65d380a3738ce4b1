/**
 * ops.h - the ops of `augment`. Volumes are [C,D,H,W]; statistics are f32 [C,4], a struct
 * augment_stats a channel.
 *
 * "augment.stats": in[0] f32 volume, in[1] mask u8 (if given: its voxels alone); out[0] statistics;
 * all 0 without a voxel.
 * "augment.shade": in[0] f32, in[1] statistics (if the parameters ask for them); out[0]
 * augment_shade.
 * "augment.noise": in[0] f32, in[1] statistics; out[0] with noise of `share` times the deviation.
 * "augment.gamma": in[0] f32, in[1] statistics; out[0] augment_gamma.
 * "augment.restore": in[0] f32, in[1] its statistics, in[2] those to have; out[0].
 * "augment.merge": in[0] before, in[1] after, in[2] mask u8 (if given); out[0]: `after` kept within
 * bounds, `before` where the mask is 0.
 * "augment.warp": in[0] u8 or f32, in[1] f32 [3,D',H',W'] displacements (see augment_place); out[0]
 * of in[0]'s dtype and shape: nearest voxels of u8, linear interpolation of f32.
 */
#ifndef AUGMENT_OPS_H
#define AUGMENT_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

struct augment_noise_params {
    struct hf_rng stream;
    float share;
};

struct augment_gamma_params {
    float gamma;
    int32_t inverted;
};

struct augment_merge_params {
    float low, high;
};

extern const struct hf_op augment_stats_cpu, augment_shade_cpu, augment_noise_cpu,
    augment_gamma_cpu, augment_restore_cpu, augment_merge_cpu, augment_warp_cpu;

#endif
