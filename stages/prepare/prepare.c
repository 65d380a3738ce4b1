/**
 * prepare.c - the stage `prepare`: a case from the scanner's grid and HU to the grid and the range
 * that networks see. The grid as loaded stays in the sample, and so does the window, so that
 * `evaluate` and `save` find the way back.
 */
#include <hepaflow/hepaflow.h>

#include "canvas.h"
#include "ops.h"

enum {
    RELATIVE_NONE,
    RELATIVE_LIVER
};

enum {
    OUTSIDE_KEEP,
    OUTSIDE_ZERO
};

enum {
    CROP_NONE,
    CROP_LIVER
};

enum {
    SMOOTH_ALL,
    SMOOTH_LIVER
};

enum {
    IMAGE_AREA,
    IMAGE_LINEAR,
    IMAGE_CUBIC
};

enum {
    LABELS_NEAREST,
    LABELS_SHARE
};

struct options {
    struct hf_reals window, spacing, size;
    double margin, smooth;
    int64_t multiple;
    int32_t relative_to, outside, crop, smooth_in, keep_truth, interpolation, label_interpolation;
};

/* The present case, while it is worked on. */
struct work {
    struct hf_stage *s;
    const struct hf_sample *in;
    struct hf_sample *out;
    struct hf_error *e;
    double matrix[3][4];
    struct hf_tensor *image, *liver; /* on the new grid; references of our own */
    float window[2];
};

static struct canvas_request request_of(const struct options *o) {
    struct canvas_request r = {.margin = o->margin, .multiple = o->multiple};
    for (int i = 0; i < 3; i++)
        if (o->spacing.count == 3)
            r.spacing[i] = o->spacing.value[i];
        else if (o->spacing.count == 1 && i > 0)
            r.spacing[i] = o->spacing.value[0];
    for (int i = 0; i < 2 && o->size.count == 2; i++)
        r.size[i] = (int64_t)o->size.value[i];
    return r;
}

/** Runs an op that sums volumes up in a few numbers, i32 [n], and reads these: a new reference. */
static enum hf_status sum_up(struct work *w, const char *op, struct hf_tensor *const *in,
                             int32_t inputs, int64_t n, struct hf_tensor **ret) {
    struct hf_tensor *there = NULL;
    enum hf_status st = hf_tensor_new(w->s, HF_I32, 1, &n, &there, w->e);
    struct hf_op_call call = {.out = {there}, .inputs = inputs, .outputs = 1};
    for (int32_t i = 0; i < inputs; i++)
        call.in[i] = in[i];
    if (st == HF_OK)
        st = hf_launch(w->s, op, &call, w->e);
    if (st == HF_OK)
        st = hf_tensor_read(w->s, there, ret, w->e);
    w->s->host->tensor_unref(there);
    return st;
}

/** Finds the box, and from it the new grid. */
static enum hf_status place(struct work *w) {
    const struct options *o = w->s->options;
    struct hf_tensor *liver = hf_sample_get(w->in, "liver"), *found = NULL;
    const int64_t *size = w->in->grid.size;
    enum hf_status st = sum_up(w, "prepare.box", &liver, 1, 6, &found);
    if (st != HF_OK)
        return st;
    struct canvas_box box;
    for (int a = 0; a < 3; a++) {
        box.low[a] = HF_DATA(int32_t, found)[a];
        box.high[a] = HF_DATA(int32_t, found)[3 + a];
    }
    w->s->host->tensor_unref(found);
    if (box.high[0] < 0)
        return hf_fail(w->e, HF_INVALID,
                       "the liver mask has no voxel; prepare needs a liver in the image");
    if (o->crop == CROP_NONE)
        box = (struct canvas_box){{0, 0, 0}, {size[0] - 1, size[1] - 1, size[2] - 1}};
    struct canvas_request request = request_of(o);
    canvas_plan(&w->in->grid, &box, &request, &w->out->grid, w->matrix);
    return HF_OK;
}

static int same_grid(const struct work *w) {
    for (int r = 0; r < 3; r++)
        if (w->out->grid.size[r] != w->in->grid.size[r] || w->matrix[r][r] != 1 ||
            w->matrix[r][3] != 0)
            return 0;
    return 1;
}

/** A field on the new grid: a new reference. */
static enum hf_status bring(struct work *w, const char *field, enum hf_resample_mode mode,
                            float fill, struct hf_tensor **ret) {
    struct hf_tensor *from = hf_sample_get(w->in, field), *to = NULL;
    if (same_grid(w)) {
        w->s->host->tensor_ref(from);
        *ret = from;
        return HF_OK;
    }
    const int64_t *size = w->out->grid.size;
    const int64_t shape[4] = {from->shape[0], size[0], size[1], size[2]};
    enum hf_status st = hf_tensor_new(w->s, from->dtype, 4, shape, &to, w->e);
    if (st != HF_OK)
        return st;
    struct hf_resample_params params = {.mode = mode, .fill = fill};
    memcpy(params.matrix, w->matrix, sizeof params.matrix);
    struct hf_op_call call = {.in = {from},
                              .out = {to},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    st = hf_launch(w->s, "resample", &call, w->e);
    if (st == HF_OK)
        *ret = to;
    else
        w->s->host->tensor_unref(to);
    return st;
}

/** Runs an op from *t, with the liver beside it if asked, into a new tensor that replaces *t. */
static enum hf_status through(struct work *w, const char *op, struct hf_tensor **t, int with_liver,
                              const void *params, size_t params_size) {
    struct hf_tensor *to = NULL;
    enum hf_status st = hf_tensor_new(w->s, (*t)->dtype, 4, (*t)->shape, &to, w->e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {*t, w->liver},
                              .out = {to},
                              .inputs = with_liver ? 2 : 1,
                              .outputs = 1,
                              .params = params,
                              .params_size = params_size};
    st = hf_launch(w->s, op, &call, w->e);
    w->s->host->tensor_unref(st == HF_OK ? *t : to);
    if (st == HF_OK)
        *t = to;
    return st;
}

/** The median HU inside the liver, to an eighth of a HU. */
static enum hf_status liver_median(struct work *w, float *ret) {
    struct hf_tensor *const in[2] = {w->image, w->liver};
    struct hf_tensor *bins = NULL;
    if (hf_tensor_count(w->image) > INT32_MAX)
        return hf_fail(w->e, HF_INVALID,
                       "the new grid has %lld voxels; with `relative_to: liver`, whose voxels are "
                       "counted, at most 2147483647 are possible: raise `spacing`, or set `size`",
                       (long long)hf_tensor_count(w->image));
    enum hf_status st = sum_up(w, "prepare.histogram", in, 2, PREPARE_BINS, &bins);
    if (st != HF_OK)
        return st;
    const int32_t *count = HF_DATA(int32_t, bins);
    int64_t total = 0, below = 0;
    for (int i = 0; i < PREPARE_BINS; i++)
        total += count[i];
    if (total == 0)
        st = hf_fail(w->e, HF_INVALID,
                     "the liver is smaller than a voxel of the new grid; lower `spacing`");
    int middle = 0;
    for (; 2 * (below + count[middle]) < total; middle++)
        below += count[middle];
    if (st == HF_OK)
        *ret = prepare_bin_middle(middle);
    w->s->host->tensor_unref(bins);
    return st;
}

/** From HU to [0,1]: window, smoothing, and what lies outside the liver. */
static enum hf_status window_image(struct work *w) {
    const struct options *o = w->s->options;
    float middle = 0;
    enum hf_status st = o->relative_to == RELATIVE_LIVER ? liver_median(w, &middle) : HF_OK;
    if (st != HF_OK)
        return st;
    w->window[0] = middle + (float)o->window.value[0];
    w->window[1] = middle + (float)o->window.value[1];
    struct prepare_window_params window = {w->window[0], w->window[1]};
    st = through(w, "prepare.window", &w->image, 0, &window, sizeof window);
    struct hf_blur_params blur = {{0, (float)o->smooth, (float)o->smooth}};
    if (st == HF_OK && o->smooth > 0)
        st = through(w, "blur", &w->image, o->smooth_in == SMOOTH_LIVER, &blur, sizeof blur);
    if (st == HF_OK && o->outside == OUTSIDE_ZERO)
        st = through(w, "prepare.inside", &w->image, 1, NULL, 0);
    return st;
}

static enum hf_status set_labels(struct work *w) {
    struct hf_tensor *t = NULL;
    enum hf_status st = HF_OK;
    if (hf_sample_get(w->in, "couinaud")) {
        const struct options *o = w->s->options;
        st =
            bring(w, "couinaud",
                  o->label_interpolation == LABELS_SHARE ? HF_RESAMPLE_LABELS : HF_RESAMPLE_NEAREST,
                  0, &t);
        if (st != HF_OK)
            return st;
        st = through(w, "prepare.inside", &t, 1, NULL, 0);
        if (st != HF_OK) {
            w->s->host->tensor_unref(t);
            return st;
        }
        st = hf_sample_set(w->s, w->out, "couinaud", t, w->e);
    }
    if (st == HF_OK && hf_sample_get(w->in, "tumor")) {
        st = bring(w, "tumor", HF_RESAMPLE_AREA, 0, &t);
        if (st == HF_OK)
            st = hf_sample_set(w->s, w->out, "tumor", t, w->e);
    }
    return st;
}

/** The truth as loaded, for evaluate; not where the case has left its own grid already. */
static enum hf_status set_truth(struct work *w) {
    const struct options *o = w->s->options;
    struct hf_tensor *tumor = hf_sample_get(w->in, "tumor"), *truth = NULL;
    if (!o->keep_truth || !tumor || hf_sample_get(w->in, "truth") ||
        memcmp(&w->in->grid, &w->in->canonical, sizeof w->in->grid) != 0)
        return HF_OK;
    enum hf_status st = hf_tensor_read(w->s, tumor, &truth, w->e);
    if (st == HF_OK)
        st = w->s->host->sample_set(w->out, "truth", HF_ON_CANONICAL, truth, w->e);
    return st;
}

static enum hf_status set_window(struct work *w) {
    const int64_t shape[1] = {2};
    struct hf_tensor *t = NULL;
    enum hf_status st = hf_tensor_new_host(w->s, HF_F32, 1, shape, &t, w->e);
    if (st != HF_OK)
        return st;
    memcpy(HF_DATA(float, t), w->window, sizeof w->window);
    return w->s->host->sample_set(w->out, "window", HF_ON_HOST, t, w->e);
}

/** Fields on the old grid that prepare does not know cannot follow; nor can a table of its slices.
 */
static void drop_others(struct work *w) {
    w->s->host->sample_drop(w->out, "slices");
    for (int32_t i = 0; i < w->in->fields; i++)
        if (w->in->field[i].place == HF_ON_GRID)
            w->s->host->sample_drop(w->out, w->in->field[i].name);
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    static const enum hf_resample_mode modes[] = {
        [IMAGE_AREA] = HF_RESAMPLE_AREA,
        [IMAGE_LINEAR] = HF_RESAMPLE_LINEAR,
        [IMAGE_CUBIC] = HF_RESAMPLE_CUBIC,
    };
    const struct options *o = s->options;
    struct work w = {.s = s, .in = in, .e = e};
    enum hf_status st = s->host->sample_derive(s->host, in, NULL, &w.out, e);
    if (st != HF_OK)
        return st;
    drop_others(&w);
    st = place(&w);
    if (st == HF_OK)
        st = bring(&w, "image", modes[o->interpolation], PREPARE_AIR, &w.image);
    if (st == HF_OK)
        st = bring(&w, "liver", HF_RESAMPLE_AREA, 0, &w.liver);
    if (st == HF_OK)
        st = window_image(&w);
    if (st == HF_OK)
        st = set_labels(&w);
    if (st == HF_OK)
        st = set_truth(&w);
    if (st == HF_OK)
        st = set_window(&w);
    struct hf_tensor *image = w.image, *liver = w.liver;
    if (st == HF_OK) {
        image = NULL;
        st = hf_sample_set(s, w.out, "image", w.image, e);
    }
    if (st == HF_OK) {
        liver = NULL;
        st = hf_sample_set(s, w.out, "liver", w.liver, e);
    }
    s->host->tensor_unref(image);
    s->host->tensor_unref(liver);
    if (st == HF_OK)
        return hf_emit(s, w.out, e);
    s->host->sample_unref(w.out);
    return st;
}

/* Of a mask that fills the image. */
static void regrid(const void *options, const struct hf_grid *from, struct hf_grid *ret) {
    struct canvas_request request = request_of(options);
    const int64_t *n = from->size;
    struct canvas_box all = {{0, 0, 0}, {n[0] - 1, n[1] - 1, n[2] - 1}};
    double matrix[3][4];
    canvas_plan(from, &all, &request, ret, matrix);
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    struct canvas_request request = request_of(o);
    if (!(o->window.value[0] < o->window.value[1]))
        return hf_fail(e, HF_INVALID,
                       "option 'window' is [%g, %g]; its first HU must be below the "
                       "second",
                       o->window.value[0], o->window.value[1]);
    if (o->spacing.count == 2)
        return hf_fail(e, HF_INVALID,
                       "option 'spacing' has 2 values; expected one (H and W) or three (D, H, W)");
    if (o->size.count == 1)
        return hf_fail(e, HF_INVALID, "option 'size' has 1 value; expected [H, W]");
    for (int i = 0; i < o->size.count; i++)
        if (o->size.value[i] != (double)(int64_t)o->size.value[i])
            return hf_fail(e, HF_INVALID, "option 'size' is a whole number of px, not %g",
                           o->size.value[i]);
    int has_tumor = io->has(io, "tumor", NULL), has_couinaud = io->has(io, "couinaud", NULL);
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    io->read(io, "couinaud", HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
    io->read(io, "tumor", HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
    io->drop(io, "slices");
    if (o->size.count == 2)
        io->regrid(io, -1, request.size[0], request.size[1], "size");
    else
        io->regrid(io, -1, -1, -1, NULL);
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, "image liver");
    io->write(io, "liver", HF_U8, HF_ON_GRID, 1, "liver");
    io->write(io, "window", HF_F32, HF_ON_HOST, 1, "image liver");
    if (has_couinaud)
        io->write(io, "couinaud", HF_U8, HF_ON_GRID, 1, "couinaud liver");
    if (has_tumor)
        io->write(io, "tumor", HF_U8, HF_ON_GRID, 1, "tumor");
    if (has_tumor && o->keep_truth && !io->has(io, "truth", NULL))
        io->write(io, "truth", HF_U8, HF_ON_CANONICAL, 1, "tumor");
    return HF_OK;
}

#define AT(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "window",
     .type = HF_OPTION_REALS,
     .offset = AT(window),
     .initial = "[-200, 250]",
     .unit = "HU",
     .min = -4096,
     .max = 4096,
     .items_min = 2,
     .items_max = 2,
     .help = "HU that become 0 and 1; what lies beyond is clipped."},
    {.name = "relative_to",
     .type = HF_OPTION_ENUM,
     .offset = AT(relative_to),
     .initial = "none",
     .choices = "none|liver",
     .help = "`liver`: the window is counted from the median HU of the case's liver."},
    {.name = "outside",
     .type = HF_OPTION_ENUM,
     .offset = AT(outside),
     .initial = "zero",
     .choices = "keep|zero",
     .help = "What becomes of the image outside the liver."},
    {.name = "spacing",
     .type = HF_OPTION_REALS,
     .offset = AT(spacing),
     .initial = "[]",
     .unit = "mm",
     .min = 0.1,
     .max = 50,
     .items_max = 3,
     .help = "One value: H and W; three: D, H, W; none: as scanned."},
    {.name = "interpolation",
     .type = HF_OPTION_ENUM,
     .offset = AT(interpolation),
     .initial = "area",
     .choices = "area|linear|cubic",
     .help =
         "Of the image: `area` averages over a new voxel and is linear within a voxel, `linear` "
         "never averages, `cubic` is Catmull-Rom and as wide as a new voxel asks for."},
    {.name = "label_interpolation",
     .type = HF_OPTION_ENUM,
     .offset = AT(label_interpolation),
     .initial = "nearest",
     .choices = "nearest|share",
     .help = "Of the Couinaud map: the nearest voxel, or the segment of the largest share, each "
             "taken linearly. Masks always take the larger share."},
    {.name = "crop",
     .type = HF_OPTION_ENUM,
     .offset = AT(crop),
     .initial = "liver",
     .choices = "none|liver",
     .help = "Keep the whole image, or the liver's box with `margin`."},
    {.name = "margin",
     .type = HF_OPTION_REAL,
     .offset = AT(margin),
     .initial = "10 mm",
     .unit = "mm",
     .min = 0,
     .max = 1000,
     .help = "Around the liver's box."},
    {.name = "size",
     .type = HF_OPTION_REALS,
     .offset = AT(size),
     .initial = "[]",
     .unit = "px",
     .min = 8,
     .max = 4096,
     .items_max = 2,
     .help = "[H, W] of every case, centred on the box; a case that does not fit gets a coarser "
             "spacing in H and W. None: as large as the box."},
    {.name = "multiple",
     .type = HF_OPTION_INT,
     .offset = AT(multiple),
     .initial = "16",
     .unit = "px",
     .min = 1,
     .max = 512,
     .help = "Without `size`, H and W are rounded up to a multiple of this."},
    {.name = "smooth",
     .type = HF_OPTION_REAL,
     .offset = AT(smooth),
     .initial = "2 px",
     .unit = "px",
     .min = 0,
     .max = 64,
     .help = "Sigma of a Gaussian within each slice, in voxels of the new grid."},
    {.name = "smooth_in",
     .type = HF_OPTION_ENUM,
     .offset = AT(smooth_in),
     .initial = "all",
     .choices = "all|liver",
     .help = "`liver`: nothing from outside the liver is smoothed into it."},
    {.name = "keep_truth",
     .type = HF_OPTION_BOOL,
     .offset = AT(keep_truth),
     .initial = "yes",
     .help = "Keep `tumor` as `truth` on the image's own grid, for evaluate."},
    {.name = NULL}};

static const char *const ops_used[] = {
    "resample",       "blur",           "prepare.box", "prepare.histogram",
    "prepare.window", "prepare.inside", NULL};

static const struct hf_stage_class prepare = {
    .name = "prepare",
    .help = "Crops to the liver, resamples, and maps a window of HU to 0..1.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .regrid = regrid,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&prepare, NULL};
static const struct hf_op *const ops[] = {&prepare_window_cpu, &prepare_inside_cpu,
                                          &prepare_box_cpu, &prepare_histogram_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "prepare",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
