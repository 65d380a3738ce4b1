/**
 * ops.h - the op of `augment`.
 *
 * "augment.intensity": out[0] = augment_value(in[0]), both f32 of one shape; where in[1] (u8, one
 * channel) is 0 the value stays as it is.
 */
#ifndef AUGMENT_OPS_H
#define AUGMENT_OPS_H

#include <hepaflow/device.h>

struct augment_intensity_params {
    float middle, contrast, brightness;
};

#endif
