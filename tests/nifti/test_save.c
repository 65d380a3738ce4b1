/**
 * test_save.c - the stage `save`: files on the original grid, manifests that `load` reads, and no
 * half-written results.
 */
#include "cases.h"
#include "harness.h"
#include "raw.h"
#include "read.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "save/save.c"

#define NX 8
#define NY 6
#define NZ 5
#define N  (NX * NY * NZ)

struct fixture {
    struct harness *h;
    struct options o;
    struct hf_error e;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->h = harness_open();
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    harness_close(f->h);
    free(f);
    return 0;
}

/** A sample whose file runs P, I, R (z, y, x turned), and whose grid is a crop at half the step. */
static struct hf_sample *cropped(struct fixture *f, const char *id) {
    struct hf_sample *s = harness_sample(f->h, id, 4, 4, 6, 1);
    const struct hf_grid canonical = {{NZ, NY, NX}, {{2, 0, 0, -10}, {0, 2, 0, 4}, {0, 0, 3, 50}}};
    const struct hf_grid file = {
        {NX, NZ, NY},
        {{0, 0, 2, -10}, {-2, 0, 0, 4 + 2 * (NY - 1)}, {0, -3, 0, 50 + 3 * (NZ - 1)}}};
    s->canonical = canonical;
    s->file = file;
    /* Voxel (0, 0, 0) of the crop is voxel (2, 1, 1) of the image, of half the size in plane. */
    const double a[3][4] = {{1, 0, 0, -10 + 4 - 0.5}, {0, 1, 0, 4 + 2 - 0.5}, {0, 0, 3, 53}};
    memcpy(s->grid.affine, a, sizeof a);
    return s;
}

static enum hf_status run_over(struct fixture *f, const struct hf_sample *const *in, int32_t n) {
    struct hf_stage *s = harness_stage(f->h, &save, &f->o, "masks");
    enum hf_status st = harness_run(s, in, n, &f->e);
    harness_stage_free(s);
    return st;
}

static struct hf_nifti open_result(struct fixture *f, const char *name,
                                   struct hf_nifti_bytes *bytes) {
    static char path[512];
    struct hf_nifti n = {.name = NULL};
    (void)snprintf(path, sizeof path, "%s/%s", harness_folder(f->h), name);
    if (hf_nifti_bytes_read(path, bytes, &f->e) != HF_OK ||
        hf_nifti_open(bytes->data, bytes->size, NULL, 0, path, &n, &f->e) != HF_OK)
        fail_msg("%s", f->e.text);
    return n;
}

static void test_back_to_file(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s = cropped(f, "case");
    uint8_t mask[4 * 4 * 6];
    for (int i = 0; i < 4 * 4 * 6; i++)
        mask[i] = (uint8_t)(1 + i);
    harness_set_u8(f->h, s, "pseudo", 1, mask);
    f->o.fields = (struct hf_names){1, {"pseudo"}};
    assert_int_equal(run_over(f, (const struct hf_sample *const[]){s}, 1), HF_OK);
    struct hf_nifti_bytes bytes;
    struct hf_nifti n = open_result(f, "masks/case_pseudo.nii.gz", &bytes);
    assert_memory_equal(n.header.grid.size, s->file.size, sizeof s->file.size);
    assert_true(hf_grid_same(&n.header.grid, &s->file));
    uint8_t out[N];
    assert_int_equal(hf_nifti_read_u8(&n, 255, out, &f->e), HF_OK);
    int set = 0;
    for (int i = 0; i < N; i++) {
        /* In the image's canonical frame: voxel (2, 1, 1) and on hold 2 x 2 x 1 crop voxels. */
        int x = i % NX, y = i / NX % NY, z = i / NX / NY;
        int inside = x >= 2 && x < 5 && y >= 1 && y < 3 && z >= 1;
        set += inside;
        if (!inside) {
            assert_int_equal(out[i], 0);
            continue;
        }
        int v = out[i] - 1, cx = v % 6, cy = v / 6 % 4, cz = v / 24;
        assert_int_equal(cx / 2, x - 2);
        assert_int_equal(cy / 2, y - 1);
        assert_int_equal(cz, z - 1);
    }
    assert_int_equal(set, 3 * 2 * 4);
    hf_nifti_close(&n);
    hf_nifti_bytes_free(&bytes);
    harness_free_sample(f->h, s);
}

/** A mask of a coarse grid on a finer one: what at least half of is set, linearly in between. */
static void test_mask_as_it_is_scored(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s = harness_sample(f->h, "c", 1, 2, 4, 4);
    const uint8_t mask[8] = {0, 1, 1, 0, 0, 0, 1, 0};
    const struct hf_grid fine = {{1, 8, 16}, {{1, 0, 0, -1.5}, {0, 1, 0, -1.5}, {0, 0, 4, 0}}};
    s->canonical = s->file = fine;
    harness_set_u8(f->h, s, "pseudo", 1, mask);
    f->o.fields = (struct hf_names){1, {"pseudo"}};
    assert_int_equal(run_over(f, (const struct hf_sample *const[]){s}, 1), HF_OK);
    struct hf_nifti_bytes bytes;
    struct hf_nifti n = open_result(f, "masks/c_pseudo.nii.gz", &bytes);
    uint8_t out[8 * 16];
    assert_int_equal(hf_nifti_read_u8(&n, 255, out, &f->e), HF_OK);
    int odd = 0;
    for (int i = 0; i < 8 * 16; i++) {
        double at[2] = {(i % 16 - 1.5) / 4, (i / 16 - 1.5) / 4}, v = 0;
        at[0] = at[0] < 0 ? 0 : at[0] > 3 ? 3 : at[0];
        at[1] = at[1] < 0 ? 0 : at[1] > 1 ? 1 : at[1];
        for (int k = 0; k < 8; k++) {
            double dx = fabs(at[0] - k % 4), dy = fabs(at[1] - k / 4);
            v += mask[k] * (dx < 1 ? 1 - dx : 0) * (dy < 1 ? 1 - dy : 0);
        }
        assert_int_equal(out[i], v >= 0.5 - 1e-9);
        odd += out[i] != mask[(int)(at[1] + 0.5) * 4 + (int)(at[0] + 0.5)];
    }
    assert_true(odd > 0); /* the nearest voxel would be another mask */
    hf_nifti_close(&n);
    hf_nifti_bytes_free(&bytes);
    harness_free_sample(f->h, s);
}

static void test_soft(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s = cropped(f, "a");
    float score[4 * 4 * 6];
    for (int i = 0; i < 4 * 4 * 6; i++)
        score[i] = (float)(i % 6) / 6 + 10 * (float)(i / 24);
    harness_set_f32(f->h, s, "score", 1, score);
    f->o.fields = (struct hf_names){1, {"score"}};
    static const struct {
        int store;
        double mask_above, outside;
    } rows[] = {{STORE_FLOAT32, 0, -5},
                {STORE_INT16, 0, -5},
                {STORE_FLOAT32, 10.3, -5},
                {STORE_FLOAT32, 0.3, 0.3}}; /* what is at the value is in the mask */
    for (int k = 0; k < 4; k++) {
        f->o.store = rows[k].store;
        f->o.mask_above = rows[k].mask_above;
        f->o.fill = rows[k].outside;
        assert_int_equal(run_over(f, (const struct hf_sample *const[]){s}, 1), HF_OK);
        struct hf_nifti_bytes bytes;
        struct hf_nifti n = open_result(f, "masks/a_score.nii.gz", &bytes);
        float out[N];
        assert_int_equal(hf_nifti_read_f32(&n, HF_NONFINITE_REFUSE, 0, out, &f->e), HF_OK);
        for (int i = 0; i < N; i++) {
            int x = i % NX, y = i / NX % NY, z = i / NX / NY;
            int inside = x >= 2 && x < 5 && y >= 1 && y < 3 && z >= 1;
            /* Each image voxel's centre lies midway between two crop voxels. */
            double soft = inside ? ((x - 2) * 2 + 0.5) / 6 + 10 * (z - 1) : rows[k].outside;
            double expected = k == 0 ? soft : k == 1 ? rint(soft) : soft >= rows[k].mask_above;
            assert_float_equal(out[i], expected, 1e-5);
        }
        hf_nifti_close(&n);
        hf_nifti_bytes_free(&bytes);
    }
    harness_free_sample(f->h, s);
}

static void test_grids(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s = cropped(f, "a");
    uint8_t truth[N];
    for (int i = 0; i < N; i++)
        truth[i] = (uint8_t)i;
    const int64_t shape[4] = {1, NZ, NY, NX};
    harness_set(f->h, s, "truth", HF_ON_CANONICAL, HF_U8, 4, shape, truth);
    harness_set_u8(f->h, s, "pseudo", 1, NULL);
    f->o.fields = (struct hf_names){2, {"truth", "pseudo"}};
    f->o.folder = "elsewhere";
    for (int grid = 0; grid < 3; grid++) {
        f->o.grid = grid;
        assert_int_equal(run_over(f, (const struct hf_sample *const[]){s}, 1), HF_OK);
        struct hf_nifti_bytes bytes;
        struct hf_nifti n = open_result(f, "elsewhere/a_truth.nii.gz", &bytes);
        const struct hf_grid *g = grid == GRID_FILE        ? &s->file
                                  : grid == GRID_CANONICAL ? &s->canonical
                                                           : &s->grid;
        assert_true(hf_grid_same(&n.header.grid, g));
        if (grid != GRID_SAMPLE) {
            uint8_t out[N];
            assert_int_equal(hf_nifti_read_u8(&n, 255, out, &f->e), HF_OK);
            assert_memory_equal(out, truth, N);
        }
        hf_nifti_close(&n);
        hf_nifti_bytes_free(&bytes);
    }
    harness_free_sample(f->h, s);
}

static void test_manifest(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s[3] = {cropped(f, "train-1"), cropped(f, "test-1"), cropped(f, "test-2")};
    static const uint8_t rows[3][18] = {{1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0},
                                        {1, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                                        {1, 0, 1, 0, 0, 0, 0, 0, 0, 0}};
    const int64_t shape[2] = {2, 9};
    for (int i = 0; i < 3; i++) {
        harness_set_f32(f->h, s[i], "image", 1, NULL);
        harness_set_u8(f->h, s[i], "liver", 1, NULL);
        if (i == 0)
            harness_set_u8(f->h, s[i], "tumor", 1, NULL);
        harness_set(f->h, s[i], "annotation", HF_ON_HOST, HF_U8, 2, shape, rows[i]);
    }
    f->o.fields = (struct hf_names){3, {"liver", "image", "tumor"}};
    f->o.manifest = 1;
    f->o.test = (struct hf_names){1, {"test-*"}};
    assert_int_equal(run_over(f, (const struct hf_sample *const *)s, 3), HF_OK);
    struct hf_cases c;
    struct hf_nifti_bytes bytes;
    char path[512], file[600];
    (void)snprintf(path, sizeof path, "%s/masks/cases.csv", harness_folder(f->h));
    assert_int_equal(hf_nifti_bytes_read(path, &bytes, &f->e), HF_OK);
    if (hf_cases_parse(bytes.data, bytes.size, path, &c, &f->e) != HF_OK)
        fail_msg("%s", f->e.text);
    hf_nifti_bytes_free(&bytes);
    assert_int_equal(c.count, 3);
    assert_string_equal(c.item[0].name, "train-1");
    assert_string_equal(c.item[0].patient, s[0]->patient);
    assert_int_equal(c.item[0].split, HF_SPLIT_TRAIN);
    assert_int_equal(c.item[1].split, HF_SPLIT_TEST);
    const uint8_t segments[9] = {1, 0, 1, 0, 0, 1, 0, 0, 0};
    assert_memory_equal(c.item[0].segment, segments, 9);
    assert_true(c.item[1].annotated);
    assert_false(c.item[2].annotated);
    (void)snprintf(file, sizeof file, "%s/masks/train-1_image.nii.gz", harness_folder(f->h));
    assert_string_equal(c.item[0].path[HF_CASE_IMAGE], file);
    assert_non_null(c.item[0].path[HF_CASE_TUMOR]);
    assert_null(c.item[0].path[HF_CASE_COUINAUD]);
    assert_null(c.item[1].path[HF_CASE_TUMOR]);
    for (int i = 0; i < 3; i++) {
        struct stat info;
        assert_int_equal(stat(c.item[i].path[HF_CASE_LIVER], &info), 0);
        harness_free_sample(f->h, s[i]);
    }
    hf_cases_free(&c);
}

/** Cases that are called alike overwrite no file of each other. */
static void test_names_that_are_alike(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s[3] = {cropped(f, "a/b"), cropped(f, "a_b"), cropped(f, "a/b/")};
    for (int i = 0; i < 3; i++)
        harness_set_f32(f->h, s[i], "image", 1, NULL);
    f->o.fields = (struct hf_names){1, {"image"}};
    f->o.manifest = 1;
    assert_int_equal(run_over(f, (const struct hf_sample *const *)s, 3), HF_OK);
    char folder[512], path[700];
    int files = 0;
    (void)snprintf(folder, sizeof folder, "%s/masks", harness_folder(f->h));
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        files += strstr(entry->d_name, "_image.nii.gz") != NULL;
    closedir(dir);
    assert_int_equal(files, 3);
    struct hf_cases c;
    struct hf_nifti_bytes bytes;
    (void)snprintf(path, sizeof path, "%s/cases.csv", folder);
    assert_int_equal(hf_nifti_bytes_read(path, &bytes, &f->e), HF_OK);
    assert_int_equal(hf_cases_parse(bytes.data, bytes.size, path, &c, &f->e), HF_OK);
    hf_nifti_bytes_free(&bytes);
    assert_int_equal(c.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(access(c.item[i].path[HF_CASE_IMAGE], F_OK), 0);
        harness_free_sample(f->h, s[i]);
    }
    hf_cases_free(&c);
}

/** A run that stops over the folder of an earlier one leaves no manifest of a mix. */
static void test_manifest_of_a_stopped_run(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s[2] = {cropped(f, "a"), cropped(f, "b")};
    static const uint8_t mask[4 * 4 * 6], two[2 * 4 * 4 * 6];
    char path[512];
    (void)snprintf(path, sizeof path, "%s/masks/cases.csv", harness_folder(f->h));
    harness_set_u8(f->h, s[0], "pseudo", 1, mask);
    harness_set_u8(f->h, s[1], "pseudo", 1, mask);
    f->o.fields = (struct hf_names){1, {"pseudo"}};
    f->o.manifest = 1;
    assert_int_equal(run_over(f, (const struct hf_sample *const *)s, 2), HF_OK);
    assert_int_equal(access(path, F_OK), 0);
    harness_set_u8(f->h, s[1], "pseudo", 2, two);
    assert_int_equal(run_over(f, (const struct hf_sample *const *)s, 2), HF_UNSUPPORTED);
    assert_int_not_equal(access(path, F_OK), 0);
    /* Without a manifest to write, one that is there is somebody else's. */
    harness_set_u8(f->h, s[1], "pseudo", 1, mask);
    assert_int_equal(run_over(f, (const struct hf_sample *const *)s, 2), HF_OK);
    f->o.manifest = 0;
    assert_int_equal(run_over(f, (const struct hf_sample *const *)s, 2), HF_OK);
    assert_int_equal(access(path, F_OK), 0);
    harness_free_sample(f->h, s[0]);
    harness_free_sample(f->h, s[1]);
}

/** How many names the results folder `masks` holds. */
static int results(struct fixture *f) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/masks", harness_folder(f->h));
    DIR *d = opendir(path);
    assert_non_null(d);
    int names = 0;
    for (const struct dirent *entry; (entry = readdir(d));)
        names += entry->d_name[0] != '.';
    (void)closedir(d);
    return names;
}

/** Room for a few bytes only, as on a full disk: one line, and no part of a file stays. */
static void test_full_disk(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s = cropped(f, "a");
    harness_set_u8(f->h, s, "pseudo", 1, NULL);
    f->o.fields = (struct hf_names){1, {"pseudo"}};
    f->o.manifest = 1;
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 20;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    enum hf_status st = run_over(f, (const struct hf_sample *const[]){s}, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(st, HF_IO);
    assert_non_null(strstr(f->e.text, "field 'pseudo': "));
    assert_non_null(strstr(f->e.text, "a_pseudo.nii.gz: cannot be written"));
    assert_null(strchr(f->e.text, '\n'));
    assert_int_equal(results(f), 0);
    harness_free_sample(f->h, s);
}

/** A folder that cannot be written: one line, and nothing is left behind. */
static void test_no_room(void **state) {
    struct fixture *f = *state;
    struct hf_sample *s = cropped(f, "a");
    char path[512];
    harness_set_u8(f->h, s, "pseudo", 1, NULL);
    f->o.fields = (struct hf_names){1, {"pseudo"}};
    f->o.manifest = 1;
    (void)snprintf(path, sizeof path, "%s/masks", harness_folder(f->h));
    raw_write(path, "in the way", 10);
    assert_int_not_equal(run_over(f, (const struct hf_sample *const[]){s}, 1), HF_OK);
    assert_null(strchr(f->e.text, '\n'));
    assert_int_equal(remove(path), 0);
    /* A folder where the file should go: the rename fails after the file was written aside. */
    assert_int_equal(mkdir(path, 0777), 0);
    (void)snprintf(path, sizeof path, "%s/masks/a_pseudo.nii.gz", harness_folder(f->h));
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_not_equal(run_over(f, (const struct hf_sample *const[]){s}, 1), HF_OK);
    assert_non_null(strstr(f->e.text, "field 'pseudo': "));
    assert_null(strchr(f->e.text, '\n'));
    assert_int_equal(results(f), 1); /* the folder alone: no manifest, nothing half-written */
    harness_free_sample(f->h, s);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_back_to_file),
        TEST(test_mask_as_it_is_scored),
        TEST(test_soft),
        TEST(test_grids),
        TEST(test_manifest),
        TEST(test_manifest_of_a_stopped_run),
        TEST(test_full_disk),
        TEST(test_no_room),
        TEST(test_names_that_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
