/**
 * test_write.c - written files, looked at byte by byte at the places that the format gives, and
 * read back.
 */
#include "read.h"
#include "write.h"

#include <libdeflate.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#define NX 6
#define NY 5
#define NZ 4
#define N  (NX * NY * NZ)

static int16_t short_at(const uint8_t *b, size_t at) {
    int16_t v;
    memcpy(&v, b + at, 2);
    return v;
}

static double float_at(const uint8_t *b, size_t at) {
    float v;
    memcpy(&v, b + at, 4);
    return (double)v;
}

/** Turned about z, mirrored, of three spacings. */
static struct hf_grid oblique(double shear) {
    struct hf_grid g = {{NZ, NY, NX}, {{0}}};
    double c = cos(0.4), s = sin(0.4);
    const double a[3][4] = {
        {-0.7 * c, -0.9 * s, shear, 31.5}, {-0.7 * s, 0.9 * c, 0, -12.25}, {0, 0, 2.5, -400}};
    memcpy(g.affine, a, sizeof a);
    return g;
}

static void test_bytes(void **state) {
    (void)state;
    static const struct {
        enum hf_dtype dtype;
        int code, bits;
    } rows[] = {{HF_U8, 2, 8}, {HF_I16, 4, 16}, {HF_F32, 16, 32}};
    struct hf_grid g = oblique(0);
    struct hf_error e;
    for (int i = 0; i < 3; i++) {
        struct hf_nifti_out out;
        assert_int_equal(hf_nifti_out_new(&g, rows[i].dtype, &out, &e), HF_OK);
        const uint8_t *b = out.bytes;
        int32_t header;
        memcpy(&header, b, 4);
        assert_int_equal(header, 348);
        assert_int_equal(out.size, 352 + N * rows[i].bits / 8);
        assert_int_equal(short_at(b, 40), 3);
        assert_int_equal(short_at(b, 42), NX);
        assert_int_equal(short_at(b, 44), NY);
        assert_int_equal(short_at(b, 46), NZ);
        assert_int_equal(short_at(b, 70), rows[i].code);
        assert_int_equal(short_at(b, 72), rows[i].bits);
        assert_float_equal(float_at(b, 80), 0.7, 1e-6);
        assert_float_equal(float_at(b, 84), 0.9, 1e-6);
        assert_float_equal(float_at(b, 88), 2.5, 1e-6);
        assert_float_equal(float_at(b, 108), 352, 0);
        assert_float_equal(float_at(b, 112), 1, 0);
        assert_int_equal(b[123], 2);
        assert_int_equal(short_at(b, 252), 1);
        assert_int_equal(short_at(b, 254), 1);
        assert_memory_equal(b + 344, "n+1", 4);
        for (int r = 0; r < 3; r++)
            for (int c = 0; c < 4; c++)
                assert_float_equal(float_at(b, 280 + 16 * (size_t)r + 4 * (size_t)c),
                                   g.affine[r][c], 1e-4);
        assert_ptr_equal(out.voxels, out.bytes + 352);
        hf_nifti_out_free(&out);
    }
}

/** The qform alone must give the same affine; where the axes are sheared there is none. */
static void test_qform(void **state) {
    (void)state;
    struct hf_error e;
    for (int sheared = 0; sheared < 2; sheared++) {
        struct hf_grid g = oblique(sheared ? 0.4 : 0);
        struct hf_nifti_out out;
        struct hf_nifti n;
        assert_int_equal(hf_nifti_out_new(&g, HF_U8, &out, &e), HF_OK);
        assert_int_equal(short_at(out.bytes, 252), !sheared);
        if (!sheared) {
            memset(out.bytes + 254, 0, 2); /* no sform */
            assert_int_equal(hf_nifti_open(out.bytes, out.size, NULL, 0, "f", &n, &e), HF_OK);
            for (int r = 0; r < 3; r++)
                for (int c = 0; c < 4; c++)
                    assert_float_equal(n.header.grid.affine[r][c], g.affine[r][c], 1e-4);
            hf_nifti_close(&n);
        }
        hf_nifti_out_free(&out);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    struct hf_grid g = oblique(0.4);
    struct hf_error e;
    struct hf_nifti_out out;
    struct hf_nifti n;
    void *packed = NULL;
    size_t size = 0;
    assert_int_equal(hf_nifti_out_new(&g, HF_F32, &out, &e), HF_OK);
    for (int i = 0; i < N; i++)
        ((float *)out.voxels)[i] = (float)i * 0.25f - 3;
    assert_int_equal(hf_nifti_out_pack(&out, &packed, &size, &e), HF_OK);

    uint8_t *plain = malloc(out.size);
    assert_non_null(plain);
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    assert_int_equal(libdeflate_gzip_decompress(d, packed, size, plain, out.size, NULL), 0);
    assert_memory_equal(plain, out.bytes, out.size);
    libdeflate_free_decompressor(d);
    free(plain);

    assert_int_equal(hf_nifti_open(packed, size, NULL, 0, "f", &n, &e), HF_OK);
    float back[N];
    assert_int_equal(hf_nifti_read_f32(&n, HF_NONFINITE_REFUSE, 0, back, &e), HF_OK);
    assert_true(hf_grid_same(&g, &n.header.grid));
    for (int i = 0; i < N; i++) /* x is stored towards the left */
        assert_true(back[i] == (float)(i - i % NX + NX - 1 - i % NX) * 0.25f - 3);
    hf_nifti_close(&n);
    hf_nifti_out_free(&out);
    free(packed);
}

static void test_refused(void **state) {
    (void)state;
    struct hf_grid g = oblique(0);
    struct hf_error e;
    struct hf_nifti_out out;
    assert_int_equal(hf_nifti_out_new(&g, HF_F64, &out, &e), HF_UNSUPPORTED);
    g.size[1] = 40000;
    assert_int_equal(hf_nifti_out_new(&g, HF_U8, &out, &e), HF_UNSUPPORTED);
    assert_non_null(strstr(e.text, "40000"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_qform),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
