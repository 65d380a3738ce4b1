/**
 * fill.c - what stages share that fill a region without a network.
 */
#include "fill.h"

#include <string.h>

static const char *const writes[] = {"inpainted", "difference"};

static const char *region_of(const struct fill_options *o, int has_hole) {
    if (o->region)
        return o->region;
    return has_hole ? "hole" : "segments";
}

enum hf_status fill_declare(const struct fill_options *o, struct hf_io *io, struct hf_error *e) {
    (void)e;
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, region_of(o, io->has(io, "hole", NULL)), HF_U8, HF_ON_GRID, 0);
    io->read(io, o->within ? o->within : "liver", HF_U8, HF_ON_GRID,
             o->within ? 0 : HF_READ_OPTIONAL);
    for (int i = 0; i < 2; i++)
        io->write(io, writes[i], HF_F32, HF_ON_GRID, 1, NULL);
    return HF_OK;
}

enum hf_status fill_check_size(const int64_t size[3], int dims, struct hf_error *e) {
    int64_t pixels = size[1] * size[2], voxels = size[0] * pixels;
    if (dims == 3 && voxels > FILL_MOST)
        return hf_fail(e, HF_INVALID,
                       "a volume of %lld voxels; at most %d are filled at once: fill it slice by "
                       "slice",
                       (long long)voxels, FILL_MOST);
    if (pixels > FILL_MOST)
        return hf_fail(e, HF_INVALID,
                       "slices of %lld x %lld pixels; at most %d in all are filled at once: set "
                       "`spacing` or `size` in `prepare`",
                       (long long)size[1], (long long)size[2], FILL_MOST);
    return HF_OK;
}

enum hf_status fill_inputs(const struct fill_options *o, int dims, const struct hf_sample *in,
                           struct hf_op_call *ret, struct hf_error *e) {
    struct hf_tensor *image = hf_sample_get(in, "image");
    const char *region = region_of(o, hf_sample_get(in, "hole") != NULL);
    struct hf_tensor *mask = hf_sample_get(in, region);
    struct hf_tensor *within = hf_sample_get(in, o->within ? o->within : "liver");
    if (!mask)
        return hf_fail(e, HF_INVALID, "no field '%s' to fill", region);
    if (image->shape[0] != 1)
        return hf_fail(e, HF_INVALID, "'image' has %lld channels; expected 1",
                       (long long)image->shape[0]);
    enum hf_status st = fill_check_size(image->shape + 1, dims, e);
    if (st != HF_OK)
        return st;
    *ret = (struct hf_op_call){.in = {image, mask, within}, .inputs = within ? 3 : 2};
    return HF_OK;
}

enum hf_status fill_run(struct hf_stage *s, const struct hf_sample *in, const char *op,
                        struct hf_op_call *call, struct hf_error *e) {
    struct hf_tensor *made[2] = {NULL, NULL};
    struct hf_sample *out = NULL;
    enum hf_status st = HF_OK;
    for (int i = 0; i < 2 && st == HF_OK; i++)
        st = hf_tensor_new(s, HF_F32, 4, call->in[0]->shape, &made[i], e);
    if (st == HF_OK) {
        memcpy(call->out, made, sizeof made);
        call->outputs = 2;
        st = hf_launch(s, op, call, e);
    }
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    for (int i = 0; i < 2 && st == HF_OK; i++) {
        struct hf_tensor *t = made[i];
        made[i] = NULL;
        st = hf_sample_set(s, out, writes[i], t, e);
    }
    for (int i = 0; i < 2; i++)
        s->host->tensor_unref(made[i]);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}
