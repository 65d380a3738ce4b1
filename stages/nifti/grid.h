/**
 * grid.h - grids in patient space: sizes, affines, canonical orientation, resampling between grids.
 *
 * Axes are counted as the affine's columns are: 0 is x (W, fastest in memory), 1 is y (H), 2 is z
 * (D). A canonical grid's axes run to the patient's Right, Anterior and Superior, as closely as
 * whole axes can.
 */
#ifndef HF_NIFTI_GRID_H
#define HF_NIFTI_GRID_H

#include <hepaflow/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a grid's axes turn into canonical ones: canonical axis a is file axis `axis[a]`, reversed
 * where `flip[a]` is 1. */
struct hf_turn {
    int32_t axis[3];
    int32_t flip[3];
};

/** Voxels along axis 0 (x), 1 (y), 2 (z). */
static inline int64_t hf_grid_extent(const struct hf_grid *g, int axis) {
    return g->size[2 - axis];
}

static inline int64_t hf_grid_count(const struct hf_grid *g) {
    return g->size[0] * g->size[1] * g->size[2];
}

/** World position of a (fractional) index. */
void hf_grid_world(const struct hf_grid *g, const double index[3], double ret_world[3]);

/** Length in mm of one step along each axis. */
void hf_grid_spacing(const struct hf_grid *g, double ret_spacing[3]);

/** 1 if every entry is finite, each axis has a length, and the three axes span a volume. */
int hf_affine_usable(const double affine[3][4]);

/** The turn that brings a grid with a usable affine closest to RAS+, and the canonical grid. */
void hf_grid_canonical(const struct hf_grid *g, struct hf_turn *ret_turn,
                       struct hf_grid *ret_canonical);

/** 1 if the grids have the same size and no corner voxel lies further than a tenth of a voxel. */
int hf_grid_same(const struct hf_grid *a, const struct hf_grid *b);

/** The world box that the grid's voxels fill. */
void hf_grid_box(const struct hf_grid *g, double ret_low[3], double ret_high[3]);

/** Volume common to both world boxes, as a share of the smaller box. */
double hf_grid_overlap(const struct hf_grid *a, const struct hf_grid *b);

/**
 * Brings a volume from one grid to another through world space. Labels take the nearest voxel, and
 * 0 outside; images are linear, `outside` beyond the voxels' centres by more than half a voxel.
 */
void hf_grid_resample_u8(const struct hf_grid *from, const uint8_t *in, const struct hf_grid *to,
                         uint8_t *out);
void hf_grid_resample_f32(const struct hf_grid *from, const float *in, const struct hf_grid *to,
                          float outside, float *out);

#ifdef __cplusplus
}
#endif
#endif
