/**
 * canvas.h - where a prepared case lies: the grid that `prepare` moves a case onto.
 *
 * Axes stay as they are; only spacing, extent and position change. Where the spacing stays too,
 * voxels fall on voxels, so that nothing is interpolated.
 */
#ifndef HF_PREPARE_CANVAS_H
#define HF_PREPARE_CANVAS_H

#include <hepaflow/sample.h>

/** Triples are in the order D, H, W. */
struct canvas_request {
    double spacing[3]; /* mm; 0 = as it is */
    double margin;     /* mm around the box */
    int64_t size[2];   /* H, W in voxels; 0 = as large as the box */
    int64_t multiple;  /* H and W of a canvas that is as large as the box are multiples of this */
};

/** The first and last voxel along each axis. */
struct canvas_box {
    int64_t low[3], high[3];
};

/** The box of the nonzero voxels; 0 if there are none. */
int canvas_find(const uint8_t *mask, const int64_t size[3], struct canvas_box *ret);

/**
 * The grid that holds `box` with its margin, and the matrix that maps its indices (w, h, d, 1) to
 * those of `from`. A fixed size is centred on the box; a box that does not fit makes H and W
 * coarser, alike, until it does.
 */
void canvas_plan(const struct hf_grid *from, const struct canvas_box *box,
                 const struct canvas_request *request, struct hf_grid *ret,
                 double ret_matrix[3][4]);

#endif
