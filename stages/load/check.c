/**
 * check.c - sanity of geometry and masks. Files with lost or mirrored headers are common, and what
 * is computed from them looks plausible.
 */
#include "check.h"

#include <math.h>

enum hf_status hf_check_label_grid(const struct hf_nifti *image, const struct hf_nifti *label,
                                   struct hf_error *e) {
    const struct hf_grid *a = &image->header.grid, *b = &label->header.grid;
    double sa[3], sb[3];
    hf_grid_spacing(a, sa);
    hf_grid_spacing(b, sb);
    if (memcmp(a->size, b->size, sizeof a->size) == 0)
        for (int i = 0; i < 3; i++)
            if (fabs(sa[i] - sb[i]) > 0.05 * sa[i])
                return hf_fail(e, HF_INVALID,
                               "%s: as many voxels as the image (%lld x %lld x %lld), but of %g x "
                               "%g x %g mm where the image's have %g x %g x %g mm: its header has "
                               "lost the geometry; restore it, or name its orientation in "
                               "`overrides`",
                               label->name, (long long)b->size[2], (long long)b->size[1],
                               (long long)b->size[0], sb[0], sb[1], sb[2], sa[0], sa[1], sa[2]);
    double overlap = hf_grid_overlap(&image->canonical, &label->canonical);
    if (overlap >= 0.5)
        return HF_OK;
    double la[3], ha[3], lb[3], hb[3];
    hf_grid_box(&image->canonical, la, ha);
    hf_grid_box(&label->canonical, lb, hb);
    return hf_fail(
        e, HF_INVALID,
        "%s: lies elsewhere than the image (%.0f%% of the smaller box in common): x %.0f "
        "to %.0f, y %.0f to %.0f, z %.0f to %.0f mm; the image's x %.0f to %.0f, y %.0f "
        "to %.0f, z %.0f to %.0f mm; is it of another scan?",
        label->name, 100 * overlap, lb[0], hb[0], lb[1], hb[1], lb[2], hb[2], la[0], ha[0], la[1],
        ha[1], la[2], ha[2]);
}

void hf_check_image(const struct hf_nifti *image, struct hf_notes *notes) {
    double s[3];
    hf_grid_spacing(&image->header.grid, s);
    const int64_t *n = image->header.grid.size;
    if (s[0] == 1 && s[1] == 1 && s[2] == 1 && n[2] >= 512 && n[1] >= 512) {
        hf_note(notes,
                "%s: %lld x %lld voxels of 1 x 1 x 1 mm: its header has probably lost the spacing",
                image->name, (long long)n[2], (long long)n[1]);
        return;
    }
    for (int a = 0; a < 3; a++) {
        double extent = s[a] * (double)hf_grid_extent(&image->header.grid, a);
        if (s[a] >= 0.1 && s[a] <= 20 && extent <= 3000)
            continue;
        hf_note(notes,
                "%s: steps of %g x %g x %g mm, %lld x %lld x %lld of them: no scanner's; is its "
                "header in mm?",
                image->name, s[0], s[1], s[2], (long long)n[2], (long long)n[1], (long long)n[0]);
        return;
    }
}

static int64_t count_set(const uint8_t *v, int64_t n) {
    int64_t set = 0;
    for (int64_t i = 0; i < n; i++)
        set += v[i] != 0;
    return set;
}

static double voxel_mm3(const struct hf_grid *g) {
    double s[3];
    hf_grid_spacing(g, s);
    return s[0] * s[1] * s[2];
}

void hf_check_inside(const struct hf_grid *from, const uint8_t *in, const struct hf_grid *to,
                     const uint8_t *out, const char *name, struct hf_notes *notes) {
    double before = (double)count_set(in, hf_grid_count(from)) * voxel_mm3(from);
    double after = (double)count_set(out, hf_grid_count(to)) * voxel_mm3(to);
    if (before > 0 && after < 0.9 * before)
        hf_note(notes, "%s: %.0f%% of it lies outside the image", name,
                100 * (before - after) / before);
}

void hf_check_tissue(const struct hf_grid *grid, const float *image, const uint8_t *liver,
                     struct hf_notes *notes) {
    int64_t n = hf_grid_count(grid), set = 0, air = 0;
    for (int64_t i = 0; i < n; i++) {
        set += liver[i] != 0;
        air += liver[i] != 0 && image[i] < -300.0f;
    }
    if (2 * air > set)
        hf_note(notes,
                "%.0f%% of the liver is air (below -300 HU): mask and image do not fit, or the "
                "image is not in HU",
                100 * (double)air / (double)set);
}

/** Mean index along an axis (0: x) of the voxels of two segments; -1: there are none. */
static double mean_index(const double sum[9], const int64_t count[9], int a, int b) {
    int64_t n = count[a] + count[b];
    return n > 0 ? (sum[a] + sum[b]) / (double)n : -1;
}

void hf_check_order(const struct hf_grid *grid, const uint8_t *couinaud, struct hf_notes *notes) {
    double x[9] = {0}, z[9] = {0}, spacing[3];
    int64_t count[9] = {0}, width = grid->size[2], rows = grid->size[0] * grid->size[1];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < width; i++) {
            uint8_t k = couinaud[r * width + i];
            if (k == 0 || k > 8)
                continue;
            count[k]++;
            x[k] += (double)i;
            z[k] += (double)(r / grid->size[1]);
        }
    hf_grid_spacing(grid, spacing);
    double left = mean_index(x, count, 2, 3), right = mean_index(x, count, 6, 7);
    if (left >= 0 && right >= 0 && (left - right) * spacing[0] > 10)
        hf_note(notes,
                "in the Couinaud map the segments 2 and 3 lie to the right of 6 and 7: the header "
                "probably mirrors left and right");
    double low = mean_index(z, count, 5, 6), high = mean_index(z, count, 7, 8);
    if (low >= 0 && high >= 0 && (low - high) * spacing[2] > 10)
        hf_note(notes,
                "in the Couinaud map the segments 7 and 8 lie below 5 and 6: the header probably "
                "turns the image upside down");
}

void hf_check_side(const struct hf_grid *grid, const float *image, const uint8_t *liver,
                   struct hf_notes *notes) {
    int64_t width = grid->size[2], rows = grid->size[0] * grid->size[1];
    int64_t body = 0, mass = 0;
    double body_x = 0, liver_x = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t in_body = 0, sum_body = 0, in_liver = 0, sum_liver = 0;
        for (int64_t x = 0; x < width; x++) {
            int64_t b = image[r * width + x] > -300.0f, l = liver[r * width + x] != 0;
            in_body += b;
            sum_body += b * x;
            in_liver += l;
            sum_liver += l * x;
        }
        body += in_body;
        mass += in_liver;
        body_x += (double)sum_body;
        liver_x += (double)sum_liver;
    }
    if (body == 0 || mass == 0)
        return;
    double spacing[3];
    hf_grid_spacing(grid, spacing);
    double left = (body_x / (double)body - liver_x / (double)mass) * spacing[0];
    if (left > 10)
        hf_note(notes,
                "the liver lies %.0f mm to the left of the body's middle: the header probably "
                "mirrors left and right",
                left);
}

void hf_check_agreement(const struct hf_grid *grid, const uint8_t *liver, const uint8_t *couinaud,
                        struct hf_notes *notes) {
    int64_t count = hf_grid_count(grid), a = 0, b = 0, both = 0;
    for (int64_t i = 0; i < count; i++) {
        a += liver[i] != 0;
        b += couinaud[i] != 0;
        both += liver[i] != 0 && couinaud[i] != 0;
    }
    double dice = a + b > 0 ? 2.0 * (double)both / (double)(a + b) : 1.0;
    if (dice < 0.8)
        hf_note(notes,
                "the Couinaud map and the liver mask agree with a Dice of %.2f only: one of them "
                "may be mirrored or of another scan",
                dice);
}

void hf_check_annotation(const struct hf_grid *grid, const uint8_t *couinaud, const uint8_t *rows,
                         int64_t count, struct hf_notes *notes) {
    int64_t voxels = hf_grid_count(grid);
    int mapped[9] = {0};
    for (int64_t i = 0; i < voxels; i++)
        if (couinaud[i] <= 8)
            mapped[couinaud[i]] = 1;
    for (int k = 1; k <= 8; k++) {
        int named = 0;
        for (int64_t r = 0; r < count; r++)
            named |= rows[r * 9] && rows[r * 9 + k];
        if (named && !mapped[k])
            hf_note(notes,
                    "the annotation names segment %d, which the Couinaud map lacks: check both", k);
    }
}

enum hf_status hf_check_mask(uint8_t *mask, int64_t count, int lits, int only_tumor,
                             const char *name, int64_t *ret_set, struct hf_error *e) {
    int64_t seen[256] = {0};
    for (int64_t i = 0; i < count; i++)
        seen[mask[i]]++;
    int largest = 255;
    while (largest > 0 && seen[largest] == 0)
        largest--;
    int bright = seen[0] + seen[255] == count;
    if (!bright && largest == 2 && !lits)
        return hf_fail(e, HF_INVALID,
                       "%s: holds the value 2; expected a mask of 0 and 1 (a file of 1 liver, 2 "
                       "tumor must stand in both columns, liver and tumor)",
                       name);
    if (!bright && largest > 2)
        return hf_fail(e, HF_INVALID, "%s: holds the value %d; expected a mask of 0 and 1%s", name,
                       largest, lits ? ", or of 1 liver, 2 tumor" : "");
    int64_t set = 0;
    for (int64_t i = 0; i < count; i++) {
        mask[i] = only_tumor ? mask[i] == 2 : mask[i] != 0;
        set += mask[i];
    }
    *ret_set = set;
    return HF_OK;
}

enum hf_status hf_check_values(uint8_t *labels, int64_t count, const struct hf_values *values,
                               const char *name, int64_t *ret_set, struct hf_error *e) {
    int64_t set = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = labels[i] > largest ? labels[i] : largest;
        labels[i] = values->to[labels[i]];
        set += labels[i] != 0;
    }
    if (largest > values->largest)
        return hf_fail(e, HF_INVALID, "%s: holds the value %d; expected labels 0 to %d", name,
                       (int)largest, (int)values->largest);
    *ret_set = set;
    return HF_OK;
}
