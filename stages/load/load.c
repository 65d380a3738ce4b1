/**
 * load.c - the stage `load`: cases from a manifest or a folder, each as one sample on its image's
 * canonical grid, with labels brought there by world position.
 */
#include "load.h"

#include <stdlib.h>

/* ---- declare ---- */

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct load_options *o = options;
    (void)e;
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, NULL);
    for (int f = HF_CASE_LIVER; f < HF_CASE_FILES; f++)
        if (load_wants(o, (enum hf_case_file)f))
            io->write(io, hf_case_file_name((enum hf_case_file)f), HF_U8, HF_ON_GRID, 1, NULL);
    if (load_wants(o, HF_CASE_TUMOR))
        io->write(io, "truth", HF_U8, HF_ON_CANONICAL, 1, NULL);
    io->write(io, "annotation", HF_U8, HF_ON_HOST, 1, NULL);
    return HF_OK;
}

/** All instances of the stage share what the first one has read. */
static enum hf_status start(struct hf_stage *s, struct hf_error *e) {
    struct load_state *state = s->state;
    const struct load_state *peer = s->peer;
    if (!peer)
        return load_choose(s, e);
    state->cases = peer->cases;
    state->item = peer->item;
    state->items = peer->items;
    return HF_OK;
}

static void stop(struct hf_stage *s) {
    struct load_state *state = s->state;
    if (!s->peer) {
        free(state->item);
        hf_cases_free(&state->cases);
    }
    state->item = NULL;
    state->items = 0;
}

static enum hf_status count(struct hf_stage *s, int64_t *ret_count, struct hf_error *e) {
    (void)e;
    *ret_count = ((const struct load_state *)s->state)->items;
    return HF_OK;
}

/** What is not there is left to `open` to tell of. */
static int32_t files(struct hf_stage *s, int64_t i, const char **paths, int32_t max) {
    struct load_state *state = s->state;
    const struct load_item *it = &state->item[i];
    int32_t n = 0;
    for (int f = 0; f < HF_CASE_FILES; f++) {
        struct load_paths *p = &state->asked[f];
        struct hf_error e;
        if (!it->reads[f] || (f == HF_CASE_TUMOR && load_shared(it)) ||
            load_paths_of(s->options, it->c, (enum hf_case_file)f, p, &e) != HF_OK)
            continue;
        if (n < max)
            paths[n++] = p->header;
        if (p->image[0] && n < max)
            paths[n++] = p->image;
    }
    if (it->c->slices && n < max)
        paths[n++] = it->c->slices;
    return n;
}

static const char *case_of(struct hf_stage *s, int64_t i) {
    return ((const struct load_state *)s->state)->item[i].c->name;
}

/* ---- the datasheet ---- */

#define OPTION(member, kind, text)                                                                 \
    .name = #member, .type = HF_OPTION_##kind, .offset = offsetof(struct load_options, member),    \
    .initial = (text)

/* clang-format off */
static const struct hf_option options[] = {
    {OPTION(dataset, PATH, NULL),
     .help = "A manifest of cases (CSV; its paths are relative to it), or the folder of a data "
             "set: LiTS, MSD or nnU-Net, known by what is in it."},
    {OPTION(split, ENUM, "all"), .choices = "train|test|all",
     .help = "The cases of which split; `test_share` of the patients are in `test` where none is "
             "given."},
    {OPTION(test_share, REAL, "0.2"), .min = 0, .max = 1,
     .help = "Share of the patients without a given split that are for testing, by a hash of "
             "their names."},
    {OPTION(overrides, PATH, "~"),
     .help = "A CSV file of what is better known than from the files: case (or a pattern), field, "
             "spacing, orientation, flip, patient, split, segments."},
    {OPTION(liver, PATH, "~"),
     .help = "Take liver masks from there: a folder, or a path with {case} or {number}."},
    {OPTION(couinaud, PATH, "~"), .help = "Take Couinaud maps from there, likewise."},
    {OPTION(tumor, PATH, "~"), .help = "Take tumor masks from there, likewise."},
    {OPTION(liver_values, REALS, "[]"), .max = 255,
     .help = "Values that are liver in its files. None: 1, or what the data set says."},
    {OPTION(couinaud_values, REALS, "[]"), .max = 8,
     .help = "The segments that the values 1, 2, ... of Couinaud maps stand for, as [1, 2, 3, 4, "
             "4, 5, 6, 7, 8] where 4a and 4b are apart. None: as they are."},
    {OPTION(tumor_values, REALS, "[]"), .max = 255,
     .help = "Values that are tumor in its files. None: 1, or what the data set says."},
    {OPTION(cases, NAMES, "[]"),
     .help = "Only cases of these names; `*` and `?` stand for anything. Empty: all."},
    {OPTION(omit, NAMES, "[]"), .help = "Cases to leave out, likewise."},
    {OPTION(require, NAMES, "[]"), .choices = "liver|couinaud|tumor|segments",
     .help = "Only cases for which the manifest has these; others are left out."},
    {OPTION(fields, NAMES, "[liver, couinaud, tumor]"), .choices = "liver|couinaud|tumor",
     .help = "The labels to read where a case has them."},
    {OPTION(geometry, ENUM, "warn"), .choices = "warn|refuse",
     .help = "Geometry that cannot be right (lost spacing, a liver on the left): report it with "
             "the case, or refuse the case."},
    {OPTION(nonfinite, ENUM, "refuse"), .choices = "refuse|clear",
     .help = "NaN or infinite voxels: refuse the image, or set them to `fill`."},
    {OPTION(fill, REAL, "-1024"), .unit = "HU", .min = -32768, .max = 32767,
     .help = "The value that cleared voxels get."},
    {.name = NULL},
};
/* clang-format on */

static const struct hf_stage_class load = {
    .name = "load",
    .help = "Reads the cases of a manifest or folder: NIfTI images and labels, brought to one "
            "orientation and one grid.",
    .kind = HF_SOURCE,
    .options_size = sizeof(struct load_options),
    .options = options,
    .state_size = sizeof(struct load_state),
    .declare = declare,
    .start = start,
    .stop = stop,
    .count = count,
    .open = load_open,
    .files = files,
    .case_of = case_of,
    .grid_of = load_grid_of,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "load",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&load, NULL},
};
