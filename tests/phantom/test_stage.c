/**
 * test_stage.c - the stage `phantom`: splits, fields, grids, and what it says when it cannot.
 */
#include "common.h"
#include "harness.h"

#include <unistd.h>

#include "stage.c"

struct fixture {
    struct harness *h;
    struct options o;
    struct hf_error e;
    char data[4096];
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    const char *root = getenv("HEPAFLOW_SOURCE");
    assert_non_null(f);
    f->h = harness_open();
    f->o = (struct options){
        .cases = 6,
        .split = SPLIT_ALL,
        .test = 0.3333,
        .healthy = 0.3,
        .tumors = {2, {2, 4}},
        .contrast = {2, {-50, -15}},
        .bright = 0.2,
        .noise = {2, {7, 11}},
        .spacing = {2, {3, 4}},
        .slice = {2, {5, 6}},
        .deform = 1,
        .min_volume = 200,
    };
    (void)snprintf(f->data, sizeof f->data, "%s/stages/phantom", root ? root : ".");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    harness_close(f->h);
    free(f);
    return 0;
}

static struct hf_stage *instance(struct fixture *f) {
    struct hf_stage *s = harness_stage_new(f->h, &phantom, &f->o, "made");
    s->module_dir = f->data;
    assert_int_equal(harness_start(s, &f->e), HF_OK);
    return s;
}

static void samples_are_whole(void **state) {
    struct fixture *f = *state;
    struct hf_stage *s = instance(f);
    int64_t n = 0;
    assert_int_equal(phantom.count(s, &n, &f->e), HF_OK);
    assert_int_equal(n, 6);
    int turned = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(harness_open_item(s, i, &f->e), HF_OK);
        assert_int_equal(harness_outs(s), 1);
        const struct hf_sample *out = harness_out(s, 0);
        assert_string_equal(out->id, out->case_id);
        assert_int_equal(strncmp(out->id, i < 4 ? "train-" : "test-", 5), 0);
        const float *image = harness_f32(out, "image");
        const uint8_t *liver = harness_u8(out, "liver"), *couinaud = harness_u8(out, "couinaud");
        const uint8_t *tumor = harness_u8(out, "tumor"), *truth = harness_u8(out, "truth");
        const uint8_t *annotation = harness_u8(out, "annotation");
        size_t count = (size_t)(out->grid.size[0] * out->grid.size[1] * out->grid.size[2]);
        assert_int_equal(count, (size_t)hf_tensor_count(hf_sample_get(out, "image")));
        assert_int_equal(hf_sample_find(out, "truth")->place, HF_ON_CANONICAL);
        assert_memory_equal(tumor, truth, count);
        assert_int_equal(annotation[0], 1);
        size_t liver_voxels = 0;
        for (size_t at = 0; at < count; at++) {
            assert_true(image[at] >= -1024 && image[at] <= 3071);
            assert_int_equal(liver[at] != 0, couinaud[at] != 0);
            liver_voxels += liver[at];
        }
        assert_true(liver_voxels > 1000);
        assert_memory_equal(&out->grid, &out->canonical, sizeof out->grid);
        struct hf_grid told;
        assert_int_equal(phantom.grid_of(s, i, &told, &f->e), HF_OK);
        assert_memory_equal(&told, &out->grid, sizeof told);
        assert_true(out->grid.affine[0][0] >= 3 && out->grid.affine[0][0] <= 4);
        assert_true(out->grid.affine[2][2] >= 5 && out->grid.affine[2][2] <= 6);
        turned += memcmp(&out->file, &out->canonical, sizeof out->file) != 0;
    }
    assert_true(turned > 0);
    harness_stage_free(s);
}

/** What an item of the stage emits, as a number; also checks that it names its file. */
static uint64_t fingerprint(struct fixture *f, int64_t item) {
    struct hf_stage *s = instance(f);
    const char *path = NULL;
    assert_int_equal(phantom.files(s, item, &path, 1), 1);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(harness_open_item(s, item, &f->e), HF_OK);
    const struct hf_sample *out = harness_out(s, 0);
    const struct hf_tensor *t = hf_sample_get(out, "image");
    uint64_t h = hf_rng_hash(1, out->id);
    for (size_t i = 0; i < t->bytes; i++)
        h = (h ^ ((const uint8_t *)t->dl.data)[i]) * UINT64_C(0x100000001B3);
    harness_stage_free(s);
    return h;
}

static void a_split_is_a_part_of_the_whole(void **state) {
    struct fixture *f = *state;
    uint64_t train = fingerprint(f, 1), test = fingerprint(f, 5);
    f->o.split = SPLIT_TRAIN;
    assert_true(fingerprint(f, 1) == train);
    f->o.split = SPLIT_TEST;
    assert_true(fingerprint(f, 1) == test);
    assert_true(train != test);
    struct hf_stage *s = instance(f);
    int64_t n = 0;
    assert_int_equal(phantom.count(s, &n, &f->e), HF_OK);
    assert_int_equal(n, 2);
    harness_stage_free(s);
}

static void errors_are_clear(void **state) {
    struct fixture *f = *state;
    int64_t n = 0;
    f->o.split = SPLIT_TEST;
    f->o.test = 0;
    struct hf_stage *s = instance(f);
    assert_int_equal(phantom.count(s, &n, &f->e), HF_INVALID);
    assert_non_null(strstr(f->e.text, "split test"));
    harness_stage_free(s);

    f->o.split = SPLIT_ALL;
    (void)snprintf(f->data, sizeof f->data, "/nonexistent");
    s = instance(f);
    assert_int_not_equal(harness_open_item(s, 0, &f->e), HF_OK);
    assert_non_null(strstr(f->e.text, "/nonexistent/anatomy/"));
    assert_int_equal(harness_outs(s), 0);
    harness_stage_free(s);

    f->o.contrast.value[0] = -10;
    assert_int_equal(check_range("contrast", &f->o.contrast, &f->e), HF_INVALID);
    assert_non_null(strstr(f->e.text, "contrast: [-10, -15]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(samples_are_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_split_is_a_part_of_the_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_clear, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
