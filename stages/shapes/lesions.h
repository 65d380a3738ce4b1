/**
 * lesions.h - what stages that put lesions into healthy liver share: the fields they take and make.
 */
#ifndef HF_STAGES_LESIONS_H
#define HF_STAGES_LESIONS_H

#include <hepaflow/ops.h>

#include "drawing.h"

/** The fields; `hole` names those that hole and lesions are made of. */
static inline void lesions_declare(struct hf_io *io, const char *region, const char *hole) {
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    io->read(io, region, HF_U8, HF_ON_GRID, 0);
    io->read(io, "couinaud", HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
    io->read(io, "window", HF_F32, HF_ON_HOST, 0);
    io->read(io, "slices", HF_U8, HF_ON_HOST, HF_READ_OPTIONAL);
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, NULL);
    io->write(io, "healthy", HF_F32, HF_ON_GRID, 1, "image");
    io->write(io, "lesion", HF_F32, HF_ON_GRID, 1, hole);
    io->write(io, "hole", HF_U8, HF_ON_GRID, 1, hole);
    io->write(io, "slices", HF_U8, HF_ON_HOST, 1, hole);
}

/** What the op that draws takes: the image, the liver, the region and, where there is one, the
 *  Couinaud map. */
static inline void lesions_inputs(const struct hf_sample *in, const char *region,
                                  struct hf_op_call *call) {
    call->in[0] = hf_sample_get(in, "image");
    call->in[1] = hf_sample_get(in, "liver");
    call->in[2] = hf_sample_get(in, region);
    call->in[3] = hf_sample_get(in, "couinaud");
    call->inputs = call->in[3] ? 4 : 3;
}

/** Blurs the liver within slices as `prepare` does, by so many voxels, so that a lesion is as
 *  smooth as what is around it. Replaces *image. */
static inline enum hf_status lesions_smooth(const struct hf_stage *s, const struct hf_sample *in,
                                            double voxels, struct hf_tensor **image,
                                            struct hf_error *e) {
    struct hf_blur_params params = {{0, (float)voxels, (float)voxels}};
    struct hf_tensor *out = NULL;
    if (voxels <= 0)
        return HF_OK;
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, (*image)->shape, &out, e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {*image, hf_sample_get(in, "liver")},
                              .out = {out},
                              .inputs = 2,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    st = hf_launch(s, "blur", &call, e);
    s->host->tensor_unref(*image);
    *image = out;
    return st;
}

/** What was made of a sample; `drawn`: u8 [D], see slices_set. */
struct lesions_made {
    struct hf_tensor *image, *lesion, *hole, *drawn;
};

/** Hands on the sample with it; `allow` is the stage's "<stage>.allow". */
static inline enum hf_status lesions_emit(struct hf_stage *s, const struct hf_sample *in,
                                          const struct lesions_made *made, const char *allow,
                                          struct hf_error *e) {
    static const char *const names[] = {"healthy", "image", "lesion", "hole"};
    struct hf_tensor *const tensors[] = {hf_sample_get(in, "image"), made->image, made->lesion,
                                         made->hole};
    struct hf_sample *out = NULL;
    enum hf_status st = s->host->sample_derive(s->host, in, in->id, &out, e);
    for (int i = 0; i < 4 && st == HF_OK; i++) {
        s->host->tensor_ref(tensors[i]);
        st = hf_sample_set(s, out, names[i], tensors[i], e);
    }
    if (st == HF_OK)
        st = slices_set(s, in, allow, made->drawn, out, e);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

#endif
