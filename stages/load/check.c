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
                               "lost the geometry; restore it",
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
    if (s[0] == 1 && s[1] == 1 && s[2] == 1 && n[2] >= 512 && n[1] >= 512)
        hf_note(notes,
                "%lld x %lld voxels of 1 x 1 x 1 mm: its header has probably lost the spacing",
                (long long)n[2], (long long)n[1]);
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
