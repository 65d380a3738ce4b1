/*
 * augment - turns, scales, mirrors and re-lights volumes at random, anew in each epoch.
 *
 * One in-plane transform a volume and epoch, applied to every field on the grid (linear for f32,
 * nearest for u8) and to the affine, so that world coordinates stay true; contrast and brightness
 * change `image` inside the liver.
 */
#include <math.h>

#include <hepaflow/ops.h>
#include <hepaflow/plugin.h>

#include "ops.h"

struct options {
    double mirror;
    struct hf_reals rotate, scale, contrast, brightness;
};

/* Uniform between the two values of a range. */
static double draw(struct hf_rng *rng, const struct hf_reals *range) {
    return range->value[0] +
           (range->value[range->count - 1] - range->value[0]) * (double)hf_rng_uniform(rng);
}

/* Maps the index of the new grid to that of the old one: about the centre, in plane. */
static void draw_transform(struct hf_rng *rng, const struct options *o, const struct hf_grid *g,
                           double m[3][4]) {
    double angle = draw(rng, &o->rotate) * 3.14159265358979323846 / 180;
    double scale = 1 / draw(rng, &o->scale);
    double flip = (double)hf_rng_uniform(rng) < o->mirror ? -1 : 1;
    double w = (double)(g->size[2] - 1) / 2, h = (double)(g->size[1] - 1) / 2;
    double a[2][2] = {{flip * scale * cos(angle), -scale * sin(angle)},
                      {flip * scale * sin(angle), scale * cos(angle)}};
    const double rows[3][4] = {{a[0][0], a[0][1], 0, w - a[0][0] * w - a[0][1] * h},
                               {a[1][0], a[1][1], 0, h - a[1][0] * w - a[1][1] * h},
                               {0, 0, 1, 0}};
    memcpy(m, rows, sizeof rows);
}

static void compose_affine(double affine[3][4], const double m[3][4]) {
    double old[3][4];
    memcpy(old, affine, sizeof old);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            affine[r][c] = c == 3 ? old[r][3] : 0;
            for (int k = 0; k < 3; k++)
                affine[r][c] += old[r][k] * m[k][c];
        }
    }
}

static enum hf_status transform_field(struct hf_stage *s, struct hf_sample *sample,
                                      const struct hf_field *f, const double m[3][4],
                                      struct hf_error *e) {
    struct hf_resample_params p = {.mode = f->tensor->dtype == HF_F32 ? HF_RESAMPLE_LINEAR
                                                                      : HF_RESAMPLE_NEAREST};
    memcpy(p.matrix, m, sizeof p.matrix);
    struct hf_tensor *out = NULL;
    enum hf_status st = hf_tensor_new(s, f->tensor->dtype, 4, f->tensor->shape, &out, e);
    struct hf_op_call call = {.in = {f->tensor},
                              .out = {out},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &p,
                              .params_size = sizeof p};
    if (st == HF_OK)
        st = hf_launch(s, "resample", &call, e);
    if (st == HF_OK)
        return hf_sample_set(s, sample, f->name, out, e);
    s->host->tensor_unref(out);
    return st;
}

static enum hf_status relight(struct hf_stage *s, struct hf_sample *sample, struct hf_rng *rng,
                              struct hf_error *e) {
    const struct options *o = s->options;
    struct augment_intensity_params p = {.middle = 0.5f,
                                         .contrast = (float)draw(rng, &o->contrast),
                                         .brightness = (float)draw(rng, &o->brightness)};
    struct hf_tensor *image = hf_sample_get(sample, "image"), *out = NULL;
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, image->shape, &out, e);
    struct hf_op_call call = {.in = {image, hf_sample_get(sample, "liver")},
                              .out = {out},
                              .inputs = 2,
                              .outputs = 1,
                              .params = &p,
                              .params_size = sizeof p};
    if (st == HF_OK)
        st = hf_launch(s, "augment.intensity", &call, e);
    if (st == HF_OK)
        return hf_sample_set(s, sample, "image", out, e);
    s->host->tensor_unref(out);
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    struct hf_rng rng = hf_stage_rng(s, in->id);
    double m[3][4];
    draw_transform(&rng, s->options, &in->grid, m);
    struct hf_sample *sample = NULL;
    enum hf_status st = s->host->sample_derive(s->host, in, NULL, &sample, e);
    for (int32_t i = 0; st == HF_OK && i < in->fields; i++)
        if (in->field[i].place == HF_ON_GRID)
            st = transform_field(s, sample, &in->field[i], m, e);
    if (st == HF_OK) {
        compose_affine(sample->grid.affine, m);
        st = relight(s, sample, &rng, e);
    }
    if (st == HF_OK)
        return hf_emit(s, sample, e);
    s->host->sample_unref(sample);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    (void)options, (void)e;
    int64_t channels = 1;
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    io->read(io, HF_EVERY_FIELD, HF_DTYPES, HF_ON_GRID, 0);
    (void)io->has(io, "image", &channels);
    io->write(io, "image", HF_F32, HF_ON_GRID, channels, "image");
    return HF_OK;
}

#define AT(field) offsetof(struct options, field)

static const struct hf_option options[] = {
    {.name = "mirror",
     .type = HF_OPTION_REAL,
     .offset = AT(mirror),
     .initial = "0",
     .min = 0,
     .max = 1,
     .help = "Share of the volumes that are mirrored left to right."},
    {.name = "rotate",
     .type = HF_OPTION_REALS,
     .offset = AT(rotate),
     .initial = "[-20, 20]",
     .unit = "deg",
     .min = -180,
     .max = 180,
     .items_min = 1,
     .items_max = 2,
     .help = "Range of the rotation in plane."},
    {.name = "scale",
     .type = HF_OPTION_REALS,
     .offset = AT(scale),
     .initial = "[0.85, 1.15]",
     .min = 0.25,
     .max = 4,
     .items_min = 1,
     .items_max = 2,
     .help = "Range of the magnification in plane."},
    {.name = "contrast",
     .type = HF_OPTION_REALS,
     .offset = AT(contrast),
     .initial = "[0.9, 1.1]",
     .min = 0,
     .max = 10,
     .items_min = 1,
     .items_max = 2,
     .help = "Range of the contrast, about the middle of the window, inside the liver."},
    {.name = "brightness",
     .type = HF_OPTION_REALS,
     .offset = AT(brightness),
     .initial = "[-0.03, 0.03]",
     .min = -1,
     .max = 1,
     .items_min = 1,
     .items_max = 2,
     .help = "Range of what is added to the image, inside the liver; 1 is the whole window."},
    {.name = NULL},
};

static const struct hf_stage_class augment = {
    .name = "augment",
    .help = "Turns, scales, mirrors and re-lights volumes at random, anew in each epoch.",
    .kind = HF_MAP,
    .flags = HF_STAGE_RANDOM,
    .options_size = sizeof(struct options),
    .options = options,
    .ops = (const char *const[]){"resample", "augment.intensity", NULL},
    .declare = declare,
    .process = process,
};

extern const struct hf_op augment_intensity_cpu;

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "augment",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&augment, NULL},
    .ops = (const struct hf_op *const[]){&augment_intensity_cpu, NULL},
};
