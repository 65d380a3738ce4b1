/*
 * scale.c - a stage from outside the tree: multiplies the image by a factor. Built with nothing but
 * the installed headers.
 */
#include <stddef.h>

#include <hepaflow/hepaflow.h>

struct options {
    double factor;
};

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    (void)options;
    (void)e;
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, NULL);
    return HF_OK;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *image = NULL, *scaled = NULL;
    struct hf_sample *out = NULL;
    enum hf_status st = hf_tensor_read(s, hf_sample_get(in, "image"), &image, e);
    if (st == HF_OK)
        st = hf_tensor_new_host(s, HF_F32, image->dl.ndim, image->shape, &scaled, e);
    if (st == HF_OK) {
        for (int64_t i = 0; i < hf_tensor_count(image); i++)
            HF_DATA(float, scaled)[i] = HF_DATA(float, image)[i] * (float)o->factor;
        st = s->host->sample_derive(s->host, in, in->id, &out, e);
    }
    if (st == HF_OK)
        st = hf_sample_set(s, out, "image", scaled, e);
    else if (scaled)
        s->host->tensor_unref(scaled);
    if (image)
        s->host->tensor_unref(image);
    if (st != HF_OK) {
        if (out)
            s->host->sample_unref(out);
        return st;
    }
    return hf_emit(s, out, e);
}

static const struct hf_option options[] = {
    {.name = "factor",
     .type = HF_OPTION_REAL,
     .offset = offsetof(struct options, factor),
     .initial = "1",
     .max = 10,
     .help = "What the image is multiplied by."},
    {.name = NULL},
};

static const struct hf_stage_class scale = {
    .name = "scale",
    .help = "Multiplies the image by a factor.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = options,
    .declare = declare,
    .process = process,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "scale",
    .version = "1",
    .stages = (const struct hf_stage_class *const[]){&scale, NULL},
};
