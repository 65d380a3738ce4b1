/**
 * fields.h - numbers over a volume: smooth random fields, blurring, distances to borders. Volumes
 * are [D,H,W] floats; sizes, spacings and sigmas are given in that order.
 */
#ifndef HF_PHANTOM_FIELDS_H
#define HF_PHANTOM_FIELDS_H

#include <hepaflow/base.h>
#include <hepaflow/rng.h>

struct phantom_grid {
    int32_t n[3]; /* D, H, W */
    float mm[3];  /* D, H, W */
};

static inline size_t phantom_count(const struct phantom_grid *g) {
    return (size_t)g->n[0] * (size_t)g->n[1] * (size_t)g->n[2];
}

/** A smooth random field of mean 0 and standard deviation 1: cubic splines on random control
 * points, `pitch` mm apart. */
enum hf_status phantom_field_smooth(const struct phantom_grid *g, float pitch, struct hf_rng rng,
                                    float *out, struct hf_error *e);

/** White noise blurred by `sigma` voxels, brought back to standard deviation 1. */
enum hf_status phantom_field_noise(const struct phantom_grid *g, const float sigma[3],
                                   struct hf_rng rng, float *out, struct hf_error *e);

/** Gaussian blur in place; `sigma` in voxels, at most 3; borders repeat. */
enum hf_status phantom_blur(const struct phantom_grid *g, const float sigma[3], float *data,
                            struct hf_error *e);

/** For each voxel, about how many mm away a voxel of another label begins (chamfer). */
void phantom_border_distance(const struct phantom_grid *g, const uint8_t *label, float *out);

#endif
