/**
 * planes.h - the planes that cut a liver: from its mask alone, or from landmarks.
 */
#ifndef HF_COUINAUD_GEOMETRY_PLANES_H
#define HF_COUINAUD_GEOMETRY_PLANES_H

#include <hepaflow/sample.h>

#include "elem.h"

/** From a liver mask u8 [D,H,W] with at least one voxel, `spacing` in mm (D, H, W). */
enum hf_status planes_from_mask(const uint8_t *liver, const int64_t size[3],
                                const double spacing[3], struct cut_params *ret,
                                struct hf_error *e);

enum {
    POINT_IVC_SUPERIOR,
    POINT_IVC_INFERIOR,
    POINT_HEPATIC_MIDDLE,
    POINT_HEPATIC_RIGHT,
    POINT_HEPATIC_LEFT,
    POINT_PORTAL_RIGHT,
    POINT_PORTAL_LEFT,
    POINTS
};

/** Their names in files. */
extern const char *const planes_point_name[POINTS];

/**
 * From seven points in the world (mm, RAS): the planes of the three hepatic veins run through the
 * vena cava's axis, the levels of the portal branches cut above from below, and segment 1 is what
 * lies within `caudate` mm of the axis, behind the portal branches and left of the middle vein.
 */
enum hf_status planes_from_points(const double point[POINTS][3], double caudate,
                                  const struct hf_grid *grid, struct cut_params *ret,
                                  struct hf_error *e);

#endif
