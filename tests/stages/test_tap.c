/*
 * test_tap.c - the stage `tap` on samples of odd names and grids; what it writes of a graph's edges
 * is tested by tap_check.py.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "harness.h"

#include "../../stages/tap/tap.c"

static const struct options plain = {.count = 3, .pictures = 1};

static int files_in(const char *folder) {
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* Nothing is written over: a volume and a picture each, and tap.json. */
static void test_names_that_are_alike(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e;
    char longest[1000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    const char *const id[3] = {"a/b", "a_b", longest};
    struct hf_sample *in[3];
    for (int i = 0; i < 3; i++) {
        in[i] = harness_sample(h, id[i], 2, 4, 4, 1);
        harness_set_u8(h, in[i], "liver", 1, NULL);
    }
    struct hf_stage *s = harness_stage(h, &tap, &plain, "tap");
    if (harness_run(s, (const struct hf_sample *const *)in, 3, &e) != HF_OK)
        fail_msg("%s", e.text);
    assert_int_equal(files_in(harness_folder(h)), 3 * 2 + 1);
    harness_stage_free(s);
    for (int i = 0; i < 3; i++)
        harness_free_sample(h, in[i]);
    harness_close(h);
}

/* The picture of a voxel of no length, which a stage may come with, is drawn as of 1 mm. */
static void test_montage_of_no_spacing(void **state) {
    (void)state;
    static const double odd[] = {0, NAN, INFINITY, 1e-300, 1e300};
    static const float value[2 * 3 * 4];
    struct hf_error e;
    for (int i = 0; i < 5; i++) {
        struct hf_grid grid = {.size = {2, 3, 4}};
        for (int k = 0; k < 3; k++)
            grid.affine[k][k] = odd[i];
        struct volume v = {.dtype = HF_F32, .data = value, .d = 2, .h = 3, .w = 4};
        void *png = NULL;
        size_t size = 0;
        draw_spacing(&grid, v.spacing);
        if (montage_draw(&v, NULL, &png, &size, &e) != HF_OK)
            fail_msg("%s", e.text);
        /* Bytes 16 to 23 of a PNG file: two slices of 200 x 150 pixels side by side. */
        static const uint8_t sides[8] = {0, 0, 404 / 256, 404 % 256, 0, 0, 0, 150};
        assert_true(size > 24);
        assert_memory_equal((uint8_t *)png + 16, sides, 8);
        free(png);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_are_alike),
        cmocka_unit_test(test_montage_of_no_spacing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
