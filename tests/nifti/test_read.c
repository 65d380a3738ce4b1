/**
 * test_read.c - reading NIfTI: every type, byte order and container, every orientation, damaged
 * streams and mad headers. The files come from raw.c, the expected values from plain index
 * arithmetic here.
 */
#include "read.h"
#include "raw.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define NX 5
#define NY 4
#define NZ 3
#define N  (NX * NY * NZ)

static double value_at(int i) {
    return (i * 7) % 101 + (i == 11 ? 20 : 0);
}

static void fill(double *v, int n) {
    for (int i = 0; i < n; i++)
        v[i] = value_at(i);
}

/** Opens and reads float32; the caller frees ret. NULL: failed, with e filled. */
static float *read_all(const struct raw_bytes *h, const struct raw_bytes *img, struct hf_nifti *ret,
                       enum hf_nonfinite nonfinite, struct hf_error *e) {
    e->text[0] = '\0';
    if (hf_nifti_open(h->data, h->size, img ? img->data : NULL, img ? img->size : 0, "f", ret, e) !=
        HF_OK)
        return NULL;
    float *out = malloc((size_t)hf_grid_count(&ret->canonical) * sizeof *out);
    assert_non_null(out);
    if (hf_nifti_read_f32(ret, nonfinite, -1024, out, e) != HF_OK) {
        free(out);
        out = NULL;
    }
    hf_nifti_close(ret);
    return out;
}

static void expect_refused(const struct raw_bytes *b, const char *word) {
    struct hf_nifti n;
    struct hf_error e;
    float *out = read_all(b, NULL, &n, HF_NONFINITE_REFUSE, &e);
    if (out) {
        free(out);
        fail_msg("read although it should be refused: %s", word);
    }
    if (!strstr(e.text, word) || strchr(e.text, '\n') || strncmp(e.text, "f: ", 3) != 0)
        fail_msg("'%s' does not tell '%s' in one line", e.text, word);
}

static void test_encodings(void **state) {
    (void)state;
    double v[N];
    fill(v, N);
    for (int version = 1; version <= 2; version++)
        for (int order = 0; order < 2; order++)
            for (int type = 0; type < RAW_TYPES; type++)
                for (int box = 0; box < RAW_CONTAINERS; box++) {
                    struct raw_image r = raw_default(NX, NY, NZ);
                    r.version = version;
                    r.big_endian = order;
                    r.type = type;
                    double slope = box == RAW_GZ ? 0.5 : 1, inter = box == RAW_GZ ? -3 : 0;
                    r.slope = slope;
                    r.inter = inter;
                    struct raw_bytes all = raw_single(&r, v), img = {NULL, 0}, file;
                    if (box == RAW_PAIR) {
                        file = raw_header(&r, 1);
                        img = raw_voxels(&r, v);
                    } else if (box == RAW_NII) {
                        file = raw_copy(all.data, all.size);
                    } else {
                        file = raw_gzip(all.data, all.size, box == RAW_GZ ? 1 : 2);
                    }
                    struct hf_nifti n;
                    struct hf_error e;
                    float *out =
                        read_all(&file, box == RAW_PAIR ? &img : NULL, &n, HF_NONFINITE_REFUSE, &e);
                    if (!out)
                        fail_msg("%s", e.text);
                    assert_int_equal(n.canonical.size[0], NZ);
                    assert_int_equal(n.canonical.size[1], NY);
                    assert_int_equal(n.canonical.size[2], NX);
                    assert_int_equal(n.notes.used, 0);
                    for (int i = 0; i < N; i++)
                        if (out[i] != (float)(value_at(i) * slope + inter))
                            fail_msg("version %d order %d %s box %d: voxel %d is %g", version,
                                     order, raw_types[type].name, box, i, (double)out[i]);
                    free(out);
                    raw_free(&all);
                    raw_free(&file);
                    raw_free(&img);
                }
}

static void test_extremes(void **state) {
    (void)state;
    static const struct {
        int type;
        double value;
    } rows[] = {{1, -128},
                {3, -32768},
                {4, 4294967295.0},
                {5, -2147483648.0},
                {7, -1099511627776.0},
                {6, 1099511627776.0},
                {8, -0.375},
                {9, 1e30}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int order = 0; order < 2; order++) {
            struct raw_image r = raw_default(1, 1, 1);
            r.type = rows[i].type;
            r.big_endian = order;
            struct raw_bytes b = raw_single(&r, &rows[i].value);
            struct hf_nifti n;
            struct hf_error e;
            float *out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
            assert_non_null(out);
            assert_true(out[0] == (float)rows[i].value);
            free(out);
            raw_free(&b);
        }
}

/** All 48 ways to lay out the same box: values and world positions must come out the same. */
static void test_orientations(void **state) {
    (void)state;
    static const int perms[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const int extent[3] = {NX, NY, NZ};
    const double spacing[3] = {0.7, 0.8, 2.5}, origin[3] = {-30, 12, 100};
    for (int tilt = 0; tilt < 2; tilt++)
        for (int p = 0; p < 6; p++)
            for (int flips = 0; flips < 8; flips++) {
                /* File axis c runs along world axis perms[p][c]. */
                int size[3], flip[3];
                struct raw_image r = raw_default(1, 1, 1);
                memset(r.srow, 0, sizeof r.srow);
                for (int a = 0; a < 3; a++)
                    r.srow[a][3] = origin[a];
                for (int c = 0; c < 3; c++) {
                    int a = perms[p][c];
                    size[c] = extent[a];
                    flip[c] = flips >> c & 1;
                    r.dim[c + 1] = size[c];
                    double direction[3] = {0, 0, 0};
                    direction[a] = spacing[a];
                    if (tilt)
                        direction[(a + 1) % 3] = 0.2 * spacing[a];
                    for (int w = 0; w < 3; w++) {
                        r.srow[w][c] = flip[c] ? -direction[w] : direction[w];
                        if (flip[c])
                            r.srow[w][3] += direction[w] * (size[c] - 1);
                    }
                }
                double v[N];
                for (int i = 0; i < N; i++) {
                    int at[3] = {i % size[0], i / size[0] % size[1], i / size[0] / size[1]};
                    int world[3];
                    for (int c = 0; c < 3; c++)
                        world[perms[p][c]] = flip[c] ? size[c] - 1 - at[c] : at[c];
                    v[i] = value_at((world[2] * NY + world[1]) * NX + world[0]);
                }
                struct raw_bytes b = raw_single(&r, v);
                struct hf_nifti n;
                struct hf_error e;
                float *out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
                if (!out)
                    fail_msg("%s", e.text);
                assert_int_equal(n.canonical.size[0], NZ);
                assert_int_equal(n.canonical.size[1], NY);
                assert_int_equal(n.canonical.size[2], NX);
                for (int i = 0; i < N; i++)
                    assert_true(out[i] == (float)value_at(i));
                for (int w = 0; w < 3; w++) {
                    assert_float_equal(n.canonical.affine[w][3], origin[w], 1e-4);
                    assert_float_equal(n.canonical.affine[w][w], spacing[w], 1e-6);
                }
                /* Each stored voxel and its canonical place are the same point of the world. */
                double stored[3] = {size[0] - 1, 0, size[2] - 1}, back[3], a[3], c[3];
                for (int k = 0; k < 3; k++) {
                    int f = n.turn.axis[k];
                    back[k] = n.turn.flip[k] ? size[f] - 1 - stored[f] : stored[f];
                }
                hf_grid_world(&n.header.grid, stored, a);
                hf_grid_world(&n.canonical, back, c);
                for (int w = 0; w < 3; w++)
                    assert_float_equal(a[w], c[w], 1e-4);
                free(out);
                raw_free(&b);
            }
}

/** The reference rotation, from the quaternion's definition. */
static void rotation(const double q[3], double m[3][3]) {
    double b = q[0], c = q[1], d = q[2], a = sqrt(1 - b * b - c * c - d * d);
    const double r[3][3] = {
        {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
        {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
        {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b}};
    memcpy(m, r, sizeof r);
}

static void test_forms(void **state) {
    (void)state;
    double v[N], m[3][3];
    fill(v, N);
    struct hf_nifti n;
    struct hf_error e;
    struct raw_image r = raw_default(NX, NY, NZ);
    const double q[3] = {0.1, -0.05, 0.2};
    const double step[3] = {0.5, 2, 3};
    rotation(q, m);
    for (int i = 0; i < 3; i++) {
        r.quatern[i] = q[i];
        r.shift[i] = 10 * i - 4;
        r.pixdim[i + 1] = step[i];
    }
    r.qform = 1;
    /* The sform wins while its code is set. */
    struct raw_bytes b = raw_single(&r, v);
    float *out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    assert_float_equal(n.header.grid.affine[0][0], 1, 1e-7);
    free(out);
    raw_free(&b);
    /* Without it the qform, also with qfac -1, which reverses the third axis. */
    for (int qfac = -1; qfac <= 1; qfac += 2) {
        r.sform = 0;
        r.pixdim[0] = qfac;
        b = raw_single(&r, v);
        out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
        assert_non_null(out);
        for (int i = 0; i < 3; i++) {
            for (int c = 0; c < 3; c++)
                assert_float_equal(n.header.grid.affine[i][c],
                                   m[i][c] * step[c] * (c == 2 ? qfac : 1), 1e-5);
            assert_float_equal(n.header.grid.affine[i][3], 10 * i - 4, 1e-6);
        }
        free(out);
        raw_free(&b);
    }
    /* A singular sform gives way to the qform, with a note. */
    r.sform = 1;
    r.pixdim[0] = 1;
    memset(r.srow, 0, sizeof r.srow);
    b = raw_single(&r, v);
    out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    assert_non_null(strstr(n.notes.text, "sform"));
    assert_float_equal(n.header.grid.affine[1][1], m[1][1] * 2, 1e-5);
    free(out);
    raw_free(&b);
    /* Neither: the spacing alone, and a note. */
    r.sform = r.qform = 0;
    b = raw_single(&r, v);
    out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    assert_non_null(strstr(n.notes.text, "orientation is unknown"));
    assert_float_equal(n.canonical.affine[2][2], 3, 1e-6);
    assert_true(out[1] == (float)value_at(1));
    free(out);
    raw_free(&b);
    /* Metres become millimetres. */
    r = raw_default(NX, NY, NZ);
    for (int i = 0; i < 3; i++)
        r.srow[i][i] = 0.002;
    r.units = 1;
    b = raw_single(&r, v);
    out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    assert_float_equal(n.canonical.affine[1][1], 2, 1e-6);
    assert_non_null(strstr(n.notes.text, "metres"));
    free(out);
    raw_free(&b);
}

static void test_dimensions(void **state) {
    (void)state;
    double v[2 * N];
    fill(v, 2 * N);
    struct hf_nifti n;
    struct hf_error e;
    struct raw_image r = raw_default(NX, NY, 1);
    r.dim[0] = 2;
    r.pixdim[3] = 0;
    struct raw_bytes b = raw_single(&r, v);
    float *out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    assert_int_equal(n.canonical.size[0], 1);
    free(out);
    raw_free(&b);
    r = raw_default(NX, NY, NZ);
    r.dim[0] = 5; /* trailing axes of one */
    b = raw_single(&r, v);
    out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    free(out);
    raw_free(&b);
    r.dim[4] = 2;
    b = raw_single(&r, v);
    expect_refused(&b, "2 volumes");
    raw_free(&b);
}

static void test_scaling(void **state) {
    (void)state;
    double v[N];
    fill(v, N);
    const struct {
        double slope, inter, factor, shift;
        int noted;
    } rows[] = {{0, 5, 1, 0, 0},
                {NAN, NAN, 1, 0, 1},
                {2, INFINITY, 1, 0, 1},
                {INFINITY, 0, 1, 0, 1},
                {-2, 0.5, -2, 0.5, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct raw_image r = raw_default(NX, NY, NZ);
        r.slope = rows[i].slope;
        r.inter = rows[i].inter;
        struct raw_bytes b = raw_single(&r, v);
        struct hf_nifti n;
        struct hf_error e;
        float *out = read_all(&b, NULL, &n, HF_NONFINITE_REFUSE, &e);
        assert_non_null(out);
        for (int k = 0; k < N; k++)
            assert_true(out[k] == (float)(value_at(k) * rows[i].factor + rows[i].shift));
        assert_int_equal(n.notes.used > 0, rows[i].noted);
        free(out);
        raw_free(&b);
    }
}

static void test_nonfinite(void **state) {
    (void)state;
    double v[N];
    fill(v, N);
    v[3] = NAN;
    v[N - 1] = -INFINITY;
    for (int type = 8; type < 10; type++) {
        struct raw_image r = raw_default(NX, NY, NZ);
        r.type = type;
        struct raw_bytes b = raw_single(&r, v);
        expect_refused(&b, "2 voxels are NaN or infinite");
        struct hf_nifti n;
        struct hf_error e;
        float *out = read_all(&b, NULL, &n, HF_NONFINITE_CLEAR, &e);
        assert_non_null(out);
        assert_non_null(strstr(n.notes.text, "2 voxels"));
        assert_true(out[3] == -1024 && out[N - 1] == -1024);
        assert_true(out[4] == (float)value_at(4));
        free(out);
        raw_free(&b);
    }
}

static void test_labels(void **state) {
    (void)state;
    double v[N];
    for (int type = 0; type < RAW_TYPES; type++) {
        for (int i = 0; i < N; i++)
            v[i] = i % 9;
        struct raw_image r = raw_default(NX, NY, NZ);
        r.type = type;
        r.srow[0][0] = -1; /* stored the other way round */
        r.srow[0][3] = NX - 1;
        struct raw_bytes b = raw_single(&r, v);
        struct hf_nifti n;
        struct hf_error e;
        uint8_t out[N];
        int32_t out32[N];
        assert_int_equal(hf_nifti_open(b.data, b.size, NULL, 0, "f", &n, &e), HF_OK);
        assert_int_equal(hf_nifti_read_u8(&n, 8, out, &e), HF_OK);
        assert_int_equal(hf_nifti_read_i32(&n, out32, &e), HF_OK);
        for (int i = 0; i < N; i++) {
            int mirrored = i - i % NX + NX - 1 - i % NX;
            assert_int_equal(out[i], mirrored % 9);
            assert_int_equal(out32[i], mirrored % 9);
        }
        /* The ninth segment: file, value and the place in the file. */
        assert_int_equal(hf_nifti_read_u8(&n, 7, out, &e), HF_INVALID);
        assert_non_null(strstr(e.text, "f: value 8 at voxel (3, 1, 0)"));
        hf_nifti_close(&n);
        raw_free(&b);
    }
    for (int i = 0; i < 3; i++) {
        static const double odd[3] = {1.5, -1, 300};
        memset(v, 0, sizeof v);
        v[7] = odd[i];
        struct raw_image r = raw_default(NX, NY, NZ);
        r.type = 8;
        struct raw_bytes b = raw_single(&r, v);
        struct hf_nifti n;
        struct hf_error e;
        uint8_t out[N];
        assert_int_equal(hf_nifti_open(b.data, b.size, NULL, 0, "f", &n, &e), HF_OK);
        assert_int_equal(hf_nifti_read_u8(&n, 255, out, &e), HF_INVALID);
        assert_non_null(strstr(e.text, "at voxel (2, 1, 0)"));
        hf_nifti_close(&n);
        raw_free(&b);
    }
}

static void test_damage(void **state) {
    (void)state;
    /* Large and random enough that the stream has many bytes to hit. */
    enum {
        SIDE = 48,
        COUNT = SIDE * SIDE * SIDE
    };
    double *v = malloc(COUNT * sizeof *v);
    assert_non_null(v);
    uint32_t noise = 1;
    for (int i = 0; i < COUNT; i++) {
        noise = noise * 1664525u + 1013904223u;
        v[i] = noise >> 24;
    }
    struct raw_image r = raw_default(SIDE, SIDE, SIDE);
    struct raw_bytes all = raw_single(&r, v), gz = raw_gzip(all.data, all.size, 1);
    free(v);
    /* Wrong CRC and wrong length in the trailer. */
    for (size_t i = 1; i <= 8; i++) {
        struct raw_bytes b = raw_copy(gz.data, gz.size);
        b.data[b.size - i] ^= 0x40;
        expect_refused(&b, "damaged");
        raw_free(&b);
    }
    for (size_t at = 20; at < gz.size - 8; at += gz.size / 37) {
        struct raw_bytes b = raw_copy(gz.data, gz.size);
        b.data[at] ^= 0xff;
        expect_refused(&b, "");
        raw_free(&b);
        b = raw_copy(gz.data, at);
        expect_refused(&b, "");
        raw_free(&b);
    }
    /* Bytes missing within, and left over behind, the content. */
    struct raw_bytes part = raw_gzip(all.data, all.size - 1, 1);
    expect_refused(&part, "cut short");
    raw_free(&part);
    struct raw_bytes plain = raw_copy(all.data, all.size - 1);
    expect_refused(&plain, "cut short");
    raw_free(&plain);
    struct raw_bytes longer = raw_copy(gz.data, gz.size);
    longer.data = realloc(longer.data, gz.size + 512);
    assert_non_null(longer.data);
    memset(longer.data + gz.size, 0, 512);
    longer.size += 512;
    struct hf_nifti n;
    struct hf_error e;
    float *out = read_all(&longer, NULL, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    assert_non_null(strstr(n.notes.text, "512 bytes follow"));
    free(out);
    raw_free(&longer);
    raw_free(&all);
    raw_free(&gz);
}

static void test_mad_headers(void **state) {
    (void)state;
    static double v[N];
    for (int version = 1; version <= 2; version++)
        for (int packed = 0; packed < 2; packed++) {
            struct {
                struct raw_image r;
                const char *word;
            } rows[16];
            for (int i = 0; i < 16; i++) {
                rows[i].r = raw_default(NX, NY, NZ);
                rows[i].r.version = version;
                rows[i].word = NULL;
            }
            int n = 0;
#define BAD(change, text)                                                                          \
    do {                                                                                           \
        rows[n].r.change;                                                                          \
        rows[n++].word = text;                                                                     \
    } while (0)
            BAD(dim[1] = -122, "dim[1] is -122");
            BAD(dim[2] = 0, "dim[2] is 0");
            BAD(dim[0] = 9, "dim[0] is 9");
            BAD(dim[0] = 0, "dim[0] is 0");
            BAD(dim[1] = 32767, "");
            BAD(offset = 1e9, "");
            BAD(offset = 100, "vox_offset");
            BAD(code = 32, "complex64");
            BAD(code = 128, "RGB24");
            BAD(code = 1536, "float128");
            BAD(code = 77, "unknown type 77");
            BAD(srow[1][1] = NAN, "affine");
            BAD(srow[2][3] = INFINITY, "affine");
            BAD(srow[0][0] = 0, "affine");
            if (version == 2)
                BAD(dim[3] = INT64_MAX / 8, "");
            rows[n].r.magic = "xyz\0\0\0\0";
            rows[n++].word = "magic is 'xyz'";
#undef BAD
            for (int i = 0; i < n; i++) {
                struct raw_image sane = raw_default(NX, NY, NZ);
                struct raw_bytes h = raw_header(&rows[i].r, 0), voxels = raw_voxels(&sane, v);
                struct raw_bytes b = raw_copy(h.data, h.size);
                b.data = realloc(b.data, h.size + voxels.size);
                assert_non_null(b.data);
                memcpy(b.data + h.size, voxels.data, voxels.size);
                b.size += voxels.size;
                struct raw_bytes file =
                    packed ? raw_gzip(b.data, b.size, 1) : raw_copy(b.data, b.size);
                expect_refused(&file, rows[i].word);
                raw_free(&file);
                raw_free(&b);
                raw_free(&h);
                raw_free(&voxels);
            }
        }
}

/** Any prefix of a file, and any byte of its header turned over, is read or refused in a line. */
static void test_every_byte(void **state) {
    (void)state;
    double v[N];
    fill(v, N);
    for (int version = 1; version <= 2; version++) {
        struct raw_image r = raw_default(NX, NY, NZ);
        r.version = version;
        r.qform = 1;
        struct raw_bytes all = raw_single(&r, v);
        struct hf_nifti n;
        struct hf_error e;
        for (size_t size = 0; size < all.size; size++) {
            struct raw_bytes b = raw_copy(all.data, size);
            expect_refused(&b, "");
            raw_free(&b);
        }
        for (size_t at = 0; at < 540 && at < all.size; at++)
            for (int bit = 0; bit < 8; bit++) {
                struct raw_bytes b = raw_copy(all.data, all.size);
                b.data[at] ^= (uint8_t)(1 << bit);
                float *out = read_all(&b, NULL, &n, HF_NONFINITE_CLEAR, &e);
                if (!out)
                    assert_true(e.text[0] != '\0' && !strchr(e.text, '\n'));
                free(out);
                raw_free(&b);
            }
        raw_free(&all);
    }
}

static void test_paths(void **state) {
    (void)state;
    char folder[256], path[512], header[512], image[512];
    double v[N];
    fill(v, N);
    struct hf_error e;
    struct hf_nifti_bytes bytes;
    raw_folder(folder);
    struct raw_image r = raw_default(NX, NY, NZ);
    struct raw_bytes h = raw_header(&r, 1), img = raw_voxels(&r, v);
    struct raw_bytes packed = raw_gzip(img.data, img.size, 1);
    (void)snprintf(path, sizeof path, "%s/a.hdr", folder);
    raw_write(path, h.data, h.size);
    assert_int_equal(hf_nifti_paths(path, header, image, sizeof header, &e), HF_NOT_FOUND);
    assert_non_null(strstr(e.text, "a.img is not there"));
    (void)snprintf(image, sizeof image, "%s/a.img.gz", folder);
    raw_write(image, packed.data, packed.size);
    char again[512];
    assert_int_equal(hf_nifti_paths(image, header, again, sizeof header, &e), HF_OK);
    assert_string_equal(header, path);
    assert_string_equal(again, image);
    struct hf_nifti n;
    float *out = read_all(&h, &packed, &n, HF_NONFINITE_REFUSE, &e);
    assert_non_null(out);
    for (int i = 0; i < N; i++)
        assert_true(out[i] == (float)value_at(i));
    free(out);
    assert_int_equal(hf_nifti_open(h.data, h.size, NULL, 0, "f", &n, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "pair"));

    assert_int_equal(hf_nifti_bytes_read(folder, &bytes, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "folder"));
    (void)snprintf(path, sizeof path, "%s/none.nii", folder);
    assert_int_equal(hf_nifti_bytes_read(path, &bytes, &e), HF_NOT_FOUND);
    raw_write(path, "", 0);
    assert_int_equal(hf_nifti_bytes_read(path, &bytes, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "empty"));
    raw_write(path, h.data, h.size);
    assert_int_equal(hf_nifti_bytes_read(path, &bytes, &e), HF_OK);
    assert_int_equal(bytes.size, h.size);
    assert_memory_equal(bytes.data, h.data, h.size);
    hf_nifti_bytes_free(&bytes);
    raw_free(&h);
    raw_free(&img);
    raw_free(&packed);
    raw_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),    cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_orientations), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_dimensions),   cmocka_unit_test(test_scaling),
        cmocka_unit_test(test_nonfinite),    cmocka_unit_test(test_labels),
        cmocka_unit_test(test_damage),       cmocka_unit_test(test_mad_headers),
        cmocka_unit_test(test_every_byte),   cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
