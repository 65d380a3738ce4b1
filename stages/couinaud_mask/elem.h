/**
 * elem.h - what couinaud_mask decides for one voxel, and the operands of its ops.
 *
 * A liver voxel belongs to M if its segment is annotated. A voxel that the map leaves out may hold
 * part of any tumor, so it belongs to M as soon as anything is annotated. It is clean if its
 * segment, or with nothing annotated the whole liver, is known to be free of tumors. Where nothing
 * is known it is neither.
 *
 * It is known, whether it holds a tumor or none, if the annotator looked at all of its slice, or if
 * it belongs to M.
 */
#ifndef HF_COUINAUD_MASK_ELEM_H
#define HF_COUINAUD_MASK_ELEM_H

#include <hepaflow/rng.h>

/* What is known of a slice: entries of the table u8 [D,4]. Bit k - 1 stands for segment k. */
enum {
    MARK_ANNOTATED, /* segments with a tumor in this slice */
    MARK_UNSAFE,    /* segments that are not clean here: annotated here or next to it */
    MARK_KNOWN,     /* 1 if the slice is annotated at all */
    MARK_WHOLE,     /* 1 if all that it covers is annotated */
    MARKS
};

/*
 * "couinaud_mask.mark": in[0] couinaud u8, in[1] liver u8, in[2] table u8 [D,4]; out[0] segments
 * u8, out[1] clean u8, out[2] known u8.
 */

HF_DEVICE static inline uint8_t mark_segments(uint8_t couinaud, uint8_t liver,
                                              const uint8_t *mark) {
    if (!liver || !mark[MARK_KNOWN])
        return 0;
    if (couinaud < 1 || couinaud > 8)
        return mark[MARK_ANNOTATED] != 0;
    return mark[MARK_ANNOTATED] >> (couinaud - 1) & 1;
}

HF_DEVICE static inline uint8_t mark_clean(uint8_t couinaud, uint8_t liver, const uint8_t *mark) {
    if (!liver || !mark[MARK_KNOWN])
        return 0;
    if (couinaud < 1 || couinaud > 8)
        return mark[MARK_UNSAFE] == 0;
    return !(mark[MARK_UNSAFE] >> (couinaud - 1) & 1);
}

HF_DEVICE static inline uint8_t mark_known(uint8_t segments, uint8_t liver, const uint8_t *mark) {
    return segments || (liver && mark[MARK_WHOLE]);
}

/**
 * Of "couinaud_mask.grow": in[0] distance from M f32 in mm, in[1] liver u8, in[2] clean u8, in[3]
 * known u8; out[0] segments u8: the liver within `reach` mm of M, out[1] clean u8 without them,
 * out[2] known u8 with them.
 */
struct grow_params {
    float reach;
};

HF_DEVICE static inline uint8_t grow_segments(float distance, uint8_t liver, float reach) {
    return liver && distance <= reach;
}

HF_DEVICE static inline uint8_t grow_clean(uint8_t clean, uint8_t segments) {
    return clean && !segments;
}

HF_DEVICE static inline uint8_t grow_known(uint8_t known, uint8_t segments) {
    return known || segments;
}

/* Entries of a row of counts: those of segment k at k, of what the map leaves out at 0. */
enum {
    COUNT_ENTRIES = 9
};

/* "couinaud_mask.count": in[0] tumor u8, in[1] couinaud u8; out[0] i32 [D,9]: tumor voxels of each
 * slice and segment. */

/** The entry that counts the voxel; -1: none. */
HF_DEVICE static inline int count_entry(uint8_t tumor, uint8_t couinaud) {
    return tumor && couinaud < COUNT_ENTRIES ? couinaud : -1;
}

/* "couinaud_mask.map": in[0] couinaud u8; out[0] f32 [1,D,H,W]: the segment's number over 8, or
 * [8,D,H,W]: 1 in the segment's channel, else 0. What the map leaves out is 0. */
enum {
    MAP_SEGMENTS = 8
};

/** The value of channel `c` of `channels`. */
HF_DEVICE static inline float map_value(uint8_t couinaud, int64_t c, int64_t channels) {
    int32_t known = couinaud <= MAP_SEGMENTS ? couinaud : 0;
    return channels == 1 ? (float)known / (float)MAP_SEGMENTS : (float)(known == c + 1);
}

#endif
