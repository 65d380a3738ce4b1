/**
 * write.c - NIfTI-1 headers for a grid, and gzip through libdeflate.
 */
#include "write.h"

#include <libdeflate.h>
#include <math.h>
#include <nifti2_io.h>
#include <stdlib.h>

#define VOXEL_OFFSET 352

static int orthogonal(const struct hf_grid *g, const double spacing[3]) {
    for (int a = 0; a < 3; a++) {
        int b = (a + 1) % 3;
        double dot = 0;
        for (int r = 0; r < 3; r++)
            dot += g->affine[r][a] * g->affine[r][b];
        if (fabs(dot) > 1e-4 * spacing[a] * spacing[b])
            return 0;
    }
    return 1;
}

static void set_geometry(nifti_1_header *h, const struct hf_grid *g) {
    double spacing[3];
    hf_grid_spacing(g, spacing);
    h->dim[0] = 3;
    for (int a = 0; a < 3; a++) {
        h->dim[a + 1] = (short)hf_grid_extent(g, a);
        h->pixdim[a + 1] = (float)spacing[a];
    }
    for (int i = 4; i < 8; i++)
        h->dim[i] = 1;
    for (int c = 0; c < 4; c++) {
        h->srow_x[c] = (float)g->affine[0][c];
        h->srow_y[c] = (float)g->affine[1][c];
        h->srow_z[c] = (float)g->affine[2][c];
    }
    h->sform_code = NIFTI_XFORM_SCANNER_ANAT;
    h->pixdim[0] = 1;
    if (!orthogonal(g, spacing))
        return;
    nifti_dmat44 m;
    memset(&m, 0, sizeof m);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            m.m[r][c] = g->affine[r][c];
    m.m[3][3] = 1;
    double b, c, d, x, y, z, dx, dy, dz, qfac;
    nifti_dmat44_to_quatern(m, &b, &c, &d, &x, &y, &z, &dx, &dy, &dz, &qfac);
    h->quatern_b = (float)b;
    h->quatern_c = (float)c;
    h->quatern_d = (float)d;
    h->qoffset_x = (float)x;
    h->qoffset_y = (float)y;
    h->qoffset_z = (float)z;
    h->pixdim[0] = (float)qfac;
    h->qform_code = NIFTI_XFORM_SCANNER_ANAT;
}

enum hf_status hf_nifti_out_new(const struct hf_grid *grid, enum hf_dtype dtype,
                                struct hf_nifti_out *ret, struct hf_error *e) {
    nifti_1_header h;
    memset(&h, 0, sizeof h);
    h.datatype = dtype == HF_U8 ? NIFTI_TYPE_UINT8
                                : (dtype == HF_I16 ? NIFTI_TYPE_INT16 : NIFTI_TYPE_FLOAT32);
    if (dtype != HF_U8 && dtype != HF_I16 && dtype != HF_F32)
        return hf_fail(e, HF_UNSUPPORTED,
                       "cannot write %s voxels as NIfTI; expected u8, i16 or f32",
                       hf_dtype_name(dtype));
    int64_t voxels = (int64_t)hf_dtype_size(dtype);
    for (int a = 0; a < 3; a++) {
        int64_t n = hf_grid_extent(grid, a);
        if (n < 1 || n > INT16_MAX || __builtin_mul_overflow(voxels, n, &voxels))
            return hf_fail(e, HF_UNSUPPORTED, "cannot write %lld voxels along an axis as NIfTI",
                           (long long)n);
    }
    h.sizeof_hdr = (int)sizeof h;
    h.bitpix = (short)(8 * hf_dtype_size(dtype));
    h.vox_offset = VOXEL_OFFSET;
    h.scl_slope = 1;
    h.xyzt_units = NIFTI_UNITS_MM;
    h.intent_code = dtype == HF_U8 ? NIFTI_INTENT_LABEL : NIFTI_INTENT_NONE;
    (void)snprintf(h.descrip, sizeof h.descrip, "hepaflow");
    memcpy(h.magic, "n+1", 4);
    set_geometry(&h, grid);
    size_t size = VOXEL_OFFSET + (size_t)voxels;
    uint8_t *bytes = calloc(1, size);
    if (!bytes)
        return hf_fail(e, HF_NO_MEMORY, "no memory for an image of %zu bytes", size);
    memcpy(bytes, &h, sizeof h);
    ret->bytes = bytes;
    ret->size = size;
    ret->voxels = bytes + VOXEL_OFFSET;
    return HF_OK;
}

void hf_nifti_out_free(struct hf_nifti_out *out) {
    free(out->bytes);
    memset(out, 0, sizeof *out);
}

enum hf_status hf_nifti_out_pack(const struct hf_nifti_out *out, void **ret_bytes, size_t *ret_size,
                                 struct hf_error *e) {
    const nifti_1_header *h = (const nifti_1_header *)out->bytes;
    /* Masks shrink a thousandfold at any level; noise hardly shrinks and costs time. */
    struct libdeflate_compressor *c =
        libdeflate_alloc_compressor(h->datatype == NIFTI_TYPE_UINT8 ? 6 : 1);
    size_t room = c ? libdeflate_gzip_compress_bound(c, out->size) : 0;
    void *packed = c ? malloc(room) : NULL;
    size_t used = packed ? libdeflate_gzip_compress(c, out->bytes, out->size, packed, room) : 0;
    libdeflate_free_compressor(c);
    if (used == 0) {
        free(packed);
        return hf_fail(e, HF_NO_MEMORY, "no memory to compress an image of %zu bytes", out->size);
    }
    void *fit = realloc(packed, used);
    *ret_bytes = fit ? fit : packed;
    *ret_size = used;
    return HF_OK;
}
