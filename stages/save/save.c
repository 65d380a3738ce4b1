/**
 * save.c - the stage `save`: writes fields as NIfTI files, on the grid and affine of the file that
 * the image came from, and if asked a manifest that `load` reads.
 */
#include "../text/filename.h"
#include "../text/text.h"
#include "write.h"

#include <errno.h>
#include <fnmatch.h>
#include <hepaflow/plugin.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_BYTES 4096

enum grid_choice {
    GRID_FILE,
    GRID_CANONICAL,
    GRID_SAMPLE
};

enum store {
    STORE_FLOAT32,
    STORE_INT16
};

struct options {
    struct hf_names fields;
    const char *folder;
    int32_t grid;
    int32_t store;
    double mask_above;
    double fill;
    int32_t manifest;
    struct hf_names test;
};

/** The manifest's columns that name files, in their order. */
static const char *const columns[] = {"image", "liver", "couinaud", "tumor"};
enum {
    COLUMNS = sizeof columns / sizeof *columns
};

/* ---- declare ---- */

/* Fields go to the host as they come; the rest is no tensor. */
static enum hf_status memory(struct hf_stage *s, const struct hf_memory_query *q,
                             struct hf_memory *ret, struct hf_error *e) {
    (void)s, (void)q, (void)e;
    *ret = (struct hf_memory){0, 0};
    return HF_OK;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    for (int32_t i = 0; i < o->fields.count; i++) {
        const char *name = o->fields.name[i];
        int64_t channels = 1;
        enum hf_place place = strcmp(name, "truth") == 0 ? HF_ON_CANONICAL : HF_ON_GRID;
        io->read(io, name, HF_DTYPES, place, 0);
        if (io->has(io, name, &channels) && channels > 1)
            return hf_fail(e, HF_UNSUPPORTED,
                           "field '%s' has %lld channels; save writes fields of one channel", name,
                           (long long)channels);
    }
    if (o->manifest)
        io->read(io, "annotation", HF_U8, HF_ON_HOST, HF_READ_OPTIONAL);
    return HF_OK;
}

/* ---- one field ---- */

static const struct hf_grid *grid_of(const struct hf_sample *sample, int32_t choice) {
    return choice == GRID_FILE        ? &sample->file
           : choice == GRID_CANONICAL ? &sample->canonical
                                      : &sample->grid;
}

static int is_mask(const struct hf_tensor *t) {
    for (int64_t i = 0; i < hf_tensor_count(t); i++)
        if (HF_DATA(const uint8_t, t)[i] > 1)
            return 0;
    return 1;
}

/** 1 if the grids are the same but for the order in which they run. */
static int same_voxels(const struct hf_grid *a, const struct hf_grid *b) {
    struct hf_turn turn;
    struct hf_grid ca, cb;
    hf_grid_canonical(a, &turn, &ca);
    hf_grid_canonical(b, &turn, &cb);
    return hf_grid_same(&ca, &cb);
}

/** A mask where at least half of it is set, as `evaluate` counts it: what is scored is written. */
static enum hf_status put_mask(const struct hf_grid *from, const struct hf_tensor *t,
                               const struct hf_grid *to, uint8_t *out, struct hf_error *e) {
    int64_t before = hf_grid_count(from), after = hf_grid_count(to);
    float *in = malloc((size_t)(before + after) * sizeof *in), *soft = in ? in + before : NULL;
    if (!in)
        return hf_fail(e, HF_NO_MEMORY, "no memory for %lld voxels", (long long)after);
    for (int64_t i = 0; i < before; i++)
        in[i] = (float)HF_DATA(const uint8_t, t)[i];
    hf_grid_resample_f32(from, in, to, 0, soft);
    /* A tie counts as set, also when rounding has come between. */
    for (int64_t i = 0; i < after; i++)
        out[i] = soft[i] >= 0.5f - 1e-5f;
    free(in);
    return HF_OK;
}

/** Masks as put_mask, other labels to the nearest voxel of the grid of `out`. */
static enum hf_status put_labels(const struct hf_grid *from, const struct hf_tensor *t,
                                 const struct hf_grid *to, struct hf_nifti_out *out,
                                 struct hf_error *e) {
    enum hf_status st = hf_nifti_out_new(to, HF_U8, out, e);
    if (st == HF_OK && is_mask(t) && !same_voxels(from, to))
        return put_mask(from, t, to, out->voxels, e);
    if (st == HF_OK)
        hf_grid_resample_u8(from, HF_DATA(const uint8_t, t), to, out->voxels);
    return st;
}

/** Soft values: linear, then as they are, rounded, or as the mask from a value on. */
static enum hf_status put_soft(const struct options *o, const struct hf_grid *from,
                               const struct hf_tensor *t, const struct hf_grid *to,
                               struct hf_nifti_out *out, struct hf_error *e) {
    int64_t count = hf_grid_count(to);
    if (o->mask_above <= 0 && o->store == STORE_FLOAT32) {
        enum hf_status st = hf_nifti_out_new(to, HF_F32, out, e);
        if (st == HF_OK)
            hf_grid_resample_f32(from, HF_DATA(const float, t), to, (float)o->fill, out->voxels);
        return st;
    }
    float *soft = malloc((size_t)count * sizeof *soft);
    if (!soft)
        return hf_fail(e, HF_NO_MEMORY, "no memory for %lld voxels", (long long)count);
    hf_grid_resample_f32(from, HF_DATA(const float, t), to, (float)o->fill, soft);
    int mask = o->mask_above > 0;
    enum hf_status st = hf_nifti_out_new(to, mask ? HF_U8 : HF_I16, out, e);
    for (int64_t i = 0; i < count && st == HF_OK; i++) {
        if (mask)
            ((uint8_t *)out->voxels)[i] = soft[i] >= (float)o->mask_above;
        else
            ((int16_t *)out->voxels)[i] =
                (int16_t)lrintf(fminf(fmaxf(soft[i], INT16_MIN), INT16_MAX));
    }
    free(soft);
    return st;
}

/** Writes a field of a sample to `path`. */
static enum hf_status write_field(const struct hf_stage *s, const struct hf_sample *sample,
                                  const struct hf_field *f, const char *path, struct hf_error *e) {
    const struct options *o = s->options;
    const struct hf_grid *from = f->place == HF_ON_CANONICAL ? &sample->canonical : &sample->grid;
    const struct hf_grid *to = grid_of(sample, o->grid);
    struct hf_nifti_out out = {NULL, 0, NULL};
    struct hf_tensor *t = NULL;
    void *packed = NULL;
    size_t size = 0;
    if (f->place == HF_ON_HOST || f->tensor->dl.ndim != 4 || f->tensor->shape[0] != 1)
        return hf_fail(e, HF_UNSUPPORTED, "not a volume of one channel: cannot be saved");
    if (f->tensor->dtype != HF_U8 && f->tensor->dtype != HF_F32)
        return hf_fail(e, HF_UNSUPPORTED, "holds %s; save writes u8 and f32",
                       hf_dtype_name(f->tensor->dtype));
    if (!hf_affine_usable(from->affine) || !hf_affine_usable(to->affine))
        return hf_fail(e, HF_INVALID, "its grid has no usable affine");
    enum hf_status st = hf_tensor_read(s, f->tensor, &t, e);
    if (st == HF_OK)
        st = t->dtype == HF_U8 ? put_labels(from, t, to, &out, e)
                               : put_soft(o, from, t, to, &out, e);
    s->host->tensor_unref(t);
    if (st == HF_OK)
        st = hf_nifti_out_pack(&out, &packed, &size, e);
    hf_nifti_out_free(&out);
    if (st == HF_OK)
        st = s->host->write_file(path, packed, size, e);
    free(packed);
    return st;
}

/* ---- the manifest ---- */

/** The annotated segments of all rows as `2;4;5` or `none`. Nothing where a row is not annotated:
 *  the manifest's line would call free of tumors what nobody has looked at. */
static enum hf_status segments_text(const struct hf_stage *s, const struct hf_sample *sample,
                                    char ret[24], struct hf_error *e) {
    struct hf_tensor *t = hf_sample_get(sample, "annotation"), *mine = NULL;
    uint8_t any[9] = {0};
    ret[0] = '\0';
    if (!t)
        return HF_OK;
    enum hf_status st = hf_tensor_read(s, t, &mine, e);
    if (st != HF_OK)
        return st;
    int whole = hf_tensor_count(mine) >= 9;
    for (int64_t i = 0; i + 8 < hf_tensor_count(mine); i += 9) {
        whole &= HF_DATA(uint8_t, mine)[i] != 0;
        for (int k = 1; k < 9; k++)
            any[k] |= HF_DATA(uint8_t, mine)[i + k] != 0;
    }
    s->host->tensor_unref(mine);
    if (!whole)
        return HF_OK;
    char *at = ret;
    for (int k = 1; k < 9; k++)
        if (any[k]) {
            if (at > ret)
                *at++ = ';';
            *at++ = (char)('0' + k);
        }
    *at = '\0';
    if (at == ret)
        memcpy(ret, "none", 5);
    return HF_OK;
}

static int is_test(const struct options *o, const char *name) {
    for (int32_t i = 0; i < o->test.count; i++)
        if (fnmatch(o->test.name[i], name, 0) == 0)
            return 1;
    return 0;
}

/** A line of the manifest for a sample whose files begin with `name`. */
static enum hf_status manifest_add(const struct hf_stage *s, const struct hf_sample *sample,
                                   const char *name, struct text *t, struct hf_error *e) {
    const struct options *o = s->options;
    char segments[24];
    enum hf_status st = segments_text(s, sample, segments, e);
    if (st != HF_OK)
        return st;
    text_csv(t, name);
    text_add(t, ",");
    text_csv(t, sample->patient);
    text_add(t, ",%s,", o->test.count == 0 ? "" : is_test(o, name) ? "test" : "train");
    for (int c = 0; c < COLUMNS; c++) {
        char file[512] = "";
        for (int32_t i = 0; i < o->fields.count; i++)
            if (strcmp(o->fields.name[i], columns[c]) == 0 && hf_sample_get(sample, columns[c]))
                (void)snprintf(file, sizeof file, "%s_%s.nii.gz", name, columns[c]);
        text_csv(t, file);
        text_add(t, ",");
    }
    text_add(t, "%s\n", segments);
    return t->failed ? hf_fail(e, HF_NO_MEMORY, "no memory for the manifest") : HF_OK;
}

static enum hf_status manifest_path(const char *folder, char ret[PATH_BYTES], struct hf_error *e) {
    int n = snprintf(ret, PATH_BYTES, "%s/cases.csv", folder);
    return n > 0 && n < PATH_BYTES ? HF_OK
                                   : hf_fail(e, HF_INVALID, "the manifest's path is too long");
}

/** Where a manifest stands its files are whole and belong together. One of an earlier run goes
 *  before its first file is replaced: a run that then stops leaves no mix of two data sets. */
static enum hf_status manifest_remove(const char *folder, struct hf_error *e) {
    char path[PATH_BYTES];
    enum hf_status st = manifest_path(folder, path, e);
    if (st == HF_OK && unlink(path) != 0 && errno != ENOENT)
        return hf_fail(e, HF_IO, "%s: the old manifest cannot be removed: %s", path,
                       strerror(errno));
    return st;
}

/* ---- run ---- */

static enum hf_status save_sample(const struct hf_stage *s, const struct hf_sample *sample,
                                  const char *folder, struct text *manifest, int64_t *files,
                                  struct hf_error *e) {
    const struct options *o = s->options;
    char stem[FILENAME_BYTES]; /* what its files begin with */
    enum hf_status st = HF_OK;
    filename_of(sample->id, 0, stem);
    for (int32_t i = 0; i < o->fields.count && st == HF_OK; i++) {
        const struct hf_field *f = hf_sample_find(sample, o->fields.name[i]);
        char path[PATH_BYTES];
        if (!f)
            continue; /* this case has none: a patient without expert labels, say */
        int n = snprintf(path, sizeof path, "%s/%s_%s.nii.gz", folder, stem, f->name);
        st = n > 0 && (size_t)n < sizeof path
                 ? HF_OK
                 : hf_fail(e, HF_INVALID, "the path of its file is too long");
        if (st == HF_OK && o->manifest && *files == 0)
            st = manifest_remove(folder, e);
        if (st == HF_OK)
            st = write_field(s, sample, f, path, e);
        if (st != HF_OK)
            return hf_fail_in(e, "field '%s'", f->name); /* the engine names the case */
        ++*files;
    }
    return o->manifest ? manifest_add(s, sample, stem, manifest, e) : st;
}

static enum hf_status run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct text manifest = {0};
    const struct hf_sample *sample = NULL;
    char folder[PATH_BYTES], line[PATH_BYTES + 64];
    int64_t files = 0;
    enum hf_status st =
        s->host->folder(s, o->folder ? o->folder : s->name, folder, sizeof folder, e);
    if (st == HF_OK && o->manifest)
        text_add(&manifest, "case,patient,split,image,liver,couinaud,tumor,segments\n");
    while (st == HF_OK && (st = s->host->next(in, &sample, e)) == HF_OK)
        st = save_sample(s, sample, folder, &manifest, &files, e);
    if (st == HF_END)
        st = HF_OK;
    /* Last, so that it never names a file that is not there. */
    if (st == HF_OK && o->manifest && manifest.failed)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for the manifest");
    if (st == HF_OK && o->manifest) {
        char path[PATH_BYTES];
        st = manifest_path(folder, path, e);
        if (st == HF_OK)
            st = s->host->write_file(path, manifest.bytes, manifest.size, e);
    }
    free(manifest.bytes);
    if (st == HF_OK) {
        (void)snprintf(line, sizeof line, "%lld files in %s", (long long)files, folder);
        s->host->log(s, HF_LOG_INFO, line);
    }
    return st;
}

/* ---- the datasheet ---- */

#define OPTION(member, kind, text)                                                                 \
    .name = #member, .type = HF_OPTION_##kind, .offset = offsetof(struct options, member),         \
    .initial = (text)

/* clang-format off */
static const struct hf_option options[] = {
    {OPTION(fields, NAMES, NULL), .items_min = 1, .items_max = HF_OPTION_ITEMS,
     .flags = HF_OPTION_FIELD,
     .help = "The fields to write, each to `<case>_<field>.nii.gz`."},
    {OPTION(folder, STRING, "~"),
     .help = "Folder under the run's results; by default the stage's name."},
    {OPTION(grid, ENUM, "file"), .choices = "file|canonical|sample",
     .help = "On which grid: the image file's own, the same turned to RAS+, or the sample's."},
    {OPTION(store, ENUM, "float32"), .choices = "float32|int16",
     .help = "How soft fields and images are stored; masks are uint8."},
    {OPTION(mask_above, REAL, "0"), .min = 0, .max = 1e6,
     .help = "Soft fields become masks of what is at or above this value; 0: they stay soft."},
    {OPTION(fill, REAL, "0"), .min = -1e6, .max = 1e6,
     .help = "The value of soft fields beyond the sample's grid, such as outside a crop."},
    {OPTION(manifest, BOOL, "no"),
     .help = "Also write `cases.csv`, which `load` reads, when all files are there."},
    {OPTION(test, NAMES, "[]"),
     .help = "In the manifest: cases of the split `test`, `*` and `?` stand for anything; the "
             "others are in `train`. Empty: the split stays open."},
    {.name = NULL},
};
/* clang-format on */

static const struct hf_stage_class save = {
    .name = "save",
    .help = "Writes fields as NIfTI files on the original image's grid.",
    .kind = HF_SINK,
    .options_size = sizeof(struct options),
    .options = options,
    .declare = declare,
    .run = run,
    .memory = memory,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "save",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&save, NULL},
};
