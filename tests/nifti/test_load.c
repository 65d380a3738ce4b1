/**
 * test_load.c - the stage `load` on folders written here: fields and grids of its samples, labels
 * brought over from other grids, and one clear line for each kind of bad input.
 */
#include "load_fixture.h"

#include "load/check.h"

static void test_case(void **state) {
    struct fixture *f = *state;
    put_csv(f, "case,patient,image,liver,couinaud,tumor,segments\n"
               "a,p,ct.nii.gz,liver.nii.gz,couinaud.nii.gz,tumor.nii.gz,2;4\n");
    const struct hf_sample *s = open_first(f);
    assert_string_equal(s->id, "a");
    assert_string_equal(s->case_id, "a");
    assert_string_equal(s->patient, "p");
    assert_int_equal(s->grid.size[0], NZ);
    assert_int_equal(s->grid.size[1], NY);
    assert_int_equal(s->grid.size[2], NX);
    assert_float_equal(s->file.affine[0][3], -12, 1e-6);
    const float *image = harness_f32(s, "image");
    for (int i = 0; i < N; i++) {
        assert_true(image[i] == (float)hu(i));
        assert_int_equal(harness_u8(s, "liver")[i], liver(i));
        assert_int_equal(harness_u8(s, "couinaud")[i], couinaud(i));
        assert_int_equal(harness_u8(s, "tumor")[i], i == N - 1 - 2 * NX - 3);
    }
    assert_memory_equal(harness_u8(s, "truth"), harness_u8(s, "tumor"), N);
    assert_int_equal(hf_sample_find(s, "truth")->place, HF_ON_CANONICAL);
    const uint8_t annotation[9] = {1, 0, 1, 0, 1, 0, 0, 0, 0};
    assert_memory_equal(harness_u8(s, "annotation"), annotation, 9);
    assert_string_equal(harness_log(f->h), "");
}

static void test_choice(void **state) {
    struct fixture *f = *state;
    int64_t n = 0;
    put_csv(f, "case,split,image,liver,segments\n"
               "a1,train,ct.nii.gz,liver.nii.gz,2\n"
               "a2,train,ct.nii.gz,,3\n"
               "b1,test,ct.nii.gz,liver.nii.gz,\n"
               "b2,train,ct.nii.gz,liver.nii.gz,\n");
    static const struct {
        int split;
        struct hf_names cases, require;
        int64_t count;
        const char *first;
    } rows[] = {
        {SPLIT_ALL, {0}, {0}, 4, "a1"},
        {SPLIT_TRAIN, {0}, {0}, 3, "a1"},
        {SPLIT_TEST, {0}, {0}, 1, "b1"},
        {SPLIT_ALL, {1, {"b*"}}, {0}, 2, "b1"},
        {SPLIT_ALL, {2, {"?2", "b1"}}, {0}, 3, "a2"},
        {SPLIT_TRAIN, {0}, {1, {"liver"}}, 2, "a1"},
        {SPLIT_ALL, {0}, {2, {"liver", "segments"}}, 1, "a1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        f->o.split = rows[i].split;
        f->o.cases = rows[i].cases;
        f->o.require = rows[i].require;
        assert_int_equal(begin(f), HF_OK);
        assert_int_equal(load.count(f->s, &n, &f->e), HF_OK);
        assert_int_equal(n, rows[i].count);
        const char *paths[8];
        assert_in_range(load.files(f->s, 0, paths, 8), 1, 2);
        assert_non_null(strstr(paths[0], "ct.nii.gz"));
        assert_int_equal(harness_open_item(f->s, 0, &f->e), HF_OK);
        assert_string_equal(harness_out(f->s, 0)->id, rows[i].first);
        harness_stage_free(f->s);
        f->s = NULL;
    }
    /* What `require` leaves out is said, once a start. */
    const char *log = harness_log(f->h), *said = strstr(log, "cases.csv: ");
    assert_non_null(said);
    assert_non_null(strstr(log, "cases.csv: 1 of 3 cases left out: 1 without liver\n"));
    assert_non_null(
        strstr(log, "cases.csv: 3 of 4 cases left out: 1 without liver, 2 without segments\n"));
    assert_null(strstr(strstr(said + 1, "cases.csv: ") + 1, "cases.csv: "));
    f->o.require = (struct hf_names){2, {"couinaud", "tumor"}};
    expect(f, "cases.csv:1:1: no column 'couinaud' in the header; it is required of each case");
    f->o.require = (struct hf_names){1, {"segments"}};
    f->o.cases = (struct hf_names){1, {"b*"}};
    expect(f, "none of 2 cases in any split has all that is required: segments");
    f->o.cases = (struct hf_names){1, {"z*"}};
    expect(f, "none of the 4 cases in any split is called z*");
    put_csv(f, "\ncase,split,image,livr\na,train,ct.nii.gz,liver.nii.gz\n");
    f->o.cases = (struct hf_names){0};
    f->o.require = (struct hf_names){1, {"liver"}};
    expect(f, "cases.csv:2:1: no column 'liver' in the header, but an unknown one 'livr'");
}

/** Labels stored in another orientation, on a smaller and coarser grid. */
static void test_other_grid(void **state) {
    struct fixture *f = *state;
    double v[N];
    struct raw_image r = grid_of_image();
    r.type = 0;
    r.srow[1][1] = -2; /* rows the other way round */
    r.srow[1][3] = 2 * (NY - 1);
    for (int i = 0; i < N; i++) {
        int y = i / NX % NY;
        v[i] = liver(i + (NY - 1 - 2 * y) * NX);
    }
    put(f, "liver.nii.gz", &r, v);
    /* Segments on a grid of twice the spacing: world position decides. */
    r = raw_default(NX / 2, NY / 2, NZ);
    r.type = 0;
    r.srow[0][0] = r.srow[1][1] = 4;
    r.srow[2][2] = 3;
    r.srow[0][3] = -12 + 1;
    r.srow[1][3] = 1;
    for (int i = 0; i < N / 4; i++)
        v[i] = 1 + i % 8;
    put(f, "couinaud.nii.gz", &r, v);
    put_csv(f, "case,image,liver,couinaud\na,ct.nii.gz,liver.nii.gz,couinaud.nii.gz\n");
    const struct hf_sample *s = open_first(f);
    for (int i = 0; i < N; i++) {
        int x = i % NX, y = i / NX % NY, z = i / NX / NY;
        assert_int_equal(harness_u8(s, "liver")[i], liver(i));
        int coarse = (z * (NY / 2) + y / 2) * (NX / 2) + x / 2;
        assert_int_equal(harness_u8(s, "couinaud")[i], 1 + coarse % 8);
    }
}

/** One file of 0, 1 liver, 2 tumor in both columns. */
static void test_lits(void **state) {
    struct fixture *f = *state;
    double v[N];
    struct raw_image r = grid_of_image();
    r.type = 0;
    for (int i = 0; i < N; i++)
        v[i] = liver(i) + (liver(i) > 0 && i % 7 == 0);
    put(f, "both.nii.gz", &r, v);
    put_csv(f, "case,image,liver,tumor\na,ct.nii.gz,both.nii.gz,both.nii.gz\n");
    const struct hf_sample *s = open_first(f);
    for (int i = 0; i < N; i++) {
        assert_int_equal(harness_u8(s, "liver")[i], liver(i));
        assert_int_equal(harness_u8(s, "tumor")[i], liver(i) > 0 && i % 7 == 0);
    }
    const char *paths[8];
    assert_int_equal(load.files(f->s, 0, paths, 8), 2);
    harness_stage_free(f->s);
    put_csv(f, "case,image,liver,tumor\na,ct.nii.gz,liver.nii.gz,both.nii.gz\n");
    expect(f, "both.nii.gz: holds the value 2");
}

static void test_reported(void **state) {
    struct fixture *f = *state;
    double v[N];
    struct raw_image r = grid_of_image();
    r.type = 0;
    for (int i = 0; i < N; i++)
        v[i] = liver(i - i % NX + NX - 1 - i % NX);
    put(f, "liver.nii.gz", &r, v);
    put_csv(f, "case,image,liver,couinaud\na,ct.nii.gz,liver.nii.gz,couinaud.nii.gz\n");
    /* The left half of this image holds more of the body. */
    r.type = 3;
    for (int i = 0; i < N; i++)
        v[i] = i % NX > 3 ? 0 : -900;
    put(f, "ct.nii.gz", &r, v);
    (void)open_first(f);
    assert_non_null(strstr(harness_log(f->h), "case 'a': the liver lies 11 mm to the left"));
    assert_non_null(strstr(harness_log(f->h), "agree with a Dice of 0.00 only"));
}

/** A segment that the annotation names and the map, which ends at 6, does not have. */
static void test_lacking_segment(void **state) {
    struct fixture *f = *state;
    put_csv(f, "case,image,couinaud,segments\na,ct.nii.gz,couinaud.nii.gz,2;7\n");
    (void)open_first(f);
    assert_non_null(strstr(harness_log(f->h), "case 'a': the annotation names segment 7, which"));
    assert_null(strstr(harness_log(f->h), "segment 2"));
}

static void test_bad_manifest(void **state) {
    struct fixture *f = *state;
    char path[512];
    f->o.dataset = f->folder;
    expect(f, ": a folder; expected a manifest");
    (void)snprintf(path, sizeof path, "%s/none.csv", f->folder);
    f->o.dataset = path;
    expect(f, "none.csv: not there");
    put_csv(f, "");
    expect(f, "cases.csv: the file is empty");
    put_csv(f, "case,liver\na,b\n");
    expect(f, "cases.csv:1:1: no column 'image'");
    put_csv(f, "case,image,segments\na,ct.nii.gz,1;9\n");
    expect(f, "cases.csv:2:15: segment '9'");
    put_csv(f, "case,image,liver\na,ct.nii.gz,gone.nii.gz\n");
    expect(f, "cases.csv:2:13: liver of case 'a': ");
    put_csv(f, "case,image\na,.\n");
    expect(f, "is a folder; expected a NIfTI file");
}

static void test_bad_files(void **state) {
    struct fixture *f = *state;
    double v[N] = {0};
    struct raw_image r = grid_of_image();
    r.type = 0;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/empty.nii.gz", f->folder);
    raw_write(path, "", 0);
    put_csv(f, "case,image\na,empty.nii.gz\n");
    expect(f, "empty.nii.gz is empty");
    put(f, "zero.nii.gz", &r, v);
    put_csv(f, "case,image,liver\na,ct.nii.gz,zero.nii.gz\n");
    expect(f, "zero.nii.gz: no voxel of it is set on the image's grid; expected a liver");
    put_csv(f, "case,image,liver\na,ct.nii.gz,couinaud.nii.gz\n");
    expect(f, "case 'a', field 'liver': ");
    v[17] = 9;
    put(f, "nine.nii.gz", &r, v);
    put_csv(f, "case,image,couinaud\na,ct.nii.gz,nine.nii.gz\n");
    expect(f, "nine.nii.gz: value 9 at voxel (5, 1, 0); expected labels, whole numbers 0 to 8");
    /* Another place of the world, and a header that has lost its spacing. */
    v[17] = 1;
    r.srow[0][3] = 500;
    put(f, "far.nii.gz", &r, v);
    put_csv(f, "case,image,liver\na,ct.nii.gz,far.nii.gz\n");
    expect(f, "far.nii.gz: lies elsewhere than the image (0% of the smaller box in common)");
    r = raw_default(NX, NY, NZ);
    put(f, "lost.nii.gz", &r, v);
    put_csv(f, "case,image,liver\na,ct.nii.gz,lost.nii.gz\n");
    expect(f, "its header has lost the geometry");
}

/* Where `on_error` leaves cases out, each is told of by itself, and what is there is read. */
static void test_items_may_fail(void **state) {
    struct fixture *f = *state;
    char path[512];
    const char *files[16];
    int64_t items = 0;
    (void)snprintf(path, sizeof path, "%s/empty.nii.gz", f->folder);
    raw_write(path, "", 0);
    put_csv(f, "case,image,segments\na,gone.nii.gz,\nb,ct.nii.gz,2\nc,empty.nii.gz,\n"
               "d,ct.nii.gz,gone.csv\n");
    f->s = harness_stage_new(f->h, &load, &f->o, "cases");
    f->s->items_may_fail = 1;
    assert_int_equal(harness_start(f->s, &f->e), HF_OK);
    assert_int_equal(load.count(f->s, &items, &f->e), HF_OK);
    assert_int_equal(items, 4);
    assert_int_equal(load.files(f->s, 0, files, 16), 0);
    assert_int_equal(load.files(f->s, 1, files, 16), 1);
    assert_non_null(strstr(files[0], "/ct.nii.gz"));
    static const char *const says[] = {"cases.csv:2:3: image of case 'a': ", NULL,
                                       "cases.csv:4:3: image of case 'c': ", "gone.csv"};
    for (int i = 0; i < 4; i++) {
        enum hf_status st = harness_open_item(f->s, i, &f->e);
        if ((st == HF_OK) != (says[i] == NULL))
            fail_msg("case %d: %s", i, f->e.text);
        if (says[i] && !strstr(f->e.text, says[i]))
            fail_msg("'%s': expected '%s'", f->e.text, says[i]);
        assert_int_equal(harness_outs(f->s), st == HF_OK);
    }
}

/* An instance beside another one reads no manifest of its own, and takes nothing with it. */
static void test_peer(void **state) {
    struct fixture *f = *state;
    int64_t items = 0;
    char *path = put_csv(f, "case,image,liver\na,ct.nii.gz,liver.nii.gz\nb,ct.nii.gz,\n");
    assert_int_equal(begin(f), HF_OK);
    assert_int_equal(remove(path), 0);
    struct hf_stage *other = harness_stage_new(f->h, &load, &f->o, "cases");
    other->peer = f->s->state;
    assert_int_equal(harness_start(other, &f->e), HF_OK);
    assert_int_equal(load.count(other, &items, &f->e), HF_OK);
    assert_int_equal(items, 2);
    assert_int_equal(harness_open_item(other, 0, &f->e), HF_OK);
    assert_string_equal(harness_out(other, 0)->id, "a");
    assert_int_equal(harness_u8(harness_out(other, 0), "liver")[N / 2 + 30], liver(N / 2 + 30));
    harness_stage_free(other);
    assert_int_equal(harness_open_item(f->s, 1, &f->e), HF_OK);
    assert_string_equal(harness_out(f->s, 0)->id, "b");
}

/* ---- real files ---- */

static void set_real(struct fixture *f, const char *text) {
    const char *data = data_folder();
    char all[4096] = "case,image,liver,couinaud,tumor\n";
    for (size_t used = strlen(all); *text && used < sizeof all; text++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%.*s", *text == '@' ? 1000 : 1,
                                 *text == '@' ? data : text);
    put_csv(f, all);
}

static void test_flipped(void **state) {
    struct fixture *f = *state;
    set_real(f, "a,@/ircadb01-case01/ct.nii.gz,@/ircadb01-case01/liver.nii.gz,"
                "@/ircadb01-case01/couinaud_orig_yflipped.nii.gz,\n");
    const struct hf_sample *s = open_first(f);
    const uint8_t *a = harness_u8(s, "liver"), *b = harness_u8(s, "couinaud");
    int64_t count = s->grid.size[0] * s->grid.size[1] * s->grid.size[2];
    int64_t na = 0, nb = 0, both = 0;
    for (int64_t i = 0; i < count; i++) {
        na += a[i] != 0;
        nb += b[i] != 0;
        both += a[i] && b[i];
    }
    assert_float_equal(2.0 * (double)both / (double)(na + nb), 0.99, 0.01);
    assert_string_equal(harness_log(f->h), "");
}

static void test_lost_geometry(void **state) {
    struct fixture *f = *state;
    set_real(f, "a,@/ircadb01-case01/ct.nii.gz,,@/ircadb01-case01/"
                "couinaud_alt_orig_badgeom.nii.gz,\n");
    expect(f, "its header has lost the geometry");
}

/** The counts of tumor voxels in each segment that the data's description gives. */
static void test_real_counts(void **state) {
    struct fixture *f = *state;
    char path[512];
    static const int64_t expected[9] = {1709, 443, 12243, 0, 72664, 72459, 844, 14690, 39216};
    (void)snprintf(path, sizeof path, "%s/cases.csv", data_folder());
    f->o.dataset = path;
    const struct hf_sample *s = open_first(f);
    const uint8_t *tumor = harness_u8(s, "tumor"), *segment = harness_u8(s, "couinaud");
    int64_t count = s->grid.size[0] * s->grid.size[1] * s->grid.size[2], found[9] = {0};
    for (int64_t i = 0; i < count; i++)
        if (tumor[i])
            found[segment[i]]++;
    for (int k = 0; k < 9; k++)
        assert_int_equal(found[k], expected[k]);
    const uint8_t annotation[9] = {1, 0, 1, 0, 1, 1, 0, 1, 1};
    assert_memory_equal(harness_u8(s, "annotation"), annotation, 9);
    assert_string_equal(harness_log(f->h), "");
}

/** The header mirrors left and right: the spleen comes to lie where a liver should, and what lies
 * on the other side is the liver. */
static void test_mirrored(void **state) {
    struct fixture *f = *state;
    f->o.fields = (struct hf_names){1, {"liver"}};
    set_real(f, "a,@/msd-spleen8/ct.nii.gz,@/msd-spleen8/spleen.nii.gz,,\n");
    (void)open_first(f);
    assert_null(strstr(harness_log(f->h), "to the left"));
    harness_stage_free(f->s);
    f->s = NULL;
    /* The same with a mask of what lies across: a liver on the wrong side. */
    const struct hf_sample *s;
    f->s = harness_stage_new(f->h, &load, &f->o, "cases");
    assert_int_equal(harness_start(f->s, &f->e), HF_OK);
    assert_int_equal(harness_open_item(f->s, 0, &f->e), HF_OK);
    s = harness_out(f->s, 0);
    int64_t width = s->grid.size[2], count = s->grid.size[0] * s->grid.size[1] * width;
    uint8_t *across = malloc((size_t)count);
    assert_non_null(across);
    for (int64_t i = 0; i < count; i++)
        across[i] = harness_u8(s, "liver")[i - i % width + width - 1 - i % width];
    struct hf_notes notes = {0, ""};
    hf_check_side(&s->grid, harness_f32(s, "image"), across, &notes);
    free(across);
    assert_non_null(strstr(notes.text, "to the left"));
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_case),         TEST(test_choice),        TEST(test_other_grid),
        TEST(test_lits),         TEST(test_reported),      TEST(test_lacking_segment),
        TEST(test_bad_manifest), TEST(test_bad_files),     TEST(test_items_may_fail),
        TEST(test_flipped),      TEST(test_lost_geometry), TEST(test_real_counts),
        TEST(test_mirrored),     TEST(test_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
