/**
 * test_override.c - geometry that headers have wrong: reported or refused by `load`, and overridden
 * case by case, in a manifest and in a file of its own.
 */
#include "load_fixture.h"

#include "load/check.h"

/** 1 if text stands in what was logged. */
static int logged(const struct fixture *f, const char *text) {
    return strstr(harness_log(f->h), text) != NULL;
}

static void again(struct fixture *f) {
    harness_stage_free(f->s);
    f->s = NULL;
}

static void overrides(struct fixture *f, const char *content) {
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/overrides.csv", f->folder);
    raw_write(path, content, strlen(content));
    f->o.overrides = path;
}

static void affine(const struct hf_grid *g, const double expected[3][4]) {
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            assert_float_equal(g->affine[r][c], expected[r][c], 1e-9);
}

/** The grid as overridden, computed by hand: the header has 2 x 2 x 3 mm and -12, 0, 0 at first. */
static void test_grids(void **state) {
    struct fixture *f = *state;
    put_csv(f, "case,image,liver,spacing,orientation,flip\n"
               "plain,ct.nii.gz,liver.nii.gz,,,\n"
               "spaced,ct.nii.gz,liver.nii.gz,1;0.5;4,,\n"
               "turned,ct.nii.gz,liver.nii.gz,,LPS,\n"
               "swapped,ct.nii.gz,liver.nii.gz,1;2;3,SAR,\n"
               "mirrored,ct.nii.gz,liver.nii.gz,,,x;z\n");
    assert_int_equal(begin(f), HF_OK);
    /* The centre is at (5.5, 4.5, 2.5) voxels: -1, 9, 7.5 mm, and stays there. */
    static const double expected[5][3][4] = {
        {{2, 0, 0, -12}, {0, 2, 0, 0}, {0, 0, 3, 0}},
        {{1, 0, 0, -6.5}, {0, 0.5, 0, 6.75}, {0, 0, 4, -2.5}},
        {{-2, 0, 0, 10}, {0, -2, 0, 18}, {0, 0, 3, 0}},
        {{0, 0, 3, -8.5}, {0, 2, 0, 0}, {1, 0, 0, 2}},
        {{-2, 0, 0, 10}, {0, 2, 0, 0}, {0, 0, -3, 15}},
    };
    for (int k = 0; k < 5; k++) {
        if (harness_open_item(f->s, k, &f->e) != HF_OK)
            fail_msg("%s", f->e.text);
        const struct hf_sample *s = harness_out(f->s, harness_outs(f->s) - 1);
        affine(&s->file, expected[k]);
        /* The liver's file has the same header, so it moves along. */
        for (int z = 0; z < NZ; z++)
            for (int y = 0; y < NY; y++)
                for (int x = 0; x < NX; x++) {
                    int64_t at = (z * NY + y) * NX + x;
                    if (k == 2)
                        at = (z * NY + NY - 1 - y) * NX + NX - 1 - x;
                    else if (k == 3)
                        at = ((int64_t)x * NY + y) * NZ + z;
                    else if (k == 4)
                        at = ((NZ - 1 - z) * NY + y) * NX + NX - 1 - x;
                    int i = (z * NY + y) * NX + x;
                    assert_true(harness_f32(s, "image")[at] == (float)hu(i));
                    assert_int_equal(harness_u8(s, "liver")[at], liver(i));
                }
    }
    assert_true(logged(f, "case 'swapped': "));
    assert_true(logged(f, "ct.nii.gz: geometry overridden: spacing 1 x 2 x 3 mm, orientation SAR"));
    assert_true(logged(f, "liver.nii.gz: geometry overridden: x mirrored, z mirrored"));
    assert_false(logged(f, "case 'plain'"));
}

/** A label whose header is wrong, on an image whose header is right. */
static void test_label(void **state) {
    struct fixture *f = *state;
    double v[N];
    struct raw_image r = raw_default(NX, NY, NZ); /* 1 mm, at another place */
    r.type = 0;
    r.srow[2][3] = 4000;
    for (int i = 0; i < N; i++) /* stored from right to left */
        v[i] = couinaud(i - i % NX + NX - 1 - i % NX);
    put(f, "lost.nii.gz", &r, v);
    put_csv(f, "case,image,liver,couinaud\na,ct.nii.gz,liver.nii.gz,lost.nii.gz\n");
    expect(f, "lost the geometry; restore it, or name its orientation in `overrides`");
    overrides(f, "case,field,orientation\na,couinaud,LAS\n");
    const struct hf_sample *s = open_first(f);
    for (int i = 0; i < N; i++) {
        assert_int_equal(harness_u8(s, "couinaud")[i], couinaud(i));
        assert_int_equal(harness_u8(s, "liver")[i], liver(i));
    }
    assert_float_equal(s->file.affine[0][0], 2, 1e-9);
}

static void test_lines(void **state) {
    struct fixture *f = *state;
    put_csv(f, "case,image,liver,segments,spacing\n"
               "a,ct.nii.gz,liver.nii.gz,2,9;9;9\nb1,ct.nii.gz,,,\nb2,ct.nii.gz,,,\n");
    overrides(f, "case,spacing,flip,segments,patient\n"
                 "b2,,,none,\nb*,,x,3;4,q\na,1;2;3,,,p\nb*,4;4;4,,,\n");
    assert_int_equal(begin(f), HF_OK);
    static const double dx[3] = {1, -2, -2};
    static const uint8_t segments[3][9] = {{1, 0, 1}, {1, 0, 0, 1, 1}, {1, 0, 0, 0, 0}};
    for (int k = 0; k < 3; k++) {
        assert_int_equal(harness_open_item(f->s, k, &f->e), HF_OK);
        const struct hf_sample *s = harness_out(f->s, harness_outs(f->s) - 1);
        assert_float_equal(s->file.affine[0][0], dx[k], 1e-9);
        assert_memory_equal(harness_u8(s, "annotation"), segments[k], 9);
        assert_string_equal(s->patient, k ? "q" : "p");
    }
    again(f);
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"case,spacing\na,1;2\n", "overrides.csv:2:3: spacing '1;2'; expected three lengths"},
        {"case,spacing\na,1;2;0\n", "spacing '1;2;0'"},
        {"case,spacing\na,1;2;nan\n", "spacing '1;2;nan'"},
        {"case,orientation\na,LAP\n", "overrides.csv:2:3: orientation 'LAP'; expected one letter"},
        {"case,orientation\na,LPSR\n", "orientation 'LPSR'"},
        {"case,flip\na,x;w\n", "overrides.csv:2:3: flip 'x;w'; expected x"},
        {"case,field,flip\na,ct,x\n", "overrides.csv:2:3: field 'ct'; expected image, liver"},
        {"case,flip,depth\na,x,1\n", "overrides.csv:1:11: unknown column 'depth'"},
        {"name,flip\na,x\n", "overrides.csv:1:1: no column 'case'"},
        {"case,segments\na,9\n", "overrides.csv:2:3: segment '9'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        overrides(f, bad[i].text);
        expect(f, bad[i].error);
    }
}

/** Each doubt is told and, if asked, refused. */
static void test_doubts(void **state) {
    struct fixture *f = *state;
    double v[N];
    struct raw_image r = grid_of_image();
    put_csv(f, "case,image,liver,couinaud\na,ct.nii.gz,liver.nii.gz,couinaud.nii.gz\n");
    f->o.geometry = GEOMETRY_REFUSE;
    (void)open_first(f); /* nothing to doubt */
    again(f);
    /* A liver of air. */
    for (int i = 0; i < N; i++)
        v[i] = liver(i) > 0 ? -900 : 0;
    r.type = 3;
    put(f, "air.nii.gz", &r, v);
    put_csv(f, "case,image,liver\na,air.nii.gz,liver.nii.gz\n");
    expect(f, "case 'a': 100% of the liver is air (below -300 HU)");
    /* A map of which segments 7 and 8 lie low, and one of which 2 and 3 lie right. */
    r.type = 0;
    for (int i = 0; i < N; i++)
        v[i] = liver(i) > 0 ? i / (NX * NY) < 3 ? 8 : 5 : 0;
    r.srow[2][2] = 6;
    put(f, "low.nii.gz", &r, v);
    r.type = 8;
    for (int i = 0; i < N; i++)
        v[i] = hu(i);
    put(f, "tall.nii.gz", &r, v);
    put_csv(f, "case,image,couinaud\na,tall.nii.gz,low.nii.gz\n");
    expect(f, "case 'a': in the Couinaud map the segments 7 and 8 lie below 5 and 6");
    r.type = 0;
    for (int i = 0; i < N; i++)
        v[i] = i % NX >= 9 ? 2 : i % NX < 3 ? 6 : 0;
    put(f, "right.nii.gz", &r, v);
    put_csv(f, "case,image,couinaud\na,tall.nii.gz,right.nii.gz\n");
    expect(f, "case 'a': in the Couinaud map the segments 2 and 3 lie to the right of 6 and 7");
    /* Labels of which half lies above the image. */
    r = grid_of_image();
    r.type = 0;
    r.srow[2][3] = 3 * NZ / 2;
    for (int i = 0; i < N; i++)
        v[i] = liver(i);
    put(f, "above.nii.gz", &r, v);
    put_csv(f, "case,image,liver\na,ct.nii.gz,above.nii.gz\n");
    expect(f, "above.nii.gz: 50% of it lies outside the image");
    /* A header in metres that says mm; one that has lost its spacing. */
    r = grid_of_image();
    r.type = 8;
    for (int k = 0; k < 3; k++)
        r.srow[k][k] /= 1000;
    put(f, "metres.nii.gz", &r, v);
    put_csv(f, "case,image\na,metres.nii.gz\n");
    expect(f, "metres.nii.gz: steps of 0.002 x 0.002 x 0.003 mm, 12 x 10 x 6 of them");
    f->o.geometry = GEOMETRY_WARN;
    (void)open_first(f);
    assert_true(logged(f, "metres.nii.gz: steps of 0.002"));
}

static void test_lost_spacing(void **state) {
    struct fixture *f = *state;
    struct raw_image r = raw_default(512, 512, 2);
    double *v = calloc((size_t)512 * 512 * 2, sizeof *v);
    assert_non_null(v);
    r.type = 3;
    put(f, "big.nii.gz", &r, v);
    free(v);
    put_csv(f, "case,image,spacing\na,big.nii.gz,\nb,big.nii.gz,0.7;0.7;2\n");
    (void)open_first(f);
    assert_true(logged(f, "512 x 512 voxels of 1 x 1 x 1 mm: its header has probably lost"));
    again(f);
    f->o.geometry = GEOMETRY_REFUSE;
    expect(f, "has probably lost the spacing (geometry: warn lets it pass; `overrides` corrects");
    f->o.cases = (struct hf_names){1, {"b"}};
    (void)open_first(f);
}

/* ---- real files ---- */

/** A copy of a field: the next case takes the sample away. */
static uint8_t *copy_of(const struct hf_sample *s, const char *field, struct hf_grid *ret_grid) {
    size_t n = (size_t)hf_grid_count(&s->grid);
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, harness_u8(s, field), n);
    *ret_grid = s->grid;
    return copy;
}

/** A Couinaud map with a lost and mirrored header, put right by naming its orientation. */
static void test_real_label(void **state) {
    struct fixture *f = *state;
    const char *data = data_folder();
    char csv[4096];
    (void)snprintf(csv, sizeof csv,
                   "case,image,couinaud\n"
                   "good,%s/ircadb01-case01/ct.nii.gz,%s/ircadb01-case01/couinaud_alt.nii.gz\n"
                   "bad,%s/ircadb01-case01/ct.nii.gz,"
                   "%s/ircadb01-case01/couinaud_alt_orig_badgeom.nii.gz\n",
                   data, data, data, data);
    put_csv(f, csv);
    overrides(f, "case,field,orientation\nbad,couinaud,LAS\n");
    struct hf_grid grid;
    uint8_t *good = copy_of(open_first(f), "couinaud", &grid);
    if (harness_open_item(f->s, 1, &f->e) != HF_OK)
        fail_msg("%s", f->e.text);
    const struct hf_sample *bad = harness_out(f->s, harness_outs(f->s) - 1);
    assert_memory_equal(good, harness_u8(bad, "couinaud"), (size_t)hf_grid_count(&grid));
    free(good);
    again(f);
    /* The other way round it is told: the map alone gives it away. */
    overrides(f, "case,field,orientation\nbad,couinaud,RAS\n");
    f->o.cases = (struct hf_names){1, {"bad"}};
    f->o.geometry = GEOMETRY_REFUSE;
    expect(f, "case 'bad': in the Couinaud map the segments 2 and 3 lie to the right of 6 and 7");
}

/** A scan whose header mirrors left and right: flipped, the spleen lies on the left. */
static void test_real_mirror(void **state) {
    struct fixture *f = *state;
    const char *data = data_folder();
    char csv[4096];
    (void)snprintf(csv, sizeof csv,
                   "case,image,liver,flip\n"
                   "as-is,%s/msd-spleen8/ct.nii.gz,%s/msd-spleen8/spleen.nii.gz,\n"
                   "flipped,%s/msd-spleen8/ct.nii.gz,%s/msd-spleen8/spleen.nii.gz,x\n",
                   data, data, data, data);
    put_csv(f, csv);
    f->o.fields = (struct hf_names){1, {"liver"}};
    struct hf_grid grid;
    uint8_t *as_is = copy_of(open_first(f), "liver", &grid);
    assert_false(logged(f, "to the left"));
    assert_int_equal(harness_open_item(f->s, 1, &f->e), HF_OK);
    const struct hf_sample *flipped = harness_out(f->s, harness_outs(f->s) - 1);
    assert_true(logged(f, "case 'flipped': the liver lies"));
    int64_t width = grid.size[2];
    for (int64_t i = 0; i < hf_grid_count(&grid); i++)
        assert_true(as_is[i] ==
                    harness_u8(flipped, "liver")[i - i % width + width - 1 - i % width]);
    free(as_is);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_grids),        TEST(test_label),      TEST(test_lines),       TEST(test_doubts),
        TEST(test_lost_spacing), TEST(test_real_label), TEST(test_real_mirror),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
