/**
 * elem.h - what couinaud_geometry decides for one voxel, and the operands of its ops.
 *
 * A liver is cut by planes. Each is a linear form of the voxel's index (w, h, d); on which side a
 * voxel lies is the form's sign.
 */
#ifndef HF_COUINAUD_GEOMETRY_ELEM_H
#define HF_COUINAUD_GEOMETRY_ELEM_H

#include <hepaflow/rng.h>

enum {
    FORM_LEFT,       /* > 0: left of the middle hepatic vein */
    FORM_FRONT,      /* > 0: in front of the right hepatic vein */
    FORM_LATERAL,    /* > 0: left of the left hepatic vein */
    FORM_HIGH_BACK,  /* > 0: 7, else 6 */
    FORM_HIGH_FRONT, /* > 0: 8, else 5 */
    FORM_HIGH_LEFT,  /* > 0: 2, else 3 */
    FORM_CAUDATE,    /* three forms whose squares sum up to at most 1 in segment 1, where */
    FORM_CAUDATE_BEHIND = FORM_CAUDATE + 3, /* > 0 and */
    FORM_CAUDATE_SIDE,                      /* > 0 hold too */
    FORMS
};

/* "couinaud_geometry.cut": in[0] liver u8 [1,D,H,W]; out[0] couinaud u8. */
struct cut_params {
    double form[FORMS][4]; /* of w, h, d, 1 */
};

HF_DEVICE static inline double cut_form(const double f[4], double w, double h, double d) {
    return ((f[0] * w + f[1] * h) + f[2] * d) + f[3];
}

HF_DEVICE static inline int cut_is_caudate(const struct cut_params *p, double w, double h,
                                           double d) {
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        double v = cut_form(p->form[FORM_CAUDATE + i], w, h, d);
        sum += v * v;
    }
    return sum <= 1 && cut_form(p->form[FORM_CAUDATE_BEHIND], w, h, d) > 0 &&
           cut_form(p->form[FORM_CAUDATE_SIDE], w, h, d) > 0;
}

/** The segment of a liver voxel. */
HF_DEVICE static inline uint8_t cut_segment(const struct cut_params *p, int64_t w, int64_t h,
                                            int64_t d) {
    double x = (double)w, y = (double)h, z = (double)d;
    if (cut_is_caudate(p, x, y, z))
        return 1;
    if (cut_form(p->form[FORM_LEFT], x, y, z) > 0) {
        if (cut_form(p->form[FORM_LATERAL], x, y, z) <= 0)
            return 4;
        return cut_form(p->form[FORM_HIGH_LEFT], x, y, z) > 0 ? 2 : 3;
    }
    if (cut_form(p->form[FORM_FRONT], x, y, z) > 0)
        return cut_form(p->form[FORM_HIGH_FRONT], x, y, z) > 0 ? 8 : 5;
    return cut_form(p->form[FORM_HIGH_BACK], x, y, z) > 0 ? 7 : 6;
}

/* Of "couinaud_geometry.pick": in[0] labels u8; out[0] u8, 1 where they are `segment`; and of
 * "couinaud_geometry.nearer": in[0] liver u8, in[1] distance f32 to that segment's vessels; out[0]
 * f32 the least distance so far, out[1] u8 its segment, both changed in place, but begun anew with
 * segment 1. */
struct segment_params {
    int32_t segment;
};

HF_DEVICE static inline uint8_t pick_segment(uint8_t label, int32_t segment) {
    return label == segment;
}

/** Of equals the first segment stays. */
HF_DEVICE static inline void nearer_segment(uint8_t liver, float distance, int32_t segment,
                                            float *least, uint8_t *couinaud) {
    if (segment == 1) {
        *least = INFINITY;
        *couinaud = 0;
    }
    if (liver && distance < *least) {
        *least = distance;
        *couinaud = (uint8_t)segment;
    }
}

#endif
