/**
 * select.c - the stage `select`: lets those samples pass that a training can learn from, and names
 * the slices to draw from in the field `slices`.
 *
 * What is healthy is what the annotation says, never what the truth says: a slice is healthy if it
 * holds clean liver and no voxel of M. A case without an annotation has neither, so it passes
 * nowhere but under `all`.
 */
#include <fnmatch.h>
#include <stdlib.h>

#include <hepaflow/hepaflow.h>

#include "../geometry/geometry.h"
#include "ops.h"

enum {
    KEEP_ALL,
    KEEP_CLEAN_SEGMENTS,
    KEEP_HEALTHY_SLICES,
    KEEP_ANNOTATED,
    KEEP_HEALTHY
};

struct options {
    int32_t keep;
    double min_volume, min_area;
    struct hf_names cases;
};

static int is_named(const struct options *o, const char *case_id) {
    for (int32_t i = 0; i < o->cases.count; i++)
        if (fnmatch(o->cases.name[i], case_id, 0) == 0)
            return 1;
    return o->cases.count == 0;
}

/** Voxels of a mask in each slice: a new reference. */
static enum hf_status count_slices(const struct hf_stage *s, const struct hf_sample *in,
                                   const char *field, struct hf_tensor **ret, struct hf_error *e) {
    struct hf_tensor *mask = hf_sample_get(in, field), *counts = NULL;
    if (!mask)
        return hf_fail(e, HF_INVALID, "there is no '%s'", field);
    enum hf_status st = hf_tensor_new(s, HF_I32, 1, in->grid.size, &counts, e);
    if (st != HF_OK)
        return st;
    struct hf_op_call call = {.in = {mask}, .out = {counts}, .inputs = 1, .outputs = 1};
    st = hf_launch(s, "select.count", &call, e);
    if (st == HF_OK)
        *ret = counts;
    else
        s->host->tensor_unref(counts);
    return st;
}

/** Whether a slice with so many voxels of M and of clean liver is to be drawn from. */
static int wants_slice(const struct options *o, double area, int32_t annotated, int32_t clean) {
    int is_clean = clean > 0 && clean * area >= o->min_area;
    switch (o->keep) {
    case KEEP_CLEAN_SEGMENTS:
        return is_clean;
    case KEEP_ANNOTATED:
        return annotated > 0;
    default:
        return is_clean && annotated == 0;
    }
}

/** Decides on the sample; *ret_slices is NULL when it is to be dropped. */
static enum hf_status choose(const struct hf_stage *s, const struct hf_sample *in,
                             struct hf_tensor **ret_slices, struct hf_error *e) {
    const struct options *o = s->options;
    const struct hf_host *h = s->host;
    struct hf_tensor *counts[2] = {NULL, NULL}, *segments = NULL, *clean = NULL, *slices = NULL;
    struct hf_tensor *earlier = hf_sample_get(in, "slices"), *before = NULL;
    int64_t depth = in->grid.size[0], annotated = 0, free_of = 0, chosen = 0;
    double area = geometry_area(&in->grid);
    enum hf_status st = count_slices(s, in, "segments", &counts[0], e);
    if (st == HF_OK)
        st = count_slices(s, in, "clean", &counts[1], e);
    if (st == HF_OK)
        st = hf_tensor_read(s, counts[0], &segments, e);
    if (st == HF_OK)
        st = hf_tensor_read(s, counts[1], &clean, e);
    if (st == HF_OK && earlier && hf_tensor_count(earlier) == depth)
        st = hf_tensor_read(s, earlier, &before, e);
    if (st == HF_OK)
        st = hf_tensor_new_host(s, HF_U8, 1, &depth, &slices, e);
    for (int64_t d = 0; st == HF_OK && d < depth; d++) {
        int32_t m = HF_DATA(int32_t, segments)[d], c = HF_DATA(int32_t, clean)[d];
        int now = (!before || HF_DATA(uint8_t, before)[d]) && wants_slice(o, area, m, c);
        annotated += m;
        free_of += c;
        chosen += now;
        HF_DATA(uint8_t, slices)[d] = (uint8_t)now;
    }
    double volume = (double)free_of * geometry_volume(&in->grid);
    int keep = chosen > 0 && (o->keep != KEEP_CLEAN_SEGMENTS || volume >= o->min_volume) &&
               (o->keep != KEEP_HEALTHY || annotated == 0);
    struct hf_tensor *const mine[5] = {counts[0], counts[1], segments, clean, before};
    for (int i = 0; i < 5; i++)
        h->tensor_unref(mine[i]);
    if (slices && !(st == HF_OK && keep)) {
        h->tensor_unref(slices);
        slices = NULL;
    }
    *ret_slices = slices;
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *slices = NULL;
    struct hf_sample *out = NULL;
    if (!is_named(o, in->case_id))
        return HF_OK;
    enum hf_status st = o->keep == KEEP_ALL ? HF_OK : choose(s, in, &slices, e);
    if (st != HF_OK || (o->keep != KEEP_ALL && !slices))
        return st;
    st = s->host->sample_derive(s->host, in, NULL, &out, e);
    if (st != HF_OK) {
        s->host->tensor_unref(slices);
        return st;
    }
    if (slices)
        st = s->host->sample_set(out, "slices", HF_ON_HOST, slices, e);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    (void)e;
    if (o->keep == KEEP_ALL)
        return HF_OK;
    io->read(io, "segments", HF_U8, HF_ON_GRID, 0);
    io->read(io, "clean", HF_U8, HF_ON_GRID, 0);
    io->read(io, "slices", HF_U8, HF_ON_HOST, HF_READ_OPTIONAL);
    io->write(io, "slices", HF_U8, HF_ON_HOST, 1, "segments clean");
    return HF_OK;
}

#define AT(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "keep",
     .type = HF_OPTION_ENUM,
     .offset = AT(keep),
     .initial = "all",
     .choices = "all|clean_segments|healthy_slices|annotated|healthy",
     .help = "Samples with enough clean liver; slices without annotated segments; samples and "
             "slices with them; samples without any."},
    {.name = "min_volume",
     .type = HF_OPTION_REAL,
     .offset = AT(min_volume),
     .initial = "10 ml",
     .unit = "ml",
     .min = 0,
     .max = 1e5,
     .help = "clean_segments: the clean liver that a sample needs."},
    {.name = "min_area",
     .type = HF_OPTION_REAL,
     .offset = AT(min_area),
     .initial = "100 mm2",
     .unit = "mm2",
     .min = 0,
     .max = 1e6,
     .help = "The clean liver that a slice needs; 200 px of a CT of 512 x 512 are about 100 mm2."},
    {.name = "cases",
     .type = HF_OPTION_NAMES,
     .offset = AT(cases),
     .initial = "[]",
     .help = "Only cases of these names; `*` and `?` stand for anything. None: all."},
    {.name = NULL}};

static const char *const ops_used[] = {"select.count", NULL};

static const struct hf_stage_class select_class = {
    .name = "select",
    .help = "Lets samples pass by what their annotation says, and names the slices to draw from.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&select_class, NULL};
static const struct hf_op *const ops[] = {&select_count_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "select",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
