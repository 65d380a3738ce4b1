/**
 * test_slices.c - tables of slices: what is read, how the rows turn with an image, what `load`
 * makes of them, and where they end up behind `prepare` and `couinaud_mask`.
 */
#include "slices.h"

#include "harness.h"
#include "raw.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static enum hf_status parse(const char *text, struct hf_slices *ret, struct hf_error *e) {
    /* From the heap, exactly as long as it is, so that a read beyond the end is seen. */
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    enum hf_status st = hf_slices_parse(copy, size, "data/a.csv", ret, e);
    free(copy);
    return st;
}

static void rows_are_read(void **state) {
    (void)state;
    struct hf_slices s;
    struct hf_error e;
    assert_int_equal(parse("\xef\xbb\xbfseen by,segments,slice\r\n"
                           "x, 2;4 ,7\r\n\r\n\"y, z\",none,0\r\nx,8,12",
                           &s, &e),
                     HF_OK);
    static const struct hf_slice want[3] = {{.slice = 0, .segment = {1}, .line = 4, .column = 13},
                                            {.slice = 7, .segment = {1, 0, 1, 0, 1}, .line = 2},
                                            {.slice = 12, .segment = {1, [8] = 1}, .line = 5}};
    assert_int_equal(s.count, 3);
    assert_int_equal(s.item[0].column, want[0].column);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(s.item[i].slice, want[i].slice);
        assert_int_equal(s.item[i].line, want[i].line);
        assert_memory_equal(s.item[i].segment, want[i].segment, 9);
    }
    hf_slices_free(&s);
}

static void mistakes_are_told_with_their_place(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", "data/a.csv: the file is empty; expected slices and their segments"},
        {"slice\n1\n", "data/a.csv:1:1: no column 'segments'; expected a header line like "},
        {"slices,segments\n1,2\n", "data/a.csv:1:1: no column 'slice'; expected a header line"},
        {"1,2;4\n2,none\n", "data/a.csv:1:1: no column 'slice'"},
        {"slice,segments,slice\n", "data/a.csv:1:16: a second column 'slice'"},
        {"slice,segments\n", "data/a.csv: a header line but no slice"},
        {"slice,segments\n1,2;9\n", "data/a.csv:2:5: segment '9'; expected 1 to 8"},
        {"slice,segments\n1,\n", "data/a.csv:2:3: slice 1 has no segments; expected"},
        {"slice,segments\n1,2\n\n0,3\n1,none\n",
         "data/a.csv:5:1: slice 1 stands in line 2 already"},
        {"slice,segments\n-1,2\n", "data/a.csv:2:1: slice '-1'; expected a whole number"},
        {"slice,segments\n1.0,2\n", "data/a.csv:2:1: slice '1.0'; expected a whole number"},
        {"slice,segments\n99999999999999999999,2\n", "expected a whole number"},
        {"segments,slice\n2,\n", "data/a.csv:2:3: slice ''; expected a whole number"},
        {"slice,segments\n1\n", "data/a.csv:2:1: 1 entries; the header has 2 columns"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hf_slices s;
        struct hf_error e = {0};
        assert_int_not_equal(parse(rows[i][0], &s, &e), HF_OK);
        if (!strstr(e.text, rows[i][1]) || strchr(e.text, '\n'))
            fail_msg("'%s': expected '%s'", e.text, rows[i][1]);
    }
}

/** A stored grid of 5 x 4 x 3 voxels whose axes run to these sides. */
static struct hf_grid stored(const char *code) {
    struct hf_grid g = {{3, 4, 5}, {{0}}};
    for (int j = 0; j < 3; j++)
        for (int a = 0; a < 3; a++)
            g.affine[a][j] = code[j] == "RAS"[a] ? 2 : code[j] == "LPI"[a] ? -2 : 0;
    return g;
}

static void rows_turn_with_the_image(void **state) {
    (void)state;
    static const struct {
        const char *code;
        int first; /* the canonical slice of stored slice 0; -1: refused */
        const char *text;
    } rows[] = {
        {"RAS", 0, ""},
        {"LPS", 0, ""},
        {"LPI", 2, ""},
        {"ARI", 2, ""},
        {"PIR", -1, "runs between left and right, not head and foot"},
        {"RSA", -1, "runs between front and back, not head and foot"},
    };
    struct hf_slices s;
    struct hf_error e = {0};
    assert_int_equal(parse("slice,segments\n0,3\n1,none\n", &s, &e), HF_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hf_grid g = stored(rows[i].code), canonical;
        struct hf_turn turn;
        uint8_t out[3][9];
        hf_grid_canonical(&g, &turn, &canonical);
        memset(out, 7, sizeof out);
        enum hf_status st = hf_slices_turn(&s, "a.csv", &g, &turn, out[0], &e);
        if (rows[i].first < 0) {
            assert_int_equal(st, HF_INVALID);
            assert_non_null(strstr(e.text, rows[i].text));
            continue;
        }
        uint8_t want[3][9] = {{0}};
        want[rows[i].first][0] = want[rows[i].first][3] = want[1][0] = 1;
        assert_int_equal(st, HF_OK);
        assert_memory_equal(out, want, sizeof want);
    }
    hf_slices_free(&s);
    struct hf_grid g = stored("RAS"), canonical;
    struct hf_turn turn;
    uint8_t out[27];
    hf_grid_canonical(&g, &turn, &canonical);
    assert_int_equal(parse("slice,segments\n0,3\n 3,none\n", &s, &e), HF_OK);
    assert_int_equal(hf_slices_turn(&s, "a.csv", &g, &turn, out, &e), HF_INVALID);
    assert_string_equal(e.text, "a.csv:3:2: slice 3; the image has slices 0 to 2");
    hf_slices_free(&s);
}

/* ---- through the stages ---- */

#define NX   16
#define NY   12
#define NZ   20
#define N    (NX * NY * NZ)
#define STEP 3.0 /* mm between slices, stored from head to foot */
#define TOP  40.0

/** An option of a class in its options, by name. */
static void *option(const struct hf_stage_class *cls, void *options, const char *name) {
    for (const struct hf_option *o = cls->options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return (char *)options + o->offset;
    fail_msg("no option %s", name);
    return NULL;
}

/** The stages of the chain, loaded as the program loads them. */
enum {
    LOAD,
    PREPARE,
    MASK,
    STAGES
};

struct fixture {
    struct harness *h;
    char folder[256], manifest[300];
    const struct hf_stage_class *cls[STAGES];
    void *options[STAGES];
    struct hf_stage *stage[STAGES];
    struct hf_error e;
};

static void put_text(const struct fixture *f, const char *name, const char *text) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    raw_write(path, text, strlen(text));
}

static void put_image(const struct fixture *f, const char *name, double (*value)(int), int type,
                      int sagittal) {
    double v[N];
    char path[512];
    struct raw_image r = raw_default(NX, NY, NZ);
    memset(r.srow, 0, sizeof r.srow);
    r.type = type;
    r.srow[0][sagittal ? 2 : 0] = 2;
    r.srow[1][1] = 2;
    r.srow[2][sagittal ? 0 : 2] = -STEP;
    r.srow[2][3] = TOP;
    for (int i = 0; i < N; i++)
        v[i] = value(i);
    struct raw_bytes all = raw_single(&r, v);
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    raw_write(path, all.data, all.size);
    raw_free(&all);
}

static double hu(int i) {
    return i % 97;
}
static double liver(int i) {
    int z = i / (NX * NY);
    return i % NX >= 8 && z >= 3 && z < 17;
}
static double couinaud(int i) {
    return liver(i) > 0 ? i / NX % NY < 6 ? 2 : 5 : 0;
}

static int setup(void **state) {
    static const char *const names[STAGES] = {"load", "prepare", "couinaud_mask"};
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->h = harness_open();
    raw_folder(f->folder);
    (void)snprintf(f->manifest, sizeof f->manifest, "%s/cases.csv", f->folder);
    for (int i = 0; i < STAGES; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "stages/%s/%s", names[i], names[i]);
        harness_load(f->h, path);
        f->cls[i] = harness_class(f->h, names[i]);
        f->options[i] = calloc(1, f->cls[i]->options_size);
        assert_non_null(f->options[i]);
    }
    *(const char **)option(f->cls[LOAD], f->options[LOAD], "dataset") = f->manifest;
    *(int32_t *)option(f->cls[LOAD], f->options[LOAD], "split") = 2; /* all */
    *(struct hf_names *)option(f->cls[LOAD], f->options[LOAD], "fields") =
        (struct hf_names){2, {"liver", "couinaud"}};
    *(struct hf_reals *)option(f->cls[PREPARE], f->options[PREPARE], "window") =
        (struct hf_reals){2, {-200, 250}};
    *(struct hf_reals *)option(f->cls[PREPARE], f->options[PREPARE], "spacing") =
        (struct hf_reals){3, {7, 2, 2}};
    *(int64_t *)option(f->cls[PREPARE], f->options[PREPARE], "multiple") = 1;
    *(int32_t *)option(f->cls[PREPARE], f->options[PREPARE], "crop") = 1; /* liver */
    put_image(f, "ct.nii", hu, 8, 0);
    put_image(f, "liver.nii", liver, 0, 0);
    put_image(f, "couinaud.nii", couinaud, 0, 0);
    put_text(f, "cases.csv",
             "case,image,liver,couinaud,segments\n"
             "a,ct.nii,liver.nii,couinaud.nii,a.csv\n");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (int i = STAGES - 1; i >= 0; i--) {
        if (f->stage[i])
            harness_stage_free(f->stage[i]);
        free(f->options[i]);
    }
    raw_folder_remove(f->folder);
    harness_close(f->h);
    free(f);
    return 0;
}

static enum hf_status load_first(struct fixture *f) {
    if (f->stage[LOAD])
        harness_stage_free(f->stage[LOAD]);
    f->stage[LOAD] = harness_stage_new(f->h, f->cls[LOAD], f->options[LOAD], "cases");
    enum hf_status st = harness_start(f->stage[LOAD], &f->e);
    return st == HF_OK ? harness_open_item(f->stage[LOAD], 0, &f->e) : st;
}

/** What comes out of a stage for what came out of the one before. */
static const struct hf_sample *through(struct fixture *f, int stage) {
    if (f->stage[stage])
        harness_stage_free(f->stage[stage]);
    f->stage[stage] = harness_stage(f->h, f->cls[stage], f->options[stage], "next");
    if (harness_process(f->stage[stage], harness_out(f->stage[stage - 1], 0), &f->e) != HF_OK)
        fail_msg("%s", f->e.text);
    return harness_out(f->stage[stage], 0);
}

/** Segments annotated in a stored slice, bit k for segment k; -1 where nobody has looked. */
static int bits_of(int stored_slice) {
    static const int bits[NZ] = {-1, -1, -1, 0, 4, 4, 0,  0,  0,  0,
                                 0,  0,  32, 0, 0, 0, -1, -1, -1, -1};
    return bits[stored_slice];
}

static void put_slices(const struct fixture *f) {
    char text[512];
    int used = snprintf(text, sizeof text, "slice,segments\n");
    for (int z = 0; z < NZ; z++)
        if (bits_of(z) >= 0)
            used += snprintf(text + used, sizeof text - (size_t)used, "%d,%s\n", z,
                             bits_of(z) == 4    ? "2"
                             : bits_of(z) == 32 ? "5"
                                                : "none");
    put_text(f, "a.csv", text);
}

static void load_gives_canonical_rows(void **state) {
    struct fixture *f = *state;
    put_slices(f);
    if (load_first(f) != HF_OK)
        fail_msg("%s", f->e.text);
    const struct hf_sample *s = harness_out(f->stage[LOAD], 0);
    const struct hf_tensor *t = hf_sample_get(s, "annotation");
    assert_int_equal(t->shape[0], NZ);
    assert_int_equal(t->shape[1], 9);
    for (int z = 0; z < NZ; z++) {
        const uint8_t *row = harness_u8(s, "annotation") + (NZ - 1 - z) * 9;
        assert_int_equal(row[0], bits_of(z) >= 0);
        for (int k = 1; k < 9; k++)
            assert_int_equal(row[k], bits_of(z) >= 0 && bits_of(z) >> k & 1);
    }
}

/** A stored slice lies, by its world position, at least a little in slice d of the grid. */
static int covers(const struct hf_grid *g, int64_t d, int stored_slice) {
    double at = g->affine[2][3] + g->affine[2][2] * (double)d, half = 0.5 * g->affine[2][2];
    return fabs(TOP - STEP * stored_slice - at) < half + 0.5 * STEP - 1e-6;
}

static void slices_are_marked_where_they_lie(void **state) {
    struct fixture *f = *state;
    put_slices(f);
    if (load_first(f) != HF_OK)
        fail_msg("%s", f->e.text);
    const struct hf_sample *in = through(f, PREPARE);
    const int64_t *size = in->grid.size;
    assert_float_equal(in->grid.affine[2][2], 7, 1e-6);
    assert_int_equal(size[0], 6); /* 14 slices of 3 mm */
    int64_t plane = size[1] * size[2];
    for (int per = 0; per < 2; per++) { /* volume, slice */
        int found[3] = {0};
        *(int32_t *)option(f->cls[MASK], f->options[MASK], "per") = per;
        const struct hf_sample *out = through(f, MASK);
        int bits[8] = {0}, known[8] = {0}, whole[8];
        for (int64_t d = 0; d < size[0]; d++) {
            whole[d] = 1;
            for (int z = 0; z < NZ; z++) {
                int here = covers(&in->grid, d, z);
                known[d] |= bits_of(z) >= 0 && (here || per == 0);
                whole[d] &= bits_of(z) >= 0 || !here;
                bits[d] |= bits_of(z) >= 0 && (here || per == 0) ? bits_of(z) : 0;
            }
        }
        for (int64_t i = 0; i < size[0] * plane; i++) {
            int64_t d = i / plane;
            int k = harness_u8(in, "couinaud")[i], near = bits[d];
            near |= (d > 0 ? bits[d - 1] : 0) | (d + 1 < size[0] ? bits[d + 1] : 0);
            int in_liver = harness_u8(in, "liver")[i];
            int marked = k ? bits[d] >> k & 1 : bits[d] != 0;
            int near_marked = k ? near >> k & 1 : near != 0;
            int want_m = in_liver && known[d] && marked;
            int want_clean = in_liver && known[d] && whole[d] && !near_marked;
            assert_int_equal(harness_u8(out, "segments")[i], want_m);
            assert_int_equal(harness_u8(out, "clean")[i], want_clean);
            found[0] += want_m;
            found[1] += want_clean;
            found[2] += in_liver && known[d] && !whole[d];
        }
        assert_true(found[0] > 0 && found[2] > 0);
        assert_int_equal(found[1] > 0, per == 1); /* per volume no segment is free of tumors */
    }
}

static void bad_tables_are_refused(void **state) {
    struct fixture *f = *state;
    static const char *const rows[][2] = {
        {"slice,segments\n20,2\n", "/a.csv:2:1: slice 20; the image has slices 0 to 19"},
        {"slice,segments\n2,2\n2,3\n", "/a.csv:3:1: slice 2 stands in line 2 already"},
        {"slice,segments\n2,9\n", "/a.csv:2:3: segment '9'"},
        {"slice\n2\n", "/a.csv:1:1: no column 'segments'"},
        {"", "a.csv is empty; expected a table of slices"},
    };
    assert_int_equal(load_first(f), HF_NOT_FOUND);
    assert_non_null(strstr(f->e.text, "cases.csv:2:33: segments of case 'a': "));
    assert_non_null(strstr(f->e.text, "a.csv is not there"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_text(f, "a.csv", rows[i][0]);
        assert_int_not_equal(load_first(f), HF_OK);
        if (!strstr(f->e.text, rows[i][1]) || strchr(f->e.text, '\n'))
            fail_msg("'%s': expected '%s'", f->e.text, rows[i][1]);
    }
    put_text(f, "a.csv", "slice,segments\n1,2\n");
    put_image(f, "ct.nii", hu, 8, 1);
    put_text(f, "cases.csv", "case,image,segments\na,ct.nii,a.csv\n");
    assert_int_equal(load_first(f), HF_INVALID);
    assert_non_null(strstr(f->e.text, "case 'a', field 'annotation': "));
    assert_non_null(strstr(f->e.text, "/a.csv: it counts slices along the image's third stored "
                                      "axis, but that runs between left and right"));
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(rows_turn_with_the_image),
        TEST(load_gives_canonical_rows),
        TEST(slices_are_marked_where_they_lie),
        TEST(bad_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
