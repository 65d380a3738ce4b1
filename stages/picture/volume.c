/**
 * volume.c - a volume for the report's viewer: a sheet of slices for each field, which lie over
 * each other, and what is known of them.
 */
#include <math.h>
#include <stdlib.h>

#include "picture.h"
#include "sheet.h"

/* The slices that are shown: all that have liver, or as many as may be, evenly spaced, and `best`
 * among them. */
struct slices {
    int64_t at[1024];
    int32_t count, start;
};

static void choose(const struct picture *p, int64_t best, struct slices *ret) {
    const struct hf_tensor *liver = picture_get(p, "liver");
    int64_t first = -1, last = -1, most = p->o->volume_slices;
    for (int64_t d = 0; d < liver->shape[1]; d++)
        if (picture_area(liver, d) > 0) {
            first = first < 0 ? d : first;
            last = d;
        }
    first = first < 0 || best < first ? best : first;
    last = last < best ? best : last;
    int64_t all = last - first + 1;
    ret->count = (int32_t)(all < most ? all : most);
    ret->start = 0;
    for (int32_t i = 0; i < ret->count; i++) {
        ret->at[i] = first + (ret->count > 1 ? i * (all - 1) / (ret->count - 1) : 0);
        if (llabs(ret->at[i] - best) < llabs(ret->at[ret->start] - best))
            ret->start = i;
    }
    ret->at[ret->start] = best;
}

static void add_look(const struct sheet *s, const struct panel *panel, struct text *json) {
    text_add(json, "\"look\":\"%s\"", sheet_look(s->kind));
    if (s->kind == PANEL_MASK)
        text_add(json, ",\"colour\":\"#%02x%02x%02x\"", panel->colour[0], panel->colour[1],
                 panel->colour[2]);
}

/* Where a mask is worth a look. */
static void add_areas(const struct hf_tensor *t, const struct slices *slices, struct text *json) {
    text_add(json, ",\"area\":[");
    for (int32_t i = 0; i < slices->count; i++)
        text_add(json, "%s%lld", i ? "," : "", (long long)picture_area(t, slices->at[i]));
    text_add(json, "]");
}

static enum hf_status write_sheet(const struct picture *p, const struct sheet *sheet,
                                  const char *folder, const char *name, struct hf_error *e) {
    char path[4096];
    void *png = NULL;
    size_t size = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return hf_fail(e, HF_IO, "the path %.200s... is too long", path);
    enum hf_status st = sheet_encode(sheet, &png, &size, e);
    if (st == HF_OK)
        st = p->s->host->write_file(path, png, size, e);
    free(png);
    return st;
}

static enum hf_status add_layer(const struct picture *p, const char *field,
                                const struct slices *slices, const int32_t size[2],
                                const char *folder, struct text *json, struct hf_error *e) {
    char id[FILENAME_BYTES], of_field[FILENAME_BYTES], name[2 * FILENAME_BYTES + 64];
    struct sheet sheet;
    struct panel panel;
    picture_panel(p, field, slices->at[0], &panel);
    enum hf_status st = sheet_init(&sheet, panel.kind, size[1], size[0], slices->count, e);
    if (st != HF_OK)
        return st;
    for (int32_t i = 0; i < slices->count; i++) {
        picture_panel(p, field, slices->at[i], &panel);
        sheet_draw(&sheet, i, &panel);
    }
    filename_of(p->sample->id, 1, id);
    filename_of(field, 1, of_field);
    (void)snprintf(name, sizeof name, "%lld-%s-%s.png", (long long)p->number, id, of_field);
    st = write_sheet(p, &sheet, folder, name, e);
    text_add(json, "{\"field\":\"");
    text_json(json, field);
    text_add(json, "\",");
    add_look(&sheet, &panel, json);
    text_add(json, ",\"on\":%s,\"file\":\"", picture_shown(p, field) ? "true" : "false");
    text_json(json, p->s->name);
    text_add(json, "/%s\"", name);
    if (sheet.kind == PANEL_MASK)
        add_areas(picture_get(p, field), slices, json);
    text_add(json, "}");
    sheet_clear(&sheet);
    return st;
}

/* The pixels of a slice: its voxels, or fewer where there are too many. */
static void find_size(const struct picture *p, int32_t ret[2]) {
    double h = (double)(p->crop.h1 - p->crop.h0), w = (double)(p->crop.w1 - p->crop.w0);
    double scale = fmin(1, (double)p->o->volume_side / fmax(h, w));
    ret[0] = (int32_t)fmax(1, round(h * scale));
    ret[1] = (int32_t)fmax(1, round(w * scale));
}

enum hf_status volume_show(const struct picture *p, int64_t best, const char *folder,
                           struct text *json, struct hf_error *e) {
    static const char *const outlines[] = {"liver", "tumor"};
    struct slices slices;
    int32_t size[2];
    choose(p, best, &slices);
    find_size(p, size);
    text_add(json, "{\"case\":\"");
    text_json(json, p->sample->case_id);
    text_add(json,
             "\",\"depth\":%lld,\"start\":%d,\"width\":%d,\"height\":%d,\"columns\":%d,"
             "\"shape\":%.6g,\"slices\":[",
             (long long)p->sample->grid.size[0], slices.start, size[1], size[0],
             sheet_columns(slices.count),
             (double)(p->crop.w1 - p->crop.w0) * p->mm[1] /
                 ((double)(p->crop.h1 - p->crop.h0) * p->mm[0]));
    for (int32_t i = 0; i < slices.count; i++)
        text_add(json, "%s%lld", i ? "," : "", (long long)slices.at[i] + 1);
    text_add(json, "],\"layers\":[");
    enum hf_status st = HF_OK;
    int32_t layers = 0;
    for (int32_t i = 0; i < p->panels && st == HF_OK; i++) {
        text_add(json, "%s", layers++ ? ",\n" : "\n");
        st = add_layer(p, p->panel[i], &slices, size, folder, json, e);
    }
    /* What the panels only outline. */
    for (int k = 0; k < 2 && st == HF_OK; k++) {
        int listed = !picture_get(p, outlines[k]);
        for (int32_t i = 0; i < p->panels; i++)
            listed |= strcmp(p->panel[i], outlines[k]) == 0;
        if (listed)
            continue;
        text_add(json, "%s", layers++ ? ",\n" : "\n");
        st = add_layer(p, outlines[k], &slices, size, folder, json, e);
    }
    text_add(json, "]}");
    return st;
}
