/**
 * tap.c - the stage `tap`: writes all that samples have, as they have it, to look at: each field on
 * its own grid as NIfTI and as a picture, tables as CSV, and what there is in tap.json.
 *
 * `hepaflow tap` puts it behind a stage of a graph.
 */
#include <hepaflow/plugin.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../geometry/geometry.h"
#include "../picture/draw.h"
#include "../text/filename.h"
#include "../text/text.h"
#include "montage.h"
#include "write.h"

#define PATH_BYTES 4096

struct options {
    const char *only;
    int64_t count, epoch;
    int32_t pictures;
};

/* A sample that is being written. */
struct writer {
    struct hf_stage *s;
    const struct hf_sample *sample;
    const char *folder;
    char stem[FILENAME_BYTES]; /* what its files begin with */
    struct text *json;         /* of tap.json */
    struct hf_tensor *image;   /* beneath masks, or NULL */
};

/* ---- one field ---- */

/* What a field holds. */
struct range {
    double min, max, mean;
    int64_t odd; /* NaN and infinite */
};

static double value_at(const struct hf_tensor *t, int64_t i) {
    switch (t->dtype) {
    case HF_U8:
        return HF_DATA(const uint8_t, t)[i];
    case HF_I16:
        return HF_DATA(const int16_t, t)[i];
    case HF_I32:
        return HF_DATA(const int32_t, t)[i];
    case HF_I64:
        return (double)HF_DATA(const int64_t, t)[i];
    case HF_F32:
        return (double)HF_DATA(const float, t)[i];
    default:
        return HF_DATA(const double, t)[i];
    }
}

static struct range range_of(const struct hf_tensor *t) {
    struct range r = {INFINITY, -INFINITY, 0, 0};
    int64_t n = hf_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        double v = value_at(t, i);
        if (!isfinite(v)) {
            r.odd++;
            continue;
        }
        r.min = fmin(r.min, v);
        r.max = fmax(r.max, v);
        r.mean += v;
    }
    r.mean = n > r.odd ? r.mean / (double)(n - r.odd) : (double)NAN;
    if (n == r.odd)
        r.min = r.max = (double)NAN;
    return r;
}

static enum hf_status put_file(struct writer *w, const char *name, const void *bytes, size_t size,
                               struct hf_error *e) {
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s", w->folder, name);
    if (n < 0 || n >= (int)sizeof path)
        return hf_fail(e, HF_INVALID, "the path of its file is too long");
    return w->s->host->write_file(path, bytes, size, e);
}

/* The name of a file of a field, of one of its channels where it has several; notes it. */
static void name_file(struct writer *w, const char *field, int64_t channel, int64_t channels,
                      const char *end, int *files, char ret[512]) {
    char which[32] = "", of_field[FILENAME_BYTES];
    if (channels > 1)
        (void)snprintf(which, sizeof which, "-%lld", (long long)channel);
    filename_of(field, 0, of_field);
    (void)snprintf(ret, 512, "%s_%s%s%s", w->stem, of_field, which, end);
    text_add(w->json, "%s\"", (*files)++ ? ", " : "");
    text_json(w->json, ret);
    text_add(w->json, "\"");
}

/* One channel as it is stored: u8 stays, all other types become f32. */
static enum hf_status put_nifti(struct writer *w, const struct hf_tensor *t, int64_t channel,
                                const struct hf_grid *grid, const char *name, struct hf_error *e) {
    struct hf_nifti_out out = {NULL, 0, NULL};
    void *packed = NULL;
    size_t size = 0;
    int64_t n = hf_tensor_count(t) / t->shape[0], at = channel * n;
    enum hf_status st = hf_nifti_out_new(grid, t->dtype == HF_U8 ? HF_U8 : HF_F32, &out, e);
    for (int64_t i = 0; st == HF_OK && i < n; i++) {
        if (t->dtype == HF_U8)
            ((uint8_t *)out.voxels)[i] = HF_DATA(const uint8_t, t)[at + i];
        else
            ((float *)out.voxels)[i] = (float)value_at(t, at + i);
    }
    if (st == HF_OK)
        st = hf_nifti_out_pack(&out, &packed, &size, e);
    hf_nifti_out_free(&out);
    if (st == HF_OK)
        st = put_file(w, name, packed, size, e);
    free(packed);
    return st;
}

static struct volume volume_of(const struct hf_tensor *t, int64_t channel,
                               const struct hf_grid *grid, const struct range *r) {
    int64_t n = hf_tensor_count(t) / t->shape[0];
    struct volume v = {.dtype = t->dtype,
                       .data = (const char *)t->dl.data +
                               (size_t)(channel * n) * hf_dtype_size(t->dtype),
                       .d = t->shape[1],
                       .h = t->shape[2],
                       .w = t->shape[3],
                       .min = r->min,
                       .max = r->max};
    draw_spacing(grid, v.spacing);
    return v;
}

static enum hf_status put_picture(struct writer *w, const struct hf_tensor *t, int64_t channel,
                                  const struct hf_grid *grid, const struct range *r,
                                  const char *name, struct hf_error *e) {
    struct volume v = volume_of(t, channel, grid, r), under = {0};
    const struct volume *below = NULL;
    void *png = NULL;
    size_t size = 0;
    if (w->image && t->dtype == HF_U8 && hf_tensor_count(w->image) == v.d * v.h * v.w &&
        grid == &w->sample->grid) {
        struct range of_image = range_of(w->image);
        under = volume_of(w->image, 0, grid, &of_image);
        below = &under;
    }
    enum hf_status st = montage_draw(&v, below, &png, &size, e);
    if (st == HF_OK)
        st = put_file(w, name, png, size, e);
    free(png);
    return st;
}

static enum hf_status put_volume(struct writer *w, const struct hf_field *f,
                                 const struct hf_tensor *t, const struct range *r, int *files,
                                 struct hf_error *e) {
    const struct options *o = w->s->options;
    const struct hf_grid *grid =
        f->place == HF_ON_CANONICAL ? &w->sample->canonical : &w->sample->grid;
    enum hf_status st = HF_OK;
    char name[512];
    for (int64_t c = 0; c < t->shape[0] && st == HF_OK; c++) {
        name_file(w, f->name, c, t->shape[0], ".nii.gz", files, name);
        st = put_nifti(w, t, c, grid, name, e);
        bool shown = o->pictures && (t->dtype == HF_U8 || t->dtype == HF_F32) && isfinite(r->max);
        if (st != HF_OK || !shown)
            continue;
        name_file(w, f->name, c, t->shape[0], ".png", files, name);
        st = put_picture(w, t, c, grid, r, name, e);
    }
    return st;
}

/* A table, its last axis along the lines. */
static enum hf_status put_table(struct writer *w, const struct hf_field *f,
                                const struct hf_tensor *t, int *files, struct hf_error *e) {
    struct text csv = {0};
    int64_t n = hf_tensor_count(t), width = t->dl.ndim > 1 ? t->shape[t->dl.ndim - 1] : 1;
    char name[512];
    for (int64_t i = 0; i < n; i++)
        text_add(&csv, "%.9g%s", value_at(t, i), (i + 1) % width ? "," : "\n");
    name_file(w, f->name, 0, 1, ".csv", files, name);
    enum hf_status st = csv.failed ? hf_fail(e, HF_NO_MEMORY, "no memory for a table")
                                   : put_file(w, name, csv.bytes ? csv.bytes : "", csv.size, e);
    free(csv.bytes);
    return st;
}

static enum hf_status put_field(struct writer *w, const struct hf_field *f, bool first,
                                struct hf_error *e) {
    static const char *const place[] = {"grid", "canonical", "table"};
    struct hf_tensor *t = NULL;
    enum hf_status st = hf_tensor_read(w->s, f->tensor, &t, e);
    if (st != HF_OK)
        return hf_fail_in(e, "field '%s'", f->name);
    struct range r = range_of(t);
    struct text *json = w->json;
    text_add(json, "%s\n     {\"name\": \"%s\", \"dtype\": \"%s\", \"place\": \"%s\", \"shape\": [",
             first ? "" : ",", f->name, hf_dtype_name(t->dtype), place[f->place]);
    for (int32_t i = 0; i < t->dl.ndim; i++)
        text_add(json, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    text_add(json, "], \"min\": ");
    text_number(json, r.min, "null");
    text_add(json, ", \"mean\": ");
    text_number(json, r.mean, "null");
    text_add(json, ", \"max\": ");
    text_number(json, r.max, "null");
    text_add(json, ", \"nonfinite\": %lld, \"files\": [", (long long)r.odd);
    int files = 0;
    st = f->place == HF_ON_HOST || t->dl.ndim != 4 ? put_table(w, f, t, &files, e)
                                                   : put_volume(w, f, t, &r, &files, e);
    text_add(json, "]}");
    w->s->host->tensor_unref(t);
    return st == HF_OK ? HF_OK : hf_fail_in(e, "field '%s'", f->name);
}

/* ---- one sample ---- */

static void put_grid(struct text *json, const char *name, const struct hf_grid *g) {
    double mm[3];
    geometry_spacing(g, mm);
    text_add(json, "\"%s\": {\"size\": [%lld, %lld, %lld], \"spacing\": [", name,
             (long long)g->size[0], (long long)g->size[1], (long long)g->size[2]);
    for (int i = 0; i < 3; i++) {
        text_add(json, "%s", i ? ", " : "");
        text_number(json, mm[i], "null");
    }
    text_add(json, "]}");
}

static enum hf_status put_sample(struct writer *w, struct hf_error *e) {
    const struct hf_sample *sample = w->sample;
    const struct hf_field *image = hf_sample_find(sample, "image");
    enum hf_status st = HF_OK;
    filename_of(sample->id, 0, w->stem);
    text_add(w->json, "{\"id\": \"");
    text_json(w->json, sample->id);
    text_add(w->json, "\", \"case\": \"");
    text_json(w->json, sample->case_id);
    text_add(w->json, "\", ");
    put_grid(w->json, "grid", &sample->grid);
    text_add(w->json, ", ");
    put_grid(w->json, "canonical", &sample->canonical);
    text_add(w->json, ",\n    \"fields\": [");
    if (image && image->place == HF_ON_GRID && image->tensor->dtype == HF_F32 &&
        image->tensor->shape[0] == 1)
        st = hf_tensor_read(w->s, image->tensor, &w->image, e);
    for (int32_t i = 0; i < sample->fields && st == HF_OK; i++)
        st = put_field(w, &sample->field[i], i == 0, e);
    text_add(w->json, "]}");
    w->s->host->tensor_unref(w->image);
    w->image = NULL;
    return st;
}

/* ---- the stage ---- */

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    (void)options, (void)e;
    io->read(io, HF_EVERY_FIELD, HF_DTYPES, HF_ON_GRID, 0);
    return HF_OK;
}

static enum hf_status run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct options *o = s->options;
    int64_t most = o->count > 0 ? o->count : o->only ? INT64_MAX : 1, written = 0;
    struct text json = {0};
    char folder[PATH_BYTES];
    struct writer w = {.s = s, .folder = folder, .json = &json};
    enum hf_status st = s->host->folder(s, ".", folder, sizeof folder, e);
    if (st == HF_OK && o->epoch > 0)
        st = s->host->rewind(in, (uint64_t)o->epoch, e);
    text_add(&json, "{\"epoch\": %lld, \"samples\": [", (long long)o->epoch);
    /* It ends early: what no other sink waits for is then not made. */
    while (st == HF_OK && written < most) {
        st = s->host->next(in, &w.sample, e);
        if (st != HF_OK || (o->only && strcmp(o->only, w.sample->case_id) != 0))
            continue;
        text_add(&json, "%s\n   ", written ? "," : "");
        st = put_sample(&w, e);
        s->host->progress(s, (double)++written, o->count > 0 ? (double)o->count : 0, (double)NAN);
    }
    text_add(&json, "]}\n");
    if (st == HF_END)
        st = HF_OK;
    if (st == HF_OK && written == 0)
        st = o->only ? hf_fail(e, HF_NOT_FOUND,
                               "no sample of case '%s' came here: a stage before it "
                               "leaves it out, or it has another name",
                               o->only)
                     : hf_fail(e, HF_NOT_FOUND, "no sample came here");
    if (st == HF_OK && json.failed)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for tap.json");
    if (st == HF_OK)
        st = put_file(&w, "tap.json", json.bytes, json.size, e);
    free(json.bytes);
    return st;
}

#define OPTION(member, kind, text)                                                                 \
    .type = HF_OPTION_##kind, .offset = offsetof(struct options, member), .initial = (text)

/* clang-format off */
static const struct hf_option options[] = {
    {.name = "case", OPTION(only, STRING, "~"),
     .help = "Only samples of this case; by default of whichever comes first."},
    {.name = "count", OPTION(count, INT, "0"), .min = 0, .max = 1e9,
     .help = "How many samples at most; 0: all of the case, or one."},
    {.name = "epoch", OPTION(epoch, INT, "0"), .min = 0, .max = 1e9,
     .help = "The pass, which decides what is drawn at random; 0 is the first."},
    {.name = "pictures", OPTION(pictures, BOOL, "yes"),
     .help = "Also write each field as a picture of up to 20 slices."},
    {.name = NULL},
};
/* clang-format on */

static const struct hf_stage_class tap = {
    .name = "tap",
    .help = "Writes every field of a few samples as NIfTI and PNG, to look at what is on an edge.",
    .kind = HF_SINK,
    .options_size = sizeof(struct options),
    .options = options,
    .declare = declare,
    .run = run,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "tap",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&tap, NULL},
};
