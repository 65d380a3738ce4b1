/*
 * test_laplace.c - harmonic fillings: beside functions that are harmonic on the grid, and beside a
 * dense solution of the same equations for regions and tissue of any shape.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../plugins/laplace/laplace.c"

#define MOST ((int64_t)256 * 256)

static float image[MOST], inpainted[MOST], difference[MOST];
static uint8_t region[MOST], liver[MOST];

static const struct options slices = {.fill = {NULL, NULL, 0.25}, .dims = 0, .tolerance = 1e-5};
static const struct options volume = {.fill = {NULL, NULL, 0.25}, .dims = 1, .tolerance = 1e-5};

struct box {
    int d, h, w;
    double spacing[3]; /* mm */
    int tissue;        /* the sample has a liver */
};

static enum hf_status fill_once(const struct options *o, const struct box *b, struct hf_error *e) {
    size_t n = (size_t)(b->d * b->h * b->w);
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    struct hf_sample *in = harness_sample(h, "case", b->d, b->h, b->w, 1);
    for (int a = 0; a < 3; a++)
        in->grid.affine[2 - a][2 - a] = b->spacing[a];
    harness_set_f32(h, in, "image", 1, image);
    harness_set_u8(h, in, "segments", 1, region);
    if (b->tissue)
        harness_set_u8(h, in, "liver", 1, liver);
    struct hf_stage *s = harness_stage(h, &laplace, o, "removed");
    enum hf_status st = harness_process(s, in, e);
    if (st == HF_OK) {
        memcpy(inpainted, harness_f32(harness_out(s, 0), "inpainted"), n * sizeof(float));
        memcpy(difference, harness_f32(harness_out(s, 0), "difference"), n * sizeof(float));
        for (size_t i = 0; i < n; i++) {
            assert_true(region[i] || inpainted[i] == image[i] || isnan(image[i]));
            assert_true(difference[i] == image[i] - inpainted[i] || isnan(image[i]));
        }
    }
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
    return st;
}

/* x^2 - y^2 and the like solve the difference equation exactly, so what was put into the hole is
 * found again: also in a hole of 200 x 200, where a few sweeps would not reach the middle. */
static void test_a_harmonic_function_in_a_large_hole(void **state) {
    (void)state;
    static float truth[MOST];
    const struct box b = {1, 256, 256, {1, 0.5, 0.5}, 0};
    struct hf_error e;
    for (int i = 0; i < b.h * b.w; i++) {
        double x = (i % b.w - 128) / 128.0, y = (i / b.w - 128) / 128.0;
        truth[i] = (float)(0.5 + 0.3 * (x * x - y * y) + 0.1 * x * y + 0.2 * x);
        region[i] = i % b.w >= 28 && i % b.w < 228 && i / b.w >= 28 && i / b.w < 228;
        image[i] = region[i] ? 7.0f : truth[i];
    }
    assert_int_equal(fill_once(&slices, &b, &e), HF_OK);
    for (int i = 0; i < b.h * b.w; i++)
        assert_true(fabsf(inpainted[i] - truth[i]) < 1.5e-5f);
}

/* Through the volume, distances count in mm. */
static void test_a_harmonic_function_through_slices(void **state) {
    (void)state;
    static float truth[MOST];
    const struct box b = {14, 40, 48, {3, 0.8, 1.2}, 0};
    struct hf_error e;
    for (int i = 0; i < b.d * b.h * b.w; i++) {
        double x = (i % b.w - 24) * 1.2 / 30, y = (i / b.w % b.h - 20) * 0.8 / 30;
        double z = (i / b.w / b.h - 7) * 3 / 30.0, r = x * x + y * y + z * z;
        truth[i] = (float)(0.5 + 0.3 * (x * x + y * y - 2 * z * z) + 0.2 * y * z - 0.1 * z);
        region[i] = r < 0.2;
        image[i] = region[i] ? -1.0f : truth[i];
    }
    assert_int_equal(fill_once(&volume, &b, &e), HF_OK);
    for (int i = 0; i < b.d * b.h * b.w; i++)
        assert_true(fabsf(inpainted[i] - truth[i]) < 1.5e-5f);
    /* Slice by slice it is another function. */
    int other = 0;
    assert_int_equal(fill_once(&slices, &b, &e), HF_OK);
    for (int i = 0; i < b.d * b.h * b.w; i++)
        other += fabsf(inpainted[i] - truth[i]) > 1e-3f;
    assert_true(other > 1000);
}

/* ---- the same equations, dense ---- */

#define DENSE 700

static double matrix[DENSE][DENSE + 1];

/* Gauss and Jordan, with pivots; a row of zeros gives 0. */
static void solve_dense(int n, double *x) {
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int r = k; r < n; r++)
            best = fabs(matrix[r][k]) > fabs(matrix[best][k]) ? r : best;
        for (int c = 0; c <= n; c++) {
            double t = matrix[k][c];
            matrix[k][c] = matrix[best][c];
            matrix[best][c] = t;
        }
        assert_true(fabs(matrix[k][k]) > 1e-9);
        for (int r = 0; r < n; r++) {
            double by = r == k ? 0 : matrix[r][k] / matrix[k][k];
            for (int c = k; by != 0 && c <= n; c++)
                matrix[r][c] -= by * matrix[k][c];
        }
    }
    for (int k = 0; k < n; k++)
        x[k] = matrix[k][n] / matrix[k][k];
}

/* What the filling of the box should be where a walk within the region reaches tissue; others get
 * NaN. The box is filled as a whole. */
static void fill_dense(const struct box *b, int dims, double *expected) {
    int n = b->d * b->h * b->w, unknowns = 0, *number = calloc((size_t)n, sizeof *number);
    int step[3] = {b->h * b->w, b->w, 1}, size[3] = {b->d, b->h, b->w}, changed = 1;
    double x[DENSE];
    while (changed) { /* number[i] = 1: reached */
        changed = 0;
        for (int i = 0; i < n; i++)
            for (int k = 6 - 2 * dims; k < 6 && region[i] && !number[i]; k++) {
                int a = k / 2, along = i / step[a] % size[a] + (k % 2 ? 1 : -1);
                int j = i + (k % 2 ? step[a] : -step[a]);
                if (along >= 0 && along < size[a] && (region[j] ? number[j] : liver[j]))
                    changed = number[i] = 1;
            }
    }
    for (int i = 0; i < n; i++)
        number[i] = number[i] ? unknowns++ : -1;
    assert_true(unknowns < DENSE);
    memset(matrix, 0, sizeof matrix);
    for (int i = 0; i < n; i++) {
        if (number[i] < 0)
            continue;
        double *row = matrix[number[i]];
        for (int k = 6 - 2 * dims; k < 6; k++) {
            int a = k / 2, along = i / step[a] % size[a] + (k % 2 ? 1 : -1);
            int j = i + (k % 2 ? step[a] : -step[a]);
            double weight = 1 / (b->spacing[a] * b->spacing[a]);
            if (along < 0 || along >= size[a] || (!region[j] && !liver[j]))
                continue;
            row[number[i]] += weight;
            if (region[j])
                row[number[j]] -= weight;
            else
                row[unknowns] += weight * (double)image[j];
        }
    }
    solve_dense(unknowns, x);
    for (int i = 0; i < n; i++)
        expected[i] = number[i] >= 0 ? x[number[i]] : (double)NAN;
    free(number);
}

static uint32_t random_bits(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Regions that touch the image's border and the tissue's, full of gaps and islands. */
static void test_any_shape_beside_a_dense_solution(void **state) {
    (void)state;
    static double expected[MOST];
    struct hf_error e;
    uint32_t seed = 5;
    int islands = 0;
    for (int trial = 0; trial < 12; trial++) {
        int dims = trial % 2 ? 3 : 2, gaps = trial / 2;
        struct box b = {
            dims == 3 ? 6 : 1, dims == 3 ? 9 : 24, dims == 3 ? 11 : 26, {2.5, 1, 0.8}, 1};
        int n = b.d * b.h * b.w, nodes = 0, cut_off = 0, known = 0;
        double sum = 0;
        for (int i = 0; i < n; i++) {
            image[i] = (float)(random_bits(&seed) % 1000) / 1000.0f;
            liver[i] = random_bits(&seed) % 10 < 8;
            region[i] = random_bits(&seed) % 10 < (uint32_t)(4 + gaps) || i % b.w < 3;
            /* The last voxel is an island. */
            if (i == n - 2 || i == n - 1 - b.w || (dims == 3 && i == n - 1 - b.h * b.w))
                region[i] = liver[i] = 0;
            region[i] = region[i] || i == n - 1;
            if (!region[i] && liver[i]) {
                sum += (double)image[i];
                known++;
            }
        }
        fill_dense(&b, dims, expected);
        assert_int_equal(fill_once(dims == 3 ? &volume : &slices, &b, &e), HF_OK);
        for (int i = 0; i < n; i++) {
            if (!region[i])
                continue;
            if (isnan(expected[i])) {
                assert_true(fabs((double)inpainted[i] - sum / known) < 1e-6);
                cut_off++;
            } else {
                assert_true(fabs((double)inpainted[i] - expected[i]) < 2e-5);
                nodes++;
            }
        }
        assert_true(nodes > n / 8);
        islands += cut_off;
    }
    assert_true(islands > 0);
}

static void test_nothing_known(void **state) {
    (void)state;
    const struct box b = {3, 8, 8, {1, 1, 1}, 1};
    struct hf_error e;
    for (int i = 0; i < 3 * 64; i++) {
        image[i] = 0.8f;
        liver[i] = 1;
        region[i] = i / 64 != 1; /* slices 0 and 2 are all region */
    }
    /* From the volume's tissue where a slice has none; through it anyway. */
    for (int k = 0; k < 2; k++) {
        assert_int_equal(fill_once(k ? &volume : &slices, &b, &e), HF_OK);
        for (int i = 0; i < 3 * 64; i++)
            assert_true(fabsf(inpainted[i] - 0.8f) < 1e-5f);
    }
    memset(region, 1, sizeof region);
    assert_int_equal(fill_once(&slices, &b, &e), HF_OK);
    for (int i = 0; i < 3 * 64; i++)
        assert_true(inpainted[i] == 0.25f);
    memset(region, 0, sizeof region);
    assert_int_equal(fill_once(&volume, &b, &e), HF_OK);
    for (int i = 0; i < 3 * 64; i++)
        assert_true(inpainted[i] == image[i]);
}

/* A solution that is not reached is told from an image that has none, with how far it came. */
static void test_too_few_rounds(void **state) {
    (void)state;
    enum {
        SIDE = 128
    };
    struct laplace_params p = {
        .spacing = {1, 1, 1}, .dims = 2, .rounds = 2, .tolerance = 1e-6f, .most = SIDE * SIDE};
    struct hf_error e;
    struct harness *h = harness_open();
    struct hf_sample *in = harness_sample(h, "case", 1, SIDE, SIDE, 1);
    for (int i = 0; i < SIDE * SIDE; i++) {
        int x = i % SIDE, y = i / SIDE;
        image[i] = sinf(0.1f * (float)x) + (float)(y % 7);
        region[i] = x > 3 && x < SIDE - 4 && y > 3 && y < SIDE - 4;
    }
    harness_set_f32(h, in, "image", 1, image);
    harness_set_u8(h, in, "segments", 1, region);
    harness_set_f32(h, in, "inpainted", 1, NULL);
    harness_set_f32(h, in, "difference", 1, NULL);
    struct hf_op_call call = {
        .in = {hf_sample_get(in, "image"), hf_sample_get(in, "segments")},
        .out = {hf_sample_get(in, "inpainted"), hf_sample_get(in, "difference")},
        .inputs = 2,
        .outputs = 2,
        .params = &p,
        .params_size = sizeof p};
    void *scratch = aligned_alloc(64, (laplace_fill_cpu.scratch(&call) + 63) / 64 * 64);
    assert_non_null(scratch);
    assert_int_equal(laplace_fill_cpu.launch(&call, scratch, NULL, &e), HF_INVALID);
    double change = 0, tolerance = 0;
    assert_int_equal(sscanf(e.text,
                            "no harmonic filling of 14400 voxels: after 2 rounds one still changes "
                            "by %lf; set 'tolerance', which is %lf, higher",
                            &change, &tolerance),
                     2);
    assert_true(change > 1e-4 && change < 7 && fabs(tolerance - 1e-6) < 1e-12);
    p.rounds = 50;
    assert_int_equal(laplace_fill_cpu.launch(&call, scratch, NULL, &e), HF_OK);
    free(scratch);
    harness_free_sample(h, in);
    harness_close(h);
}

/* More voxels than are filled at once are refused before anything is made of them, and to `plan`.
 */
static void test_what_is_too_large(void **state) {
    (void)state;
    static struct hf_sample in = {.id = "case", .fields = 2};
    struct hf_tensor t = {.shape = {1, 4, 40000, 30000}};
    const struct hf_memory_query q = {.largest = &in};
    struct hf_memory told;
    struct hf_error e;
    in.grid.size[0] = 4;
    in.grid.size[1] = 40000;
    in.grid.size[2] = 30000;
    in.field[0] = (struct hf_field){"image", &t, HF_ON_GRID};
    in.field[1] = (struct hf_field){"segments", &t, HF_ON_GRID};
    struct hf_stage s = {.name = "removed", .options = &slices};
    assert_int_equal(process(&s, &in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "slices of 40000 x 30000 pixels"));
    assert_int_equal(memory(&s, &q, &told, &e), HF_INVALID);
    /* Slices that can be filled one by one, and not at once. */
    in.grid.size[2] = t.shape[3] = 20000;
    assert_int_equal(memory(&s, &q, &told, &e), HF_OK);
    s.options = &volume;
    assert_int_equal(process(&s, &in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "a volume of 3200000000 voxels"));
    assert_non_null(strstr(e.text, "slice by slice"));
    assert_int_equal(memory(&s, &q, &told, &e), HF_INVALID);
}

static void test_what_is_refused_and_declared(void **state) {
    (void)state;
    const struct box b = {1, 8, 8, {1, 1, 1}, 0};
    struct io_stub io;
    struct hf_error e;
    for (int i = 0; i < 64; i++) {
        image[i] = i == 9 ? NAN : 0.5f;
        region[i] = i == 10;
    }
    assert_int_equal(fill_once(&slices, &b, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'image' is NaN or infinite in the tissue"));
    image[9] = INFINITY;
    assert_int_equal(fill_once(&volume, &b, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'image' is NaN or infinite in the tissue"));
    /* What is not taken from may be anything. */
    region[9] = 1;
    assert_int_equal(fill_once(&slices, &b, &e), HF_OK);
    assert_true(fabsf(inpainted[9] - 0.5f) < 1e-4f);
    memset(region, 0, sizeof region);
    image[9] = NAN;
    assert_int_equal(fill_once(&slices, &b, &e), HF_OK);
    assert_int_equal(io_stub_declare(&io, &laplace, &slices, " image segments ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread segments@0\nmay read liver@0\n"
                                 "write inpainted@0 < all\nwrite difference@0 < all\n");
    struct options o = slices;
    o.fill.within = "segments";
    assert_int_equal(io_stub_declare(&io, &laplace, &o, " image hole segments ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread hole@0\nread segments@0\n"
                                 "write inpainted@0 < all\nwrite difference@0 < all\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_harmonic_function_in_a_large_hole),
        cmocka_unit_test(test_a_harmonic_function_through_slices),
        cmocka_unit_test(test_any_shape_beside_a_dense_solution),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_too_few_rounds),
        cmocka_unit_test(test_what_is_too_large),
        cmocka_unit_test(test_what_is_refused_and_declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
