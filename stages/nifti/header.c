/**
 * header.c - reads NIfTI-1 and NIfTI-2 headers through nifti_clib's structures and byte swaps, and
 * settles which of the header's geometries holds.
 */
#include "header.h"
#include "grid.h"

#include <math.h>
#include <nifti2_io.h>

/** The fields of either version that matter here, in native byte order and widest types. */
struct raw {
    int64_t dim[8];
    double pixdim[8];
    int32_t datatype;
    double offset, slope, inter;
    int32_t qform, sform;
    double quatern[3], shift[3];
    double srow[3][4];
    int32_t units;
};

void hf_note(struct hf_notes *notes, const char *fmt, ...) {
    if (!notes || notes->used + 2 >= sizeof notes->text)
        return;
    size_t room = sizeof notes->text - notes->used;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(notes->text + notes->used, room, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n + 1 >= room) {
        notes->text[notes->used] = '\0'; /* all of a line or none */
        return;
    }
    notes->used += (size_t)n;
    notes->text[notes->used++] = '\n';
    notes->text[notes->used] = '\0';
}

const char *hf_nifti_type_name(int32_t datatype, char buffer[32]) {
    switch (datatype) {
    case NIFTI_TYPE_UINT8:
        return "uint8";
    case NIFTI_TYPE_INT8:
        return "int8";
    case NIFTI_TYPE_UINT16:
        return "uint16";
    case NIFTI_TYPE_INT16:
        return "int16";
    case NIFTI_TYPE_UINT32:
        return "uint32";
    case NIFTI_TYPE_INT32:
        return "int32";
    case NIFTI_TYPE_UINT64:
        return "uint64";
    case NIFTI_TYPE_INT64:
        return "int64";
    case NIFTI_TYPE_FLOAT32:
        return "float32";
    case NIFTI_TYPE_FLOAT64:
        return "float64";
    case NIFTI_TYPE_FLOAT128:
        return "float128";
    case NIFTI_TYPE_COMPLEX64:
        return "complex64";
    case NIFTI_TYPE_COMPLEX128:
        return "complex128";
    case NIFTI_TYPE_COMPLEX256:
        return "complex256";
    case NIFTI_TYPE_RGB24:
        return "RGB24";
    case NIFTI_TYPE_RGBA32:
        return "RGBA32";
    case DT_BINARY:
        return "one bit a voxel";
    default:
        (void)snprintf(buffer, 32, "unknown type %d", (int)datatype);
        return buffer;
    }
}

static int32_t scalar_bytes(int32_t datatype) {
    switch (datatype) {
    case NIFTI_TYPE_UINT8:
    case NIFTI_TYPE_INT8:
        return 1;
    case NIFTI_TYPE_UINT16:
    case NIFTI_TYPE_INT16:
        return 2;
    case NIFTI_TYPE_UINT32:
    case NIFTI_TYPE_INT32:
    case NIFTI_TYPE_FLOAT32:
        return 4;
    case NIFTI_TYPE_UINT64:
    case NIFTI_TYPE_INT64:
    case NIFTI_TYPE_FLOAT64:
        return 8;
    default:
        return 0;
    }
}

static void raw_from_1(const nifti_1_header *h, struct raw *r) {
    for (int i = 0; i < 8; i++) {
        r->dim[i] = h->dim[i];
        r->pixdim[i] = h->pixdim[i];
    }
    r->datatype = h->datatype;
    r->offset = h->vox_offset;
    r->slope = h->scl_slope;
    r->inter = h->scl_inter;
    r->qform = h->qform_code;
    r->sform = h->sform_code;
    r->units = h->xyzt_units;
    const float quatern[3] = {h->quatern_b, h->quatern_c, h->quatern_d};
    const float shift[3] = {h->qoffset_x, h->qoffset_y, h->qoffset_z};
    for (int i = 0; i < 3; i++) {
        r->quatern[i] = quatern[i];
        r->shift[i] = shift[i];
    }
    for (int c = 0; c < 4; c++) {
        r->srow[0][c] = h->srow_x[c];
        r->srow[1][c] = h->srow_y[c];
        r->srow[2][c] = h->srow_z[c];
    }
}

static void raw_from_2(const nifti_2_header *h, struct raw *r) {
    for (int i = 0; i < 8; i++) {
        r->dim[i] = h->dim[i];
        r->pixdim[i] = h->pixdim[i];
    }
    r->datatype = h->datatype;
    r->offset = (double)h->vox_offset;
    r->slope = h->scl_slope;
    r->inter = h->scl_inter;
    r->qform = h->qform_code;
    r->sform = h->sform_code;
    r->units = h->xyzt_units;
    const double quatern[3] = {h->quatern_b, h->quatern_c, h->quatern_d};
    const double shift[3] = {h->qoffset_x, h->qoffset_y, h->qoffset_z};
    for (int i = 0; i < 3; i++) {
        r->quatern[i] = quatern[i];
        r->shift[i] = shift[i];
    }
    for (int c = 0; c < 4; c++) {
        r->srow[0][c] = h->srow_x[c];
        r->srow[1][c] = h->srow_y[c];
        r->srow[2][c] = h->srow_z[c];
    }
}

/** Copies a magic with unprintable bytes as dots. */
static void show_magic(const char *magic, size_t n, char ret[8]) {
    size_t i = 0;
    for (; i < n && magic[i]; i++)
        ret[i] = magic[i] >= 32 && magic[i] < 127 ? magic[i] : '.';
    ret[i] = '\0';
}

static enum hf_status not_nifti(const char *name, const char *why, struct hf_error *e) {
    return hf_fail(e, HF_INVALID,
                   "%s: not a NIfTI file: %s; expected .nii, .nii.gz or an .hdr/.img pair", name,
                   why);
}

/** Version, byte order, single or pair, and the fields in native order. */
static enum hf_status read_raw(const void *bytes, size_t size, const char *name,
                               struct hf_nifti_header *h, struct raw *r, struct hf_error *e) {
    char why[96], magic[8];
    int32_t header_size;
    if (size < sizeof(nifti_1_header)) {
        (void)snprintf(why, sizeof why, "it holds %zu bytes, a header needs %zu", size,
                       sizeof(nifti_1_header));
        return not_nifti(name, why, e);
    }
    memcpy(&header_size, bytes, sizeof header_size);
    int32_t turned = (int32_t)__builtin_bswap32((uint32_t)header_size);
    h->swapped =
        turned == (int32_t)sizeof(nifti_1_header) || turned == (int32_t)sizeof(nifti_2_header);
    if (h->swapped)
        header_size = turned;
    if (header_size == (int32_t)sizeof(nifti_1_header)) {
        nifti_1_header n;
        memcpy(&n, bytes, sizeof n);
        if (h->swapped)
            nifti_swap_as_nifti1(&n);
        h->version = 1;
        h->pair = memcmp(n.magic, "ni1", 4) == 0;
        if (!h->pair && memcmp(n.magic, "n+1", 4) != 0) {
            show_magic(n.magic, 4, magic);
            (void)snprintf(why, sizeof why, "its magic is '%s', not n+1 or ni1%s", magic,
                           magic[0] ? "" : " (an ANALYZE 7.5 header?)");
            return not_nifti(name, why, e);
        }
        raw_from_1(&n, r);
        return HF_OK;
    }
    if (header_size == (int32_t)sizeof(nifti_2_header)) {
        if (size < sizeof(nifti_2_header)) {
            (void)snprintf(why, sizeof why, "it holds %zu bytes, a NIfTI-2 header needs %zu", size,
                           sizeof(nifti_2_header));
            return not_nifti(name, why, e);
        }
        nifti_2_header n;
        memcpy(&n, bytes, sizeof n);
        if (h->swapped)
            nifti_swap_as_nifti2(&n);
        h->version = 2;
        h->pair = memcmp(n.magic, "ni2\0\r\n\032\n", 8) == 0;
        if (!h->pair && memcmp(n.magic, "n+2\0\r\n\032\n", 8) != 0) {
            show_magic(n.magic, 4, magic);
            (void)snprintf(why, sizeof why, "its magic is '%s', not n+2 or ni2", magic);
            return not_nifti(name, why, e);
        }
        raw_from_2(&n, r);
        return HF_OK;
    }
    return not_nifti(name, "it begins with no header size of 348 or 540", e);
}

static enum hf_status check_dims(const struct raw *r, const char *name, struct hf_nifti_header *h,
                                 struct hf_error *e) {
    if (r->dim[0] < 2 || r->dim[0] > 7)
        return hf_fail(e, HF_INVALID, "%s: dim[0] is %lld; expected 2 or 3 dimensions", name,
                       (long long)r->dim[0]);
    int64_t bytes = h->voxel_bytes;
    h->grid.size[0] = 1;
    for (int i = 1; i <= (int)r->dim[0]; i++) {
        if (r->dim[i] < 1)
            return hf_fail(e, HF_INVALID, "%s: dim[%d] is %lld; expected at least 1", name, i,
                           (long long)r->dim[i]);
        if (i > 3 && r->dim[i] > 1)
            return hf_fail(e, HF_UNSUPPORTED,
                           "%s: %lld volumes in one file (dim[%d]); expected one 3D volume: split "
                           "the file",
                           name, (long long)r->dim[i], i);
        if (__builtin_mul_overflow(bytes, r->dim[i], &bytes) || bytes > INT64_MAX / 4)
            return hf_fail(e, HF_INVALID, "%s: dim[1..3] promise more voxels than memory can hold",
                           name);
        if (i <= 3)
            h->grid.size[3 - i] = r->dim[i];
    }
    return HF_OK;
}

static void affine_from_quatern(const struct raw *r, const double step[3], double ret[3][4]) {
    double qfac = r->pixdim[0] < 0 ? -1.0 : 1.0;
    nifti_dmat44 m =
        nifti_quatern_to_dmat44(r->quatern[0], r->quatern[1], r->quatern[2], r->shift[0],
                                r->shift[1], r->shift[2], step[0], step[1], step[2], qfac);
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 4; c++)
            ret[i][c] = m.m[i][c];
}

/** The affine: sform, else qform, else the spacing alone. */
static enum hf_status choose_affine(const struct raw *r, const char *name,
                                    struct hf_nifti_header *h, struct hf_notes *notes,
                                    struct hf_error *e) {
    double step[3];
    int bad_step = 0;
    for (int i = 0; i < 3; i++) {
        step[i] = fabs(r->pixdim[i + 1]);
        /* A 2D file may leave the third spacing at 0. */
        int unused = i >= (int)r->dim[0];
        if (!(isfinite(step[i]) && step[i] > 0)) {
            bad_step |= !unused;
            step[i] = 1;
        }
    }
    double(*a)[4] = h->grid.affine;
    int found = 0;
    if (r->sform > 0) {
        memcpy(a, r->srow, sizeof r->srow);
        found = hf_affine_usable(a);
        if (!found && r->qform > 0)
            hf_note(notes, "its sform matrix is singular or not finite; taking the qform");
    }
    if (!found && r->qform > 0) {
        if (isfinite(r->quatern[0]) && isfinite(r->quatern[1]) && isfinite(r->quatern[2]))
            affine_from_quatern(r, step, a);
        found = hf_affine_usable(a);
        if (found && bad_step)
            hf_note(notes, "pixdim %g, %g, %g is no spacing; taking 1 mm there", r->pixdim[1],
                    r->pixdim[2], r->pixdim[3]);
    }
    if (!found && (r->sform > 0 || r->qform > 0))
        return hf_fail(e, HF_INVALID,
                       "%s: its %s gives no usable affine (singular, or not finite); correct the "
                       "header",
                       name, r->sform > 0 ? "sform matrix" : "qform");
    if (!found) {
        memset(a, 0, sizeof h->grid.affine);
        for (int i = 0; i < 3; i++)
            a[i][i] = step[i];
        hf_note(notes,
                "neither sform nor qform is set: its orientation is unknown; taking the axes for "
                "Right, Anterior, Superior and the spacing %g x %g x %g mm",
                step[0], step[1], step[2]);
        if (!hf_affine_usable(a))
            return hf_fail(e, HF_INVALID, "%s: pixdim %g, %g, %g is no spacing in mm", name,
                           r->pixdim[1], r->pixdim[2], r->pixdim[3]);
    }
    int units = XYZT_TO_SPACE(r->units);
    double scale = units == NIFTI_UNITS_METER ? 1000.0 : units == NIFTI_UNITS_MICRON ? 0.001 : 1.0;
    if (scale != 1.0) {
        hf_note(notes, "its lengths are in %s; brought to mm",
                units == NIFTI_UNITS_METER ? "metres" : "micrometres");
        for (int i = 0; i < 3; i++)
            for (int c = 0; c < 4; c++)
                a[i][c] *= scale;
        if (!hf_affine_usable(a))
            return hf_fail(e, HF_INVALID, "%s: its affine in mm is out of range", name);
    }
    return HF_OK;
}

enum hf_status hf_nifti_header_parse(const void *bytes, size_t size, const char *name,
                                     struct hf_nifti_header *ret, struct hf_notes *notes,
                                     struct hf_error *e) {
    struct hf_nifti_header h;
    struct raw r;
    memset(&h, 0, sizeof h);
    memset(&r, 0, sizeof r);
    enum hf_status st = read_raw(bytes, size, name, &h, &r, e);
    if (st != HF_OK)
        return st;
    char buffer[32];
    h.datatype = r.datatype;
    h.voxel_bytes = scalar_bytes(r.datatype);
    if (h.voxel_bytes == 0)
        return hf_fail(e, HF_UNSUPPORTED,
                       "%s: its voxels are %s; expected one integer, float32 or float64 a voxel",
                       name, hf_nifti_type_name(r.datatype, buffer));
    st = check_dims(&r, name, &h, e);
    if (st != HF_OK)
        return st;
    int64_t least = h.pair           ? 0
                    : h.version == 1 ? (int64_t)sizeof(nifti_1_header) + 4
                                     : (int64_t)sizeof(nifti_2_header) + 4;
    if (r.offset == 0)
        h.offset = least;
    else if (isfinite(r.offset) && r.offset >= (double)least && r.offset < 0x1p62 &&
             r.offset == floor(r.offset))
        h.offset = (int64_t)r.offset;
    else
        return hf_fail(e, HF_INVALID,
                       "%s: vox_offset is %g; expected a whole number, at least %lld", name,
                       r.offset, (long long)least);
    h.slope = r.slope;
    h.inter = r.inter;
    if (!isfinite(r.slope) || r.slope == 0 || !isfinite(r.inter)) {
        h.slope = 1;
        h.inter = 0;
        if (r.slope != 0)
            hf_note(notes, "scl_slope %g, scl_inter %g is no scaling; taking none", r.slope,
                    r.inter);
    }
    st = choose_affine(&r, name, &h, notes, e);
    if (st == HF_OK)
        *ret = h;
    return st;
}
