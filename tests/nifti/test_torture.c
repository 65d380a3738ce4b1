/**
 * test_torture.c - files of other programs' own tests, in $HEPAFLOW_DATA: each is read to the
 * values that torture.tsv has from nibabel, or is refused in one line, and none makes the reader
 * allocate more than its bytes can hold.
 *
 * The program is linked with --wrap, so that the allocations of the reader pass through here.
 */
#include "raw.h"
#include "read.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

/** The largest allocation since it was set to 0. */
static size_t largest;

static void note(size_t size) {
    largest = size > largest ? size : largest;
}

void *__wrap_malloc(size_t size) {
    note(size);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    note(n * size);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
    note(size);
    return __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    note(size);
    return __real_aligned_alloc(alignment, size);
}

#define SPARE ((size_t)4 << 20) /* a look at the header, a large page, what may follow */

/** What the reader may ask for: the file, or what its gzip stream can hold at best. */
static size_t most(const struct hf_nifti_bytes *b) {
    const uint8_t *bytes = b->data;
    int packed = b->size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
    return b->size * (packed ? 1032 : 1) + SPARE;
}

/** What a file was read to. */
struct found {
    int64_t size[3];
    double sum, weighted, absolute;
};

static void add_up(const struct hf_nifti *n, const float *v, struct found *ret) {
    int64_t count = hf_grid_count(&n->canonical);
    memset(ret, 0, sizeof *ret);
    memcpy(ret->size, n->canonical.size, sizeof ret->size);
    for (int64_t i = 0; i < count; i++) {
        ret->sum += v[i];
        ret->weighted += (double)v[i] * (double)(1 + i % 97);
        ret->absolute += fabs((double)v[i]);
    }
}

/** HF_OK and what was read, or the reason in e; checks what was allocated. */
static enum hf_status read_file(const char *path, struct found *ret, struct hf_error *e) {
    char header[4096], image[4096];
    struct hf_nifti_bytes h = {NULL, 0}, i = {NULL, 0};
    struct hf_nifti n;
    e->text[0] = '\0';
    enum hf_status st = hf_nifti_paths(path, header, image, sizeof header, e);
    if (st == HF_OK)
        st = hf_nifti_bytes_read(header, &h, e);
    if (st == HF_OK && image[0])
        st = hf_nifti_bytes_read(image, &i, e);
    if (st == HF_OK) {
        largest = 0;
        st = hf_nifti_open(h.data, h.size, i.data, i.size, path, &n, e);
        size_t limit = most(image[0] ? &i : &h);
        if (largest > limit)
            fail_msg("%s: %zu bytes at once; at most %zu can be needed", path, largest, limit);
        /* What opens has its voxels already: it cannot promise more than it holds. */
        if (st == HF_OK && (size_t)hf_nifti_data_bytes(&n.header) > limit)
            fail_msg("%s: opened without its voxels", path);
    }
    if (st == HF_OK) {
        float *v = malloc((size_t)hf_grid_count(&n.canonical) * sizeof *v);
        assert_non_null(v);
        largest = 0;
        st = hf_nifti_read_f32(&n, HF_NONFINITE_CLEAR, -1024, v, e);
        assert_true(largest < SPARE);
        add_up(&n, v, ret);
        free(v);
        hf_nifti_close(&n);
    }
    hf_nifti_bytes_free(&h);
    hf_nifti_bytes_free(&i);
    if (st != HF_OK && (!e->text[0] || strchr(e->text, '\n')))
        fail_msg("%s: not one line: '%s'", path, e->text);
    return st;
}

static const char *data_folder(void) {
    const char *data = getenv("HEPAFLOW_DATA");
    if (!data || !*data)
        skip();
    return data;
}

static FILE *open_table(void) {
    char path[4096];
    const char *source = getenv("HEPAFLOW_SOURCE");
    (void)snprintf(path, sizeof path, "%s/tests/nifti/torture.tsv", source ? source : ".");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static void near(const char *name, const char *what, double found, double expected, double scale) {
    if (!(fabs(found - expected) <= 1e-6 * scale))
        fail_msg("%s: %s %.9g; expected %.9g", name, what, found, expected);
}

static void test_values(void **state) {
    (void)state;
    char line[4096], path[8192];
    const char *data = data_folder();
    FILE *table = open_table();
    int read = 0, refused = 0;
    while (fgets(line, sizeof line, table)) {
        struct found is, want;
        struct hf_error e;
        char *rest = strchr(line, '\t');
        assert_non_null(rest);
        *rest++ = '\0';
        (void)snprintf(path, sizeof path, "%s/nifti-torture/%s", data, line);
        enum hf_status st = read_file(path, &is, &e);
        if (strncmp(rest, "refuse", 6) == 0) {
            if (st == HF_OK)
                fail_msg("%s was read; expected: %s", line, rest);
            refused++;
            continue;
        }
        if (st != HF_OK)
            fail_msg("refused: %s", e.text);
        long long size[3];
        assert_int_equal(sscanf(rest, "read\t%lld\t%lld\t%lld\t%lf\t%lf\t%lf", &size[0], &size[1],
                                &size[2], &want.sum, &want.weighted, &want.absolute),
                         6);
        for (int a = 0; a < 3; a++)
            if (is.size[a] != size[a])
                fail_msg("%s: axis %d has %lld voxels; expected %lld", line, a,
                         (long long)is.size[a], size[a]);
        near(line, "sum", is.sum, want.sum, want.absolute);
        near(line, "weighted sum", is.weighted, want.weighted, 97 * want.absolute);
        near(line, "absolute sum", is.absolute, want.absolute, want.absolute);
        read++;
    }
    (void)fclose(table);
    assert_true(read >= 90);
    assert_int_equal(read + refused, 124);
}

/** The broken ones among the encodings ask for no more than they hold, either. */
static void test_encodings(void **state) {
    (void)state;
    char folder[4096], path[8192];
    (void)snprintf(folder, sizeof folder, "%s/nifti-encodings", data_folder());
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    const struct dirent *entry;
    int files = 0;
    while ((entry = readdir(dir))) {
        struct found is;
        struct hf_error e;
        if (!strstr(entry->d_name, ".nii"))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)read_file(path, &is, &e);
        files++;
    }
    (void)closedir(dir);
    assert_true(files >= 31);
}

/** Headers that promise more than the file holds, at every size that a header can name. */
static void test_promises(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {
        {32767, 32767, 32767}, {32767, 32767, 1}, {2000, 2000, 2000}, {64, 64, 4}, {3, 3, 3}};
    double voxels[2 * 2 * 2] = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int type = 0; type < RAW_TYPES; type++)
            for (int packed = 0; packed < 2; packed++) {
                struct raw_image r = raw_default(2, 2, 2);
                struct hf_error e;
                struct hf_nifti n;
                r.type = type;
                struct raw_bytes all = raw_single(&r, voxels);
                int16_t dim[3];
                for (int a = 0; a < 3; a++)
                    dim[a] = (int16_t)sizes[i][a];
                memcpy(all.data + 42, dim, sizeof dim);
                struct raw_bytes file =
                    packed ? raw_gzip(all.data, all.size, 1) : raw_copy(all.data, all.size);
                largest = 0;
                assert_int_equal(hf_nifti_open(file.data, file.size, NULL, 0, "small.nii", &n, &e),
                                 HF_INVALID);
                assert_null(strchr(e.text, '\n'));
                assert_true(largest <= file.size * 1032 + SPARE);
                raw_free(&file);
                raw_free(&all);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
