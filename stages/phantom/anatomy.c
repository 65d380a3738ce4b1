/**
 * anatomy.c - reads the shipped anatomies: NIfTI-1 in gzip, one byte a voxel, low nibble the
 * Couinaud segment, high nibble the share of vessel in fifteenths.
 */
#include "anatomy.h"

#include <libdeflate.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const phantom_anatomy_names[PHANTOM_ANATOMIES] = {
    "ircadb-03",
    "ircadb-04",
    "ircadb-05",
    "ircadb-07",
    "ircadb-08",
    "ircadb-10",
    "ircadb-11",
    "ircadb-12",
    "ircadb-14",
    "ircadb-15",
    "ircadb-16",
    "ircadb-18",
    "ircadb-20",
    "lits-10",
    "lits-20",
    "lits-48",
    "lits-58",
    /* test cases only */
    "ircadb-02",
    "ircadb-06",
    "ircadb-09",
    "ircadb-13",
    "ircadb-19",
    "lits-16",
    "lits-52",
    "lits-64",
};

enum {
    HEADER = 352,
    LARGEST = 256, /* voxels along an axis; the shipped files stay below 150 */
    REACH = 4      /* voxels that segment labels grow past the liver */
};

/** Replaces `out` by the mean of `in` with its neighbours along one axis, weights 1 2 1. */
static void smooth_axis(const float *in, float *out, const int32_t n[3], int axis) {
    const size_t step[3] = {1, (size_t)n[0], (size_t)n[0] * (size_t)n[1]};
    size_t at = 0;
    for (int32_t z = 0; z < n[2]; z++)
        for (int32_t y = 0; y < n[1]; y++)
            for (int32_t x = 0; x < n[0]; x++, at++) {
                const int32_t p[3] = {x, y, z};
                float lo = p[axis] > 0 ? in[at - step[axis]] : in[at];
                float hi = p[axis] + 1 < n[axis] ? in[at + step[axis]] : in[at];
                out[at] = 0.25f * (lo + hi) + 0.5f * in[at];
            }
}

/** Gives unlabelled voxels the label of a labelled neighbour, once around. */
static void grow_labels(const uint8_t *in, uint8_t *out, const int32_t n[3]) {
    const size_t step[3] = {1, (size_t)n[0], (size_t)n[0] * (size_t)n[1]};
    size_t at = 0;
    for (int32_t z = 0; z < n[2]; z++)
        for (int32_t y = 0; y < n[1]; y++)
            for (int32_t x = 0; x < n[0]; x++, at++) {
                const int32_t p[3] = {x, y, z};
                uint8_t label = in[at];
                for (int axis = 0; axis < 3 && !label; axis++) {
                    if (p[axis] > 0)
                        label = in[at - step[axis]];
                    if (!label && p[axis] + 1 < n[axis])
                        label = in[at + step[axis]];
                }
                out[at] = label;
            }
}

static enum hf_status read_header(const char *what, const uint8_t *raw, size_t size,
                                  struct phantom_anatomy *a, struct hf_error *e) {
    int16_t dim[8], datatype;
    float pixdim[8];
    if (size < HEADER || memcmp(raw + 344, "n+1", 4) != 0)
        return hf_fail(e, HF_INVALID, "%s: is no NIfTI-1 file; install the anatomies again", what);
    memcpy(dim, raw + 40, sizeof dim);
    memcpy(&datatype, raw + 70, sizeof datatype);
    memcpy(pixdim, raw + 76, sizeof pixdim);
    if (dim[0] != 3 || datatype != 2)
        return hf_fail(e, HF_INVALID, "%s: has %d axes and type %d, expected 3 and 2 (uint8)", what,
                       dim[0], datatype);
    size_t count = 1;
    for (int k = 0; k < 3; k++) {
        if (dim[k + 1] < 8 || dim[k + 1] > LARGEST || !(pixdim[k + 1] > 0.1f) ||
            !(pixdim[k + 1] < 20.0f))
            return hf_fail(e, HF_INVALID,
                           "%s: axis %d has %d voxels of %g mm, expected 8 to %d of "
                           "0.1 to 20 mm",
                           what, k, dim[k + 1], (double)pixdim[k + 1], LARGEST);
        a->size[k] = dim[k + 1];
        a->spacing[k] = pixdim[k + 1];
        count *= (size_t)dim[k + 1];
    }
    if (size != HEADER + count)
        return hf_fail(e, HF_INVALID, "%s: has %zu bytes, expected %zu for its size", what, size,
                       HEADER + count);
    return HF_OK;
}

/** Splits the packed bytes into labels, occupancy and vessels, and finds the liver's box. */
static enum hf_status unpack(const char *what, const uint8_t *packed, struct phantom_anatomy *a,
                             float *scratch, uint8_t *labels, struct hf_error *e) {
    const int32_t *n = a->size;
    int32_t lo[3] = {LARGEST, LARGEST, LARGEST}, hi[3] = {-1, -1, -1};
    size_t at = 0;
    for (int32_t z = 0; z < n[2]; z++)
        for (int32_t y = 0; y < n[1]; y++)
            for (int32_t x = 0; x < n[0]; x++, at++) {
                const int32_t p[3] = {x, y, z};
                uint8_t label = packed[at] & 15;
                if (label > 8)
                    return hf_fail(e, HF_INVALID, "%s: holds segment %d, expected 0 to 8", what,
                                   label);
                labels[at] = label;
                a->liver[at] = label ? 1.0f : 0.0f;
                a->vessel[at] = (float)(packed[at] >> 4) / 15.0f;
                for (int k = 0; label && k < 3; k++) {
                    lo[k] = p[k] < lo[k] ? p[k] : lo[k];
                    hi[k] = p[k] > hi[k] ? p[k] : hi[k];
                }
            }
    if (hi[0] < 0)
        return hf_fail(e, HF_INVALID, "%s: holds no liver", what);
    for (int k = 0; k < 3; k++) {
        a->centre[k] = 0.5f * (float)(lo[k] + hi[k]) * a->spacing[k];
        a->half[k] = 0.5f * (float)(hi[k] - lo[k] + 1) * a->spacing[k];
    }
    smooth_axis(a->liver, scratch, n, 0);
    smooth_axis(scratch, a->liver, n, 1);
    smooth_axis(a->liver, scratch, n, 2);
    memcpy(a->liver, scratch, at * sizeof *scratch);
    for (int i = 0; i < REACH; i += 2) {
        grow_labels(labels, a->segment, n);
        grow_labels(a->segment, labels, n);
    }
    memcpy(a->segment, labels, at);
    return HF_OK;
}

enum hf_status phantom_anatomy_read(const char *what, const void *bytes, size_t size,
                                    struct phantom_anatomy *ret, struct hf_error *e) {
    const size_t most = HEADER + (size_t)LARGEST * LARGEST * LARGEST;
    uint32_t stated = 0;
    if (size >= 20)
        memcpy(&stated, (const uint8_t *)bytes + size - 4, sizeof stated);
    if (stated < HEADER || stated > most)
        return hf_fail(e, HF_INVALID, "%s: is no gzip file of an anatomy; install them again",
                       what);
    struct phantom_anatomy a = {{0}, {0}, {0}, {0}, NULL, NULL, NULL};
    uint8_t *raw = malloc(stated), *labels = NULL;
    float *scratch = NULL;
    struct libdeflate_decompressor *unzip = libdeflate_alloc_decompressor();
    enum hf_status st = HF_OK;
    if (!raw || !unzip)
        st = hf_fail(e, HF_NO_MEMORY, "%s: no memory to read it", what);
    else if (libdeflate_gzip_decompress(unzip, bytes, size, raw, stated, NULL) !=
             LIBDEFLATE_SUCCESS)
        st = hf_fail(e, HF_INVALID, "%s: is damaged (gzip); install the anatomies again", what);
    if (st == HF_OK)
        st = read_header(what, raw, stated, &a, e);
    if (st == HF_OK) {
        size_t count = stated - HEADER;
        a.segment = malloc(count);
        a.liver = malloc(count * sizeof *a.liver);
        a.vessel = malloc(count * sizeof *a.vessel);
        scratch = malloc(count * sizeof *scratch);
        labels = malloc(count);
        if (!a.segment || !a.liver || !a.vessel || !scratch || !labels)
            st = hf_fail(e, HF_NO_MEMORY, "%s: no memory to read it", what);
        else
            st = unpack(what, raw + HEADER, &a, scratch, labels, e);
    }
    if (unzip)
        libdeflate_free_decompressor(unzip);
    free(raw);
    free(scratch);
    free(labels);
    if (st == HF_OK)
        *ret = a;
    else
        phantom_anatomy_free(&a);
    return st;
}

void phantom_anatomy_free(struct phantom_anatomy *a) {
    free(a->segment);
    free(a->liver);
    free(a->vessel);
    a->segment = NULL;
    a->liver = NULL;
    a->vessel = NULL;
}
