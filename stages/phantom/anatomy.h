/**
 * anatomy.h - the livers that phantoms are made from: which there are, which of them only test
 * cases may use, and how a file becomes segment labels and vessel shares.
 */
#ifndef HF_PHANTOM_ANATOMY_H
#define HF_PHANTOM_ANATOMY_H

#include <hepaflow/base.h>

#define PHANTOM_ANATOMIES      25
#define PHANTOM_TEST_ANATOMIES 8

/** The names of the training anatomies (17), then of those for test cases alone (8). */
extern const char *const phantom_anatomy_names[PHANTOM_ANATOMIES];

/** A liver on its own grid, index (z * size[1] + y) * size[0] + x, RAS. */
struct phantom_anatomy {
    int32_t size[3];  /* x, y, z */
    float spacing[3]; /* x, y, z, mm */
    float centre[3];  /* of the liver's box, mm from the first voxel */
    float half[3];    /* half the size of the liver's box, mm */
    uint8_t *segment; /* 1..8; reaches a few voxels past the liver, so that borders can move */
    float *liver;     /* 0..1, smoothed: 0.5 at the liver's surface */
    float *vessel;    /* 0..1: share of the voxel */
};

/** Reads the bytes of a file of the anatomy folder; `what` names it in messages. */
enum hf_status phantom_anatomy_read(const char *what, const void *bytes, size_t size,
                                    struct phantom_anatomy *ret, struct hf_error *e);
void phantom_anatomy_free(struct phantom_anatomy *a);

#endif
