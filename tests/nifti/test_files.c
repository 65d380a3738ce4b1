/**
 * test_files.c - real NIfTI files of other programs, in $HEPAFLOW_DATA (skipped where that is not
 * set): each one of nifti-encodings does what its table says. (test_torture.c has the odd ones.)
 */
#include "read.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *data_folder(void) {
    const char *data = getenv("HEPAFLOW_DATA");
    if (!data || !*data)
        skip();
    return data;
}

/** NULL: refused, with the reason in e. */
static float *read_path(const char *path, enum hf_nonfinite nonfinite, struct hf_nifti *ret,
                        struct hf_error *e) {
    char header[4096], image[4096];
    struct hf_nifti_bytes h = {NULL, 0}, i = {NULL, 0};
    float *out = NULL;
    e->text[0] = '\0';
    if (hf_nifti_paths(path, header, image, sizeof header, e) == HF_OK &&
        hf_nifti_bytes_read(header, &h, e) == HF_OK &&
        (!image[0] || hf_nifti_bytes_read(image, &i, e) == HF_OK) &&
        hf_nifti_open(h.data, h.size, i.data, i.size, path, ret, e) == HF_OK) {
        out = malloc((size_t)hf_grid_count(&ret->canonical) * sizeof *out);
        assert_non_null(out);
        if (hf_nifti_read_f32(ret, nonfinite, -1024, out, e) != HF_OK) {
            free(out);
            out = NULL;
        }
        hf_nifti_close(ret);
    }
    hf_nifti_bytes_free(&h);
    hf_nifti_bytes_free(&i);
    return out;
}

static void one_line(const struct hf_error *e) {
    if (!e->text[0] || strchr(e->text, '\n'))
        fail_msg("not one line: '%s'", e->text);
}

/** The reference's voxels, read without the reader: int16 behind a header of 352 bytes. */
static float *reference(const char *folder, int64_t count) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/20_uncompressed.nii", folder);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    float *out = malloc((size_t)count * sizeof *out);
    assert_non_null(out);
    assert_int_equal(fseek(f, 352, SEEK_SET), 0);
    for (int64_t i = 0; i < count; i++) {
        int low = fgetc(f), high = fgetc(f);
        assert_true(high >= 0);
        out[i] = (float)(int16_t)(low | high << 8);
    }
    (void)fclose(f);
    return out;
}

static void check_encoding(const char *folder, const char *name, const char *expected,
                           const float *same, int64_t count) {
    char path[1536];
    struct hf_nifti n;
    struct hf_error e;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    char *pair = strstr(path, ".hdr/.img");
    if (pair)
        pair[4] = '\0';
    float *v = read_path(path, HF_NONFINITE_REFUSE, &n, &e);
    if (strncmp(expected, "refuse", 6) == 0) {
        if (v)
            fail_msg("%s was read; expected: %s", name, expected);
        one_line(&e);
        if (strstr(expected, "CRC"))
            assert_non_null(strstr(e.text, "CRC"));
        if (strstr(expected, "clear to the background")) {
            assert_non_null(strstr(e.text, "28 voxels"));
            v = read_path(path, HF_NONFINITE_CLEAR, &n, &e);
            assert_non_null(v);
            int64_t other = 0;
            for (int64_t i = 0; i < count; i++)
                other += v[i] != same[i];
            assert_in_range(other, 1, 28);
            assert_non_null(strstr(n.notes.text, "28 voxels"));
            free(v);
        }
        return;
    }
    if (!v)
        fail_msg("%s; expected: %s", e.text, expected);
    assert_int_equal(hf_grid_count(&n.canonical), count);
    assert_int_equal(n.canonical.size[2], 122);
    assert_int_equal(n.canonical.size[1], 101);
    assert_memory_equal(v, same, (size_t)count * sizeof *v);
    assert_int_equal(n.notes.used > 0,
                     strstr(expected, "warn") || strstr(expected, "no scaling") ? 1 : 0);
    free(v);
}

static void test_encodings(void **state) {
    (void)state;
    char folder[256], path[512], line[1024];
    (void)snprintf(folder, sizeof folder, "%s/nifti-encodings", data_folder());
    (void)snprintf(path, sizeof path, "%s/FILES.tsv", folder);
    FILE *table = fopen(path, "r");
    assert_non_null(table);
    const int64_t count = (int64_t)122 * 101 * 30;
    float *same = reference(folder, count);
    int files = 0;
    assert_non_null(fgets(line, sizeof line, table));
    while (fgets(line, sizeof line, table)) {
        line[strcspn(line, "\n")] = '\0';
        char *name_end = strchr(line, '\t'), *last = strrchr(line, '\t');
        assert_non_null(name_end);
        *name_end = '\0';
        check_encoding(folder, line, last + 1, same, count);
        files++;
    }
    assert_true(files >= 32);
    free(same);
    (void)fclose(table);
}

/** One volume in all 48 orientations: the same array comes out of each. */
static void test_spaces(void **state) {
    (void)state;
    static const char axes[3][3] = {"RL", "AP", "SI"};
    static const int perms[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    float *first = NULL;
    struct hf_nifti a, b;
    struct hf_error e;
    for (int p = 0; p < 6; p++)
        for (int flips = 0; flips < 8; flips++) {
            char path[512];
            (void)snprintf(path, sizeof path,
                           "%s/nifti-torture/niivue/packages/niivue/tests/images/nifti_space/"
                           "%c%c%c.nii.gz",
                           data_folder(), axes[perms[p][0]][flips & 1],
                           axes[perms[p][1]][flips >> 1 & 1], axes[perms[p][2]][flips >> 2]);
            float *v = read_path(path, HF_NONFINITE_REFUSE, first ? &b : &a, &e);
            if (!v)
                fail_msg("%s", e.text);
            if (!first) {
                first = v;
                continue;
            }
            assert_true(hf_grid_same(&a.canonical, &b.canonical));
            assert_memory_equal(first, v, (size_t)hf_grid_count(&a.canonical) * sizeof *v);
            free(v);
        }
    free(first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
