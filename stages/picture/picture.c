/**
 * picture.c - the stage `picture`: shows cases in the report, slice by slice, with their fields
 * laid over each other, and as rows of panels, a PNG file each.
 *
 * The rows are the slices of a case in which the reference mask is largest; the report's viewer
 * goes through the volume (volume.c), beginning with the first of them.
 */
#include "picture.h"

#include <math.h>
#include <stdlib.h>

#include "encode.h"

#define MARGIN   8.0 /* mm around the liver */
#define GAP      4   /* pixels between panels */
#define MAX_SIDE 16384

/* How known fields are shown, in the order in which they stand in a row. */
static const struct look {
    const char *field;
    enum panel_kind kind;
    uint8_t colour[3];
    int shown; /* in the report, before anything is switched on */
} looks[] = {
    {"image", PANEL_GREY, {0}, 0},
    {"couinaud", PANEL_LABELS, {0}, 0},
    {"segments", PANEL_MASK, {190, 110, 255}, 0},
    {"clean", PANEL_MASK, {60, 200, 200}, 0},
    {"hole", PANEL_MASK, {190, 110, 255}, 0},
    {"masked", PANEL_GREY, {0}, 0},
    {"healthy", PANEL_GREY, {0}, 0},
    {"lesion", PANEL_HEAT, {0}, 1},
    {"inpainted", PANEL_GREY, {0}, 0},
    {"difference", PANEL_DIFFERENCE, {0}, 0},
    {"score", PANEL_HEAT, {0}, 0},
    {"pseudo", PANEL_MASK, {255, 150, 0}, 1},
    {"predicted", PANEL_HEAT, {0}, 0},
    {"tumor", PANEL_MASK, {40, 230, 90}, 1},
};
#define LOOKS ((int)(sizeof looks / sizeof *looks))

/* Fields that say where it is worth looking, the surest first. */
static const char *const references[] = {"tumor",     "pseudo",   "lesion",
                                         "predicted", "segments", "hole"};
#define REFERENCES ((int)(sizeof references / sizeof *references))

/* ---- fields ---- */

static struct hf_tensor *get(const struct fields *f, const char *name) {
    for (int32_t i = 0; i < f->count; i++)
        if (strcmp(f->name[i], name) == 0)
            return f->tensor[i];
    return NULL;
}

struct hf_tensor *picture_get(const struct picture *p, const char *name) {
    return get(&p->f, name);
}

/* Brings a field to the host, once; absent fields and other grids are passed over. */
static enum hf_status fetch(struct fields *f, const struct hf_sample *sample, const char *name,
                            struct hf_error *e) {
    const struct hf_field *field = hf_sample_find(sample, name);
    if (!field || field->place != HF_ON_GRID || get(f, name))
        return HF_OK;
    enum hf_dtype t = field->tensor->dtype;
    if (t != HF_U8 && t != HF_F32)
        return hf_fail(e, HF_INVALID, "field '%s' is %s; only u8 and f32 can be shown", name,
                       hf_dtype_name(t));
    enum hf_status st = hf_tensor_read(f->s, field->tensor, &f->tensor[f->count], e);
    if (st == HF_OK)
        f->name[f->count++] = name;
    return st;
}

static void fields_clear(struct fields *f) {
    for (int32_t i = 0; i < f->count; i++)
        f->s->host->tensor_unref(f->tensor[i]);
    f->count = 0;
}

static int64_t plane_of(const struct hf_tensor *t) {
    return t->shape[2] * t->shape[3];
}

static int is_set(const struct hf_tensor *t, int64_t i) {
    return t->dtype == HF_U8 ? HF_DATA(uint8_t, t)[i] != 0 : HF_DATA(float, t)[i] > 0.5f;
}

/* ---- choosing slices ---- */

int64_t picture_area(const struct hf_tensor *t, int64_t d) {
    int64_t n = 0, plane = plane_of(t);
    for (int64_t i = d * plane; i < (d + 1) * plane; i++)
        n += is_set(t, i);
    return n;
}

static struct hf_tensor *find_reference(struct picture *p) {
    struct hf_tensor *t = p->o->reference ? get(&p->f, p->o->reference) : NULL;
    for (int i = 0; !t && i < REFERENCES; i++) {
        t = get(&p->f, references[i]);
        int64_t any = 0;
        for (int64_t d = 0; t && d < t->shape[1] && !any; d++)
            any = picture_area(t, d);
        if (!any)
            t = NULL;
    }
    return t ? t : get(&p->f, "liver");
}

/* Up to `slices` slices with the most of the reference, apart from each other; returns how many. */
static int64_t choose_slices(struct picture *p, int64_t *ret) {
    struct hf_tensor *t = find_reference(p);
    int64_t depth = t->shape[1], apart = depth / (2 * p->o->slices), n = 0;
    while (n < p->o->slices) {
        int64_t best = -1, most = n > 0 ? 0 : -1;
        for (int64_t d = 0; d < depth; d++) {
            int near = 0;
            for (int64_t k = 0; k < n; k++)
                near |= llabs(ret[k] - d) <= apart;
            int64_t a = near ? -1 : picture_area(t, d);
            if (a > most) {
                most = a;
                best = d;
            }
        }
        if (best < 0)
            break;
        ret[n++] = best;
    }
    return n;
}

/* ---- one picture ---- */

/* The box of the liver over all slices, so that the pictures of a case are alike. */
static struct crop find_crop(const struct picture *p) {
    const struct hf_tensor *liver = get(&p->f, "liver");
    int64_t h = liver->shape[2], w = liver->shape[3], n = hf_tensor_count(liver);
    struct crop c = {w, h, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        if (!is_set(liver, i))
            continue;
        int64_t x = i % w, y = i / w % h;
        c.w0 = x < c.w0 ? x : c.w0;
        c.h0 = y < c.h0 ? y : c.h0;
        c.w1 = x >= c.w1 ? x + 1 : c.w1;
        c.h1 = y >= c.h1 ? y + 1 : c.h1;
    }
    if (c.w1 == 0)
        return (struct crop){0, 0, w, h};
    int64_t mh = (int64_t)(MARGIN / p->mm[0]), mw = (int64_t)(MARGIN / p->mm[1]);
    c.w0 = c.w0 > mw ? c.w0 - mw : 0;
    c.h0 = c.h0 > mh ? c.h0 - mh : 0;
    c.w1 = c.w1 + mw < w ? c.w1 + mw : w;
    c.h1 = c.h1 + mh < h ? c.h1 + mh : h;
    return c;
}

/* It is outlined in every panel, and none by itself. */
static const struct look liver_look = {"liver", PANEL_MASK, {90, 160, 255}, 0};

/* How a field of that name and type is known to be shown, or NULL. */
static const struct look *look_of(const char *name, enum hf_dtype t) {
    for (int i = 0; i < LOOKS; i++)
        if (strcmp(looks[i].field, name) == 0 &&
            (t == HF_U8) == (looks[i].kind == PANEL_MASK || looks[i].kind == PANEL_LABELS))
            return &looks[i];
    return t == HF_U8 && strcmp(name, liver_look.field) == 0 ? &liver_look : NULL;
}

int picture_shown(const struct picture *p, const char *name) {
    const struct look *look = look_of(name, get(&p->f, name)->dtype);
    return look ? look->shown : get(&p->f, name)->dtype == HF_U8;
}

void picture_panel(const struct picture *p, const char *name, int64_t d, struct panel *ret) {
    const struct hf_tensor *t = get(&p->f, name), *image = get(&p->f, "image");
    const struct hf_tensor *liver = get(&p->f, "liver"), *tumor = get(&p->f, "tumor");
    const struct look *look = look_of(name, t->dtype);
    int64_t at = d * plane_of(t);
    *ret = (struct panel){.kind = t->dtype == HF_U8 ? PANEL_MASK : PANEL_HEAT,
                          .h = t->shape[2],
                          .w = t->shape[3],
                          .crop = p->crop,
                          .image = HF_DATA(float, image) + at,
                          .liver = HF_DATA(uint8_t, liver) + at,
                          .colour = {255, 60, 220},
                          .black = p->black,
                          .white = p->white,
                          .extreme = p->extreme};
    if (t->dtype == HF_U8)
        ret->label = HF_DATA(uint8_t, t) + at;
    else
        ret->value = HF_DATA(float, t) + at;
    if (look) {
        ret->kind = look->kind;
        memcpy(ret->colour, look->colour, sizeof ret->colour);
    }
    if (tumor && t != tumor && t != image)
        ret->truth = HF_DATA(uint8_t, tumor) + at;
}

/* Draws the row of panels of a slice; ret->rgb is freed by the caller. */
static enum hf_status draw_row(const struct picture *p, int64_t d, struct canvas *ret,
                               struct hf_error *e) {
    const struct crop *k = &p->crop;
    int32_t width = (int32_t)p->o->width;
    double ratio = (double)(k->h1 - k->h0) * p->mm[0] / ((double)(k->w1 - k->w0) * p->mm[1]);
    double height = fmin(fmax(round(width * ratio), 1), MAX_SIDE);
    struct canvas c = {NULL, p->panels * (width + GAP) - GAP, (int32_t)height};
    size_t bytes = (size_t)c.width * (size_t)c.height * 3;
    c.rgb = malloc(bytes);
    if (!c.rgb)
        return hf_fail(e, HF_NO_MEMORY, "out of memory for a picture of %d x %d pixels", c.width,
                       c.height);
    memset(c.rgb, 255, bytes);
    for (int32_t i = 0; i < p->panels; i++) {
        struct panel panel;
        picture_panel(p, p->panel[i], d, &panel);
        draw_panel(&panel, &c, i * (width + GAP), width);
    }
    *ret = c;
    return HF_OK;
}

static enum hf_status write_row(const struct picture *p, int64_t d, const char *folder,
                                struct hf_error *e) {
    char id[FILENAME_BYTES], path[4096];
    struct canvas row = {NULL, 0, 0};
    void *png = NULL;
    size_t size = 0;
    filename_of(p->sample->id, 1, id);
    if (snprintf(path, sizeof path, "%s/%s-slice-%lld.png", folder, id, (long long)d + 1) >=
        (int)sizeof path)
        return hf_fail(e, HF_IO, "the path %.200s... is too long", path);
    enum hf_status st = draw_row(p, d, &row, e);
    if (st == HF_OK) {
        const struct pixels pixels = {row.rgb,    row.width, row.height, 3 * row.width,
                                      PIXELS_RGB, NULL,      0};
        st = encode_png(&pixels, &png, &size, e);
    }
    if (st == HF_OK)
        st = p->s->host->write_file(path, png, size, e);
    free(png);
    free(row.rgb);
    return st;
}

/* ---- one sample ---- */

/* What is black, white and full colour, in the units of the image. */
static enum hf_status set_scale(struct picture *p, struct hf_error *e) {
    struct hf_tensor *t = hf_sample_get(p->sample, "window"), *window = NULL;
    p->black = 0;
    p->white = 1;
    p->extreme = 0.15f;
    if (!t)
        return HF_OK;
    enum hf_status st = hf_tensor_read(p->s, t, &window, e);
    if (st != HF_OK)
        return st;
    const float *hu = HF_DATA(float, window);
    if (hf_tensor_count(window) == 2 && hu[1] > hu[0]) {
        float width = hu[1] - hu[0];
        p->black = ((float)p->o->window.value[0] - hu[0]) / width;
        p->white = ((float)p->o->window.value[1] - hu[0]) / width;
        p->extreme = (float)p->o->difference / width;
    }
    p->s->host->tensor_unref(window);
    return HF_OK;
}

static enum hf_status fetch_all(struct picture *p, struct hf_error *e) {
    enum hf_status st = fetch(&p->f, p->sample, "image", e);
    if (st == HF_OK)
        st = fetch(&p->f, p->sample, "liver", e);
    if (st == HF_OK)
        st = fetch(&p->f, p->sample, "tumor", e);
    if (st == HF_OK && p->o->reference)
        st = fetch(&p->f, p->sample, p->o->reference, e);
    for (int32_t i = 0; i < p->o->panels.count && st == HF_OK; i++)
        st = fetch(&p->f, p->sample, p->o->panels.name[i], e);
    for (int i = 0; i < LOOKS && p->o->panels.count == 0 && st == HF_OK; i++)
        st = fetch(&p->f, p->sample, looks[i].field, e);
    p->panels = 0;
    for (int32_t i = 0; i < p->o->panels.count; i++)
        if (get(&p->f, p->o->panels.name[i]))
            p->panel[p->panels++] = p->o->panels.name[i];
    for (int i = 0; i < LOOKS && p->o->panels.count == 0; i++)
        if (get(&p->f, looks[i].field))
            p->panel[p->panels++] = looks[i].field;
    return st;
}

static enum hf_status show_sample(struct hf_stage *s, const struct hf_sample *sample,
                                  int64_t number, const char *folder, struct text *json,
                                  struct hf_error *e) {
    struct picture p = {.s = s, .o = s->options, .sample = sample, .number = number, .f = {.s = s}};
    double spacing[3];
    int64_t slice[64];
    draw_spacing(&sample->grid, spacing);
    p.mm[0] = spacing[1];
    p.mm[1] = spacing[2];
    enum hf_status st = set_scale(&p, e);
    if (st == HF_OK)
        st = fetch_all(&p, e);
    if (st == HF_OK) {
        p.crop = find_crop(&p);
        int64_t n = choose_slices(&p, slice);
        for (int64_t i = 0; i < n && st == HF_OK; i++)
            st = write_row(&p, slice[i], folder, e);
        if (st == HF_OK)
            st = volume_show(&p, slice[0], folder, json, e);
    }
    fields_clear(&p.f);
    return st;
}

static enum hf_status run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct options *o = s->options;
    const struct hf_sample *sample = NULL;
    struct text json = {0};
    char folder[3072];
    int64_t shown = 0;
    text_add(&json, "{\"kind\":\"slices\",\"cases\":[");
    enum hf_status st = s->host->folder(s, s->name, folder, sizeof folder, e);
    while (st == HF_OK) {
        st = s->host->next(in, &sample, e);
        /* The stream is pulled to its end: other sinks may share it. */
        if (st == HF_OK && shown < o->cases) {
            text_add(&json, "%s", shown ? ",\n" : "\n");
            st = show_sample(s, sample, ++shown, folder, &json, e);
            s->host->progress(s, (double)shown, (double)o->cases, (double)NAN);
        }
    }
    if (st == HF_END) {
        text_add(&json, "]}");
        st = json.failed ? hf_fail(e, HF_NO_MEMORY, "out of memory for the report")
             : shown > 0 ? s->host->report(s, s->name, json.bytes, e)
                         : HF_OK;
    }
    free(json.bytes);
    return st;
}

/* Panels are drawn from the sample itself; pictures are no tensors. */
static enum hf_status memory(struct hf_stage *s, const struct hf_memory_query *q,
                             struct hf_memory *ret, struct hf_error *e) {
    (void)s, (void)q, (void)e;
    *ret = (struct hf_memory){0, 0};
    return HF_OK;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    if (!(o->window.value[1] > o->window.value[0]))
        return hf_fail(e, HF_INVALID,
                       "option 'window' is [%g, %g]: the second number must be larger",
                       o->window.value[0], o->window.value[1]);
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    io->read(io, "window", HF_F32, HF_ON_HOST, HF_READ_OPTIONAL);
    for (int32_t i = 0; i < o->panels.count; i++)
        io->read(io, o->panels.name[i], HF_DTYPES, HF_ON_GRID, 0);
    for (int i = 0; i < LOOKS && o->panels.count == 0; i++)
        io->read(io, looks[i].field, HF_DTYPES, HF_ON_GRID, HF_READ_OPTIONAL);
    if (o->reference)
        io->read(io, o->reference, HF_DTYPES, HF_ON_GRID, 0);
    io->read(io, "tumor", HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
    return HF_OK;
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    {.name = "panels",
     .type = HF_OPTION_NAMES,
     .offset = OFFSET(panels),
     .initial = "[]",
     .flags = HF_OPTION_FIELD,
     .help = "Fields that a row shows, from left to right; none: all that are known."},
    {.name = "reference",
     .type = HF_OPTION_STRING,
     .offset = OFFSET(reference),
     .initial = "~",
     .flags = HF_OPTION_FIELD,
     .help = "Slices with the most of this mask are shown; by default tumor, pseudo, lesion, "
             "predicted, segments or hole."},
    {.name = "cases",
     .type = HF_OPTION_INT,
     .offset = OFFSET(cases),
     .initial = "6",
     .min = 1,
     .max = 1000,
     .help = "How many cases are shown at most."},
    {.name = "slices",
     .type = HF_OPTION_INT,
     .offset = OFFSET(slices),
     .initial = "1",
     .min = 1,
     .max = 64,
     .help = "How many slices of each are written as rows of panels."},
    {.name = "width",
     .type = HF_OPTION_INT,
     .offset = OFFSET(width),
     .initial = "240",
     .unit = "px",
     .min = 16,
     .max = 1024,
     .help = "Width of a panel."},
    {.name = "volume_slices",
     .type = HF_OPTION_INT,
     .offset = OFFSET(volume_slices),
     .initial = "64",
     .min = 1,
     .max = 1024,
     .help =
         "How many slices of a case the report's slider goes through at most: those with liver, "
         "or evenly spaced ones of them."},
    {.name = "volume_side",
     .type = HF_OPTION_INT,
     .offset = OFFSET(volume_side),
     .initial = "256",
     .unit = "px",
     .min = 16,
     .max = 1024,
     .help = "The longest side that a slice may have in the report; larger ones are scaled down."},
    {.name = "window",
     .type = HF_OPTION_REALS,
     .offset = OFFSET(window),
     .initial = "[0, 200]",
     .unit = "HU",
     .min = -2000,
     .max = 4000,
     .items_min = 2,
     .items_max = 2,
     .help = "What is black and what is white."},
    {.name = "difference",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(difference),
     .initial = "60 HU",
     .unit = "HU",
     .min = 1,
     .max = 4000,
     .help = "Difference that is shown in full colour."},
    {.name = NULL}};

static const struct hf_stage_class picture = {
    .name = "picture",
    .help = "Shows cases in the report, slice by slice, and writes rows of fields as PNG.",
    .kind = HF_SINK,
    .options_size = sizeof(struct options),
    .options = option_table,
    .declare = declare,
    .run = run,
    .memory = memory,
};

static const struct hf_stage_class *const stages[] = {&picture, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "picture",
    .version = "0.1.0",
    .stages = stages,
};
