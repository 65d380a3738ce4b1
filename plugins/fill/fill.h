/**
 * fill.h - what stages share that stand in for `inpaint` without a network: the region that is
 * filled, the tissue that it may be filled from, and the sample that goes on.
 */
#ifndef HF_PLUGINS_FILL_H
#define HF_PLUGINS_FILL_H

#include <hepaflow/plugin.h>

/** Part of a stage's options. */
struct fill_options {
    const char *region, *within;
    double unknown;
};

/** The entries of an option table for a struct fill_options at offset `at`. */
#define FILL_OPTION_TABLE(at)                                                                      \
    {.name = "region",                                                                             \
     .type = HF_OPTION_STRING,                                                                     \
     .offset = (at) + offsetof(struct fill_options, region),                                       \
     .initial = "~",                                                                               \
     .flags = HF_OPTION_FIELD,                                                                     \
     .help = "Mask of what is filled; by default 'hole' if the sample has it, else 'segments'."},  \
        {.name = "within",                                                                         \
         .type = HF_OPTION_STRING,                                                                 \
         .offset = (at) + offsetof(struct fill_options, within),                                   \
         .initial = "~",                                                                           \
         .flags = HF_OPTION_FIELD,                                                                 \
         .help = "Mask of the tissue that the region is filled from, and beyond which nothing "    \
                 "counts; by default 'liver' if the sample has it, else all of the image."},       \
    {                                                                                              \
        .name = "unknown", .type = HF_OPTION_REAL,                                                 \
        .offset = (at) + offsetof(struct fill_options, unknown), .initial = "0.5", .min = -1e3,    \
        .max = 1e3, .help = "Value of a region in a volume that has no such tissue outside of it." \
    }

/** Reads image, region and tissue; writes `inpainted` and `difference`. */
enum hf_status fill_declare(const struct fill_options *o, struct hf_io *io, struct hf_error *e);

/** Voxels that are filled at once, at most: int32 counts twice as many. */
#define FILL_MOST (INT32_MAX / 2)

/** Whether a volume of that size can be filled, slice by slice (`dims` 2) or at once (3). */
enum hf_status fill_check_size(const int64_t size[3], int dims, struct hf_error *e);

/** A call with in[0] image f32, in[1] region u8, in[2] tissue u8 (or absent): borrowed; their size
 *  is checked. */
enum hf_status fill_inputs(const struct fill_options *o, int dims, const struct hf_sample *in,
                           struct hf_op_call *ret, struct hf_error *e);

/** Runs the op on such a call, whose out[0] is the inpainted image and out[1] what the image has
 *  more than it, both f32 [1,D,H,W]; emits the sample that has them. */
enum hf_status fill_run(struct hf_stage *s, const struct hf_sample *in, const char *op,
                        struct hf_op_call *call, struct hf_error *e);

#endif
