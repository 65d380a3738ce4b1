/**
 * stage.c - the stage `phantom`: a source of made-up CT cases with true masks. See docs/phantom.md.
 */
#include "phantom.h"

#include <hepaflow/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum split_choice {
    SPLIT_TRAIN,
    SPLIT_TEST,
    SPLIT_ALL
};

struct options {
    int64_t cases;
    int32_t split;
    double test, healthy, test_healthy;
    struct hf_reals tumors, contrast;
    double bright;
    struct hf_reals noise, spacing, slice;
    int32_t orientation;
    double deform, min_volume;
};

struct state {
    char *path[PHANTOM_ANATOMIES];
};

static void params_of(const struct options *o, struct phantom_params *p) {
    *p = (struct phantom_params){
        .cases = o->cases,
        .test = o->test,
        .healthy = o->healthy,
        .test_healthy = o->test_healthy,
        .bright = o->bright,
        .turned = o->orientation == 0,
        .min_volume = o->min_volume,
        .deform = o->deform,
    };
    for (int i = 0; i < 2; i++) {
        p->tumors[i] = (int32_t)o->tumors.value[i];
        p->contrast[i] = o->contrast.value[i];
        p->noise[i] = o->noise.value[i];
        p->spacing[i] = o->spacing.value[i];
        p->slice[i] = o->slice.value[i];
    }
}

/* ---- declare ---- */

static enum hf_status check_range(const char *name, const struct hf_reals *r, struct hf_error *e) {
    if (r->value[0] <= r->value[1])
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "phantom: %s: [%g, %g] runs backwards; the smaller number comes "
                   "first",
                   name, r->value[0], r->value[1]);
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    enum hf_status st = check_range("tumors", &o->tumors, e);
    if (st == HF_OK)
        st = check_range("contrast", &o->contrast, e);
    if (st == HF_OK)
        st = check_range("noise", &o->noise, e);
    if (st == HF_OK)
        st = check_range("spacing", &o->spacing, e);
    if (st == HF_OK)
        st = check_range("slice", &o->slice, e);
    if (st != HF_OK)
        return st;
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, NULL);
    io->write(io, "liver", HF_U8, HF_ON_GRID, 1, NULL);
    io->write(io, "couinaud", HF_U8, HF_ON_GRID, 1, NULL);
    io->write(io, "tumor", HF_U8, HF_ON_GRID, 1, NULL);
    io->write(io, "truth", HF_U8, HF_ON_CANONICAL, 1, NULL);
    io->write(io, "annotation", HF_U8, HF_ON_HOST, 1, NULL);
    return HF_OK;
}

/* ---- the cases ---- */

static void stop(struct hf_stage *s) {
    struct state *state = s->state;
    for (int i = 0; i < PHANTOM_ANATOMIES; i++) {
        free(state->path[i]);
        state->path[i] = NULL;
    }
}

static enum hf_status start(struct hf_stage *s, struct hf_error *e) {
    struct state *state = s->state;
    for (int i = 0; i < PHANTOM_ANATOMIES; i++) {
        const char *name = phantom_anatomy_names[i];
        size_t size = strlen(s->module_dir) + strlen(name) + sizeof "/anatomy/.nii.gz";
        state->path[i] = malloc(size);
        if (!state->path[i])
            return hf_fail(e, HF_NO_MEMORY, "phantom: no memory for %zu bytes", size);
        (void)snprintf(state->path[i], size, "%s/anatomy/%s.nii.gz", s->module_dir, name);
    }
    return HF_OK;
}

static enum hf_status count(struct hf_stage *s, int64_t *ret_count, struct hf_error *e) {
    const struct options *o = s->options;
    struct phantom_params p;
    params_of(o, &p);
    int64_t train = phantom_train_count(&p);
    *ret_count = o->split == SPLIT_ALL ? p.cases : o->split == SPLIT_TEST ? p.cases - train : train;
    if (*ret_count > 0)
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "phantom: of %lld cases, a share of %g of them for tests, none is in split %s",
                   (long long)p.cases, p.test, o->split == SPLIT_TEST ? "test" : "train");
}

static struct phantom_plan plan_of(struct hf_stage *s, int64_t item, struct phantom_params *p) {
    const struct options *o = s->options;
    params_of(o, p);
    return phantom_case_plan(p, s->seed,
                             o->split == SPLIT_TEST ? item + phantom_train_count(p) : item);
}

static int32_t files(struct hf_stage *s, int64_t item, const char **paths, int32_t max) {
    const struct state *state = s->state;
    struct phantom_params p;
    if (max < 1)
        return 0;
    paths[0] = state->path[plan_of(s, item, &p).anatomy];
    return 1;
}

static enum hf_status read_anatomy(struct hf_stage *s, int32_t which, struct phantom_anatomy *ret,
                                   struct hf_error *e) {
    const struct state *state = s->state;
    void *bytes = NULL;
    size_t size = 0;
    enum hf_status st = s->host->file_take(s->host, state->path[which], &bytes, &size, e);
    if (st != HF_OK)
        return st;
    st = phantom_anatomy_read(state->path[which], bytes, size, ret, e);
    s->host->file_free(s->host, bytes);
    return st;
}

static enum hf_status grid_of(struct hf_stage *s, int64_t item, struct hf_grid *ret,
                              struct hf_error *e) {
    struct phantom_params p;
    struct phantom_plan plan = plan_of(s, item, &p);
    struct phantom_anatomy anatomy;
    enum hf_status st = read_anatomy(s, plan.anatomy, &anatomy, e);
    if (st != HF_OK)
        return st;
    *ret = phantom_case_grid(&p, &anatomy, &plan, s->seed);
    phantom_anatomy_free(&anatomy);
    return st;
}

static enum hf_status make(struct hf_stage *s, int64_t item, struct phantom_case *ret,
                           struct hf_error *e) {
    struct phantom_params p;
    struct phantom_plan plan = plan_of(s, item, &p);
    struct phantom_anatomy anatomy;
    enum hf_status st = read_anatomy(s, plan.anatomy, &anatomy, e);
    if (st != HF_OK)
        return st;
    st = phantom_case_make(&p, &anatomy, &plan, s->seed, ret, e);
    phantom_anatomy_free(&anatomy);
    return st;
}

/** Puts a copy of bytes into the sample. */
static enum hf_status put(const struct hf_stage *s, struct hf_sample *sample, const char *field,
                          enum hf_place place, int32_t ndim, const int64_t *shape,
                          const uint8_t *values, struct hf_error *e) {
    struct hf_tensor *t = NULL;
    enum hf_status st = hf_tensor_new_host(s, HF_U8, ndim, shape, &t, e);
    if (st != HF_OK)
        return st;
    memcpy(t->dl.data, values, t->bytes);
    return s->host->sample_set(sample, field, place, t, e);
}

static enum hf_status fill(const struct hf_stage *s, const struct phantom_case *c,
                           struct hf_sample *sample, struct hf_error *e) {
    const struct phantom_grid *g = &c->grid;
    const int64_t shape[4] = {1, g->n[0], g->n[1], g->n[2]}, row[2] = {1, 9};
    struct hf_tensor *image = NULL;
    enum hf_status st = hf_tensor_new_host(s, HF_F32, 4, shape, &image, e);
    if (st != HF_OK)
        return st;
    for (size_t i = 0; i < phantom_count(g); i++)
        HF_DATA(float, image)[i] = (float)c->image[i];
    st = hf_sample_set(s, sample, "image", image, e);
    if (st == HF_OK)
        st = put(s, sample, "liver", HF_ON_GRID, 4, shape, c->liver, e);
    if (st == HF_OK)
        st = put(s, sample, "couinaud", HF_ON_GRID, 4, shape, c->couinaud, e);
    if (st == HF_OK)
        st = put(s, sample, "tumor", HF_ON_GRID, 4, shape, c->tumor, e);
    if (st == HF_OK)
        st = put(s, sample, "truth", HF_ON_CANONICAL, 4, shape, c->tumor, e);
    if (st == HF_OK)
        st = put(s, sample, "annotation", HF_ON_HOST, 2, row, c->annotation, e);
    return st;
}

static enum hf_status open_case(struct hf_stage *s, int64_t item, struct hf_error *e) {
    struct phantom_case c;
    struct hf_sample *sample = NULL;
    enum hf_status st = make(s, item, &c, e);
    if (st != HF_OK)
        return st;
    const char *id = c.plan.id;
    st = s->host->sample_new(s->host, id, id, c.plan.patient, &sample, e);
    if (st == HF_OK) {
        sample->grid = sample->canonical = c.canonical;
        sample->file = c.file;
        st = fill(s, &c, sample, e);
        if (st != HF_OK)
            s->host->sample_unref(sample);
    }
    phantom_case_free(&c);
    return st == HF_OK ? hf_emit(s, sample, e) : st;
}

/* ---- the datasheet ---- */

#define OPTION(member, kind, text)                                                                 \
    .name = #member, .type = HF_OPTION_##kind, .offset = offsetof(struct options, member),         \
    .initial = (text)
#define PAIR .items_min = 2, .items_max = 2

/* clang-format off */
static const struct hf_option options[] = {
    {OPTION(cases, INT, "24"), .min = 1, .max = 999,
     .help = "How many cases there are in all splits together."},
    {OPTION(split, ENUM, "all"), .choices = "train|test|all",
     .help = "The cases of which split; no anatomy is in both."},
    {OPTION(test, REAL, "0.3333"), .min = 0, .max = 1,
     .help = "Share of the cases that are test cases, of anatomies kept for them; 1/3: 8 of 24."},
    {OPTION(healthy, REAL, "0.3"), .min = 0, .max = 1,
     .help = "Share of the training cases without a tumor."},
    {OPTION(test_healthy, REAL, "0"), .min = 0, .max = 1,
     .help = "Share of the test cases without a tumor."},
    {OPTION(tumors, REALS, "[2, 4]"), .min = 1, .max = PHANTOM_TUMORS_MAX, PAIR,
     .help = "Fewest and most tumors in a case that has any."},
    {OPTION(contrast, REALS, "[-50, -15]"), .unit = "HU", .min = -200, .max = 0, PAIR,
     .help = "Range of the contrast of dark tumors to the liver; the middle is the likeliest."},
    {OPTION(bright, REAL, "0.2"), .min = 0, .max = 1,
     .help = "Share of bright tumors among the small ones (below 11 mm radius, not the first)."},
    {OPTION(noise, REALS, "[7, 11]"), .unit = "HU", .min = 0, .max = 200, PAIR,
     .help = "Range of the standard deviation of the noise in voxels of 2 x 2 x 4 mm."},
    {OPTION(spacing, REALS, "[1.6, 2.4]"), .unit = "mm", .min = 1, .max = 6, PAIR,
     .help = "Range of the spacing in the slice."},
    {OPTION(slice, REALS, "[3, 5]"), .unit = "mm", .min = 1, .max = 10, PAIR,
     .help = "Range of the distance of slices."},
    {OPTION(orientation, ENUM, "varied"), .choices = "varied|ras",
     .help = "Orientation of the files that are made of the cases: varied as in practice, or RAS."},
    {OPTION(deform, REAL, "1"), .min = 0, .max = 2,
     .help = "How far anatomies are deformed; 0: as they are."},
    {OPTION(min_volume, REAL, "200"), .unit = "mm3", .min = 0, .max = 1e6,
     .help = "Volume of tumor from which a segment is annotated."},
    {.name = NULL},
};
/* clang-format on */

static const struct hf_stage_class phantom = {
    .name = "phantom",
    .help = "Makes CT cases with liver, Couinaud segments and tumors out of shipped anatomies.",
    .kind = HF_SOURCE,
    .options_size = sizeof(struct options),
    .options = options,
    .state_size = sizeof(struct state),
    .declare = declare,
    .start = start,
    .stop = stop,
    .count = count,
    .open = open_case,
    .files = files,
    .grid_of = grid_of,
};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "phantom",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&phantom, NULL},
};
