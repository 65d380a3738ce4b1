/**
 * couinaud_geometry.c - the stage `couinaud_geometry`: a Couinaud map 1..8 for livers that have
 * none, from the shape of the liver (`mask`), from seven landmarks (`landmarks`), or from vessels
 * whose voxels carry the number of the segment that they supply (`vessels`: each liver voxel goes
 * with the nearest). docs/couinaud.md says how far such maps can be trusted.
 */
#include <stdlib.h>

#include <hepaflow/hepaflow.h>

#include "../../stages/geometry/geometry.h"
#include "../../stages/load/csv.h"
#include "ops.h"
#include "planes.h"

enum {
    METHOD_MASK,
    METHOD_LANDMARKS,
    METHOD_VESSELS
};

enum {
    SPACE_RAS,
    SPACE_LPS
};

struct options {
    int32_t method, space;
    const char *landmarks, *vessels, *output;
    double caudate;
};

/* The landmarks of a case; a bit of `known` for each. */
struct landmarks {
    char *case_id;
    uint32_t known;
    double point[POINTS][3];
};

struct state {
    struct landmarks *item;
    int32_t count, capacity;
};

/* ---- landmarks ---- */

static struct landmarks *find(struct state *state, const char *case_id) {
    for (int32_t i = 0; i < state->count; i++)
        if (strcmp(state->item[i].case_id, case_id) == 0)
            return &state->item[i];
    return NULL;
}

static struct landmarks *add(struct state *state, const char *case_id) {
    if (state->count == state->capacity) {
        int32_t more = state->capacity ? 2 * state->capacity : 64;
        struct landmarks *item = realloc(state->item, (size_t)more * sizeof *item);
        if (!item)
            return NULL;
        state->item = item;
        state->capacity = more;
    }
    struct landmarks l = {.case_id = strdup(case_id)};
    if (!l.case_id)
        return NULL;
    state->item[state->count] = l;
    return &state->item[state->count++];
}

enum {
    COLUMN_CASE,
    COLUMN_POINT,
    COLUMN_X,
    COLUMNS = COLUMN_X + 3
};

/** One line: a point of a case. */
static enum hf_status take_line(const struct options *o, struct state *state,
                                const struct hf_csv *csv, const int32_t place[COLUMNS],
                                struct hf_error *e) {
    const struct hf_csv_entry *entry[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        entry[i] = &csv->entry[place[i]];
    int point = 0;
    while (point < POINTS && strcmp(planes_point_name[point], entry[COLUMN_POINT]->text) != 0)
        point++;
    if (point == POINTS)
        return hf_csv_fail(csv, entry[COLUMN_POINT]->column,
                           "there is no landmark '%.64s'; expected ivc_superior, ivc_inferior, "
                           "hepatic_middle, hepatic_right, hepatic_left, portal_right or "
                           "portal_left",
                           entry[COLUMN_POINT]->text);
    struct landmarks *l = find(state, entry[COLUMN_CASE]->text);
    if (!l)
        l = add(state, entry[COLUMN_CASE]->text);
    if (!l)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the landmarks of %d cases",
                       (int)state->count);
    if (l->known >> point & 1)
        return hf_csv_fail(csv, entry[COLUMN_POINT]->column,
                           "landmark %s of case '%.200s' stands twice", planes_point_name[point],
                           l->case_id);
    for (int a = 0; a < 3; a++) {
        const char *text = entry[COLUMN_X + a]->text;
        char *end = NULL;
        double v = strtod(text, &end);
        if (end == text || *end || !(fabs(v) < 1e5))
            return hf_csv_fail(csv, entry[COLUMN_X + a]->column, "'%.64s' is no coordinate in mm",
                               text);
        l->point[point][a] = o->space == SPACE_LPS && a < 2 ? -v : v;
    }
    l->known |= 1u << point;
    return HF_OK;
}

static enum hf_status read_landmarks(struct hf_stage *s, struct hf_error *e) {
    static const char *const names[COLUMNS] = {"case", "point", "x", "y", "z"};
    static const char required[COLUMNS] = {1, 1, 1, 1, 1};
    const struct options *o = s->options;
    struct state *state = s->state;
    void *bytes = NULL;
    size_t size = 0;
    struct hf_csv csv;
    int32_t place[COLUMNS];
    int more = 1;
    enum hf_status st = s->host->file_take(s->host, o->landmarks, &bytes, &size, e);
    if (st != HF_OK)
        return st;
    st = hf_csv_open(bytes, size, o->landmarks, "landmarks", &csv, e);
    if (st == HF_OK) {
        st = hf_csv_header(&csv, names, required, COLUMNS, "case,point,x,y,z", place);
        while (st == HF_OK) {
            st = hf_csv_next(&csv, &more);
            if (st != HF_OK || !more)
                break;
            st = take_line(o, state, &csv, place, e);
        }
        hf_csv_close(&csv);
    }
    s->host->file_free(s->host, bytes);
    return st;
}

static enum hf_status start(struct hf_stage *s, struct hf_error *e) {
    const struct options *o = s->options;
    return o->method == METHOD_LANDMARKS ? read_landmarks(s, e) : HF_OK;
}

static void stop(struct hf_stage *s) {
    struct state *state = s->state;
    for (int32_t i = 0; i < state->count; i++)
        free(state->item[i].case_id);
    free(state->item);
    *state = (struct state){NULL, 0, 0};
}

static enum hf_status from_landmarks(const struct hf_stage *s, const struct hf_sample *in,
                                     struct cut_params *ret, struct hf_error *e) {
    const struct options *o = s->options;
    const struct landmarks *l = find(s->state, in->case_id);
    if (!l)
        return hf_fail(e, HF_INVALID, "%s has no landmarks of case '%s'", o->landmarks,
                       in->case_id);
    for (int k = 0; k < POINTS; k++)
        if (!(l->known >> k & 1))
            return hf_fail(e, HF_INVALID, "%s has no landmark %s of case '%s'", o->landmarks,
                           planes_point_name[k], in->case_id);
    return planes_from_points(l->point, o->caudate, &in->grid, ret, e);
}

/* ---- the shape ---- */

static enum hf_status from_shape(const struct hf_stage *s, const struct hf_sample *in,
                                 struct cut_params *ret, struct hf_error *e) {
    struct hf_tensor *liver = NULL;
    double spacing[3];
    geometry_spacing(&in->grid, spacing);
    enum hf_status st = hf_tensor_read(s, hf_sample_get(in, "liver"), &liver, e);
    if (st != HF_OK)
        return st;
    if (memchr(liver->dl.data, 1, liver->bytes))
        st = planes_from_mask(HF_DATA(uint8_t, liver), in->grid.size, spacing, ret, e);
    else
        st = hf_fail(e, HF_INVALID, "there is no liver voxel to derive segments from");
    s->host->tensor_unref(liver);
    return st;
}

static enum hf_status cut(const struct hf_stage *s, const struct hf_sample *in,
                          const struct cut_params *p, struct hf_tensor *map, struct hf_error *e) {
    struct hf_op_call call = {.in = {hf_sample_get(in, "liver")},
                              .out = {map},
                              .inputs = 1,
                              .outputs = 1,
                              .params = p,
                              .params_size = sizeof *p};
    return hf_launch(s, "couinaud_geometry.cut", &call, e);
}

/* ---- vessels ---- */

/** Whether any vessel has a number. */
static enum hf_status check_vessels(const struct hf_stage *s, struct hf_tensor *labels,
                                    struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *mine = NULL;
    int64_t n = hf_tensor_count(labels), i = 0;
    enum hf_status st = hf_tensor_read(s, labels, &mine, e);
    if (st != HF_OK)
        return st;
    const uint8_t *label = HF_DATA(uint8_t, mine);
    while (i < n && (label[i] < 1 || label[i] > 8))
        i++;
    s->host->tensor_unref(mine);
    return i < n ? HF_OK
                 : hf_fail(e, HF_INVALID,
                           "field '%s' has no vessel voxel with a number from 1 to 8", o->vessels);
}

/** The segment of the nearest labelled vessel voxel, in mm. */
static enum hf_status nearest(const struct hf_stage *s, const struct hf_sample *in,
                              struct hf_tensor *map, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *labels = hf_sample_get(in, o->vessels), *liver = hf_sample_get(in, "liver");
    struct hf_tensor *t[3] = {NULL, NULL, NULL}; /* one segment's vessels, distance, least */
    struct hf_distance_params space;
    geometry_spacing(&in->grid, space.spacing);
    enum hf_status st = check_vessels(s, labels, e);
    for (int i = 0; st == HF_OK && i < 3; i++)
        st = hf_tensor_new(s, i == 0 ? HF_U8 : HF_F32, 4, labels->shape, &t[i], e);
    for (int32_t k = 1; st == HF_OK && k <= 8; k++) {
        struct segment_params p = {k};
        struct hf_op_call pick = {.in = {labels},
                                  .out = {t[0]},
                                  .inputs = 1,
                                  .outputs = 1,
                                  .params = &p,
                                  .params_size = sizeof p};
        struct hf_op_call distance = {.in = {t[0]},
                                      .out = {t[1]},
                                      .inputs = 1,
                                      .outputs = 1,
                                      .params = &space,
                                      .params_size = sizeof space};
        struct hf_op_call nearer = {.in = {liver, t[1]},
                                    .out = {t[2], map},
                                    .inputs = 2,
                                    .outputs = 2,
                                    .params = &p,
                                    .params_size = sizeof p};
        st = hf_launch(s, "couinaud_geometry.pick", &pick, e);
        if (st == HF_OK)
            st = hf_launch(s, "distance", &distance, e);
        if (st == HF_OK)
            st = hf_launch(s, "couinaud_geometry.nearer", &nearer, e);
    }
    for (int i = 0; i < 3; i++)
        s->host->tensor_unref(t[i]);
    return st;
}

/* ---- the stage ---- */

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct hf_tensor *map = NULL;
    struct hf_sample *out = NULL;
    struct cut_params planes;
    const int64_t shape[4] = {1, in->grid.size[0], in->grid.size[1], in->grid.size[2]};
    enum hf_status st = hf_tensor_new(s, HF_U8, 4, shape, &map, e);
    if (st == HF_OK && o->method == METHOD_VESSELS)
        st = nearest(s, in, map, e);
    else if (st == HF_OK) {
        st = o->method == METHOD_LANDMARKS ? from_landmarks(s, in, &planes, e)
                                           : from_shape(s, in, &planes, e);
        if (st == HF_OK)
            st = cut(s, in, &planes, map, e);
    }
    if (st == HF_OK)
        st = s->host->sample_derive(s->host, in, NULL, &out, e);
    if (st == HF_OK) {
        st = hf_sample_set(s, out, o->output, map, e);
        map = NULL;
    }
    if (st == HF_OK)
        return hf_emit(s, out, e);
    s->host->tensor_unref(map);
    s->host->sample_unref(out);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    char from[2 * HF_FIELD_NAME + 8];
    if (o->method == METHOD_LANDMARKS && !o->landmarks)
        return hf_fail(e, HF_INVALID,
                       "`method: landmarks` needs the option 'landmarks': a CSV file with the "
                       "columns case,point,x,y,z");
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    (void)snprintf(from, sizeof from, "liver");
    if (o->method == METHOD_VESSELS) {
        io->read(io, o->vessels, HF_U8, HF_ON_GRID, 0);
        (void)snprintf(from, sizeof from, "liver %.31s", o->vessels);
    }
    io->write(io, o->output, HF_U8, HF_ON_GRID, 1, from);
    return HF_OK;
}

#define AT(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "method",
     .type = HF_OPTION_ENUM,
     .offset = AT(method),
     .initial = "mask",
     .choices = "mask|landmarks|vessels",
     .help = "From the liver's shape, from seven landmarks, or by the nearest labelled vessel."},
    {.name = "landmarks",
     .type = HF_OPTION_PATH,
     .offset = AT(landmarks),
     .initial = "~",
     .help = "landmarks: a CSV file with the columns case,point,x,y,z; docs/couinaud.md has the "
             "points."},
    {.name = "space",
     .type = HF_OPTION_ENUM,
     .offset = AT(space),
     .initial = "ras",
     .choices = "ras|lps",
     .help = "landmarks: whether x and y grow to the right and forward, or to the left and back."},
    {.name = "caudate",
     .type = HF_OPTION_REAL,
     .offset = AT(caudate),
     .initial = "25 mm",
     .unit = "mm",
     .min = 1,
     .max = 100,
     .help = "landmarks: how far from the vena cava's axis segment 1 reaches."},
    {.name = "vessels",
     .type = HF_OPTION_STRING,
     .offset = AT(vessels),
     .initial = "couinaud",
     .help = "vessels: the field whose voxels carry the segment that they supply, 0 elsewhere."},
    {.name = "output",
     .type = HF_OPTION_STRING,
     .offset = AT(output),
     .initial = "couinaud",
     .help = "Name of the map that is written."},
    {.name = NULL}};

static const char *const ops_used[] = {"distance", "couinaud_geometry.cut",
                                       "couinaud_geometry.pick", "couinaud_geometry.nearer", NULL};

static const struct hf_stage_class couinaud_geometry = {
    .name = "couinaud_geometry",
    .help = "Derives a Couinaud map from the liver's shape, from landmarks, or from vessels.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .state_size = sizeof(struct state),
    .ops = ops_used,
    .declare = declare,
    .start = start,
    .stop = stop,
    .process = process,
};

static const struct hf_stage_class *const stages[] = {&couinaud_geometry, NULL};
static const struct hf_op *const ops[] = {&couinaud_geometry_cut_cpu, &couinaud_geometry_pick_cpu,
                                          &couinaud_geometry_nearer_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "couinaud_geometry",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
