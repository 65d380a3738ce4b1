/**
 * read.c - opens NIfTI files of any numeric type and turns their voxels to canonical arrays.
 */
#include "read.h"
#include "gunzip.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <nifti2_io.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/** Room for a look at the header of a gzip stream: more than one stored deflate block. */
#define LOOK_BYTES (128 << 10)

/** Of a file, for its header alone: what inflates to more than LOOK_BYTES, however it is packed. */
#define PEEK_BYTES (2 * LOOK_BYTES)

/** How much a stream may hold behind its voxels before it is taken for damaged. */
#define SPARE_BYTES (1 << 20)

/* ---- memory ---- */

#define HUGE_BYTES ((size_t)2 << 20)

/** Memory for a file's content; in large pages where it is large, which are quicker to come by. */
static void *content_alloc(size_t size) {
    if (size < 2 * HUGE_BYTES)
        return malloc(size);
    size_t whole = size + HUGE_BYTES - 1;
    if (whole < size)
        return NULL;
    whole -= whole % HUGE_BYTES;
    void *p = aligned_alloc(HUGE_BYTES, whole);
#ifdef MADV_HUGEPAGE
    if (p)
        (void)madvise(p, whole, MADV_HUGEPAGE);
#endif
    return p;
}

static void *heap_take(void *arg, size_t size) {
    (void)arg;
    return content_alloc(size);
}

static void heap_give(void *arg, void *data) {
    (void)arg;
    free(data);
}

static const struct hf_nifti_memory heap = {heap_take, heap_give, NULL};

/* ---- files ---- */

static int ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int exists(const char *path) {
    struct stat s;
    return stat(path, &s) == 0;
}

enum hf_status hf_nifti_paths(const char *path, char *ret_header, char *ret_image, size_t size,
                              struct hf_error *e) {
    static const char *const parts[] = {".hdr", ".hdr.gz", ".img", ".img.gz"};
    if (strlen(path) + 4 > size)
        return hf_fail(e, HF_INVALID, "%s: the path is too long (at most %zu bytes)", path,
                       size - 4);
    int part = 0;
    while (part < 4 && !ends_with(path, parts[part]))
        part++;
    if (part == 4) {
        (void)snprintf(ret_header, size, "%s", path);
        ret_image[0] = '\0';
        return HF_OK;
    }
    /* The same compression first, then the other. */
    int packed = part & 1;
    int stem = (int)(strlen(path) - strlen(parts[part]));
    for (int half = 0; half < 2; half++) {
        char *to = half ? ret_image : ret_header;
        (void)snprintf(to, size, "%.*s%s", stem, path, parts[half * 2 + packed]);
        if (exists(to))
            continue;
        (void)snprintf(to, size, "%.*s%s", stem, path, parts[half * 2 + !packed]);
        if (!exists(to))
            return hf_fail(e, HF_NOT_FOUND, "%s: half of a pair: %.*s%s is not there", path, stem,
                           path, parts[half * 2 + packed]);
    }
    return HF_OK;
}

enum hf_status hf_nifti_bytes_read(const char *path, struct hf_nifti_bytes *ret,
                                   struct hf_error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(e, errno == ENOENT ? HF_NOT_FOUND : HF_IO, "%s: cannot open it: %s", path,
                       strerror(errno));
    struct stat s;
    enum hf_status st = HF_OK;
    uint8_t *data = NULL;
    size_t size = 0, got = 0;
    if (fstat(fd, &s) != 0)
        st = hf_fail(e, HF_IO, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(s.st_mode))
        st = hf_fail(e, HF_INVALID, "%s: a folder; expected a NIfTI file", path);
    else if (!S_ISREG(s.st_mode))
        st = hf_fail(e, HF_INVALID, "%s: no regular file", path);
    else if (s.st_size == 0)
        st = hf_fail(e, HF_INVALID, "%s: the file is empty", path);
    if (st != HF_OK)
        goto done;
    size = (size_t)s.st_size;
    data = content_alloc(size);
    if (!data) {
        st = hf_fail(e, HF_NO_MEMORY, "%s: no memory for its %zu bytes", path, size);
        goto done;
    }
    while (got < size) {
        ssize_t n = read(fd, data + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            st = hf_fail(e, HF_IO, "%s: cannot read it: %s", path,
                         n < 0 ? strerror(errno) : "it became shorter");
            goto done;
        }
        got += (size_t)n;
    }
    ret->data = data;
    ret->size = size;
    data = NULL;
done:
    free(data);
    (void)close(fd);
    return st;
}

void hf_nifti_bytes_free(struct hf_nifti_bytes *b) {
    free(b->data);
    b->data = NULL;
    b->size = 0;
}

/* ---- open ---- */

/**
 * Parses the header, from the file's first bytes or those of its gzip stream. What was looked at
 * stays in `ret_head`, to be compared with what inflates later.
 */
static enum hf_status open_header(const void *bytes, size_t size, struct hf_nifti *n,
                                  uint8_t ret_head[HF_NIFTI_HEADER_BYTES], struct hf_error *e) {
    if (size == 0)
        return hf_fail(e, HF_INVALID, "%s: the file is empty", n->name);
    if (!hf_is_gzip(bytes, size))
        return hf_nifti_header_parse(bytes, size, n->name, &n->header, &n->notes, e);
    uint8_t *look = malloc(LOOK_BYTES);
    if (!look)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory to look at its header", n->name);
    size_t used = 0;
    int whole = 0;
    enum hf_status st = hf_gunzip_begin(bytes, size, n->name, look, LOOK_BYTES, &used, &whole, e);
    if (st == HF_OK)
        st = hf_nifti_header_parse(look, used, n->name, &n->header, &n->notes, e);
    memcpy(ret_head, look, HF_NIFTI_HEADER_BYTES);
    free(look);
    return st;
}

enum hf_status hf_nifti_peek(const char *path, struct hf_nifti *ret, struct hf_error *e) {
    uint8_t head[HF_NIFTI_HEADER_BYTES], *bytes = malloc(PEEK_BYTES);
    size_t got = 0;
    enum hf_status st = HF_OK;
    FILE *f = bytes ? fopen(path, "rbe") : NULL;
    if (!bytes)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory to look at its header", path);
    if (!f)
        st = hf_fail(e, errno == ENOENT ? HF_NOT_FOUND : HF_IO, "%s: cannot open it: %s", path,
                     strerror(errno));
    if (f) {
        got = fread(bytes, 1, PEEK_BYTES, f);
        (void)fclose(f);
    }
    memset(ret, 0, sizeof *ret);
    ret->name = path;
    if (st == HF_OK)
        st = open_header(bytes, got, ret, head, e);
    if (st == HF_OK)
        hf_grid_canonical(&ret->header.grid, &ret->turn, &ret->canonical);
    free(bytes);
    return st;
}

static enum hf_status too_short(const struct hf_nifti *n, int64_t found, struct hf_error *e) {
    char buffer[32];
    const int64_t *size = n->header.grid.size;
    int64_t there = found > n->header.offset ? found - n->header.offset : 0;
    return hf_fail(e, HF_INVALID,
                   "%s: cut short: %lld x %lld x %lld voxels of %s are %lld bytes, the file has "
                   "%lld",
                   n->name, (long long)size[2], (long long)size[1], (long long)size[0],
                   hf_nifti_type_name(n->header.datatype, buffer),
                   (long long)hf_nifti_data_bytes(&n->header), (long long)there);
}

/** Finds the voxels in the file that holds them, inflating it if need be. */
static enum hf_status open_voxels(const void *bytes, size_t size, struct hf_nifti *n,
                                  struct hf_error *e) {
    int64_t data = hf_nifti_data_bytes(&n->header), offset = n->header.offset, need;
    if (__builtin_add_overflow(data, offset, &need))
        return too_short(n, (int64_t)size, e);
    if (!hf_is_gzip(bytes, size)) {
        if (need > (int64_t)size)
            return too_short(n, (int64_t)size, e);
        n->voxels = (const uint8_t *)bytes + offset;
        return HF_OK;
    }
    if (need / HF_GUNZIP_RATIO > (int64_t)size)
        return hf_fail(e, HF_INVALID,
                       "%s: its header calls for %lld bytes; a gzip file of %zu bytes cannot hold "
                       "them",
                       n->name, (long long)need, size);
    size_t room = (size_t)need + SPARE_BYTES, used = 0, left = 0;
    uint8_t *content = n->memory->take(n->memory->arg, room);
    if (!content)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for its %lld bytes", n->name,
                       (long long)need);
    enum hf_status st = hf_gunzip(bytes, size, n->name, content, room, &used, &left, e);
    if (st == HF_OK && (int64_t)used < need)
        st = too_short(n, (int64_t)used, e);
    if (st != HF_OK) {
        n->memory->give(n->memory->arg, content);
        return st;
    }
    if (left > 0)
        hf_note(&n->notes, "%zu bytes follow its gzip stream; ignored", left);
    n->owned = content;
    n->voxels = content + offset;
    return HF_OK;
}

enum hf_status hf_nifti_open(const void *header, size_t header_size, const void *image,
                             size_t image_size, const char *name, struct hf_nifti *ret,
                             struct hf_error *e) {
    return hf_nifti_open_into(&heap, header, header_size, image, image_size, name, ret, e);
}

enum hf_status hf_nifti_open_into(const struct hf_nifti_memory *memory, const void *header,
                                  size_t header_size, const void *image, size_t image_size,
                                  const char *name, struct hf_nifti *ret, struct hf_error *e) {
    struct hf_nifti n;
    memset(&n, 0, sizeof n);
    n.name = name;
    n.memory = memory;
    uint8_t head[HF_NIFTI_HEADER_BYTES];
    enum hf_status st = open_header(header, header_size, &n, head, e);
    if (st != HF_OK)
        return st;
    if (n.header.pair && (!image || image_size == 0))
        return hf_fail(e, HF_INVALID,
                       "%s: the header of a pair without its voxels; name it .hdr, with an .img "
                       "beside it",
                       name);
    st = n.header.pair ? open_voxels(image, image_size, &n, e)
                       : open_voxels(header, header_size, &n, e);
    if (st != HF_OK)
        return st;
    size_t head_size = n.header.version == 1 ? sizeof(nifti_1_header) : sizeof(nifti_2_header);
    if (!n.header.pair && n.owned && memcmp(n.owned, head, head_size) != 0) {
        hf_nifti_close(&n);
        return hf_fail(e, HF_INVALID, "%s: its gzip stream is damaged", name);
    }
    hf_grid_canonical(&n.header.grid, &n.turn, &n.canonical);
    *ret = n;
    return HF_OK;
}

void hf_nifti_close(struct hf_nifti *n) {
    if (n->owned)
        n->memory->give(n->memory->arg, n->owned);
    n->owned = NULL;
    n->voxels = NULL;
}

void hf_nifti_regrid(struct hf_nifti *n, const struct hf_grid *stored) {
    n->header.grid = *stored;
    hf_grid_canonical(stored, &n->turn, &n->canonical);
}

/* ---- voxels ---- */

/** Scaling of stored values. */
struct scale {
    double slope, inter;
};

typedef uint8_t bits1;
typedef uint16_t bits2;
typedef uint32_t bits4;
typedef uint64_t bits8;

#define TURN1(b) (b)
#define TURN2(b) __builtin_bswap16(b)
#define TURN4(b) __builtin_bswap32(b)
#define TURN8(b) __builtin_bswap64(b)

/** A row of one stored type to one type in memory: a loop for each common step, so that the
 * compiler can make vectors of it. */
#define ROW_LOOP(TYPE, N, TURN, OUT, VALUE, STEP)                                                  \
    for (int64_t i = 0; i < count; i++) {                                                          \
        bits##N b;                                                                                 \
        TYPE v;                                                                                    \
        memcpy(&b, in + i * (STEP), N);                                                            \
        b = TURN(b);                                                                               \
        memcpy(&v, &b, N);                                                                         \
        out[i] = (OUT)VALUE(v);                                                                    \
    }
#define ROW(NAME, TYPE, N, TURN, OUT, VALUE)                                                       \
    static void NAME(const uint8_t *restrict in, ptrdiff_t step, int64_t count, struct scale s,    \
                     OUT *restrict out) {                                                          \
        (void)s;                                                                                   \
        if (step == N)                                                                             \
            ROW_LOOP(TYPE, N, TURN, OUT, VALUE, N)                                                 \
        else if (step == -(N))                                                                     \
            ROW_LOOP(TYPE, N, TURN, OUT, VALUE, -(N))                                              \
        else                                                                                       \
            ROW_LOOP(TYPE, N, TURN, OUT, VALUE, step)                                              \
    }
#define SCALED(v) ((double)(v)*s.slope + s.inter)
#define PLAIN(v)  (v)
#define ROWS(T, TYPE, N)                                                                           \
    ROW(row_##T##_f32, TYPE, N, , float, SCALED)                                                   \
    ROW(row_##T##_f32_turned, TYPE, N, TURN##N, float, SCALED)                                     \
    ROW(row_##T##_f32_plain, TYPE, N, , float, PLAIN)                                              \
    ROW(row_##T##_f32_plain_turned, TYPE, N, TURN##N, float, PLAIN)                                \
    ROW(row_##T##_f64, TYPE, N, , double, SCALED)                                                  \
    ROW(row_##T##_f64_turned, TYPE, N, TURN##N, double, SCALED)

ROWS(u8, uint8_t, 1)
ROWS(i8, int8_t, 1)
ROWS(u16, uint16_t, 2)
ROWS(i16, int16_t, 2)
ROWS(u32, uint32_t, 4)
ROWS(i32, int32_t, 4)
ROWS(u64, uint64_t, 8)
ROWS(i64, int64_t, 8)
ROWS(f32, float, 4)
ROWS(f64, double, 8)

struct rows {
    int32_t datatype;
    void (*f32[4])(const uint8_t *, ptrdiff_t, int64_t, struct scale, float *);
    void (*f64[2])(const uint8_t *, ptrdiff_t, int64_t, struct scale, double *);
};

#define ROWS_OF(T, CODE)                                                                           \
    {                                                                                              \
        CODE,                                                                                      \
            {row_##T##_f32, row_##T##_f32_turned, row_##T##_f32_plain,                             \
             row_##T##_f32_plain_turned},                                                          \
        {                                                                                          \
            row_##T##_f64, row_##T##_f64_turned                                                    \
        }                                                                                          \
    }

static const struct rows row_table[] = {
    ROWS_OF(u8, NIFTI_TYPE_UINT8),    ROWS_OF(i8, NIFTI_TYPE_INT8),
    ROWS_OF(u16, NIFTI_TYPE_UINT16),  ROWS_OF(i16, NIFTI_TYPE_INT16),
    ROWS_OF(u32, NIFTI_TYPE_UINT32),  ROWS_OF(i32, NIFTI_TYPE_INT32),
    ROWS_OF(u64, NIFTI_TYPE_UINT64),  ROWS_OF(i64, NIFTI_TYPE_INT64),
    ROWS_OF(f32, NIFTI_TYPE_FLOAT32), ROWS_OF(f64, NIFTI_TYPE_FLOAT64),
};

static const struct rows *rows_find(int32_t datatype) {
    const struct rows *r = row_table;
    while (r->datatype != datatype)
        r++; /* the header's parse lets no other type through */
    return r;
}

/** 1 if the stored values are the values, and are finite, so that they need neither scaling nor a
 * look. (A whole number of up to 32 bits is rounded once, to float, either way.) */
static int is_plain(const struct hf_nifti_header *h) {
    return h->slope == 1 && h->inter == 0 && h->datatype != NIFTI_TYPE_FLOAT32 &&
           h->datatype != NIFTI_TYPE_FLOAT64 && h->voxel_bytes <= 4;
}

/** How to walk the stored voxels in canonical order: bytes from one to the next on each axis. */
struct walk {
    const uint8_t *first;
    ptrdiff_t step[3];
    int64_t count[3]; /* x, y, z */
    int32_t inner;    /* the outer loop pair's fast axis: 1 or 2, the one closer in memory */
};

static struct walk walk_begin(const struct hf_nifti *n) {
    struct walk w;
    w.first = n->voxels;
    ptrdiff_t step = n->header.voxel_bytes, stored[3];
    for (int c = 0; c < 3; c++) {
        stored[c] = step;
        step *= (ptrdiff_t)hf_grid_extent(&n->header.grid, c);
    }
    for (int a = 0; a < 3; a++) {
        int c = n->turn.axis[a];
        w.count[a] = hf_grid_extent(&n->header.grid, c);
        w.step[a] = stored[c];
        if (n->turn.flip[a]) {
            w.first += (w.count[a] - 1) * stored[c];
            w.step[a] = -stored[c];
        }
    }
    w.inner = llabs(w.step[2]) < llabs(w.step[1]) ? 2 : 1;
    return w;
}

/** Row number r of the walk: where it begins in the file, and which row of the output it is. */
static const uint8_t *walk_row(const struct walk *w, int64_t r, int64_t *ret_row) {
    int64_t at[3] = {0, 0, 0};
    at[w->inner] = r % w->count[w->inner];
    at[3 - w->inner] = r / w->count[w->inner];
    *ret_row = at[2] * w->count[1] + at[1];
    return w->first + at[1] * w->step[1] + at[2] * w->step[2];
}

/** The stored index of a canonical one, for messages: what a viewer shows. */
static void stored_index(const struct hf_nifti *n, int64_t x, int64_t row, int64_t ret[3]) {
    int64_t height = n->canonical.size[1];
    const int64_t at[3] = {x, row % height, row / height};
    for (int a = 0; a < 3; a++) {
        int c = n->turn.axis[a];
        ret[c] = n->turn.flip[a] ? hf_grid_extent(&n->header.grid, c) - 1 - at[a] : at[a];
    }
}

enum hf_status hf_nifti_read_f32(struct hf_nifti *n, enum hf_nonfinite nonfinite, float background,
                                 float *out, struct hf_error *e) {
    const struct scale s = {n->header.slope, n->header.inter};
    struct walk w = walk_begin(n);
    int64_t width = w.count[0], bad = 0;
    int plain = is_plain(&n->header);
    void (*convert)(const uint8_t *, ptrdiff_t, int64_t, struct scale, float *) =
        rows_find(n->header.datatype)->f32[2 * plain + n->header.swapped];
    for (int64_t r = 0; r < w.count[1] * w.count[2]; r++) {
        int64_t row;
        const uint8_t *in = walk_row(&w, r, &row);
        float *to = out + row * width;
        convert(in, w.step[0], width, s, to);
        int64_t odd = 0;
        for (int64_t x = 0; x < width && !plain; x++) {
            uint32_t b;
            memcpy(&b, to + x, 4);
            odd += (b & 0x7f800000u) == 0x7f800000u;
        }
        if (odd == 0)
            continue;
        bad += odd;
        for (int64_t x = 0; x < width; x++)
            if (!isfinite(to[x]))
                to[x] = background;
    }
    if (bad > 0 && nonfinite == HF_NONFINITE_REFUSE)
        return hf_fail(e, HF_INVALID,
                       "%s: %lld voxels are NaN or infinite; expected finite values (nonfinite: "
                       "clear sets them to the background)",
                       n->name, (long long)bad);
    if (bad > 0)
        hf_note(&n->notes, "%lld voxels are NaN or infinite; set to %g", (long long)bad,
                (double)background);
    return HF_OK;
}

/** A label that is not whole or out of range, at x of a row. */
static enum hf_status bad_label(const struct hf_nifti *n, double value, int64_t x, int64_t row,
                                int32_t max, struct hf_error *e) {
    int64_t at[3];
    stored_index(n, x, row, at);
    char range[32];
    if (max < INT32_MAX)
        (void)snprintf(range, sizeof range, "whole numbers 0 to %d", (int)max);
    else
        (void)snprintf(range, sizeof range, "whole numbers");
    return hf_fail(e, HF_INVALID, "%s: value %g at voxel (%lld, %lld, %lld); expected labels, %s",
                   n->name, value, (long long)at[0], (long long)at[1], (long long)at[2], range);
}

/** Both kinds of labels: exactly one of out8 and out32 is there. */
static enum hf_status read_labels(struct hf_nifti *n, double min, int32_t max, uint8_t *out8,
                                  int32_t *out32, struct hf_error *e) {
    const struct scale s = {n->header.slope, n->header.inter};
    struct walk w = walk_begin(n);
    int64_t width = w.count[0];
    double *line = malloc((size_t)width * sizeof *line);
    if (!line)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for a row of voxels", n->name);
    void (*convert)(const uint8_t *, ptrdiff_t, int64_t, struct scale, double *) =
        rows_find(n->header.datatype)->f64[n->header.swapped];
    enum hf_status st = HF_OK;
    for (int64_t r = 0; r < w.count[1] * w.count[2] && st == HF_OK; r++) {
        int64_t row;
        const uint8_t *in = walk_row(&w, r, &row);
        convert(in, w.step[0], width, s, line);
        int64_t bad = 0;
        for (int64_t x = 0; x < width; x++) {
            double v = line[x];
            bad += !(v >= min && v <= (double)max);
        }
        for (int64_t x = 0; x < width && bad == 0; x++) {
            int32_t v = (int32_t)line[x];
            bad += (double)v != line[x];
            if (out8)
                out8[row * width + x] = (uint8_t)v;
            else
                out32[row * width + x] = v;
        }
        for (int64_t x = 0; x < width && bad > 0 && st == HF_OK; x++) {
            double v = line[x];
            if (!(v >= min && v <= (double)max) || v != floor(v))
                st = bad_label(n, v, x, row, max, e);
        }
    }
    free(line);
    return st;
}

enum hf_status hf_nifti_read_u8(struct hf_nifti *n, int32_t max, uint8_t *out, struct hf_error *e) {
    return read_labels(n, 0, max < 255 ? max : 255, out, NULL, e);
}

enum hf_status hf_nifti_read_i32(struct hf_nifti *n, int32_t *out, struct hf_error *e) {
    return read_labels(n, INT32_MIN, INT32_MAX, NULL, out, e);
}
