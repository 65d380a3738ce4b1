/**
 * test_couinaud_mask.c - the masks of annotated and clean segments against rules written out anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../stages/couinaud_mask/couinaud_mask.c"
#include "harness.h"
#include "io_stub.h"

#define D 6
#define H 10
#define W 18
#define N (D * H * W)

static uint8_t liver[N], couinaud[N], tumor[N];

/* Eight stripes of segments, some of them unmapped, in a liver that leaves a border out. */
static void draw(void) {
    struct hf_rng r = hf_rng_init(4, "test", "map", 0);
    for (int64_t i = 0; i < N; i++) {
        int64_t h = i / W % H, w = i % W;
        liver[i] = h > 0 && h < H - 1 && w > 0 && w < W - 1;
        couinaud[i] = (uint8_t)(liver[i] && hf_rng_below(&r, 10) > 0 ? 1 + (w - 1) / 2 : 0);
        tumor[i] = 0;
    }
}

struct test {
    struct harness *h;
    struct hf_sample *in;
    struct hf_stage *stage;
    const struct hf_sample *out;
};

static struct test run(const struct options *o, int64_t rows, const uint8_t *annotation) {
    struct test t = {.h = harness_open()};
    struct hf_error e = {0};
    harness_add(t.h, &hf_plugin);
    t.in = harness_sample(t.h, "c3", D, H, W, 2.0);
    harness_set_u8(t.h, t.in, "liver", 1, liver);
    harness_set_u8(t.h, t.in, "couinaud", 1, couinaud);
    harness_set_u8(t.h, t.in, "tumor", 1, tumor);
    const int64_t shape[2] = {rows, 9};
    if (annotation)
        harness_set(t.h, t.in, "annotation", HF_ON_HOST, HF_U8, 2, shape, annotation);
    t.stage = harness_stage(t.h, &couinaud_mask, o, "segments");
    if (harness_process(t.stage, t.in, &e) != HF_OK)
        fail_msg("%s", e.text);
    assert_int_equal(harness_outs(t.stage), 1);
    t.out = harness_out(t.stage, 0);
    return t;
}

static void done(struct test *t) {
    harness_stage_free(t->stage);
    harness_free_sample(t->h, t->in);
    harness_close(t->h);
}

/* The rules in words: `row(d)` is what is known of slice d. */
static void check(const struct hf_sample *out, const uint8_t row[D][9], int slices) {
    const uint8_t *segments = harness_u8(out, "segments"), *clean = harness_u8(out, "clean");
    for (int64_t i = 0; i < N; i++) {
        int64_t d = i / (H * W);
        int any = 0, near_any = 0, mine = 0, near_mine = 0, k = couinaud[i];
        for (int64_t z = d - slices; z <= d + slices; z++)
            for (int j = 1; j < 9 && z >= 0 && z < D; j++) {
                near_any |= row[z][j];
                near_mine |= k == j && row[z][j];
                any |= z == d && row[z][j];
                mine |= z == d && k == j && row[z][j];
            }
        int want_m = liver[i] && row[d][0] && (k ? mine : any);
        int want_c = liver[i] && row[d][0] && !(k ? near_mine : near_any);
        assert_int_equal(segments[i], want_m);
        assert_int_equal(clean[i], want_c);
    }
}

static void given_per_volume(void **state) {
    (void)state;
    const struct options o = {.labels = LABELS_GIVEN, .per = PER_VOLUME};
    const uint8_t rows[3][9] = {{1, 0, 0, 1, 0, 0, 0, 0, 1}, {1}, {0}};
    draw();
    for (int i = 0; i < 3; i++) {
        uint8_t all[D][9];
        for (int d = 0; d < D; d++)
            memcpy(all[d], rows[i], 9);
        struct test t = run(&o, 1, rows[i]);
        check(t.out, all, 0);
        done(&t);
    }
}

static void nothing_known_is_nothing_used(void **state) {
    (void)state;
    const struct options o = {.labels = LABELS_GIVEN, .per = PER_VOLUME};
    const uint8_t all[D][9] = {{0}};
    draw();
    struct test t = run(&o, 0, NULL);
    check(t.out, all, 0);
    done(&t);
}

static void given_per_slice(void **state) {
    (void)state;
    const struct options o = {.labels = LABELS_GIVEN, .per = PER_SLICE};
    const uint8_t rows[D][9] = {{1}, {1, 0, 1}, {1, 0, 1, 0, 1}, {0}, {1}, {1}};
    draw();
    struct test t = run(&o, D, rows[0]);
    check(t.out, rows, 1);
    done(&t);
    /* Without rows for the slices, the volume's row holds for each. */
    const uint8_t one[9] = {1, 0, 0, 0, 1};
    uint8_t all[D][9];
    for (int d = 0; d < D; d++)
        memcpy(all[d], one, 9);
    t = run(&o, 1, one);
    check(t.out, all, 1);
    done(&t);
}

/* Rows on the loaded image's slices, a case that has half as many. */
static void rows_of_the_loaded_slices(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_sample *s = harness_sample(h, "c", D, H, W, 2.0);
    s->canonical.size[0] = 2 * D + 3;
    s->canonical.affine[2][2] = 1;
    s->canonical.affine[2][3] = -1.5; /* slice d covers the loaded slices 2 d + 1 and 2 d + 2 */
    s->grid.affine[2][3] = 0;
    for (int64_t d = 0; d < D; d++) {
        int64_t first = -1, last = -1;
        rows_of_slice(s, 2 * D + 3, d, &first, &last);
        assert_int_equal(first, 2 * d + 1);
        assert_int_equal(last, 2 * d + 2);
    }
    /* As many rows as slices here, too, but of other places: the loaded ones count. */
    s->canonical.size[0] = D;
    s->canonical.affine[2][2] = 4;
    s->canonical.affine[2][3] = -4.5; /* slices 0 and 1 lie in loaded slice 1, 2 and 3 in 2 */
    for (int64_t d = 0; d < D; d++) {
        int64_t first = -1, last = -1;
        rows_of_slice(s, D, d, &first, &last);
        assert_int_equal(first, 1 + d / 2);
        assert_true(last == first || last == first + 1);
    }
    /* Rows of the slices here, and rows of nobody knows what. */
    for (int64_t rows = D - 1; rows <= D; rows++) {
        int64_t first = -1, last = -1;
        s->canonical.size[0] = 2 * D + 3;
        rows_of_slice(s, rows, 3, &first, &last);
        assert_int_equal(first, rows == D ? 3 : 0);
        assert_int_equal(last, rows == D ? 3 : rows - 1);
    }
    harness_free_sample(h, s);
    harness_close(h);
}

static void derived_needs_enough_tumor(void **state) {
    (void)state;
    /* Voxels of 2 mm: 8 mm3, 4 mm2. */
    struct options o = {
        .labels = LABELS_DERIVED, .per = PER_VOLUME, .min_volume = 0.040, .min_area = 12};
    draw();
    memset(couinaud, 0, sizeof couinaud);
    for (int64_t i = 0; i < N; i++)
        couinaud[i] = (uint8_t)(liver[i] ? 1 + (i % W - 1) / 2 : 0);
#define VOXEL(d, h, w) (((d)*H + (h)) * W + (w))
    /* Segment 2: 5 voxels, 3 of them in slice 1; segment 5: 4 voxels in slice 4. */
    const int64_t set[9] = {VOXEL(1, 3, 3), VOXEL(1, 4, 3), VOXEL(1, 5, 4),
                            VOXEL(2, 3, 3), VOXEL(3, 3, 3), VOXEL(4, 2, 9),
                            VOXEL(4, 3, 9), VOXEL(4, 4, 9), VOXEL(4, 5, 9)};
    for (int i = 0; i < 9; i++)
        tumor[set[i]] = 1;
    struct test t = run(&o, 0, NULL);
    const uint8_t volume[9] = {1, 0, 1};
    assert_int_equal(hf_sample_get(t.out, "annotation")->shape[0], 1);
    assert_memory_equal(harness_u8(t.out, "annotation"), volume, 9);
    uint8_t all[D][9];
    for (int d = 0; d < D; d++)
        memcpy(all[d], volume, 9);
    check(t.out, all, 0);
    done(&t);
    o.per = PER_SLICE;
    t = run(&o, 0, NULL);
    const uint8_t slices[D][9] = {{1}, {1, 0, 1}, {1}, {1}, {1, 0, 0, 0, 0, 1}, {1}};
    assert_int_equal(hf_sample_get(t.out, "annotation")->shape[0], D);
    assert_memory_equal(harness_u8(t.out, "annotation"), slices, sizeof slices);
    check(t.out, slices, 1);
    done(&t);
}

static void dilation_grows_within_the_liver(void **state) {
    (void)state;
    const uint8_t row[9] = {1, 0, 0, 0, 1};
    for (int per = PER_VOLUME; per <= PER_SLICE; per++) {
        struct options o = {.labels = LABELS_GIVEN, .per = per};
        uint8_t rows[D][9] = {{1}, {1}, {1, 0, 0, 0, 1}, {1}, {1}, {1}};
        draw();
        struct test before = run(&o, per == PER_SLICE ? D : 1, per == PER_SLICE ? rows[0] : row);
        o.dilate = 4.1;
        struct test after = run(&o, per == PER_SLICE ? D : 1, per == PER_SLICE ? rows[0] : row);
        const uint8_t *m = harness_u8(before.out, "segments"), *c = harness_u8(before.out, "clean");
        for (int64_t i = 0; i < N; i++) {
            int near = 0;
            for (int64_t j = 0; j < N; j++) {
                double a = 2.0 * (double)(i / (H * W) - j / (H * W));
                double b = 2.0 * (double)(i / W % H - j / W % H), x = 2.0 * (double)(i % W - j % W);
                near |= m[j] && a * a + b * b + x * x <= 4.1 * 4.1 && (per == PER_VOLUME || a == 0);
            }
            assert_int_equal(harness_u8(after.out, "segments")[i], liver[i] && near);
            assert_int_equal(harness_u8(after.out, "clean")[i], c[i] && !near);
        }
        done(&before);
        done(&after);
    }
}

static void truth_enters_as_an_annotation_only(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e = {0};
    struct options o = {.labels = LABELS_DERIVED};
    assert_int_equal(io_stub_declare(&io, &couinaud_mask, &o, " ", &e), HF_OK);
    assert_non_null(strstr(io.text, "write segments@0 < couinaud liver ~tumor\n"));
    assert_non_null(strstr(io.text, "write clean@0 < couinaud liver ~tumor\n"));
    assert_non_null(strstr(io.text, "write annotation@2 < couinaud ~tumor\n"));
    o.labels = LABELS_GIVEN;
    assert_int_equal(io_stub_declare(&io, &couinaud_mask, &o, " ", &e), HF_OK);
    assert_null(strstr(io.text, "tumor"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_per_volume),
        cmocka_unit_test(nothing_known_is_nothing_used),
        cmocka_unit_test(given_per_slice),
        cmocka_unit_test(rows_of_the_loaded_slices),
        cmocka_unit_test(derived_needs_enough_tumor),
        cmocka_unit_test(dilation_grows_within_the_liver),
        cmocka_unit_test(truth_enters_as_an_annotation_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
