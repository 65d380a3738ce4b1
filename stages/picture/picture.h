/**
 * picture.h - what the files of `picture` share: its options, and one sample as it is looked at.
 */
#ifndef HF_STAGES_PICTURE_PICTURE_H
#define HF_STAGES_PICTURE_PICTURE_H

#include <hepaflow/plugin.h>

#include "../text/filename.h"
#include "../text/text.h"
#include "draw.h"

struct options {
    struct hf_names panels;
    const char *reference;
    int64_t cases, slices, width;
    int64_t volume_slices, volume_side;
    struct hf_reals window;
    double difference;
};

/** The fields of one sample in host memory. */
struct fields {
    const struct hf_stage *s;
    int32_t count;
    const char *name[HF_OPTION_ITEMS + 4];
    struct hf_tensor *tensor[HF_OPTION_ITEMS + 4];
};

struct picture {
    struct hf_stage *s;
    const struct options *o;
    const struct hf_sample *sample;
    int64_t number; /* of the sample, from 1 */
    struct fields f;
    const char *panel[HF_OPTION_ITEMS];
    int32_t panels;
    struct crop crop;
    double mm[2]; /* from row to row and from column to column of a slice */
    float black, white, extreme;
};

/** A field of the sample; NULL: it has none. */
struct hf_tensor *picture_get(const struct picture *p, const char *name);
/** How slice `d` of a field is drawn. */
void picture_panel(const struct picture *p, const char *name, int64_t d, struct panel *ret);
/** Whether the field is shown without being asked for. */
int picture_shown(const struct picture *p, const char *name);
/** Voxels of a mask, or values above one half, in slice `d`. */
int64_t picture_area(const struct hf_tensor *t, int64_t d);

/** Writes the sheets of the sample's volume (volume.c) and appends what the report's viewer needs
 *  to know of them; `best`: the slice to begin with. */
enum hf_status volume_show(const struct picture *p, int64_t best, const char *folder,
                           struct text *json, struct hf_error *e);

#endif
