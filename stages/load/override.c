/**
 * override.c - reads overrides of geometry, and applies them to grids.
 */
#include "override.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum hf_status parse_spacing(const struct hf_csv *csv, const struct hf_csv_entry *entry,
                                    double ret[3]) {
    const char *at = entry->text;
    for (int i = 0; i < 3; i++) {
        char *end;
        ret[i] = strtod(at, &end);
        while (*end == ' ')
            end++;
        if (end == at || !(ret[i] >= 0.01 && ret[i] <= 100) || *end != (i < 2 ? ';' : '\0'))
            return hf_csv_fail(csv, entry->column,
                               "spacing '%.40s'; expected three lengths in mm along the stored "
                               "axes, as in 0.7;0.7;1.5",
                               entry->text);
        at = end + 1;
    }
    return HF_OK;
}

/** The axis of the world that a letter stands for, and whether the letter is its low end; -1. */
static int axis_of(char letter, int *ret_low) {
    static const char high[] = "RAS", low[] = "LPI";
    for (int i = 0; i < 3; i++)
        if (letter == high[i] || letter == low[i]) {
            *ret_low = letter == low[i];
            return i;
        }
    return -1;
}

static enum hf_status parse_orientation(const struct hf_csv *csv, const struct hf_csv_entry *entry,
                                        char ret[4]) {
    int seen = 0, low;
    for (int i = 0; i < 3 && entry->text[i]; i++) {
        int axis = axis_of(entry->text[i], &low);
        seen |= axis >= 0 ? 1 << axis : 0;
        ret[i] = entry->text[i];
    }
    ret[3] = '\0';
    if (seen == 7 && strlen(entry->text) == 3)
        return HF_OK;
    return hf_csv_fail(csv, entry->column,
                       "orientation '%.40s'; expected one letter of each pair R L, A P, S I: where "
                       "the stored axes run to, as in LPS",
                       entry->text);
}

static enum hf_status parse_flip(const struct hf_csv *csv, const struct hf_csv_entry *entry,
                                 uint8_t ret[3]) {
    for (const char *at = entry->text;; at += 2) {
        if (*at < 'x' || *at > 'z' || (at[1] && at[1] != ';'))
            return hf_csv_fail(csv, entry->column,
                               "flip '%.40s'; expected x (left and right), y (front and back) or z "
                               "(head and foot), as in x or x;z",
                               entry->text);
        ret[*at - 'x'] = 1;
        if (!at[1])
            return HF_OK;
    }
}

enum hf_status hf_override_parse(const struct hf_csv *csv, const struct hf_csv_entry *spacing,
                                 const struct hf_csv_entry *orientation,
                                 const struct hf_csv_entry *flip, struct hf_override *ret) {
    struct hf_override o;
    enum hf_status st = HF_OK;
    memset(&o, 0, sizeof o);
    if (spacing->text[0])
        st = parse_spacing(csv, spacing, o.spacing);
    if (st == HF_OK && orientation->text[0])
        st = parse_orientation(csv, orientation, o.orientation);
    if (st == HF_OK && flip->text[0])
        st = parse_flip(csv, flip, o.flip);
    if (st == HF_OK)
        *ret = o;
    return st;
}

static void centre(const struct hf_grid *g, double ret_world[3]) {
    double index[3];
    for (int i = 0; i < 3; i++)
        index[i] = 0.5 * (double)(hf_grid_extent(g, i) - 1);
    hf_grid_world(g, index, ret_world);
}

static void move_centre(struct hf_grid *g, const double to[3]) {
    double at[3];
    centre(g, at);
    for (int r = 0; r < 3; r++)
        g->affine[r][3] += to[r] - at[r];
}

void hf_override_apply(const struct hf_override *o, struct hf_grid *grid) {
    double middle[3], length[3];
    centre(grid, middle);
    hf_grid_spacing(grid, length);
    for (int c = 0; c < 3; c++) {
        double wanted = o->spacing[c] > 0 ? o->spacing[c] : length[c];
        int low = 0, axis = o->orientation[0] ? axis_of(o->orientation[c], &low) : -1;
        for (int r = 0; r < 3; r++)
            if (axis >= 0)
                grid->affine[r][c] = r != axis ? 0 : low ? -wanted : wanted;
            else
                grid->affine[r][c] *= wanted / length[c];
    }
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3 && o->flip[r]; c++)
            grid->affine[r][c] = -grid->affine[r][c];
    move_centre(grid, middle);
}

void hf_override_apply_label(const struct hf_override *o, const struct hf_grid *image,
                             struct hf_grid *grid) {
    struct hf_turn turn;
    struct hf_grid canonical, canonical_image;
    double spacing[3], middle[3];
    hf_override_apply(o, grid);
    hf_grid_canonical(grid, &turn, &canonical);
    hf_grid_canonical(image, &(struct hf_turn){{0}, {0}}, &canonical_image);
    if (memcmp(canonical.size, canonical_image.size, sizeof canonical.size) != 0)
        return;
    hf_grid_spacing(&canonical_image, spacing);
    if (!(o->spacing[0] > 0)) {
        struct hf_override as_image = {.spacing = {0}};
        for (int a = 0; a < 3; a++)
            as_image.spacing[turn.axis[a]] = spacing[a];
        hf_override_apply(&as_image, grid);
    }
    centre(image, middle);
    move_centre(grid, middle);
}

void hf_override_text(const struct hf_override *o, char *ret, size_t size) {
    int used = 0;
    ret[0] = '\0';
    if (o->spacing[0] > 0)
        used = snprintf(ret, size, "spacing %g x %g x %g mm", o->spacing[0], o->spacing[1],
                        o->spacing[2]);
    if (o->orientation[0])
        used += snprintf(ret + used, size - (size_t)used, "%sorientation %s", used ? ", " : "",
                         o->orientation);
    for (int r = 0; r < 3; r++)
        if (o->flip[r])
            used += snprintf(ret + used, size - (size_t)used, "%s%c mirrored", used ? ", " : "",
                             'x' + r);
}
