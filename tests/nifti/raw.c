/**
 * raw.c - NIfTI headers and voxels put down byte by byte.
 */
#include "raw.h"

#include <ftw.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct raw_type raw_types[RAW_TYPES] = {
    {"uint8", 2, 1, 'u'},     {"int8", 256, 1, 'i'},   {"uint16", 512, 2, 'u'},
    {"int16", 4, 2, 'i'},     {"uint32", 768, 4, 'u'}, {"int32", 8, 4, 'i'},
    {"uint64", 1280, 8, 'u'}, {"int64", 1024, 8, 'i'}, {"float32", 16, 4, 'f'},
    {"float64", 64, 8, 'f'},
};

static void *need(void *p) {
    if (!p) {
        (void)fprintf(stderr, "out of memory\n");
        abort();
    }
    return p;
}

/** Puts the low `n` bytes of a number at `at`. */
static void put_bits(uint8_t *at, uint64_t bits, int n, int big_endian) {
    for (int i = 0; i < n; i++)
        at[big_endian ? n - 1 - i : i] = (uint8_t)(bits >> (8 * i));
}

static void put_float(uint8_t *at, double value, int n, int big_endian) {
    uint64_t bits = 0;
    if (n == 4) {
        float f = (float)value;
        uint32_t b;
        memcpy(&b, &f, 4);
        bits = b;
    } else {
        memcpy(&bits, &value, 8);
    }
    put_bits(at, bits, n, big_endian);
}

struct raw_image raw_default(int64_t nx, int64_t ny, int64_t nz) {
    struct raw_image r;
    memset(&r, 0, sizeof r);
    r.version = 1;
    r.type = 3;
    r.dim[0] = 3;
    r.dim[1] = nx;
    r.dim[2] = ny;
    r.dim[3] = nz;
    for (int i = 4; i < 8; i++)
        r.dim[i] = 1;
    for (int i = 0; i < 8; i++)
        r.pixdim[i] = 1;
    r.slope = 1;
    r.sform = 1;
    for (int i = 0; i < 3; i++)
        r.srow[i][i] = 1;
    return r;
}

static void put_header_1(uint8_t *h, const struct raw_image *r, int pair) {
    int b = r->big_endian;
    put_bits(h, 348, 4, b);
    for (int i = 0; i < 8; i++)
        put_bits(h + 40 + 2 * i, (uint64_t)r->dim[i], 2, b);
    put_bits(h + 70, (uint64_t)(r->code ? r->code : raw_types[r->type].code), 2, b);
    put_bits(h + 72, (uint64_t)(8 * raw_types[r->type].bytes), 2, b);
    for (int i = 0; i < 8; i++)
        put_float(h + 76 + 4 * i, r->pixdim[i], 4, b);
    put_float(h + 108, r->offset != 0 ? r->offset : pair ? 0 : 352, 4, b);
    put_float(h + 112, r->slope, 4, b);
    put_float(h + 116, r->inter, 4, b);
    h[123] = (uint8_t)r->units;
    put_bits(h + 252, (uint64_t)r->qform, 2, b);
    put_bits(h + 254, (uint64_t)r->sform, 2, b);
    for (int i = 0; i < 3; i++) {
        put_float(h + 256 + 4 * i, r->quatern[i], 4, b);
        put_float(h + 268 + 4 * i, r->shift[i], 4, b);
        for (int c = 0; c < 4; c++)
            put_float(h + 280 + 16 * i + 4 * c, r->srow[i][c], 4, b);
    }
    memcpy(h + 344, r->magic ? r->magic : pair ? "ni1" : "n+1", 4);
}

static void put_header_2(uint8_t *h, const struct raw_image *r, int pair) {
    int b = r->big_endian;
    put_bits(h, 540, 4, b);
    memcpy(h + 4, r->magic ? r->magic : pair ? "ni2\0\r\n\032\n" : "n+2\0\r\n\032\n", 8);
    put_bits(h + 12, (uint64_t)(r->code ? r->code : raw_types[r->type].code), 2, b);
    put_bits(h + 14, (uint64_t)(8 * raw_types[r->type].bytes), 2, b);
    for (int i = 0; i < 8; i++) {
        put_bits(h + 16 + 8 * i, (uint64_t)r->dim[i], 8, b);
        put_float(h + 104 + 8 * i, r->pixdim[i], 8, b);
    }
    put_bits(h + 168, r->offset != 0 ? (uint64_t)(int64_t)r->offset : pair ? 0 : 544, 8, b);
    put_float(h + 176, r->slope, 8, b);
    put_float(h + 184, r->inter, 8, b);
    put_bits(h + 344, (uint64_t)r->qform, 4, b);
    put_bits(h + 348, (uint64_t)r->sform, 4, b);
    for (int i = 0; i < 3; i++) {
        put_float(h + 352 + 8 * i, r->quatern[i], 8, b);
        put_float(h + 376 + 8 * i, r->shift[i], 8, b);
        for (int c = 0; c < 4; c++)
            put_float(h + 400 + 32 * i + 8 * c, r->srow[i][c], 8, b);
    }
    put_bits(h + 500, (uint64_t)r->units, 4, b);
}

struct raw_bytes raw_header(const struct raw_image *r, int pair) {
    struct raw_bytes out;
    out.size = r->version == 1 ? (pair ? 348 : 352) : (pair ? 540 : 544);
    out.data = need(calloc(1, out.size));
    if (r->version == 1)
        put_header_1(out.data, r, pair);
    else
        put_header_2(out.data, r, pair);
    return out;
}

struct raw_bytes raw_voxels(const struct raw_image *r, const double *values) {
    const struct raw_type *t = &raw_types[r->type];
    int64_t n = 1;
    for (int64_t i = 1; i <= r->dim[0]; i++)
        n *= r->dim[i];
    struct raw_bytes out;
    out.size = (size_t)(n * t->bytes);
    out.data = need(calloc(1, out.size));
    for (int64_t i = 0; i < n; i++) {
        uint8_t *at = out.data + i * t->bytes;
        if (t->kind == 'f')
            put_float(at, values[i], t->bytes, r->big_endian);
        else if (t->kind == 'u')
            put_bits(at, (uint64_t)values[i], t->bytes, r->big_endian);
        else
            put_bits(at, (uint64_t)(int64_t)values[i], t->bytes, r->big_endian);
    }
    return out;
}

struct raw_bytes raw_single(const struct raw_image *r, const double *values) {
    struct raw_bytes h = raw_header(r, 0), v = raw_voxels(r, values), out;
    out.size = h.size + v.size;
    out.data = need(malloc(out.size));
    memcpy(out.data, h.data, h.size);
    memcpy(out.data + h.size, v.data, v.size);
    raw_free(&h);
    raw_free(&v);
    return out;
}

struct raw_bytes raw_gzip(const void *data, size_t size, int members) {
    struct libdeflate_compressor *c = need(libdeflate_alloc_compressor(6));
    struct raw_bytes out;
    size_t room = libdeflate_gzip_compress_bound(c, size) * (size_t)members, done = 0;
    out.data = need(malloc(room));
    out.size = 0;
    for (int m = 0; m < members; m++) {
        size_t part = m + 1 == members ? size - done : size / (size_t)members;
        out.size += libdeflate_gzip_compress(c, (const uint8_t *)data + done, part,
                                             out.data + out.size, room - out.size);
        done += part;
    }
    libdeflate_free_compressor(c);
    return out;
}

struct raw_bytes raw_copy(const void *data, size_t size) {
    struct raw_bytes out = {need(malloc(size ? size : 1)), size};
    memcpy(out.data, data, size);
    return out;
}

void raw_free(struct raw_bytes *b) {
    free(b->data);
    b->data = NULL;
    b->size = 0;
}

void raw_write(const char *path, const void *data, size_t size) {
    FILE *f = need(fopen(path, "wb"));
    if (fwrite(data, 1, size, f) != size || fclose(f) != 0) {
        perror(path);
        abort();
    }
}

void raw_folder(char ret_path[256]) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(ret_path, 256, "%s/hepaflow-test-XXXXXX", base ? base : "/tmp");
    (void)need(mkdtemp(ret_path));
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw) {
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

void raw_folder_remove(const char *path) {
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
