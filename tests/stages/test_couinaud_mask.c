/**
 * test_couinaud_mask.c - the masks of annotated and clean segments against rules written out anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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
    const uint8_t *known = harness_u8(out, "known");
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
        assert_int_equal(known[i], liver[i] && row[d][0]);
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

/* Per volume a label of one slice holds for all of them, what no slice tells is not known; so is,
 * per slice, what lies beside M in a slice that covers a listed one and another. */
static void what_nobody_looked_at_is_not_known(void **state) {
    (void)state;
    struct options o = {.labels = LABELS_GIVEN, .per = PER_VOLUME};
    const uint8_t rows[D][9] = {{1}, {1, 0, 1}, {0}, {0}, {1}, {1}};
    draw();
    struct test t = run(&o, D, rows[0]);
    const uint8_t *m = harness_u8(t.out, "segments"), *known = harness_u8(t.out, "known");
    for (int64_t i = 0; i < N; i++) {
        assert_true(!liver[i] || couinaud[i] != 2 || m[i]);
        assert_int_equal(known[i], liver[i] && (m[i] || rows[i / (H * W)][0]));
    }
    done(&t);
    struct harness *h = harness_open();
    struct hf_error e = {0};
    uint8_t fine[2 * D][9] = {{1}, {1, 0, 1}, {1, 0, 1}, {0}, {0}, {0}, {1}, {1}};
    const int64_t shape[2] = {2 * D, 9};
    harness_add(h, &hf_plugin);
    struct hf_sample *in = harness_sample(h, "c3", D, H, W, 2.0);
    in->canonical.size[0] = 2 * D;
    in->canonical.affine[2][2] = 1;
    in->canonical.affine[2][3] = -0.5; /* slice d covers the loaded slices 2 d and 2 d + 1 */
    in->grid.affine[2][3] = 0;
    harness_set_u8(h, in, "liver", 1, liver);
    harness_set_u8(h, in, "couinaud", 1, couinaud);
    harness_set(h, in, "annotation", HF_ON_HOST, HF_U8, 2, shape, fine);
    o.per = PER_SLICE;
    struct hf_stage *s = harness_stage(h, &couinaud_mask, &o, "segments");
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    m = harness_u8(harness_out(s, 0), "segments");
    known = harness_u8(harness_out(s, 0), "known");
    for (int64_t i = 0; i < N; i++) {
        int64_t d = i / (H * W);
        assert_int_equal(known[i], d == 0 || d == 3 ? liver[i] : d == 1 && m[i]);
        assert_true(d != 1 || !liver[i] || m[i] == (couinaud[i] == 2 || couinaud[i] == 0));
    }
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
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
        const uint8_t *known = harness_u8(before.out, "known");
        for (int64_t i = 0; i < N; i++) {
            int near = 0;
            for (int64_t j = 0; j < N; j++) {
                double a = 2.0 * (double)(i / (H * W) - j / (H * W));
                double b = 2.0 * (double)(i / W % H - j / W % H), x = 2.0 * (double)(i % W - j % W);
                near |= m[j] && a * a + b * b + x * x <= 4.1 * 4.1 && (per == PER_VOLUME || a == 0);
            }
            assert_int_equal(harness_u8(after.out, "segments")[i], liver[i] && near);
            assert_int_equal(harness_u8(after.out, "clean")[i], c[i] && !near);
            assert_int_equal(harness_u8(after.out, "known")[i], known[i] || (liver[i] && near));
        }
        done(&before);
        done(&after);
    }
}

/* ---- noise ---- */

static void neighbours_are_what_touches(void **state) {
    (void)state;
    uint8_t near[NOISE_SEGMENTS], want[NOISE_SEGMENTS] = {0};
    draw();
    noise_neighbours(couinaud, D, H, W, near);
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++) {
            int64_t far = llabs(i / (H * W) - j / (H * W)) + llabs(i / W % H - j / W % H) +
                          llabs(i % W - j % W);
            if (far == 1 && couinaud[i] && couinaud[j] && couinaud[i] != couinaud[j])
                want[couinaud[i] - 1] |= (uint8_t)(1 << (couinaud[j] - 1));
        }
    assert_memory_equal(near, want, NOISE_SEGMENTS);
    assert_int_equal(near[0], 1 << 1);
    assert_int_equal(near[3], 1 << 2 | 1 << 4);
}

enum {
    CASES = 20000
};

/* How often each segment is labelled, over many cases. */
static void shares(const struct noise *noise, const uint8_t near[NOISE_SEGMENTS],
                   const uint8_t from[NOISE_ENTRIES], double ret[NOISE_ENTRIES]) {
    int count[NOISE_ENTRIES] = {0};
    for (int i = 0; i < CASES; i++) {
        char id[16];
        uint8_t out[NOISE_ENTRIES];
        (void)snprintf(id, sizeof id, "p%d", i);
        noise_row(noise, 66, id, 0, near, from, out);
        for (int k = 0; k < NOISE_ENTRIES; k++)
            count[k] += out[k];
    }
    for (int k = 0; k < NOISE_ENTRIES; k++)
        ret[k] = (double)count[k] / CASES;
}

static int about(double share, double want) {
    return fabs(share - want) < 4 * sqrt(0.25 / CASES);
}

static void noise_is_as_likely_as_told(void **state) {
    (void)state;
    /* 1 touches 2; 2 touches 1 and 3; 8 touches nothing. */
    const uint8_t near[NOISE_SEGMENTS] = {2, 5, 2, 0, 0, 0, 0, 0};
    const uint8_t from[NOISE_ENTRIES] = {1, 0, 1, 0, 0, 0, 0, 0, 1}, nobody[NOISE_ENTRIES] = {0};
    double share[NOISE_ENTRIES];
    const struct noise drop = {.drop = 0.3}, add = {.add = 0.1}, swap = {.swap = 0.4};
    const struct noise all = {0.3, 0.1, 0.4};
    shares(&drop, near, from, share);
    assert_true(share[0] == 1 && share[1] == 0 && share[3] == 0 && share[5] == 0);
    assert_true(about(share[2], 0.7) && about(share[8], 0.7));
    shares(&add, near, from, share);
    assert_true(share[2] == 1 && share[8] == 1 && about(share[1], 0.1) && about(share[7], 0.1));
    shares(&swap, near, from, share);
    assert_true(about(share[1], 0.2) && about(share[2], 0.6) && about(share[3], 0.2));
    assert_true(share[8] == 1 && share[4] == 0);
    shares(&all, near, from, share);
    assert_true(about(share[2], 0.7 * 0.6) && about(share[8], 0.7));
    assert_true(about(share[1], 1 - 0.9 * (1 - 0.7 * 0.2)) && about(share[7], 0.1));
    shares(&all, near, nobody, share);
    for (int k = 0; k < NOISE_ENTRIES; k++)
        assert_true(share[k] == 0);
}

/* The same for every stage, epoch and sample of a case; another for another case, row or seed. */
static void noise_is_a_fact_of_the_case(void **state) {
    (void)state;
    const struct options o = {.labels = LABELS_GIVEN, .per = PER_SLICE, .noise = {0.3, 0.2, 0.3}};
    uint8_t rows[D][9] = {{1, 1}, {1, 0, 1}, {1, 0, 1, 0, 1}, {0}, {1}, {1, 1, 1, 1, 1}},
            seen[D * 9];
    draw();
    struct test t = run(&o, D, rows[0]);
    assert_memory_equal(harness_u8(t.out, "annotation_true"), rows, sizeof rows);
    memcpy(seen, harness_u8(t.out, "annotation"), sizeof seen);
    assert_memory_not_equal(seen, rows, sizeof rows);
    uint8_t wrong[D][9];
    memcpy(wrong, seen, sizeof seen);
    check(t.out, (const uint8_t(*)[9])wrong, 1); /* the masks follow what was written */
    for (int i = 0; i < 5; i++) {
        struct hf_error e = {0};
        struct hf_stage *s =
            harness_stage_new(t.h, &couinaud_mask, &o, i == 1 ? "other" : "segments");
        s->epoch = i == 2 ? 7 : 0;
        s->seed = i == 3 ? 67 : 66;
        assert_int_equal(harness_start(s, &e), HF_OK);
        struct hf_sample *in = harness_sample(t.h,
                                              i == 0   ? "c3/5"
                                              : i == 4 ? "c4"
                                                       : "c3",
                                              D, H, W, 2);
        const int64_t shape[2] = {D, 9};
        harness_set_u8(t.h, in, "liver", 1, liver);
        harness_set_u8(t.h, in, "couinaud", 1, couinaud);
        harness_set(t.h, in, "annotation", HF_ON_HOST, HF_U8, 2, shape, rows);
        assert_int_equal(harness_process(s, in, &e), HF_OK);
        int same = memcmp(harness_u8(harness_out(s, 0), "annotation"), seen, sizeof seen) == 0;
        assert_int_equal(same, i < 3);
        harness_stage_free(s);
        harness_free_sample(t.h, in);
    }
    done(&t);
    /* A row without an annotation stays one. */
    for (int k = 0; k < 9; k++)
        assert_int_equal(seen[3 * 9 + k], 0);
}

/* The annotation of the slices from `first` on, of a case that was cropped to begin there; in the
 * loaded image, all D of them, lies slice 0 at 0. */
static void annotate_crop(struct harness *h, const struct options *o, int64_t first, int64_t depth,
                          uint8_t *ret) {
    struct hf_error e = {0};
    struct hf_sample *in = harness_sample(h, "c3", depth, H, W, 2.0);
    memset(in->grid.affine, 0, sizeof in->grid.affine);
    for (int axis = 0; axis < 3; axis++)
        in->grid.affine[axis][axis] = 2;
    in->canonical = in->grid;
    in->canonical.size[0] = D;
    in->grid.affine[2][3] = 2 * (double)first;
    harness_set_u8(h, in, "liver", 1, liver + first * H * W);
    harness_set_u8(h, in, "couinaud", 1, couinaud + first * H * W);
    harness_set_u8(h, in, "tumor", 1, tumor + first * H * W);
    struct hf_stage *s = harness_stage(h, &couinaud_mask, o, "segments");
    if (harness_process(s, in, &e) != HF_OK)
        fail_msg("%s", e.text);
    assert_int_equal(hf_sample_get(harness_out(s, 0), "annotation")->shape[0], depth);
    memcpy(ret, harness_u8(harness_out(s, 0), "annotation"), (size_t)depth * 9);
    harness_stage_free(s);
    harness_free_sample(h, in);
}

/* Branches of a graph may crop a case differently: its annotator errs alike in both. */
static void noise_is_of_the_slice_however_cropped(void **state) {
    (void)state;
    const struct options o = {.labels = LABELS_DERIVED, .per = PER_SLICE, .noise = {0.3, 0.2, 0.3}};
    uint8_t all[D * 9], part[D * 9];
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    draw();
    for (int64_t i = 0; i < N; i++)
        tumor[i] = couinaud[i] == 2 || couinaud[i] == 7;
    annotate_crop(h, &o, 0, D, all);
    int differ = 0;
    for (int d = 1; d < D; d++)
        differ |= memcmp(all, all + d * 9, 9) != 0;
    assert_true(differ);
    for (int64_t first = 0; first < D; first++)
        for (int64_t depth = 1; first + depth <= D; depth++) {
            annotate_crop(h, &o, first, depth, part);
            assert_memory_equal(part, all + first * 9, (size_t)depth * 9);
        }
    harness_close(h);
}

/* Derived labels err as well; a label per slice moves to what touches its segment there. */
static void noise_on_derived_labels(void **state) {
    (void)state;
    const struct options o = {.labels = LABELS_DERIVED, .per = PER_SLICE, .noise = {.swap = 1}};
    draw();
    for (int64_t i = 0; i < N; i++) {
        couinaud[i] = (uint8_t)(liver[i] ? i / (H * W) < 3 ? 4 : 1 + (i % W - 1) / 2 : 0);
        tumor[i] = couinaud[i] == 4;
    }
    struct test t = run(&o, 0, NULL);
    const uint8_t *known = harness_u8(t.out, "annotation_true");
    const uint8_t *noisy = harness_u8(t.out, "annotation");
    for (int d = 0; d < D; d++)
        for (int k = 1; k < 9; k++) {
            assert_int_equal(known[d * 9 + k], k == 4);
            assert_true(d < 3 ? noisy[d * 9 + k] == (k == 4)
                              : !noisy[d * 9 + k] || k == 3 || k == 5);
        }
    assert_true(noisy[4 * 9 + 3] + noisy[4 * 9 + 5] == 1);
    done(&t);
}

static void truth_enters_as_an_annotation_only(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e = {0};
    struct options o = {.labels = LABELS_DERIVED};
    assert_int_equal(io_stub_declare(&io, &couinaud_mask, &o, " ", &e), HF_OK);
    assert_non_null(strstr(io.text, "write segments@0 < couinaud liver ~tumor\n"));
    assert_non_null(strstr(io.text, "write clean@0 < couinaud liver ~tumor\n"));
    assert_non_null(strstr(io.text, "write known@0 < couinaud liver ~tumor\n"));
    assert_non_null(strstr(io.text, "write annotation@2 < couinaud ~tumor\n"));
    o.labels = LABELS_GIVEN;
    assert_int_equal(io_stub_declare(&io, &couinaud_mask, &o, " ", &e), HF_OK);
    assert_null(strstr(io.text, "tumor"));
    assert_null(strstr(io.text, "annotation_true"));
    o.noise.swap = 0.1;
    assert_int_equal(io_stub_declare(&io, &couinaud_mask, &o, " ", &e), HF_OK);
    assert_null(strstr(io.text, "tumor"));
    assert_non_null(strstr(io.text, "write annotation@2 < annotation couinaud\n"));
    assert_non_null(strstr(io.text, "write annotation_true@2 < annotation\n"));
    o.labels = LABELS_DERIVED;
    assert_int_equal(io_stub_declare(&io, &couinaud_mask, &o, " ", &e), HF_OK);
    assert_non_null(strstr(io.text, "write annotation@2 < couinaud ~tumor\n"));
    assert_non_null(strstr(io.text, "write annotation_true@2 < couinaud ~tumor\n"));
}

/* 9 and above are no segments. */
static void a_map_for_networks(void **state) {
    (void)state;
    const uint8_t row[9] = {1};
    for (int kind = MAP_NONE; kind <= MAP_ONEHOT; kind++) {
        const struct options o = {.labels = LABELS_GIVEN, .map = kind};
        draw();
        couinaud[0] = 9;
        couinaud[1] = 255;
        struct test t = run(&o, 1, row);
        struct hf_tensor *map = hf_sample_get(t.out, "couinaud_map");
        assert_true((map != NULL) == (kind != MAP_NONE));
        assert_true(!map || map->shape[0] == (kind == MAP_ONEHOT ? 8 : 1));
        const float *v = map ? HF_DATA(float, map) : NULL;
        for (int64_t i = 0; i < N && v; i++) {
            int k = couinaud[i] > 8 ? 0 : couinaud[i];
            for (int c = 0; c < 8 && kind == MAP_ONEHOT; c++)
                assert_true(v[c * N + i] == (k == c + 1 ? 1.0f : 0.0f));
            if (kind == MAP_SCALED)
                assert_true(v[i] == (float)k * 0.125f);
        }
        done(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_for_networks),
        cmocka_unit_test(given_per_volume),
        cmocka_unit_test(nothing_known_is_nothing_used),
        cmocka_unit_test(given_per_slice),
        cmocka_unit_test(what_nobody_looked_at_is_not_known),
        cmocka_unit_test(rows_of_the_loaded_slices),
        cmocka_unit_test(derived_needs_enough_tumor),
        cmocka_unit_test(dilation_grows_within_the_liver),
        cmocka_unit_test(neighbours_are_what_touches),
        cmocka_unit_test(noise_is_as_likely_as_told),
        cmocka_unit_test(noise_is_a_fact_of_the_case),
        cmocka_unit_test(noise_is_of_the_slice_however_cropped),
        cmocka_unit_test(noise_on_derived_labels),
        cmocka_unit_test(truth_enters_as_an_annotation_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
