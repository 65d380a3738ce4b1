/**
 * winograd.h - which convolutions run by Winograd's algorithm, and how much of a batch at a time.
 *
 * Multiplications fall to a quarter, but the data must be transformed, and copied into blocks of 16
 * channels and back. Shapes alone decide, never a measurement: the algorithm is part of a result's
 * bits.
 */
#ifndef HEPAFLOW_CPU_WINOGRAD_H
#define HEPAFLOW_CPU_WINOGRAD_H

#include "target.h"

#define WINOGRAD_PART  ((int64_t)8 << 20) /* bytes of both operands: they stay in the caches */
#define WINOGRAD_TILES 128 /* of 4x4 voxels at least: else the weights' transform costs more */

static inline int winograd_pays(const struct nn_conv_spec *c) {
    int64_t tiles = c->n;
    for (int a = 1; a < 3; a++) {
        if (c->kernel[a] != 3 || c->stride[a] != 1 || c->dilation[a] != 1 || c->pad_low[a] > 1 ||
            c->pad_high[a] > 1)
            return 0;
        tiles *= (c->out[a] + 3) / 4;
    }
    return c->dims == 2 && c->taps == 1 && c->ci % 16 == 0 && c->co % 16 == 0 &&
           c->ci * c->co >= 16 * (c->ci + c->co) && tiles >= WINOGRAD_TILES;
}

/** Into how many equal parts of a batch; the gradient of a bias is not added up over parts. */
static inline int64_t winograd_parts(const struct nn_conv_spec *c, enum nn_pass pass) {
    int64_t voxels = c->ci * c->in[1] * c->in[2] + c->co * c->out[1] * c->out[2];
    int64_t bytes = voxels * (int64_t)sizeof(float), parts = 1;
    if (pass == NN_BACKWARD_WEIGHTS && c->bias)
        return 1;
    while (parts < c->n && (c->n % parts != 0 || c->n / parts * bytes > WINOGRAD_PART))
        parts++;
    return parts;
}

#endif
