/**
 * sample.h - the record that travels on an edge: named, typed tensors with their geometry.
 *
 * World coordinates are millimetres, RAS+ (x grows to the right, y forward, z up). Image
 * fields are [C,D,H,W]: W runs to the patient's Right, H to Anterior, D to Superior, after `load`
 * has brought the file to canonical orientation. An affine maps the voxel index (w, h, d) to world.
 *
 * Ownership: samples are reference-counted through the host table. A sample is built (new or
 * derive, then set), emitted, and from then on immutable, so fan-out shares it without a copy.
 * Threads: an emitted sample may be read from any thread; a sample being built belongs to one.
 */
#ifndef HEPAFLOW_SAMPLE_H
#define HEPAFLOW_SAMPLE_H

#include <string.h>

#include <hepaflow/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_FIELD_NAME 32
#define HF_MAX_FIELDS 32

/** A voxel grid in the world. */
struct hf_grid {
    int64_t size[3];     /* D, H, W */
    double affine[3][4]; /* world = affine * (w, h, d, 1) */
};

/** Which grid a field lies on. */
enum hf_place {
    HF_ON_GRID,      /* the sample's grid: [C,D,H,W]; moves between devices */
    HF_ON_CANONICAL, /* the loaded image's own grid: [C,D,H,W] of `canonical`; host memory */
    HF_ON_HOST       /* no image: a small table (annotation, counts) that stages read on the host;
                        one that an op made lies on the device until hf_tensor_read */
};

struct hf_field {
    char name[HF_FIELD_NAME];
    struct hf_tensor *tensor; /* the sample holds a reference */
    enum hf_place place;
};

/** Who builds one sets the grids; ids and fields are set through the host. A derived sample begins
 *  with the grids, the names and all fields of the one it is derived from. */
struct hf_sample {
    const char *id;      /* unique in its stream; names the random stream: "case" or "case/2" */
    const char *case_id; /* as in the manifest */
    const char *patient;
    struct hf_grid grid;      /* of the ON_GRID fields */
    struct hf_grid canonical; /* of the image as loaded, in canonical orientation */
    struct hf_grid file;      /* of the image as stored: what `save` writes back to */
    int32_t fields;
    struct hf_field field[HF_MAX_FIELDS];
};

/*
 * Fields with a fixed meaning (all stages use these words):
 *   image       f32 grid       HU after load; [0,1] after prepare
 *   liver       u8  grid       1 = liver (tumors included)
 *   couinaud    u8  grid       1..8, 0 = outside
 *   tumor       u8  grid       truth by experts
 *   truth       u8  canonical  the same on the image's own grid: for evaluate alone
 *   annotation  u8  host       [R,9]: R = 1 (per volume) or D (per slice); entry k: segment k holds
 *                              a tumor; entry 0: 1 if the row is annotated at all
 *   annotation_true u8 host   the same before couinaud_mask added noise to it
 *   segments    u8  grid       mask M of the annotated segments
 *   clean       u8  grid       mask of the segments that nobody annotated
 *   slices      u8  host       [D]: 1 = draw from this slice (absent: all)
 *   window      f32 host       [2]: the HU that became 0 and 1 in prepare's image
 *   hole        u8  grid       what the inpainter must fill
 *   hole_weight u8  grid       the part of it where the truth is known: its loss counts there
 *   masked      f32 grid       image with the hole blanked
 *   lesion      f32 grid       synthetic lesion, soft, 0..1
 *   healthy     f32 grid       the image before synthesis
 *   inpainted   f32 grid       image with the hole filled by the inpainter
 *   difference  f32 grid       image - inpainted
 *   score       f32 grid       the spotter's probability
 *   pseudo      u8  grid       pseudo mask
 *   predicted   f32 grid       the segmenter's probability
 */

/** The field of that name, or NULL; it lives as long as the sample, and moves while that is built.
 */
static inline const struct hf_field *hf_sample_find(const struct hf_sample *s, const char *name) {
    for (int32_t i = 0; i < s->fields; i++)
        if (strcmp(s->field[i].name, name) == 0)
            return &s->field[i];
    return NULL;
}

/** The tensor of that name, or NULL. The sample keeps the reference: tensor_ref holds it longer. */
static inline struct hf_tensor *hf_sample_get(const struct hf_sample *s, const char *name) {
    const struct hf_field *f = hf_sample_find(s, name);
    return f ? f->tensor : NULL;
}

#ifdef __cplusplus
}
#endif
#endif
