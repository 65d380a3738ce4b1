/**
 * ops.h - the ops that stages share: their operands and parameters. Each device plugin brings them
 * under these names; a stage's own ops are described in its folder.
 *
 * Volumes are [C,D,H,W]. Sums run in a fixed order, so results do not depend on thread counts.
 */
#ifndef HEPAFLOW_OPS_H
#define HEPAFLOW_OPS_H

#include <hepaflow/device.h>

#ifdef __cplusplus
extern "C" {
#endif

enum hf_resample_mode {
    HF_RESAMPLE_NEAREST,
    HF_RESAMPLE_LINEAR,
    HF_RESAMPLE_AREA,  /* linear over a box as large as the output voxel: no aliasing when shrinking
                        */
    HF_RESAMPLE_CUBIC, /* Catmull-Rom, as wide as the output voxel asks for: it passes through the
                          voxels, and may overshoot them */
    HF_RESAMPLE_LABELS /* u8: the label with the largest share of AREA; of equal ones the larger */
};

/**
 * "resample": in[0] u8 or f32 [C,D,H,W] to out[0] of the same dtype [C,D',H',W'].
 * `matrix` maps the output's index (w, h, d, 1) to the input's index (w, h, d). Outside: `fill`.
 */
struct hf_resample_params {
    double matrix[3][4];
    enum hf_resample_mode mode;
    float fill;
};

/**
 * "blur": separable Gaussian of in[0] f32 to out[0] f32, same shape; `sigma` in voxels, D, H, W,
 * kernel radius ceil(3 sigma), borders renormalised. With in[1] u8 (a mask of the same grid) the
 * blur is normalised by the blurred mask: only voxels of the mask count, others keep their value.
 */
struct hf_blur_params {
    float sigma[3];
};

/**
 * "components": in[0] u8 [1,D,H,W] (nonzero = set) to out[0] i32 labels 0..n in scan order of
 * their first voxel, out[1] i32 [1]: n. `connectivity` 6, 18 or 26.
 */
struct hf_components_params {
    int32_t connectivity;
};

/**
 * "distance": in[0] u8 [1,D,H,W] to out[0] f32: exact Euclidean distance in mm from each voxel to
 * the nearest nonzero one (0 on it; +infinity when there is none). `spacing` in mm, D, H, W.
 */
struct hf_distance_params {
    double spacing[3];
};

#ifdef __cplusplus
}
#endif
#endif
