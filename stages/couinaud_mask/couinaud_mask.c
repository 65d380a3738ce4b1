/**
 * couinaud_mask.c - the stage `couinaud_mask`: from a Couinaud map and the image-level annotation
 * to the mask M of the annotated segments, the mask of the clean ones, and that of what is known.
 *
 * Level. Per volume an annotation says "segment k holds a tumor somewhere", and M is all of it. Per
 * slice it says so of each slice, and M is the union in that slice. A slice's tumor may reach a
 * little into its neighbours, below what makes an annotation there, so per slice a segment is clean
 * only where it is annotated neither in the slice nor in the slices next to it.
 *
 * Source. `given` reads the annotation that `load` takes from the manifest; a case (or slice)
 * without one is neither annotated nor clean, and `select` drops it. Its rows are for the slices of
 * the loaded image: a slice here takes all that it covers, and is clean only if each of them was
 * annotated. Per volume such rows add up: a segment is annotated if it is so in any slice, and is
 * clean only in slices that were annotated. `derived` simulates the
 * annotator: he names a segment once it holds enough tumor. That is the only way on which `tumor`
 * reaches the method.
 *
 * Known. Where nobody looked, the absence of a label says nothing. `known` is the liver without
 * that: a weight for a loss over volumes, which `select` cannot rid of single slices.
 *
 * Noise. An annotator errs: `drop`, `add` and `swap` change labels, given or derived, before
 * anything is made of them, the same in every epoch and for every stage; `annotation_true` keeps
 * what they were.
 *
 * Map. `map` also writes the Couinaud map as numbers that a network can take: `couinaud_map`.
 */
#include <hepaflow/hepaflow.h>

#include "../geometry/geometry.h"
#include "noise.h"
#include "ops.h"

#define ENTRIES COUNT_ENTRIES /* of a row of an annotation: annotated at all, segments 1 to 8 */

/* The masks that are written. */
enum {
    MASK_SEGMENTS,
    MASK_CLEAN,
    MASK_KNOWN,
    MASKS
};

enum {
    LABELS_GIVEN,
    LABELS_DERIVED
};

enum {
    PER_VOLUME,
    PER_SLICE
};

enum {
    MAP_NONE,
    MAP_SCALED,
    MAP_ONEHOT
};

struct options {
    int32_t labels, per, map;
    double min_volume, min_area, dilate;
    struct noise noise;
};

static int is_noisy(const struct options *o) {
    return o->noise.drop > 0 || o->noise.add > 0 || o->noise.swap > 0;
}

static enum hf_status rows_new(const struct hf_stage *s, int64_t rows, int64_t entries,
                               struct hf_tensor **ret, struct hf_error *e) {
    const int64_t shape[2] = {rows, entries};
    enum hf_status st = hf_tensor_new_host(s, HF_U8, 2, shape, ret, e);
    if (st == HF_OK)
        memset((*ret)->dl.data, 0, (*ret)->bytes);
    return st;
}

/* ---- the annotation, a row for each slice ---- */

/** Tumor voxels in each slice and segment, i32 [D,9] on the host: a new reference. */
static enum hf_status count_tumor(const struct hf_stage *s, const struct hf_sample *in,
                                  struct hf_tensor **ret, struct hf_error *e) {
    const int64_t shape[2] = {in->grid.size[0], COUNT_ENTRIES};
    struct hf_tensor *there = NULL;
    enum hf_status st = hf_tensor_new(s, HF_I32, 2, shape, &there, e);
    struct hf_op_call call = {.in = {hf_sample_get(in, "tumor"), hf_sample_get(in, "couinaud")},
                              .out = {there},
                              .inputs = 2,
                              .outputs = 1};
    if (st == HF_OK)
        st = hf_launch(s, "couinaud_mask.count", &call, e);
    if (st == HF_OK)
        st = hf_tensor_read(s, there, ret, e);
    s->host->tensor_unref(there);
    return st;
}

/** What an annotator would write: one row, or one for each slice. */
static enum hf_status derive(const struct hf_stage *s, const struct hf_sample *in,
                             struct hf_tensor **ret, struct hf_error *e) {
    const struct options *o = s->options;
    int64_t depth = in->grid.size[0], rows = o->per == PER_SLICE ? depth : 1;
    double area = geometry_area(&in->grid), volume = geometry_volume(&in->grid);
    if (!hf_sample_get(in, "tumor"))
        return hf_fail(e, HF_INVALID,
                       "there is no tumor mask to derive the annotation from; "
                       "require it in `load`, or use `labels: given`");
    struct hf_tensor *counts = NULL, *t = NULL;
    enum hf_status st = count_tumor(s, in, &counts, e);
    if (st == HF_OK)
        st = rows_new(s, rows, ENTRIES, &t, e);
    if (st == HF_OK) {
        int32_t *count = HF_DATA(int32_t, counts);
        for (int64_t i = ENTRIES; rows == 1 && i < depth * ENTRIES; i++)
            count[i % ENTRIES] += count[i];
        uint8_t *row = HF_DATA(uint8_t, t);
        for (int64_t i = 0; i < rows * ENTRIES; i++) {
            double n = (double)count[i];
            int enough =
                o->per == PER_SLICE ? n * area >= o->min_area : n * volume >= o->min_volume;
            row[i] = i % ENTRIES == 0 || (n > 0 && enough);
        }
        *ret = t;
    }
    s->host->tensor_unref(counts);
    return st;
}

/** Where the middle of slice d lies among the loaded image's slices. */
static double loaded_position(const struct hf_sample *in, int64_t d) {
    double map[3][4];
    geometry_map(&in->grid, &in->canonical, map);
    return map[2][0] * 0.5 * (double)(in->grid.size[2] - 1) +
           map[2][1] * 0.5 * (double)(in->grid.size[1] - 1) + map[2][2] * (double)d + map[2][3];
}

/** Whether an annotation of so many rows has one for each slice here, not for the loaded ones. */
static int rows_are_slices(const struct options *o, const struct hf_sample *in, int64_t rows) {
    if (o->labels == LABELS_DERIVED)
        return o->per == PER_SLICE;
    return rows > 1 && rows != in->canonical.size[0] && rows == in->grid.size[0];
}

/** The annotation as someone who errs would have written it: a new reference. Labels move to what
 *  their segment touches: in the slice where there is a row for each, else anywhere. A row errs by
 *  its number among the loaded slices, so alike however the case has been cropped. */
static enum hf_status err(const struct hf_stage *s, const struct hf_sample *in,
                          const struct hf_tensor *annotation, struct hf_tensor **ret,
                          struct hf_error *e) {
    const struct options *o = s->options;
    const int64_t *size = in->grid.size;
    int64_t rows = annotation->shape[0];
    struct hf_tensor *map = NULL, *t = NULL;
    uint8_t near[NOISE_SEGMENTS] = {0};
    enum hf_status st = rows_new(s, rows, ENTRIES, &t, e);
    if (st == HF_OK && o->noise.swap > 0)
        st = hf_tensor_read(s, hf_sample_get(in, "couinaud"), &map, e);
    if (st == HF_OK) {
        int each = rows > 1 && rows == size[0];
        if (map && !each)
            noise_neighbours(HF_DATA(uint8_t, map), size[0], size[1], size[2], near);
        for (int64_t r = 0; r < rows; r++) {
            if (map && each)
                noise_neighbours(HF_DATA(uint8_t, map) + r * size[1] * size[2], 1, size[1], size[2],
                                 near);
            int64_t loaded = rows_are_slices(o, in, rows)
                                 ? (int64_t)floor(loaded_position(in, r) + 0.5 + 1e-6)
                                 : r;
            noise_row(&o->noise, s->seed, in->case_id, loaded, near,
                      HF_DATA(uint8_t, annotation) + r * ENTRIES,
                      HF_DATA(uint8_t, t) + r * ENTRIES);
        }
        *ret = t;
        t = NULL;
    }
    s->host->tensor_unref(map);
    s->host->tensor_unref(t);
    return st;
}

/** The rows of an annotation that speak of slice d: those of the loaded slices that it covers, that
 *  of the slice itself where there are as many rows as slices here, else all. */
static void rows_of_slice(const struct hf_sample *in, int64_t rows, int64_t d, int64_t *ret_first,
                          int64_t *ret_last) {
    *ret_first = 0;
    *ret_last = rows - 1;
    if (rows == 1)
        return;
    if (rows != in->canonical.size[0]) {
        if (rows == in->grid.size[0])
            *ret_first = *ret_last = d;
        return;
    }
    double spacing[3], loaded[3];
    geometry_spacing(&in->grid, spacing);
    geometry_spacing(&in->canonical, loaded);
    double at = loaded_position(in, d), thick = spacing[0] / loaded[0];
    double first = floor(at - 0.5 * thick + 0.5 + 1e-6), last = ceil(at + 0.5 * thick - 0.5 - 1e-6);
    double end = (double)(rows - 1);
    *ret_first = (int64_t)fmin(fmax(first, 0), end);
    *ret_last = (int64_t)fmin(fmax(last, (double)*ret_first), end);
}

/** What the annotation says of slice d: the bits of its segments, whether any of the rows on it is
 *  annotated, and whether all are. Per volume the bits are those of all rows. */
static uint8_t slice_bits(const struct options *o, const struct hf_sample *in,
                          const struct hf_tensor *annotation, int64_t d, int *ret_known,
                          int *ret_whole) {
    int64_t rows = annotation->shape[0], first = d, last = d;
    const uint8_t *row = HF_DATA(uint8_t, annotation);
    uint8_t bits = 0;
    *ret_known = 0;
    *ret_whole = 1;
    if (o->labels != LABELS_DERIVED || o->per != PER_SLICE)
        rows_of_slice(in, rows, d, &first, &last);
    for (int64_t r = 0; r < rows; r++) {
        int here = r >= first && r <= last;
        if (!here && o->per == PER_SLICE)
            continue;
        *ret_known |= row[r * ENTRIES];
        *ret_whole &= !here || row[r * ENTRIES];
        for (int k = 1; k < ENTRIES && row[r * ENTRIES]; k++)
            bits |= (uint8_t)((row[r * ENTRIES + k] != 0) << (k - 1));
    }
    return bits;
}

/** The table of what is known of each slice. */
static enum hf_status marks_new(const struct hf_stage *s, const struct hf_sample *in,
                                const struct hf_tensor *annotation, struct hf_tensor **ret,
                                struct hf_error *e) {
    const struct options *o = s->options;
    int64_t depth = in->grid.size[0];
    struct hf_tensor *t = NULL;
    enum hf_status st = rows_new(s, depth, MARKS, &t, e);
    if (st != HF_OK)
        return st;
    uint8_t *mark = HF_DATA(uint8_t, t);
    for (int64_t d = 0; d < depth; d++) {
        int known = 0, whole = 0;
        uint8_t bits = slice_bits(o, in, annotation, d, &known, &whole);
        mark[d * MARKS + MARK_ANNOTATED] = bits;
        mark[d * MARKS + MARK_KNOWN] = known != 0;
        mark[d * MARKS + MARK_WHOLE] = whole != 0;
        /* what was not looked at may hold a tumor of any segment */
        mark[d * MARKS + MARK_UNSAFE] |= whole ? 0 : 0xff;
        for (int64_t near = d - 1; near <= d + 1; near++)
            if (near >= 0 && near < depth)
                mark[near * MARKS + MARK_UNSAFE] |= bits;
    }
    *ret = t;
    return HF_OK;
}

/* ---- the masks ---- */

/** Moves a host tensor to the stage's device; consumes the reference. */
static enum hf_status to_device(const struct hf_stage *s, struct hf_tensor **t,
                                struct hf_error *e) {
    struct hf_tensor *there = NULL;
    enum hf_status st = s->host->tensor_to(s->host, *t, s->device, s->queue, &there, e);
    s->host->tensor_unref(*t);
    *t = there;
    return st;
}

static void release(const struct hf_stage *s, struct hf_tensor *t[MASKS]) {
    for (int i = 0; i < MASKS; i++) {
        s->host->tensor_unref(t[i]);
        t[i] = NULL;
    }
}

static enum hf_status masks_new(const struct hf_stage *s, const struct hf_sample *in,
                                struct hf_tensor *ret[MASKS], struct hf_error *e) {
    const int64_t *size = in->grid.size;
    const int64_t shape[4] = {1, size[0], size[1], size[2]};
    enum hf_status st = HF_OK;
    for (int i = 0; st == HF_OK && i < MASKS; i++)
        st = hf_tensor_new(s, HF_U8, 4, shape, &ret[i], e);
    return st;
}

/** The masks: new references in `masks`. */
static enum hf_status mark(const struct hf_stage *s, const struct hf_sample *in,
                           const struct hf_tensor *annotation, struct hf_tensor *masks[MASKS],
                           struct hf_error *e) {
    struct hf_tensor *table = NULL;
    enum hf_status st = marks_new(s, in, annotation, &table, e);
    if (st == HF_OK)
        st = to_device(s, &table, e);
    if (st == HF_OK)
        st = masks_new(s, in, masks, e);
    if (st == HF_OK) {
        struct hf_op_call call = {
            .in = {hf_sample_get(in, "couinaud"), hf_sample_get(in, "liver"), table},
            .out = {masks[MASK_SEGMENTS], masks[MASK_CLEAN], masks[MASK_KNOWN]},
            .inputs = 3,
            .outputs = MASKS};
        st = hf_launch(s, "couinaud_mask.mark", &call, e);
    }
    s->host->tensor_unref(table);
    return st;
}

/** Grows M by `dilate` mm; per slice it stays in the slice. */
static enum hf_status grow(const struct hf_stage *s, const struct hf_sample *in,
                           struct hf_tensor *masks[MASKS], struct hf_error *e) {
    const struct options *o = s->options;
    const double apart = 1e9; /* mm between slices, where they have nothing to do with each other */
    struct hf_tensor *distance = NULL, *grown[MASKS] = {NULL};
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, masks[MASK_SEGMENTS]->shape, &distance, e);
    if (st == HF_OK)
        st = masks_new(s, in, grown, e);
    struct hf_distance_params space;
    geometry_spacing(&in->grid, space.spacing);
    if (o->per == PER_SLICE)
        space.spacing[0] = apart;
    struct hf_op_call measure = {.in = {masks[MASK_SEGMENTS]},
                                 .out = {distance},
                                 .inputs = 1,
                                 .outputs = 1,
                                 .params = &space,
                                 .params_size = sizeof space};
    if (st == HF_OK)
        st = hf_launch(s, "distance", &measure, e);
    struct grow_params reach = {(float)o->dilate};
    struct hf_op_call call = {
        .in = {distance, hf_sample_get(in, "liver"), masks[MASK_CLEAN], masks[MASK_KNOWN]},
        .out = {grown[MASK_SEGMENTS], grown[MASK_CLEAN], grown[MASK_KNOWN]},
        .inputs = 4,
        .outputs = MASKS,
        .params = &reach,
        .params_size = sizeof reach};
    if (st == HF_OK)
        st = hf_launch(s, "couinaud_mask.grow", &call, e);
    s->host->tensor_unref(distance);
    if (st != HF_OK) {
        release(s, grown);
        return st;
    }
    release(s, masks);
    for (int i = 0; i < MASKS; i++)
        masks[i] = grown[i];
    return HF_OK;
}

/** The annotation to go by, on the host: a new reference. */
static enum hf_status annotation_of(const struct hf_stage *s, const struct hf_sample *in,
                                    struct hf_tensor **ret, struct hf_error *e) {
    const struct options *o = s->options;
    if (o->labels == LABELS_DERIVED)
        return derive(s, in, ret, e);
    struct hf_tensor *t = hf_sample_get(in, "annotation");
    if (!t)
        return rows_new(s, 1, ENTRIES, ret, e);
    if (t->dtype != HF_U8 || t->dl.ndim != 2 || t->shape[0] < 1 || t->shape[1] != ENTRIES)
        return hf_fail(e, HF_INVALID, "the annotation is not u8 [rows,%d]", ENTRIES);
    return hf_tensor_read(s, t, ret, e);
}

/** Adds `couinaud_map`. */
static enum hf_status add_map(const struct hf_stage *s, const struct hf_sample *in,
                              struct hf_sample *out, struct hf_error *e) {
    const struct options *o = s->options;
    const int64_t *size = in->grid.size;
    const int64_t shape[4] = {o->map == MAP_ONEHOT ? MAP_SEGMENTS : 1, size[0], size[1], size[2]};
    struct hf_tensor *map = NULL;
    enum hf_status st = hf_tensor_new(s, HF_F32, 4, shape, &map, e);
    struct hf_op_call call = {
        .in = {hf_sample_get(in, "couinaud")}, .out = {map}, .inputs = 1, .outputs = 1};
    if (st == HF_OK)
        st = hf_launch(s, "couinaud_mask.map", &call, e);
    if (st == HF_OK)
        return hf_sample_set(s, out, "couinaud_map", map, e);
    s->host->tensor_unref(map);
    return st;
}

static const char *const mask_names[MASKS] = {"segments", "clean", "known"};

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *annotation = NULL, *before = NULL, *masks[MASKS] = {NULL};
    struct hf_sample *out = NULL;
    enum hf_status st = annotation_of(s, in, &annotation, e);
    if (st == HF_OK && is_noisy(o)) {
        before = annotation;
        annotation = NULL;
        st = err(s, in, before, &annotation, e);
    }
    if (st == HF_OK)
        st = mark(s, in, annotation, masks, e);
    if (st == HF_OK && o->dilate > 0)
        st = grow(s, in, masks, e);
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, NULL, &out, e);
    if (st == HF_OK) {
        st = s->host->sample_set(out, "annotation", HF_ON_HOST, annotation, e);
        annotation = NULL;
    }
    if (st == HF_OK && before) {
        st = s->host->sample_set(out, "annotation_true", HF_ON_HOST, before, e);
        before = NULL;
    }
    for (int i = 0; st == HF_OK && i < MASKS; i++) {
        st = hf_sample_set(s, out, mask_names[i], masks[i], e);
        masks[i] = NULL;
    }
    if (st == HF_OK && o->map != MAP_NONE)
        st = add_map(s, in, out, e);
    release(s, masks);
    s->host->tensor_unref(annotation);
    s->host->tensor_unref(before);
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    (void)e;
    int derived = o->labels == LABELS_DERIVED;
    const char *from = derived ? "couinaud liver ~tumor" : "couinaud liver annotation";
    io->read(io, "couinaud", HF_U8, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    if (derived)
        io->read(io, "tumor", HF_U8, HF_ON_GRID, 0);
    else
        io->read(io, "annotation", HF_U8, HF_ON_HOST, 0);
    const char *known = derived ? "couinaud ~tumor" : "annotation";
    const char *noisy = derived ? "couinaud ~tumor" : "annotation couinaud";
    io->write(io, "annotation", HF_U8, HF_ON_HOST, 1, is_noisy(o) ? noisy : known);
    if (is_noisy(o))
        io->write(io, "annotation_true", HF_U8, HF_ON_HOST, 1, known);
    for (int i = 0; i < MASKS; i++)
        io->write(io, mask_names[i], HF_U8, HF_ON_GRID, 1, from);
    if (o->map != MAP_NONE)
        io->write(io, "couinaud_map", HF_F32, HF_ON_GRID, o->map == MAP_ONEHOT ? MAP_SEGMENTS : 1,
                  "couinaud");
    return HF_OK;
}

#define AT(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "labels",
     .type = HF_OPTION_ENUM,
     .offset = AT(labels),
     .initial = "given",
     .choices = "given|derived",
     .help = "`given`: the manifest's annotation; `derived`: simulated from the tumor masks."},
    {.name = "per",
     .type = HF_OPTION_ENUM,
     .offset = AT(per),
     .initial = "volume",
     .choices = "volume|slice",
     .help = "Whether the annotation names segments of the volume or of each slice."},
    {.name = "min_volume",
     .type = HF_OPTION_REAL,
     .offset = AT(min_volume),
     .initial = "0.2 ml",
     .unit = "ml",
     .min = 0,
     .max = 1000,
     .help = "Derived per volume: the least tumor that makes an annotator name a segment."},
    {.name = "min_area",
     .type = HF_OPTION_REAL,
     .offset = AT(min_area),
     .initial = "5 mm2",
     .unit = "mm2",
     .min = 0,
     .max = 1e5,
     .help = "Derived per slice: the same in a slice; 10 px of a CT of 512 x 512 are about 5 mm2."},
    {.name = "dilate",
     .type = HF_OPTION_REAL,
     .offset = AT(dilate),
     .initial = "0 mm",
     .unit = "mm",
     .min = 0,
     .max = 100,
     .help = "Grows M within the liver, for borders of the map that are not exact."},
    {.name = "drop",
     .type = HF_OPTION_REAL,
     .offset = AT(noise.drop),
     .initial = "0",
     .min = 0,
     .max = 1,
     .help = "Noise: how likely a label is forgotten."},
    {.name = "add",
     .type = HF_OPTION_REAL,
     .offset = AT(noise.add),
     .initial = "0",
     .min = 0,
     .max = 1,
     .help = "Noise: how likely a segment without a label gets one."},
    {.name = "swap",
     .type = HF_OPTION_REAL,
     .offset = AT(noise.swap),
     .initial = "0",
     .min = 0,
     .max = 1,
     .help = "Noise: how likely a label goes to a segment that touches its own in the map."},
    {.name = "map",
     .type = HF_OPTION_ENUM,
     .offset = AT(map),
     .initial = "none",
     .choices = "none|scaled|onehot",
     .help = "Also write `couinaud_map` for networks: the segment's number over 8, or 8 channels."},
    {.name = NULL}};

static const char *const ops_used[] = {"distance",           "couinaud_mask.mark",
                                       "couinaud_mask.grow", "couinaud_mask.count",
                                       "couinaud_mask.map",  NULL};

static const struct hf_stage_class couinaud_mask = {
    .name = "couinaud_mask",
    .help =
        "Makes the masks of the annotated Couinaud segments, the clean ones, and what is known.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&couinaud_mask, NULL};
static const struct hf_op *const ops[] = {&couinaud_mask_mark_cpu, &couinaud_mask_grow_cpu,
                                          &couinaud_mask_count_cpu, &couinaud_mask_map_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "couinaud_mask",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
