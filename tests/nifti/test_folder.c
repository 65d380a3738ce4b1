/**
 * test_folder.c - the stage `load` on data sets as folders (LiTS, MSD, nnU-Net), with labels from
 * further folders, other values, and overrides.
 */
#include "load_fixture.h"

#include <math.h>
#include <sys/stat.h>

#include "load/folder.h"

static void make(const struct fixture *f, const char *name) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void text(const struct fixture *f, const char *name, const char *content) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    raw_write(path, content, strlen(content));
}

/** 0, 1 liver, 2 tumor. */
static double both(int i) {
    return liver(i) + (liver(i) > 0 && i % 7 == 0);
}

/** A file of f(voxel). */
static void put_made(const struct fixture *f, const char *name, double (*value)(int), int type) {
    double v[N];
    struct raw_image r = grid_of_image();
    r.type = type;
    for (int i = 0; i < N; i++)
        v[i] = value(i);
    put(f, name, &r, v);
}

static const char *at(const struct fixture *f, const char *name) {
    static char paths[16][512];
    static int next;
    char *path = paths[next++ % 16];
    (void)snprintf(path, 512, "%s/%s", f->folder, name);
    return path;
}

/** The names of the cases that the options choose, in order. */
static void names(struct fixture *f, const char *expected) {
    char all[512] = "";
    int64_t n = 0;
    if (begin(f) != HF_OK)
        fail_msg("%s", f->e.text);
    assert_int_equal(load.count(f->s, &n, &f->e), HF_OK);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(harness_open_item(f->s, i, &f->e), HF_OK);
        (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? " " : "",
                       harness_out(f->s, harness_outs(f->s) - 1)->id);
    }
    assert_string_equal(all, expected);
    harness_stage_free(f->s);
    f->s = NULL;
}

static void check_both(const struct hf_sample *s) {
    for (int i = 0; i < N; i++) {
        assert_true(harness_f32(s, "image")[i] == (float)hu(i));
        assert_int_equal(harness_u8(s, "liver")[i], liver(i));
        assert_int_equal(harness_u8(s, "tumor")[i], both(i) == 2);
    }
}

static void test_natural_order(void **state) {
    (void)state;
    static const char *const sorted[] = {"",      "a",    "a-2",  "a-2b",   "a-10", "a-b1",
                                         "hv_01", "hv_1", "hv_2", "hv_010", "hv_10"};
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        for (size_t k = 0; k < sizeof sorted / sizeof *sorted; k++) {
            int order = hf_natural_order(sorted[i], sorted[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
}

static void make_lits(struct fixture *f) {
    make(f, "lits");
    make(f, "lits/Training Batch 1");
    make(f, "lits/Training Batch 2");
    put_made(f, "lits/Training Batch 1/volume-10.nii.gz", hu, 8);
    put_made(f, "lits/Training Batch 1/segmentation-2.nii.gz", both, 0);
    put_made(f, "lits/Training Batch 2/volume-2.nii.gz", hu, 8);
    put_made(f, "lits/Training Batch 2/segmentation-10.nii.gz", both, 0);
    put_made(f, "lits/volume-1.nii.gz", hu, 8);
    text(f, "lits/readme.txt", "no case");
    f->o.dataset = at(f, "lits");
}

static void test_lits(void **state) {
    struct fixture *f = *state;
    make_lits(f);
    names(f, "volume-1 volume-2 volume-10");
    f->o.omit = (struct hf_names){2, {"volume-1", "volume-9*"}};
    names(f, "volume-2 volume-10");
    f->o.omit = (struct hf_names){1, {"vol*"}};
    expect(f, "lits: all of the 3 cases in any split are omitted: vol*");
    f->o.omit.count = 0;
    f->o.require = (struct hf_names){2, {"liver", "tumor"}};
    names(f, "volume-2 volume-10");
    check_both(open_first(f));
    const char *paths[8];
    assert_int_equal(load.files(f->s, 0, paths, 8), 2); /* the labels are read once */
    harness_stage_free(f->s);
    f->s = NULL;
    /* Maps by a pattern with the number, and from a folder by the cases' names. */
    make(f, "maps");
    put_made(f, "maps/lits_10_map.nii.gz", couinaud, 0);
    put_made(f, "maps/volume-2.nii.gz", couinaud, 0);
    f->o.require = (struct hf_names){1, {"couinaud"}};
    f->o.couinaud = at(f, "maps/lits_{number}_map.nii.gz");
    names(f, "volume-10");
    const struct hf_sample *s = open_first(f);
    for (int i = 0; i < N; i++)
        assert_int_equal(harness_u8(s, "couinaud")[i], couinaud(i));
    harness_stage_free(f->s);
    f->s = NULL;
    f->o.couinaud = at(f, "maps");
    names(f, "volume-2");
    f->o.couinaud = at(f, "maps/{case}");
    names(f, "volume-2");
    f->o.couinaud = at(f, "maps/{case}_map.nii");
    expect(f, "{case}_map.nii: none of 3 cases has such a file; the first would be ");
    f->o.couinaud = at(f, "map");
    expect(f, "map: not there, or no folder; expected a folder of files");
    f->o.couinaud = NULL;
    expect(f, "lits: none of its files is a couinaud mask (its labels: 1 liver, 2 tumor); name a "
              "folder of them: `couinaud: FOLDER/{case}.nii.gz`");
    f->o.require = (struct hf_names){1, {"segments"}};
    expect(f, "lits: a folder has no annotations");
}

static void test_lits_mistakes(void **state) {
    struct fixture *f = *state;
    make_lits(f);
    put_made(f, "lits/segmentation-3.nii.gz", both, 0);
    expect(f, "segmentation-3.nii.gz: the labels of a scan that is not there: volume-3.nii.gz");
    put_made(f, "lits/volume-3.nii.gz", hu, 8);
    put_made(f, "lits/Training Batch 1/volume-3.nii", hu, 8);
    expect(f, "the image of case 'volume-3' is there twice");
    make(f, "empty");
    f->o.dataset = at(f, "empty");
    expect(f, "empty: a folder; expected a manifest, such as cases.csv, or in it one of cases.csv, "
              "dataset.json (MSD, nnU-Net), volume-N.nii and segmentation-N.nii (LiTS)");
    make(f, "three");
    put_made(f, "three/volume-1.nii.gz", hu, 8);
    put_made(f, "three/segmentation-1.nii.gz", couinaud, 0);
    f->o.dataset = at(f, "three");
    expect(f, "segmentation-1.nii.gz: holds the value 6; expected labels 0 to 2");
}

/** A folder with a manifest in it stands for the manifest. */
static void test_manifest_folder(void **state) {
    struct fixture *f = *state;
    put_csv(f, "case,image\nb,ct.nii.gz\na,ct.nii.gz\n");
    f->o.dataset = f->folder;
    names(f, "b a");
}

static void test_splits(void **state) {
    struct fixture *f = *state;
    make_lits(f);
    char train[128] = "", test[128] = "";
    for (int k = 0; k < 3; k++) {
        static const char *const all[] = {"volume-1", "volume-2", "volume-10"};
        char *to = hf_split_of(all[k], 0.5) == HF_SPLIT_TEST ? test : train;
        (void)snprintf(to + strlen(to), sizeof train - strlen(to), "%s%s", *to ? " " : "", all[k]);
    }
    assert_true(*train && *test); /* else the test shows nothing */
    f->o.test_share = 0.5;
    f->o.split = SPLIT_TRAIN;
    names(f, train);
    f->o.split = SPLIT_TEST;
    names(f, test);
    f->o.test_share = 0;
    expect(f, "lits: none of its 3 cases is in split test");
    f->o.test_share = 1;
    names(f, "volume-1 volume-2 volume-10");
    /* A list goes before the hash, its first line before the others. */
    text(f, "splits.csv", "case,split\nvolume-2,train\nvolume-?,test\nvolume-77,test\n*,train\n");
    f->o.overrides = at(f, "splits.csv");
    names(f, "volume-1");
    assert_non_null(strstr(harness_log(f->h), "splits.csv: no case of the dataset fits line 4\n"));
    text(f, "other.csv",
         "case,split\nx1,train\nx2,train\nvolume-1,test\nx3,train\nvolume-2,train\nx4,train\n"
         "x5,train\nx6,train\nvolume-10,train\n");
    f->o.overrides = at(f, "other.csv");
    names(f, "volume-1");
    assert_non_null(strstr(harness_log(f->h),
                           "other.csv: no case of the dataset fits line 2 to 3, 5, 7 to 9\n"));
    f->o.overrides = at(f, "splits.csv");
    f->o.split = SPLIT_TRAIN;
    names(f, "volume-2 volume-10");
    text(f, "splits.csv", "case,patient,split\nvolume-2,p,train\nvolume-1,p,test\n");
    expect(f, "splits.csv:2:1: patient 'p' is in split 'train' here and in 'test' in line 3");
    text(f, "splits.csv", "case,splt\nvolume-2,train\n");
    expect(f, "splits.csv:1:6: unknown column 'splt'");
    f->o.overrides = at(f, "none.csv");
    expect(f, "none.csv: not there; expected remarks on cases");
}

static void make_msd(struct fixture *f, const char *labels) {
    char json[1024];
    make(f, "msd");
    make(f, "msd/imagesTr");
    make(f, "msd/labelsTr");
    put_made(f, "msd/imagesTr/hepaticvessel_010.nii.gz", hu, 8);
    put_made(f, "msd/imagesTr/hepaticvessel_002.nii.gz", hu, 8);
    put_made(f, "msd/labelsTr/hepaticvessel_010.nii.gz", both, 0);
    put_made(f, "msd/labelsTr/hepaticvessel_002.nii.gz", both, 0);
    (void)snprintf(json, sizeof json,
                   "{\"name\": \"x\", \"modality\": {\"0\": \"CT\"}, \"labels\": %s,\n"
                   "\"training\": [{\"image\": \"./imagesTr/hepaticvessel_010.nii.gz\", "
                   "\"label\": \"./labelsTr/hepaticvessel_010.nii.gz\"},"
                   "{\"image\": \"./imagesTr/hepaticvessel_002.nii.gz\", "
                   "\"label\": \"./labelsTr/hepaticvessel_002.nii.gz\"}], \"test\": []}",
                   labels);
    text(f, "msd/dataset.json", json);
    f->o.dataset = at(f, "msd");
}

/** Task08: 1 vessel, 2 tumor, and the liver comes from elsewhere. */
static void test_msd08(void **state) {
    struct fixture *f = *state;
    make_msd(f, "{\"0\": \"background\", \"1\": \"Vessel\", \"2\": \"Tumour\"}");
    names(f, "hepaticvessel_002 hepaticvessel_010");
    const struct hf_sample *s = open_first(f);
    assert_null(hf_sample_find(s, "liver"));
    for (int i = 0; i < N; i++)
        assert_int_equal(harness_u8(s, "tumor")[i], both(i) == 2);
    harness_stage_free(f->s);
    f->s = NULL;
    f->o.require = (struct hf_names){1, {"liver"}};
    expect(f, "msd: none of its files is a liver mask (its labels: 0 background, 1 Vessel, 2 "
              "Tumour); name a folder of them: `liver: FOLDER/{case}.nii.gz`");
    make(f, "livers");
    put_made(f, "livers/hepaticvessel_010.nii.gz", liver, 0);
    f->o.liver = at(f, "livers/{case}.nii.gz");
    names(f, "hepaticvessel_010");
    check_both(open_first(f));
}

/** Task03: a liver label, which tumors belong to. */
static void test_msd03(void **state) {
    struct fixture *f = *state;
    make_msd(f, "{\"0\": \"background\", \"1\": \"liver\", \"2\": \"cancer\"}");
    check_both(open_first(f));
    harness_stage_free(f->s);
    f->s = NULL;
    /* What a person says goes before what the names say. */
    f->o.tumor_values = (struct hf_reals){2, {1, 2}};
    const struct hf_sample *s = open_first(f);
    assert_memory_equal(harness_u8(s, "tumor"), harness_u8(s, "liver"), N);
}

/* What is not called as nnU-Net wants it is told, not passed over. */
static void test_nnunet_that_is_not_whole(void **state) {
    struct fixture *f = *state;
    make(f, "part");
    make(f, "part/imagesTr");
    put_made(f, "part/imagesTr/liver_1_0000.nii.gz", hu, 8);
    text(f, "part/imagesTr/notes.txt", "no image");
    text(f, "part/dataset.json",
         "{\"labels\": {\"background\": 0, \"liver\": 1}, \"file_ending\": \".nii.gz\"}");
    f->o.dataset = at(f, "part");
    names(f, "liver_1");
    assert_non_null(
        strstr(harness_log(f->h), "part/labelsTr: not there: its cases have no labels\n"));
    f->o.require = (struct hf_names){1, {"liver"}};
    expect(f, "part/labelsTr: not there; expected the label files of its cases");
    f->o.require.count = 0;
    put_made(f, "part/imagesTr/liver_2.nii.gz", hu, 8);
    expect(f, "part/imagesTr/liver_2.nii.gz: no image's name; expected CASE_0000.nii.gz");
}

static void test_nnunet(void **state) {
    struct fixture *f = *state;
    static const char json[] =
        "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"liver\": [1, 2], "
        "\"liver tumor\": 2}, \"numTraining\": 2, \"file_ending\": \".nii.gz\"}";
    make(f, "nnu");
    make(f, "nnu/imagesTr");
    make(f, "nnu/labelsTr");
    put_made(f, "nnu/imagesTr/liver_10_0000.nii.gz", hu, 8);
    put_made(f, "nnu/imagesTr/liver_9_0000.nii.gz", hu, 8);
    put_made(f, "nnu/labelsTr/liver_9.nii.gz", both, 0);
    text(f, "nnu/imagesTr/._liver_9_0000.nii.gz", "of another system");
    text(f, "nnu/dataset.json", json);
    f->o.dataset = at(f, "nnu");
    names(f, "liver_9 liver_10");
    check_both(open_first(f));
    harness_stage_free(f->s);
    f->s = NULL;
    put_made(f, "nnu/imagesTr/liver_9_0001.nii.gz", hu, 8);
    expect(f, "liver_9_0001.nii.gz: a second channel; expected one image a case");
    static const struct {
        const char *json, *error;
    } bad[] = {
        {"{\"labels\": ", "nnu/dataset.json: no JSON object"},
        {"[]", "nnu/dataset.json: no JSON object"},
        {"{}", "nnu/dataset.json: no \"labels\""},
        {"{\"labels\": {\"liver\": \"one\"}}", "a label that is not counted"},
        {"{\"labels\": {\"liver\": 1.5}}", "a label that is no whole number"},
        {"{\"labels\": {\"liver\": 256}}", "a label that is no whole number from 0 to 255"},
        {"{\"labels\": {\"liver\": 1}, \"file_ending\": \".mha\"}", "file_ending is '.mha'"},
        {"{\"labels\": {\"liver\": 1}, \"training\": []}", "no case"},
        {"{\"labels\": {\"liver\": 1}, \"training\": [{\"image\": 3}]}", "without image and label"},
        {"{\"labels\": {\"liver\": 1}, \"training\": [{\"image\": \"a.nii\", \"label\": "
         "\"b.nii\"}]}",
         "image of case 'a': "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        text(f, "nnu/dataset.json", bad[i].json);
        expect(f, bad[i].error);
    }
}

/** The overrides that graphs/lits.yaml names: 20 cases, of which one has no known spacing. */
static void test_shipped_overrides(void **state) {
    struct fixture *f = *state;
    char path[4096];
    const char *source = getenv("HEPAFLOW_SOURCE");
    (void)snprintf(path, sizeof path, "%s/graphs/lits-cases.csv", source ? source : ".");
    make(f, "lits");
    for (int k = 27; k <= 48; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "lits/volume-%d.nii.gz", k);
        put_made(f, name, hu, 8);
    }
    f->o.dataset = at(f, "lits");
    f->o.overrides = path;
    if (begin(f) != HF_OK)
        fail_msg("%s", f->e.text);
    for (int k = 27; k <= 48; k++) {
        assert_int_equal(harness_open_item(f->s, k - 27, &f->e), HF_OK);
        const struct hf_sample *s = harness_out(f->s, harness_outs(f->s) - 1);
        int listed = k >= 28 && k <= 47;
        assert_true(listed == (s->file.affine[0][0] < 0)); /* the header runs to the right */
        double step = fabs(s->file.affine[0][0]);
        assert_true(listed && k != 44 ? step > 0.5 && step < 0.9 : step == 2);
    }
    assert_false(strstr(harness_log(f->h), "fit no case") != NULL);
}

static double split_four(int i) {
    return couinaud(i) > 4 ? couinaud(i) + 1 : couinaud(i) == 4 ? 4 + i % 2 : couinaud(i);
}

/** Maps that count 4a and 4b, and masks with values of their own. */
static void test_values(void **state) {
    struct fixture *f = *state;
    put_made(f, "nine.nii.gz", split_four, 0);
    put_csv(f, "case,image,liver,couinaud\na,ct.nii.gz,couinaud.nii.gz,nine.nii.gz\n");
    f->o.liver_values = (struct hf_reals){2, {1, 6}};
    f->o.couinaud_values = (struct hf_reals){9, {1, 2, 3, 4, 4, 5, 6, 7, 8}};
    const struct hf_sample *s = open_first(f);
    for (int i = 0; i < N; i++) {
        assert_int_equal(harness_u8(s, "couinaud")[i], couinaud(i));
        assert_int_equal(harness_u8(s, "liver")[i], couinaud(i) == 1 || couinaud(i) == 6);
    }
    harness_stage_free(f->s);
    f->s = NULL;
    f->o.couinaud_values.count = 5;
    expect(f, "nine.nii.gz: holds the value 7; expected labels 0 to 5");
    f->o.couinaud_values.value[2] = 1.5;
    expect(f, "option 'couinaud_values' has 1.5; expected whole numbers");
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_natural_order),
        TEST(test_lits),
        TEST(test_lits_mistakes),
        TEST(test_manifest_folder),
        TEST(test_splits),
        TEST(test_msd08),
        TEST(test_msd03),
        TEST(test_nnunet),
        TEST(test_nnunet_that_is_not_whole),
        TEST(test_values),
        TEST(test_shipped_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
